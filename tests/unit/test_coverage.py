"""Holes in id spaces: found where the space is dense, not made up where it is not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from crawler.coverage import ENOUGH, holes


def test_runs_of_holes_are_found() -> None:
    known = [n for n in range(1, 101) if n not in {7, 20, 21, 22, 99}]
    found = holes(known)
    assert found is not None
    assert (found.first, found.last, found.known, found.missing) == (1, 100, 95, 5)
    assert found.runs == ((7, 7), (20, 22), (99, 99))


def test_sparse_and_tiny_spaces_have_none() -> None:
    assert holes(range(0, 10_000, 3)) is None
    assert holes(range(ENOUGH - 1)) is None
    assert holes([]) is None


@given(st.sets(st.integers(0, 300), min_size=ENOUGH))
def test_what_is_missing_is_the_complement(known: set[int]) -> None:
    found = holes(sorted(known))
    if found is not None:
        there = {n for first, last in found.runs for n in range(first, last + 1)}
        assert there == set(range(min(known), max(known) + 1)) - known
        assert found.missing == len(there)
