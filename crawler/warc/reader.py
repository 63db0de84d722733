"""Reading WARC files: streaming, bounded, and never surprised by a torn end.

``Records`` walks gzip members (or zstd frames, or plain records) from an offset and stops at the first that is not
whole, saying where and why. ``lenient`` it reads on over what is wrong inside a member, and notes it as a fault of the
record.
"""

from __future__ import annotations

import io
import re
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from isal import isal_zlib

from crawler.model import EMPTY_BODY, SPOOL_THRESHOLD, Body
from crawler.warc import zstd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from _typeshed import WriteableBuffer

#: Bytes of a file that are read at once: what is left of them after a member is copied. And decoded ones.
_READ, _PIECE = 1 << 15, 1 << 18
#: isal raises an error of its own beside zlib's.
_INFLATE_ERRORS = (cast("type[Exception]", isal_zlib.error), zlib.error)
#: A record's header block may be this long: outlinks are in blocks, works in headers are small.
MAX_HEADERS = 1 << 20
#: How a record begins in a file that is not packed.
_PLAIN = b"WARC/"
_GZIP = b"\x1f\x8b"
_SIZE = re.compile(r"[0-9]{1,18}")
_TAIL = b"\r\n\r\n"
#: The end of headers, and of headers whose lines end with a bare LF.
_HEADERS_END, _ANY_HEADERS_END = re.compile(rb"\r\n\r\n"), re.compile(rb"\r?\n\r?\n")
#: A tail that is not as it should be, before the next record or the end of the file.
_ODD_TAIL = re.compile(rb"[\r\n]{0,3}(?=WARC/|\Z)")
#: Bytes that may follow a record inside its member, when reading leniently.
_MOST_SURPLUS = 16 << 20


class Torn(Exception):
    """The file ends, or stops making sense, inside a record.

    ``kind``: torn (it ends, or a member is damaged), foreign (no record begins here), size (its length is not what it
    says).
    """

    def __init__(self, message: str, kind: str = "torn") -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(slots=True, kw_only=True)
class RawRecord:
    """One record as it stands in the file."""

    offset: int
    #: Decoded bytes of the member before it; not zero only where a member holds several records.
    inner: int = 0
    #: Bytes of the gzip member (or of the plain record).
    length: int = 0
    #: Bytes of its header lines, up to the block.
    head: int = 0
    #: Whether it is packed with zstd, and what it takes to unpack it.
    is_zstd: bool = False
    dictionary: zstd.Dictionary | None = None
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

    @property
    def target(self) -> str:
        """The URI of what was asked for, without the angle brackets that writers of WARC/1.0 put around it."""
        return self.get("WARC-Target-URI").removeprefix("<").removesuffix(">")


@dataclass(frozen=True, slots=True, kw_only=True)
class DistantBlock:
    """A block too big for memory: every ``open`` inflates it anew from its file, so that no copy is ever made."""

    path: Path
    #: Where the record's member begins, and how many decoded bytes come before the block.
    offset: int
    skip: int
    size: int
    dictionary: zstd.Dictionary | None = None

    def open(self) -> BinaryIO:
        """Return a new stream at the start of the block; the caller closes it."""
        return io.BufferedReader(_Inflated(self), _PIECE)


#: What is told of a record once its headers are read; it may return what hears the block.
Watch = Callable[[RawRecord], Callable[[bytes], object] | None]
#: What may be odd about a record read leniently: its tail, a header line, lines that end with a bare LF, folded lines,
#: a Content-Length that is not its block's, a member that holds more than it.
FAULTS = ("tail", "header-syntax", "bare-lf", "folded", "size", "member")


class Records:
    """The records of a file from an offset on. After iteration ``end`` is the last good offset, ``torn`` says why
    it is not the end of the file (empty where it is), ``kind`` which of the kinds of ``Torn`` that is, and ``reached``
    how far was read to find out.

    ``seen`` hears every raw byte of the file in order, for a hash in the same pass. ``watch`` is asked for each record
    whose headers are read, and what it returns hears the block as it goes by. ``stop``: where the file ends, if it is
    part of another. ``lenient``: see above; ``faults`` of the records then are those of ``FAULTS``.
    """

    def __init__(
        self,
        path: Path,
        *,
        start: int = 0,
        stop: int | None = None,
        seen: Callable[[bytes], object] | None = None,
        watch: Watch | None = None,
        lenient: bool = False,
    ) -> None:
        self._path = path
        self._start = start
        self._stop = stop
        self._seen = seen
        self._watch = watch
        self._lenient = lenient
        self.end = self.reached = start
        self.torn = self.kind = ""

    def __iter__(self) -> Iterator[RawRecord]:
        with self._path.open("rb") as file:
            stop = file.seek(0, io.SEEK_END) if self._lenient and self._stop is None else self._stop
            file.seek(self._start)
            source = _Members(file, self._start, self._seen, stop)
            while True:
                try:
                    record = _read_record(source, self._path, self._watch, lenient=self._lenient)
                except Torn as e:
                    self.torn, self.kind, self.reached = str(e), e.kind, source.offset
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


