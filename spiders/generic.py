"""Any website: its sitemaps, feeds, same-site links, and what its pages need to look as they do."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qsl, urljoin, urlsplit, urlunsplit

from w3lib.encoding import html_to_unicode

from crawler.model import Covered, Lane, Seed, SegmentClass, Standing
from crawler.politeness.robots import Rules
from crawler.response import CaptureResponse
from crawler.scope import MAX_REPEATS, trap
from crawler.url import host_of
from spiders.base import LISTINGS, PAGES, PlatformSpider, Territory, Yield
from spiders.feeds import Entry, entries, moment
from spiders.html import absolute, page, style

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.model import Fetch

REQUISITES = Lane(name="requisites", order=60, segment_class=SegmentClass.IMAGES)
FILES = Lane(name="files", order=70, segment_class=SegmentClass.ORIGINALS)

#: Links followed from the seed at the most; a site deeper than this is a trap or a very long list.
MAX_DEPTH = 500
#: Query parameters of one URL; more is a machine talking to itself.
MAX_PARAMETERS = 16
#: How deep sitemaps may name sitemaps, and stylesheets stylesheets.
MAX_NESTING = 5
#: Characters of all URLs of a listing, with its own URL beside each, as they travel: five times what is usual.
MAX_LISTED = 24 << 20
#: Decoded bytes of a page or stylesheet that are read.
MAX_TEXT = 16 << 20
#: Bytes of a page that its charset is guessed from: the guess takes thirty times their memory.
MAX_GUESSED = 256 << 10
#: Years around the capture that a calendar may show.
CALENDAR_PAST, CALENDAR_FUTURE = 30, 2

_SESSION = re.compile(r"(?:php|j|asp)?sess(?:ion)?_?id\w{0,12}|cfid|cftoken|oscsid|sid|s", re.IGNORECASE)
_SESSION_VALUE = re.compile(r"(?=.*[0-9])[0-9a-z]{16,}(?:[.!-][0-9a-z.!-]*)?", re.IGNORECASE)
_SESSION_PATH = re.compile(r";jsessionid=[^/?;]*|/\(s\([0-9a-z]{20,}\)\)", re.IGNORECASE)
_CALENDAR = re.compile(
    r"calend[ae]r|kalender|\bevents?\b|agenda|schedule|\b(?:month|year|date|day|week|cal)=", re.IGNORECASE
)
#: A year that means a date: named as one, or followed by a month.
_YEAR = re.compile(r"\by(?:ear)?=([12][0-9]{3})\b|\b([12][0-9]{3})[-/](?:0?[1-9]|1[0-2])\b", re.IGNORECASE)
_ESCAPED = re.compile(r"%252525", re.IGNORECASE)
_NOT_A_PAGE = re.compile(
    r"\.(?:jpe?g|jpe|jfif|png|gif|webp|avif|heic|svg|ico|bmp|tiff?|css|js|mjs|woff2?|ttf|otf|eot|wasm|map"
    r"|pdf|zip|gz|tgz|bz2|xz|7z|rar|tar|mp4|m4v|webm|mov|mkv|avi|mpe?g|mp3|ogg|oga|ogv|opus|flac|wav|m4a|aac"
    r"|docx?|xlsx?|pptx?|odt|ods|odp|rtf|epub|mobi|csv|iso|exe|msi|dmg|apk|deb|rpm|jar|torrent|swf)$",
    re.IGNORECASE,
)
#: How an HTML document begins, whatever comes before its root.
_HTML_ROOT = re.compile(
    rb"(?:\s|<\?[^>]*+>|<!--(?:(?!-->).)*+-->)*+<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL
)
_LISTING_ROOT = (b"<?xml", b"<rss", b"<feed", b"<urlset", b"<sitemapindex")


class GenericSpider(PlatformSpider):
    """Walks one site by its links. It knows pages and assets, and nothing of posts or accounts."""

    name = "generic"
    title: ClassVar[str] = "an ordinary website"
    lanes: ClassVar[tuple[Lane, ...]] = (LISTINGS, PAGES, REQUISITES, FILES)
    kinds: ClassVar[tuple[str, ...]] = ("page", "asset")

    @classmethod
    def territory(cls, seed: Seed) -> Territory:
        """Return the seed's host and its www twin; a path in the seed limits pages to what is below it."""
        host = host_of(seed.url)
        return Territory(hosts=(host, *_twin(host)), paths=_below(urlsplit(seed.url).path))

    def seeds(self, seed: Seed) -> Iterator[Fetch]:
        """Yield the page itself and the usual place of its sitemap."""
        yield self.listed(seed.url)
        yield self._sitemap(urljoin(seed.url, "/sitemap.xml"), sweep=True)

    def parse_robots_txt(self, response: CaptureResponse) -> Iterator[Yield]:
        """Yield the sitemaps that robots.txt names."""
        for named in Rules(_text(response)).sitemaps:
            if url := absolute(response.url, named):
                yield self._sitemap(url, parent=response)

    def parse(self, response: CaptureResponse) -> Iterator[Yield]:  # type: ignore[override]  # ours is always a capture
        """Read a page, a stylesheet or a feed, as its type and first bytes say; anything else names nothing."""
        kind = _kind(response)
        if kind == "html":
            yield from self._page(response)
        elif kind == "css":
            yield from self.parse_style(response)
        elif kind == "listing":
            yield from self.parse_listing(response)

    def parse_style(self, response: CaptureResponse) -> Iterator[Yield]:
        """Yield what a stylesheet names; an asset that turns out to be none names nothing."""
        if _kind(response) != "css" and not urlsplit(response.url).path.lower().endswith(".css"):
            return
        for url in style(_text(response), response.url).requisites:
            yield from self._requisite(url, response)

    def parse_listing(self, response: CaptureResponse) -> Iterator[Yield]:
        """Yield what a sitemap, an index of sitemaps, or a feed lists. A feed goes on only where it lists something."""
        following: list[str] = []
        is_empty = True
        length = 0
        with response.open() as stream:
            for entry in entries(stream):
                url = absolute(response.url, entry.url)
                length += len(entry.url) + len(response.url)
                if length > MAX_LISTED:
                    yield _excluded("page", response.url, "trap: a listing without end")
                    break
                if url is not None and entry.kind == "next":
                    following.append(url)
                elif url is not None:
                    is_empty = False
                    yield from self._entry(entry, url, response)
        if following and not is_empty and response.fetch.depth < MAX_DEPTH:
            yield self.fetch(following[0], lane=LISTINGS, parent=response, callback=self.parse_listing)

    def _entry(self, entry: Entry, url: str, response: CaptureResponse) -> Iterator[Yield]:
        if why := _outside(entry, self.seed):
            if entry.kind == "page":
                yield _excluded("page", url, why)
        elif entry.kind == "sitemap":
            if _level(response) < MAX_NESTING:
                yield self._sitemap(url, parent=response, cursor={"level": _level(response) + 1})
        elif entry.kind == "media":
            yield from self._requisite(url, response)
        else:
            yield from self._link(url, response, day=_day(entry))

    def _page(self, response: CaptureResponse) -> Iterator[Yield]:
        named = page(_text(response), response.url)
        for url in named.requisites:
            yield from self._requisite(url, response)
        for url in named.feeds:
            yield self.fetch(url, lane=LISTINGS, parent=response, callback=self.parse_listing)
        for url in (*named.links, *named.frames):
            if url not in named.requisites:
                yield from self._link(url, response)

    def _link(self, url: str, response: CaptureResponse, day: str | None = None) -> Iterator[Yield]:
        """Yield the page or file behind a link. What leads to other sites is for the scope to sort out."""
        url = _without_session(url)
        is_page = _is_page(url)
        kind, lane, callback = ("page", PAGES, self.parse) if is_page else ("asset", FILES, None)
        if not (why := _trap(url, response)):
            yield self.fetch(url, lane=lane, parent=response, callback=callback, covers=(kind, url), day=day)
        elif host_of(url) in self.territory(self.seed).hosts:
            yield _excluded(kind, url, why)

    def _requisite(self, url: str, response: CaptureResponse) -> Iterator[Yield]:
        """Yield what a page needs, from whatever host. What may be a stylesheet is read on, a few levels deep."""
        if _is_page(url) or urlsplit(url).path.lower().endswith(".css"):
            level = _level(response) + 1 if response.fetch.lane == REQUISITES.name else 1
            if level > MAX_NESTING:
                yield _excluded("asset", url, "trap: stylesheets within stylesheets")
                return
            reading: dict[str, Any] = {"callback": self.parse_style, "cursor": {"level": level}}
        else:
            reading = {}
        yield self.fetch(url, lane=REQUISITES, parent=response, covers=("asset", url), **reading)

    def _sitemap(self, url: str, *, parent: CaptureResponse | None = None, **work: object) -> Fetch:
        """Return the fetch of a sitemap. It stands outside of pages' paths and --include, as the seed does: depth 0."""
        return self.fetch(url, lane=LISTINGS, parent=parent, callback=self.parse_listing, depth=0, **work)


