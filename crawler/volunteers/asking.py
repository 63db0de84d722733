"""What a coordinator asks the site itself: controls of its death watch, and what its second witness wants to hear."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from crawler import clock
from crawler.capture import spool
from crawler.capture.decode import response_from
from crawler.capture.pool import Pool
from crawler.commit import Found, settlement
from crawler.framing import parse_headers
from crawler.model import PROBE_LANE, Fetch
from crawler.politeness.ratelimit import advice
from crawler.probe import pool_options
from crawler.settle import Answer, rule
from crawler.url import origin

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from crawler.collection import Collection
    from crawler.config import Config
    from crawler.model import Capture, Leased, Seed, Settlement
    from spiders.base import PlatformSpider


class Asker:
    """Asks one thing at a time. ``limited`` hears of a host that wants to be left alone, and until when.

    Who is handed a capture discards its body (``spool.discard``).
    """

    def __init__(
        self, collection: Collection, config: Config, seed: Seed, spider: type[PlatformSpider],
        limited: Callable[[str, float], Awaitable[None]],
    ) -> None:  # fmt: skip
        self._options = pool_options(config, seed.url, collection.spool)
        self._spider = spider(seed=seed)
        self._limited = limited
        self._pool: Pool | None = None

    async def ask(self, fetch: Fetch) -> Capture:
        """Ask the site."""
        self._pool = self._pool or Pool(self._options)
        capture = await self._pool.fetch(method=fetch.method, url=fetch.url, headers=fetch.headers, body=fetch.body)
        now = clock.now()
        pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in parse_headers(capture.head)]
        heard = advice(capture.status, pairs, now)
        if capture.status >= 400 and heard.wait_until is not None and heard.wait_until > now:
            await self._limited(origin(fetch.url), heard.wait_until)
        return capture

    async def payload(self, url: str) -> str:
        """Return the digest (SHA-256, hex) of what a URL is answered with now; nothing where there is no answer."""
        capture = await self.ask(Fetch(url=url, lane=PROBE_LANE, follow=False))
        spool.discard(capture.body)
        return capture.digests.payload_sha256 if capture.digests else ""

    async def told(self, work: Leased) -> Settlement:
        """Ask a control; return the answer as the death watch wants to hear of it. It is kept nowhere."""
        capture = await self.ask(work.fetch)
        try:
            response = response_from(work.fetch, capture)
            verdict = self._spider.judge(response)
            answer = Answer(
                outcome=response.outcome, status=response.status, verdict=verdict, attempt=0,
                location=bool(response.header("Location")), truncated=response.truncated,
            )  # fmt: skip
            told = settlement(work, rule(answer), response, Found(), verdict=verdict, now=clock.now())
        finally:
            spool.discard(capture.body)
        return replace(told, digests=capture.digests)

    async def close(self) -> None:
        """Close its connections."""
        if self._pool is not None:
            await self._pool.close()
