"""Beside a volunteer's crawl: says that it is there, fetches work, tells what is durable, brings what is sealed.

A line that breaks costs time and nothing else. Without a word from the coordinator for longer than a lease nothing is
begun any more, as nobody knows then what the rest of the fleet asks of a host.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from crawler import clock
from crawler.cold.store import Denied, Unavailable
from crawler.cold.store import Refused as NotTaken
from crawler.errors import OutlastError
from crawler.frontier.present import Present
from crawler.model import Leased
from crawler.volunteers import wire
from crawler.volunteers.bringing import Bringer
from crawler.volunteers.client import Refused, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from crawler.collection import Collection
    from crawler.config import Config
    from crawler.crew import Crew
    from crawler.frontier.errands import ErrandFrontier
    from crawler.frontier.thread import WriterThread
    from crawler.volunteers.badge import Badge
    from crawler.volunteers.client import Client, T
    from crawler.warc.manifest import Entry

log = logging.getLogger("outlast.volunteers")

#: Fetches that are here at once, and how few must be left before more are asked for.
BATCH, FEW = 400, 200
#: Seconds between looks, and of the longest pause while nothing works.
LOOK, LONGEST_PAUSE = 0.5, 15.0
#: Seconds of trouble after which people hear of it.
NOTICED = 3.0
#: Part of a lease after which who holds it stops by itself, if it could not be prolonged.
MARGIN = 0.8
_OVER = frozenset({"proven", "refused"})


class Run(Protocol):
    """What a liaison needs of a run."""

    @property
    def crew(self) -> Crew: ...
    @property
    def call(self) -> WriterThread: ...
    def stop(self, error: OutlastError | None) -> None: ...


class Liaison:
    """One volunteer's dealings with its coordinator. ``say`` tells people what happens."""

    def __init__(
        self, collection: Collection, frontier: ErrandFrontier, badge: Badge, client: Client, own: Config, *,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:  # fmt: skip
        self._collection = collection
        self._frontier = frontier
        self._client = client
        self._bringer = Bringer(collection, badge, client)
        #: The owner's ceilings, which hold beside the coordinator's.
        self._own = own
        self._say = say
        self._tasks: list[asyncio.Task[None]] = []
        self._attending: asyncio.Task[None] | None = None
        self._lease = 60.0
        self._hurries = False
        #: When the coordinator was last heard (monotonic), and whether people were told that it is not.
        self._heard_at = time.monotonic()
        self._is_told = False
        #: Segments proven, and their bytes.
        self.proven = self.proven_bytes = 0

    def attach(self, run: Run) -> None:
        """Belong to a run."""
        self._run = run

    async def join(self) -> None:
        """Say that this volunteer is here; return once that was heard. Raises Unreachable, Dismissed."""
        attended, asked = await self._attend()
        clock.follow(attended.now - asked)
        self._attending = asyncio.create_task(self._kept(self._stay))

    def begin(self) -> None:
        """Fetch work, and bring what comes of it."""
        self._tasks = [asyncio.create_task(self._kept(step)) for step in (self._deal, self._bring)]

    async def leave(self) -> None:
        """Ask for nothing more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def part(self) -> None:
        """Bring what is sealed by now, give back the rest, and go. What cannot be brought waits for the next run."""
        with suppress(OutlastError):
            await self._report()
            if left := await self._left():
                self._say(f"Bringing {len(left)} segments before leaving (Ctrl-C leaves them for later).")
                await self._bring_all(left)
        if self._attending is not None:
            self._attending.cancel()
            await asyncio.gather(self._attending, return_exceptions=True)
        with suppress(OutlastError):
            await self._ask("leave", None, wire.Held)

    def hurry(self) -> None:
        """Leave at once."""
        self._hurries = True

    # Saying that one is there

    async def _stay(self) -> None:
        await asyncio.sleep(min(self._lease / 4, 5.0))
        await self._attend()

    async def _attend(self) -> tuple[wire.Attended, float]:
        asked = time.monotonic()
        states = await self._run.call(self._frontier.segment_states)
        waits_for = [name for name, state in states.items() if state == "sent"][: wire.MOST_FETCHES]
        limited = list(self._frontier.limited(clock.now()).items())[: wire.MOST_FETCHES]
        attended = await self._ask("attend", wire.Attend(tuple(waits_for), dict(limited)), wire.Attended)
        self._lease = attended.lease
        rates = [rate for rate in (attended.rate, self._own.rate) if rate]
        self._run.crew.limit(
            min(rates, default=0.0), min(attended.concurrency, self._own.concurrency),
            max(attended.delay, self._own.delay),
        )  # fmt: skip
        self._run.crew.attend(Present(
            place=attended.place, size=attended.size, is_ready=attended.is_ready, was_out=attended.was_out,
            until=asked + attended.lease * MARGIN, ahead=attended.now - asked, frozen=attended.frozen,
        ))  # fmt: skip
        for name, (state, why) in attended.standing.items():
            await self._heard(name, state, why)
        if attended.is_over:
            self._run.stop(None)
        return attended, asked

    async def _heard(self, name: str, state: str, why: str) -> None:
        """Take note of what became of a segment."""
        await self._run.call(self._frontier.set_segment_state, name, "sealed" if state == "lost" else state)
        path = self._collection.warcs / name
        if state == "refused":
            self._say(f"{name} was refused: {why}")
        elif state == "proven" and path.is_file():
            self.proven += 1
            self.proven_bytes += path.stat().st_size
            if self._own.delete_local:
                path.unlink()

    # Work

    async def _deal(self) -> None:
        """Tell what was done, and fetch more."""
        await self._report()
        stats = await self._run.call(self._frontier.stats)
        here = stats.queued + stats.leased
        if here < FEW:
            has = tuple(number for number, _ in await self._run.call(self._frontier.outstanding))
            wanted = wire.Want(BATCH - here, has if len(has) <= wire.MOST_FETCHES else None)
            given = await self._ask("lease", wanted, wire.Given)
            errands = [Leased(id=e.id, token=e.token, fetch=e.fetch, attempt=e.attempt) for e in given.errands]
            if errands:
                await self._run.call(self._frontier.take_on, errands)
                self._run.crew.look_again()
            elif not here and any(self._collection.open_segments()):
                # What comes next may be named in what nobody has read yet.
                self._run.crew.flush()
        await asyncio.sleep(LOOK)

    async def _report(self) -> None:
        while outcomes := await self._run.call(self._frontier.untold, wire.MOST_FETCHES):
            groups: dict[tuple[str | None, str], list[tuple[int, int]]] = {}
            for one in outcomes:
                groups.setdefault((one.segment, "" if one.segment else one.why), []).append((one.id, one.token))
            for (segment, why), ids in groups.items():
                await self._tell(segment, why, ids)

    async def _tell(self, segment: str | None, why: str, ids: list[tuple[int, int]]) -> None:
        held: set[int] = set()
        if segment is not None:
            held = set((await self._ask("hold", wire.Hold(segment, tuple(ids)), wire.Held)).ids)
        back = [one for one in ids if one[0] not in held]
        if back:
            await self._ask("give-back", wire.GiveBack(tuple(back), why), wire.Held)
        await self._run.call(self._frontier.told, [one for one in ids if one[0] in held], "held")
        await self._run.call(self._frontier.told, back, "back")

    # Segments

    async def _bring(self) -> None:
        await self._bring_all(await self._left())
        await asyncio.sleep(LOOK)

    async def _left(self) -> list[Entry]:
        """Return the segments that are not with the coordinator."""
        states = await self._run.call(self._frontier.segment_states)
        entries = await asyncio.to_thread(self._bringer.entries)
        return [one for one in entries if states.get(one.segment) not in {*_OVER, "sent"}]

    async def _bring_all(self, entries: list[Entry]) -> None:
        for entry in entries:
            if self._hurries:
                return
            try:
                state = await asyncio.to_thread(self._bringer.bring, entry)
            except Refused as e:
                if e.status == 429:
                    raise
                state = "refused"
                self._say(f"{entry.segment} was refused: {e}")
            log.info("%s is %s", entry.segment, state)
            await self._run.call(self._frontier.set_segment_state, entry.segment, state)

    # The line

    async def _ask(self, call: str, message: wire.Message | None, answer: type[T]) -> T:
        told = await asyncio.to_thread(self._client.ask, call, message, answer)
        self._heard_at = time.monotonic()
        if self._is_told:
            self._is_told = False
            self._say("The coordinator lends again; going on.")
        return told

    async def _kept(self, step: Callable[[], Coroutine[None, None, None]]) -> None:
        """Repeat a step; where the line is broken, with growing pauses. What cannot be mended ends the run."""
        pause = LOOK
        while True:
            try:
                await step()
                pause = LOOK
            except (Unreachable, Unavailable, Denied, NotTaken) as e:
                log.warning("%s Trying again in %.0f s.", e, pause)
                if isinstance(e, Unreachable) and not self._is_told and time.monotonic() - self._heard_at >= NOTICED:
                    self._is_told = True
                    self._say(f"The coordinator cannot lend now ({e}). Nothing is lost; trying again.")
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            except OutlastError as e:
                self._run.stop(e)
                return
