"""Where an HTTP/1.x response begins and ends: bytes in, events out, no I/O (RFC 9112).

As lenient as browsers about how a head is spelled, strict about where a body ends. Every byte that belongs to the
message comes out once, in order, as the ``wire`` of an event, however the input was cut into pieces. Where the
framing is broken nothing is guessed: what follows is still recorded until the connection closes, but no byte of it
is called entity.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, NamedTuple

#: Bounds on what a hostile server may make us hold: a head (with the interim heads before it), the line that
#: announces a chunk, all trailer lines together.
MAX_HEAD = 256 * 1024
MAX_CHUNK_LINE = 16 * 1024
MAX_TRAILER = 64 * 1024

Truncation = Literal["disconnect", "time", "length", "unspecified"]

_STATUS_LINE = re.compile(rb"HTTP/(\d{1,3})(?:\.(\d{1,3}))?[ \t]+([1-9]\d\d)(?!\d)[ \t]*([^\r\n]*)", re.IGNORECASE)
_HEAD_END = re.compile(rb"\n\r?\n")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\n]*|\r?)\n")
_LENGTH = re.compile(rb"\d{1,18}")
#: What may stand around a header's name and value; a vertical tab is part of them.
_BLANK = b" \t\r"
#: The SETTINGS frame an HTTP/2 server begins with (RFC 9113 section 3.4): type 4 on stream 0.
_HTTP2 = re.compile(rb"\0..\x04.\0\0\0\0", re.DOTALL)


class Interim(NamedTuple):
    """The head of a 1xx answer, exact bytes."""

    wire: bytes


class Head(NamedTuple):
    """The final head. ``wire`` ends with the blank line, or wherever the connection ended before it."""

    wire: bytes
    status: int
    reason: bytes
    version: tuple[int, int]
    headers: tuple[tuple[bytes, bytes], ...]


class Data(NamedTuple):
    """A piece of the body: as it was sent, and the entity bytes in it once the transfer coding is removed."""

    wire: bytes
    entity: bytes


class End(NamedTuple):
    """The end of the message.

    ``truncated`` is None for a whole message. ``error`` says in plain words what was odd, and may be set for a whole
    message too (contradicting lengths). ``surplus``: more bytes followed that are no part of the message.
    """

    truncated: Truncation | None
    error: str
    keep_alive: bool
    surplus: bool


Event = Interim | Head | Data | End


@lru_cache(maxsize=64)
def parse_headers(head: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Return the (name, value) pairs of a request or response head, in order, folded lines joined.

    The first line is skipped, as are lines without a colon. Names keep their spelling; any byte may occur in a value.
    """
    headers: list[tuple[bytes, bytes]] = []
    foldable = False
    for raw in head.split(b"\n")[1:]:
        line = raw.rstrip(b"\r")
        if line[:1] in {b" ", b"\t"}:
            if foldable:
                name, value = headers[-1]
                headers[-1] = (name, (value + b" " + line.strip(_BLANK)).strip(_BLANK))
            continue
        name, colon, value = line.partition(b":")
        name = name.strip(_BLANK)
        foldable = bool(colon and name)
        if foldable:
            headers.append((name, value.strip(_BLANK)))
    return tuple(headers)


def head_of(data: bytes) -> Head | None:
    """Return the final head of an answer that is at hand from its beginning; None where none is whole."""
    at = 0
    while _STATUS_LINE.match(data, at) and (found := _HEAD_END.search(data, at)) and found.end() <= MAX_HEAD:
        head = _head(data[at : found.end()])
        if not _is_interim(head):
            return head
        at = found.end()
    return None


def entity_of(method: str, head: bytes, data: bytes) -> bytes:
    """Return the entity of an answer whose final head, and all that came after it, are at hand."""
    if head_of(head) is None:
        return b""
    body, _ = _framing(method.upper(), _head(head))
    pieces: list[bytes] = []
    while data and not body.done:
        used, entity = body.take(data)
        pieces.append(data[:used] if entity is None else entity)
        data = data[used:]
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


