"""kill -9 a crawl at many random moments and failpoints; print what was lost (nothing) and what was asked again.

python benchmarks/kill.py [--moments 100] [--posts 100] [--seed 1]
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from crawler.replicas.run import running
from tests.acceptance.killing import FAILPOINTS, WHO, baseline, try_moment


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--moments", type=int, default=100)
    parser.add_argument("--posts", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    totals: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as work, running("parler", posts=options.posts) as replica:
        expected = baseline(replica, Path(work) / "whole")
        for number in range(options.moments):
            moment = FAILPOINTS[number] if number < len(FAILPOINTS) else rng.choice(WHO)
            outcome = try_moment(
                replica, Path(work) / str(number), moment, expected, seed=rng.randrange(1 << 30), seconds=6.0
            )
            totals.update(
                moments=1, lost=outcome.lost, changed=outcome.changed, doubled=outcome.doubled, bad=not outcome.is_good
            )
            print(f"{number + 1:4} {moment:26} {'ok' if outcome.is_good else outcome}", flush=True)
    print(dict(totals), f"of {len(expected)} fetches each")
    return 1 if totals["bad"] else 0


if __name__ == "__main__":
    sys.exit(main())
