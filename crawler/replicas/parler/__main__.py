"""Serve the replica of Parler: python -P -m crawler.replicas.parler --posts 2000."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

from crawler.replicas.authority import context_for
from crawler.replicas.faults import Faults
from crawler.replicas.parler import truth
from crawler.replicas.parler.pages import Pages
from crawler.replicas.parler.site import HOSTS, Site
from crawler.replicas.parler.world import CLOCK, World
from crawler.replicas.server import Ledger, Replica, serve


def main() -> None:
    """Parse the options and serve until standard input closes."""
    parser = argparse.ArgumentParser(prog="crawler.replicas.parler", description="A replica of Parler, January 2021.")
    parser.add_argument("--posts", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--state", type=Path, default=None, help="directory of CA and ledger; a new one by default")
    parser.add_argument("--faults", default="", help="see crawler/replicas/faults.py")
    parser.add_argument("--ledger", choices=["digests", "bytes"], default="digests")
    parser.add_argument("--clock", type=datetime.fromisoformat, default=CLOCK)
    parser.add_argument("--latency", type=float, default=0.0, help="milliseconds added to every answer")
    options = parser.parse_args()
    state = options.state or Path(tempfile.mkdtemp(prefix="outlast-replica-"))
    state.mkdir(parents=True, exist_ok=True)
    clock = options.clock if options.clock.tzinfo else options.clock.replace(tzinfo=UTC)
    world = World(options.posts, options.seed)
    pages = Pages(world, clock)
    site = Site(world, pages)
    replica = Replica(
        site, date=lambda: format_datetime(pages.clock.astimezone(UTC), usegmt=True),
        ledger=Ledger(state / "ledger.jsonl", whole=options.ledger == "bytes"), faults=Faults(options.faults),
        latency=options.latency / 1000,
    )  # fmt: skip

    def control(_method: str, target: str, body: bytes) -> bytes | None:
        if target == "/truth":
            return json.dumps({"public": truth.public_counts(site), "last": world.last}).encode()
        if target == "/truth.jsonl":
            return b"".join(json.dumps(thing).encode() + b"\n" for thing in truth.things(site))
        if target == "/clock":
            pages.clock = datetime.fromisoformat(body.decode())
            return b"ok"
        return None

    facts = {"hosts": list(HOSTS), "pid": os.getpid()}
    asyncio.run(
        serve(replica, port=options.port, context=context_for(HOSTS, state), state=state, control=control, facts=facts)
    )


if __name__ == "__main__":
    main()
