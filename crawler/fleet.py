"""What one machine does in a fleet: say that it is there, learn who else is, and let its crew do with its share."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

from crawler import clock
from crawler.errors import OutlastError

if TYPE_CHECKING:
    from collections.abc import Callable

    from crawler.frontier.present import Present

log = logging.getLogger("outlast.fleet")


class Fleet:
    """Attends for one node. ``told`` hears what each attendance says, ``lost`` of a database that is gone."""

    def __init__(
        self, address: str, node: int, lease: float, *, told: Callable[[Present], None],
        lost: Callable[[OutlastError], None],
    ) -> None:  # fmt: skip
        from crawler.frontier.postgres.attendance import Attendance  # noqa: PLC0415 - only fleets have psycopg

        self._attendance = Attendance(address, node, lease)
        self._every = lease / 4
        self._told = told
        self._lost = lost
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="fleet")
        self._task: asyncio.Task[None] | None = None

    async def join(self) -> None:
        """Take part, and go by the database's clock; return once it is known who else does."""
        present = await self._say()
        clock.follow(present.ahead)
        self._task = asyncio.create_task(self._attend())

    async def _say(self) -> Present:
        present = await asyncio.get_running_loop().run_in_executor(self._thread, self._attendance.say)
        if present.was_out:
            log.info("node %d of %d takes part", present.place + 1, present.size)
        self._told(present)
        return present

    async def _attend(self) -> None:
        present = None
        while True:
            # Who waits for others to take note of it asks again soon.
            await asyncio.sleep(self._every if present and present.is_ready else min(self._every, 1.0))
            try:
                present = await self._say()
            except OutlastError as e:
                self._lost(e)
                return

    async def leave(self) -> None:
        """Take part no longer; called once nothing of this machine asks anybody anything."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        with suppress(OutlastError):
            await asyncio.get_running_loop().run_in_executor(self._thread, self._attendance.leave)
        self._thread.shutdown()
