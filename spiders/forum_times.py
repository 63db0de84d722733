"""When something was, as forums write it: for machines, in words, in numbers, or as how long ago. Pure.

Where a page may mean several moments the whole stretch is taken: no zone is named, nobody knows which number is the
month, "yesterday" is somebody's. Nothing that a page shows was written after the page came.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from spiders.tree import attribute, text
from spiders.window import ago, instant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from selectolax.lexbor import LexborNode

#: How far a time that names no zone may be from UTC.
_ZONE = timedelta(hours=14)
_DAY = timedelta(days=1)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_TIME = r"(?:,?\s+(?:at\s+)?(?P<h>\d{1,2}):(?P<i>\d{2})(?::(?P<s>\d{2}))?(?:\s*(?P<p>[ap])\.?m)?)?"
_WORDS = re.compile(
    r"\b(?:(?P<m>[A-Z][a-z]{2,8})\.?\s+(?P<d>\d{1,2})(?:st|nd|rd|th)?|(?P<d2>\d{1,2})(?:st|nd|rd|th)?\s+(?P<m2>[A-Z][a-z]{2,8}))"
    r",?\s+(?P<y>\d{4})" + _TIME,
    re.ASCII | re.IGNORECASE,
)
_NUMBERS = re.compile(r"\b(?P<a>\d{1,4})([-/.])(?P<b>\d{1,2})\2(?P<c>\d{1,4})\b" + _TIME, re.ASCII | re.IGNORECASE)
_LATELY = re.compile(r"\b(?P<day>today|yesterday)\b" + _TIME, re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Moment:
    """When something was, as exactly as the page says it."""

    earliest: datetime
    latest: datetime

    @property
    def span(self) -> tuple[str, str]:
        """As items carry it."""
        return self.earliest.isoformat(), self.latest.isoformat()


def moment(one: LexborNode, now: datetime) -> Moment | None:
    """Return the time that an element of a page shows; None where it shows none that can be read for sure."""
    for name in ("datetime", "data-timestamp", "data-time"):
        said = attribute(one, name)
        if found := instant(said):
            is_exact = name != "datetime" or bool(re.search(r"(?:Z|[+-]\d\d:?\d\d)$", said))
            return Moment(found, found) if is_exact else Moment(found - _ZONE, found + _ZONE)
    shown = (attribute(one, "title"), text(one)[:500])
    return next((when for said in shown if said and (when := written(said.strip(), now))), None)


def written(said: str, now: datetime) -> Moment | None:
    """Return the time in a text of a page that came ``now``."""
    if since := ago(said, now):
        return Moment(*since)
    for pattern, days in ((_WORDS, _of_words), (_NUMBERS, _of_numbers), (_LATELY, _of_late)):
        if found := pattern.search(said):
            spans = [one for day in days(found, now) if (one := _within(day, found)) and one.earliest <= now]
            if spans:
                return Moment(min(one.earliest for one in spans), max(one.latest for one in spans))
    return None


def _of_words(found: re.Match[str], now: datetime) -> Iterator[date]:
    name = (found["m"] or found["m2"]).lower()[:3]
    if name in _MONTHS:
        with suppress(ValueError):
            yield date(int(found["y"]), _MONTHS.index(name) + 1, int(found["d"] or found["d2"]))


def _of_numbers(found: re.Match[str], now: datetime) -> Iterator[date]:
    a, b, c = found["a"], found["b"], found["c"]
    for year, month, day in ((a, b, c),) if len(a) == 4 else ((c, a, b), (c, b, a)):
        with suppress(ValueError):
            if len(year) == 4:
                yield date(int(year), int(month), int(day))


def _of_late(found: re.Match[str], now: datetime) -> Iterator[date]:
    """Yield the days that may be meant: somewhere it is another one already."""
    back = _DAY if found["day"].lower() == "yesterday" else timedelta()
    yield from {(now + zone - back).date() for zone in (-_ZONE, timedelta(), _ZONE)}


def _within(day: date, found: re.Match[str]) -> Moment | None:
    """Return the stretch of a day that the time beside it means, wherever the clock stands."""
    hour = int(found["h"] or 0)
    if found["p"]:
        hour = hour % 12 + (12 if found["p"].lower() == "p" else 0)
    try:
        when = datetime(day.year, day.month, day.day, hour, int(found["i"] or 0), int(found["s"] or 0), tzinfo=UTC)
        return Moment(when - _ZONE, when + _ZONE + (timedelta() if found["h"] else _DAY))
    except (ValueError, OverflowError):
        return None
