"""Finding things in what is held: posts by their words, and one post or file by its id, URL or digest."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crawler.collection import class_of
from crawler.errors import TakenDown, UsageError
from crawler.model import Post, SegmentClass
from crawler.reading.shelf import Place
from crawler.url import canonical
from crawler.warc.lookup import captures

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.collection import Collection
    from crawler.reading.dataset import Dataset
    from crawler.withheld import Withheld

_SHA256 = re.compile(r"(?:sha256:)?([0-9a-fA-F]{64})")
#: Words of a snippet, and what stands around those that were found.
_WORDS, MARKS = 24, ("\x02", "\x03")
_HIDDEN = frozenset({SegmentClass.ATTEMPTS.value, SegmentClass.RESTRICTED.value})
#: A file that only deleted posts name.
_GONE = """
EXISTS (SELECT 1 FROM media JOIN posts ON posts.id = media.post WHERE media.fetched = :url AND posts.deleted)
AND NOT EXISTS (SELECT 1 FROM media LEFT JOIN posts ON posts.id = media.post
                WHERE media.fetched = :url AND posts.deleted IS NOT 1)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What posts are looked for."""

    #: In the words of FTS5; empty for all.
    text: str = ""
    #: Id, username or name of an account.
    author: str = ""
    #: Instants as the dataset has them, inclusive since, exclusive until.
    since: str | None = None
    until: str | None = None
    kind: str = ""
    with_deleted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A post, or a place where bytes are; posts have both."""

    place: Place
    posts: tuple[sqlite3.Row, ...] = ()


def search(dataset: Dataset, query: Query) -> Iterator[sqlite3.Row]:
    """Yield posts with a ``snippet``, the best first; without words the newest first. Raises UsageError.

    The words that were found stand between MARKS.
    """
    conditions = ["deleted <= :with_deleted"]
    if query.author:
        conditions.append(
            "(author = :author OR posts.author_name = :author COLLATE NOCASE"
            " OR author IN (SELECT id FROM account WHERE username = :author COLLATE NOCASE))"
        )
    conditions += ["coalesce(created_until, created_at) >= :since"] * bool(query.since)
    conditions += ["created_at < :until"] * bool(query.until)
    conditions += ["kind = :kind"] * bool(query.kind)
    where = " AND ".join(conditions)
    if query.text.strip():
        snippet = f"snippet(post_text, -1, '{MARKS[0]}', '{MARKS[1]}', '…', {_WORDS})"
        sql = (
            f"SELECT {snippet} AS snippet, posts.* FROM post_text JOIN posts ON posts.number = post_text.rowid "  # noqa: S608
            f"WHERE post_text MATCH :text AND {where} ORDER BY post_text.rank"
        )
    else:
        sql = f"SELECT substr(text, 1, 200) AS snippet, posts.* FROM posts WHERE {where} ORDER BY created_at DESC"  # noqa: S608
    told = {name: getattr(query, name) for name in query.__slots__} | {"author": query.author.lstrip("@")}
    try:
        yield from dataset.db.execute(sql, told)
    except sqlite3.OperationalError as e:
        why = str(e).removeprefix("fts5: ")
        raise UsageError(
            f"{query.text!r} is no search ({why}); put words in double quotes to take them as they are."
        ) from e


def find(dataset: Dataset, collection: Collection, what: str, *, with_deleted: bool = False) -> Found:
    """Return what an id of a post, a URL, or the SHA-256 of a file names. Raises UsageError where nothing does."""
    if digest := _SHA256.fullmatch(what):
        where, name = "sha256 = :name", digest[1].lower()
        found = _file(dataset, where, name, with_deleted) or _post(dataset, what, with_deleted)
    else:
        found = _post(dataset, what, with_deleted) or _of_url(dataset, collection, what, with_deleted)
    if found is None and _is_taken_down(dataset, what):
        raise TakenDown
    if found is None:
        raise UsageError(f"Nothing held here is called {what[:200]!r}: no post, no file, no page.")
    return found


