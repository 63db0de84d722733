"""Templates of URLs: what braces stand for, and the way from a position to its URL and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.errors import UsageError
from crawler.template import Template

SITE = "https://site.example/"


@pytest.mark.parametrize(
    ("braces", "size", "first", "last"),
    [
        ("{1..25000000}", 25_000_000, "1", "25000000"),
        ("{30..1}", 30, "1", "30"),
        ("{0001..250}", 250, "0001", "0250"),
        ("{00..10}", 11, "00", "10"),
        ("{0x1..0xff}", 255, "1", "ff"),
        ("{0x00..0xFF}", 256, "00", "FF"),
        ("{hex:0a..1f}", 22, "0a", "1f"),
        ("{base36:1..zz}", 36 * 36 - 1, "1", "zz"),
        ("{a..z}", 26, "a", "z"),
        ("{aa..zz}", 676, "aa", "zz"),
        ("{a..zz}", 702, "a", "zz"),
        ("{A..C}", 3, "A", "C"),
        ("{en,de,fr}", 3, "en", "fr"),
        ("{a..b}/{1..10}.html", 20, "a/1.html", "b/10.html"),
        ("f?t={1..3}&p={01..10}", 30, "f?t=1&p=01", "f?t=3&p=10"),
        ("{a..z}{aa..zz}", 26 * 676, "aaa", "zzz"),
    ],
)
def test_braces(braces: str, size: int, first: str, last: str) -> None:
    template = Template.of(SITE + braces)
    assert template.size == size
    assert template.url(0) == SITE + first
    assert template.url(size - 1) == SITE + last
    for position in {0, 1, size // 3, size - 1}:
        assert template.place(template.url(position)) == position
        assert template.is_own(position)


@pytest.mark.parametrize("url", ["0", "01", "11", "1/", "x", "1?p=2", "-1", ""])
def test_what_is_no_position_has_none(url: str) -> None:
    assert Template.of(SITE + "{1..10}").place(SITE + url) is None


@pytest.mark.parametrize(
    "text",
    ["https://site.example/", "{1..2}", "https://{a..z}.example/", "https://site.example:{1..9}/", SITE + "{1..}",
     SITE + "{a..Z}", SITE + "{1..9", SITE + "#{1..9}", SITE + "{hex:1..fg}", SITE + "{1..99999999999999999999}",
     SITE + "{a b,c}", "ftp://site.example/{1..2}"],
)  # fmt: skip
def test_what_is_no_template_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Template.of(text)


def test_the_rest_is_spelled_as_urls_are_known() -> None:
    template = Template.of("HTTPS://Site.Example:443/ü/{1..3}/a b")
    assert template.url(0) == "https://site.example/%C3%BC/1/a%20b"
    assert Template.of(template.text) == template


def test_ids_that_run_together_belong_to_one_position() -> None:
    template = Template.of(SITE + "{1..20}{1..20}")
    owned = [template.url(position) for position in range(template.size) if template.is_own(position)]
    assert len(owned) == len(set(owned)) == len({template.url(position) for position in range(template.size)})


def test_a_label_is_what_stands_in_the_braces() -> None:
    assert Template.of(SITE + "p/{a..c}/{1..9}/x").label(10) == "b/2"


@given(st.sampled_from(["{1..5000}", "{000..999}", "{a..zzz}", "{base36:1..zzz}", "{0x0..0xfff}"]), st.integers(0, 998))
def test_there_and_back(braces: str, position: int) -> None:
    template = Template.of(SITE + braces + "/x")
    assert template.place(template.url(position)) == position
