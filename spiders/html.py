"""What HTML and CSS name: links, requisites, feeds. Pure, quick, and unmoved by hostile input.

HTML is read as a stream of tags, never as a tree. A tree built by the HTML standard's rules can be made to explode: 34
KiB of unclosed ``<b id=…>`` and ``<p>`` become a gigabyte, and deep nesting costs the square of its depth. All that
is wanted here stands in the tags.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from inspect import signature
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from lxml import etree

from crawler.url import canonical, origin

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

#: URLs of each sort taken from one page at the most, and characters of all of them with the page's own URL beside
#: each, as they travel: more is a trap, not a page.
MAX_URLS, MAX_URLS_LENGTH = 20_000, 8 << 20
#: Tags of a page that are read, and URLs that are looked at, good or bad, so that none holds up a worker for long.
MAX_TAGS, MAX_LOOKED_AT = 400_000, 200_000
#: Characters of a page that are read at once.
_PIECE = 1 << 16
#: Characters of a URL as written, and of a title; no server takes the first, nobody reads the second.
MAX_WRITTEN, MAX_TITLE = 16_384, 500
#: Characters of one attribute that holds several URLs.
_MAX_ATTRIBUTE = 1 << 20

_ROLES: dict[tuple[str, str], str] = {
    **{(tag, "href"): "links" for tag in ("a", "area")},
    **{(tag, name): "frames" for tag in ("iframe", "frame") for name in ("src", "data-src")},
    **{(tag, "src"): "requisites" for tag in ("img", "script", "source", "video", "audio", "embed", "track", "input")},
    **{(tag, name): "requisites" for tag in ("image", "use") for name in ("href", "xlink:href")},
    ("video", "poster"): "requisites",
    ("object", "data"): "requisites",
    **{(tag, "srcset"): "srcset" for tag in ("img", "source")},
    ("link", "imagesrcset"): "srcset",
}
#: Attributes that mean the same on any element: old pages' backgrounds, and what scripts load late.
_ANYWHERE = {
    "style": "style",
    "background": "requisites",
    "data-src": "requisites",
    "data-lazy-src": "requisites",
    "data-original": "requisites",
    "data-poster": "requisites",
    "data-bg": "requisites",
    "data-srcset": "srcset",
    "data-lazy-srcset": "srcset",
}
_REQUISITE_RELS = frozenset({
    "stylesheet", "icon", "apple-touch-icon", "apple-touch-icon-precomposed", "preload", "modulepreload", "manifest",
    "mask-icon", "image_src",
})  # fmt: skip
_LINK_RELS = frozenset({"alternate", "amphtml", "canonical", "first", "last", "next", "prefetch", "prev"})
_FEED_TYPES = frozenset({"application/rss+xml", "application/atom+xml", "application/feed+json"})
_META_REQUISITES = frozenset({
    "og:image", "og:image:url", "og:image:secure_url", "og:video", "og:video:url", "og:video:secure_url", "og:audio",
    "twitter:image", "twitter:image:src", "msapplication-tileimage",
})  # fmt: skip

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_ROOTED = re.compile(r"/(?:[A-Za-z0-9_~-][A-Za-z0-9._~-]*+/?)*+(?:\?[A-Za-z0-9._~/=&-]++)?+")
#: Characters of a link that is worth remembering.
_SHORT = 256
_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+")
_BLANK = "".join(map(chr, range(33)))

#: HTML standard, "shared declarative refresh steps": a time, a separator, perhaps ``url=``, perhaps a quote.
_REFRESH = re.compile(
    r"""\s*+[0-9.]*+\s*+[;,]?+\s*+(?:url\s*+=\s*+)?(?:"([^"]*+)|'([^']*+)|(.*+))""", re.IGNORECASE | re.DOTALL
)
#: HTML standard, "parse a srcset attribute": a candidate's URL, and its descriptors up to the next comma.
_CANDIDATE = re.compile(r"[\s,]*+(\S++)")
_DESCRIPTORS = re.compile(r"(?:\([^)]*+\)?|[^,(])*+")

#: What a stylesheet consists of, as far as URLs go (CSS Syntax Level 3, sections 4.3.2 to 4.3.6). Comments and strings
#: are here to be passed over. Nothing backtracks.
_STRING = r"""(?:"(?P<{0}_a>(?:[^"\\\n]|\\.)*+)"?+|'(?P<{0}_b>(?:[^'\\\n]|\\.)*+)'?+)"""
_CSS = re.compile(
    r"/\*(?:[^*]|\*(?!/))*+(?:\*/)?+"
    rf"|\burl\(\s*+(?:{_STRING.format('url')}|(?P<url_c>(?:[^\s\"'()\\]|\\(?:[0-9a-f]{{1,6}}\s?|.))++))"
    rf"|@import\s*+{_STRING.format('import')}"
    rf"|{_STRING.format('plain')}",
    re.IGNORECASE | re.DOTALL,
)
_CSS_ESCAPE = re.compile(r"\\(?:([0-9a-f]{1,6})\s?|\n|(.))", re.IGNORECASE | re.DOTALL)


