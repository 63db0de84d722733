"""What Parler's public HTML says (August 2018 to January 2021), as plain data. Pure, and unmoved by broken HTML.

A post page has five shapes: a post; an echo; an echo with a text of its own; an echo of an echo, without and with a
text. Every post in it is the same CARD, so everything here is built of cards. The page prints its own id in
``og:url`` alone; other ids leak through the ids of elements (comment lists, sliders, sensitive wrappers).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from spiders.tree import attribute as _attribute
from spiders.tree import outermost as _outermost
from spiders.tree import text as _text
from spiders.tree import tree as _tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from selectolax.lexbor import LexborHTMLParser, LexborNode

HEX = r"[0-9a-f]{32}"
USERNAME = r"(?!\.{1,2}(?:/|$))[0-9A-Za-z._\-]{1,100}"
#: Names of the badges, by the number in ``/images/badges/NN.svg``.
BADGES = (
    "verified", "gold", "partner", "affiliate", "private", "restricted comments", "parody", "employee",
    "real name", "early",
)  # fmt: skip

_PROFILE = re.compile(rf"^(?:https?://parler\.com)?/profile/({USERNAME})(?:/posts)?/?$")
_POST_PATH = re.compile(rf"/post/({HEX})$")
_TITLE = re.compile(rf"^\s*@({USERNAME})(?:\s+-\s|\s*$)")
_BADGE = re.compile(r"/images/badges/0*(\d{1,3})\.svg")
_OWN_ID = re.compile(rf"^(?:mc--slider|sensitive--content--wrapper)-+({HEX})$")
_COMMENTS_ID = re.compile(rf"^(?:show-comments|hide-comments|comments-list)-({HEX})$")
_COMMENT_LISTS = ("show-comments-", "hide-comments-", "comments-list-")
_REPLIES_ID = re.compile(rf"^(?:show-replies|hide-replies|replies-list)-({HEX})$")
_IMAGE_NUMBER = re.compile(r"^mc-image--modal--(\d{1,20})$")
_HASHTAG = re.compile(r"(?<![\w&/])#(\w{1,200})")
_MEDIA = re.compile(r"\bmc-(image|video|article|website|basic|iframe-embed|audio)--container\b")
#: What shows a media block's own content; icons are SVG and do not count.
_SHOWN = "source[src], video[src], audio[src], iframe[src], img[src]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One media block of a card, whatever its kind."""

    #: image, video, article, website, basic, iframe-embed or audio.
    kind: str
    #: What the block shows: the image's short link, the video, the preview image, the frame.
    src: str = ""
    #: Where it leads, and how the page writes that out.
    link: str = ""
    text: str = ""
    title: str = ""
    excerpt: str = ""
    #: Number of an image in Parler's global counter of links.
    number: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One post or comment as it is shown."""

    username: str = ""
    name: str = ""
    avatar: str = ""
    badges: tuple[str, ...] = ()
    text: str = ""
    ago: str = ""
    impressions: str = ""
    blocks: tuple[Block, ...] = ()
    mentions: tuple[str, ...] = ()
    #: Mentions the page shows without saying whom ("@Name Hidden").
    hidden_mentions: int = 0
    hashtags: tuple[str, ...] = ()
    sensitive: bool = False
    #: The post's own id, where a media wrapper gives it away.
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """A comment or a reply to one."""

    card: Card
    counters: dict[str, str]
    #: Known only where it has replies.
    id: str = ""
    replies: tuple[Comment, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One post with what it echoes, its counts and comments: a ``post--card--wrapper`` and what belongs to it."""

    own: Card | None = None
    parent: Card | None = None
    root: Card | None = None
    is_echo: bool = False
    echoed_by: str = ""
    echoer_avatar: str = ""
    echoed_ago: str = ""
    counters: dict[str, str] = field(default_factory=dict)
    comments: tuple[Comment, ...] = ()
    #: The id its list of comments gives away: the echoed post's in a bare echo.
    comments_id: str = ""

    @property
    def shape(self) -> int:
        """Which of the five shapes this is, 1 to 5."""
        if not self.is_echo:
            return 1
        return (4 if self.root else 2) + bool(self.own)


