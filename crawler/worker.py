"""One worker: a Scrapy process over leases from the supervisor. The one place where things are wired.

Started by a nursery, or as ``python -P -m crawler.worker FD``, with one end of a socket pair. It ends when the
supervisor says stop, or at once when that socket closes: what it had not committed, recovery finds in its segments.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import re
import resource
import signal
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import uvloop
from scrapy.crawler import AsyncCrawlerRunner, Crawler
from scrapy.settings import Settings

from crawler import clock, garbage
from crawler.capture.earlier import Earlier, earlier
from crawler.capture.pool import Pool
from crawler.capture.recorder import Recorder
from crawler.collection import Collection
from crawler.commit import Committer, read_run
from crawler.errors import DiskFull, OutlastError, TooFewFiles
from crawler.framing import Head, parse_headers
from crawler.frontier.engines import to_read
from crawler.frontier.remote import Drop, Flush, Freeze, Look, RemoteFrontier, Reply, Steer, Stop, Welcome, Wire
from crawler.frontier.scheduler import WAKE, Hand
from crawler.model import Capture, Fetch, Leased, Lookup, SegmentClass, State, Tls
from crawler.politeness.pace import Change, Pace
from crawler.politeness.ratelimit import NOTHING, advice
from crawler.probe import pool_options
from crawler.url import origin
from crawler.warc.records import certificates, dns
from crawler.warc.rotation import Segments
from spiders.registry import get

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from crawler.capture.handler import Run
    from crawler.config import Config

log = logging.getLogger("outlast.worker")

#: Seconds that exchanges in flight get to finish when a worker is told to stop.
GRACE = 10.0
#: Seconds between signs of life.
SIGN_OF_LIFE = 2.0
#: Seconds between looks at how late the event loop is, and what is left of a lag from one to the next.
LAG_EVERY, LAG_FADES = 0.05, 0.9
#: Files that a worker has open beside its connections (segments, frontier, log, spool, modules being imported), and
#: how many it asks for where the system sets no bound.
OTHER_FILES, MOST_FILES = 48, 65_536
#: What a head that says something of a rate limit has in it; a search is cheaper than reading it all.
_RATE = re.compile(rb"rate-?limit", re.IGNORECASE)


@dataclass(slots=True)
class Parts:
    """What Scrapy's components find on their crawler."""

    hand: Hand
    recorder: Recorder
    committer: Committer
    callback: Callable[[Run], Any]


