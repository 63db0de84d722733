"""Which part of what is still to be found is of the window: listings go back in time, reach it, and pass it. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum
from typing import TYPE_CHECKING

from crawler.plan.estimate import LATELY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from crawler.frontier.interface import Bucket
    from crawler.plan.value import Window

#: Listings that must have passed the window before they say what one brings of it.
_ENOUGH = 3


class _Zone(Enum):
    NEWER = "newer than any window, or a listing of no known day"
    INSIDE = "of a window, or between two"
    OLDER = "older, or of no known day"


class Parts:
    """Learns from look to look; ``known`` says how many things of a bucket are known, ``leading`` lanes are listings.

    The day of a page of a listing is that of the page before it, so all it leads to is of that day or older.
    """

    def __init__(self, windows: Sequence[Window], known: Callable[[Bucket], int], leading: frozenset[str]) -> None:
        self._windows = windows
        self._known = known
        self._leading = leading
        self._days = sum(((one.until - one.since) / timedelta(days=1) for one in windows), 0.0)
        self._begin = min((one.since for one in windows), default=None)
        self._end = max((one.until for one in windows), default=None)
        self._newest: dict[str, date] = {}
        self._counts: deque[dict[str, Counter[_Zone]]] = deque(maxlen=LATELY)
        #: Pages of listings that wait: half as many where the window was reached already.
        self._ahead = 0.0
        self._chains = 0
        self._is_dated = False

    def is_wanted(self, lane: str, day: str) -> bool:
        """Say whether a thing is of a window, or a page of a listing may lead to what is."""
        if lane in self._leading:
            return self._begin is not None and self._zone(lane, day) is not _Zone.OLDER
        return any(window.has(day) for window in self._windows)

    def note(self, buckets: Iterable[Bucket], led: Mapping[tuple[str, str], int]) -> None:
        """Take in how much of what is known now, and what led to what."""
        counts: defaultdict[str, Counter[_Zone]] = defaultdict(Counter)
        self._ahead, self._chains = 0.0, 0
        for one in buckets:
            zone = self._zone(one.lane, one.day)
            counts[one.lane][zone] += self._known(one)
            if one.lane in self._leading and (one.lane, one.lane) in led:
                self._chains += self._known(one)
                self._is_dated |= bool(one.day)
                self._ahead += (one.queued + one.leased) * {_Zone.NEWER: 1.0, _Zone.INSIDE: 0.5}.get(zone, 0.0)
            if one.day:
                day = date.fromisoformat(one.day)
                self._newest[one.lane] = max(self._newest.get(one.lane, day), day)
        self._chains -= sum(n for (lane, child), n in led.items() if lane == child and lane in self._leading)
        self._counts.append(dict(counts))

    def likely(self, lane: str, more: float) -> float:
        """Return which part of ``more`` things of a lane will be of the window.

        Every listing that is yet to pass it brings as much of it as those did that are past it. Where listings tell no
        days: as much as what was found lately, but no more than makes the days of the window as full as the newer ones
        are and will be; as much as that where only newer ones were found yet.
        """
        if lane in self._leading:
            return self.lately(lane)
        passed = self._chains - self._ahead
        if self._is_dated and passed >= _ENOUGH and more > 0:
            return min(self._ahead * (self._now(lane)[_Zone.INSIDE] + 1) / passed / more, 1.0)
        said, filled = self.lately(lane), self._filled(lane, more)
        if filled is None:
            return said
        found = self._found(lane)
        return filled if self._is_dated or found[_Zone.NEWER] == found.total() else min(filled, said)

    def lately(self, lane: str) -> float:
        """Return which part of what was found of a lane lately, or ever, is of the window, or on its way there."""
        found = self._found(lane)
        wanted = found[_Zone.INSIDE] + (found[_Zone.NEWER] if lane in self._leading else 0)
        return wanted / found.total() if found.total() else 0.0

    def _filled(self, lane: str, more: float) -> float | None:
        now, lately = self._now(lane), self._lately(lane)
        if not now[_Zone.NEWER] or more <= 0 or self._end is None:
            return None
        days = (datetime.combine(self._newest[lane], time.min, UTC) - self._end) / timedelta(days=1) + 1
        newer = now[_Zone.NEWER] + (more * lately[_Zone.NEWER] / lately.total() if lately.total() else 0.0)
        return min(max((newer / max(days, 1.0) * self._days - now[_Zone.INSIDE]) / more, 0.0), 1.0)

    def _found(self, lane: str) -> Counter[_Zone]:
        lately = self._lately(lane)
        return lately if lately.total() else self._now(lane)

    def _now(self, lane: str) -> Counter[_Zone]:
        return self._counts[-1].get(lane, Counter()) if self._counts else Counter()

    def _lately(self, lane: str) -> Counter[_Zone]:
        return self._now(lane) - self._counts[0].get(lane, Counter()) if self._counts else Counter()

    def _zone(self, lane: str, day: str) -> _Zone:
        if lane in self._leading:
            if not day or self._begin is None or self._end is None:
                return _Zone.NEWER
            begin = datetime.fromisoformat(day).replace(tzinfo=UTC)
            if begin >= self._end:
                return _Zone.NEWER
            return _Zone.INSIDE if begin + timedelta(days=1) > self._begin else _Zone.OLDER
        if any(window.has(day) for window in self._windows):
            return _Zone.INSIDE
        if day and self._end is not None and datetime.fromisoformat(day).replace(tzinfo=UTC) >= self._end:
            return _Zone.NEWER
        return _Zone.OLDER
