"""What ``frontier/interface.py`` promises."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from crawler.errors import UsageError
from crawler.frontier.interface import Refusal
from crawler.frontier.reader import FrontierReader
from crawler.frontier.sqlite import SqliteFrontier
from crawler.model import Covered, Fetch, Gate, Note, SegmentClass, Standing, State, source_of
from tests.conformance.frontier.conftest import Opener
from tests.conformance.frontier.support import at, digests, fetch, lease, settle, told


def test_a_fetch_is_known_once(frontier: SqliteFrontier) -> None:
    assert frontier.offer([fetch("1"), fetch("1"), fetch("2")]) == 2
    assert frontier.offer([fetch("1", lane="video")]) == 0
    assert frontier.stats().queued == 2


def test_lanes_go_in_their_order_and_values_before_it(frontier: SqliteFrontier) -> None:
    frontier.offer([fetch("v", "video"), fetch("p", value=0), fetch("q", value=5), fetch("l", "listings")])
    assert [one.fetch.url[-1] for one in lease(frontier)] == ["l", "q", "p", "v"]


def test_a_lane_is_first_in_first_out(frontier: SqliteFrontier) -> None:
    frontier.offer([fetch(str(n)) for n in range(20)])
    assert [one.fetch.url.rsplit("/", 1)[1] for one in lease(frontier)] == [str(n) for n in range(20)]


def test_what_is_leased_is_not_leased_again(frontier: SqliteFrontier) -> None:
    frontier.offer([fetch(str(n)) for n in range(5)])
    assert (len(lease(frontier, 3)), len(lease(frontier, 9)), len(lease(frontier))) == (3, 2, 0)


def test_origins_get_no_more_than_their_room(frontier: SqliteFrontier) -> None:
    frontier.offer(
        [fetch(str(n)) for n in range(9)] + [Fetch(url=f"https://b.example/{n}", lane="posts") for n in range(9)]
    )
    got = lease(frontier, room=lambda place: 2 if place == "https://a.example" else 4)
    assert sum("a.example" in one.fetch.url for one in got) == 2
    assert sum("b.example" in one.fetch.url for one in got) == 4


def test_a_commit_settles_and_discovers_in_one_step(frontier: SqliteFrontier) -> None:
    frontier.offer([fetch("1", covers=("post", "1"))])
    (one,) = lease(frontier)
    done = told(
        one,
        location=at(0),
        size=123,
        status=200,
        outlinks=(fetch("2", covers=("post", "2")),),
        coverage=(Covered(kind="post", id="1", standing=Standing.CAPTURED),),
    )
    assert settle(frontier, done) == 1
    stats = frontier.stats()
    assert (stats.done, stats.queued, stats.captures, stats.bytes) == (1, 1, 1, 123)
    assert frontier.coverage() == {"post": {"captured": 1, "known": 1}}


def test_committing_twice_changes_nothing(frontier: SqliteFrontier) -> None:
    frontier.offer([fetch("1")])
    (one,) = lease(frontier)
    done = told(one, location=at(0), size=5, outlinks=(fetch("2"),))
    assert settle(frontier, done) == 1
    before = (frontier.stats(), frontier.coverage())
    assert settle(frontier, done) == 0
    assert (frontier.stats(), frontier.coverage()) == before


def test_a_stale_token_settles_nothing(frontier: SqliteFrontier) -> None:
    frontier.offer([fetch("1")])
    (old,) = lease(frontier)
    frontier.release("w1")
    (new,) = lease(frontier, worker="w2")
    assert new.token > old.token
    assert settle(frontier, told(old, outlinks=(fetch("x"),))) == 0
    assert frontier.stats().queued == 0
    assert settle(frontier, told(new)) == 1


def test_an_attempt_waits_and_counts(frontier: SqliteFrontier) -> None:
    frontier.offer([fetch("1")])
    (one,) = lease(frontier)
    settle(frontier, told(one, State.QUEUED, reason="HTTP 503", not_before=2000.0, location=at(0)))
    assert not lease(frontier, now=1999.0)
    assert frontier.next_due() == 2000.0
    (again,) = lease(frontier, now=2000.0)
    assert again.attempt == 1
    assert frontier.stats().attempts == 1


def test_what_waits_for_one_reason_can_be_brought_forward(frontier: SqliteFrontier) -> None:
    frontier.offer([fetch("1"), fetch("2")])
    one, two = lease(frontier)
    settle(
        frontier,
        told(one, State.QUEUED, reason="second look", not_before=9e9),
        told(two, State.QUEUED, reason="other", not_before=9e9),
    )
    assert frontier.bring_forward("second look", older_than=999.0, now=1000.0) == 0
    assert frontier.bring_forward("second look", older_than=1001.0, now=1000.0) == 1
    assert [x.fetch.url[-1] for x in lease(frontier)] == ["1"]


def test_release_reap_and_reset_put_back_with_attempts_as_they_were(frontier: SqliteFrontier) -> None:
    frontier.offer([fetch(str(n)) for n in range(3)])
    lease(frontier, 1, worker="w1")
    lease(frontier, 1, worker="w2", seconds=5.0)
    lease(frontier, 1, worker="w3")
    assert frontier.release("w1") == 1
    assert frontier.reap(1006.0) == 1
    frontier.heartbeat("w3", 5000.0)
    assert frontier.reap(4999.0) == 0
    assert frontier.reset_leases() == 1
    assert {one.attempt for one in lease(frontier)} == {0}


def test_what_is_refused_when_leased_is_excluded_at_once(frontier: SqliteFrontier) -> None:
    frontier.offer([fetch("secret", covers=("post", "s")), fetch("open", covers=("post", "o"))])
    refusal = Refusal(reason="robots", standing=Standing.REFUSED)
    got = lease(frontier, admit=lambda f: refusal if "secret" in f.url else None)
    assert [one.fetch.url.rsplit("/", 1)[1] for one in got] == ["open"]
    assert frontier.stats().excluded == 1
    assert frontier.stats().reasons == {"robots": 1}
    assert frontier.coverage()["post"] == {"refused": 1, "known": 1}


def gated(frontier: SqliteFrontier) -> None:
    frontier.gate_for = lambda origin: Fetch(url=f"{origin}/robots.txt", lane="robots", cursor={"origin": origin})


def test_an_origin_stays_closed_until_its_gate_opens(frontier: SqliteFrontier) -> None:
    gated(frontier)
    frontier.offer([fetch("1")])
    (robots,) = lease(frontier)
    assert robots.fetch.lane == "robots"
    assert not lease(frontier)
    settle(frontier, told(robots, gate=Gate(origin="https://a.example", rules="Disallow: /x")))
    assert [one.fetch.url[-1] for one in lease(frontier)] == ["1"]
    gate = frontier.gate("https://a.example")
    assert gate is not None
    assert gate.rules == "Disallow: /x"


def test_an_unreadable_gate_keeps_its_origin_closed_and_says_so(frontier: SqliteFrontier) -> None:
    gated(frontier)
    frontier.offer([fetch("1")])
    (robots,) = lease(frontier)
    settle(
        frontier, told(robots, State.PARKED, reason="HTTP 503", gate=Gate(origin="https://a.example", readable=False))
    )
    assert not lease(frontier)
    assert frontier.stats().unreadable == ("https://a.example",)
    assert frontier.stats().blocked == 1
    frontier.reopen_gates()
    assert len(lease(frontier)) == 1


def test_a_redirected_robots_opens_with_its_target(frontier: SqliteFrontier) -> None:
    gated(frontier)
    frontier.offer([Fetch(url="http://a.example/1", lane="posts"), fetch("2")])
    plain, secure = sorted(lease(frontier), key=lambda one: one.fetch.url)
    moved = Fetch(url=secure.fetch.url, lane="robots", hops=1, cursor={"origin": "http://a.example"})
    settle(frontier, told(plain, outlinks=(fetch("3"), moved)))
    assert not lease(frontier)
    settle(frontier, told(secure, gate=Gate(origin="https://a.example", rules="r")))
    assert len(lease(frontier)) == 3


def test_frozen_and_paused_places_give_nothing(frontier: SqliteFrontier) -> None:
    frontier.offer([fetch("1"), fetch("v", "video")])
    frontier.freeze("https://a.example", 1500.0)
    assert not lease(frontier, now=1499.0)
    frontier.pause(lane="video")
    assert [one.fetch.url[-1] for one in lease(frontier, now=1500.0)] == ["1"]
    frontier.pause(lane="video", paused=False)
    assert len(lease(frontier, now=1500.0)) == 1


def test_coverage_only_moves_forward(frontier: SqliteFrontier) -> None:
    frontier.offer([fetch("1")])
    (one,) = lease(frontier)
    steps = [Standing.CAPTURED, Standing.MISSING, Standing.KNOWN, Standing.PARTIAL]
    settle(frontier, told(one, coverage=tuple(Covered(kind="post", id="1", standing=s) for s in steps)))
    assert frontier.coverage() == {"post": {"captured": 1}}
    assert not list(frontier.gaps())


def test_gaps_say_what_is_not_held_and_why(frontier: SqliteFrontier) -> None:
    frontier.offer([fetch("1", covers=("post", "1"), day="2021-01-06"), fetch("2", covers=("image", "2"))])
    one, two = sorted(lease(frontier), key=lambda leased: leased.fetch.url)
    settle(
        frontier,
        told(one, coverage=(Covered(kind="post", id="1", standing=Standing.MISSING, reason="HTTP 404"),)),
        told(two),
    )
    gaps = list(frontier.gaps("post"))
    assert [(g.id, g.standing, g.reason, g.day, g.url) for g in gaps] == [
        ("1", Standing.MISSING, "HTTP 404", "2021-01-06", "https://a.example/1")
    ]
    assert len(list(frontier.gaps())) == 2


def test_the_first_committed_payload_is_the_original(frontier: SqliteFrontier) -> None:
    frontier.add_segment("s1", SegmentClass.TEXT, "w1")
    frontier.offer([fetch(str(n)) for n in range(3)])
    one, two, three = lease(frontier)
    settle(frontier, told(one, location=at(0), digests=digests("x"), record_id="<urn:uuid:1>", date="d1"))
    settle(frontier, told(two, location=at(100), digests=digests("x"), record_id="<urn:uuid:2>", date="d2"))
    settle(frontier, told(three, location=at(200), digests=digests("small", 900), record_id="<urn:uuid:3>", date="d3"))
    found = frontier.known_payload(digests("x").payload_sha256)
    assert found is not None
    assert (found.record_id, found.url, found.date, found.segment) == (
        "<urn:uuid:1>",
        "https://a.example/0",
        "d1",
        "s1",
    )
    assert frontier.known_payload(digests("small").payload_sha256) is None


def test_an_attempt_is_nobodys_original(frontier: SqliteFrontier) -> None:
    frontier.offer([fetch("1")])
    (one,) = lease(frontier)
    settle(
        frontier,
        told(one, State.QUEUED, not_before=1.0, location=at(0), digests=digests("x"), record_id="<urn:uuid:1>"),
    )
    assert frontier.known_payload(digests("x").payload_sha256) is None


def test_low_water_marks_rise_and_prune(frontier: SqliteFrontier) -> None:
    frontier.add_segment("s1", SegmentClass.TEXT, "w1")
    frontier.offer([fetch(str(n)) for n in range(3)])
    one, two, three = lease(frontier)
    settle(frontier, told(two, location=at(100)), s1=0)
    assert (frontier.low_water("s1"), frontier.is_settled_group("s1", 100), frontier.is_settled_group("s1", 0)) == (
        0,
        True,
        False,
    )
    settle(frontier, told(one, location=at(0)), told(three, location=at(200)), s1=300)
    assert (frontier.low_water("s1"), frontier.is_settled_group("s1", 100)) == (300, False)
    settle(frontier, s1=5)
    assert frontier.low_water("s1") == 300
    assert frontier.low_water("unknown") == 0
    assert frontier.settled_end("unknown") == 0


def test_recovery_settles_by_fingerprint_and_only_once(frontier: SqliteFrontier) -> None:
    frontier.offer([fetch("1")])
    lease(frontier)
    frontier.reset_leases()
    (found,) = [(fetch("1"), told(lease(frontier)[0], location=at(0), outlinks=(fetch("2"),)))]
    frontier.reset_leases()
    assert frontier.commit_recovered([found], {"s1": 100}, now=1.0) == 1
    assert frontier.commit_recovered([found], {}, now=1.0) == 0
    stats = frontier.stats()
    assert (stats.done, stats.queued, stats.captures) == (1, 1, 1)


def test_parked_things_can_be_tried_afresh(frontier: SqliteFrontier) -> None:
    frontier.offer([fetch("1"), fetch("2")])
    one, two = lease(frontier)
    settle(frontier, told(one, State.PARKED, reason="HTTP 403"), told(two, State.FAILED, reason="parse"))
    assert frontier.stats().reasons == {"HTTP 403": 1, "parse": 1}
    assert frontier.requeue("parked", "HTTP 500") == 0
    assert frontier.requeue("parked") == 1
    assert frontier.stats().reasons == {"parse": 1}
    assert len(lease(frontier)) == 1


def test_a_new_round_knows_nothing_of_the_last(frontier: SqliteFrontier) -> None:
    frontier.offer([fetch("1")])
    frontier.open_round(2)
    assert frontier.offer([fetch("1")]) == 1
    assert len(lease(frontier)) == 1


def test_a_transaction_that_fails_leaves_nothing(frontier: SqliteFrontier) -> None:
    frontier.offer([fetch("1")])
    (one,) = lease(frontier)
    broken = told(one, outlinks=(fetch("2"), Fetch(url="https://[broken", lane="posts")))
    with pytest.raises(ValueError, match="IPv6"):
        settle(frontier, broken)
    stats = frontier.stats()
    assert (stats.leased, stats.done, stats.queued) == (1, 0, 0)
    assert settle(frontier, told(one, outlinks=(fetch("2"),))) == 1
    assert frontier.stats().queued == 1


def test_settings_and_paces_are_kept(opener: Opener) -> None:
    made = opener()
    made.meta_set("config", "{}")
    made.host_set("*", {"a": 1.5})
    made.close()
    again = opener()
    assert (again.meta_get("config"), again.meta_get("nothing"), again.host_get("*")) == ("{}", None, {"a": 1.5})
    again.close()


def test_a_newer_format_is_refused(opener: Opener) -> None:
    made = opener()
    made.meta_set("format", "99")
    made.close()
    with pytest.raises(UsageError, match="99"):
        opener()


@pytest.mark.parametrize("content", [b"junk" * 2000, b"SQLite format 3\0" + b"\0" * 5000])
def test_a_file_that_is_no_frontier_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "f % ? .sqlite"
    path.write_bytes(content)
    for kind in (SqliteFrontier, FrontierReader):
        with pytest.raises(UsageError):
            kind(path)
    assert path.read_bytes() == content


def test_no_verb_walks_through_all_fetches(tmp_path: Path) -> None:
    """With ten million of them each such walk would be a pause of seconds."""
    made = SqliteFrontier(tmp_path / "f.sqlite")
    for name, text in made._sql.items():
        if name in {"asked", "left", "done_in"}:  # these tell of all of a round
            continue
        names = {word[1:].strip("(),;") for word in text.replace("(", " ").split() if word.startswith(":")}
        whole = f"{text} (?)" if name == "cover" else text
        facts = dict.fromkeys(names, 1) if names else [1] * whole.count("?")
        plan = made._db.execute(f"EXPLAIN QUERY PLAN {whole}", facts).fetchall()
        walks = [row[3] for row in plan if row[3].startswith("SCAN fetch") and "USING" not in row[3]]
        assert not walks, (name, walks)
    made.close()


def test_what_strangers_write_is_kept_however_long_or_odd(frontier: SqliteFrontier) -> None:
    odd = "".join(random.Random(1).choices("abcdefgh", k=20_000)) + "\0"
    frontier.offer([fetch("1", covers=("post", odd))])
    (one,) = lease(frontier)
    far = Fetch(url=f"https://a.example/{odd[:9000]}", lane="posts", covers=("post", odd[1:]))
    note = Note(text=odd, url=odd)
    said = Covered(kind="post", id=odd, standing=Standing.CAPTURED, reason="a\0b", url=odd)
    assert settle(frontier, told(one, reason="a\0b", notes=(note,), coverage=(said,), outlinks=(far,))) == 1
    assert frontier.coverage() == {"post": {"captured": 1, "known": 1}}
    assert len(frontier.notes()) == 1
    assert [gap.id for gap in frontier.gaps()] in ([odd[1:]], [odd[1:].replace("\0", "\ufffd")])


def test_what_a_wrong_clock_queued_is_due_again(frontier: SqliteFrontier) -> None:
    frontier.offer([fetch("1"), fetch("2")])
    one, two = lease(frontier)
    settle(frontier, told(one, State.QUEUED, not_before=1e9), told(two, State.QUEUED, not_before=2000.0))
    frontier.forget_waits(90_000.0)
    assert [got.fetch.url for got in lease(frontier, now=1500.0)] == [one.fetch.url]
    assert [got.fetch.url for got in lease(frontier, now=2500.0)] == [two.fetch.url]


def test_what_a_later_round_finds_gone_or_changed_is_told(frontier: SqliteFrontier) -> None:
    def post(thing: str, said: bytes, source: bytes = b"listing ") -> Covered:
        return Covered(kind="post", id=thing, standing=Standing.CAPTURED, mark=source + said.ljust(8))

    def heard(*coverage: Covered) -> None:
        frontier.offer([fetch("list")])
        (one,) = lease(frontier)
        settle(frontier, told(one, coverage=coverage))

    heard(post("same", b"tea"), post("edited", b"tea"), post("elsewhere", b"tea"), post("gone", b"tea"))
    assert list(frontier.changes()) == []
    frontier.open_round(2)
    gone = Covered(kind="post", id="gone", standing=Standing.MISSING)
    heard(post("same", b"tea"), post("edited", b"soup"), post("elsewhere", b"soup", b"the page"), gone)
    found = {one.id: one.reason for one in frontier.changes()}
    assert found == {"edited": "changed in round 2", "gone": "gone in round 2"}
    assert frontier.coverage() == {"post": {"captured": 4}}


def test_a_recheck_asks_for_what_was_answered_and_tells_what_is_no_longer_there(frontier: SqliteFrontier) -> None:
    page = fetch("list", callback="parse_list")

    def heard(*things: str, status: int = 200) -> None:
        frontier.offer([page, fetch("file")])
        for one in lease(frontier):
            shown = things if one.fetch.callback else ()
            coverage = tuple(
                Covered(kind="post", id=thing, standing=Standing.CAPTURED, mark=source_of(page) + b"the text")
                for thing in shown
            )
            settle(frontier, told(one, status=status, coverage=coverage))

    heard("kept", "gone")
    frontier.open_round(2, lambda one: one.callback is not None)
    assert frontier.stats().queued == 1
    heard("kept", "new")
    whole = frozenset({"parse_list"})
    assert [(one.id, one.reason, one.url) for one in frontier.changes(whole)] == [("gone", "gone in round 2", page.url)]
    assert list(frontier.changes()) == []
    frontier.open_round(3, lambda one: one.callback is not None)
    heard(status=304)  # nothing has changed, and nothing was read
    assert list(frontier.changes(whole)) == []


def test_a_plan_goes_before_the_order_of_lanes_and_what_waits_is_not_leased(frontier: SqliteFrontier) -> None:
    frontier.offer([fetch("a"), fetch("b", "listings"), fetch("c", day="2021-01-06"), fetch("d", "originals")])
    buckets = {(one.lane, one.day): one for one in frontier.buckets()}
    places = {("posts", "2021-01-06"): (1, False), ("originals", ""): (2, True), ("posts", ""): (3, False)}
    frontier.arrange({buckets[key].id: at for key, at in places.items()} | {buckets["listings", ""].id: (4, False)})
    assert [one.fetch.url[-1] for one in lease(frontier)] == ["c", "a", "b"]
    frontier.arrange({buckets["originals", ""].id: (0, False)})
    assert [one.fetch.url[-1] for one in lease(frontier)] == ["d"]


def test_buckets_count_bytes_and_lanes_what_they_led_to(frontier: SqliteFrontier) -> None:
    frontier.offer([fetch("1", "listings")])
    links = (fetch("2"), fetch("3"), fetch("2"), fetch("4", "images"))
    settle(frontier, told(lease(frontier)[0], location=at(0), size=700, outlinks=links))
    assert frontier.led() == {("listings", "posts"): 2, ("listings", "images"): 1}
    assert {one.lane: (one.queued, one.done, one.bytes) for one in frontier.buckets()} == {
        "listings": (0, 1, 700), "posts": (2, 0, 0), "images": (1, 0, 0),
    }  # fmt: skip


def test_a_bucket_that_is_new_takes_the_place_of_its_lane(frontier: SqliteFrontier) -> None:
    frontier.offer([fetch("a"), fetch("b", "images")])
    frontier.arrange({one.id: ({"posts": 1, "images": 2}[one.lane], False) for one in frontier.buckets()})
    frontier.offer([fetch("c", "images", day="2021-01-06")])
    assert [one.fetch.url[-1] for one in lease(frontier)] == ["a", "c", "b"]
