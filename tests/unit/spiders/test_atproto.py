"""A data server of AT Protocol against its replica, in memory; its repositories, whole and broken."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import pytest

from crawler.model import Account, Covered, Fetch, Media, Post, Seed, Standing, Verdict
from crawler.replicas.atproto import AtprotoSite, car
from crawler.replicas.exchange import Clock, Request
from crawler.replicas.kit import PRIVATE
from crawler.replicas.launch import NOW
from crawler.response import CaptureResponse
from spiders import atproto_items as items
from spiders.atproto import AtprotoSpider
from spiders.car import records
from spiders.detect import next_probe, recognise
from spiders.testing import Crawled, answer
from tests.unit.spiders.world import walk

TRAPS = ("", "norepo", "old")
SINCE, UNTIL = NOW - timedelta(days=290), NOW - timedelta(days=280)
RECORDS = {
    f"app.bsky.feed.post/3k{number:011}": {"$type": "app.bsky.feed.post", "text": f"tea {number}", "n": number - 300}
    for number in range(600)
}


def _places(done: Crawled) -> set[str]:
    return {_place(url) for url in done.urls()}


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _said(done: Crawled, kind: type = Post) -> set[str]:
    return {item.id for item in done.items if isinstance(item, kind)}


@pytest.mark.parametrize("trap", TRAPS)
def test_all_that_is_public_and_nothing_private_at_little_more_than_the_least(trap: str) -> None:
    for size in (40, 250):
        done, site = walk(AtprotoSpider, AtprotoSite, size=size, trap=[trap] if trap else [])
        things, places = list(site.things()), _places(done)
        for thing in things:
            is_said = not thing["item"] or thing["id"] in _said(done, Post if thing["item"] == "Post" else Account)
            is_held = not thing["url"] or thing["url"] in places
            assert (is_said and is_held) if thing["public"] else thing["url"] not in places, thing
        private = {thing["id"] for thing in things if not thing["public"] and thing["item"]}
        assert not private & (_said(done) | _said(done, Account))
        assert not [item for item in done.items if PRIVATE in repr(item)]
        least = sum(site.overhead().values()) + sum(bool(one["public"] and one["url"]) for one in things)
        assert len(done.fetches) <= 1.1 * least


@pytest.mark.parametrize("trap", ["", "norepo"])
def test_a_window_asks_for_the_files_of_its_posts_alone(trap: str) -> None:
    done, site = walk(AtprotoSpider, AtprotoSite, size=600, since=SINCE, until=UNTIL, trap=[trap] if trap else [])
    truth = {
        thing["id"] for thing in site.things()
        if thing["item"] == "Post" and thing["public"] and SINCE <= datetime.fromisoformat(thing["at"]) < UNTIL
    }  # fmt: skip
    assert len(truth) > 40
    assert {item.id for item in done.items if isinstance(item, Post) and item.kind != "repost"} == truth
    named = {item.url for item in done.items if isinstance(item, Media) and item.kind in {"image", "video", "preview"}}
    assert set(done.urls("images") + done.urls("originals")) <= named
    # The first account says half of all: of its posts only the window's pages are asked.
    listed = [url for url in done.urls("posts") if "listRecords" in url and "feed.post" in url]
    whose = {url.partition("&")[0] for url in listed}
    assert len(listed) <= len(truth) // 100 + 2 * len(whose)


def test_accounts_out_of_action_are_counted_and_not_asked_for() -> None:
    for trap in ("", "old"):
        done, site = walk(AtprotoSpider, AtprotoSite, trap=[trap] if trap else [])
        assert isinstance(site, AtprotoSite)
        out = {repo.did: repo.status for repo in site._repos.values() if repo.status}
        told = {one.id: one.reason for one in done.coverage if one.kind == "account" and one.id in out}
        assert told.keys() == out.keys()
        assert {one.standing for one in done.coverage if one.id in out} == {Standing.EXCLUDED}
        if not trap:
            assert told == out
        asked = [url for url in done.urls() for did in out if did.rpartition(":")[2] in url and "listRepos" not in url]
        assert len(asked) == (len(out) if trap else 0)


def test_who_wants_no_strangers_is_left_out_unless_the_user_says_otherwise() -> None:
    done, site = walk(AtprotoSpider, AtprotoSite)
    assert isinstance(site, AtprotoSite)
    closed = {repo.did for repo in site._repos.values() if repo.is_closed}
    assert closed
    assert not closed & _said(done, Account)
    assert not [
        url for url in done.urls() for did in closed if did.rpartition(":")[2] in url and "getRecord" not in url
    ]
    done, _ = walk(AtprotoSpider, AtprotoSite, options={"logged-out": "all"})
    assert closed <= _said(done, Account)


def test_the_judge_knows_a_profile_and_a_list_that_hold_it() -> None:
    closed = {"labels": {"values": [{"val": "!no-unauthenticated"}]}}
    spider = AtprotoSpider(seed=Seed(url="http://s/"))
    open_ = AtprotoSpider(seed=Seed(url="http://s/", options={"logged-out": "all"}))
    for callback, said, verdict in (
        ("parse_profile", {"value": closed}, Verdict.PRIVATE), ("parse_profile", {"value": {}}, Verdict.OK),
        ("parse_records", {"records": [{"value": closed}]}, Verdict.MIXED),
    ):  # fmt: skip
        fetch = Fetch(url="http://s/x", lane="accounts", callback=callback)
        assert spider.judge(answer("http://s/x", json.dumps(said), fetch=fetch)) is verdict
        assert open_.judge(answer("http://s/x", json.dumps(said), fetch=fetch)) is Verdict.OK


def test_where_profiles_are_closed_nobody_is_taken_as_nobody_can_be_known_to_agree() -> None:
    spider = AtprotoSpider(seed=Seed(url="http://s/"))
    fetch = Fetch(url="http://s/x", lane="accounts", callback="parse_profile", cursor={"did": "did:plc:x"})
    said = list(spider.read(answer("http://s/x", "{}", status=403, fetch=fetch)))
    assert [one.standing for one in said if isinstance(one, Covered)] == [Standing.REFUSED]
    assert not [one for one in said if isinstance(one, Fetch)]


def test_one_account_that_the_seed_names() -> None:
    _, site = walk(AtprotoSpider, AtprotoSite, size=20)
    assert isinstance(site, AtprotoSite)
    did = next(iter(site._repos))
    done, _ = walk(AtprotoSpider, AtprotoSite, size=20, path=f"/{did}")
    assert _said(done, Account) == {did}
    assert {item.author for item in done.items if isinstance(item, Post)} == {did}


def test_pages_for_people_are_asked_of_the_app_view_that_the_user_names() -> None:
    done, _ = walk(AtprotoSpider, AtprotoSite, size=20, options={"app": "https://app.example"})
    pages = {url for url in done.urls("pages") if url.startswith("https://app.example/profile/")}
    posts = {item.url for item in done.items if isinstance(item, Post) and item.url}
    assert {url.replace("https://app.example", items.PEOPLE) for url in pages if "/post/" in url} == posts
    done, _ = walk(AtprotoSpider, AtprotoSite, size=20)
    assert {urlsplit(url).hostname for url in done.urls()} == {"site.example"}


def test_echoes_quotes_answers_and_what_pictures_show() -> None:
    done, _ = walk(AtprotoSpider, AtprotoSite, size=100)
    posts = [item for item in done.items if isinstance(item, Post)]
    echoes = [post for post in posts if post.kind == "repost"]
    assert echoes
    assert all(post.repost_of and not post.url for post in echoes)
    assert [post for post in posts if post.kind == "post" and post.repost_of]
    assert all(post.in_reply_to and post.extra["root"] for post in posts if post.kind == "reply")
    assert {item.title for item in done.items if isinstance(item, Media) and item.kind == "image"} == {"a heron"}
    assert [post for post in posts if post.links and post.hashtags == ()]
    assert {tag for post in posts for tag in post.hashtags} == {"tea"}


@pytest.mark.parametrize("trap", ["", "plain"])
def test_a_data_server_is_recognised_from_its_bare_address(trap: str) -> None:
    site = AtprotoSite(size=30, trap=[trap] if trap else [], clock=Clock(NOW))
    replies: list[CaptureResponse] = []
    asked: list[str] = []
    while url := next_probe("http://127.0.0.1:9/", replies, asked):
        asked.append(url)
        said = site.answer(Request("GET", "127.0.0.1", urlsplit(url).path, {"host": "127.0.0.1:9"}))
        replies.append(answer(url, said.body, status=said.status, headers={"Content-Type": said.content_type}))
    found = recognise(replies)
    assert (found.platform, found.confidence >= 95) == ("atproto", True)
    assert len(asked) <= 8


def test_keys_carry_time_and_time_makes_keys() -> None:
    assert items.time_of("3jzfcijpj2z2a") == datetime.fromisoformat("2023-06-30T15:03:01.887007+00:00")
    assert items.time_of(items.tid(SINCE)) == SINCE
    assert items.tid(SINCE) < items.tid(UNTIL)
    assert items.time_of("self") is items.time_of("zzzzzzzzzzzzz") is items.time_of("") is None


# Repositories


def _read(data: bytes) -> dict[str, object]:
    return {name: record for name, _, record in records(lambda: io.BytesIO(data))}


def test_a_repository_gives_its_records_and_not_what_lies_about_in_it() -> None:
    data = car("did:plc:x", RECORDS, stray={"$type": "app.bsky.feed.post", "text": "deleted"})
    assert b"deleted" in data
    assert _read(data) == RECORDS
    twins = {"a.b/1": {"text": "same"}, "a.b/2": {"text": "same"}}
    assert _read(car("did:plc:x", twins, stray={})) == twins
    assert _read(car("did:plc:x", {}, stray={})) == {}


def test_a_block_that_is_not_what_its_name_says_is_no_record() -> None:
    data = car("did:plc:x", {"a.b/1": {"text": "tea"}, "a.b/2": {"text": "rain"}}, stray={})
    assert _read(data.replace(b"rain", b"snow")) == {"a.b/1": {"text": "tea"}}


def test_broken_repositories_raise_nothing_and_invent_nothing() -> None:
    data = car("did:plc:x", dict(list(RECORDS.items())[:40]), stray={"text": "deleted"})
    chance = random.Random(1)
    for _ in range(400):
        broken = bytearray(data[: chance.randrange(len(data) + 1)])
        for _ in range(chance.randrange(4)):
            if broken:
                broken[chance.randrange(len(broken))] = chance.randrange(256)
        for name, record in _read(bytes(broken)).items():
            assert RECORDS[name] == record
    for junk in (b"", b"\0", b"\xff" * 64, b"\x01\xa0", b"\x80" * 9, b"{}", chance.randbytes(4096)):
        assert _read(junk) == {}


def test_a_value_that_is_too_deep_or_too_long_is_no_record() -> None:
    deep: object = "tea"
    for _ in range(200):
        deep = [deep]
    data = car("did:plc:x", {"a.b/1": {"n": deep}, "a.b/2": {"text": "tea"}, "a.b/3": {"t": "x" * (5 << 20)}}, stray={})
    # What is longer than any block may be ends the file: what comes after it cannot be told.
    assert _read(data) in ({}, {"a.b/2": {"text": "tea"}})
    short = car("did:plc:x", {"a.b/1": {"n": deep}, "a.b/2": {"text": "tea"}}, stray={})
    assert _read(short) == {"a.b/2": {"text": "tea"}}


# Wrong shapes


def _hostile() -> Iterator[object]:
    yield from (None, 1, "x", True, [], {}, [None, 1, "x", [], {}], {"error": "no"}, {"error": {}})
    wrong: list[object] = [None, 1, -1.5, "x", [], {}, [1], {"id": 1}, [{}], "at://", {"$type": "blob"}, "http://["]
    good = {"text": "tea", "createdAt": "2020-01-01T00:00:00Z"}
    for name in ("text", "createdAt", "reply", "embed", "facets", "labels", "tags", "subject", "$type", "avatar"):
        for value in wrong:
            record = {**good, name: value}
            uri = "at://did:plc:x/app.bsky.feed.post/3jzfcijpj2z2a"
            yield {"uri": uri, "cid": "x", "value": record, "records": [{"uri": uri, "cid": value, "value": record}]}
            yield {"records": [{"uri": value, "value": record}, value], "cursor": value}
    for name in ("did", "active", "status", "handle", "collections", "didDoc", "cursor", "repos", "value"):
        for value in wrong:
            yield {name: value, "repos": [{"did": "did:plc:x", name: value}], "cursor": value}


def test_wrong_shapes_raise_nothing_and_invent_nothing() -> None:
    walker = AtprotoSpider(seed=Seed(url="http://s/", since=SINCE.isoformat(), until=UNTIL.isoformat()))
    names = [name for name in dir(walker) if name.startswith("parse_") and name != "parse_robots_txt"]
    url = "http://s/xrpc/com.atproto.repo.listRecords?repo=did%3Aplc%3Ax"
    for value in _hostile():
        for name in names:
            for cursor in ({"did": "did:plc:x", "collections": ["a.b"], "profile": {}}, None):
                for status in (200, 400, 403):
                    fetch = Fetch(url=url, lane="posts", callback=name, cursor=cursor)
                    response = answer(url, json.dumps(value), status=status, fetch=fetch)
                    walker.judge(response)
                    assert all(getattr(item, "id", "x") is not None for item in walker.read(response))
        AtprotoSpider.recognise([answer("http://s/xrpc/com.atproto.server.describeServer", json.dumps(value))])
