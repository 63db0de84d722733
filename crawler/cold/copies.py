"""The ledger of copies: how far each object is at each destination, durable before the network step that needs it.

One row for each (object, destination): pending → uploading → uploaded → proven. A part that arrived is a row, too. The
file stands beside the frontier, so that a push can run while a crawl does.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from contextlib import ExitStack, closing
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from crawler.errors import DiskFull, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

FORMAT = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS destination (
    name TEXT PRIMARY KEY,
    facts TEXT NOT NULL,             -- where it is, as JSON
    profile TEXT,                    -- what its probe found, as JSON
    trouble TEXT NOT NULL DEFAULT '' -- why nothing is sent there now
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS copy (
    object TEXT NOT NULL,            -- path within the collection
    sha256 TEXT NOT NULL,
    destination TEXT NOT NULL,
    key TEXT NOT NULL,
    state TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    upload TEXT NOT NULL DEFAULT '', -- id of an upload in parts that is under way
    proof TEXT NOT NULL DEFAULT '',  -- what proved it
    reason TEXT NOT NULL DEFAULT '', -- why it went wrong last
    tries INTEGER NOT NULL DEFAULT 0,
    changed REAL NOT NULL,
    PRIMARY KEY (object, sha256, destination)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dropped (
    object TEXT NOT NULL,            -- removed from this machine, as it is elsewhere
    sha256 TEXT NOT NULL,
    owners TEXT NOT NULL,            -- who had it then, proven, as JSON
    at REAL NOT NULL,
    PRIMARY KEY (object, sha256)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lost (
    destination TEXT NOT NULL,       -- where a copy that was proven was seen to be missing or changed
    key TEXT NOT NULL,               -- as it was then; what is changed stays there, as evidence
    object TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    what TEXT NOT NULL,              -- missing or changed
    why TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (destination, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS part (
    upload TEXT NOT NULL,
    number INTEGER NOT NULL,
    etag TEXT NOT NULL,
    PRIMARY KEY (upload, number)
) STRICT, WITHOUT ROWID;
"""


_SELECT = "SELECT object, sha256, destination, key, state, bytes, upload, proof, reason, tries FROM copy"

_DROPPED = "SELECT object, owners FROM dropped"


class CopyState(StrEnum):
    """How far a copy is."""

    PENDING = "pending"
    UPLOADING = "uploading"
    #: The server said that it has it.
    UPLOADED = "uploaded"
    #: What it has was shown to be what we have.
    PROVEN = "proven"


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """One object at one destination."""

    object: str
    sha256: str
    destination: str
    key: str
    state: CopyState
    bytes: int
    upload: str = ""
    proof: str = ""
    reason: str = ""
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Lost:
    """What a copy that had been proven was seen to be: missing, or changed. It is mended once the copy is proven."""

    object: str
    sha256: str
    key: str
    what: str
    why: str


