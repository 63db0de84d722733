"""The supervisor: opens a collection, recovers it, keeps the frontier, starts workers, seals what they close.

It alone writes the frontier. Workers ask it over a socket for leases and tell it what became durable; sealing runs
in a process of its own. It knows nothing of the command line: progress goes to a callable, the end is a Report.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from crawler import clock
from crawler.admission import Admission, Errands
from crawler.capture import spool
from crawler.collection import OPEN_SUFFIX
from crawler.control import ONCE, Order, Orders
from crawler.crew import Crew
from crawler.errors import DatabaseLost, DiskFull, Interrupted, OutlastError, SiteUnavailable, TimeUp, UsageError
from crawler.fleet import Fleet
from crawler.frontier import checkpoint
from crawler.frontier.engines import is_volunteer
from crawler.frontier.thread import WriterThread
from crawler.model import SegmentClass
from crawler.nursery import Nursery
from crawler.planning import Planning
from crawler.recover import recover, take_in
from crawler.reparse import reparse
from crawler.sealing import Sealing
from crawler.settle import SECOND_LOOK
from crawler.stamping import Stamping
from crawler.template import Template
from crawler.vigil import Vigil
from crawler.warc.seal import one_at_a_time

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from crawler.collection import Collection
    from crawler.config import Config
    from crawler.deathwatch.signs import Part
    from crawler.frontier.engine import Engine
    from crawler.frontier.interface import Stats
    from crawler.model import Claim, Fetch, Location, Note, Seed
    from spiders.base import PlatformSpider

log = logging.getLogger("outlast.supervise")

#: The module that a worker runs.
WORKER = "crawler.worker"
#: Second looks are brought forward when nothing else is left to do, but not sooner than this after the first.
SOONEST_SECOND_LOOK = 1.0
#: Nothing waits longer than this: what does was queued by a clock that was wrong.
LONGEST_WAIT = 25 * 3600.0
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
    #: What the platform says it has, and what was heard on the way.
    claims: tuple[Claim, ...] = ()
    heard: tuple[tuple[Note, int], ...] = ()


class Volunteer(Protocol):
    """What brings a run its work where a coordinator does, and takes what comes of it."""

    def attach(self, run: Supervisor) -> None:
        """Belong to a run, of which it uses ``crew``, ``call`` and ``stop``."""

    async def join(self) -> None:
        """Take part; return once others know."""

    def begin(self) -> None:
        """Fetch work: workers are there."""

    async def leave(self) -> None:
        """Fetch no more."""

    async def part(self) -> None:
        """All is sealed: bring it, and go."""

    def hurry(self) -> None:
        """Go at once."""


def pressure(free: int, reserve: int, room: int) -> float:
    """Return how hard a crawl is to brake: 0 with ``room`` bytes and more to the reserve, 1 with none."""
    return min(max(1 - (free - reserve) / room, 0.0), 1.0) if room else 0.0


class Supervisor:
    """One run of a crawl. The caller holds the collection's lock and closes the frontier."""

    def __init__(
        self,
        collection: Collection,
        frontier: Engine,
        config: Config,
        seed: Seed,
        spider: type[PlatformSpider],
        *,
        reparse: bool = False,
        progress: Callable[[Stats, float], None] = lambda stats, seconds: None,
        say: Callable[[str], None] = lambda line: None,
        tell: Callable[[dict[str, str]], None] = lambda event: None,
        volunteer: Volunteer | None = None,
        nursery: Nursery | None = None,
    ) -> None:
        self.collection = collection
        self.frontier = frontier
        self.config = config
        self.seed = seed
        self.spider = spider
        kind = Admission if volunteer is None else Errands
        self.admission = kind(spider, seed, config, frontier)
        self._progress = progress
        self._call = self.call = WriterThread(collection.frontier)
        self._stamping = Stamping(collection, config.tsa)
        self._sealing = Sealing(collection, frontier, self._call, failed=self.stop, sealed=self._stamping.wake)
        self._vigil = Vigil(
            collection.root, frontier,
            watches=lambda seen: not spider.lane(seen.lane).anywhere and self.admission.is_home(seen.url),
            is_text=lambda lane: spider.segment_class(lane) is SegmentClass.TEXT, probe_every=config.probe_every,
            give_up_after=config.give_up_after, say=tell, drop=self._drop,
        )  # fmt: skip
        self.admission.watched = self._vigil.sift
        self._crew = self.crew = Crew(
            collection, frontier, self._call, self.admission, config, seed, spider.name, self._vigil,
            closed=self._sealing.add, stop=self.stop, nursery=nursery or Nursery(WORKER),
        )  # fmt: skip
        self._volunteer = volunteer
        self._fleet: Fleet | Volunteer | None = volunteer or self._of_fleet(say)
        if volunteer is not None:
            volunteer.attach(self)
        self._orders = Orders(collection.root)
        self._planning = Planning(collection, frontier, config, spider, say)
        self._paused = False
        self._stopping = asyncio.Event()
        self._error: OutlastError | None = None
        self._begun = time.monotonic()
        self._recovered = 0
        self._captures_before = 0
        #: Read again what is held before anything is asked.
        self._reparse = reparse
        self._notes: list[str] = []
        self._was_braked = False
        #: When what silent machines of a fleet hold is taken back next.
        self._reaps = 0.0

    async def run(self, *, reachable: Callable[[], Awaitable[None]]) -> Report:
        """Recover, then crawl until the frontier is empty, a limit is reached or ``stop`` is called.

        ``reachable`` is awaited before the first worker starts, and raises SiteUnavailable where that is of no use.
        """
        self._loop = asyncio.get_running_loop()
        try:
            if self._fleet is not None:
                await self._fleet.join()
            await self._call(self._prepare)
            if self._volunteer is not None:  # somebody waits for them
                self._seal_recovered()
            stats = await self._call(self.frontier.stats)
            if self._volunteer is not None or stats.queued - stats.blocked > 0:
                if not self._vigil.dead:  # else it is asked now and then, and waited for
                    await reachable()
                await self._crew.start()
                if self._volunteer is not None:
                    self._volunteer.begin()
                await self._watch()
        except OutlastError as e:
            self._error = self._error or e
        finally:
            await self._wind_down()
        return await self._report()

    def _of_fleet(self, say: Callable[[str], None]) -> Fleet | None:
        if not self.collection.marker.frontier:
            return None
        if is_volunteer(self.collection.marker):
            raise UsageError(f"{self.collection.root} is a volunteer's; archive join {self.collection.root} goes on.")
        frontier: Any = self.frontier
        return Fleet(frontier, self.config.lease, told=self._crew.attend, lost=self.stop, say=say)

    def stop(self, error: OutlastError | None) -> None:
        """End the run in good order: what is in flight is finished and committed."""
        if not self._stopping.is_set():
            self._error = error
            self._stopping.set()
            if self._fleet is not None and self._volunteer is None:
                self._fleet.hurry()

    def kill(self) -> None:
        """End all workers at once; the next run recovers what they had written."""
        self._crew.kill()
        if self._volunteer is not None:
            self._volunteer.hurry()

    def workers(self) -> list[dict[str, Any]]:
        """Return what is known of each worker that runs now."""
        return self._crew.workers()

    def newest(self) -> list[Location]:
        """Return where the newest captures of this run stand, oldest first."""
        return list(self._crew.newest)

    def begin_again(self, *, recheck: bool = False) -> bool:
        """Open a new round where the last one has nothing left to do; say whether that is so.

        ``recheck``: every list is read to its end, and every page that is held is asked for again.
        """
        stats = self.frontier.stats()
        if stats.queued + stats.leased - stats.blocked > 0 or self.frontier.meta_get("seeded") is None:
            return False
        self.frontier.open_round(self.frontier.round + 1, self._is_page if recheck else None)
        return True

    def _is_page(self, fetch: Fetch) -> bool:
        """Say whether a fetch is of a page that shows something, rather than of a file or a list."""
        is_file = self.spider.segment_class(fetch.lane) is not SegmentClass.TEXT
        return fetch.callback is not None and fetch.covers is not None and not is_file

    def list_urls(self, urls: Iterable[str]) -> None:
        """Offer URLs that the user listed, beside the platform's own."""
        spider = self.spider(seed=self.seed)
        self.frontier.gate_for = self.admission.gate_for
        self.frontier.offer(list(self.admission.admitted(spider.listed(url) for url in urls)))

    def sweep(self, templates: Mapping[str, str]) -> dict[str, int]:
        """Offer all ids of these templates, each in its order; return template → how many are new."""
        spider = self.spider(seed=self.seed)
        self.frontier.gate_for = self.admission.gate_for
        return {
            text: self.frontier.sweep(text, spider.swept(Template.of(text).url(0)), walk=walk)
            for text, walk in templates.items()
        }

    # Start

    def _prepare(self) -> None:
        self.frontier.gate_for = self.admission.gate_for
        self._vigil.load()
        self.frontier.reset_leases()
        self.frontier.forget_waits(clock.now() + LONGEST_WAIT)
        spool.sweep(self.collection.spool)
        with one_at_a_time(self.collection.manifest):
            pass
        if self.config.robots == "ignore":
            self.frontier.reopen_gates()
        if self.frontier.round == 1:  # what was begun is gone on with, also where the frontier was lost
            self.sweep(self.collection.marker.templates)
        is_lost = self.frontier.meta_get("serial") is None
        self._recovered += take_in(self.collection, self.frontier, self.spider, self.seed, self.admission)
        if is_lost:
            self._take_up()
        for path in self.collection.open_segments():
            self._recovered += recover(path, self.collection, self.frontier, self.spider, self.seed, self.admission)
        if self._volunteer is None and self.frontier.meta_get("seeded") != str(self.frontier.round):
            spider = self.spider(seed=self.seed)
            self.frontier.offer(list(self.admission.admitted(spider.seeds(self.seed))))
            self.frontier.meta_set("seeded", str(self.frontier.round))
        if self._reparse:
            found = reparse(self.collection, self.frontier, self.spider, self.seed, self.admission)
            log.info("%s", found)
            self._notes.append(f"{found}.")
        self._crew.serial = int(self.frontier.meta_get("serial") or 0)
        self._captures_before = self.frontier.stats().captures
        self._obey(self._orders.news(), is_start=True)
        self._planning.begin()
        self._plan()

    def _plan(self) -> None:
        self._planning.look(self._orders.standing().lanes)

    def _take_up(self) -> None:
        """Offer the work that a machine which is lost had left."""
        if self.collection.checkpoint.is_file():
            left = checkpoint.read(self.collection.checkpoint)
            while some := list(islice(left, 1000)):
                self.frontier.offer(some)  # it was admitted when it was found

    # Watching

    async def _watch(self) -> None:
        while not self._stopping.is_set():
            if orders := self._orders.news():
                await self._call(self._obey, orders)
            stats = await self._call(self.frontier.stats)
            self._progress(stats, time.monotonic() - self._begun)
            self._check_limits(stats)
            if self._planning.is_due:
                await self._call(self._plan)
            await self._crew.check(self._recover_worker)
            if self._fleet is not None and self._volunteer is None and time.monotonic() > self._reaps:
                self._reaps = time.monotonic() + self.config.lease / 4
                await self._call(self.frontier.reap, clock.now())
            if not stats.leased and not (self._paused and stats.queued) and not self._stopping.is_set():
                await self._check_finished(stats)
            try:
                await asyncio.wait_for(self._stopping.wait(), TICK)
            except TimeoutError:
                continue

    # Orders

    def _obey(self, orders: list[Order], *, is_start: bool = False) -> None:
        """Do what was asked for, once where it is done once; what holds is laid on anew as a whole.

        Runs in the frontier's thread. At a start ``orders`` are all there ever were: those that are done once and
        came while nobody read them are done now, but an old ``stop`` stops nothing any more.
        """
        seen = int(self.frontier.meta_get("orders") or 0) if is_start else 0
        for order in orders[seen:]:
            log.info("order by %s: %s", order.by, order)
            if order.verb in ONCE:
                self._do(order, is_start=is_start)
        self.frontier.meta_set("orders", str(len(self._orders.all)))
        standing = self._orders.standing()
        self.frontier.set_lanes({**{lane.name: lane.order for lane in self.spider.lanes}, **standing.lanes})
        self.admission.exclude(standing.exclude)
        self._paused = standing.paused
        self._loop.call_soon_threadsafe(self._crew.steer, standing)

    def _do(self, order: Order, *, is_start: bool) -> None:
        if order.verb == "retry":
            missing = order.subject == "missing"
            count = self.frontier.requeue_missing() if missing else self.frontier.requeue(order.subject)
            log.info("%d %s fetches queued again", count, order.subject)
        elif not is_start:
            self._loop.call_soon_threadsafe(
                self.stop,
                Interrupted("Stopped by an order; all is saved and the same command goes on."),
            )

    def _check_limits(self, stats: Stats) -> None:
        config = self.config
        seconds = time.monotonic() - self._begun
        if config.limit and stats.captures - self._captures_before >= config.limit:
            self.stop(TimeUp(f"--limit {config.limit} reached; the same command goes on from here."))
        elif config.max_time and seconds >= config.max_time:
            self.stop(TimeUp("--max-time reached; the same command goes on from here."))
        elif self._planning.is_over:
            self.stop(TimeUp("The deadline has come; while the site answers, the same command goes on from here."))
        elif config.budget and stats.bytes >= config.budget:
            self.stop(DiskFull("--budget is spent; the same command with a larger one goes on from here."))
        elif config.max_bytes and stats.bytes >= config.max_bytes:
            self.stop(DiskFull("--max-bytes reached; the same command with a higher limit goes on from here."))
        elif self._vigil.is_hopeless() and not self._paused:
            gone = ", ".join(map(str, self._vigil.dead[:3]))
            self.stop(SiteUnavailable(f"{gone} stayed dead; the same command goes on if it comes back."))
        else:
            self._check_disks()

    def _check_disks(self) -> None:
        """Stop while there is still room for the frontier's last commits and for the log; slow down before that."""
        config = self.config
        free, place = min((shutil.disk_usage(place).free, place) for place in self.collection.places)
        if free < config.disk_reserve:
            self.stop(
                DiskFull(f"Only {free >> 20} MiB are free under {place}; make room and run the same command again.")
            )
        elif config.push_to and config.delete_local:
            self._crew.brake = pressure(free, config.disk_reserve, 2 * config.segment_bytes)
            if self._crew.brake and not self._was_braked:
                self._was_braked = True
                log.warning("the disk fills faster than segments leave it; going slower")
                self._notes.append("The disk filled faster than segments left it, so the crawl went slower.")

    def _drop(self, part: Part) -> None:
        self._loop.call_soon_threadsafe(self._crew.drop, part)

    def _recover_worker(self, name: str) -> None:
        self.frontier.release(name)
        for path in self.collection.open_segments():
            if f"-{name}-" in path.name:
                self._recovered += recover(path, self.collection, self.frontier, self.spider, self.seed, self.admission)
        if self._volunteer is not None:
            self._loop.call_soon_threadsafe(self._seal_recovered, name)

    async def _check_finished(self, stats: Stats) -> None:
        now = clock.now()
        if self._vigil.is_pondering:
            return
        if stats.queued - stats.blocked <= 0:
            if self._volunteer is None:  # else there may be more, or it is told when there is not
                self.stop(None)
            return
        if await self._call(self._vigil.doubt):
            return
        due = await self._call(self.frontier.next_due)
        if due is not None and due > now:
            await self._call(
                self.frontier.bring_forward, SECOND_LOOK, older_than=now - SOONEST_SECOND_LOOK, now=now
            )  # fmt: skip

    # End

    async def _wind_down(self) -> None:
        self._stopping.set()
        await self._crew.end(str(self._error) if self._error else "finished")
        if self._fleet is not None:
            await self._fleet.leave()
        with suppress(DiskFull, DatabaseLost):  # the next start does the same
            await self._call(self.frontier.reset_leases)
        await self._seal_rest()
        await self._sealing.settle()
        self._sealing.close()
        if self._volunteer is not None:
            await self._volunteer.part()
        await self._stamping.settle()

    def _seal_recovered(self, worker: str = "") -> None:
        """Seal segments that nobody writes: all there are at a start, later those of a dead worker."""
        for path in self.collection.open_segments():
            if not worker or f"-{worker}-" in path.name:
                self._sealing.add(path.name.removesuffix(OPEN_SUFFIX))

    async def _seal_rest(self) -> None:
        """Settle and seal what no worker holds any more: segments of dead workers, and those a kill left unsealed."""
        await self._sealing.settle()
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
            self._sealing.add(path.name.removesuffix(OPEN_SUFFIX))

    async def _report(self) -> Report:
        stats = await self._call(self.frontier.stats)
        coverage = await self._call(self.frontier.coverage)
        with suppress(DiskFull, DatabaseLost):
            await self._call(self._plan)
        claims = tuple(await self._call(self.frontier.claims))
        heard = tuple(await self._call(self.frontier.notes))
        if self._fleet is not None and (twice := await self._call(self.frontier.surplus)):
            self._notes.append(
                f"{len(twice):,} captures came when another machine of the fleet had settled them, such as "
                f"{twice[0][0]}: they are kept, and not counted."
            )
        self._progress(stats, time.monotonic() - self._begun)
        self._call.close()
        return Report(
            stats=stats, coverage=coverage, seconds=time.monotonic() - self._begun, recovered=self._recovered,
            sealed=self._sealing.count, error=self._error,
            notes=(
                *self._notes, *self._sealing.notes, *self._planning.last_words(),
                *filter(None, [self._stamping.trouble]),
            ),
            claims=claims, heard=heard,
        )  # fmt: skip
