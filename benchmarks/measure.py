"""Run one command and measure it with all its children: time, CPU, memory.

python -P benchmarks/measure.py RESULT.json COMMAND...

A process of its own for each measurement, because the CPU of children is summed by the kernel over all that were
ever reaped. Orphans come to this process (PR_SET_CHILD_SUBREAPER), so that a daemon cannot hide what it spent.
SIGTERM is passed on to the command. Needs nothing but the standard library, and Linux.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

#: Seconds between looks at the memory.
EVERY = 0.25
#: Seconds that children may outlive the command.
GRACE = 20.0
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(slots=True)
class Measured:
    """What a command took. Bytes and seconds."""

    exit: int = 0
    wall: float = 0.0
    user: float = 0.0
    system: float = 0.0
    #: Seconds that threads were ready to run and no processor was free, as last seen of each.
    waited: float = 0.0
    #: The largest resident set that any one process ever had.
    peak_rss: int = 0
    #: The largest sum of the proportional sets of all processes; shared pages count once.
    peak_pss: int = 0
    #: Most processes seen at once.
    processes: int = 0
    #: What was still running after the grace.
    left: list[int] = field(default_factory=list)
    #: CPU seconds by process, roughly: as last seen, and so without what a process did in its last moment.
    parts: dict[str, float] = field(default_factory=dict)

    @property
    def cpu(self) -> float:
        return self.user + self.system


class Watch(threading.Thread):
    """Looks at the memory of all our descendants again and again."""

    def __init__(self, measured: Measured) -> None:
        super().__init__(daemon=True)
        self._measured = measured
        self._waits: dict[int, float] = {}
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.wait(EVERY):
            self._look()

    def _look(self) -> None:
        measured = self._measured
        pids = descendants(os.getpid())
        shares = [_kilobytes(pid, "smaps_rollup", "Pss:") for pid in pids]
        peaks = [_kilobytes(pid, "status", "VmHWM:") for pid in pids]
        measured.peak_pss = max(measured.peak_pss, sum(shares))
        measured.peak_rss = max(measured.peak_rss, *peaks, 0)
        measured.processes = max(measured.processes, len(pids))
        for pid in pids:
            with suppress(OSError, IndexError):  # gone meanwhile
                self._waits |= _waits(pid)
                if name := _name(pid):
                    measured.parts[f"{pid} {name}"] = _seconds(pid)
        measured.waited = sum(self._waits.values())


def descendants(pid: int) -> list[int]:
    """Return the processes below ``pid``."""
    found: list[int] = []
    with suppress(OSError):  # gone meanwhile
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *descendants(int(child))]
    return found


def _name(pid: int) -> str:
    """Return what a process was called as, without the paths and options."""
    words = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").split()
    return " ".join(Path(word).name for word in words if not word.startswith("-"))[:60]


def _seconds(pid: int) -> float:
    """Return the CPU seconds of a process, its threads included (proc(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def _waits(pid: int) -> dict[int, float]:
    """Return for each thread the seconds that it waited for a processor (Documentation/scheduler/sched-stats.rst)."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return {int(task.name): int((task / "schedstat").read_text().split()[1]) / 1e9 for task in tasks}


def _kilobytes(pid: int, file: str, label: str) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
            if line.startswith(label):
                return int(line.split()[1]) * 1024
    return 0


def run(command: list[str]) -> Measured:
    """Run a command to its end."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    measured = Measured()
    watch = Watch(measured)
    began = time.monotonic()
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    signal.signal(signal.SIGTERM, lambda *_: child.send_signal(signal.SIGTERM))
    watch.start()
    measured.exit = child.wait()
    measured.wall = time.monotonic() - began
    measured.left = _reap()
    watch.ended.set()
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    measured.user, measured.system = spent.ru_utime, spent.ru_stime
    measured.peak_rss = max(measured.peak_rss, spent.ru_maxrss * 1024)
    return measured


def _reap() -> list[int]:
    """Wait for what the command left behind; end what stays, and return it."""
    until = time.monotonic() + GRACE
    left: list[int] = []
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return left
        if not pid and time.monotonic() > until:
            left += descendants(os.getpid())
            for straggler in descendants(os.getpid()):
                with suppress(ProcessLookupError):
                    os.kill(straggler, signal.SIGKILL)
            until = time.monotonic() + GRACE
        elif not pid:
            time.sleep(0.05)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(asdict(run(sys.argv[2:]))))
