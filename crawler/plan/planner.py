"""The planner: looks at a frontier's small tables every few seconds, and says in which order buckets go, and why."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from crawler.plan.estimate import LATELY, Learned, More, expected
from crawler.plan.forecast import Forecast, Saved, forecast
from crawler.plan.policy import ENOUGH, Heap, Leads, arranged, densities, drained
from crawler.plan.value import is_expiring, worth

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from crawler.frontier.interface import Bucket
    from crawler.model import Claim, Lane
    from crawler.plan.estimate import Class
    from crawler.plan.value import Window

#: Without a deadline there is this much time.
FOREVER = 1e9
#: Things a second of a host of which nothing is known yet.
FIRST_PACE = 1.0
#: Of what is leased, at most so many are really on the line: workers lease ahead.
MOST_AT_ONCE = 16
#: What an order by hand does to a lane's density.
_BY_HAND = 1e9
#: Order of lanes up to which they lead to everything else.
_LEADING = 20
#: A platform's own counter is believed while it calls more than this part of its things known.
_LEAST_SHARE = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What a plan is for. Times are seconds since the epoch."""

    deadline: float | None = None
    windows: tuple[Window, ...] = ()
    #: Bytes on the wire, all in all; 0 for no limit.
    budget: int = 0

    def __bool__(self) -> bool:
        return bool(self.deadline is not None or self.windows or self.budget)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One look and what follows from it."""

    at: float
    goal: Goal
    #: In the order in which they go, with how many of each are fetched.
    heaps: tuple[Heap, ...]
    fits: tuple[float, ...]
    forecast: Forecast
    #: bucket → (place, whether it waits).
    places: dict[int, tuple[int, bool]]
    #: Things a second lately, of all hosts.
    rate: float

    @property
    def left(self) -> float:
        """Return seconds until the deadline."""
        return FOREVER if self.goal.deadline is None else max(self.goal.deadline - self.at, 0.0)


class Planner:
    """Learns from look to look. ``lanes`` are the platform's."""

    def __init__(self, lanes: Iterable[Lane], goal: Goal) -> None:
        self._lanes = {lane.name: lane for lane in lanes}
        self.goal = goal
        self.learned = Learned()
        #: How many of each class were known at the last few looks.
        self._seen: deque[dict[Class, int]] = deque(maxlen=LATELY)

    def look(
        self, now: float, buckets: Sequence[Bucket], led: Mapping[tuple[str, str], int], *,
        share: float | None = None, by_hand: Mapping[str, int] | None = None,
    ) -> Plan:  # fmt: skip
        """Plan anew. ``share`` is the part of its things that the platform's counters call known; ``by_hand`` is the
        order that a person gave lanes.
        """
        buckets = [one for one in buckets if one.lane in self._lanes]
        self.learned.note(now, buckets)
        left = max((self.goal.deadline or now + FOREVER) - now, 0.0)
        known = self._known(buckets)
        leading = frozenset(name for name, lane in self._lanes.items() if lane.order <= _LEADING)
        more = expected(known, led, self._lately(known), leading=leading, share=share)
        heaps = self._heaps(buckets, more)
        heaps = densities(heaps, _leads(heaps, led, leading))
        heaps = [replace(heap, density=heap.density * self._nudge(heap.lane, by_hand or {})) for heap in heaps]
        spent = sum(one.bytes for one in buckets)
        capacity = self._capacity(spent, left)
        heaps = arranged(heaps, left=left, capacity=capacity, bandwidth=self.learned.bandwidth)
        return Plan(
            at=now, goal=self.goal, heaps=tuple(heaps), fits=tuple(drained(heaps, left=left, capacity=capacity)),
            forecast=forecast(heaps, self._saved(buckets), more, left=left, capacity=capacity),
            places={one: (place, bool(heap.waits)) for place, heap in enumerate(heaps, 1) for one in heap.buckets},
            rate=sum(self.learned.recent(origin) or 0.0 for origin in {one.origin for one in buckets if one.queued}),
        )  # fmt: skip

    def _capacity(self, spent: int, left: float) -> float | None:
        limits = [float(self.goal.budget - spent)] if self.goal.budget else []
        if self.learned.bandwidth and left < FOREVER:
            limits.append(self.learned.bandwidth * left)
        return max(min(limits), 0.0) if limits else None

    def _heaps(self, buckets: Sequence[Bucket], more: Mapping[Class, More]) -> list[Heap]:
        alike: defaultdict[tuple[str, str, bool, int], list[Bucket]] = defaultdict(list)
        for one in buckets:
            alike[one.lane, one.origin, self._is_wanted(one.day), one.value].append(one)
        totals: defaultdict[Class, int] = defaultdict(int)
        for (lane, _, in_window, _), some in alike.items():
            totals[lane, in_window] += sum(map(_all, some))
        return [
            self._heap(key, some, more.get((key[0], key[2]), More()).likely / max(totals[key[0], key[2]], 1))
            for key, some in alike.items()
        ]

    def _heap(self, key: tuple[str, str, bool, int], some: Sequence[Bucket], more: float) -> Heap:
        """Return what is alike as one; ``more`` is how much is expected for each thing that is known."""
        name, origin, in_window, value = key
        lane = self._lanes[name]
        size = self.learned.size(lane, origin)
        pace = self.learned.pace(origin) or FIRST_PACE
        bandwidth = self.learned.bandwidth
        seen = sum(map(_all, some))
        return Heap(
            lane=name, origin=origin, in_window=in_window, expires=is_expiring(value), value=value,
            buckets=tuple(one.id for one in some), count=sum(one.queued + one.leased for one in some), more=more * seen,
            seen=seen, in_hand=min(sum(one.leased for one in some), MOST_AT_ONCE),
            worth=worth(lane, value, in_window=in_window), size=size,
            seconds=max(1 / pace, size / bandwidth if bandwidth else 0.0),
        )  # fmt: skip

    def _known(self, buckets: Iterable[Bucket]) -> dict[Class, tuple[int, int]]:
        known: defaultdict[Class, list[int]] = defaultdict(lambda: [0, 0])
        for one in buckets:
            count = known[one.lane, self._is_wanted(one.day)]
            count[0] += one.queued + one.leased
            count[1] += one.done + one.given_up
        return {key: (waiting, settled) for key, (waiting, settled) in known.items()}

    def _lately(self, known: Mapping[Class, tuple[int, int]]) -> dict[Class, float]:
        """Return how many of each class were found over the last few looks."""
        seen = {key: sum(both) for key, both in known.items()}
        self._seen.append(seen)
        return {key: n - self._seen[0].get(key, 0) for key, n in seen.items()}

    def _saved(self, buckets: Sequence[Bucket]) -> Saved:
        return Saved(
            things=sum(one.done for one in buckets), bytes=sum(one.bytes for one in buckets),
            value=sum(
                one.done * worth(self._lanes[one.lane], one.value, in_window=self._is_wanted(one.day))
                for one in buckets
            ),
        )  # fmt: skip

    def _is_wanted(self, day: str) -> bool:
        return any(window.has(day) for window in self.goal.windows)

    def _nudge(self, lane: str, by_hand: Mapping[str, int]) -> float:
        if lane not in by_hand or by_hand[lane] == self._lanes[lane].order:
            return 1.0
        return _BY_HAND if by_hand[lane] < self._lanes[lane].order else 1 / _BY_HAND


