"""A small HTTP server on the loopback for things that are read in ranges (RFC 9110, sections 13 and 14)."""

from __future__ import annotations

import re
import socket
import sys
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from crawler.errors import OutlastError, UsageError
from crawler.warc.reader import Torn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from crawler.reading.zipped import Read

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """What stands at a path."""

    mime: str
    size: int
    read: Read
    etag: str = ""


def of_text(mime: str, text: str) -> Thing:
    """Return a thing that is in memory."""
    data = text.encode()
    return Thing(mime=f"{mime}; charset=utf-8", size=len(data), read=lambda start, stop: iter((data[start:stop],)))


def span(header: str | None, size: int) -> tuple[int, int] | None:
    """Return what a Range asks for, as start and stop; None where all is to be sent. Raises ValueError: nothing there.

    Several ranges at once, and units nobody knows, count as none.
    """
    asked = _RANGE.fullmatch((header or "").strip())
    if asked is None or not (asked[1] or asked[2]):
        return None
    if not asked[1]:
        start, stop = max(size - int(asked[2]), 0), size
    else:
        start, stop = int(asked[1]), min(int(asked[2] or size) + 1, size)
        if asked[2] and int(asked[2]) < start:
            return None
    if start >= size or start >= stop:
        raise ValueError("nothing there")
    return start, stop


class Quiet(BaseHTTPRequestHandler):
    """What all our handlers share: connections that stay, and no word about each request."""

    protocol_version = "HTTP/1.1"
    server_version = "Outlast"
    sys_version = ""
    timeout = 60

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class
        """Say nothing."""

    def refuse(self, status: int, text: str, *headers: tuple[str, str]) -> None:
        """Answer with a line of text."""
        data = text.encode("utf-8", "replace")
        self.send_response(status)
        for name, value in (("Content-Type", "text/plain; charset=utf-8"), *headers):
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def pour(self, pieces: Iterator[bytes]) -> None:
        """Send a body; the connection closes where it cannot be read to its end."""
        try:
            for piece in pieces:
                self.wfile.write(piece)
        except (OutlastError, Torn):
            self.close_connection = True


class Server(ThreadingHTTPServer):
    """On 127.0.0.1; connections that a browser drops are nobody's concern."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of connections that broke."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


@contextmanager
def running(handler: type[BaseHTTPRequestHandler], port: int, kind: type[Server] = Server) -> Iterator[Server]:
    """Serve on the loopback until this is left. Raises UsageError where the port is taken."""
    try:
        server = kind(("127.0.0.1", port), handler)
    except OSError as e:
        raise UsageError(f"Port {port} of 127.0.0.1 cannot be used: {e.strerror}.") from e
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def serving(find: Callable[[str], Thing | None], port: int = 0) -> Iterator[int]:
    """Serve things by their paths; yield the port. Other Hosts than the loopback's are refused (DNS rebinding)."""

    class Handler(Quiet):
        def do_GET(self) -> None:
            host = (self.headers.get("Host") or "").lower()
            if host not in {f"{name}:{self.connection.getsockname()[1]}" for name in ("127.0.0.1", "localhost")}:
                return self.refuse(421, "This answers on the loopback only.\n")
            thing = find(self.path.partition("?")[0])
            if thing is None:
                return self.refuse(404, "There is nothing here.\n")
            return self._send(thing)

        do_HEAD = do_GET  # noqa: N815 - its name in the base class

        def _send(self, thing: Thing) -> None:
            try:
                part = span(self.headers.get("Range"), thing.size)
            except ValueError:
                return self.refuse(416, "There is less.\n", ("Content-Range", f"bytes */{thing.size}"))
            start, stop = part or (0, thing.size)
            self.send_response(206 if part else 200)
            for name, value in _headers(thing, part):
                self.send_header(name, value)
            self.send_header("Content-Length", str(stop - start))
            self.end_headers()
            if self.command == "GET":
                self.pour(thing.read(start, stop))
            return None

    with running(Handler, port) as server:
        yield int(server.server_address[1])


def _headers(thing: Thing, part: tuple[int, int] | None) -> Iterator[tuple[str, str]]:
    yield "Content-Type", thing.mime
    yield "Accept-Ranges", "bytes"
    yield "Cache-Control", "no-cache"
    yield "X-Content-Type-Options", "nosniff"
    yield "Referrer-Policy", "no-referrer"
    if thing.etag:
        yield "ETag", f'"{thing.etag}"'
    if part:
        yield "Content-Range", f"bytes {part[0]}-{part[1] - 1}/{thing.size}"


def free_port() -> int:
    """Return a port that nobody uses now."""
    with suppress(OSError), socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])
    raise UsageError("There is no free port on 127.0.0.1.")
