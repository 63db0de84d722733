"""Writing one segment: whole gzip members, one a record, made durable together.

Records are serialised by warcio; it is told every digest and length, so that it changes nothing. Compression is
igzip's (isal), a quarter of zlib's cost; what is compressed already is stored.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections import deque
from io import BytesIO
from itertools import islice
from typing import TYPE_CHECKING

from isal import isal_zlib
from warcio.recordloader import ArcWarcRecord
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from crawler.collection import OPEN_SUFFIX, sync_directory
from crawler.failpoint import failpoint
from crawler.model import SPOOL_THRESHOLD
from crawler.warc.records import Record, warcinfo

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from _typeshed import ReadableBuffer as Buffer

_LEVEL = 2
_GZIP_WINDOW = 31
#: A body at least this big is tried before its level is chosen.
_TRIAL = 16 * 1024
#: Method deflate, no flags, no time, system unknown.
_GZIP_HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
_STORED_HEADER, _STORED_MOST = struct.Struct("<BHH"), 0xFFFF
#: Buffers that one writev takes everywhere (IOV_MAX).
_MOST_PIECES = 1024


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
        self._warcio = _Writer(None, gzip=False)
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
        dense = _is_dense(record)
        if record.length > SPOOL_THRESHOLD:
            member = _Stored(self._put) if dense else _Deflated(self._put)
            self._serialise(record, member)
            member.end()
            return
        plain = BytesIO()
        self._serialise(record, plain)
        if dense:
            pieces: list[Buffer] = []
            stored = _Stored(pieces.extend)
            stored.write(plain.getbuffer())
            stored.end()
            self._put(pieces)
        else:
            self._put([isal_zlib.compress(plain.getbuffer(), _LEVEL, _GZIP_WINDOW)])

    def _serialise(self, record: Record, out: BytesIO | _Member) -> None:
        headers = StatusAndHeaders("", list(record.headers), "WARC/1.1")
        # warcio drops the block of what it is told is a revisit; the header says what it really is.
        kind = "response" if record.type == "revisit" else record.type
        self._warcio.out = out
        with record.open() as block:
            self._warcio.write_record(ArcWarcRecord("warc", kind, headers, block, None, None, record.length))

    def _put(self, pieces: Sequence[Buffer]) -> None:
        """Write bytes of a member, however many calls the system needs for it."""
        left = deque(memoryview(piece) for piece in pieces)
        while left:
            written = os.writev(self._file, list(islice(left, _MOST_PIECES)))
            self.size += written
            while left and written >= len(left[0]):
                written -= len(left.popleft())
            if written:
                left[0] = left[0][written:]


class _Member:
    """A gzip member being written (RFC 1952), as the file object that warcio expects."""

    def __init__(self, put: Callable[[Sequence[Buffer]], None]) -> None:
        self._put = put

    def write(self, data: Buffer) -> None:
        raise NotImplementedError

    def flush(self) -> None:
        """Do nothing: warcio flushes after each record, ``end`` ends the member."""

    def end(self) -> None:
        raise NotImplementedError


class _Deflated(_Member):
    def __init__(self, put: Callable[[Sequence[Buffer]], None]) -> None:
        super().__init__(put)
        self._deflate = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _GZIP_WINDOW)

    def write(self, data: Buffer) -> None:
        if piece := self._deflate.compress(data):
            self._put([piece])

    def end(self) -> None:
        self._put([self._deflate.flush()])


class _Stored(_Member):
    """Stored blocks (RFC 1951 section 3.2.4), which igzip knows not and zlib copies several times over."""

    def __init__(self, put: Callable[[Sequence[Buffer]], None]) -> None:
        super().__init__(put)
        self._crc = 0
        self._size = 0

    def write(self, data: Buffer) -> None:
        view = memoryview(data)
        pieces: list[Buffer] = [] if self._size else [_GZIP_HEADER]
        for at in range(0, len(view), _STORED_MOST):
            block = view[at : at + _STORED_MOST]
            pieces += (_STORED_HEADER.pack(0, len(block), len(block) ^ 0xFFFF), block)
        self._crc = isal_zlib.crc32(view, self._crc)
        self._size += len(view)
        self._put(pieces)

    def end(self) -> None:
        self._put([_STORED_HEADER.pack(1, 0, 0xFFFF), struct.pack("<II", self._crc, self._size & 0xFFFFFFFF)])


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
