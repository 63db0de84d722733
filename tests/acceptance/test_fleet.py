"""Three machines on one crawl: one is killed, one is cut off for longer than its lease and returns, one comes late."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from crawler.frontier.postgres.reader import PostgresReader
from tests.acceptance.limited import LimitedSite, Seen
from tests.acceptance.support import archive, held, start
from tests.conformance.frontier import database

RATE, LEASE, PAGES = 20, 4, 400
#: Requests of a second beyond the rate: starts that came late may catch up a tenth of a second, and each machine that
#: begins asks whether the site is there.
MORE = 2 + 3


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def most_in_a_second(log: list[Seen]) -> int:
    times = sorted(seen.at for seen in log)
    return max(sum(first <= at < first + 1 for at in times) for first in times)


def captures(root: Path) -> list[tuple[str, str]]:
    """Return URL and segment of each settled capture of a page."""
    return [
        (one.url, one.segment)
        for one in held(root)
        if one.response_type and "-attempts." not in one.segment and "probe-" not in one.segment
    ]


def test_a_fleet_gets_all_of_it_once_at_the_pace_of_one(tmp_path: Path) -> None:
    with LimitedSite(PAGES, rate=10_000, wait=1) as site, database.server() as server:
        address = database.schema(server)

        def crawl(name: str) -> list[object]:
            return [
                "crawl", f"127.0.0.1:{site.port}", "--into", tmp_path / name, "--workers", 1, "--rate", RATE,
                "--frontier", address, "--lease", f"{LEASE}s",
            ]  # fmt: skip

        def go(name: str) -> subprocess.Popen[bytes]:
            return start(*crawl(name))

        killed, stopped = go("killed"), go("stopped")
        until(
            lambda: (
                len(site.log) > 60
                and all(
                    list((tmp_path / n / "warcs").glob("*-captures*")) or list((tmp_path / n / "warcs").glob("*-w1-*"))
                    for n in ("killed", "stopped")
                )
            )
        )
        os.killpg(killed.pid, signal.SIGKILL)
        killed.wait()
        late = go("late")
        seen = len(site.log)
        until(lambda: len(site.log) > seen + 60)
        os.killpg(stopped.pid, signal.SIGSTOP)
        time.sleep(2 * LEASE)
        assert len(site.log) < PAGES
        os.killpg(stopped.pid, signal.SIGCONT)
        assert (stopped.wait(90), late.wait(90)) == (0, 0)
        again = archive(*crawl("killed"), "--json")
        assert again.code == 0, again.err
        reader = PostgresReader(address)
        surplus, stats = {(url, segment) for url, segment, *_ in reader.surplus()}, reader.stats()
        reader.close()
    names = ["killed", "stopped", "late"]
    found = [one for name in names for one in captures(tmp_path / name)]
    pages = {f"http://127.0.0.1:{site.port}/{n}" for n in range(1, PAGES)}
    assert pages <= {url for url, _ in found}
    assert stats.done == len({url for url, _ in found})
    twice = {url for url, n in Counter(url for url, _ in found).items() if n > 1}
    assert twice == {url for url, _ in surplus}
    assert all({segment for _, segment in captures(tmp_path / name)} for name in names), "each had a part in it"
    assert most_in_a_second(site.log) <= RATE + MORE
    merged = archive("merge", tmp_path / "all", *(tmp_path / name for name in names), "--json")
    assert merged.code == 0, merged.err
    assert archive("verify", tmp_path / "all").code == 0
