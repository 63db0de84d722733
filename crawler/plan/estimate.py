"""What a crawl's own counters teach of pace and sizes, and what more there is than is known. Pure."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from statistics import quantiles
from typing import TYPE_CHECKING, Any

from crawler.model import SegmentClass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from crawler.frontier.interface import Bucket
    from crawler.model import Lane

#: Spans between two looks that are remembered: at one every five seconds, ten minutes.
REMEMBERED = 120
#: Lane, and whether it is of the window.
Class = tuple[str, bool]
#: Spans that make up now.
LATELY = 12
#: A host that gets through less than this part of its best pace, with work at hand, waits for something else: bytes.
SLOWED = 0.6
#: Bytes of a thing before any was seen, by class of segment, and how many seen ones that guess weighs as much as.
_GUESS = {SegmentClass.TEXT: 30e3, SegmentClass.IMAGES: 200e3, SegmentClass.ORIGINALS: 20e6}
_WEIGHT = 3
#: Generations of what things lead to that are followed.
_GENERATIONS = 400


@dataclass(frozen=True, slots=True)
class _Span:
    seconds: float
    things: int
    bytes: int

    @property
    def rate(self) -> float:
        return self.things / self.seconds


@dataclass(frozen=True, slots=True)
class _Count:
    settled: int = 0
    bytes: int = 0
    waiting: int = 0


class Learned:
    """Pace of hosts, bandwidth of all, bytes of things; ``note`` takes in a look at the buckets every few seconds."""

    def __init__(self) -> None:
        self._last: tuple[float, dict[str, _Count]] | None = None
        self._spans: defaultdict[str, deque[_Span]] = defaultdict(lambda: deque(maxlen=REMEMBERED))
        #: Bytes a second of everything, while some host was slowed by bytes.
        self._full: deque[float] = deque(maxlen=LATELY)
        self._lines: deque[float] = deque(maxlen=REMEMBERED)
        self._earlier: dict[str, float] = {}
        self._sizes: dict[str, tuple[int, int]] = {}
        self._here: dict[tuple[str, str], tuple[int, int]] = {}

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Learned:
        """Return what ``facts`` of an earlier run say, until there is something newer."""
        made = cls()
        made._earlier = {str(origin): float(rate) for origin, rate in facts.get("paces", {}).items()}
        made._full.extend([facts["bandwidth"]] * 3 if facts.get("bandwidth") else [])
        return made

    def facts(self) -> dict[str, Any]:
        """Return what was learned, as JSON has it."""
        paces = {origin: self.pace(origin) for origin in (*self._earlier, *self._spans)}
        return {"paces": {origin: pace for origin, pace in paces.items() if pace}, "bandwidth": self.bandwidth}

    def note(self, now: float, buckets: Iterable[Bucket]) -> None:
        """Take in how things stand at ``now``, seconds since any epoch."""
        counts = self._count(buckets)
        if self._last is not None and now > self._last[0]:
            self._compare(now - self._last[0], self._last[1], counts)
        self._last = (now, counts)

    def pace(self, origin: str) -> float | None:
        """Return things a second that a host answers lately when nothing else holds it up; None before any was seen."""
        spans = list(self._spans.get(origin, ()))[-LATELY:]
        if not spans:
            return self._earlier.get(origin)
        best = _upper([span.rate for span in spans])
        free = [span for span in spans if span.rate >= SLOWED * best]
        return max(sum(span.things for span in free), 0.1) / sum(span.seconds for span in free)

    def recent(self, origin: str, most: int = LATELY) -> float | None:
        """Return things a second over the last few spans in which a host had work."""
        spans = list(self._spans.get(origin, ()))[-most:]
        if not spans:
            return self._earlier.get(origin)
        return sum(span.things for span in spans) / sum(span.seconds for span in spans)

    @property
    def bandwidth(self) -> float | None:
        """Return bytes a second of all hosts together, where that is what holds them up."""
        return sum(self._full) / len(self._full) if len(self._full) >= 3 else None

    def size(self, lane: Lane, origin: str) -> float:
        """Return bytes of a thing: of this lane and host where enough were seen, else of the lane, else a guess."""
        things, size = self._here.get((lane.name, origin), (0, 0))
        if things < _WEIGHT:
            things, size = self._sizes.get(lane.name, (0, 0))
        return (
            (size + _WEIGHT * _GUESS.get(lane.segment_class, 30e3)) / (things + _WEIGHT)
            if things < 20
            else size / things
        )

    def _count(self, buckets: Iterable[Bucket]) -> dict[str, _Count]:
        by_origin: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        lanes: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
        here: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
        for one in buckets:
            total = by_origin[one.origin]
            total[0] += one.done + one.given_up
            total[1] += one.bytes
            total[2] += 0 if one.waits else one.queued
            for held in (lanes[one.lane], here[one.lane, one.origin]):
                held[0] += one.done
                held[1] += one.bytes
        self._sizes = {lane: (n, size) for lane, (n, size) in lanes.items()}
        self._here = {key: (n, size) for key, (n, size) in here.items()}
        return {origin: _Count(*total) for origin, total in by_origin.items()}

    def _compare(self, seconds: float, then: Mapping[str, _Count], counts: Mapping[str, _Count]) -> None:
        is_slowed, size = False, 0
        for origin, count in counts.items():
            before = then.get(origin, _Count())
            span = _Span(seconds, max(count.settled - before.settled, 0), max(count.bytes - before.bytes, 0))
            size += span.bytes
            if not (before.waiting and count.waiting):
                continue
            spans = self._spans[origin]
            if not spans and not span.things:  # it has not begun
                continue
            is_slowed |= len(spans) >= 6 and span.things > 0 and span.rate < SLOWED * _upper([s.rate for s in spans])
            spans.append(span)
        self._lines.append(size / seconds)
        # A host that merely dies brings fewer bytes, too.
        if is_slowed and size / seconds >= SLOWED * _upper(list(self._lines)):
            self._full.append(size / seconds)


def _upper(rates: list[float]) -> float:
    return quantiles(rates, n=4)[2] if len(rates) > 1 else rates[0]


@dataclass(frozen=True, slots=True)
class More:
    """How many things are expected beside those known: at the least, likely, at the most."""

    low: float = 0.0
    likely: float = 0.0
    high: float = 0.0


def expected(
    known: Mapping[Class, tuple[int, int]], led: Mapping[tuple[str, str], int], lately: Mapping[Class, float], *,
    leading: frozenset[str], share: float | None = None,
) -> dict[Class, More]:  # fmt: skip
    """Return how much more of each class will be found; ``known`` says how many of it wait, and are settled.

    What waits leads to as much as what was settled did, and that goes on. What ``leading`` lanes lead to is of the
    window as often as what was found ``lately`` is; everything else leads to what is of the window as it is itself. A
    chain of pages of which none has ended is taken to be half over. ``share`` is the part of its things that the
    platform's own counters call known, where it has any: then they say how much is to come.
    """
    lanes: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    for (lane, _), (waiting, settled) in known.items():
        lanes[lane][0] += waiting
        lanes[lane][1] += settled
    yields = {
        (lane, child): _yield(n, *lanes[lane], is_chain=lane == child)
        for (lane, child), n in led.items()
        if lane in lanes and n
    }
    parts = {lane: _part(lane, known, lately) for lane in {child for _, child in yields}}
    found: defaultdict[Class, float] = defaultdict(float)
    wave = {key: float(waiting) for key, (waiting, _) in known.items()}
    for _ in range(_GENERATIONS):
        following: defaultdict[Class, float] = defaultdict(float)
        for (lane, child), each in yields.items():
            for in_window in (False, True):
                n = wave.get((lane, in_window), 0.0) * each
                if lane in leading:
                    following[child, True] += n * parts[child]
                    following[child, False] += n * (1 - parts[child])
                else:
                    following[child, in_window] += n
        if sum(following.values()) < 0.5:
            break
        for key, n in following.items():
            found[key] += n
        wave = dict(following)
    if share is not None and 0 < share <= 1:
        told = sum(sum(both) for both in lanes.values()) * (1 / share - 1)
        scale = told / sum(found.values()) if sum(found.values()) else 1.0
        return {key: More(0.0, n * scale, n * scale * 1.3 + 1) for key, n in found.items()}
    return {key: More(0.0, n, 2.5 * n + 2) for key, n in found.items()}


def _part(lane: str, known: Mapping[Class, tuple[int, int]], lately: Mapping[Class, float]) -> float:
    """Return which part of what is found of a lane is of the window."""
    inside, outside = (lately.get((lane, in_window), 0.0) for in_window in (True, False))
    if inside + outside <= 0:
        inside, outside = (float(sum(known.get((lane, in_window), (0, 0)))) for in_window in (True, False))
    return inside / (inside + outside) if inside + outside else 0.0


def _yield(n: int, waiting: int, settled: int, *, is_chain: bool) -> float:
    """Return how many new things one of a lane leads to; a chain is expected to end after as long again as it ran."""
    each = n / max(settled, 1)
    return min(each, settled / (settled + max(waiting, 1))) if is_chain else each
