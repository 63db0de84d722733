"""What a crawl's own counters teach of pace and sizes, and what more there is than is known. Pure."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from statistics import quantiles
from typing import TYPE_CHECKING, Any

from crawler.model import SegmentClass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from crawler.frontier.interface import Bucket
    from crawler.model import Lane

#: Spans between two looks that are remembered: at one every five seconds, ten minutes.
REMEMBERED = 120
#: Lane, and whether it is of the window.
Class = tuple[str, bool]
#: Spans that make up now, and this instant.
LATELY, JUST_NOW = 12, 3
#: Part of all bytes that a host brings at least if a full line is what holds it up: small things pass a full line.
NOTABLE = 0.1
#: Answers that must have been due before few of them mean that a host got slower, or is gone.
DUE = 10.0
#: A host that gets through less than this part of its best pace, with work at hand, waits for something else: bytes.
SLOWED = 0.6
#: Bytes of a thing before any was seen, by class of segment, and how many seen ones that guess weighs as much as.
_GUESS = {SegmentClass.TEXT: 30e3, SegmentClass.IMAGES: 200e3, SegmentClass.ORIGINALS: 20e6}
_WEIGHT = 3
#: How many times as large, or as small, things may be of which none was seen.
UNSURE = 10.0
#: Generations of what things lead to that are followed.
_GENERATIONS = 400


@dataclass(frozen=True, slots=True)
class _Span:
    seconds: float
    things: int
    bytes: int
    #: Whether something waited all the time, and whether the line was what it waited for.
    is_busy: bool = True
    is_slowed: bool = False

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
        made._lines.extend([facts["fastest"]] if facts.get("fastest") else [])
        return made

    def facts(self) -> dict[str, Any]:
        """Return what was learned, as JSON has it."""
        paces = {origin: self.pace(origin) for origin in (*self._earlier, *self._spans)}
        return {
            "paces": {origin: pace for origin, pace in paces.items() if pace},
            "bandwidth": self.bandwidth, "fastest": max(self._lines, default=None),
        }  # fmt: skip

    def note(self, now: float, buckets: Iterable[Bucket]) -> None:
        """Take in how things stand at ``now``, seconds since any epoch."""
        counts = self._count(buckets)
        if self._last is not None and now > self._last[0]:
            self._compare(now - self._last[0], self._last[1], counts)
        self._last = (now, counts)

    def pace(self, origin: str) -> float | None:
        """Return things a second that a host answers when only it is waited for; None before any was seen.

        What it did while something waited all the time tells it, or else the most that was seen. Where much less comes
        than was due, though the line has room, the last few looks alone tell it: it is dying.
        """
        spans = [span for span in self._spans.get(origin, ()) if not span.is_slowed][-LATELY:]
        if not spans:
            return self._earlier.get(origin)
        busy = [span for span in spans if span.is_busy]
        usual = _mean(busy) if len(busy) >= JUST_NOW else max(_mean(spans), _upper([span.rate for span in spans]))
        latest = list(self._spans[origin])[-JUST_NOW:]
        due = usual * sum(span.seconds for span in latest)
        is_dying = due >= DUE and _mean(latest) < SLOWED * usual and not any(span.is_slowed for span in latest)
        return _mean(latest) if is_dying else usual

    def able(self, origin: str) -> float | None:
        """Return things a second that a host is thought to answer: of one that never had enough to do, what the others
        do, if that is more than was seen of it.
        """
        own = self.pace(origin)
        if origin in self._earlier or any(span.is_busy for span in self._spans.get(origin, ())):
            return own
        others = [pace for other in self._spans if other != origin and (pace := self.pace(other))]
        return max(own or 0.0, sum(others) / len(others)) if others else own

    def recent(self, origin: str, most: int = LATELY) -> float | None:
        """Return things a second over the last few spans in which a host had work."""
        spans = list(self._spans.get(origin, ()))[-most:]
        if not spans:
            return self._earlier.get(origin)
        return _mean(spans)

    @property
    def bandwidth(self) -> float | None:
        """Return bytes a second of all hosts together, where that is what holds them up."""
        return sum(self._full) / len(self._full) if len(self._full) >= 3 else None

    def seconds(self, pace: float, size: float) -> float:
        """Return seconds that a thing takes of a host that answers ``pace`` a second.

        What the line carries is known once it was full. Until then what is big is taken to need more than on a line
        without end, and less than at the fastest that was seen: halfway, as ratios go.
        """
        if self.bandwidth:
            return max(1 / pace, size / self.bandwidth)
        fastest = max(self._lines, default=0.0)
        return max(1 / pace, (size / fastest / pace) ** 0.5 if fastest else 0.0)

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

    def is_guess(self, lane: Lane) -> bool:
        """Say whether the size of a lane's things is a guess: next to none was seen."""
        return self._sizes.get(lane.name, (0, 0))[0] < _WEIGHT

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
        size = sum(max(count.bytes - then.get(origin, _Count()).bytes, 0) for origin, count in counts.items())
        self._lines.append(size / seconds)
        # A host that merely dies brings fewer bytes, too.
        is_full = len(self._lines) >= 2 * JUST_NOW and size / seconds >= SLOWED * _upper(list(self._lines))
        is_slowed = False
        for origin, count in counts.items():
            before, spans = then.get(origin, _Count()), self._spans[origin]
            things, least = max(count.settled - before.settled, 0), min(before.waiting, count.waiting)
            if not least or not (spans or things):  # nothing to do, or it has not begun
                continue
            brought = max(count.bytes - before.bytes, 0)
            is_slow = is_full and things > 0 and brought >= NOTABLE * size and len(spans) >= 2 * JUST_NOW
            is_slow = is_slow and things / seconds < SLOWED * _upper([span.rate for span in spans])
            is_slowed |= is_slow
            spans.append(_Span(seconds, things, brought, least >= things, is_slow))
        if is_slowed:
            self._full.append(size / seconds)


