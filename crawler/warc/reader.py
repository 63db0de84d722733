"""Reading segments: strict, streaming, bounded, and never surprised by a torn end.

``Records`` walks gzip members from an offset and stops at the first that is not whole, saying where and why.
``GroupReader`` joins the records of captures by WARC-Concurrent-To, however they interleave.
"""

from __future__ import annotations

import hashlib
import tempfile
import zlib
from base64 import b32encode
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO

from isal import isal_zlib

from crawler.framing import Data, Event, Head, ResponseParser
from crawler.model import EMPTY_BODY, SPOOL_THRESHOLD, Body, Capture, Digests, Leased, Outcome, Tls
from crawler.warc.records import WORK, leased_from

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_READ = 1 << 18
#: isal raises an error of its own beside zlib's.
_INFLATE_ERRORS: tuple[type[Exception], ...] = (isal_zlib.error, zlib.error)
#: A record's header block may be this long: outlinks are in blocks, works in headers are small.
MAX_HEADERS = 1 << 20


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
    block: Body = EMPTY_BODY
    #: What is odd about the record's own framing: rule → sentence.
    faults: dict[str, str] = field(default_factory=dict)

    def get(self, name: str) -> str:
        """Return the first header of a name (any case), or the empty string."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), "")

    @property
    def type(self) -> str:
        return self.get("WARC-Type")

    @property
    def id(self) -> str:
        return self.get("WARC-Record-ID")


class Records:
    """The records of a file from an offset on. After iteration ``end`` is the last good offset, ``torn`` says why
    it is not the end of the file (empty where it is).

    Blocks bigger than ``SPOOL_THRESHOLD`` go to a file that lives until the next record is read.
    ``seen`` hears every raw byte of the file in order, for a hash in the same pass.
    """

    def __init__(self, path: Path, *, start: int = 0, seen: Callable[[bytes], object] | None = None) -> None:
        self._path = path
        self._start = start
        self._seen = seen
        self.end = start
        self.torn = ""

    def __iter__(self) -> Iterator[RawRecord]:
        with self._path.open("rb") as file, tempfile.NamedTemporaryFile() as spool:
            file.seek(self._start)
            source = _Members(file, self._start, self._seen)
            while True:
                try:
                    record = _read_record(source, spool)
                except Torn as e:
                    self.torn = str(e)
                    source.drain()
                    return
                if record is None:
                    return
                self.end = source.offset
                yield record


def read_at(path: Path, offset: int) -> RawRecord:
    """Return the record at an offset; its block is in memory or, where it is big, in a file of its own.

    Raises Torn where there is none.
    """
    with path.open("rb") as file:
        file.seek(offset)
        with tempfile.NamedTemporaryFile(delete=False) as spool:
            record = None
            try:
                record = _read_record(_Members(file, offset, None), spool)
            finally:
                if record is None or record.block.path is None:
                    Path(spool.name).unlink()
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
        if not self._raw:
            self._raw = self._more()
        if not self._raw:
            return False
        self.plain = self._raw[:5] == b"WARC/"
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


def _read_record(source: _Members, spool: IO[bytes]) -> RawRecord | None:
    offset = source.offset
    if not source.begin():
        return None
    record = RawRecord(offset=offset)
    rest = _read_headers(source, record)
    try:
        size = int(record.get("Content-Length"))
    except ValueError:
        raise Torn("a record has no usable Content-Length") from None
    if size < 0:
        raise Torn("a record has a negative Content-Length")
    rest = _read_block(source, record, size, rest, spool)
    _read_tail(source, record, rest)
    record.length = source.offset - offset
    return record


def _read_headers(source: _Members, record: RawRecord) -> bytes:
    text = bytearray()
    while (end := text.find(b"\r\n\r\n")) < 0:
        piece = source.read()
        if not piece:
            raise Torn("a record ends inside its headers")
        text += piece
        if len(text) > MAX_HEADERS and text.find(b"\r\n\r\n") < 0:
            raise Torn("a record's headers are too long or end their lines with a bare LF")
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
    return bytes(text[end + 4 :])


def _read_block(source: _Members, record: RawRecord, size: int, rest: bytes, spool: IO[bytes]) -> bytes:
    """Take the block; return what was read beyond it."""
    big = size > SPOOL_THRESHOLD
    pieces: list[bytes] = []
    if big:
        spool.seek(0)
        spool.truncate()
    taken = 0
    while taken < size:
        piece = rest or source.read()
        if not piece:
            raise Torn(f"a record ends after {taken} of {size} bytes of its block")
        use, rest = piece[: size - taken], piece[size - taken :]
        taken += len(use)
        if big:
            spool.write(use)
        else:
            pieces.append(use)
    if big:
        spool.flush()
        record.block = Body(size=size, path=Path(spool.name))
    else:
        record.block = Body(size=size, data=b"".join(pieces))
    return rest


def _read_tail(source: _Members, record: RawRecord, rest: bytes) -> None:
    """Take the two line ends that close a record, and nothing else."""
    while len(rest) < 4 or not source.plain:
        piece = source.read()
        if not piece:
            break
        rest += piece
        if len(rest) > _READ:
            raise Torn("a gzip member holds more than one record")
    if source.plain:
        source.give_back(rest[4:])
        rest = rest[:4]
    if rest[:4] != b"\r\n\r\n":
        record.faults["tail"] = "the record does not end with two line ends"
    elif len(rest) > 4:
        raise Torn("a gzip member holds more than one record")


@dataclass(slots=True, kw_only=True)
class Group:
    """The records of one capture."""

    path: Path
    offset: int
    leased: Leased
    date: str
    url: str
    request: bytes
    response_offset: int = 0
    response_length: int = 0
    response_id: str = ""
    is_revisit: bool = False
    refers_to: str = ""
    #: True once a response, a revisit, or the metadata of an exchange without answer is there.
    is_complete: bool = False
    #: What the metadata record says of an exchange without answer.
    story: dict[str, str] = field(default_factory=dict)

    def capture(self, find: Callable[[str], tuple[Path, int] | None], spool_dir: Path) -> Capture:
        """Return the capture as it was on the wire.

        ``find`` says where the record with an id stands (for a revisit's original). The body is spooled to
        ``spool_dir`` where it is big; the caller discards it.
        """
        when = datetime.fromisoformat(self.date)
        method = self.request.split(b" ", 1)[0].decode("latin-1") or self.leased.fetch.method
        if not self.response_id:
            return Capture(
                url=self.url, method=method, request=self.request, head=b"", body=EMPTY_BODY, status=0, started=when,
                ended=when, outcome=Outcome(self.story.get("outcome", "cut")), error=self.story.get("error", ""),
            )  # fmt: skip
        record = read_at(self.path, self.response_offset)
        source = record
        if self.is_revisit:
            place = find(self.refers_to)
            if place is None:
                raise Torn(f"{self.path.name}: the revisit at {self.response_offset} refers to nothing")
            source = read_at(*place)
        try:
            return _capture(self, record, source, method, when, spool_dir)
        finally:
            for used in {id(r): r for r in (record, source)}.values():
                if used.block.path is not None:
                    used.block.path.unlink(missing_ok=True)


def _capture(
    group: Group, record: RawRecord, source: RawRecord, method: str, when: datetime, spool_dir: Path
) -> Capture:
    head, body, status, digests = _parts(source, method, spool_dir)
    truncated = record.get("WARC-Truncated") if not group.is_revisit else ""
    ciphers = record.get("WARC-Cipher-Suite")
    versions = [value for name, value in record.headers if name == "WARC-Protocol" and value.startswith("tls")]
    return Capture(
        url=group.url,
        method=method,
        request=group.request,
        head=head,
        body=body,
        status=status,
        started=when,
        ended=when,
        outcome=Outcome.CUT if truncated else Outcome.OK,
        truncated=truncated or None,  # type: ignore[arg-type]
        ip=record.get("WARC-IP-Address") or None,
        digests=digests,
        tls=Tls(version=versions[0], cipher=ciphers) if versions else None,
    )


def _spool_in(folder: Path) -> IO[bytes]:
    return tempfile.NamedTemporaryFile(dir=folder, suffix=".spool", delete=False)


def _events(record: RawRecord, parser: ResponseParser, digests: Iterable[hashlib._Hash]) -> Iterator[Event]:
    with record.block.open() as stream:
        while piece := stream.read(_READ):
            for digest in digests:
                digest.update(piece)
            yield from parser.feed(piece)
    yield from parser.eof()


def _parts(record: RawRecord, method: str, spool_dir: Path) -> tuple[bytes, Body, int, Digests]:
    """Split a response block into head and body, and compute its digests."""
    parser = ResponseParser(method)
    block, payload = (
        (hashlib.sha256(), hashlib.sha1(usedforsecurity=False)),
        (hashlib.sha256(), hashlib.sha1(usedforsecurity=False)),
    )
    head, status, length = b"", 0, 0
    spool = _spool_in(spool_dir) if record.block.path else None
    memory: list[bytes] = []
    for event in _events(record, parser, block):
        if isinstance(event, Head):
            head, status = event.wire, event.status
        elif isinstance(event, Data):
            for digest in payload:
                digest.update(event.entity)
            length += len(event.entity)
            (spool.write if spool else memory.append)(event.wire)
    if spool:
        spool.close()
    data = b"".join(memory)
    body = Body(size=record.block.size - len(head), path=Path(spool.name)) if spool else Body(size=len(data), data=data)
    digests = Digests(
        block_sha256=block[0].hexdigest(),
        block_sha1=b32encode(block[1].digest()).decode(),
        payload_sha256=payload[0].hexdigest(),
        payload_sha1=b32encode(payload[1].digest()).decode(),
        payload_length=length,
    )
    return head, body, status, digests


class GroupReader:
    """The captures of a segment from an offset on, each as soon as it is complete.

    After iteration ``end`` and ``torn`` say how far the file is whole; captures that never became complete are
    left out.
    """

    def __init__(self, path: Path, *, start: int = 0) -> None:
        self._path = path
        self._records = Records(path, start=start)

    @property
    def end(self) -> int:
        return self._records.end

    @property
    def torn(self) -> str:
        return self._records.torn

    def __iter__(self) -> Iterator[Group]:
        open_groups: dict[str, Group] = {}
        for record in self._records:
            kind, partner = record.type, record.get("WARC-Concurrent-To")
            if kind == "request" and record.get(WORK):
                open_groups[record.id] = Group(
                    path=self._path,
                    offset=record.offset,
                    leased=leased_from(record.get(WORK)),
                    date=record.get("WARC-Date"),
                    url=record.get("WARC-Target-URI"),
                    request=_bytes(record),
                )
            elif kind in {"response", "revisit"} and partner in open_groups:
                yield _answered(open_groups.pop(partner), record)
            elif kind == "metadata" and partner in open_groups:
                group = open_groups.pop(partner)
                group.story = _fields(_bytes(record))
                group.is_complete = True
                yield group


def _answered(group: Group, record: RawRecord) -> Group:
    group.response_offset, group.response_length, group.response_id = record.offset, record.length, record.id
    group.is_revisit = record.type == "revisit"
    group.refers_to = record.get("WARC-Refers-To")
    group.is_complete = True
    return group


def _bytes(record: RawRecord) -> bytes:
    with record.block.open() as stream:
        return stream.read()


def _fields(block: bytes) -> dict[str, str]:
    pairs = (line.partition(": ") for line in block.decode("utf-8", "replace").split("\r\n") if line)
    return {name: value for name, _, value in pairs if name != "outlink"}
