"""What goes first: buckets in the order that saves most value by the deadline, and what is not begun. Pure.

A host answers so many requests a second and all hosts together so many bytes; a budget is bytes, too. So each thing
costs seconds of its host and bytes of everybody's. Within a host, value per second decides; bytes have one price for
all, the lowest at which what is still worth its bytes fits (the dual of a knapsack with one shared constraint), and
what is not worth them waits. What leads to others is worth what they are, as far as they would go before what there is.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from math import inf
from typing import TYPE_CHECKING

from crawler.plan.value import URGENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

#: Things of a lane that are settled before what they lead to is believed.
ENOUGH = 5
#: How far what things lead to is looked ahead.
_DEPTH = 4
#: Seconds of work at hand that keep a host busy until the plan is looked at a few times more.
_BUSY = 20.0
#: How likely it is that the site dies before all is over.
_RISK = 0.5
#: A price of a byte above which nothing is worth one, and how often the search for it halves.
_DEAREST, _HALVINGS = 1e6, 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Heap:
    """Things that are alike: what a plan orders. ``count`` is what waits, ``more`` what is expected beside it."""

    lane: str
    origin: str
    in_window: bool = False
    #: Seconds for which its links still work: 0 where nobody knows, less where they do not any more.
    lasts: float = inf
    value: int = 0
    #: The lane's own: of what is worth as much, lanes go in their order.
    order: int = 0
    buckets: tuple[int, ...] = ()
    count: float
    more: float = 0.0
    #: Which part of that will be found, as far as what leads to it is fetched in time.
    reach: float = 1.0
    #: All that is known of it, done or not.
    seen: float = 0.0
    #: Of one thing.
    worth: float
    seconds: float
    size: float
    #: Whether that size is a guess.
    is_guess: bool = False
    #: Seconds of its host if no line were full; 0 for the same.
    least: float = 0.0
    #: Value per second of the host, with what it leads to.
    density: float = 0.0
    #: How many of it are fetched now, and share the line; and why no more are begun.
    in_hand: float = 0.0
    waits: str = ""

    @property
    def expires(self) -> bool:
        """Say whether its links stop working before all is over."""
        return 0 <= self.lasts < inf

    @property
    def total(self) -> float:
        """Return what waits and is expected."""
        return self.count + self.more

    @property
    def reached(self) -> float:
        """Return what waits and will be found in time."""
        return self.count + self.more * self.reach


@dataclass(frozen=True, slots=True)
class Prices:
    """What a second of a host, and a byte, would save elsewhere: nothing where there is enough of it."""

    hosts: Mapping[str, float] = field(default_factory=dict)
    byte: float = 0.0


@dataclass(frozen=True, slots=True)
class Leads:
    """What things lead to: (lane, lane) → how many, and what a thing of a class is like."""

    yields: Mapping[tuple[str, str], float]
    #: Lane → which part of what leading lanes find of it is of the window.
    parts: Mapping[str, float]
    typical: Mapping[tuple[str, bool], Heap]
    leading: frozenset[str] = frozenset()
    #: Lanes of which too little was seen.
    unknown: frozenset[str] = frozenset()

    def kids(self, lane: str, *, in_window: bool) -> Iterator[tuple[Heap, float]]:
        """Yield what one thing leads to, and how many of it."""
        for (parent, child), each in self.yields.items():
            if parent != lane:
                continue
            part = self.parts.get(child, 0.0) if lane in self.leading and in_window else float(in_window)
            for inside, share in ((True, part), (False, 1 - part)):
                if share and (child, inside) in self.typical:
                    yield self.typical[child, inside], each * share


def densities(heaps: Iterable[Heap], leads: Leads, prices: Prices) -> list[Heap]:
    """Return the heaps with their value per second, the best first."""
    found = []
    for heap in heaps:
        worth, seconds = _tree(heap, leads, prices, _DEPTH)
        found.append(replace(heap, density=worth / seconds))
    best = max((heap.density for heap in found), default=0.0)
    found.sort(key=_first)
    for lane in leads.unknown:  # the best of it is tried
        place = next((place for place, heap in enumerate(found) if heap.lane == lane and heap.count), None)
        if place is not None:
            found[place] = replace(found[place], density=max(found[place].density, 1.01 * best))
    return sorted(found, key=_first)


def _tree(heap: Heap, leads: Leads, prices: Prices, depth: int) -> tuple[float, float]:
    """Return worth and seconds of a thing with what it leads to: on other hosts what that is worth more than it costs
    there, on its own as much as makes the two together denser.
    """
    worth, seconds = max(_net(heap, prices.byte), 1e-9), heap.seconds
    kids = []
    for kid, each in leads.kids(heap.lane, in_window=heap.in_window) if depth else ():
        with_its = _tree(kid, leads, prices, depth - 1)
        if kid.origin == heap.origin:
            kids.append((with_its[0] / with_its[1], each, with_its))
        else:
            worth += each * max(with_its[0] - prices.hosts.get(kid.origin, 0.0) * with_its[1], 0.0)
    for density, each, kid_ in sorted(kids, reverse=True, key=lambda one: one[0]):
        if density <= worth / seconds:
            break
        worth, seconds = worth + each * kid_[0], seconds + each * kid_[1]
    return worth, seconds


def prices_of(heaps: Sequence[Heap], fits: Sequence[float], byte: float) -> Prices:
    """Return what a second of each host is worth: as much as the best of what does not fit there, if it is busy now."""
    busy: defaultdict[str, float] = defaultdict(float)
    hosts: dict[str, float] = {}
    for heap, n in zip(heaps, fits, strict=True):
        if not heap.waits:
            busy[heap.origin] += heap.count * heap.seconds
            if heap.reached - n > 0.5:
                hosts[heap.origin] = max(hosts.get(heap.origin, 0.0), _net(heap, byte) / heap.seconds)
    return Prices({origin: price for origin, price in hosts.items() if busy[origin] >= _BUSY}, byte)


def reach(heaps: Sequence[Heap], fits: Sequence[float], leads: Leads) -> dict[tuple[str, bool], float]:
    """Return which part of what is expected of each class will be found when only so much is fetched."""
    there: defaultdict[tuple[str, bool], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for heap, n in zip(heaps, fits, strict=True):
        there[heap.lane, heap.in_window][0] += n
        there[heap.lane, heap.in_window][1] += heap.total
    brought: defaultdict[tuple[str, bool], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for (lane, in_window), (fetched, total) in there.items():
        for kid, each in leads.kids(lane, in_window=in_window):
            if kid.lane != lane:
                brought[kid.lane, kid.in_window][0] += each * fetched
                brought[kid.lane, kid.in_window][1] += each * total
    return {key: min(some / whole, 1.0) for key, (some, whole) in brought.items() if whole}


def price_of_a_byte(heaps: Sequence[Heap], left: float, capacity: float | None) -> float:
    """Return the lowest price at which what is worth its bytes fits into ``capacity`` bytes within ``left`` seconds."""
    if capacity is None or _bytes_at(heaps, left, 0.0) <= capacity:
        return 0.0
    low, high = 0.0, _DEAREST
    for _ in range(_HALVINGS):
        middle = (low * high) ** 0.5 if low else high * 1e-3
        if _bytes_at(heaps, left, middle) > capacity:
            low = middle
        elif middle < 1e-15:
            break
        else:
            high = middle
    return high


def _bytes_at(heaps: Sequence[Heap], left: float, price: float) -> float:
    room: dict[str, float] = {}
    size = 0.0
    for heap in sorted(heaps, key=lambda heap: -_net(heap, price) / heap.seconds):
        if _net(heap, price) > 0:
            free = room.get(heap.origin, left)
            n = min(heap.reached, free / heap.seconds)
            room[heap.origin] = free - n * heap.seconds
            size += n * heap.size
    return size


def _net(heap: Heap, price: float) -> float:
    return heap.worth - price * heap.size


def arranged(
    heaps: Sequence[Heap], *, left: float, capacity: float | None, bandwidth: float | None, price: float = 0.0
) -> list[Heap]:
    """Return the heaps in the order in which they go, those that are not begun with the reason why."""
    found = sorted((replace(heap, waits=_waits(heap, price, left, bandwidth)) for heap in heaps), key=_first)
    fits = drained(found, left=left, capacity=capacity)
    found = sorted(_hurried(found, fits, left), key=_first)
    at_hand = [place for place, heap in enumerate(found) if heap.count]
    if at_hand and all(found[place].waits for place in at_hand):
        # What is worth more is not there yet, and may never be: bytes that nobody uses save nothing.
        found[at_hand[0]] = replace(found[at_hand[0]], waits="")
    return found


def _hurried(heaps: Sequence[Heap], fits: Sequence[float], left: float) -> list[Heap]:
    """Return the heaps, denser those that expire before their turn and would go at all, if a second of them saves more
    than the site's death, as likely as not before all is over, would take of what waits for them meanwhile.
    """
    busy, ahead = defaultdict[str, float](float), defaultdict[str, float](float)
    found = []
    for heap, n in zip(heaps, fits, strict=True):
        is_late = heap.expires and busy[heap.origin] + heap.count * heap.seconds > heap.lasts
        is_worth_it = n >= min(heap.reached, 1.0) and heap.density * left >= _RISK * ahead[heap.origin]
        busy[heap.origin] += n * heap.seconds
        ahead[heap.origin] += n * heap.seconds * heap.density
        found.append(replace(heap, density=heap.density * URGENT) if is_late and is_worth_it else heap)
    return found


def _first(heap: Heap) -> tuple[float, int, float, float]:
    return (-round(heap.density, 9), heap.order, heap.lasts, heap.seconds)


def _waits(heap: Heap, price: float, left: float, bandwidth: float | None) -> str:
    if heap.lasts < 0:
        return "its links have expired"
    alone = heap.size * max(heap.in_hand, 1.0) / bandwidth if bandwidth else 0.0
    if alone > left:
        return f"one takes {alone:.0f} s and {left:.0f} s are left"
    if price and _net(heap, price) <= 0:
        return "its bytes save more elsewhere"
    return ""


def drained(heaps: Sequence[Heap], *, left: float, capacity: float | None) -> list[float]:
    """Return how many of each heap are fetched in their order within ``left`` seconds and ``capacity`` bytes."""
    room: dict[str, float] = {}
    found = []
    for heap in heaps:
        free = room.get(heap.origin, left)
        n = 0.0 if heap.waits else min(heap.reached, free / heap.seconds)
        if capacity is not None and heap.size:
            n = min(n, capacity / heap.size)
            capacity -= n * heap.size
        room[heap.origin] = free - n * heap.seconds
        found.append(n)
    return found
