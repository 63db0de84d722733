"""``DIR/dataset.sqlite``: what the spider says of all sealed segments, kept up to date segment by segment.

A segment's rows come in one transaction, so a kill at any moment leaves whole segments and nothing else. Everything
here can be made anew from the WARCs; where the spider has changed since, it is, as far as they are on this machine.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import sqlite3
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from importlib.resources import files
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Self

from crawler.collection import class_of
from crawler.errors import Damaged, DiskFull, UsageError
from crawler.failpoint import failpoint
from crawler.model import SegmentClass
from crawler.reading.entries import COLUMNS, unpack
from crawler.reading.gather import SUFFIX, Gathered, gather
from crawler.warc import manifest
from crawler.withheld import Withheld

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from crawler.collection import Collection
    from crawler.engine import Cluster

#: Version of the tables in ``dataset.sql``; others are made anew.
SCHEMA = 3
#: Classes of segments that say nothing to the public.
_UNREAD = frozenset({SegmentClass.ATTEMPTS.value, SegmentClass.RESTRICTED.value})
#: Table → columns that the hash of a version settles; the others are those of the newest capture.
_FIXED = {
    "account": {"hash", "thing", "rank", "id", "username", "name", "bio", "bio_html"},
    "post": {
        "hash", "thing", "rank", "id", "kind", "text", "html", "in_reply_to", "repost_of", "sensitive", "deleted",
    },
    "media": {"hash", "thing", "rank", "id", "url", "fetched", "variant", "post"},
    "file": {"hash", "url", "sha256", "moved_to", "truncated"},
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Updated:
    """What an update did."""

    #: Segments taken in now, and all that are in the dataset.
    segments: int = 0
    total: int = 0
    #: Pages in the dataset's segments that could not be read.
    unread: int = 0
    #: Segments of the manifest that are neither in the dataset nor on this machine.
    lacking: tuple[str, ...] = ()
    #: Segments that are still being written.
    open: int = 0


class Dataset:
    """The dataset of a collection. ``update`` brings it up to date; ``db`` reads it (see views.sql)."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self.path = collection.root / "dataset.sqlite"
        self.withheld = Withheld.load(collection)
        self._is_alone = False
        with ExitStack() as failed:
            self.db = self._open(failed)
            self.obey()
            failed.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self.db.close()

    def update(
        self, *, places: bool = False, jobs: int | None = None, cluster: Cluster | None = None,
        say: Callable[[str], object] = lambda _: None,
    ) -> Updated:  # fmt: skip
        """Take in every sealed segment that is not in yet, with ``jobs`` processes (as many as pay by default).

        ``cluster``: an engine that reads them, also those that are only elsewhere. ``places``: also where media was
        made and with what. Raises DiskFull, Damaged.
        """
        with self.alone(say):
            self.obey()
            self._sweep()
            reader = reader_of(self._collection)
            todo = self._todo(reader, cluster.afar if cluster else (), places=places)
            try:
                found = gather(self._collection, todo, reader=reader, places=places, jobs=jobs, cluster=cluster)
                for number, one in enumerate(found, 1):
                    self._take(one, reader, places=places)
                    if cluster is None:  # it says so itself
                        say(f"{number} of {len(todo)} segments read")
            except sqlite3.OperationalError as e:
                raise DiskFull(f"{self.path} cannot be written: {e}.") from e
        return self._updated(len(todo))

    def forget(self, segment: str) -> None:
        """Take out all that only this segment says; what others say, too, stays."""
        with self.db:
            self.db.execute("BEGIN IMMEDIATE")
            self._forget(segment)

    def obey(self) -> None:
        """Take out all that was taken down since this was last asked, so that no byte of it is in the file."""
        self.withheld.look()
        if self._obeyed("struck") < len(self.withheld.struck.records):
            with self.alone():
                self._strike()
        if self._obeyed() >= len(self.withheld.entries):
            return
        with self.alone():
            new = self.withheld.entries[self._obeyed() :]
            changed = {
                name: entry.kind for entry in new if entry.kind in {"takedown", "lift"} for name in entry.segments
            }
            with self.db:
                self.db.execute("BEGIN IMMEDIATE")
                for name, kind in changed.items():
                    if kind == "lift" or (self._collection.warcs / name).is_file():
                        self._forget(name)  # and read it again
                    else:
                        self._withhold(name)
            if changed:
                self.purge()
                shutil.rmtree(self._collection.root / "replay", ignore_errors=True)  # made anew when it is asked for
            self.db.execute("INSERT OR REPLACE INTO meta VALUES ('obeyed', ?)", (str(self._obeyed() + len(new)),))

    def purge(self) -> None:
        """Write the file anew, without what was deleted: SQLite and its index of words keep that for a while."""
        self.db.execute("INSERT INTO post_text (post_text) VALUES ('optimize')")
        self.db.execute("VACUUM")
        self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _obeyed(self, name: str = "obeyed") -> int:
        row = self.db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return int(row[0]) if row else 0

    def _updated(self, count: int) -> Updated:
        known = {name for (name,) in self.db.execute("SELECT name FROM segment")}
        named = [entry.segment for entry in manifest.standing(manifest.read(self._collection.manifest))]
        return Updated(
            segments=count, total=len(known), unread=self._one("SELECT coalesce(sum(unread), 0) FROM segment"),
            lacking=tuple(name for name in named if name not in known and class_of(name) not in _UNREAD),
            open=sum(class_of(path.name) not in _UNREAD for path in self._collection.open_segments()),
        )  # fmt: skip

    def _todo(self, reader: str, afar: Iterable[str], *, places: bool) -> list[str]:
        """Return the segments that are not in, or were read otherwise: those on this machine, and some from afar."""
        known = dict(self.db.execute("SELECT name, reader = ? AND places >= ? FROM segment", (reader, places)))
        names = {path.name for path in self._collection.sealed_segments()}.union(afar)
        return sorted(name for name in names if class_of(name) not in _UNREAD and not known.get(name))

    def _take(self, one: Gathered, reader: str, *, places: bool) -> None:
        """Take in a segment: all of its rows or none."""
        with self.db:
            self.db.execute("BEGIN IMMEDIATE")
            self._forget(one.segment)
            number = self._one("SELECT coalesce(max(number), 0) + 1 FROM segment")
            base = self._one("SELECT coalesce(max(number), -1) + 1 FROM record")
            count, has_files = 0, False
            for batch in map(unpack, one.batches):
                count += self._insert(batch, number, base)
                has_files = has_files or "file" in batch
            self.withheld.find(one.segment, one.told.withheld)
            self.db.execute(
                "INSERT INTO segment (number, name, reader, items, unread, places) VALUES (?, ?, ?, ?, ?, ?)",
                (number, one.segment, reader, count, one.told.unread, places or not has_files),
            )
            failpoint("dataset.segment")

    def _insert(self, batch: dict[str, list[tuple[object, ...]]], segment: int, base: int) -> int:
        self.db.executemany(
            f"INSERT INTO record (number, segment, offset, length, id) VALUES (? + {base}, {segment}, ?, ?, ?)",  # noqa: S608 - numbers
            batch["record"],
        )
        for table in _FIXED:
            if entries := batch.get(table):
                self._merge(table, entries, base)
        self.db.executemany("INSERT OR REPLACE INTO place VALUES (?, ?, ?, ?)", batch.get("place", ()))
        self.db.executemany(f"INSERT OR IGNORE INTO seen VALUES (?, ? + {base})", sorted(batch["seen"]))  # noqa: S608 - a number
        return sum(len(batch.get(table, ())) for table in _FIXED)

    def _merge(self, table: str, entries: list[tuple[object, ...]], base: int) -> None:
        """Take in entries by one statement: row by row, each would flush the index of words by itself."""
        names = ", ".join(COLUMNS[table])
        self.db.execute(f"CREATE TEMP TABLE IF NOT EXISTS new_{table} ({names})")
        values = ", ".join("?" for _ in COLUMNS[table])
        self.db.executemany(f"INSERT INTO new_{table} VALUES ({values})", entries)  # noqa: S608 - names of columns
        self.db.execute(_upsert(table, base))
        self.db.execute(f"DELETE FROM new_{table}")  # noqa: S608 - a constant

    def _forget(self, segment: str) -> None:
        found = self.db.execute("SELECT number FROM segment WHERE name = ?", (segment,)).fetchone()
        if found is None:
            return
        here = "SELECT number FROM record WHERE segment = ?"
        self.db.execute(f"DELETE FROM seen WHERE record IN ({here})", found)  # noqa: S608 - a constant
        for table in _FIXED:
            other = f"SELECT max(record) FROM seen WHERE seen.hash = {table}.hash"  # noqa: S608 - a constant
            self.db.execute(
                f"DELETE FROM {table} WHERE record IN ({here}) AND ({other}) IS NULL",  # noqa: S608 - constants
                found,
            )
            self.db.execute(f"UPDATE {table} SET record = ({other}) WHERE record IN ({here})", found)  # noqa: S608
        self.db.execute("DELETE FROM record WHERE segment = ?", found)
        self.db.execute("DELETE FROM place WHERE sha256 NOT IN (SELECT sha256 FROM file)")
        self.db.execute("DELETE FROM segment WHERE number = ?", found)

    def _withhold(self, segment: str) -> None:
        """Take out what is withheld of a segment that cannot be read again here."""
        hides = self.withheld.hides
        records = "SELECT record.number, offset FROM record JOIN segment ON segment.number = segment WHERE name = ?"
        gone = [
            number for number, offset in self.db.execute(records, (segment,)) if hides(segment=segment, offset=offset)
        ]
        files = [one["hash"] for one in self.db.execute("SELECT hash, url, sha256 FROM file")
                 if hides(url=one["url"], sha256=one["sha256"])]  # fmt: skip
        self.db.executemany("DELETE FROM seen WHERE record = ?", ((number,) for number in gone))
        self.db.executemany("DELETE FROM seen WHERE hash = ?", ((one,) for one in files))
        self._tidy()

    def _strike(self) -> None:
        """Take out what was read before it was known to be a dead host's answer."""
        records = self.withheld.struck.records
        named = "SELECT number FROM record WHERE id IN (SELECT value FROM json_each(?))"
        with self.db:
            self.db.execute("BEGIN IMMEDIATE")
            self.db.execute(f"DELETE FROM seen WHERE record IN ({named})", (json.dumps(sorted(records)),))  # noqa: S608 - a constant
            self._tidy()
            self.db.execute("INSERT OR REPLACE INTO meta VALUES ('struck', ?)", (str(len(records)),))

    def _tidy(self) -> None:
        """Take out what no record says any more."""
        for table in _FIXED:
            other = f"(SELECT max(record) FROM seen WHERE seen.hash = {table}.hash)"  # noqa: S608 - a constant
            self.db.execute(f"DELETE FROM {table} WHERE {other} IS NULL")  # noqa: S608 - constants
            self.db.execute(
                f"UPDATE {table} SET record = {other} WHERE record NOT IN (SELECT record FROM seen)"  # noqa: S608
            )

    def _open(self, failed: ExitStack) -> sqlite3.Connection:
        try:
            db = failed.enter_context(closing(sqlite3.connect(self.path, timeout=60, isolation_level=None)))
            db.row_factory = sqlite3.Row
            db.execute("PRAGMA cache_size = -65536")
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute("PRAGMA temp_store = MEMORY")
            if not _is_made(db):  # who only reads waits for nobody who writes
                with db:
                    db.execute("BEGIN IMMEDIATE")
                    _make(db)
        except sqlite3.OperationalError as e:
            raise UsageError(f"{self.path} cannot be written: {e}.") from e
        except sqlite3.DatabaseError as e:
            raise Damaged(f"{self.path} is damaged ({e}); delete it, and it is made anew.") from e
        return db

    @contextmanager
    def alone(self, say: Callable[[str], object] = lambda _: None) -> Iterator[None]:
        """Keep other updates out; one that is under way is waited for. One may be in another."""
        if self._is_alone:
            yield
            return
        with (self._collection.root / "dataset.lock").open("a") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                say("another run brings the dataset up to date; waiting for it …")
                fcntl.flock(handle, fcntl.LOCK_EX)
            self._is_alone = True
            try:
                yield
            finally:
                self._is_alone = False

    def _sweep(self) -> None:
        """Delete what a killed update left."""
        for path in self._collection.spool.glob(f"*{SUFFIX}"):
            shutil.rmtree(path, ignore_errors=True)

    def _one(self, sql: str) -> int:
        found: int = self.db.execute(sql).fetchone()[0]
        return found


