"""The search for a counter's end and for moments in it, driven against counters in memory."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spiders.counter import CEILING, CLOSE, ENOUGH, Answer, Goal, Search


def drive(search: Search, answer: Callable[[int, Search], Answer]) -> tuple[Search, list[int]]:
    """Run a search to its end, through its JSON form at every step; return its last step and what it asked."""
    asked = []
    while search.at is not None:
        search = Search.of(json.loads(json.dumps(search.cursor())))
        assert search.at not in asked, "an id was asked twice; a frontier would end the search here"
        asked.append(search.at)
        search = search.told(answer(search.at, search))
        assert len(asked) < 10_000
    return search, asked


def newest(alive: Callable[[int], bool], first: int = 1) -> tuple[Search, list[int]]:
    return drive(Search.newest(first), lambda at, _: Answer.ABOVE if alive(at) else Answer.HOLE)


@pytest.mark.parametrize("last", [1, 2, 63, 64, 65, 128, 129, 1000, 4097, 999_999, 183_000_000])
def test_the_end_of_a_dense_counter_is_found_closely_and_cheaply(last: int) -> None:
    found, asked = newest(lambda n: 1 <= n <= last)
    assert found.proof is not None
    assert last - ENOUGH <= found.proof <= last
    assert len(asked) < 400


@pytest.mark.parametrize(
    ("last", "every"), [(300, 2), (300, 3), (5_000, 3), (5_000, 20), (2_000_000, 3), (2_000_000, 33)]
)
def test_scattered_holes_are_not_the_end(last: int, every: int) -> None:
    found, asked = newest(lambda n: 1 <= n <= last and hash((n, every)) % every == 0)
    assert found.proof is not None
    assert last - 2 * max(ENOUGH, found.patience) <= found.proof <= last  # the sweep looks beyond it
    assert len(asked) < 200 * every
    assert len(json.dumps(found.cursor())) < 12_000


def test_a_long_run_of_holes_is_not_the_end() -> None:
    found, _ = newest(lambda n: 1 <= n <= 100_000 and not 65_400 <= n < 66_200)
    assert found.proof is not None
    assert found.proof > 99_900


def test_a_counter_that_begins_high_needs_a_hint_and_then_goes() -> None:
    found, _ = newest(lambda n: 10_000_000 <= n <= 10_002_000, first=10_000_000)
    assert found.proof is not None
    assert 10_002_000 - ENOUGH <= found.proof <= 10_002_000


def test_a_counter_that_answers_nothing_is_given_up() -> None:
    found, asked = newest(lambda _: False)
    assert found.proof is None
    assert max(asked) <= CEILING + 1024
    assert len(asked) < 700


def moment(
    goal: Goal, top: int, when: float, alive: Callable[[int], bool], dates: Callable[[int], float]
) -> tuple[Search, list[int]]:
    def answer(at: int, search: Search) -> Answer:
        if not alive(at):
            return Answer.HOLE
        before = dates(at) < when
        return Answer.ABOVE if before else Answer.BELOW

    return drive(Search.newest(1).moment(goal, 1, top), answer)


@settings(max_examples=200, deadline=None)
@given(
    top=st.integers(1, 50_000), boundary=st.integers(0, 60_000), holes=st.integers(1, 10), goal=st.sampled_from([Goal.SINCE, Goal.UNTIL]),
    salt=st.integers(0, 1000),
)  # fmt: skip
def test_a_moment_never_leaves_out_what_belongs(top: int, boundary: int, holes: int, goal: Goal, salt: int) -> None:
    def alive(n: int) -> bool:
        return hash((n, salt)) % 10 < holes

    found, asked = moment(goal, top, boundary, alive, float)
    if goal is Goal.SINCE:
        left_out = range(1, (found.proof or 0) + 1)
        assert not any(alive(n) and n >= boundary for n in left_out)
    else:
        left_out = range(found.proof or top + 1, top + 1)
        assert not any(alive(n) and n < boundary for n in left_out)
    assert len(asked) < 700


@pytest.mark.parametrize("boundary", [1, 2, 137, 5_000, 9_998, 10_000])
def test_a_moment_in_a_dense_counter_is_found_closely(boundary: int) -> None:
    since, asked = moment(Goal.SINCE, 10_000, boundary, lambda _: True, float)
    assert boundary - CLOSE - 1 <= (since.proof or 0) < boundary
    assert len(asked) <= 2 * 14
    until, asked = moment(Goal.UNTIL, 10_000, boundary, lambda _: True, float)
    assert until.proof is None if boundary > 10_000 else boundary <= (until.proof or 10_001) <= boundary + CLOSE
    assert len(asked) <= 2 * 14


def test_an_imported_post_with_an_old_date_does_not_mislead() -> None:
    imported = {5000, 7500, 2500, 3750, 6250}
    found, _ = moment(Goal.SINCE, 10_000, 2_000, lambda _: True, lambda n: 0.0 if n in imported else float(n))
    assert (found.proof or 0) < 2_000


def test_what_the_search_for_the_end_found_serves_as_a_witness() -> None:
    search = Search.newest(1)
    known = {}
    while search.at is not None:
        at = search.at
        if at <= 5_000:
            known[at] = f"thing {at}"
            search = search.remember(known[at]).told(Answer.ABOVE)
        else:
            search = search.told(Answer.HOLE)
    later = Search.of(search.moment(Goal.SINCE, 1, 5_000).cursor())
    met = 0
    while later.at is not None:
        assert later.known == known.pop(later.at, "")
        met += bool(later.known)
        later = later.told(Answer.ABOVE if later.at < 4_866 else Answer.BELOW)
    assert met
    assert dict(later.found) == known
