"""One connection, and one exchange over it: bytes in both directions, time limits, back pressure.

The event loop only cuts messages and keeps pieces; hashing and spooling of anything big happens in a thread while
the loop reads on, and reading pauses when the thread falls behind. So memory stays flat whatever the size.
"""

from __future__ import annotations

import asyncio
import select
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from crawler.capture.tls import explain
from crawler.framing import Data, End, Head, Interim, ResponseParser
from crawler.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from crawler.capture.spool import Sink
    from crawler.framing import Event, Truncation
    from crawler.model import Tls

#: Bytes of body that are handed on at once, and bytes that may wait before reading pauses.
_BATCH = 256 * 1024
_HIGH = 1024 * 1024
#: Bytes a server may send before it was asked; some answer every connection at once.
_MAX_EARLY = 64 * 1024
#: Bytes that must come within the idle time: what drips more slowly is no answer that ends.
_TRICKLE = 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds of patience, and bytes of body at which an exchange is cut.

    ``idle`` is how long an answer may stop, or drip, before it is given up.
    """

    first_byte: float
    idle: float
    total: float
    max_body: int | None = None


class Connection(asyncio.Protocol):
    """An open connection; it carries one exchange at a time."""

    def __init__(self) -> None:
        self.ip: str | None = None
        self.is_stale = False
        self.tls: Tls | None = None
        #: Event loop time of its last use.
        self.used = 0.0
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None
        self._fresh = True
        self._early = b""
        self._error: Exception | None = None

    @property
    def usable(self) -> bool:
        """Whether another exchange may begin: it is open, and no bytes wait in it that would pass for an answer."""
        return self._is_open and not self._has_unread()

    @property
    def _is_open(self) -> bool:
        return not self.closed.done() and self._transport is not None and not self._transport.is_closing()

    def _has_unread(self) -> bool:
        sock = self._transport.get_extra_info("socket") if self._transport is not None else None
        if sock is None or sock.fileno() < 0:
            return False
        poll = select.poll()
        poll.register(sock.fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def begin(self, exchange: Exchange, request: bytes) -> None:
        """Send a request whose answer goes to ``exchange``."""
        self._exchange = exchange
        if self._transport is not None and not self.closed.done():
            self._transport.write(request)
        early, self._early = self._early, b""
        if early:
            exchange.received(early)
        if self.closed.done():
            exchange.disconnected(self._error)

    def end(self) -> None:
        """Let go of the exchange that is over; bytes that still come are nobody's."""
        self._exchange = None
        self._fresh = False
        self.used = asyncio.get_running_loop().time()

    def pause(self, *, paused: bool) -> None:
        """Stop or go on reading."""
        if not self._is_open or self._transport is None:
            return
        if paused:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with this transport; asyncio calls this, and ``dial`` for a tunnel it hands over."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Pass bytes on to whoever asked."""
        if self._exchange is not None:
            self._exchange.received(data)
        elif self._fresh and len(self._early) < _MAX_EARLY:
            self._early += data
        else:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever asked that nothing more comes."""
        self._error = exc
        if not self.closed.done():
            self.closed.set_result(None)
        if self._exchange is not None:
            self._exchange.disconnected(exc)


class Exchange:
    """One request and its answer. ``run`` it once, then read what became of it."""

    def __init__(
        self, method: str, limits: Limits, sink: Sink, threads: Executor, heard: Callable[[Head], None] | None = None
    ) -> None:
        self.head: Head | None = None
        self.interim = b""
        self.outcome = Outcome.OK
        self.error = ""
        self.truncated: Truncation | None = None
        self.keep_alive = False
        #: Whether any byte of an answer came.
        self.answered = False
        self._limits = limits
        self._heard = heard
        self._sink = sink
        self._threads = threads
        self._loop = asyncio.get_running_loop()
        self._parser = ResponseParser(method)
        self._connection: Connection | None = None
        self._pieces: list[Data] = []
        self._waiting = 0
        self._size = 0
        self._paused = False
        self._ended = False
        self._wake: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._active = self._loop.time()
        self._deadline = self._active + limits.total
        #: Bytes since ``_active``.
        self._dripped = 0

    async def run(self, connection: Connection, request: bytes) -> None:
        """Send the request and take the answer until it ends, one way or another.

        Raises OSError where the spool cannot be written, and nothing for the network. Afterwards the connection
        can serve again only if ``keep_alive``.
        """
        self._connection = connection
        try:
            limits = self._limits
            self._timer = self._loop.call_later(min(limits.first_byte, limits.idle, limits.total), self._tick)
            connection.begin(self, request)
            while not self._ended or self._pieces:
                await self._more()
                await self._drain()
        finally:
            self._stop_timer()
            connection.end()

    async def _more(self) -> None:
        """Wait until there is enough to hand on, or the end."""
        while not self._ended and self._waiting < _BATCH:
            self._wake = self._loop.create_future()
            await self._wake

    async def _drain(self) -> None:
        """Hash and keep what has gathered; in a thread when it is big."""
        pieces, self._pieces = self._pieces, []
        size, self._waiting = self._waiting, 0
        if size < _BATCH:
            self._sink.write(pieces)
            return
        await self._loop.run_in_executor(self._threads, self._sink.write, pieces)
        if self._paused and self._waiting < _HIGH:
            self._active = self._loop.time()
            self._pause(paused=False)

    def _pause(self, *, paused: bool) -> None:
        self._paused = paused
        if self._connection is not None:
            self._connection.pause(paused=paused)

    # What the connection tells

    def received(self, data: bytes) -> None:
        """Take bytes from the wire."""
        if self._ended:
            self.keep_alive = False
            return
        self._dripped += len(data)
        if self._dripped >= _TRICKLE or not self.answered:
            self._active, self._dripped = self._loop.time(), 0
        self.answered = True
        self._take(self._parser.feed(data))
        if self._waiting >= _HIGH and not self._paused and not self._ended:
            self._pause(paused=True)
        if self._limits.max_body is not None and self._size > self._limits.max_body:
            self._give_up(Outcome.CUT, "length", f"the body is longer than {self._limits.max_body} bytes")

    def disconnected(self, error: Exception | None) -> None:
        """Learn that the connection is gone."""
        if self._ended:
            return
        self._take(self._parser.eof(clean=error is None))
        if isinstance(error, ssl.SSLError):
            self.outcome, self.error = Outcome.TLS, explain(error)
        elif error is not None and self.error:
            self.error = f"{self.error} ({error})"

    def _take(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Data):
                self._pieces.append(event)
                self._waiting += len(event.wire)
                self._size += len(event.wire)
            elif isinstance(event, Head):
                self.head = event
                self._sink.write_head(event.wire)
                if self._heard is not None:
                    self._heard(event)
            elif isinstance(event, Interim):
                self.interim += event.wire
            else:
                self._finish(event)
        if self._wake is not None and not self._wake.done() and (self._ended or self._waiting >= _BATCH):
            self._wake.set_result(None)

    def _finish(self, end: End) -> None:
        self._ended = True
        self._stop_timer()
        self.keep_alive = end.keep_alive
        self.truncated, self.error = end.truncated, end.error
        if end.truncated == "disconnect":
            self.outcome = Outcome.CUT
        elif end.truncated or self.head is None:
            self.outcome = Outcome.PROTOCOL

    # Time

    def _tick(self) -> None:
        now = self._loop.time()
        limit = self._limits.idle if self.answered else self._limits.first_byte
        due = self._deadline if self._paused else min(self._active + limit, self._deadline)  # a pause is ours
        if now < due:
            self._timer = self._loop.call_at(min(due, now + self._limits.idle), self._tick)
        elif now >= self._deadline:
            self._give_up(Outcome.TIMEOUT, "time", f"not finished after {self._limits.total:g} s")
        else:
            more = "it merely dripped" if self._dripped else "nothing more came"
            self._give_up(Outcome.TIMEOUT, "time", f"{more if self.answered else 'no answer came'} for {limit:g} s")

    def _give_up(self, outcome: Outcome, truncated: Truncation, error: str) -> None:
        if self._ended:
            return
        self._take(self._parser.eof(clean=False))
        if self.head is None and self.outcome is Outcome.PROTOCOL:  # what is not HTTP need not end to be known for it
            outcome, error = self.outcome, f"{self.error}; {error}"
        self.outcome, self.truncated, self.error, self.keep_alive = outcome, truncated, error, False

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
