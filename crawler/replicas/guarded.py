"""A site behind a guard that tests browsers: python -P -m crawler.replicas.guarded.

Every path answers 403 with the guard's own page, robots.txt included, until the trap is chosen that lets clients in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from crawler.replicas.kit import PlatformSite, html, main, route

if TYPE_CHECKING:
    from crawler.replicas.exchange import Answer, Request


class GuardedSite(PlatformSite):
    """One page, which nobody sees."""

    name = "guarded"
    title = "A site behind a guard."
    traps: ClassVar[dict[str, str]] = {"silent": "the guard does not say so in a header"}

    def build(self) -> None:
        """Have nothing."""

    @route(r"/.*")
    def guard(self, request: Request) -> Answer:
        """Answer with a test."""
        page = html("Just a moment...", "<script>window._cf_chl_opt={}</script>", status=403)
        headers = () if "silent" in self.trap else (("cf-mitigated", "challenge"), ("Server", "cloudflare"))
        return type(page)(page.status, page.body, page.content_type, headers, varies=True)


if __name__ == "__main__":
    main(GuardedSite)
