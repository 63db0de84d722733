"""From a capture to what a spider sees. Works on a capture from the wire and from a WARC alike.

Everything is bounded: a body that decodes to far more than it is, by accident or malice, is cut for the parser
(the record is whole) and the response carries the flag ``decoded-cut``. A damaged stream gives what can be decoded
of it and the flag ``decoded-damaged``; content in a coding we do not know is left as it is, flag ``undecoded``.
"""

from __future__ import annotations

import io
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, cast

from scrapy.http import Headers

from crawler.framing import Data, ResponseParser, entity_of, parse_headers
from crawler.response import HEAD_BYTES, CaptureResponse

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from crawler.model import Capture, Fetch

    Pieces = Generator[bytes, None, None]

#: Decoded bytes of one body that anybody gets to see.
MAX_DECODED = 64 * 1024 * 1024
#: Once so much has come out, a byte in may stand for at most so many bytes out.
_RATIO_FROM = 4 * 1024 * 1024
_MAX_RATIO = 256
#: Compressed bytes in a row that may give nothing: empty members and blocks without end would hold us up.
_MAX_FRUITLESS = 4 * 1024 * 1024

#: Bytes read at once, and bytes decoded at once: one such piece can swell to about 4 MiB and no more.
_READ = 256 * 1024
_PIECE = 4 * 1024

_GZIP = frozenset({b"gzip", b"x-gzip"})
_CODINGS = _GZIP | {b"deflate"}
_MAX_CODINGS = 3
_GZIP_MAGIC = b"\x1f\x8b"


def response_from(fetch: Fetch, capture: Capture) -> CaptureResponse:
    """Return the decoded response of a capture; pure, and never raises over what a server sent.

    ``body`` is empty where nobody parses it or the capture is spooled; ``open()`` then needs the spool file.
    """
    headers = headers_of(capture.head)
    flags: list[str] = []
    pieces = _content(capture, headers, flags)
    if fetch.callback is not None and capture.body.path is None:
        body = b"".join(pieces)
        head = body[:HEAD_BYTES]
    else:
        body, head = b"", _first(pieces, HEAD_BYTES)

    def opener() -> BinaryIO:
        return _stream(_content(capture, headers, []))

    return CaptureResponse(
        capture.url, fetch=fetch, captured_at=capture.started, outcome=capture.outcome, status=capture.status,
        headers=headers, body=body, flags=flags, payload_length=_payload_length(capture),
        truncated=capture.truncated, head_bytes=head, opener=opener,
    )  # fmt: skip


def headers_of(head: bytes) -> Headers:
    """Return Scrapy's headers; filled in directly, as its own way of taking pairs costs ten times as much."""
    grouped: dict[bytes, list[bytes]] = {}
    for name, value in parse_headers(head):
        grouped.setdefault(name.title(), []).append(value)
    headers = Headers()
    dict.update(headers, grouped)
    return headers


def entity(capture: Capture) -> BinaryIO:
    """Return the entity as a new stream: transfer coding removed, content coding kept. The caller closes it."""
    return _stream(_entity(capture))


def _payload_length(capture: Capture) -> int:
    if capture.digests is not None:
        return capture.digests.payload_length
    return sum(len(piece) for piece in _entity(capture))


def _entity(capture: Capture) -> Pieces:
    if not capture.head:
        return
    if capture.body.path is None:
        yield entity_of(capture.method, capture.head, capture.body.data)
        return
    parser = ResponseParser(capture.method)
    parser.feed(capture.head)
    with capture.body.open() as stream:
        while piece := stream.read(_READ):
            for event in parser.feed(piece):
                if isinstance(event, Data):
                    yield event.entity


def _content(capture: Capture, headers: Headers, flags: list[str]) -> Pieces:
    """Return the pieces of the decoded entity; ``flags`` fills while they are taken."""
    named = b",".join(headers.getlist("Content-Encoding")).lower().split(b",")
    codings = [coding for part in named if (coding := part.strip()) not in {b"", b"identity"}]
    pieces = _entity(capture)
    if len(codings) > _MAX_CODINGS or not _CODINGS.issuperset(codings):
        flags.append("undecoded")
        return pieces
    for coding in reversed(codings):
        pieces = _inflated(pieces, coding, flags)
    return pieces


