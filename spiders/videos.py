"""Sites of videos that a company runs. What differs between those that answer JSON is data (``video_dialects.py``).

How they are walked: a channel lists its videos, newest first; of each what is said of it, its file or its stream, its
comments where strangers see them, and its page are taken. A seed names a channel or a video; none of these sites shows
strangers a list of all that it has, which is said.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote, urlsplit

from crawler.model import Claim, Covered, Note, Standing, Verdict
from spiders import video_items as items
from spiders.api import objects, text, turn
from spiders.base import EXTRAS, LISTINGS, ORIGINALS, PAGES, POSTS, Evidence, Territory, Yield
from spiders.html import absolute
from spiders.streams import StreamSpider
from spiders.video_dialects import BITCHUTE, JSON, ODYSEE, Call, Dialect, said, things
from spiders.window import Window, day, instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from crawler.model import Fetch, Seed
    from crawler.response import CaptureResponse

#: How a file begins that should be a film and is a playlist.
_PLAYLIST = re.compile(rb"(?:\xef\xbb\xbf)?#EXTM3U")


@dataclass(frozen=True, slots=True)
class Listed:
    """A video as a list names it: its id, its time, and what the list says of it."""

    id: str
    when: datetime | None = None
    thing: Any = None


class VideoSpider(StreamSpider):
    """Walks one channel, or takes one video."""

    dialect: ClassVar[Dialect]
    kinds: ClassVar[tuple[str, ...]] = (
        "video", "comment", "account", "video-file", "stream", "segment", "caption", "page", "preview", "avatar",
        "banner", "asset",
    )  # fmt: skip
    reads_refusals: ClassVar[frozenset[str]] = frozenset({"parse_list", "parse_media"})
    reads_holes: ClassVar[frozenset[str]] = reads_refusals

    @classmethod
    def recognise(cls, replies: Sequence[CaptureResponse]) -> Evidence | None:
        """Believe its own page, and only on its own hosts: nowhere else can it be walked."""
        for reply in replies:
            is_ours = urlsplit(reply.url).hostname in cls.dialect.hosts and reply.status == 200
            if is_ours and cls.dialect.mark.search(reply.head_bytes):
                return Evidence(confidence=97, reasons=(f"its page is one of {cls.title}",))
        return None

    @classmethod
    def territory(cls, seed: Seed) -> Territory:
        """Return its hosts and those of its API; files may be anywhere."""
        return Territory(hosts=(*cls.dialect.hosts, *cls.dialect.others))

    def judge(self, response: CaptureResponse) -> Verdict:
        """Know what is not for everybody."""
        asked = response.fetch.callback
        call = {"parse_list": self.dialect.of_channel, "parse_details": self.dialect.details}.get(asked or "")
        found = things(response.data(), call, _whose(response)) if call and response.status == 200 else []
        if all(map(self.dialect.is_public, found)):
            return super().judge(response)
        return Verdict.MIXED if asked == "parse_list" else Verdict.PRIVATE

    def seeds(self, seed: Seed) -> Iterator[Fetch]:
        """Yield the channel or the video that the seed names."""
        channel, video = self.place(seed.url)
        if video:
            yield self.details(Listed(video), None)
        elif channel:
            yield self.channel(channel)
        else:
            yield self.fetch(seed.url, lane=PAGES, callback=self.parse_home, covers=("page", seed.url))

    def place(self, url: str) -> tuple[str, str]:
        """Return the channel and the video that a URL names, as the API calls them."""
        found = self.dialect.place.fullmatch(unquote(urlsplit(url).path))
        names = (found["channel"] or "", found["video"] or "") if found else ("", "")
        return self.dialect.named(names[0]), self.dialect.named(names[1])

    def parse_home(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read the page of a site as a whole, which leads nowhere."""
        yield from self.parse_page(response)
        why = "shows strangers no list of all that it has: name a channel or a video."
        yield Note(text=f"{self.title} {why}", url=response.url)

    def ask(self, call: Call, identity: str, callback: Any, parent: CaptureResponse | None, **work: Any) -> Fetch:
        """Return the fetch of a question; ``page`` is which page of the answer."""
        url, body = call.asked(identity, work.pop("page", 0), Window.of(self.seed).until)
        posted = {"method": "POST", "body": body, "headers": (*JSON, *self.dialect.headers)} if body else {}
        work = {"lane": POSTS, "day": parent.fetch.day if parent else None, **posted, **work}
        cursor = {"id": identity, **work.pop("cursor", {})}
        return self.fetch(url, parent=parent, callback=callback, cursor=cursor, **work)

    # Channels

    def channel(self, name: str) -> Fetch:
        """Return the fetch of who a channel is, which its list follows."""
        call = self.dialect.channel
        return self.ask(call, name, self.parse_channel, None, lane=LISTINGS, covers=("account", name), sweep=True)

    def parse_channel(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read who a channel is, and ask for its videos."""
        for one in things(response.data(), self.dialect.channel, _whose(response)):
            has = said(one, self.dialect.channel_fields)
            if "id" not in has:
                continue
            page = self.page_of(has)
            yield items.account_of(has, page, response, self.name)
            yield self.shown(page, response)
            for kind in ("avatar", "banner"):
                yield from self.beside(kind, has.get(kind, ""), response)
            if (count := has.get("videos", "")).isdecimal():
                caveat = self.dialect.caveat
                yield Claim(kind="video", count=int(count), counter="of the channel", caveat=caveat, url=response.url)
            yield self.list_of(has["id"], 0, response)

    def list_of(self, identity: str, page: int, parent: CaptureResponse | None) -> Fetch:
        """Return the fetch of a page of a channel's list."""
        return self.ask(
            self.dialect.of_channel, identity, self.parse_list, parent, lane=LISTINGS, page=page, sweep=True,
            cursor={"n": page},
        )  # fmt: skip

    def parse_list(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page of a list, newest first."""
        page = (response.fetch.cursor or {}).get("n", 0)
        if response.status != 200:
            if response.status not in {404, 410} or not page:
                yield Note(text=f"A list is closed to us (HTTP {response.status}).", url=response.url)
            return
        listed, window = self.named_in(response), Window.of(self.seed)
        for one in listed:
            if self.dialect.is_public(one.thing) and window.holds(one.when):
                yield Covered(kind="video", id=one.id, standing=Standing.KNOWN, day=day(one.when), url=response.url)
                yield from self.video(one.thing, response) if self.dialect.lists_all else (self.details(one, response),)
        size = self.dialect.of_channel.size
        if listed and len(listed) >= size and not window.is_before(listed[-1].when):
            following = self.list_of(_whose(response), page + 1, response)
            yield from turn(response, [one.id for one in listed], following, newest_first=True)

    def named_in(self, response: CaptureResponse) -> list[Listed]:
        """Return the videos of a page of a list."""
        found = things(response.data(), self.dialect.of_channel, _whose(response))
        named = [(one, said(one, self.dialect.video_fields)) for one in found]
        return [Listed(has["id"], instant(has.get("when")), one) for one, has in named if "id" in has]

    # Videos

    def details(self, one: Listed, parent: CaptureResponse | None) -> Fetch:
        """Return the fetch of what is said of a video."""
        covers = ("video", one.id) if parent else None
        return self.ask(self.dialect.details, one.id, self.parse_details, parent, covers=covers, day=day(one.when))

    def parse_details(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read what is said of one video."""
        for one in things(response.data(), self.dialect.details, _whose(response)):
            if self.dialect.is_public(one):
                yield from self.video(one, response)

    def video(self, thing: dict[str, Any], response: CaptureResponse) -> Iterator[Yield]:
        """Yield a video, and what hangs on it."""
        has = said(thing, self.dialect.video_fields)
        if "id" not in has:
            return
        on, page = day(instant(has.get("when"))), self.page_of(has)
        yield items.video_of(has, thing, page, response, self.name)
        yield self.shown(page, response, on)
        yield from self.beside("preview", has.get("preview", ""), response, on)
        cursor = {"video": has["id"], "title": has.get("title", "")[:200]}
        asked = has.get("asked", has["id"])
        yield self.ask(self.dialect.media, asked, self.parse_media, response, day=on, sweep=True, cursor=cursor)
        if self.dialect.comments:
            yield self._comments(self.dialect.comments, has["id"], 0, response, on)

    def parse_media(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read where the file of a video is; a refusal may come with 200."""
        found = absolute(response.url, text(response.data(), *self.dialect.file)) if response.status == 200 else None
        if found:
            yield from self.film(self.dialect.original(found), response)
        else:
            yield self.kept_back(response)

    def kept_back(self, response: CaptureResponse, video: str = "") -> Covered:
        """Say that the file of a video is not given."""
        identity, why = video or (response.fetch.cursor or {}).get("video"), f"not given (HTTP {response.status})"
        return Covered(
            kind="video-file", id=f"video/{identity}", standing=Standing.REFUSED, reason=why, url=response.url
        )

    def film(self, url: str, response: CaptureResponse, **extra: str) -> Iterator[Yield]:
        """Yield a file, which may turn out to be a playlist."""
        cursor = response.fetch.cursor or {}
        yield items.file_of(url, str(cursor.get("video")), str(cursor.get("title", "")), extra, response, self.name)
        yield self.fetch(
            url, lane=ORIGINALS, parent=response, callback=self.parse_film, covers=("video-file", url),
            headers=self.dialect.headers, day=response.fetch.day,
        )  # fmt: skip

    def parse_film(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a film that is a playlist; any other leads nowhere."""
        if _PLAYLIST.match(response.head_bytes):
            yield from self.parse_stream(response)

    # What goes with them

    def page_of(self, has: dict[str, str]) -> str:
        """Return the page for people of a channel or video."""
        home = f"https://{self.dialect.hosts[0]}/"
        return absolute(home, self.dialect.page(has)) or home

    def shown(self, url: str, response: CaptureResponse, on: str | None = None) -> Fetch:
        """Return the fetch of a page for people."""
        return self.fetch(
            url, lane=PAGES, parent=response, callback=self.parse_page, covers=("page", url),
            day=on or response.fetch.day,
        )  # fmt: skip

    def beside(self, kind: str, named: str, response: CaptureResponse, on: str | None = None) -> Iterator[Fetch]:
        """Yield the fetch of a picture or of captions."""
        if named and (url := absolute(response.url, named)):
            yield self.fetch(url, lane=EXTRAS, parent=response, covers=(kind, url), day=on or response.fetch.day)

    def _comments(self, call: Call, identity: str, page: int, response: CaptureResponse, on: str | None) -> Fetch:
        return self.ask(
            call, identity, self.parse_comments, response, page=page, cursor={"n": page}, sweep=True, day=on
        )  # fmt: skip

    def parse_comments(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page of comments, replies among them."""
        call, page = self.dialect.comments, (response.fetch.cursor or {}).get("n", 0)
        found = objects(response.data(), *call.things) if call else []
        named = [has for one in found if "id" in (has := said(one, self.dialect.comment_fields))]
        for has in named:
            yield items.comment_of(has, _whose(response), response, self.name)
        if call and len(found) >= max(call.size, 1):
            following = self._comments(call, _whose(response), page + 1, response, response.fetch.day)
            yield from turn(response, [has["id"] for has in named], following)


def _whose(response: CaptureResponse) -> str:
    """Return what an answer is about, as it was asked for."""
    return str((response.fetch.cursor or {}).get("id", ""))


class OdyseeSpider(VideoSpider):
    """Channels of LBRY, as Odysee shows them."""

    name = "odysee"
    title: ClassVar[str] = "Odysee"
    dialect = ODYSEE
    known_hosts: ClassVar[tuple[str, ...]] = ODYSEE.hosts
    stream_headers: ClassVar[tuple[tuple[str, str], ...]] = ODYSEE.headers


class BitchuteSpider(VideoSpider):
    """Channels of BitChute. Its comments are of another service, which wants a ticket for each; they are left."""

    name = "bitchute"
    title: ClassVar[str] = "BitChute"
    dialect = BITCHUTE
    known_hosts: ClassVar[tuple[str, ...]] = BITCHUTE.hosts