class Worker:
    """The parts of one worker and what joins them."""

    def __init__(self, wire: Wire, welcome: Welcome) -> None:
        self.welcome = welcome
        self.config = welcome.config
        self.collection = Collection.open(Path(welcome.root))
        spider = get(welcome.platform, self.collection.spider_file)
        self.stopping = asyncio.Event()
        self.error: OutlastError | None = None
        self.frontier = RemoteFrontier(wire, pushed=self._pushed, lost=_supervisor_gone)
        self.known = to_read(self.collection)
        self.round = self.known.round
        self.pace = pace_from(self.config, welcome.pace, spider.rates)
        self.segments = Segments(
            new=self._new_segment, closed=self.frontier.segment_closed, warcinfo=welcome.warcinfo,
            max_bytes=self.config.segment_bytes, max_age=self.config.seal_every,
        )  # fmt: skip
        self.pool = Pool(
            pool_options(self.config, welcome.seed.url, self.collection.spool),
            on_lookup=self._looked_up,
            on_chain=self._chain_seen,
            on_refusal=self._refused,
            held=self._held,
            kept=self.known.addresses if self.config.keep_addresses else None,
        )
        self.hand = Hand(
            self.frontier,
            self.pace,
            in_flight=min(self.config.in_flight, _connections()),
            per_host=max(self.config.concurrency, 1),
        )
        self.committer = Committer(
            frontier=self.frontier,
            segments=self.segments,
            settled=self.hand.settled,
            committed=self.hand.look_again,
            hold=self.hand.hold,
            fatal=self._fatal,
        )
        self._evidence: set[asyncio.Task[None]] = set()
        self._chains: set[tuple[str, str]] = set()
        #: Seconds that the event loop was late of late.
        self._lag = 0.0

    async def run(self) -> None:
        """Crawl until told to stop, then leave everything committed and every segment closed."""
        settings = Settings()
        settings.setmodule("settings")
        spider_class = get(self.welcome.platform)
        crawler = Crawler(spider_class, settings)
        recorder = Recorder(
            pool=self.pool, segments=self.segments, judge=_Judge(crawler), known_payload=self.known.known_payload,
            held=self._held_earlier, finished=self._finished,
        )  # fmt: skip
        crawler.parts = Parts(self.hand, recorder, self.committer, lambda run: read_run(crawler.spider, run))  # type: ignore[attr-defined]
        crawling = AsyncCrawlerRunner(settings).crawl(crawler, seed=self.welcome.seed)
        crawling.add_done_callback(self._engine_ended)
        self.hand.wake = lambda: _wake(crawler)
        self.hand.failed = self._fatal
        living = asyncio.create_task(self._live())
        self._feel_lag(asyncio.get_running_loop().time())
        await self.stopping.wait()
        await self._wind_down()
        living.cancel()
        await self.frontier.close()

    def _feel_lag(self, due: float) -> None:
        """Learn how long what has come waits for us: that is no fault of the host's, and no reason to ask it less."""
        loop = asyncio.get_running_loop()
        self._lag = max(loop.time() - due, self._lag * LAG_FADES)
        if not self.stopping.is_set():
            due = loop.time() + LAG_EVERY
            loop.call_at(due, self._feel_lag, due)

    async def _live(self) -> None:
        """Give signs of life, and tell what was learned of the pace."""
        told: dict[str, dict[str, float]] = {}
        while True:
            await self.frontier.alive()
            if (learned := self.pace.to_json()) != told:
                await self.frontier.remember(learned)
                told = learned
            await asyncio.sleep(SIGN_OF_LIFE)

    async def _wind_down(self) -> None:
        """Let what is in flight finish for a while, commit it, and give the rest back.

        What does not finish in time is left as it is: its lease goes back to the queue, and if its records are
        already whole, recovery settles it at the next start.
        """
        self.hand.drop()
        self.hand.wake()
        deadline = time.monotonic() + GRACE
        while self._has_hope and time.monotonic() < deadline:  # noqa: ASYNC110 - it is over in moments
            await asyncio.sleep(0.02)
        await asyncio.gather(*self._evidence, return_exceptions=True)
        try:
            await self.committer.close()
        except OSError as e:
            self._fatal(e)
        await self.frontier.remember(self.pace.to_json())
        if self.error is not None:
            await self.frontier.failed(self.error)

    @property
    def _has_hope(self) -> bool:
        """Whether what is in flight can still be written down."""
        return bool(self.hand.in_flight) and not isinstance(self.error, DiskFull | TooFewFiles)

    # What the parts tell each other

    def _finished(self, leased: Leased, capture: Capture, latency: float) -> float | None:
        """Tell the pace how an exchange went; return how long the server asks us to wait (seconds)."""
        now = clock.now()
        latency = max(latency - self._lag, 0.001)
        place = origin(leased.fetch.url)
        says = capture.status >= 400 or _RATE.search(capture.head) is not None
        heard = advice(capture.status, _text(parse_headers(capture.head)), now) if says else NOTHING
        change = self.pace.finished(
            place, now, latency=latency, status=capture.status, outcome=capture.outcome, advice=heard
        )
        self._changed(change, is_limit=capture.status == 429)
        return heard.wait_until - now if heard.wait_until is not None else None

    def _refused(self, url: str, head: Head) -> None:
        """Stop asking a host, in all workers, as soon as the head of an answer says so: its body may take its time."""
        now = clock.now()
        heard = advice(head.status, _text(head.headers), now)
        if heard.wait_until is not None and heard.wait_until > now:
            why = f"HTTP {head.status}; waiting {heard.wait_until - now:.0f} s ({heard.why})"
            self._changed(self.pace.told(origin(url), now, heard.wait_until, why), is_limit=True)

    def _changed(self, change: Change | None, *, is_limit: bool) -> None:
        if change is None:
            return
        log.info("%s", change.why)
        if is_limit and change.frozen_until:
            self.frontier.limited(change.origin, change.frozen_until, change.why)

    def _held(self, url: str) -> float:
        now = clock.now()
        until = self.pace.waits_until(origin(url), now)
        return until - now if until else 0.0

    def _held_earlier(self, fetch: Fetch) -> Earlier | None:
        return earlier(fetch, self.known.earlier, self.collection.warcs) if self.round > 1 else None

    def _engine_ended(self, crawling: asyncio.Future[None]) -> None:
        if not self.stopping.is_set():
            error = None if crawling.cancelled() else crawling.exception()
            self._fatal(OutlastError(f"Scrapy's engine ended by itself: {error!r}"))

    async def _new_segment(self, kind: SegmentClass) -> Path:
        name = await self.frontier.new_segment(kind)
        return self.collection.warcs / f"{name}.open"

    def _looked_up(self, lookup: Lookup) -> None:
        self.frontier.resolved(lookup.host, lookup.addresses)
        self._keep(self.segments.loose(SegmentClass.TEXT, lambda wid: [dns(lookup, warcinfo_id=wid)]))

    def _chain_seen(self, host: str, tls: Tls) -> None:
        """Keep a host's certificate chain once a day (design section 11.3)."""
        day = time.strftime("%Y-%m-%d", time.gmtime())
        if tls.chain and (host, day) not in self._chains:
            self._chains.add((host, day))
            self._keep(self.segments.loose(SegmentClass.TEXT, lambda wid: [certificates(host, tls, warcinfo_id=wid)]))

    def _keep(self, writing: Any) -> None:
        task = asyncio.ensure_future(writing)
        self._evidence.add(task)
        task.add_done_callback(self._kept)

    def _kept(self, task: asyncio.Task[None]) -> None:
        self._evidence.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fatal(error if isinstance(error, Exception) else OutlastError(str(error)))

    def _pushed(self, reply: Reply) -> None:
        match reply:
            case Stop():
                log.info("stopping: %s", reply.reason)
                self.stopping.set()
            case Freeze():
                self.pace.told(reply.origin, clock.now(), reply.until, reply.why)
            case Look():
                self.hand.look_again()
            case Steer():
                self._steer(reply)
            case Flush():
                self._keep(self.committer.seal())
            case Drop():
                if ids := self.hand.give_up(reply.origin, reply.lane):
                    self.frontier.give_back(ids)

    def _steer(self, told: Steer) -> None:
        """Take up new ceilings at once; what is held for hosts that may not be asked here goes back."""
        if told.common is not None:
            ceilings = self.pace.ceilings
            ceilings.rate, ceilings.concurrency, ceilings.delay = told.common
        self.pace.steer(told.rates, told.concurrency)
        self.hand.until = told.until
        is_closed = (lambda origin: True) if told.anew else self.pace.is_closed
        if ids := self.hand.steer(paused=told.paused, is_closed=is_closed):
            self.frontier.give_back(ids)

    def _fatal(self, error: Exception) -> None:
        if self.error is None:
            self.error = _told(error)
            log.error("this worker must stop: %s", self.error, exc_info=error)
        self.stopping.set()


