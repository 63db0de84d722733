"""The geometry of our figures: counts over time, holes in a space of ids, places on a map. Pure; templates draw it.

A figure holds at most MOST columns, whatever is counted, so that a report of ten years is as long as one of a day.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

#: Columns of a figure: at most, and at least so that one minute does not look like a wall.
MOST, LEAST = 120, 15
#: Seconds that a column may stand for; each is a multiple of the one before.
_DAY = 86400
_STEPS = (60, 300, 900, 3600, 14400, _DAY, 7 * _DAY, 28 * _DAY, 84 * _DAY, 336 * _DAY, 3360 * _DAY, 33600 * _DAY)
#: Units of a drawing, and what its axes take of them.
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 240, 52, 10, 12, 30


@dataclass(frozen=True, slots=True)
class Box:
    """A part of a drawing: what it stands for (a class of the style sheet), where it is, and what it says."""

    name: str
    x: float
    y: float
    width: float
    height: float
    title: str = ""


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark at an axis."""

    at: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Stacked columns over time, and the same as a table."""

    boxes: list[Box]
    window: Box | None
    across: list[Tick]
    up: list[Tick]
    #: Names in the order they are stacked in, and for each column its time and its counts.
    names: list[str]
    rows: list[tuple[str, list[int]]]
    #: What one column stands for.
    step: str


@dataclass(slots=True)
class Timeline:
    """Counts over time: as they come, in any order; columns grow wider as the span does."""

    #: Seconds that a column stands for at least.
    finest: int = 60
    counts: dict[int, Counter[str]] = field(default_factory=dict)
    _low: int = 0
    _high: int = 0
    step: int = 0

    def add(self, second: int, name: str, count: int = 1) -> None:
        """Count something at a time (Unix)."""
        self.step = self.step or self.finest
        column = second // self.step
        self._low, self._high = (min(self._low, column), max(self._high, column)) if self.counts else (column, column)
        self.counts.setdefault(column, Counter())[name] += count
        while self._high - self._low >= MOST and self.step < _STEPS[-1]:
            self._widen()

    def _widen(self) -> None:
        wider = next(step for step in _STEPS if step > self.step)
        counts: dict[int, Counter[str]] = {}
        for column, found in self.counts.items():
            counts.setdefault(column * self.step // wider, Counter()).update(found)
        self.counts, self._low, self._high = counts, self._low * self.step // wider, self._high * self.step // wider
        self.step = wider

    def silences(self) -> list[tuple[str, str]]:
        """Return from when to when there was nothing for more than a column, the longest first."""
        known = sorted(self.counts)
        gaps = [(one + 1, other) for one, other in pairwise(known) if other - one > 2]
        gaps.sort(key=lambda gap: gap[0] - gap[1])
        return [(_instant(first * self.step, self.step), _instant(end * self.step, self.step)) for first, end in gaps]

    def columns(self, names: Sequence[str], window: tuple[int | None, int | None] = (None, None)) -> Columns | None:
        """Return the drawing, of these names; None where nothing was counted. ``window``: a span to mark (Unix)."""
        if not self.counts:
            return None
        pad = max(0, LEAST - 1 - (self._high - self._low)) // 2
        span = range(self._low - pad, self._high + 1 + pad)
        shown = [name for name in names if any(name in found for found in self.counts.values())]
        top = _nice(max(sum(found.values()) for found in self.counts.values()))
        wide, high = (WIDTH - LEFT - RIGHT) / len(span), HEIGHT - TOP - BOTTOM
        boxes: list[Box] = []
        for place, column in enumerate(span):
            x, y = LEFT + place * wide, float(HEIGHT - BOTTOM)
            for name in shown:
                if count := self.counts.get(column, Counter())[name]:
                    tall = high * count / top
                    y -= tall
                    title = f"{_instant(column * self.step, self.step)}: {count:,} {name}"
                    gap = min(1.0, wide * 0.15)
                    boxes.append(Box(name, round(x, 2), round(y, 2), round(wide - gap, 2), round(tall, 2), title))
        every = -(-len(span) // 5)
        return Columns(
            boxes=boxes, window=self._window(window, span, wide),
            across=[
                Tick(round(LEFT + place * wide, 1), _instant(span[place] * self.step, self.step, short=True))
                for place in range(0, len(span), every)
            ],
            up=[Tick(round(HEIGHT - BOTTOM - high * part / 2, 1), f"{top * part / 2:,.0f}") for part in range(3)
                if top > 1 or part != 1],
            names=shown,
            rows=[
                (_instant(column * self.step, self.step), [found[name] for name in shown])
                for column, found in sorted(self.counts.items())
            ],
            step=_span(self.step),
        )  # fmt: skip

    def _window(self, window: tuple[int | None, int | None], span: range, wide: float) -> Box | None:
        if window == (None, None):
            return None
        first, end = span.start * self.step, span.stop * self.step
        since, until = (edge if edge is not None else other for edge, other in zip(window, (first, end), strict=True))
        since, until = max(since, first), min(until, end)
        if since >= until:
            return None
        x = LEFT + (since - first) / self.step * wide
        return Box("window", round(x, 2), TOP, round((until - since) / self.step * wide, 2), HEIGHT - TOP - BOTTOM)


def strip(first: int, last: int, runs: Iterable[tuple[int, int]]) -> list[Box]:
    """Return the runs of holes in a space of ids as boxes of a strip WIDTH wide; the thinnest can still be seen."""
    scale = WIDTH / (last - first + 1)
    return [
        Box(
            "missing", round((start - first) * scale, 2), 0, round(max((end - start + 1) * scale, 0.7), 2), 28,
            f"{start:,}" if start == end else f"{start:,} to {end:,}",
        )
        for start, end in runs
    ]  # fmt: skip


def shares(counts: Mapping[str, int], names: Sequence[str], whole: int = 0) -> list[Box]:
    """Return counts as parts of one bar, 100 wide; of a ``whole`` where there is one."""
    total = whole or sum(counts.get(name, 0) for name in names)
    boxes, x = [], 0.0
    for name in names:
        if total and (count := counts.get(name, 0)):
            boxes.append(Box(name, round(x, 3), 0, round(100 * count / total, 3), 10, f"{count:,} {name}"))
            x += 100 * count / total
    return boxes


def second(text: str | None) -> int | None:
    """Return the Unix time of an instant (ISO 8601); None where there is none."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
        return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return None


def _nice(most: int) -> int:
    """Return a round number that is at least so much, and even where it is no 1."""
    power = 1
    while power * 10 < most:
        power *= 10
    return next(step * power for step in (1, 2, 4, 6, 8, 10) if step * power >= most)


def _instant(at: int, step: int, *, short: bool = False) -> str:
    try:
        found = datetime.fromtimestamp(at, UTC)
    except (ValueError, OverflowError, OSError):
        return "long ago" if at < 0 else "far ahead"
    if step >= _DAY:
        return f"{found:%Y-%m-%d}"
    return f"{found:%m-%d %H:%M}" if short else f"{found:%Y-%m-%d %H:%M}"


def _span(step: int) -> str:
    names = ((_DAY, "day"), (3600, "hour"), (60, "minute"))
    unit, name = next(one for one in names if step >= one[0])
    count = step // unit
    return f"a {name}" if count == 1 and unit != 3600 else f"an {name}" if count == 1 else f"{count:,} {name}s"
