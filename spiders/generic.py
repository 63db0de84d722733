"""Any website: its sitemaps, feeds, same-site links, and what its pages need to look as they do."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import parse_qsl, urljoin, urlsplit, urlunsplit

from crawler.model import Lane, Seed, SegmentClass
from crawler.politeness.robots import Rules
from crawler.scope import MAX_REPEATS, trap
from crawler.url import host_of
from spiders.base import LISTINGS, PAGES, REQUISITES, Territory, Yield
from spiders.feeds import Entry, entries, moment
from spiders.html import absolute, page
from spiders.pages import MAX_NESTING, PageSpider, excluded, is_page, kind_of, level, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.model import Fetch
    from crawler.response import CaptureResponse

FILES = Lane(name="files", order=70, segment_class=SegmentClass.ORIGINALS)

#: Links followed from the seed at the most; a site deeper than this is a trap or a very long list.
MAX_DEPTH = 500
#: Query parameters of one URL; more is a machine talking to itself.
MAX_PARAMETERS = 16
#: Characters of all URLs of a listing, with its own URL beside each, as they travel: five times what is usual.
MAX_LISTED = 24 << 20
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


class GenericSpider(PageSpider):
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
        for named in Rules(text_of(response)).sitemaps:
            if url := absolute(response.url, named):
                yield self._sitemap(url, parent=response)

    def parse(self, response: CaptureResponse) -> Iterator[Yield]:  # type: ignore[override]  # ours is always a capture
        """Read a page, a stylesheet or a feed, as its type and first bytes say; anything else names nothing."""
        kind = kind_of(response)
        if kind == "html":
            yield from self._page(response)
        elif kind == "css":
            yield from self.parse_style(response)
        elif kind == "listing":
            yield from self.parse_listing(response)

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
                    yield excluded("page", response.url, "trap: a listing without end")
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
                yield excluded("page", url, why)
        elif entry.kind == "sitemap":
            if level(response) < MAX_NESTING:
                yield self._sitemap(url, parent=response, cursor={"level": level(response) + 1})
        elif entry.kind == "media":
            yield from self.requisite(url, response)
        else:
            yield from self._link(url, response, day=_day(entry))

    def _page(self, response: CaptureResponse) -> Iterator[Yield]:
        named = page(text_of(response), response.url)
        for url in named.requisites:
            yield from self.requisite(url, response)
        for url in named.feeds:
            yield self.fetch(url, lane=LISTINGS, parent=response, callback=self.parse_listing)
        for url in (*named.links, *named.frames):
            if url not in named.requisites:
                yield from self._link(url, response)

    def _link(self, url: str, response: CaptureResponse, day: str | None = None) -> Iterator[Yield]:
        """Yield the page or file behind a link. What leads to other sites is for the scope to sort out."""
        url = _without_session(url)
        kind, lane, callback = ("page", PAGES, self.parse) if is_page(url) else ("asset", FILES, None)
        if not (why := _trap(url, response)):
            yield self.fetch(url, lane=lane, parent=response, callback=callback, covers=(kind, url), day=day)
        elif host_of(url) in self.territory(self.seed).hosts:
            yield excluded(kind, url, why)

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
