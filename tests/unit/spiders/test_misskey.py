"""The Misskey family against its replica, in memory."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from crawler.model import Account, Fetch, Media, Post, Seed, Verdict
from crawler.replicas.exchange import Clock, Request
from crawler.replicas.kit import PRIVATE
from crawler.replicas.launch import NOW
from crawler.replicas.misskey import MisskeySite
from crawler.response import CaptureResponse
from spiders.base import PlatformSpider
from spiders.detect import next_probe, recognise
from spiders.misskey import FirefishSpider, MisskeySpider, SharkeySpider
from spiders.misskey_items import is_echo, is_public, leaks, unwrapped
from spiders.testing import Crawled, answer
from tests.unit.spiders.world import walk

DIALECTS: dict[str, type[PlatformSpider]] = {
    "": MisskeySpider, "closed": MisskeySpider, "nodirectory": MisskeySpider, "leak": MisskeySpider,
    "unnamed": MisskeySpider, "sharkey": SharkeySpider, "firefish": FirefishSpider,
}  # fmt: skip
SINCE, UNTIL = NOW - timedelta(days=20), NOW - timedelta(days=14)


def _paths(done: Crawled, lane: str = "") -> set[str]:
    return {urlsplit(url).path for url in done.urls(lane)}


def _said(done: Crawled, kind: type = Post) -> set[str]:
    return {item.id for item in done.items if isinstance(item, kind)}


def _asked(done: Crawled, endpoint: str) -> list[dict[str, Any]]:
    return [json.loads(one.body) for one in done.fetches if urlsplit(one.url).path == f"/api/{endpoint}"]


@pytest.mark.parametrize("trap", DIALECTS)
def test_all_that_is_public_and_nothing_private_at_little_more_than_the_least(trap: str) -> None:
    for size in (40, 300):
        done, site = walk(DIALECTS[trap], MisskeySite, size=size, trap=[trap] if trap else [])
        paths, things = _paths(done), list(site.things())
        said = {"Post": _said(done), "Account": _said(done, Account)}
        for thing in things:
            is_said = not thing["item"] or thing["id"] in said[thing["item"]]
            is_held = not thing["url"] or thing["url"] in paths
            assert (is_said and is_held) if thing["public"] else thing["url"] not in paths, thing
        assert not {thing["id"] for thing in things if not thing["public"] and thing["item"]} & _said(done)
        assert not [item for item in done.items if PRIVATE in repr(item)]
        least = sum(site.overhead().values()) + sum(bool(one["public"] and one["url"]) for one in things)
        assert len(done.fetches) <= 1.2 * least


def test_every_reading_is_a_post_whose_bytes_say_what_is_asked() -> None:
    done, _ = walk(MisskeySpider, MisskeySite)
    readings = [one for one in done.fetches if "/api/" in one.url]
    assert {(one.method, one.headers) for one in readings} == {("POST", (("Content-Type", "application/json"),))}
    assert len({(one.url, one.body) for one in readings}) == len(readings)


def test_lists_are_asked_for_everything_and_read_until_a_page_is_empty() -> None:
    done, site = walk(MisskeySpider, MisskeySite, size=400)
    assert isinstance(site, MisskeySite)
    pages = [one for one in _asked(done, "users/notes") if one["userId"] == site._people[0].id]
    assert len(pages) == -(-len(site._people[0].notes) // 100) + 1
    assert all(one["withReplies"] and one["withRenotes"] and one["withChannelNotes"] for one in pages)
    assert [one for one in done.items if isinstance(one, Post) and one.extra.get("channelId")]
    # Where a short page holds all that an account is said to have, it is the last.
    single = next(one for one in site._people if one.notes and all(note.is_public for note in one.notes))
    assert len([one for one in _asked(done, "users/notes") if one["userId"] == single.id]) == 1


@pytest.mark.parametrize("trap", ["", "closed", "firefish"])
def test_a_window_asks_for_its_notes_and_two_pages_more(trap: str) -> None:
    done, site = walk(
        DIALECTS[trap], MisskeySite, size=700, since=SINCE, until=UNTIL, trap=[trap] if trap else []
    )  # fmt: skip
    truth = {
        thing["id"]: thing["url"] for thing in site.things()
        if thing["item"] == "Post" and thing["public"] and SINCE <= datetime.fromisoformat(thing["at"]) < UNTIL
    }  # fmt: skip
    assert len(truth) > 60
    ours = {item.id for item in done.items if isinstance(item, Post) and item.kind != "elsewhere"}
    assert isinstance(site, MisskeySite)
    unlisted = {note.id for one in site._people if not one.listed for note in one.notes}
    assert ours <= truth.keys()
    assert truth.keys() - ours <= unlisted  # who is in no directory can only be met outside of the window
    assert len(ours) > 0.7 * len(truth)
    assert {path for path in _paths(done, "pages") if path.startswith("/notes/")} <= set(truth.values())
    assert all("sinceDate" in one and "untilDate" in one for one in _asked(done, "users/notes"))
    of_one = [one for one in _asked(done, "users/notes") if one["userId"] == site._people[0].id]
    inside = [one for one in site._people[0].notes if SINCE <= one.at < UNTIL]
    assert len(of_one) <= len(inside) // 100 + 3


def test_a_closed_door_is_said_once_and_another_way_is_taken() -> None:
    for trap, what in (("closed", "LTL_DISABLED"), ("nodirectory", "CREDENTIAL_REQUIRED")):
        done, _ = walk(MisskeySpider, MisskeySite, trap=[trap])
        assert len([note.text for note in done.notes if what in note.text]) == 1


def test_what_the_server_claims_is_kept_with_its_caveat() -> None:
    done, _ = walk(MisskeySpider, MisskeySite)
    claims = {claim.counter: claim for claim in done.claims if claim.kind == "post"}
    assert {claim.count for claim in claims.values()} == {100}
    assert all("strangers" in claim.caveat for claim in claims.values())
    assert set(claims) == {"nodeinfo localPosts", "stats originalNotesCount"}


def test_edits_polls_reactions_and_files_are_kept() -> None:
    done, _ = walk(SharkeySpider, MisskeySite, trap=["sharkey"])
    edited = [item for item in done.items if isinstance(item, Post) and item.extra.get("updatedAt")]
    assert {item.id for item in edited} == {one["noteId"] for one in _asked(done, "notes/versions")}
    assert edited[0].extra["poll"]["choices"] == [{"title": "tea", "votes": "3"}]
    assert edited[0].extra["reactions"] == {"👍": 2}
    files = [item for item in done.items if isinstance(item, Media)]
    assert {file.kind for file in files} == {"image", "video"}
    assert all(file.extra["md5"] and file.title and file.post for file in files)


def test_answers_from_elsewhere_are_read_however_deep_and_not_followed() -> None:
    done, site = walk(MisskeySpider, MisskeySite)
    assert isinstance(site, MisskeySite)
    foreign = {one.id for one in site._notes.values() if one.person.host and one.reply}
    beneath_ours = {one for one in foreign if site._notes[one].reply and site._notes[one].reply.is_public}  # type: ignore[union-attr]
    assert beneath_ours <= _said(done)
    assert {item.kind for item in done.items if isinstance(item, Post) and item.id in foreign} == {"elsewhere"}
    assert not [url for url in done.urls() if "elsewhere.example" in url]


def test_one_account_that_the_seed_names() -> None:
    done, site = walk(MisskeySpider, MisskeySite, path="/@finch0")
    assert isinstance(site, MisskeySite)
    assert {one.id for one in site._people[0].notes if one.is_public} <= _said(done)
    assert not {f"/@{one.username}" for one in site._people[1:]} & _paths(done)
    assert {one["userId"] for one in _asked(done, "users/notes")} == {site._people[0].id}


@pytest.mark.parametrize("trap", DIALECTS)
def test_each_dialect_is_recognised_from_its_bare_address(trap: str) -> None:
    site = MisskeySite(size=30, trap=[trap] if trap else [], clock=Clock(NOW))
    replies: list[CaptureResponse] = []
    asked: list[str] = []
    while url := next_probe("http://127.0.0.1:9/", replies, asked):
        asked.append(url)
        said = site.answer(Request("GET", "127.0.0.1", urlsplit(url).path, {"host": "127.0.0.1:9"}))
        replies.append(answer(url, said.body, status=said.status, headers={"Content-Type": said.content_type}))
    found = recognise(replies)
    assert (found.platform, found.confidence >= 95) == (DIALECTS[trap].name, True)
    assert len(asked) <= 8


NOTE = {"id": "1", "visibility": "public", "user": {"id": "2", "username": "a"}, "text": "tea"}


def test_what_a_note_says_of_who_may_have_it() -> None:
    private = {**NOTE, "visibility": "followers"}
    assert is_public(NOTE)
    assert is_public({**NOTE, "visibility": "home"})
    assert not is_public({**NOTE, "visibility": "specified"})
    assert not is_public({**NOTE, "isHidden": True})
    assert not is_public({**NOTE, "user": {"id": "2", "requireSigninToViewContents": True}})
    assert not is_public({**NOTE, "renote": private})
    assert not leaks(NOTE)
    assert not leaks({**private, "text": None})
    assert leaks(private)
    assert leaks({**NOTE, "reply": private})
    assert leaks({**NOTE, "renote": {**NOTE, "reply": private}})
    assert is_echo({**NOTE, "text": None, "renote": NOTE})
    assert not is_echo({**NOTE, "renote": NOTE})


def test_a_picture_behind_a_proxy_is_also_asked_for_itself() -> None:
    page = answer("https://s.example/api/meta")
    named = "https://s.example/proxy/avatar.webp?url=https%3A%2F%2Ffiles.example%2Fa.png&avatar=1"
    assert unwrapped(named, page) == (named, "https://files.example/a.png")
    assert unwrapped("/files/a.png", page) == ("https://s.example/files/a.png",)
    assert unwrapped("/proxy/x.webp?url=javascript:1", page) == ("https://s.example/proxy/x.webp?url=javascript:1",)
    assert unwrapped("http://[", page) == ()


def test_what_an_answer_is() -> None:
    walker = MisskeySpider(seed=Seed(url="http://s/"))
    fetch = walker.ask("notes/local-timeline", {}, walker.parse_timeline)

    def verdict(body: object, status: int = 200) -> Verdict:
        return walker.judge(answer(fetch.url, json.dumps(body), status=status, fetch=fetch))

    def page(head: str) -> Verdict:
        shown = Fetch(url="http://s/notes/9abc", lane="pages", callback="parse_page")
        return walker.judge(answer(shown.url, f"<html><head>{head}</head>", fetch=shown))

    assert verdict([NOTE]) is verdict([]) is verdict({}) is Verdict.OK
    assert verdict([NOTE, {**NOTE, "visibility": "specified"}]) is Verdict.MIXED
    assert verdict([{"id": "2", "pinnedNotes": [{**NOTE, "isHidden": True}]}]) is Verdict.MIXED
    assert verdict({"error": {"code": "LTL_DISABLED"}}, 400) is Verdict.LOGIN
    assert verdict({"error": {"code": "CREDENTIAL_REQUIRED"}}, 401) is Verdict.LOGIN
    assert verdict({"error": {"code": "RATE_LIMIT_EXCEEDED"}}, 429) is Verdict.LIMITED
    assert verdict({"error": {"code": "NO_SUCH_USER"}}, 400) is Verdict.MISSING
    assert page('<meta name="misskey:note-id" content="9abc">') is Verdict.OK
    assert page('<meta property="og:type" content="article">') is Verdict.OK
    assert page("") is Verdict.MISSING


def test_wrong_shapes_raise_nothing_and_invent_nothing() -> None:
    wrong: list[object] = [None, 1, -1.5, "x", [], {}, [1], {"id": 1}, [None], "http://[", [{"url": "http://["}]]
    deep: dict[str, Any] = {}
    for _ in range(300):
        deep = {**NOTE, "renote": deep}
    names = (*NOTE, "renote", "reply", "files", "mentions", "tags", "poll", "reactions", "repliesCount", "createdAt")
    bodies: list[object] = [*wrong, deep, [deep], {"emojis": wrong}, {"error": wrong}]
    bodies += [[{**NOTE, name: value}] for name in names for value in wrong]
    bodies += [
        [{"id": "1", "username": "a", name: value}]
        for name in ("host", "avatarUrl", "updatedAt", "fields", "pinnedNotes", "url", "notesCount") for value in wrong
    ]  # fmt: skip
    walker = SharkeySpider(seed=Seed(url="http://s/", since=SINCE.isoformat(), until=UNTIL.isoformat()))
    callbacks = [name for name in dir(walker) if name.startswith("parse_") and name != "parse_robots_txt"]
    for body in bodies:
        for name in callbacks:
            fetch = walker.ask("users/notes", {"userId": "2", "noteId": "1"}, name)
            for status in (200, 400):
                response = answer(fetch.url, json.dumps(body), status=status, fetch=fetch)
                walker.judge(response)
                for thing in walker.read(response):
                    assert not isinstance(thing, Post | Account) or thing.id
                    assert not isinstance(thing, Post) or thing.extra["visibility"] in {"public", "home"}
