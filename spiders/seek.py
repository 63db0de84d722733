"""Find where a window ends in a listing of numbered things, newest first, that may be entered at any number. Pure.

Each page lists what stands below the number it is asked with. The oldest page is asked first; then where the moment
falls is reckoned, as if all came at one pace, and by halves in turn, until a page is met that the moment falls into.
Where old dates stand among new numbers the place found lies too high, never too low.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from spiders.window import Window

    Found = Sequence[tuple[int, datetime | None]]


@dataclass(frozen=True, slots=True)
class Seek:
    """One step: all from ``high`` on is later than the window, and not all below ``low`` is."""

    high: int
    #: Unix time of what stands at ``high``.
    high_time: float
    low: int = 0
    #: The newest time below ``low``, where anything is known of it.
    low_time: float | None = None
    steps: int = 0
    #: The last page asked holds the moment.
    is_met: bool = False

    @classmethod
    def begin(cls, found: Found) -> Seek:
        """Return the first step, below a page that is all too late."""
        number, when = min(found)
        return cls(number, when.timestamp() if when else 0.0)

    @classmethod
    def of(cls, cursor: dict[str, Any]) -> Seek | None:
        """Return the step that a cursor carries."""
        return cls(*cursor["seek"]) if "seek" in cursor else None

    def cursor(self) -> dict[str, Any]:
        """Return the step as a cursor carries it."""
        return {"seek": list(astuple(self))}

    def at(self, page: int, window: Window) -> int | None:
        """Return the number to ask with next; None where what is left is no more than a page."""
        if self.is_met or self.high - self.low <= page or window.until is None:
            return None
        if self.steps == 0:
            return self.low + page + 1
        middle, reach = (self.low + self.high) // 2, self.high_time - (self.low_time or 0.0)
        if self.low_time is None or reach <= 0 or self.steps % 3 == 0:
            return middle
        part = (window.until.timestamp() - self.low_time) / reach
        reckoned = self.low + round(part * (self.high - self.low)) + page // 2
        return min(max(reckoned, self.low + 1), self.high - 1)

    def told(self, asked: int, found: Found, window: Window) -> Seek:
        """Return the next step, after the page below ``asked`` listed these numbers and times."""
        now = replace(self, steps=self.steps + 1)
        if is_beyond(found, window):
            number, when = min(found)
            return replace(now, high=min(self.high, asked - 1, number), high_time=when.timestamp() if when else 0.0)
        times = [when.timestamp() for _, when in found if when is not None]
        now = replace(now, low=max(self.low, asked), low_time=max(times, default=self.low_time))
        return replace(now, is_met=any(window.is_after(when) for _, when in found))


def is_beyond(found: Found, window: Window) -> bool:
    """Say whether all that a page lists is later than a window."""
    return bool(found) and all(window.is_after(when) for _, when in found)


def sought(found: Found, cursor: dict[str, Any], window: Window) -> Seek | None:
    """Return the step after a page, whose cursor carries ``before`` and the step that asked; None where none is due."""
    asked, seek = cursor.get("before"), Seek.of(cursor)
    if seek is not None and asked:
        return seek.told(asked, found, window)
    return Seek.begin(found) if not asked and is_beyond(found, window) else None
