"""MediaWiki against its replica, in memory, and against what no server should say."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from urllib.parse import unquote, urlsplit

from crawler.model import Fetch, Media, Note, Post, Seed, Verdict
from crawler.replicas.launch import NOW
from crawler.replicas.mediawiki import MediaWikiSite
from crawler.response import CaptureResponse
from spiders.mediawiki import MediaWikiSpider
from spiders.testing import answer
from tests.unit.spiders.world import walk

HOME = "https://heron.example/wiki/Main_Page"
API = "https://heron.example/w/api.php"
NASTY = [
    None, True, 7, "text", [], {}, {"query": []}, {"query": {"allrevisions": [1, {"revisions": {}}], "pages": {}}},
    {"query": {"allrevisions": [{"title": [], "revisions": [None, {"revid": {}, "slots": 3}]}], "allusers": "x"}},
    {"query": {"pages": [{"title": "A", "imageinfo": [{"url": []}, {"url": "javascript:x"}]}]}, "continue": [3]},
    {"query": {"general": [], "statistics": 3}}, {"error": "x"}, {"continue": {"a": {}, "b": None}, "query": {}},
]  # fmt: skip


def _answered(body: object, callback: str = "parse_listing") -> CaptureResponse:
    cursor = {"door": API, "article": "https://heron.example/wiki/TITLE", "asked": {"action": "query"}}
    fetch = Fetch(url=API, lane="listings", callback=callback, cursor=cursor)
    return answer(API, json.dumps(body), headers={"Content-Type": "application/json"}, fetch=fetch)


def test_a_window_asks_for_its_revisions_and_their_pages() -> None:
    since, until = NOW - timedelta(days=390), NOW - timedelta(days=380)
    done, site = walk(MediaWikiSpider, MediaWikiSite, size=400, since=since, until=until)
    inside = {
        thing["id"] for thing in site.things()
        if thing["kind"] == "revision" and thing["public"] and since <= datetime.fromisoformat(thing["at"]) < until
    }  # fmt: skip
    assert len(inside) > 20
    assert {item.id for item in done.items if isinstance(item, Post)} == inside
    titles = {item.extra["title"].replace(" ", "_") for item in done.items if isinstance(item, Post)}
    files = {item.title.replace(" ", "_") for item in done.items if isinstance(item, Media)}
    asked = {unquote(urlsplit(url).path.removeprefix("/wiki/")) for url in done.urls("pages")}
    assert asked - titles <= {"/", "Project:Main_Page"} | files
    lists = [url for url in done.urls("listings") if "allrevisions" in url]
    assert len(lists) <= len(inside) // 50 + 2


def test_a_closed_wiki_is_said_once() -> None:
    done, _ = walk(MediaWikiSpider, MediaWikiSite, trap=["private"])
    assert [note.text for note in done.notes] == ["The wiki is closed to strangers (readapidenied)."]
    assert not done.items


def test_the_api_is_found_where_no_page_says_it_is() -> None:
    done, site = walk(MediaWikiSpider, MediaWikiSite, trap=["root"])
    assert not done.notes
    public = {thing["id"] for thing in site.things() if thing["item"] == "Post" and thing["public"]}
    assert public == {item.id for item in done.items if isinstance(item, Post)}


def test_what_was_hidden_stays_hidden() -> None:
    done, _ = walk(MediaWikiSpider, MediaWikiSite, trap=["leak"])
    posts = [item for item in done.items if isinstance(item, Post)]
    assert not [item for item in posts if "PRIVATE" in item.text]
    assert [item for item in posts if item.author is None]
    assert not [url for url in done.urls() if "PRIVATE" in url]


def test_what_the_wiki_counts_is_kept_with_its_caveat() -> None:
    done, _ = walk(MediaWikiSpider, MediaWikiSite)
    claims = {claim.kind: claim for claim in done.claims}
    assert claims.keys() == {"page", "revision", "file", "account"}
    assert all(claim.caveat for claim in claims.values())


def test_errors_that_come_with_200() -> None:
    spider = MediaWikiSpider(seed=Seed(url=HOME))
    for code, verdict in (
        ("maxlag", Verdict.LIMITED), ("ratelimited", Verdict.LIMITED), ("readapidenied", Verdict.LOGIN),
        ("badvalue", Verdict.OK),
    ):  # fmt: skip
        assert spider.judge(_answered({"error": {"code": code}})) is verdict
    assert [type(one) for one in spider.read(_answered({"error": {"code": "badvalue"}}))] == [Note]


def test_what_no_server_should_say_names_nothing() -> None:
    spider = MediaWikiSpider(seed=Seed(url=HOME))
    for body in NASTY:
        for callback in ("parse_listing", "parse_site"):
            response = _answered(body, callback)
            spider.judge(response)
            found = list(spider.read(response))
            assert not [one for one in found if isinstance(one, Fetch) and one.lane in {"images", "originals"}]


def test_a_listing_that_goes_on_with_the_same_ends() -> None:
    spider = MediaWikiSpider(seed=Seed(url=HOME))
    first = _answered(
        {"query": {"allusers": [{"userid": 1, "name": "A"}]}, "continue": {"aufrom": "B", "continue": "-||"}}
    )
    [following] = [one for one in spider.read(first) if isinstance(one, Fetch) and one.lane == "listings"]
    again = answer(following.url, first.body, headers={"Content-Type": "application/json"}, fetch=following)
    assert not [one for one in spider.read(again) if isinstance(one, Fetch) and one.lane == "listings"]


def test_a_wiki_is_known_by_its_name_alone() -> None:
    found = MediaWikiSpider.recognise([answer(HOME, '<meta name="generator" content="MediaWiki 1.43.0"/>')])
    assert found is not None
    assert found.confidence >= 95
    assert MediaWikiSpider.recognise([answer(HOME, "<p>MediaWiki 1.43.0</p>")]) is None
