"""The supervisor: opens a collection, recovers it, keeps the frontier, starts workers, seals what they close.

It alone writes the frontier. Workers ask it over a socket for leases and tell it what became durable; sealing runs
in a process of its own. It knows nothing of the command line: progress goes to a callable, the end is a Report.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import socket
import sqlite3
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

from crawler.admission import Admission
from crawler.capture import spool
from crawler.collection import OPEN_SUFFIX
from crawler.errors import Damaged, DiskFull, OutlastError, TimeUp
from crawler.frontier.reader import disk_fault
from crawler.frontier.remote import (
    Ask,
    Call,
    Done,
    Failed,
    Frame,
    Granted,
    NewSegment,
    Remember,
    Reply,
    SegmentClosed,
    Settle,
    Stop,
    Welcome,
    Wire,
    serve,
)
from crawler.provenance import warcinfo_fields
from crawler.recover import rebuild, recover
from crawler.settle import SECOND_LOOK
from crawler.warc.seal import one_at_a_time, seal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from crawler.collection import Collection
    from crawler.config import Config
    from crawler.frontier.interface import Stats
    from crawler.frontier.sqlite import SqliteFrontier
    from crawler.model import Commit, Seed, SegmentClass
    from spiders.base import PlatformSpider

log = logging.getLogger("outlast.supervise")

#: Seconds a worker may hold a fetch without a sign of life before others may have it.
LEASE_SECONDS = 600.0
#: Deaths of a worker in a row, without a single commit between them, after which the crawl stops.
MAX_DEATHS = 5
#: Second looks are brought forward when nothing else is left to do, but not sooner than this after the first.
SOONEST_SECOND_LOOK = 3.0
TICK = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How a run ended."""

    stats: Stats
    coverage: dict[str, dict[str, int]]
    seconds: float
    recovered: int
    sealed: int
    #: What went wrong; None where the crawl is complete.
    error: OutlastError | None = None
    #: Plain sentences for the user.
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Worker:
    name: str
    process: asyncio.subprocess.Process
    wire: Wire
    serving: asyncio.Task[None]
    committed: bool = False
    failed: OutlastError | None = None


