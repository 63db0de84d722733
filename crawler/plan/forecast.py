"""What will be saved by the deadline at the pace of now, between which bounds, and what would change that. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from crawler.plan.estimate import UNSURE
from crawler.plan.policy import drained

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crawler.plan.estimate import More
    from crawler.plan.policy import Heap

#: How far pace and bandwidth may be off in either direction.
_SLOWER, _FASTER = 0.85, 1.2
#: Above this, what is lacking is no speed: the time, or the budget, is used up.
_HOPELESS = 1e5


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """So much of something."""

    things: float = 0.0
    value: float = 0.0
    bytes: float = 0.0

    def plus(self, heaps: Sequence[Heap], counts: Sequence[float]) -> Saved:
        """Return this and so many of each heap."""
        pairs = list(zip(heaps, counts, strict=True))
        return Saved(
            things=self.things + sum(counts), value=self.value + sum(heap.worth * n for heap, n in pairs),
            bytes=self.bytes + sum(heap.size * n for heap, n in pairs),
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """``likely`` comes if all goes on as it is; ``low`` if the host that would bring most is gone this instant, all
    others are slower, nothing more is found and sizes that are guesses are much larger; ``high`` if all are faster, no
    line is full, what is guessed is small and all comes that may be there.
    """

    now: Saved
    low: Saved
    likely: Saved
    high: Saved
    #: All that is known and likely to be found.
    everything: Saved
    #: How many times as fast the tightest host, or the line, must be for everything; what that is.
    factor: float
    tightest: str

    @property
    def is_hopeless(self) -> bool:
        """Say whether no number of machines changes anything: the time, or the budget, is used up."""
        return self.factor > _HOPELESS

    @property
    def machines(self) -> int:
        """Return how many machines, each with an address of its own, that takes."""
        return max(math.ceil(self.factor - 1e-6), 1)


def forecast(
    heaps: Sequence[Heap], now: Saved, more: Mapping[tuple[str, bool], More], *, left: float, capacity: float | None,
    budget: float | None = None,
) -> Forecast:  # fmt: skip
    """Return what comes of the heaps, in their order, within ``left`` seconds and ``capacity`` bytes, of which only a
    ``budget`` is certain: the line may carry more than was seen.
    """
    counts = drained(heaps, left=left, capacity=capacity)
    brought: defaultdict[str, float] = defaultdict(float)
    for heap, n in zip(heaps, counts, strict=True):
        brought[heap.origin] += heap.worth * n
    gone = max(brought, key=lambda origin: brought[origin], default="")
    fewer = [
        replace(heap, more=0.0, seconds=heap.seconds / _SLOWER, size=heap.size * (UNSURE if heap.is_guess else 1))
        for heap in heaps
        if heap.origin != gone
    ]
    others = [
        replace(
            heap,
            more=heap.more * _most(more, heap),
            reach=1.0,
            seconds=(heap.least or heap.seconds) / _FASTER,
            size=heap.size / (UNSURE if heap.is_guess else 1),
            waits="",
        )
        for heap in heaps
    ]
    low_capacity = None if capacity is None else capacity * _SLOWER
    factor, tightest = _tightest(heaps, left, capacity)
    return Forecast(
        now=now, likely=now.plus(heaps, counts),
        low=now.plus(fewer, drained(fewer, left=left, capacity=low_capacity)),
        high=now.plus(others, drained(others, left=left, capacity=budget)),
        everything=now.plus(heaps, [heap.total for heap in heaps]), factor=factor, tightest=tightest,
    )  # fmt: skip


def _most(more: Mapping[tuple[str, bool], More], heap: Heap) -> float:
    one = more.get((heap.lane, heap.in_window))
    return one.high / one.likely if one is not None and one.likely else 1.0


def _tightest(heaps: Sequence[Heap], left: float, capacity: float | None) -> tuple[float, str]:
    busy: defaultdict[str, float] = defaultdict(float)
    for heap in heaps:
        busy[heap.origin] += heap.total * heap.seconds
    found = max(((seconds / max(left, 1e-9), origin) for origin, seconds in busy.items()), default=(0.0, ""))
    if capacity is not None:
        size = sum(heap.total * heap.size for heap in heaps)
        found = max(found, (size / max(capacity, 1.0), "the line or the budget"))
    return found
