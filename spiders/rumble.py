"""Rumble: its pages, which strangers see where no guard stands before them, and the facts that its player asks for.

How it is walked: a channel's pages name its videos, newest first, to the page on which there are none; a video's page
says what it is and how the player calls it, and the player's facts name its files: the best one is taken, or the
stream with all its pieces where there is no file, and captions. Of the site as a whole the list of the newest is read,
and each channel that it shows to its end: what no list shows is not found, which is said.

Comments are shown to those alone who are signed in. What is for subscribers has a page and no film. A guard that tests
browsers (much of Rumble has stood behind one since 2025) ends the crawl with exit code 9.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from html import unescape
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote, urljoin, urlsplit

import msgspec

from crawler.model import Note
from spiders import video_items as items
from spiders.api import at, number, objects, text
from spiders.base import LISTINGS, POSTS, Yield
from spiders.html import absolute
from spiders.pages import text_of
from spiders.video_dialects import Call, Dialect, said
from spiders.videos import Listed, VideoSpider
from spiders.window import day, instant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.model import Fetch
    from crawler.response import CaptureResponse

HOME = "https://rumble.com/"
NEWEST = "videos?sort=date"
_TAG = re.compile(r"<(a|time|img)\b([^<>]{0,2000})>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"([\w-]{1,40})\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]+))")
_JSON = re.compile(r"<script\b[^<>]{0,200}type=[\"']?application/(?:ld\+)?json[\"']?[^<>]{0,200}>")
_EMBED = re.compile(
    r"rumble\.com/embed/(?:\w+\.)?(v[0-9a-z]+)|Rumble\(\s*\"play\"\s*,\s*\{\s*\"video\"\s*:\s*\"(v[0-9a-z]+)\""
)
_VIDEO = re.compile(r"/(v[0-9a-z]{3,12})-[^/?#]{0,300}\.html", re.ASCII)
_CHANNEL = re.compile(r"/((?:c|user)/[^/?#]{1,100})")
_END = re.compile(r"</(?:div|p|section)>")
#: Characters of a description that are read.
MAX_INNER = 20_000
_KEPT_BACK = "Rumble shows comments to those alone who are signed in, and films for subscribers to subscribers."
_FIELDS = {
    "title": ("name",), "text": ("description",), "when": ("uploadDate",), "duration": ("duration",),
    "views": ("interactionStatistic", "userInteractionCount"), "preview": ("thumbnailUrl",),
}  # fmt: skip
_INNER = {"name": "channel-header--title", "text": "channel-about--description"}
_PICTURES = {"channel-header--img": "avatar", "channel-header--backsplash-img": "banner"}
_LINKS = frozenset({"video-item--a", "videostream__link", "title__link"})
_OWN = (
    "account", "api", "battle-leaderboard", "browse", "category", "editor-picks", "embed", "embedJS",
    "followed-channels", "for-you", "live", "login", "logout", "my-library", "our-apps", "playlists", "premium",
    "register", "reposts", "s", "search", "shorts", "subscriptions", "upload", "videos",
)  # fmt: skip
_DIALECT = Dialect(
    hosts=("rumble.com", "www.rumble.com"),
    mark=re.compile(rb"rmbl\.ws/|rumble\.cloud/|1a-1791\.com/|og:site_name[^>]{0,40}rumble", re.IGNORECASE),
    # Well-known channels have a name of their own at the root, where the site's own pages are as well.
    place=re.compile(
        r"/(?:(?P<video>v(?!ideos)[0-9a-z]{3,12}(?:-[^/]*)?)|(?P<channel>(?:c|user)/[^/]{1,100}"
        rf"|(?!(?:{'|'.join(_OWN)})(?:/|$))[\w-]{{2,100}}))(?:/(?:about|videos|livestreams|shorts)?)?"
    ),
    named=lambda name: quote(name, safe="/"),
    channel=Call(url=f"{HOME}{{id}}/about"),
    of_channel=Call(url=f"{HOME}{{id}}?page={{page}}"),
    details=Call(url=f"{HOME}{{id}}"),
    media=Call(url=f"{HOME}embedJS/u3/?request=video&ver=2&v={{id}}"),
)  # fmt: skip


class RumbleSpider(VideoSpider):
    """Walks one channel, one video, or the newest and their channels."""

    name = "rumble"
    title: ClassVar[str] = "Rumble"
    dialect = _DIALECT
    known_hosts: ClassVar[tuple[str, ...]] = _DIALECT.hosts
    reads_refusals: ClassVar[frozenset[str]] = VideoSpider.reads_refusals | {"parse_channel"}
    reads_holes: ClassVar[frozenset[str]] = reads_refusals

    def parse_home(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read the home page, and go on to the newest; any other of the site's own pages leads nowhere."""
        yield from super().parse_home(response)
        if urlsplit(response.url).path.rstrip("/") in {"", "/videos"}:
            yield self.list_of(NEWEST, 0, response)

    def list_of(self, identity: str, page: int, parent: CaptureResponse | None) -> Fetch:
        """Return the fetch of a page of a list, which is one for people, too."""
        mark = "&" if "?" in identity else "?"
        url = f"{HOME}{identity}{f'{mark}page={page + 1}' if page else ''}"
        return self.fetch(
            url, lane=LISTINGS, parent=parent, callback=self.parse_list, cursor={"id": identity, "n": page}, sweep=True
        )  # fmt: skip

    def parse_list(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page of a list."""
        if response.status == 200:
            yield from self.parse_page(response)
        yield from super().parse_list(response)

    def named_in(self, response: CaptureResponse) -> list[Listed]:
        """Return the videos that a page lists: in its markup, old and new, or as JSON within it."""
        found: dict[str, Listed] = {}
        html, last = text_of(response), ""
        for name, has in _tags(html):
            link = _VIDEO.match(_path(has.get("href", "")))
            if name == "a" and link and not _LINKS.isdisjoint(has.get("class", "").split()):
                last = link[1]
                found.setdefault(last, Listed(last, None, link[0]))
            elif name == "time" and last and found[last].when is None:
                found[last] = replace(found[last], when=instant(has.get("datetime")))
        for one in (one for held in _json(html) for one in objects(held, "items")):
            link = _VIDEO.match(_path(text(one, "url")))
            if link and text(one, "object_type") == "video":
                found.setdefault(link[1], Listed(link[1], instant(text(one, "upload_date")), link[0]))
        return list(found.values())

    def parse_channel(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read who a channel is, from its page about itself, and ask for its videos."""
        identity = str((response.fetch.cursor or {}).get("id", ""))
        yield self.list_of(identity, 0, response)
        if response.status != 200:
            return
        yield from self.parse_page(response)
        has = {"id": identity, "username": identity.partition("/")[2]}
        html = text_of(response)
        has |= {name: found for name, mark in _INNER.items() if (found := _inner(html, mark))}
        for name, tag in _tags(html):
            if name == "img" and (kind := _PICTURES.get(tag.get("class", ""))):
                has[kind] = tag.get("src", "")
                yield from self.beside(kind, has[kind], response)
        yield items.account_of(has, f"{HOME}{identity}", response, self.name)

    def details(self, one: Listed, parent: CaptureResponse | None) -> Fetch:
        """Return the fetch of a video's page."""
        return self.fetch(
            urljoin(HOME, one.thing or one.id), lane=POSTS, parent=parent, callback=self.parse_details,
            day=day(one.when), covers=("video", one.id) if parent else None,
        )  # fmt: skip

    def parse_details(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read the page of a video."""
        yield from self.parse_page(response)
        html, link = text_of(response), _VIDEO.match(urlsplit(response.url).path)
        film = next((one for held in _json(html) for one in _films(held)), {})
        if link is None or not film:
            return
        has = {name: unescape(found) for name, found in said(film, _FIELDS).items()}
        has |= {"id": link[1], "channel": _channel(html)}
        on = day(instant(has.get("when")))
        yield items.video_of(has, film, response.url, response, self.name)
        yield Note(text=_KEPT_BACK, url=response.url)
        yield from self.beside("preview", has.get("preview", ""), response, on)
        cursor = {"video": has["id"], "title": has.get("title", "")[:200]}
        if found := _EMBED.search(text(film, "embedUrl")) or _EMBED.search(html):
            embed = found[1] or found[2]
            yield self.shown(f"{HOME}embed/{embed}/", response, on)
            yield self.ask(self.dialect.media, embed, self.parse_media, response, day=on, sweep=True, cursor=cursor)
        else:
            yield self.kept_back(response, has["id"])
        if has["channel"] and not any(self.place(self.seed.url)):
            yield self.channel(has["channel"])

    def parse_media(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read the facts that a player asks for: the best file, else a stream; captions; pictures."""
        facts = response.data() if response.status == 200 else None
        files = sorted(_files(facts), key=lambda one: (number(one, "meta", "h") or 0, number(one, "meta", "size") or 0))
        streams = [at(facts, "ua", kind, "auto") for kind in ("hls", "tar")]
        stream = next((url for one in streams if (url := absolute(HOME, text(one, "url")))), None)
        best = absolute(HOME, text(files[-1], "url")) if files else None
        if number(facts, "live") == 2:
            yield Note(text="A video is live: only its page is taken. Its recording will come.", url=response.url)
        elif best:
            yield from self.film(
                best, response, lines=text(files[-1], "meta", "h"), size=text(files[-1], "meta", "size")
            )
        elif stream:
            yield from self.stream(stream, response)
        else:
            yield self.kept_back(response)
        captions = at(facts, "cc")
        for one in list(captions.values())[:100] if isinstance(captions, dict) else ():
            yield from self.beside("caption", text(one, "path"), response)
        yield from self.beside("preview", text(facts, "i"), response)


def _tags(html: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the links, times and pictures of a page, with their attributes."""
    for tag in _TAG.finditer(html):
        found = _ATTRIBUTE.findall(tag[2])
        yield tag[1].lower(), {name.lower(): unescape(one or two or three) for name, one, two, three in found}


def _json(html: str) -> Iterator[Any]:
    """Yield the JSON that stands in a page."""
    found = _JSON.search(html)
    while found and (end := html.find("</script>", found.end())) >= 0:
        with suppress(ValueError, RecursionError):
            yield msgspec.json.decode(html[found.end() : end].strip().encode("utf-8", "replace"))
        found = _JSON.search(html, end)


def _path(url: str) -> str:
    """Return the path of a link; empty where it is none."""
    return urlsplit(absolute(HOME, url) or "").path


def _channel(html: str) -> str:
    """Return the channel that a video is of: c/NAME or user/NAME."""
    links = (tag.get("href", "") for _, tag in _tags(html) if "media-by--a" in tag.get("class", "").split())
    return next((found[1] for link in links if (found := _CHANNEL.match(_path(link)))), "")


def _films(found: Any) -> list[dict[str, Any]]:
    """Return the videos that a page describes (schema.org/VideoObject)."""
    return [one for one in (found if isinstance(found, list) else [found]) if text(one, "@type") == "VideoObject"]


def _files(facts: Any) -> list[dict[str, Any]]:
    """Return the files that a player may choose from, of those that are whole."""
    kinds = [at(facts, "ua", kind) for kind in ("mp4", "webm")]
    found = [one for kind in kinds if isinstance(kind, dict) for one in kind.values()]
    return [one for one in found if isinstance(one, dict) and text(one, "url")]


def _inner(html: str, name: str) -> str:
    """Return the text in the first element of a class, without its markup."""
    if (found := re.search(rf"class=[\"']?[^\"'<>]{{0,200}}\b{name}\b[^<>]{{0,200}}>", html)) is None:
        return ""
    inner = _END.split(html[found.end() : found.end() + MAX_INNER], maxsplit=1)[0]
    return " ".join(unescape(re.sub(r"<[^<>]*>", " ", inner)).split())
