"""The index of a file's hashes, which is written behind their rows."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from crawler.frontier import reader
from crawler.frontier.reader import FrontierReader
from crawler.frontier.sqlite import SqliteFrontier
from tests.conformance.frontier.support import at, digests, fetch, lease, settle, told


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "frontier.sqlite"


def indexed(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        count: int = db.execute("SELECT count(*) FROM known WHERE round > 0").fetchone()[0]
        return count


def capture(frontier: SqliteFrontier, name: str, payload: str) -> None:
    frontier.offer([fetch(name)])
    (one,) = lease(frontier)
    place = at(one.id * 100)
    facts: dict[str, Any] = {
        "location": place,
        "digests": digests(payload),
        "is_original": True,
        "record_id": f"<{name}>",
    }
    settle(frontier, told(one, **facts))


def test_nothing_is_new_twice_whatever_is_indexed(path: Path) -> None:
    made = SqliteFrontier(path)
    for number in range(50):
        assert made.offer([fetch(str(number)), fetch(str(number // 2))]) == 1
    assert 0 < indexed(path) < 50
    made._db.close()  # as a kill leaves it
    again = SqliteFrontier(path)
    assert again.offer([fetch(str(number)) for number in range(60)]) == 10
    assert again.stats().queued == 60
    again.close()
    assert indexed(path) == 60


def test_what_is_not_indexed_is_found_beside_the_writer(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MOST_FETCHES", 10)
    monkeypatch.setattr(reader, "MOST_PAYLOADS", 10)
    made, beside = SqliteFrontier(path), FrontierReader(path)
    for number in range(60):
        name = str(number)
        assert beside.known_payload(digests(name).payload_sha256) is None
        capture(made, name, name)
        for before in {number, number // 2, 0}:
            original = beside.known_payload(digests(str(before)).payload_sha256)
            assert original is not None
            assert original.record_id == f"<{before}>"
            assert beside.evidence(fetch(str(before)).url) == ("s1", (before + 1) * 100, 0)
    beside.close()
    made.close()


def test_the_first_capture_of_a_payload_is_its_original(path: Path) -> None:
    made = SqliteFrontier(path)
    for number in range(5):
        capture(made, str(number), "the same")
    original = made.known_payload(digests("the same").payload_sha256)
    assert original is not None
    assert original.record_id == "<0>"
    made.close()


def test_a_payload_whose_segment_is_lost_may_come_again(path: Path) -> None:
    made, beside = SqliteFrontier(path), FrontierReader(path)
    for number in range(4):
        capture(made, str(number), str(number))
    assert made.lose("s1") == 4
    for name in "0123":
        assert beside.known_payload(digests(name).payload_sha256) is None
        assert made.known_payload(digests(name).payload_sha256) is None
    for one in lease(made):
        name = one.fetch.url[-1]
        facts: dict[str, Any] = {"digests": digests(name), "is_original": True, "record_id": f"<again {name}>"}
        settle(made, told(one, location=at(one.id * 100, "s2"), **facts))
    for name in "0123":
        for frontier in (made, beside):
            original = frontier.known_payload(digests(name).payload_sha256)
            assert original is not None
            assert (original.record_id, original.segment) == (f"<again {name}>", "s2")
    beside.close()
    made.close()


def test_a_transaction_that_fails_leaves_nothing_behind(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = SqliteFrontier(path)
    made.offer([fetch(str(number)) for number in range(4)])
    monkeypatch.setattr(made, "_write_marks", lambda: made._db.execute("no statement"))
    with pytest.raises(sqlite3.Error):
        made.offer([fetch(str(number)) for number in range(12)])
    monkeypatch.undo()
    assert made.offer([fetch(str(number)) for number in range(12)]) == 8
    assert made.stats().queued == 12
    made.close()


def test_a_round_knows_its_own_alone(path: Path) -> None:
    made, beside = SqliteFrontier(path), FrontierReader(path)
    for name in "abcde":
        capture(made, name, name)
    made.open_round(2)
    assert made.offer([fetch(name) for name in "abcdefg"]) == 7
    assert made.offer([fetch(name) for name in "abcdefg"]) == 0
    (first, *_) = lease(made)
    settle(made, told(first, location=at(0, "s9"), status=200))
    assert beside.evidence(first.fetch.url) == ("s9", 0, 200)
    assert beside.evidence(fetch("b").url) == ("s1", 200, 0), "found in the round before"
    beside.close()
    made.close()