def reader_of(collection: Collection) -> str:
    """Return what stands for everything that decides which rows a segment has: the spiders, and what is asked for."""
    import spiders  # noqa: PLC0415 - only where it stands matters

    marker = collection.marker
    told = hashlib.sha256(repr((marker.platform, marker.seed, marker.since, marker.until)).encode())
    told.update(repr(sorted(marker.options.items())).encode())
    own = [collection.spider_file] if collection.spider_file else []
    here = Path(__file__).parent
    sources = chain(Path(spiders.__path__[0]).glob("*.py"), (here / "rows.py", here / "entries.py", here / "facts.py"))
    for path in [*sorted(sources), *own]:
        told.update(path.read_bytes())
    return told.hexdigest()[:32]


def _is_made(db: sqlite3.Connection) -> bool:
    """Say whether the tables are of this version, and the views these ones."""
    return _is_known(db) and _views_of(db) == _told(_script("views.sql"))


def _is_known(db: sqlite3.Connection) -> bool:
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    return version == SCHEMA


def _views_of(db: sqlite3.Connection) -> str:
    found = db.execute("SELECT value FROM meta WHERE name = 'views'").fetchone()
    return found[0] if found else ""


def _told(script: str) -> str:
    return hashlib.sha256(script.encode()).hexdigest()


