"""One spelling for each URL, and none changed by being looked at twice."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler import url
from crawler.url import canonical, origin


@pytest.mark.parametrize(
    ("written", "known_as"),
    [
        ("HTTP://Example.ORG", "http://example.org/"),
        ("https://example.org:443/a#b", "https://example.org/a"),
        ("http://example.org:80/", "http://example.org/"),
        ("http://example.org:8080/", "http://example.org:8080/"),
        ("https://example.org/a b?c=d e", "https://example.org/a%20b?c=d%20e"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("http://[::1]:8000/x", "http://[::1]:8000/x"),
        ("https://example.org/?b=2&a=1&b=1", "https://example.org/?b=2&a=1&b=1"),
    ],
)
def test_a_url_has_one_spelling(written: str, known_as: str) -> None:
    assert canonical(written) == known_as
    assert canonical(known_as) == known_as


@pytest.mark.parametrize(
    "written", ["http://a\x00b.example/", "http://a%00b.example/", "http://a b.example/", "http:///x"]
)
def test_what_names_no_host_is_no_url(written: str) -> None:
    with pytest.raises(ValueError, match="no host"):
        canonical(written)


def test_an_origin_is_scheme_host_and_port() -> None:
    assert origin("HTTPS://Example.org:443/a/b?c") == "https://example.org"
    assert origin("http://example.org:8080/") == "http://example.org:8080"


@settings(deadline=None)
@given(st.from_regex(url._PLAIN, fullmatch=True))
def test_what_is_plain_already_is_what_the_long_way_gives(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(url, "_PLAIN", re.compile(r"(?!)"))
        assert url._spell(text) == text
