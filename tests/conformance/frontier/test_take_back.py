"""What a dead host said is undone: the fetch is as if nobody had asked, and what was known else stays known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crawler.frontier.sqlite import SqliteFrontier
from crawler.model import Covered, Note, Seen, Settlement, Standing, State
from tests.conformance.frontier.support import at, digests, fetch, lease, settle, told


def captured(thing: str, url: str, mark: bytes = b"") -> Covered:
    return Covered(kind="post", id=thing, standing=Standing.CAPTURED, url=url, mark=mark)


def test_a_capture_that_was_none_is_undone(frontier: SqliteFrontier) -> None:
    frontier.offer([fetch("1", covers=("post", "1"))])
    (one,) = lease(frontier)
    done = told(one, location=at(0), digests=digests("goodbye"), coverage=(captured("1", one.fetch.url),))
    settle(frontier, done)
    assert frontier.coverage()["post"] == {"captured": 1}
    assert frontier.take_back([done]) == 1
    stats = frontier.stats()
    assert (stats.queued, stats.done, stats.captures, stats.attempts) == (1, 0, 0, 1)
    assert frontier.coverage()["post"] == {"known": 1}
    assert frontier.take_back([done]) in {0, 1}, "twice changes nothing"
    assert frontier.stats() == stats
    (again,) = lease(frontier)
    assert again.attempt == 0


def test_what_another_capture_told_of_stays_captured(frontier: SqliteFrontier) -> None:
    frontier.offer([fetch("list"), fetch("1", covers=("post", "1"))])
    listing, post = sorted(lease(frontier), key=lambda one: one.id)
    settle(frontier, told(listing, coverage=(captured("1", post.fetch.url, b"a" * 16),)))
    done = told(post, coverage=(captured("1", post.fetch.url),))
    settle(frontier, done)
    frontier.take_back([done])
    assert frontier.coverage()["post"] == {"captured": 1}


@pytest.mark.parametrize("state", [State.PARKED, State.FAILED, State.QUEUED])
def test_attempts_in_vain_are_forgotten(state: State, frontier: SqliteFrontier) -> None:
    frontier.offer([fetch("1")])
    (one,) = lease(frontier)
    tried = told(one, state, reason="HTTP 403", not_before=9e9 if state is State.QUEUED else 0.0)
    settle(frontier, tried)
    assert frontier.take_back([tried]) == 1
    assert not frontier.stats().reasons
    (again,) = lease(frontier)
    assert again.attempt == 0


def test_what_somebody_leased_since_is_left_alone(frontier: SqliteFrontier) -> None:
    frontier.offer([fetch("1")])
    (one,) = lease(frontier)
    tried = told(one, State.QUEUED, reason="HTTP 503")
    settle(frontier, tried)
    (again,) = lease(frontier)
    settle(frontier, told(again))
    assert frontier.take_back([tried]) == 0
    assert frontier.stats().done == 1


def test_a_try_that_does_not_count_is_none(frontier: SqliteFrontier) -> None:
    frontier.offer([fetch("1")])
    (one,) = lease(frontier)
    settle(frontier, told(one, State.QUEUED, reason="dead", untried=True))
    (again,) = lease(frontier)
    assert again.attempt == 0


def test_ids_of_a_sweep_are_taken_back_too(frontier: SqliteFrontier) -> None:
    frontier.sweep("https://a.example/post/{1..3}", fetch("post/1", sweep=True), walk="oldest")
    settled: list[Settlement] = []
    for one in lease(frontier):
        seen = Seen(url=one.fetch.url, lane=one.fetch.lane, sign="ok", sweep=True)
        settled.append(told(one, status=200, location=at(one.id + 100), digests=digests("goodbye"), seen=seen))
    settle(frontier, *settled)
    assert frontier.stats().done == 3
    assert frontier.take_back(settled) == 3
    assert frontier.stats().queued == 3
    assert {one.fetch.url for one in lease(frontier)} == {f"https://a.example/post/{n}" for n in (1, 2, 3)}


def test_a_closed_lane_gives_nothing_and_others_go_on(frontier: SqliteFrontier) -> None:
    frontier.offer([fetch("1"), fetch("2", lane="images")])
    got = lease(frontier, closed=lambda place, lane: lane == "images")
    assert [one.fetch.lane for one in got] == ["posts"]
    assert len(lease(frontier)) == 1


def test_the_work_behind_a_settlement_and_what_people_must_hear(frontier: SqliteFrontier) -> None:
    frontier.offer([fetch("1", value=3)])
    (one,) = lease(frontier)
    assert frontier.fetch_of(told(one)) == one.fetch
    assert frontier.fetch_of(replace(told(one), id=99)) is None
    frontier.tell(Note(text="it died"))
    assert [(note.text, times) for note, times in frontier.notes()] == [("it died", 1)]
