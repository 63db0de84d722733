"""What HTML, CSS and XML name: links, requisites, feeds. Pure, quick, and unmoved by hostile input."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from lxml import etree
from selectolax.lexbor import LexborHTMLParser

if TYPE_CHECKING:
    from collections.abc import Iterator

#: URLs taken from one page at the most: more is a trap, not a page.
MAX_URLS = 20_000
_CSS_URL = re.compile(r"""url\(\s*(?:"([^"\n]{1,4096})"|'([^'\n]{1,4096})'|([^"'()\s]{1,4096}))\s*\)|@import\s+(?:"([^"\n]{1,4096})"|'([^'\n]{1,4096})')""", re.I)
_SRCSET = re.compile(r"\s*([^\s,][^\s]*[^\s,]|[^\s,])(?:\s+[\d.]+[wxh])*\s*(?:,|$)")
_REFRESH = re.compile(r"""^\s*[\d.]*\s*[;,]?\s*url\s*=\s*["']?([^"'\s>]+)""", re.I)
_REQUISITE_RELS = frozenset({
    "stylesheet", "icon", "shortcut", "apple-touch-icon", "preload", "modulepreload", "manifest", "mask-icon", "prefetch",
})  # fmt: skip
_FEED_TYPES = frozenset({"application/rss+xml", "application/atom+xml", "application/feed+json"})
_SOURCES = (("img", "src"), ("script", "src"), ("source", "src"), ("video", "src"), ("audio", "src"), ("video", "poster"),
            ("embed", "src"), ("track", "src"), ("input", "src"), ("object", "data"), ("image", "href"), ("use", "href"),
            ("img", "data-src"), ("img", "data-lazy-src"), ("body", "background"))  # fmt: skip
_SRCSETS = (("img", "srcset"), ("source", "srcset"), ("img", "data-srcset"), ("link", "imagesrcset"))


@dataclass(slots=True)
class Named:
    """The URLs a page names, absolute, each once and in order."""

    links: dict[str, None] = field(default_factory=dict)
    requisites: dict[str, None] = field(default_factory=dict)
    feeds: dict[str, None] = field(default_factory=dict)
    frames: dict[str, None] = field(default_factory=dict)
    title: str = ""


def absolute(base: str, url: str) -> str | None:
    """Return an absolute http(s) URL without fragment, or None."""
    try:
        joined = urljoin(base, url.strip())
        parts = urlsplit(joined)
        parts.port  # noqa: B018 - raises for a port that is none
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return None
    return joined.partition("#")[0]


def page(text: str, url: str) -> Named:
    """Return what an HTML page names."""
    named = Named()
    if not text.strip():
        return named
    tree = LexborHTMLParser(text)
    base = url
    if (node := tree.css_first("base[href]")) is not None:
        base = absolute(url, node.attributes.get("href") or "") or url
    if (node := tree.css_first("title")) is not None:
        named.title = node.text(strip=True)[:500]
    _links(tree, base, named)
    _requisites(tree, base, named)
    return named


def _links(tree: LexborHTMLParser, base: str, named: Named) -> None:
    for node in tree.css("a[href], area[href]"):
        _add(named.links, base, node.attributes.get("href"))
    for node in tree.css("iframe[src], frame[src]"):
        _add(named.frames, base, node.attributes.get("src"))
    for node in tree.css("meta[http-equiv]"):
        found = _REFRESH.match(node.attributes.get("content") or "")
        if (node.attributes.get("http-equiv") or "").lower() == "refresh" and found:
            _add(named.links, base, found[1])
    for node in tree.css("link[href]"):
        rels = set((node.attributes.get("rel") or "").lower().split())
        target = node.attributes.get("href")
        if rels & _REQUISITE_RELS:
            _add(named.requisites, base, target)
        elif "alternate" in rels and (node.attributes.get("type") or "").lower() in _FEED_TYPES:
            _add(named.feeds, base, target)
        elif rels & {"next", "prev", "canonical", "amphtml"}:
            _add(named.links, base, target)


def _requisites(tree: LexborHTMLParser, base: str, named: Named) -> None:
    for tag, attribute in _SOURCES:
        for node in tree.css(f"{tag}[{attribute}]"):
            _add(named.requisites, base, node.attributes.get(attribute))
    for tag, attribute in _SRCSETS:
        for node in tree.css(f"{tag}[{attribute}]"):
            for candidate in srcset(node.attributes.get(attribute) or ""):
                _add(named.requisites, base, candidate)
    for node in tree.css("meta[property='og:image'], meta[property='og:video'], meta[name='twitter:image']"):
        _add(named.requisites, base, node.attributes.get("content"))
    for node in tree.css("style"):
        for target in css(node.text()):
            _add(named.requisites, base, target)
    for node in tree.css("[style]"):
        for target in css(node.attributes.get("style") or ""):
            _add(named.requisites, base, target)


def _add(found: dict[str, None], base: str, url: str | None) -> None:
    if url and len(found) < MAX_URLS and not url.startswith(("#", "data:", "javascript:")) and (full := absolute(base, url)):
        found[full] = None


def srcset(value: str) -> Iterator[str]:
    """Yield the URLs of a srcset attribute (HTML standard, "parse a srcset attribute")."""
    for found in _SRCSET.finditer(value[:100_000]):
        if not found[1].startswith("data:"):
            yield found[1]


def css(text: str) -> Iterator[str]:
    """Yield the URLs that a stylesheet names with ``url()`` and ``@import``."""
    for found in _CSS_URL.finditer(text):
        target = next((group for group in found.groups() if group), "")
        if target and not target.startswith(("data:", "#")):
            yield target.replace("\\", "")


def xml(data: bytes) -> etree._Element | None:
    """Return the root of an XML document, however broken; entities and the network stay untouched."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, recover=True, huge_tree=False, load_dtd=False)
    try:
        return etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError):
        return None


def local(element: etree._Element) -> str:
    """Return an element's name without its namespace."""
    tag = element.tag
    return tag.rsplit("}", 1)[-1].lower() if isinstance(tag, str) else ""
