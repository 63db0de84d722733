"""WordPress, through its REST API (developer.wordpress.org/rest-api), and through what people see where that is closed.

How it is walked: the types and taxonomies that the API names, each listing oldest first by id, so that nothing shifts
while it is read; then the sitemap, for what the API leaves out. Ids are shared by posts, pages and uploads; comments
have their own, and are called ``comment-N`` as their anchors are. Where the API is closed, pages come from the sitemap,
without one from the feed, and what they say of themselves is read from their HTML.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urljoin, urlsplit

from crawler.model import Claim, Media, Note, Verdict
from crawler.url import host_of
from spiders.api import number, objects, text, turn, with_query
from spiders.base import EXTRAS, IMAGES, LISTINGS, ORIGINALS, PAGES, REQUISITES, Evidence, Territory, Yield
from spiders.feeds import entries
from spiders.html import absolute, page
from spiders.pages import MAX_NESTING, PageSpider, is_page, kind_of, level, text_of
from spiders.window import Window, day, instant
from spiders.wordpress_items import (
    MAX_HEAD,
    door,
    face_of,
    header,
    is_public,
    item_of,
    original_of,
    places,
    shown,
    uploads,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from crawler.model import Fetch, Lane, Seed
    from crawler.response import CaptureResponse

#: The most that a page of a listing may hold.
PAGE = 100
#: What a server compares dates with is its own local time, which may be this far from ours.
MARGIN = timedelta(hours=14)
#: Type → the kind of coverage, and why the listing's own count differs from what strangers can have.
_COUNTED = {
    "post": ("post", "counts what has a password, too"),
    "page": ("static", "counts what has a password, too"),
    "attachment": ("upload", "counts uploads to posts that strangers cannot have, too"),
    "comment": ("comment", "counts comments on posts that strangers cannot have, too"),
    "account": ("account", "counts only those who published something"),
}
_GENERATOR = re.compile(r"<meta[^>]{0,100}?name=[\"']generator[\"'][^>]{0,100}?content=[\"']WordPress\b([^\"']{0,40})")
_MORE_COMMENTS = re.compile(r"/comment-page-[0-9]+/?$|[?&]cpage=[0-9]+$")
_NO_PAGE = re.compile(r"\?|/(?:wp-admin|wp-json|wp-login|xmlrpc|feed|trackback|embed)(?:[/.]|$)")
_IMAGE = re.compile(r"\.(?:jpe?g|png|gif|webp|avif|heic|bmp|tiff?|svg|ico)$", re.IGNORECASE)
#: A page of one thing, as the class of its body says.
_SINGLE = re.compile(rb"<body[^>]{0,4000}?class=\"[^\"]{0,4000}?\b(?:single|page-id-[0-9]+|attachment)\b")


class WordPressSpider(PageSpider):
    """Walks one WordPress site."""

    name = "wordpress"
    title: ClassVar[str] = "WordPress"
    markup: ClassVar[bool] = True
    software: ClassVar[frozenset[str]] = frozenset({"wordpress"})
    lanes: ClassVar[tuple[Lane, ...]] = (LISTINGS, PAGES, REQUISITES, IMAGES, ORIGINALS, EXTRAS)
    kinds: ClassVar[tuple[str, ...]] = (
        "post", "static", "entry", "comment", "account", "upload", "preview", "avatar", "page", "asset",
    )  # fmt: skip
    reads_refusals: ClassVar[frozenset[str]] = frozenset({"parse_types", "parse_listing", "parse_sitemap"})
    reads_holes: ClassVar[frozenset[str]] = frozenset({"parse_types", "parse_listing", "parse_sitemap"})
    names_all: ClassVar[frozenset[str]] = frozenset({"parse_listing"})

    @classmethod
    def recognise(cls, replies: Sequence[CaptureResponse]) -> Evidence | None:
        """Know the door of the API, or the name that pages carry."""
        for reply in replies:
            start = text_of(reply)[:MAX_HEAD] if kind_of(reply) == "html" else ""
            if found := _GENERATOR.search(start):
                return Evidence(confidence=97, reasons=(f"its page says WordPress{found[1]}",))
            if door(reply):
                return Evidence(confidence=97, reasons=("it names the door of WordPress's API",))
            if "/wp-includes/" in start and "/wp-content/" in start:
                return Evidence(confidence=80, reasons=("its page is made of parts of WordPress",))
        return super().recognise(replies)

    @classmethod
    def territory(cls, seed: Seed) -> Territory:
        """Return the host, and of one with several sites the seed's path."""
        host, path = host_of(seed.url), urlsplit(seed.url).path
        twin = host.removeprefix("www.") if host.startswith("www.") else f"www.{host}"
        return Territory(hosts=(host, twin), paths=(path,) if len(path) > 1 and path.endswith("/") else ())

    def judge(self, response: CaptureResponse) -> Verdict:
        """Know what its own data calls private, and the form before a post with a password."""
        if response.status == 200 and response.fetch.callback == "parse_listing":
            said = response.data()
            if not all(is_public(one) for one in objects(said)):
                return Verdict.MIXED
            return Verdict.OK if not isinstance(said, dict) or is_public(said) else Verdict.PRIVATE
        if response.status == 200 and response.fetch.callback in {"parse_page", "parse_post"}:
            body = response.body
            if b"post-password-form" in body and _SINGLE.search(body):
                return Verdict.PRIVATE
        return super().judge(response)

    def seeds(self, seed: Seed) -> Iterator[Fetch]:
        """Yield the front page, which may name the door of the API, and the place where it usually is."""
        yield self.fetch(seed.url, lane=PAGES, callback=self.parse_home, covers=("page", seed.url))
        yield self._types(urljoin(seed.url, "wp-json/"))

    def _types(self, root: str, parent: CaptureResponse | None = None) -> Fetch:
        url = _endpoint(root, "wp/v2/types")
        return self.fetch(
            url, lane=LISTINGS, parent=parent, callback=self.parse_types, cursor={"root": root}, sweep=True, depth=0
        )

    # What leads to everything

    def parse_home(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read where the API is, where the page says so."""
        yield from self.parse_page(response)
        if root := door(response):
            yield self._types(root, response)

    def parse_types(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read which listings there are, or hear that the API is closed and take the other way."""
        root = (response.fetch.cursor or {}).get("root", "")
        listed = list(places(response.data())) if response.status == 200 else []
        if not listed and response.status == 404 and "rest_route=" not in root:
            yield self._types(urljoin(self.seed.url, "?rest_route=/"), response)
        elif not listed:
            yield from self._closed(response)
        else:
            listed += [("comment", "wp/v2/comments"), ("account", "wp/v2/users")]
            if not Window.of(self.seed):
                listed.append(("taxonomies", "wp/v2/taxonomies"))
            for kind, place in listed:
                yield self._listing(kind, root, place, 1, response)

    def _listing(
        self, kind: str, root: str, place: str, turned: int, parent: CaptureResponse, *, sweep: bool = True
    ) -> Fetch:
        window = Window.of(self.seed) if kind not in {"account", "term"} else Window()
        url = _endpoint(root, place)
        if kind != "taxonomies":
            url = with_query(
                url, per_page=PAGE, page=turned, orderby="id", order="desc",
                after=f"{window.since - MARGIN:%Y-%m-%dT%H:%M:%S}" if window.since else None,
                before=f"{window.until + MARGIN:%Y-%m-%dT%H:%M:%S}" if window.until else None,
            )  # fmt: skip
        cursor = {"kind": kind, "root": root, "place": place, "turned": turned}
        return self.fetch(
            url, lane=LISTINGS, parent=parent, callback=self.parse_listing, cursor=cursor, sweep=sweep, depth=0
        )

    def _closed(self, response: CaptureResponse) -> Iterator[Yield]:
        why = text(response.data(), "code") or "no JSON"
        told = f"The REST API is closed to strangers (HTTP {response.status}, {why}); pages are read instead."
        yield Note(text=told, url=response.url)
        yield (
            self._feed(1, response) if Window.of(self.seed) else self._sitemap("wp-sitemap.xml", {"level": 0}, response)
        )

    # Listings of the API

    def parse_listing(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page of a listing, and name the next one while the totals say that there is one."""
        cursor = response.fetch.cursor or {}
        kind, root, place, turned = (cursor[name] for name in ("kind", "root", "place", "turned"))
        said = response.data()
        if response.status == 200 and kind == "taxonomies" and isinstance(said, dict):
            for _, found in places(said):
                yield self._listing("term", root, found, 1, response)
            return
        if response.status != 200 or not isinstance(said, list):
            if turned == 1:  # beyond it lies the end of a listing that did not say where it is
                yield from self._refused(kind, response)
            return
        for one in filter(is_public, objects(said)):
            yield from self._thing(kind, one, response)
        pages = header(response, "X-WP-TotalPages")
        if turned == 1 and kind != "term" and not Window.of(self.seed):
            yield from _claims(kind, place, response)
        if turned < pages if pages is not None else len(said) >= PAGE:
            # A page may be short of what strangers may not see, and not be the last: the totals count that, too.
            following = self._listing(kind, root, place, turned + 1, response, sweep=pages is None)
            yield from turn(response, [text(one, "id") for one in objects(said)], following, newest_first=True)
        if turned == 1 and kind == "post" and not Window.of(self.seed):
            yield self._sitemap("wp-sitemap.xml", {"level": 0, "open": True}, response)

    def _refused(self, kind: str, response: CaptureResponse) -> Iterator[Yield]:
        why = text(response.data(), "code") or "no list"
        yield Note(
            text=f"The list of {kind}s is closed to strangers (HTTP {response.status}, {why}).", url=response.url
        )
        if kind == "post":
            yield (
                self._feed(1, response)
                if Window.of(self.seed)
                else self._sitemap("wp-sitemap.xml", {"level": 0}, response)
            )

    def _thing(self, kind: str, one: dict[str, Any], response: CaptureResponse) -> Iterator[Yield]:
        """Yield what one object of a listing is, its page, its face and its files."""
        url, when = absolute(response.url, text(one, "link")), instant(text(one, "date_gmt"))
        if kind not in {"account", "term"} and not Window.of(self.seed).holds(when):
            return
        item = item_of(one, kind, response)
        if item is not None:
            yield item
        if face := absolute(response.url, face_of(one)):
            yield self.fetch(face, lane=EXTRAS, parent=response, covers=("avatar", face))
        if url and number(one, "count") != 0:  # a term that nothing bears
            covers = ("account", text(one, "id")) if kind == "account" else ("page", url)
            yield self.fetch(url, lane=PAGES, parent=response, callback=self.parse_page, covers=covers, day=day(when))
        for file, variant in uploads(one) if isinstance(item, Media) else ():
            if found := absolute(response.url, file):
                yield self._file(found, variant, response, day=day(when))

    def _file(self, url: str, variant: str, response: CaptureResponse, **work: Any) -> Fetch:
        if variant != "original":
            return self.fetch(url, lane=EXTRAS, parent=response, covers=("preview", url), **work)
        lane = IMAGES if _IMAGE.search(urlsplit(url).path) else ORIGINALS
        return self.fetch(url, lane=lane, parent=response, covers=("upload", url), **work)

    # The other way

    def _sitemap(self, url: str, cursor: dict[str, Any], response: CaptureResponse) -> Fetch:
        return self.fetch(
            urljoin(self.seed.url, url), lane=LISTINGS, parent=response, callback=self.parse_sitemap, cursor=cursor,
            sweep=True, depth=0,
        )  # fmt: skip

    def parse_sitemap(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a sitemap or an index of them. Where there is none and the API is closed, too, go by the feed."""
        cursor, deep = response.fetch.cursor or {}, level(response)
        if response.status != 200 or kind_of(response) != "listing":
            if not deep:
                what = "the API is all there is" if cursor.get("open") else "the feed is read"
                yield Note(text=f"There is no sitemap (HTTP {response.status}); {what}.", url=response.url)
            if not deep and not cursor.get("open"):
                yield self._feed(1, response)
            return
        with response.open() as stream:
            for entry in entries(stream):
                url = absolute(response.url, entry.url)
                if url and entry.kind == "sitemap" and deep < MAX_NESTING:
                    yield self._sitemap(url, {**cursor, "level": deep + 1}, response)
                elif url and entry.kind == "page":
                    # Beside an open API it only names what that forgot.
                    yield self._page(url, response, deeper=bool(cursor.get("open")))

    def _feed(self, turned: int, response: CaptureResponse) -> Fetch:
        url = with_query(urljoin(self.seed.url, "feed/"), paged=turned)
        cursor = {"turned": turned}
        return self.fetch(
            url, lane=LISTINGS, parent=response, callback=self.parse_feed, cursor=cursor, sweep=True, depth=0
        )

    def parse_feed(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page of the feed, newest first. The last one is short, or the one after it is not there."""
        cursor, window = response.fetch.cursor or {}, Window.of(self.seed)
        found: dict[str, datetime | None] = {}
        with response.open() as stream:
            for entry in entries(stream):
                if entry.kind == "page" and (url := absolute(response.url, entry.url)):
                    found[url] = instant(entry.published)
        for url, when in found.items():
            if window.holds(when):
                yield self._page(url, response, day=day(when), cursor=None if window else {"walk": True})
        if len(found) >= max(cursor.get("most", 1), 1) and not all(map(window.is_before, found.values())):
            following = self._feed(cursor.get("turned", 1) + 1, response)
            following = replace(following, cursor={**(following.cursor or {}), "most": len(found)})
            yield from turn(response, found, following, newest_first=True)

    def _page(self, url: str, response: CaptureResponse, **work: Any) -> Fetch:
        return self.fetch(url, lane=PAGES, parent=response, callback=self.parse_post, covers=("page", url), **work)

    def parse_post(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page that the API did not name: what it shows, more pages of comments, and uploads.

        Where nothing lists the site's pages, their links do.
        """
        yield from self.parse_page(response)
        if kind_of(response) != "html":
            return
        markup = text_of(response)
        yield from shown(markup, response)
        named = page(markup, response.url)
        walk = response.fetch.cursor
        for url in named.links:
            if _MORE_COMMENTS.search(url) or (walk and is_page(url) and not _NO_PAGE.search(url)):
                yield self._page(url, response, cursor=walk)
        for url in (*named.requisites, *named.links):
            if "/uploads/" in url and not is_page(url):
                file = original_of(url)
                yield self._file(file, "original", response, sweep=file != url)


def _endpoint(root: str, place: str) -> str:
    """Return the URL of an endpoint, below the API's door or in its query."""
    return with_query(root, rest_route=f"/{place}") if "rest_route=" in root else urljoin(root, place)


def _claims(kind: str, place: str, response: CaptureResponse) -> Iterator[Claim]:
    total = header(response, "X-WP-Total")
    if total is None:
        return
    ours, caveat = _COUNTED.get(kind, ("entry", "counts what has a password, too"))
    counter = f"X-WP-Total of {place.rpartition('/')[2]}"
    yield Claim(kind=ours, count=total, counter=counter, caveat=caveat, url=response.url)
