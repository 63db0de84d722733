"""The window of a crawl (``--since``, ``--until``) and the times that platforms print. Pure.

A thing whose time nobody knows is inside: leaving out what belongs is worse than taking what does not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crawler.model import Seed

#: Numbers from here on are milliseconds: as seconds they would be beyond the year 5000.
_MILLISECONDS = 1e11
_AGO = re.compile(r"^\s*(?:(\d{1,6})|an?)\s+(second|minute|hour|day|week|month|year)s?\s+ago\s*$", re.IGNORECASE)
_NOW = re.compile(r"^\s*(?:just\s+now|now|a\s+few\s+seconds\s+ago|moments?\s+ago)\s*$", re.IGNORECASE)

_DAY = 86400
#: Unit → its shortest and longest length in seconds.
_UNITS = {
    "second": (1, 1), "minute": (60, 60), "hour": (3600, 3600), "day": (_DAY, _DAY), "week": (7 * _DAY, 7 * _DAY),
    "month": (28 * _DAY, 31 * _DAY), "year": (365 * _DAY, 366 * _DAY),
}  # fmt: skip
_LONGEST = 200 * 366 * _DAY


@dataclass(frozen=True, slots=True)
class Window:
    """From ``since`` on, and before ``until``; None leaves an end open."""

    since: datetime | None = None
    until: datetime | None = None

    @classmethod
    def of(cls, seed: Seed) -> Window:
        """Return what the user asked for."""
        return _window(seed.since, seed.until)

    def __bool__(self) -> bool:
        return self.since is not None or self.until is not None

    def is_before(self, when: datetime | None) -> bool:
        """Say whether a moment is surely too early."""
        return when is not None and self.since is not None and when < self.since

    def is_after(self, when: datetime | None) -> bool:
        """Say whether a moment is surely too late."""
        return when is not None and self.until is not None and when >= self.until

    def holds(self, when: datetime | None) -> bool:
        """Say whether a moment may belong."""
        return not self.is_before(when) and not self.is_after(when)


@lru_cache(maxsize=64)
def _window(since: str | None, until: str | None) -> Window:
    return Window(instant(since), instant(until))


def instant(said: Any) -> datetime | None:
    """Return the moment that a platform says: ISO 8601, a mail date, Unix seconds or milliseconds; None for no time.

    What has no zone is taken for UTC.
    """
    if isinstance(said, str):
        return _written(said[:64])
    try:
        if isinstance(said, bool) or not isinstance(said, int | float):
            return None
        return datetime.fromtimestamp(said / 1000 if abs(said) > _MILLISECONDS else said, UTC)
    except (ValueError, OverflowError, OSError):
        return None


@lru_cache(maxsize=4096)
def _written(said: str) -> datetime | None:
    """Return the moment in a text; an answer of an API names the same ones over and over."""
    text = said.strip()
    try:
        if text.lstrip("-").replace(".", "", 1).isdecimal():
            return instant(float(text))
        found = datetime.fromisoformat(text) if text[:4].isdecimal() else parsedate_to_datetime(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError, OSError):
        return None


def span(when: datetime | None) -> tuple[str, str] | None:
    """Return a moment as items carry it: (earliest, latest), ISO 8601 UTC."""
    if when is None:
        return None
    told = when.isoformat()
    return told, told


def day(when: datetime | None) -> str | None:
    """Return the day of a moment, as a fetch carries it."""
    return when.date().isoformat() if when else None


def ago(said: str, captured_at: datetime) -> tuple[datetime, datetime] | None:
    """Return (earliest, latest) of "4 days ago": more than 4 and not yet 5 days before the capture.

    The page rounds down, so the interval is one unit wide; months and years take their shortest and longest length.
    """
    if _NOW.match(said):
        return captured_at - timedelta(minutes=1), captured_at
    found = _AGO.match(said)
    if not found:
        return None
    number = int(found[1] or 1)
    shortest, longest = _UNITS[found[2].lower()]
    if (number + 1) * longest > _LONGEST:
        return None
    return captured_at - timedelta(seconds=(number + 1) * longest), captured_at - timedelta(seconds=number * shortest)
