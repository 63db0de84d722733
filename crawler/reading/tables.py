"""The tables that an export has: their columns, how each is meant, and their rows out of the dataset, in order.

``docs/dataset.md`` says what each column holds.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from crawler.reading.dataset import Dataset

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from crawler.reading.dataset import Updated
    from crawler.reading.export import Order


class Kind(StrEnum):
    """How a column is meant."""

    TEXT = "text"
    TIME = "time"
    WHOLE = "whole number"
    NUMBER = "number"
    FLAG = "flag"
    #: A JSON list of texts, a JSON object of texts, and any JSON object.
    LIST = "list"
    MAP = "map"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table of an export."""

    name: str
    #: Column → what it holds. The dataset's view has a ``number`` beside them, which ascends.
    columns: dict[str, Kind]
    #: A query for ``number`` and the columns of all rows after a number.
    query: str


_T, _L, _W = Kind.TEXT, Kind.LIST, Kind.WHOLE
_CAPTURED = {"first_captured_at": Kind.TIME, "captured_at": Kind.TIME, "source_url": _T}
_RECORD = {"warc_file": _T, "warc_offset": _W, "warc_length": _W, "warc_record_id": _T}
ACCOUNT = {
    "id": _T, "username": _T, "name": _T, "bio": _T, "bio_html": _T, "url": _T, "created_at": Kind.TIME,
    "created_until": Kind.TIME, "avatar": _T, "banner": _T, "badges": _L, "counters": Kind.MAP, "extra": Kind.JSON,
    "versions": _W, **_CAPTURED, **_RECORD,
}  # fmt: skip
POST = {
    "id": _T, "kind": _T, "author": _T, "author_name": _T, "created_at": Kind.TIME, "created_until": Kind.TIME,
    "text": _T, "html": _T, "url": _T, "in_reply_to": _T, "repost_of": _T, "media": _L, "links": _L, "mentions": _L,
    "hashtags": _L, "counters": Kind.MAP, "sensitive": Kind.FLAG, "deleted": Kind.FLAG, "extra": Kind.JSON,
    "versions": _W, **_CAPTURED, **_RECORD,
}  # fmt: skip
VERSION = {
    "id": _T,
    "kind": _T,
    "text": _T,
    "html": _T,
    "media": _L,
    "links": _L,
    "extra": Kind.JSON,
    **_CAPTURED,
    **_RECORD,
}
MEDIA = {
    "id": _T, "kind": _T, "variant": _T, "post": _T, "account": _T, "title": _T, "url": _T, "mime": _T, "sha256": _T,
    "size": _W, "width": _W, "height": _W, "seconds": Kind.NUMBER, "taken_at": _T, "truncated": _T,
    "extra": Kind.JSON, **_CAPTURED, **_RECORD, "said_warc_file": _T, "said_warc_offset": _W,
    "said_warc_record_id": _T,
}  # fmt: skip
_PLACE = {"latitude": Kind.NUMBER, "longitude": Kind.NUMBER, "device": _T}
#: Posts whose newest version is marked as deleted.
_GONE = "SELECT 1 FROM posts AS gone WHERE gone.deleted AND gone.id = "


def tables(*, with_gps: bool, with_deleted: bool) -> tuple[Table, ...]:
    """Return the tables of an export."""
    alive = "" if with_deleted else " AND NOT deleted"
    of_the_living = "" if with_deleted else f" AND NOT EXISTS ({_GONE}view.{{}})"
    media = MEDIA | (_PLACE if with_gps else {})
    places = " LEFT JOIN place USING (sha256)" if with_gps else ""
    return (
        _table("accounts", ACCOUNT, "accounts", ""),
        _table("posts", POST, "posts", alive),
        _table("versions", VERSION, "versions", of_the_living.format("id")),
        _table("media", media, "media_files", of_the_living.format("post"), places),
    )


def _table(name: str, columns: dict[str, Kind], view: str, condition: str, join: str = "") -> Table:
    query = f"SELECT number, {', '.join(columns)} FROM {view} AS view{join} WHERE number > ?{condition} ORDER BY number"  # noqa: S608
    return Table(name=name, columns=columns, query=query)


@contextmanager
def brought_up(order: Order) -> Iterator[tuple[Dataset, Updated]]:
    """Open the dataset of a collection, brought up to date."""
    with Dataset(order.collection) as dataset:
        yield dataset, dataset.update(places=order.with_gps, jobs=order.jobs, cluster=order.cluster, say=order.say)


def rows_of(dataset: Dataset, table: Table, after: int = 0) -> Iterator[sqlite3.Row]:
    """Yield the rows of a table whose numbers come after one."""
    return iter(dataset.db.execute(table.query, (after,)))


def facts(row: sqlite3.Row, columns: dict[str, Kind]) -> dict[str, Any]:
    """Return a row as JSON has it: lists and objects as such, empty where there is nothing."""
    return {name: _fact(kind, row[name]) for name, kind in columns.items()}


def _fact(kind: Kind, value: Any) -> Any:
    if kind in {Kind.LIST, Kind.MAP, Kind.JSON}:
        return json.loads(value) if value else [] if kind is Kind.LIST else {}
    return bool(value) if kind is Kind.FLAG else value


def stamp(dataset: Dataset, order: Order) -> str:
    """Return what stands for all that decides what an export holds."""
    told: tuple[Any, ...] = tuple(
        dataset.db.execute(
            "SELECT count(*), coalesce(sum(number * (items + 1)), 0), max(reader) FROM segment"
        ).fetchone()
    )
    return repr((order.collection.marker.id, *dataset.withheld.version, *told, order.with_gps, order.with_deleted))


def lacks(updated: Updated) -> tuple[str, ...]:
    """Return what the dataset lacks, as sentences."""
    said = []
    if updated.unread:
        said.append(f"{updated.unread:,} pages could not be read")
    if updated.lacking:
        said.append(f"{len(updated.lacking):,} segments are not on this machine; archive pull brings them back")
    if updated.open:
        said.append(f"{updated.open:,} segments are still being written and are not in it yet")
    return tuple(said)