def _post(dataset: Dataset, what: str, with_deleted: bool) -> Found | None:
    """Return the posts with an id; where there is none, the one whose permalink this is, and no comment on it."""
    select = "SELECT * FROM posts WHERE"
    rows = dataset.db.execute(f"{select} id = ? ORDER BY number", (what,)).fetchall()
    if not rows:
        is_first = "kind NOT IN ('card', 'comment', 'reply') DESC, number"
        rows = dataset.db.execute(f"{select} url = ? ORDER BY {is_first} LIMIT 1", (what,)).fetchall()
    shown = [row for row in rows if with_deleted or not row["deleted"]]
    if rows and not shown:
        raise UsageError(f"{what[:200]!r} was marked as deleted when it was captured; --with-deleted shows it.")
    return Found(place=_place(shown[0]), posts=tuple(shown)) if shown else None


def _of_url(dataset: Dataset, collection: Collection, what: str, with_deleted: bool) -> Found | None:
    try:
        url = canonical(what)
    except ValueError:
        return None
    return _file(dataset, "url = :name", url, with_deleted) or _capture(dataset.withheld, collection, url)


def _is_taken_down(dataset: Dataset, what: str) -> bool:
    digest = _SHA256.fullmatch(what)
    named = Post(platform="", id=what, url="")
    return dataset.withheld.hides(url=what, sha256=digest[1].lower() if digest else "", item=named)


def _file(dataset: Dataset, where: str, name: str, with_deleted: bool) -> Found | None:
    """Return where the bytes of a file are, through the redirects that led to it."""
    for _ in range(3):
        row = dataset.db.execute(
            f"SELECT held.url, moved_to, warc.* FROM held JOIN warc ON warc.number = held.record WHERE {where}",  # noqa: S608
            {"name": name},
        ).fetchone()
        if row is None:
            moved = dataset.db.execute("SELECT moved_to FROM held WHERE url = ? AND moved_to != ''", (name,)).fetchone()
            if moved is None:
                return None
            where, name = "url = :name", moved[0]
            continue
        if not with_deleted and dataset.db.execute(f"SELECT {_GONE}", {"url": row["url"]}).fetchone()[0]:
            raise UsageError(f"{name[:200]!r} belongs to a post that was marked as deleted; --with-deleted shows it.")
        return Found(place=_place(row))
    return None


def _capture(withheld: Withheld, collection: Collection, url: str) -> Found | None:
    """Return the newest answer to a URL that is neither an attempt, nor restricted, withheld or struck."""
    lines = [
        line
        for index in collection.indexes.glob("*.cdxj") if class_of(index.name) not in _HIDDEN
        for line in captures(index, url) if line.url == url and not withheld.is_struck(url, line.stamp)
        and not withheld.hides(url=line.url, sha256=line.digest, segment=line.segment, offset=line.offset)
    ]  # fmt: skip
    newest = max(lines, key=lambda line: (line.mime != "warc/revisit", line.stamp), default=None)
    return Found(place=Place(newest.segment, newest.offset, newest.length)) if newest else None


def _place(row: sqlite3.Row) -> Place:
    return Place(row["warc_file"], row["warc_offset"], row["warc_length"])


def media_of(dataset: Dataset, post: str) -> list[sqlite3.Row]:
    """Return the media of a post."""
    return dataset.db.execute("SELECT * FROM media_files WHERE post = ? ORDER BY number", (post,)).fetchall()


def versions_of(dataset: Dataset, row: sqlite3.Row) -> list[sqlite3.Row]:
    """Return the earlier versions of a post, the latest first."""
    sql = "SELECT * FROM versions WHERE id = ? AND kind = ? ORDER BY captured_at DESC"
    return dataset.db.execute(sql, (row["id"], row["kind"])).fetchall()
