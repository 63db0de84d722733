"""Discourse against its replica, in memory, and against what no server should say."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import pytest

from crawler.model import Account, Fetch, Post, Seed, Verdict
from crawler.replicas.discourse import DiscourseSite
from crawler.replicas.launch import NOW
from crawler.response import CaptureResponse
from spiders import discourse_items as items
from spiders.discourse import DiscourseSpider
from spiders.testing import Crawled, answer
from tests.unit.spiders.world import walk

HOME = "https://heron.example/"
CALLBACKS = ("parse_about", "parse_site", "parse_people", "parse_posts", "parse_topics", "parse_topic", "parse_stream",
             "parse_account")  # fmt: skip
NASTY = [
    None, True, 7, "text", [], {}, {"latest_posts": {}}, {"latest_posts": [None, 3, {}, {"id": []}, {"id": True}]},
    {"latest_posts": [{"id": 1, "topic_id": [], "cooked": {}, "username": 3, "avatar_template": "javascript:x"}]},
    {"post_stream": {"posts": [{"id": -1, "post_number": "x"}], "stream": [None, "a", {}]}, "id": {}},
    {"topic_list": {"topics": [{"id": "x", "visible": []}], "more_topics_url": []}}, {"user": []},
    {"directory_items": [{"user": []}], "meta": {"total_rows_directory_items": "x"}}, {"about": {"stats": [1]}},
    {"categories": [{"id": {}, "slug": []}, {"id": 1, "slug": "", "parent_category_id": []}]},
    {"error_type": [], "errors": 3},
]  # fmt: skip
POST = {"id": 9, "post_number": 2, "topic_id": 4, "topic_slug": "tea", "cooked": "<p>tea</p>", "username": "otter",
        "created_at": "2021-01-02T03:04:05.000Z", "post_type": 1, "category_id": 1}  # fmt: skip


def _answered(body: object, callback: str = "parse_posts", **more: object) -> CaptureResponse:
    cursor = {"list": "latest.json", "turned": 0, "before": 60, "named": True, "whole": True, **more}
    fetch = Fetch(url=f"{HOME}posts.json", lane="listings", callback=callback, cursor=cursor)
    return answer(fetch.url, json.dumps(body), headers={"Content-Type": "application/json"}, fetch=fetch)


def _posts(done: Crawled) -> set[str]:
    return {item.id for item in done.items if isinstance(item, Post)}


def _public(site: object) -> set[str]:
    return {thing["id"] for thing in site.things() if thing["item"] == "Post" and thing["public"]}  # type: ignore[attr-defined]


@pytest.mark.parametrize("trap", ["", "old", "noposts"])
def test_a_window_asks_for_its_posts_and_few_pages_more(trap: str) -> None:
    since, until = NOW - timedelta(days=390), NOW - timedelta(days=384)
    done, site = walk(DiscourseSpider, DiscourseSite, size=600, since=since, until=until, trap=[trap] if trap else [])
    inside, topics = set(), set()
    for thing in site.things():
        if thing["item"] == "Post" and thing["public"] and since <= datetime.fromisoformat(thing["at"]) < until:
            inside.add(thing["id"])
            topics.add(str(thing["topic"]))
    assert len(inside) > 20
    assert _posts(done) == inside
    asked = {fetch.covers[1] for fetch in done.fetches if fetch.covers and fetch.covers[0] == "topic"}
    assert asked >= topics
    pages = {url.rpartition("/")[2].partition("?")[0] for url in done.urls("pages") if "/t/" in url}
    assert pages == topics
    if trap != "noposts":  # a topic's own times say when it was begun and last spoken in, no more
        assert asked == topics
        pages = [url for url in done.urls("listings") if "/posts.json" in url]
        assert len(pages) <= 2 + len(inside) // 50 + 4


@pytest.mark.parametrize(
    ("trap", "told"),
    [
        ("noposts", "The list of all posts is closed"),
        ("nodirectory", "The list of people is closed"),
        ("closed", "nothing is left to ask"),
    ],
)
def test_a_closed_door_is_said_once_and_another_way_is_taken(trap: str, told: str) -> None:
    done, site = walk(DiscourseSpider, DiscourseSite, trap=[trap])
    assert len([note for note in done.notes if told in note.text]) == 1
    assert _posts(done) == _public(site)


@pytest.mark.parametrize("trap", ["", "leak", "noposts,leak"])
def test_what_is_not_public_is_neither_listed_nor_followed(trap: str) -> None:
    done, site = walk(DiscourseSpider, DiscourseSite, size=200, trap=[one for one in trap.split(",") if one])
    private = [thing for thing in site.things() if not thing["public"]]
    assert {thing["kind"] for thing in private} >= {"topic", "post", "reply", "image"}
    assert _posts(done) == _public(site)
    asked = {urlsplit(url).path for url in done.urls()}
    assert not asked & {thing["url"] for thing in private if thing["url"]}
    assert not [url for url in done.urls() if "PRIVATE" in url]


def test_lists_and_topics_say_themselves_what_is_not_for_strangers() -> None:
    spider = DiscourseSpider(seed=Seed(url=HOME))

    def judged(said: object, callback: str = "parse_posts") -> Verdict:
        return spider.judge(_answered(said, callback))

    assert judged({"latest_posts": [POST]}) is Verdict.OK
    hidden = {**POST, "hidden": True}
    for leak in ({"post_type": 4}, {"category_id": None}, {"deleted_at": "2021-01-01"}, {"hidden": True}):
        assert judged({"latest_posts": [POST, {**POST, **leak}]}) is Verdict.MIXED
        assert judged({"post_stream": {"posts": [{**POST, **leak}]}}, "parse_stream") is Verdict.MIXED
    assert judged({"latest_posts": [{**hidden, "cooked_hidden": True}]}) is Verdict.OK
    assert judged({"id": 4, "visible": False}, "parse_topic") is Verdict.PRIVATE
    assert judged({"id": 4, "archetype": "private_message"}, "parse_topic") is Verdict.PRIVATE
    assert judged({"topic_list": {"topics": [{"id": 4, "visible": False}]}}, "parse_topics") is Verdict.MIXED
    for kind, verdict in (("not_logged_in", Verdict.LOGIN), ("not_found", Verdict.MISSING)):
        assert judged({"errors": ["x"], "error_type": kind}) is verdict
    page = answer(f"{HOME}posts.json", "<html>", fetch=_answered({}).fetch)
    assert spider.judge(page) is Verdict.LOGIN
    assert spider.judge(answer(HOME, status=302, headers={"Location": "/login"})) is Verdict.LOGIN


def test_old_lists_of_posts_go_by_fifty_numbers_until_the_first() -> None:
    spider = DiscourseSpider(seed=Seed(url=HOME))

    def following(*ids: int, **cursor: object) -> list[tuple[str, bool]]:
        response = _answered({"latest_posts": [{**POST, "id": n} for n in ids]}, **cursor)
        return [
            (one.url, one.deeper) for one in spider.read(response) if isinstance(one, Fetch) and "before" in one.url
        ]

    assert following(80, 70, before=None, named=False) == [(f"{HOME}posts.json?before=70", True)]
    assert following(70, 61, before=70) == [(f"{HOME}posts.json?before=20", True)]  # 70 itself: an old one
    assert following(before=170, old=True) == [(f"{HOME}posts.json?before=120", True)]
    assert not following(7, before=40, old=True)
    assert not following(69, before=70)  # a short page of a new one is the last
    assert following(*range(69, 19, -1), before=70) == [(f"{HOME}posts.json?before=20", True)]


def test_a_topic_or_a_category_may_be_the_seed() -> None:
    _, site = walk(DiscourseSpider, DiscourseSite)
    topics = Counter(thing["topic"] for thing in site.things() if thing["item"] == "Post" and thing["public"])
    topic, count = topics.most_common(1)[0]
    assert count > 20
    done, _ = walk(DiscourseSpider, DiscourseSite, path=f"/t/tea-{topic}/{topic}/3")
    assert len(_posts(done)) == count
    done, _ = walk(DiscourseSpider, DiscourseSite, path="/c/tea/2")
    assert not any("/posts.json?before" in url for url in done.urls())
    assert any("/c/tea/2/l/latest.json" in url for url in done.urls())
    for path in ("", "/", "/t/tea/4/2", "/c/a/b/7/l/latest", "/u/otter", "/latest.json?page=2"):
        assert items.root(f"https://x.example/forum{path}") == "https://x.example/forum/"
    assert items.root("https://x.example/") == items.root("https://x.example/categories") == "https://x.example/"
    assert DiscourseSpider.territory(Seed(url="https://x.example/forum/")).paths == ("/forum/",)


def test_files_are_taken_as_they_were_uploaded() -> None:
    name = "a" * 40
    small = f"/uploads/default/optimized/1X/{name}_2_690x460.png"
    alone = f'<img src="{small}"><img src="/images/emoji/tea.png"><a href="/uploads/short-url/b.pdf">b</a>'
    assert dict(items.files(alone, HOME)) == {f"{HOME}uploads/short-url/b.pdf": "file"}
    assert list(items.guessed(alone, HOME)) == [f"{HOME}uploads/default/original/1X/{name}.png"]
    linked = f'<a class="lightbox" href="/uploads/default/original/1X/{name}.jpeg"><img src="{small}"></a>'
    assert dict(items.files(linked, HOME)) == {f"{HOME}uploads/default/original/1X/{name}.jpeg": "image"}
    assert not list(items.guessed(linked, HOME))


def test_counters_have_two_names_and_a_caveat() -> None:
    for trap in ([], ["old"]):
        done, _ = walk(DiscourseSpider, DiscourseSite, trap=trap)
        claims = [claim for claim in done.claims if claim.counter.startswith("about")]
        assert {claim.kind for claim in claims} == {"topic", "post", "account"}
        assert all("strangers" in claim.caveat for claim in claims)


def test_replies_hidden_profiles_and_withdrawn_posts() -> None:
    done, _ = walk(DiscourseSpider, DiscourseSite, size=200)
    posts = [item for item in done.items if isinstance(item, Post)]
    by_id = {item.id: item for item in posts}
    assert any(item.in_reply_to in by_id for item in posts)
    assert any(item.deleted for item in posts)
    assert any(item.extra["raw"] for item in posts)
    assert any(item.hashtags == ("rain",) and item.counters.get("views") for item in posts)
    assert any(item.extra["is_hidden"] for item in done.items if isinstance(item, Account))


def test_what_no_server_should_say_names_nothing() -> None:
    spider = DiscourseSpider(seed=Seed(url=HOME))
    for body in NASTY:
        for callback in CALLBACKS:
            response = _answered(body, callback)
            spider.judge(response)
            found = list(spider.read(response))
            assert not [
                one for one in found if isinstance(one, Fetch) and one.lane in {"images", "originals", "extras"}
            ]


@pytest.mark.parametrize(
    "page",
    [
        '<meta name="generator" content="Discourse 3.5.0 - https://github.com/discourse/discourse version 0">',
        '<meta class="x" id="data-discourse-setup" data-base-url="https://heron.example">',
    ],
)
def test_a_site_is_known_by_its_page_alone(page: str) -> None:
    found = DiscourseSpider.recognise([answer(HOME, page)])
    assert found is not None
    assert found.confidence >= 95
    assert DiscourseSpider.recognise([answer(HOME, "<p>Discourse 3.5</p>")]) is None