@dataclass(frozen=True, slots=True, kw_only=True)
class PostPage:
    """A page under ``/post/``."""

    id: str
    #: The author, from the title: a bare echo prints only a display name elsewhere.
    username: str
    avatar: str
    shown: Shown


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfilePage:
    """A page under ``/profile/``."""

    username: str
    name: str = ""
    bio: str = ""
    bio_links: tuple[str, ...] = ()
    avatar: str = ""
    banner: str = ""
    badges: tuple[str, ...] = ()
    cards: tuple[Shown, ...] = ()


_BLOCKS, _PARAGRAPHS = _outermost(".media-container--wrapper [class*='--container']"), _outermost("p")


def post_page(html: str) -> PostPage | None:
    """Return what a post page says; None where this is not one."""
    tree = _tree(html)
    wrapper = tree.css_first(".post--card--wrapper")
    if wrapper is None:
        return None
    own = _POST_PATH.search(_meta(tree, "og:url"))
    title = _TITLE.match(_meta(tree, "og:title"))
    return PostPage(
        id=own[1] if own else "", username=title[1] if title else "", avatar=_meta(tree, "og:image"),
        shown=_shown(wrapper),
    )  # fmt: skip


def profile_page(html: str) -> ProfilePage | None:
    """Return what a profile page says; None where this is not one."""
    tree = _tree(html)
    username = _text(tree.css_first(".profile--username")).lstrip("@")
    if not re.fullmatch(USERNAME, username):
        return None
    bio = tree.css_first(".profile--bio")
    hero = tree.css_first("#hero--wrapper") or tree.css_first("#hero")
    return ProfilePage(
        username=username, name=_text(tree.css_first(".profile--name")), bio=_text(bio),
        bio_links=tuple(href for a in (bio.css("a[href]") if bio else ()) if (href := _attribute(a, "href"))),
        avatar=_attribute(tree.css_first(".profile-photo-image img"), "src"),
        banner=_attribute(tree.css_first("#hero--top img"), "src"), badges=_badges(hero),
        cards=tuple(_shown(wrapper) for wrapper in tree.css(_outermost(".post--card--wrapper"))),
    )  # fmt: skip


def username_in(url: str) -> str:
    """Return whose profile a link leads to, or the empty string."""
    found = _PROFILE.match(url)
    return found[1] if found else ""


def _shown(wrapper: LexborNode) -> Shown:
    container = wrapper.css_first(".card--post-container") or wrapper
    echo = container.css_first(".echo-byline--wrapper")
    footer = container.css_first(".card--footer")
    parts = _belonging(wrapper)
    return Shown(
        own=_card_in(container, ".reblock.post"), parent=_card_in(container, ".echo--parent"),
        root=_card_in(container, ".echo--root"), is_echo=echo is not None,
        echoed_by=re.sub(r"^Echoed By\s*", "", _text(_first(echo, ".eb--statement"))),
        echoer_avatar=_attribute(_first(echo, ".eb--profile-pic img"), "src"),
        echoed_ago=_text(_first(echo, ".eb--timestamp")), counters=dict(_post_counters(footer)),
        comments=tuple(comment for part in parts for comment in _comments(part)),
        comments_id=next((leaked for part in parts if (leaked := _leaked(part, _COMMENTS_ID, *_COMMENT_LISTS))), ""),
    )  # fmt: skip


def _belonging(wrapper: LexborNode) -> list[LexborNode]:
    """Return a wrapper and what follows it up to the next one: comments stand inside it or after it."""
    parts = [wrapper]
    node = wrapper.next
    while node is not None and "post--card--wrapper" not in (classes := _attribute(node, "class")):
        if "comments" in classes or _attribute(node, "id").startswith(_COMMENT_LISTS):
            parts.append(node)
        node = node.next
    return parts


def _card_in(container: LexborNode, place: str) -> Card | None:
    node = container.css_first(place)
    return _card(node) if node is not None and node.css_first(".card--header, .card--body") is not None else None


