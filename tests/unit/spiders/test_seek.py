"""Entering a numbered listing where a window begins: few pages, and never too low a start."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spiders.seek import Seek, is_beyond
from spiders.window import Window

START = datetime(2021, 1, 1, tzinfo=UTC)
PAGE = 20


def _find(numbers: list[int], until: datetime, *, is_inclusive: bool) -> tuple[int, int]:
    """Return where to start from, and how many pages it took, in a listing of things an hour apart."""
    times = {n: START + timedelta(hours=place) for place, n in enumerate(numbers)}
    window, pages = Window(until=until), 0
    seek = Seek.begin([(numbers[-1], times[numbers[-1]])])
    while (asked := seek.at(PAGE, window)) is not None:
        if is_inclusive:
            below = [n for n in numbers if asked - PAGE < n <= asked]
        else:
            below = [n for n in numbers if n < asked][-PAGE:]
        seek, pages = seek.told(asked, [(n, times[n]) for n in below], window), pages + 1
        assert pages < 64
        if seek.is_met:
            return max(below) + 1, pages
    return seek.high, pages


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is slow at anything
@given(st.lists(st.integers(1, 30), min_size=1, max_size=120), st.floats(0, 1), st.booleans())
def test_nothing_of_the_window_lies_above_the_start(gaps: list[int], part: float, is_inclusive: bool) -> None:
    numbers = [sum(gaps[: n + 1]) for n in range(len(gaps))]
    wanted = int(part * len(numbers))
    start, _ = _find(numbers, START + timedelta(hours=wanted), is_inclusive=is_inclusive)
    assert all(n <= start if n == numbers[-1] else n < start for n in numbers[:wanted])


def test_a_million_numbers_take_few_pages_and_the_start_is_near() -> None:
    numbers = list(range(1, 100_001))
    start, pages = _find(numbers, START + timedelta(hours=40_000), is_inclusive=False)
    assert pages <= 3
    assert 40_000 < start <= 40_001 + PAGE


def test_a_step_travels_as_plain_data_and_nothing_is_beyond_no_window() -> None:
    step = Seek(9, 8.5, 3, None, 2, is_met=True)
    assert Seek.of(step.cursor()) == step
    assert Seek.of({}) is None
    assert not is_beyond([], Window(until=START))
    assert not is_beyond([(1, None)], Window(until=START))
