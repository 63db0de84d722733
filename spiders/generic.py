"""Any website: its sitemaps, feeds, same-site links, and what its pages need to look as they do."""

from __future__ import annotations

import gzip
import re
import zlib
from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import parse_qsl, urljoin, urlsplit

from crawler.model import Covered, Lane, Seed, SegmentClass, Standing
from crawler.scope import trap
from crawler.url import host_of
from spiders.base import LISTINGS, PAGES, ROBOTS, PlatformSpider, Territory, Yield
from spiders.html import absolute, css, local, page, xml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.model import Fetch
    from crawler.response import CaptureResponse

REQUISITES = Lane(name="requisites", order=60)
FILES = Lane(name="files", order=70, segment_class=SegmentClass.ORIGINALS)

#: Links followed from the seed at the most; a site deeper than this is a trap or a very long list.
MAX_DEPTH = 200
#: Query parameters of one URL; more is a machine talking to itself.
MAX_PARAMETERS = 20
#: URLs one sitemap may name (the sitemap protocol's own bound) and how big it may be, decoded.
MAX_SITEMAP_URLS, MAX_SITEMAP_BYTES = 50_000, 50 << 20
_SESSION = re.compile(r"(?:^|[?&;])(?:phpsessid|jsessionid|sid|sessionid|aspsessionid\w*)=[0-9a-z]{16,}", re.IGNORECASE)
_YEAR = re.compile(r"(?:^|[/=_-])((?:1[0-9]|2[0-9])\d\d)(?=[/&_-])")
_FILE = re.compile(
    r"\.(?:pdf|zip|gz|tgz|7z|rar|mp4|webm|mov|mp3|ogg|flac|wav|m4a|m4v|avi|mkv|docx?|xlsx?|pptx?|odt|epub|iso|exe|dmg)$",
    re.IGNORECASE,
)
_IMAGE = re.compile(r"\.(?:jpe?g|png|gif|webp|avif|svg|ico|bmp)$", re.IGNORECASE)


