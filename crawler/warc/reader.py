"""Reading segments: strict, streaming, bounded, and never surprised by a torn end.

``Records`` walks gzip members from an offset and stops at the first that is not whole, saying where and why.
"""

from __future__ import annotations

import io
import re
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, cast

from isal import isal_zlib

from crawler.model import EMPTY_BODY, SPOOL_THRESHOLD, Body

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from _typeshed import WriteableBuffer

_READ = 1 << 18
#: isal raises an error of its own beside zlib's.
_INFLATE_ERRORS = (cast("type[Exception]", isal_zlib.error), zlib.error)
#: A record's header block may be this long: outlinks are in blocks, works in headers are small.
MAX_HEADERS = 1 << 20
#: How a record begins in a file that is not packed.
_PLAIN = b"WARC/"
_SIZE = re.compile(r"[0-9]{1,18}")


class Torn(Exception):
    """The file ends, or stops making sense, inside a record."""


@dataclass(slots=True, kw_only=True)
class RawRecord:
    """One record as it stands in the file."""

    offset: int
    #: Bytes of the gzip member (or of the plain record).
    length: int = 0
    version: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    #: The first header of each name, in lower case.
    first: dict[str, str] = field(default_factory=dict)
    block: Body | DistantBlock = EMPTY_BODY
    #: What is odd about the record's own framing: rule → sentence.
    faults: dict[str, str] = field(default_factory=dict)

    def get(self, name: str) -> str:
        """Return the first header of a name (any case), or the empty string."""
        return self.first.get(name.lower(), "")

    @property
    def type(self) -> str:
        return self.get("WARC-Type")

    @property
    def id(self) -> str:
        return self.get("WARC-Record-ID")


@dataclass(frozen=True, slots=True, kw_only=True)
class DistantBlock:
    """A block too big for memory: every ``open`` inflates it anew from its file, so that no copy is ever made."""

    path: Path
    #: Where the record's member begins, and how many decoded bytes come before the block.
    offset: int
    skip: int
    size: int

    def open(self) -> BinaryIO:
        """Return a new stream at the start of the block; the caller closes it."""
        return io.BufferedReader(_Inflated(self), _READ)


class Records:
    """The records of a file from an offset on. After iteration ``end`` is the last good offset, ``torn`` says why
    it is not the end of the file (empty where it is).

    ``seen`` hears every raw byte of the file in order, for a hash in the same pass.
    """

    def __init__(self, path: Path, *, start: int = 0, seen: Callable[[bytes], object] | None = None) -> None:
        self._path = path
        self._start = start
        self._seen = seen
        self.end = start
        self.torn = ""

    def __iter__(self) -> Iterator[RawRecord]:
        with self._path.open("rb") as file:
            file.seek(self._start)
            source = _Members(file, self._start, self._seen)
            while True:
                try:
                    record = _read_record(source, self._path)
                except Torn as e:
                    self.torn = str(e)
                    source.drain()
                    return
                if record is None:
                    return
                self.end = source.offset
                yield record


def read_at(path: Path, offset: int) -> RawRecord:
    """Return the record at an offset. Raises Torn where there is none."""
    with path.open("rb") as file:
        file.seek(offset)
        record = _read_record(_Members(file, offset, None), path)
    if record is None:
        raise Torn(f"{path.name} has no record at {offset}")
    return record


class _Members:
    """Decoded bytes of a file, gzip member by gzip member; a plain file is one endless member."""

    def __init__(self, file: BinaryIO, offset: int, seen: Callable[[bytes], object] | None) -> None:
        self._file = file
        self._seen = seen
        self._raw = b""
        #: Offset in the file of the first byte not yet used.
        self.offset = offset
        self.plain = False

    def begin(self) -> bool:
        """Start a member; False at the clean end of the file."""
        while len(self._raw) < len(_PLAIN) and (more := self._more()):
            self._raw += more
        if not self._raw:
            return False
        self.plain = self._raw.startswith(_PLAIN)
        if not self.plain and self._raw[:2] != b"\x1f\x8b"[: len(self._raw)]:
            raise Torn("neither a gzip member nor a WARC record begins here")
        self._inflate = isal_zlib.decompressobj(31)
        self._over = False
        return True

    def read(self) -> bytes:
        """Return the next decoded bytes of the member, empty at its end."""
        while not self._over:
            raw = self._raw or self._more()
            if not raw:
                if self.plain:
                    return b""
                raise Torn("the file ends inside a gzip member")
            self._raw = b""
            if self.plain:
                self.offset += len(raw)
                return raw
            try:
                out: bytes = self._inflate.decompress(raw, _READ)
            except _INFLATE_ERRORS as e:
                raise Torn(f"a gzip member is damaged: {e}") from e
            rest = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
            self.offset += len(raw) - len(rest)
            self._raw = rest
            self._over = self._inflate.eof
            if out:
                return out
        return b""

    def give_back(self, data: bytes) -> None:
        """Put back what was read of a plain file and belongs to the next record."""
        self._raw = data + self._raw
        self.offset -= len(data)

    def drain(self) -> None:
        """Read the rest of the file for the sake of ``seen``."""
        while self._seen is not None and self._more():
            pass

    def _more(self) -> bytes:
        data = self._file.read(_READ)
        if data and self._seen is not None:
            self._seen(data)
        return data


