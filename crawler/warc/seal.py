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

from crawler.collection import OPEN_SUFFIX, sync_directory
from crawler.errors import Damaged
from crawler.failpoint import failpoint
from crawler.warc import cdxj, manifest
from crawler.warc.reader import Records
from crawler.warc.verify import ORIGINS_FAULT, RecordChecks

if TYPE_CHECKING:
    from collections.abc import Iterator


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


def seal(open_path: Path, *, index_dir: Path, manifest_path: Path, segment_class: str) -> bool:
    """Seal a segment; return False where it held nothing but its warcinfo and was removed.

    Raises Damaged where the file is not what was written, OSError where the disk refuses; the segment then stays.
    """
    with one_at_a_time(manifest_path):
        return _seal(open_path, index_dir, manifest_path, segment_class)


def seal_named(path: str, index_dir: str, manifest_path: str, segment_class: str) -> bool:
    """As ``seal``, for a caller in another process: importing this module is all that process needs."""
    return seal(Path(path), index_dir=Path(index_dir), manifest_path=Path(manifest_path), segment_class=segment_class)


@contextmanager
def one_at_a_time(manifest_path: Path) -> Iterator[None]:
    """Wait for a sealer that outlived its supervisor: two at once would break the manifest's chain."""
    with manifest_path.with_name("sealing.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _seal(open_path: Path, index_dir: Path, manifest_path: Path, segment_class: str) -> bool:
    final = open_path.with_name(open_path.name.removesuffix(OPEN_SUFFIX))
    if not open_path.exists() and final.exists():
        return True
    _sync(open_path)
    reading = _read(open_path, final.name)
    failpoint("seal.verified")
    if reading.records <= 1:
        open_path.unlink()
        sync_directory(open_path.parent)
        return False
    failpoint("seal.hashed")
    _enter(manifest_path, final.name, segment_class, reading)
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
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    reading = _Reading(lines=[])
    assert reading.lines is not None

    def seen(data: bytes) -> None:
        sha256.update(data)
        md5.update(data)
        reading.crc32 = isal_zlib.crc32(data, reading.crc32)
        reading.size += len(data)

    records, indexer = Records(path, seen=seen), cdxj.Indexer(name)
    checks = RecordChecks(path, name, hashes_payloads=False)
    for record in records:
        for finding in checks.check(record):
            if finding.severity == "error" and finding.rule not in ORIGINS_FAULT:
                raise Damaged(f"{path.name}:{finding.offset}: {finding.rule}: {finding.message}")
        reading.records += 1
        reading.first = reading.first or record.get("WARC-Date")
        reading.last = record.get("WARC-Date")
        if (line := indexer.line(record)) is not None:
            reading.lines.append(line)
    if records.torn:
        raise Damaged(f"{path.name}:{records.end}: {records.torn}")
    reading.sha256, reading.md5 = sha256.hexdigest(), md5.hexdigest()
    return reading


def _enter(path: Path, name: str, segment_class: str, reading: _Reading) -> None:
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