def _mean(spans: list[_Span]) -> float:
    return max(sum(span.things for span in spans), 0.1) / sum(span.seconds for span in spans)


def _upper(rates: list[float]) -> float:
    return quantiles(rates, n=4)[2] if len(rates) > 1 else rates[0]


@dataclass(frozen=True, slots=True)
class More:
    """How many things are expected beside those known: likely, at the most."""

    likely: float = 0.0
    high: float = 0.0


@dataclass(frozen=True, slots=True)
class Expected:
    """What is expected: how much of each class, how many of a lane one of another leads to, which part is wanted."""

    more: dict[Class, More]
    yields: dict[tuple[str, str], float]
    #: Lane → which part of what pages of listings lead to is of the window, or on its way there.
    parts: dict[str, float]
    #: More is found than is fetched: of what there is nobody knows more than that it is at least this.
    is_growing: bool = False


def expected(
    known: Mapping[Class, tuple[int, int]], led: Mapping[tuple[str, str], int],
    part: Callable[[str, float], float], most: Callable[[str], float], *,
    leading: frozenset[str], share: float | None = None,
) -> Expected:  # fmt: skip
    """Return how much more of each class will be found; ``known`` says how many of it wait, and are settled.

    What waits leads to as much as what was settled did, and that goes on. Of what pages of ``leading`` lanes lead to
    that may lead to the window, ``part`` (lane, how much more of it) is of it, and at the most ``most``; everything
    else leads to what is of the window as it is itself. A chain of pages of which none has ended is taken to be half
    over. ``share`` is the part of its things that the platform's own counters call known, where it has any: then they
    say how much is to come.
    """
    lanes = _lanes(known)
    yields = _yields(lanes, led)
    ending, is_growing = _ending(yields, lanes)
    more = _found(known, ending, leading, lambda lane: part(lane, 0.0) if lane in leading else 1.0)
    parts = {lane: part(lane, more.get((lane, True), 0.0)) for _, lane in yields}
    found = _found(known, ending, leading, parts.__getitem__)
    high = _found(known, ending, leading, lambda lane: max(parts[lane], most(lane)))
    scale, wide = 1.0, 3.0
    if share is not None and 0 < share <= 1:
        told = sum(sum(both) for both in known.values()) * (1 / share - 1)
        scale, wide = told / sum(found.values()) if sum(found.values()) else 1.0, 1.3
    return Expected(
        {key: More(n * scale, max(n, high.get(key, 0.0)) * scale * wide + 2) for key, n in found.items()},
        yields, parts, is_growing and share is None,
    )  # fmt: skip


