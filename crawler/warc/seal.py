"""Sealing: a closed segment is read back from disk, checked, hashed, entered, indexed, and loses its ``.open``.

Idempotent: after a kill between any two steps the next call goes on from what is there.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from isal import isal_zlib

from crawler.collection import class_of, sync_directory
from crawler.errors import Damaged
from crawler.failpoint import failpoint
from crawler.merkle import Leaves, root
from crawler.model import SegmentClass
from crawler.warc import cdxj, manifest
from crawler.warc.reader import Records
from crawler.warc.verify.records import RecordChecks
from crawler.warc.verify.references import References
from crawler.warc.verify.rules import DAMAGE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from crawler.warc.verify.rules import Finding


#: Bytes of a part of an upload: 1 GB in 16 requests, and 640 GB in as many as S3 takes.
PART_BYTES = 64 << 20


class _Parts:
    """The MD5 of each part of what is hashed, and of the whole, which is that of the first part while there is one."""

    def __init__(self) -> None:
        self._done: list[str] = []
        self._part = hashlib.md5(usedforsecurity=False)
        self._whole = self._part
        self._left = PART_BYTES

    def update(self, data: bytes) -> None:
        while len(data) > self._left:
            start, data = data[: self._left], data[self._left :]
            self._feed(start)
            if not self._done:
                self._whole = self._part.copy()
            self._done.append(self._part.hexdigest())
            self._part, self._left = hashlib.md5(usedforsecurity=False), PART_BYTES
        self._feed(data)

    def _feed(self, data: bytes) -> None:
        self._part.update(data)
        if self._whole is not self._part:
            self._whole.update(data)
        self._left -= len(data)

    @property
    def whole(self) -> str:
        """Return the MD5 of all there was."""
        return self._whole.hexdigest()

    def hexdigests(self) -> tuple[str, ...]:
        """Return that of each part; nothing may follow."""
        return (*self._done, self._part.hexdigest())


@dataclass(slots=True)
class _Reading:
    """What one pass over a segment tells."""

    sha256: str = ""
    md5: str = ""
    crc32: int = 0
    size: int = 0
    records: int = 0
    first: str = ""
    last: str = ""
    lines: list[str] | None = None
    parts: tuple[str, ...] = ()
    records_root: str = ""


def seal(
    open_path: Path, *, index_dir: Path, manifest_path: Path, segment_class: str, origin: str = "", replaces: str = ""
) -> bool:  # fmt: skip
    """Seal a segment; return False where it held nothing but its warcinfo and was removed.

    Its name is the file's without the last suffix. ``origin`` is the collection or file that it came from, if it is
    another; ``replaces`` the segment in whose place it stands.

    Raises Damaged where the file is not what was written, OSError where the disk refuses; the segment then stays.
    """
    with one_at_a_time(manifest_path):
        return _seal(open_path, index_dir, manifest_path, segment_class, origin, replaces)


def seal_named(path: str, index_dir: str, manifest_path: str, segment_class: str) -> bool:
    """As ``seal``, for a caller in another process: importing this module is all that process needs."""
    return seal(Path(path), index_dir=Path(index_dir), manifest_path=Path(manifest_path), segment_class=segment_class)


@contextmanager
def one_at_a_time(manifest_path: Path) -> Iterator[None]:
    """Wait for a sealer that outlived its supervisor: two at once would break the manifest's chain."""
    with manifest_path.with_name("sealing.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _seal(
    open_path: Path, index_dir: Path, manifest_path: Path, segment_class: str, origin: str, replaces: str
) -> bool:  # fmt: skip
    final = open_path.with_suffix("")
    if not open_path.exists() and final.exists():
        return True
    _sync(open_path)
    reading = _read(open_path, final.name)
    failpoint("seal.verified")
    if reading.records <= 1 and not reading.lines:
        open_path.unlink()
        sync_directory(open_path.parent)
        return False
    failpoint("seal.hashed")
    _enter(manifest_path, final.name, segment_class, reading, origin, replaces)
    failpoint("seal.manifested")
    _write_index(index_dir / f"{final.name.removesuffix('.warc.gz')}.cdxj", reading.lines or [])
    failpoint("seal.indexed")
    open_path.rename(final)
    sync_directory(final.parent)
    failpoint("seal.renamed")
    return True


def _sync(path: Path) -> None:
    """Make durable what is read back next: of what a killed worker wrote some may be in memory only."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _read(path: Path, name: str) -> _Reading:
    sha256, parts, leaves = hashlib.sha256(), _Parts(), Leaves()
    reading = _Reading(lines=[])
    assert reading.lines is not None

    def seen(data: bytes) -> None:
        sha256.update(data)
        parts.update(data)
        leaves.feed(data)
        reading.crc32 = isal_zlib.crc32(data, reading.crc32)
        reading.size += len(data)

    references, ours = References(), class_of(name) != SegmentClass.IMPORTED
    checks = RecordChecks(path.name, name, references, looks_inside=False, ours=ours)
    records, indexer = Records(path, seen=seen, watch=checks.watch), cdxj.Indexer(name)
    for record in records:
        _refuse(checks.check(record), ours=ours)
        leaves.cut(records.end)
        reading.records += 1
        reading.first = reading.first or record.get("WARC-Date")
        reading.last = record.get("WARC-Date")
        if (line := indexer.line(record)) is not None:
            reading.lines.append(line)
    if records.torn:
        raise Damaged(f"{path.name}:{records.end}: {records.torn}")
    _refuse(references.unresolved(whole=False, ours=ours), ours=ours)
    reading.sha256, reading.md5, reading.parts = sha256.hexdigest(), parts.whole, parts.hexdigests()
    reading.records_root = root(leaves.hashes).hex()
    return reading


def _refuse(findings: Iterable[Finding], *, ours: bool) -> None:
    """Raise Damaged at the first that is an error; in others' files at damage alone."""
    for finding in findings:
        counts = finding.severity == "error" if ours else finding.rule in DAMAGE
        if counts:
            raise Damaged(f"{finding.file}:{finding.offset}: {finding.rule}: {finding.message}")


def _enter(path: Path, name: str, segment_class: str, reading: _Reading, origin: str, replaces: str) -> None:
    known = next((entry for entry in manifest.read(path) if entry.segment == name), None)
    if known is not None:
        if known.sha256 != reading.sha256:
            raise Damaged(f"{name} is not the file that the manifest entered")
        return
    sequence, prev = manifest.next_link(path)
    manifest.append(
        path,
        manifest.Entry(
            sequence=sequence, segment=name, segment_class=segment_class, bytes=reading.size, records=reading.records,
            sha256=reading.sha256, md5=reading.md5, crc32=f"{reading.crc32:08x}", first_date=reading.first,
            last_date=reading.last, sealed_at=datetime.now(UTC).isoformat(timespec="seconds"), prev=prev,
            part_bytes=PART_BYTES, part_md5=reading.parts, records_root=reading.records_root, origin=origin,
            replaces=replaces,
        ),
    )  # fmt: skip


def _write_index(path: Path, lines: list[str]) -> None:
    part = path.with_name(path.name + ".part")
    with part.open("wb") as out:
        out.write(cdxj.index(lines))
        out.flush()
        os.fsync(out.fileno())
    part.rename(path)
    sync_directory(path.parent)
