"""How quickly a collection becomes a dataset: python -P -m benchmarks.dataset mastodon --posts 200000.

WARCs are written directly, exported by the command in a process of its own with one job, and the rows are held against
the replica's truth, field by field. Says posts a second of one core, and the most memory the process took.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.acceptance.support import command, environment
from tests.acceptance.written import SITES, differences, write

if TYPE_CHECKING:
    from collections.abc import Iterator


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("platform", choices=list(SITES))
    options.add_argument("--posts", type=int, default=200_000)
    options.add_argument("--format", default="jsonl")
    options.add_argument("--jobs", type=int, default=1)
    options.add_argument("--no-outlinks", action="store_true", help="write WARCs faster, and smaller than a crawl does")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        root = Path(folder)
        begun = time.monotonic()
        collection, truth = write(given.platform, given.posts, root / "c", outlinks=not given.no_outlinks)
        size = sum(path.stat().st_size for path in collection.sealed_segments())
        print(f"{len(truth.posts):,} posts in {len(collection.sealed_segments())} segments, {size / 1e6:.0f} MB, "
              f"written in {time.monotonic() - begun:.0f} s", flush=True)  # fmt: skip
        wall, cpu, peak = run(
            "export", root / "c", "--format", given.format, "--output", root / "out", "--jobs", given.jobs, "-q"
        )
        print(f"export: {wall:.1f} s, {cpu:.1f} s of CPU, {len(truth.posts) / cpu:,.0f} posts a second and core, "
              f"{peak / 1e6:.0f} MB at most", flush=True)  # fmt: skip
        wall, cpu, _ = run("export", root / "c", "--format", given.format, "--output", root / "out2", "-q")
        print(f"again, with nothing new to read: {wall:.1f} s")
        if given.format == "jsonl":
            wrong = list(differences(rows(root / "out" / "posts.jsonl"), truth))
            print(f"{len(wrong)} differences from the truth", *wrong[:10], sep="\n  ")
            sys.exit(bool(wrong))


def rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open() as file:
        yield from map(json.loads, file)


def run(*arguments: object) -> tuple[float, float, int]:
    """Run a command; return its time, the CPU time of it and its children, and its most memory (bytes)."""
    begun, peak = time.monotonic(), 0
    process = subprocess.Popen(command(*arguments), env=environment(), stdout=subprocess.DEVNULL)
    # Not what wait4 says: there a child begins with the memory of this process, which holds the whole truth.
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        peak = max(peak, _peak(process.pid))
        time.sleep(0.1)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, status
    return time.monotonic() - begun, used.ru_utime + used.ru_stime, peak


def _peak(pid: int) -> int:
    with Path(f"/proc/{pid}/status").open() as file:
        return next((int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM")), 0)


if __name__ == "__main__":
    main()
