"""What the ledger of coverage shows when it is read: holes in id spaces that are otherwise dense. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Part of a span of numbers that must be known before what lies between counts as holes.
DENSE = 0.5
#: Numbers that a space needs before it is called dense, and runs of holes that are kept, longest first.
ENOUGH, MOST = 20, 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Holes:
    """Numbers that nothing known carries, between the lowest and the highest that something does."""

    first: int
    last: int
    known: int
    #: (first, last) of each run of holes, in order; of very many the longest.
    runs: tuple[tuple[int, int], ...]

    @property
    def missing(self) -> int:
        """Return how many numbers are holes."""
        return self.last - self.first + 1 - self.known


def holes(numbers: Iterable[int]) -> Holes | None:
    """Return the holes in a space of ids, given those known in ascending order; None where it is not dense."""
    first = last = None
    known = 0
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if number == last:
            continue
        if last is not None and number > last + 1:
            runs.append((last + 1, number - 1))
            if len(runs) > 2 * MOST:
                runs = _longest(runs)
        first = number if first is None else first
        last = number
        known += 1
    if first is None or last is None or known < ENOUGH or known < DENSE * (last - first + 1):
        return None
    return Holes(first=first, last=last, known=known, runs=tuple(sorted(_longest(runs))))


def _longest(runs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return sorted(runs, key=lambda run: run[0] - run[1])[:MOST]


def coverage_facts(coverage: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    """Return kind → known, captured, missing and whatever else there is, for programs; ``known`` is the total."""
    return {
        kind: {
            "captured": 0,
            "missing": 0,
            **{("queued" if standing == "known" else standing): n for standing, n in counts.items()},
            "known": sum(n for standing, n in counts.items() if standing != "vacant"),
        }
        for kind, counts in coverage.items()
    }
