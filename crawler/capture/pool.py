"""The pool: every exchange of a worker goes through ``Pool.fetch`` and comes back as a Capture."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from crawler.capture.connection import Exchange, Limits
from crawler.capture.dial import Dialer
from crawler.capture.proxy import Proxy
from crawler.capture.request import request_bytes, target_of
from crawler.capture.resolve import Redirections, Unreachable
from crawler.capture.spool import Sink
from crawler.model import EMPTY_BODY, SPOOL_THRESHOLD, Capture, Outcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from crawler.capture.connection import Connection
    from crawler.capture.request import Target
    from crawler.capture.resolve import Network
    from crawler.framing import Head
    from crawler.model import Lookup, Tls

#: Seconds a connection may stay idle before it is closed.
_IDLE = 30.0
#: Threads that hash and spool big bodies.
_SPOOL_THREADS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOptions:
    """How connections are made and how long they are waited for. Times are seconds, sizes bytes."""

    user_agent: str
    spool_dir: Path
    #: PEM file of authorities trusted besides the system's.
    ca_cert: Path | None = None
    verify: bool = True
    #: ``http://``, ``https://``, ``socks5://`` or ``socks5h://[USER:PASSWORD@]HOST[:PORT]``.
    proxy: str | None = field(default=None, repr=False)
    #: As curl's ``--resolve``: ``HOST:PORT:ADDR[,ADDR]``, host ``*`` for any.
    resolve: tuple[str, ...] = ()
    #: As curl's ``--connect-to``: ``HOST1:PORT1:HOST2:PORT2``, empty parts for any and same.
    connect_to: tuple[str, ...] = ()
    bind_address: str | None = None
    private_allowed: tuple[Network, ...] = ()
    #: Hosts that may be at private addresses: the seed's own.
    trusted_hosts: frozenset[str] = frozenset()
    connect_timeout: float = 15.0
    first_byte_timeout: float = 60.0
    idle_timeout: float = 60.0
    total_timeout: float = 6 * 3600.0
    spool_threshold: int = SPOOL_THRESHOLD
    max_per_host: int = 64
    max_body: int | None = None


class _Gate:
    """Lets so many exchanges with one origin happen at once."""

    def __init__(self, width: int) -> None:
        self.turns = asyncio.Semaphore(width)
        self.users = 0


class Pool:
    """Connections to many hosts, reused while they are good.

    ``on_lookup`` hears of every DNS lookup really made, ``on_chain`` of every TLS handshake with a site, ``on_refusal``
    of every head with a status of 400 or more, at once. ``held`` says for how many more seconds a request to a URL
    that is ready to leave may not. ``kept`` are the last known addresses of a host, to go on with where its name is
    gone; None where nobody consented to that.
    Raises UsageError where proxy, ``resolve`` or ``connect_to`` are not well formed.
    """

    def __init__(
        self,
        options: PoolOptions,
        *,
        on_lookup: Callable[[Lookup], None] | None = None,
        on_chain: Callable[[str, Tls], None] | None = None,
        on_refusal: Callable[[str, Head], None] | None = None,
        held: Callable[[str], float] = lambda url: 0.0,
        kept: Callable[[str], Sequence[str]] | None = None,
    ) -> None:
        self._options = options
        self._on_refusal = on_refusal
        self._held = held
        self._dialer = Dialer(
            proxy=Proxy.parse(options.proxy) if options.proxy else None,
            redirections=Redirections.parse(options.connect_to, options.resolve),
            trusted_hosts=options.trusted_hosts, private_allowed=options.private_allowed,
            bind_address=options.bind_address, timeout=options.connect_timeout,
            verify=options.verify, ca_cert=options.ca_cert, on_lookup=on_lookup, on_chain=on_chain, kept=kept,
        )  # fmt: skip
        self._threads = ThreadPoolExecutor(_SPOOL_THREADS, thread_name_prefix="spool")
        self._limits = Limits(options.first_byte_timeout, options.idle_timeout, options.total_timeout, options.max_body)
        self._idle: dict[tuple[str, str, int], list[Connection]] = {}
        self._open: set[Connection] = set()
        self._gates: dict[tuple[str, str, int], _Gate] = {}
        self._swept = 0.0

    async def fetch(
        self, *, method: str, url: str, headers: Sequence[tuple[str, str]] = (), body: bytes = b""
    ) -> Capture:
        """Send one request and return the exchange, however it ended.

        No network outcome raises. Where nothing was sent ``request`` is empty. The caller owns the spool file of a
        big body (``spool.discard``). Raises OSError where the spool cannot be written.
        """
        started = datetime.now(UTC)
        try:
            target = target_of(url)
            async with self._turn(target):
                return await self._exchange(method, url, target, headers, body)
        except Unreachable as e:
            return Capture(
                url=url, method=method, request=b"", head=b"", body=EMPTY_BODY, status=0, outcome=e.outcome,
                started=started, ended=datetime.now(UTC), error=str(e),
            )  # fmt: skip

    async def close(self) -> None:
        """Close every connection. Call it when no fetch is under way: one that is comes back cut off, or raises."""
        self._dialer.close()
        for connection in self._open:
            connection.abort()
        if self._open:
            await asyncio.wait([connection.closed for connection in self._open], timeout=1)
        self._threads.shutdown(wait=False, cancel_futures=True)

    @asynccontextmanager
    async def _turn(self, target: Target) -> AsyncIterator[None]:
        gate = self._gates.setdefault(target.origin, _Gate(self._options.max_per_host))
        gate.users += 1
        try:
            async with gate.turns:
                yield
        finally:
            gate.users -= 1
            if not gate.users:
                del self._gates[target.origin]

    async def _exchange(
        self, method: str, url: str, target: Target, headers: Sequence[tuple[str, str]], body: bytes
    ) -> Capture:
        request = request_bytes(
            target, method=method, user_agent=self._options.user_agent, headers=headers, body=body,
            absolute=self._dialer.forwards(target),
        )  # fmt: skip
        while True:
            connection = self._reusable(target)
            is_fresh = connection is None
            if connection is None:
                connection = await self._dialer.connect(target)
                self._open.add(connection)
                connection.closed.add_done_callback(self._forget(connection))
            if (wait := self._held(url)) > 0:
                # While it connected, the server asked us to wait.
                self._idle.setdefault(target.origin, []).append(connection)
                await asyncio.sleep(wait)
                continue
            capture, answered = await self._ask(connection, target, method, url, request)
            if is_fresh or answered or capture.outcome is Outcome.TIMEOUT:
                return capture
            # The server closed an idle connection as the request left: not an outcome, ask again.

    def _forget(self, connection: Connection) -> Callable[[object], None]:
        return lambda _: self._open.discard(connection)

    async def _ask(
        self, connection: Connection, target: Target, method: str, url: str, request: bytes
    ) -> tuple[Capture, bool]:
        """Run one exchange; return it and whether any byte of an answer came."""
        started = datetime.now(UTC)
        sink = Sink(self._options.spool_dir, self._options.spool_threshold)
        exchange = Exchange(method, self._limits, sink, self._threads, self._hearer(url))
        try:
            await exchange.run(connection, request)
            body, digests = sink.finish()
        except BaseException:
            connection.abort()
            sink.discard()
            raise
        if exchange.keep_alive and connection.usable:
            self._idle.setdefault(target.origin, []).append(connection)
        else:
            connection.abort()
        head = exchange.head
        return Capture(
            url=url, method=method, request=request, head=head.wire if head else b"", body=body,
            status=head.status if head else 0, outcome=exchange.outcome, started=started, ended=datetime.now(UTC),
            error=exchange.error, truncated=exchange.truncated, ip=connection.ip, tls=connection.tls,
            is_stale=connection.is_stale, interim=exchange.interim, digests=digests if head else None,
        ), exchange.answered  # fmt: skip

    def _hearer(self, url: str) -> Callable[[Head], None] | None:
        tell = self._on_refusal
        if tell is None:
            return None
        return lambda head: tell(url, head) if head.status >= 400 else None

    def _reusable(self, target: Target) -> Connection | None:
        """Return the connection to an origin that was used last, if one is still good."""
        self._sweep()
        idle = self._idle.get(target.origin, [])
        while idle:
            connection = idle.pop()
            if connection.usable:
                return connection
        return None

    def _sweep(self) -> None:
        """Close, every now and then, what nobody used for a while."""
        now = asyncio.get_running_loop().time()
        if now - self._swept < _IDLE / 2:
            return
        self._swept = now
        for origin, connections in list(self._idle.items()):
            for connection in connections:
                if now - connection.used > _IDLE:
                    connection.abort()
            self._idle[origin] = [connection for connection in connections if connection.usable]
            if not self._idle[origin]:
                del self._idle[origin]
