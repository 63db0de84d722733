"""What a collection can be exported as. A format is a function ``(Order) -> Iterator[Written]`` in a module of its own.

Exports are made beside their final name and get it when they are whole; the same order goes on where a killed one
ended, as long as the collection says the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING

from crawler.errors import NO_ROOM, DiskFull, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from crawler.collection import Collection
    from crawler.engine import Cluster
    from crawler.reading.shelf import Remote

#: Format → the function that writes it, and one line for people.
FORMATS: Mapping[str, tuple[str, str]] = {
    "jsonl": ("crawler.reading.lines:jsonl", "a directory of JSON lines"),
    "csv": ("crawler.reading.lines:csv", "a directory of CSV files, safe to open in a spreadsheet"),
    "sqlite": ("crawler.reading.copy:sqlite", "an SQLite database with full-text search"),
    "bagit": (
        "crawler.reading.bag:bagit",
        "the collection as a bag (BagIt 1.0, RFC 8493), linked where the disk allows",
    ),
    "parquet": ("crawler.reading.parquet:parquet", "a directory of Parquet files (outlast[parquet])"),
    "wacz": ("crawler.reading.wacz:wacz", "a WACZ file for replay, or with --split a directory of them"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be exported, and how."""

    collection: Collection
    output: Path
    #: Say where media was made, and with what.
    with_gps: bool = False
    #: What was marked as deleted when it was captured, too.
    with_deleted: bool = False
    #: Processes that read; as many as pay where None.
    jobs: int | None = None
    #: An engine that reads segments.
    cluster: Cluster | None = None
    #: Reads what is no longer on this machine.
    remote: Remote | None = None
    #: Bytes of each WACZ of several; one where None.
    split: int | None = None
    #: Signs a WACZ.
    key: Ed25519PrivateKey | None = None
    #: Hears how far it is.
    say: Callable[[str], object] = field(default=lambda _: None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A file that an export wrote."""

    path: Path
    #: Rows in it, or records; None where that means nothing.
    rows: int | None = None
    #: Bytes of it, where it is a stream and no file.
    bytes: int | None = None
    #: What people should know: pages that could not be read, segments that are elsewhere.
    lacks: tuple[str, ...] = ()


def export(name: str, order: Order) -> Iterator[Written]:
    """Export, and yield each file as it is whole. Raises UsageError for a format nobody has, DiskFull."""
    if name not in FORMATS:
        raise UsageError(f"There is no format {name!r}; there are: {', '.join(FORMATS)}.")
    module, _, function = FORMATS[name][0].partition(":")
    try:
        yield from getattr(import_module(module), function)(order)
    except OSError as e:
        if e.errno in NO_ROOM:
            raise DiskFull(f"{order.output} cannot be written: {e.strerror}.") from e
        raise UsageError(f"{e.filename or order.output} cannot be written: {e.strerror}.") from e
