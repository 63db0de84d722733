"""What one machine does in a fleet: say that it is there, learn who else is, and let its crew do with its share."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crawler import clock
from crawler.errors import OutlastError
from crawler.frontier.engines import is_volunteer, to_read

if TYPE_CHECKING:
    from collections.abc import Callable

    from crawler.collection import Collection
    from crawler.frontier.postgres.engine import PostgresFrontier
    from crawler.frontier.present import Present
    from crawler.frontier.reader import FrontierReader

log = logging.getLogger("outlast.fleet")


@dataclass(frozen=True, slots=True)
class Member:
    """One node of a fleet, and what it has brought. Times are seconds since the epoch."""

    node: int
    #: The machine's, or what a volunteer is called; a stranger may have chosen it.
    name: str
    #: ``machine``, or ``volunteer``.
    kind: str
    #: Of a volunteer: 0 where what it brings is sampled.
    trust: int
    joined: float
    heard: float
    #: It takes part now.
    is_present: bool
    is_revoked: bool
    #: What it settled: of a volunteer only what is proven at a destination. Bytes are those on the wire.
    captures: int
    attempts: int
    bytes: int
    #: What it is to fetch, and what it has fetched that is not proven yet.
    leased: int
    held: int
    #: Segments that a volunteer brought: waiting for their proof, proven (with their bytes), refused.
    sent: int
    proven: int
    proven_bytes: int
    refused: int
    #: Captures of it that were asked for again: not yet, with the same answer, with another, in vain.
    asked: int
    agrees: int
    differs: int
    unchecked: int
    #: ``here``; ``late``: not heard for half of its lease; ``silent``: nor before that ran out; ``left``; ``revoked``.
    standing: str


def members(collection: Collection) -> list[Member]:
    """Return the nodes of the fleet that a collection is part of; none where it is part of none.

    Raises DatabaseLost where the database cannot be reached.
    """
    if not collection.marker.frontier or is_volunteer(collection.marker):
        return []
    with closing(to_read(collection)) as frontier:
        return members_of(frontier)


def members_of(frontier: FrontierReader) -> list[Member]:
    """Return the nodes that share a frontier, those first who settled most; none of one that is nobody else's."""
    return sorted((Member(*row) for row in frontier.members()), key=lambda one: (-one.captures, one.node))


class Fleet:
    """Attends for one node. ``told`` hears what each attendance says, ``lost`` of a database that is gone.

    ``say`` tells people while the database is away for a while; ``hurry`` has nobody wait for that any more.
    """

    def __init__(
        self, frontier: PostgresFrontier, lease: float, *, told: Callable[[Present], None],
        lost: Callable[[OutlastError], None], say: Callable[[str], None],
    ) -> None:  # fmt: skip
        from crawler.frontier.postgres.attendance import Attendance  # noqa: PLC0415 - only fleets have psycopg

        self._outage = frontier.outage
        self._attendance = Attendance(frontier.address, frontier.node, lease, self._outage)
        self._say_aloud = say
        self.hurry = self._outage.hurry
        self._every = lease / 4
        self._told = told
        self._lost = lost
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="fleet")
        self._attending: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None

    async def join(self) -> None:
        """Take part, and go by the database's clock; return once it is known who else does."""
        self._watching = asyncio.create_task(self._outage.watch(self._say_aloud))  # as long as there is a run
        present = await self._say()
        clock.follow(present.ahead)
        self._attending = asyncio.create_task(self._attend())

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
        if self._attending is not None:
            self._attending.cancel()
            await asyncio.gather(self._attending, return_exceptions=True)
        with suppress(OutlastError):
            await asyncio.get_running_loop().run_in_executor(self._thread, self._attendance.leave)
        self._thread.shutdown()