class ResponseParser:
    """Reads one response to a request of the given method. After ``End`` it ignores what it is fed."""

    def __init__(self, method: str) -> None:
        self._method = method.upper()
        self._partial = bytearray()
        self._interim = 0
        self._body: _Body | None = None
        self._version = (1, 1)
        self._keep_alive = False
        self._note = ""
        self._ended = False

    def feed(self, data: bytes) -> list[Event]:
        """Take the next bytes from the wire and return what they complete."""
        events: list[Event] = []
        while data and not self._ended:
            data = self._feed_head(data, events) if self._body is None else self._feed_body(data, events)
        return events

    def eof(self, *, clean: bool = True) -> list[Event]:
        """Return the last events, as the connection has ended; ``clean``: not reset and not given up."""
        events: list[Event] = []
        if self._ended:
            return events
        if self._body is None:
            self._eof_in_head(events)
        else:
            truncated, error = self._body.eof(clean=clean)
            self._end(events, truncated, error)
        return events

    def _end(self, events: list[Event], truncated: Truncation | None, error: str, *, surplus: bool = False) -> None:
        self._ended = True
        keep = self._keep_alive and not (truncated or error or surplus or self._note)
        events.append(End(truncated, error or self._note, keep, surplus))

    # Heads

    def _feed_head(self, data: bytes, events: list[Event]) -> bytes:
        """Look for the end of the head; return what follows it."""
        seen = len(self._partial)
        self._partial += data
        found = _HEAD_END.search(self._partial, max(0, seen - 2))
        end = found.end() if found else len(self._partial)
        if not self._plausible():
            return self._begin_foreign()
        if end > MAX_HEAD - self._interim:
            return self._head_too_long(events)
        if found is None:
            return b""
        head, rest = bytes(self._partial[:end]), bytes(self._partial[end:])
        self._partial.clear()
        self._read_head(head, events)
        if self._body is not None and self._body.done:
            self._end(events, None, "", surplus=bool(rest))
        return rest

    def _plausible(self) -> bool:
        """Whether what came so far can still become a status line."""
        start = bytes(self._partial[:5]).upper()
        if start != b"HTTP/"[: len(start)]:
            return False
        return b"\n" not in self._partial or _STATUS_LINE.match(self._partial) is not None

    def _read_head(self, head: bytes, events: list[Event]) -> None:
        event = _head(head)
        if _is_interim(event):
            self._interim += len(head)
            events.append(Interim(head))
            return
        events.append(event)
        self._version = event.version
        self._body, self._note = _framing(self._method, event)
        self._keep_alive = self._body.delimited and _persistent(event)

    def _head_too_long(self, events: list[Event]) -> bytes:
        head = bytes(self._partial[: max(0, MAX_HEAD - self._interim)])
        if b"\n" not in head or not _STATUS_LINE.match(head):
            return self._begin_foreign()
        events.append(_head(head))
        self._end(events, "length", f"the head is longer than {MAX_HEAD} bytes", surplus=True)
        return b""

    def _begin_foreign(self) -> bytes:
        data = bytes(self._partial)
        self._partial.clear()
        self._body = _Foreign(MAX_HEAD - self._interim)
        return data

    def _eof_in_head(self, events: list[Event]) -> None:
        head = bytes(self._partial)
        if b"\n" in head:
            events.append(_head(head))
        elif head:
            events.append(Data(head, b""))
        so_far = f"after {len(head)} bytes of the head" if head else "before any answer"
        self._end(events, "disconnect", f"the connection ended {so_far}")

    # Body

    def _feed_body(self, data: bytes, events: list[Event]) -> bytes:
        body = self._body
        assert body is not None
        used, entity = body.take(data)
        if used:
            wire = data if used == len(data) else data[:used]
            events.append(Data(wire, wire if entity is None else entity))
        if body.done:
            truncated, error = body.eof(clean=True)
            self._end(events, truncated, error, surplus=used < len(data))
        return data[used:]


def _head(wire: bytes) -> Head:
    line = _STATUS_LINE.match(wire)
    assert line is not None
    major, minor, status, reason = line.groups()
    return Head(wire, int(status), reason.rstrip(), (int(major), int(minor or 0)), parse_headers(wire))


def _is_interim(head: Head) -> bool:
    return 100 <= head.status < 200 and head.status != 101


def _tokens(headers: tuple[tuple[bytes, bytes], ...], name: bytes) -> list[bytes]:
    """Return the comma-separated, lower-case items of all headers of a name."""
    values = b",".join(value for key, value in headers if key.lower() == name)
    return [token for part in values.lower().split(b",") if (token := part.strip(_BLANK))]


def _persistent(head: Head) -> bool:
    options = _tokens(head.headers, b"connection")
    if head.status == 101 or b"close" in options:
        return False
    return head.version >= (1, 1) or b"keep-alive" in options


def _framing(method: str, head: Head) -> tuple[_Body, str]:
    """Return how the body is delimited (RFC 9112 section 6.3) and what is odd about that."""
    if method == "HEAD" or head.status in {101, 204, 304} or (method == "CONNECT" and 200 <= head.status < 300):
        return _Sized({0}), ""
    codings = _tokens(head.headers, b"transfer-encoding")
    lengths = _tokens(head.headers, b"content-length")
    if codings and codings != [b"identity"]:
        return (_Chunked() if codings[-1] == b"chunked" else _UntilClose()), _odd(head, codings, lengths)
    if not lengths:
        return _UntilClose(), ""
    if not all(_LENGTH.fullmatch(length) for length in lengths):
        return _UntilClose(), "a Content-Length that is no number"
    sizes = {int(length) for length in lengths}
    return _Sized(sizes), "differing Content-Length headers" if len(sizes) > 1 else ""


