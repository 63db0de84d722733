"""What ``archive browse`` shows: pages of posts, threads, accounts and media out of the dataset.

Pages follow a key, not a count, so that the last is as quick as the first.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crawler.errors import UsageError
from crawler.reading.find import MARKS, media_of, versions_of
from crawler.url import canonical

if TYPE_CHECKING:
    from crawler.reading.dataset import Dataset

#: Posts of a page, accounts, files; posts above one in its thread.
POSTS, ACCOUNTS, FILES, _ABOVE = 25, 50, 24, 20
_WHEN = "coalesce(created_at, '')"
_ALIVE = "deleted <= :deleted"
_FOUND = f"""
SELECT snippet(post_text, 0, '{MARKS[0]}', '{MARKS[1]}', '…', 40) AS snippet, post_text.rank AS rank, posts.*
FROM post_text JOIN posts ON posts.number = post_text.rowid
WHERE post_text MATCH :text AND (post_text.rank, posts.number) > (:rank, :number) AND {_ALIVE}
ORDER BY post_text.rank, posts.number LIMIT :most
"""  # noqa: S608 - constants
_ONE = f"SELECT * FROM posts WHERE id = :id AND {_ALIVE} LIMIT :most"  # noqa: S608 - constants
_REPLIES = f"""
SELECT * FROM posts WHERE in_reply_to = :id AND number > :number AND {_ALIVE} ORDER BY number LIMIT :most
"""  # noqa: S608 - constants
_FILES = """
SELECT * FROM media_files AS media WHERE number < :number AND sha256 != '' AND mime IS NOT NULL AND
    (:deleted OR NOT EXISTS (SELECT 1 FROM posts WHERE posts.id = media.post AND posts.deleted))
ORDER BY number DESC LIMIT :most
"""
#: Comes after every number, and before every rank.
_LAST, _BEST = 1 << 62, -1e9


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows, and the key of what follows; empty at the end."""

    rows: list[dict[str, Any]]
    next: str = ""


