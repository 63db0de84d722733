"""What a collection consists of, as objects to be copied: sealed segments, and what finds them again.

A segment's sums come from the manifest: they were taken from disk when it was sealed, and nobody hashes it again. Keys
contain the content's hash, so nothing is ever overwritten, and the same bytes have the same name.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crawler.warc import manifest
from crawler.warc.seal import PART_BYTES

if TYPE_CHECKING:
    from pathlib import Path

    from crawler.collection import Collection

_PIECE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Object:
    """One file of a collection."""

    #: Path within the collection.
    path: str
    bytes: int
    #: Hex.
    sha256: str
    part_bytes: int
    #: The MD5 (hex) of each part, in order; one for a file that is no longer than a part.
    part_md5: tuple[str, ...]
    #: Key below the collection's own place.
    key: str
    #: The class of segment; empty for what finds segments again, which is small and must be at hand at once.
    segment_class: str = ""

    @property
    def is_hot(self) -> bool:
        """Whether it belongs into the ordinary storage class."""
        return not self.segment_class


def place_of(collection: Collection) -> str:
    """Return where a collection's objects are, below a destination's prefix."""
    return f"{collection.name}-{collection.marker.id}"


def segments(collection: Collection) -> list[Object]:
    """Return the sealed segments that are here, text first, then in the order in which they were sealed."""
    order = {"text": 0, "restricted": 1, "attempts": 2, "images": 3, "originals": 4}
    found = []
    for entry in manifest.read(collection.manifest):
        path = collection.warcs / entry.segment
        if not path.is_file():
            continue
        part_bytes, sums = entry.part_bytes, entry.part_md5
        if not sums:  # sealed before there were any
            _, sums = _hashed(path)
            part_bytes = PART_BYTES
        stem = entry.segment.removesuffix(".warc.gz")
        found.append(
            Object(
                path=f"warcs/{entry.segment}", bytes=entry.bytes, sha256=entry.sha256, part_bytes=part_bytes,
                part_md5=sums, key=f"warcs/{stem}-{entry.sha256[:12]}.warc.gz", segment_class=entry.segment_class,
            )
        )  # fmt: skip
    return sorted(found, key=lambda one: order.get(one.segment_class, 9))


def finders(collection: Collection) -> list[Object]:
    """Return what finds segments again: the marker, the manifest as it is now, and the indexes."""
    count = len(manifest.read(collection.manifest))
    names = {
        collection.root / "collection.json": "collection-{}.json",
        collection.manifest: f"manifest/{count:08d}-{{}}.jsonl",
        **{path: f"indexes/{path.stem}-{{}}.cdxj" for path in sorted(collection.indexes.glob("*.cdxj"))},
    }
    found = []
    for path, name in names.items():
        if path.is_file():
            sha256, sums = _hashed(path)
            found.append(
                Object(
                    path=str(path.relative_to(collection.root)), bytes=path.stat().st_size, sha256=sha256,
                    part_bytes=PART_BYTES, part_md5=sums, key=name.format(sha256[:12]),
                )
            )  # fmt: skip
    return found


def _hashed(path: Path) -> tuple[str, tuple[str, ...]]:
    """Return the SHA-256 of a file and the MD5 of each of its parts."""
    whole = hashlib.sha256()
    sums: list[str] = []
    with path.open("rb") as file:
        while True:
            md5, left = hashlib.md5(usedforsecurity=False), PART_BYTES
            while left and (piece := file.read(min(_PIECE, left))):
                whole.update(piece)
                md5.update(piece)
                left -= len(piece)
            if left == PART_BYTES and sums:
                break
            sums.append(md5.hexdigest())
            if left:
                break
    return whole.hexdigest(), tuple(sums)
