"""One exchange over one real connection, with a disk that is slower than the net."""

from __future__ import annotations

import asyncio
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import pytest

from crawler.capture import spool
from crawler.capture.connection import Connection, Exchange, Limits
from crawler.capture.spool import Sink
from crawler.model import Outcome

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
MEGABYTE = 1024 * 1024


class SlowSink(Sink):
    """A sink on a slow disk: each batch takes a while; it notes how much had gathered meanwhile."""

    exchange: Exchange
    pause = 0.02
    most = 0

    def write(self, pieces):
        time.sleep(self.pause)
        self.most = max(self.most, self.exchange._waiting)
        super().write(pieces)


@asynccontextmanager
async def exchanging(answer, tmp_path, **limits):
    """Serve one answer, then yield an exchange with a slow sink and its connection."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    with ThreadPoolExecutor(1) as threads:
        connection = Connection()
        sink = SlowSink(tmp_path, MEGABYTE)
        times = {"first_byte": 5, "idle": 5, "total": 60} | limits
        exchange = sink.exchange = Exchange("GET", Limits(**times), sink, threads)
        port = server.sockets[0].getsockname()[1]
        await asyncio.get_running_loop().create_connection(lambda: connection, "127.0.0.1", port)
        try:
            yield exchange, connection, sink
        finally:
            connection.abort()
            await connection.closed
            server.close()
            await server.wait_closed()
            sink.discard()


async def test_reading_pauses_while_the_disk_is_behind(tmp_path):
    size = 40 * MEGABYTE
    most_unsent = 0

    async def serve(reader, writer):
        nonlocal most_unsent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // MEGABYTE):
            writer.write(b"x" * MEGABYTE)
            await writer.drain()
        writer.close()

    # The pauses are longer than the idle limit: they are ours and do not count.
    async with exchanging(serve, tmp_path, idle=0.3) as (exchange, connection, sink):
        sink.pause = 0.4
        clock = time.monotonic()
        sink_quick = asyncio.get_running_loop().call_later(0.6, setattr, sink, "pause", 0.001)
        await exchange.run(connection, REQUEST)
        sink_quick.cancel()
        body, _ = sink.finish()
        assert time.monotonic() - clock > 0.3
        assert (exchange.outcome, body.size) == (Outcome.OK, size)
        assert MEGABYTE <= sink.most < 2 * MEGABYTE
        spool.discard(body)


async def test_surplus_that_comes_while_the_body_is_being_stored_closes(tmp_path):
    stored = asyncio.Event()

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 600000\r\n\r\n" + b"x" * 600_000)
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(b"surplus")
        await stored.wait()
        writer.close()

    async with exchanging(serve, tmp_path) as (exchange, connection, sink):
        sink.pause = 0.15
        await exchange.run(connection, REQUEST)
        stored.set()
        body, _ = sink.finish()
    assert (exchange.outcome, body.size, exchange.keep_alive) == (Outcome.OK, 600_000, False)


@pytest.mark.parametrize("closes", [False, True])
async def test_what_comes_before_the_request_belongs_to_its_answer(closes, tmp_path):
    done = asyncio.Event()

    async def serve(_reader, writer):
        writer.write(b"HTTP/1.1 503 Full\r\n\r\nwait")
        await writer.drain()
        if not closes:
            await done.wait()
        writer.close()

    async with exchanging(serve, tmp_path, idle=0.05) as (exchange, connection, sink):
        if closes:
            await asyncio.wait_for(connection.closed, 5)
        else:
            await asyncio.sleep(0.05)
        assert connection.usable != closes
        await exchange.run(connection, REQUEST)
        done.set()
        assert exchange.head.status == 503
        assert exchange.outcome is (Outcome.OK if closes else Outcome.TIMEOUT)
        assert sink.finish()[0].data == b"wait"


async def test_an_early_answer_is_given_once(tmp_path):
    async def serve(reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly")
        for _ in range(2):
            await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")
        writer.close()

    async with exchanging(serve, tmp_path) as (exchange, connection, sink):
        await asyncio.sleep(0.05)
        await exchange.run(connection, REQUEST)
        again = Exchange("GET", Limits(5, 5, 60), late := Sink(tmp_path, MEGABYTE), ThreadPoolExecutor(1))
        await again.run(connection, REQUEST)
        assert (sink.finish()[0].data, late.finish()[0].data) == (b"early", b"late")


async def test_a_server_that_floods_before_the_request_is_cut_off(tmp_path):
    async def serve(_reader, writer):
        writer.write(b"x" * MEGABYTE)
        writer.close()

    async with exchanging(serve, tmp_path) as (exchange, connection, sink):
        await asyncio.wait_for(connection.closed, 5)
        await exchange.run(connection, REQUEST)
        assert exchange.outcome is Outcome.PROTOCOL
        assert sink.finish()[0].size < MEGABYTE


async def test_a_connection_that_gets_bytes_nobody_asked_for_closes(tmp_path):
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await asyncio.sleep(0.05)
        writer.write(b"HTTP/1.1 408 Too slow\r\n\r\n")
        writer.close()

    async with exchanging(serve, tmp_path) as (exchange, connection, _):
        await exchange.run(connection, REQUEST)
        assert exchange.keep_alive
        assert connection.usable
        await asyncio.wait_for(connection.closed, 5)
        assert not connection.usable


async def test_a_reset_request_is_an_outcome(tmp_path):
    async def serve(_reader, writer):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.transport.abort()

    async with exchanging(serve, tmp_path) as (exchange, connection, _):
        await asyncio.wait_for(connection.closed, 5)
        await exchange.run(connection, REQUEST)
    assert (exchange.outcome, exchange.answered, exchange.truncated) == (Outcome.CUT, False, "disconnect")
