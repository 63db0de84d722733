"""From a target to an open connection: straight, or through a proxy, with TLS on top where the URL says so."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from functools import cached_property
from typing import TYPE_CHECKING

from crawler.capture import tls
from crawler.capture.connection import Connection
from crawler.capture.resolve import Redirections, Resolver, Unreachable, is_private, literal, permitted
from crawler.model import Outcome

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from crawler.capture.proxy import Proxy
    from crawler.capture.request import Target
    from crawler.capture.resolve import Network
    from crawler.model import Lookup, Tls


class Dialer:
    """Opens connections. ``timeout`` (seconds) spans everything from the lookup to the end of the TLS handshake."""

    def __init__(
        self,
        *,
        proxy: Proxy | None,
        redirections: Redirections,
        trusted_hosts: frozenset[str],
        private_allowed: Iterable[Network],
        bind_address: str | None,
        timeout: float,
        verify: bool,
        ca_cert: Path | None,
        on_lookup: Callable[[Lookup], None] | None,
        kept: Callable[[str], Sequence[str]] | None = None,
        on_chain: Callable[[str, Tls], None] | None,
    ) -> None:
        self._proxy = proxy
        self._redirections = redirections
        self._trusted_hosts = trusted_hosts
        self._private_allowed = tuple(private_allowed)
        self._bind_address = bind_address
        self._timeout = timeout
        self._verify = verify
        self._ca_cert = ca_cert
        #: Addresses of names that are gone are used where a certificate says who answers there, and nowhere else.
        self._keeps = kept is not None and verify
        self._resolver = Resolver(on_lookup, kept or (lambda host: ()))
        # Looking up the operator's proxy is no evidence about the site, and nobody's business.
        self._proxy_resolver = Resolver()
        self._on_chain = on_chain
        #: Trusted hosts that were once at a public address: from then on they may not lead to a private one.
        self._public: set[str] = set()

    def forwards(self, target: Target) -> bool:
        """Whether requests for this target go to an HTTP proxy in absolute form."""
        plain = target.scheme == "http" and self._destination(target) == (target.host, target.port)
        return plain and self._proxy is not None and self._proxy.forwards

    async def connect(self, target: Target) -> Connection:
        """Return a new connection on which requests for the target can be sent. Raises Unreachable."""
        try:
            async with asyncio.timeout(self._timeout):
                if self._proxy is None:
                    return await self._direct(target)
                return await self._through(self._proxy, target)
        except TimeoutError as e:
            where = f"{target.host}:{target.port}"
            raise Unreachable(Outcome.TIMEOUT, f"no connection to {where} within {self._timeout:g} s") from e

    def close(self) -> None:
        """Stop looking names up."""
        self._resolver.close()
        self._proxy_resolver.close()

    @cached_property
    def _context(self) -> ssl.SSLContext:
        return tls.client_context(verify=self._verify, ca_cert=self._ca_cert)

    def _destination(self, target: Target) -> tuple[str, int]:
        return self._redirections.destination(target.host, target.port)

    # Straight

    async def _direct(self, target: Target) -> Connection:
        host, port = self._destination(target)
        sock, address = await self._open_socket(await self._addresses(target), port, host)
        self._resolver.worked(host, address)
        connection = Connection()
        connection.ip, connection.is_stale = address, self._resolver.is_stale(host)
        secure = target.scheme == "https"
        try:
            transport, _ = await asyncio.get_running_loop().create_connection(
                lambda: connection, sock=sock, ssl=self._context if secure else None,
                server_hostname=target.host if secure else None,
            )  # fmt: skip
        except OSError as e:
            raise _tls_failed(e) from e
        if secure:
            self._secured(connection, target, transport)
        return connection

    async def _addresses(self, target: Target) -> Sequence[str]:
        """Return the addresses to try for a target, private ones only where somebody vouched for them."""
        host, port = self._destination(target)
        if pinned := self._redirections.addresses(host, port):
            return pinned
        found = await self._resolver.addresses(host, keeps=self._keeps and target.scheme == "https")
        return self._permitted(target, found)

    def _permitted(self, target: Target, addresses: Sequence[str]) -> Sequence[str]:
        if self._destination(target) != (target.host, target.port):
            return addresses
        if target.host in self._trusted_hosts and target.host not in self._public:
            if all(is_private(address, self._private_allowed) for address in addresses):
                return addresses
            self._public.add(target.host)
        return permitted(addresses, self._private_allowed, target.host)

    async def _open_socket(self, addresses: Sequence[str], port: int, host: str) -> tuple[socket.socket, str]:
        """Return a connected socket and the address that took it; each address gets its share of the time."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout
        error: OSError | None = None
        for tried, address in enumerate(addresses):
            share = (deadline - loop.time()) / (len(addresses) - tried)
            try:
                async with asyncio.timeout(share):
                    return await self._knock(address, port), address
            except OSError as e:
                error = e
        if isinstance(error, TimeoutError):
            raise Unreachable(Outcome.TIMEOUT, f"{host}:{port} did not take a connection within {self._timeout:g} s")
        raise Unreachable(Outcome.REFUSED, f"{host}:{port}: {_reason(error)}") from error

    async def _knock(self, address: str, port: int) -> socket.socket:
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            if self._bind_address is not None:
                sock.bind((self._bind_address, 0))
            await asyncio.get_running_loop().sock_connect(sock, (address, port))
        except BaseException:
            sock.close()
            raise
        return sock

    # Through a proxy

    async def _through(self, proxy: Proxy, target: Target) -> Connection:
        host, address = await self._name_for(proxy, target)
        connection = Connection()
        if self.forwards(target):
            await self._reach(proxy, lambda: connection)
            return connection
        reader = asyncio.StreamReader()
        transport = await self._reach(proxy, lambda: asyncio.StreamReaderProtocol(reader))
        connection.ip, connection.is_stale = address, self._resolver.is_stale(target.host)
        try:
            await proxy.tunnel(reader, transport, host, self._destination(target)[1])
            await self._take_over(transport, connection, target)
        except BaseException:
            transport.abort()
            raise
        return connection

    async def _name_for(self, proxy: Proxy, target: Target) -> tuple[str, str | None]:
        """Return what the proxy is asked to connect to, and the address of the site where it is known."""
        host, port = self._destination(target)
        pinned = self._redirections.addresses(host, port)
        if pinned or not proxy.resolves:
            address = (pinned or await self._addresses(target))[0]
            return address, address
        # What the proxy finds under a name cannot be checked here; what the URL itself says can.
        here = host == "localhost" or host.endswith(".localhost")
        address = literal("127.0.0.1" if here else host) or ""
        if address:
            self._permitted(target, [address])
        return host, None if here else address or None

    async def _reach(self, proxy: Proxy, factory: Callable[[], asyncio.BaseProtocol]) -> asyncio.Transport:
        """Return a connection to the proxy itself."""
        try:
            addresses = await self._proxy_resolver.addresses(proxy.host)
            sock, _ = await self._open_socket(addresses, proxy.port, proxy.host)
            transport, _ = await asyncio.get_running_loop().create_connection(
                factory, sock=sock, ssl=self._context if proxy.secure else None,
                server_hostname=proxy.host if proxy.secure else None,
            )  # fmt: skip
        except Unreachable as e:
            raise Unreachable(Outcome.PROXY, f"the proxy cannot be reached: {e}") from e
        except OSError as e:
            raise Unreachable(Outcome.PROXY, f"the proxy cannot be reached: {tls.explain(e)}") from e
        return transport

    async def _take_over(self, transport: asyncio.Transport, connection: Connection, target: Target) -> None:
        """Hand a tunnel to the connection, with TLS inside it where the URL says so."""
        if target.scheme == "http":
            transport.set_protocol(connection)
            connection.connection_made(transport)
            return
        try:
            inner = await asyncio.get_running_loop().start_tls(
                transport, connection, self._context, server_hostname=target.host
            )
        except OSError as e:
            raise _tls_failed(e) from e
        if inner is None:
            raise Unreachable(Outcome.TLS, "the connection ended during the TLS handshake")
        connection.connection_made(inner)
        self._secured(connection, target, inner)

    def _secured(self, connection: Connection, target: Target, transport: asyncio.BaseTransport) -> None:
        connection.tls = tls.facts(transport.get_extra_info("ssl_object"))
        if self._on_chain is not None:
            self._on_chain(target.host, connection.tls)


def _tls_failed(error: OSError) -> Unreachable:
    if isinstance(error, TimeoutError):
        raise error
    return Unreachable(Outcome.TLS, tls.explain(error))


def _reason(error: OSError | None) -> str:
    if error is None or error.errno is None:
        return str(error or "no address")
    return "connection refused" if error.errno == errno.ECONNREFUSED else os.strerror(error.errno).lower()
