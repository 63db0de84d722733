"""The Mastodon family against its replica, in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import pytest

from crawler.model import Account, Fetch, Media, Post, Seed, Verdict
from crawler.replicas.exchange import Clock, Request
from crawler.replicas.kit import PRIVATE, PlatformSite
from crawler.replicas.launch import NOW
from crawler.replicas.mastodon import MastodonSite
from crawler.replicas.pixelfed import PixelfedSite
from crawler.response import CaptureResponse
from spiders.base import PlatformSpider
from spiders.detect import next_probe, recognise
from spiders.mastodon import GabSpider, GoToSocialSpider, MastodonSpider, PleromaSpider, TruthSocialSpider
from spiders.mastodon_dialects import pixelfed, snowflake, ulid
from spiders.mastodon_items import page_of
from spiders.pixelfed import PixelfedSpider
from spiders.testing import NOON, Crawled, answer
from tests.unit.spiders.world import walk

DIALECTS: dict[str, type[PlatformSpider]] = {
    "": MastodonSpider, "closed": MastodonSpider, "disabled": MastodonSpider, "leak": MastodonSpider,
    "old": MastodonSpider, "pleroma": PleromaSpider, "gotosocial": GoToSocialSpider, "gab": GabSpider,
}  # fmt: skip
SINCE, UNTIL = NOW - timedelta(days=30), NOW - timedelta(days=28)


def _paths(done: Crawled, lane: str = "") -> set[str]:
    return {urlsplit(url).path for url in done.urls(lane)}


def _said(done: Crawled, kind: type = Post) -> set[str]:
    return {item.id for item in done.items if isinstance(item, kind)}


def _unlisted(site: PlatformSite) -> set[str]:
    assert isinstance(site, MastodonSite)
    return {f"@{account.username}" for account in site._accounts if not account.listed}


@pytest.mark.parametrize("trap", DIALECTS)
def test_all_that_is_public_and_nothing_private_at_little_more_than_the_least(trap: str) -> None:
    for size in (40, 250):
        done, site = walk(DIALECTS[trap], MastodonSite, size=size, trap=[trap] if trap else [])
        paths = _paths(done)
        things = list(site.things())
        for thing in things:
            is_said = not thing["item"] or thing["id"] in _said(done, Post if thing["item"] == "Post" else Account)
            is_held = not thing["url"] or thing["url"] in paths
            assert (is_said and is_held) if thing["public"] else thing["url"] not in paths, thing
        private = {thing["id"] for thing in things if not thing["public"] and thing["item"]}
        assert not private & _said(done)
        assert not [item for item in done.items if isinstance(item, Post) and PRIVATE in item.text]
        least = sum(site.overhead().values()) + sum(bool(one["public"] and one["url"]) for one in things)
        assert len(done.fetches) <= 1.2 * least


@pytest.mark.parametrize("trap", ["", "gab", "pleroma", "old", "gotosocial"])
def test_a_window_asks_for_its_posts_and_two_pages_more(trap: str) -> None:
    done, site = walk(
        DIALECTS[trap], MastodonSite, size=600, since=SINCE, until=UNTIL, trap=[trap] if trap else []
    )  # fmt: skip
    truth = {
        thing["id"]: thing["url"] for thing in site.things()
        if thing["item"] == "Post" and thing["public"] and SINCE <= datetime.fromisoformat(thing["at"]) < UNTIL
    }  # fmt: skip
    assert len(truth) > 15
    said = _said(done)
    if trap == "":
        # Who is in no directory and said nothing in the window's timeline can only be met outside of it.
        assert {truth[missed].split("/")[1] for missed in truth.keys() - said if truth[missed]} <= _unlisted(site)
    # Without a directory, too, and GoToSocial names accounts in threads and mentions alone.
    share = {"": 0.8, "old": 0.7, "gotosocial": 0.2}.get(trap, 0.95)
    assert len(truth.keys() & said) > len(truth) * share
    assert said <= truth.keys() | {item.id for item in done.items if isinstance(item, Post) and _is_foreign(item)}
    accounts = {thing["url"] for thing in site.things() if thing["kind"] == "account"}
    pages = {path.removesuffix("/with_replies") for path in _paths(done, "pages")} - accounts - {"/", "/about"}
    assert pages <= set(truth.values())
    timeline = [url for url in done.urls("listings") if "/timelines/" in url]
    if trap in {"", "old"}:  # elsewhere ids say nothing of time, and the way there is long
        assert len(timeline) <= len(truth) // 40 + 3


def _is_foreign(post: Post) -> bool:
    return "@" in (post.author_name or "")


def test_a_closed_timeline_is_said_once_and_accounts_are_walked() -> None:
    for trap in ("closed", "disabled"):
        done, site = walk(MastodonSpider, MastodonSite, trap=[trap])
        assert [note.text for note in done.notes if "closed to strangers" in note.text]
        public = {thing["id"] for thing in site.things() if thing["item"] == "Post" and thing["public"]}
        assert public <= _said(done)


def test_where_accounts_are_closed_too_it_is_said_and_feeds_are_taken() -> None:
    done, site = walk(PleromaSpider, MastodonSite, trap=["pleroma", "restricted"])
    told = {note.text for note in done.notes}
    assert {True} == {any(word in text for text in told) for word in ("timeline is closed", "accounts are closed")}
    posts = {thing["url"] for thing in site.things() if thing["kind"] in {"post", "reply"} and thing["public"]}
    assert len(posts & _paths(done, "pages")) > 10
    assert not _said(done)


def test_the_page_of_who_runs_a_server_leads_on_where_its_api_may_not_be_asked() -> None:
    walker = GoToSocialSpider(seed=Seed(url="http://s/"))
    fetch = Fetch(url="http://s/about", lane="pages", callback="parse_shown")
    links = "<a href='/@heron'>me</a><a href='https://elsewhere.example/@other'>not me</a><a href=/about>this</a>"
    found = [one for one in walker.read(answer(fetch.url, links, fetch=fetch)) if isinstance(one, Fetch)]
    assert [(one.url, one.covers) for one in found] == [("http://s/@heron", ("account", "heron"))]


def test_what_the_server_claims_is_kept_with_its_caveat() -> None:
    for trap, counter in (("", "nodeinfo localPosts"), ("old", "instance status_count")):
        done, _ = walk(MastodonSpider, MastodonSite, trap=[trap] if trap else [])
        claims = {claim.counter: claim for claim in done.claims if claim.kind == "post"}
        assert claims[counter].count == 100
        assert "strangers" in claims[counter].caveat


def test_edits_polls_cards_and_the_file_a_stream_is_made_of_are_kept() -> None:
    done, _ = walk(MastodonSpider, MastodonSite)
    edited = [item for item in done.items if isinstance(item, Post) and item.extra.get("edited_at")]
    assert {item.id for item in edited} == {path.split("/")[4] for path in _paths(done) if path.endswith("/history")}
    assert edited[0].extra["poll"]["options"][0] == {"title": "tea", "votes": "3"}
    assert edited[0].links
    done, _ = walk(GabSpider, MastodonSite, trap=["gab"])
    films = [item for item in done.items if isinstance(item, Media) and item.kind == "video"]
    assert films
    assert all(film.url.endswith(".mp4") for film in films)


def test_one_account_that_the_seed_names() -> None:
    for spider, trap, path in (
        (TruthSocialSpider, ["closed"], "/@heron0"), (MastodonSpider, [], "/@heron0"), (GabSpider, ["gab"], "/heron0"),
        (GoToSocialSpider, ["gotosocial"], "/@heron0"), (PleromaSpider, ["pleroma"], "/users/heron0"),
    ):  # fmt: skip
        done, site = walk(spider, MastodonSite, trap=trap, path=path)
        assert isinstance(site, MastodonSite)
        ours = [
            one for one in site._accounts[0].posts if one.is_public and (site.dialect.has_lists or not one.reply_to)
        ]
        assert {site.dialect.id(one.id) for one in ours} <= _said(done)
        others = {site.dialect.account_url(one) for one in site._accounts[1:]}
        assert not others & _paths(done)


@pytest.mark.parametrize("trap", DIALECTS)
def test_each_dialect_is_recognised_from_its_bare_address(trap: str) -> None:
    site = MastodonSite(size=30, trap=[trap] if trap else [], clock=Clock(NOW))
    replies: list[CaptureResponse] = []
    asked: list[str] = []
    while url := next_probe("http://127.0.0.1:9/", replies, asked):
        asked.append(url)
        said = site.answer(Request("GET", "127.0.0.1", urlsplit(url).path, {"host": "127.0.0.1:9"}))
        replies.append(answer(url, said.body, status=said.status, headers={"Content-Type": said.content_type}))
    found = recognise(replies)
    assert (found.platform, found.confidence >= 95) == (DIALECTS[trap].name, True)
    assert len(asked) <= 8


def _hostile() -> Iterator[object]:
    yield from (None, 1, "x", True, [], {}, [None, 1, "x", [], {}], {"data": [1]}, {"error": "no"}, {"error": {}})
    wrong: list[object] = [
        None,
        1,
        -1.5,
        "x",
        [],
        {},
        [1],
        {"id": 1},
        "http://[",
        "\ud800".encode("utf-8", "replace").decode(),
    ]
    names = (
        "id", "account", "visibility", "reblog", "media_attachments", "mentions", "tags", "card", "poll", "url",
        "created_at", "replies_count", "edited_at", "in_reply_to_id", "emojis", "content",
    )  # fmt: skip
    good = {"id": "1", "visibility": "public", "account": {"id": "2", "acct": "a", "url": "http://s/@a"}}
    for name in names:
        for value in wrong:
            one = {**good, name: value}
            yield from ([one], {"ancestors": [one], "descendants": value}, {"data": [one], "links": {"next": value}})
    for name in ("id", "acct", "url", "avatar", "last_status_at", "created_at"):
        for value in wrong:
            account = {**good["account"], name: value} if isinstance(good["account"], dict) else {}
            yield from (
                [account],
                account,
                [{**good, "account": account}],
                {"contact_account": account, "stats": value},
            )


@pytest.mark.parametrize("spider", [MastodonSpider, GabSpider, GoToSocialSpider, PixelfedSpider])
def test_wrong_shapes_raise_nothing_and_invent_nothing(spider: type[PlatformSpider]) -> None:
    walker = spider(seed=Seed(url="http://s/", since=SINCE.isoformat(), until=UNTIL.isoformat()))
    names = [name for name in dir(walker) if name.startswith("parse_") and name != "parse_robots_txt"]
    for value in _hostile():
        body = json.dumps(value)
        for name in names:
            fetch = Fetch(url="http://s/api/v1/x?page=z&offset=-", lane="listings", callback=name)
            for status in (200, 404):
                response = answer(fetch.url, body, status=status, fetch=fetch)
                walker.judge(response)
                for thing in walker.read(response):
                    assert not isinstance(thing, Post | Account) or thing.id
                    assert not isinstance(thing, Post) or thing.extra.get("visibility") in {"public", "unlisted"}


def test_what_an_answer_is() -> None:
    walker = MastodonSpider(seed=Seed(url="http://s/"))
    fetch = Fetch(url="http://s/api/v1/timelines/public", lane="listings", callback="parse_timeline")

    def verdict(body: object, status: int = 200, **headers: str) -> Verdict:
        return walker.judge(answer(fetch.url, json.dumps(body), status=status, headers=headers, fetch=fetch))

    public, private = {"visibility": "public"}, {"visibility": "private"}
    assert verdict([public]) is Verdict.OK
    assert verdict([public, private]) is Verdict.MIXED
    assert verdict({"ancestors": [], "descendants": [private]}) is verdict({"data": [private]}) is Verdict.MIXED
    assert verdict([{**public, "local_only": True}]) is Verdict.MIXED
    assert verdict([{**public, "reblog": private}]) is Verdict.MIXED
    assert verdict([{"visibility": "local"}]) is Verdict.MIXED
    assert verdict({"error": "This API requires an authenticated user"}) is Verdict.LOGIN
    assert verdict({}, 422) is verdict({}, 401) is Verdict.LOGIN
    assert verdict("", 302, Location="http://s/auth/sign_in") is Verdict.LOGIN
    assert verdict("", 302, Location="http://s/loginless") is Verdict.OK
    assert verdict({}, 410) is Verdict.MISSING


def test_pages_that_hold_no_posts_and_pages_that_are_monstrous() -> None:
    for page in ("", "<html>", "<article class=status>", "<a class=status-link href='http://['>", "<div>" * 100_000):
        assert page_of(page, "http://s/@a").posts == ()
    many = "<article class=status id=1><a class=status-link href=/@a/1></a></article>" * 2000
    assert len(page_of(many, "http://s/@a").posts) == 1000


def test_ids_of_a_moment() -> None:
    assert snowflake(NOON) == str(1610280000000 << 16)
    digits = ["0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(one) for one in ulid(NOON)]
    assert len(digits) == 26
    assert sum(digit << 5 * place for place, digit in enumerate(digits[::-1])) == 1610280000000 << 80
    assert pixelfed(NOON) == str((1610280000000 - 1549756800000) << 22)


@pytest.mark.parametrize("trap", ["", "leak"])
def test_pixelfed_all_that_is_public_and_nothing_private(trap: str) -> None:
    done, site = walk(PixelfedSpider, PixelfedSite, size=250, trap=[trap] if trap else [])
    things = list(site.things())
    for thing in things:
        is_held = not thing["url"] or thing["url"] in _paths(done)
        # Whose account is locked has a page that says so.
        assert is_held if thing["public"] else not is_held, thing
    public = {thing["id"] for thing in things if thing["public"] and thing["item"] == "Post"}
    assert public == _said(done)
    least = sum(site.overhead().values()) + sum(bool(one["public"] and one["url"]) for one in things)
    assert len(done.fetches) <= 1.2 * least


def test_pixelfed_a_window() -> None:
    since, until = NOW - timedelta(days=30), NOW - timedelta(days=20)
    done, site = walk(PixelfedSpider, PixelfedSite, size=600, since=since, until=until)
    truth = {
        thing["id"]: thing["url"] for thing in site.things()
        if thing["item"] == "Post" and thing["public"] and since <= datetime.fromisoformat(thing["at"]) < until
    }  # fmt: skip
    tops = {thing["id"] for thing in site.things() if thing["kind"] == "post"}
    assert truth.keys() & tops <= _said(done) <= truth.keys()
    assert {path for path in _paths(done, "pages") if path.startswith("/p/")} <= set(truth.values())


def test_pixelfed_that_lists_nobody_says_so_and_takes_whom_the_seed_names() -> None:
    done, _ = walk(PixelfedSpider, PixelfedSite, trap=["unlisted"])
    assert [note.text for note in done.notes if "lists nobody" in note.text]
    done, site = walk(PixelfedSpider, PixelfedSite, trap=["unlisted"], path="/osprey0")
    assert isinstance(site, PixelfedSite)
    ours = {str(one.id) for one in site._people[0].posts if one.is_public and one.files}
    assert ours <= _said(done)
    assert "/osprey1" not in _paths(done)


def test_pixelfed_whose_lists_are_closed_is_read_from_feeds() -> None:
    done, site = walk(PixelfedSpider, PixelfedSite, trap=["closed"])
    assert [note.text for note in done.notes if "closed to strangers" in note.text]
    posts = {thing["url"] for thing in site.things() if thing["kind"] == "post" and thing["public"]}
    assert len(posts & _paths(done, "pages")) > 10
