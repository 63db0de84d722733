"""Taking in what other programs saved: their WARC files become segments of a collection, every record as it is.

A file whose records are gzip members of their own is copied byte for byte, so that its SHA-256 stays what it was; of
any other the records' bytes are packed anew, one by one. The manifest says in ``origin`` what file a segment was. Its
class is *imported*: others' habits are no faults of ours, so ``archive verify`` warns of them, and only damage is an
error.
Nothing of it counts as this crawl's own: the frontier knows nothing of it, and fetches what it would have fetched.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crawler.errors import Damaged
from crawler.failpoint import failpoint
from crawler.model import SegmentClass
from crawler.warc import manifest
from crawler.warc.damage import Gap, walk
from crawler.warc.salvage import copy_record
from crawler.warc.seal import seal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from crawler.collection import Collection

_SUFFIX = ".importing"
_PIECE = 1 << 20
_GZIP = b"\x1f\x8b"
#: What a WARC file may be called; browsertrix and others pack with zstd.
_WARC = re.compile(r".+\.warc(?:\.gz|\.zst)?", re.IGNORECASE)
_UNSAFE = re.compile(r"[^A-Za-z0-9.]+")


@dataclass(slots=True)
class Imported:
    """What came of it."""

    segments: int = 0
    bytes: int = 0
    #: Files that were here already.
    known: int = 0
    #: File → why it was left out.
    left_out: dict[str, str] = field(default_factory=dict)


def take_in(
    collection: Collection, path: Path, imported: Imported, *, say: Callable[[str], None] = lambda text: None
) -> None:
    """Take in a WARC file, or those of a WACZ file. The caller holds the lock of ``collection``.

    Raises Damaged where the manifest is broken, OSError where a disk refuses.
    """
    for left in collection.warcs.glob(f"*{_SUFFIX}*"):
        left.unlink()
    here = {entry.origin for entry in manifest.read(collection.manifest)}
    try:
        for name, file in _warcs(collection, path):
            _one(collection, name, file, here, imported, say)
    except zipfile.BadZipFile as e:
        _leave(path.name, f"it is no whole WACZ file: {e}", imported, say)


def _warcs(collection: Collection, path: Path) -> Iterator[tuple[str, Path]]:
    """Yield name and place of each WARC file that ``path`` is or holds; each is good until the next."""
    if not zipfile.is_zipfile(path):
        yield path.name, path
        return
    with zipfile.ZipFile(path) as package:
        for member in package.infolist():
            name = member.filename.rpartition("/")[2]
            if member.filename.startswith("archive/") and _WARC.fullmatch(name):
                with _unpacked(collection, package, member) as file:
                    yield f"{path.name}/{name}", file


@contextmanager
def _unpacked(collection: Collection, package: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[Path]:
    """Give a member of a ZIP file a place of its own for a while: records are read back and forth."""
    file = collection.warcs / f"member{_SUFFIX}"
    try:
        with package.open(member) as source, file.open("wb") as out:
            shutil.copyfileobj(source, out, _PIECE)
        yield file
    finally:
        file.unlink(missing_ok=True)


def _one(
    collection: Collection, name: str, file: Path, here: set[str], imported: Imported, say: Callable[[str], None]
) -> None:  # fmt: skip
    with file.open("rb") as source:
        digest = hashlib.file_digest(source, "sha256").hexdigest()
    origin = f"{name} sha256:{digest}"
    segment = f"{_UNSAFE.sub('_', name.rpartition('/')[2].partition('.warc')[0])[:80]}-{digest[:12]}-{_CLASS}.warc.gz"
    if any(known.endswith(digest) for known in here) and (collection.warcs / segment).exists():
        imported.known += 1
        return
    copy = collection.warcs / f"{segment}{_SUFFIX}"
    try:
        _copy(file, copy)
        is_sealed = seal(
            copy, index_dir=collection.indexes, manifest_path=collection.manifest, segment_class=_CLASS, origin=origin
        )
    except Damaged as e:
        copy.unlink(missing_ok=True)
        _leave(name, f"{str(e).replace(copy.name, name)}; archive repair saves what is whole of it", imported, say)
        return
    if not is_sealed:
        _leave(name, "it holds no more than one record", imported, say)
        return
    imported.segments += 1
    imported.bytes += (collection.warcs / segment).stat().st_size


_CLASS = SegmentClass.IMPORTED.value


def _leave(name: str, why: str, imported: Imported, say: Callable[[str], None]) -> None:
    imported.left_out[name] = why
    say(f"{name}: {why}; it is left out")


def _copy(file: Path, copy: Path) -> None:
    """Write every record of a file to a segment, durably. Raises Damaged where not all of it is records."""
    with file.open("rb") as source, copy.open("wb") as out:
        is_packed = source.read(2) == _GZIP
        for found in walk(file):
            if isinstance(found, Gap):
                raise Damaged(f"{copy.name}:{found.offset}: {found.why}")
            copy_record(file, source, found, out, anew=not is_packed)
        out.flush()
        os.fsync(out.fileno())
    failpoint("import.copied")
