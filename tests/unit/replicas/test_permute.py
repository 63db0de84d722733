"""Ids can be turned back into what they stand for."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.replicas.permute import Base62, Disguise, Hex32, keyed


@pytest.mark.parametrize("size", [1, 2, 3, 62, 1000, 1023, 1024, 1025])
def test_a_disguise_is_a_bijection(size: int) -> None:
    disguise = Disguise(7, "x", size)
    hidden = [disguise.hide(n) for n in range(size)]
    assert sorted(hidden) == list(range(size))
    assert [disguise.find(h) for h in hidden] == list(range(size))


@given(st.integers(0, (1 << 128) - 1), st.integers(0, 9))
def test_hexadecimal_ids_turn_back(number: int, seed: int) -> None:
    ids = Hex32(seed, "post")
    assert re.fullmatch("[0-9a-f]{32}", ids.text(number))
    assert ids.number(ids.text(number)) == number


@pytest.mark.parametrize("width", [5, 10, 12, 32])
@given(number=st.integers(0, 62**5 - 1))
def test_base_62_ids_turn_back(width: int, number: int) -> None:
    ids = Base62(1, "link", width)
    assert re.fullmatch(f"[0-9A-Za-z]{{{width}}}", ids.text(number))
    assert ids.number(ids.text(number)) == number


@given(st.text("0123456789abcdefXYZ", min_size=5, max_size=5))
def test_every_text_of_the_right_length_is_an_id(text: str) -> None:
    ids = Base62(1, "link", 5)
    assert ids.text(ids.number(text)) == text


def test_what_is_keyed_depends_on_every_part() -> None:
    assert len({keyed(1, "a", 2), keyed(2, "a", 2), keyed(1, "b", 2), keyed(1, "a", 3), keyed(1, "a2")}) == 5
