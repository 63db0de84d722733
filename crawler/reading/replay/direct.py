"""The direct engine: Chromium asks for the addresses of then, and every host is this server.

Nothing is rewritten, so scripts, modules and absolute addresses are as they were; and nothing can come from the web of
today, because no name leads there. Any Host is answered: what there is to be had is what the archive holds of it.
"""

from __future__ import annotations

import html
import socket
import ssl
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from crawler.errors import OutlastError, TakenDown
from crawler.reading.replay import Shown
from crawler.reading.replay.browser import mapped
from crawler.reading.replay.captured import answered, nearest
from crawler.reading.replay.served import Quiet, Server, running, span
from crawler.reading.replay.throwaway import context
from crawler.warc.reader import Torn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.reading.replay import Wish
    from crawler.reading.replay.captured import Captured
    from crawler.reading.replay.holding import Holding

#: Bytes of a question's body that are read.
_MOST_ASKED = 1 << 20
_NOT_HELD = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Not in this archive</title>
<body style="font: 16px sans-serif; margin: 3em"><h1>Not in this archive</h1><p>{url}</p></body></html>
"""
_TLS = b"\x16"


@contextmanager
def direct(holding: Holding, wish: Wish) -> Iterator[Shown]:
    """Serve the archive under its own addresses. Raises NotInstalled where there is no Chromium."""
    with tempfile.TemporaryDirectory(prefix="outlast-replay-", ignore_cleanup_errors=True) as folder:
        tls, key = context(Path(folder))
        url = wish.url or holding.main[0] or "about:blank"
        mapped(0, key, Path(folder), url)  # is there one at all?
        with running(type("Asked", (_Asked,), {"holding": holding, "at": wish.at}), wish.port, _door(tls)) as server:
            port = int(server.server_address[1])
            yield Shown(engine="direct", url=url, port=port, browser=mapped(port, key, Path(folder) / "profile", url))


def _door(tls: ssl.SSLContext) -> type[Server]:
    """Return a server for both: the first byte says whether a connection is TLS."""

    class Door(Server):
        def finish_request(self, request: socket.socket, client_address: tuple[str, int]) -> None:  # type: ignore[override]
            request.settimeout(Quiet.timeout)
            if request.recv(1, socket.MSG_PEEK) != _TLS:
                return super().finish_request(request, client_address)
            with tls.wrap_socket(request, server_side=True) as wrapped:
                return super().finish_request(wrapped, client_address)

    return Door


class _Asked(Quiet):
    """A browser of then. ``holding`` and ``at`` are those of a replay."""

    holding: Holding
    at: str

    def do_GET(self) -> None:  # noqa: N802 - its name in the base class
        body = self._body()
        url = self._url()
        line = nearest(
            self.holding, url, self.at, method=self.command, kind=self.headers.get("Content-Type") or "", body=body
        )
        if line is None:
            return self._not_held(url)
        try:
            with answered(self.holding, line) as found:
                self._send(found)
        except TakenDown:
            return self._not_held(url)
        except (OutlastError, Torn) as e:
            self.refuse(502, f"{url} is in the index, and cannot be read: {e}\n")
        return None

    do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815 - their names in the base class

    def do_OPTIONS(self) -> None:  # noqa: N802
        """Allow what a page asks to do across origins: what it may read was settled then."""
        origin = self.headers.get("Origin") or "*"
        asked = self.headers.get("Access-Control-Request-Headers") or "*"
        self.send_response(204)
        for name, value in (
            ("Access-Control-Allow-Origin", origin), ("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT"),
            ("Access-Control-Allow-Headers", asked), ("Access-Control-Allow-Credentials", "true"),
        ):  # fmt: skip
            self.send_header(name, value.replace("\r", "").replace("\n", ""))
        self.end_headers()

    def _url(self) -> str:
        if self.path.startswith(("http://", "https://")):
            return self.path
        scheme = "https" if isinstance(self.connection, ssl.SSLSocket) else "http"
        return f"{scheme}://{self.headers.get('Host') or ''}{self.path}"

    def _body(self) -> bytes:
        told = self.headers.get("Content-Length") or "0"
        size = int(told) if told.isascii() and told.isdigit() else 0
        if size > _MOST_ASKED:
            self.close_connection = True
        return self.rfile.read(min(size, _MOST_ASKED))

    def _send(self, found: Captured) -> None:
        size = found.size()
        is_ranged = found.status == 200
        try:
            part = span(self.headers.get("Range"), size) if is_ranged else None
        except ValueError:
            return self.refuse(416, "There is less.\n", ("Content-Range", f"bytes */{size}"))
        start, stop = part or (0, size)
        self.send_response_only(206 if part else found.status, None if part else found.reason)
        for name, value in (*found.headers, *_added(found, part, size)):
            self.send_header(name, value)
        has_body = found.status >= 200 and found.status not in {204, 304}
        if has_body:
            self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        if self.command != "HEAD" and has_body:
            self.pour(found.read(start, stop))
        return None

    def _not_held(self, url: str) -> None:
        data = _NOT_HELD.format(url=html.escape(url)).encode("utf-8", "replace")
        self.send_response_only(404, "Not in this archive")
        for name, value in (
            ("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(data))),
            ("Access-Control-Allow-Origin", "*"), ("X-Outlast-Replay", "not-held"),
        ):  # fmt: skip
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def _added(found: Captured, part: tuple[int, int] | None, size: int) -> Iterator[tuple[str, str]]:
    yield "X-Outlast-Replay", found.stamp
    if found.status == 200:
        yield "Accept-Ranges", "bytes"
    if part:
        yield "Content-Range", f"bytes {part[0]}-{part[1] - 1}/{size}"
