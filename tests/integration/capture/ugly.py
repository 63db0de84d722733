"""A server of ugly answers on loopback that logs the exact bytes of both directions.

    async with UglyServer() as server:                       # or UglyServer(tls=authority.server_context())
        capture = await pool.fetch(method="GET", url=server.url("/folded"))
        exchange = server.log["/folded"][-1]                 # .request, .response: bytes as they went

``ANSWERS`` is the table: what each path sends, and what a faithful capture of it must say. Any query string may be
added to a path; the log is by the path with its query. ``/big?N`` sends N bytes of body, ``/echo`` what it got.
"""

from __future__ import annotations

import asyncio
import gzip
import re
import socket
import struct
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from crawler.model import Outcome

CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
PAGE = b"<html><body>" + b"ugly but true " * 40 + b"</body></html>"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What is sent, in separate writes, and what then happens to the connection."""

    pieces: tuple[bytes, ...]
    then: Literal["keep", "close", "reset"] = "keep"
    pause: float = 0.002
    # What a capture of it must say.
    status: int = 200
    outcome: Outcome = Outcome.OK
    truncated: str | None = None
    entity: bytes | None = PAGE
    #: Bytes at the beginning that are interim heads, and at the end that are no part of the message.
    interim: bytes = b""
    surplus: bytes = b""
    #: Part of ``Capture.error``.
    error: str = ""
    #: The reset may overtake the bytes: what arrives is a prefix of what was sent.
    lossy: bool = False

    @property
    def wire(self):
        """Head and body of the final answer."""
        sent = b"".join(self.pieces)
        return sent[len(self.interim) : len(sent) - len(self.surplus)]


def _sized(head, body=PAGE, **kwargs):
    whole = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    return Answer(pieces=(whole[:20], whole[20 : len(whole) // 2], whole[len(whole) // 2 :]), entity=body, **kwargs)


def _chunk(data, extension=b""):
    return b"%x%b\r\n%b\r\n" % (len(data), extension, data)


_GZIPPED = gzip.compress(PAGE, mtime=0)
_HINTS = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
_NO_ANSWER = {"status": 0, "outcome": Outcome.CUT, "truncated": "disconnect", "entity": None}

ANSWERS: dict[str, Answer] = {
    # Ugly heads
    "/plain": _sized(OK),
    "/reason": _sized(b"HTTP/1.1 200 Very  Fine,  Thanks!\r\n"),
    "/no-reason": _sized(b"HTTP/1.1 200\r\n"),
    "/spaces": _sized(b"HTTP/1.1  200  OK \r\nX:  two  spaces  \r\ncOnTeNt-TYPE:text/html\r\n"),
    "/no-space": _sized(OK + b"X:1\r\nY:\r\n"),
    "/duplicates": _sized(OK + b"Set-Cookie: a=1\r\nset-cookie: b=2\r\nSET-COOKIE: a=3\r\n"),
    "/folded": _sized(OK + b"X-Folded: one\r\n two\r\n\tthree\r\n"),
    "/latin-1": _sized(OK + b'X-Name: caf\xe9 \xff\xfe\r\nContent-Disposition: inline; filename="\xe4.txt"\r\n'),
    "/no-colon": _sized(OK + b"this line is no header\r\n"),
    "/nul": _sized(OK + b"X: a\0b\x01\r\n"),
    "/bare-lf": Answer(pieces=(b"HTTP/1.1 200 OK\nContent-Length: %d\n\n" % len(PAGE), PAGE)),
    "/huge-header": _sized(OK + b"X-Huge: " + b"h" * 200_000 + b"\r\n"),
    "/endless-header": Answer(
        pieces=(OK, b"X-Endless: " + b"h" * 600_000), then="close", outcome=Outcome.PROTOCOL, truncated="length",
        entity=b"", error="head is longer", lossy=True,
    ),
    "/slow-head": Answer(
        pieces=(*(bytes([b]) for b in OK + b"Content-Length: 2\r\n\r\n"), b"hi"), entity=b"hi", pause=0.001
    ),
    "/interim": Answer(pieces=(_HINTS, OK + b"Content-Length: %d\r\n\r\n" % len(PAGE) + PAGE), interim=_HINTS),
    # Ugly framing, whole
    "/until-close": Answer(pieces=(OK + b"Connection: close\r\n\r\n", PAGE), then="close"),
    "/http-1.0": Answer(pieces=(b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n", PAGE), then="close"),
    "/chunked": Answer(pieces=(OK + CHUNKED, _chunk(PAGE[:10]), _chunk(PAGE[10:]) + b"0\r\n\r\n")),
    "/chunked-gzip-trailer": Answer(
        pieces=(
            OK + b"Content-Encoding: gzip\r\nTrailer: X-Sum\r\n" + CHUNKED,
            _chunk(_GZIPPED[:7], b";name=value"),
            _chunk(_GZIPPED[7:], b' ; quoted="a b"') + b"000;last\r\n",
            b"X-Sum: 12\r\nno colon here\r\n\r\n",
        ),
        entity=_GZIPPED,
    ),
    "/chunked-lf": Answer(pieces=(OK + CHUNKED, b"2\nhi\n0\n\n"), entity=b"hi"),
    "/gzip": _sized(OK + b"Content-Encoding: gzip\r\n", _GZIPPED),
    "/no-content": Answer(pieces=(b"HTTP/1.1 204 No Content\r\nX: y\r\n\r\n",), status=204, entity=b""),
    "/not-modified": Answer(
        pieces=(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n",), status=304, entity=b""
    ),
    "/redirect": _sized(b"HTTP/1.1 301 Moved Permanently\r\nLocation: /plain\r\n", b"gone", status=301),
    "/missing": _sized(b"HTTP/1.1 404 Nope\r\n", b"nope", status=404),
    "/error": _sized(b"HTTP/1.1 500 Oops\r\nRetry-After: 1\r\n", b"oops", status=500),
    "/unknown-status": _sized(b"HTTP/1.1 799 Whatever\r\n", b"?", status=799),
    "/same-length-twice": _sized(OK + b"Content-Length: %d\r\n" % len(PAGE)),
    "/surplus": Answer(
        pieces=(OK + b"Content-Length: %d\r\n\r\n" % len(PAGE) + PAGE + b"\r\nmore than it said",),
        surplus=b"\r\nmore than it said",
    ),
    "/length-and-chunked": Answer(
        pieces=(OK + b"Content-Length: 5\r\n" + CHUNKED, _chunk(PAGE) + b"0\r\n\r\n"),
        error="both Content-Length and Transfer-Encoding",
    ),
    "/two-lengths": Answer(
        pieces=(OK + b"Content-Length: 5\r\nContent-Length: %d\r\n\r\n" % len(PAGE), PAGE),
        error="differing Content-Length",
    ),
    "/bad-length": Answer(pieces=(OK + b"Content-Length: lots\r\n\r\n", PAGE), then="close", error="no number"),
    # Cut off
    "/short-length": Answer(
        pieces=(OK + b"Content-Length: 5000\r\n\r\n", PAGE), then="close", outcome=Outcome.CUT, truncated="disconnect",
        error=f"{len(PAGE)} of 5000",
    ),
    "/short-chunked": Answer(
        pieces=(OK + CHUNKED, _chunk(PAGE), b"ff\r\nand then"), then="close", outcome=Outcome.CUT,
        truncated="disconnect", entity=PAGE + b"and then", error="last chunk",
    ),
    "/reset-in-body": Answer(
        pieces=(OK + b"Content-Length: 5000\r\n\r\n", PAGE), then="reset", pause=0.02, outcome=Outcome.CUT,
        truncated="disconnect", entity=None, error="of 5000", lossy=True,
    ),
    "/reset-until-close": Answer(
        pieces=(OK + b"\r\n", PAGE), then="reset", pause=0.02, outcome=Outcome.CUT, truncated="disconnect", entity=None,
        error="connection broke", lossy=True,
    ),
    "/short-head": Answer(
        pieces=(OK + b"X-Cut: of", ), then="close", outcome=Outcome.CUT, truncated="disconnect", entity=b"",
        error="of the head",
    ),
    "/reset": Answer(pieces=(), then="reset", error="before any answer", **_NO_ANSWER),
    "/nothing": Answer(pieces=(), then="close", error="before any answer", **_NO_ANSWER),
    # Broken
    "/bad-chunk": Answer(
        pieces=(OK + CHUNKED, _chunk(PAGE) + b"xyz\r\n", b"what is this\r\n0\r\n\r\n"), then="close",
        outcome=Outcome.PROTOCOL, truncated="unspecified", error="chunk size",
    ),
    "/long-chunk": Answer(
        pieces=(OK + CHUNKED, b"2\r\nhidden\r\n", b"0\r\n\r\n"), then="close", outcome=Outcome.PROTOCOL,
        truncated="unspecified", entity=b"hi", error="longer than it said",
    ),
    "/not-http": Answer(
        pieces=(b"<html>HTTP/0.9", b" lives</html>"), then="close", status=0, outcome=Outcome.PROTOCOL, entity=None,
        error="not HTTP",
    ),
    "/http2": Answer(
        pieces=(b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64",), then="close", status=0, outcome=Outcome.PROTOCOL,
        entity=None, error="only HTTP/2",
    ),
    # Never ends: for time limits
    "/silent": Answer(pieces=(b"",), pause=3600, status=0, outcome=Outcome.TIMEOUT, truncated="time", entity=None),
    "/stall": Answer(
        pieces=(OK + b"Content-Length: 5000\r\n\r\n" + PAGE, b""), pause=3600, outcome=Outcome.TIMEOUT,
        truncated="time",
    ),
}  # fmt: skip

#: Paths that end by themselves.
ENDING = tuple(path for path, answer in ANSWERS.items() if answer.pause < 1)


@dataclass
class Exchange:
    """One exchange as the server saw it."""

    request: bytes
    response: bytes = b""
    #: Which connection carried it, counted from 1.
    connection: int = 0


@dataclass
class UglyServer:
    """Serves ``answers`` on a loopback port; see the module."""

    tls: object = None
    answers: dict[str, Answer] = field(default_factory=lambda: ANSWERS)
    host: str = "127.0.0.1"
    #: Close a connection so many seconds after its answer, whatever was said about keeping it.
    linger: float | None = None

    def __post_init__(self):
        self.log = defaultdict(list)
        self.connections = 0
        self._tasks = set()

    @property
    def authority(self):
        """host:port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def url(self, path, host=None):
        """URL of a path on this server."""
        authority = f"{host}:{self.port}" if host else self.authority
        return f"{'https' if self.tls else 'http'}://{authority}{path}"

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, self.host, 0, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)

    async def _serve(self, reader, writer):
        task = asyncio.current_task()
        self._tasks.add(task)
        self.connections += 1
        number = self.connections
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while await self._answer(reader, writer, number):
                pass
        writer.transport.abort()
        self._tasks.discard(task)

    async def _answer(self, reader, writer, number):
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"\r\ncontent-length: (\d+)", head, re.IGNORECASE)
        request = head + await reader.readexactly(int(length[1]) if length else 0)
        target = re.sub(r"^http://[^/]+", "", request.split(b" ")[1].decode())
        exchange = Exchange(request, connection=number)
        self.log[target].append(exchange)
        path, _, query = target.partition("?")
        if path == "/big":
            await _send_big(writer, exchange, int(query))
            return True
        answer = _sized(OK, request) if path == "/echo" else self.answers[path]
        for piece in answer.pieces:
            exchange.response += piece
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(answer.pause)
        if answer.then == "reset":
            reset(writer)
        if self.linger is not None:
            await asyncio.sleep(self.linger)
        return answer.then == "keep" and self.linger is None


async def _send_big(writer, exchange, size):
    """Send many bytes without keeping them."""
    exchange.response = OK + b"Content-Length: %d\r\n\r\n" % size
    writer.write(exchange.response)
    block = bytes(range(256)) * 1024
    while size > 0:
        writer.write(block[:size])
        size -= len(block)
        await writer.drain()


def reset(writer):
    """Make the close that follows a reset (RST instead of FIN)."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
