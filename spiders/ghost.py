"""Ghost, through its Content API (docs.ghost.org/content-api), whose key every page prints for its own scripts.

How it is walked: posts, pages, authors and tags, oldest first, a hundred at a time; comments post by post, where the
site has them; uploads as they were uploaded (Ghost keeps the original beside what it shows, as ``name_o.jpg``). Posts
for members stand in all lists with as much as strangers may read, and their pages show the same. Without a key the
sitemap names the pages, and what they say of themselves is read from their HTML.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urljoin, urlsplit

from crawler.model import Account, Claim, Media, Note, Post, Verdict
from crawler.url import host_of
from spiders.api import at, number, objects, source, text, turn, with_query
from spiders.base import EXTRAS, IMAGES, LISTINGS, ORIGINALS, PAGES, POSTS, REQUISITES, Evidence, Territory, Yield
from spiders.feeds import entries
from spiders.html import absolute, page
from spiders.pages import MAX_NESTING, PageSpider, is_page, kind_of, level, text_of
from spiders.window import Window, day, instant, span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from crawler.model import Fetch, Lane, Seed
    from crawler.response import CaptureResponse

#: The most that a page of a listing may hold, and characters of a page in which it says what it is made with.
PAGE, MAX_HEAD = 100, 200_000
#: List of the API → the kind of coverage, its order, and why the platform's own count may differ.
_LISTS = {
    "posts": ("post", "published_at desc", "counts posts for members, of which strangers see the beginning"),
    "pages": ("static", "published_at desc", ""),
    "authors": ("account", "slug asc", ""),
    "tags": ("tag", "slug asc", ""),
}
_GENERATOR = re.compile(r"<meta[^>]{0,100}?name=[\"']generator[\"'][^>]{0,100}?content=[\"']Ghost\b([^\"']{0,40})")
_SCRIPT = re.compile(r"<script\b[^>]{0,2000}?\bdata-key=[\"']([0-9a-f]{10,64})[\"'][^>]{0,2000}>")
_API = re.compile(r"\bdata-(?:api|sodo-search|ghost)=[\"'](https?://[^\"']{1,1000})[\"']")
_UPLOAD = re.compile(r"/content/(?:images|media|files)/")
_SIZED = re.compile(r"/size/w[0-9]{1,5}(?:h[0-9]{1,5})?(?:/format/[a-z]{3,5})?(?=/)")
#: Pictures that Ghost makes smaller when they are uploaded.
_KEPT = re.compile(r"(?<!_o)(\.(?:jpe?g|png|webp|avif))$", re.IGNORECASE)
_PUBLISHED = re.compile(
    r"<meta[^>]{0,100}?property=[\"']article:published_time[\"'][^>]{0,100}?content=[\"']([^\"']{1,40})"
)


class GhostSpider(PageSpider):
    """Walks one Ghost site."""

    name = "ghost"
    title: ClassVar[str] = "Ghost"
    markup: ClassVar[bool] = True
    lanes: ClassVar[tuple[Lane, ...]] = (LISTINGS, POSTS, PAGES, REQUISITES, IMAGES, ORIGINALS, EXTRAS)
    kinds: ClassVar[tuple[str, ...]] = (
        "post", "static", "comment", "account", "tag", "image", "original", "file", "page", "asset",
    )  # fmt: skip
    reads_refusals: ClassVar[frozenset[str]] = frozenset({"parse_list"})
    reads_holes: ClassVar[frozenset[str]] = frozenset({"parse_list", "parse_sitemap"})

    @classmethod
    def recognise(cls, replies: Sequence[CaptureResponse]) -> Evidence | None:
        """Know what every page of Ghost says of itself."""
        for reply in replies:
            start = text_of(reply)[:MAX_HEAD] if kind_of(reply) == "html" else ""
            if found := _GENERATOR.search(start):
                return Evidence(confidence=97, reasons=(f"its page says Ghost{found[1]}",))
        return super().recognise(replies)

    @classmethod
    def territory(cls, seed: Seed) -> Territory:
        """Return the site's host; its uploads may be anywhere."""
        host = host_of(seed.url)
        return Territory(hosts=(host, host.removeprefix("www.") if host.startswith("www.") else f"www.{host}"))

    def judge(self, response: CaptureResponse) -> Verdict:
        """Know lists in which more stands than strangers may read."""
        if response.status == 200 and response.fetch.callback in {"parse_list", "parse_comments"}:
            said = response.data()
            if any(_is_leaked(one) for name in ("posts", "pages") for one in objects(said, name)):
                return Verdict.MIXED
            if any(_is_withdrawn(one) and text(one, "html") for one in objects(said, "comments")):
                return Verdict.MIXED
        return super().judge(response)

    def seeds(self, seed: Seed) -> Iterator[Fetch]:
        """Yield the front page, which prints the key."""
        yield self.fetch(seed.url, lane=PAGES, callback=self.parse_home, covers=("page", seed.url))

    def parse_home(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read the key and where the API is; where a page prints none, go by the sitemap."""
        yield from self.parse_shown(response)
        found = _SCRIPT.search(text_of(response)[:MAX_HEAD]) if kind_of(response) == "html" else None
        if found is None:
            yield Note(text="No page prints a key for the API; the sitemap and pages are read.", url=response.url)
            yield self._sitemap("/sitemap.xml", response)
            return
        place = next(iter(_API.findall(found[0])), self.seed.url)
        root = place if "/ghost/api/" in place else urljoin(place, "ghost/api/content/")
        if host_of(root) not in self.territory(self.seed).hosts:
            root = urljoin(self.seed.url, "/ghost/api/content/")  # the same site under its provider's name
        yield self._list("posts", root, found[1], 1, response)

    def _list(self, name: str, root: str, key: str, turned: int, parent: CaptureResponse) -> Fetch:
        window, bounds = Window.of(self.seed), []
        if window.since and name in {"posts", "pages"}:
            bounds.append(f"published_at:>='{window.since:%Y-%m-%d %H:%M:%S}'")
        if window.until and name in {"posts", "pages"}:
            bounds.append(f"published_at:<'{window.until:%Y-%m-%d %H:%M:%S}'")
        asked = with_query(
            urljoin(root, f"{name}/"), key=key, limit=PAGE, page=turned, order=_LISTS[name][1],
            filter="+".join(bounds) or None, include="authors,tags" if name in {"posts", "pages"} else "count.posts",
        )  # fmt: skip
        cursor = {"name": name, "root": root, "key": key, "turned": turned}
        return self.fetch(
            asked, lane=LISTINGS, parent=parent, callback=self.parse_list, cursor=cursor, sweep=turned == 1
        )

    def parse_list(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page of a list of the API."""
        cursor = response.fetch.cursor or {}
        name, root, key, turned = (cursor[one] for one in ("name", "root", "key", "turned"))
        said = response.data()
        if response.status != 200 or not isinstance(at(said, name), list):
            yield Note(text=f"The list of {name} is closed to strangers (HTTP {response.status}).", url=response.url)
            if name == "posts":
                yield self._sitemap("/sitemap.xml", response)
            return
        if name == "posts" and turned == 1:  # the key is good
            for other in ("pages", "authors") if Window.of(self.seed) else ("pages", "authors", "tags"):
                yield self._list(other, root, key, 1, response)
        kind, _, caveat = _LISTS[name]
        total, following = number(said, "meta", "pagination", "total"), number(said, "meta", "pagination", "next")
        if total is not None and turned == 1 and not Window.of(self.seed):
            yield Claim(kind=kind, count=total, counter=f"pagination.total of {name}", caveat=caveat, url=response.url)
        for one in objects(said, name):
            if kind in {"post", "static"}:
                yield from self._post(one, kind, response)
            else:
                yield from self._place(one, kind, response)
        if following is not None and following == turned + 1:
            ids = [text(one, "id") for one in objects(said, name)]
            older = self._list(name, root, key, following, response)
            yield from turn(response, ids, older, newest_first=name in {"posts", "pages"})

    def _post(self, one: dict[str, Any], kind: str, response: CaptureResponse) -> Iterator[Yield]:
        when, url = instant(text(one, "published_at")), absolute(response.url, text(one, "url"))
        if not text(one, "id") or not Window.of(self.seed).holds(when) or text(one, "status") not in {"", "published"}:
            return
        markup = "" if _is_leaked(one) else text(one, "html")
        files = list(_files(markup, one, url or response.url))
        yield Post(
            platform=self.name, id=text(one, "id"), url=url or "", kind=kind, text=markup,
            author=text(one, "primary_author", "id") or None, author_name=text(one, "primary_author", "slug") or None,
            created_at=span(when), media=tuple(files),
            hashtags=tuple(text(tag, "name") for tag in objects(one, "tags")),
            extra={"title": text(one, "title"), "visibility": text(one, "visibility"), "slug": text(one, "slug"),
                   "edited_at": text(one, "updated_at"), "excerpt": text(one, "custom_excerpt")},
            **source(response),
        )  # fmt: skip
        if url:
            reading = self.parse_shown if _is_leaked(one) else self.parse_page
            yield self.fetch(url, lane=PAGES, parent=response, callback=reading, covers=("page", url), day=day(when))
        for file in files:
            yield from self._file(file, f"{kind}/{text(one, 'id')}", when, response)
        if kind == "post" and one.get("comment_id") and one.get("comments") is not False:
            place = urljoin(self.seed.url, f"/members/api/comments/post/{text(one, 'id')}/")
            yield self._comments(with_query(place, limit=PAGE, page=1), {"post": text(one, "id")}, response)

    def _place(self, one: dict[str, Any], kind: str, response: CaptureResponse) -> Iterator[Yield]:
        """Yield an author or a tag, with the page and the pictures of it."""
        url, identity = absolute(response.url, text(one, "url")), text(one, "id")
        if kind == "account" and identity:
            yield Account(
                platform=self.name, id=identity, username=text(one, "slug"), url=url or "", name=text(one, "name"),
                bio=text(one, "bio"), avatar=text(one, "profile_image") or None,
                banner=text(one, "cover_image") or None,
                extra={"website": text(one, "website"), "location": text(one, "location")}, **source(response),
            )  # fmt: skip
        if url and not (kind == "tag" and number(one, "count", "posts") == 0):
            covers = (kind, identity) if kind == "account" else ("page", url)
            yield self.fetch(url, lane=PAGES, parent=response, callback=self.parse_page, covers=covers)
        for file in _files("", one, url or response.url):
            yield from self._file(file, None, None, response)

    def _file(self, url: str, post: str | None, when: datetime | None, response: CaptureResponse) -> Iterator[Yield]:
        is_image = "/content/images/" in url
        if post:
            yield Media(
                platform=self.name, id=url, url=url, kind="image" if is_image else "file", post=post, **source(response)
            )
        kind, lane = ("image", IMAGES) if is_image else ("file", ORIGINALS)
        yield self.fetch(url, lane=lane, parent=response, covers=(kind, url), day=day(when))
        if is_image and _KEPT.search(urlsplit(url).path):
            kept = _KEPT.sub(r"_o\1", url)
            yield self.fetch(kept, lane=IMAGES, parent=response, covers=("original", kept), day=day(when), sweep=True)

    # Comments

    def _comments(self, url: str, cursor: dict[str, Any], response: CaptureResponse) -> Fetch:
        return self.fetch(url, lane=POSTS, parent=response, callback=self.parse_comments, cursor=cursor, sweep=True)

    def parse_comments(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page of the comments on a post, or of the answers to one of them."""
        cursor, said = response.fetch.cursor or {}, response.data()
        found = objects(said, "comments")
        for one in found:
            yield from self._comment(one, cursor.get("above", ""), cursor.get("post", ""), response)
            answers = objects(one, "replies")
            for other in answers:
                yield from self._comment(other, text(one, "id"), cursor.get("post", ""), response)
            if (number(one, "count", "replies") or 0) > len(answers):
                place = urljoin(self.seed.url, f"/members/api/comments/{text(one, 'id')}/replies/")
                last = f"id:>'{text(answers[-1], 'id')}'" if answers else None
                below = {"post": cursor.get("post", ""), "above": text(one, "id")}
                yield self._comments(with_query(place, limit=PAGE, filter=last), below, response)
        following = number(said, "meta", "pagination", "next")
        if following is not None and found:
            url = with_query(response.url, page=following)
            yield from turn(response, [text(one, "id") for one in found], self._comments(url, cursor, response))

    def _comment(self, one: dict[str, Any], above: str, post: str, response: CaptureResponse) -> Iterator[Yield]:
        when = instant(text(one, "created_at"))
        if _is_withdrawn(one) or not text(one, "id"):
            return
        yield Post(
            platform=self.name, id=text(one, "id"), url=f"{self.seed.url}#ghost-comments", kind="comment",
            author=text(one, "member", "uuid") or None, author_name=text(one, "member", "name") or None,
            text=text(one, "html"), created_at=span(when), in_reply_to=text(one, "in_reply_to_id") or above or post,
            extra={"post": post, "edited_at": text(one, "edited_at")}, **source(response),
        )  # fmt: skip
        if face := absolute(response.url, text(one, "member", "avatar_image")):
            yield self.fetch(face, lane=EXTRAS, parent=response, covers=("avatar", face))

    # The other way

    def _sitemap(self, url: str, response: CaptureResponse, deep: int = 0) -> Fetch:
        return self.fetch(
            urljoin(self.seed.url, url), lane=LISTINGS, parent=response, callback=self.parse_sitemap,
            cursor={"level": deep}, sweep=True,
        )  # fmt: skip

    def parse_sitemap(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a sitemap, or an index of them. What was not changed since a window began was not made in it."""
        if response.status != 200 or kind_of(response) != "listing":
            yield Note(text=f"There is no sitemap (HTTP {response.status}).", url=response.url)
            return
        with response.open() as stream:
            for entry in entries(stream):
                url = absolute(response.url, entry.url)
                if url and entry.kind == "sitemap" and level(response) < MAX_NESTING:
                    yield self._sitemap(url, response, level(response) + 1)
                elif url and entry.kind == "page" and not Window.of(self.seed).is_before(instant(entry.modified)):
                    yield self.fetch(url, lane=PAGES, parent=response, callback=self.parse_post, covers=("page", url))
                elif url and _UPLOAD.search(url):
                    yield from self._file(_SIZED.sub("", url), None, None, response)

    def parse_post(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page that the API did not name: what it says of itself, and its uploads."""
        markup = text_of(response) if kind_of(response) == "html" else ""
        yield from self.parse_shown(response)
        found = _PUBLISHED.search(markup[:MAX_HEAD])
        when, named = instant(found[1]) if found else None, page(markup, response.url)
        if found and Window.of(self.seed).holds(when):
            url = named.canonical or response.url
            yield Post(
                platform=self.name, id=urlsplit(url).path.strip("/").rpartition("/")[2], url=url, created_at=span(when),
                text=_article(markup), extra={"title": named.title}, **source(response),
            )  # fmt: skip

    def parse_shown(self, response: CaptureResponse) -> Iterator[Yield]:
        """Yield what a page needs, and the uploads that it shows, which nothing else may have named."""
        yield from self.parse_page(response)
        for file in _files(text_of(response), {}, response.url) if kind_of(response) == "html" else ():
            yield from self._file(file, None, None, response)


def _is_leaked(one: dict[str, Any]) -> bool:
    """Say whether a post for members stands here with its text, and nothing says that it is the part for all."""
    return text(one, "visibility") not in {"", "public"} and one.get("access") is not False and bool(text(one, "html"))


def _is_withdrawn(one: dict[str, Any]) -> bool:
    return text(one, "status") not in {"", "published"}


def _files(markup: str, one: dict[str, Any], url: str) -> Iterator[str]:
    """Yield the uploads that a text or an object names, each as the largest there is, once."""
    named = page(markup, url)
    images = (text(one, key) for key in ("feature_image", "og_image", "twitter_image", "profile_image", "cover_image"))
    written = [absolute(url, image) for image in images if image]
    found = [*written, *named.requisites, *(link for link in named.links if not is_page(link))]
    yield from dict.fromkeys(_SIZED.sub("", file) for file in found if file and _UPLOAD.search(file))


def _article(markup: str) -> str:
    """Return the markup of what a page says: its article, as far as it is closed."""
    begin, end = markup.find("<article"), markup.find("</article>")
    return markup[begin:end] if 0 <= begin < end else ""
