"""Serve the replica of Parler: python -P -m crawler.replicas.parler --posts 2000."""

from __future__ import annotations

from crawler.replicas.exchange import Clock
from crawler.replicas.launch import launch, parser
from crawler.replicas.parler.site import ParlerSite
from crawler.replicas.parler.world import World


def main() -> None:
    """Parse the options and serve until standard input closes."""
    options = parser("parler", "A replica of Parler, January 2021.")
    options.add_argument("--posts", "--size", type=int, default=2000, help="how many there are")
    options.add_argument(
        "--http-port", type=int, default=0, help="where plain HTTP is redirected from; 0 takes a free one"
    )
    options.add_argument("--huge", type=int, default=0, metavar="BYTES", help="size of one video's original")
    given = options.parse_args()
    clock = Clock(given.clock)
    launch(ParlerSite(World(given.posts, given.seed), clock, given.huge), clock, given)


if __name__ == "__main__":
    main()
