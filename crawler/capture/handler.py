"""Scrapy's download handler, as thin as it can be: the recorder does the work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from scrapy.core.downloader.handlers.base import BaseDownloadHandler
from scrapy.exceptions import IgnoreRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrapy import Request
    from scrapy.crawler import Crawler
    from scrapy.http import Response

    from crawler.capture.recorder import Recorder
    from crawler.model import Leased


class CaptureHandler(BaseDownloadHandler):
    """Hands every request's lease to the recorder that ``worker.py`` built."""

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        parts = cast("Any", crawler).parts
        self._recorder: Recorder = parts.recorder
        self._failed: Callable[[Leased, Exception], None] = parts.committer.failed

    async def download_request(self, request: Request) -> Response:
        """Capture the leased fetch of a request."""
        leased: Leased = request.meta["leases"][0]
        try:
            return await self._recorder.capture(leased)
        except Exception as e:
            self._failed(leased, e)
            raise IgnoreRequest from e
