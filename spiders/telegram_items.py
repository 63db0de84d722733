"""What previews of Telegram show: messages with their files, a channel's card and counters. Pure.

Pages become trees, whose size and depth ``tree`` bounds; lists are bounded below. Pictures are no images but the
backgrounds of elements.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from crawler.model import Account, Media, Post
from spiders.api import source
from spiders.html import absolute, css
from spiders.tree import attribute, text, tree
from spiders.window import instant, span

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from selectolax.lexbor import LexborNode

    from crawler.response import CaptureResponse

PLATFORM = "telegram"
#: Messages of one page at the most, files of a message, links of it, and characters of what it says.
MAX_MESSAGES, MAX_FILES, MAX_LINKS, MAX_SAID = 200, 50, 1000, 1 << 18
_POST = re.compile(r"([A-Za-z]\w{3,31})/([0-9]{1,12})", re.ASCII)
_ADDRESS = re.compile(r"(?:https?://[\w.]{1,64})?/([A-Za-z]\w{3,31}/[0-9]{1,12})(?:[?#].*)?", re.ASCII)
_BEFORE = re.compile(r"[?&]before=([0-9]{1,12})(?:&|$)", re.ASCII)
_PART = re.compile(r"/([0-9]{1,12})(?:\?|$)")
_COUNT = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,3})?)\s?([KM]?)", re.IGNORECASE)
_TIMES = {"": 1, "K": 1000, "M": 1_000_000}
_OF_CHANNEL = {"photo": "image", "video": "video", "file": "file"}
#: Players → kind of their file; a player without a source is of what is too big.
_PLAYERS = {
    ".tgme_widget_message_video_player": ("video", "video"),
    ".tgme_widget_message_roundvideo_player": ("video", "video"),
    ".tgme_widget_message_voice_player": ("audio", "audio"),
}
_SMALL = (
    ".tgme_widget_message_video_thumb, .tgme_widget_message_roundvideo_thumb, .link_preview_image, "
    ".link_preview_right_image"
)


@dataclass(frozen=True, slots=True)
class File:
    """A file of a message. ``part`` is the message, or the part of its album, that shows it: channel/number."""

    url: str
    kind: str
    part: str
    id: str


@dataclass(slots=True, kw_only=True)
class Message:
    """A message as a preview shows it."""

    channel: str
    number: int
    when: datetime | None
    said: str = ""
    links: list[str] = field(default_factory=list)
    files: list[File] = field(default_factory=list)
    #: Numbers of its files: of an album each has its own.
    parts: list[int] = field(default_factory=list)
    #: (kind, id) of files that only the name is shown of.
    withheld: list[tuple[str, str]] = field(default_factory=list)
    previews: list[str] = field(default_factory=list)
    face: str = ""
    author: str = ""
    reply_to: str = ""
    forwarded: str = ""
    forwarded_from: str = ""
    counters: dict[str, str] = field(default_factory=dict)
    extra: dict[str, object] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"{self.channel}/{self.number}"

    @property
    def url(self) -> str:
        return f"https://t.me/{self.id}"

    @property
    def numbers(self) -> list[int]:
        """Its number, and those of the parts of its album."""
        return sorted({self.number, *(n for n in self.parts if 0 <= n - self.number < MAX_FILES)})


class Shown:
    """A page of previews."""

    def __init__(self, html: str, url: str) -> None:
        self._tree = tree(html)
        self._url = url

    def messages(self) -> Iterator[Message]:
        """Yield the messages of a page, in its order."""
        for node in islice(self._tree.css(".tgme_widget_message[data-post]"), MAX_MESSAGES):
            if found := _POST.fullmatch(attribute(node, "data-post")):
                yield self._message(node, found[1], int(found[2]))

    def older(self) -> int:
        """Return the number below which the next page goes on; 0 where this is the last."""
        said = attribute(self._tree.css_first(".tme_messages_more[data-before]"), "data-before")
        if not said:
            href = attribute(self._tree.css_first('link[rel="prev"]'), "href")
            said = found[1] if (found := _BEFORE.search(href)) else ""
        return int(said) if said.isascii() and said.isdecimal() and len(said) < 13 else 0

    def counters(self) -> dict[str, int]:
        """Return what the channel says it has, by kind."""
        found = {}
        for node in self._tree.css(".tgme_channel_info_counter")[:20]:
            kind = _OF_CHANNEL.get(text(node.css_first(".counter_type")).lower().removesuffix("s"))
            count = _COUNT.fullmatch(text(node.css_first(".counter_value")))
            if kind and count:
                found[kind] = round(float(count[1]) * _TIMES[count[2].upper()])
        return found

    def _message(self, node: LexborNode, channel: str, number: int) -> Message:
        said = node.css_first(".tgme_widget_message_text:not(.tgme_widget_message_reply *)")
        when = attribute(node.css_first(".tgme_widget_message_date time[datetime], time[datetime]"), "datetime")
        reply = attribute(node.css_first(".tgme_widget_message_reply"), "href")
        forwarded = node.css_first(".tgme_widget_message_forwarded_from_name")
        one = Message(channel=channel, number=number, when=instant(when), said=text(said)[:MAX_SAID])
        one.links = [
            url for link in (said.css("a[href]") if said else ())[:MAX_LINKS] if (url := self._to(link, "href"))
        ]
        one.reply_to = _place(reply)
        one.forwarded, one.forwarded_from = _place(attribute(forwarded, "href")), text(forwarded)
        one.author = text(node.css_first(".tgme_widget_message_from_author"))
        one.face = self._to(node.css_first(".tgme_widget_message_user_photo img"), "src")
        one.previews = [url for small in node.css(_SMALL)[:MAX_FILES] if (url := self._behind(small))]
        if views := text(node.css_first(".tgme_widget_message_views")):
            one.counters["views"] = views
        one.extra = _also(node)
        self._read_files(node, one)
        return one

    def _read_files(self, node: LexborNode, one: Message) -> None:
        for photo in node.css(".tgme_widget_message_photo_wrap")[:MAX_FILES]:
            self._add(one, "image", self._behind(photo), attribute(photo, "href"))
        for selector, (tag, kind) in _PLAYERS.items():
            for player in node.css(selector)[:MAX_FILES]:
                self._add(one, kind, self._to(player.css_first(f"{tag}[src]"), "src"), attribute(player, "href"))
        for sticker in node.css(".tgme_widget_message_sticker")[:MAX_FILES]:
            self._add(one, "sticker", self._to(sticker, "data-webp") or self._behind(sticker), "")
        for _ in node.css(".tgme_widget_message_document_wrap")[:MAX_FILES]:
            one.withheld.append(("file", one.id))

    def _add(self, one: Message, kind: str, url: str, href: str) -> None:
        """Enter a file. Parts of an album are named by their own numbers, in the addresses they lead to."""
        found = _PART.search(href)
        part = f"{one.channel}/{found[1]}" if found else one.id
        count = sum(file.part == part and file.kind == kind for file in one.files)
        name = f"{part}/{count}" if count else part
        one.parts.append(int(part.rpartition("/")[2]))
        if url:
            one.files.append(File(url, kind, part, name))
        else:
            one.withheld.append((kind, name))

    def _to(self, node: LexborNode | None, name: str) -> str:
        written = attribute(node, name)
        return (absolute(self._url, written) or "") if written else ""

    def _behind(self, node: LexborNode) -> str:
        """Return the picture behind an element."""
        written = next(css(attribute(node, "style")[:8192]), "")
        return (absolute(self._url, written) or "") if written else ""


def _place(url: str) -> str:
    """Return channel/number of a message's address; empty where it is none."""
    found = _ADDRESS.fullmatch(url)
    return found[1] if found else ""


