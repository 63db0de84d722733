"""Captures made by hand, and segments written from them."""

from __future__ import annotations

import hashlib
from base64 import b32encode
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from crawler.framing import Data, Head, ResponseParser
from crawler.model import Body, Capture, Digests, Fetch, Leased, Original, Outcome, Settlement, State, Tls
from crawler.warc.records import Exchange, exchange, metadata
from crawler.warc.segment import SegmentWriter

WHEN = datetime(2021, 1, 10, 20, 0, 0, 123456, tzinfo=UTC)
PAGE = b"<html>" + b"tea and toast " * 200 + b"</html>"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/html\r\n\r\n4;x=1\r\nWiki\r\n0\r\nT: 1\r\n\r\n"


def plain(body: bytes = PAGE, status: str = "200 OK", kind: str = "text/html") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def capture(url: str = "https://a.example/1", wire: bytes | None = None, **facts: Any) -> Capture:
    """Return a capture of these bytes, digests computed as the capture room does."""
    wire = plain() if wire is None else wire
    parser, head, payload, status = ResponseParser("GET"), b"", b"", 0
    for event in [*parser.feed(wire), *parser.eof()]:
        if isinstance(event, Head):
            head, status = event.wire, event.status
        elif isinstance(event, Data):
            payload += event.entity
    body = wire[len(head) :]
    digests = Digests(
        block_sha256=hashlib.sha256(wire).hexdigest(),
        payload_sha256=hashlib.sha256(payload).hexdigest(), payload_sha1=b32encode(hashlib.sha1(payload).digest()).decode(),
        payload_length=len(payload),
    )  # fmt: skip
    request = f"GET {url.split('example', 1)[1]} HTTP/1.1\r\nHost: a.example\r\n\r\n".encode()
    known: dict[str, Any] = {
        "url": url, "method": "GET", "request": request, "head": head, "body": Body(size=len(body), data=body), "status": status,
        "outcome": Outcome.OK, "started": WHEN, "ended": WHEN, "ip": "192.0.2.1", "digests": digests if head else None,
        "tls": Tls(version="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384"),
    }  # fmt: skip
    return Capture(**{**known, **facts})


class Segment:
    """A segment being written the way a worker does."""

    def __init__(self, folder: Path, name: str = "OUTLAST-a.example-1-text.warc.gz") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{name}.open"
        self.writer = SegmentWriter(self.path, warcinfo_fields={"software": "test"})

    def add(self, taken: Capture, original: Original | None = None, *, story: bool = True, **work: Any) -> Exchange:
        leased = Leased(
            id=1, token=1, fetch=Fetch(**{"url": taken.url, "lane": "posts", "callback": "parse_post", **work})
        )
        made = exchange(taken, warcinfo_id=self.writer.warcinfo_id, work=leased, original=original)
        self.writer.append(*made.records)
        if story:
            told = Settlement(
                id=1, token=1, state=State.DONE, outlinks=(Fetch(url="https://a.example/next", lane="posts"),)
            )
            self.writer.append(metadata(made, taken, leased, told, warcinfo_id=self.writer.warcinfo_id))
        return made

    def original(self, made: Exchange, taken: Capture) -> Original:
        assert made.response is not None
        return Original(record_id=made.response.id, url=taken.url, date=made.date, segment=self.path.name)

    def close(self) -> Path:
        self.writer.close()
        return self.path
