"""Scrapy's scheduler over leases in hand.

``next_request`` is synchronous, so leases are fetched ahead by a task; an engine that found nothing is woken with
the public ``engine.crawl`` when new ones arrive, because it looks again by itself only every five seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol, cast

from scrapy import Request
from scrapy.core.scheduler import BaseScheduler

from crawler import clock
from crawler.model import PROBE_LANE
from crawler.url import origin

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrapy import Spider
    from scrapy.crawler import Crawler

    from crawler.frontier.remote import RemoteFrontier
    from crawler.model import Leased

#: Scrapy is woken by asking it to crawl this; our scheduler never schedules what the engine hands it.
WAKE = "wake://engine/"
#: What Scrapy sees of a request; what is asked is in its meta, see ``capture/handler.py``.
RUN = "capture://run/"
#: Seconds after which an empty frontier is asked again at the latest.
LOOK_AGAIN = 0.5


class Pace(Protocol):
    """What the scheduler asks of politeness."""

    def room(self, origin: str, now: float) -> int: ...

    def started(self, origin: str, now: float) -> None: ...

    def next_wake(self, now: float) -> float | None: ...


class Hand:
    """The leases a worker holds and has not started, by origin; refills itself from the frontier."""

    def __init__(self, frontier: RemoteFrontier, pace: Pace, *, in_flight: int, per_host: int) -> None:
        self._frontier = frontier
        self._pace = pace
        self._wanted = 2 * in_flight
        self._per_host = 2 * per_host
        self._ready: dict[str, deque[Leased]] = {}
        self._held = 0
        self._again = asyncio.Event()
        self._refiller: asyncio.Task[None] | None = None
        self.wake: Callable[[], None] = lambda: None
        self.failed: Callable[[Exception], None] = lambda error: None
        self._timer: asyncio.TimerHandle | None = None
        #: Started and not yet settled.
        self.in_flight = 0
        self.stopping = False
        self._paused = False
        #: Origins that may be dead, until the supervisor has heard of it.
        self._doubted: dict[str, asyncio.Future[None]] = {}
        #: Nothing is started after this, ``time.monotonic``; 0 for no such bound.
        self.until = 0.0
        self.carried: deque[asyncio.Task[Any]] = deque()

    def start(self) -> None:
        """Begin to fetch leases ahead."""
        self._refiller = asyncio.create_task(self._refill())
        self._refiller.add_done_callback(self._ended)

    def take(self) -> Leased | None:
        """Return a fetch that may start now, oldest origin first, or None; then the engine is woken in time."""
        if self.stopping or self._paused or (self.until and time.monotonic() >= self.until):
            return None
        now = clock.now()
        for place, queue in self._ready.items():
            if place not in self._doubted and self._pace.room(place, now) > 0:
                leased = queue.popleft()
                # The origin goes to the back, so that all get their turn.
                del self._ready[place]
                if queue:
                    self._ready[place] = queue
                self._held -= 1
                self._pace.started(place, now)
                self.in_flight += 1
                if self._held < self._wanted // 2:
                    self._again.set()
                return leased
        self._wake_later(now)
        return None

    def carry(self, task: asyncio.Task[Any]) -> None:
        """Keep a capture under way for the next request."""
        self.carried.append(task)

    def steer(self, *, paused: bool, is_closed: Callable[[str], bool]) -> list[int]:
        """Start nothing while ``paused``, and hold nothing for origins that are closed now: return the ids of it."""
        self._paused = paused
        self._again.set()
        gone = [place for place in self._ready if is_closed(place)]
        ids = [leased.id for place in gone for leased in self._ready.pop(place)]
        self._held -= len(ids)
        return ids

    def give_up(self, place: str, lane: str) -> list[int]:
        """Hold nothing for a lane of an origin (empty: all of it) but what it is probed with; return the ids."""
        queue = self._ready.get(place, deque())
        gone = [one for one in queue if one.fetch.lane != PROBE_LANE and lane in {"", one.fetch.lane}]
        if gone:
            dropped = {one.id for one in gone}
            self._ready[place] = deque(one for one in queue if one.id not in dropped)
            if not self._ready[place]:
                del self._ready[place]
        self._held -= len(gone)
        return [one.id for one in gone]

    def hold(self, place: str, doubt: asyncio.Future[None]) -> None:
        """Start nothing at an origin before the future is done."""
        self._doubted[place] = doubt
        doubt.add_done_callback(lambda done: self._let_go(place, done))

    def _let_go(self, place: str, doubt: asyncio.Future[None]) -> None:
        if self._doubted.get(place) is doubt:
            del self._doubted[place]
            self.wake()

    def settled(self) -> int:
        """One started fetch has been settled; return how many are still under way."""
        self.in_flight -= 1
        return self.in_flight

    def look_again(self) -> None:
        """The frontier may have new work: ask it."""
        self._again.set()

    def drop(self) -> None:
        """Start no more. What is held and was never started goes back when this worker ends."""
        self.stopping = True
        self._ready.clear()
        self._held = 0
        if self._refiller is not None:
            self._refiller.cancel()
        if self._timer is not None:
            self._timer.cancel()

    def _wake_later(self, now: float) -> None:
        when = self._pace.next_wake(now) if self._ready else None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if when is not None:
            self._timer = asyncio.get_running_loop().call_later(max(when - now, 0.001), self._ring)

    def _ended(self, refiller: asyncio.Task[None]) -> None:
        if not refiller.cancelled() and isinstance(error := refiller.exception(), Exception):
            self.failed(error)

    def _ring(self) -> None:
        self._timer = None
        self.wake()

    async def _refill(self) -> None:
        while not self.stopping:
            self._again.clear()
            if self._ready:  # the pace may have changed
                self.wake()
            if self._held < self._wanted:
                busy = {place: max(self._per_host - len(queue), 0) for place, queue in self._ready.items()}
                granted = await self._frontier.lease(self._wanted - self._held, busy, self._per_host)
                if self.stopping:
                    return
                for leased in granted.lease.fetches:
                    self._ready.setdefault(origin(leased.fetch.url), deque()).append(leased)
                self._held += len(granted.lease.fetches)
                if granted.lease.fetches:
                    self.wake()
                    continue
            try:
                await asyncio.wait_for(self._again.wait(), LOOK_AGAIN)
            except TimeoutError:
                continue


class FrontierScheduler(BaseScheduler):
    """Gives Scrapy the leases in hand, and accepts nothing from it: discoveries go through the commit."""

    def __init__(self, hand: Hand, callback: Callable[..., Any]) -> None:
        self._hand = hand
        self._callback = callback

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> FrontierScheduler:
        """Build from the parts that ``worker.py`` hung on the crawler."""
        parts = cast("Any", crawler).parts
        return cls(parts.hand, parts.callback)

    def open(self, spider: Spider) -> None:
        """Start fetching leases."""
        self._hand.start()

    def has_pending_requests(self) -> bool:
        """Keep the spider open until the supervisor says that all is done."""
        return bool(self._hand.carried) or not self._hand.stopping

    def enqueue_request(self, request: Request) -> bool:
        """Refuse: new work reaches the frontier through the commit alone."""
        return False

    def next_request(self) -> Request | None:
        """Return the next leased fetch as a request."""
        if self._hand.carried:
            return self._request({"carried": self._hand.carried.popleft()})
        leased = self._hand.take()
        return None if leased is None else self._request({"lease": leased})

    def _request(self, meta: dict[str, Any]) -> Request:
        return Request(RUN, callback=self._callback, dont_filter=True, meta=meta)
