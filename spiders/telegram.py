"""Telegram's public channels, through the preview at t.me/s/CHANNEL, which is all that strangers get.

How it is walked: the preview shows some twenty messages below any number, newest first from page to page. Messages of a
channel share one counter with what was deleted and with the parts of albums; what is not there is a hole. Each has an
address with a page, and in it a frame with the message. Files have addresses that end after a while: they are taken
before the next page of the list is, and where one has ended the message is looked at once more, for a new one.

A channel may have no preview, and of documents and big videos a preview shows the name alone: that is said.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from crawler.model import Claim, Covered, Note, Standing, Verdict
from spiders import telegram_items as items
from spiders.api import turn, with_query
from spiders.base import EXTRAS, IMAGES, LISTINGS, ORIGINALS, PAGES, POSTS, REQUISITES, Evidence, Territory
from spiders.pages import PageSpider, kind_of, text_of
from spiders.seek import sought
from spiders.window import Window, day

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crawler.model import Fetch, Lane, Seed
    from crawler.response import CaptureResponse
    from spiders.base import Yield

HOME = "https://t.me"
HOSTS = ("t.me", "telegram.me", "telegram.dog")
#: Hosts of files, whose addresses end.
STORES = re.compile(r"(?:.+\.)?(?:telesco\.pe|telegram-cdn\.org|cdn-telegram\.org)", re.IGNORECASE)
#: Messages of one page.
PAGE = 20
#: What addresses of files end for goes first, and what they are of before anything else that is listed.
LOOKS, PICTURES, FILMS, FACES = (
    replace(POSTS, order=8), replace(IMAGES, order=10), replace(ORIGINALS, order=12), replace(EXTRAS, order=14),
)  # fmt: skip
_PLACE = re.compile(r"/(?:s/)?([A-Za-z]\w{3,31})(?:/([0-9]{1,12}))?/?", re.ASCII)
_MARK = re.compile(r"\bclass=[\"'](?:[^\"']{0,200}\s)?(?:tgme_|tl_main)|//telegram\.org/")


class TelegramSpider(PageSpider):
    """Walks one channel, or takes one message."""

    name = "telegram"
    title: ClassVar[str] = "Telegram"
    known_hosts: ClassVar[tuple[str, ...]] = HOSTS
    lanes: ClassVar[tuple[Lane, ...]] = (LOOKS, PICTURES, FILMS, FACES, LISTINGS, PAGES, REQUISITES)
    kinds: ClassVar[tuple[str, ...]] = (
        "post", "number", "image", "video", "audio", "sticker", "file", "account", "page", "preview", "avatar", "asset",
    )  # fmt: skip
    reads_refusals: ClassVar[frozenset[str]] = frozenset({"parse_file"})
    reads_holes: ClassVar[frozenset[str]] = frozenset({"parse_file"})

    @classmethod
    def recognise(cls, replies: Sequence[CaptureResponse]) -> Evidence | None:
        """Believe its own pages, and only on its own hosts: nowhere else can it be walked."""
        for reply in replies:
            is_ours = urlsplit(reply.url).hostname in HOSTS and reply.status == 200 and kind_of(reply) == "html"
            if is_ours and _MARK.search(text_of(reply)[:200_000]):
                return Evidence(confidence=97, reasons=("its page is one of Telegram",))
        return None

    @classmethod
    def territory(cls, seed: Seed) -> Territory:
        """Return Telegram's hosts; files have their own."""
        return Territory(hosts=HOSTS)

    def judge(self, response: CaptureResponse) -> Verdict:
        """Know a message that is not there, and the page of nobody."""
        if response.status == 200 and kind_of(response) == "html":
            body = response.body
            is_nobody = response.fetch.callback == "parse_card" and b"tgme_page_title" not in body
            if is_nobody or (b"tgme_widget_message_error" in body and b"data-post=" not in body):
                return Verdict.MISSING
        return super().judge(response)

    def seeds(self, seed: Seed) -> Iterator[Fetch]:
        """Yield the channel or the message that the seed names."""
        found = _PLACE.fullmatch(urlsplit(seed.url).path)
        if found is None:
            yield self.fetch(seed.url, lane=PAGES, callback=self.parse_nowhere, covers=("page", seed.url))
            return
        channel, message = found[1], found[2]
        yield self.fetch(f"{HOME}/{channel}", lane=PAGES, callback=self.parse_card, covers=("account", channel))
        if message:
            yield self._look(channel, message, None)
            yield from self._pages(f"{HOME}/{channel}/{message}", None)
        else:
            yield self._list(channel, None, None)

    def parse_nowhere(self, response: CaptureResponse) -> Iterator[Yield]:
        """Say that a seed names no channel."""
        yield from self.parse_page(response)
        yield Note(text="There is no list of channels: name one, as in t.me/CHANNEL.", url=response.url)

    def parse_card(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read the page of a channel."""
        yield from self.parse_page(response)
        if (card := items.card(text_of(response), response)) is not None:
            yield card
            if card.avatar:
                yield self._extra(card.avatar, "avatar", response)

    def _list(self, channel: str, before: int | None, parent: CaptureResponse | None, **cursor: Any) -> Fetch:
        return self.fetch(
            with_query(f"{HOME}/s/{channel}", before=before), lane=LISTINGS, parent=parent, follow=False,
            callback=self.parse_list, cursor={"channel": channel, "before": before, **cursor}, sweep=True,
        )  # fmt: skip

    def parse_list(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page of the preview, the newest message last; a redirect says that there is none."""
        cursor, window = response.fetch.cursor or {}, Window.of(self.seed)
        channel, before = cursor["channel"], cursor.get("before")
        if response.status != 200:
            why = f"{channel} has no preview for strangers (HTTP {response.status}); single messages may show at"
            yield Note(text=f"{why} {HOME}/{channel}/NUMBER?embed=1, see --template.", url=response.url)
            return
        yield from self.parse_page(response)
        shown = items.Shown(text_of(response), response.url)
        messages = [one for one in shown.messages() if one.channel.lower() == channel.lower()]
        if before is None:
            yield from self._claims(shown, messages, response)
        for one in messages:
            if window.holds(one.when):
                yield from self._message(one, response)
        found = [(one.number, one.when) for one in messages]
        if (seek := sought(found, cursor, window)) and not seek.is_met:
            place = seek.at(PAGE, window)
            more = {} if place is None else seek.cursor()
            yield self._list(channel, seek.high if place is None else place, response, **more)
            return
        older = shown.older() if found and not all(window.is_before(when) for _, when in found) else 0
        if 0 < older < (before or older + 1):
            following = self._list(channel, older, response)
            yield from turn(response, [n for n, _ in found], following, newest_first=True)

    def _claims(
        self, shown: items.Shown, messages: Sequence[items.Message], response: CaptureResponse
    ) -> Iterator[Claim]:
        for kind, count in shown.counters().items():
            why = "is rounded, and counts what its preview does not show, too"
            yield Claim(kind=kind, count=count, counter=f"the channel's {kind}s", caveat=why, url=response.url)
        if newest := max((n for one in messages for n in one.numbers), default=0):
            why = "counts deleted messages, too"
            yield Claim(kind="number", count=newest, counter="newest number", caveat=why, url=response.url)

    # Messages

    def _message(self, one: items.Message, response: CaptureResponse) -> Iterator[Yield]:
        yield items.post(one, response)
        for n in one.numbers:
            yield Covered(kind="number", id=str(n), standing=Standing.CAPTURED, day=day(one.when), url=one.url)
        for kind, name in one.withheld:
            why = "a preview shows the name alone" if kind == "file" else "too big for a preview"
            out = Standing.EXCLUDED
            yield Covered(kind=kind, id=name, standing=out, reason=why, day=day(one.when), url=one.url)
        yield from self._files(one, response)
        for url in one.previews:
            yield self._extra(url, "preview", response)
        if one.face:
            yield self._extra(one.face, "avatar", response)
        yield from self._pages(one.url, response, day(one.when))

    def _files(self, one: items.Message, response: CaptureResponse, *, again: bool = False) -> Iterator[Yield]:
        for file in one.files:
            yield items.media(file, one, response)
            lane = PICTURES if file.kind in {"image", "sticker"} else FILMS
            yield self.fetch(
                file.url, lane=lane, parent=response, callback=self.parse_file, covers=(file.kind, file.id),
                cursor=None if again else {"part": file.part}, day=day(one.when), sweep=not again,
            )  # fmt: skip

    def parse_file(self, response: CaptureResponse) -> Iterator[Yield]:
        """Look at a message again whose file has another address by now."""
        part = (response.fetch.cursor or {}).get("part", "")
        if response.status != 200 and part:
            channel, _, number = part.partition("/")
            yield self._look(channel, number, response)

    def _look(self, channel: str, number: str, parent: CaptureResponse | None) -> Fetch:
        return self.fetch(
            f"{HOME}/{channel}/{number}?embed=1&single=1", lane=LOOKS, parent=parent, callback=self.parse_look,
            cursor={"is_seed": parent is None},
        )  # fmt: skip

    def parse_look(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a message by itself, or a part of an album."""
        yield from self.parse_page(response)
        for one in items.Shown(text_of(response), response.url).messages():
            if (response.fetch.cursor or {}).get("is_seed"):
                yield items.post(one, response)
            yield from self._files(one, response, again=True)

    # Pages

    def _pages(self, url: str, response: CaptureResponse | None, of: str | None = None) -> Iterator[Fetch]:
        """Yield the page of a message, and the frame in it."""
        for page in (url, f"{url}?embed=1&mode=tme"):
            yield self.fetch(
                page, lane=PAGES, parent=response, callback=self.parse_page, covers=("page", page), day=of
            )  # fmt: skip

    def requisite(self, url: str, response: CaptureResponse) -> Iterator[Yield]:
        """Yield what a page needs, but for files: those are taken as what they are of, whatever address they have."""
        if not STORES.fullmatch(urlsplit(url).hostname or ""):
            yield from super().requisite(url, response)

    def _extra(self, url: str, kind: str, response: CaptureResponse) -> Fetch:
        return self.fetch(url, lane=FACES, parent=response, covers=(kind, url))