class _Judge:
    """The spider of a crawler that has not made it yet."""

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler

    def judge(self, response: Any) -> Any:
        spider: Any = self._crawler.spider
        return spider.judge(response)

    def reads(self, fetch: Any, ruling: Any) -> bool:
        spider: Any = self._crawler.spider
        return ruling.state is State.DONE and bool(spider.reads(fetch, ruling.standing))

    def segment_class(self, lane: str) -> SegmentClass:
        spider: Any = self._crawler.spider
        kind: SegmentClass = spider.segment_class(lane)
        return kind


def _connections() -> int:
    """Return how many connections this process may have beside its other files, having asked for as many as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        soft = hard if hard != resource.RLIM_INFINITY else MOST_FILES
        with suppress(ValueError, OSError):  # macOS has a limit beside its limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return max(soft - OTHER_FILES, 1)


def pace_from(config: Config, remembered: dict[str, Any], advised: Mapping[str, float]) -> Pace:
    """Return the pace of a run: its ceilings, what the platform asks for, and what earlier runs learned."""
    pace = Pace(rate=config.rate or None, concurrency=config.concurrency, delay=config.delay, advised=advised)
    pace.from_json(remembered)
    return pace


def _text(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]


def _told(error: Exception) -> OutlastError:
    if isinstance(error, OutlastError):
        return error
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG}:
        return DiskFull(f"The disk cannot take more ({error.strerror}); make room and run the same command again.")
    if isinstance(error, OSError) and error.errno in {errno.EMFILE, errno.ENFILE}:
        return TooFewFiles("No more files can be opened; raise ulimit -n and run the same command again.")
    return OutlastError(f"{type(error).__name__}: {error}")


def _wake(crawler: Crawler) -> None:
    if crawler.engine is not None and crawler.engine.spider is not None:
        from scrapy import Request  # noqa: PLC0415 - one place, kept beside its use

        crawler.engine.crawl(Request(WAKE))


def _supervisor_gone() -> None:
    """Without a supervisor nothing here can be settled; recovery finds it all in the segments."""
    os._exit(70)


async def _main(fd: int) -> int:
    wire = await Wire.over(socket.socket(fileno=fd))
    first = await wire.receive()
    if first is None or not isinstance(first.reply, Welcome):
        return 70
    welcome = first.reply
    clock.follow(welcome.clock)
    logging.basicConfig(
        filename=Path(welcome.root) / "logs" / f"{welcome.worker}.log", level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )  # fmt: skip
    logging.Formatter.converter = time.gmtime
    logging.getLogger("scrapy").setLevel(logging.WARNING)
    worker = Worker(wire, welcome)
    await worker.run()
    return worker.error.exit_code if worker.error else 0


def run(fd: int) -> NoReturn:
    """Work for the supervisor at the other end of a socket, and end the process."""
    garbage.seldom()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the supervisor decides
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        code = runner.run(_main(fd))
        logging.shutdown()
        # All that matters is durable; what is still in flight must not hold up the end.
        os._exit(code)


if __name__ == "__main__":
    run(int(sys.argv[1]))
