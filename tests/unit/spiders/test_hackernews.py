"""Hacker News against its replica, in memory."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from crawler.model import Account, Fetch, Post, Verdict
from crawler.replicas.hackernews import HackerNewsSite
from crawler.replicas.launch import NOW
from spiders.detect import recognise
from spiders.hackernews import API, BLOCK, HOME, HackerNewsSpider
from spiders.testing import answer
from tests.unit.spiders.world import walk


def _walk(**more: Any) -> Any:
    return walk(HackerNewsSpider, HackerNewsSite, seed_url=more.pop("seed_url", HOME), **more)


def _items(done: Any) -> list[str]:
    return [fetch.url for fetch in done.fetches if fetch.lane == "posts"]


def test_everything_is_taken_though_half_of_all_numbers_stand_for_nothing() -> None:
    for trap in ((), ("sparse",)):
        done, site = _walk(trap=trap, size=700)
        truth = {thing["id"] for thing in site.things() if thing["item"] == "Post"}
        assert {item.id for item in done.items if isinstance(item, Post)} == truth
        assert {item.id for item in done.items if isinstance(item, Account)} == set(site._people)
        assert len(_items(done)) == site._last
        assert [(claim.kind, claim.count) for claim in done.claims] == [("item", site._last)]


def test_the_frontier_holds_two_blocks_at_the_most() -> None:
    waiting = most = 0
    spider = HackerNewsSpider()
    queue = [*spider._sweep(1, 100_000, (), answer(f"{API}maxitem.json", b"100000"))]
    while queue:
        waiting = len(queue)
        most = max(most, waiting)
        fetch = queue.pop(0)
        queue += spider.read(answer(fetch.url, b"null", fetch=fetch))
    assert most <= 2 * BLOCK


def test_a_window_is_searched_for() -> None:
    since, until = NOW - timedelta(days=25), NOW - timedelta(days=21)
    done, site = _walk(size=1500, since=since, until=until)
    truth = {
        thing["id"] for thing in site.things()
        if thing["item"] == "Post" and since <= datetime.fromisoformat(thing["at"]) < until
    }  # fmt: skip
    assert len(truth) > 100
    assert {item.id for item in done.items if isinstance(item, Post)} == truth
    assert len(_items(done)) <= len(truth) * 1.1 + 80  # two searches by halves, among holes


def test_an_item_is_taken_with_all_below_it() -> None:
    _, site = _walk(size=300)
    story = max(site._items.values(), key=lambda one: one.get("descendants", 0))
    done, _ = _walk(size=300, seed_url=f"{HOME}item?id={story['id']}")
    below = {str(one["id"]) for one in site._below(story["id"])} | {str(part) for part in story["parts"]}
    assert {item.id for item in done.items if isinstance(item, Post)} == below | {str(story["id"])}
    assert f"{HOME}item?id={story['id']}" in done.urls("pages")


def test_a_user_is_taken_with_what_they_wrote() -> None:
    done, site = _walk(size=300, seed_url=f"{HOME}user?id=heron1")
    truth = {str(one) for one in site._people["heron1"]}
    assert truth <= {item.id for item in done.items if isinstance(item, Post)}


def test_deleted_and_dead_are_said_to_be() -> None:
    done, _ = _walk()
    posts = [item for item in done.items if isinstance(item, Post)]
    assert any(post.deleted for post in posts)
    assert any(post.extra["dead"] for post in posts)


def test_what_comes_with_200_and_is_nothing() -> None:
    spider = HackerNewsSpider()
    page = f"{HOME}item?id=3"
    assert spider.judge(answer(page, b"No such item.")) is Verdict.MISSING
    assert spider.judge(answer(page, b"Sorry, we're not able to serve your requests this quickly.")) is Verdict.LIMITED
    assert spider.judge(answer(f"{API}item/3.json", b"null")) is Verdict.MISSING
    assert spider.judge(answer(page, b"<p>No such item, I said.</p>")) is Verdict.OK


def test_it_is_recognised_on_its_own_host_alone() -> None:
    _, site = _walk(size=20)
    home = site._page("").body
    assert recognise([answer(HOME, home)]).platform == "hackernews"
    assert recognise([answer("https://site.example/", home)]).platform == "generic"


def test_hostile_shapes_invent_nothing() -> None:
    spider = HackerNewsSpider()
    shapes: list[Any] = [
        None, 1, "x", [], {}, {"id": {}}, {"id": []}, {"id": True}, {"id": 1, "time": "x", "by": [], "type": {}},
        {"id": 2, "kids": {"a": 1}, "parts": [None, "x", -1, True], "by": "../../x", "time": 1e308, "type": "story"},
        {"id": "a", "submitted": [[]], "created": "?"}, {"id": 3, "url": 5, "text": None, "parent": []},
    ]  # fmt: skip
    for said in shapes:
        for callback, cursor in (("parse_end", None), ("parse_item", {"whole": True}), ("parse_user", {"whole": True})):
            fetch = Fetch(url=f"{API}item/1.json", lane="posts", callback=callback, cursor=cursor, covers=("item", "1"))
            for thing in spider.read(answer(fetch.url, json.dumps(said), fetch=fetch)):
                assert not isinstance(thing, Fetch) or thing.url.startswith((API, HOME))
