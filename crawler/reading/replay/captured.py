"""From a request to what was answered then: the capture nearest in time, and its bytes as the server sent them."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from crawler.errors import NotHere
from crawler.framing import Data, Head, ResponseParser
from crawler.reading.shelf import Place
from crawler.warc.lookup import captures
from crawler.warc.post import METHODS, body_query, with_body
from crawler.warc.reader import Torn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.reading.replay.holding import Holding
    from crawler.warc.lookup import Line
    from crawler.warc.reader import RawRecord

_READ = 1 << 18
#: Bytes of a block that hold its head.
_HEADS = 512 << 10
#: What belongs to a connection that is long gone, or is said anew.
_NOT_SENT = frozenset(
    {
        "connection", "keep-alive", "proxy-connection", "transfer-encoding", "te", "trailer", "upgrade",
        "content-length", "content-range", "accept-ranges", "alt-svc", "nel", "report-to", "reporting-endpoints",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """An answer: status, headers without those of its connection, and its entity with its content coding."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    #: When it came, 14 digits.
    stamp: str
    record: RawRecord
    head: Head | None

    def size(self) -> int:
        """Return the bytes of the entity; only a chunked one has to be read for that."""
        if self.head is None:
            return self.record.block.size
        if any(name.lower() == b"transfer-encoding" for name, _ in self.head.headers):
            return sum(len(piece) for piece in self._pieces())
        return self.record.block.size - len(self.head.wire)

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield a range of the entity."""
        at = 0
        for piece in self._pieces():
            if taken := piece[max(start - at, 0) : max(stop - at, 0)]:
                yield taken
            at += len(piece)
            if at >= stop:
                return

    def _pieces(self) -> Iterator[bytes]:
        with self.record.block.open() as stream:
            parser = ResponseParser("GET")
            if self.head is not None:
                parser.feed(stream.read(len(self.head.wire)))
            while piece := stream.read(_READ):
                if self.head is None:
                    yield piece
                    continue
                for event in parser.feed(piece):
                    if isinstance(event, Data) and event.entity:
                        yield event.entity


def nearest(
    holding: Holding, url: str, at: str, *, method: str = "GET", kind: str = "", body: bytes = b""
) -> Line | None:
    """Return the capture of a URL nearest to a 14-digit date (the newest where empty), None where there is none.

    ``kind`` and ``body`` are those of a request with a body, which is found by what it asked. The same address, letter
    for letter, comes before one that the index takes for the same.
    """
    asked = with_body(url, method, body_query(kind, body)) if method in METHODS else url
    found = list(captures(holding.index, asked))
    plain = url.partition("#")[0]
    when = _instant(at or "99991231235959")
    return min(found, key=lambda one: (one.url != plain, abs(_instant(one.stamp) - when)), default=None)


@contextmanager
def answered(holding: Holding, line: Line) -> Iterator[Captured]:
    """Open what a capture holds; a revisit has the body of its original. Raises NotHere, Torn, OutlastError."""
    with holding.record(Place(line.segment, line.offset, line.length)) as record:
        if record.type != "revisit":
            yield _captured(line, record, record)
            return
        with holding.record(_original(holding, record)) as original:
            yield _captured(line, record, original)


def _original(holding: Holding, revisit: RawRecord) -> Place:
    url = revisit.get("WARC-Refers-To-Target-URI") or revisit.get("WARC-Target-URI")
    stamp, digest = re.sub(r"\D", "", revisit.get("WARC-Refers-To-Date"))[:14], revisit.get("WARC-Payload-Digest")
    found = [one for one in captures(holding.index, url) if one.mime != "warc/revisit"]
    for line in sorted(found, key=lambda one: (one.stamp != stamp, one.digest != digest)):
        if line.stamp == stamp or (digest and line.digest == digest):
            return Place(line.segment, line.offset, line.length)
    raise NotHere(f"The original of a revisit of {url} is not in the index.")


def _captured(line: Line, told: RawRecord, held: RawRecord) -> Captured:
    if held.type == "resource":
        kind = (("Content-Type", held.get("Content-Type") or "application/octet-stream"),)
        return Captured(status=200, reason="OK", headers=kind, stamp=line.stamp, record=held, head=None)
    head, own = _head(told), _head(held)
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in head.headers]
    kept = tuple(
        (name, value)
        for name, value in headers
        if name.lower() not in _NOT_SENT
        and re.fullmatch(r"[!-9;-~]+", name)
        and "\r" not in value
        and "\0" not in value
    )
    is_whole = head.status == 206  # media is asked for whole; what was sent as one part is all of it
    return Captured(
        status=200 if is_whole else head.status, reason=re.sub(r"[^ -~]", "", head.reason.decode("latin-1")),
        headers=kept, stamp=line.stamp, record=held, head=own,
    )  # fmt: skip


def _head(record: RawRecord) -> Head:
    with record.block.open() as stream:
        start = stream.read(_HEADS)
    for event in ResponseParser("GET").feed(start):
        if isinstance(event, Head):
            return event
    raise Torn("a record holds no HTTP answer")


def _instant(stamp: str) -> float:
    """Return a 14-digit date as a number; what is none is the oldest."""
    try:
        return datetime.strptime(stamp[:14].ljust(14, "0"), "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0
