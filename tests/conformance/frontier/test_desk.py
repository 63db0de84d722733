"""What only a coordinator's frontier has: it lends to volunteers, and settles what of theirs is proven."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from crawler.frontier.errands import ErrandFrontier
from crawler.frontier.postgres.desk import MOST_VAIN, Brought, Desk
from crawler.frontier.postgres.reader import PostgresReader
from crawler.frontier.postgres.register import NotInvited, Register, Volunteer
from crawler.model import Digests, Fetch, Leased, SegmentClass, Settlement, State
from tests.conformance.frontier import database
from tests.conformance.frontier.support import at, fetch, lease, settle, told

NOW = 1000.0
DIGESTS = Digests(block_sha256="0" * 64, payload_sha256="1" * 64, payload_sha1="A" * 32, payload_length=9)


@pytest.fixture
def address(postgres: str) -> Iterator[str]:
    made = database.schema(postgres)
    yield made
    database.drop(made)


@pytest.fixture
def desk(address: str) -> Iterator[Desk]:
    made = Desk(address, "coordinator")
    made.set_lanes({"posts": 20})
    made.offer([fetch(str(n)) for n in range(6)])
    yield made
    made.close()


@pytest.fixture
def register(address: str, desk: Desk) -> Iterator[Register]:
    made = Register(address)
    yield made
    made.close()


def joined(register: Register, label: str, leases: int = 100) -> Volunteer:
    secret = os.urandom(32)
    register.invite(secret, label=label, trust=0, quota_bytes=1000, quota_leases=leases, seconds=60)
    return register.enrol(secret, os.urandom(32), os.urandom(32))


def lend(desk: Desk, to: Volunteer, n: int = 10) -> tuple[Leased, ...]:
    return desk.lend(to, n, now=NOW, seconds=60, admit=lambda fetch: None)


def ids(leased: tuple[Leased, ...]) -> list[tuple[int, int]]:
    return [(one.id, one.token) for one in leased]


def segment_of(desk: Desk, by: Volunteer, name: str = "s") -> str:
    assert desk.announce(by, f"{name}-{by.node}", SegmentClass.TEXT, most=10)
    return f"{name}-{by.node}"


def states(address: str) -> dict[str, str]:
    with closing(PostgresReader(address)) as reader:
        return dict(reader._db.execute("SELECT url, state FROM fetch").fetchall())


def test_an_invitation_is_good_once_and_again_only_for_who_took_it_up(register: Register) -> None:
    secret, shows, key = (os.urandom(32) for _ in range(3))
    register.invite(secret, label="one", trust=2, quota_bytes=5, quota_leases=7, seconds=60)
    volunteer = register.enrol(secret, shows, key)
    assert (volunteer.label, volunteer.trust, volunteer.quota_bytes, volunteer.quota_leases) == ("one", 2, 5, 7)
    assert register.enrol(secret, shows, key) == volunteer
    for other in ((secret, os.urandom(32), key), (secret, shows, os.urandom(32)), (os.urandom(32), shows, key)):
        with pytest.raises(NotInvited):
            register.enrol(*other)
    late = os.urandom(32)
    register.invite(late, label="late", trust=0, quota_bytes=0, quota_leases=1, seconds=0)
    with pytest.raises(NotInvited):
        register.enrol(late, os.urandom(32), os.urandom(32))
    another = os.urandom(32)
    register.invite(another, label="thief", trust=0, quota_bytes=0, quota_leases=1, seconds=60)
    with pytest.raises(NotInvited):  # what another shows is not taken over
        register.enrol(another, shows, os.urandom(32))


def test_secrets_are_kept_as_hashes_alone(register: Register, address: str) -> None:
    secret, shown = os.urandom(32), os.urandom(32)
    register.invite(secret, label="one", trust=0, quota_bytes=0, quota_leases=1, seconds=60)
    rows = register._db.execute("SELECT secret FROM invite").fetchall()
    assert bytes(rows[0][0]) != secret
    assert register.volunteer(shown) is None


def test_a_lease_is_within_the_quota(desk: Desk, register: Register) -> None:
    one = joined(register, "one", leases=4)
    assert len(lend(desk, one, 3)) == 3
    assert len(lend(desk, one, 3)) == 1
    assert lend(desk, one) == ()
    desk.part_from(one)
    assert len(lend(desk, one)) == 4


def test_what_is_held_is_done_only_when_it_is_proven(desk: Desk, register: Register, address: str) -> None:
    one = joined(register, "one")
    first, second, *_rest = lend(desk, one)
    name = segment_of(desk, one)
    assert desk.hold(one, name, ids((first, second)), now=NOW) == [first.id, second.id]
    stats = desk.stats()
    assert (stats.leased, stats.held, stats.done) == (6, 2, 0)
    assert desk.reap(NOW + 120) == 4  # silence takes away what is not durable, and nothing else
    stats = desk.stats()
    assert (stats.queued, stats.leased, stats.held) == (4, 2, 2)
    read = Settlement(id=first.id, token=0, state=State.DONE, location=at(0, name), outlinks=(fetch("new"),), size=9)
    assert [each.id for each in desk.prove(one, [read], now=NOW)] == [first.id]
    assert desk.end(name, "proven", now=NOW) == 1  # what was said to be in it and was not
    stats = desk.stats()
    assert (stats.done, stats.leased, stats.held, stats.queued) == (1, 0, 0, 6)
    with closing(PostgresReader(address)) as reader:
        (member,) = [row for row in reader.members() if row[0] == one.node]
    assert (member[8], member[10], member[12]) == (1, 9, 0)


def test_nobody_touches_what_is_anothers(desk: Desk, register: Register, address: str) -> None:
    good, bad = joined(register, "good"), joined(register, "bad")
    mine = lend(desk, good)
    theirs = segment_of(desk, bad)
    assert desk.hold(bad, theirs, ids(mine), now=NOW) == []
    assert desk.hand_back(bad, ids(mine), "", now=NOW) == 0
    assert desk.hand_back(bad, ids(mine), "not there", now=NOW) == 0
    forged = [Settlement(id=one.id, token=one.token, state=State.DONE, location=at(0, theirs)) for one in mine]
    assert desk.prove(bad, forged, now=NOW) == []
    name = segment_of(desk, good)
    assert len(desk.hold(good, name, ids(mine), now=NOW)) == 6
    assert desk.hold(bad, name, ids(mine), now=NOW) == []
    assert desk.bring(bad, Brought(name, bad.node, "open", 1, "0" * 64, (), "", "u", ""), now=NOW) is None
    assert desk.prove(bad, forged, now=NOW) == []
    assert set(states(address).values()) == {"held"}


def test_an_old_token_holds_and_gives_back_nothing(desk: Desk, register: Register) -> None:
    one = joined(register, "one")
    old = lend(desk, one)
    desk.part_from(one)
    new = lend(desk, one)
    name = segment_of(desk, one)
    assert desk.hold(one, name, ids(old), now=NOW) == []
    assert desk.hand_back(one, ids(old), "", now=NOW) == 0
    assert len(desk.hold(one, name, ids(new), now=NOW)) == 6


def test_who_was_silent_for_longer_than_its_lease_may_still_prove_what_nobody_took(
    desk: Desk, register: Register
) -> None:
    one, two = joined(register, "one"), joined(register, "two")
    first, second = lend(desk, one, 2)
    desk.reap(NOW + 120)
    taken = lend(desk, two, 1)
    assert [each.id for each in taken] == [first.id]
    name = segment_of(desk, one)
    read = [
        Settlement(id=each.id, token=0, state=State.DONE, location=at(n, name))
        for n, each in enumerate((first, second))
    ]  # fmt: skip
    assert [each.id for each in desk.prove(one, read, now=NOW)] == [second.id]


def test_a_volunteer_that_vanishes_gives_all_back(desk: Desk, register: Register, address: str) -> None:
    one = joined(register, "one")
    mine = lend(desk, one)
    name = segment_of(desk, one)
    desk.hold(one, name, ids(mine[:3]), now=NOW)
    desk.reap(NOW + 120)
    register._db.execute("UPDATE node SET seen = ? WHERE id = ?", (NOW, one.node))
    assert desk.lapse(before=NOW - 1, now=NOW) == {}
    assert desk.lapse(before=NOW + 1, now=NOW) == {name: 3}
    assert set(states(address).values()) == {"queued"}
    assert desk.stats().held == 0
    # It comes back after all, and nobody has them yet: what it proves counts.
    read = Settlement(id=mine[0].id, token=0, state=State.DONE, location=at(0, name))
    assert len(desk.prove(one, [read], now=NOW)) == 1


def test_who_is_revoked_loses_what_it_has_and_keeps_what_is_proven(
    desk: Desk, register: Register, address: str
) -> None:
    one = joined(register, "one")
    mine = lend(desk, one)
    name = segment_of(desk, one)
    read = Settlement(id=mine[0].id, token=0, state=State.DONE, location=at(0, name))
    desk.prove(one, [read], now=NOW)
    desk.hold(one, name, ids(mine[1:3]), now=NOW)
    assert register.revoke(one.node)
    assert not register.revoke(desk.node), "machines are not volunteers"
    desk.lapse(before=0, now=NOW)
    found = states(address)
    assert (found[mine[0].fetch.url], set(found.values())) == ("done", {"done", "queued"})
    assert desk.prove(one, [Settlement(id=mine[1].id, token=0, state=State.DONE)], now=NOW) == []


def test_what_volunteers_cannot_get_is_parked_in_the_end(desk: Desk, register: Register) -> None:
    one = joined(register, "one")
    desk.requeue("parked")
    for number in range(MOST_VAIN):
        leased = desk.lend(one, 1, now=NOW + 100 * number, seconds=60, admit=lambda fetch: None)
        assert desk.hand_back(one, ids(leased), "dns", now=NOW + 100 * number) == 1
        others = desk.lend(one, 100, now=NOW, seconds=60, admit=lambda fetch: None)  # leave that one alone
        assert leased[0].id not in {other.id for other in others}
    stats = desk.stats()
    assert (stats.parked, stats.reasons) == (1, {"volunteers: dns": 1})


def test_segments_that_are_made_up_have_an_end(desk: Desk, register: Register) -> None:
    one = joined(register, "one")
    assert [desk.announce(one, f"s{n}", SegmentClass.TEXT, most=3) for n in range(5)] == [True] * 3 + [False] * 2
    assert desk.announce(one, "s1", SegmentClass.TEXT, most=3)


def test_errands_are_told_once_and_done_anew_where_they_come_again() -> None:
    with closing(ErrandFrontier(":memory:", 7)) as errands:
        one, two = (Leased(id=n, token=3, fetch=Fetch(url=f"https://a.example/{n}", lane="posts")) for n in (11, 12))
        assert errands.take_on([one, two]) == 2
        assert errands.take_on([one]) == 0
        first, second = lease(errands)
        settle(errands, told(first, location=at(0)), told(second, State.PARKED, reason="HTTP 403"))
        outcomes = {each.id: (each.token, each.segment, each.why) for each in errands.untold(10)}
        assert outcomes == {11: (3, "s1", "done"), 12: (3, None, "HTTP 403")}
        errands.told([(11, 3), (12, 2)], "held")
        assert [each.id for each in errands.untold(10)] == [12]
        assert errands.take_on([Leased(id=11, token=4, fetch=one.fetch)]) == 1
        assert errands.stats().queued == 1
        assert errands.prefix == "n7-"


def test_what_a_volunteer_never_heard_of_is_put_back(desk: Desk, register: Register) -> None:
    volunteer, other = joined(register, "one"), joined(register, "two")
    heard, lost, theirs = lend(desk, volunteer, 2), lend(desk, volunteer, 2), lend(desk, other, 1)
    assert desk.put_back_but(volunteer, [one.id for one in heard]) == 2
    assert desk.put_back_but(volunteer, [one.id for one in heard]) == 0
    again = lend(desk, volunteer)
    assert {one.id for one in lost} <= {one.id for one in again}
    assert {one.id for one in again}.isdisjoint(one.id for one in (*heard, *theirs))


def test_nobody_cuts_short_what_another_said_of_a_host(desk: Desk) -> None:
    place = "https://a.example"
    for until, then in ((50.0, 50.0), (20.0, 50.0), (70.0, 70.0)):
        desk.freeze(place, until)
        assert desk._db.execute("SELECT frozen_until FROM origin WHERE name = ?", (place,)).fetchone()[0] == then


def test_what_is_taken_back_is_counted_for_who_had_brought_it(desk: Desk, register: Register, address: str) -> None:
    volunteer = joined(register, "one")
    one, two = lend(desk, volunteer, 2)
    assert desk.lent(volunteer, [*ids((one,)), (two.id, two.token + 1)]) == [
        (one.id, one.token, one.fetch.url, one.fetch.lane)
    ]
    name = segment_of(desk, volunteer)
    assert desk.hold(volunteer, name, ids((one,)), now=NOW) == [one.id]
    tokens = desk.tokens(volunteer, [one.id, two.id, 999])
    assert tokens.keys() == {one.id, two.id}
    brought = replace(told(one, location=at(0, name)), token=tokens[one.id])
    assert desk.prove(volunteer, [brought], now=NOW) == [brought]
    vain = Settlement(id=two.id, token=two.token, state=State.QUEUED)
    desk.hand_back(volunteer, ids((two,)), "HTTP 403", now=NOW)
    desk.ask_again(volunteer.node, name, [replace(brought, digests=DIGESTS)], most=9, now=NOW)
    (asked,) = desk.asked_again(9)
    assert desk.stands(asked)
    assert desk.take_back([brought, vain]) == 2
    assert (desk.asked_again(9), desk.stands(asked)) == ([], False), "nobody compares what does not count"
    totals = dict(desk._db.execute("SELECT name, n FROM total_of WHERE node = ?", (volunteer.node,)).fetchall())
    assert (totals["captures"], totals["attempts"]) == (0, 1)
    assert set(states(address).values()) == {"queued"}
    assert {leased.attempt for leased in lend(desk, volunteer)} == {0}, "nor has it been tried in vain"
