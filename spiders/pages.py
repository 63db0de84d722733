"""What every platform's pages need to look as they did: requisites of HTML and of stylesheets, wherever they are."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from w3lib.encoding import html_to_unicode

from crawler.model import Covered, Standing
from crawler.response import CaptureResponse
from spiders.base import REQUISITES, PlatformSpider, Yield
from spiders.html import page, style

if TYPE_CHECKING:
    from collections.abc import Iterator

#: How deep sitemaps may name sitemaps, and stylesheets stylesheets.
MAX_NESTING = 5
#: Decoded bytes of a page or stylesheet that are read.
MAX_TEXT = 16 << 20
#: Bytes of a page that its charset is guessed from: the guess takes thirty times their memory.
MAX_GUESSED = 256 << 10

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


class PageSpider(PlatformSpider):
    """A platform with pages for people beside whatever else it has."""

    def parse(self, response: CaptureResponse) -> Iterator[Yield]:  # type: ignore[override]  # ours is always a capture
        """Read a page that the user listed."""
        yield from self.parse_page(response)

    def parse_page(self, response: CaptureResponse) -> Iterator[Yield]:
        """Yield what a page needs; where it leads to is for others to say."""
        if self.follows and kind_of(response) == "html":
            for url in page(text_of(response), response.url).requisites:
                yield from self.requisite(url, response)

    def parse_style(self, response: CaptureResponse) -> Iterator[Yield]:
        """Yield what a stylesheet names; an asset that turns out to be none names nothing."""
        if not self.follows:
            return
        if kind_of(response) != "css" and not urlsplit(response.url).path.lower().endswith(".css"):
            return
        for url in style(text_of(response), response.url).requisites:
            yield from self.requisite(url, response)

    def requisite(self, url: str, response: CaptureResponse) -> Iterator[Yield]:
        """Yield what a page needs, from whatever host. What may be a stylesheet is read on, a few levels deep."""
        if is_page(url) or urlsplit(url).path.lower().endswith(".css"):
            deep = level(response) + 1 if response.fetch.lane == REQUISITES.name else 1
            if deep > MAX_NESTING:
                yield excluded("asset", url, "trap: stylesheets within stylesheets")
                return
            reading: dict[str, Any] = {"callback": self.parse_style, "cursor": {"level": deep}}
        else:
            reading = {}
        yield self.fetch(url, lane=REQUISITES, parent=response, covers=("asset", url), **reading)


def kind_of(response: CaptureResponse) -> str:
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


def text_of(response: CaptureResponse) -> str:
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


def level(response: CaptureResponse) -> int:
    """Return how deep in stylesheets, or in sitemaps, an answer stands."""
    found = (response.fetch.cursor or {}).get("level", 0)
    return found if isinstance(found, int) else 0


def excluded(kind: str, url: str, why: str) -> Covered:
    """Say that a URL is left out, and why."""
    return Covered(kind=kind, id=url, standing=Standing.EXCLUDED, reason=why, url=url)


@lru_cache(maxsize=4096)
def is_page(url: str) -> bool:
    """Say whether a URL may be a page, as its ending says."""
    return not _NOT_A_PAGE.search(urlsplit(url).path)
