"""A proxy in front of an S3 server that counts what passes and does what bad networks and bad servers do."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

#: A fault: it gets the request and says what is to happen to it, None for nothing.
Fault = Callable[["Asked"], str | None]


@dataclass
class Asked:
    """One request as it came; ``number`` counts all of them."""

    number: int
    method: str
    target: str
    length: int
    #: When it came, what the server answered, and when; the times are of the monotonic clock.
    began: float = field(default_factory=time.monotonic)
    status: int = 0
    answered: float = 0.0

    @property
    def is_part(self) -> bool:
        return self.method == "PUT" and "partNumber=" in self.target

    @property
    def is_complete(self) -> bool:
        return self.method == "POST" and "uploadId=" in self.target


@dataclass
class Proxy:
    """Forwards to ``upstream``. ``fault`` may answer: reset, slow, swallow (the answer, after it is done), fail
    (500, after it is done), lie (about the ETag), cut (the answer's body), flip (a bit of it), and errors."""

    upstream: str
    fault: Fault = lambda asked: None
    asked: list[Asked] = field(default_factory=list)
    #: Bytes of bodies that clients sent.
    taken: int = 0

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._connected, "127.0.0.1", 0))
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.01))

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        parts = urlsplit(self.upstream)
        up_reader, up_writer = await asyncio.open_connection(parts.hostname, parts.port, limit=1 << 20)
        try:
            while await self._one(reader, writer, up_reader, up_writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            up_writer.transport.abort()
            writer.close()

    async def _one(self, reader, writer, up_reader, up_writer) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        length = _length(head)
        asked = Asked(len(self.asked), method, target, length)
        self.asked.append(asked)
        what = self.fault(asked)
        if what == "reset":
            writer.transport.abort()
            return False
        if what == "slow":
            await _drain(reader, length)
            return await _say(writer, 503, "SlowDown", "Please reduce your request rate.")
        if what == "full":
            await _drain(reader, length)
            return await _say(writer, 500, "InternalError", "no space left on device")
        if what == "nobucket":
            await _drain(reader, length)
            return await _say(writer, 404, "NoSuchBucket", "The specified bucket does not exist.")
        if what == "denied":
            await _drain(reader, length)
            return await _say(writer, 403, "AccessDenied", "This account is suspended.")
        if what == "expired":
            await _drain(reader, length)
            return await _say(writer, 400, "ExpiredToken", "The provided token has expired.")
        if what == "skewed":
            await _drain(reader, length)
            return await _say(writer, 403, "RequestTimeTooSkewed", "The clocks differ too much.")
        up_writer.write(head)
        if re.search(rb"(?i)\r\nexpect: *100-continue", head):
            await up_writer.drain()
            writer.write(await up_reader.readuntil(b"\r\n\r\n"))
        await _pipe(reader, up_writer, length, self._count)
        answer = await up_reader.readuntil(b"\r\n\r\n")
        asked.status, asked.answered = int(answer[9:12]), time.monotonic()
        size = 0 if method == "HEAD" or answer.startswith(b"HTTP/1.1 204") else _length(answer)
        body = await up_reader.readexactly(size) if what or size < 1 << 20 else b""
        if what == "fail":
            return await _say(writer, 500, "InternalError", "It was done all the same.")
        if what == "swallow":
            writer.transport.abort()
            return False
        if what == "lie":
            answer = re.sub(rb'(?i)(\r\netag: *"?)[0-9a-f]{8}', rb"\g<1>00000000", answer)
        if what == "flip" and body:
            body = body[:-1] + bytes([body[-1] ^ 1])
        if what == "cut":
            writer.write(answer + body[: size // 2])
            await writer.drain()
            writer.close()
            return False
        writer.write(answer + body)
        if size and not body:
            await _pipe(up_reader, writer, size, lambda count: None)
        await writer.drain()
        return True

    def _count(self, count: int) -> None:
        self.taken += count


def _length(head: bytes) -> int:
    found = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return int(found[1]) if found else 0


async def _drain(reader: asyncio.StreamReader, length: int) -> None:
    while length > 0:
        piece = await reader.read(min(length, 1 << 16))
        length -= len(piece)
        if not piece:
            return


async def _pipe(reader, writer, length: int, count: Callable[[int], None]) -> None:
    while length > 0:
        piece = await reader.read(min(length, 1 << 18))
        if not piece:
            raise ConnectionError
        writer.write(piece)
        await writer.drain()
        length -= len(piece)
        count(len(piece))


async def _say(writer: asyncio.StreamWriter, status: int, code: str, message: str) -> bool:
    body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'.encode()
    writer.write(
        b"HTTP/1.1 %d X\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body
    )
    await writer.drain()
    return True