@dataclass(slots=True)
class Named:
    """The URLs a page names, absolute and canonical, each once and in order."""

    links: dict[str, None] = field(default_factory=dict)
    requisites: dict[str, None] = field(default_factory=dict)
    feeds: dict[str, None] = field(default_factory=dict)
    frames: dict[str, None] = field(default_factory=dict)
    #: What the page says its own address is; the empty string where it says nothing.
    canonical: str = ""
    title: str = ""


def absolute(base: str, url: str) -> str | None:
    """Return the canonical http(s) URL that ``url`` means on a page at ``base``, or None where it means none."""
    if len(url) <= _SHORT and _ROOTED.fullmatch(url):
        return _rooted(origin(base), url)
    url = url.strip(_BLANK)
    scheme = _SCHEME.match(url)
    if not url or url[0] == "#" or len(url) > MAX_WRITTEN or (scheme and scheme[1].lower() not in {"http", "https"}):
        return None
    path, mark, rest = url.partition("?")
    try:
        # Browsers read a backslash in a path as a slash; old forums rely on it.
        found = canonical(urljoin(base, path.replace("\\", "/") + mark + rest))
        parts = urlsplit(found)
        is_usable = parts.scheme in {"http", "https"} and _HOST.fullmatch(parts.hostname or "") and parts.port != 0
    except ValueError:
        return None
    return found if is_usable else None


@lru_cache(maxsize=16384)
def _rooted(place: str, path: str) -> str:
    """Join what most links of most sites are: an absolute path with nothing to escape or to resolve."""
    return canonical(place + path)


def page(text: str, url: str) -> Named:
    """Return what an HTML page at ``url`` names. Never raises; a broken page gives what can be read of it."""
    tags: Any = _Tags(url)
    # Not ``huge_tree`` is no protection: at a comment of over 10 MB libxml2 2.14 then turns in a circle for ever.
    parser = etree.HTMLParser(target=tags, encoding="utf-8", remove_comments=True, remove_pis=True, huge_tree=True)
    try:
        for at in range(0, max(len(text), 1), _PIECE):
            parser.feed(text[at : at + _PIECE].encode("utf-8", "replace"))
            if tags.count > MAX_TAGS:
                break
        parser.close()
    except etree.LxmlError:
        tags.close()
    named: Named = tags.named
    return named


def style(text: str, url: str) -> Named:
    """Return what a stylesheet at ``url`` names, within the bounds of a page."""
    tags = _Tags(url)
    tags.take("style", text)
    return tags.named


def srcset(value: str) -> Iterator[str]:
    """Yield the URLs of a srcset attribute, as written."""
    value = value[:_MAX_ATTRIBUTE]
    at = 0
    while found := _CANDIDATE.match(value, at):
        written = found[1]
        at = found.end()
        if not written.endswith(",") and (descriptors := _DESCRIPTORS.match(value, at)):
            at = descriptors.end()
        if url := written.rstrip(","):
            yield url


