"""Repair of a collection: what can be had of a damaged segment becomes a segment of its own, entered like any other.

The damaged one is moved to ``damaged/`` as it is, with its index. Idempotent: after a kill the next call goes on.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from crawler.collection import salvaged_name
from crawler.failpoint import failpoint
from crawler.frontier.engines import to_write
from crawler.warc import manifest
from crawler.warc.salvage import Salvaged, salvage
from crawler.warc.seal import seal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crawler.collection import Collection

_SUFFIX = ".salvaging"


def damaged(collection: Collection) -> Iterator[manifest.Entry]:
    """Yield the entries whose segment is not what was entered; of one that is gone nothing is left to save."""
    for entry in manifest.read(collection.manifest):
        path = collection.warcs / entry.segment
        if path.is_file() and (path.stat().st_size != entry.bytes or _sha256(path) != entry.sha256):
            yield entry


def repair(collection: Collection, entry: manifest.Entry) -> tuple[Salvaged | None, int]:
    """Put a damaged segment's whole records in its place; return what came of it (None: a killed run had done it), and
    how many fetches are queued again until those records are taken in.

    The caller holds the collection's lock. Raises OSError where the disk refuses.
    """
    name = salvaged_name(entry.segment)
    made = None
    if not (collection.warcs / name).exists():
        part = collection.warcs / f"{name}{_SUFFIX}"
        if not (part.exists() and any(one.segment == name for one in manifest.read(collection.manifest))):
            part.unlink(missing_ok=True)
            made = salvage(collection.warcs / entry.segment, part, name=name)
            failpoint("repair.salvaged")
        seal(part, index_dir=collection.indexes, manifest_path=collection.manifest, segment_class=entry.segment_class)
        failpoint("repair.sealed")
    lost = _forget(collection, entry.segment)
    failpoint("repair.forgotten")
    collection.set_aside(entry.segment, "damaged")
    return made, lost


def _forget(collection: Collection, segment: str) -> int:
    if not collection.marker.frontier and not collection.frontier.is_file():
        return 0
    frontier = to_write(collection)
    try:
        return frontier.lose(segment)
    finally:
        frontier.close()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
