"""PeerTube against its replica, in memory; and the playlists of streams."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import pytest

from crawler.model import Account, Fetch, Media, Post, Seed, Verdict
from crawler.replicas.exchange import Clock, Request
from crawler.replicas.kit import PRIVATE
from crawler.replicas.launch import NOW
from crawler.replicas.peertube import PeertubeSite
from crawler.response import CaptureResponse
from spiders import hls
from spiders.detect import next_probe, recognise
from spiders.peertube import PeertubeSpider
from spiders.testing import Crawled, answer
from tests.unit.spiders.world import walk

SINCE, UNTIL = NOW - timedelta(days=30), NOW - timedelta(days=27)
ITEMS = {"Post": Post, "Account": Account, "Media": Media, "": object}


def _paths(done: Crawled, lane: str = "") -> set[str]:
    return {urlsplit(url).path for url in done.urls(lane)}


def _said(done: Crawled, kind: type = Post) -> set[str]:
    return {item.id for item in done.items if isinstance(item, kind)}


@pytest.mark.parametrize("trap", ["", "leak", "old", "repeat", "closed"])
def test_all_that_is_public_and_nothing_private_at_little_more_than_the_least(trap: str) -> None:
    for size in (20, 60):
        done, site = walk(PeertubeSpider, PeertubeSite, size=size, trap=[trap] if trap else [])
        paths, things = _paths(done), list(site.things())
        said = {name: _said(done, kind) for name, kind in ITEMS.items()}
        for thing in things:
            is_said = not thing["item"] or thing["id"] in said[thing["item"]]
            is_held = not thing["url"] or thing["url"] in paths
            if thing["public"]:
                assert is_said, thing
                assert is_held, thing
            elif PRIVATE in thing["url"] or thing["kind"] in {"video", "comment"}:
                assert not thing["item"] or not is_said, thing
                assert not thing["url"] or not is_held, thing
        assert not [item for item in done.items if PRIVATE in repr(item)]
        least = sum(site.overhead().values()) + sum(bool(one["public"] and one["url"]) for one in things)
        assert len(done.fetches) <= 1.2 * least


def test_no_list_that_holds_something_private_is_kept_beside_the_others() -> None:
    done, site = walk(PeertubeSpider, PeertubeSite, size=60, trap=["leak"])
    walker, held = PeertubeSpider(seed=Seed(url="http://site.example/")), set()
    for fetch in done.fetches:
        said = site.answer(Request("GET", "site.example", fetch.url.removeprefix("http://site.example"), {}))
        if PRIVATE.encode() in said.body:
            assert walker.judge(answer(fetch.url, said.body, fetch=fetch)) is Verdict.MIXED, fetch.url
            held.add(fetch.callback)
    assert held == {
        "parse_videos",
        "parse_playlists",
        "parse_elements",
        "parse_threads",
        "parse_thread",
        "parse_replies",
    }


@pytest.mark.parametrize("trap", ["", "nosearch"])
def test_a_window_asks_for_its_videos_and_two_pages_more(trap: str) -> None:
    done, site = walk(PeertubeSpider, PeertubeSite, size=150, since=SINCE, until=UNTIL, trap=[trap] if trap else [])
    truth = {
        thing["id"] for thing in site.things()
        if thing["kind"] == "video" and thing["public"] and SINCE <= datetime.fromisoformat(thing["at"]) < UNTIL
    }  # fmt: skip
    assert len(truth) > 8
    assert {item.id for item in done.items if isinstance(item, Post) and item.kind == "video"} == truth
    pages = [url for url in done.urls("listings") if "/videos?" in url]
    assert len(pages) == (1 if not trap else 3)
    assert bool(trap) == any("The search is closed" in note.text for note in done.notes)


def test_threads_keep_who_answers_whom_and_what_was_deleted() -> None:
    done, _ = walk(PeertubeSpider, PeertubeSite, size=60)
    comments = {item.id: item for item in done.items if isinstance(item, Post) and item.kind == "comment"}
    assert any(item.deleted and not item.author for item in comments.values())
    assert any(item.in_reply_to == item.extra["video"] for item in comments.values())
    assert [url for url in done.urls() if url.endswith("/replies?start=0&count=100")]
    assert {item.id for item in done.items if isinstance(item, Account)} > {"stork1@elsewhere.example", "heron0_tv"}
    assert not [url for url in done.urls("pages") if "stork" in url]


def test_the_best_file_and_every_piece_of_a_stream_once() -> None:
    done, _ = walk(PeertubeSpider, PeertubeSite, size=30)
    files = [item for item in done.items if isinstance(item, Media) and item.kind == "video"]
    assert {item.extra["lines"] for item in files} == {"1080p", "720p"}
    assert all(item.extra["fileDownloadUrl"] for item in files)
    assert len(done.urls("segments")) == len(set(done.urls("segments")))
    assert [url for url in done.urls("segments") if url.endswith("240-000003.ts")]
    assert [url for url in done.urls("segments") if url.endswith("-240-fragmented.mp4")]


def test_of_what_is_live_only_the_words_are_taken() -> None:
    fetch = Fetch(url="http://s/api/v1/videos/u", lane="posts", callback="parse_video")
    walker = PeertubeSpider(seed=Seed(url="http://s/"))
    video = {"uuid": "u", "files": [{"id": 1, "fileUrl": "http://s/static/web-videos/a.mp4"}]}
    streams = {"streamingPlaylists": [{"playlistUrl": "http://s/m.m3u8"}]}
    found = list(walker.read(answer(fetch.url, json.dumps({**video, **streams}), fetch=fetch)))
    lanes = {one.lane for one in found if isinstance(one, Fetch)}
    assert {"originals", "streams"} <= lanes
    found = list(walker.read(answer(fetch.url, json.dumps({**video, **streams, "isLive": True}), fetch=fetch)))
    assert not {"originals", "streams"} & {one.lane for one in found if isinstance(one, Fetch)}


def test_what_the_server_claims_is_kept() -> None:
    done, site = walk(PeertubeSpider, PeertubeSite, size=60)
    public = sum(thing["kind"] == "video" and thing["public"] for thing in site.things())
    claims = {claim.counter: claim.count for claim in done.claims}
    assert claims["videos total"] == claims["stats totalLocalVideos"] == public
    assert {"accounts total", "stats totalLocalVideoComments"} <= claims.keys()


def test_an_unlisted_video_is_not_kept_even_if_it_is_named() -> None:
    site = PeertubeSite(size=60, clock=Clock(NOW))
    hidden = next(one for one in site._videos if one.privacy == 2)
    done, _ = walk(PeertubeSpider, PeertubeSite, size=60, path=f"/w/{hidden.uuid}")
    assert not done.items
    said = site.answer(Request("GET", "s", f"/api/v1/videos/{hidden.uuid}", {"host": "s"}))
    fetch = Fetch(url=f"http://s/api/v1/videos/{hidden.uuid}", lane="posts", callback="parse_video")
    walker = PeertubeSpider(seed=Seed(url="http://s/"))
    assert walker.judge(answer(fetch.url, said.body, fetch=fetch)) is Verdict.PRIVATE


@pytest.mark.parametrize("trap", [[], ["leak"]])
def test_a_seed_may_name_one_thing(trap: list[str]) -> None:
    site = PeertubeSite(size=20, clock=Clock(NOW))
    one, owner = site._public[3], site._public[3].owner.name
    theirs = {video.uuid for video in site._public if video.owner.name == owner}
    listed = {video.uuid for video in site._lists[0][4] if video.privacy == 1 and not video.owner.host}
    for path, wanted in (
        (f"/w/{one.uuid}", {one.uuid}), (f"/videos/watch/{one.uuid};threadId=4", {one.uuid}),
        (f"/a/{owner}/video-channels", theirs), (f"/c/{owner}_tv", theirs), (f"/w/p/{site._lists[0][1]}", listed),
    ):  # fmt: skip
        done, _ = walk(PeertubeSpider, PeertubeSite, size=20, path=path, trap=trap)
        assert {item.id for item in done.items if isinstance(item, Post) and item.kind == "video"} == wanted, path


@pytest.mark.parametrize("trap", ["", "old", "closed"])
def test_it_is_recognised_from_its_bare_address(trap: str) -> None:
    site = PeertubeSite(size=30, trap=[trap] if trap else [], clock=Clock(NOW))
    replies: list[CaptureResponse] = []
    asked: list[str] = []
    while url := next_probe("http://127.0.0.1:9/", replies, asked):
        asked.append(url)
        said = site.answer(Request("GET", "127.0.0.1", urlsplit(url).path, {"host": "127.0.0.1:9"}))
        replies.append(answer(url, said.body, status=said.status, headers={"Content-Type": said.content_type}))
    found = recognise(replies)
    assert (found.platform, found.confidence >= 95) == ("peertube", True)
    assert len(asked) <= 3


def _hostile() -> Iterator[object]:
    yield from (None, 1, "x", True, [], {}, [None, 1], {"data": [1, None, {}]}, {"total": "x", "data": {}})
    wrong: list[object] = [None, 1, -1.5, True, "x", [], {}, [1], [{}], {"id": "1"}, "http://["]
    names = (
        "id", "uuid", "shortUUID", "privacy", "isLocal", "account", "channel", "files", "streamingPlaylists", "tags",
        "publishedAt", "thumbnails", "thumbnailPath", "embedPath", "comments", "comment", "children",
        "avatars", "fileUrl", "language", "video", "ownerAccount", "totalReplies",
    )  # fmt: skip
    good = {"id": 1, "uuid": "u", "privacy": {"id": 1}, "isLocal": True, "account": {"name": "a", "host": "s"}}
    for name in names:
        for value in wrong:
            thing = {**good, name: value}
            yield from (thing, {"total": 900, "data": [thing]}, {"storyboards": [thing]}, {"comment": thing})


def test_hostile_answers_neither_raise_nor_leave_the_web() -> None:
    walker = PeertubeSpider(seed=Seed(url="http://s/"))
    cursor = {"place": "videos", "start": 0, "whose": "u", "query": {}, "video": "u", "id": "1", "kind": "account"}
    names = [name for name in dir(walker) if name.startswith("parse_")]
    for said in _hostile():
        body = json.dumps(said)
        for name in names:
            fetch = Fetch(url="http://s/api/v1/videos", lane="posts", callback=name, cursor=cursor)
            response = answer(fetch.url, body, fetch=fetch, headers={"Content-Type": "application/json"})
            walker.judge(response)
            for thing in walker.read(response):
                assert not isinstance(thing, Fetch) or thing.url.startswith(("http://", "https://"))


def test_a_playlist_names_each_url_once() -> None:
    media = (
        '#EXTM3U\r\n#EXT-X-KEY:METHOD=AES-128,URI="k.bin"\r\n#EXT-X-MAP:URI="a.mp4",BYTERANGE="9@0"\r\n'
        "#EXTINF:4,\r\n#EXT-X-BYTERANGE:9@9\r\na.mp4\r\n#EXTINF:4,\r\nb.ts?x=1\r\n#EXT-X-ENDLIST\r\n"
    )
    found = hls.playlist(media, "https://s/v/m.m3u8")
    assert found == hls.Playlist((), ("https://s/v/k.bin", "https://s/v/a.mp4", "https://s/v/b.ts?x=1"))
    master = (
        '#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",URI="audio.m3u8"\n#EXT-X-STREAM-INF:BANDWIDTH=1\n'
        '720.m3u8\n#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI="frames.m3u8"\n'
    )
    found = hls.playlist(master, "https://s/v/m.m3u8")
    assert found is not None
    assert found.playlists == tuple(f"https://s/v/{name}.m3u8" for name in ("audio", "720", "frames"))
    assert not found.files
    assert not found.is_live
    live = hls.playlist("#EXTM3U\n#EXTINF:4,\na.ts\n", "https://s/m.m3u8")
    assert live is not None
    assert live.is_live
    for text in ("", "<html>", "#EXTINF:4,\na.ts"):
        assert hls.playlist(text, "https://s/") is None
    odd = hls.playlist("\ufeff#EXTM3U\nfile:///etc/passwd\nhttp://[\n//x.example/a.ts\n#EXT-X-ENDLIST", "https://s/")
    assert odd is not None
    assert odd.files == ("https://x.example/a.ts",)