class Shown:
    """What of a dataset is shown."""

    def __init__(self, dataset: Dataset, *, with_deleted: bool = False) -> None:
        self._dataset = dataset
        self._db = dataset.db
        self._deleted = int(with_deleted)

    def newest(self, key: str = "", author: str = "") -> Page:
        """Return posts from a key on, newest first; of one account or of all."""
        when, _, number = key.rpartition("~")
        mine = "author = :author AND " if author else ""
        rows = self._rows(
            f"SELECT * FROM posts WHERE {mine}{_WHEN} <= :when AND ({_WHEN}, number) < (:when, :number) AND {_ALIVE} "  # noqa: S608
            f"ORDER BY {_WHEN} DESC, number DESC LIMIT :most",
            POSTS, when=when if key else "~", number=_whole(number, _LAST), author=author,
        )  # fmt: skip
        return self._page(rows, POSTS, lambda row: f"{row['created_at'] or ''}~{row['number']}")

    def search(self, text: str, key: str = "") -> Page:
        """Return posts with these words, the best first. Raises UsageError where that is no search."""
        rank, _, number = key.rpartition("~")
        try:
            rows = self._rows(_FOUND, POSTS, text=text, rank=_real(rank, _BEST), number=_whole(number, -1))
        except sqlite3.OperationalError as e:
            why = str(e).removeprefix("fts5: ")
            raise UsageError(f"This is no search ({why}); words in double quotes are taken as they are.") from e
        return self._page(rows, POSTS, lambda row: f"{row['rank']!r}~{row['number']}")

    def thread(self, identity: str, key: str = "") -> tuple[list[dict[str, Any]], list[dict[str, Any]], Page]:
        """Return what stands above a post, oldest first; the post, in each kind that has its id; replies."""
        chosen = self._full(self._rows(_ONE, POSTS, id=identity)[:POSTS], earlier=True)
        rows = self._rows(_REPLIES, POSTS, id=identity, number=_whole(key, -1))
        return self._above(chosen), chosen, self._page(rows, POSTS, lambda row: str(row["number"]))

    def accounts(self, key: str = "") -> Page:
        """Return accounts from a key on, in the order they were met."""
        sql = "SELECT * FROM accounts WHERE number > :number ORDER BY number LIMIT :most"
        rows = self._rows(sql, ACCOUNTS, number=_whole(key, -1))
        more = str(rows[ACCOUNTS - 1]["number"]) if len(rows) > ACCOUNTS else ""
        return Page([self._account(row) for row in rows[:ACCOUNTS]], more)

    def account(self, identity: str) -> dict[str, Any] | None:
        """Return an account by its id."""
        rows = self._rows("SELECT * FROM accounts WHERE id = :id", 1, id=identity)
        return self._account(rows[0]) if rows else None

    def files(self, key: str = "") -> Page:
        """Return media that is held, what was named last first."""
        rows = self._rows(_FILES, FILES, number=_whole(key, _LAST))
        more = str(rows[FILES - 1]["number"]) if len(rows) > FILES else ""
        return Page([dict(row) for row in rows[:FILES]], more)

    def _rows(self, sql: str, most: int, **values: Any) -> list[sqlite3.Row]:
        """Return rows, one more than ``most`` where there are more."""
        return self._db.execute(sql, {"deleted": self._deleted, "most": most + 1, **values}).fetchall()

    def _page(self, rows: list[sqlite3.Row], most: int, key: Any) -> Page:
        return Page(self._full(rows[:most]), key(rows[most - 1]) if len(rows) > most else "")

    def _full(self, rows: list[sqlite3.Row], *, earlier: bool = False) -> list[dict[str, Any]]:
        """Return posts with their media, lists and counters, and with what they said before where that is asked for."""
        posts = []
        for row in rows:
            post = dict(row) | {name: _list(row[name]) for name in ("links", "hashtags", "mentions")}
            post["counters"] = _map(row["counters"])
            post["files"] = [dict(one) for one in media_of(self._dataset, row["id"])]
            post["snippet"] = _snippet(post.get("snippet"))
            post["earlier"] = versions_of(self._dataset, row) if earlier else []
            posts.append(post)
        return posts

    def _above(self, chosen: list[dict[str, Any]]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        seen = {post["id"] for post in chosen}
        up = next((post["in_reply_to"] for post in chosen if post["in_reply_to"]), None)
        while up and up not in seen and len(found) < _ABOVE:
            seen.add(up)
            rows = self._full(self._rows(_ONE, 1, id=up)[:1])
            found += rows
            up = rows[0]["in_reply_to"] if rows else None
        return found[::-1]

    def _account(self, row: sqlite3.Row) -> dict[str, Any]:
        told = dict(row) | {"badges": _list(row["badges"]), "counters": _map(row["counters"])}
        return told | {"picture": self._held(row["avatar"])}

    def _held(self, url: str | None) -> str:
        """Return the SHA-256 of the file behind a URL, through redirects; empty where it is not held."""
        try:
            name = canonical(url) if url else ""
        except ValueError:
            return ""
        for _ in range(3):
            row = self._db.execute("SELECT sha256, moved_to FROM held WHERE url = ?", (name,)).fetchone()
            if row is None or not row["moved_to"]:
                return row["sha256"] if row else ""
            name = row["moved_to"]
        return ""


def _snippet(text: str | None) -> list[tuple[bool, str]]:
    """Return the pieces of a snippet, and whether each was looked for."""
    pieces: list[tuple[bool, str]] = []
    for part in (text or "").split(MARKS[0]):
        found, mark, rest = part.rpartition(MARKS[1])
        pieces += [(True, found)] if mark else []
        pieces += [(False, rest)] if rest else []
    return pieces


def _list(text: str | None) -> list[Any]:
    found = json.loads(text) if text else []
    return found if isinstance(found, list) else []


def _map(text: str | None) -> dict[str, Any]:
    found = json.loads(text) if text else {}
    return found if isinstance(found, dict) else {}


def _whole(text: str, otherwise: int) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else otherwise


def _real(text: str, otherwise: float) -> float:
    try:
        return float(text)
    except ValueError:
        return otherwise