def _twin(host: str) -> tuple[str, ...]:
    """Return the host's name with or without www, where it can have one."""
    try:
        ip_address(host)
    except ValueError:
        if host.startswith("www."):
            return (host.removeprefix("www."),)
        return (f"www.{host}",) if "." in host else ()
    return ()


def _below(path: str) -> tuple[str, ...]:
    """Return the path prefix that a seed's path limits pages to: a file stands for its directory."""
    directory, _, last = path.rpartition("/")
    prefix = f"{directory}/" if "." in last or not last else path
    return (prefix,) if prefix.strip("/") else ()


def _kind(response: CaptureResponse) -> str:
    """Return html, css, listing or nothing, from the declared type and, where it leaves it open, the first bytes."""
    declared = response.header("Content-Type").partition(";")[0].strip().lower()
    start = response.head_bytes[:512]
    if declared == "text/css":
        return "css"
    if declared in {"text/html", "application/xhtml+xml"}:
        return "html"
    if not declared or declared.endswith(("/xml", "+xml")):
        if _HTML_ROOT.match(start):
            return "html"
        return "listing" if declared or start.lstrip().startswith(_LISTING_ROOT) else ""
    return "listing" if declared == "application/feed+json" else ""


def _text(response: CaptureResponse) -> str:
    """Return the decoded text, of a body too big for that its first part."""
    start = response.body
    if not 0 < len(start) <= MAX_TEXT:
        with response.open() as stream:
            start = stream.read(MAX_TEXT)
    try:
        return response.text if 0 < len(response.body) <= MAX_GUESSED else _long_text(response, start)
    except (LookupError, UnicodeError):  # Python knows codecs that are no charsets: base64, idna, undefined
        return start.decode("utf-8", "replace")


