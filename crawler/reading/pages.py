"""The pages of a collection: what people open, with title and text, for ``pages.jsonl`` of a WACZ.

A page is a URL that answered with HTML. Where a post stands at that URL, the dataset says what it says; of all other
pages title and text are read from the record. All of it goes through an SQLite file, so that memory stays flat.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from typing import TYPE_CHECKING, Any

import orjson

from crawler.errors import OutlastError
from crawler.reading.index import facts_of
from crawler.reading.shelf import Place
from crawler.response import CaptureResponse
from crawler.warc.reader import Torn
from spiders.tree import tree

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from crawler.reading.dataset import Dataset
    from crawler.reading.shelf import Shelf

_HTML = frozenset({"text/html", "application/xhtml+xml"})
#: Characters of a page's text and title that are listed: viewers load them all.
_MOST_TEXT, _MOST_TITLE = 10_000, 200
#: Bytes of a page that are read for them.
_MOST_READ = 1 << 20
_MARK = re.compile(r"\s+")
_SCHEMA = """
CREATE TABLE page (
    url TEXT PRIMARY KEY, stamp TEXT NOT NULL, segment TEXT NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL,
    html INTEGER NOT NULL, post INTEGER NOT NULL DEFAULT 0, title TEXT, text TEXT
)
"""
_NEWER = """
INSERT INTO page (url, stamp, segment, offset, length, html) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (url) DO UPDATE SET stamp = excluded.stamp, segment = excluded.segment, offset = excluded.offset,
    length = excluded.length, html = max(html, excluded.html) WHERE excluded.stamp > page.stamp
"""


class Pages:
    """The pages of a collection, in a file that is made here."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)

    def close(self) -> None:
        self._db.close()

    def fill(self, lines: Iterable[bytes], dataset: Dataset, shelf: Shelf) -> int:
        """Take in the pages of an index; return of how many nothing could be read."""
        self._db.executescript(f"PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF; {_SCHEMA}; BEGIN")
        self._db.executemany(_NEWER, _candidates(lines))
        self._posts(dataset)
        unread = self._others(shelf)
        self._db.execute("COMMIT")
        return unread

    def first(self, wanted: str = "") -> tuple[str, str]:
        """Return URL and 14-digit date of the page to begin with: the wanted one, else a post, else any."""
        order = "SELECT url, stamp FROM page WHERE html ORDER BY url NOT IN (?, ? || '/'), NOT post, url LIMIT 1"
        found = self._db.execute(order, (wanted, wanted)).fetchone()
        return (str(found[0]), str(found[1])) if found else ("", "")

    def lines(self, segments: Collection[str], main: str) -> Iterator[bytes]:
        """Yield ``pages.jsonl``: of the pages that stand in these segments, the main page first, then posts."""
        yield _line({"format": "json-pages-1.0", "id": "pages", "title": "All Pages", "hasText": True})
        order = "SELECT url, stamp, segment, title, text FROM page WHERE html ORDER BY url != ?, NOT post, url"
        for url, stamp, segment, title, text in self._db.execute(order, (main,)):
            if segment in segments:
                identity = hashlib.sha256(f"{url} {stamp}".encode("utf-8", "replace")).hexdigest()[:22]
                yield _line({"id": identity, "url": url, "ts": when(stamp), "title": title or url, "text": text or ""})

    def _posts(self, dataset: Dataset) -> None:
        """Give the pages of posts what the posts say; a page that repeats another counts as one then."""
        posts = dataset.db.execute("SELECT url, author, author_name, text FROM posts WHERE NOT deleted")
        self._db.executemany("UPDATE page SET post = 1, html = 1, title = ?, text = ? WHERE url = ?", map(_post, posts))

    def _others(self, shelf: Shelf) -> int:
        unread = 0  # the order needs a sorter, so that changing rows meanwhile is safe
        rest = "SELECT url, segment, offset, length FROM page WHERE NOT post ORDER BY segment, offset"
        for url, *place in self._db.execute(rest):
            try:
                read = _read(shelf, Place(*place))
            except (Torn, OutlastError):
                unread += 1
                continue
            self._db.execute("UPDATE page SET html = ?, title = ?, text = ? WHERE url = ?", (*read, url))
        return unread


def _candidates(lines: Iterable[bytes]) -> Iterator[tuple[Any, ...]]:
    """Yield what may be a page; whether a revisit is one, its original says."""
    for line in lines:
        facts = facts_of(line)
        mime = facts.get("mime", "")
        if facts.get("status", "200") == "200" and (mime in _HTML or mime == "warc/revisit") and "method" not in facts:
            stamp = line.split(b" ", 2)[1].decode("ascii", "replace")
            place = facts["filename"], int(facts["offset"]), int(facts["length"])
            yield facts["url"], stamp, *place, mime in _HTML


def _post(row: sqlite3.Row) -> tuple[str, str, str]:
    name = row["author_name"] or row["author"] or ""
    text = _MARK.sub(" ", row["text"]).strip()
    return f"{name}: {text}"[:_MOST_TITLE] if name else text[:_MOST_TITLE], row["text"][:_MOST_TEXT], row["url"]


def _read(shelf: Shelf, place: Place) -> tuple[bool, str, str]:
    """Return whether a record is a page of HTML, and its title and text. Raises Torn, NotHere."""
    with shelf.answer(place) as seen, seen.open() as stream:
        kind = (seen.headers.get("Content-Type") or b"").partition(b";")[0].strip().lower()
        if kind.decode("latin-1") not in _HTML:
            return False, "", ""
        data = stream.read(_MOST_READ)
        text = CaptureResponse(
            seen.url, fetch=seen.fetch, captured_at=seen.captured_at, headers=seen.headers, body=data
        ).text
    page = tree(text)
    title = page.css_first("title")
    named = _MARK.sub(" ", title.text()).strip()[:_MOST_TITLE] if title is not None else ""
    page.strip_tags(["script", "style", "noscript", "template"])
    body = page.body
    return True, named, _MARK.sub(" ", body.text(separator=" ")).strip()[:_MOST_TEXT] if body is not None else ""


def when(stamp: str) -> str:
    """Return a 14-digit date as RFC 3339."""
    return f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]}T{stamp[8:10]}:{stamp[10:12]}:{stamp[12:14]}Z"


def _line(facts: dict[str, Any]) -> bytes:
    return orjson.dumps(facts, option=orjson.OPT_APPEND_NEWLINE)