def _inflated(pieces: Pieces, coding: bytes, flags: list[str]) -> Pieces:
    """Remove one content coding; what only claims to be gzip passes through as it is."""
    start = _first_piece(pieces)
    window = _window(start, coding)
    if window is None:
        yield start
        yield from pieces
        return
    inflater = _Inflater(window)
    taken = given = fruitless = 0
    for piece in _small(start, pieces):
        taken += len(piece)
        out = inflater.decode(piece)[: MAX_DECODED - given]
        given += len(out)
        fruitless = 0 if out else fruitless + len(piece)
        yield out
        if given >= MAX_DECODED or given > max(_RATIO_FROM, taken * _MAX_RATIO) or fruitless > _MAX_FRUITLESS:
            flags.append("decoded-cut")
            return
        if inflater.over:
            break
    if inflater.damaged or not inflater.whole:
        flags.append("decoded-damaged")


def _window(start: bytes, coding: bytes) -> int | None:
    """Return zlib's ``wbits`` for a body that begins like this; None where it is not compressed."""
    if start.startswith(_GZIP_MAGIC):
        return 31
    if coding in _GZIP or not start:
        return None
    # "deflate" means zlib (RFC 9110 section 8.4.1.2), but some servers send the bare stream.
    is_zlib = start[0] & 0x0F == 8 and int.from_bytes(start[:2], "big") % 31 == 0
    return 15 if is_zlib else -15


class _Inflater:
    """A deflate stream, or any number of gzip members in a row (RFC 1952 section 2.2)."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._stream = zlib.decompressobj(window)
        self.damaged = False
        #: Nothing more can come.
        self.over = False

    @property
    def whole(self) -> bool:
        return self._stream.eof

    def decode(self, piece: bytes) -> bytes:
        parts = []
        while piece and not self.over:
            if self._stream.eof:
                if self._window != 31 or not piece.startswith(_GZIP_MAGIC[:1]):
                    self.over = True  # padding and garbage after the end; browsers ignore it too
                    break
                self._stream = zlib.decompressobj(self._window)
            parts.append(self._step(piece))
            piece = self._stream.unused_data
        return b"".join(parts)

    def _step(self, piece: bytes) -> bytes:
        before = self._stream.copy()
        try:
            return self._stream.decompress(piece)
        except zlib.error:
            self.damaged = self.over = True
            return _salvage(before, piece)


def _salvage(stream: zlib._Decompress, piece: bytes) -> bytes:
    """Decode byte by byte up to the damage: zlib gives nothing of a call that fails."""
    out: list[bytes] = []
    with suppress(zlib.error):
        for at in range(len(piece)):
            out.append(stream.decompress(piece[at : at + 1]))  # noqa: PERF401 - what came before the error stays
    return b"".join(out)


def _first_piece(pieces: Iterator[bytes]) -> bytes:
    """Return enough of the beginning to know a coding by."""
    start = b""
    for piece in pieces:
        start += piece
        if len(start) >= len(_GZIP_MAGIC):
            break
    return start


def _small(start: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    piece: bytes | None = start
    while piece is not None:
        for at in range(0, len(piece), _PIECE):
            yield piece[at : at + _PIECE]
        piece = next(pieces, None)


def _first(pieces: Pieces, size: int) -> bytes:
    """Return the first bytes and let the rest go."""
    start = bytearray()
    for piece in pieces:
        start += piece
        if len(start) >= size:
            break
    pieces.close()
    return bytes(start[:size])


class _PieceStream(io.RawIOBase):
    """A readable file over pieces made on demand."""

    def __init__(self, pieces: Pieces) -> None:
        super().__init__()
        self._pieces = pieces
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = memoryview(piece)
        size = min(len(buffer), len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        return size

    def close(self) -> None:
        self._pieces.close()
        super().close()


def _stream(pieces: Pieces) -> BinaryIO:
    return cast("BinaryIO", io.BufferedReader(_PieceStream(pieces), _READ))