class Supervisor:
    """One run of a crawl. The caller holds the collection's lock and closes the frontier."""

    def __init__(
        self,
        collection: Collection,
        frontier: SqliteFrontier,
        config: Config,
        seed: Seed,
        spider: type[PlatformSpider],
        *,
        progress: Callable[[Stats, float], None] = lambda stats, seconds: None,
    ) -> None:
        self.collection = collection
        self.frontier = frontier
        self.config = config
        self.seed = seed
        self.spider = spider
        self.admission = Admission(spider, seed, config, frontier)
        self._progress = progress
        self._db = ThreadPoolExecutor(1, thread_name_prefix="frontier")
        self._sealer = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_ignore_interrupt)
        self._workers: list[_Worker] = []
        self._sealing: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._error: OutlastError | None = None
        self._deaths = 0
        self._serial = 0
        self._begun = time.monotonic()
        self._recovered = 0
        self._sealed = 0
        self._captures_before = 0
        self._notes: list[str] = []

    async def run(self, *, reachable: Callable[[], Awaitable[None]]) -> Report:
        """Recover, then crawl until the frontier is empty, a limit is reached or ``stop`` is called.

        ``reachable`` is awaited before the first worker starts, and raises SiteUnavailable where that is of no use.
        """
        try:
            await self._call(self._prepare)
            stats = await self._call(self.frontier.stats)
            if stats.queued - stats.blocked > 0:
                await reachable()
                await self._start_worker()
                await self._watch()
        except OutlastError as e:
            self._error = self._error or e
        finally:
            await self._wind_down()
        return await self._report()

    def stop(self, error: OutlastError | None) -> None:
        """End the run in good order: what is in flight is finished and committed."""
        if not self._stopping.is_set():
            self._error = error
            self._stopping.set()

    def kill(self) -> None:
        """End all workers at once; the next run recovers what they had written."""
        for worker in self._workers:
            if worker.process.returncode is None:
                worker.process.kill()

    def list_urls(self, urls: Iterable[str]) -> None:
        """Offer URLs that the user listed, beside the platform's own."""
        spider = self.spider(seed=self.seed)
        self.frontier.gate_for = self.admission.gate_for
        self.frontier.offer(list(self.admission.admitted(spider.listed(url) for url in urls)))

    # Start

    def _prepare(self) -> None:
        self.frontier.set_lanes({lane.name: lane.order for lane in self.spider.lanes})
        self.frontier.gate_for = self.admission.gate_for
        self.frontier.reset_leases()
        spool.sweep(self.collection.spool)
        with one_at_a_time(self.collection.manifest):
            pass
        if self.config.robots == "ignore":
            self.frontier.reopen_gates()
        self._rebuild()
        for path in self.collection.open_segments():
            self._recovered += recover(path, self.collection, self.frontier, self.spider, self.seed, self.admission)
        if self.frontier.meta_get("seeded") is None:
            spider = self.spider(seed=self.seed)
            self.frontier.offer(list(self.admission.admitted(spider.seeds(self.seed))))
            self.frontier.meta_set("seeded", "yes")
        self._serial = int(self.frontier.meta_get("serial") or 0)
        self._captures_before = self.frontier.stats().captures

    def _rebuild(self) -> None:
        """Make a lost frontier anew from the sealed segments; one that is there has settled them all."""
        if self.frontier.meta_get("serial") is not None:
            return
        for path in self.collection.sealed_segments():
            self._recovered += rebuild(path, self.collection, self.frontier, self.spider, self.seed, self.admission)
            self._serial = max(self._serial, int(path.name.split("-")[-3]))
        self.frontier.meta_set("serial", str(self._serial))

    async def _start_worker(self) -> None:
        ours, theirs = socket.socketpair()
        number = int(await self._call(self.frontier.meta_get, "workers") or 0) + 1
        await self._call(self.frontier.meta_set, "workers", str(number))
        name = f"w{number}"
        environment = {**os.environ, "PYTHONPATH": _checkout()} if _checkout() else None
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "crawler.worker", str(theirs.fileno()), pass_fds=[theirs.fileno()],
            stdin=asyncio.subprocess.DEVNULL, env=environment,
        )  # fmt: skip
        theirs.close()
        wire = await Wire.over(ours)
        worker = _Worker(name, process, wire, asyncio.create_task(asyncio.sleep(0)))
        worker.serving = asyncio.create_task(self._serve(worker))
        self._workers.append(worker)
        welcome = Welcome(
            worker=name, root=str(self.collection.root.absolute()), config=self.config, seed=self.seed,
            platform=self.spider.name, warcinfo=warcinfo_fields(self.collection.marker, self.config),
            pace=await self._call(self._pace),
        )  # fmt: skip
        await wire.send(Frame(0, reply=welcome))

    def _pace(self) -> dict[str, Any]:
        remembered: dict[str, Any] = self.frontier.host_get("*") or {}
        return remembered

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
            self._abandon(worker, OutlastError(f"{type(e).__name__}: {e}; see {self.collection.log}."))

    def _abandon(self, worker: _Worker, error: OutlastError) -> None:
        """End the run and a worker that nobody answers any more; what it has not committed is in its segments."""
        self.stop(error)
        worker.process.kill()

    async def _answer(self, worker: _Worker, call: Call) -> Reply:
        match call:
            case Ask():
                granted: Granted = await self._call(self._lease, worker, call)
                return granted
            case Settle():
                await self._call(self._settle, call.commit)
                worker.committed = True
            case NewSegment():
                return Done(await self._call(self._new_segment, worker, call.kind))
            case SegmentClosed():
                await self._call(self.frontier.set_segment_state, call.name, "closed")
                self._seal(call.name)
            case Remember():
                await self._call(self.frontier.host_set, "*", call.pace)
            case Failed():
                worker.failed = _error(call)
                self.stop(worker.failed)
        return Done()

    def _lease(self, worker: _Worker, ask: Ask) -> Granted:
        now = time.time()
        if self._stopping.is_set():
            lease = self.frontier.lease(
                0, worker=worker.name, now=now, seconds=LEASE_SECONDS, admit=None, busy={}, default_room=0
            )
            return Granted(lease, None)
        lease = self.frontier.lease(
            ask.n, worker=worker.name, now=now, seconds=LEASE_SECONDS, admit=self.admission.admit, busy=ask.busy,
            default_room=ask.default_room,
        )  # fmt: skip
        return Granted(lease, self.frontier.next_due() if not lease.fetches else None)

    def _settle(self, commit: Commit) -> None:
        settlements = tuple(self.admission.sift(s) for s in commit.settlements)
        self.frontier.commit(replace(commit, settlements=settlements), now=time.time())
        self.admission.learn(s.gate for s in settlements if s.gate is not None)

    def _new_segment(self, worker: _Worker, kind: SegmentClass) -> str:
        self._serial += 1
        self.frontier.meta_set("serial", str(self._serial))
        name = self.collection.segment_name(self._serial, worker.name, kind)
        self.frontier.add_segment(name, kind, worker.name)
        return name

    # Sealing

    def _seal(self, name: str) -> None:
        task = asyncio.create_task(self._seal_one(name))
        self._sealing.add(task)
        task.add_done_callback(self._sealing.discard)

    async def _seal_one(self, name: str) -> None:
        kind = name.removesuffix(".warc.gz").rsplit("-", 1)[1]
        path = self.collection.warcs / f"{name}{OPEN_SUFFIX}"
        try:
            sealed = await asyncio.get_running_loop().run_in_executor(
                self._sealer,
                _seal_segment,
                str(path),
                str(self.collection.indexes),
                str(self.collection.manifest),
                kind,
            )
        except Damaged as e:
            log.error("%s could not be sealed: %s", name, e)  # noqa: TRY400 - the sentence is the whole story
            self._notes.append(f"{name} could not be sealed: {e}")
            self.stop(e)
            return
        except OSError as e:
            self.stop(DiskFull(f"{name} could not be sealed: {e.strerror}."))
            return
        self._sealed += sealed
        with suppress(DiskFull):  # the file's own name says that it is sealed
            await self._call(self.frontier.set_segment_state, name, "sealed" if sealed else "removed")

    # Watching

    async def _watch(self) -> None:
        while not self._stopping.is_set():
            stats = await self._call(self.frontier.stats)
            self._progress(stats, time.monotonic() - self._begun)
            self._check_limits(stats)
            await self._check_workers()
            if not stats.leased and not self._stopping.is_set():
                await self._check_finished(stats)
            try:
                await asyncio.wait_for(self._stopping.wait(), TICK)
            except TimeoutError:
                continue

    def _check_limits(self, stats: Stats) -> None:
        config = self.config
        seconds = time.monotonic() - self._begun
        if config.limit and stats.captures - self._captures_before >= config.limit:
            self.stop(TimeUp(f"--limit {config.limit} reached; the same command goes on from here."))
        elif config.max_time and seconds >= config.max_time:
            self.stop(TimeUp("--max-time reached; the same command goes on from here."))
        elif config.max_bytes and stats.bytes >= config.max_bytes:
            self.stop(DiskFull("--max-bytes reached; the same command with a higher limit goes on from here."))
        elif (free := shutil.disk_usage(self.collection.root).free) < config.disk_reserve:
            self.stop(
                DiskFull(f"Only {free >> 20} MiB are free on the disk; make room and run the same command again.")
            )

    async def _check_workers(self) -> None:
        for worker in [w for w in self._workers if w.process.returncode is not None]:
            self._workers.remove(worker)
            await worker.serving
            worker.wire.close()
            if self._stopping.is_set() or worker.failed is not None:
                continue
            self._deaths = 0 if worker.committed else self._deaths + 1
            log.warning("worker %s died (exit %s); starting another", worker.name, worker.process.returncode)
            if self._deaths >= MAX_DEATHS:
                self.stop(OutlastError(f"Workers keep dying at once; see {self.collection.log}."))
                return
            await self._call(self._recover_worker, worker.name)
            await self._start_worker()

    def _recover_worker(self, name: str) -> None:
        self.frontier.release(name)
        for path in self.collection.open_segments():
            if f"-{name}-" in path.name:
                self._recovered += recover(path, self.collection, self.frontier, self.spider, self.seed, self.admission)

    async def _check_finished(self, stats: Stats) -> None:
        now = time.time()
        if stats.queued - stats.blocked <= 0:
            self.stop(None)
            return
        due = await self._call(self.frontier.next_due)
        if due is not None and due > now:
            await self._call(
                lambda: self.frontier.bring_forward(SECOND_LOOK, older_than=now - SOONEST_SECOND_LOOK, now=now)
            )

    # End

    async def _wind_down(self) -> None:
        self._stopping.set()
        reason = str(self._error) if self._error else "finished"
        for worker in self._workers:
            try:
                await worker.wire.send(Frame(0, reply=Stop(reason)))
            except ConnectionError:
                continue
        for worker in self._workers:
            await worker.process.wait()
            await worker.serving
            worker.wire.close()
        with suppress(DiskFull):  # the next start does the same
            await self._call(self.frontier.reset_leases)
        await self._seal_rest()
        while self._sealing:
            await asyncio.wait(self._sealing)
        self._sealer.shutdown()

    async def _seal_rest(self) -> None:
        """Settle and seal what no worker holds any more: segments of dead workers, and those a kill left unsealed."""
        if self._sealing:
            await asyncio.wait(self._sealing)
        for path in self.collection.open_segments():
            try:
                self._recovered += await self._call(
                    recover, path, self.collection, self.frontier, self.spider, self.seed, self.admission
                )
            except OSError as e:
                self._error = self._error or DiskFull(f"{path.name} could not be recovered: {e.strerror}.")
                continue
            except OutlastError as e:
                self._error = self._error or e
                continue
            self._seal(path.name.removesuffix(OPEN_SUFFIX))

    async def _report(self) -> Report:
        stats = await self._call(self.frontier.stats)
        coverage = await self._call(self.frontier.coverage)
        self._progress(stats, time.monotonic() - self._begun)
        self._db.shutdown()
        return Report(
            stats=stats, coverage=coverage, seconds=time.monotonic() - self._begun, recovered=self._recovered,
            sealed=self._sealed, error=self._error, notes=tuple(self._notes),
        )  # fmt: skip

    async def _call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Run a frontier verb in the one thread that may write it."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._db, function, *args)
        except sqlite3.Error as e:
            raise disk_fault(self.collection.frontier, e) from e


def _error(failed: Failed) -> OutlastError:
    error = OutlastError(failed.message)
    error.exit_code = failed.exit_code
    return error


def _checkout() -> str:
    """Return the checkout's root when Outlast runs from one: ``-P`` keeps it off the workers' path."""
    from pathlib import Path  # noqa: PLC0415 - only here

    root = Path(__file__).parent.parent
    return str(root) if (root / "pyproject.toml").is_file() else ""


def _ignore_interrupt() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _seal_segment(path: str, index_dir: str, manifest: str, kind: str) -> bool:
    """Seal in the sealing process; say whether there was anything to seal."""
    from pathlib import Path  # noqa: PLC0415 - this runs in another process

    return seal(Path(path), index_dir=Path(index_dir), manifest_path=Path(manifest), segment_class=kind)
