"""WordPress against its replica, in memory, and against what no server should say."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import pytest

from crawler.model import Fetch, Post, Seed, Verdict
from crawler.replicas.launch import NOW
from crawler.replicas.wordpress import WordPressSite
from spiders.testing import answer
from spiders.wordpress import WordPressSpider
from spiders.wordpress_items import original_of, uploads
from tests.unit.spiders.world import walk

HOME = "https://heron.example/"
NASTY = [
    None,
    True,
    7,
    "text",
    [],
    {},
    [[]],
    [None, 3, "x", {}],
    {"post": 1, "x": {"slug": ["x"]}},
    [{"id": {}, "link": 9}],
]


def _asked(callback: str, url: str, body: object, kind: str = "post", status: int = 200) -> object:
    cursor = {"kind": kind, "root": f"{HOME}wp-json/", "place": "wp/v2/posts", "turned": 1}
    fetch = Fetch(url=url, lane="listings", callback=callback, cursor=cursor)
    response = answer(url, json.dumps(body), status=status, headers={"Content-Type": "application/json"}, fetch=fetch)
    spider = WordPressSpider(seed=Seed(url=HOME))
    return spider.judge(response), list(spider.read(response))


@pytest.mark.parametrize("trap", ["", "nositemap"])
def test_a_window_asks_for_its_posts_and_two_pages_more(trap: str) -> None:
    since, until = NOW - timedelta(days=295), NOW - timedelta(days=290)
    done, site = walk(WordPressSpider, WordPressSite, size=400, trap=[trap] * bool(trap), since=since, until=until)
    posts = {
        thing["url"]: since <= datetime.fromisoformat(thing["at"]) < until for thing in site.things()
        if thing["kind"] == "post" and thing["public"]
    }  # fmt: skip
    inside = {url for url, is_inside in posts.items() if is_inside}
    assert len(inside) > 10
    asked = {urlsplit(url).path for url in done.urls("pages")}
    assert inside <= asked
    assert not (asked & posts.keys()) - inside
    if not trap:
        assert len([url for url in done.urls("listings") if "/posts?" in url]) == 1
        assert not [url for url in done.urls("listings") if "sitemap" in url]


@pytest.mark.parametrize(("trap", "told"), [
    ("closed", "rest_not_logged_in"), ("nositemap", "no sitemap"), ("nousers", "list of accounts"),
])  # fmt: skip
def test_what_is_closed_is_said_and_gone_around(trap: str, told: str) -> None:
    done, site = walk(WordPressSpider, WordPressSite, trap=[trap])
    assert len([note for note in done.notes if told in note.text]) == 1
    public = {thing["id"] for thing in site.things() if thing["item"] == "Post" and thing["public"]}
    assert public == {item.id for item in done.items if isinstance(item, Post)}
    above = {item.id: item.in_reply_to for item in done.items if isinstance(item, Post) and item.kind == "comment"}
    assert any(target and target.startswith("comment-") for target in above.values())


def test_nobody_asks_for_a_page_past_the_end_or_for_what_is_private() -> None:
    done, _ = walk(WordPressSpider, WordPressSite, size=250, trap=["leak"])
    assert not [url for url in done.urls() if "PRIVATE" in url]
    assert not [item for item in done.items if isinstance(item, Post) and "PRIVATE" in item.text]
    turned = [url for url in done.urls("listings") if "wp/v2/posts" in url or "wp/v2/comments" in url]
    claims = {claim.kind: claim.count for claim in done.claims}
    assert len(turned) == -(-claims["post"] // 100) + -(-claims["comment"] // 100)


def test_the_form_before_a_post_is_no_page_of_it() -> None:
    form = '<body class="single postid-3"><form class="post-password-form">'
    fetch = Fetch(url=f"{HOME}a/", lane="pages", callback="parse_page")
    spider = WordPressSpider(seed=Seed(url=HOME))
    assert spider.judge(answer(f"{HOME}a/", form, fetch=fetch)) is Verdict.PRIVATE
    assert spider.judge(answer(HOME, form.replace("single postid-3", "home blog"), fetch=fetch)) is Verdict.OK


@pytest.mark.parametrize("kind", ["post", "comment", "attachment", "account", "term", "taxonomies"])
def test_what_no_server_should_say_names_nothing(kind: str) -> None:
    for body in NASTY:
        _asked("parse_listing", f"{HOME}wp-json/wp/v2/posts", body, kind)
        _asked("parse_types", f"{HOME}wp-json/wp/v2/types", body)
    odd = {
        "id": [],
        "link": {},
        "status": [],
        "content": 5,
        "media_details": "x",
        "source_url": [],
        "author_avatar_urls": [],
    }
    _, found = _asked("parse_listing", f"{HOME}wp-json/wp/v2/posts", [odd], kind)  # type: ignore[misc]
    assert not [one for one in found if isinstance(one, Fetch) and one.lane != "listings"]


def test_the_upload_comes_before_what_was_made_of_it() -> None:
    said = {
        "source_url": f"{HOME}u/a-scaled.jpg",
        "media_details": {"original_image": "a.jpg", "sizes": {"t": {"source_url": f"{HOME}u/a-1x1.jpg"}, "x": 3}},
    }
    assert list(uploads(said)) == [
        (f"{HOME}u/a.jpg", "original"), (f"{HOME}u/a-scaled.jpg", "large"), (f"{HOME}u/a-1x1.jpg", "thumbnail"),
    ]  # fmt: skip
    assert original_of(f"{HOME}u/a-300x200.jpg?x=1") == f"{HOME}u/a.jpg"
    assert original_of(f"{HOME}u/a-2020.jpg") == f"{HOME}u/a-2020.jpg"


def test_a_site_is_known_by_its_door_or_its_name_alone() -> None:
    door = answer(HOME, headers={"Link": f'<{HOME}wp-json/>; rel="https://api.w.org/"'})
    named = answer(HOME, '<head><meta name="generator" content="WordPress 6.1.9" /></head>')
    for reply in (door, named):
        found = WordPressSpider.recognise([reply])
        assert found is not None
        assert found.confidence >= 95
    assert WordPressSpider.recognise([answer(HOME, "<p>I like WordPress 6</p>")]) is None
