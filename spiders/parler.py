"""Parler as strangers could reach it from August 2018 to its end in January 2021 (not the later sites of that name).

How it is walked: a counter of all posts answers with their ids (``/v3/uuidConversion/post/<n>``); its span is searched
(``counter.py``), then swept block by block, newest first. A post's page names its author, its share page, and its
media: videos by URL, images by short links that redirect to the image host. A profile page shows at most twenty
posts and no way to more, so accounts cannot be listed; the counter is the only way to everything.

Pages say no more than "4 days ago", so every time is an interval. They are reckoned from the server's own clock
(its Date header, which is in the capture too): a page from a cache was "4 days ago" when it was made.

Options (``--option first=N --option last=N``): the lowest and highest id of the counter, where they are known.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from crawler.errors import UsageError
from crawler.model import Covered, Fetch, Standing, Verdict
from spiders import parler_api
from spiders import parler_items as items
from spiders.base import Evidence, PlatformSpider, Probe, Territory, Yield
from spiders.counter import Answer, Goal, Search
from spiders.html import absolute, page, style
from spiders.parler_pages import post_page, profile_page
from spiders.parler_places import (
    API,
    DOCUMENTS,
    HOSTS,
    IDS,
    LANES,
    MEDIA_HOSTS,
    PAPERS,
    REQUISITES,
    is_upload,
    place_of,
    variants,
)
from spiders.tree import MAX_PAGE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crawler.model import Lane, Seed
    from crawler.response import CaptureResponse
    from spiders.parler_pages import Card, PostPage

COUNTER = "https://api.parler.com/v3/uuidConversion/post/"
#: The one request that asks whether the JSON API answers without cookies.
API_DOOR = "https://api.parler.com/v1/discover/posts"
#: Ids of one block; the next block is named from its middle, so that the frontier never holds much more than two.
BLOCK = 500
#: Holes in a row after which nothing newer is expected; more in a counter with many holes.
EDGE = 64

_ID = re.compile(rb"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
_SHELL = re.compile(rb"<app-root|<title>\s*Parler Free Speech Social Network", re.IGNORECASE)
_S3_ERROR = re.compile(rb"^\s*<\?xml[^>]*>\s*(?:<!--.*?-->\s*)?<Error\b|^\s*<Error>\s*<Code>", re.DOTALL)
#: What the URL of an upload has in it.
_UPLOADED = re.compile(r"image-cdn\.|video\.", re.IGNORECASE)
_ASSET = re.compile(r"\.(?:css|js|svg|png|jpe?g|gif|ico|woff2?|ttf|otf|eot)$", re.IGNORECASE)


class ParlerSpider(PlatformSpider):
    """Walks Parler's public posts, profiles and media."""

    name = "parler"
    title: ClassVar[str] = "Parler"
    known_hosts: ClassVar[tuple[str, ...]] = HOSTS
    probes: ClassVar[tuple[Probe, ...]] = (Probe(path="https://parler.com/"), Probe(path=f"{COUNTER}1"))
    lanes: ClassVar[tuple[Lane, ...]] = LANES
    kinds: ClassVar[tuple[str, ...]] = (
        "post", "profile", "comment", "image", "video", "link", "share", "avatar", "banner", "preview", "variant",
        "document", "card", "id", "outlink",
    )  # fmt: skip
    reads_holes: ClassVar[frozenset[str]] = frozenset({"parse_id", "parse_post"})

    # Recognising

    @classmethod
    def recognise(cls, replies: Sequence[CaptureResponse]) -> Evidence | None:
        """Believe what only Parler's pages and API say, and only on its own hosts: nowhere else can it be walked."""
        ours = [reply for reply in replies if urlsplit(reply.url).hostname in HOSTS]
        reasons = [reason for reply in ours if (reason := _mark(reply)) is not None]
        return Evidence(confidence=97, reasons=tuple(dict.fromkeys(reasons))) if reasons else None

    @classmethod
    def territory(cls, seed: Seed) -> Territory:
        """Return all of Parler's own hosts, whatever the seed names."""
        return Territory(hosts=HOSTS)

    def judge(self, response: CaptureResponse) -> Verdict:
        """Know soft 404s, S3 errors and login walls from status, headers and the first 4 KiB."""
        parts = urlsplit(response.url)
        head = response.head_bytes
        if response.url.startswith(COUNTER):
            return _judge_number(response)
        if response.status < 500 and response.status not in {408, 425, 429} and _S3_ERROR.match(head):
            return Verdict.MISSING
        if parts.path.startswith("/auth/") or "/auth/access" in response.header("Location"):
            return Verdict.LOGIN
        if parts.path.startswith("/v1/") and response.status in {401, 403}:
            return Verdict.LOGIN
        if response.status == 200 and parts.path.startswith(("/post/", "/profile/")):
            return Verdict.MISSING if _SHELL.search(head) and b"og:url" not in head else Verdict.OK
        return super().judge(response)

    def read(self, response: CaptureResponse) -> Iterator[Yield]:
        """Run the callback; what a page names again and again (icons, faces, links) is yielded once."""
        named = set()
        for thing in super().read(response):
            if not isinstance(thing, Fetch) or thing.url not in named:
                named.add(thing.url if isinstance(thing, Fetch) else "")
                yield thing

    # Where it begins

    def seeds(self, seed: Seed) -> Iterator[Fetch]:
        """Begin the search for the counter's end; a seed that names a post or a profile is that and no more."""
        if self._is_narrow:
            yield from self._works(seed.url, None)
            return
        first, last = self._bounds(seed)
        if last is None:
            yield self._ask(Search.newest(first))
        else:
            yield from self._narrow(replace(Search.newest(first), is_open=False), first, last, None)
        yield self._paper("https://parler.com/", None)
        yield self.fetch(API_DOOR, lane=API, callback=self.parse_api, sweep=True)
        for host in sorted(PAPERS):
            yield self._paper(f"https://{host}/", None, sweep=True)

    def listed(self, url: str) -> Fetch:
        """Return the work of a URL that the user listed."""
        return self._at(url, None) or self._paper(url, None)

    def _bounds(self, seed: Seed) -> tuple[int, int | None]:
        texts = [seed.options.get("first") or "1", seed.options.get("last") or "1"]
        if not all(text.isascii() and text.isdigit() and len(text) < 16 for text in texts):
            raise UsageError("--option first=N and last=N want whole numbers.")
        first, last = int(texts[0]), int(texts[1]) if "last" in seed.options else None
        if last is not None and last < first:
            raise UsageError(f"--option last={last} is before first={first}.")
        return first, last

    @property
    def _is_narrow(self) -> bool:
        return place_of(self.seed.url) is not None

    @property
    def _is_windowed(self) -> bool:
        return bool(self.seed.since or self.seed.until)

    # The counter

    def parse_id(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read one number of the counter: its post, and what its cursor asks for (to search on, to sweep on)."""
        cursor = response.fetch.cursor or {}
        number = int((response.fetch.covers or ("id", "0"))[1])
        found = _ID.search(response.head_bytes) if response.status == 200 else None
        post = self._at(items.post_url(found[0].decode()), response) if found else None
        if "search" in cursor:
            yield from self._searched(Search.of(cursor["search"]), post, response)
            return
        if "below" in cursor:
            yield from self._sweep(cursor["first"], cursor["below"], tuple(cursor["asked"]), response)
        if post is not None:
            if cursor.get("edge"):
                yield from self._newer_than(number, cursor["edge"], response)
            yield post

    def _searched(self, search: Search, post: Fetch | None, response: CaptureResponse) -> Iterator[Yield]:
        """Take one answer of a search. In a window no post is fetched before it is known to belong."""
        if post is None:
            yield from self._step(search, Answer.HOLE, response)
        elif search.goal is not Goal.NEWEST:
            yield _witness(post, search)
        elif self._is_windowed:
            yield from self._step(search.remember(post.url), Answer.ABOVE, response)
        else:
            yield from self._step(search, Answer.ABOVE, response)
            yield post

    def _step(self, search: Search, said: Answer, response: CaptureResponse) -> Iterator[Yield]:
        """Go on with a search, or with what its end allows."""
        search = search.told(said)
        if search.at is not None:
            yield self._ask(search, response)
        elif search.goal is not Goal.NEWEST:
            yield from self._narrowed(search, response)
        elif search.proof is None:
            yield Covered(
                kind="id", id="span", standing=Standing.MISSING, url=COUNTER,
                reason="no number of the counter answered; if you know where it runs: --option first=N --option last=N",
            )  # fmt: skip
        else:
            # The search stops short of the very end; what is left of it may lie before --since, too.
            top = search.proof + _edge(search) if self._is_windowed else search.proof
            yield from self._narrow(search, search.first, top, response)

    def _narrow(self, search: Search, first: int, top: int, response: CaptureResponse | None) -> Iterator[Fetch]:
        """Look for the next end of the window in a span; sweep it when both are known."""
        goals = [Goal.UNTIL] * bool(self.seed.until) + [Goal.SINCE] * bool(self.seed.since)
        left = goals[goals.index(search.goal) + 1 :] if search.goal in goals else goals
        if left:
            search = search.moment(left[0], first, top)
            yield from [self._ask(search, response)] if search.at is not None else self._narrowed(search, response)
            return
        for number, url in search.found:
            if first <= number <= top and (post := self._at(url, response)):
                yield post
        if search.is_open:
            yield from self._newer_than(top, _edge(search), response)
        yield from self._sweep(first, top, search.asked, response)

    def _narrowed(self, search: Search, response: CaptureResponse | None) -> Iterator[Fetch]:
        """Go on with one end of the window found; only what is proved to lie outside is left out."""
        first, top = search.first, search.top
        if search.proof is not None and search.goal is Goal.UNTIL:
            top, search = search.proof - 1, replace(search, is_open=False)
        elif search.proof is not None:
            first = search.proof + 1
        yield from self._narrow(search, first, top, response)

    def _sweep(
        self, first: int, top: int, asked: tuple[int, ...], response: CaptureResponse | None = None
    ) -> Iterator[Fetch]:
        """Name the highest block of a span; one of its numbers, never asked before, carries the rest of the span."""
        low = max(first, top - BLOCK + 1)
        carrier = next((n for n in range((low + top) // 2, first - 1, -1) if n not in asked), None)
        low = low if carrier is None else min(low, carrier)
        for number in range(top, low - 1, -1):
            if number == carrier and low > first:
                rest = {"first": first, "below": low - 1, "asked": [n for n in asked if n < low]}
                yield self._number(number, response, **rest)
            else:
                yield self._number(number, response)

    def _newer_than(self, number: int, edge: int, response: CaptureResponse | None) -> Iterator[Fetch]:
        """Name what may come after the newest number known; each that answers names more."""
        return (self._number(n, response, edge=edge) for n in range(number + 1, number + 1 + edge))

    def _ask(self, search: Search, response: CaptureResponse | None = None) -> Fetch:
        assert search.at is not None
        if search.goal is not Goal.NEWEST and (post := self._at(search.known, response)):
            return _witness(post, search)
        return self._number(search.at, response, search=search.cursor())

    def _number(self, number: int, response: CaptureResponse | None, **cursor: Any) -> Fetch:
        return self.fetch(
            f"{COUNTER}{number}", lane=IDS, parent=response, callback=self.parse_id, cursor=cursor or None, sweep=True,
            covers=("id", str(number)),
        )  # fmt: skip

    def _side(self, goal: Goal, interval: tuple[datetime, datetime] | None) -> Answer:
        """Say where the boundary is, seen from a post made in this interval; believe only what is sure."""
        if interval is None:
            return Answer.HOLE
        if goal is Goal.SINCE:
            assert self.seed.since
            return Answer.ABOVE if interval[1] < datetime.fromisoformat(self.seed.since) else Answer.BELOW
        assert self.seed.until
        return Answer.BELOW if interval[0] >= datetime.fromisoformat(self.seed.until) else Answer.ABOVE

    def _is_outside(self, interval: tuple[datetime, datetime] | None) -> bool:
        """Say whether something surely does not belong to the window."""
        before = bool(self.seed.since) and self._side(Goal.SINCE, interval) is Answer.ABOVE
        return before or (bool(self.seed.until) and self._side(Goal.UNTIL, interval) is Answer.BELOW)

    # Pages

    def parse_post(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a post page: what it says, and the pages and media it names."""
        shown = post_page(_text(response)) if self._is_page(response) else None
        interval = items.written(shown.shown, response) if shown else None
        cursor = response.fetch.cursor or {}
        if "search" in cursor:
            search = Search.of(cursor["search"])
            yield from self._step(search, self._side(search.goal, interval), response)
        if shown is None:
            return
        identity = shown.id or (response.fetch.covers or ("post", ""))[1]
        if self._is_outside(interval):
            yield next(items.from_post(shown, identity, response))
            return
        day = items.day(interval)
        yield from items.from_post(shown, identity, response)
        if self.follows:
            yield from self._works(f"https://share.par.pw/post/{identity}", response, day=day)
        if self.follows and not self._is_narrow:
            yield from self._neighbours(shown, identity, response)
        for post, card in items.cards(shown.shown, identity):
            yield from self._uploads(card, post, response, day)
        yield from self._needs(response)

    def parse_profile(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a profile page: the account, and the posts on it whose ids it lets slip."""
        shown = profile_page(_text(response)) if self._is_page(response) else None
        if shown is None:
            return
        yield from items.from_profile(shown, response)
        for card in shown.cards:
            if self._is_outside(items.written(card, response)):
                continue
            if (identity := items.card_id(card)) and not self._is_windowed:
                yield from self._works(items.post_url(identity), response)
            for post, one in items.cards(card, identity):
                yield from self._uploads(one, post, response, None)
        for href in shown.bio_links:
            if not self._is_narrow and (url := absolute(response.url, href)):
                yield from self._works(url, response)
        yield from self._needs(response, uploads=not self._is_windowed)

    def parse_share(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a share page: the same post in a simpler form; it leads nowhere, but shows media."""
        yield from self._needs(response)

    def parse_link(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read where a short link redirects: to an upload, or to somebody else's page, which stays outside."""
        target = absolute(response.url, response.header("Location"))
        if not 300 <= response.status < 400 or target is None:
            return
        cursor = response.fetch.cursor or {}
        found = list(self._works(target, response, day=response.fetch.day))
        for fetch in found:
            if media := items.upload(fetch, cursor.get("post", ""), response, short=variants(response.url)[0]):
                yield media
        yield from found
        if not found:
            yield Covered(
                kind="outlink", id=target[:2000], standing=Standing.EXCLUDED, url=target[:2000],
                reason="somebody else's site: recorded, not followed",
            )  # fmt: skip

    def parse_document(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read the home page, or one of the papers that footers lead to."""
        if self._is_page(response):
            yield from self._needs(response)
            if not self._is_windowed and not self._is_narrow:
                for url in page(_text(response), response.url).links:
                    yield from self._works(url, response)

    def parse_style(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read what a style sheet names."""
        for url in style(_text(response), response.url).requisites:
            yield from self._requisite(url, response)

    def parse_api(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page of the JSON API, where it answers strangers: what it says, its next page, what it leads to."""
        data = parler_api.load(response)
        yield from parler_api.items(data, response)
        for post in parler_api.posts(data):
            if not self._is_windowed:
                yield from self._works(items.post_url(parler_api.post_of(post)), response)
        for username in parler_api.usernames(data):
            yield from self._works(items.profile_url(username), response)
        for link in parler_api.uploads(data):
            if url := absolute(response.url, link):
                yield from self._works(url, response)
        pages = (response.fetch.cursor or {}).get("pages", 0) + 1
        if pages < parler_api.MAX_PAGES and (url := parler_api.after(data, response.url, self.seed.since)):
            yield self.fetch(url, lane=API, parent=response, callback=self.parse_api, cursor={"pages": pages})
        for url in parler_api.named(data, self.seed.until):
            yield self.fetch(url, lane=API, parent=response, callback=self.parse_api)

    # What a page leads to

    def _neighbours(self, shown: PostPage, identity: str, response: CaptureResponse) -> Iterator[Yield]:
        """Yield the people a post page names, and the posts it echoes where their ids slip out."""
        for username in items.people(shown):
            yield from self._works(items.profile_url(username), response)
        if not self._is_windowed:
            for post in {items.shown_id(shown.shown.parent), items.shown_id(shown.shown.root), shown.shown.comments_id}:
                if post not in {"", identity}:
                    yield from self._works(items.post_url(post), response)

    def _uploads(self, card: Card, post: str, response: CaptureResponse, day: str | None) -> Iterator[Yield]:
        """Yield the media and links of a card; an image's short link remembers whose it is."""
        for block in card.blocks:
            for href in dict.fromkeys((block.src, block.link)):
                if not self.follows and not _UPLOADED.search(href):
                    continue
                url = absolute(response.url, href) if href else None
                for fetch in self._works(url, response, day=day) if url else ():
                    if fetch.callback == "parse_link":
                        yield replace(fetch, cursor={"post": post})
                        continue
                    yield fetch
                    if media := items.upload(fetch, post, response, title=block.title):
                        yield media

    def _needs(self, response: CaptureResponse, *, uploads: bool = True) -> Iterator[Yield]:
        """Yield what a page needs to look as it did, and the papers in its footer."""
        if not self.follows:
            return
        named = page(_text(response), response.url)
        for url in named.requisites:
            if uploads or not is_upload(url):
                yield from self._requisite(url, response)
        for url in named.links:
            if urlsplit(url).hostname in PAPERS:
                yield self._paper(url, response)

    def _requisite(self, url: str, response: CaptureResponse) -> Iterator[Yield]:
        works = list(self._works(url, response))
        parts = urlsplit(url)
        yield from works
        if not works and (parts.hostname in MEDIA_HOSTS or _ASSET.search(parts.path)):
            callback = self.parse_style if parts.path.lower().endswith(".css") else None
            yield self.fetch(url, lane=REQUISITES, parent=response, callback=callback)

    def _paper(self, url: str, response: CaptureResponse | None, **work: Any) -> Fetch:
        return self.fetch(
            url, lane=DOCUMENTS, parent=response, callback=self.parse_document, covers=("document", url), **work
        )

    def _works(self, url: str, response: CaptureResponse | None, **work: Any) -> Iterator[Fetch]:
        """Return the work that a URL of Parler's stands for, its variants included; nothing for other URLs."""
        return (fetch for one in variants(url) if (fetch := self._at(one, response, **work)) is not None)

    def _at(self, url: str, response: CaptureResponse | None, **work: Any) -> Fetch | None:
        found = place_of(url)
        if found is None:
            return None
        place, identity = found
        return self.fetch(
            place.url.format(identity) or url, lane=place.lane, parent=response, callback=place.callback,
            covers=(place.kind, identity), **{**dict(place.work), **work},
        )  # fmt: skip

    @staticmethod
    def _is_page(response: CaptureResponse) -> bool:
        kind = response.header("Content-Type").lower()
        return response.status == 200 and (not kind or "html" in kind)


def _text(response: CaptureResponse) -> str:
    """Return the text of a page; empty where it is too long to be one, as a page may be packed to a thousandth."""
    return response.text if len(response.body) <= MAX_PAGE else ""


def _edge(search: Search) -> int:
    """Return how many holes in a row end this counter."""
    return max(EDGE, search.patience)


def _witness(post: Fetch, search: Search) -> Fetch:
    """Return the fetch of a post whose page says when it was made; it goes first, because a search waits for it."""
    return replace(post, lane=IDS.name, cursor={"search": search.cursor()})


def _judge_number(response: CaptureResponse) -> Verdict:
    """Judge an answer of the counter. It spoke to everybody: a wall or a page says nothing about the number."""
    if response.status in {401, 403} or 300 <= response.status < 400:
        return Verdict.LIMITED
    if response.status == 200 and not _ID.search(response.head_bytes):
        return Verdict.LIMITED if response.head_bytes.lstrip().startswith(b"<") else Verdict.MISSING
    return Verdict.MISSING if response.status in {404, 410} else Verdict.OK


def _mark(reply: CaptureResponse) -> str | None:
    """Return what in an answer only Parler says."""
    text = reply.body[:65536]
    if reply.status == 200 and (b'content="@parler_app"' in text or b'og:site_name" content="Parler"' in text):
        return "its page carries Parler's own marks"
    if reply.status == 200 and b"<title>Parler Free Speech Social Network</title>" in text:
        return "its page is Parler's application"
    if b'"fieldvalidationsMap"' in text:
        return "its API answers in Parler's form"
    if reply.status == 200 and reply.url.startswith(COUNTER) and _ID.search(text):
        return "its counter gives out ids of posts"
    return None
