"""Crawl a site that allows 25 requests a second with two workers; print how well it was obeyed and how much was got.

python benchmarks/politeness.py [--rate 25] [--wait 2] [--pages 1500] [--workers 2]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.acceptance.limited import LimitedSite, Seen
from tests.acceptance.support import archive


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rate", type=int, default=25)
    parser.add_argument("--wait", type=int, default=2)
    parser.add_argument("--pages", type=int, default=1500)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as work,
        LimitedSite(options.pages, rate=options.rate, wait=options.wait) as site,
    ):
        ran = archive(
            "crawl", f"127.0.0.1:{site.port}", "--into", f"{work}/c", "--workers", options.workers, timeout=3600
        )
    got = {seen.path for seen in site.log if seen.status == 200}
    print(f"exit {ran.code}; {len(got)} of {options.pages} pages; statuses {dict(Counter(s.status for s in site.log))}")
    late = latenesses(site.log, options.wait)
    print(
        f"requests seen while told to wait: {len(late)}; "
        f"the latest {max(late, default=0) * 1000:.0f} ms after the first 429"
    )
    for share in (1.0, 0.5):
        print(f"rate over the last {share:.0%} of the crawl: {rate(site.log, share):.1f} answers a second")
    return 0 if len(got) == options.pages else 1


def latenesses(log: list[Seen], wait: int) -> list[float]:
    """Return, for each request answered during a wait, how many seconds after the 429 that began it."""
    found, first, until = [], 0.0, 0.0
    for seen in log:
        if first < seen.at < until - 0.02:
            found.append(seen.at - first)
        if seen.status == 429:
            first = seen.at if seen.at >= until else first
            until = max(until, seen.at + wait)
    return found


def rate(log: list[Seen], share: float) -> float:
    """Return the good answers a second over the last part of a crawl."""
    begin = log[-1].at - (log[-1].at - log[0].at) * share
    good = [seen for seen in log if seen.status == 200 and seen.at >= begin]
    return len(good) / (log[-1].at - begin)


if __name__ == "__main__":
    sys.exit(main())
