"""What only a fleet has: several nodes on one frontier, of which any may fall silent."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from socket import gethostname

import pytest

from crawler.errors import Locked, UsageError
from crawler.fleet import Member, members_of
from crawler.frontier.postgres.attendance import Attendance
from crawler.frontier.postgres.connection import checked, translated
from crawler.frontier.postgres.engine import PostgresFrontier
from crawler.frontier.postgres.reader import PostgresReader
from crawler.frontier.present import share
from crawler.model import Fetch, SegmentClass
from tests.conformance.frontier import database
from tests.conformance.frontier.support import at, digests, fetch, lease, settle, told


@pytest.fixture
def address(postgres: str) -> Iterator[str]:
    made = database.schema(postgres)
    yield made
    database.drop(made)


@pytest.fixture
def nodes(address: str) -> Iterator[tuple[PostgresFrontier, PostgresFrontier]]:
    one, two = PostgresFrontier(address, "one"), PostgresFrontier(address, "two")
    one.set_lanes({"posts": 20})
    yield one, two
    one.close()
    two.close()


def test_nodes_get_each_fetch_once(nodes: tuple[PostgresFrontier, PostgresFrontier]) -> None:
    one, two = nodes
    assert one.offer([fetch(str(n)) for n in range(6)]) == 6
    assert two.offer([fetch(str(n)) for n in range(9)]) == 3
    got = [*lease(one, 4, worker="n1-w1"), *lease(two, 9, worker="n2-w1")]
    assert len({leased.id for leased in got}) == 9
    assert (one.stats().leased, two.stats().leased) == (9, 9)
    assert (one.reset_leases(), two.release("n2-w1")) == (4, 5)


def test_what_is_dead_for_one_node_is_not_for_the_others(
    nodes: tuple[PostgresFrontier, PostgresFrontier], address: str
) -> None:
    first, second = nodes
    first.meta_set("deathwatch", "[1]")
    assert (first.meta_get("deathwatch"), second.meta_get("deathwatch")) == ("[1]", None)
    with closing(PostgresReader(address, "one")) as beside:
        assert beside.meta_get("deathwatch") == "[1]"
        first.host_set("addresses a.example", {"addresses": ["1.1.1.1"]})
        assert beside.addresses("a.example") == second.addresses("a.example") == ["1.1.1.1"]


def test_who_brought_what_is_told(nodes: tuple[PostgresFrontier, PostgresFrontier], address: str) -> None:
    one, two = nodes
    one.offer([fetch(str(n)) for n in range(6)])
    first, *_ = lease(one, 2, worker="n1-w1")
    lease(two, 3, worker="n2-w1")
    settle(one, told(first, location=at(0, "one"), size=70))
    attendance = Attendance(address, two.node, 30)
    attendance.say()
    with closing(PostgresReader(address)) as reader:
        told_of = [Member(*row) for row in reader.members()]
    attendance.leave()
    figures = [(one.kind, one.captures, one.bytes, one.leased, one.held, one.is_present) for one in told_of]
    assert figures == [("machine", 1, 70, 1, 0, False), ("machine", 0, 0, 3, 0, True)]
    assert {one.name for one in told_of} == {gethostname()}


def test_who_was_silent_settles_nothing_and_what_it_wrote_is_told(
    nodes: tuple[PostgresFrontier, PostgresFrontier],
) -> None:
    one, two = nodes
    one.offer([fetch("1")])
    (old,) = lease(one, worker="n1-w1", seconds=5.0)
    assert two.reap(1004.0) == 0
    assert two.reap(1006.0) == 1
    (new,) = lease(two, worker="n2-w1")
    assert settle(two, told(new, location=at(0, "two"))) == 1
    late = told(old, location=at(100, "one"), outlinks=(fetch("x"),), digests=digests("a"), is_original=True)
    assert settle(one, late) == settle(one, late) == 0
    assert one.surplus() == [("https://a.example/1", "one", 100, "two", 0)]
    assert one.is_settled_group("one", 100), "recovery passes over it"
    assert one.commit_recovered([(old.fetch, late)], {}, now=1.0) == 0
    assert len(one.surplus()) == 1
    stats = one.stats()
    assert (stats.done, stats.captures) == (1, 1)


def test_a_payload_is_the_original_of_the_node_that_has_it(nodes: tuple[PostgresFrontier, PostgresFrontier]) -> None:
    one, two = nodes
    one.offer([fetch("1"), fetch("2")])
    (first,) = lease(one, 1, worker="n1-w1")
    (second,) = lease(two, 1, worker="n2-w1")
    facts = {"digests": digests("same"), "is_original": True, "date": "d"}
    settle(one, told(first, location=at(0, "one"), record_id="urn:1", **facts))
    sha256 = digests("same").payload_sha256
    assert two.known_payload(sha256) is None
    settle(two, told(second, location=at(0, "two"), record_id="urn:2", **facts))
    found = [node.known_payload(sha256) for node in nodes]
    assert [(known.record_id, known.segment) for known in found if known] == [("urn:1", "one"), ("urn:2", "two")]


def test_a_copy_of_a_collection_is_no_second_node(address: str) -> None:
    one = PostgresFrontier(address, "one")
    with pytest.raises(Locked):
        PostgresFrontier(address, "one")
    one.close()
    PostgresFrontier(address, "one").close()


def test_writers_in_each_others_way_lose_and_double_nothing(address: str) -> None:
    """Four at once, each naming the same fetches and things in another order."""
    made = PostgresFrontier(address, "first")
    made.set_lanes({"posts": 20})
    made.offer([fetch(str(n)) for n in range(50)])
    settled: Counter[str] = Counter()
    failed: list[BaseException] = []

    def work(name: str, step: int) -> None:
        try:
            frontier, offset, idle = PostgresFrontier(address, name), 0, 0
            while idle < 20:
                got = lease(frontier, 7, worker=f"{name}-w1", now=time.time())
                idle = 0 if got else idle + 1
                time.sleep(0 if got else 0.05)
                done = []
                for one in got:
                    offset += 100
                    links = [fetch(str((n * step) % 400), covers=("post", str(n * step % 90))) for n in range(30)]
                    done.append(told(one, location=at(offset, name), outlinks=tuple(links)))
                assert settle(frontier, *done, now=time.time()) == len(got)
                settled.update(one.fetch.url for one in got)
            frontier.close()
        except BaseException as e:  # noqa: BLE001 - told by the test itself
            failed.append(e)

    threads = [threading.Thread(target=work, args=(f"n{n}", step)) for n, step in enumerate((1, 7, 11, 13))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert set(settled.values()) == {1}
    stats = made.stats()
    assert (stats.done, stats.queued, stats.leased) == (len(settled), 0, 0)
    things = made._db.execute("SELECT count(*) FROM covered").fetchone()[0]
    assert made.coverage() == {"post": {"known": things}}
    made.close()


def test_a_lost_connection_is_made_again(nodes: tuple[PostgresFrontier, PostgresFrontier]) -> None:
    one, two = nodes
    one.offer([fetch("1")])
    (leased,) = lease(one)
    pid = one._db.execute("SELECT pg_backend_pid()").fetchone()[0]
    two._db.execute("SELECT pg_terminate_backend(?)", (pid,))
    assert settle(one, told(leased, location=at(0))) == 1
    with pytest.raises(Locked):
        PostgresFrontier(two._db.address, "one")


def test_shares_of_a_fleet_never_add_up_to_more_than_the_whole(address: str) -> None:
    frontiers = [PostgresFrontier(address, name) for name in ("one", "two", "three")]
    one, two, three = (Attendance(address, frontier.node, 2.0) for frontier in frontiers)
    frontiers[0].offer([Fetch(url="https://a.example/1", lane="posts")])
    frontiers[0].freeze("https://a.example", 9e9)
    alone = one.say()
    assert (alone.size, alone.is_ready, alone.was_out, alone.frozen) == (1, True, True, {"https://a.example": 9e9})
    assert not two.say().is_ready, "the first has not heard of it"
    here = one.say()
    assert (here.size, here.is_ready, here.was_out) == (2, True, False)
    there = two.say()
    assert there.is_ready
    assert share(5, here) + share(5, there) == 5
    assert not three.say().is_ready
    two.leave()
    one.say()
    assert three.say().is_ready
    time.sleep(2.1)  # the first falls silent
    back = one.say()
    assert back.was_out
    assert back.until - time.monotonic() < 1.7
    for each in (one, three):
        each.leave()
    for frontier in frontiers:
        frontier.close()


def test_no_statement_walks_through_all_fetches(nodes: tuple[PostgresFrontier, PostgresFrontier]) -> None:
    """An index serves each, where the planner is let to choose one."""
    one, _ = nodes
    one._db.execute("SET enable_seqscan = off")
    facts = {"bucket": 1, "now": 1.0, "n": 1, "ids": [1], "tokens": [1], "round": 1, "fingerprint": b"", "worker": "w",
             "state": "failed", "reason": "x",
             "id": 1, "older_than": 1.0}  # fmt: skip
    names = ("fetches_due", "end_leases", "end_wait", "find_by_fingerprint", "held_by", "waiting", "evidence", "work")
    for name in (*names, "bring_forward"):
        plan = "\n".join(row[0] for row in one._db.execute(f"EXPLAIN {one._sql[name]}", facts))
        assert "Seq Scan on known" not in plan, (name, plan)


@pytest.mark.parametrize(
    "given", ["postgresql://a:secret@h/d", "postgresql://h/d?password=secret", "mysql://h/d", "postgresql://h", "x"]
)
def test_an_address_that_holds_a_password_or_is_none_is_refused(given: str) -> None:
    with pytest.raises(UsageError) as told:
        checked(given)
    assert "secret" not in str(told.value)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("INSERT OR IGNORE INTO t VALUES (?, :b)", b"INSERT INTO t VALUES (%s, %(b)s) ON CONFLICT DO NOTHING"),
        ("SELECT f.offset FROM fetch f WHERE x = :offset", b'SELECT f."offset" FROM "fetch" f WHERE x = %(offset)s'),
        ("SELECT :ids::BIGINT[], 1::TEXT", b"SELECT %(ids)b::BIGINT[], 1::TEXT"),
    ],
)
def test_statements_in_another_tongue(ours: str, theirs: bytes) -> None:
    assert translated(ours) == theirs


def test_one_machine_begins_a_round_and_what_was_written_before_it_settles_nothing_of_it(
    nodes: tuple[PostgresFrontier, PostgresFrontier],
) -> None:
    one, two = nodes
    one.offer([fetch("1"), fetch("2")])
    settle(one, *(told(leased, location=at(n * 100, "one"), status=200) for n, leased in enumerate(lease(one))))
    for node in nodes:
        node.open_round(2, lambda known: known.url.endswith("/1"))
    assert (one.round, two.round, one.stats().queued) == (2, 2, 1)
    late = told(*lease(one, 1, worker="n1-w1"))
    record = {"location": at(50, "two"), "date": "2021-01-10T12:00:00Z"}
    assert (
        two.commit_recovered(
            [(fetch("1"), replace(late, **record)), (fetch("2"), replace(late, **record))], {}, now=1.0
        )
        == 0
    )
    assert [row[:3] for row in two.surplus()] == [("https://a.example/1", "two", 50)]
    assert two.is_settled_group("two", 50), "recovery passes over it"
    assert (
        two.commit_recovered([(fetch("1"), replace(late, **record | {"date": "2999-01-10T12:00:00Z"}))], {}, now=1.0)
        == 1
    )


def test_what_is_read_of_all_the_fleet_has_comes_row_by_row(nodes: tuple[PostgresFrontier, PostgresFrontier]) -> None:
    one = nodes[0]
    one.offer([fetch(str(n), covers=("post", f"{'äZa'[n]}")) for n in range(3)])
    for number, node in enumerate(nodes):
        node.add_segment(f"s{number}", SegmentClass.TEXT, "w1")
        settle(node, told(*lease(node, 1), location=at(100, f"s{number}")))
    reader = PostgresReader(one.address, "one")
    assert [url.url[-1] for url in reader.left()] == ["0", "1", "2"], "no segment is sealed"
    one.set_segment_state("s0", "sealed")
    left = reader.left()
    assert next(left).url[-1] == "1"
    assert reader.stats().done == 2, "asked meanwhile"
    assert [url.url[-1] for url in left] == ["2"]
    assert list(reader.places()) == [("s0", at(100).response_offset)], "those that are on this machine"
    assert [thing for _, thing, *_ in reader.covered()] == ["Z", "a", "ä"]
    reader.close()


def test_a_segment_that_stands_for_another_takes_only_what_its_own_machine_has(
    nodes: tuple[PostgresFrontier, PostgresFrontier],
) -> None:
    for number, node in enumerate(nodes):
        node.offer([fetch(str(number))])
        facts = {"digests": digests("same"), "is_original": True, "location": at(100, f"s{number}")}
        settle(node, told(*lease(node, 1), record_id=f"urn:{number}", **facts))
    one = nodes[0]
    there = at(100).response_offset
    one.relocate("s0", "new", 900, {100: (200, 10), there: (300, 20)})
    found = [node.known_payload(digests("same").payload_sha256) for node in nodes]
    assert [known.segment for known in found if known] == ["new", "s1"]
    reader = PostgresReader(one.address, "one")
    assert list(reader.places()) == [("new", 300)]
    reader.close()


def test_who_is_late_silent_or_gone_is_told(nodes: tuple[PostgresFrontier, PostgresFrontier]) -> None:
    one, two = nodes
    standings = {}
    for seen, expires, revoked in ((0, 60, 0), (-31, 29, 0), (-70, -10, 0), (-9, None, 0), (1, 60, 1)):
        one._db.execute(
            "UPDATE node SET seen = extract(epoch FROM now()) + ?, expires = coalesce(extract(epoch FROM now()) + ?, 0), "
            "revoked = ? WHERE id = ?", (seen, expires, revoked, two.node),
        )  # fmt: skip
        reader = PostgresReader(one.address, "one")
        standings[seen, expires] = {one.node: one.standing for one in members_of(reader)}[two.node]
        reader.close()
    assert list(standings.values()) == ["here", "late", "silent", "left", "revoked"]
