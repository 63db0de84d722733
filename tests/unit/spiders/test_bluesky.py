"""An app view of the AT Protocol against its replica, in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from crawler.model import Account, Fetch, Post, Seed, Standing, Verdict
from crawler.replicas.bluesky import BlueskySite
from crawler.replicas.exchange import Clock, Request
from crawler.replicas.kit import PRIVATE
from crawler.replicas.launch import NOW
from spiders.bluesky import BlueskySpider
from spiders.detect import recognise
from spiders.testing import answer
from tests.unit.spiders.world import walk

SEED = "https://bsky.app/profile/heron0.test"
SINCE, UNTIL = NOW - timedelta(days=290), NOW - timedelta(days=280)


def _walk(trap: str = "", seed: str = SEED, **more: Any) -> Any:
    return walk(BlueskySpider, BlueskySite, seed_url=seed, trap=[trap] if trap else [], **more)


def _said(done: Any, kind: type = Post) -> set[str]:
    return {item.id for item in done.items if isinstance(item, kind)}


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


@pytest.mark.parametrize("trap", ["", "web", "norepo", "nodata", "closed"])
def test_all_that_is_public_and_nobody_who_does_not_want_to_be_seen(trap: str) -> None:
    for size in (60, 250):
        done, site = _walk(trap, size=size)
        things, places = list(site.things()), {_place(url) for url in done.urls()}
        for thing in things:
            is_said = not thing["item"] or thing["id"] in _said(done, Post if thing["item"] == "Post" else Account)
            is_held = not thing["url"] or thing["url"] in places
            assert (is_said and is_held) if thing["public"] else not is_said, thing
        assert not [item for item in done.items if PRIVATE in repr(item)]
        least = sum(site.overhead().values()) + sum(bool(one["public"] and one["url"]) for one in things)
        assert len(done.fetches) <= 1.05 * least + 1
        assert bool(done.notes) == (trap in {"norepo", "nodata"})


def test_posts_carry_what_the_app_view_counts_and_threads_what_others_said() -> None:
    done, site = _walk(size=120)
    own = site._own.did
    counted = [item for item in done.items if isinstance(item, Post) and item.counters]
    assert {item.author for item in counted} > {own}
    assert all(item.counters["likes"] == "2" for item in counted)
    assert {claim.counter for claim in done.claims} == {"postsCount"}
    people = {item.id: item for item in done.items if isinstance(item, Account)}
    assert people[own].username == "heron0.test"
    assert len(people) > 4
    # One deep thread was cut short, and asked for again further down.
    threads = [fetch for fetch in done.fetches if fetch.callback == "parse_thread"]
    assert [fetch for fetch in threads if "getPostThread" in (fetch.via or "")]


def test_answers_that_show_who_does_not_want_it_are_not_kept_beside_the_others() -> None:
    done, site = _walk(size=250)
    walker, seen = BlueskySpider(seed=Seed(url=SEED)), set()
    for fetch in done.fetches:
        if fetch.callback in {"parse_feed", "parse_thread", "parse_view"}:
            parts = urlsplit(fetch.url)
            said = site.answer(Request("GET", parts.netloc, _place(fetch.url), {}))
            verdict = walker.judge(answer(fetch.url, said.body, fetch=fetch))
            assert (verdict is Verdict.MIXED) == (PRIVATE.encode() in said.body)
            seen.add((fetch.callback, verdict))
    assert ("parse_thread", Verdict.MIXED) in seen
    done, site = _walk("closed", size=60)
    assert not done.items
    assert [(one.id, one.standing) for one in done.coverage] == [(site._own.did, Standing.EXCLUDED)]
    assert {urlsplit(url).netloc for url in done.urls()} == {"public.api.bsky.app"}


@pytest.mark.parametrize("trap", ["", "cursors"])
def test_a_window_asks_for_its_posts_alone(trap: str) -> None:
    done, site = _walk(trap, size=600, since=SINCE, until=UNTIL)
    own = {
        thing["id"] for thing in site.things()
        if thing["id"].startswith(f"at://{site._own.did}/") and SINCE <= datetime.fromisoformat(thing["at"]) < UNTIL
    }  # fmt: skip
    assert len(own) > 10
    posts = {item.id for item in done.items if isinstance(item, Post) and item.author == site._own.did}
    kinds = {item.id for item in done.items if isinstance(item, Post) and item.kind == "repost"}
    threads = {
        uri for fetch in done.fetches if fetch.callback == "parse_thread" and (uri := (fetch.cursor or {})["uri"])
    }
    assert own <= posts
    assert {uri for uri in threads if uri.startswith(f"at://{site._own.did}/")} <= own | {
        uri for uri in posts if uri not in kinds
    }
    feed = [fetch for fetch in done.fetches if fetch.callback == "parse_feed"]
    assert len(feed) <= (len(own) // 100 + 2 if not trap else 6)
    pages = {url.rpartition("/")[2] for url in done.urls("pages") if "/post/" in url}
    assert pages == {uri.rpartition("/")[2] for uri in own}


def test_a_seed_may_name_a_post_or_a_did() -> None:
    site = BlueskySite(size=60, trap=[], clock=Clock(NOW))
    uri = next(uri for uri in site._feed() if site._shown_below(uri))
    done, _ = _walk(seed=f"{SEED}/post/{uri.rpartition('/')[2]}", size=60)
    assert uri in _said(done)
    assert not [url for url in done.urls() if "getRepo" in url]
    done, _ = _walk(seed=f"https://bsky.app/profile/{site._own.did}", size=60)
    assert not [url for url in done.urls() if "resolveHandle" in url]
    assert set(site._feed()) <= _said(done)
    done, _ = _walk(seed="https://bsky.app/", size=60)
    assert "name an account" in done.notes[0].text
    done, _ = _walk(seed="https://bsky.app/profile/nobody.test", size=60)
    assert not done.items
    assert [(one.id, one.standing) for one in done.coverage] == [("nobody.test", Standing.MISSING)]


def test_an_app_view_is_known_by_its_page_or_by_what_it_says_of_itself() -> None:
    site = BlueskySite(size=60, clock=Clock(NOW))
    for host in ("bsky.app", "public.api.bsky.app"):
        page = site.answer(Request("GET", host, "/", {}))
        assert recognise([answer(f"https://{host}/", page.body)]).platform == "bluesky"
    said = 'This is an AT Protocol Application View (AppView) for the "bsky.app" application'
    assert recognise([answer("https://view.example/", said)]).platform == "bluesky"
    assert recognise([answer("https://view.example/", said.replace("bsky.app", "tea.example"))]).platform == "generic"


def _hostile() -> Iterator[object]:
    yield from (None, 1, "x", True, [], {}, [None, 1], {"feed": [1, None, {}]}, {"thread": []}, {"service": [{}]})
    wrong: list[object] = [None, 1, -1.5, True, "x", [], {}, [1], [{}], "http://[", "did:plc:" + "x" * 3000]
    good = {"did": "did:plc:a", "handle": "a.test", "uri": "at://did:plc:a/app.bsky.feed.post/3k", "replyCount": 3}
    names = (
        "did", "handle", "uri", "replyCount", "author", "record", "reply", "replies", "parent", "embed", "labels",
        "avatar", "serviceEndpoint", "id", "cursor", "postsCount",
    )  # fmt: skip
    for name in names:
        for value in wrong:
            view = {**good, "author": good, "record": {"text": "tea"}, name: value}
            tree = {"post": view, name: value}
            yield from (view, {"feed": [{"post": view, name: value}], "cursor": value}, {"thread": tree})
            yield {"thread": {"post": view, "parent": tree, "replies": [tree, value]}}
            yield {"service": [{"id": "#atproto_pds", "serviceEndpoint": value}]}


def test_hostile_answers_neither_raise_nor_leave_the_web() -> None:
    walker = BlueskySpider(seed=Seed(url=SEED))
    cursor = {"did": "did:plc:a", "post": "", "handle": "a.test", "uri": "at://did:plc:a/app.bsky.feed.post/3k"}
    names = ("parse_handle", "parse_view", "parse_document", "parse_feed", "parse_thread", "parse_home")
    for said in _hostile():
        for name in names:
            fetch = Fetch(url="https://public.api.bsky.app/xrpc/x", lane="posts", callback=name, cursor=cursor)
            response = answer(fetch.url, json.dumps(said), fetch=fetch, headers={"Content-Type": "application/json"})
            walker.judge(response)
            for thing in walker.read(response):
                assert not isinstance(thing, Fetch) or thing.url.startswith(("http://", "https://"))
