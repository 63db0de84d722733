"""Rumble, Odysee and BitChute against their replica, in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from crawler.model import Account, Fetch, Media, Post, Seed, Standing, Verdict
from crawler.replicas.exchange import Clock, Request
from crawler.replicas.kit import PRIVATE
from crawler.replicas.launch import NOW
from crawler.replicas.videos import VideosSite
from spiders.detect import next_probe, recognise
from spiders.registry import get
from spiders.testing import answer
from tests.unit.spiders.world import walk

SEEDS = {
    "rumble": "https://rumble.com/",
    "odysee": "https://odysee.com/@heron0:0",
    "bitchute": "https://www.bitchute.com/channel/heron0/",
}
SITES = [(name, trap) for name in SEEDS for trap in ("", "leak")] + [("rumble", "json")]
ITEMS = {"Post": Post, "Account": Account, "Media": Media, "": object}


def _walk(name: str, trap: str = "", seed: str = "", **more: Any) -> Any:
    traps = [one for one in (name, trap) if one in VideosSite.traps]
    return walk(get(name), VideosSite, seed_url=seed or SEEDS[name], trap=traps, **more)


def _said(done: Any, kind: type = Post) -> set[str]:
    return {item.id for item in done.items if isinstance(item, kind)}


@pytest.mark.parametrize(("name", "trap"), SITES)
def test_all_that_is_public_and_nothing_hidden_at_little_more_than_the_least(name: str, trap: str) -> None:
    done, site = _walk(name, trap, size=160)
    paths, things = {urlsplit(url).path for url in done.urls()}, list(site.things())
    said = {kind: _said(done, type_) for kind, type_ in ITEMS.items()}
    for thing in things:
        is_said = not thing["item"] or thing["id"] in said[thing["item"]]
        is_held = not thing["url"] or thing["url"] in paths
        assert (is_said and is_held) if thing["public"] else not (thing["item"] and is_said), thing
        assert thing["public"] or not thing["url"] or not is_held, thing
    assert not [item for item in done.items if PRIVATE in repr(item)]
    least = sum(site.overhead().values()) + sum(bool(one["public"] and one["url"]) for one in things)
    assert len(done.fetches) <= 1.02 * least + 2
    assert not done.refused


def test_what_is_for_subscribers_is_said_to_be_missing() -> None:
    done, _ = _walk("rumble", size=80)
    refused = {one.id for one in done.coverage if one.standing is Standing.REFUSED}
    assert len(refused) == 2
    assert any("subscribers" in note.text for note in done.notes)
    assert done.urls("originals")
    assert not [url for url in done.urls() if url.endswith(("small.mp4", "line.mp4"))]


@pytest.mark.parametrize("name", SEEDS)
def test_a_window_asks_for_its_videos_and_two_pages_more(name: str) -> None:
    since, until = NOW - timedelta(days=40), NOW - timedelta(days=30)
    seed = {"rumble": "https://rumble.com/c/heron0"}.get(name, "")
    done, site = _walk(name, seed=seed, size=400, since=since, until=until)
    truth = {
        thing["id"] for thing in site.things()
        if thing["kind"] == "video" and thing["public"] and since <= datetime.fromisoformat(thing["at"]) < until
    }  # fmt: skip
    videos = {item.id for item in done.items if isinstance(item, Post) and item.kind == "video"}
    assert videos
    assert videos == truth if name != "rumble" else videos <= truth
    lists = [fetch for fetch in done.fetches if fetch.callback == "parse_list"]
    # Only Odysee can be asked for what is older than a day.
    assert len(lists) <= (2 if name == "odysee" else 10)


@pytest.mark.parametrize("name", SEEDS)
def test_a_seed_may_name_one_video(name: str) -> None:
    traps = [name] if name in VideosSite.traps else []
    site = VideosSite(size=20, trap=traps, clock=Clock(NOW))
    one = site._videos[2]
    seed = {
        "rumble": f"https://rumble.com{site._page(one)}",
        "odysee": f"https://odysee.com/@heron0:0/{one.title.split(' ')[0]}:{one.id[:4]}",
        "bitchute": f"https://www.bitchute.com/video/{one.id}/",
    }[name]
    done, _ = _walk(name, seed=seed, size=20)
    assert {item.id for item in done.items if isinstance(item, Post) and item.kind == "video"} == {one.id}
    assert len([item for item in done.items if isinstance(item, Media)]) == 1
    hidden = site._videos[4]
    if name == "bitchute":
        done, _ = _walk(name, seed=f"https://www.bitchute.com/video/{hidden.id}/", size=20)
        assert not done.items


@pytest.mark.parametrize(
    ("name", "path", "place"),
    [
        ("rumble", "/c/a b/about", ("c/a%20b", "")),
        ("rumble", "/user/heron", ("user/heron", "")),
        ("rumble", "/Herons", ("Herons", "")),
        ("rumble", "/vd9yyx-a-heron.html", ("", "vd9yyx-a-heron.html")),
        ("rumble", "/videos", ("", "")),
        ("rumble", "/category/news", ("", "")),
        ("rumble", "/", ("", "")),
        ("odysee", "/@heron:1", ("lbry://@heron#1", "")),
        ("odysee", "/@heron:1/tea:2f", ("", "lbry://@heron#1/tea#2f")),
        ("odysee", "/tea:2f", ("", "lbry://tea#2f")),
        ("odysee", "/$/discover", ("", "")),
        ("bitchute", "/channel/heron/", ("heron", "")),
        ("bitchute", "/embed/a-b_c/", ("", "a-b_c")),
        ("bitchute", "/search/", ("", "")),
    ],
)
def test_what_a_url_names(name: str, path: str, place: tuple[str, str]) -> None:
    seed = Seed(url=f"https://{urlsplit(SEEDS[name]).netloc}{path}")
    assert get(name)(seed=seed).place(seed.url) == place  # type: ignore[attr-defined]


def test_lists_that_hold_what_is_hidden_are_mixed() -> None:
    for name in ("odysee", "bitchute"):
        site = VideosSite(size=60, trap=[name, "leak"], clock=Clock(NOW))
        done, _ = _walk(name, "leak", size=60)
        lists = [fetch for fetch in done.fetches if fetch.callback == "parse_list"]
        assert lists
        for fetch in lists:
            parts = urlsplit(fetch.url)
            said = site.answer(Request("POST", parts.netloc, f"{parts.path}?{parts.query}", {}, fetch.body))
            verdict = get(name)(seed=Seed(url=SEEDS[name])).judge(answer(fetch.url, said.body, fetch=fetch))
            assert (verdict is Verdict.MIXED) == (PRIVATE.encode() in said.body)


def test_files_are_asked_for_as_the_site_wants_it() -> None:
    done, _ = _walk("odysee", size=30)
    files = [fetch for fetch in done.fetches if urlsplit(fetch.url).netloc == "player.odycdn.com"]
    assert {fetch.lane for fetch in files} == {"originals", "streams", "segments"}
    assert all(("Referer", "https://odysee.com/") in fetch.headers for fetch in files)


@pytest.mark.parametrize("name", SEEDS)
def test_it_is_recognised_from_its_page_alone(name: str) -> None:
    site = VideosSite(size=9, trap=[name] if name in VideosSite.traps else [], clock=Clock(NOW))
    home = f"https://{urlsplit(SEEDS[name]).netloc}/"
    assert next_probe(home, [], []) == home
    replies = [answer(home, site.answer(Request("GET", urlsplit(home).netloc, "/", {})).body)]
    assert recognise(replies).platform == name
    assert recognise([answer("https://other.example/", replies[0].body)]).platform == "generic"


def _hostile() -> Iterator[object]:
    yield from (None, 1, "x", True, False, [], {}, [None, 1], {"result": [1, None]}, {"videos": {}})
    wrong: list[object] = [None, 1, -1.5, True, "x", [], {}, [1], [{}], {"id": "1"}, "http://[", "javascript:0"]
    good = {
        "claim_id": "c", "video_id": "v", "channel_id": "h", "comment_id": "k", "canonical_url": "lbry://a",
        "@type": "VideoObject", "url": "/vabcd-x.html", "object_type": "video",
    }  # fmt: skip
    names = (
        "canonical_url", "value", "tags", "state_id", "thumbnail_url", "channel_url", "ua", "cc", "i", "live", "items",
        "embedUrl", "thumbnailUrl", "uploadDate", "interactionStatistic", "media_url", "result", "video_id", "url",
    )  # fmt: skip
    for name in names:
        for value in wrong:
            thing = {**good, name: value}
            yield from (
                thing,
                {"items": [thing]},
                {"videos": [thing]},
                {"result": {"items": [thing], "lbry://u": thing}},
            )
    for value in wrong:
        yield {"ua": {"mp4": {"720": value}, "hls": {"auto": value}}, "cc": {"en": value}}
        yield {"ua": {"mp4": {"720": {"url": value, "meta": value}}}, "result": {"streaming_url": value}}


@pytest.mark.parametrize("name", SEEDS)
def test_hostile_answers_neither_raise_nor_leave_the_web(name: str) -> None:
    walker = get(name)(seed=Seed(url=SEEDS[name]))
    callbacks = [one for one in dir(walker) if one.startswith("parse_")]
    for said in _hostile():
        text = json.dumps(said)
        page = f'<a class="media-by--a" href="http://["><script type="application/ld+json">{text}</script><time datetime=x>'
        for callback in callbacks:
            fetch = Fetch(
                url=SEEDS[name], lane="posts", callback=callback, cursor={"id": "lbry://u", "n": 0, "video": "v"}
            )
            for body in (text, page):
                response = answer("https://rumble.com/vabcd-x.html", body, fetch=fetch)
                walker.judge(response)
                for thing in walker.read(response):
                    assert not isinstance(thing, Fetch) or thing.url.startswith(("http://", "https://"))
