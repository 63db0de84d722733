"""The live page's application over real sockets: what cannot be read is said, and harms nobody."""

from __future__ import annotations

from pathlib import Path

from aiohttp.test_utils import TestClient, TestServer

from crawler.frontier.sqlite import SqliteFrontier
from crawler.reading.page.app import App
from crawler.reading.page.board import Board, Sources
from tests.unit.reading.shelves import Shop


async def test_a_collection_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "c")
    SqliteFrontier(shop.collection.frontier).close()
    board = Board(shop.collection, Sources())
    async with TestClient(TestServer(App(board, "t").make())) as client:
        assert (await client.get("/healthz")).status == 200
        async with client.get("/events") as stream:
            assert (await stream.content.readuntil(b"\n\n")).startswith(b"data: {")
            board._frontier.close()
            board._next = 0.0
            assert await stream.content.read() == b""
        for path in ("/healthz", "/events", "/metrics", "/status.json"):
            assert (await client.get(path)).status == 503
        assert (await client.get("/")).status == 200
    board.close()


async def test_the_last_figures_end_the_stream(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "c")
    SqliteFrontier(shop.collection.frontier).close()
    board = Board(shop.collection, Sources())
    async with TestClient(TestServer(App(board, "t").make())) as client, client.get("/events") as stream:
        await stream.content.readuntil(b"\n\n")
        await board.last()
        assert b"event: end\ndata: {" in await stream.content.read()
    board.close()
