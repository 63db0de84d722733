"""Writing one segment: whole gzip members, one a record, made durable together.

Records are serialised by warcio; it is told every digest and length, so that it changes nothing. Compression is
igzip's (isal), a quarter of zlib's cost; what is compressed already is stored.
"""

from __future__ import annotations

import fcntl
import os
import zlib
from typing import TYPE_CHECKING, Any

from isal import isal_zlib
from warcio.recordloader import ArcWarcRecord
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from crawler.collection import OPEN_SUFFIX, sync_directory
from crawler.failpoint import failpoint
from crawler.warc.records import Record, warcinfo

if TYPE_CHECKING:
    from pathlib import Path

_LEVEL = 2
_GZIP_WINDOW = 31
#: A body at least this big is tried before its level is chosen.
_TRIAL = 16 * 1024


class SegmentWriter:
    """Appends records to a new file, which nobody else may write while this lives.

    Raises FileExistsError for a name already taken, OSError where the disk refuses; then the file is as it was
    before the call. ``append`` returns before the bytes are durable, ``sync`` after.
    """

    def __init__(self, path: Path, *, warcinfo_fields: dict[str, str]) -> None:
        first = warcinfo(path.name.removesuffix(OPEN_SUFFIX), warcinfo_fields)
        #: WARC-Record-ID of the segment's warcinfo, for WARC-Warcinfo-ID.
        self.warcinfo_id = first.id
        self.size = 0
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            sync_directory(path.parent)
            self.append(first)
        except BaseException:
            os.close(self._file)
            raise

    def append(self, *records: Record) -> list[tuple[int, int]]:
        """Write records and return (offset, length) of each one's gzip member."""
        start = self.size
        places = []
        try:
            for record in records:
                offset = self.size
                self._write(record)
                places.append((offset, self.size - offset))
        except BaseException:
            os.ftruncate(self._file, start)
            os.lseek(self._file, start, os.SEEK_SET)
            self.size = start
            raise
        failpoint("segment.appended")
        return places

    def sync(self) -> None:
        """Make all that was appended durable."""
        if hasattr(os, "fdatasync"):
            os.fdatasync(self._file)
        else:
            os.fsync(self._file)
        failpoint("segment.synced")

    def close(self) -> None:
        """Make all durable and let go of the file."""
        try:
            self.sync()
        finally:
            os.close(self._file)

    def _write(self, record: Record) -> None:
        member = _Member(self, dense=_is_dense(record))
        headers = StatusAndHeaders("", list(record.headers), "WARC/1.1")
        # warcio drops the block of what it is told is a revisit; the header says what it really is.
        kind = "response" if record.type == "revisit" else record.type
        with record.open() as block:
            _Writer(member, gzip=False).write_record(
                ArcWarcRecord("warc", kind, headers, block, None, None, record.length)
            )
        member.end()

    def put(self, data: bytes) -> None:
        """Write bytes of a member."""
        view = memoryview(data)
        while view:
            written = os.write(self._file, view)
            view = view[written:]
            self.size += written


class _Member:
    """A gzip member being written (RFC 1952), as the file object that warcio expects."""

    def __init__(self, writer: SegmentWriter, *, dense: bool) -> None:
        self._writer = writer
        # igzip knows no stored blocks; zlib's level 0 is little more than a copy.
        self._deflate: Any = (
            zlib.compressobj(0, zlib.DEFLATED, _GZIP_WINDOW)
            if dense
            else isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _GZIP_WINDOW)
        )

    def write(self, data: bytes) -> None:
        piece = self._deflate.compress(data)
        if piece:
            self._writer.put(piece)

    def flush(self) -> None:
        """Do nothing: warcio flushes after each record, ``end`` ends the member."""

    def end(self) -> None:
        self._writer.put(self._deflate.flush())


class _Writer(WARCWriter):  # type: ignore[misc]
    """warcio's writer for records whose digests are all known."""

    def ensure_digest(self, record: object, block: bool = True, payload: bool = True) -> None:
        """Compute nothing."""


def _is_dense(record: Record) -> bool:
    """Say whether a record is compressed already, by trying some of its middle."""
    if record.body.size < _TRIAL:
        return False
    with record.body.open() as stream:
        stream.seek(record.body.size // 2)
        sample = stream.read(_TRIAL)
    return len(isal_zlib.compress(sample, 1)) > 0.95 * len(sample)
