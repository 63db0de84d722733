"""Scrapy's download handler: each of its requests carries a *run* of captures, one after the other.

What Scrapy does for a request costs several times what a capture does, so a request goes on taking leases for a
moment. It never makes what is captured wait for what is slow: a capture that takes longer is carried over to the next
request, and those before it go to their callbacks.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from scrapy.core.downloader.handlers.base import BaseDownloadHandler
from scrapy.http import Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrapy import Request
    from scrapy.crawler import Crawler

    from crawler.capture.recorder import Recorded, Recorder
    from crawler.model import Leased

#: A run ends after so many seconds, captures, or bytes of bodies in memory.
SECONDS = 0.25
MOST = 50
MOST_BYTES = 4 << 20


class Run(Response):
    """What Scrapy passes on for one of its requests: captures, in the order in which they ended."""

    def __init__(self, url: str, captures: list[Recorded]) -> None:
        super().__init__(url)
        self.captures = captures


class CaptureHandler(BaseDownloadHandler):
    """Hands leases to the recorder that ``worker.py`` built."""

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        parts = cast("Any", crawler).parts
        self._recorder: Recorder = parts.recorder
        self._failed: Callable[[Leased, Exception], None] = parts.committer.failed
        self._glimpsed: Callable[[Recorded], None] = parts.committer.glimpsed
        self._take: Callable[[], Leased | None] = parts.hand.take
        self._carry: Callable[[asyncio.Task[Recorded | None]], None] = parts.hand.carry

    async def download_request(self, request: Request) -> Run:
        """Capture the request's lease, or wait for the capture carried over to it, and then what else may start."""
        loop = asyncio.get_running_loop()
        captures: list[Recorded] = []
        end, size = loop.time() + SECONDS, 0
        carried = request.meta.get("carried")
        captured = await (carried if carried is not None else self._capture(request.meta["lease"]))
        while True:
            if captured is not None:
                captures.append(captured)
                size += len(captured.response.body) + len(captured.capture.body.data)
            left = end - loop.time()
            if left <= 0 or len(captures) >= MOST or size >= MOST_BYTES or (leased := self._take()) is None:
                return Run(request.url, captures)
            task = loop.create_task(self._capture(leased))
            await asyncio.wait((task,), timeout=left)
            if not task.done():
                self._carry(task)
                return Run(request.url, captures)
            captured = task.result()

    async def _capture(self, leased: Leased) -> Recorded | None:
        try:
            recorded = await self._recorder.capture(leased)
            self._glimpsed(recorded)
        except Exception as e:  # noqa: BLE001 - told to the committer, which settles the lease or ends the worker
            self._failed(leased, e)
            return None
        return recorded
