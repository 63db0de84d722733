"""Frontiers that an earlier Outlast made: leases written into rows, all of a fetch in one of them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from importlib.resources import files
from pathlib import Path

import msgspec
import psycopg

from crawler.frontier.postgres.engine import PostgresFrontier
from crawler.frontier.reader import FrontierReader
from crawler.frontier.sqlite import SqliteFrontier
from tests.conformance.frontier import database
from tests.conformance.frontier.support import at, fetch, lease, settle, told

encode = msgspec.msgpack.Encoder().encode
_COLUMNS = '(id, round, fingerprint, bucket, method, url, work, state, attempts, not_before, tried, token, worker, reason, segment, "offset")'
#: id → state, attempts, not_before, tried, token, worker, reason, segment, offset.
_ROWS = {
    1: ("queued", 0, 0.0, 0.0, 0, None, "", None, None),
    2: ("queued", 2, 1500.0, 900.0, 4, None, "HTTP 503", None, None),
    3: ("leased", 0, 0.0, 0.0, 1, "w9", "", None, None),
    4: ("leased", 1, 800.0, 700.0, 7, "w9", "HTTP 500", None, None),
    5: ("done", 0, 0.0, 950.0, 1, None, "", 1, 0),
    6: ("parked", 3, 0.0, 950.0, 3, None, "HTTP 403", None, None),
}


def rows() -> list[tuple[object, ...]]:
    works = {number: fetch(str(number)) for number in _ROWS}
    return [
        (number, 1, works[number].fingerprint, 1, "GET", works[number].url, encode(works[number]), *facts)
        for number, facts in _ROWS.items()
    ]


def goes_on(frontier: SqliteFrontier | PostgresFrontier) -> None:
    """What was leased is queued again, what was done is, and all of it is known."""
    assert frontier.offer([fetch(str(number)) for number in _ROWS]) == 0
    stats = frontier.stats()
    assert (stats.queued, stats.leased, stats.done, stats.parked) == (2, 2, 1, 1)
    assert frontier.reset_leases() == 2
    got = lease(frontier, now=1000.0)
    assert {one.id: one.attempt for one in got} == {1: 0, 3: 0, 4: 1}
    assert all(one.token > 7 for one in got)
    assert frontier.next_due() == 1500.0
    assert [one.id for one in lease(frontier, now=1500.0)] == [2]
    assert frontier.requeue("parked", "HTTP 403") == 1
    held = frontier.held(fetch("5").fingerprint)
    assert held is not None
    assert (held.segment, held.offset) == ("s1", 0)
    assert settle(frontier, *(told(one, location=at(one.id * 100)) for one in got)) == 3
    assert frontier.lose("s1") == 4
    frontier.close()


#: Makes what a file has otherwise since format 3 as it was.
_BEFORE = """
DROP TABLE known; DROP TABLE payload; DROP TABLE hand; DELETE FROM meta WHERE key LIKE 'indexed %';
CREATE UNIQUE INDEX fetch_known ON fetch (round, fingerprint);
CREATE TABLE payload (sha256 BLOB PRIMARY KEY, record_id TEXT NOT NULL, url TEXT NOT NULL, date TEXT NOT NULL,
    segment INTEGER NOT NULL, offset INTEGER NOT NULL) STRICT, WITHOUT ROWID;
"""


def test_a_file_of_an_earlier_outlast_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "frontier.sqlite"
    made = SqliteFrontier(path)
    made.offer([fetch("origin")])
    made._segment("s1")
    made._db.execute("DELETE FROM fetch")
    made._db.execute("UPDATE bucket SET queued = 2, leased = 2, done = 1, parked = 1")
    made._db.execute("INSERT INTO reason VALUES ('parked', 'HTTP 403', 1)")
    made.meta_set("format", "1")
    made.close()
    with closing(sqlite3.connect(path)) as db, db:
        db.executescript(_BEFORE)
        db.executemany(f"INSERT INTO fetch {_COLUMNS} VALUES ({', '.join('?' * 16)})", rows())
        payloads = [(bytes.fromhex(f"{number:064x}"), f"<{number}>", "u", "d", 1, number) for number in range(5)]
        payloads.append((bytes(16) + b"x" * 16, "<the same half>", "u", "d", 1, 9))
        db.executemany("INSERT INTO payload VALUES (?, ?, ?, ?, ?, ?)", payloads)
    reader = FrontierReader(path)
    assert (reader.in_hand(), reader.stats().leased) == ({}, 2)
    assert reader.evidence("https://a.example/5") == ("s1", 0, 0)
    assert reader.evidence("https://a.example/7") is None
    reader.close()
    upgraded = SqliteFrontier(path)
    assert [upgraded.known_payload(digest.hex()) is None for digest, *_ in payloads] == [False, *[True] * 5]
    goes_on(upgraded)
    reader = FrontierReader(path)
    assert reader.meta_get("format") == "3", "an earlier Outlast is to say that it does not know this"
    assert reader.evidence("https://a.example/5") == ("s1", 0, 0)
    reader.close()


def test_a_database_of_an_earlier_outlast_goes_on(postgres: str) -> None:
    address = database.schema(postgres)
    place, _, schema = address.partition("&schema=")
    folder = files("crawler.frontier.postgres")
    with psycopg.connect(place, autocommit=True) as db:
        db.execute(f"CREATE SCHEMA {schema}; SET search_path = {schema}".encode())
        db.execute("CREATE TABLE migration (number INTEGER PRIMARY KEY)")
        for number in (1, 2, 3):
            db.execute(folder.joinpath(f"000{number}.sql").read_text("utf-8").encode())
            db.execute("INSERT INTO migration VALUES (%s)", (number,))
        db.execute("INSERT INTO meta VALUES ('round', '1'), ('format', '1')")
        db.execute("INSERT INTO node (name) VALUES ('here')")
        db.execute("INSERT INTO origin (name) VALUES ('https://a.example')")
        db.execute("INSERT INTO bucket (round, lane, origin, day, value) VALUES (1, 'posts', 1, '', 0)")
        db.execute("INSERT INTO bucket_of (bucket, node, queued, leased, done, parked) VALUES (1, 1, 2, 2, 1, 1)")
        db.execute("INSERT INTO reason_of VALUES ('parked', 'HTTP 403', 1, 1)")
        db.execute("INSERT INTO segment (name, class, worker, state) VALUES ('s1', 'text', 'w9', 'open')")
        db.execute("INSERT INTO holder VALUES ('w9', 1, 900.0)")
        db.execute("SELECT nextval('fetch_id')")
        statement = f'INSERT INTO "fetch" {_COLUMNS} VALUES ({", ".join(["%s"] * 16)})'
        db.cursor().executemany(statement.encode(), rows())
    goes_on(PostgresFrontier(address, "here"))
    database.drop(address)