def css(text: str) -> Iterator[str]:
    """Yield the URLs that a stylesheet or a style attribute names with ``url()`` and ``@import``, as written."""
    for found in _CSS.finditer(text):
        kind = (found.lastgroup or "").partition("_")[0]
        if kind in {"url", "import"} and (target := _unescaped(found[found.lastgroup or 0])):
            yield target


def refresh(content: str) -> str:
    """Return the URL in the content of ``<meta http-equiv=refresh>``, as written; empty where it only reloads."""
    found = _REFRESH.match(content[:MAX_WRITTEN])
    return next((group.strip() for group in found.groups() if group), "") if found else ""


def _unescaped(text: str) -> str:
    return _CSS_ESCAPE.sub(_character, text) if "\\" in text else text


def _character(escape: re.Match[str]) -> str:
    if not escape[1]:
        return escape[2] or ""
    code = int(escape[1], 16)
    return chr(code) if 0 < code < 0xD800 or 0xDFFF < code < 0x110000 else "\ufffd"


class _Tags:
    """Collects from the stream of tags; the parser calls ``start``, ``end``, ``data`` and ``close``."""

    def __init__(self, url: str) -> None:
        self.named = Named()
        self.count = 0
        self._looked_at = 0
        self._length = 0
        self._url = url
        self._base: str | None = None
        #: The element whose text is wanted, and its text so far.
        self._inside = ""
        self._text: list[str] = []

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self.count += 1
        self._end_text()
        for name, value in attributes.items():
            role = _ROLES.get((tag, name)) or _ANYWHERE.get(name)
            if role is not None:
                self.take(role, value)
        if tag == "link":
            self._link(attributes)
        elif tag == "meta":
            self._meta(attributes)
        elif tag == "base" and self._base is None and attributes.get("href"):
            self._base = absolute(self._url, attributes["href"])
        elif tag == "style" or (tag == "title" and not self.named.title):
            self._inside = tag

    #: lxml asks for it at every page, and it takes long to find out.
    start.__signature__ = signature(start)  # type: ignore[attr-defined]

    def end(self, tag: str) -> None:
        self._end_text()

    def data(self, text: str) -> None:
        if self._inside:
            self._text.append(text)

    def close(self) -> None:
        self._end_text()

    def _end_text(self) -> None:
        if not self._inside:
            return
        text = "".join(self._text)
        if self._inside == "style":
            self.take("style", text)
        else:
            self.named.title = " ".join(text[: 4 * MAX_TITLE].split())[:MAX_TITLE]
        self._inside = ""
        self._text.clear()

    def take(self, role: str, value: str) -> None:
        """Take the URLs of an attribute or a style."""
        if role == "srcset":
            self._add(self.named.requisites, srcset(value))
        elif role == "style":
            self._add(self.named.requisites, css(value))
        else:
            self._add(getattr(self.named, role), (value,))

    def _add(self, found: dict[str, None], urls: Iterable[str]) -> None:
        for url in urls:
            if len(found) >= MAX_URLS or self._looked_at >= MAX_LOOKED_AT or self._length >= MAX_URLS_LENGTH:
                return
            self._looked_at += 1
            if (full := absolute(self._base or self._url, url)) and full not in found:
                found[full] = None
                self._length += len(full) + len(self._url)

    def _link(self, attributes: Mapping[str, str]) -> None:
        rels = set(attributes.get("rel", "").lower().split())
        target = attributes.get("href", "")
        if rels & _REQUISITE_RELS:
            self._add(self.named.requisites, (target,))
        elif "alternate" in rels and attributes.get("type", "").strip().lower() in _FEED_TYPES:
            self._add(self.named.feeds, (target,))
        elif rels & _LINK_RELS:
            self._add(self.named.links, (target,))
        if "canonical" in rels:
            self.named.canonical = self.named.canonical or absolute(self._base or self._url, target) or ""

    def _meta(self, attributes: Mapping[str, str]) -> None:
        content = attributes.get("content", "")
        if attributes.get("http-equiv", "").strip().lower() == "refresh":
            self._add(self.named.links, (refresh(content),))
        elif (attributes.get("property") or attributes.get("name") or "").lower() in _META_REQUISITES:
            self._add(self.named.requisites, (content,))