def _lanes(known: Mapping[Class, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """Return how many of a lane wait, and are settled."""
    lanes: defaultdict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for (lane, _), (waiting, settled) in known.items():
        lanes[lane] = (lanes[lane][0] + waiting, lanes[lane][1] + settled)
    return dict(lanes)


def _yields(lanes: Mapping[str, tuple[int, int]], led: Mapping[tuple[str, str], int]) -> dict[tuple[str, str], float]:
    """Return how many new things of a lane one of another leads to, as (lane, lane) → number."""
    return {
        (lane, child): _yield(n, *lanes[lane], is_chain=lane == child)
        for (lane, child), n in led.items()
        if lane in lanes and n
    }


def _ending(
    yields: Mapping[tuple[str, str], float], lanes: Mapping[str, tuple[int, int]]
) -> tuple[dict[tuple[str, str], float], bool]:
    """Return the yields as far as they go on, and whether more waits than is settled: lanes that lead to each other
    (accounts to posts, posts to accounts) find for each of their things that waits as many as were found for each that
    is settled; then all is known.
    """
    found, is_growing = dict(yields), False
    for ring in _rings(yields):
        inner = {pair: n for pair, n in yields.items() if ring.issuperset(pair)}
        waiting, settled = (sum(lanes.get(lane, (0, 0))[which] for lane in ring) for which in (0, 1))
        most = (settled + waiting) / max(2 * settled + waiting, 1)
        if len(ring) > 1 and (growth := _growth(inner)) > most:
            found |= {pair: n * most / growth for pair, n in inner.items()}
            is_growing |= waiting > settled
    return found, is_growing


def _rings(yields: Iterable[tuple[str, str]]) -> set[frozenset[str]]:
    """Return the sets of lanes each of which leads to all others of its set, over any others."""
    reached: defaultdict[str, set[str]] = defaultdict(set)
    for lane, child in yields:
        reached[lane].add(child)
    for _ in range(len(reached)):
        for some in reached.values():
            some |= {one for child in some for one in reached.get(child, ())}
    return {
        frozenset(one for one in some if lane in reached.get(one, ())) for lane, some in reached.items() if lane in some
    }


def _growth(inner: Mapping[tuple[str, str], float]) -> float:
    """Return how many times as many things each generation of a ring has in the end: its greatest eigenvalue."""
    wave, size = dict.fromkeys((lane for lane, _ in inner), 1.0), 1.0
    for _ in range(_GENERATIONS):
        following = dict(wave)  # with itself, or a ring of two would swing
        for (lane, child), each in inner.items():
            following[child] += wave[lane] * each
        size = sum(following.values()) / sum(wave.values())
        wave = {lane: n / sum(following.values()) for lane, n in following.items()}
    return size - 1


def _found(
    known: Mapping[Class, tuple[int, int]], yields: Mapping[tuple[str, str], float], leading: frozenset[str],
    part: Callable[[str], float],
) -> dict[Class, float]:  # fmt: skip
    parts = {child: part(child) for _, child in yields}
    found: defaultdict[Class, float] = defaultdict(float)
    wave = {key: float(waiting) for key, (waiting, _) in known.items()}
    for _ in range(_GENERATIONS):
        following: defaultdict[Class, float] = defaultdict(float)
        for (lane, child), each in yields.items():
            for in_window in (False, True):
                n = wave.get((lane, in_window), 0.0) * each
                if lane in leading and in_window:
                    following[child, True] += n * parts[child]
                    following[child, False] += n * (1 - parts[child])
                else:
                    following[child, in_window] += n
        if sum(following.values()) < 0.5:
            break
        for key, n in following.items():
            found[key] += n
        wave = dict(following)
    return {key: n for key, n in found.items() if n}


def _yield(n: int, waiting: int, settled: int, *, is_chain: bool) -> float:
    """Return how many new things one of a lane leads to; a chain is expected to end after as long again as it ran."""
    each = n / max(settled, 1)
    return min(each, settled / (settled + max(waiting, 1))) if is_chain else each
