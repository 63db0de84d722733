"""What a plan for a deadline saves, in twenty seeded worlds without sockets: ``python -m benchmarks.plan``.

Against first come, first served, and against what nobody can exceed (benchmarks/plan_world.py). Then: what the forecast
at half time said, and what came. Ends with 1 where the plan saves more than 1 % less than first come, first served.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

from benchmarks.plan_world import Run, best, scenario

if TYPE_CHECKING:
    from crawler.plan import Plan


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--things", type=int, default=20_000)
    options = parser.parse_args()
    worse = 0
    print("seed  layout        time    dies              of best  fifo   forecast at half time (of what came)")
    for seed in range(options.first, options.first + options.seeds):
        began = time.monotonic()
        plans: list[Plan] = []
        planned = Run(scenario(seed, things=options.things), plans=True).run(halfway=plans.append)
        fifo = Run(scenario(seed, things=options.things), plans=False).run()
        world = scenario(seed, things=options.things)
        bound = best(world)
        told = plans[0].forecast
        late = [when for when, _ in world.deaths.values() if when > world.seconds / 2]
        dies = ", ".join(
            f"{host} x{part:g} at {when / world.seconds:.0%}" for host, (when, part) in world.deaths.items()
        )
        covers = told.low.value <= planned * 1.0001 and planned <= told.high.value * 1.0001
        worse += planned < 0.99 * fifo
        print(
            f"{seed:>4}  {world.name:<12} {world.seconds:>6.0f} s  {dies:<17} "
            f"{planned / bound:>6.1%} {fifo / bound:>6.1%}  "
            f"{told.likely.value / planned:>6.1%}  {told.low.value / planned:.0%} to {told.high.value / planned:.0%}"
            f"{'' if covers else '  NOT COVERED'}"
            f"{'  (dies later)' if late else ''}  [{time.monotonic() - began:.1f} s]",
            flush=True,
        )
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
