"""PeerTube, through its REST API (docs.joinpeertube.org/api-rest-reference), which hides nothing public from strangers.

How it is walked: the videos of this server, newest first (the list is paged by offset: what comes new in the meantime
shows some twice, and a later round stops at what it knows), its accounts, channels and public playlists. Each video is
then asked for its details, which name the files; for captions, chapters and storyboards; and, where there are any, for
its comments: a list of threads, a tree for each thread with replies, and where a server cuts the tree short (8.2 does)
the replies below a branch. Of the files for the web the best is taken; of a stream its playlists and all their pieces.
What was uploaded is for its owner alone, where a server keeps it at all. A window is asked of the search, which knows
dates; where that is closed the list is read back to it.

Unlisted, private and internal videos, and those behind a password, are neither listed nor followed wherever a server
names them. Where the API is closed the sitemap names the pages, and they are taken. A seed may be the server, or one
account, channel, playlist or video.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote, urljoin, urlsplit

from crawler.model import Claim, Covered, Note, Standing, Verdict
from spiders import peertube_items as items
from spiders.api import number, objects, text, turn, with_query
from spiders.base import LISTINGS, PAGES, POSTS, Evidence, Territory, Yield
from spiders.feeds import entries
from spiders.nodeinfo import nodeinfo
from spiders.peertube_videos import API, PAGE, PeertubeVideos
from spiders.window import Window, day

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crawler.model import Fetch, Seed
    from crawler.response import CaptureResponse

_MARK = re.compile(
    rb"<meta[^>]{0,80}og:platform[^>]{0,80}PeerTube|There will be other non JS-based clients to access PeerTube"
)
_PLACE = re.compile(
    r"/(?:(?P<playlist>w/p|videos/watch/playlist)|(?P<video>w|videos/watch|videos/embed)"
    r"|(?P<account>a|accounts)|(?P<channel>c|video-channels))/(?P<name>[\w.@:-]{1,200})(?:[/;].*)?"
)


class PeertubeSpider(PeertubeVideos):
    """Walks what one server has of its own."""

    name = "peertube"
    title: ClassVar[str] = "PeerTube"
    software: ClassVar[frozenset[str]] = frozenset({"peertube"})
    kinds: ClassVar[tuple[str, ...]] = (
        "video", "comment", "account", "channel", "playlist", "video-file", "stream", "segment", "caption", "page",
        "preview", "avatar", "banner", "asset",
    )  # fmt: skip
    reads_refusals: ClassVar[frozenset[str]] = frozenset({"parse_videos", "parse_found"})
    reads_holes: ClassVar[frozenset[str]] = frozenset({"parse_videos", "parse_found"})

    @classmethod
    def recognise(cls, replies: Sequence[CaptureResponse]) -> Evidence | None:
        """Believe NodeInfo, or the marks of its page where no NodeInfo says else."""
        if nodeinfo(replies) is not None:
            return super().recognise(replies)
        if any(reply.status == 200 and _MARK.search(reply.head_bytes) for reply in replies):
            return Evidence(confidence=96, reasons=("its page says PeerTube",))
        return None

    @classmethod
    def territory(cls, seed: Seed) -> Territory:
        """Return the server; its files may be anywhere."""
        return Territory()

    def judge(self, response: CaptureResponse) -> Verdict:
        """Know a video that is not for everybody, and lists in which something is not."""
        if response.status == 200 and response.fetch.callback is not None and API in response.url:
            said = response.data()
            if response.fetch.callback == "parse_video" and not items.is_public(said):
                return Verdict.PRIVATE
            listed = objects(said, "data")
            comments = [comment for tree in (said, *listed) for comment, _ in items.branches(tree)]
            if not all(items.is_public(one) for one in (*listed, *(one.get("video") for one in listed), *comments)):
                return Verdict.MIXED
        return super().judge(response)

    def seeds(self, seed: Seed) -> Iterator[Fetch]:
        """Yield the listings that lead to everything, or what the seed names."""
        yield self.fetch(seed.url, lane=PAGES, callback=self.parse_page, covers=("page", seed.url))
        kind, name = _place(seed.url)
        if kind == "video":
            yield self.video(name, None)
        elif kind == "playlist":
            yield self._list(f"video-playlists/{name}/videos", self.parse_elements, whose=name)
        elif kind:
            whose = f"{'accounts' if kind == 'account' else 'video-channels'}/{name}"
            yield self.fetch(self.at(whose), lane=LISTINGS, callback=self.parse_actor, cursor={"kind": kind})
            yield self._videos(f"{whose}/videos")
        else:
            for place, callback in (("config", None), ("config/about", None), ("server/stats", self.parse_stats)):
                yield self.fetch(self.at(place), lane=LISTINGS, callback=callback, sweep=True)
            yield self._searched() if Window.of(seed) else self._videos("videos")
            yield self._list("accounts", self.parse_accounts, sort="createdAt")
            yield self._list("video-channels", self.parse_channels, sort="createdAt")
            yield self._list("video-playlists", self.parse_playlists, sort="createdAt")

    def has_people(self) -> bool:
        """Say whether people are taken with what they made: not where one video or playlist is all that is wanted."""
        return _place(self.seed.url)[0] in {"", "account", "channel"}

    # Listings

    def _list(self, place: str, callback: Any, *, start: int = 0, whose: str = "", **query: Any) -> Fetch:
        return self.fetch(
            with_query(self.at(place), start=start, count=PAGE, **query), lane=LISTINGS, callback=callback,
            cursor={"place": place, "start": start, "whose": whose, "query": query}, sweep=True,
        )  # fmt: skip

    def _videos(self, place: str) -> Fetch:
        return self._list(place, self.parse_videos, isLocal="true", nsfw="both", sort="-publishedAt")

    def _searched(self) -> Fetch:
        return self._list(
            "search/videos", self.parse_found, isLocal="true", nsfw="both", sort="publishedAt", searchTarget="local",
            startDate=self.seed.since, endDate=self.seed.until,
        )  # fmt: skip

    def _next(
        self, response: CaptureResponse, callback: Any, key: str = "id", *, newest_first: bool = False
    ) -> Iterator[Yield]:
        """Yield the next page of a list, where there is one."""
        cursor, listed = response.fetch.cursor or {}, objects(response.data(), "data")
        start, total = cursor.get("start", 0) + PAGE, number(response.data(), "total")
        if listed and (start < total if total is not None else len(listed) >= PAGE):
            following = self._list(cursor["place"], callback, start=start, whose=cursor["whose"], **cursor["query"])
            yield from turn(response, [text(one, key) for one in listed], following, newest_first=newest_first)

    def _claimed(self, kind: str, response: CaptureResponse, caveat: str = "") -> Iterator[Claim]:
        total, cursor = number(response.data(), "total"), response.fetch.cursor or {}
        if total is not None and cursor.get("start") == 0:
            place = str(cursor.get("place"))
            yield Claim(kind=kind, count=total, counter=f"{place} total", caveat=caveat, url=response.url)

    def parse_stats(self, response: CaptureResponse) -> Iterator[Yield]:
        """Take what the server counts of its own."""
        for kind, counter, caveat in (
            ("video", "totalLocalVideos", ""), ("comment", "totalLocalVideoComments", "by people of this server alone"),
            ("account", "totalUsers", "counts those without an open account, too"),
            ("channel", "totalLocalVideoChannels", ""), ("playlist", "totalLocalPlaylists", ""),
        ):  # fmt: skip
            if (count := number(response.data(), counter)) is not None:
                yield Claim(kind=kind, count=count, counter=f"stats {counter}", caveat=caveat, url=response.url)

    def parse_videos(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page of videos; where the list is closed the sitemap is asked which there are."""
        if response.status != 200:
            why = f"The API is closed to strangers (HTTP {response.status}); pages that the sitemap names are taken."
            yield Note(text=why, url=response.url)
            sitemap = urljoin(self.seed.url, "/sitemap.xml")
            yield self.fetch(sitemap, lane=LISTINGS, parent=response, callback=self.parse_sitemap)
            return
        videos, window = objects(response.data(), "data"), Window.of(self.seed)
        if not window:
            yield from self._claimed("video", response)
        yield from self._named(videos, response)
        if not (videos and window.is_before(items.when_of(videos[-1]))):
            yield from self._next(response, self.parse_videos, "uuid", newest_first=True)

    def parse_found(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page of what the search finds in the window; where it is closed the list is read back."""
        if response.status != 200:
            why = f"The search is closed to strangers (HTTP {response.status}); the list is read back to the window."
            yield Note(text=why, url=response.url)
            yield self._videos("videos")
            return
        yield from self._named(objects(response.data(), "data"), response)
        yield from self._next(response, self.parse_found, "uuid")

    def _named(self, videos: list[dict[str, Any]], response: CaptureResponse) -> Iterator[Yield]:
        for video in videos:
            uuid, when = text(video, "uuid"), items.when_of(video)
            if uuid and items.is_public(video) and items.is_ours(video) and Window.of(self.seed).holds(when):
                yield Covered(kind="video", id=uuid, standing=Standing.KNOWN, day=day(when), url=response.url)
                yield self.video(uuid, response, on=day(when))

    def parse_sitemap(self, response: CaptureResponse) -> Iterator[Yield]:
        """Take the pages of videos, people and channels that a sitemap names."""
        with response.open() as stream:
            for entry in entries(stream):
                if entry.url and _place(entry.url)[0]:
                    url = urljoin(response.url, entry.url)
                    yield self.fetch(url, lane=PAGES, parent=response, callback=self.parse_page, covers=("page", url))

    def parse_accounts(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page of accounts, those of other servers among them."""
        yield from self._claimed("account", response, "counts accounts of other servers, too")
        for actor in objects(response.data(), "data"):
            yield from self.actor(actor, "account", response)
        yield from self._next(response, self.parse_accounts)

    def parse_channels(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page of channels."""
        yield from self._claimed("channel", response, "counts channels of other servers, too")
        for actor in objects(response.data(), "data"):
            yield from self.actor(actor, "channel", response)
            yield from self.actor(actor.get("ownerAccount"), "account", response)
        yield from self._next(response, self.parse_channels)

    def parse_actor(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read what is said of the one account or channel that the seed names."""
        kind = str((response.fetch.cursor or {}).get("kind", "account"))
        yield from self.actor(response.data(), kind, response)

    def parse_playlists(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page of playlists."""
        yield from self._claimed("playlist", response, "counts playlists of other servers, too")
        for found in objects(response.data(), "data"):
            uuid, when = quote(text(found, "uuid"), safe=""), items.when_of(found)
            if not (uuid and items.is_public(found) and items.is_ours(found) and Window.of(self.seed).holds(when)):
                continue
            page = urljoin(response.url, f"/w/p/{text(found, 'shortUUID') or uuid}")
            yield items.playlist_of(found, page, self.here(), response, self.name)
            yield from self.beside("preview", items.previews(found, response), response)
            yield self.page(page, response, ("page", page))
            elements = self._list(f"video-playlists/{uuid}/videos", self.parse_elements, whose=uuid)
            yield self.fetch(
                elements.url, lane=POSTS, parent=response, callback=self.parse_elements, cursor=elements.cursor,
                covers=("playlist", uuid), day=day(when),
            )  # fmt: skip
        yield from self._next(response, self.parse_playlists, "uuid")

    def parse_elements(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page of what stands in a playlist: videos of this server, which may be all that the seed names."""
        whose = str((response.fetch.cursor or {}).get("whose", ""))
        for one in objects(response.data(), "data"):
            video = one.get("video")
            if isinstance(video, dict) and text(video, "uuid") and items.is_public(video):
                yield items.element_of(one, video, whose, response, self.name)
                if _place(self.seed.url)[0] == "playlist":
                    yield from self._named([video], response)
        yield from self._next(response, self.parse_elements)


def _place(url: str) -> tuple[str, str]:
    """Return what of a server a URL names (video, playlist, account, channel), and how it is called."""
    try:
        found = _PLACE.fullmatch(urlsplit(url).path)
    except ValueError:
        found = None
    if found is None:
        return "", ""
    return next(kind for kind in ("playlist", "video", "account", "channel") if found[kind]), found["name"]
