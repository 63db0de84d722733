"""Reddit against its replica, in memory."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from crawler.model import Account, Fetch, Media, Note, Post, Seed, Verdict
from crawler.replicas.kit import PRIVATE
from crawler.replicas.launch import NOW
from crawler.replicas.reddit import RedditSite
from spiders import reddit_items as items
from spiders.detect import recognise
from spiders.reddit import ORDERS, RedditSpider
from spiders.testing import answer
from tests.unit.spiders.world import walk

TEA = "https://www.reddit.com/r/tea"
NEW = f"{TEA}/new.json?limit=100&raw_json=1"
JSON = {"Content-Type": "application/json"}


def _walk(**more: Any) -> Any:
    return walk(RedditSpider, RedditSite, seed_url=more.pop("seed_url", TEA), **more)


def _said(done: Any) -> set[str]:
    return {item.id for item in done.items if isinstance(item, Post)}


@pytest.mark.parametrize("trap", ["", "leak", "blocked"])
def test_every_post_and_comment_however_deep_with_no_request_too_many(trap: str) -> None:
    done, site = _walk(trap=[trap] if trap else [], size=300)
    things = list(site.things())
    assert _said(done) == {thing["id"] for thing in things if thing["item"] == "Post" and thing["public"]}
    assert {item.id for item in done.items if isinstance(item, Account)} == {
        thing["id"] for thing in things if thing["item"] == "Account"
    }
    least = sum(site.overhead().values()) + sum(1 for thing in things if thing["public"] and thing["url"])
    assert len(done.fetches) <= least
    assert not [fetch for fetch in done.fetches if PRIVATE in fetch.url]
    assert len({note.text for note in done.notes}) == (trap == "blocked")


def test_a_window_asks_for_its_posts_alone() -> None:
    since, until = NOW - timedelta(days=40), NOW - timedelta(days=30)
    done, site = _walk(size=600, since=since, until=until)
    truth = {
        thing["id"] for thing in site.things()
        if thing["kind"] == "post" and since <= datetime.fromisoformat(thing["at"]) < until
    }  # fmt: skip
    assert truth
    assert {one for one in _said(done) if one.startswith("t3_")} == truth
    pages = {urlsplit(url).path.split("/")[4] for url in done.urls("pages") if "/comments/" in url}
    assert {f"t3_{page}" for page in pages} == truth


def test_what_is_closed_is_said_and_the_next_way_taken() -> None:
    done, site = _walk(trap=["feeds"])
    assert _said(done) == {thing["id"] for thing in site.things() if thing["item"] == "Post"}
    assert ["old pages" in done.notes[0].text, "feed" in done.notes[1].text] == [True, True]
    done, _ = _walk(trap=["private"])
    assert not done.items
    assert "private" in done.notes[0].text


def _page(count: int, after: str | None = None) -> tuple[Any, list[Any]]:
    fetch = Fetch(
        url=NEW, lane="listings", callback="parse_listing", cursor={"old": "/r/tea/new", "count": count}, sweep=True
    )
    children = [{"kind": "t3", "data": {"id": "abc", "name": "t3_abc", "num_comments": 0}}]
    body = json.dumps({"data": {"children": children, "after": after}})
    spider = RedditSpider(seed=_seed())
    return spider, list(spider.read(answer(NEW, body, headers=JSON, fetch=fetch)))


def _seed() -> Seed:
    return Seed(url=TEA)


def test_a_listing_cut_short_is_said_to_be_and_other_orders_are_read() -> None:
    _, found = _page(950)
    assert [thing.text for thing in found if isinstance(thing, Note)]
    assert len([thing for thing in found if isinstance(thing, Fetch) and thing.lane == "listings"]) == len(ORDERS)
    _, found = _page(100)
    assert not [thing for thing in found if isinstance(thing, Note)]


def test_pictures_are_the_uploads_and_sound_is_a_file_of_its_own() -> None:
    done, _ = _walk(size=300)
    files = [item for item in done.items if isinstance(item, Media)]
    assert {urlsplit(item.url).hostname for item in files} == {"i.redd.it", "v.redd.it"}
    assert {item.kind for item in files} == {"image", "video", "audio"}
    assert all("720" in item.url for item in files if item.kind == "video")
    assert all("128" in item.url for item in files if item.kind == "audio")


def test_a_video_without_its_manifest_is_taken_as_it_plays() -> None:
    url = "https://v.redd.it/x/DASHPlaylist.mpd"
    fetch = Fetch(
        url=url,
        lane="originals",
        callback="parse_video",
        cursor={"post": "t3_x", "fallback": "https://v.redd.it/x/a.mp4"},
    )
    found = list(RedditSpider().parse_video(answer(url, b"gone", status=403, fetch=fetch)))
    assert [thing.url for thing in found] == ["https://v.redd.it/x/a.mp4"] * 2
    elsewhere = '<AdaptationSet><Representation bandwidth="1"><BaseURL>https://elsewhere.example/x</BaseURL>'
    assert not items.streams(elsewhere, url)


def test_a_person_and_a_thread_are_seeds_too() -> None:
    done, site = _walk(size=300, seed_url="https://www.reddit.com/user/heron_1/")
    mine = {
        f"t1_{one.id}" for post in site._posts for one in _below(post) if one.author == "heron_1"
    } | {f"t3_{post.id}" for post in site._posts if post.author == "heron_1"}  # fmt: skip
    assert mine <= _said(done)
    post = max(site._posts, key=lambda one: one.comments)
    done, _ = _walk(size=300, seed_url=f"https://www.reddit.com/r/tea/comments/{post.id}/a_title/")
    assert _said(done) == {f"t3_{post.id}", *(f"t1_{one.id}" for one in _below(post))}


def _below(post: Any) -> Any:
    for one in post.below:
        yield one
        yield from _below(one)


def test_walls_and_what_is_not_for_strangers() -> None:
    spider = RedditSpider()
    listing = Fetch(url=NEW, lane="listings", callback="parse_listing")
    thread = Fetch(url=f"{TEA}/comments/abc.json", lane="posts", callback="parse_thread")
    private = {"data": {"children": [{"kind": "t3", "data": {"subreddit_type": "private"}}]}}
    assert spider.judge(answer(NEW, json.dumps(private), headers=JSON, fetch=listing)) is Verdict.MIXED
    assert spider.judge(answer(thread.url, json.dumps([private]), headers=JSON, fetch=thread)) is Verdict.PRIVATE
    assert spider.judge(answer(NEW, "<html>who are you?</html>", fetch=listing)) is Verdict.LOGIN
    over = {"Location": "https://old.reddit.com/over18?dest=x"}
    assert spider.judge(answer("https://old.reddit.com/r/x/", status=302, headers=over)) is Verdict.LOGIN


def test_it_is_recognised_on_its_own_hosts_alone() -> None:
    assert recognise([answer(TEA, "<shreddit-app></shreddit-app>")]).platform == "reddit"
    assert recognise([answer(TEA, "<p>blocked</p>", status=403)]).platform == "reddit"
    assert recognise([answer("https://site.example/", "<shreddit-app></shreddit-app>")]).platform == "generic"


HOSTILE: list[Any] = [
    None, 1, "x", [], {}, [1, 2], [{}, {}], {"data": 3}, {"data": {"children": 3}}, {"data": {"children": [1, {"kind": 1}]}},
    {"data": {"children": [{"kind": "t3", "data": {"id": [], "name": {}, "permalink": 3, "url": []}}], "after": {}}},
    {"data": {"children": [{"kind": "t3", "data": {"id": "../..", "name": "t3_x"}}]}},
    [None, {"data": {"children": [{"kind": "more", "data": {"children": [1, None, "../x", "a_b"], "parent_id": 7}}]}}],
    [{}, {"data": {"children": [{"kind": "more", "data": {"children": {}}}, {"kind": "t1", "data": {"replies": 1}}]}}],
    {"data": {"children": [{"kind": "t3", "data": {
        "id": "a", "created_utc": "x", "media_metadata": [1], "crosspost_parent_list": [3], "thumbnail": 1,
        "secure_media": {"reddit_video": {"dash_url": []}}, "author": "../x", "url": "https://[", "permalink": "//["}}]}},
    {"data": {"children": [{"kind": "t3", "data": {
        "id": "a", "permalink": "/[", "thumbnail": "http://[", "url": "https://i.redd.it/[",
        "media_metadata": {"a": {"status": "valid", "s": {"u": "http://["}}}}}]}},
    {"data": {"name": "a/b", "icon_img": 3, "subreddit": 5}},
]  # fmt: skip


def test_hostile_shapes_invent_nothing() -> None:
    spider = RedditSpider(seed=_seed())
    for said in HOSTILE:
        for callback in ("parse_about", "parse_listing", "parse_thread", "parse_account"):
            cursor = {"old": "/r/tea/new", "count": 0, "post": "abc", "comment": ""}
            fetch = Fetch(url=NEW, lane="listings", callback=callback, cursor=cursor)
            response = answer(NEW, json.dumps(said), headers=JSON, fetch=fetch)
            spider.judge(response)
            for thing in spider.read(response):
                assert not isinstance(thing, Account)
                assert not isinstance(thing, Fetch) or ".." not in thing.url
    for html in (
        "",
        "<div class=thing data-fullname=t1_>",
        "<div class='thing' data-fullname='t3_x' data-permalink='/'>" * 50,
    ):
        assert all(one["name"] == "t3_x" for one in items.shown(html))
        assert items.hidden(html) == []
