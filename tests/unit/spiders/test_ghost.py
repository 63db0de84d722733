"""Ghost against its replica, in memory, and against what no server should say."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import pytest

from crawler.model import Fetch, Post, Seed, Verdict
from crawler.replicas.ghost import GhostSite
from crawler.replicas.launch import NOW
from crawler.response import CaptureResponse
from spiders.ghost import GhostSpider
from spiders.testing import answer
from tests.unit.spiders.world import walk

HOME = "https://heron.example/"
API = f"{HOME}ghost/api/content/posts/?key=22444f78447824223cefc48062"
NASTY = [
    None, True, 7, "text", [], {}, {"posts": {}}, {"posts": [None, 3, {}]}, {"posts": [{"id": [], "url": {}, "html": {}}]},
    {"posts": [{"id": "a", "url": "javascript:x", "feature_image": [], "tags": 3, "primary_author": 1}], "meta": []},
    {"comments": [{"id": {}, "replies": 3, "count": [], "member": "x"}], "meta": {"pagination": {"next": "2"}}},
    {"posts": [], "meta": {"pagination": {"next": -5, "total": "x"}}},
]  # fmt: skip


def _answered(body: object, callback: str = "parse_list") -> CaptureResponse:
    cursor = {"name": "posts", "root": f"{HOME}ghost/api/content/", "key": "0", "turned": 1, "post": "p"}
    fetch = Fetch(url=API, lane="listings", callback=callback, cursor=cursor)
    return answer(API, json.dumps(body), headers={"Content-Type": "application/json"}, fetch=fetch)


def test_a_window_asks_for_its_posts_and_two_pages_more() -> None:
    since, until = NOW - timedelta(days=290), NOW - timedelta(days=280)
    done, site = walk(GhostSpider, GhostSite, size=400, since=since, until=until)
    posts = {
        thing["url"]: since <= datetime.fromisoformat(thing["at"]) < until for thing in site.things()
        if thing["kind"] == "post" and thing["public"]
    }  # fmt: skip
    inside = {url for url, is_inside in posts.items() if is_inside}
    assert len(inside) > 10
    asked = {urlsplit(url).path for url in done.urls("pages")}
    assert inside <= asked
    assert not (asked & posts.keys()) - inside
    assert len([url for url in done.urls("listings") if "/content/posts/" in url]) == 1


@pytest.mark.parametrize(
    ("trap", "told"), [("nokey", "No page prints a key"), ("closed", "The list of posts is closed")]
)
def test_without_the_api_the_sitemap_names_the_pages(trap: str, told: str) -> None:
    done, site = walk(GhostSpider, GhostSite, trap=[trap])
    assert len([note for note in done.notes if told in note.text]) == 1
    public = {thing["id"] for thing in site.things() if thing["item"] == "Post" and thing["public"]}
    assert public == {item.id for item in done.items if isinstance(item, Post)}


def test_posts_for_members_are_held_as_far_as_everybody_may_read() -> None:
    for trap in ([], ["leak"]):
        done, _ = walk(GhostSpider, GhostSite, trap=trap)
        posts = [item for item in done.items if isinstance(item, Post)]
        assert {item.extra.get("visibility") for item in posts} >= {"public", "members", "paid"}
        assert not [item for item in posts if "PRIVATE" in item.text]
        assert not [url for url in done.urls() if "PRIVATE" in url]


def test_a_list_that_gives_too_much_is_mixed() -> None:
    spider = GhostSpider(seed=Seed(url=HOME))
    leak = {"id": "a", "visibility": "paid", "html": "<p>all</p>"}
    assert spider.judge(_answered({"posts": [leak]})) is Verdict.MIXED
    assert spider.judge(_answered({"posts": [{**leak, "access": False}]})) is Verdict.OK
    hidden = {"id": "c", "status": "hidden", "html": "<p>x</p>"}
    assert spider.judge(_answered({"comments": [hidden]}, "parse_comments")) is Verdict.MIXED


def test_originals_are_asked_for_beside_what_is_shown() -> None:
    spider = GhostSpider(seed=Seed(url=HOME))
    post = {"id": "a", "url": f"{HOME}a/", "html": '<img src="/content/images/size/w600/2020/01/x.jpg">'}
    fetches = {one.url: one for one in spider.read(_answered({"posts": [post]})) if isinstance(one, Fetch)}
    assert f"{HOME}content/images/2020/01/x.jpg" in fetches
    assert fetches[f"{HOME}content/images/2020/01/x_o.jpg"].sweep


def test_what_no_server_should_say_names_nothing() -> None:
    spider = GhostSpider(seed=Seed(url=HOME))
    for body in NASTY:
        for callback in ("parse_list", "parse_comments"):
            response = _answered(body, callback)
            spider.judge(response)
            found = list(spider.read(response))
            assert not [one for one in found if isinstance(one, Fetch) and one.lane in {"images", "originals", "pages"}]


def test_what_the_site_counts_is_kept_with_its_caveat() -> None:
    done, _ = walk(GhostSpider, GhostSite)
    claims = {claim.kind: claim for claim in done.claims}
    assert claims.keys() == {"post", "static", "account", "tag"}
    assert "members" in claims["post"].caveat


def test_a_site_is_known_by_its_name_alone() -> None:
    found = GhostSpider.recognise([answer(HOME, '<meta name="generator" content="Ghost 6.2">')])
    assert found is not None
    assert found.confidence >= 95
    assert GhostSpider.recognise([answer(HOME, "<p>Ghost 6.2</p>")]) is None
