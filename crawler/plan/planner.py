"""The planner: looks at a frontier's small tables every few seconds, and says in which order buckets go, and why."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from math import inf
from typing import TYPE_CHECKING, Any

from crawler.model import SegmentClass
from crawler.plan.estimate import Expected, Learned, More, expected
from crawler.plan.expiry import EXPIRING, lasts
from crawler.plan.forecast import Forecast, Saved, forecast
from crawler.plan.policy import (
    ENOUGH,
    Heap,
    Leads,
    Prices,
    arranged,
    densities,
    drained,
    price_of_a_byte,
    prices_of,
    reach,
)  # fmt: skip
from crawler.plan.value import LEADING, worth
from crawler.plan.window import Parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from crawler.frontier.interface import Bucket
    from crawler.model import Lane
    from crawler.plan.estimate import Class
    from crawler.plan.share import Share
    from crawler.plan.value import Window

#: Without a deadline there is this much time.
FOREVER = 1e9
#: Things a second of a host of which nothing is known yet.
FIRST_PACE = 1.0
#: Of what is leased, at most so many are really on the line: workers lease ahead.
MOST_AT_ONCE = 16
#: What an order by hand does to a lane's density.
_BY_HAND = 1e9
#: Lane, origin, whether it is of the window, value class, and the seconds for which links work.
_Alike = tuple[str, str, bool, int, float]
#: Rounds in which it is settled what is found in time.
_ROUNDS = 3


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
    #: What is expected is the least there is: more is still found than fetched.
    is_growing: bool = False

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
        self._leading = frozenset(name for name, lane in self._lanes.items() if lane.order <= LEADING)
        self._parts = Parts(goal.windows, _all, self._leading)
        self._prices = Prices()

    def look(
        self, now: float, buckets: Sequence[Bucket], led: Mapping[tuple[str, str], int], *,
        share: float | None = None, by_hand: Mapping[str, int] | None = None,
    ) -> Plan:  # fmt: skip
        """Plan anew. ``share`` is the part of its things that the platform's counters call known; ``by_hand`` is the
        order that a person gave lanes.
        """
        buckets = [one for one in buckets if one.lane in self._lanes]
        self.learned.note(now, buckets)
        self._parts.note(buckets, led)
        left = max((self.goal.deadline or now + FOREVER) - now, 0.0)
        known = self._known(buckets)
        found = expected(known, led, self._parts.likely, self._parts.lately, leading=self._leading, share=share)
        heaps = self._heaps(buckets, found.more, lambda value: lasts(value, now, left))
        leads = self._leads(heaps, known, found)
        heaps = densities(heaps, leads, self._prices)
        heaps = [replace(heap, density=heap.density * self._nudge(heap.lane, by_hand or {})) for heap in heaps]
        budget = max(float(self.goal.budget - sum(one.bytes for one in buckets)), 0.0) if self.goal.budget else None
        capacity = self._capacity(budget, left)
        for _ in range(_ROUNDS):
            byte = price_of_a_byte(heaps, left, capacity)
            placed = arranged(heaps, left=left, capacity=capacity, bandwidth=self.learned.bandwidth, price=byte)
            fits = drained(placed, left=left, capacity=capacity)
            parts = reach(placed, fits, leads)
            heaps = [replace(heap, reach=parts.get((heap.lane, heap.in_window), 1.0)) for heap in heaps]
        self._prices = prices_of(placed, fits, byte)
        return Plan(
            at=now, goal=self.goal, heaps=tuple(placed), fits=tuple(fits),
            forecast=forecast(placed, self._saved(buckets), found.more, left=left, capacity=capacity, budget=budget),
            places={one: (place, bool(heap.waits)) for place, heap in enumerate(placed, 1) for one in heap.buckets},
            is_growing=found.is_growing,
            rate=sum(self.learned.recent(origin) or 0.0 for origin in {one.origin for one in buckets if one.queued}),
        )  # fmt: skip

    def _capacity(self, budget: float | None, left: float) -> float | None:
        line = self.learned.bandwidth * left if self.learned.bandwidth and left < FOREVER else None
        return min((limit for limit in (budget, line) if limit is not None), default=None)

    def _heaps(
        self, buckets: Sequence[Bucket], more: Mapping[Class, More], lasting: Callable[[int], float]
    ) -> list[Heap]:  # fmt: skip
        alike: defaultdict[_Alike, list[Bucket]] = defaultdict(list)
        homes: defaultdict[str, Counter[str]] = defaultdict(Counter)
        totals: Counter[Class] = Counter()
        growing: Counter[_Alike] = Counter()
        for one in buckets:
            in_window = self._parts.is_wanted(one.lane, one.day)
            kind, lasts = (one.lane, one.origin, in_window, one.value % EXPIRING), lasting(one.value)
            alike[*kind, lasts].append(one)
            # What is yet to be found ends later than what is known.
            growing[*kind, lasts if lasts == 0 else inf] += _all(one)
            homes[one.lane][one.origin] += _all(one)
            totals[one.lane, in_window] += _all(one)
        found = [
            self._heap(
                key, alike.get(key, ()),
                growing[key] * more.get((key[0], key[2]), More()).likely / max(totals[key[0], key[2]], 1),
            )
            for key in {**alike, **growing}
        ]  # fmt: skip
        for (lane, in_window), some in more.items():
            if lane in homes and not totals[lane, in_window]:
                nowhere = (lane, homes[lane].most_common(1)[0][0], in_window, 0, inf)
                found.append(replace(self._heap(nowhere, (), 0.0), more=some.likely))
        return found

    def _heap(self, key: _Alike, some: Sequence[Bucket], more: float) -> Heap:
        """Return what is alike as one; ``more`` of it are expected."""
        name, origin, in_window, value, lasting = key
        lane = self._lanes[name]
        size = self.learned.size(lane, origin)
        pace = self.learned.able(origin) or FIRST_PACE
        seen = sum(map(_all, some))
        return Heap(
            lane=name, origin=origin, in_window=in_window, lasts=lasting, value=value, order=lane.order,
            buckets=tuple(one.id for one in some), count=sum(one.queued + one.leased for one in some), more=more,
            seen=seen, in_hand=min(sum(one.leased for one in some), MOST_AT_ONCE),
            worth=worth(lane, value, in_window=in_window), size=size, is_guess=self.learned.is_guess(lane),
            seconds=self.learned.seconds(pace, size), least=1 / pace,
        )  # fmt: skip

    def _leads(
        self, heaps: Sequence[Heap], known: Mapping[Class, tuple[int, int]], found: Expected
    ) -> Leads:  # fmt: skip
        typical: dict[Class, Heap] = {}
        for heap in sorted(heaps, key=lambda heap: heap.seen):  # the last one, of most things, stays
            typical[heap.lane, heap.in_window] = heap
        settled: Counter[str] = Counter()
        for (lane, _), (_, n) in known.items():
            settled[lane] += n
        return Leads(
            yields=found.yields, parts=found.parts, typical=typical, leading=self._leading,
            unknown=frozenset(
                name for name, lane in self._lanes.items()
                if lane.segment_class is SegmentClass.TEXT and settled[name] < ENOUGH
            ),
        )  # fmt: skip

    def _known(self, buckets: Iterable[Bucket]) -> dict[Class, tuple[int, int]]:
        known: defaultdict[Class, list[int]] = defaultdict(lambda: [0, 0])
        for one in buckets:
            count = known[one.lane, self._parts.is_wanted(one.lane, one.day)]
            count[0] += one.queued + one.leased
            count[1] += one.done + one.given_up
        return {key: (waiting, settled) for key, (waiting, settled) in known.items()}

    def _saved(self, buckets: Sequence[Bucket]) -> Saved:
        return Saved(
            things=sum(one.done for one in buckets), bytes=sum(one.bytes for one in buckets),
            value=sum(
                one.done * worth(self._lanes[one.lane], one.value, in_window=self._parts.is_wanted(one.lane, one.day))
                for one in buckets
            ),
        )  # fmt: skip

    def _nudge(self, lane: str, by_hand: Mapping[str, int]) -> float:
        if lane not in by_hand or by_hand[lane] == self._lanes[lane].order:
            return 1.0
        return _BY_HAND if by_hand[lane] < self._lanes[lane].order else 1 / _BY_HAND


def _all(one: Bucket) -> int:
    return one.queued + one.leased + one.done + one.given_up


def headline(plan: Plan, share: Share) -> dict[str, Any]:
    """Return the figures of a plan that a page shows: shares are of what is known and expected, rates are things a
    second; ``None`` where there is no deadline, and for a share of nothing.
    """
    told, by_deadline = plan.forecast, plan.goal.deadline is not None
    helps = by_deadline and not told.is_hopeless
    return {
        "at": plan.at, "deadline": plan.goal.deadline, "left": plan.left if by_deadline else None,
        "is_growing": plan.is_growing,
        "share_saved": share.saved, "known": share.known, "expected": share.expected, "rate": plan.rate,
        "by_deadline": {
            name: {
                "things": round(one.things), "share": share.with_more(one.things - told.now.things),
                "bytes": round(one.bytes),
            }
            for name, one in (("low", told.low), ("likely", told.likely), ("high", told.high))
        } if by_deadline else None,
        "rate_needed": (share.waiting + share.expected) / plan.left if by_deadline and plan.left else None,
        "factor_needed": told.factor if helps else None, "machines": told.machines if helps else None,
        "tightest": told.tightest if by_deadline else None,
    }  # fmt: skip
