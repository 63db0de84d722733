"""Getting through a proxy: HTTP CONNECT (RFC 9110 section 9.3.6) and SOCKS5 (RFC 1928, RFC 1929)."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_address
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from crawler.capture.resolve import Unreachable
from crawler.errors import UsageError
from crawler.framing import Head, ResponseParser
from crawler.model import Outcome

if TYPE_CHECKING:
    from asyncio import StreamReader, Transport

_PORTS = {"http": 8080, "https": 443, "socks5": 1080, "socks5h": 1080}

_SOCKS_REFUSALS = {
    1: "general failure",
    2: "not allowed by its rules",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "time to live expired",
    7: "command not supported",
    8: "address type not supported",
}
#: Replies that are about the site, not about the proxy.
_SOCKS_SITE = {3, 4, 5, 6}


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where the proxy is and how it is spoken to."""

    scheme: str
    host: str
    port: int
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: str) -> Proxy:
        """Read ``http://``, ``https://``, ``socks5://`` or ``socks5h://[USER:PASSWORD@]HOST[:PORT]``."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        # The URL may hold a password: it is never repeated.
        if parts.scheme not in _PORTS or not parts.hostname:
            raise UsageError("the proxy must be http://, https://, socks5:// or socks5h:// and HOST[:PORT]")
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        return cls(parts.scheme, parts.hostname, port or _PORTS[parts.scheme], user, password)

    @property
    def secure(self) -> bool:
        """Whether the proxy itself is spoken to over TLS."""
        return self.scheme == "https"

    @property
    def resolves(self) -> bool:
        """Whether the proxy looks names up, so that the address of the site is not known here."""
        return self.scheme != "socks5"

    @property
    def forwards(self) -> bool:
        """Whether plain http goes through in absolute form.

        Not with credentials: they would stand in the request, and so in the WARC; such a proxy gets a tunnel.
        """
        return self.scheme in {"http", "https"} and not self.user

    async def tunnel(self, reader: StreamReader, transport: Transport, host: str, port: int) -> None:
        """Open a tunnel to ``host:port`` over a fresh connection to the proxy. Raises Unreachable."""
        try:
            if self.scheme in {"http", "https"}:
                await self._connect(reader, transport, host, port)
            else:
                await self._socks(reader, transport, host, port)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError) as e:
            raise _refused("ended the connection") from e

    async def _connect(self, reader: StreamReader, transport: Transport, host: str, port: int) -> None:
        authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
        if self.user:
            credentials = b64encode(f"{self.user}:{self.password}".encode()).decode()
            lines.append(f"Proxy-Authorization: Basic {credentials}")
        transport.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        answer = ResponseParser("CONNECT").feed(await reader.readuntil(b"\r\n\r\n"))
        head = next((event for event in answer if isinstance(event, Head)), None)
        if head is None:
            raise _refused("does not speak HTTP")
        if head.status == 407:
            raise _refused("asks for a user name and password")
        if not 200 <= head.status < 300:
            raise _refused(f"answered {head.status} {head.reason.decode('latin-1')}".rstrip() + f" for {authority}")

    async def _socks(self, reader: StreamReader, transport: Transport, host: str, port: int) -> None:
        transport.write(b"\x05\x02\x00\x02" if self.user else b"\x05\x01\x00")
        version, method = await reader.readexactly(2)
        if version != 5 or method not in ({0, 2} if self.user else {0}):
            raise _refused("does not speak SOCKS5" if version != 5 else "asks for a user name and password")
        if method == 2:
            transport.write(b"\x01" + _short(self.user.encode()) + _short(self.password.encode()))
            if (await reader.readexactly(2))[1]:
                raise _refused("refused the user name and password")
        transport.write(b"\x05\x01\x00" + _socks_address(host) + port.to_bytes(2, "big"))
        _, reply, _, kind = await reader.readexactly(4)
        if reply:
            outcome = Outcome.REFUSED if reply in _SOCKS_SITE else Outcome.PROXY
            raise Unreachable(outcome, f"the proxy says of {host}:{port}: {_SOCKS_REFUSALS.get(reply, reply)}")
        bound = {1: 4, 4: 16}.get(kind) or (await reader.readexactly(1))[0]
        await reader.readexactly(bound + 2)


def _socks_address(host: str) -> bytes:
    try:
        ip = ip_address(host)
    except ValueError:
        return b"\x03" + _short(host.encode("ascii"))
    return (b"\x01" if isinstance(ip, IPv4Address) else b"\x04") + ip.packed


def _short(text: bytes) -> bytes:
    if len(text) > 255:
        raise _refused("cannot be given a text of more than 255 bytes")
    return bytes([len(text)]) + text


def _refused(what: str) -> Unreachable:
    return Unreachable(Outcome.PROXY, f"the proxy {what}")