def _make(db: sqlite3.Connection) -> None:
    """Make the tables anew where they are of another version, the views where they are other ones."""
    if _is_made(db):  # another run was quicker
        return
    views, is_known = _script("views.sql"), _is_known(db)
    for kind in ("view",) if is_known else ("view", "trigger", "table"):
        for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = ?", (kind,)).fetchall():
            if not name.startswith(("sqlite_", "post_text_")):
                db.execute(f"DROP {kind} IF EXISTS {name}")
    for script in (views,) if is_known else (_script("dataset.sql"), views):
        for statement in _statements(script):
            db.execute(statement)
    db.execute("INSERT OR REPLACE INTO meta VALUES ('views', ?)", (_told(views),))
    db.execute(f"PRAGMA user_version = {SCHEMA}")


def _script(name: str) -> str:
    return (files("crawler.reading") / name).read_text("utf-8")


def _statements(script: str) -> Iterator[str]:
    """Yield the statements of a script; ``executescript`` would commit before the first."""
    text = ""
    for line in script.splitlines(keepends=True):
        text += line
        if sqlite3.complete_statement(text):
            yield text
            text = ""


def _upsert(table: str, base: int) -> str:
    """Return what takes in ``new_`` entries: of a version that is known only what a newer capture says of it."""
    columns, fixed = COLUMNS[table], _FIXED[table]
    values = f"{', '.join(columns[:-1])}, {columns[-1]} + {base}"
    told: dict[str, str] = {
        name: f"iif(excluded.last_seen >= last_seen, excluded.{name}, {name})" for name in columns if name not in fixed
    }
    told |= {"first_seen": "min(first_seen, excluded.first_seen)", "last_seen": "max(last_seen, excluded.last_seen)"}
    if "created_from" in told:
        both = "max(created_from, excluded.created_from) <= min(created_until, excluded.created_until)"
        for name, meet in (("created_from", "max"), ("created_until", "min")):
            known = f"coalesce({meet}({name}, excluded.{name}), {name}, excluded.{name})"
            told[name] = f"CASE WHEN ({both}) IS NOT 0 THEN {known} ELSE {told[name]} END"
    changes = ", ".join(f"{name} = {value}" for name, value in told.items())
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM new_{table} WHERE true "  # noqa: S608 - names
        f"ON CONFLICT (hash) DO UPDATE SET {changes}"
    )
