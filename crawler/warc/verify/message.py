"""What one reading of a block tells: its digests, and the HTTP message in it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from crawler.framing import Data, End, Event, Head, ResponseParser
from crawler.warc.verify import digests
from crawler.warc.verify.coding import decoding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.warc.reader import RawRecord
    from crawler.warc.verify.coding import Decoding


class Message:
    """A block as it goes by. ``method`` is that of its request, None where the block is no HTTP answer."""

    def __init__(self, record: RawRecord, method: str | None, *, hashes_payload: bool) -> None:
        first = record.first
        self.block = _hasher(first.get("warc-block-digest"))
        self.payload = _hasher(first.get("warc-payload-digest")) if hashes_payload else None
        self._parser = ResponseParser(method) if method is not None else None
        self._decodes = first.get("warc-type") == "response" and not first.get("warc-truncated")
        self._decoding: Decoding | None = None
        self.head: Head | None = None
        self.end: End | None = None
        #: Bytes of the body as sent, and of the entity in it.
        self.body = self.entity = 0
        self.surplus = False

    def feed(self, piece: bytes) -> None:
        """Take the next bytes of the block."""
        if self.block is not None:
            self.block.update(piece)
        if self._parser is None:
            if self.payload is not None:
                self.payload.update(piece)
            return
        self.surplus = self.surplus or self.end is not None
        self._see(self._parser.feed(piece))

    def finish(self) -> None:
        """Take note that this was the whole block."""
        if self._parser is not None:
            self._see(self._parser.eof())

    def _see(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Data):
                self._take(event)
            elif isinstance(event, Head):
                self.head = event
                if self._decodes and event.status != 206:
                    self._decoding = decoding(event.headers)
            elif isinstance(event, End):
                self.end = event
                self.surplus = event.surplus

    def _take(self, data: Data) -> None:
        self.body += len(data.wire)
        self.entity += len(data.entity)
        if self.payload is not None:
            self.payload.update(data.entity)
        if self._decoding is not None and data.entity:
            self._decoding.feed(data.entity)

    def faults(self, *, asked: bool) -> Iterator[tuple[str, str]]:
        """Yield what is wrong with an answer; ``asked``: whether its request is at hand."""
        end = self.end
        # Without the request at hand, a body that is not there may be that of an answer to HEAD.
        if end is not None and end.truncated and (asked or self.body):
            broken = end.truncated == "unspecified" or (self.body and not self.entity)
            yield ("W033-transfer-coding" if broken else "W013-http-short"), end.error
        elif self._decoding is not None and (fault := self._decoding.fault):
            yield "W034-content-coding", fault
        if self.surplus:
            yield "W026-http-surplus", ""


def digest_of_framing(record: RawRecord, algorithm: str) -> bytes:
    """Return the digest of all that follows the head, chunk sizes included, as many tools take it for the payload."""
    parser, digest = ResponseParser("GET"), hashlib.new(algorithm, usedforsecurity=False)
    with record.block.open() as stream:
        while piece := stream.read(1 << 18):
            for event in parser.feed(piece):
                if isinstance(event, Data):
                    digest.update(event.wire)
    return digest.digest()


def _hasher(labelled: str | None) -> hashlib._Hash | None:
    name = digests.algorithm(labelled) if labelled else ""
    return getattr(hashlib, name)(usedforsecurity=False) if name else None
