"""Walk a replica's site with its spider in memory: no socket, no process, some thousand fetches a second."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import urlsplit

from crawler.model import Fetch, Seed
from crawler.replicas.exchange import Clock, Request
from crawler.replicas.kit import PlatformSite
from crawler.replicas.launch import NOW
from crawler.response import CaptureResponse
from spiders.base import PlatformSpider
from spiders.testing import Crawled, answer, crawl

HOST = "site.example"


def walk(
    spider: type[PlatformSpider],
    site: type[PlatformSite],
    *,
    size: int = 100,
    trap: Sequence[str] = (),
    path: str = "/",
    since: datetime | None = None,
    until: datetime | None = None,
    options: dict[str, str] | None = None,
    seed_url: str = "",
) -> tuple[Crawled, PlatformSite]:
    """Return what a crawl of the replica did, and the replica with its books."""
    world = site(size=size, trap=trap, clock=Clock(NOW))
    seed = Seed(
        url=seed_url or f"http://{HOST}{path}", since=since.isoformat() if since else None,
        until=until.isoformat() if until else None, options=options or {},
    )  # fmt: skip

    def asked(fetch: Fetch) -> CaptureResponse:
        parts = urlsplit(fetch.url)
        headers = {"host": parts.netloc, **{name.lower(): value for name, value in fetch.headers}}
        target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        said = world.answer(Request(fetch.method, parts.hostname or "", target, headers, fetch.body))
        body = said.body if said.flow is None else b"".join(said.flow.pieces())
        return answer(
            fetch.url, body, status=said.status, headers={**dict(said.headers), "Content-Type": said.content_type}
        )

    return crawl(spider, seed, asked), world
