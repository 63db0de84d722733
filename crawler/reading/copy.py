"""The dataset as one SQLite file for others: the tables of an export, with full-text search over posts."""

from __future__ import annotations

import sqlite3
from itertools import islice
from typing import TYPE_CHECKING

from crawler.collection import sync_directory
from crawler.errors import DiskFull, UsageError
from crawler.failpoint import failpoint
from crawler.reading.export import Written
from crawler.reading.tables import Kind, brought_up, lacks, rows_of, stamp, tables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crawler.reading.dataset import Dataset
    from crawler.reading.export import Order
    from crawler.reading.tables import Table

#: Rows of one transaction.
EVERY = 20_000
_TYPES = {Kind.WHOLE: "INTEGER", Kind.NUMBER: "REAL", Kind.FLAG: "INTEGER"}
#: Table → columns that people look things up by.
_INDEXES = {
    "accounts": ("id", "username"), "posts": ("id", "author", "created_at", "in_reply_to"), "versions": ("id",),
    "media": ("post", "sha256"),
}  # fmt: skip
_SEARCH = """
CREATE VIRTUAL TABLE IF NOT EXISTS search USING fts5 (
    text, author_name, content='posts', content_rowid='number', tokenize='unicode61 remove_diacritics 2'
)
"""


def sqlite(order: Order) -> Iterator[Written]:
    """Write an SQLite database: ``accounts``, ``posts``, ``versions``, ``media``, and ``search`` over posts."""
    if order.output.is_dir():
        raise UsageError(f"{order.output} is a directory; this format writes a file.")
    order.output.parent.mkdir(parents=True, exist_ok=True)
    part = order.output.with_name(f"{order.output.name}.part")
    wanted = tables(with_gps=order.with_gps, with_deleted=order.with_deleted)
    with brought_up(order) as (dataset, updated):
        db = _open(part, stamp(dataset, order), wanted)
        try:
            rows = {table.name: _copy(db, dataset, table, order) for table in wanted}
            _finish(db, wanted)
        except sqlite3.OperationalError as e:
            raise DiskFull(f"{part} cannot be written: {e}.") from e
        finally:
            db.close()
        part.replace(order.output)
        sync_directory(order.output.parent)
        yield Written(path=order.output, rows=sum(rows.values()), lacks=lacks(updated))


def _open(part: Path, told: str, wanted: tuple[Table, ...]) -> sqlite3.Connection:
    """Open what a killed export left, if it was this one; begin anew otherwise."""
    try:
        db = _connect(part)
        known = (
            db.execute("SELECT told FROM export").fetchone()
            if db.execute("PRAGMA schema_version").fetchone()[0]
            else None
        )
        if known == (told,):
            return db
        db.close()
    except sqlite3.DatabaseError:
        pass
    part.unlink(missing_ok=True)
    try:
        db = _connect(part)
        db.execute("BEGIN")
        db.execute("CREATE TABLE export (told TEXT)")
        db.execute("INSERT INTO export VALUES (?)", (told,))
        for table in wanted:
            columns = ", ".join(f"{name} {_TYPES.get(kind, 'TEXT')}" for name, kind in table.columns.items())
            db.execute(f"CREATE TABLE {table.name} (number INTEGER PRIMARY KEY, {columns})")
        db.execute("COMMIT")
    except sqlite3.OperationalError as e:
        raise UsageError(f"{part} cannot be written: {e}.") from e
    return db


def _connect(part: Path) -> sqlite3.Connection:
    db = sqlite3.connect(part, isolation_level=None)
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("PRAGMA cache_size = -65536")
    return db


def _copy(db: sqlite3.Connection, dataset: Dataset, table: Table, order: Order) -> int:
    """Copy the rows that are not there yet; return how many there are."""
    order.say(f"writing {table.name}")
    (after,) = db.execute(f"SELECT coalesce(max(number), 0) FROM {table.name}").fetchone()  # noqa: S608 - our names
    rows = rows_of(dataset, table, after)
    values = ", ".join("?" for _ in range(len(table.columns) + 1))
    while batch := list(islice(rows, EVERY)):
        db.execute("BEGIN")
        db.executemany(f"INSERT INTO {table.name} VALUES ({values})", batch)  # noqa: S608 - our names
        db.execute("COMMIT")
        failpoint("export.rows")
    count: int = db.execute(f"SELECT count(*) FROM {table.name}").fetchone()[0]  # noqa: S608 - our names
    return count


def _finish(db: sqlite3.Connection, wanted: tuple[Table, ...]) -> None:
    db.execute("BEGIN")
    for table in wanted:
        for column in _INDEXES[table.name]:
            db.execute(f"CREATE INDEX IF NOT EXISTS {table.name}_{column} ON {table.name} ({column})")
    db.execute(_SEARCH)
    db.execute("INSERT INTO search (search) VALUES ('rebuild')")
    db.execute("DROP TABLE export")
    db.execute("COMMIT")
