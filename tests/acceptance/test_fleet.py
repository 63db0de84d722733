"""Three machines on one crawl: one is killed, one is cut off for longer than its lease and returns, one comes late."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from crawler.collection import Collection
from crawler.frontier.engines import to_read
from tests.acceptance.limited import LimitedSite, Seen
from tests.acceptance.support import archive, command, environment, held
from tests.conformance.frontier import database

RATE, LEASE, PAGES = 20, 4, 400
NAMES = ("killed", "cut", "late")
SECRET = "not-for-strangers-5b1f"
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


class Fleet:
    """Machines on this one: each a directory, and what its processes run in."""

    def __init__(self, root: Path, site: LimitedSite, address: str, password: str = "") -> None:
        self.root = root
        self.site = site
        self.address = address
        self.password = password
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def crawl(self, name: str) -> list[object]:
        return [
            "crawl", f"http://{self.site.host}:{self.site.port}/", "--into", self.root / name, "--workers", 1, "--rate", RATE,
            "--frontier", self.address, "--lease", f"{LEASE}s", "--allow-private", "10.0.0.0/8",
        ]  # fmt: skip

    def go(self, name: str, log: IO[bytes] | int = subprocess.DEVNULL) -> None:
        self.running[name] = subprocess.Popen(
            [*self.within(name), *command(*self.crawl(name))], stdout=log, stderr=log,
            env=environment(PGPASSWORD=self.password), start_new_session=True,
        )  # fmt: skip

    def kill(self, name: str) -> None:
        os.killpg(self.running[name].pid, signal.SIGKILL)
        self.running[name].wait()

    def within(self, name: str) -> list[str]:
        return []

    def cut(self, name: str) -> None:
        os.killpg(self.running[name].pid, signal.SIGSTOP)

    def mend(self, name: str) -> None:
        os.killpg(self.running[name].pid, signal.SIGCONT)

    def has_begun(self, name: str) -> bool:
        return any("-w1-" in path.name for path in (self.root / name / "warcs").glob("*"))


class Namespaces(Fleet):
    """Each machine in a network of its own, on one bridge. Needs root, and fails where it is not."""

    def within(self, name: str) -> list[str]:
        return ["ip", "netns", "exec", f"ol-{name}"]

    def cut(self, name: str) -> None:
        ip("link", "set", f"ol-{name}", "down")

    def mend(self, name: str) -> None:
        ip("link", "set", f"ol-{name}", "up")


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@contextmanager
def bridged(names: tuple[str, ...]) -> Iterator[str]:
    """Make a network namespace for each name, and a bridge between them; yield this machine's address on it."""
    try:
        ip("link", "add", "ol-bridge", "address", "02:00:00:00:77:01", "type", "bridge")
        ip("address", "add", "10.77.0.1/24", "dev", "ol-bridge")
        ip("link", "set", "ol-bridge", "up")
        for number, name in enumerate(names, 2):
            ip("netns", "add", f"ol-{name}")
            ip("link", "add", f"ol-{name}", "type", "veth", "peer", "name", "eth0", "netns", f"ol-{name}")
            ip("link", "set", f"ol-{name}", "master", "ol-bridge", "up")
            for device in ("lo", "eth0"):
                ip("-n", f"ol-{name}", "link", "set", device, "up")
            ip("-n", f"ol-{name}", "address", "add", f"10.77.0.{number}/24", "dev", "eth0")
        yield "10.77.0.1"
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", f"ol-{name}"], check=False)
        subprocess.run(["ip", "link", "del", "ol-bridge"], check=False)


def rescue(fleet: Fleet) -> None:
    """Crawl with all that happens to the machines, and look at what they have."""
    site, root = fleet.site, fleet.root
    fleet.go("killed")
    fleet.go("cut")
    until(lambda: len(site.log) > 60 and fleet.has_begun("killed") and fleet.has_begun("cut"))
    fleet.kill("killed")
    fleet.go("late")
    seen = len(site.log)
    until(lambda: len(site.log) > seen + 60)
    fleet.cut("cut")
    time.sleep(2 * LEASE)
    assert len({one.path for one in site.log}) < PAGES, "the machine that is cut off returns too late"
    fleet.mend("cut")
    assert (fleet.running["cut"].wait(90), fleet.running["late"].wait(90)) == (0, 0)
    fleet.go("killed")
    assert fleet.running["killed"].wait(60) == 0
    said = archive("status", root / "late", "--json", PGPASSWORD=fleet.password)
    reader = to_read(Collection.open(root / "late"))
    surplus, stats = reader.surplus(), reader.stats()
    reader.close()
    found = [one for name in NAMES for one in captures(root / name)]
    pages = {f"http://{site.host}:{site.port}/{n}" for n in range(1, PAGES)}
    assert pages <= {url for url, _ in found}
    assert said.summary["done"] == stats.done == len({url for url, _ in found})
    twice = {url for url, n in Counter(url for url, _ in found).items() if n > 1}
    assert twice == {url for url, *_ in surplus}
    assert all(captures(root / name) for name in NAMES), "each had a part in it"
    assert most_in_a_second(site.log) <= RATE + MORE
    merged = archive("merge", root / "all", *(root / name for name in NAMES), "--json")
    assert merged.code == 0, merged.err
    assert archive("verify", root / "all").code == 0


def test_a_fleet_gets_all_of_it_once_at_the_pace_of_one(tmp_path: Path) -> None:
    with LimitedSite(PAGES, rate=10_000, wait=1) as site, database.server() as server:
        rescue(Fleet(tmp_path, site, database.schema(server)))


@pytest.mark.outside
def test_a_fleet_over_a_network_that_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", SECRET)
    with (
        bridged(NAMES) as host,
        LimitedSite(PAGES, rate=10_000, wait=1, host=host) as site,
        database.server(host, SECRET) as server,
    ):
        rescue(Namespaces(tmp_path, site, database.schema(server), SECRET))
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path