def _also(node: LexborNode) -> dict[str, object]:
    """Return what else a message shows: names of documents, a poll, reactions, that it was edited."""
    found: dict[str, object] = {
        "documents": [text(one) for one in node.css(".tgme_widget_message_document_title")[:MAX_FILES]],
        "poll": text(node.css_first(".tgme_widget_message_poll_question")),
        "options": [text(one) for one in node.css(".tgme_widget_message_poll_option_text")[:MAX_FILES]],
        "reactions": [text(one) for one in node.css(".tgme_reaction")[:MAX_FILES]],
        "edited": "edited" in text(node.css_first(".tgme_widget_message_meta")),
        "service": "service_message" in attribute(node, "class"),
    }
    return {name: one for name, one in found.items() if one}


def post(one: Message, response: CaptureResponse) -> Post:
    """Return what a message says."""
    return Post(
        platform=PLATFORM, id=one.id, url=one.url, author=one.channel, author_name=one.author or one.channel,
        text=one.said, created_at=span(one.when), in_reply_to=one.reply_to or None, repost_of=one.forwarded or None,
        media=tuple(file.url for file in one.files), links=tuple(one.links), counters=one.counters,
        extra={**one.extra, "numbers": one.numbers, "forwarded_from": one.forwarded_from}, **source(response),
    )  # fmt: skip


def media(file: File, one: Message, response: CaptureResponse) -> Media:
    """Return what a file is; what names it is not its address, which ends."""
    kind = "image" if file.kind == "sticker" else file.kind
    return Media(
        platform=PLATFORM, id=file.id, url=file.url, kind=kind, post=one.id, account=one.channel, **source(response)
    )  # fmt: skip


def card(html: str, response: CaptureResponse) -> Account | None:
    """Return what the page of a channel says of it; None where it is of nobody."""
    found, username = tree(html), urlsplit(response.url).path.strip("/")
    title = found.css_first(".tgme_page_title")
    if title is None or not username:
        return None
    face = attribute(found.css_first("img.tgme_page_photo_image, .tgme_page_photo_image img"), "src")
    return Account(
        platform=PLATFORM, id=username, username=username, url=response.url, name=text(title),
        bio=text(found.css_first(".tgme_page_description"))[:MAX_SAID],
        avatar=(absolute(response.url, face) or None) if face else None,
        counters={"extra": extra} if (extra := text(found.css_first(".tgme_page_extra"))) else {}, **source(response),
    )  # fmt: skip
