"""What pages of forums say: boards, threads, posts, members and files, read by an engine's selectors. Pure.

Pages become trees here, as selectors want them; ``tree`` bounds their size and depth, and lists are bounded below.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from spiders.forum_engines import UNAPPROVED, Engine, clean
from spiders.forum_times import Moment, moment
from spiders.html import absolute
from spiders.tree import attribute, outermost, text, tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from selectolax.lexbor import LexborNode

#: Links, rows and posts of one page at the most, its bars of page numbers, files of a post, characters of what it says.
MAX_LINKS, MAX_ROWS, MAX_BARS, MAX_FILES, MAX_SAID = 5000, 1000, 8, 500, 1 << 18
_COUNTED = {"post": "posts|messages", "thread": "threads|topics|discussions", "account": "members|users"}
_NUMBER = r"([0-9]{1,3}(?:[,.   ][0-9]{3}){1,4}|[0-9]{1,12})"


@dataclass(frozen=True, slots=True)
class Place:
    """What an address leads to: a thing, and which part of it."""

    id: str
    at: int


@dataclass(slots=True, kw_only=True)
class Row:
    """A thread as its board lists it."""

    id: str
    url: str
    #: The last of its pages that the row names; its own where it names none.
    last: str
    is_pinned: bool = False
    #: From the first time that the row shows to the last one.
    times: list[Moment] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Said:
    """A post as its thread shows it."""

    id: str
    text: str
    author: str = ""
    author_id: str = ""
    author_url: str = ""
    avatar: str = ""
    when: Moment | None = None
    edited: str = ""
    is_deleted: bool = False
    files: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)


class Shown:
    """A page, read as one engine makes them; ``now`` is when it came."""

    def __init__(self, html: str, url: str, engine: Engine, now: datetime) -> None:
        self._tree = tree(html)
        self._url, self._engine, self._now = url, engine, now
        self._base = url
        if base := attribute(self._tree.css_first("base[href]"), "href"):
            self._base = absolute(url, base) or url

    def has(self, selector: str) -> bool:
        """Say whether there is anything of a kind, were it only such as is left out."""
        return self._tree.css_first(selector) is not None

    def boards(self) -> list[str]:
        """Return the addresses of boards."""
        found = (self._to(one) for one in islice(self._tree.css(self._engine.boards), MAX_LINKS))
        return list(dict.fromkeys(url for url in found if place(self._engine.board, url, self._engine)))

    def rows(self) -> Iterator[Row]:
        """Yield the threads of a page of a board, without those that have gone elsewhere or wait for a moderator."""
        engine = self._engine
        for row in islice(self._tree.css(outermost(f":is({engine.rows})")), MAX_ROWS):
            links = [self._to(one) for one in islice(row.css("a[href]"), MAX_FILES)]
            titles = [self._to(one) for one in islice(row.css(engine.link), 20)]
            url = next((one for one in titles if place(engine.thread, one, engine)), "")
            mine = place(engine.thread, url, engine)
            if mine is None or _has(row, engine.moved) or _is_unapproved(row):
                continue
            places = ((one, place(engine.thread, one, engine)) for one in links)
            parts = {at.at: one for one, at in places if at and at.id == mine.id}
            times = [found for one in islice(row.css(engine.row_times), 20) if (found := moment(one, self._now))]
            yield Row(
                id=mine.id, url=url, last=parts[max(parts)] if parts else url, is_pinned=_has(row, engine.pinned),
                times=sorted(times, key=lambda time: time.latest),
            )  # fmt: skip

    def posts(self) -> Iterator[Said]:
        """Yield the posts of a page of a thread, without those that wait for a moderator."""
        for one in islice(self._tree.css(outermost(f":is({self._engine.posts})")), MAX_ROWS):
            if (identity := self._number(one)) and not _is_unapproved(one):
                yield self._said(one, identity)

    def _said(self, one: LexborNode, identity: str) -> Said:
        engine = self._engine
        body = one.css_first(engine.body)
        author = one.css_first(engine.author)
        members = ((self._to(link), link) for link in islice(one.css("a[href]"), MAX_FILES))
        whose = next((url for url, _ in members if self.member(url)), "")
        own = self._to(author) if author is not None else ""
        whose = own if self.member(own) else whose
        avatar = attribute(one.css_first(engine.avatar), "src") if engine.avatar else ""
        links = (absolute(self._base, attribute(link, "href")) for link in islice(_all(body, "a[href]"), MAX_FILES))
        return Said(
            id=identity, text=text(body)[:MAX_SAID].strip(), author=text(author)[:200].strip(),
            author_id=self.member(whose), author_url=whose,
            avatar=clean(absolute(self._base, avatar) or "") if avatar else "",
            when=next((at for part in islice(one.css(engine.when), 5) if (at := moment(part, self._now))), None),
            edited=_edited(one.css_first(engine.edited), self._now) if engine.edited else "",
            is_deleted=bool(engine.deleted) and _has(one, engine.deleted),
            files=self._files(one), links=[link for link in links if link],
        )  # fmt: skip

    def _files(self, one: LexborNode) -> list[str]:
        if not self._engine.files:
            return []
        found: dict[str, str] = {}
        for link in islice(one.css(self._engine.files), MAX_FILES):
            url = self._to(link)
            if at := place(self._engine.file, url, self._engine):
                found.setdefault(at.id, url)
        return list(found.values())

    def member(self, url: str) -> str:
        """Return the id of the member whose page an address is; empty where it is none."""
        found = place(self._engine.member, url, self._engine) if url else None
        return found.id if found else ""

    def members(self) -> list[str]:
        """Return the addresses of members that a page names, each member once."""
        found: dict[str, str] = {}
        for one in islice(self._tree.css("a[href]"), MAX_LINKS):
            url = self._to(one)
            if identity := self.member(url):
                found.setdefault(identity, url)
        return list(found.values())

    def person(self) -> str:
        """Return the name on a member's page."""
        return text(self._tree.css_first(self._engine.name_of))[:200].strip()

    def face(self) -> str:
        """Return the picture on a member's page."""
        src = attribute(self._tree.css_first(self._engine.avatar), "src") if self._engine.avatar else ""
        return clean(absolute(self._base, src) or "") if src else ""

    def part(self, pattern: re.Pattern[str], *, back: bool = False) -> str:
        """Return the address of the next page of what this one shows, or of the one before it."""
        mine = place(pattern, clean(self._url), self._engine)
        parts: dict[int, str] = {}
        bars = islice(self._tree.css(self._engine.pager), MAX_BARS) if mine else ()
        for one in (link for bar in bars for link in islice(bar.css("a[href], link[href]"), MAX_LINKS)):
            url = self._to(one)
            if mine and (at := place(pattern, url, self._engine)) and at.id == mine.id:
                parts.setdefault(at.at, url)
        if mine is None:
            return ""
        near = [at for at in parts if (at < mine.at if back else at > mine.at)]
        return parts[max(near) if back else min(near)] if near else ""

    def counts(self) -> dict[str, int]:
        """Return how many posts, threads and members the board says it has."""
        said = " ".join(text(one)[:2000] for one in islice(self._tree.css(self._engine.stats), 20))
        found = {}
        for kind, words in _COUNTED.items():
            after = re.search(rf"\b(?:{words})\W{{1,12}}?{_NUMBER}\b", said, re.IGNORECASE)
            before = re.search(rf"\b{_NUMBER}\s{{1,3}}(?:Total\s{{1,3}})?(?:{words})\b", said, re.IGNORECASE)
            pick = before if before and (not after or _starts_with_number(said)) else after
            if pick:
                found[kind] = int(re.sub(r"\D", "", pick[1]))
        return found

    def _number(self, one: LexborNode) -> str:
        inner = one.css_first("[id^=msg_]") or one.css_first("[data-msgid]")
        for node in (one, inner):
            for name in ("data-node-id", "id", "data-msgid"):
                if found := self._engine.post_id.fullmatch(attribute(node, name)):
                    return found[1]
        return ""

    def _to(self, one: LexborNode) -> str:
        return clean(absolute(self._base, attribute(one, "href") or attribute(one, "src")) or "")


