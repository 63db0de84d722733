"""A site that allows so many requests a second, says 429 with Retry-After beyond, and keeps a log of what it saw."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass
from typing import Self


@dataclass
class Seen:
    at: float
    path: str
    status: int


class LimitedSite:
    """Pages ``/0`` to ``/<pages - 1>``, each naming some others, on a port of its own in a thread of its own."""

    def __init__(self, pages: int, *, rate: int, wait: int, host: str = "127.0.0.1") -> None:
        self.host = host
        self.pages = pages
        self.rate = rate
        self.wait = wait
        self.log: list[Seen] = []
        #: Status and body of every answer, where the site is dead.
        self.epitaph: tuple[int, str] | None = None
        #: Requests still allowed, refilled steadily; up to half a second's worth may gather.
        self._tokens = rate / 2
        self._refilled = time.monotonic()
        self._until = 0.0
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _serve(self) -> None:
        server = self._loop.run_until_complete(asyncio.start_server(self._connected, self.host, 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                path = head.split(b" ", 2)[1].decode()
                status, extra, body = self._answer(path)
                await asyncio.sleep(0.02)
                self.log.append(Seen(time.time(), path, status))
                writer.write(
                    f"HTTP/1.1 {status} X\r\nContent-Type: text/html\r\n{extra}Content-Length: {len(body)}\r\n\r\n{body}".encode()
                )
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    def _answer(self, path: str) -> tuple[int, str, str]:
        now = time.monotonic()
        self._tokens = min(self._tokens + (now - self._refilled) * self.rate, self.rate / 2)
        self._refilled = now
        if now < self._until or self._tokens < 1:
            self._until = max(self._until, now + self.wait)
            return 429, f"Retry-After: {self.wait}\r\n", ""
        self._tokens -= 1
        if self.epitaph is not None:
            return self.epitaph[0], "", self.epitaph[1]
        if not path.strip("/").isdigit() and path != "/":
            return 404, "", ""
        number = int(path.strip("/") or 0)
        links = [number * 5 + step for step in range(1, 6)]
        return 200, "", f"page {number} " + "".join(f"<a href=/{link}>" for link in links if link < self.pages)
