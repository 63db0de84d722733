"""The coordinator's routes: who asks, whether what is asked makes sense and is not too much; the rest is elsewhere.

Nothing that a stranger says reaches a path, a log line or a terminal before it was checked.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from crawler.cold.store import Refused, Unavailable
from crawler.errors import DatabaseLost, DiskFull, OutlastError
from crawler.volunteers import wire
from crawler.volunteers.coordinator import AWAY, No

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path
    from socket import socket

    from crawler.volunteers.coordinator import Coordinator

log = logging.getLogger("outlast.volunteers")

#: Seconds that a message, and a part, may take to come.
_MESSAGE_SECONDS, _PART_SECONDS = 30.0, 900.0
_PIECE = 1 << 18


@asynccontextmanager
async def serving(coordinator: Coordinator, listener: socket, tls: ssl.SSLContext | None) -> AsyncIterator[None]:
    """Answer on a socket that listens."""
    runner = web.AppRunner(made(coordinator), access_log=None, handle_signals=False)
    await runner.setup()
    try:
        await web.SockSite(runner, listener, ssl_context=tls).start()
        yield
    finally:
        await runner.cleanup()


def made(coordinator: Coordinator) -> web.Application:
    """Return the application."""
    app = web.Application(client_max_size=wire.MOST, middlewares=[_refusing])
    calls: tuple[tuple[str, type[wire.Message] | None, Any], ...] = (
        ("attend", wire.Attend, coordinator.attend),
        ("lease", wire.Want, coordinator.lease),
        ("hold", wire.Hold, coordinator.hold),
        ("give-back", wire.GiveBack, coordinator.give_back),
        ("bring", wire.Bring, coordinator.bring),
        ("brought", wire.Brought, coordinator.brought),
        ("leave", None, coordinator.leave),
    )
    for name, kind, answer in calls:
        app.router.add_post(f"/v1/{name}", _call(coordinator, kind, answer))
    app.router.add_get("/health", _health)
    app.router.add_post("/v1/enrol", _enrol(coordinator))
    app.router.add_put("/v1/part/{name}/{number:[0-9]{1,6}}", _part(coordinator))
    return app


async def _health(_request: web.Request) -> web.Response:
    """Say that somebody is there: what the database says is nothing that a restart would mend."""
    return _said(wire.Held())


def _call(
    coordinator: Coordinator, kind: type[wire.Message] | None, answer: Callable[..., Awaitable[wire.Message]]
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def said(request: web.Request) -> wire.Message:
        volunteer = await coordinator.known(_shown(request))
        return await (answer(volunteer) if kind is None else answer(volunteer, await _heard(request, kind)))

    async def handle(request: web.Request) -> web.Response:
        return _said(await coordinator.answered(said(request)))

    return handle


def _enrol(coordinator: Coordinator) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        return _said(await coordinator.answered(coordinator.enrol(await _heard(request, wire.Enrol))))

    return handle


def _part(coordinator: Coordinator) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        name, number = request.match_info["name"], int(request.match_info["number"])
        place, length, md5 = await coordinator.answered(_expected(coordinator, _shown(request), name, number))
        if request.content_length != length:
            raise No(400 if request.content_length is None else 413, f"That part has {length:,} bytes.")
        async with asyncio.timeout(_PART_SECONDS):
            await _take(request, place, length, md5)
        return _said(wire.Held())

    return handle


async def _expected(coordinator: Coordinator, shown: str, name: str, number: int) -> tuple[Path, int, str]:
    return await coordinator.part(await coordinator.known(shown), name, number)


async def _take(request: web.Request, place: Path, length: int, md5: str) -> None:
    """Write a part beside its place; it gets its name once it is durable, and what was announced."""
    beside = place.with_name(f"{place.name}.{os.urandom(8).hex()}")
    digest, count = hashlib.md5(usedforsecurity=False), 0
    try:
        with beside.open("xb") as out:
            async for piece in request.content.iter_chunked(_PIECE):
                count += len(piece)
                if count > length:
                    raise No(413, f"That part has {length:,} bytes.")
                digest.update(piece)
                await asyncio.to_thread(out.write, piece)
            if count != length or digest.hexdigest() != md5:
                raise No(400, "That is not the part that was announced.")
            out.flush()
            await asyncio.to_thread(os.fsync, out.fileno())
        beside.rename(place)
    finally:
        beside.unlink(missing_ok=True)


def _shown(request: web.Request) -> str:
    kind, _, shown = request.headers.get("Authorization", "").partition(" ")
    return shown.strip() if kind.lower() == "bearer" else ""


async def _heard(request: web.Request, kind: type[Any]) -> Any:
    """Return what was said. Raises No where it makes no sense, or is too much."""
    try:
        async with asyncio.timeout(_MESSAGE_SECONDS):
            return msgspec.json.decode(await request.read(), type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise No(400, "That is no message of a volunteer.") from None
    except web.HTTPRequestEntityTooLarge:
        raise No(413, f"At most {wire.MOST:,} bytes at once.") from None
    except TimeoutError:
        raise No(408, "That took too long to come.") from None


def _said(message: wire.Message, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(message), status=status, content_type="application/json")


@web.middleware
async def _refusing(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Turn whatever goes wrong into a status and a sentence."""
    try:
        return await handler(request)
    except No as e:
        return _said(wire.Refusal(str(e)), e.status)
    except web.HTTPException as e:
        return _said(wire.Refusal(e.reason), e.status)
    except Refused as e:
        return _said(wire.Refusal(str(e)), 409)
    except DatabaseLost as e:
        log.info("%s: %s", request.path, e)  # the outage itself is told once
        return _said(wire.Refusal(AWAY), 503)
    except (Unavailable, DiskFull, TimeoutError, OSError) as e:
        log.warning("%s: %s", request.path, e)
        return _said(wire.Refusal("Not now; try again."), 503)
    except OutlastError as e:
        log.error("%s: %s", request.path, e)  # noqa: TRY400 - the sentence is the whole story
        return _said(wire.Refusal("Not now; try again."), 503)
