"""What a collection does whose frontier is a fleet's database: all that one with its own file does, or it says why not."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from crawler.cold.objects import Catalogue
from crawler.collection import Collection
from crawler.frontier import checkpoint
from crawler.frontier.engines import to_read
from crawler.reading.page.board import Board, Sources
from tests.acceptance.limited import LimitedSite
from tests.acceptance.support import Ran, archive
from tests.conformance.frontier import database

PAGES = 12
#: Say that the answer of a page stands a byte from where it does.
MOVE = """UPDATE stand SET response_offset = response_offset {} 1 WHERE id IN (SELECT id FROM known WHERE url LIKE '%/1')"""


@dataclass
class Machine:
    """A machine of a fleet, which has half of a site."""

    site: LimitedSite
    address: str
    root: Path

    def crawl(self, *more: object) -> Ran:
        words = ("--into", self.root, "--frontier", self.address, "--workers", 1, "--json", *more)
        return archive("crawl", f"http://127.0.0.1:{self.site.port}/", *words)

    def asks(self, statement: str) -> None:
        place, _, schema = self.address.partition("&schema=")
        with psycopg.connect(place, autocommit=True) as db:
            db.execute(f'SET search_path = "{schema}"')
            db.execute(statement.encode())


@pytest.mark.timeout(300)
def test_a_machine_of_a_fleet_lacks_nothing(tmp_path: Path) -> None:
    with LimitedSite(PAGES, rate=10_000, wait=1) as site, database.server() as server:
        machine = Machine(site, database.schema(server), tmp_path / "one")
        assert machine.crawl("--rate", 2, "--limit", 2).code == 7
        the_work_that_is_left_travels(machine)
        assert machine.crawl("--rate", 1000).code == 0
        verify_asks_the_database_and_goes_without_it(machine)
        what_is_held_is_signed_and_reported(machine, tmp_path)
        a_takedown_moves_what_the_database_says(machine)
        a_new_round_of_the_whole_fleet(machine)
        who_brought_what_is_shown(machine)


def the_work_that_is_left_travels(machine: Machine) -> None:
    collection = Collection.open(machine.root)
    Catalogue(collection).finders()
    frontier = to_read(collection)
    left = list(frontier.left())
    frontier.close()
    assert 0 < len(left) < PAGES
    assert list(checkpoint.read(collection.checkpoint)) == left
    assert json.loads((machine.root / "coverage.json").read_text())["fetches"]["queued"] == len(left)


def verify_asks_the_database_and_goes_without_it(machine: Machine) -> None:
    assert archive("verify", machine.root, "-q").code == 0
    machine.asks(MOVE.format("+"))
    said = archive("verify", machine.root)
    assert (said.code, "C009-frontier" in said.out) == (6, True)
    machine.asks(MOVE.format("-"))
    marker = machine.root / "collection.json"
    before = marker.read_text()
    marker.write_text(before.replace(machine.address, "postgresql://nobody@127.0.0.1:9/none\\u001b[2J"))
    said = archive("verify", machine.root)
    told = archive("report", machine.root, "-q")
    marker.write_text(before)
    assert (said.code, "C012-no-frontier" in said.out, "\x1b" in said.out + said.err) == (0, True, False)
    assert told.code == 0


def what_is_held_is_signed_and_reported(machine: Machine, tmp_path: Path) -> None:
    for words in (("keys", "new"), ("sign", machine.root)):
        assert archive(*words, XDG_DATA_HOME=str(tmp_path)).code == 0
    told = json.loads(next((machine.root / "evidence").glob("coverage-*.json")).read_text())
    assert told["fetches"]["done"] >= PAGES
    assert archive("report", machine.root).code == 0
    assert "queued" in (machine.root / "report.html").read_text()


def a_takedown_moves_what_the_database_says(machine: Machine) -> None:
    url = f"http://127.0.0.1:{machine.site.port}/1"
    said = archive("takedown", machine.root, "--url", url, "--reason", "asked", "--by", "them", "--rewrite")
    assert said.code == 0, said.err
    assert archive("verify", machine.root).code == 0
    frontier = to_read(Collection.open(machine.root))
    segments = {segment for segment, _ in frontier.places()}
    assert frontier.evidence(url) is None
    frontier.close()
    assert any("-without" in segment for segment in segments)
    assert segments <= {path.name for path in (machine.root / "warcs").iterdir()}


def a_new_round_of_the_whole_fleet(machine: Machine) -> None:
    seen = len(machine.site.log)
    assert machine.crawl("--again").code == 0
    assert len({one.path for one in machine.site.log[seen:]}) >= PAGES
    frontier = to_read(Collection.open(machine.root))
    assert (frontier.round, frontier.stats().queued) == (2, 0)
    frontier.close()


def who_brought_what_is_shown(machine: Machine) -> None:
    machine.asks("UPDATE node SET machine = E'\\x1b[2J<b>one', expires = 1, label = ''")
    machine.asks("INSERT INTO node (name, label, kind, seen, expires) VALUES ('v', 'anna', 'volunteer', 9e9, 9e9)")
    assert archive("fleet", machine.address + "_none").code == 10
    said = archive("fleet", machine.address, "--over", 0)
    assert (said.code, "\x1b" in said.out) == (0, False), said.err
    assert "1 here, 1 silent" in said.out
    assert "anna" in said.out
    lines = [json.loads(line) for line in archive("fleet", machine.root, "--json").out.splitlines()]
    members = [line for line in lines if line["message_type"] == "member"]
    assert [(one["kind"], one["standing"]) for one in members] == [("machine", "silent"), ("volunteer", "here")]
    assert members[0]["captures"] == lines[-1]["captures"] > PAGES
    assert [line["done"] >= PAGES for line in lines if line["message_type"] == "host"] == [True]
    with closing(Board(Collection.open(machine.root), Sources())) as board:
        shot = asyncio.run(board.shot())
    assert [one["name"] for one in shot["fleet"]] == ["\x1b[2J<b>one", "anna"], "the page escapes what it shows"
    gone = archive("fleet", "postgresql://nobody@127.0.0.1:9/none")
    assert (gone.code, gone.err.count("\n")) == (11, 1)
