"""The live page over HTTP: the page, its events, figures for programs, and orders to the crawl.

What the page shows is strangers' text, and it can steer a crawl. So: orders want a token that only the person who
started it has; a foreign site can neither read nor write, whatever name it gives this machine (Host, Origin, the
order's type and header are checked); the page's policy lets nothing run but its own script; images come with a type
that we saw in their bytes.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from base64 import b64encode
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from importlib.resources import files
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aiohttp import web

from crawler.control import check_lanes, checked, give
from crawler.errors import OutlastError, UsageError
from crawler.reading.page.metrics import text

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Awaitable, Callable

    from crawler.reading.page.board import Board

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

log = logging.getLogger("outlast.page")

#: Who may be connected, follow events and be answered at once; bytes of an order.
MOST_CONNECTED, MOST_WATCHING, MOST_ASKING, MOST_BYTES = 128, 32, 64, 4096
#: Seconds that a reader may keep us waiting.
PATIENCE = 10.0
TOKEN_HEADER = "X-Outlast-Token"  # noqa: S105 - the header's name
_PAGE = files("crawler.reading.page").joinpath("page.html").read_text("utf-8")


def policy(page: str) -> str:
    """Return a Content-Security-Policy that lets run what stands in the page, by its hashes, and nothing else."""
    script, style = _hash(page, "script"), _hash(page, "style")
    return (
        f"default-src 'none'; script-src {script}; style-src {style}; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    )


def _hash(page: str, tag: str) -> str:
    found = page.partition(f"<{tag}>")[2].partition(f"</{tag}>")[0]
    return f"'sha256-{b64encode(sha256(found.encode()).digest()).decode()}'"


_HEADERS = {
    "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
}  # fmt: skip
_PAGE_HEADERS = {**_HEADERS, "Content-Security-Policy": policy(_PAGE)}


class App:
    """The routes of one board."""

    def __init__(self, board: Board, token: str) -> None:
        self._board = board
        self._token = token
        self._asking = self._watching = 0

    def make(self) -> web.Application:
        """Return the application."""
        app = web.Application(middlewares=[self._guard], client_max_size=MOST_BYTES)
        app.add_routes([
            web.get("/", self._page), web.get("/events", self._events), web.get("/status.json", self._status),
            web.get("/metrics", self._metrics), web.get("/healthz", self._health), web.post("/orders", self._order),
            web.get("/image/{name:[0-9a-f]{16}}", self._image), web.get("/favicon.ico", self._nothing),
        ])  # fmt: skip
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer nobody who came by another name or from another site, and not too many at once."""
        self._asking += 1
        try:
            if self._asking > MOST_ASKING:
                return _said(503, "Too many at once.")
            if not self._is_ours(request):
                log.warning(
                    "live page: refused a request of %s under another name or from another site", request.remote
                )
                return _said(403, "Reach this page by its address or by localhost.")
            return await handler(request)
        except web.HTTPException as e:
            return _said(e.status, e.reason)
        except ConnectionError:
            raise
        except Exception:
            log.exception("live page: %s", request.path)
            return _said(503, "The collection cannot be read just now; see the log.")
        finally:
            self._asking -= 1

    def _is_ours(self, request: web.Request) -> bool:
        """Say whether a request came to us by name, and from our own page where a page sent it.

        An address in Host cannot be the work of a name that was pointed at us (DNS rebinding).
        """
        host = _host(f"//{request.host}")
        if host != "localhost" and not _is_address(host):
            return False
        if request.headers.get("Sec-Fetch-Site", "none") not in {"none", "same-origin"}:
            return request.method == "GET" and request.path == "/"  # a link somewhere leads here; it may
        origin = request.headers.get("Origin")
        return origin is None or origin == f"{request.scheme}://{request.host}"

    # Reading

    async def _page(self, request: web.Request) -> web.Response:
        return web.Response(
            text=_PAGE, content_type="text/html", charset="utf-8", headers={**_HEADERS, **_PAGE_HEADERS}
        )

    async def _nothing(self, request: web.Request) -> web.Response:
        return web.Response(status=204, headers=_HEADERS)

    async def _status(self, request: web.Request) -> web.Response:
        return web.Response(text=await self._board.text(), content_type="application/json", headers=_HEADERS)

    async def _metrics(self, request: web.Request) -> web.Response:
        body = text(await self._board.shot())
        return web.Response(
            body=body.encode(), headers={**_HEADERS, "Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        )

    async def _health(self, request: web.Request) -> web.Response:
        shot = await self._board.shot()
        return web.json_response({"ok": True, "running": shot["running"], "at": shot["at"]}, headers=_HEADERS)

    async def _image(self, request: web.Request) -> web.Response:
        found = await self._board.image(request.match_info["name"])
        if found is None:
            return _said(404, "No such image.")
        headers = {
            **_HEADERS,
            "Cache-Control": "private, max-age=3600",
            "Content-Disposition": 'inline; filename="image"',
        }
        return web.Response(body=found[1], content_type=found[0], headers=headers)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        if self._watching >= MOST_WATCHING:
            return _said(503, "Too many are watching.")
        self._watching += 1
        try:
            await self._board.shot()  # what cannot be read is said before the stream begins
            return await self._follow(request)
        finally:
            self._watching -= 1

    async def _follow(self, request: web.Request) -> web.StreamResponse:
        """Send each new snapshot; whoever does not read is left behind, and the newest is never queued twice."""
        stream = web.StreamResponse(headers={**_HEADERS, "Content-Type": "text/event-stream"})
        await stream.prepare(request)
        with suppress(ConnectionError, TimeoutError):
            while True:
                is_last = self._board.closed.is_set()
                kind = "event: end\n" if is_last else ""
                try:
                    said = f"{kind}data: {await self._board.text()}\n\n"
                except Exception as e:  # noqa: BLE001 - the stream has begun; who follows comes again, and is told
                    log.warning("live page: the collection cannot be read: %s", e)
                    break
                await asyncio.wait_for(stream.write(said.encode()), PATIENCE)
                if is_last:
                    break
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._board.closed.wait(), self._board.wait)
        return stream

    # Steering

    async def _order(self, request: web.Request) -> web.Response:
        given = request.headers.get(TOKEN_HEADER, "")
        if not hmac.compare_digest(given.encode(errors="replace"), self._token.encode()):
            log.warning("live page: an order from %s with a wrong token was refused", request.remote)
            return _answer(403, error="The token is wrong; open the page by the URL that was printed at the start.")
        if request.content_type != "application/json":
            return _answer(415, error="An order is JSON.")
        try:
            order = checked(*_asked(await request.json()), by="page")
            collection = self._board.collection
            check_lanes(collection.marker.platform, [order])
            running = collection.is_locked()
            if order.verb == "stop" and not running:
                raise UsageError("No crawl is running.")
            await asyncio.to_thread(give, collection.root, order)
        except (ValueError, TypeError, RecursionError):
            return _answer(400, error='An order is {"verb": …, "subject": …, "value": …}.')
        except OutlastError as e:
            return _answer(400 if isinstance(e, UsageError) else 507, error=str(e))
        when = "obeyed by the crawl that is running" if running else "kept for the next run"
        return _answer(200, order=str(order), when=when)


def _asked(facts: Any) -> tuple[str, str, float]:
    """Return verb, subject and value of an order. Raises ValueError, TypeError."""
    if not isinstance(facts, dict) or not all(isinstance(facts.get(name, ""), str) for name in ("verb", "subject")):
        raise TypeError(facts)
    return facts.get("verb", ""), facts.get("subject", ""), float(facts.get("value", 0))


def _said(status: int, words: str) -> web.Response:
    return web.Response(status=status, text=f"{words}\n", headers=_HEADERS)


def _answer(status: int, **facts: str) -> web.Response:
    return web.json_response(facts, status=status, headers=_HEADERS)


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


class _Turned(asyncio.Protocol):
    """A connection too many: closed at once, before a byte of it is read."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


@asynccontextmanager
async def serving(board: Board, listener: socket.socket, token: str) -> AsyncIterator[None]:
    """Serve a board while this is open; at its end all who look see the last figures."""
    runner = web.AppRunner(
        App(board, token).make(), access_log=None, handle_signals=False, keepalive_timeout=30, shutdown_timeout=2,
    )  # fmt: skip
    await runner.setup()
    server = runner.server
    assert server is not None

    def connected() -> asyncio.Protocol:
        # The crawl needs its open files for itself.
        return server() if len(server.connections) < MOST_CONNECTED else _Turned()

    doors = await asyncio.get_running_loop().create_server(connected, sock=listener)
    try:
        yield
        with suppress(Exception):  # what ends well needs no page
            await board.last()
    finally:
        doors.close()
        await runner.cleanup()
        board.close()
