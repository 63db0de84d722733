"""What a plan for a deadline saves, in twenty seeded worlds without sockets: ``python -m benchmarks.plan``.

Against first come, first served, and against what nobody can exceed who knows the world beforehand: of what can be
planned, and of what only one could save who knows what every unread page leads to (benchmarks/plan_bounds.py). Then:
what the forecast at half time said, and what came. Ends with 1 where a plan saves less than 95 % of what can be planned
or more than 1 % less than first come, first served, where the forecast of half time is more than 10 % off though
nothing died after it, or where what came lies outside of its bounds.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from statistics import quantiles
from typing import TYPE_CHECKING

from benchmarks.plan_bounds import all_knowing, far_seeing
from benchmarks.plan_world import Run, scenario

if TYPE_CHECKING:
    from crawler.plan import Plan

#: What is asked of a plan: of what can be planned, of first come first served, and of a forecast.
LEAST, NEXT_TO, NEAR = 0.95, 0.99, 0.1
#: Parts of which a bound may be missed by rounding.
_ROUNDED = 1e-4


@dataclass(frozen=True, slots=True)
class Outcome:
    seed: int
    layout: str
    seconds: float
    dies: str
    dies_late: bool
    #: Of what can be planned: what was saved, and what first come, first served saves.
    saved: float
    fifo: float
    #: What was saved of what the all-knowing save; 0 where that was not asked for.
    of_all: float
    #: The forecast of half time, of what came: low, likely, high.
    told: tuple[float, float, float]
    misses: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        low, likely, high = self.told
        of_all = f"{self.of_all:>7.1%}" if self.of_all else "      -"
        return (
            f"{self.seed:>4}  {self.layout:<12} {self.seconds:>5.0f} s  {self.dies:<19} {self.saved:>7.1%} "
            f"{self.fifo:>7.1%} {of_all}  {likely:>7.1%}  {low:>5.1%} to {high:.1%}  {', '.join(self.misses)}"
        )


def outcome(seed: int, things: int, knows_all: bool, tells: bool = True) -> Outcome:
    """Return what became of one world."""
    plans: list[Plan] = []
    planned = scenario(seed, things=things)
    planned.tells = tells
    came = Run(planned, plans=True).run(halfway=plans.append)
    fifo = Run(scenario(seed, things=things), plans=False).run()
    world = scenario(seed, things=things)
    bound, told = far_seeing(world), plans[0].forecast
    found = Outcome(
        seed, world.name, world.seconds,
        ", ".join(f"{host} x{part:g} at {when / world.seconds:.0%}" for host, (when, part) in world.deaths.items()),
        any(when > world.seconds / 2 for when, _ in world.deaths.values()), came / bound, fifo / bound,
        came / all_knowing(world) if knows_all else 0.0,
        (told.low.value / came, told.likely.value / came, told.high.value / came),
    )  # fmt: skip
    found.misses.extend(_misses(found))
    return found


def _misses(found: Outcome) -> list[str]:
    low, likely, high = found.told
    said = {
        "under the bound": found.saved < LEAST,
        "under first come, first served": found.saved < NEXT_TO * found.fifo,
        "forecast off": not found.dies_late and abs(likely - 1) > NEAR,
        "outside of its bounds": low > 1 + _ROUNDED or high < 1 - _ROUNDED,
    }
    return [name for name, holds in said.items() if holds]


def _spread(name: str, parts: list[float]) -> str:
    tenth = quantiles(parts, n=10)[0]
    middle = sorted(parts)[len(parts) // 2]
    return f"{name}: least {min(parts):.1%}, a tenth under {tenth:.1%}, half under {middle:.1%}, most {max(parts):.1%}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--things", type=int, default=8_000)
    parser.add_argument("--at-once", type=int, default=1, help="worlds, a process each")
    parser.add_argument("--all-knowing", action="store_true", help="the bound that nobody can reach, too: slow")
    parser.add_argument("--silent", action="store_true", help="no signed URL says when it stops working")
    parser.add_argument("--misses", action="store_true", help="print worlds only where something is missed")
    options = parser.parse_args()
    print("seed  layout          time  dies                of what can be   of all  forecast at half time")
    print("                                                planned    fifo           (of what came)")
    found: list[Outcome] = []
    with ProcessPoolExecutor(options.at_once) as pool:
        seeds = range(options.first, options.first + options.seeds)
        for one in pool.map(
            partial(outcome, things=options.things, knows_all=options.all_knowing, tells=not options.silent), seeds
        ):
            found.append(one)
            if one.misses or not options.misses:
                print(one, flush=True)
    if len(found) > 1:
        print(_spread("Saved of what can be planned", [one.saved for one in found]))
        print(_spread("Saved against first come, first served", [one.saved / one.fifo for one in found]))
        print(_spread("Forecast, nothing died later", [one.told[1] for one in found if not one.dies_late]))
    misses = Counter(miss for one in found for miss in one.misses)
    print(f"{len(found)} worlds; missed: {', '.join(f'{n} {miss}' for miss, n in misses.items()) or 'nothing'}")
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
