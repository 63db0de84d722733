"""Imageboards of every engine against their replica, in memory."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from crawler.model import Fetch, Media, Post
from crawler.replicas.imageboard import ImageboardSite
from crawler.replicas.launch import NOW
from spiders.detect import recognise
from spiders.imageboard import ImageboardSpider
from spiders.testing import answer
from tests.unit.spiders.world import walk

SEEDS = {"4chan": "https://boards.4chan.org/", "2ch": "https://2ch.su/"}
ENGINES = ("", "4chan", "lynxchan", "jschan", "2ch", "foolfuuka", "wall")


def _walk(engine: str, **more: Any) -> Any:
    more.setdefault("seed_url", SEEDS.get(engine, ""))
    return walk(ImageboardSpider, ImageboardSite, trap=[engine] if engine else [], **more)


@pytest.mark.parametrize("engine", ENGINES)
def test_all_posts_and_no_more_requests_than_there_are_things(engine: str) -> None:
    done, site = _walk(engine, size=200)
    public = {thing["id"] for thing in site.things() if thing["item"] == "Post" and thing["public"]}
    assert {item.id for item in done.items if isinstance(item, Post)} == public
    asked = sum(1 for thing in site.things() if thing["public"] and thing["url"])
    assert len(done.fetches) <= 1.1 * (asked + sum(site.overhead().values())) + 4


@pytest.mark.parametrize("engine", ENGINES[:-1])
def test_a_window_asks_for_threads_that_lived_in_it(engine: str) -> None:
    since, until = NOW - timedelta(days=17), NOW - timedelta(days=15)
    done, site = _walk(engine, size=600, since=since, until=until)
    truth = {
        thing["id"] for thing in site.things()
        if thing.get("at") and thing["public"] and since <= datetime.fromisoformat(thing["at"]) < until
    }  # fmt: skip
    assert truth
    assert {item.id for item in done.items if isinstance(item, Post)} == truth
    threads = [fetch for fetch in done.fetches if fetch.lane == "posts"]
    archived = sum(fetch.value == 3 for fetch in threads)
    if engine != "lynxchan":  # whose catalog does not say when threads began
        assert len(threads) - archived <= len(truth) / 3 + 4


def test_what_dies_first_goes_first_and_what_is_gone_is_said() -> None:
    done, _ = _walk("4chan", size=200)
    values = [fetch.value for fetch in done.fetches if fetch.lane == "posts"]
    assert max(values) == 3
    assert min(values) == 0
    assert any("gone" in note.text for note in done.notes)
    assert any(covered.standing == "missing" for covered in done.coverage if covered.kind == "thread")


def test_files_carry_their_md5_and_one_that_differs_is_said() -> None:
    done, _ = _walk("4chan")
    assert all(item.extra["md5"] for item in done.items if isinstance(item, Media))
    spider = ImageboardSpider()
    fetch = Fetch(url="https://i.4cdn.org/b/1.jpg", lane="images", callback="parse_file", cursor={"md5": "x"})
    assert [*spider.parse_file(answer(fetch.url, b"tea", fetch=fetch))]
    right = base64.b64encode(hashlib.md5(b"tea").digest()).decode()
    same = Fetch(url=fetch.url, lane="images", callback="parse_file", cursor={"md5": right})
    assert not [*spider.parse_file(answer(fetch.url, b"tea", fetch=same))]


def test_a_seed_may_be_a_board_or_a_thread() -> None:
    done, site = _walk("", path="/tea/")
    posts = {item.id for item in done.items if isinstance(item, Post)}
    assert posts
    assert all(identity.startswith("tea/") for identity in posts)
    thread = next(thing for thing in site.things() if thing["kind"] == "page" and thing["public"])
    done, _ = _walk("", path=thread["url"])
    assert len({fetch.url for fetch in done.fetches if fetch.lane == "posts"}) == 1
    assert [item for item in done.items if isinstance(item, Post)]


@pytest.mark.parametrize("engine", ENGINES[:-1])
def test_it_is_recognised(engine: str) -> None:
    _, site = _walk(engine, size=20)
    home = site._html("Boards", "").body
    found = recognise([answer(SEEDS.get(engine, "https://site.example/"), home)])
    assert (found.platform, found.confidence >= 95) == ("imageboard", True)


def test_a_catalog_alone_tells_the_engine() -> None:
    url = "https://site.example/b/catalog.json"
    headers = {"Content-Type": "application/json"}
    page = answer("https://site.example/b/", "<html><body>tea</body></html>")
    catalog = answer(url, json.dumps([{"page": 1, "threads": [{"no": 3}]}]), headers=headers)
    assert recognise([page, catalog]).platform == "imageboard"
    for other in ([], {}, [{"threads": 1}], {"threads": [{"num": 1}]}, [{"postId": 1}], "x", [1]):
        assert recognise([page, answer(url, json.dumps(other), headers=headers)]).platform == "generic"


HOSTILE: list[Any] = [
    None, 1, "x", [], {}, [None], [1], {"posts": 3}, {"posts": [1, None, {}]}, {"posts": [{"no": "x"}]},
    {"posts": [{"no": [], "time": {}, "com": [], "tim": {}, "ext": 3, "extra_files": 5}]}, {"threads": {}},
    {"threads": [{"posts": 1}]}, [{"threads": 5}], [{"threads": [{"no": {}}]}], {"op": 1}, {"1": {"op": []}},
    {"1": {"op": {}, "posts": {"1": 3}}}, {"boards": [{"board": ["x"]}, {"board": "../x"}]}, {"pageCount": True},
    {"threadId": [], "posts": None}, {"postId": {}, "replies": [[]]}, {"data": {"boards": 1, "pageCount": "9"}},
    {"1": {"op": {"num": "3", "media": {"media_link": "http://[", "thumb_link": "//[", "media_filename": "http://["}}}},
    {"threadId": 1, "posts": [{"postId": 2, "files": [{"path": "//[", "thumb": "http://["}, {"filename": "["}]}]},
    {"posts": [{"no": 4, "tim": "//[", "ext": ".[", "filename": "http://["}]},
    {"posts": [{"no": 1, "time": 1e300, "files": [{"path": []}], "media": "x"}]},
]  # fmt: skip


@pytest.mark.parametrize("engine", [*ENGINES[1:-1], "vichan"])
def test_hostile_shapes_invent_nothing(engine: str) -> None:
    spider = ImageboardSpider()
    cursor = {"dialect": engine, "board": "b", "thread": "1", "part": 1, "named": []}
    for said in HOSTILE:
        for callback in ("parse_boards", "parse_catalog", "parse_archive", "parse_thread"):
            fetch = Fetch(url="https://site.example/b/x.json", lane="posts", callback=callback, cursor=cursor)
            body, headers = json.dumps(said), {"Content-Type": "application/json"}
            response = answer(fetch.url, body, headers=headers, fetch=fetch)
            spider.judge(response)
            for thing in spider.read(response):
                assert not isinstance(thing, Post) or thing.id.partition("/")[2].isdigit()
