"""A crawl is steered while it runs: orders hold at once, over ``kill -9``, and lose nothing."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crawler.replicas.run import running
from tests.acceptance.killing import baseline, crawl_command
from tests.acceptance.support import archive, settled, start


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with running("parler", posts=60, latency=25) as replica:
        yield replica, baseline(replica, tmp_path_factory.mktemp("whole") / "c")


def test_pause_holds_over_a_kill_and_resume_completes(site: Any, tmp_path: Path) -> None:
    replica, whole = site
    place = tmp_path / "c"
    crawl = start(*crawl_command(replica, place), "--rate", "2")
    _wait(lambda: _captures(place) > 10)
    assert archive("pause", place).code == 0
    _wait(lambda: _is_still(replica))
    assert "paused" in archive("status", place).out
    os.killpg(crawl.pid, signal.SIGKILL)
    crawl.wait()

    crawl = start(*crawl_command(replica, place), "--rate", "500")
    _wait(lambda: (place / "lock").read_text() == str(crawl.pid))
    time.sleep(2)
    assert _is_still(replica)
    assert crawl.poll() is None
    ran = archive("resume", place)
    assert (ran.code, "goes on" in ran.out) == (0, True)
    assert crawl.wait(timeout=100) == 0
    assert settled(place) == whole
    log = (place / "logs" / "crawl.log").read_text()
    assert "order by command: pause" in log
    assert "order by command: resume" in log


def test_pace_scope_and_end_change_while_it_runs(site: Any, tmp_path: Path) -> None:
    replica, whole = site
    place = tmp_path / "c"
    crawl = start(*crawl_command(replica, place), "--workers", "2", "--rate", "2")
    _wait(lambda: _captures(place) > 10)
    hosts = {url.split("/")[2] for _, url in whole}
    limits = [part for host in hosts for part in ("--rate", f"{host}=0.5")]
    assert archive("set", place, *limits, "--exclude", r"//api\.parler\.com/v3/").code == 0
    time.sleep(1)
    before, began = len(replica.ledger()), time.monotonic()
    time.sleep(3)
    rate = (len(replica.ledger()) - before) / (time.monotonic() - began)
    assert rate <= 1.5 * len(hosts)
    told = archive("status", place, "--json").summary["orders"]
    assert set(told["rates"].values()) == {0.5}
    assert archive("stop", place).code == 0
    assert crawl.wait(timeout=30) == 130

    back = [part for host in hosts for part in ("--rate", f"{host}=0")]
    assert archive("set", place, *back).code == 0
    assert archive(*crawl_command(replica, place), "--rate", "500").code == 0
    states = settled(place)
    fetched = {key: value for key, value in states.items() if value[0] != "excluded"}
    assert fetched.items() <= whole.items()
    assert (
        sum("//api.parler.com/v3/" in url for _, url in fetched)
        < sum("//api.parler.com/v3/" in u for _, u in whole) / 2
    )
    assert archive("set", place, "--include", r"//api\.parler\.com/v3/", "--lane", "nonsense=1").code == 2
    assert archive("stop", place).code == 2


def _captures(place: Path) -> int:
    return int(archive("status", place, "--json").summary["captures"]) if (place / "frontier.sqlite").exists() else 0


def _is_still(replica: Any) -> bool:
    before = replica.stats()["exchanges"]
    time.sleep(0.7)
    return bool(replica.stats()["exchanges"] == before)


def _wait(found: Callable[[], bool]) -> None:
    for _ in range(100):
        if found():
            return
        time.sleep(0.1)
    raise AssertionError("it did not come to that")
