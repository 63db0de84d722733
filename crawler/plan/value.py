"""What a thing is worth saving, next to others: the scale by which a plan for a deadline weighs. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from crawler.model import SegmentClass
from crawler.plan.expiry import EXPIRING, valued

if TYPE_CHECKING:
    from crawler.model import Fetch, Lane, Settlement

#: How much more a thing of the window is worth, and how many times sooner one goes that expires.
IN_WINDOW, URGENT = 100.0, 50.0
#: Order of lanes up to which text has this worth: ids and doors lead to posts and are none; listings show posts.
_TEXT = ((19, 0.1), (30, 10.0), (50, 5.0))
#: Worth of what comes after those lanes, and of media by class of segment: images and faces, uploads.
_REST, _IMAGE, _ORIGINAL = 0.5, 3.0, 6.0
#: Order of lanes up to which they lead to everything else: listings are of no window themselves.
LEADING = 20
#: Order of lanes above which images are faces, emoji and previews.
_EXTRAS = 89


def worth(lane: Lane, value: int, *, in_window: bool) -> float:
    """Return what one thing of a lane is worth; ``value`` is its value class, which the platform's spider gives."""
    found = _REST
    if lane.segment_class is SegmentClass.TEXT:
        found = next((worth for order, worth in _TEXT if lane.order <= order), _REST)
    elif lane.order <= _EXTRAS:
        found = _ORIGINAL if lane.segment_class is SegmentClass.ORIGINALS else _IMAGE
    return found * (1 + max(value % EXPIRING, 0)) * (IN_WINDOW if in_window and lane.order > LEADING else 1.0)


def is_expiring(value: int) -> bool:
    """Say whether a value class is that of things which expire."""
    return value >= EXPIRING


def marked(fetch: Fetch, now: float) -> Fetch:
    """Return a fetch with what its URL says of its value: one that is signed expires, and goes first in its lane."""
    if "?" not in fetch.url or is_expiring(fetch.value):
        return fetch
    value = valued(fetch.value, fetch.url, now)
    return fetch if value == fetch.value else replace(fetch, value=value)


def dated(told: Settlement) -> Settlement:
    """Return a settlement whose next page of a listing has the day of this one: the middle one of what it names.

    Then all that the next page leads to is about as old or older, and a plan knows which listings are past a window.
    """
    if not any(fetch.deeper and fetch.day is None for fetch in told.outlinks):
        return told
    days = sorted(filter(None, (*(one.day for one in told.outlinks), *(one.day for one in told.coverage))))
    if not days:
        return told
    middle = days[len(days) // 2]
    return replace(told, outlinks=tuple(
        replace(fetch, day=middle) if fetch.deeper and fetch.day is None else fetch for fetch in told.outlinks
    ))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Window:
    """What goes first: from ``since`` on, before ``until``, both UTC."""

    since: datetime
    until: datetime

    @classmethod
    def of(cls, text: str) -> Window:
        """Read ``2021-01-06/2021-01-07``: days, the last one included, or instants. Raises ValueError."""
        first, slash, last = text.partition("/")
        since, until = _instant(first), _instant(last or first)
        if not slash or _is_day(last):
            until += timedelta(days=1)
        if until <= since:
            raise ValueError(f"{text!r} ends before it begins")
        return cls(since, until)

    @classmethod
    def of_day(cls, day: str, zone: str) -> Window:
        """Return a day as it was in a time zone (``America/New_York``). Raises ValueError."""
        from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # noqa: PLC0415 - few ask

        try:
            place = ZoneInfo(zone)
        except (ZoneInfoNotFoundError, OSError) as e:
            raise ValueError(f"{zone!r} is no time zone that this system knows") from e
        if not _is_day(day):
            raise ValueError(f"{day!r} is no day; write 2021-01-06")
        begin = datetime.fromisoformat(day)
        ends = (begin.replace(tzinfo=place), (begin + timedelta(days=1)).replace(tzinfo=place))
        return cls(ends[0].astimezone(UTC), ends[1].astimezone(UTC))

    def has(self, day: str) -> bool:
        """Say whether some of a day (ISO, UTC) lies in it; what has no day does not."""
        if not day:
            return False
        begin = datetime.fromisoformat(day).replace(tzinfo=UTC)
        return begin < self.until and begin + timedelta(days=1) > self.since

    def __str__(self) -> str:
        return f"{_short(self.since)}/{_short(self.until)}"


def _is_day(text: str) -> bool:
    return len(text) == len("2021-01-06")


def _instant(text: str) -> datetime:
    when = datetime.fromisoformat(text)
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


def _short(when: datetime) -> str:
    return when.isoformat(timespec="minutes").replace("+00:00", "Z")
