"""The workers of a run: starts them, answers what they ask, shares what one of them learns, replaces the dead.

A host's permits are split: each worker has its part of ``concurrency`` for every host. Where that cannot be split (a
ceiling in requests a second, a delay, fewer permits than workers) every host belongs to one worker alone.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
import zlib
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from crawler import clock
from crawler.control import Steering
from crawler.errors import OutlastError
from crawler.frontier.engines import is_volunteer
from crawler.frontier.present import may_ask, share
from crawler.frontier.remote import (
    Ask,
    Call,
    Done,
    Drop,
    Failed,
    Flush,
    Frame,
    Freeze,
    GiveBack,
    Granted,
    Limited,
    Look,
    NewSegment,
    Remember,
    Reply,
    Resolved,
    SegmentClosed,
    Settle,
    Steer,
    Stop,
    Welcome,
    Wire,
    serve,
)
from crawler.model import Lease, State
from crawler.politeness.pace import merged, of_host, part_of
from crawler.provenance import warcinfo_fields
from crawler.url import origin
from spiders.registry import get

if TYPE_CHECKING:
    from collections.abc import Callable

    from crawler.admission import Admission
    from crawler.collection import Collection
    from crawler.config import Config
    from crawler.deathwatch.signs import Part
    from crawler.frontier.engine import Engine
    from crawler.frontier.present import Present
    from crawler.frontier.thread import WriterThread
    from crawler.model import Commit, Location, Seed, SegmentClass
    from crawler.nursery import Child, Nursery
    from crawler.vigil import Vigil

log = logging.getLogger("outlast.crew")

#: Seconds a worker may hold a fetch without a sign of life before others may have it.
LEASE_SECONDS = 600.0
#: Seconds that a worker waits for fetches while the brake is on full.
BRAKE = 10.0
#: Seconds that one may take at the least until its first word: where a machine is busy, to begin takes long.
BEGINNING = 60.0
#: Captures that are remembered as the newest.
NEWEST = 64
#: Deaths of workers in a row, without a single commit between them, after which the crawl stops.
MAX_DEATHS = 5


@dataclass(slots=True)
class _Worker:
    name: str
    #: Which part of the permits is its own.
    slot: int
    process: Child
    wire: Wire
    heard: float
    #: Calls of it that are not answered: it waits for us.
    asking: int = 0
    #: It said something.
    has_begun: bool = False
    serving: asyncio.Task[None] | None = None
    committed: bool = False
    #: It asked in vain since the last commit that found something.
    idle: bool = False
    failed: bool = False
    #: Fetches it settled.
    settled: int = 0
    pace: dict[str, Any] = field(default_factory=dict)


class Crew:
    """The workers of one run. ``closed`` hears of segments that are complete, ``stop`` of what must end the run."""

    def __init__(
        self,
        collection: Collection,
        frontier: Engine,
        writer: WriterThread,
        admission: Admission,
        config: Config,
        seed: Seed,
        platform: str,
        vigil: Vigil,
        *,
        closed: Callable[[str], None],
        stop: Callable[[OutlastError], None],
        nursery: Nursery,
    ) -> None:
        self._collection = collection
        self._frontier = frontier
        self._writer = writer
        self._admission = admission
        self._config = config
        self._seed = seed
        self._platform = platform
        self._vigil = vigil
        self._closed = closed
        self._stop = stop
        self._nursery = nursery
        self._size = config.workers or os.cpu_count() or 1
        self.limit(config.rate, config.concurrency, config.delay)
        self._advised = get(platform).rates
        self._workers: list[_Worker] = []
        self._steering = Steering()
        is_shared = bool(collection.marker.frontier) and not is_volunteer(collection.marker)
        self._lease_seconds = config.lease if is_shared else LEASE_SECONDS
        self._ending = False
        self._deaths = 0
        #: What this machine may do as one of a fleet; None where there is none.
        self._present: Present | None = None
        self._is_fleet = bool(collection.marker.frontier)
        #: Number of the newest segment.
        self.serial = 0
        #: How much slower all of them go, from 0 to 1: the disk fills faster than segments leave it.
        self.brake = 0.0
        #: Where the newest captures stand that settled something.
        self.newest: deque[Location] = deque(maxlen=NEWEST)

    def workers(self) -> list[dict[str, Any]]:
        """Return name, process, fetches settled and seconds of silence of each worker."""
        now = time.monotonic()
        return [
            {"name": w.name, "pid": w.process.pid, "settled": w.settled, "silent": round(now - w.heard, 1)}
            for w in self._workers
        ]  # fmt: skip

    async def start(self) -> None:
        """Start all workers."""
        remembered = await self._writer(self._frontier.host_get, "*") or {}
        for slot in range(self._size):
            await self._start(slot, part_of(remembered, self._size if self._splits else 1))

    async def check(self, recover: Callable[[str], None]) -> None:
        """Replace workers that died or hang; ``recover`` settles what a dead one had written."""
        now = time.monotonic()
        for worker in self._workers:
            is_silent = not worker.asking and now - worker.heard > self._patience(worker)
            if is_silent and worker.process.returncode is None:
                log.error("worker %s gave no sign of life for %.0f s; ending it", worker.name, now - worker.heard)
                worker.process.kill()
                await worker.process.wait()
        for worker in [w for w in self._workers if w.process.returncode is not None]:
            self._workers.remove(worker)
            await self._leave(worker)
            if self._ending or worker.failed:
                continue
            self._deaths = 0 if worker.committed else self._deaths + 1
            log.warning("worker %s died (exit %s); starting another", worker.name, worker.process.returncode)
            if self._deaths >= MAX_DEATHS:
                self._stop(OutlastError(f"Workers keep dying at once; see {self._collection.log}."))
                return
            await self._writer(recover, worker.name)
            await self._start(worker.slot, worker.pace)

    def _patience(self, worker: _Worker) -> float:
        watchdog = self._config.watchdog
        return watchdog if worker.has_begun else max(watchdog, BEGINNING)

    async def end(self, reason: str) -> None:
        """Let all workers finish what is in flight, and wait for their end."""
        self._ending = True
        for worker in self._workers:
            with suppress(ConnectionError):
                worker.wire.push(Frame(0, reply=Stop(reason)))
        for worker in self._workers:
            await self._last_words(worker)
            await self._leave(worker)

    def steer(self, steering: Steering) -> None:
        """Let all workers go by new orders from now on."""
        self._steering = steering
        for worker in self._workers:
            self._instruct(worker)

    def limit(self, rate: float, concurrency: int, delay: float) -> None:
        """Let these be the ceilings per host, of all machines together; workers hear of them next time."""
        self._config = replace(self._config, rate=rate, concurrency=concurrency, delay=delay)
        self._splits = not (rate or delay) and concurrency >= self._size

    def drop(self, part: Part) -> None:
        """Let all workers give back what they hold for what may be dead."""
        for worker in self._workers:
            with suppress(ConnectionError):
                worker.wire.push(Frame(0, reply=Drop(part.origin, part.lane)))

    def flush(self) -> None:
        """Let all workers close their segments."""
        for worker in self._workers:
            with suppress(ConnectionError):
                worker.wire.push(Frame(0, reply=Flush()))

    def attend(self, present: Present) -> None:
        """Let all workers do with what is this machine's share of the fleet from now on."""
        known, self._present = self._present, present
        for place, until in present.frozen.items():
            if known is None or known.frozen.get(place) != until:
                self._share(None, Limited(place, until, f"{place} is left alone by the fleet"))
        for worker in self._workers:
            self._instruct(worker, anew=present.was_out)
        if present.is_ready and (known is None or not known.is_ready):
            self.look_again()

    def _instruct(self, worker: _Worker, *, anew: bool = False) -> None:
        steering, present = self._steering, self._present
        nodes = present.size if present else 1
        # One worker of each machine asks a host that is advised.
        advised = {host: (self._config.rate or rate) / nodes for host, rate in self._advised.items()} if present else {}
        ordered = {h: rate / nodes / (self._size if self._splits else 1) for h, rate in steering.rates.items()}
        told = Steer(
            paused=steering.paused,
            rates={**advised, **ordered},
            concurrency={
                host: self._permits(host, share(n, present), worker.slot) for host, n in steering.concurrency.items()
            },
            common=self._common(worker.slot) if present else None,
            until=present.until if present and present.is_ready else -1.0 if self._is_fleet else 0.0, anew=anew,
        )  # fmt: skip
        with suppress(ConnectionError):
            worker.wire.push(Frame(0, reply=told))

    def _common(self, slot: int) -> tuple[float | None, int, float]:
        """Return a worker's ceilings for any host: its part of this machine's part of the fleet's."""
        config, nodes = self._config, self._present.size if self._present else 1
        whole = share(config.concurrency, self._present)
        part = whole // self._size + (slot < whole % self._size) if self._splits else whole
        return config.rate / nodes or None, part, config.delay * nodes

    def _permits(self, host: str, whole: int, slot: int) -> int:
        """Return a worker's part of the requests at once that a host is allowed by an order."""
        if not self._splits:
            return whole
        # Which workers get one more differs from host to host.
        turn = (slot + zlib.crc32(host.encode())) % self._size
        return whole // self._size + (turn < whole % self._size)

    def kill(self) -> None:
        """End all workers at once; the next run recovers what they had written."""
        for worker in self._workers:
            if worker.process.returncode is None:
                worker.process.kill()

    async def _last_words(self, worker: _Worker) -> None:
        """Wait for a worker's end, but not for ever."""
        while worker.process.returncode is None:
            left = worker.heard + self._config.watchdog - time.monotonic()
            if left <= 0:
                log.error("worker %s did not end; its next start recovers what it had", worker.name)
                worker.process.kill()
            with suppress(TimeoutError):
                async with asyncio.timeout(max(left, 1.0)):
                    await worker.process.wait()

    async def _leave(self, worker: _Worker) -> None:
        if worker.serving is not None:
            await worker.serving
        worker.wire.close()

    async def _start(self, slot: int, pace: dict[str, Any]) -> None:
        ours, theirs = socket.socketpair()
        number = int(await self._writer(self._frontier.meta_get, "workers") or 0) + 1
        await self._writer(self._frontier.meta_set, "workers", str(number))
        process = await self._nursery.start(theirs)
        theirs.close()
        wire = await Wire.over(ours)
        worker = _Worker(f"{self._frontier.prefix}w{number}", slot, process, wire, time.monotonic(), pace=pace)
        worker.serving = asyncio.create_task(self._serve(worker))
        self._workers.append(worker)
        welcome = Welcome(
            worker=worker.name, root=str(self._collection.root.absolute()), config=self._part(slot), seed=self._seed,
            platform=self._platform, warcinfo=warcinfo_fields(self._collection.marker, self._config), pace=pace,
            clock=clock.offset(),
        )  # fmt: skip
        wire.push(Frame(0, reply=welcome))
        if self._steering != Steering() or self._is_fleet:
            self._instruct(worker)

    def _part(self, slot: int) -> Config:
        """Return the settings of one worker: its part of the permits."""
        if not self._splits:
            return self._config
        whole = self._config.concurrency
        return replace(self._config, concurrency=whole // self._size + (slot < whole % self._size))

    # What workers ask

    async def _serve(self, worker: _Worker) -> None:
        """Answer a worker until it ends. A fault in an answer is ours: it ends the run, and loses nothing."""
        try:
            await serve(worker.wire, lambda call: self._answer(worker, call))
        except ConnectionError:
            return
        except OutlastError as e:
            self._abandon(worker, e)
        except Exception as e:
            log.exception("the supervisor failed to answer %s", worker.name)
            self._abandon(worker, OutlastError(f"{type(e).__name__}: {e}; see {self._collection.log}."))

    def _abandon(self, worker: _Worker, error: OutlastError) -> None:
        """End the run and a worker that nobody answers any more; what it has not committed is in its segments."""
        self._stop(error)
        worker.process.kill()

    async def _answer(self, worker: _Worker, call: Call) -> Reply:
        worker.heard, worker.has_begun = time.monotonic(), True
        worker.asking += 1
        try:
            return await self._answered(worker, call)
        finally:
            worker.asking -= 1
            worker.heard = time.monotonic()

    async def _answered(self, worker: _Worker, call: Call) -> Reply:
        match call:
            case Ask():
                return await self._grant(worker, call)
            case Settle():
                await self._writer(self._settle, call.commit)
                worker.committed = True
                worker.settled += len(call.commit.settlements)
                self.newest += (s.location for s in call.commit.settlements if s.location and s.state is State.DONE)
                self.look_again()
            case NewSegment():
                return Done(await self._writer(self._new_segment, worker, call.kind))
            case SegmentClosed():
                await self._writer(self._frontier.set_segment_state, call.name, "closed")
                self._closed(call.name)
            case Limited():
                self._share(worker, call)
                await self._writer(self._frontier.freeze, call.origin, call.until)
            case Remember():
                worker.pace = call.pace
                await self._writer(self._frontier.host_set, "*", merged(w.pace for w in self._workers))
            case Resolved():
                await self._writer(self._frontier.host_set, f"addresses {call.host}", {"addresses": call.addresses})
            case Failed():
                worker.failed = True
                error = OutlastError(call.message)
                error.exit_code = call.exit_code
                self._stop(error)
            case GiveBack():
                await self._writer(self._frontier.give_back, worker.name, call.ids)
                self.look_again()
        return Done()

    async def _grant(self, worker: _Worker, ask: Ask) -> Granted:
        began = time.monotonic()
        while time.monotonic() - began < self.brake * BRAKE and not self._ending:  # noqa: ASYNC110 - it may be let go
            await asyncio.sleep(0.2)
        may = may_ask(self._present) if self._is_fleet else True
        if self._ending or self._steering.paused or not may or not self._common(worker.slot)[1]:
            worker.idle = True
            return Granted(Lease(token=0, worker=worker.name, expires=0.0), None)
        fewer = msgspec.structs.replace(ask, n=max(int(ask.n * (1 - self.brake)), 1))
        granted = await self._writer(self._lease, worker, fewer)
        if self._vigil.is_roused:
            granted = await self._writer(self._without_dead, worker, granted)
        worker.idle = not granted.lease.fetches
        return granted

    def _lease(self, worker: _Worker, ask: Ask) -> Granted:
        def room(origin: str) -> int:
            # A rate is kept by one worker alone.
            is_one = not self._splits or (urlsplit(origin).hostname or "") in self._advised
            if is_one and zlib.crc32(origin.encode()) % self._size != worker.slot:
                return 0
            for host, whole in self._steering.concurrency.items():
                if host == of_host({host: host}, origin, "") and not self._permits(host, whole, worker.slot):
                    return 0
            return ask.busy.get(origin, ask.default_room)

        now = clock.now()
        controls = tuple(self._vigil.due(now, room))
        lease = self._frontier.lease(
            ask.n, worker=worker.name, now=now, seconds=self._lease_seconds, admit=self._admission.admit, room=room,
            closed=self._vigil.is_closed,
        )  # fmt: skip
        lease = replace(lease, fetches=(*controls, *lease.fetches))
        return Granted(lease, self._frontier.next_due() if not lease.fetches else None)

    def _without_dead(self, worker: _Worker, granted: Granted) -> Granted:
        """Put back what died between the lease and now: the word to drop it may have overtaken it."""
        closed = [
            one.id for one in granted.lease.fetches if self._vigil.is_closed(origin(one.fetch.url), one.fetch.lane)
        ]
        if not closed:
            return granted
        self._frontier.give_back(worker.name, closed)
        left = tuple(one for one in granted.lease.fetches if one.id not in closed)
        return msgspec.structs.replace(granted, lease=replace(granted.lease, fetches=left))

    def _settle(self, commit: Commit) -> None:
        # Controls first: what they show counts for all that came with them.
        others = [told for told in commit.settlements if not self._vigil.answered(told)]
        settlements = tuple(map(self._admission.sift, others))
        self._frontier.commit(replace(commit, settlements=settlements), now=clock.now())
        self._admission.learn(s.gate for s in settlements if s.gate is not None)

    def _new_segment(self, worker: _Worker, kind: SegmentClass) -> str:
        self.serial += 1
        self._frontier.meta_set("serial", str(self.serial))
        name = self._collection.segment_name(self.serial, worker.name, kind)
        self._frontier.add_segment(name, kind, worker.name)
        return name

    # What workers learn from each other

    def _share(self, worker: _Worker | None, told: Limited) -> None:
        log.info("%s%s", told.why, f" (told to {worker.name})" if worker else "")
        for other in self._workers:
            if other is not worker:
                with suppress(ConnectionError):
                    other.wire.push(Frame(0, reply=Freeze(told.origin, told.until, told.why)))

    def look_again(self) -> None:
        """Let workers that asked in vain ask again: there may be work now."""
        for worker in self._workers:
            if worker.idle:
                worker.idle = False
                with suppress(ConnectionError):
                    worker.wire.push(Frame(0, reply=Look()))