class GenericSpider(PlatformSpider):
    """Walks one site by its links."""

    name = "generic"
    title: ClassVar[str] = "an ordinary website"
    lanes: ClassVar[tuple[Lane, ...]] = (ROBOTS, LISTINGS, PAGES, REQUISITES, FILES)
    kinds: ClassVar[tuple[str, ...]] = ("page", "asset", "file")

    @classmethod
    def territory(cls, seed: Seed) -> Territory:
        """The seed's host and its www twin; a path in the seed limits pages to what is below it."""
        host = host_of(seed.url)
        twin = host.removeprefix("www.") if host.startswith("www.") else f"www.{host}"
        path = urlsplit(seed.url).path
        return Territory(hosts=(host, twin), paths=(path.rsplit("/", 1)[0] + "/",) if path.count("/") > 1 else ())

    def seeds(self, seed: Seed) -> Iterator[Fetch]:
        """The page itself and the usual place of its sitemap."""
        yield self.listed(seed.url)
        yield self._sitemap(urljoin(seed.url, "/sitemap.xml"), sweep=True)

    def parse_robots_txt(self, response: CaptureResponse) -> Iterator[Yield]:
        """Sitemaps that robots.txt names."""
        for line in response.text.splitlines()[:5000]:
            name, _, value = line.partition(":")
            if name.strip().lower() == "sitemap" and (url := absolute(response.url, value)):
                yield self._sitemap(url, parent=response)

    def parse(self, response: CaptureResponse) -> Iterator[Yield]:
        """A page, a stylesheet, or something that names nothing."""
        kind = _kind(response)
        if kind == "html":
            yield from self._page(response)
        elif kind == "css":
            yield from self.parse_style(response)
        elif kind == "xml":
            yield from self.parse_feed(response)

    def parse_style(self, response: CaptureResponse) -> Iterator[Yield]:
        """What a stylesheet names."""
        for target in dict.fromkeys(css(response.text)):
            if url := absolute(response.url, target):
                yield self._requisite(url, response)

    def parse_sitemap(self, response: CaptureResponse) -> Iterator[Yield]:
        """A sitemap or an index of them (sitemaps.org), as XML, gzip or plain text."""
        data = _sitemap_bytes(response)
        root = xml(data)
        if root is None or local(root) not in {"urlset", "sitemapindex", "feed", "rss", "rdf"}:
            for line in data.decode("utf-8", "replace").splitlines()[:MAX_SITEMAP_URLS]:
                if line.startswith(("http://", "https://")) and (url := absolute(response.url, line)):
                    yield from self._link(url, response)
            return
        if local(root) not in {"urlset", "sitemapindex"}:
            yield from self.parse_feed(response)
            return
        for number, entry in enumerate(root):
            if number >= MAX_SITEMAP_URLS:
                return
            facts = {local(child): (child.text or "").strip() for child in entry}
            url = absolute(response.url, facts.get("loc", ""))
            if url is None or not self._in_window(facts.get("lastmod", "")):
                continue
            if local(root) == "sitemapindex":
                yield self._sitemap(url, parent=response)
            else:
                yield from self._link(url, response)
            for image in entry.iter():
                if (
                    local(image) == "loc"
                    and image.getparent() is not entry
                    and (src := absolute(response.url, image.text or ""))
                ):
                    yield self._requisite(src, response)

    def parse_feed(self, response: CaptureResponse) -> Iterator[Yield]:
        """The entries of an RSS or Atom feed, and its enclosures."""
        root = xml(response.body)
        if root is None:
            return
        for element in root.iter():
            name = local(element)
            if name == "link" and (url := absolute(response.url, element.get("href") or element.text or "")):
                yield from self._link(url, response)
            elif name == "enclosure" and (url := absolute(response.url, element.get("url") or "")):
                yield self._requisite(url, response)

    def _page(self, response: CaptureResponse) -> Iterator[Yield]:
        named = page(response.text, response.url)
        for url in named.requisites:
            yield self._requisite(url, response)
        for url in named.feeds:
            yield self.fetch(url, lane=LISTINGS, parent=response, callback=self.parse_feed)
        for url in (*named.links, *named.frames):
            yield from self._link(url, response)

    def _link(self, url: str, response: CaptureResponse) -> Iterator[Yield]:
        why = self._trap(url, response)
        if why and host_of(url) in self.territory(self.seed).hosts:
            yield Covered(kind="page", id=url, standing=Standing.EXCLUDED, reason=why, url=url)
        elif not why:
            path = urlsplit(url).path
            if _FILE.search(path):
                yield self.fetch(url, lane=FILES, parent=response, covers=("file", url))
            elif _IMAGE.search(path):
                yield self._requisite(url, response)
            else:
                yield self.fetch(url, lane=PAGES, parent=response, callback=self.parse, covers=("page", url))

    def _requisite(self, url: str, response: CaptureResponse) -> Fetch:
        is_style = urlsplit(url).path.lower().endswith(".css") or "css" in urlsplit(url).query
        callback = self.parse_style if is_style else None
        return self.fetch(url, lane=REQUISITES, parent=response, callback=callback, covers=("asset", url))

    def _sitemap(self, url: str, *, parent: CaptureResponse | None = None, sweep: bool = False) -> Fetch:
        return self.fetch(url, lane=LISTINGS, parent=parent, callback=self.parse_sitemap, sweep=sweep)

    def _trap(self, url: str, response: CaptureResponse) -> str:
        parts = urlsplit(url)
        if why := trap(url):
            return why
        if response.fetch.depth >= MAX_DEPTH:
            return "trap: too many links from the seed"
        if _SESSION.search(parts.query) or _SESSION.search(parts.path):
            return "trap: a session id in the URL"
        if len(parse_qsl(parts.query, max_num_fields=None)) > MAX_PARAMETERS:
            return "trap: endless parameters"
        now = response.captured_at.year
        years = [int(year) for year in _YEAR.findall(f"{parts.path}?{parts.query}&")]
        if any(year > now + 2 or year < 1990 for year in years) and "calendar" in url.lower():
            return "trap: a calendar far from now"
        return ""

    def _in_window(self, lastmod: str) -> bool:
        """Whether something last changed in the window; what does not say is in it."""
        if not lastmod or not self.seed.since:
            return True
        try:
            when = datetime.fromisoformat(lastmod)
        except ValueError:
            return True
        return (when if when.tzinfo else when.replace(tzinfo=UTC)) >= datetime.fromisoformat(self.seed.since)


def _kind(response: CaptureResponse) -> str:
    """Return html, css, xml or nothing, from the header and, where it says nothing, the first bytes."""
    declared = response.header("Content-Type").split(";")[0].strip().lower()
    if declared in {"text/html", "application/xhtml+xml"}:
        return "html"
    if declared == "text/css":
        return "css"
    if declared.endswith(("/xml", "+xml")):
        return "xml"
    start = response.head_bytes[:512].lstrip().lower()
    if not declared and (start.startswith((b"<!doctype html", b"<html")) or b"<body" in start):
        return "html"
    return ""


def _sitemap_bytes(response: CaptureResponse) -> bytes:
    with response.open() as stream:
        data = stream.read(MAX_SITEMAP_BYTES)
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        with gzip.open(BytesIO(data)) as inner:
            return inner.read(MAX_SITEMAP_BYTES)
    except (OSError, EOFError, zlib.error):
        return b""
