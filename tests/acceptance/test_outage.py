"""The database of a fleet goes away or stands still: everybody says so, waits, goes on, and in the end gives up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from crawler.collection import Collection
from crawler.frontier.engines import to_read
from tests.acceptance.limited import LimitedSite
from tests.acceptance.test_fleet import Fleet, captures
from tests.acceptance.test_volunteers import LEASE, Rescue, until
from tests.conformance.frontier import database

PAGES = 120
#: Seconds within which people hear of it.
SOON = 10


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with database.server() as address:
        yield address


def pages(root: Path) -> int:
    return len({url for url, _ in captures(root)})


@pytest.mark.timeout(300)
def test_a_coordinator_and_its_volunteer_hold_on(tmp_path: Path, server: str) -> None:
    (tmp_path / "cold").mkdir()
    with LimitedSite(PAGES, rate=10_000, wait=1) as site:
        rescue = Rescue(
            tmp_path, database.schema(server), f"http://127.0.0.1:{site.port}/",
            ["--to", f"file://{tmp_path}/cold"], {},
        )  # fmt: skip
        rescue.begin()
        with rescue.coordinator() as coordinator:
            volunteer = rescue.join("v", "", "--seal-every", "3s")
            until(lambda: len(site.log) > PAGES // 4)
            with database.away(server):
                gone = time.monotonic()
                until(lambda: "The database does not answer" in rescue.said("coordinator"), SOON)
                until(
                    lambda: "The coordinator cannot lend now" in rescue.said("v"), SOON - (time.monotonic() - gone) + 1
                )
                time.sleep(2 * LEASE)
            assert volunteer.wait(120) == 0, rescue.said("v")
            assert coordinator.wait(60) == 0, rescue.said("coordinator")
        said = rescue.said("coordinator")
        assert said.count("The database does not answer") == said.count("The database answers again") == 1
        assert rescue.said("v").count("The coordinator lends again") == 1
        assert {state for state, _ in rescue.fetches().values()} <= {"done", "excluded"}
        assert pages(rescue.collection) >= PAGES
        with rescue.coordinator() as coordinator:
            assert coordinator.wait(60) == 0, "all is done"


@pytest.mark.timeout(300)
def test_a_coordinator_gives_up_in_time(tmp_path: Path, server: str) -> None:
    (tmp_path / "cold").mkdir()
    with LimitedSite(PAGES, rate=10_000, wait=1) as site:
        rescue = Rescue(
            tmp_path, f"{database.schema(server)}&patience=12", f"http://127.0.0.1:{site.port}/",
            ["--to", f"file://{tmp_path}/cold"], {},
        )  # fmt: skip
        rescue.begin()
        with rescue.coordinator() as coordinator:
            volunteer = rescue.join("v")
            until(lambda: len(site.log) > PAGES // 8)
            with database.frozen(server):
                began = time.monotonic()
                assert coordinator.wait(60) == 11
                assert time.monotonic() - began < 12 + SOON
            volunteer.kill()
            volunteer.wait()
        last = rescue.said("coordinator").splitlines()[-1]
        assert last.startswith("archive: The database was away for 1"), rescue.said("coordinator")


@pytest.mark.timeout(300)
def test_a_machine_of_a_fleet_outlives_a_database_that_stands_still(tmp_path: Path, server: str) -> None:
    with LimitedSite(PAGES, rate=10_000, wait=1) as site:
        fleet = Fleet(tmp_path, site, database.schema(server))
        with (tmp_path / "log").open("wb") as log:
            fleet.go("still", log)
            until(lambda: len(site.log) > PAGES // 4)
            with database.frozen(server):
                time.sleep(14)  # longer than a lease, and than a transaction may be silent
            assert fleet.running["still"].wait(90) == 0, (tmp_path / "log").read_text()
        said = (tmp_path / "log").read_text()
        assert said.count("The database does not answer") == said.count("The database answers again") == 1, said
        with closing(to_read(Collection.open(tmp_path / "still"))) as reader:
            stats, surplus = reader.stats(), reader.surplus()
        assert (stats.queued, stats.leased, stats.failed, stats.parked) == (0, 0, 0, 0)
        found = [url for url, _ in captures(tmp_path / "still")]
        assert stats.done == len(set(found)) >= PAGES
        assert len(found) - len(set(found)) == len(surplus), "what was settled twice is told"