class Copies:
    """The ledger's file. Every verb that returns has taken effect durably.

    Raises UsageError where the file is damaged or newer, DiskFull where it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        #: Destinations have threads of their own, and a connection serves one at a time.
        self._lock = threading.Lock()
        with ExitStack() as failed:
            self._db = self._open(path, failed)
            failed.pop_all()

    def _open(self, path: Path, failed: ExitStack) -> sqlite3.Connection:
        try:
            db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=60)
            failed.enter_context(closing(db))
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.executescript(_SCHEMA)
            db.execute("INSERT OR IGNORE INTO meta VALUES ('format', ?)", (str(FORMAT),))
            found = int(db.execute("SELECT value FROM meta WHERE key = 'format'").fetchone()[0])
        except sqlite3.OperationalError as e:
            raise DiskFull(f"{path} cannot be written ({e}).") from e
        except sqlite3.DatabaseError as e:
            raise UsageError(f"{path} cannot be used ({e}); move it away: the next push looks what is there.") from e
        if found > FORMAT:
            raise UsageError(f"{path} has format {found}; this Outlast reads up to {FORMAT}: update it.")
        return db

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # Destinations

    def add(self, name: str, facts: dict[str, Any]) -> None:
        """Know a destination; what was found out about another of this name is forgotten."""
        text = json.dumps(facts, sort_keys=True)
        self._run(
            "INSERT INTO destination (name, facts) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET "
            "profile = CASE WHEN facts = excluded.facts THEN profile END, facts = excluded.facts",
            (name, text),
        )

    def destinations(self) -> dict[str, tuple[dict[str, Any], dict[str, Any] | None, str]]:
        """Return name → (where it is, what its probe found or None, what is wrong with it)."""
        rows = self._run("SELECT name, facts, profile, trouble FROM destination ORDER BY name")
        return {row[0]: (json.loads(row[1]), json.loads(row[2]) if row[2] else None, row[3]) for row in rows}

    def set_profile(self, name: str, profile: dict[str, Any]) -> None:
        """Keep what a probe found."""
        self._run("UPDATE destination SET profile = ? WHERE name = ?", (json.dumps(profile), name))

    def set_trouble(self, name: str, why: str) -> None:
        """Quarantine a destination that refuses us, so that its copies do not count; empty where they do again."""
        self._run("UPDATE destination SET trouble = ? WHERE name = ?", (why, name))

    # Copies

    def want(self, copies: Iterable[Copy], *, now: float) -> None:
        """Enter copies that are to be made; one that is known stays as it is."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(
                "INSERT OR IGNORE INTO copy (object, sha256, destination, key, state, bytes, changed) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(c.object, c.sha256, c.destination, c.key, c.state.value, c.bytes, now) for c in copies],
            )
            self._db.execute("COMMIT")

    def all(self, destination: str | None = None) -> list[Copy]:
        """Return the copies, of one destination or of all, oldest objects first."""
        where = "WHERE :name IS NULL OR destination = :name ORDER BY object"
        return [_copy(row) for row in self._run(f"{_SELECT} {where}", {"name": destination})]

    def tally(self) -> list[tuple[str, str, int, int]]:
        """Return destination, state, how many copies and their bytes."""
        return self._run("SELECT destination, state, count(*), sum(bytes) FROM copy GROUP BY 1, 2 ORDER BY 1, 2")

    def of(self, object_path: str, sha256: str) -> list[Copy]:
        """Return the copies of one object."""
        return [_copy(row) for row in self._run(f"{_SELECT} WHERE object = ? AND sha256 = ?", (object_path, sha256))]

    def all_of(self, object_path: str) -> list[Copy]:
        """Return the copies of an object, whatever its content was."""
        return [_copy(row) for row in self._run(f"{_SELECT} WHERE object = ?", (object_path,))]

    def set(
        self, copy: Copy, state: CopyState, *, now: float, upload: str = "", proof: str = "", reason: str = ""
    ) -> None:
        """Say how far a copy is. ``reason`` counts as a try."""
        self._run(
            "UPDATE copy SET state = ?, upload = ?, proof = ?, reason = ?, tries = tries + ?, changed = ? "
            "WHERE object = ? AND sha256 = ? AND destination = ?",
            (state.value, upload, proof, reason, int(bool(reason)), now, copy.object, copy.sha256, copy.destination),
        )

    def rename(self, copy: Copy, key: str, *, now: float, reason: str) -> None:
        """Begin a copy anew under another key: what is under this one is not what we have."""
        self._run(
            "UPDATE copy SET key = ?, state = 'pending', upload = '', proof = '', reason = ?, tries = tries + 1, "
            "changed = ? WHERE object = ? AND sha256 = ? AND destination = ?",
            (key, reason, now, copy.object, copy.sha256, copy.destination),
        )

    def lose(self, copy: Copy, what: str, why: str, *, key: str, now: float) -> None:
        """Say that a proven copy is missing or changed: it counts no longer, and is to be sent anew under ``key``.

        It stays known as lost until it is proven again, however often its sending begins.
        """
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(
                "INSERT OR REPLACE INTO lost VALUES (?, ?, ?, ?, ?, ?, ?)",
                (copy.destination, copy.key, copy.object, copy.sha256, what, why, now),
            )
            self._db.execute(
                "UPDATE copy SET key = ?, state = 'pending', upload = '', proof = '', reason = ?, tries = tries + 1, "
                "changed = ? WHERE object = ? AND sha256 = ? AND destination = ?",
                (key, f"{what} {why}".strip(), now, copy.object, copy.sha256, copy.destination),
            )
            self._db.execute("COMMIT")

    def lost(self, destination: str) -> list[Lost]:
        """Return what was lost at a destination, mended or not, the latest last."""
        told = "SELECT object, sha256, key, what, why FROM lost WHERE destination = ? ORDER BY at"
        return [Lost(*row) for row in self._run(told, (destination,))]

    def forget(self, copy: Copy) -> None:
        """Know no more of a copy: it was withdrawn."""
        for table in ("copy", "lost"):
            self._run(
                f"DELETE FROM {table} WHERE object = ? AND sha256 = ? AND destination = ?",  # noqa: S608 - ours
                (copy.object, copy.sha256, copy.destination),
            )

    # What is only elsewhere

    def drop(self, object_path: str, sha256: str, owners: Iterable[str], *, now: float) -> None:
        """Say that an object is about to be removed from this machine, and who has it."""
        told = json.dumps(sorted(owners))
        self._run("INSERT OR REPLACE INTO dropped VALUES (?, ?, ?, ?)", (object_path, sha256, told, now))

    def dropped(self) -> dict[str, list[str]]:
        """Return object → owners of what was removed from this machine, as it was with them."""
        return _dropped(self._run(_DROPPED))

    # Parts

    def part_sent(self, upload: str, number: int, etag: str) -> None:
        """Keep what the server called a part."""
        self._run("INSERT OR REPLACE INTO part VALUES (?, ?, ?)", (upload, number, etag))

    def parts(self, upload: str) -> dict[int, str]:
        """Return number → ETag of the parts that arrived."""
        return dict(self._run("SELECT number, etag FROM part WHERE upload = ?", (upload,)))

    def forget_parts(self, upload: str) -> None:
        """Forget the parts of an upload that is over."""
        self._run("DELETE FROM part WHERE upload = ?", (upload,))

    def _run(self, statement: str, values: Sequence[object] | Mapping[str, object] = ()) -> list[Any]:
        """Run one statement by itself and return its rows."""
        with self._lock:
            return self._db.execute(statement, values).fetchall()


def _copy(row: Sequence[Any]) -> Copy:
    return Copy(
        object=row[0], sha256=row[1], destination=row[2], key=row[3], state=CopyState(row[4]), bytes=row[5],
        upload=row[6], proof=row[7], reason=row[8], tries=row[9],
    )  # fmt: skip


def elsewhere(path: Path) -> dict[str, list[str]]:
    """Return segment's file name → owners, of the segments that went from this machine; changes nothing."""
    if not path.is_file():
        return {}
    with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as db:
        try:
            found = _dropped(db.execute(_DROPPED).fetchall())
        except sqlite3.DatabaseError:
            return {}  # an older one has no such table, and a damaged one tells nothing
    return {name.removeprefix("warcs/"): owners for name, owners in found.items()}


def _dropped(rows: Iterable[Sequence[Any]]) -> dict[str, list[str]]:
    return {row[0]: json.loads(row[1]) for row in rows}