class _Inflated(io.RawIOBase):
    """The bytes of a block, straight from its file."""

    def __init__(self, block: DistantBlock) -> None:
        self._file = block.path.open("rb")
        self._file.seek(block.offset)
        self._source = _Members(self._file, block.offset, None)
        self._source.begin()
        self._skip, self._left, self._rest = block.skip, block.size, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        out = memoryview(buffer)
        while self._left and not self._rest:
            piece = self._source.read()
            if not piece:
                raise Torn("a block became shorter while it was read")
            self._rest = piece[self._skip : self._skip + self._left]
            self._skip = max(0, self._skip - len(piece))
        taken = self._rest[: len(out)]
        out[: len(taken)] = taken
        self._rest = self._rest[len(taken) :]
        self._left -= len(taken)
        return len(taken)

    def close(self) -> None:
        self._file.close()
        super().close()


def _read_record(source: _Members, path: Path) -> RawRecord | None:
    offset = source.offset
    if not source.begin():
        return None
    record = RawRecord(offset=offset)
    skip, rest = _read_headers(source, record)
    told = record.get("Content-Length")
    if not _SIZE.fullmatch(told):
        raise Torn(f"a record has no usable Content-Length: {told[:40]!r}")
    size = int(told)
    if size > SPOOL_THRESHOLD:
        record.block = DistantBlock(path=path, offset=offset, skip=skip, size=size)
        rest = _read_block(source, size, rest, None)
    else:
        pieces: list[bytes] = []
        rest = _read_block(source, size, rest, pieces)
        record.block = Body(size=size, data=b"".join(pieces))
    _read_tail(source, record, rest)
    record.length = source.offset - offset
    return record


def _read_headers(source: _Members, record: RawRecord) -> tuple[int, bytes]:
    """Take the headers; return how many bytes they are and what was read beyond them."""
    text = bytearray()
    while (end := text.find(b"\r\n\r\n", 0, MAX_HEADERS)) < 0:
        if len(text) >= MAX_HEADERS:
            raise Torn("a record's headers are too long or end their lines with a bare LF")
        piece = source.read()
        if not piece:
            raise Torn("a record ends inside its headers")
        text += piece
    lines = bytes(text[:end]).decode("utf-8", "surrogateescape").split("\r\n")
    record.version = lines[0]
    if not record.version.startswith("WARC/"):
        raise Torn("a record does not begin with WARC/")
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if line[:1] in {" ", "\t"} and record.headers:
            last, before = record.headers[-1]
            record.headers[-1] = (last, f"{before} {line.strip()}")
        elif colon:
            record.headers.append((name.strip(), value.strip()))
        else:
            record.faults["header-syntax"] = f"the header line {line[:60]!r} has no colon"
    for name, value in record.headers:
        record.first.setdefault(name.lower(), value)
    return end + 4, bytes(text[end + 4 :])


def _read_block(source: _Members, size: int, rest: bytes, keep: list[bytes] | None) -> bytes:
    """Take the block; return what was read beyond it."""
    taken = 0
    while taken < size:
        piece = rest or source.read()
        if not piece:
            raise Torn(f"a record ends after {taken} of {size} bytes of its block")
        use, rest = piece[: size - taken], piece[size - taken :]
        taken += len(use)
        if keep is not None:
            keep.append(use)
    return rest


def _read_tail(source: _Members, record: RawRecord, rest: bytes) -> None:
    """Take the two line ends that close a record, and nothing else."""
    while len(rest) < 4 or not source.plain:
        piece = source.read()
        if not piece:
            break
        rest += piece
        if len(rest) > _READ and not source.plain:
            raise Torn("a gzip member holds more than one record")
    if source.plain:
        source.give_back(rest[4:])
        rest = rest[:4]
    if rest[:4] != b"\r\n\r\n":
        record.faults["tail"] = "the record does not end with two line ends"
    elif len(rest) > 4:
        raise Torn("a gzip member holds more than one record")
