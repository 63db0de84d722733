"""Pages, sitemaps and answers that are nearly right: no callback fails, and what it finds can be kept."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz import targets
from tests.fuzz.strategies import anything, changed, few, some


@some
@given(anything("markup"))
def test_markup(data: bytes) -> None:
    targets.markup(data)


@some
@given(anything("listing"))
def test_listings(data: bytes) -> None:
    targets.listing(data)


@some
@given(changed("generic"))
def test_the_ordinary_spider(data: bytes) -> None:
    targets.generic(data)


@some
@given(changed("parler"))
def test_parler(data: bytes) -> None:
    targets.parler(data)


@few
@given(anything("parler_page"))
def test_parler_pages(data: bytes) -> None:
    targets.parler_page(data)


@few
@given(st.binary(max_size=60))
def test_searches_end(data: bytes) -> None:
    targets.search(data)
