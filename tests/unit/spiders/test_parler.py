"""The spider's callbacks: what each page yields, what each answer really is, and how the counter is walked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.errors import UsageError
from crawler.model import Account, Covered, Fetch, Media, Outcome, Post, Seed, SegmentClass, Standing, Verdict
from crawler.response import CaptureResponse
from spiders.parler import BLOCK, COUNTER, EDGE, ParlerSpider
from spiders.parler_places import PLACES
from spiders.testing import NOON, answer, crawl
from tests.unit.spiders import parler_html as html
from tests.unit.spiders.test_parler_pages import BYLINE, OWN, PARENT, SHAPES, WHOLE, mutated

SEED = Seed(url="https://parler.com/")
POST_URL = f"https://parler.com/post/{html.POST}"
S3_ERROR = '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code></Error>'


def respond(
    url: str, body: str | bytes, callback: str, *, cursor: dict[str, Any] | None = None, **more: Any
) -> CaptureResponse:
    fetch = Fetch(
        url=url, lane="posts", callback=callback, cursor=cursor, covers=more.pop("covers", ("post", html.POST))
    )
    return answer(url, body, fetch=fetch, **more)


def read(url: str, body: str | bytes, callback: str, *, seed: Seed = SEED, **more: Any) -> list[Any]:
    return list(ParlerSpider(seed=seed).read(respond(url, body, callback, **more)))


def fetches(things: Iterable[Any], lane: str = "") -> dict[str, Fetch]:
    return {thing.url: thing for thing in things if isinstance(thing, Fetch) and lane in {"", thing.lane}}


def posts(things: Iterable[Any], kind: str = "post") -> list[Post]:
    return [thing for thing in things if isinstance(thing, Post) and thing.kind == kind]


def read_post(content: str, **more: Any) -> list[Any]:
    return read(POST_URL, html.post(content), "parse_post", **more)


# The head


def test_lanes_go_in_order_and_videos_apart() -> None:
    lanes = {lane.name: lane for lane in ParlerSpider.lanes}
    order = [
        "robots",
        "ids",
        "posts",
        "profiles",
        "shares",
        "links",
        "images",
        "video-originals",
        "video-variants",
        "avatars",
        "requisites",
    ]
    assert sorted(order, key=lambda name: lanes[name].order) == order
    assert ParlerSpider.segment_class("images") is SegmentClass.IMAGES
    assert ParlerSpider.segment_class("video-originals") is SegmentClass.ORIGINALS
    assert ParlerSpider.segment_class("posts") is SegmentClass.TEXT


def test_every_callback_exists() -> None:
    names = {place.callback for place in PLACES if place.callback} | ParlerSpider.reads_holes
    assert all(callable(getattr(ParlerSpider, name)) for name in names)


def test_seeds() -> None:
    seeds = list(ParlerSpider(seed=SEED).seeds(SEED))
    ids = [fetch for fetch in seeds if fetch.lane == "ids"]
    assert [(f.url, f.sweep, f.covers) for f in ids] == [(f"{COUNTER}1", True, ("id", "1"))]
    doors = [fetch for fetch in seeds if "/v1/" in fetch.url]
    assert [(f.url, f.sweep) for f in doors] == [("https://api.parler.com/v1/discover/posts", True)]
    assert json.dumps([fetch.cursor for fetch in seeds])


@pytest.mark.parametrize(
    "options", [{"first": "x"}, {"last": "-3"}, {"first": "9", "last": "8"}, {"last": "9" * 30}, {"last": "٣"}]
)
def test_bounds_that_are_none(options: dict[str, str]) -> None:
    seed = Seed(url=SEED.url, options=options)
    with pytest.raises(UsageError):
        list(ParlerSpider(seed=seed).seeds(seed))


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        (POST_URL, {POST_URL}),
        ("https://parler.com/profile/u", {"https://parler.com/profile/u/posts"}),
        (f"{html.FILM}_small.mp4", {html.FILM, f"{html.FILM}.mp4", f"{html.FILM}_small.mp4"}),
    ],
)
def test_a_seed_that_names_one_thing_is_that_thing(url: str, asked: set[str]) -> None:
    seed = Seed(url=url)
    assert fetches(ParlerSpider(seed=seed).seeds(seed)).keys() == asked
    followed = fetches(read_post(OWN_WITH_ALL, seed=seed))
    assert not [f for f in followed.values() if f.lane in {"profiles", "ids", "posts"}]
    assert f"https://share.par.pw/post/{html.POST}" in followed


# What an answer is

CASES = [
    ("https://parler.com/post/" + html.POST, 200, SHAPES[1], {}, Verdict.OK),
    ("https://parler.com/post/" + html.POST, 200, html.SHELL, {}, Verdict.MISSING),
    ("https://parler.com/profile/u/posts", 200, html.SHELL, {}, Verdict.MISSING),
    ("https://parler.com/profile/u/posts", 200, html.profile(), {}, Verdict.OK),
    ("https://parler.com/post/" + html.POST, 200, html.post(OWN, text="&lt;app-root <app-root"), {}, Verdict.OK),
    ("https://parler.com/", 200, html.SHELL, {}, Verdict.OK),
    ("https://parler.com/post/" + html.POST, 404, "gone", {}, Verdict.MISSING),
    ("https://parler.com/post/" + html.POST, 302, "", {"Location": "https://parler.com/auth/access"}, Verdict.LOGIN),
    ("https://parler.com/profile/u/posts", 302, "", {"Location": "/auth/access?next=x"}, Verdict.LOGIN),
    ("https://parler.com/auth/access", 200, html.SHELL, {}, Verdict.LOGIN),
    ("https://parler.com/post/" + html.POST, 200, S3_ERROR, {}, Verdict.MISSING),
    ("https://api.parler.com/v1/discover/posts", 401, '{"message":"Unauthorized"}', {}, Verdict.LOGIN),
    ("https://api.parler.com/v1/discover/posts", 403, '{"message":"No"}', {}, Verdict.LOGIN),
    ("https://api.parler.com/v1/discover/posts", 200, "{}", {}, Verdict.OK),
    (COUNTER + "5", 200, b"\n " + html.POST.encode() + b"\x18\x01", {}, Verdict.OK),
    (COUNTER + "5", 404, "{}", {}, Verdict.MISSING),
    (COUNTER + "5", 200, b"\n\x00", {}, Verdict.MISSING),
    (COUNTER + "5", 200, "<html>maintenance</html>", {}, Verdict.LIMITED),
    (COUNTER + "5", 200, S3_ERROR, {}, Verdict.LIMITED),
    (COUNTER + "5", 403, "{}", {}, Verdict.LIMITED),
    (COUNTER + "5", 302, "", {"Location": "https://parler.com/auth/access"}, Verdict.LIMITED),
    (html.FILM, 200, S3_ERROR, {}, Verdict.MISSING),
    (html.FILM, 403, S3_ERROR, {}, Verdict.MISSING),
    (html.FILM, 404, S3_ERROR, {}, Verdict.MISSING),
    (html.FILM, 503, S3_ERROR, {}, Verdict.OK),
    (html.FILM, 200, b"\0\0\0\x14ftypqt  ", {}, Verdict.OK),
    (html.AVATAR, 200, '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', {}, Verdict.OK),
    ("https://api.parler.com/l/xXtqI", 302, "", {"Location": "https://elsewhere.example/"}, Verdict.OK),
]


@pytest.mark.parametrize(("url", "status", "body", "headers", "verdict"), CASES)
def test_judge(url: str, status: int, body: str | bytes, headers: dict[str, str], verdict: Verdict) -> None:
    assert ParlerSpider(seed=SEED).judge(answer(url, body, status=status, headers=headers)) is verdict


# Post pages

OWN_WITH_ALL = html.wrapper(
    own=html.card(
        "quietheron_7", "Quiet Heron", 'soup <a href="/profile/amberclover_1/posts" class="at">@amberclover_1</a> #tea',
        html.sensitive(html.POST, html.slider(
            html.POST, html.image(), html.film(), html.article(), html.BASIC, html.IFRAME, html.AUDIO,
        )),
    ),
    comments=html.discussion(html.POST, html.comment("rusticpebble_3", "Rustic Pebble", "yes", identity=html.COMMENT)),
)  # fmt: skip


def test_a_post_and_all_it_leads_to() -> None:
    things = read_post(OWN_WITH_ALL)
    (post,) = posts(things)
    assert (post.id, post.url, post.author, post.author_name) == (html.POST, POST_URL, "quietheron_7", "Quiet Heron")
    assert post.text == "soup @amberclover_1 #tea"
    assert post.created_at == ("2021-01-05T12:00:00+00:00", "2021-01-06T12:00:00+00:00")
    assert (post.mentions, post.hashtags, post.sensitive) == (("amberclover_1",), ("tea",), True)
    assert post.counters == {"comments": "12", "echoes": "1.2k", "upvotes": "3.4k"}
    assert post.media == ("https://api.parler.com/l/xXtqI", f"{html.FILM}_small.mp4", "https://podcast.example/7.mp3")
    assert post.links == (
        "https://elsewhere.example/kettles",
        "https://elsewhere.example/b",
        "https://www.youtube.com/watch?v=abc",
        "https://podcast.example/7.mp3",
    )
    assert (post.captured_at, post.source_url) == (NOON.isoformat(), POST_URL)
    found = fetches(things)
    assert {url: (f.lane, f.covers, f.callback) for url, f in found.items()} == {
        f"https://share.par.pw/post/{html.POST}": ("shares", ("share", html.POST), "parse_share"),
        "https://parler.com/profile/quietheron_7/posts": ("profiles", ("profile", "quietheron_7"), "parse_profile"),
        "https://parler.com/profile/amberclover_1/posts": ("profiles", ("profile", "amberclover_1"), "parse_profile"),
        "https://parler.com/profile/rusticpebble_3/posts": ("profiles", ("profile", "rusticpebble_3"), "parse_profile"),
        **{
            f"https://{host}/l/{link}": ("links", ("link", link), "parse_link")
            for host in ("api.parler.com", "par.pw")
            for link in ("xXtqI", "aB3dE", "bAs1c")
        },
        html.FILM: ("video-originals", ("video", "Q2s5abcdefgh"), None),
        f"{html.FILM}.mp4": ("video-variants", ("variant", "Q2s5abcdefgh.mp4"), None),
        f"{html.FILM}_small.mp4": ("video-variants", ("variant", "Q2s5abcdefgh_small.mp4"), None),
        html.PREVIEW: ("avatars", ("preview", html.PREVIEW[-32:]), None),
        html.AVATAR: ("avatars", ("avatar", f"{html.FACE}_256"), None),
        f"https://parler.com/{html.BUILD}/stylesheets/style.css": ("requisites", None, "parse_style"),
        f"https://parler.com/{html.BUILD}/javascript/gen.js": ("requisites", None, None),
        "https://cdnjs.cloudflare.com/ajax/libs/prism/1.5.0/prism.min.js": ("requisites", None, None),
        f"https://parler.com/{html.BUILD}/images/icons/a.svg": ("requisites", None, None),
        f"https://parler.com/{html.BUILD}/images/icons/link.svg": ("requisites", None, None),
        "https://legal.parler.com/documents/guidelines.pdf": (
            "documents", ("document", "https://legal.parler.com/documents/guidelines.pdf"), "parse_document",
        ),
    }  # fmt: skip
    assert found["https://api.parler.com/l/xXtqI"].cursor == {"post": html.POST}
    assert not found["https://api.parler.com/l/xXtqI"].follow
    assert found[f"{html.FILM}.mp4"].value > found[f"{html.FILM}_small.mp4"].value
    assert {f.via for f in found.values()} == {POST_URL}


def test_the_media_of_a_post() -> None:
    media = {(m.kind, m.variant, m.id): m for m in read_post(OWN_WITH_ALL) if isinstance(m, Media)}
    assert media.keys() == {
        ("video", "original", "Q2s5abcdefgh"), ("video", "large", "Q2s5abcdefgh"), ("video", "small", "Q2s5abcdefgh"),
        ("preview", "original", html.PREVIEW), ("embed", "original", "https://www.youtube.com/embed/abc"),
        ("audio", "original", "https://podcast.example/7.mp3"),
    }  # fmt: skip
    assert {m.post for m in media.values()} == {html.POST}
    assert media["video", "original", "Q2s5abcdefgh"].url == html.FILM


def test_comments_are_items_of_their_own() -> None:
    reply = f'<div class="reply--card--wrapper">{html.comment("v", "V", "why")}</div>'
    said = html.discussion(
        html.POST,
        html.comment("u", "U", "yes", (1, 0, 3), identity=html.COMMENT, replies=reply),
        html.comment("w", "W", "no"),
        html.comment("w", "W", "no"),
    )
    first, second, third, fourth = posts(read_post(html.wrapper(own=OWN, comments=said)), "comment")
    assert (first.id, first.in_reply_to, first.counters["upvotes"]) == (html.COMMENT, html.POST, "3")
    assert "made_up_id" not in first.extra
    assert (second.text, second.in_reply_to, second.extra["made_up_id"]) == ("why", html.COMMENT, True)
    assert third.id != fourth.id
    assert {c.extra["post"] for c in (first, second, third, fourth)} == {html.POST}
    again = posts(
        read("https://parler.com/profile/u/posts", html.profile(html.wrapper(own=OWN, comments=said)), "parse_profile"),
        "comment",
    )
    assert [c.id for c in again] == [first.id, second.id, third.id, fourth.id]


@pytest.mark.parametrize("shape", [2, 4])
def test_the_counts_of_a_bare_echo_belong_to_what_it_echoes(shape: int) -> None:
    (post,) = posts(read_post(SHAPES[shape]))
    assert (post.author, post.author_name, post.text, post.counters) == ("quietheron_7", "Quiet Heron", "", {})
    assert post.extra["echoed_counters"]["upvotes"] == "3.4k"
    assert post.created_at == ("2021-01-06T12:00:00+00:00", "2021-01-07T12:00:00+00:00")
    assert [one["author"] for one in post.extra["echoes"]] == ["rusticpebble_3", "amberclover_1"][: shape // 2]


@pytest.mark.parametrize("shape", [3, 5])
def test_an_echo_with_a_text_has_counts_of_its_own(shape: int) -> None:
    things = read_post(SHAPES[shape])
    (post,) = posts(things)
    assert (post.author, post.text, post.counters["upvotes"]) == ("quietheron_7", "soup", "3.4k")
    cards = posts(things, "card")
    assert [card.author for card in cards] == ["rusticpebble_3", "amberclover_1"][: shape // 2]
    assert all(card.extra["made_up_id"] for card in cards)
    assert {f"https://parler.com/profile/{card.author}/posts" for card in cards} < fetches(things).keys()


def test_an_echoed_post_is_fetched_where_its_id_slips_out() -> None:
    parent = html.card("rusticpebble_3", "Rustic Pebble", "bread", html.sensitive(html.ECHOED, html.film()))
    things = read_post(html.wrapper(parent=parent, echoed=BYLINE))
    assert posts(things)[0].repost_of == html.ECHOED
    assert fetches(things)[f"https://parler.com/post/{html.ECHOED}"].covers == ("post", html.ECHOED)
    assert {m.post for m in things if isinstance(m, Media)} == {html.ECHOED}
    hidden = read_post(html.wrapper(parent=PARENT, echoed=BYLINE, comments=html.discussion(html.ECHOED)))
    assert posts(hidden)[0].repost_of == html.ECHOED


def test_the_people_on_a_page() -> None:
    people = {a.username: a for a in read_post(SHAPES[4]) if isinstance(a, Account)}
    assert {name: (a.name, a.badges) for name, a in people.items()} == {
        "quietheron_7": ("Quiet Heron", ()),
        "rusticpebble_3": ("Rustic Pebble", ("partner",)),
        "amberclover_1": ("Amber Clover", ()),
    }
    assert all(a.extra["mentioned_only"] for a in people.values())


def test_times_are_told_by_the_clock_of_the_server() -> None:
    """A page out of a cache was "4 days ago" when it was made; a clock that runs far ahead is not believed."""
    made = NOON - timedelta(days=30)
    (post,) = posts(read_post(html.wrapper(own=OWN), headers={"Date": format_datetime(made, usegmt=True)}))
    assert post.created_at == ((made - timedelta(days=5)).isoformat(), (made - timedelta(days=4)).isoformat())
    for date in (format_datetime(NOON + timedelta(days=3), usegmt=True), "Thu, 99 Foo 2021", ""):
        (post,) = posts(read_post(html.wrapper(own=OWN), headers={"Date": date}))
        assert post.created_at == ((NOON - timedelta(days=5)).isoformat(), (NOON - timedelta(days=4)).isoformat())


@pytest.mark.parametrize(
    ("ago", "day"), [("4 hours ago", "2021-01-10"), ("4 days ago", "2021-01-06"), ("2 weeks ago", None)]
)
def test_work_belongs_to_a_day_where_it_is_known(ago: str, day: str | None) -> None:
    content = html.wrapper(own=html.card("u", "U", "x", html.film(), ago=ago))
    assert fetches(read_post(content))[html.FILM].day == day


# The other pages


def test_a_profile_page() -> None:
    said = html.discussion(html.POST, html.comment("u", "U", "yes"))
    things = read(
        "https://parler.com/profile/quietheron_7/posts", html.profile(html.wrapper(own=OWN) + html.wrapper(own=OWN, comments=said)),
        "parse_profile",
    )  # fmt: skip
    account = next(thing for thing in things if isinstance(thing, Account))
    assert (account.id, account.name, account.bio) == ("quietheron_7", "Quiet Heron", "tea\nand bread")
    assert account.badges == ("real name",)
    cards = posts(things, "card")
    assert len({card.id for card in cards}) == 2
    assert not posts(things)
    found = fetches(things)
    assert [url for url in found if "/post/" in url] == [POST_URL]
    assert found[f"https://images.parler.com/{html.FACE}_1200"].covers == ("banner", f"{html.FACE}_1200")
    assert "https://example.org/" not in found


def test_a_share_page_leads_nowhere_but_shows_media() -> None:
    found = fetches(read(f"https://share.par.pw/post/{html.POST}", html.SHARE, "parse_share"))
    assert {f.covers for f in found.values()} == {("avatar", f"{html.FACE}_256"), ("image", "z4xxxxxxxx")}


def follow(location: str, **more: Any) -> list[Any]:
    url = "https://par.pw/l/xXtqI"
    return read(url, "", "parse_link", status=302, headers={"Location": location}, cursor={"post": html.POST}, **more)


def test_a_short_link_to_an_image() -> None:
    image = "https://image-cdn.parler.com/z/4/z4xxxxxxxx.jpeg"
    media, fetch = follow(image)
    assert isinstance(media, Media)
    assert (media.id, media.url, media.post, media.kind) == ("z4xxxxxxxx", image, html.POST, "image")
    assert media.extra == {"short": "https://api.parler.com/l/xXtqI"}
    assert (fetch.url, fetch.covers, fetch.lane) == (image, ("image", "z4xxxxxxxx"), "images")


def test_a_short_link_to_a_video_or_a_post() -> None:
    assert fetches(follow(f"{html.FILM}.mp4")).keys() == {html.FILM, f"{html.FILM}.mp4", f"{html.FILM}_small.mp4"}
    assert fetches(follow(f"/post-view?q={html.POST}")).keys() == {POST_URL}


def test_a_short_link_to_somebody_else_is_recorded_and_not_followed() -> None:
    (covered,) = follow("https://elsewhere.example/a?b=c")
    assert isinstance(covered, Covered)
    assert (covered.kind, covered.id, covered.standing) == (
        "outlink",
        "https://elsewhere.example/a?b=c",
        Standing.EXCLUDED,
    )


@pytest.mark.parametrize("location", ["", "javascript:alert(1)", "http://[", "ftp://x/", "//", "http://x:99999999/"])
def test_a_short_link_to_nowhere(location: str) -> None:
    for thing in follow(location):
        assert isinstance(thing, Covered) or thing.url.endswith("/l/xXtqI")


def test_a_style_sheet_and_a_paper() -> None:
    css = "@font-face { src: url(../fonts/a.woff2) } .x { background: url('https://evil.example/track?x=1') }"
    found = fetches(
        read(
            f"https://parler.com/{html.BUILD}/stylesheets/style.css",
            css,
            "parse_style",
            headers={"Content-Type": "text/css"},
        )
    )
    assert found.keys() == {f"https://parler.com/{html.BUILD}/fonts/a.woff2"}
    page = '<a href="/documents/privacy.pdf">x</a><a href="https://elsewhere.example/">y</a><a href="/../post/x">z</a>'
    found = fetches(read("https://legal.parler.com/", page, "parse_document"))
    assert "https://legal.parler.com/documents/privacy.pdf" in found
    assert "https://elsewhere.example/" not in found
    assert not read(
        "https://legal.parler.com/a.pdf",
        b"%PDF-1.4 <a href='/b'>",
        "parse_document",
        headers={"Content-Type": "application/pdf"},
    )


# The JSON API, where it is open

USER = "4d5e6f708192a3b4c5d6e7f8091a2b3c"
API = {
    "last": False, "next": "2021-01-06T20:14:31.204Z_470000123",
    "posts": [
        {"_id": html.POST, "creator": USER, "body": "soup #tea", "createdAt": "20210106201431", "@": {"amberclover_1": html.FACE},
         "hashtags": ["tea"], "links": ["xXtqI", "aB3dE"], "comments": "12", "upvotes": "3.4k", "parent": html.ECHOED, "sensitive": True},
    ],
    "users": [{"id": USER, "username": "quietheron_7", "name": "Quiet Heron", "joined": "20200624154405", "profilePhoto": html.FACE,
               "badges": [0], "followers": "709", "verified": True, "private": False}],
    "urls": [{"_id": "xXtqI", "long": "https://image-cdn.parler.com/z/4/z4xxxxxxxx.jpeg", "short": "https://api.parler.com/l/xXtqI"},
             {"_id": "aB3dE", "long": "https://elsewhere.example/", "short": "https://api.parler.com/l/aB3dE"}],
}  # fmt: skip
DOOR = "https://api.parler.com/v1/discover/posts"


def ask(data: Any, url: str = DOOR, seed: Seed = SEED, cursor: dict[str, Any] | None = None) -> list[Any]:
    return read(
        url, json.dumps(data), "parse_api", seed=seed, cursor=cursor, headers={"Content-Type": "application/json"}
    )


def test_an_open_api_is_read_and_walked() -> None:
    things = ask(API)
    (post,) = posts(things)
    assert (post.id, post.author, post.text, post.repost_of) == (html.POST, "quietheron_7", "soup #tea", html.ECHOED)
    assert post.created_at == ("2021-01-06T20:14:31+00:00", "2021-01-06T20:14:31+00:00")
    assert (post.media, post.links) == (
        ("https://image-cdn.parler.com/z/4/z4xxxxxxxx.jpeg",),
        ("https://elsewhere.example/",),
    )
    assert (post.mentions, post.hashtags, post.sensitive, post.counters) == (
        ("amberclover_1",),
        ("tea",),
        True,
        {"comments": "12", "upvotes": "3.4k"},
    )
    account = next(thing for thing in things if isinstance(thing, Account))
    assert (account.id, account.username, account.counters) == (USER, "quietheron_7", {"followers": "709"})
    found = fetches(things)
    assert POST_URL in found
    assert "https://image-cdn.parler.com/z/4/z4xxxxxxxx.jpeg" in found
    assert fetches(things, "api").keys() == {
        f"{DOOR}?startkey=2021-01-06T20%3A14%3A31.204Z_470000123",
        f"https://api.parler.com/v1/post/creator?id={USER}",
        f"https://api.parler.com/v1/comment/creator?id={USER}",
        f"https://api.parler.com/v1/comment?id={html.POST}&reverse=true",
    }


def test_paging_ends() -> None:
    def pages(data: Any, **more: Any) -> list[str]:
        return [url for url in fetches(ask(data, **more), "api") if url.startswith(DOOR)]

    assert not pages({**API, "last": True})
    assert not pages({**API, "next": None})
    assert not pages({**API, "posts": []})
    assert not pages(API, url=f"{DOOR}?startkey=2021-01-06T20%3A14%3A31.204Z_470000123")
    assert not pages(API, seed=Seed(url=SEED.url, since="2021-01-07T00:00:00+00:00"))
    assert pages(API, seed=Seed(url=SEED.url, since="2021-01-06T00:00:00+00:00"))


def test_a_listing_begins_where_the_window_ends() -> None:
    found = fetches(ask(API, seed=Seed(url=SEED.url, until="2021-01-06T00:00:00+02:00")), "api")
    assert f"https://api.parler.com/v1/post/creator?id={USER}&startkey=2021-01-05T22%3A00%3A00.000Z_0" in found


@settings(max_examples=100, deadline=None)
@given(st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=8) | st.just(html.POST),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["posts", "users", "urls", "_id", "id", "creator", "links", "@", "body", "createdAt", "long", "short", "next", "last", "metadata", "username", "comments", "post", "conversation"]),
        inner, max_size=6,
    ), max_leaves=25,
))  # fmt: skip
def test_no_json_is_so_odd_that_reading_it_fails(data: Any) -> None:
    ask(data)
    ask({"posts": [data], "users": [data], "urls": [data], "next": data, "last": False})


@settings(max_examples=100, deadline=None)
@given(which=st.sampled_from(WHOLE), seed=st.integers(0, 1 << 32), times=st.integers(1, 60))
def test_no_page_is_so_broken_that_a_callback_fails(which: str, seed: int, times: int) -> None:
    text = mutated(which, seed, times)
    for callback in ("parse_post", "parse_profile", "parse_share", "parse_document", "parse_style", "parse_api"):
        for thing in read(POST_URL, text, callback):
            assert json.dumps(thing.cursor) if isinstance(thing, Fetch) else thing


# The counter


class Counter:
    """A site of posts that say no more than when they were made and by whom."""

    def __init__(
        self,
        last: int,
        *,
        holes: Callable[[int], bool] = lambda _: False,
        first: int = 1,
        imported: frozenset[int] = frozenset(),
    ) -> None:
        self.alive = [n for n in range(first, last + 1) if not holes(n)]
        self.lookup = set(self.alive)
        self.imported = imported
        self.gone: set[int] = set()

    def created(self, number: int) -> datetime:
        """One post an hour, the newest an hour ago."""
        return NOON - timedelta(hours=self.alive[-1] - number + 1)

    def shown(self, number: int) -> str:
        hours = int((NOON - self.created(number)).total_seconds() // 3600)
        if number in self.imported:
            return "9 years ago"
        count, unit = next(
            (hours // size, unit) for size, unit in ((24 * 7, "week"), (24, "day"), (1, "hour")) if hours >= size
        )
        return f"{count} {unit}s ago"

    def __call__(self, fetch: Fetch) -> CaptureResponse:
        if fetch.url.startswith(COUNTER):
            number = int(fetch.url.removeprefix(COUNTER))
            if number in self.lookup:
                return answer(fetch.url, b"\n " + f"{number:032x}".encode() + b"\x18\x01", fetch=fetch)
        elif fetch.url.startswith("https://parler.com/post/"):
            number = int(fetch.url.rsplit("/", 1)[1], 16)
            if number not in self.gone:
                own = html.card("u", "U", str(number), ago=self.shown(number))
                return answer(fetch.url, html.post(html.wrapper(own=own), identity=f"{number:032x}"), fetch=fetch)
        return answer(fetch.url, "{}", status=404, headers={"Content-Type": "application/json"}, fetch=fetch)


def walk(site: Counter, **seed: Any) -> tuple[set[int], list[int]]:
    """Return (numbers of the posts asked for, numbers asked of the counter in order)."""
    done = crawl(ParlerSpider, Seed(url="https://parler.com/", **seed), site)
    found = {int(url.rsplit("/", 1)[1], 16) for url in done.urls() if url.startswith("https://parler.com/post/")}
    return found, [int(url.removeprefix(COUNTER)) for url in done.urls() if url.startswith(COUNTER)]


@pytest.mark.parametrize("last", [1, 5, 64, 129, 500, 501, 1733])
@pytest.mark.parametrize("every", [0, 2, 7])
def test_every_post_of_the_counter_is_found(last: int, every: int) -> None:
    site = Counter(last, holes=lambda n: bool(every) and n % every == 0)
    found, asked = walk(site)
    assert found == site.lookup
    assert len(asked) == len(set(asked)) < last + 400


def test_the_newest_block_comes_first_and_the_frontier_stays_small() -> None:
    site = Counter(3 * BLOCK)
    spider = ParlerSpider(seed=SEED)
    done = crawl(ParlerSpider, SEED, site)
    swept = [int(f.url.removeprefix(COUNTER)) for f in done.fetches if f.lane == "ids" and not f.cursor]
    assert len(swept) > 2 * BLOCK
    assert swept == sorted(swept, reverse=True)
    carriers = [f for f in done.fetches if f.cursor and "below" in f.cursor]
    for fetch in carriers:
        named = list(spider.read(replaced(site(fetch), fetch)))
        assert len(fetches(named, "ids")) <= BLOCK
    assert len(carriers) == 2


def replaced(response: CaptureResponse, fetch: Fetch) -> CaptureResponse:
    response.fetch = fetch
    return response


def test_a_run_of_holes_at_the_end_is_crossed() -> None:
    site = Counter(1000, holes=lambda n: 940 <= n < 940 + EDGE - 10)
    assert walk(site)[0] == site.lookup


def test_bounds_are_believed() -> None:
    site = Counter(10_500, first=10_000)
    assert walk(site, options={"first": "10000", "last": "10400"})[0] == set(range(10_000, 10_401))
    assert walk(site, options={"first": "10000"})[0] == site.lookup


def test_a_counter_nobody_finds_is_reported() -> None:
    done = crawl(ParlerSpider, SEED, Counter(5_000_300, first=5_000_000))
    (told,) = [c for c in done.coverage if (c.kind, c.id) == ("id", "span")]
    assert "--option first=" in told.reason
    assert told.standing is Standing.MISSING


def inside(site: Counter, since: datetime | None, until: datetime | None) -> set[int]:
    return {n for n in site.alive if (not since or site.created(n) >= since) and (not until or site.created(n) < until)}


@pytest.mark.parametrize("every", [0, 3])
@pytest.mark.parametrize(
    ("since", "until"),
    [
        (timedelta(hours=30), None), (None, timedelta(days=100)), (timedelta(days=40), timedelta(days=30)),
        (timedelta(days=6), timedelta(days=5)), (timedelta(days=-1), None), (None, timedelta(days=400)), (None, timedelta(days=-3)),
    ],
)  # fmt: skip
def test_a_window_is_found_and_little_else_is_asked(
    since: timedelta | None, until: timedelta | None, every: int
) -> None:
    site = Counter(3000, holes=lambda n: bool(every) and n % every == 0)
    window = {name: (NOON - ago).isoformat() for name, ago in (("since", since), ("until", until)) if ago is not None}
    found, asked = walk(site, **window)
    wanted = inside(site, NOON - since if since is not None else None, NOON - until if until is not None else None)
    assert wanted <= found
    assert len(asked) == len(set(asked))
    # "6 weeks ago" is a week wide: what may belong is fetched; beyond it only what finding the window takes.
    week = timedelta(days=7)
    maybe = inside(
        site, NOON - since - week if since is not None else None, NOON - until + week if until is not None else None
    )
    assert len(found - maybe) <= 4 * 12


def test_posts_that_are_gone_and_imported_ones_do_not_break_a_window() -> None:
    site = Counter(3000, imported=frozenset(range(0, 3000, 11)))
    site.gone = set(range(0, 3000, 5))
    since, until = NOON - timedelta(days=40), NOON - timedelta(days=30)
    found, _ = walk(site, since=since.isoformat(), until=until.isoformat())
    assert inside(site, since, until) <= found


def test_a_post_outside_the_window_leads_nowhere() -> None:
    things = read_post(OWN_WITH_ALL, seed=Seed(url=SEED.url, since="2021-01-09T00:00:00+00:00"))
    assert len(things) == 1
    assert posts(things)


def test_an_unanswered_fetch_is_not_read() -> None:
    assert not read(POST_URL, "", "parse_post", outcome=Outcome.TIMEOUT, status=0)
