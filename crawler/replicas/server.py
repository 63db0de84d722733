"""The server under every replica: answers a site's requests byte for byte, writes them down, misbehaves on demand."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol

from crawler.replicas.authority import show
from crawler.replicas.exchange import MAX_BODY, MAX_HEAD, Answer, Clock, Request, frame, http_date, parse
from crawler.replicas.faults import BAD_CERTIFICATES, PACED

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Sequence

    from crawler.replicas.faults import Fault, Faults
    from crawler.replicas.ledger import Entry, Ledger

GONE = Answer(
    200,
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b"<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>",
    "application/xml",
)
TOMBSTONE = Answer(200, b"<html><body><h1>Goodbye</h1><p>It was fun while it lasted.</p></body></html>\n")
#: Slow answers come in this many pieces a second.
_BEATS = 20
_PIECE = 1 << 16
#: Close without lingering, so that the peer gets a reset (socket(7)).
_NO_LINGER = struct.pack("ii", 1, 0)
_log = logging.getLogger(__name__)


class Site(Protocol):
    """What is served. Everything about it is a function of its seed and the clock."""

    @property
    def hosts(self) -> Sequence[str]:
        """Names it answers to, over TLS; empty for a site that answers to any, over plain HTTP."""

    @property
    def stores(self) -> frozenset[str]:
        """Those of the names that are object stores, which may lose what they hold."""

    @property
    def methods(self) -> frozenset[str]:
        """Methods it knows."""

    @property
    def login(self) -> str:
        """Where a login wall sends strangers."""

    def answer(self, request: Request) -> Answer:
        """Return the answer to a request."""

    def things(self) -> Iterator[dict[str, Any]]:
        """Yield everything there is: ``kind``, ``id``, ``url``, ``public``, and what its page says."""

    def facts(self) -> dict[str, Any]:
        """Return what else is worth knowing of it as a whole."""

    def overhead(self) -> dict[str, int]:
        """Return, by kind, the least requests it takes to find things, on top of one for each thing's URL."""


@dataclass
class Replica:
    """A site with its clock, its books and its bad habits, and where it is being served."""

    site: Site
    clock: Clock
    ledger: Ledger
    faults: Faults
    #: Seconds added to every answer.
    latency: float
    #: Scheme → (port, TLS context); what port 0 turns into is kept.
    doors: dict[str, tuple[int, ssl.SSLContext | None]]

    connections: set[Connection] = field(default_factory=set)
    _listeners: list[asyncio.Server] = field(default_factory=list)

    @property
    def is_up(self) -> bool:
        """Whether it accepts connections."""
        return bool(self._listeners)

    async def up(self) -> None:
        """Accept connections."""
        if self.is_up:
            return
        loop = asyncio.get_running_loop()
        for scheme, (port, context) in self.doors.items():
            listener = await loop.create_server(
                lambda scheme=scheme: Connection(self, scheme), "127.0.0.1", port, ssl=context, backlog=512
            )
            self.doors[scheme] = (listener.sockets[0].getsockname()[1], context)
            self._listeners.append(listener)

    def down(self) -> None:
        """Refuse connections from now on, and reset those there are."""
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
        for connection in tuple(self.connections):
            connection.reset()

    def dress(self) -> None:
        """Show new connections the certificate that the faults ask for, and end those there are."""
        for _, context in self.doors.values():
            if context is not None:
                show(context, self.ledger.path.parent, self.faults.certificate)
        for connection in tuple(self.connections):
            connection.reset()

    def answer(self, request: Request, scheme: str) -> Answer:
        """Return what the site says, faults apart but for lost objects."""
        if scheme == "http" and "https" in self.doors:
            where = f"https://{request.host}{request.target}"
            return Answer(301, b"", headers=(("Location", where),))
        if self.site.hosts and request.host not in self.site.hosts:
            return Answer(421, b"no such host here\n", "text/plain")
        if request.method not in self.site.methods:
            return Answer(405, b"", "text/plain", (("Allow", ", ".join(sorted(self.site.methods))),))
        if self.faults.is_gone(request.host, request.path):
            return GONE
        return self.site.answer(request)


