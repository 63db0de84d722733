"""A server whose every answer is late, as over a long line; it never is what a crawler waits for otherwise.

python -P benchmarks/slow.py '{"port": …, "root": …, "moved": {…}, "latency": [0.05, 0.2], "book": …}'

How late depends on the path alone, so that every run waits for the same sum. What was asked goes into the book in the
form of nginx's log: when the answer left, status, bytes, request line.
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import uvloop

_TYPES = {".html": "text/html", ".jpg": "image/jpeg", ".txt": "text/plain"}
_WORDS = {200: "OK", 301: "Moved Permanently", 404: "Not Found"}


class Late(asyncio.Protocol):
    """One connection: requests in order, answers in order, each late."""

    def __init__(self, order: dict[str, Any], book: Any) -> None:
        self._order = order
        self._book = book
        self._buffer = b""
        self._is_busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._next()

    def _next(self) -> None:
        if self._is_busy or b"\r\n\r\n" not in self._buffer:
            return
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        line = head.split(b"\r\n", 1)[0].decode("latin-1")
        self._is_busy = True
        wait = lateness(line.split(" ")[1], *self._order["latency"])
        asyncio.get_running_loop().call_later(wait, self._answer, line)

    def _answer(self, line: str) -> None:
        self._is_busy = False
        if self._transport.is_closing():
            return
        status, kind, body, more = answer(line.split(" ")[1], Path(self._order["root"]), self._order["moved"])
        head = (
            f"HTTP/1.1 {status} {_WORDS[status]}\r\nServer: late\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {len(body)}\r\n{more}\r\n"
        )
        self._transport.write(head.encode() + body)
        self._book.write(f"{time.time():.4f} {status} {len(body)} {line}\n")
        self._next()


def lateness(path: str, least: float, most: float) -> float:
    """Return the seconds that an answer waits."""
    return random.Random(path).uniform(least, most)


def answer(path: str, root: Path, moved: dict[str, str]) -> tuple[int, str, bytes, str]:
    """Return status, type, body and more header lines."""
    if path in moved:
        return 301, "text/html", b"<h1>It moved</h1>\n", f"Location: {moved[path]}\r\n"
    file = root / (path[1:] or "index.html")
    try:
        return 200, _TYPES.get(file.suffix, "application/octet-stream"), file.read_bytes(), ""
    except OSError:
        return 404, "text/html", b"<h1>Not here</h1>\n", ""


async def serve(order: dict[str, Any], book: Any) -> None:
    """Serve until SIGTERM."""
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    server = await loop.create_server(lambda: Late(order, book), "127.0.0.1", order["port"], backlog=4096)
    await over.wait()
    server.close()


def main(order: dict[str, Any]) -> None:
    with Path(order["book"]).open("w", buffering=1) as book:
        uvloop.run(serve(order, book))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
