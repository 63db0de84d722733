"""The captures of a segment: request, response or revisit, and metadata joined again, as they were on the wire.

``GroupReader`` joins the records by WARC-Concurrent-To, however they interleave; ``Group.capture`` gives back what
was sent and received.
"""

from __future__ import annotations

import hashlib
import io
import logging
import re
import tempfile
from base64 import b32encode
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING

from crawler.framing import Data, Event, Head, ResponseParser, parse_headers
from crawler.model import EMPTY_BODY, SPOOL_THRESHOLD, Body, Capture, Digests, Fetch, Leased, Outcome, Tls
from crawler.warc.reader import RawRecord, Records, Torn, read_at
from crawler.warc.records import WARC_FIELDS, WORK, fetch_from, leased_from

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

log = logging.getLogger("outlast.warc")

_READ = 1 << 18
#: What WARC-Truncated says of how the exchange ended.
_OUTCOMES = {"": Outcome.OK, "time": Outcome.TIMEOUT, "unspecified": Outcome.PROTOCOL}


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
        """Return the capture as it was on the wire. Raises Torn where the records do not say.

        ``find`` says where the record with an id stands (for a revisit's original). The body is spooled to
        ``spool_dir`` where it is big; the caller discards it.
        """
        when, outcome = self._told()
        method = self.request.split(b" ", 1)[0].decode("latin-1") or self.leased.fetch.method
        if not self.response_id:
            return Capture(
                url=self.url, method=method, request=self.request, head=b"", body=EMPTY_BODY, status=0, started=when,
                ended=when, outcome=outcome, error=self.story.get("error", ""),
            )  # fmt: skip
        record = read_at(self.path, self.response_offset)
        wire, size = _pieces(record), record.block.size
        if self.is_revisit:
            place = find(self.refers_to)
            if place is None:
                raise Torn(f"{self.path.name}: the revisit at {self.response_offset} refers to nothing")
            original = read_at(*place)
            wire, size = _sent_again(record, original), original.block.size
        head, status, body, digests = _take(wire, method, spool_dir if size > SPOOL_THRESHOLD else None)
        truncated = "" if self.is_revisit else record.get("WARC-Truncated")
        versions = [value for name, value in record.headers if name == "WARC-Protocol" and value.startswith("tls")]
        return Capture(
            url=self.url, method=method, request=self.request, head=head, body=body, status=status, started=when,
            ended=when, outcome=_OUTCOMES.get(truncated, Outcome.CUT), truncated=truncated or None,  # type: ignore[arg-type]
            ip=record.get("WARC-IP-Address") or None, digests=digests,
            tls=Tls(version=versions[0], cipher=record.get("WARC-Cipher-Suite")) if versions else None,
        )  # fmt: skip

    def _told(self) -> tuple[datetime, Outcome]:
        """Return when this was, and how it ended where there was no answer."""
        try:
            return datetime.fromisoformat(self.date), Outcome(self.story.get("outcome", "cut"))
        except ValueError as e:
            raise Torn(f"{self.path.name}: the capture at {self.offset} makes no sense: {e}") from e


def _sent_again(revisit: RawRecord, original: RawRecord) -> Iterator[bytes]:
    """Return the answer behind a revisit: its own head, then the original's entity in the framing that head promises.

    Two answers with one payload may differ in status and headers, and in how they cut it into chunks.
    """
    head = _bytes(revisit)
    codings = [value for name, value in parse_headers(head) if name.lower() == b"transfer-encoding"]
    chunked = bool(codings) and codings[-1].lower().endswith(b"chunked")
    yield head
    for event in _events(_pieces(original), "GET"):
        if isinstance(event, Data) and event.entity:
            yield b"%x\r\n%b\r\n" % (len(event.entity), event.entity) if chunked else event.entity
    if chunked:
        yield b"0\r\n\r\n"


