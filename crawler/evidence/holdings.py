"""What a collection consists of beside its segments, as a statement names it: files by their SHA-256.

A file is *fixed* (never written again), *grows* (is only added to), or is the *state* of a crawl, which a later run
changes. What is made again from the rest (the data set, the ledger of copies, the spool) is not in it.
"""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from crawler.errors import DiskFull

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crawler.collection import Collection
    from crawler.frontier.reader import FrontierReader

#: The time-stamps of the manifest's head, a line each.
HEADS = "evidence/heads.jsonl"
#: What volunteers brought, each line signed by who did.
BROUGHT = "evidence/volunteers.jsonl"
_FIXED = (
    "indexes/*.cdxj",
    "spiders/*.py",
    "evidence/statement-*.json",
    "evidence/coverage-*.json",
    "evidence/from-*/*",
)
_GROWS = (HEADS, BROUGHT, "withheld.jsonl", "deathwatch.jsonl", "logs/*.log")
_STATE = ("collection.json", "frontier.sqlite")


Kind = Literal["fixed", "grows", "state"]


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file of a collection: its path there, its length, its SHA-256 (hex)."""

    path: str
    kind: Kind
    bytes: int
    sha256: str


def files(collection: Collection) -> list[File]:
    """Return each file, in the order of paths."""
    found = []
    for kind, path in _named(collection):
        length, digest = prefix(path)
        name = str(path.relative_to(collection.root))
        found.append(File(path=name, kind=kind, bytes=length, sha256=digest))
    return sorted(found, key=lambda one: one.path)


def names(collection: Collection) -> set[str]:
    """Return the paths of what a statement must name: files that never change, and a log that hides a change."""
    log = collection.frontier.with_name(f"{collection.frontier.name}-wal")
    found = [path for kind, path in _named(collection) if kind == "fixed"]
    found += [log] if log.exists() and log.stat().st_size else []
    return {str(path.relative_to(collection.root)) for path in found}


def prefix(path: Path, length: int | None = None) -> tuple[int, str]:
    """Return how many bytes a file has, no more than ``length``, and their SHA-256 (hex)."""
    digest, count = hashlib.sha256(), 0
    with path.open("rb") as file:
        while piece := file.read(1 << 20 if length is None else min(1 << 20, length - count)):
            digest.update(piece)
            count += len(piece)
    return count, digest.hexdigest()


def settle(collection: Collection) -> None:
    """Have all of the frontier in its one file, none in a log beside it. The caller holds the collection's lock.

    Raises DiskFull where there is no room for that.
    """
    if collection.frontier.exists():
        with closing(sqlite3.connect(collection.frontier)) as db:
            try:
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            except sqlite3.OperationalError as e:
                raise DiskFull(f"{collection.frontier} cannot be written ({e}).") from e


def coverage(frontier: FrontierReader) -> dict[str, Any]:
    """Return what is held of what the platform has: by the whole fleet, where the frontier is one's."""
    stats, digest, count = frontier.stats(), hashlib.sha256(), 0
    for row in frontier.covered():
        digest.update("\t".join(row).encode("utf-8", "surrogatepass") + b"\n")
        count += 1
    return {
        "coverage": frontier.coverage(),
        "claims": [
            {"kind": one.kind, "counter": one.counter, "count": one.count, "url": one.url} for one in frontier.claims()
        ],
        "fetches": {
            "done": stats.done, "queued": stats.queued + stats.leased, "parked": stats.parked,
            "failed": stats.failed, "excluded": stats.excluded,
        },
        "round": frontier.round,
        **({"volunteers": said} if (said := frontier.witnessed()) else {}),
        # Kind, id, standing and reason of each thing, joined by tabs, a line each, in this order.
        "things": {"count": count, "sha256": digest.hexdigest()},
    }  # fmt: skip


def _named(collection: Collection) -> Iterator[tuple[Kind, Path]]:
    kinds: dict[Kind, tuple[str, ...]] = {"fixed": _FIXED, "grows": _GROWS, "state": _STATE}
    for kind, patterns in kinds.items():
        for pattern in patterns:
            yield from ((kind, path) for path in collection.root.glob(pattern) if path.is_file())
