"""What goes first: buckets in the order that saves most value by the deadline, and what is not begun. Pure.

A host answers so many requests a second and all hosts together so many bytes; a budget is bytes, too. So each thing
costs seconds of its host and bytes of everybody's. Within a host, value per second decides; bytes have one price for
all, the lowest at which what is still worth its bytes fits (the dual of a knapsack with one shared constraint), and
what is not worth them waits. What leads to others is worth what they are, as far as they would go before what there is.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from crawler.plan.value import URGENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

#: Things of a lane that are settled before what they lead to is believed.
ENOUGH = 5
#: How far what things lead to is looked ahead.
_DEPTH = 4
#: A price of a byte above which nothing is worth one, and how often the search for it halves.
_DEAREST, _HALVINGS = 1e6, 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Heap:
    """Things that are alike: what a plan orders. ``count`` is what waits, ``more`` what is expected beside it."""

    lane: str
    origin: str
    in_window: bool = False
    expires: bool = False
    value: int = 0
    buckets: tuple[int, ...] = ()
    count: float
    more: float = 0.0
    #: All that is known of it, done or not.
    seen: float = 0.0
    #: Of one thing.
    worth: float
    seconds: float
    size: float
    #: Value per second of the host, with what it leads to.
    density: float = 0.0
    #: How many of it are fetched now, and share the line; and why no more are begun.
    in_hand: float = 0.0
    waits: str = ""

    @property
    def total(self) -> float:
        return self.count + self.more


@dataclass(frozen=True, slots=True)
class Leads:
    """What one thing of a lane leads to: lane → how many, and what a thing of a lane is worth and costs."""

    yields: Mapping[str, Mapping[str, float]]
    #: lane → (worth, seconds) of one, over all its heaps.
    typical: Mapping[str, tuple[float, float]]
    #: Lanes of which too little was seen.
    unknown: frozenset[str] = field(default_factory=frozenset)


def densities(heaps: Iterable[Heap], leads: Leads) -> list[Heap]:
    """Return the heaps with their value per second, the best first."""
    found = []
    for heap in heaps:
        worth, seconds = _tree(heap.lane, heap.worth, heap.seconds, leads, _DEPTH)
        urgent = URGENT if heap.expires else 1.0
        found.append(replace(heap, density=urgent * worth / seconds))
    best = max((heap.density for heap in found), default=0.0)
    found = [
        replace(heap, density=max(heap.density, 1.01 * best)) if heap.lane in leads.unknown else heap for heap in found
    ]
    return sorted(found, key=lambda heap: (-heap.density, heap.seconds))


def _tree(lane: str, worth: float, seconds: float, leads: Leads, depth: int) -> tuple[float, float]:
    """Return worth and seconds of a thing with as much of what it leads to as makes the two together denser."""
    kids = []
    for child, each in leads.yields.get(lane, {}).items() if depth else ():
        if child in leads.typical:
            kid = _tree(child, *leads.typical[child], leads, depth - 1)
            kids.append((kid[0] / kid[1], each, kid))
    for density, each, kid in sorted(kids, reverse=True, key=lambda one: one[0]):
        if density <= worth / seconds:
            break
        worth, seconds = worth + each * kid[0], seconds + each * kid[1]
    return worth, seconds


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
            n = min(heap.total, free / heap.seconds)
            room[heap.origin] = free - n * heap.seconds
            size += n * heap.size
    return size


def _net(heap: Heap, price: float) -> float:
    return heap.worth - price * heap.size


def arranged(heaps: Sequence[Heap], *, left: float, capacity: float | None, bandwidth: float | None) -> list[Heap]:
    """Return the heaps in the order in which they go, those that are not begun with the reason why."""
    price = price_of_a_byte(heaps, left, capacity)
    found = sorted(
        (_placed(heap, price, left, bandwidth) for heap in heaps), key=lambda heap: (-heap.density, heap.seconds)
    )
    at_hand = [place for place, heap in enumerate(found) if heap.count]
    if at_hand and all(found[place].waits for place in at_hand):
        # What is worth more is not there yet, and may never be: bytes that nobody uses save nothing.
        found[at_hand[0]] = replace(found[at_hand[0]], waits="")
    return found


def _placed(heap: Heap, price: float, left: float, bandwidth: float | None) -> Heap:
    net = _net(heap, price)
    alone = heap.size * max(heap.in_hand, 1.0) / bandwidth if bandwidth else 0.0
    waits = ""
    if alone > left:
        waits = f"one takes {alone:.0f} s and {left:.0f} s are left"
    elif price and net <= 0 and not heap.expires:
        waits = "its bytes save more elsewhere"
    return replace(heap, waits=waits, density=heap.density * max(net / heap.worth, 1e-9) if price else heap.density)


def drained(heaps: Sequence[Heap], *, left: float, capacity: float | None) -> list[float]:
    """Return how many of each heap are fetched in their order within ``left`` seconds and ``capacity`` bytes."""
    room: dict[str, float] = {}
    found = []
    for heap in heaps:
        free = room.get(heap.origin, left)
        n = 0.0 if heap.waits else min(heap.total, free / heap.seconds)
        if capacity is not None and heap.size:
            n = min(n, capacity / heap.size)
            capacity -= n * heap.size
        room[heap.origin] = free - n * heap.seconds
        found.append(n)
    return found
