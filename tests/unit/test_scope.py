"""Which URLs belong, and which are the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.errors import UsageError
from crawler.model import Fetch
from crawler.scope import Scope, seed_from, trap
from crawler.url import canonical, origin


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("HTTP://Example.ORG", "http://example.org/"),
        ("https://example.org:443/a#frag", "https://example.org/a"),
        ("http://example.org:8080/", "http://example.org:8080/"),
        ("https://example.org/a?b=2&a=1&b=3", "https://example.org/a?b=2&a=1&b=3"),
        ("https://bücher.example/ü", "https://xn--bcher-kva.example/%C3%BC"),
        ("http://[::1]:80/x", "http://[::1]/x"),
        ("https://example.org./", "https://example.org/"),
        ("https://example.org/a b", "https://example.org/a%20b"),
    ],
)
def test_canonical_changes_spelling_only(url: str, same: str) -> None:
    assert canonical(url) == same
    assert canonical(same) == same


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=60))
def test_canonical_settles_after_one_step(path: str) -> None:
    try:
        once = canonical(f"https://example.org/{path}")
    except ValueError:
        return
    assert canonical(once) == once


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("parler.com", "https://parler.com/"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000/"),
        ("127.0.0.1:8000", "http://127.0.0.1:8000/"),
        ("localhost:99", "http://localhost:99/"),
        ("[::1]:99", "http://[::1]:99/"),
        ("example.org/blog", "https://example.org/blog"),
    ],
)
def test_what_people_type_becomes_a_seed(typed: str, url: str) -> None:
    assert seed_from(typed).url == url


@pytest.mark.parametrize(
    "typed", ["", "ftp://example.org/", "http://", "a b", "http://x:99999/", "http://x:y/", "javascript:alert(1)"]
)
def test_what_is_no_site_is_a_usage_error(typed: str) -> None:
    with pytest.raises(UsageError):
        seed_from(typed)


def fetch(url: str, lane: str = "pages", depth: int = 1) -> Fetch:
    return Fetch(url=url, lane=lane, depth=depth)


def test_scope_admits_its_hosts_and_requisites_from_anywhere() -> None:
    scope = Scope(hosts=frozenset({"a.example"}), suffixes=(".b.example",), open_lanes=frozenset({"requisites"}))
    assert not scope.refuses(fetch("https://a.example/x"))
    assert not scope.refuses(fetch("https://img.b.example/x"))
    assert scope.refuses(fetch("https://c.example/x")) == "other site"
    assert not scope.refuses(fetch("https://c.example/x.png", lane="requisites"))
    assert scope.refuses(fetch("mailto:x@a.example")) == "not http"


def test_a_path_in_the_seed_limits_its_own_host_only() -> None:
    scope = Scope(hosts=frozenset({"a.example", "cdn.example"}), paths=("/u/ann",), home="a.example")
    assert not scope.refuses(fetch("https://a.example/u/ann/1"))
    assert scope.refuses(fetch("https://a.example/u/bob"))
    assert not scope.refuses(fetch("https://cdn.example/x"))


def test_include_and_exclude_are_regular_expressions() -> None:
    scope = Scope(hosts=frozenset({"a.example"}), include=(r"/post/",), exclude=(r"\?print=",))
    assert not scope.refuses(fetch("https://a.example/post/1"))
    assert not scope.refuses(fetch("https://a.example/", depth=0))
    assert scope.refuses(fetch("https://a.example/about")) == "not in --include"
    assert scope.refuses(fetch("https://a.example/post/1?print=1")).startswith("--exclude")
    with pytest.raises(UsageError):
        Scope(hosts=frozenset(), exclude=("(",))


def test_traps_are_refused() -> None:
    assert trap("https://a.example/" + "x/" * 6)
    assert trap("https://a.example/" + "/".join(str(n) for n in range(60)))
    assert trap("https://a.example/?" + "q" * 5000)
    assert not trap("https://a.example/2021/01/06/post/1")


def test_origin_is_scheme_host_and_port() -> None:
    assert origin("https://Example.org:443/x") == "https://example.org"
    assert origin("http://example.org:8080/x") == "http://example.org:8080"


def test_a_fingerprint_knows_method_url_and_body() -> None:
    plain = Fetch(url="https://a.example/x", lane="pages")
    assert plain.fingerprint == Fetch(url="https://A.example/x#y", lane="posts").fingerprint
    assert plain.fingerprint != Fetch(url="https://a.example/x", lane="pages", method="POST").fingerprint
    assert plain.fingerprint != Fetch(url="https://a.example/x", lane="pages", body=b"{}").fingerprint
