"""Crawl a replica, kill it at some moment, resume, and compare with an uninterrupted run.

Used by the acceptance tests and by ``benchmarks/kill.py``. What must hold afterwards: the same fetches are settled in
the same way, no fetch has two settled captures, every segment is valid.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.acceptance.support import archive, doubles, settled, start, to_replica

#: Every place where the code says that a test may kill it, with arrivals at which it is interesting.
FAILPOINTS = [
    "segment.appended:1", "segment.appended:40", "segment.synced:1", "segment.synced:4", "commit.appended:1", "commit.appended:60",
    "frontier.before-commit:1", "frontier.before-commit:5", "frontier.committed:1", "frontier.committed:5", "seal.verified:1",
    "seal.hashed:1", "seal.manifested:1", "seal.indexed:1", "seal.renamed:1", "recover.committed:1",
]  # fmt: skip
WHO = ("supervisor", "worker", "all")


@dataclass
class Outcome:
    moment: str
    lost: int = 0
    changed: int = 0
    doubled: int = 0
    runs: int = 0
    requests: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        return not (self.lost or self.changed or self.doubled or self.problems)


def crawl_command(replica: Any, directory: Path) -> list[str]:
    return ["crawl", "parler.com", "--into", str(directory), "--seal-every", "2s", *to_replica(replica)]


def baseline(replica: Any, directory: Path) -> dict[tuple[str, str], tuple[str, int]]:
    ran = archive(*crawl_command(replica, directory))
    assert ran.code == 0, ran.err
    return settled(directory)


def children(pid: int) -> list[int]:
    """Return the worker processes of a supervisor, and of its nursery."""
    listed = subprocess.run(
        ["ps", "-o", "pid=,comm=,args=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    ).stdout
    found = []
    for line in listed.splitlines():
        child = int(line.split()[0])
        if "crawler.nursery" in line:
            found += children(child)
        elif "crawler.worker" in line:
            found.append(child)
    return found


def _kill(running: subprocess.Popen[bytes], who: str) -> None:
    pids = {"supervisor": [running.pid], "worker": children(running.pid), "all": [*children(running.pid), running.pid]}[
        who
    ]
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def kill_once(command: list[str], moment: str, rng: random.Random, seconds: float) -> None:
    """Start a crawl and kill it once: at a failpoint, or ``who`` after a random time."""
    if ":" in moment:
        running = start(*command, OUTLAST_FAILPOINT=moment)
        try:
            running.wait(timeout=90)
        except subprocess.TimeoutExpired:
            _kill(running, "all")
            running.wait()
        return
    running = start(*command)
    time.sleep(rng.uniform(0.3, seconds))
    _kill(running, moment)
    if moment == "worker":
        time.sleep(rng.uniform(0.2, 1.5))
        _kill(running, "all")
    running.wait()


def try_moment(
    replica: Any,
    directory: Path,
    moment: str,
    expected: dict[tuple[str, str], tuple[str, int]],
    *,
    seed: int,
    seconds: float,
) -> Outcome:
    """Kill a crawl at a moment, resume until it is complete, and say what differs."""
    outcome = Outcome(moment)
    command = crawl_command(replica, directory)
    kill_once(command, moment, random.Random(seed), seconds)
    for _ in range(4):
        outcome.runs += 1
        ran = archive(*command)
        if ran.code == 0:
            break
    else:
        outcome.problems.append(f"exit {ran.code}: {ran.err[-500:]}")
        return outcome
    now = settled(directory)
    outcome.lost = len(expected.keys() - now.keys())
    outcome.changed = sum(1 for key in expected.keys() & now.keys() if expected[key] != now[key]) + len(
        now.keys() - expected.keys()
    )
    outcome.doubled = len(doubles(directory))
    verified = archive("verify", directory)
    if verified.code:
        outcome.problems.append(verified.out[-500:])
    return outcome
