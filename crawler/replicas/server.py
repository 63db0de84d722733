"""The server under every replica: exact bytes out, an exact ledger of what went both ways, faults on demand.

A *site* is a function from a Request to an Answer. The server frames the answer (Content-Length or chunks, gzip or
not) the same way every time for the same URL, and can be told to misbehave.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from crawler.replicas.faults import Faults

CHUNK_EXTENSION = b";kettle=on"


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came."""

    method: str
    host: str
    target: str
    headers: dict[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a site answers, before it is framed. ``vary``: the framing may differ from URL to URL (for HTML)."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/html; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()
    vary: bool = False


Site = Callable[[Request], Answer]
_REASONS = {
    200: "OK",
    301: "Moved Permanently",
    302: "Found",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    429: "Too Many Requests",
    502: "Bad Gateway",
}


def frame(request: Request, answer: Answer, date: str) -> bytes:
    """Return the exact bytes of an answer: a function of URL and answer alone."""
    turn = (
        hashlib.blake2b(f"{request.host}{request.target}".encode(), digest_size=2).digest()[0] if answer.vary else 255
    )
    body = answer.body
    lines = [f"HTTP/1.1 {answer.status} {_REASONS.get(answer.status, 'Status')}", f"Date: {date}", "Server: nginx"]
    lines.append(f"{'content-type' if turn % 5 == 0 else 'Content-Type'}: {answer.content_type}")
    lines += [f"{name}: {value}" for name, value in answer.headers]
    if turn % 7 == 0:
        lines += ["Vary: Accept-Encoding", "Vary: Origin"]
    if turn < 80 and "gzip" in request.headers.get("accept-encoding", ""):
        body = gzip.compress(body, 6, mtime=0)
        lines.append("Content-Encoding: gzip")
    chunked = turn < 130
    lines.append("Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}")
    head = "\r\n".join([*lines, "Connection: keep-alive", "", ""]).encode("latin-1")
    if request.method == "HEAD":
        return head
    return head + (_chunks(body, turn) if chunked else body)


def _chunks(body: bytes, turn: int) -> bytes:
    size, parts = 200 + turn * 37, []
    for at in range(0, len(body), size):
        piece = body[at : at + size]
        parts.append(b"%x%s\r\n%s\r\n" % (len(piece), CHUNK_EXTENSION if turn % 3 == 0 else b"", piece))
    parts.append(b"0\r\nX-Trailer: tea\r\n\r\n" if turn % 4 == 0 else b"0\r\n\r\n")
    return b"".join(parts)


@dataclass(slots=True)
class Ledger:
    """What went over the wire, one line an exchange."""

    path: Path
    whole: bool = False
    lines: list[str] = field(default_factory=list)

    def enter(self, request: Request, sent: bytes, received: bytes, status: int, *, complete: bool) -> None:
        """Add one exchange."""
        facts: dict[str, Any] = {
            "host": request.host, "method": request.method, "target": request.target, "status": status, "complete": complete,
            "request_sha256": hashlib.sha256(received).hexdigest(), "request_bytes": len(received),
            "response_sha256": hashlib.sha256(sent).hexdigest(), "response_bytes": len(sent),
        }  # fmt: skip
        if self.whole:
            facts |= {"request": received.decode("latin-1"), "response": sent.decode("latin-1")}
        self.lines.append(json.dumps(facts))
        if len(self.lines) >= 1000:
            self.flush()

    def flush(self) -> None:
        """Write what is held."""
        with self.path.open("a") as out:
            out.writelines(line + "\n" for line in self.lines)
        self.lines.clear()


class Replica:
    """A site being served."""

    def __init__(
        self, site: Site, *, date: Callable[[], str], ledger: Ledger, faults: Faults, latency: float = 0.0
    ) -> None:
        self.site = site
        self.date = date
        self.ledger = ledger
        self.faults = faults
        self.latency = latency


class Connection(asyncio.Protocol):
    """One client connection: requests in order, answers in order."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._buffer = b""
        self._busy: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._busy is None:
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._busy is not None:
            self._busy.cancel()

    def _next(self) -> None:
        """Answer the next whole request; at once where nothing delays it."""
        while (found := self._take()) is not None:
            request, raw = found
            fault = self._replica.faults.draw(request.host, request.target)
            if fault is None and not self._replica.latency:
                self._send(request, raw)
                continue
            self._busy = asyncio.get_running_loop().create_task(self._slowly(request, raw, fault))
            return

    async def _slowly(self, request: Request, raw: bytes, fault: tuple[str, str] | None) -> None:
        await asyncio.sleep(self._replica.latency)
        if fault is None:
            self._send(request, raw)
        else:
            await self._misbehave(request, raw, *fault)
        self._busy = None
        self._next()

    def _take(self) -> tuple[Request, bytes] | None:
        end = self._buffer.find(b"\r\n\r\n") + 4
        if end < 4:
            return None
        first, *lines = self._buffer[: end - 4].decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        size = int(headers.get("content-length", 0))
        if len(self._buffer) < end + size:
            return None
        raw, self._buffer = self._buffer[: end + size], self._buffer[end + size :]
        method, target, _ = first.split(" ", 2)
        return Request(method, headers.get("host", "").split(":")[0].lower(), target, headers, raw[end:]), raw

    def _send(self, request: Request, raw: bytes, answer: Answer | None = None) -> None:
        answer = answer or self._replica.site(request)
        sent = frame(request, answer, self._replica.date())
        self._transport.write(sent)
        self._replica.ledger.enter(request, sent, raw, answer.status, complete=True)

    async def _misbehave(self, request: Request, raw: bytes, kind: str, argument: str) -> None:
        if kind in {"429", "502"}:
            headers = (("Retry-After", argument or "1"),) if kind == "429" else ()
            self._send(request, raw, Answer(int(kind), b"not now\n", "text/plain", headers))
        elif kind == "s3xml":
            self._send(
                request,
                raw,
                Answer(
                    200,
                    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code></Error>',
                    "application/xml",
                ),
            )
        elif kind == "login":
            self._send(request, raw, Answer(302, b"", headers=(("Location", "https://parler.com/auth/access"),)))
        elif kind == "stall":
            await asyncio.sleep(float(argument or 30))
            self._send(request, raw)
        else:
            sent = frame(request, self._replica.site(request), self._replica.date())
            cut = b"" if kind == "reset" else sent[: max(len(sent) * 2 // 3, 1)]
            self._transport.write(cut)
            self._replica.ledger.enter(request, cut, raw, 0, complete=False)
            await asyncio.sleep(0.01)
            self._transport.abort() if kind == "reset" else self._transport.close()


async def serve(
    replica: Replica,
    *,
    port: int,
    context: ssl.SSLContext | None,
    state: Path,
    control: Callable[[str, str, bytes], bytes | None],
    facts: dict[str, Any],
) -> None:
    """Serve until standard input closes or SIGTERM comes; print one JSON line when ready."""
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    server = await loop.create_server(lambda: Connection(replica), "127.0.0.1", port, ssl=context, backlog=512)
    controls = await asyncio.start_server(lambda r, w: _control(r, w, replica, server, control), "127.0.0.1", 0)
    loop.add_signal_handler(signal.SIGTERM, done.set)
    Thread(target=_until_closed, args=(loop, done), daemon=True).start()
    ready = {
        "port": server.sockets[0].getsockname()[1], "control_port": controls.sockets[0].getsockname()[1],
        "ca": str(state / "ca.pem") if context else None, "state": str(state), **facts,
    }  # fmt: skip
    print(json.dumps(ready), flush=True)
    await done.wait()
    replica.ledger.flush()
    server.close()
    controls.close()


def _until_closed(loop: asyncio.AbstractEventLoop, done: asyncio.Event) -> None:
    """Wait, in a thread because not every kind of standard input can be polled, until it closes."""
    while os.read(0, 1024):
        pass
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(done.set)


async def _control(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    replica: Replica,
    server: asyncio.Server,
    control: Callable[[str, str, bytes], bytes | None],
) -> None:
    """Answer the test that drives the replica: /ledger, /faults, /down, and what the replica itself knows."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    method, target, _ = head.split(" ", 2)
    length = next(
        (int(line.split(":")[1]) for line in head.lower().split("\r\n") if line.startswith("content-length:")), 0
    )
    body = await reader.readexactly(length)
    out: bytes | None = b"ok"
    if target == "/ledger":
        replica.ledger.flush()
        out = str(replica.ledger.path).encode()
    elif target == "/faults":
        replica.faults.set(body.decode())
    elif target == "/down":
        server.close()
    else:
        out = control(method, target, body)
    status = "200 OK" if out is not None else "404 Not Found"
    writer.write(f"HTTP/1.0 {status}\r\nContent-Length: {len(out or b'')}\r\n\r\n".encode() + (out or b""))
    await writer.drain()
    writer.close()
