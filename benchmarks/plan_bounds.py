"""What no order of fetches can exceed in a world of benchmarks/plan_world.py: two bounds, each a linear program.

Both know from the start all rates, the line, the deadline, all sizes, and to the second which host dies when; neither
fetches from the dead, and a thing needs what leads to it, no later than it. Time is cut where a host dies. In each part
a host answers so many requests and the line carries so many bytes; things are fetched in fractions (a knapsack), wait
for nothing, and never expire. So neither is reached: the first seconds, in which little is known to fetch, and what is
under way at the end are lost to everybody who has to work in time.

``all_knowing`` knows of every page, unread, what that page leads to, and the size of every thing. ``far_seeing`` knows
how many things of every kind and day there are, how large they are on the average and what they lead to on the average,
page by page of the listings, but not which of many alike pages holds the picture: nobody knows that before reading it.
It is the bound of what can be planned.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from scipy.optimize import linprog
from scipy.sparse import coo_array

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from benchmarks.plan_world import Scenario, Thing


@dataclass(slots=True)
class _Kind:
    """Things that are alike: so many, of a mean size and worth; of other kinds so many lead to all of them."""

    host: str
    count: int = 0
    roots: int = 0
    worth: float = 0.0
    size: float = 0.0
    #: Place of a kind that leads to this one → how many of this one all of it lead to.
    parents: Counter[int] = field(default_factory=Counter)


def all_knowing(world: Scenario) -> float:
    """Return the most value of one who knows what every single page leads to."""
    return _most(world, _kinds(world, lambda one, _: id(one)))


def far_seeing(world: Scenario) -> float:
    """Return the most value of one who knows what pages of a kind lead to on the average."""
    return _most(world, _kinds(world, lambda one, deep: (one.lane.name, one.host, one.day, deep)))


def _kinds(world: Scenario, key: Any) -> list[_Kind]:
    places: dict[Hashable, int] = {}
    kinds: list[_Kind] = []
    left: list[tuple[Thing, int, int | None]] = [(root, 0, None) for root in world.roots]
    while left:
        one, deep, parent = left.pop()
        place = places.setdefault(key(one, deep), len(kinds))
        if place == len(kinds):
            kinds.append(_Kind(one.host))
        kind = kinds[place]
        kind.count += 1
        kind.worth += one.worth
        kind.size += one.size
        kind.roots += parent is None
        if parent is not None:
            kind.parents[parent] += 1
        left += [(other, deep + (other.lane is one.lane), place) for other in one.leads]
    return kinds


class _Program:
    """Rows of ``sum of factor * variable <= limit``."""

    def __init__(self) -> None:
        self.limits: list[float] = []
        self._cells: list[tuple[int, int, float]] = []

    def row(self, cells: Sequence[tuple[int, float]], limit: float) -> None:
        self._cells += [(len(self.limits), column, factor) for column, factor in cells]
        self.limits.append(limit)

    def matrix(self, columns: int) -> coo_array:
        rows, places, factors = zip(*self._cells, strict=True)
        return coo_array((factors, (rows, places)), shape=(len(self.limits), columns))


def _most(world: Scenario, kinds: list[_Kind]) -> float:
    cuts = sorted({0.0, world.seconds, *(when for when, _ in world.deaths.values() if when < world.seconds)})
    parts = list(pairwise(cuts))
    program, n = _Program(), len(parts)
    of_host: defaultdict[str, list[int]] = defaultdict(list)
    for place, kind in enumerate(kinds):
        of_host[kind.host].append(place)
    for part, (begin, end) in enumerate(parts):
        for host, places in of_host.items():
            program.row([(place * n + part, 1.0) for place in places], world.rate(host, begin) * (end - begin))
        megabytes = [(place * n + part, kind.size / kind.count / 1e6) for place, kind in enumerate(kinds)]
        program.row(megabytes, world.line * (end - begin) / 1e6)
        for place, kind in enumerate(kinds):
            so_far = range(part + 1)
            named = [
                (parent * n + one, -many / kinds[parent].count)
                for parent, many in kind.parents.items()
                for one in so_far
            ]
            program.row([*((place * n + one, 1.0) for one in so_far), *named], kind.roots)
    worths = [-kind.worth / kind.count for kind in kinds for _ in parts]
    columns = len(worths)
    found = linprog(worths, A_ub=program.matrix(columns).tocsr(), b_ub=program.limits, bounds=(0, None), method="highs")
    if not found.success:
        raise ArithmeticError(found.message)
    return float(-found.fun)
