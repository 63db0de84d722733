"""Time-stamps while a crawl runs: each time that something was sealed, an authority sees the manifest's head.

One request at a time, for whatever is newest; an authority that fails holds nothing up, as the next stamp is over the
same segments and more.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from crawler.errors import OutlastError

if TYPE_CHECKING:
    from crawler.collection import Collection

log = logging.getLogger("outlast.stamping")


class Stamping:
    """Has the head of a manifest time-stamped; does nothing without an authority's URL."""

    def __init__(self, collection: Collection, url: str) -> None:
        self._collection = collection
        self._url = url
        self._task: asyncio.Task[None] | None = None
        self._is_due = False
        #: Why the newest head has no stamp; empty where it has one.
        self.trouble = ""

    def wake(self) -> None:
        """Hear that a segment was sealed."""
        self._is_due = bool(self._url)
        if self._is_due and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._run())

    async def settle(self) -> None:
        """Wait for what is under way."""
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        from crawler.evidence import heads  # noqa: PLC0415 - only where it is wanted

        while self._is_due:
            self._is_due = False
            try:
                await asyncio.to_thread(heads.stamp, self._collection, self._url)
                self.trouble = ""
            except (OutlastError, OSError) as e:
                log.warning("the manifest's head is not time-stamped: %s", e)
                self.trouble = f"The newest segments have no time-stamp: {e}"