class Connection(asyncio.Protocol):
    """One client connection: requests in order, answers in order."""

    def __init__(self, replica: Replica, scheme: str) -> None:
        self._replica = replica
        self._scheme = scheme
        self._buffer = b""
        self._busy: asyncio.Task[None] | None = None
        #: The exchange that is under way.
        self._entry: Entry | None = None
        self._may_write = asyncio.Event()
        self._may_write.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._replica.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._replica.connections.discard(self)
        if self._busy is not None:
            self._busy.cancel()
        self._over(complete=False)

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._busy is None:
            self._next()
        elif len(self._buffer) > MAX_HEAD + MAX_BODY:
            self.reset()  # nobody asks that much ahead

    def reset(self) -> None:
        """End it with a TCP reset; what is under way is entered as cut off."""
        self._over(complete=False)
        taken = self._transport.get_extra_info("socket")
        with suppress(OSError, AttributeError):  # closed already
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self._transport.abort()

    def _next(self) -> None:
        """Answer the whole requests there are; at once where nothing delays them."""
        while not self._transport.is_closing():
            try:
                found = parse(self._buffer)
            except ValueError:
                self._refuse()
                return
            if found is None:
                return
            request, size = found
            raw, self._buffer = self._buffer[:size], self._buffer[size:]
            entry = self._begin(request, raw)
            fault = self._replica.faults.draw(request.host, request.target)
            if fault is not None or self._replica.latency:
                self._later(request, entry, fault)
                return
            answer = self._answer(request)
            if answer.flow is not None and request.method == "GET":
                self._later(request, entry, None)
                return
            self._send(request, answer, entry)

    def _begin(self, request: Request, raw: bytes) -> Entry:
        self._entry = self._replica.ledger.begin(request, raw, self._scheme)
        return self._entry

    def _over(self, *, complete: bool) -> None:
        """Enter the exchange that is under way, if there is one."""
        if self._entry is not None:
            self._replica.ledger.enter(self._entry, complete=complete)
            self._entry = None

    def _answer(self, request: Request) -> Answer:
        """Return the site's answer; 500 where it has none for what was asked, which is its fault."""
        try:
            return self._replica.answer(request, self._scheme)
        except Exception:  # noqa: BLE001 - the fault may be anything, and is in the log
            _log.exception("no answer to %s https://%s%s", request.method, request.host, request.target)
            return Answer(500, b"this replica is broken\n", "text/plain")

    def _send(self, request: Request, answer: Answer, entry: Entry) -> None:
        """Send a whole answer in one piece."""
        head, body = frame(request, answer, self._replica.clock.date)
        self._write(head + body, entry)
        self._end(request, answer, entry)

    def _end(self, request: Request, answer: Answer, entry: Entry) -> None:
        entry.status = answer.status
        self._over(complete=True)
        if request.is_last:
            self._transport.close()

    def _write(self, data: bytes, entry: Entry, *, copied: bool = True) -> None:
        self._transport.write(data)
        entry.add(data, copied=copied)

    def _refuse(self) -> None:
        """Answer what is no request, and hang up."""
        request = Request("", "", "", {"connection": "close"})
        entry = self._begin(request, self._buffer)
        self._buffer = b""
        self._send(request, Answer(400, b"bad request\n", "text/plain"), entry)

    def _later(self, request: Request, entry: Entry, fault: Fault | None) -> None:
        self._busy = asyncio.get_running_loop().create_task(self._slowly(request, entry, fault))

    async def _slowly(self, request: Request, entry: Entry, fault: Fault | None) -> None:
        """Answer in a task of its own: late, in pieces, wrongly, or not at all."""
        entry.fault = fault.kind if fault else None
        try:
            if self._replica.latency:
                await asyncio.sleep(self._replica.latency)
            await (self._stream(request, entry) if fault is None else self._misbehave(request, entry, fault))
        except Exception:
            self.reset()  # better no answer than none for ever
            raise
        finally:
            self._busy = None
        self._next()

    async def _stream(self, request: Request, entry: Entry, pace: float = 0.0, share: float = 1.0) -> None:
        """Send an answer piece by piece: at most ``pace`` bytes a second, at most that share of its bytes."""
        answer = self._answer(request)
        head, body = frame(request, answer, self._replica.clock.date)
        entry.status = answer.status
        flow = answer.flow if request.method == "GET" else None
        left = int((len(head) + (flow.length if flow else len(body))) * share)
        for piece in self._pieces(head + body, answer, flow is not None, pace):
            await self._may_write.wait()
            self._write(piece[:left], entry, copied=flow is None or entry.sent < len(head))
            left -= len(piece)
            if left <= 0:
                break
            await asyncio.sleep(1 / _BEATS if pace else 0)
        if share == 1:
            self._end(request, answer, entry)

    @staticmethod
    def _pieces(start: bytes, answer: Answer, flows: bool, pace: float) -> Iterator[bytes]:
        size = max(int(pace / _BEATS), 1) if pace else _PIECE
        for piece in chain((start,), answer.flow.pieces() if flows and answer.flow else ()):
            yield from (piece[at : at + size] for at in range(0, len(piece), size))

    async def _misbehave(self, request: Request, entry: Entry, fault: Fault) -> None:
        argument = float(fault.argument or 0) if fault.kind in PACED else 0.0
        if fault.kind == "stall":
            await asyncio.sleep(argument or 30)
            await self._stream(request, entry)
        elif fault.kind == "slow":
            await self._stream(request, entry, pace=argument or 1000)
        elif fault.kind in {"cut", "reset"}:
            await self._break_off(request, entry, argument or (0.6 if fault.kind == "cut" else 0.0), fault.kind)
        elif fault.kind == "die" and fault.argument in BAD_CERTIFICATES:
            self._replica.dress()
        elif fault.kind == "dark":
            self._replica.down() if not fault.host else self.reset()
        else:
            self._send(request, self._instead(fault), entry)

    async def _break_off(self, request: Request, entry: Entry, share: float, kind: str) -> None:
        """Send a part of an answer, then close the connection or reset it."""
        if share:
            await self._stream(request, entry, share=min(share, 0.99))
            await asyncio.sleep(0.02)  # a reset overtakes what is still on its way
        self._over(complete=False)
        self._transport.close() if kind == "cut" else self.reset()

    def _last_words(self, how: str) -> Answer:
        if how == "tombstone":
            return TOMBSTONE
        if how == "login":
            return Answer(302, b"", headers=(("Location", self._replica.site.login),))
        return Answer(500 if how == "slow" else int(how), b"<html><body><h1>No</h1></body></html>")

    def _instead(self, fault: Fault) -> Answer:
        """Return what is said in place of the answer."""
        if fault.kind == "die":
            return self._last_words(fault.argument)
        if fault.kind == "login":
            return Answer(302, b"", headers=(("Location", fault.argument or self._replica.site.login),))
        if fault.kind == "s3xml":
            return GONE
        if fault.kind != "429":
            return Answer(int(fault.kind), b"<html><body><h1>Bad gateway</h1></body></html>")
        seconds = int(fault.argument.removeprefix("date") or 1)
        # Whoever waits goes by the real time, not by the replica's.
        later = datetime.now(UTC) + timedelta(seconds=seconds)
        wait = http_date(later) if fault.argument.startswith("date") else str(seconds)
        return Answer(429, b"slow down\n", "text/plain", (("Retry-After", wait),))
