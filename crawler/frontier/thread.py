"""The one thread that may write the frontier; the event loop goes on meanwhile."""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from crawler.frontier.reader import disk_fault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

P = ParamSpec("P")
T = TypeVar("T")


class WriterThread:
    """Calls a frontier's verbs, one at a time."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="frontier")

    async def __call__(self, function: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
        """Return what the function returns. Raises DiskFull or UsageError for what SQLite complains of."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: function(*args, **named))
        except sqlite3.Error as e:
            raise disk_fault(self._place, e) from e

    def close(self) -> None:
        """Wait for what is under way."""
        self._thread.shutdown()
