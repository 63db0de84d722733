"""Several workers on one collection: one that hangs or dies is replaced, and a crawl is what it would have been."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crawler.replicas.run import running
from tests.acceptance.killing import baseline, children, crawl_command
from tests.acceptance.support import archive, doubles, settled, start


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with running("parler", posts=100, latency=25) as replica:
        yield replica, baseline(replica, tmp_path_factory.mktemp("whole") / "c")


@pytest.mark.parametrize("workers", [1, 3])
def test_any_number_of_workers_gets_the_same(site: Any, tmp_path: Path, workers: int) -> None:
    replica, whole = site
    ran = archive(*crawl_command(replica, tmp_path / "c"), "--workers", workers)
    assert ran.code == 0, ran.err
    assert settled(tmp_path / "c") == whole
    assert not {fetch for fetch, count in doubles(tmp_path / "c").items() if count > 1}
    writers = {path.name.split("-")[-2] for path in (tmp_path / "c" / "warcs").glob("*.warc.gz")}
    assert writers - {"probe"} <= {f"w{n + 1}" for n in range(workers)}


@pytest.mark.parametrize(
    ("number", "story"), [(signal.SIGSTOP, "gave no sign of life for"), (signal.SIGKILL, "died (exit -9)")]
)
def test_a_worker_that_hangs_or_dies_is_replaced(site: Any, tmp_path: Path, number: int, story: str) -> None:
    replica, whole = site
    crawl = start(*crawl_command(replica, tmp_path / "c"), "--workers", "2", "--concurrency", "2", "--watchdog", "5s")
    _wait_for(lambda: [*(tmp_path / "c").glob("warcs/*-w1-*")], "the first worker writes nothing")
    os.kill(children(crawl.pid)[0], number)
    assert crawl.wait(timeout=100) == 0
    assert story in (tmp_path / "c" / "logs" / "crawl.log").read_text()
    assert settled(tmp_path / "c") == whole
    assert not {fetch for fetch, count in doubles(tmp_path / "c").items() if count > 1}
    assert archive("verify", tmp_path / "c").code == 0


def _wait_for(found: Callable[[], object], complaint: str) -> None:
    until = time.monotonic() + 60
    while not found():
        assert time.monotonic() < until, complaint
        time.sleep(0.05)