def begins_at(path: Path, offset: int) -> bool:
    """Say whether a record seems to begin at an offset, whatever follows."""
    with path.open("rb") as file:
        file.seek(offset)
        source = _Members(file, offset, None)
        try:
            return source.begin() and source.read().startswith(_PLAIN)
        except Torn:
            return False


class _Members:
    """Decoded bytes of a file, member by member; a plain file is one endless member."""

    def __init__(
        self, file: BinaryIO, offset: int, seen: Callable[[bytes], object] | None, stop: int | None = None
    ) -> None:
        self._file = file
        self._seen = seen
        self._left = sys.maxsize if stop is None else stop - offset
        self._raw = b""
        #: Decoded bytes of the member that belong to another record of it.
        self._carried = b""
        self._over = True
        self._inflate: Any = None
        self.is_zstd = False
        #: What the frames of a zstd file are read with.
        self.dictionary: zstd.Dictionary | None = None
        #: Offset in the file of the first byte not yet used.
        self.offset = offset
        #: Where the member begins, and how many of its decoded bytes were read.
        self.member = offset
        self.position = 0
        self.plain = False

    def begin(self) -> bool:
        """Start a member, or go on with one that holds another record; False at the clean end of the file."""
        if self._carried:
            return True
        while len(self._raw) < len(_PLAIN) and (more := self._more()):
            self._raw += more
        self.member, self.position = self.offset, 0
        if not self._raw:
            return False
        self.plain = self._raw.startswith(_PLAIN)
        self._over = False
        self.is_zstd = zstd.begins(self._raw)
        if self.is_zstd:
            return self._begin_frame()
        if not self.plain and self._raw[:2] != _GZIP[: len(self._raw)]:
            raise Torn("neither a gzip member nor a WARC record begins here", "foreign")
        self._inflate = isal_zlib.decompressobj(31)
        return True

    def _begin_frame(self) -> bool:
        try:
            while (size := zstd.skippable(self._raw)) > len(self._raw) and (more := self._more()):
                self._raw += more
            if size > len(self._raw):
                raise Torn("the file ends inside a zstd frame")
            if not size:
                self._inflate = zstd.Frame(self.dictionary)
                return True
            self.dictionary = zstd.dictionary(self._raw[:size]) or self.dictionary
        except zlib.error as e:
            raise Torn(f"a zstd frame is damaged: {e}") from e
        self.offset += size
        self._raw = self._raw[size:]
        return self.begin()

    def read(self) -> bytes:
        """Return the next decoded bytes of the member, empty at its end."""
        out: bytes
        if self._carried:
            out, self._carried = self._carried, b""
            self.position += len(out)
            return out
        while not self._over:
            waits = self.is_zstd and self._inflate.is_waiting
            raw = b"" if waits else self._raw or self._more()
            if not raw and not waits:
                if self.plain:
                    return b""
                raise Torn(f"the file ends inside a {'zstd frame' if self.is_zstd else 'gzip member'}")
            self._raw = b""
            if self.plain:
                self.offset += len(raw)
                return raw
            try:
                out = self._inflate.decompress(raw, _PIECE)
            except _INFLATE_ERRORS as e:
                raise Torn(f"a {'zstd frame' if self.is_zstd else 'gzip member'} is damaged: {e}") from e
            rest = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
            self.offset += len(raw) - len(rest)
            self._raw = rest
            self._over = self._inflate.eof
            if out:
                self.position += len(out)
                return out
        return b""

    @property
    def left(self) -> int:
        """Bytes of the file that were not read yet."""
        return self._left + len(self._raw)

    def give_back(self, data: bytes) -> None:
        """Put back what was read and belongs to the next record."""
        if self.plain:
            self._raw = data + self._raw
            self.offset -= len(data)
        else:
            self._carried = data + self._carried
            self.position -= len(data)

    def skip_member(self) -> None:
        """Read the member to its end. Raises Torn where that is too far away."""
        start = self.position
        while self.read():
            if self.position - start > _MOST_SURPLUS:
                raise Torn("a member holds far more than its record", "size")

    def drain(self) -> None:
        """Read the rest of the file for the sake of ``seen``."""
        while self._seen is not None and self._more():
            pass

    def _more(self) -> bytes:
        most = _READ if self.position < _PIECE else _PIECE  # of a big member little is left over
        data = self._file.read(min(most, self._left))
        self._left -= len(data)
        if data and self._seen is not None:
            self._seen(data)
        return data


class _Inflated(io.RawIOBase):
    """The bytes of a block, straight from its file."""

    def __init__(self, block: DistantBlock) -> None:
        self._file = block.path.open("rb")
        self._file.seek(block.offset)
        self._source = _Members(self._file, block.offset, None)
        self._source.dictionary = block.dictionary
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


