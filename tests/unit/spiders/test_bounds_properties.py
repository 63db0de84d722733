"""What is made to cost the square of its length costs no more than it should: bombs, each of which once went off."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from crawler.model import Fetch
from spiders import generic, html, parler_api
from spiders.feeds import MAX_JSON, entries
from spiders.generic import GenericSpider
from spiders.html import MAX_URLS_LENGTH, page, style
from spiders.parler_items import clock
from spiders.parler_pages import post_page, profile_page
from spiders.testing import NOON, answer
from spiders.tree import tree

#: CPU seconds; all of these take a tenth of it, and took minutes or gigabytes.
ENOUGH = 10.0


@pytest.fixture(autouse=True)
def _quickly() -> Iterator[None]:
    begun = time.process_time()
    yield
    assert time.process_time() - begun < ENOUGH


WRAPPER = '<div class="post--card--wrapper">'
BODY = WRAPPER + '<div class="reblock post"><div class="card--body">'
NESTED = {
    "comments": WRAPPER + '<div class="comment--card--wrapper reply--card--wrapper">' * 4000,
    "paragraphs": BODY + "x<p><button>" * 4000,
    "blocks": BODY + '<div class="media-container--wrapper">' + '<span class="mc-image--container">' * 4000,
    "cards": '<span class="profile--username">u</span>' + WRAPPER * 4000,
}


@pytest.mark.parametrize("text", NESTED.values(), ids=NESTED)
def test_what_is_nested_in_its_own_kind_is_read_once(text: str) -> None:
    shown = post_page(text)
    assert shown is not None
    assert len(shown.shown.comments) <= 1
    assert profile_page(text) is None or text is NESTED["cards"]


@pytest.mark.parametrize("closed", ["</b>", "<!-- </b> -->", "</i>", "<object></b></object>"])
def test_formatting_left_open_does_not_grow_the_tree(closed: str) -> None:
    text = closed * 1500 + "".join(f"<p><b id={number}>" for number in range(1500))
    assert len(tree(text).css("*")) < 8000


def test_a_page_deeper_than_any_page_is_no_page() -> None:
    assert len(tree("<div>" * 100_000).css("div")) == 0
    assert len(tree("<div></div>" * 20_000).css("div")) == 20_000


@pytest.mark.parametrize("piece", ["http://[ ,", "a\tb,", ",,,,x "])
def test_only_so_many_urls_of_a_page_are_looked_at(piece: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html, "MAX_LOOKED_AT", 2000)
    named = page(f"<img srcset='{piece * 900}'>" * 3 + "<img src=late>", "http://a.example/")
    assert len(named.requisites) <= 1
    named = style("a{background:url(http://[)}" * 2000 + "a{background:url(late)}", "http://a.example/")
    assert not named.requisites
    assert style("a{background:url(http://[)}" * 1999 + "a{background:url(late)}", "http://a.example/").requisites


def test_only_so_many_tags_of_a_page_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html, "MAX_TAGS", 1000)
    monkeypatch.setattr(html, "_PIECE", 100)
    assert len(page("".join(f"<a href={number}>" for number in range(5000)), "http://a.example/").links) < 1100


def test_the_urls_of_a_page_are_bounded_with_the_page_beside_each() -> None:
    url = f"https://a.example/{'x' * 4000}"
    named = page("".join(f"<a href=/{number}>" for number in range(20_000)), url)
    assert 1000 < len(named.links) < MAX_URLS_LENGTH / 4000 + 1


def test_json_of_a_thousandfold_is_not_made_into_objects() -> None:
    bomb = b'{"items":[' + b"{}," * (MAX_JSON // 3) + b'{"url":"/x"}]}'
    assert list(entries(io.BytesIO(bomb))) == []
    assert parler_api.load(answer("https://api.parler.com/v1/x", bomb)) == {}


def test_a_listing_without_end_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generic, "MAX_LISTED", 1 << 20)
    urls = "".join(f"<url><loc>https://a.example/{number}{'x' * 4000}</loc></url>" for number in range(600))
    fetch = Fetch(url="https://a.example/sitemap.xml", lane="listings", callback="parse_listing")
    response = answer(fetch.url, f"<urlset>{urls}</urlset>", headers={"Content-Type": "text/xml"}, fetch=fetch)
    *found, last = GenericSpider().read(response)
    assert 200 < len(found) < (1 << 20) / 4000
    assert "without end" in getattr(last, "reason", "")


@pytest.mark.parametrize("date", ["Mon, 01 Jan 0150 00:00:00 GMT", "", "x", "Fri, 31 Dec 9999 23:59:59 -2359"])
def test_a_clock_that_cannot_be_is_not_believed(date: str) -> None:
    assert clock(answer("https://parler.com/post/x", headers={"Date": date})) == NOON
    assert clock(answer("https://parler.com/", headers={"Date": "Thu, 01 Jan 1970 00:00:00 GMT"})) == datetime(
        1970, 1, 1, tzinfo=UTC
    )
