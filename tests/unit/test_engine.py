"""One function over many tasks: in the order of the tasks, wherever they are done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from crawler import engine
from crawler.errors import Damaged, UsageError

#: Begins processes that never end, and says which.
ENDLESS = """
import sys
from pathlib import Path
from crawler import engine
from tests.unit.test_engine import endless
if __name__ == "__main__":
    list(engine.run(endless, [Path(sys.argv[1])] * 2, Path(sys.argv[1]), jobs=2))
"""


def write(task: int, out: Path) -> str:
    if task < 0:
        raise Damaged(f"{task}")
    time.sleep(0.05 if task == 0 else 0)
    out.write_text(str(task) * 1000)
    return f"did {task}"


def endless(task: Path, out: Path) -> None:
    (task / f"pid-{os.getpid()}").touch()
    time.sleep(600)


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_come_in_the_order_of_the_tasks_and_leave_nothing(tmp_path: Path, jobs: int) -> None:
    found = []
    for task, path, answer in engine.run(write, iter(range(20)), tmp_path, jobs=jobs):
        assert path.read_text() == str(task) * 1000
        found.append(answer)
        assert len(list(tmp_path.iterdir())) <= 8
    assert found == [f"did {n}" for n in range(20)]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_a_task_raises_is_raised(tmp_path: Path, jobs: int) -> None:
    found = engine.run(write, [1, -1, 2], tmp_path, jobs=jobs)
    assert next(found)[2] == "did 1"
    with pytest.raises(Damaged, match="-1"):
        next(found)


def test_what_is_no_engine_is_said(tmp_path: Path) -> None:
    for address in ("8786", "tcp://127.0.0.1", "inproc://127.0.0.1/1/1", "tcp://h:x"):
        with pytest.raises(UsageError):
            list(engine.run(write, [1], tmp_path, engine=address))


def test_processes_end_with_who_began_them_however_that_ended(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(ENDLESS)
    root = Path(__file__).parent.parent.parent
    place = tmp_path / "place"
    place.mkdir()
    with subprocess.Popen([sys.executable, script, place], env={**os.environ, "PYTHONPATH": str(root)}) as parent:
        until(lambda: len(list(place.glob("pid-*"))) == 2)
        parent.send_signal(signal.SIGKILL)
    pids = [int(path.name.removeprefix("pid-")) for path in place.glob("pid-*")]
    until(lambda: not any(is_there(pid) for pid in pids))


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)
