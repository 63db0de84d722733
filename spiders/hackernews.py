"""Hacker News, through its public API (github.com/HackerNews/API) and its pages.

How it is walked: stories, comments, jobs and polls are items of one counter, which is swept from its newest end in
blocks: one item of each block carries the rest, so that the frontier never holds much more than two blocks. A number
that stands for nothing (``null``) proves nothing. Each item names its author; a story's page holds its
whole thread, so comments need no pages of their own. Time grows with the number: the ends of a window are searched
for (``counter.py``). A seed may be the site, one item with all below it, or one user.

The site's pages come slowly or not at all to who asks quickly: ``rates`` asks for one in two seconds. The API sets no
limit.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs, quote, urlsplit

from crawler.model import Account, Claim, Post, Verdict
from spiders.api import at, counters, number, source, text, turn
from spiders.base import ACCOUNTS, LISTINGS, PAGES, POSTS, REQUISITES, Evidence, Territory
from spiders.counter import Answer, Goal, Search
from spiders.html import page
from spiders.pages import PageSpider, text_of
from spiders.window import Window, day, instant, span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crawler.model import Fetch, Lane, Seed
    from crawler.response import CaptureResponse
    from spiders.base import Yield

API, HOME = "https://hacker-news.firebaseio.com/v0/", "https://news.ycombinator.com/"
HOSTS = ("news.ycombinator.com", "hacker-news.firebaseio.com")
#: Items of one block; the next one is named from its middle.
BLOCK = 500
#: Items that stand at the top of a page; the others hang below one.
TOPICS = frozenset({"story", "job", "poll"})
TYPES = TOPICS | {"comment", "pollopt"}
_MARK = re.compile(rb"class=[\"']?hnname|href=[\"']?news\.css")
_NOTHING = re.compile(rb"\s*No such (?:item|user)\.\s*", re.IGNORECASE)
_TOO_QUICK = b"not able to serve your requests this quickly"
_ROW = re.compile(r"<tr[^>]{0,64}\bclass=[\"']athing comtr[\"'][^>]{0,64}\bid=[\"'](\d+)")


class HackerNewsSpider(PageSpider):
    """Walks all items, or one thread, or what one user wrote."""

    name = "hackernews"
    title: ClassVar[str] = "Hacker News"
    markup: ClassVar[bool] = True
    known_hosts: ClassVar[tuple[str, ...]] = HOSTS
    rates: ClassVar[dict[str, float]] = {"news.ycombinator.com": 0.5}
    lanes: ClassVar[tuple[Lane, ...]] = (LISTINGS, POSTS, ACCOUNTS, PAGES, REQUISITES)
    kinds: ClassVar[tuple[str, ...]] = (
        "item", "story", "comment", "job", "poll", "pollopt", "account", "page", "asset",
    )  # fmt: skip
    reads_holes: ClassVar[frozenset[str]] = frozenset({"parse_item"})
    reads_refusals: ClassVar[frozenset[str]] = frozenset({"parse_item"})

    @classmethod
    def recognise(cls, replies: Sequence[CaptureResponse]) -> Evidence | None:
        """Believe its own page, or its counter, and only on its own hosts: nowhere else can it be walked."""
        for reply in replies:
            parts = urlsplit(reply.url)
            is_counter = parts.path == "/v0/maxitem.json" and isinstance(reply.data(), int)
            if parts.hostname in HOSTS and reply.status == 200 and (_MARK.search(reply.head_bytes) or is_counter):
                return Evidence(confidence=97, reasons=("its page is one of Hacker News",))
        return None

    @classmethod
    def territory(cls, seed: Seed) -> Territory:
        """Return the site and the host of its API."""
        return Territory(hosts=HOSTS)

    def judge(self, response: CaptureResponse) -> Verdict:
        """Know nothing that comes with 200, and the page for who asks too quickly."""
        if response.url.startswith(API):
            return Verdict.MISSING if response.head_bytes.strip() == b"null" else super().judge(response)
        if response.status in {200, 403} and _TOO_QUICK in response.head_bytes:
            return Verdict.LIMITED
        is_nothing = _NOTHING.fullmatch(response.head_bytes) or b">No such item.<" in response.head_bytes
        return Verdict.MISSING if is_nothing else super().judge(response)

    def seeds(self, seed: Seed) -> Iterator[Fetch]:
        """Yield the counter's end, or the thread or the user that the seed names."""
        parts = urlsplit(seed.url)
        named = parse_qs(parts.query).get("id", [""])[0]
        if parts.path in {"/item", "/user"} and named:
            is_item = parts.path == "/item" and named.isascii() and named.isdigit()
            yield self._item(int(named), None, whole=True) if is_item else self._user(named, None, whole=True)
            return
        yield self.fetch(HOME, lane=PAGES, callback=self.parse_page, covers=("page", HOME))
        yield self.fetch(f"{API}maxitem.json", lane=LISTINGS, callback=self.parse_end)

    # The counter

    def parse_end(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read the number of the newest item."""
        top = number(response.data())
        if top is None or top < 1:
            return
        why = "counts numbers that stand for nothing, and deleted items, too"
        yield Claim(kind="item", count=top, counter="maxitem", caveat=why, url=response.url)
        yield from self._narrow(replace(Search.newest(1), is_open=False), 1, top, response)

    def _narrow(self, search: Search, first: int, top: int, response: CaptureResponse) -> Iterator[Fetch]:
        """Look for the next end of the window among the items ``first`` to ``top``; sweep it when both are known."""
        goals = [Goal.UNTIL] * bool(self.seed.until) + [Goal.SINCE] * bool(self.seed.since)
        left = goals[goals.index(search.goal) + 1 :] if search.goal in goals else goals
        if not left:
            yield from self._sweep(first, top, search.asked, response)
        elif (search := search.moment(left[0], first, top)).at is not None:
            yield self._item(search.at, response, search=search.cursor())
        else:
            yield from self._narrowed(search, response)

    def _narrowed(self, search: Search, response: CaptureResponse) -> Iterator[Fetch]:
        """Go on with one end of the window found."""
        first, top = search.first, search.top
        if search.proof is not None:
            is_until = search.goal is Goal.UNTIL
            first, top = (first, search.proof - 1) if is_until else (search.proof + 1, top)
        yield from self._narrow(search, first, top, response)

    def _sweep(self, first: int, top: int, asked: tuple[int, ...], response: CaptureResponse) -> Iterator[Fetch]:
        """Name the highest block of a span; one of its items, never asked before, carries the rest of the span."""
        low = max(first, top - BLOCK + 1)
        carrier = next((n for n in range((low + top) // 2, first - 1, -1) if n not in asked), None)
        low = low if carrier is None else min(low, carrier)
        for n in range(top, low - 1, -1):
            is_carrier = n == carrier and low > first
            rest = {"first": first, "below": low - 1, "asked": [one for one in asked if one < low]}
            yield self._item(n, response, **(rest if is_carrier else {}))

    def _item(self, n: int, parent: CaptureResponse | None, **cursor: Any) -> Fetch:
        return self.fetch(
            f"{API}item/{n}.json", lane=POSTS, parent=parent, callback=self.parse_item, cursor=cursor or None,
            covers=("item", str(n)), sweep="whole" not in cursor,
        )  # fmt: skip

    def parse_item(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read one item, and do what it carries: a step of a search, the next block, all that hangs below it."""
        cursor, item = response.fetch.cursor or {}, response.data()
        when = instant(number(item, "time"))
        if "search" in cursor:
            search = Search.of(cursor["search"])
            search = search.told(self._side(search.goal, item))
            following = self._item(search.at, response, search=search.cursor()) if search.at is not None else None
            yield from [following] if following else self._narrowed(search, response)
        elif "below" in cursor:
            # A later round stops at the first block that it knows.
            older = self._sweep(cursor["first"], cursor["below"], tuple(cursor["asked"]), response)
            yield from (replace(fetch, deeper=True) for fetch in older)
        if not text(item, "id") or not Window.of(self.seed).holds(when):
            return
        yield _post(item, response)
        if author := text(item, "by"):
            yield self._user(author, response)
        is_topic = text(item, "type") in TOPICS
        if (is_topic and item.get("deleted") is not True) or response.fetch.depth == 0:
            yield self._page(text(item, "id"), 1, response)
        if "whole" in cursor:
            below = [*_numbers(item, "kids"), *_numbers(item, "parts")]
            yield from (self._item(n, response, whole=True) for n in below)

    def _side(self, goal: Goal, item: Any) -> Answer:
        """Say where an end of the window is, seen from an item."""
        window, when = Window.of(self.seed), instant(number(item, "time"))
        if when is None:
            return Answer.HOLE
        is_above = window.is_before(when) if goal is Goal.SINCE else not window.is_after(when)
        return Answer.ABOVE if is_above else Answer.BELOW

    # People and pages

    def _user(self, name: str, parent: CaptureResponse | None, **cursor: Any) -> Fetch:
        return self.fetch(
            f"{API}user/{quote(name, safe='')}.json", lane=ACCOUNTS, parent=parent, callback=self.parse_user,
            cursor=cursor or None, covers=("account", name),
        )  # fmt: skip

    def parse_user(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read what is said of somebody."""
        user = response.data()
        if not (identity := text(user, "id")):
            return
        url = f"{HOME}user?id={quote(identity, safe='')}"
        yield Account(
            platform=self.name, id=identity, username=identity, url=url, bio=text(user, "about"),
            created_at=span(instant(number(user, "created"))), counters=counters(user, {"karma": "karma"}),
            extra={"submitted": len(_numbers(user, "submitted"))}, **source(response),
        )  # fmt: skip
        yield self.fetch(url, lane=PAGES, parent=response, callback=self.parse_page, covers=("page", url))
        if "whole" in (response.fetch.cursor or {}):
            yield from (self._item(n, response) for n in _numbers(user, "submitted"))

    def _page(self, identity: str, part: int, parent: CaptureResponse) -> Fetch:
        url = f"{HOME}item?id={identity}" + (f"&p={part}" if part > 1 else "")
        return self.fetch(
            url, lane=PAGES, parent=parent, callback=self.parse_story, cursor={"id": identity, "part": part},
            covers=("page", url),
        )  # fmt: skip

    def parse_story(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page of a thread: what it needs, and whether there is another."""
        yield from self.parse_page(response)
        cursor, shown = response.fetch.cursor or {}, text_of(response)
        following = self._page(cursor["id"], cursor["part"] + 1, response)
        if following.url in page(shown, response.url).links:
            yield from turn(response, _ROW.findall(shown), following)


def _post(item: dict[str, Any], response: CaptureResponse) -> Post:
    when, kids = instant(number(item, "time")), [*_numbers(item, "kids"), *_numbers(item, "parts")]
    return Post(
        platform=HackerNewsSpider.name, id=text(item, "id"), url=f"{HOME}item?id={text(item, 'id')}",
        kind=kind if (kind := text(item, "type")) in TYPES else "item",
        author=text(item, "by") or None, author_name=text(item, "by") or None,
        text=text(item, "text"), created_at=span(when), in_reply_to=text(item, "parent") or None,
        links=(link,) if (link := text(item, "url")) else (), deleted=at(item, "deleted") is True,
        counters=counters(item, {"points": "score", "replies": "descendants"}),
        extra={"title": text(item, "title"), "dead": at(item, "dead") is True, "kids": kids,
               "day": day(when), "poll": text(item, "poll")},
        **source(response),
    )  # fmt: skip


def _numbers(item: Any, key: str) -> list[int]:
    """Return the numbers of items in a list."""
    found = at(item, key)
    return [n for n in found if number(n) is not None and n > 0] if isinstance(found, list) else []
