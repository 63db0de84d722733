"""What ``frontier/interface.py`` promises of templates: every id once, whatever happens, and holes that cost nothing."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from crawler.frontier.interface import Refusal
from crawler.frontier.sqlite import SqliteFrontier
from crawler.model import Covered, Fetch, Leased, Settlement, Standing, State
from tests.conformance.frontier.conftest import Opener
from tests.conformance.frontier.support import at, digests, fetch, lease, settle, told

TEMPLATE = "https://a.example/{1..%d}"


def sweep(frontier: SqliteFrontier, size: int, walk: str = "newest", template: str = "", **work: object) -> int:
    template = template or TEMPLATE % size
    first = template.replace(f"{{1..{size}}}", "1")
    return frontier.sweep(
        template, fetch(first.rpartition("/")[2], sweep=True, covers=("page", first), callback="parse"), walk=walk
    )


def number(leased: Leased) -> int:
    return int(leased.fetch.url.rpartition("/")[2])


def hole(leased: Leased, **facts: object) -> Settlement:
    covers = leased.fetch.covers
    assert covers is not None
    vacant = Covered(kind=covers[0], id=covers[1], standing=Standing.VACANT, reason="hole", url=leased.fetch.url)
    return told(leased, reason="hole", status=404, location=at(abs(leased.id) * 100), coverage=(vacant,), **facts)


def hit(leased: Leased, *outlinks: Fetch) -> Settlement:
    covers = leased.fetch.covers
    assert covers is not None
    captured = Covered(kind=covers[0], id=covers[1], standing=Standing.CAPTURED, url=leased.fetch.url)
    return told(
        leased, status=200, location=at(abs(leased.id) * 100), coverage=(captured,), outlinks=outlinks,
        digests=digests(str(leased.id)), record_id=f"urn:{leased.id}",
    )  # fmt: skip


def rows(frontier: SqliteFrontier, table: str = "fetch") -> int:
    count: int = frontier._db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    return count


def test_a_range_is_one_row_and_counts_as_queued(frontier: SqliteFrontier) -> None:
    assert sweep(frontier, 25_000_000) == 25_000_000
    assert sweep(frontier, 25_000_000) == 0
    assert frontier.stats().queued == 25_000_000
    assert (rows(frontier), rows(frontier, "sweep"), rows(frontier, "stretch")) == (0, 1, 0)


@pytest.mark.parametrize(("walk", "first"), [("newest", [9, 8, 7]), ("oldest", [1, 2, 3])])
def test_the_order_of_a_walk(frontier: SqliteFrontier, walk: str, first: list[int]) -> None:
    sweep(frontier, 9, walk)
    assert [number(one) for one in lease(frontier, 3)] == first
    assert (frontier.stats().leased, frontier.stats().queued) == (3, 6)
    assert frontier.stats().lanes["posts"] == {"queued": 6, "leased": 3}


def test_what_is_queued_in_its_bucket_goes_before_a_sweep(frontier: SqliteFrontier) -> None:
    sweep(frontier, 3)
    frontier.offer([fetch("named")])
    assert [one.fetch.url.rpartition("/")[2] for one in lease(frontier)] == ["named", "3", "2", "1"]


def test_holes_leave_bits_and_hits_leave_rows(frontier: SqliteFrontier) -> None:
    sweep(frontier, 3000)
    for _ in range(30):
        got = lease(frontier, 100)
        assert settle(frontier, *(hit(one) if number(one) % 100 == 0 else hole(one) for one in got)) == 100
    assert not lease(frontier)
    stats = frontier.stats()
    assert (stats.done, stats.queued, stats.leased, stats.captures) == (3000, 0, 0, 3000)
    assert rows(frontier) == 30
    assert rows(frontier, "covered") == 30
    assert frontier.coverage() == {"page": {"captured": 30, "vacant": 2970}}
    (state,) = frontier.sweeps()
    assert (state.asked, state.hits, state.holes) == (3000, 30, 2970)
    assert [one.asked for one in state.stretches] == [1024, 1024, 952]


def test_a_settlement_of_a_swept_id_counts_once(frontier: SqliteFrontier) -> None:
    sweep(frontier, 2)
    one, two = lease(frontier)
    done = hit(one, fetch("x"))
    assert settle(frontier, done, done) == 1
    assert settle(frontier, done, hole(one)) == 0
    assert settle(frontier, hole(two), hole(two)) == 1
    stats = frontier.stats()
    assert (stats.done, stats.queued, stats.leased) == (2, 1, 0)


def test_what_was_put_back_is_handed_out_again_and_its_old_lease_is_void(frontier: SqliteFrontier) -> None:
    sweep(frontier, 5)
    old = lease(frontier, 3)
    assert frontier.release("w2") == 0
    assert frontier.release("w1") == 3
    assert settle(frontier, *map(hit, old)) == 0
    assert [number(one) for one in lease(frontier, seconds=5.0)] == [5, 4, 3, 2, 1]
    assert frontier.reap(1004.0) == 0
    frontier.heartbeat("w1", 2000.0)
    assert frontier.reap(1900.0) == 0
    assert frontier.reap(2001.0) == 5
    assert len(lease(frontier)) == 5
    assert frontier.reset_leases() == 5


def test_an_attempt_becomes_a_row_that_waits(frontier: SqliteFrontier) -> None:
    sweep(frontier, 2)
    one, two = lease(frontier)
    settle(frontier, told(one, State.QUEUED, reason="HTTP 503", not_before=2000.0, location=at(0)), hole(two))
    assert rows(frontier) == 1
    assert frontier.next_due() == 2000.0
    (again,) = lease(frontier, now=2000.0)
    assert (again.fetch.url, again.attempt) == (one.fetch.url, 1)
    settle(frontier, hole(again))
    assert rows(frontier) == 0
    assert (frontier.stats().done, frontier.sweeps()[0].holes) == (2, 2)


def test_what_fails_or_is_parked_has_a_row_and_can_be_queued_again(frontier: SqliteFrontier) -> None:
    sweep(frontier, 2)
    one, two = lease(frontier)
    settle(frontier, told(one, State.PARKED, reason="HTTP 500"), told(two, State.FAILED, reason="parse"))
    assert (frontier.sweeps()[0].hits, frontier.sweeps()[0].holes, frontier.sweeps()[0].asked) == (0, 0, 2)
    assert frontier.requeue("parked") + frontier.requeue("failed") == 2
    got = lease(frontier)
    assert settle(frontier, *map(hit, got)) == 2
    assert frontier.sweeps()[0].hits == 2


def test_an_id_that_a_page_names_is_asked_once(frontier: SqliteFrontier) -> None:
    sweep(frontier, 9)
    assert frontier.offer([fetch("4", callback="parse"), fetch("4")]) == 1
    assert frontier.stats().queued == 9
    got = lease(frontier, 3)
    assert [number(one) for one in got] == [4, 9, 8]
    named = (fetch("9"), fetch("4"), fetch("3"))
    settle(frontier, hit(got[1], *named), hole(got[2], outlinks=(fetch("8"),)))
    asked = [number(one) for one in lease(frontier)]
    assert asked == [3, 7, 6, 5, 2, 1]


def test_what_was_known_before_a_sweep_is_not_asked_again(frontier: SqliteFrontier) -> None:
    frontier.offer([fetch("2"), fetch("3")])
    (two,) = lease(frontier, 1)
    settle(frontier, told(two, status=200, location=at(0)))
    sweep(frontier, 4)
    assert [number(one) for one in lease(frontier)] == [3, 4, 1]
    assert frontier.sweeps()[0].hits == 1
    assert frontier.stats().queued == 0


def test_what_is_refused_when_leased_leaves_no_row(frontier: SqliteFrontier) -> None:
    sweep(frontier, 20_000)
    refusal = Refusal(reason="robots", standing=Standing.REFUSED)
    got: list[Leased] = []
    for _ in range(9):
        got += lease(frontier, admit=lambda f: None if f.url.endswith("0000") else refusal)
    assert [number(one) for one in got] == [20_000, 10_000]
    assert (rows(frontier, "fetch WHERE state <> 'leased'"), rows(frontier, "covered")) == (0, 0)
    assert (frontier.stats().excluded, frontier.stats().queued) == (19_998, 0)
    assert frontier.coverage() == {"page": {"refused": 19_998}}


def test_ids_that_all_lead_to_one_door_are_holes(frontier: SqliteFrontier) -> None:
    sweep(frontier, 50)
    for one in lease(frontier):
        moved = Covered(kind="page", id=one.fetch.url, standing=Standing.CAPTURED, url=one.fetch.url)
        settle(frontier, told(one, reason="redirect", status=302, outlinks=(fetch("login"),), coverage=(moved,)))
    assert rows(frontier) == 2
    assert (frontier.sweeps()[0].hits, frontier.sweeps()[0].holes) == (1, 49)
    assert frontier.coverage() == {"page": {"captured": 1, "vacant": 49}}


def test_pages_of_holes_are_remembered_only_so_far(frontier: SqliteFrontier) -> None:
    sweep(frontier, 1500)
    for one in lease(frontier, 1500, room=lambda place: 1500):
        settle(frontier, hole(one, digests=digests(str(one.id)), record_id=f"urn:{one.id}"))
    assert rows(frontier, "payload") == 1000


def test_overlapping_templates_and_ids_that_run_together_are_asked_once(frontier: SqliteFrontier) -> None:
    for template in ("https://a.example/{1..20}", "https://a.example/{10..30}", "https://a.example/x{1..12}{1..12}"):
        frontier.sweep(template, fetch("1", sweep=True, covers=("page", "https://a.example/1")), walk="oldest")
    asked: Counter[str] = Counter()
    while got := lease(frontier, 10):
        asked.update(one.fetch.url for one in got)
        settle(frontier, *map(hole, got))
    assert set(asked.values()) == {1}
    swept = {f"https://a.example/{n}" for n in range(1, 31)}
    swept |= {f"https://a.example/x{a}{b}" for a in range(1, 13) for b in range(1, 13)}
    assert set(asked) == swept
    assert frontier.stats().queued == 0


def test_dense_stretches_go_first(frontier: SqliteFrontier) -> None:
    sweep(frontier, 200_000, "dense")
    clumps = {*range(30_000, 33_000), *range(120_000, 121_500)}
    found, asked = set(), 0
    while len(found) < len(clumps):
        got = lease(frontier, 500, room=lambda place: 500)
        asked += len(got)
        found |= {number(one) for one in got} & clumps
        settle(frontier, *(hit(one) if number(one) in clumps else hole(one) for one in got))
    assert asked < 25_000


def test_a_transaction_that_fails_leaves_a_sweep_as_it_was(frontier: SqliteFrontier) -> None:
    sweep(frontier, 5)
    one, two = lease(frontier, 2)
    broken = hit(one, Fetch(url="https://[broken", lane="posts"))
    with pytest.raises(ValueError, match="IPv6"):
        settle(frontier, hole(two), broken)
    assert (frontier.stats().done, frontier.stats().leased) == (0, 2)
    assert settle(frontier, hole(two), hit(one)) == 2

    def fails(fetch: Fetch) -> None:
        raise RuntimeError(fetch.url)

    with pytest.raises(RuntimeError):
        lease(frontier, admit=fails)
    assert [number(one) for one in lease(frontier)] == [3, 2, 1]


def test_what_recovery_finds_is_settled_and_not_asked_again(frontier: SqliteFrontier) -> None:
    sweep(frontier, 5)
    got = lease(frontier)
    frontier.reset_leases()
    found = [(one.fetch, hit(one) if number(one) == 5 else hole(one)) for one in got[:3]]
    assert frontier.commit_recovered(found, {"s1": 900}, now=1.0) == 3
    assert frontier.commit_recovered(found, {"s1": 900}, now=1.0) == 0
    assert rows(frontier, "fetch WHERE state = 'done'") == 1
    assert [number(one) for one in lease(frontier)] == [2, 1]
    assert (frontier.stats().done, frontier.sweeps()[0].hits, frontier.sweeps()[0].holes) == (3, 1, 2)


def test_a_new_round_sweeps_only_what_it_is_told(frontier: SqliteFrontier) -> None:
    sweep(frontier, 3)
    held = lease(frontier, 1)
    frontier.open_round(2)
    assert settle(frontier, *map(hit, held)) == 0
    assert frontier.sweeps() == []
    assert not lease(frontier)
    assert sweep(frontier, 3) == 3
    assert len(lease(frontier)) == 3


@pytest.mark.parametrize("walk", ["newest", "oldest", "dense"])
@pytest.mark.parametrize(("opener", "seed"), [*(("file", n) for n in range(4)), ("postgres", 0)], indirect=["opener"])
def test_every_id_is_settled_once_whatever_happens(opener: Opener, walk: str, seed: int) -> None:
    """Leases, commits, attempts, releases, links and crashes at random, over two templates."""
    rng = random.Random(seed)
    frontier = opener()
    size = rng.choice([700, 2500]) if seed else 700
    sweep(frontier, size, walk)
    sweep(frontier, 300, walk, "https://a.example/y/{1..300}")
    held: list[Leased] = []
    stale: list[Leased] = []
    settled: Counter[str] = Counter()
    now = 1000.0
    for _ in range(100_000):
        match rng.choices(["lease", "settle", "release", "crash", "offer", "stale"], [30, 60, 1, 1, 5, 3])[0]:
            case "lease":
                got = lease(frontier, rng.randint(1, 60), now=now)
                held += got
                if not got and not held:
                    break
            case "settle" if held:
                some = [held.pop(rng.randrange(len(held))) for _ in range(min(len(held), rng.randint(1, 40)))]
                for one in some:
                    fate = rng.random()
                    if fate < 0.05:
                        one_told = told(one, State.QUEUED, reason="HTTP 503", not_before=now)
                    else:
                        links = [fetch(str(rng.randint(1, size)))] if rng.random() < 0.1 else []
                        swept = one.fetch.sweep
                        one_told = hole(one) if swept and fate < 0.9 else told(one, status=200, outlinks=tuple(links))
                        settled[one.fetch.url] += 1
                    assert settle(frontier, one_told, now=now) == 1
                    stale.append(one)
            case "release":
                frontier.release("w1")
                stale += held
                held = []
            case "crash":
                frontier.close()
                frontier = opener()
                frontier.reset_leases()
                stale += held
                held = []
            case "offer":
                frontier.offer([fetch(str(rng.randint(1, size)))])
            case "stale" if stale:
                old = rng.choice(stale)
                if old not in held:
                    assert settle(frontier, told(old, status=200)) == 0
        stats = frontier.stats()
        assert stats.done + stats.queued + stats.leased == size + 300
    frontier.close()
    assert set(settled.values()) == {1}
    assert len(settled) == size + 300