def place(pattern: re.Pattern[str], url: str, engine: Engine) -> Place | None:
    """Return what an address leads to, None where it leads to none of that kind."""
    parts = urlsplit(url)
    found = pattern.fullmatch(f"{parts.path}?{parts.query}" if parts.query else parts.path)
    if found is None:
        return None
    groups = found.groupdict()
    return Place(groups.get("id") or "", int(groups.get("at") or engine.first))


def _edited(one: LexborNode | None, now: datetime) -> str:
    if one is None:
        return ""
    found = moment(one, now)
    return found.earliest.isoformat() if found and found.earliest == found.latest else text(one)[:200].strip()


def _has(one: LexborNode, selector: str) -> bool:
    """Say whether an element, or something within it, is what a selector means."""
    return bool(selector) and (bool(one.css_matches(selector)) or one.css_first(selector) is not None)


def _all(one: LexborNode | None, selector: str) -> list[LexborNode]:
    return one.css(selector) if one is not None else []


def _is_unapproved(one: LexborNode) -> bool:
    tags = [one, *islice(one.css("dl, div, article, tr"), 5)]
    return any(UNAPPROVED.search(f'class="{attribute(tag, "class")[:300]}"') for tag in tags)


def _starts_with_number(said: str) -> bool:
    return bool(re.match(r"\W*[0-9]", said)) and not re.match(r"\W*[0-9][0-9,. ]*\W*$", said)
