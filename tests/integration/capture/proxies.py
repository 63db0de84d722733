"""A small proxy for tests: HTTP in absolute form, CONNECT, and SOCKS5, each with or without credentials."""

from __future__ import annotations

import asyncio
import re
import socket
from base64 import b64encode
from contextlib import suppress
from dataclasses import dataclass

from tests.integration.capture.ugly import reset


@dataclass
class TestProxy:
    """Relays to wherever it is asked. ``asked`` lists the destinations as the client named them."""

    __test__ = False
    tls: object = None
    user: str = ""
    password: str = ""
    #: Status line instead of a tunnel, e.g. ``502 Bad Gateway``.
    refuse: str = ""

    async def __aenter__(self):
        self.asked = []
        self._tasks = set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)

    def url(self, scheme, credentials=""):
        host = "localhost" if scheme == "https" else "127.0.0.1"
        return f"{scheme}://{credentials + '@' if credentials else ''}{host}:{self.port}"

    async def _serve(self, reader, writer):
        task = asyncio.current_task()
        self._tasks.add(task)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            first = await reader.readexactly(1)
            talk = self._socks if first == b"\x05" else self._http
            if (opened := await talk(first, reader, writer)) is not None:
                await _relay(reader, writer, *opened)
        writer.transport.abort()
        self._tasks.discard(task)

    async def _http(self, first, reader, writer):
        head = first + await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b" ", 2)
        expected = b64encode(f"{self.user}:{self.password}".encode())
        if self.user and b"\r\nProxy-Authorization: Basic " + expected + b"\r\n" not in head:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            return None
        if self.refuse:
            writer.write(f"HTTP/1.1 {self.refuse}\r\n\r\n".encode())
            return None
        match = re.fullmatch(r"(?:http://)?(?:\[([^\]]+)\]|([^:/]+)):(\d+)(/.*)?", target.decode())
        host, port = match[1] or match[2], int(match[3])
        self.asked.append((method.decode(), host, port))
        opened = await asyncio.open_connection(host, port)
        if method == b"CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n")
        else:
            opened[1].write(head)
        return opened

    async def _socks(self, _first, reader, writer):
        methods = await reader.readexactly((await reader.readexactly(1))[0])
        if self.user:
            writer.write(b"\x05\x02" if 2 in methods else b"\x05\xff")
            _, length = await reader.readexactly(2)
            user = await reader.readexactly(length)
            password = await reader.readexactly((await reader.readexactly(1))[0])
            good = (user, password) == (self.user.encode(), self.password.encode())
            writer.write(b"\x01\x00" if good else b"\x01\x01")
            if not good:
                return None
        else:
            writer.write(b"\x05\x00")
        *_, kind = await reader.readexactly(4)
        size = {1: 4, 4: 16}.get(kind) or (await reader.readexactly(1))[0]
        raw = await reader.readexactly(size)
        host = raw.decode() if kind == 3 else socket.inet_ntop(socket.AF_INET if kind == 1 else socket.AF_INET6, raw)
        port = int.from_bytes(await reader.readexactly(2), "big")
        self.asked.append(("SOCKS name" if kind == 3 else "SOCKS address", host, port))
        try:
            opened = await asyncio.open_connection(host, port)
        except OSError:
            writer.write(b"\x05\x05\x00\x01" + bytes(6))
            return None
        writer.write(b"\x05\x00\x00\x03\x04test" + bytes(2))
        return opened


async def _relay(reader, writer, far_reader, far_writer):
    """Pass bytes both ways until one side ends; a reset of the far side is passed on as one."""

    async def pump(source, sink):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()

    pumps = [asyncio.create_task(pump(reader, far_writer)), asyncio.create_task(pump(far_reader, writer))]
    try:
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        if pumps[1].done() and pumps[1].exception():
            reset(writer)
            writer.transport.abort()
    finally:
        for task in pumps:
            task.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        far_writer.transport.abort()
        # Close, not abort: what was relayed must still arrive.
        writer.close()
        with suppress(OSError, TimeoutError):
            await asyncio.wait_for(writer.wait_closed(), 1)
