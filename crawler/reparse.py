"""Read again what is held, with the spider as it is now and no network, and take in what an earlier one missed.

A capture is read with the work that the frontier has for it. Where a spider names a URL that is held and that nobody
read, or whose callback it no longer has, the capture gets the new work and is read, too. Fetches are known once and
coverage only moves forward, so whatever is read twice changes nothing.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from crawler import clock
from crawler.captures import UNREAD
from crawler.collection import OPEN_SUFFIX, class_of
from crawler.model import PROBE_LANE, State
from crawler.recover import BATCH, finder, read_group
from crawler.warc.groups import GroupReader
from crawler.warc.reader import Torn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crawler.admission import Admission
    from crawler.collection import Collection
    from crawler.frontier.engine import Engine
    from crawler.frontier.interface import Held
    from crawler.model import Fetch, Seed, Settlement
    from crawler.warc.groups import Group
    from spiders.base import PlatformSpider

log = logging.getLogger("outlast.reparse")


@dataclass(slots=True)
class Read:
    """What came of it."""

    captures: int = 0
    #: Fetches that were not known before.
    new: int = 0
    #: Captures whose callback failed, or is not there.
    failed: int = 0

    def __str__(self) -> str:
        failed = f"; {self.failed:,} could not be read, see logs/crawl.log" if self.failed else ""
        return f"{self.captures:,} captures read again, {self.new:,} new fetches found{failed}"


def reparse(
    collection: Collection,
    frontier: Engine,
    spider_class: type[PlatformSpider],
    seed: Seed,
    admission: Admission,
) -> Read:
    """Read all captures of this round that somebody reads, and those that only the spider of today does."""
    return _Reparse(collection, frontier, spider_class(seed=seed), admission).run(seed)


class _Reparse:
    def __init__(self, collection: Collection, frontier: Engine, spider: PlatformSpider, admission: Admission) -> None:
        self._collection = collection
        self._frontier = frontier
        self._spider = spider
        self._admission = admission
        self._find = finder(collection)
        self._read = Read()
        #: Read and not yet committed.
        self._told: list[tuple[Fetch, Settlement]] = []
        #: Captures whose work is new.
        self._renewed: deque[Held] = deque()

    def run(self, seed: Seed) -> Read:
        self._commit([*self._admission.admitted(self._spider.seeds(seed))])
        for path in (*self._collection.sealed_segments(), *self._collection.open_segments()):
            if class_of(path.name) not in UNREAD:
                for group in GroupReader(path):
                    self._look_at(group)
        self._commit()
        while self._renewed:
            held = self._renewed.popleft()
            if (found := self._group(held)) is not None:
                self._read_as(found, held)
            if not self._renewed:
                self._commit()
        return self._read

    def _look_at(self, group: Group) -> None:
        """Read a capture where it is the one that settled its fetch; a second look's first one is evidence only."""
        if not group.is_complete or group.leased.fetch.lane == PROBE_LANE:
            return
        held = self._frontier.held(group.leased.fetch.fingerprint)
        place = (group.path.name.removesuffix(OPEN_SUFFIX), group.offset)
        if held is not None and (held.segment, held.offset) == place and held.fetch.callback is not None:
            self._read_as(group, held)

    def _group(self, held: Held) -> Group | None:
        for name in (held.segment, held.segment + OPEN_SUFFIX):
            path = self._collection.warcs / name
            if path.is_file():
                return next(iter(GroupReader(path, start=held.offset)), None)
        return None

    def _read_as(self, group: Group, held: Held) -> None:
        if self._is_stale(held.fetch):
            self._read.failed += 1
            log.warning("%s has no callback %s: %s is not read", self._spider.name, held.fetch.callback, held.fetch.url)
            return
        group.leased = replace(group.leased, fetch=held.fetch)
        try:
            told = read_group(group, held.segment, self._collection, self._spider, self._find)
        except Torn as e:
            log.warning("%s:%d: %s", held.segment, held.offset, e)
            return
        self._read.captures += 1
        if told.state is State.FAILED:
            self._read.failed += 1
            log.warning("%s: %s", held.fetch.url, told.reason)
        elif told.state is State.DONE:
            self._told.append((held.fetch, self._admission.sift(told)))
            if len(self._told) >= BATCH:
                self._commit()

    def _commit(self, links: Iterable[Fetch] = ()) -> None:
        """Take in what was read since the last time."""
        named = [*links, *(link for _, told in self._told for link in told.outlinks)]
        new, renewed = self._frontier.commit_reread(self._told, named, self._is_stale, now=clock.now())
        self._read.new += new
        self._renewed += renewed
        self._told.clear()

    def _is_stale(self, fetch: Fetch) -> bool:
        """Say whether nobody reads the answer to a fetch."""
        return fetch.callback is None or not callable(getattr(self._spider, fetch.callback, None))