def _read_record(
    source: _Members, path: Path, watch: Watch | None = None, *, lenient: bool = False
) -> RawRecord | None:
    if not source.begin():
        return None
    record = RawRecord(offset=source.member if not source.plain else source.offset, inner=source.position)
    skip, rest = _read_headers(source, record, lenient=lenient)
    record.head, record.is_zstd, record.dictionary = skip, source.is_zstd, source.dictionary
    told = record.first.get("content-length", "")
    if not _SIZE.fullmatch(told):
        raise Torn(f"a record has no usable Content-Length: {told[:40]!r}", "size")
    size = int(told)
    if lenient and source.plain and size > source.left + len(rest):
        raise Torn(f"a record says that it has {size} bytes, more than are left of the file")
    heard = watch(record) if watch is not None else None
    if size > SPOOL_THRESHOLD:
        taken, rest = _read_block(source, size, rest, heard)
        record.block = DistantBlock(
            path=path, offset=record.offset, skip=record.inner + skip, size=taken, dictionary=source.dictionary
        )
    else:
        pieces: list[bytes] = []
        taken, rest = _read_block(source, size, rest, pieces.append)
        record.block = Body(size=taken, data=b"".join(pieces))
        if heard is not None:
            heard(record.block.data)
    if taken < size:
        if not lenient or source.plain:
            raise Torn(f"a record ends after {taken} of {size} bytes of its block", "torn" if source.plain else "size")
        record.faults["size"] = f"it says {size}, and the member ends after {taken}"
    elif lenient:
        _read_any_tail(source, record, rest)
    else:
        _read_tail(source, record, rest)
    record.length = source.offset - record.offset
    return record


def _read_headers(source: _Members, record: RawRecord, *, lenient: bool) -> tuple[int, bytes]:
    """Take the headers; return how many bytes they are and what was read beyond them."""
    text = b""
    sought = _ANY_HEADERS_END if lenient else _HEADERS_END
    while (end := sought.search(text, 0, MAX_HEADERS)) is None:
        if len(text) >= MAX_HEADERS:
            raise Torn("a record's headers are too long or end their lines with a bare LF")
        piece = source.read()
        if not piece:
            raise Torn("a record ends inside its headers")
        text += piece
    lines = text[: end.start()].decode("utf-8", "surrogateescape").split("\r\n")
    if lenient and text.count(b"\n", 0, end.start()) != len(lines) - 1:
        record.faults["bare-lf"] = f"{lines[0][:60]!r}"
        lines = [part for line in lines for part in line.split("\n")]
    record.version = lines[0]
    if not record.version.startswith("WARC/"):
        raise Torn("a record does not begin with WARC/", "foreign")
    _read_lines(record, lines[1:])
    return end.end(), text[end.end() :]


def _read_lines(record: RawRecord, lines: list[str]) -> None:
    headers = record.headers
    for line in lines:
        name, colon, value = line.partition(":")
        if line[:1] in " \t" and line and headers:
            last, before = headers[-1]
            headers[-1] = (last, f"{before} {line.strip()}")
            record.faults["folded"] = last[:60]
        elif colon:
            headers.append((name.strip(), value.strip()))
        else:
            record.faults["header-syntax"] = f"the header line {line[:60]!r} has no colon"
    record.first = {name.lower(): value for name, value in reversed(headers)}


def _read_block(source: _Members, size: int, rest: bytes, heard: Callable[[bytes], object] | None) -> tuple[int, bytes]:
    """Take the block; return how much of it there was, and what was read beyond it."""
    taken = 0
    while taken < size:
        piece = rest or source.read()
        if not piece:
            return taken, b""
        use, rest = piece[: size - taken], piece[size - taken :]
        taken += len(use)
        if heard is not None:
            heard(use)
    return taken, rest


def _read_tail(source: _Members, record: RawRecord, rest: bytes) -> None:
    """Take the two line ends that close a record, and nothing else."""
    while len(rest) < 4 or not source.plain:
        piece = source.read()
        if not piece:
            break
        rest += piece
        if len(rest) > _PIECE and not source.plain:
            raise Torn("a gzip member holds more than one record")
    if source.plain:
        source.give_back(rest[4:])
        rest = rest[:4]
    if rest[:4] != b"\r\n\r\n":
        record.faults["tail"] = "the record does not end with two line ends"
    elif len(rest) > 4:
        raise Torn("a gzip member holds more than one record")


def _read_any_tail(source: _Members, record: RawRecord, rest: bytes) -> None:
    """As ``_read_tail``, but note what is odd, and leave another record of the member to be read next."""
    while len(rest) < len(_TAIL + _PLAIN) and (piece := source.read()):
        rest += piece
    odd = _ODD_TAIL.match(rest)
    if rest[:4] == _TAIL:
        rest = rest[4:]
    elif odd is not None:
        record.faults["tail"] = "the record does not end with two line ends"
        rest = rest[odd.end() :]
    elif source.plain:
        raise Torn("no line ends follow where the Content-Length says that the block ends", "size")
    else:
        record.faults["size"] = f"it says {record.block.size}, and the block goes on"
        source.skip_member()
        return
    if source.plain:
        source.give_back(rest)
    elif rest:
        record.faults["member"] = "more follows the record"
        if rest.startswith(_PLAIN):
            source.give_back(rest)
        else:
            source.skip_member()
