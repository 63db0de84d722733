"""A site dies while volunteers crawl it, and comes back: what it said meanwhile counts for nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from crawler.deaths import events
from crawler.warc.reader import read_at
from tests.acceptance.limited import LimitedSite
from tests.acceptance.support import archive
from tests.acceptance.test_volunteers import Rescue, until
from tests.conformance.frontier import database

PAGES = 100
TOMBSTONE = "<p>This site has been taken offline."


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with database.server() as address:
        yield address


def names(rescue: Rescue) -> set[str]:
    return {one["event"] for one in events(rescue.collection)}


def bodies(rescue: Rescue) -> dict[str, bytes]:
    """Return what is held of each URL that is done, as it stands in the segments."""
    place, _, schema = rescue.address.partition("&schema=")
    with psycopg.connect(place) as db:
        text = f'FROM "{schema}".fetch f JOIN "{schema}".segment s ON s.id = f.segment WHERE f.state = \'done\''
        rows = db.execute(f"SELECT f.url, s.name, f.response_offset {text}").fetchall()
    found = {}
    for url, segment, offset in rows:
        with read_at(rescue.collection / "warcs" / segment, offset).block.open() as block:
            found[url] = block.read().partition(b"\r\n\r\n")[2]
    return found


@pytest.mark.timeout(400)
@pytest.mark.parametrize("status", [200, pytest.param(403, marks=pytest.mark.outside)])
def test_a_site_that_dies_under_volunteers_and_comes_back(tmp_path: Path, server: str, status: int) -> None:
    (tmp_path / "cold").mkdir()
    with LimitedSite(PAGES, rate=10_000, wait=1) as site:
        here = f"http://127.0.0.1:{site.port}"
        rescue = Rescue(tmp_path, database.schema(server), f"{here}/", ["--to", f"file://{tmp_path}/cold"], {})
        rescue.begin("--probe-every", "1s")
        with rescue.coordinator("--sample", 20) as coordinator:
            volunteers = [rescue.join(name, "", "--seal-every", "2s") for name in ("one", "two")]
            until(lambda: len(rescue.fetches()) > PAGES // 2 and len(bodies(rescue)) > 20)
            site.epitaph = (status, TOMBSTONE)
            until(lambda: "dead" in names(rescue), 90)
            time.sleep(3)  # what volunteers had in hand
            seen = len(site.log)
            time.sleep(4)
            assert len(site.log) - seen <= 20, "the dead are left alone, but for controls"
            site.epitaph = None
            until(lambda: "alive" in names(rescue), 60)
            for each in volunteers:
                assert each.wait(120) == 0, rescue.said("one")
            assert coordinator.wait(90) == 0, rescue.said("coordinator")
    found = bodies(rescue)
    pages = {url: body for url, body in found.items() if url.rpartition("/")[2].isdigit()}
    assert pages.keys() >= {f"{here}/{n}" for n in range(1, PAGES)}
    for url, body in pages.items():
        assert body.startswith(b"page %s " % url.rpartition("/")[2].encode()), (url, body[:60])
    assert {state for state, _ in rescue.fetches().values()} <= {"done", "excluded"}, "nothing was burnt"
    assert "forged" not in names(rescue), "who was honest before it died is not taken for a liar"
    assert "has died" in rescue.said("coordinator")
    assert "answers again" in rescue.said("coordinator")
    assert archive("verify", rescue.collection).code == 0