def _long_text(response: CaptureResponse, body: bytes) -> str:
    """Return the decoded text of a long body: of its whole length only that it is UTF-8 is cheap to find out."""

    def guess(body: bytes) -> str:
        try:
            body.decode()
        except UnicodeDecodeError:
            return CaptureResponse(
                response.url, fetch=response.fetch, captured_at=response.captured_at, body=body[:MAX_GUESSED]
            ).encoding
        return "utf-8"

    return html_to_unicode(response.header("Content-Type"), body, auto_detect_fun=guess)[1]


def _level(response: CaptureResponse) -> int:
    level = (response.fetch.cursor or {}).get("level", 0)
    return level if isinstance(level, int) else 0


def _excluded(kind: str, url: str, why: str) -> Covered:
    return Covered(kind=kind, id=url, standing=Standing.EXCLUDED, reason=why, url=url)


@lru_cache(maxsize=4096)
def _is_page(url: str) -> bool:
    return not _NOT_A_PAGE.search(urlsplit(url).path)


@lru_cache(maxsize=4096)
def _without_session(url: str) -> str:
    """Return a URL without session ids: the same page, under the one name that it has for everybody."""
    parts = urlsplit(url)
    pairs = parts.query.split("&")
    kept = [pair for pair in pairs if not _is_session(*pair.partition("=")[::2])]
    path = _SESSION_PATH.sub("", parts.path) or "/"
    if (path, kept) == (parts.path, pairs):
        return url
    return urlunsplit(parts._replace(path=path, query="&".join(kept)))


def _is_session(name: str, value: str) -> bool:
    return bool(_SESSION.fullmatch(name) and _SESSION_VALUE.fullmatch(value))


def _trap(url: str, response: CaptureResponse) -> str:
    """Return why a link looks like a trap, or the empty string."""
    if response.fetch.depth >= MAX_DEPTH:
        return "trap: too many links from the seed"
    why, years = _shape(url)
    if any(_is_far(year, response) for year in years):
        return "trap: a calendar far from now"
    return why


@lru_cache(maxsize=4096)
def _shape(url: str) -> tuple[str, tuple[int, ...]]:
    """Return why a link looks like a trap by itself, and the years it names where it looks like a calendar."""
    if why := trap(url):
        return why, ()
    parts = urlsplit(url)
    names = Counter(name for name, _ in parse_qsl(parts.query, keep_blank_values=True))
    if names.total() > MAX_PARAMETERS or (names and max(names.values()) > MAX_REPEATS) or _ESCAPED.search(url):
        return "trap: an endlessly growing query", ()
    place = f"{parts.path}?{parts.query}"
    return "", tuple(int(a or b) for a, b in _YEAR.findall(place)) if _CALENDAR.search(place) else ()


def _is_far(year: int, response: CaptureResponse) -> bool:
    now = response.captured_at.year
    return not now - CALENDAR_PAST <= year <= now + CALENDAR_FUTURE


def _outside(entry: Entry, seed: Seed) -> str:
    """Return why a listing's dates put an entry outside the window; what says nothing of them is inside."""
    published, changed = moment(entry.published), moment(entry.modified)
    latest = changed or published
    if seed.since and latest and latest[1] < _instant(seed.since):
        return "before --since"
    if seed.until and published and published[0] >= _instant(seed.until):
        return "after --until"
    return ""


def _instant(text: str) -> datetime:
    when = datetime.fromisoformat(text)
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _day(entry: Entry) -> str | None:
    published = moment(entry.published)
    return published[0].date().isoformat() if published else None
