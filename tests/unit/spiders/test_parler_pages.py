"""What the pages say: five shapes, seven kinds of media, comments, times, and whatever a hostile server makes of them."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spiders import tree
from spiders.parler_pages import PostPage, ProfilePage, post_page, profile_page, username_in
from spiders.window import ago
from tests.unit.spiders import parler_html as html

OWN = html.card("quietheron_7", "Quiet Heron", "soup")
PARENT = html.card("rusticpebble_3", "Rustic Pebble", "bread", ago="5 days ago", badge="02")
ROOT = html.card("amberclover_1", "Amber Clover", "tea", ago="1 week ago")
BYLINE = html.byline("Quiet Heron", "3 days ago")
SHAPES = {
    1: html.wrapper(own=OWN),
    2: html.wrapper(parent=PARENT, echoed=BYLINE),
    3: html.wrapper(own=OWN, parent=PARENT, echoed=BYLINE),
    4: html.wrapper(parent=PARENT, root=ROOT, echoed=BYLINE),
    5: html.wrapper(own=OWN, parent=PARENT, root=ROOT, echoed=BYLINE),
}


def read(content: str, **more: str) -> PostPage:
    page = post_page(html.post(content, **more))
    assert page is not None
    return page


@pytest.mark.parametrize("shape", SHAPES)
def test_each_shape_is_told_from_the_others(shape: int) -> None:
    page = read(SHAPES[shape])
    shown = page.shown
    assert (page.id, page.username, page.avatar) == (html.POST, "quietheron_7", html.AVATAR)
    assert shown.shape == shape
    assert (shown.own.text if shown.own else None) == ("soup" if shape in {1, 3, 5} else None)
    assert (shown.parent.username if shown.parent else None) == ("rusticpebble_3" if shape > 1 else None)
    assert (shown.root.text if shown.root else None) == ("tea" if shape in {4, 5} else None)
    assert shown.echoed_by == ("Quiet Heron" if shape > 1 else "")
    assert shown.echoed_ago == ("3 days ago" if shape > 1 else "")
    assert shown.counters == {"comments": "12", "echoes": "1.2k", "upvotes": "3.4k"}


def test_a_card_says_who_when_and_what() -> None:
    body = (
        'first  line<br>second &amp; <b>bold</b><br><br>#tea and #Brot <a href="/profile/amberclover_1/posts" class="at">@amberclover_1</a> '
        '<span class="at">@Name Hidden</span> nobody@example.org C#'
    )
    own = read(html.wrapper(own=html.card("a.b-c_9", "A &lt;B&gt;", body, badge="01"))).shown.own
    assert own is not None
    assert (own.username, own.name, own.avatar, own.badges) == ("a.b-c_9", "A <B>", html.AVATAR, ("gold",))
    assert own.text.split("\n") == [
        "first line",
        "second & bold",
        "",
        "#tea and #Brot @amberclover_1 @Name Hidden nobody@example.org C#",
    ]
    assert (own.ago, own.impressions) == ("4 days ago", "1.2k")
    assert (own.mentions, own.hidden_mentions, own.hashtags) == (("amberclover_1",), 1, ("tea", "Brot"))
    assert not own.sensitive


@pytest.mark.parametrize(
    ("media", "kind", "src", "link", "text", "title"),
    [
        (html.image(), "image", "https://api.parler.com/l/xXtqI", "", "", ""),
        (html.film(), "video", f"{html.FILM}_small.mp4", f"{html.FILM}_small.mp4", f"{html.FILM}_small.mp4", "A walk"),
        (html.film(".mp4", bare=True), "video", f"{html.FILM}.mp4", f"{html.FILM}.mp4", f"{html.FILM}.mp4", "A walk"),
        (html.article(), "article", html.PREVIEW, "https://api.parler.com/l/aB3dE", "https://elsewhere.example/kettles", "On kettles"),
        (html.article("website"), "website", html.PREVIEW, "https://api.parler.com/l/aB3dE", "https://elsewhere.example/kettles", "On kettles"),
        (html.article("website", picture=False), "website", "", "https://api.parler.com/l/aB3dE", "https://elsewhere.example/kettles", "On kettles"),
        (html.BASIC, "basic", "", "https://api.parler.com/l/bAs1c", "https://elsewhere.example/b", ""),
        (html.IFRAME, "iframe-embed", "https://www.youtube.com/embed/abc", "https://www.youtube.com/embed/abc", "https://www.youtube.com/watch?v=abc", ""),
        (html.AUDIO, "audio", "https://podcast.example/7.mp3", "", "", ""),
    ],
)  # fmt: skip
@pytest.mark.parametrize("wrapped", ["plain", "sensitive", "slider"])
def test_each_kind_of_media(media: str, kind: str, src: str, link: str, text: str, title: str, wrapped: str) -> None:
    shown = {
        "plain": media,
        "sensitive": html.sensitive(html.POST, media),
        "slider": html.sensitive(html.POST, html.slider(html.POST, media, media)),
    }[wrapped]
    own = read(html.wrapper(own=html.card("u", "U", "x", shown))).shown.own
    assert own is not None
    assert len(own.blocks) == (2 if wrapped == "slider" else 1)
    for block in own.blocks:
        assert (block.kind, block.src, block.link, block.text, block.title) == (kind, src, link, text, title)
    assert own.sensitive == (wrapped != "plain")
    assert own.id == ("" if wrapped == "plain" else html.POST)
    if kind == "image":
        assert own.blocks[0].number == "41600001"


@pytest.mark.parametrize("place", ["inside", "after"])
def test_comments_and_replies_with_the_ids_that_slip_out(place: str) -> None:
    said = html.discussion(
        html.POST,
        html.comment("amberclover_1", "Amber Clover", "yes<br>please", (2, 0, 31), identity=html.COMMENT, replies="".join(
            f'<div class="reply--card--wrapper">{html.comment("u", "U", text)}</div>' for text in ("one", "two")
        )),
        html.comment("v", "V", "no", (0, 1, 0)),
    )  # fmt: skip
    content = html.wrapper(own=OWN, comments=said) if place == "inside" else html.wrapper(own=OWN) + said
    shown = read(content).shown
    assert shown.comments_id == html.POST
    first, second = shown.comments
    assert (first.id, first.card.username, first.card.text) == (html.COMMENT, "amberclover_1", "yes\nplease")
    assert first.counters == {"replies": "2", "downvotes": "0", "upvotes": "31"}
    assert [(reply.card.text, reply.id) for reply in first.replies] == [("one", ""), ("two", "")]
    assert (second.id, second.card.text, second.replies, second.card.impressions) == ("", "no", (), "")
    assert shown.own is not None
    assert shown.own.text == "soup"


def test_comments_of_one_card_are_not_those_of_the_next() -> None:
    one = html.wrapper(own=OWN) + html.discussion(html.POST, html.comment("v", "V", "no"))
    two = html.wrapper(own=ROOT) + html.discussion(html.ECHOED, html.comment("w", "W", "maybe"))
    page = profile_page(html.profile(html.wrapper(own=PARENT) + one + two))
    assert page is not None
    assert [card.comments_id for card in page.cards] == ["", html.POST, html.ECHOED]
    assert [[c.card.text for c in card.comments] for card in page.cards] == [[], ["no"], ["maybe"]]


def test_a_profile() -> None:
    page = profile_page(html.profile(html.wrapper(own=OWN)))
    assert page is not None
    assert (page.username, page.name, page.bio) == ("quietheron_7", "Quiet Heron", "tea\nand bread")
    assert page.bio_links == ("https://example.org/",)
    assert (page.avatar, page.banner) == (html.AVATAR, f"https://images.parler.com/{html.FACE}_1200")
    assert page.badges == ("real name",)
    assert len(page.cards) == 1


@pytest.mark.parametrize("text", [html.SHELL, html.SHARE, "", "   ", "<html>", "\0\0", "no markup at all"])
def test_what_is_neither(text: str) -> None:
    assert post_page(text) is None
    assert profile_page(text) is None


NOW = datetime(2021, 1, 10, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "latest", "earliest"),
    [
        ("just now", timedelta(0), timedelta(minutes=1)),
        ("1 second ago", timedelta(seconds=1), timedelta(seconds=2)),
        ("59 minutes ago", timedelta(minutes=59), timedelta(minutes=60)),
        ("an hour ago", timedelta(hours=1), timedelta(hours=2)),
        ("4 days ago", timedelta(days=4), timedelta(days=5)),
        (" 2 Weeks  ago ", timedelta(weeks=2), timedelta(weeks=3)),
        ("1 month ago", timedelta(days=28), timedelta(days=62)),
        ("2 years ago", timedelta(days=730), timedelta(days=3 * 366)),
    ],
)
def test_a_relative_time_is_an_interval(said: str, latest: timedelta, earliest: timedelta) -> None:
    assert ago(said, NOW) == (NOW - earliest, NOW - latest)


@pytest.mark.parametrize(
    "said", ["", "yesterday", "4 days", "999999 years ago", "-1 days ago", "4 days ago!", "4 fortnights ago"]
)
def test_a_time_that_says_nothing(said: str) -> None:
    assert ago(said, NOW) is None


@pytest.mark.parametrize(
    ("href", "name"),
    [
        ("/profile/a.b-c_9/posts", "a.b-c_9"),
        ("/profile/u", "u"),
        ("https://parler.com/profile/u/posts", "u"),
        ("https://evil.example/profile/u/posts", ""),
        ("/profile/../posts", ""),
        ("/profile/..", ""),
        ("/profile/..u/posts", "..u"),
        ("/profile/a/b/c", ""),
        ("/profile/" + "x" * 101, ""),
        ("javascript:alert(1)", ""),
    ],
)
def test_whose_profile_a_link_is(href: str, name: str) -> None:
    assert username_in(href) == name


WHOLE = (
    html.post(SHAPES[5] + html.discussion(html.POST, html.comment("v", "V", "no", identity=html.COMMENT, replies=html.comment("w", "W", "x")))),
    html.post(html.wrapper(own=html.card("u", "U", "x", html.sensitive(html.POST, html.slider(html.POST, html.image(), html.film(), html.article(), html.BASIC, html.IFRAME, html.AUDIO))))),
    html.profile(SHAPES[2] + SHAPES[4]),
)  # fmt: skip


def mutated(text: str, seed: int, times: int) -> str:
    chance = random.Random(seed)
    for _ in range(times):
        at, length = chance.randrange(len(text) + 1), chance.randrange(40)
        piece = chance.choice(
            [
                "",
                "<",
                ">",
                '"',
                "&#0;",
                "</div>",
                "<p>",
                "\0",
                "�",
                "<script>",
                "<!--",
                " id=",
                text[at : at + length] * 2,
            ]
        )
        text = text[:at] + piece + text[at + length :]
    return text


@settings(max_examples=150, deadline=None)
@given(which=st.sampled_from(WHOLE), seed=st.integers(0, 1 << 32), times=st.integers(1, 60))
def test_no_page_is_so_broken_that_reading_it_fails(which: str, seed: int, times: int) -> None:
    text = mutated(which, seed, times)
    assert isinstance(post_page(text), PostPage | None)
    assert isinstance(profile_page(text), ProfilePage | None)


def test_a_page_of_a_hundred_thousand_nested_elements_is_read() -> None:
    deep = "<span>" * 100_000 + "soup"
    page = read(html.wrapper(own=html.card("u", "U", deep)))
    assert page.shown.own is not None


def test_a_page_made_to_explode_is_not_parsed():
    bomb = "".join(f"<b id={n}>" for n in range(3000)) + "<p>" * 3000
    assert post_page(bomb) is None or not post_page(bomb).shown


@given(st.lists(st.sampled_from(
    ["<", "</", "b", "I", "s", "u", "big", "code", "EM", "font", "nobr", "small", "strike", "strong", "tt", "span",
     "footer", "style", ">", " ", "/", "\n", "x"]), max_size=12).map("".join))  # fmt: skip
def test_a_page_is_taken_for_plain_only_where_nothing_is_to_be_renamed(markup):
    if not tree._MAY_FORMAT.search(markup):
        # An end without a beginning does nothing.
        assert all(found[1] for found in tree._FORMATTING.finditer(markup))
