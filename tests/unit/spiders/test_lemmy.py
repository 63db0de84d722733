"""Lemmy against its replica, in memory."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from crawler.model import Account, Fetch, Media, Post, Seed, Verdict
from crawler.replicas.exchange import Clock, Request
from crawler.replicas.kit import PRIVATE
from crawler.replicas.launch import NOW
from crawler.replicas.lemmy import LemmySite
from crawler.response import CaptureResponse
from spiders.detect import next_probe, recognise
from spiders.lemmy import LemmySpider
from spiders.lemmy_items import files_of, is_public, leaks
from spiders.testing import Crawled, answer
from tests.unit.spiders.world import walk

TRAPS = ("", "old", "new", "leak", "private")
SINCE, UNTIL = NOW - timedelta(days=36), NOW - timedelta(days=30)


def _paths(done: Crawled, lane: str = "") -> set[str]:
    return {urlsplit(url).path for url in done.urls(lane)}


def _said(done: Crawled, kind: type = Post) -> set[str]:
    return {item.id for item in done.items if isinstance(item, kind)}


@pytest.mark.parametrize("trap", TRAPS)
def test_all_that_is_public_and_nothing_private_at_little_more_than_the_least(trap: str) -> None:
    for size in (60, 400):
        done, site = walk(LemmySpider, LemmySite, size=size, trap=[trap] if trap else [])
        paths, things = _paths(done), list(site.things())
        said = {"Post": _said(done), "Account": _said(done, Account)}
        for thing in things:
            is_said = not thing["item"] or thing["id"] in said[thing["item"]]
            is_held = not thing["url"] or thing["url"] in paths
            assert (is_said and is_held) if thing["public"] else thing["url"] not in paths, thing
        assert not {thing["id"] for thing in things if not thing["public"] and thing["item"] == "Post"} & _said(done)
        assert not [item for item in done.items if PRIVATE in repr(item)]
        least = sum(site.overhead().values()) + sum(bool(one["public"] and one["url"]) for one in things)
        assert len(done.fetches) <= 1.2 * least + 2


@pytest.mark.parametrize("trap", ["", "old", "new"])
def test_each_version_is_asked_in_its_own_words_and_never_for_too_much(trap: str) -> None:
    done, site = walk(LemmySpider, LemmySite, size=400, trap=[trap] if trap else [])
    api = "/api/v4/" if trap == "new" else "/api/v3/"
    lists = [parse_qs(urlsplit(url).query) for url in done.urls() if f"{api}post/list" in url]
    assert len(lists) >= site.overhead()["posts"]
    assert {one["limit"][0] for one in lists} == {"50"}
    assert {one["type_"][0] for one in lists} == {"local" if trap == "new" else "Local"}
    turned = {"page" if trap == "old" else "page_cursor"}
    assert {name for one in lists[1:] for name in one} - {"limit", "type_", "sort", "show_nsfw"} == turned
    assert not done.notes


def test_comments_have_pages_of_their_own_where_no_other_shows_them() -> None:
    done, site = walk(LemmySpider, LemmySite, size=400)
    assert isinstance(site, LemmySite)
    paths = _paths(done, "pages")
    alone = {one.id: one for one in site._comments if f"/comment/{one.id}" in paths}
    assert {one.path.count(".") > 8 for one in alone.values()} == {True, False}
    assert all(one.path.count(".") > 8 or one.beneath.place.host for one in alone.values() if one.beneath)


def test_ids_of_comments_are_apart_and_lead_up() -> None:
    done, site = walk(LemmySpider, LemmySite, size=300)
    assert isinstance(site, LemmySite)
    for item in done.items:
        if isinstance(item, Post) and item.id.startswith("comment-"):
            one = site._comments[int(item.id.removeprefix("comment-")) - 1]
            above = one.path.split(".")[-2]
            assert one.beneath is not None
            assert item.in_reply_to == (str(one.beneath.id) if above == "0" else f"comment-{above}")


def test_uploads_are_asked_for_as_they_were_uploaded() -> None:
    post = {
        "url": "https://s.example/pictrs/image/a.png?thumbnail=256", "body": "![x](/pictrs/image/b.webp?format=jpg) ![y]( <https://e.example/c.gif?z=1> )",
        "content": "![bad](http://[) ![no](javascript:1)",
    }  # fmt: skip
    page = answer("https://s.example/api/v3/post/list")
    assert list(files_of(post, page)) == [
        "https://s.example/pictrs/image/a.png", "https://s.example/pictrs/image/b.webp", "https://e.example/c.gif?z=1",
    ]  # fmt: skip
    assert list(files_of({"url": "https://e.example/article"}, page)) == []
    assert list(files_of({"url": "https://e.example/x", "url_content_type": "image/png"}, page)) == [
        "https://e.example/x"
    ]
    done, _ = walk(LemmySpider, LemmySite)
    assert {item.kind for item in done.items if isinstance(item, Media)} == {"image"}


@pytest.mark.parametrize("trap", ["", "new"])
def test_a_window_takes_its_posts_and_goes_no_further_down(trap: str) -> None:
    done, site = walk(LemmySpider, LemmySite, size=600, since=SINCE, until=UNTIL, trap=[trap] if trap else [])
    truth = {
        thing["id"]: thing["url"] for thing in site.things()
        if thing["item"] == "Post" and thing["public"] and SINCE <= datetime.fromisoformat(thing["at"]) < UNTIL
    }  # fmt: skip
    assert len(truth) > 50
    assert _said(done) == truth.keys()
    shown = {path for path in _paths(done, "pages") if path.startswith(("/post/", "/comment/"))}
    assert shown == set(truth.values()) - {""}
    assert isinstance(site, LemmySite)
    newer = [one for one in site._comments if one.at >= SINCE]
    assert len([url for url in done.urls() if "/comment/list" in url]) <= len(newer) // 50 + 2


def test_a_private_server_says_so_and_nothing_more_is_asked() -> None:
    done, _ = walk(LemmySpider, LemmySite, trap=["private"])
    assert [note.text for note in done.notes] == ["The server says that only those who have logged in may read it."]
    assert not [url for url in done.urls() if "/list" in url]


def test_what_the_server_claims_is_kept_with_its_caveat() -> None:
    done, _ = walk(LemmySpider, LemmySite)
    claims = {claim.kind: claim for claim in done.claims}
    assert set(claims) == {"post", "reply", "account"}
    assert all(claim.count and claim.caveat for claim in claims.values())


@pytest.mark.parametrize("trap", ["", "new"])
def test_one_community_or_one_person_that_the_seed_names(trap: str) -> None:
    traps = [trap] if trap else []
    done, site = walk(LemmySpider, LemmySite, size=300, trap=traps, path="/c/pond0")
    assert isinstance(site, LemmySite)
    there = {str(one.id) for one in site._posts if one.place.name == "pond0" and one.is_public}
    assert there == {item.id for item in done.items if isinstance(item, Post) and "comment" not in item.id}
    done, site = walk(LemmySpider, LemmySite, size=300, trap=traps, path="/u/heron1")
    assert isinstance(site, LemmySite)
    theirs = [one for one in (*site._posts, *site._comments) if one.person.name == "heron1" and one.is_public]
    assert {f"comment-{one.id}" if one.beneath else str(one.id) for one in theirs} == _said(done)


@pytest.mark.parametrize("trap", TRAPS)
def test_each_version_is_recognised_from_its_bare_address(trap: str) -> None:
    site = LemmySite(size=30, trap=[trap] if trap else [], clock=Clock(NOW))
    replies: list[CaptureResponse] = []
    asked: list[str] = []
    while url := next_probe("http://127.0.0.1:9/", replies, asked):
        asked.append(url)
        said = site.answer(Request("GET", "127.0.0.1", urlsplit(url).path, {"host": "127.0.0.1:9"}))
        replies.append(answer(url, said.body, status=said.status, headers={"Content-Type": said.content_type}))
    found = recognise(replies)
    assert (found.platform, found.confidence >= 95) == ("lemmy", True)
    assert len(asked) <= 8


OPEN: dict[str, Any] = {"post": {"id": 1, "name": "tea"}, "community": {"visibility": "Public"}}


def test_what_a_view_says_of_who_may_have_it() -> None:
    assert is_public(OPEN)
    for seen in ("LocalOnly", "LocalOnlyPrivate", "local_only_private", "Private", "private", "something new"):
        assert not is_public({**OPEN, "community": {"visibility": seen}})
    for seen in ("Public", "public", "Unlisted", "LocalOnlyPublic", "local_only_public"):
        assert is_public({**OPEN, "community": {"visibility": seen}})
    for name in ("deleted", "removed"):
        assert not is_public({"post": {"id": 1, name: True}})
        assert not is_public({"comment": {"id": 1}, "post": {"id": 1, name: True}})
        assert leaks({"comment": {"id": 1, name: True, "content": "tea"}})
        assert not leaks({"comment": {"id": 1, name: True, "content": ""}})
    assert leaks({"community": {"name": "pond", "visibility": "Private"}})


def test_what_an_answer_is() -> None:
    walker = LemmySpider(seed=Seed(url="http://s/"))
    fetch = Fetch(url="http://s/api/v3/post/list?limit=50", lane="listings", callback="parse_listing")

    def verdict(body: object, status: int = 200) -> Verdict:
        return walker.judge(answer(fetch.url, json.dumps(body), status=status, fetch=fetch))

    assert verdict({"posts": [OPEN]}) is Verdict.OK
    assert verdict({"posts": [{**OPEN, "post": {"id": 1, "name": "x", "removed": True}}]}) is Verdict.MIXED
    assert verdict({"items": [{"comment": {"id": 1, "content": "x", "deleted": True}}]}) is Verdict.MIXED
    assert verdict({"error": "instance_is_private"}, 400) is Verdict.LOGIN
    assert verdict({"error": "rate_limit_error"}, 400) is Verdict.LIMITED
    assert verdict({"error": "couldnt_find_person"}, 400) is Verdict.MISSING
    assert verdict({"error": "couldnt_get_posts"}, 400) is Verdict.OK


def test_wrong_shapes_raise_nothing_and_invent_nothing() -> None:
    wrong: list[object] = [None, 1, -1.5, "x", [], {}, [1], {"id": 1}, [None], "http://[", [{"url": "http://["}]]
    person = {"id": 2, "name": "a", "local": True}
    bodies: list[object] = [*wrong, {"site_view": wrong}, {"site_view": {}, "admins": [{"person": person}]}]
    for listed in ("posts", "comments", "items", "communities", "persons", "content"):
        for value in wrong:
            bodies += [{listed: value}, {listed: [{"post": value, "creator": person}], "next_page": value}]
            bodies += [{listed: [{"comment": {"id": 1}, "post": value, "community": value, "creator": value}]}]
            bodies += [{listed: [{"person": value}, {"person": {**person, "avatar": value}, "counts": value}]}]
            bodies += [{listed: [{"community": {"name": "c", "local": True, "icon": value, "visibility": value}}]}]
            post = {"id": 1, "local": True}
            bodies += [{listed: [{"post": {**post, name: value}}]} for name in ("url", "body", "published", "path")]
    walker = LemmySpider(seed=Seed(url="http://s/", since=SINCE.isoformat(), until=UNTIL.isoformat()))
    callbacks = [name for name in dir(walker) if name.startswith("parse_") and name != "parse_robots_txt"]
    for body in bodies:
        for name in callbacks:
            fetch = Fetch(url="http://s/api/v3/post/list?page=z", lane="listings", callback=name, cursor={"api": "v3"})
            for status in (200, 400):
                response = answer(fetch.url, json.dumps(body), status=status, fetch=fetch)
                walker.judge(response)
                for thing in walker.read(response):
                    assert not isinstance(thing, Post | Account) or thing.id