def _take(wire: Iterable[bytes], method: str, spool_dir: Path | None) -> tuple[bytes, int, Body, Digests]:
    """Return head, status, body and digests of an answer; the body goes to ``spool_dir`` where there is one."""
    block, payload = _Hashes(), _Hashes()
    head, status = b"", 0
    with _spool(spool_dir) as out:
        for event in _events(wire, method):
            if isinstance(event, Head):
                head, status = event.wire, event.status
                block.update(head)
            elif isinstance(event, Data):
                block.update(event.wire)
                payload.update(event.entity)
                out.write(event.wire)
        size = out.tell()
        body = (
            Body(size=size, data=out.getvalue())
            if isinstance(out, io.BytesIO)
            else Body(size=size, path=Path(out.name))
        )
    digests = Digests(
        block_sha256=block.sha256, payload_sha256=payload.sha256, payload_sha1=payload.sha1,
        payload_length=payload.length,
    )  # fmt: skip
    return head, status, body, digests


@contextmanager
def _spool(folder: Path | None) -> Iterator[IO[bytes]]:
    """Where a body goes: into memory, or into a file that is gone again if it cannot be had whole."""
    if folder is None:
        yield io.BytesIO()
        return
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".spool", delete=False) as out:
        try:
            yield out
        except BaseException:
            Path(out.name).unlink()
            raise


class _Hashes:
    """The digests that a capture carries, of one run of bytes."""

    def __init__(self) -> None:
        self._sha256, self._sha1 = hashlib.sha256(), hashlib.sha1(usedforsecurity=False)
        self.length = 0

    def update(self, data: bytes) -> None:
        self._sha256.update(data)
        self._sha1.update(data)
        self.length += len(data)

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    @property
    def sha1(self) -> str:
        return b32encode(self._sha1.digest()).decode()


def _events(wire: Iterable[bytes], method: str) -> Iterator[Event]:
    parser = ResponseParser(method)
    for piece in wire:
        yield from parser.feed(piece)
    yield from parser.eof()


def _pieces(record: RawRecord) -> Iterator[bytes]:
    with record.block.open() as stream:
        while piece := stream.read(_READ):
            yield piece


class GroupReader:
    """The captures of a segment from an offset on, each as soon as it is complete.

    After iteration ``end`` and ``torn`` say how far the file is whole; captures that never became complete are
    left out, and so are those whose work cannot be read.
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
            if kind == "request" and (leased := _work(record)) is not None:
                open_groups[record.id] = Group(
                    path=self._path,
                    offset=record.offset,
                    leased=leased,
                    date=record.get("WARC-Date"),
                    url=record.get("WARC-Target-URI"),
                    request=_bytes(record),
                )
            elif kind in {"response", "revisit"} and partner in open_groups:
                yield _answered(open_groups.pop(partner), record)
            # A metadata record may also hold an answer that is not HTTP; that is not the story.
            elif kind == "metadata" and partner in open_groups and record.get("Content-Type") == WARC_FIELDS:
                group = open_groups.pop(partner)
                group.story = _fields(_bytes(record))
                group.is_complete = True
                yield group


def _work(record: RawRecord) -> Leased | None:
    try:
        return leased_from(record.get(WORK)) if record.get(WORK) else None
    except (ValueError, RecursionError) as e:
        log.warning("the work of %s cannot be read: %s", record.id, e)
        return None


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


def outlinks(record: RawRecord) -> Iterator[Fetch]:
    """Return the fetches that the callback of a capture yielded, from its metadata record.

    Raises Torn where one cannot be read.
    """
    for line in _bytes(record).decode("utf-8", "surrogateescape").split("\r\n"):
        name, _, told = line.partition(": ")
        if name == "outlink":
            yield _outlink(told)


def _outlink(told: str) -> Fetch:
    """Return the work behind the URL, which may hold anything."""
    for found in re.finditer(r" L (?={)", told):
        with suppress(ValueError, RecursionError):
            return fetch_from(told[found.end() :])
    raise Torn(f"an outlink cannot be read: {told[:80]!r}")
