"""Sealing beside the crawl: in a process of its own, one segment at a time, so that no worker waits for it."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from typing import TYPE_CHECKING

from crawler.collection import OPEN_SUFFIX
from crawler.engine.pool import begin_beside
from crawler.errors import Damaged, DatabaseLost, DiskFull, OutlastError
from crawler.warc.seal import seal_named

if TYPE_CHECKING:
    from collections.abc import Callable

    from crawler.collection import Collection
    from crawler.frontier.engine import Engine
    from crawler.frontier.thread import WriterThread

log = logging.getLogger("outlast.sealing")


class Sealing:
    """Seals the segments it is given; ``failed`` hears of one that could not be, ``sealed`` of each that is."""

    def __init__(
        self,
        collection: Collection,
        frontier: Engine,
        writer: WriterThread,
        *,
        failed: Callable[[OutlastError], None],
        sealed: Callable[[], None] = lambda: None,
    ) -> None:
        self._collection = collection
        self._frontier = frontier
        self._writer = writer
        self._failed = failed
        self._sealed = sealed
        self._process = _sealer()
        self._under_way: set[asyncio.Task[None]] = set()
        #: Segments sealed so far, and sentences for the user about those that were not.
        self.count = 0
        self.notes: list[str] = []

    def add(self, name: str) -> None:
        """Seal a segment that nobody writes any more."""
        task = asyncio.create_task(self._seal(name))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def settle(self) -> None:
        """Wait until all that was added is sealed."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    def close(self) -> None:
        """End the process."""
        self._process.shutdown()

    async def _seal(self, name: str) -> None:
        kind = name.removesuffix(".warc.gz").rsplit("-", 1)[1]
        path, indexes, manifest = (
            str(place)
            for place in (
                self._collection.warcs / f"{name}{OPEN_SUFFIX}",
                self._collection.indexes,
                self._collection.manifest,
            )
        )
        try:
            sealed = await self._in_process(path, indexes, manifest, kind)
        except Damaged as e:
            log.error("%s could not be sealed: %s", name, e)  # noqa: TRY400 - the sentence is the whole story
            self.notes.append(f"{name} could not be sealed: {e}")
            self._failed(e)
            return
        except OSError as e:
            self._failed(DiskFull(f"{name} could not be sealed: {e.strerror}."))
            return
        except BrokenExecutor:
            self._failed(OutlastError(f"The sealing process keeps dying; {name} is sealed by the next run."))
            return
        self.count += sealed
        self._sealed()
        with suppress(DiskFull, DatabaseLost):  # the file's own name says that it is sealed
            await self._writer(self._frontier.set_segment_state, name, "sealed" if sealed else "removed")

    async def _in_process(self, path: str, indexes: str, manifest: str, kind: str) -> bool:
        """Seal in the process; once more in a new one where it was killed."""
        loop, process = asyncio.get_running_loop(), self._process
        try:
            return await loop.run_in_executor(process, seal_named, path, indexes, manifest, kind)
        except BrokenExecutor:
            if self._process is process:
                log.warning("the sealing process died; starting another")
                self._process = _sealer()
            return await loop.run_in_executor(self._process, seal_named, path, indexes, manifest, kind)


def _sealer() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=begin_beside)
