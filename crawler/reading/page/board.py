"""The newest snapshot, shared by all who look: taken in a thread of its own, at most once a second, and rarer where
taking one takes long, so that looking never slows a crawl.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crawler import clock
from crawler.frontier.engines import to_read
from crawler.reading.page.forecast import WINDOW, History, forecast, planned
from crawler.reading.page.newest import Newest
from crawler.reading.page.snapshot import MOST_HOSTS, Evidence, deadline, snapshot
from crawler.withheld import Withheld

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from crawler.collection import Collection
    from crawler.frontier.interface import Stats
    from crawler.model import Location
    from spiders.base import PlatformSpider

#: Seconds between two snapshots at least, and part of the time that may go into taking them.
INTERVAL, SHARE = 1.0, 0.05


def _nothing() -> list[dict[str, Any]]:
    return []


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Where a board learns what is not in the collection's database."""

    #: Of a running crawl: its workers, and where its newest captures stand.
    workers: Callable[[], list[dict[str, Any]]] = _nothing
    newest: Callable[[], Iterable[Location]] | None = None
    #: destination, state, objects, bytes; and destinations that are in trouble.
    copies: Callable[[], list[dict[str, Any]]] = _nothing
    #: Reads posts; None where nobody can.
    spider: PlatformSpider | None = None
    #: When this run ends by itself (seconds since the epoch), None where it does not.
    ends: float | None = None
    history: History = field(default_factory=History)


class Board:
    """The figures of one collection, for as long as somebody looks. ``closed`` is set when they are the last ones."""

    def __init__(self, collection: Collection, sources: Sources) -> None:
        self.collection = collection
        self.sources = sources
        self.closed = asyncio.Event()
        self._frontier = to_read(collection)
        self._withheld = Withheld(collection)
        self._newest = Newest(collection, self._frontier, sources.spider, self._withheld)
        self._evidence = Evidence(collection)
        #: One thread reads, so that a connection serves one at a time.
        self._thread = ThreadPoolExecutor(1, "page")
        self._lock = asyncio.Lock()
        self._taken: dict[str, Any] = {}
        self._text = ""
        self._next = 0.0
        self._hosts: deque[tuple[float, dict[str, int]]] = deque()

    async def shot(self) -> dict[str, Any]:
        """Return the newest snapshot, taking one where the last is too old."""
        async with self._lock:
            if time.monotonic() >= self._next:
                began = time.monotonic()
                newest = self.sources.newest
                told = self.sources.workers(), list(newest()) if newest else None
                self._taken = await asyncio.get_running_loop().run_in_executor(self._thread, self._take, *told)
                self._text = json.dumps(self._taken, ensure_ascii=False)
                took = time.monotonic() - began
                self._next = time.monotonic() + max(INTERVAL, took / SHARE)
            return self._taken

    async def text(self) -> str:
        """Return the newest snapshot as JSON, made once for all."""
        await self.shot()
        return self._text

    @property
    def wait(self) -> float:
        """Seconds until there is another one."""
        return max(self._next - time.monotonic(), 0.05)

    async def last(self) -> None:
        """Take the last snapshot there will be, and let all who look go."""
        self._next = 0.0
        await self.shot()
        self.closed.set()

    async def image(self, name: str) -> tuple[str, bytes] | None:
        """Return type and bytes of an image that is listed."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._newest.image, name)

    def note(self, stats: Stats) -> None:
        """Take in counts that a running crawl has anyway."""
        self.sources.history.note(clock.now(), stats.done, stats.bytes)

    def close(self) -> None:
        """Close the database; nobody may look any more."""
        self._thread.shutdown()
        self._frontier.close()

    def _take(self, workers: list[dict[str, Any]], newest: list[Location] | None) -> dict[str, Any]:
        now, history = clock.now(), self.sources.history
        stats = self._frontier.stats()
        history.note(now, stats.done, stats.bytes)
        rate, byte_rate = history.rates()
        ends = [when for when in (self.sources.ends, deadline(self._frontier)) if when]
        shot = snapshot(self.collection, self._frontier, self._evidence, stats, now)
        shot["troubles"] = [one for one in shot["troubles"] if not self._withheld.hides(url=one["url"])]
        self._add_rates(shot["hosts"], now)
        held = self._frontier.in_hand()
        for worker in workers:
            worker["leased"] = held.get(worker["name"], 0)
        plan = shot["plan"] if shot["running"] else None
        time = forecast(stats, rate, now, min(ends, default=None))
        return {
            **shot,
            "time": planned(time, shot["share_saved"], shot["expected"], plan), "byte_rate": byte_rate,
            "minutes": history.minutes(), "workers": workers, "copies": self.sources.copies(),
            "newest": self._newest.look(newest),
        }  # fmt: skip

    def _add_rates(self, hosts: list[dict[str, Any]], now: float) -> None:
        """Say of each host how many fetches a second were done since the oldest look of the last minute."""
        self._hosts.append((now, {host["origin"]: host["done"] for host in hosts}))
        while now - self._hosts[0][0] > WINDOW and len(self._hosts) > 2:
            self._hosts.popleft()
        begun, before = self._hosts[0]
        for host in hosts:
            unnamed = 0 if len(before) < MOST_HOSTS else host["done"]
            done = host["done"] - before.get(host["origin"], unnamed)
            host["rate"] = max(done, 0) / (now - begun) if now > begun else 0.0