def share_known(claims: Iterable[Claim], coverage: Mapping[str, Mapping[str, int]]) -> float | None:
    """Return the part of its things that a platform's own counters call known; None where it has no such counter."""
    best = max(claims, key=lambda claim: claim.count, default=None)
    if best is None or not best.count:
        return None
    known = sum(n for standing, n in coverage.get(best.kind, {}).items() if standing != "vacant")
    return min(known / best.count, 1.0) if known >= _LEAST_SHARE * best.count else None


def _leads(heaps: Sequence[Heap], led: Mapping[tuple[str, str], int], leading: frozenset[str]) -> Leads:
    sums: defaultdict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    settled: defaultdict[str, float] = defaultdict(float)
    for heap in heaps:
        settled[heap.lane] += heap.seen - heap.count
        for place, each in enumerate((1.0, heap.worth, heap.seconds)):
            sums[heap.lane][place] += max(heap.seen, 1.0) * each
    yields: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for (lane, child), n in led.items():
        yields[lane][child] = n / max(settled[lane], 1.0)
    return Leads(
        yields, {lane: (worth / n, seconds / n) for lane, (n, worth, seconds) in sums.items()},
        frozenset(lane for lane in sums if lane in leading and settled[lane] < ENOUGH),
    )  # fmt: skip


def _all(one: Bucket) -> int:
    return one.queued + one.leased + one.done + one.given_up


def headline(plan: Plan) -> dict[str, Any]:
    """Return the figures of a plan that a page shows: shares are of what is known and expected, rates are things a
    second; ``None`` where there is no deadline.
    """
    told, by_deadline = plan.forecast, plan.goal.deadline is not None
    whole = told.everything.things or 1.0
    return {
        "at": plan.at, "deadline": plan.goal.deadline, "left": plan.left if by_deadline else None,
        "share_saved": min(told.now.things / whole, 1.0), "rate": plan.rate,
        "by_deadline": {
            name: {"things": round(one.things), "share": min(one.things / whole, 1.0), "bytes": round(one.bytes)}
            for name, one in (("low", told.low), ("likely", told.likely), ("high", told.high))
        } if by_deadline else None,
        "rate_needed": (whole - told.now.things) / plan.left if by_deadline and plan.left else None,
        "factor_needed": told.factor if by_deadline else None, "machines": told.machines if by_deadline else None,
        "tightest": told.tightest if by_deadline else None,
    }  # fmt: skip
