"""A page that links to one file of noise, served on a port of its own, so that a crawl of it has one long segment."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_big_file(length: int) -> Iterator[int]:
    """Serve it; yield the port."""
    block = random.Random(1).randbytes(1 << 20)
    loop = asyncio.new_event_loop()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                path = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1]
                page = b"<a href=/big.iso>big</a>" if path == b"/" else b""
                status = b"200 OK" if path in {b"/", b"/big.iso"} else b"404 Not Found"
                kind = b"text/html" if page else b"application/octet-stream"
                size = length if path == b"/big.iso" else len(page)
                writer.write(
                    b"HTTP/1.1 %b\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (status, kind, size, page)
                )
                for at in range(0, size if not page else 0, len(block)):
                    writer.write(block[: size - at])
                    await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.close()

    server = loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0.01))
        loop.close()