def _card(node: LexborNode) -> Card:
    header, body = node.css_first(".card--header"), node.css_first(".card--body")
    author = _first(header, "a.card-meta--row[href]")
    username = username_in(_attribute(author, "href")) or _username(_text(_first(header, ".author--username")))
    paragraphs = body.css(_PARAGRAPHS) if body else []
    text = "\n".join(_text(p) for p in paragraphs)
    return Card(
        username=username, name=_text(_first(header, ".author--name")),
        avatar=_attribute(_first(header, ".ch--avatar--wrapper img"), "src"), badges=_badges(header), text=text,
        ago=_text(_first(header, "[class*='timestamp']")),
        impressions=_count(_first(header, ".impressions--count")),
        blocks=tuple(_blocks(body)), mentions=tuple(dict.fromkeys(_mentions(body))) if paragraphs else (),
        hidden_mentions=len(body.css("p span.at")) if body and paragraphs else 0,
        hashtags=tuple(dict.fromkeys(_HASHTAG.findall(text))),
        sensitive=_first(body, ".sensitive--content--wrapper") is not None,
        id=_leaked(body, _OWN_ID, "mc--slider--", "sensitive--content--wrapper-"),
    )  # fmt: skip


def _blocks(body: LexborNode | None) -> Iterator[Block]:
    if body is None or body.css_first(".media-container--wrapper") is None:
        return
    for node in body.css(_BLOCKS):
        if found := _MEDIA.search(_attribute(node, "class")):
            yield _block(found[1], node)


def _block(kind: str, node: LexborNode) -> Block:
    sources = [_attribute(shown, "src") for shown in node.css(_SHOWN)]
    link = node.css_first("[class*='--link'] a[href]") or node.css_first("a[href]")
    number = _IMAGE_NUMBER.match(_attribute(node.css_first("[id^='mc-image--modal--']"), "id"))
    return Block(
        kind=kind, src=next((src for src in sources if src and not src.endswith(".svg")), ""),
        link=_attribute(link, "href"), text=_text(link), title=_text(node.css_first("[class$='--title']")),
        excerpt=_text(node.css_first("[class$='--excerpt']")), number=number[1] if number else "",
    )  # fmt: skip


def _comments(wrapper: LexborNode) -> Iterator[Comment]:
    for node in wrapper.css(_outermost(".comment--card--wrapper")):
        yield _comment(node, tuple(_comment(reply) for reply in node.css(_outermost(".reply--card--wrapper"))))


def _comment(node: LexborNode, replies: tuple[Comment, ...] = ()) -> Comment:
    own = node.css_first(".card--comment-container") or node
    counts = [_count(count) for count in own.css(".ca--item--count")[:3]]
    return Comment(
        card=_card(own), counters=dict(zip(("replies", "downvotes", "upvotes"), counts, strict=False)),
        id=_leaked(node, _REPLIES_ID, "show-replies-", "replies-list-"), replies=replies,
    )  # fmt: skip


def _post_counters(footer: LexborNode | None) -> Iterator[tuple[str, str]]:
    for item in footer.css(".pa--item--wrapper") if footer else ():
        name = _attribute(item.css_first("img[alt]"), "alt").removeprefix("Post ").lower()
        if name in {"comments", "echoes", "upvotes"}:
            yield name, _count(item.css_first(".pa--item--count"))


def _mentions(body: LexborNode | None) -> Iterator[str]:
    for a in body.css("p a[href]") if body else ():
        if username := username_in(_attribute(a, "href")):
            yield username


def _badges(node: LexborNode | None) -> tuple[str, ...]:
    sources = [_attribute(img, "src") for img in (node.css("img[src*='/images/badges/']") if node else ())]
    numbers = [int(found[1]) for src in sources if (found := _BADGE.search(src))]
    return tuple(dict.fromkeys(BADGES[n] if n < len(BADGES) else f"badge {n}" for n in numbers))


def _leaked(node: LexborNode | None, pattern: re.Pattern[str], *prefixes: str) -> str:
    """Return the id that an element's id ends with."""
    for prefix in prefixes:
        found = pattern.match(_attribute(_first(node, f"[id^='{prefix}']"), "id"))
        if found:
            return found[1]
    return ""


def _first(node: LexborNode | None, selector: str) -> LexborNode | None:
    return node.css_first(selector) if node is not None else None


def _meta(tree: LexborHTMLParser, name: str) -> str:
    return _attribute(tree.css_first(f"meta[property='{name}'], meta[name='{name}']"), "content")


def _username(text: str) -> str:
    name = text.lstrip("@")
    return name if re.fullmatch(USERNAME, name) else ""


def _count(node: LexborNode | None) -> str:
    """Return a count as the page writes it ("1.2k"); never long."""
    return _text(node)[:32]
