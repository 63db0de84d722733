"""Taking in what other programs saved: their WARC files become segments of a collection, every record as it is.

A file whose records are gzip members of their own is copied byte for byte, so that its SHA-256 stays what it was; of
any other the records' bytes are packed anew, one by one. The manifest says in ``origin`` what file a segment was. Its
class is *imported*: others' habits are no faults of ours, so ``archive verify`` warns of them, and only damage is an
error.
Nothing of it counts as this crawl's own: the frontier knows nothing of it, and fetches what it would have fetched.
"""

from __future__ import annotations

import hashlib
import lzma
import os
import re
import zipfile
import zlib
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from crawler.errors import Damaged
from crawler.failpoint import failpoint
from crawler.model import SegmentClass
from crawler.warc import manifest
from crawler.warc.damage import Gap, walk
from crawler.warc.salvage import copy_record
from crawler.warc.seal import seal
from crawler.warc.verify.rules import printable
from crawler.withheld import Withheld

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from crawler.collection import Collection

_SUFFIX = ".importing"
_PIECE = 1 << 20
_GZIP = b"\x1f\x8b"
#: What a WARC file may be called; browsertrix and others pack with zstd.
_WARC = re.compile(r".+\.warc(?:\.gz|\.zst)?", re.IGNORECASE)
_PACKAGE = re.compile(r".+\.(?:wacz|zip)", re.IGNORECASE)
_ZIP = {b"PK\3\4", b"PK\5\6"}
_CLASS = SegmentClass.IMPORTED.value
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
    #: Files that were taken in and hold what was taken down.
    withheld: list[str] = field(default_factory=list)


def take_in(
    collection: Collection, path: Path, imported: Imported, *, say: Callable[[str], None] = lambda text: None
) -> None:
    """Take in a WARC file, or those of a WACZ or another ZIP file. The caller holds the lock of ``collection``.

    Raises Damaged where the manifest is broken, OSError where a disk refuses.
    """
    for left in collection.warcs.glob(f"*{_SUFFIX}*"):
        left.unlink()
    _Import(collection, imported, say).take(path)


def is_zip(path: Path) -> bool:
    """Say whether a file begins as a ZIP file does, be it whole or not: a WARC may well end as one does."""
    with path.open("rb") as file:
        return file.read(4) in _ZIP


class _Import:
    def __init__(self, collection: Collection, imported: Imported, say: Callable[[str], None]) -> None:
        self._collection = collection
        self._imported = imported
        self._say = say
        self._withheld = Withheld.load(collection)
        entries = manifest.read(collection.manifest)
        #: SHA-256 of a file, as it was given and as it stands here → its segment.
        self._here = {digest: one.segment for one in entries for digest in (one.sha256, _given(one)) if digest}
        self._replaced = {one.replaces for one in entries if one.replaces}

    def take(self, path: Path) -> None:
        if not is_zip(path):
            self._one(printable(path.name), path, "archive repair saves what is whole of it")
            return
        try:
            with zipfile.ZipFile(path) as package:
                self._package(printable(path.name), package)
        except zipfile.BadZipFile as e:
            self._leave(printable(path.name), f"it is no whole WACZ or ZIP file: {e}")

    def _package(self, name: str, package: zipfile.ZipFile) -> None:
        found = 0
        for member in package.infolist():
            base = member.filename.rpartition("/")[2]
            label = f"{name}/{printable(member.filename.removeprefix('archive/'))}"
            if _PACKAGE.fullmatch(base):
                self._leave(label, "it is a package in a package; unpack it and import it by itself")
            elif not _WARC.fullmatch(base) or base.startswith("._"):  # what macOS puts beside each file
                continue
            else:
                self._member(label, package, member)
            found += 1
        if not found:
            self._leave(name, "no WARC file is in it")

    def _member(self, name: str, package: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
        """Give a member of a ZIP file a place of its own for a while, for records are read back and forth; take it."""
        file = self._collection.warcs / f"member{_SUFFIX}"
        try:
            with file.open("wb") as out:
                why = _unpacked(package, member, out)
            if why:
                self._leave(name, why)
            else:
                self._one(name, file, "unpack it, and archive repair saves what is whole of it")
        finally:
            file.unlink(missing_ok=True)

    def _one(self, name: str, file: Path, advice: str) -> None:
        with file.open("rb") as source:
            digest = hashlib.file_digest(source, "sha256").hexdigest()
        segment = self._here.get(digest) or _segment(name, digest)
        if segment in self._replaced:
            if self._withheld.is_any:
                self._leave(name, "something in it was taken down, and it was rewritten without that")
                return
            segment = _segment(name, digest, f"-again{len(self._replaced)}")  # the takedown was lifted
        if (self._collection.warcs / segment).exists():
            self._imported.known += 1
            return
        try:
            is_sealed = self._sealed(file, segment, f"{name} sha256:{digest}")
        except Damaged as e:
            why = str(e).replace(f"{segment}{_SUFFIX}", name)
            self._leave(name, f"{why}; {advice if _holds_any(file) else 'no record of it is whole'}")
            return
        if not is_sealed:
            self._leave(name, "it holds no more than one record")
            return
        self._here[digest] = segment
        self._imported.segments += 1
        self._imported.bytes += (self._collection.warcs / segment).stat().st_size
        if self._withheld.hides_any(self._collection.indexes / f"{segment.removesuffix('.warc.gz')}.cdxj"):
            self._imported.withheld.append(name)
            self._say(f"{name}: it holds what was taken down; archive takedown {self._collection.root} --rewrite")

    def _sealed(self, file: Path, segment: str, origin: str) -> bool:
        copy = self._collection.warcs / f"{segment}{_SUFFIX}"
        indexes, entered = self._collection.indexes, self._collection.manifest
        try:
            _copy(file, copy)
            return seal(copy, index_dir=indexes, manifest_path=entered, segment_class=_CLASS, origin=origin)
        except Damaged:
            copy.unlink(missing_ok=True)
            raise

    def _leave(self, name: str, why: str) -> None:
        self._imported.left_out[name] = why
        self._say(f"{name}: {why}; it is left out")


def _segment(name: str, digest: str, again: str = "") -> str:
    stem = _UNSAFE.sub("_", name.rpartition("/")[2].partition(".warc")[0])[:80]
    return f"{stem}-{digest[:12]}{again}-{_CLASS}.warc.gz"


def _given(entry: manifest.Entry) -> str:
    """Return the SHA-256 of the file that a segment was; empty where it was none."""
    return entry.origin.partition(" sha256:")[2]


def _unpacked(package: zipfile.ZipFile, member: zipfile.ZipInfo, out: IO[bytes]) -> str:
    """Write a member; return what is wrong with it, empty where nothing is. A disk that refuses raises OSError."""
    try:
        with package.open(member) as source:
            while piece := source.read(_PIECE):
                out.write(piece)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError) as e:
        return f"it cannot be unpacked: {printable(str(e)) or 'it ends early'}"
    return ""


def _holds_any(file: Path) -> bool:
    """Say whether any record can be read of a damaged file."""
    return any(not isinstance(found, Gap) for found in walk(file))


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