def _odd(head: Head, codings: list[bytes], lengths: list[bytes]) -> str:
    """Return what is odd about a Transfer-Encoding, or the empty string."""
    if lengths:
        return "both Content-Length and Transfer-Encoding"
    if codings != [b"chunked"]:
        return "a transfer coding other than chunked"
    return "Transfer-Encoding in an HTTP/1.0 answer" if head.version < (1, 1) else ""


# How a body is delimited. ``take`` returns the bytes it used and the entity in them (None: all of them).


class _UntilClose:
    delimited = False
    done = False

    def take(self, data: bytes) -> tuple[int, bytes | None]:
        return len(data), None

    def eof(self, *, clean: bool) -> tuple[Truncation | None, str]:
        return (None, "") if clean else ("disconnect", "the connection broke before the end of the body")


class _Sized:
    """Content-Length. Of several differing ones the longest bounds what is read; ending at any of them is whole."""

    delimited = True

    def __init__(self, sizes: set[int]) -> None:
        self._sizes = sizes
        self._size = max(sizes)
        self._left = self._size
        self.done = self._left == 0

    def take(self, data: bytes) -> tuple[int, bytes | None]:
        used = min(self._left, len(data))
        self._left -= used
        self.done = self._left == 0
        return used, None

    def eof(self, *, clean: bool) -> tuple[Truncation | None, str]:
        got = self._size - self._left
        if got in self._sizes and (clean or self.done):
            return None, ""
        return "disconnect", f"the connection ended after {got} of {self._size} bytes of the body"


class _Foreign:
    """Not HTTP/1.x at all: some of it is kept as evidence, none of it is entity."""

    delimited = False

    def __init__(self, most: int) -> None:
        self._start = b""
        self._left = most
        self.done = False

    def take(self, data: bytes) -> tuple[int, bytes | None]:
        used = min(self._left, len(data))
        self._start = (self._start + data[: 9 - len(self._start)])[:9]
        self._left -= used
        self.done = self._left == 0
        return used, b""

    def eof(self, *, clean: bool) -> tuple[Truncation | None, str]:
        if _HTTP2.match(self._start):
            return None, "the server speaks only HTTP/2, which a WARC cannot hold exactly"
        return ("length" if self.done else None), "the answer is not HTTP"


class _Chunked:
    """RFC 9112 section 7.1. A bare LF ends a line as CRLF does; nothing else is forgiven."""

    delimited = True

    def __init__(self) -> None:
        self._left = 0
        self._line = b""
        self._trailer = 0
        self._error = ""
        self._expect = self._size_line
        self._last = False
        self.done = False

    def take(self, data: bytes) -> tuple[int, bytes | None]:
        parts: list[bytes] = []
        at = 0
        while at < len(data) and not self.done and not self._error:
            if self._left:
                parts.append(data[at : at + self._left])
                at += len(parts[-1])
                self._left -= len(parts[-1])
            else:
                at = self._take_line(data, at)
        # Past an error everything is kept as it came, and means nothing.
        return (len(data) if self._error else at), b"".join(parts)

    def _take_line(self, data: bytes, at: int) -> int:
        end = data.find(b"\n", at) + 1
        self._line += data[at : end or len(data)]
        if len(self._line) > MAX_CHUNK_LINE:
            self._error = "a chunk line is too long"
        elif end:
            line, self._line = self._line, b""
            self._expect(line)
        return end or len(data)

    def _size_line(self, line: bytes) -> None:
        size = _CHUNK_SIZE.fullmatch(line)
        if size is None:
            self._error = "a chunk size is no number"
            return
        self._left = int(size[1], 16)
        self._last = self._left == 0
        self._expect = self._trailer_line if self._last else self._chunk_end

    def _chunk_end(self, line: bytes) -> None:
        if line not in {b"\r\n", b"\n"}:
            self._error = "a chunk is longer than it said"
        self._expect = self._size_line

    def _trailer_line(self, line: bytes) -> None:
        self._trailer += len(line)
        if self._trailer > MAX_TRAILER:
            self._error = "the trailer is too long"
        else:
            self.done = line in {b"\r\n", b"\n"}

    def eof(self, *, clean: bool) -> tuple[Truncation | None, str]:
        if self._error:
            return "unspecified", f"the chunked body is broken: {self._error}"
        # RFC 9112 section 8: complete once the zero-sized chunk has come.
        if self._last:
            return None, "" if self.done else "the connection ended inside the trailer"
        return "disconnect", "the connection ended before the last chunk"


_Body = _UntilClose | _Sized | _Foreign | _Chunked
