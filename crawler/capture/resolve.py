"""From a host name to addresses that may be connected to: curl's --connect-to and --resolve, DNS, private addresses.

The rule about private addresses is applied to what a name resolved to, at the moment of connecting, so a name that
changes its address between two lookups gains nothing.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, NamedTuple

from crawler.errors import UsageError
from crawler.model import Lookup, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

log = logging.getLogger("outlast.resolve")

Network = IPv4Network | IPv6Network

#: Seconds an answer is used again before the name is looked up anew.
TTL = 60.0
#: Names remembered; their last good answer outlives a name server that is going away with its site.
_MAX_NAMES = 4096
_LOOKUP_THREADS = 4

_NAT64 = ip_network("64:ff9b::/96")
_HOST = r"(\[[^\]]*\]|[^:\[\]]*)"
_CONNECT_TO = re.compile(rf"{_HOST}:(\d*):{_HOST}:(\d*)")
_RESOLVE = re.compile(rf"\+?{_HOST}:(\d+):(.+)")


class Unreachable(Exception):
    """The exchange could not begin; becomes a capture with this outcome and a sentence for people."""

    def __init__(self, outcome: Outcome, message: str) -> None:
        super().__init__(message)
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class Redirections:
    """What --connect-to and --resolve say. Raises UsageError from ``parse`` where they say it wrongly."""

    connect_to: tuple[tuple[str, int | None, str, int | None], ...] = ()
    resolve: tuple[tuple[str, int, tuple[str, ...]], ...] = ()

    @classmethod
    def parse(cls, connect_to: Iterable[str], resolve: Iterable[str]) -> Redirections:
        """Read ``HOST1:PORT1:HOST2:PORT2`` (empty parts: any, same) and ``HOST:PORT:ADDR[,ADDR]`` (host ``*``: any)."""
        return cls(tuple(_parse_connect_to(text) for text in connect_to), tuple(_parse_resolve(t) for t in resolve))

    def destination(self, host: str, port: int) -> tuple[str, int]:
        """Return where to connect for a host and port of a URL."""
        for from_host, from_port, to_host, to_port in self.connect_to:
            if from_host in {"", host} and from_port in {None, port}:
                return to_host or host, to_port or port
        return host, port

    def addresses(self, host: str, port: int) -> tuple[str, ...]:
        """Return the addresses pinned for a host and port; none where it must be looked up."""
        for name, number, addresses in self.resolve:
            if name in {"*", host} and number == port:
                return addresses
        return ()


def _parse_connect_to(text: str) -> tuple[str, int | None, str, int | None]:
    match = _CONNECT_TO.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} is not HOST1:PORT1:HOST2:PORT2")
    from_host, from_port, to_host, to_port = match.groups()
    return _name(from_host), _port(from_port, text), _name(to_host), _port(to_port, text)


def _parse_resolve(text: str) -> tuple[str, int, tuple[str, ...]]:
    match = _RESOLVE.fullmatch(text)
    port = _port(match[2], text) if match else None
    if match is None or port is None:
        raise UsageError(f"{text!r} is not HOST:PORT:ADDRESS[,ADDRESS]")
    try:
        addresses = tuple(str(ip_address(a.strip().strip("[]"))) for a in match[3].split(","))
    except ValueError as e:
        raise UsageError(f"{text!r}: {e}") from e
    return _name(match[1]), port, addresses


def _name(text: str) -> str:
    return text.strip("[]").lower()


def _port(text: str, whole: str) -> int | None:
    if not text:
        return None
    if not 0 < int(text) < 65536:
        raise UsageError(f"{whole!r}: {text} is not a port")
    return int(text)


def is_private(address: str, allowed: Iterable[Network] = ()) -> bool:
    """Whether an address is not part of the public internet and not in one of the allowed networks.

    Loopback, link-local, private, shared, reserved and multicast addresses are private; so is an IPv6 address that
    carries such an IPv4 address inside (mapped, 6to4, NAT64).
    """
    ip = ip_address(address)
    inner = _embedded(ip)
    if any(candidate in network for network in allowed for candidate in (ip, inner) if candidate):
        return False
    ip = inner or ip
    return not ip.is_global or ip.is_multicast or ip.is_reserved


def _embedded(ip: IPv4Address | IPv6Address) -> IPv4Address | None:
    if isinstance(ip, IPv4Address):
        return None
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour


def literal(host: str) -> str | None:
    """Return a host as an address where it is one, else None."""
    try:
        return str(ip_address(host))
    except ValueError:
        return None


class _Name(NamedTuple):
    #: When it is to be looked up anew, by the loop's time.
    until: float = 0.0
    addresses: tuple[str, ...] = ()
    #: It did not resolve the last time: these are what it had before.
    is_stale: bool = False


class Resolver:
    """Looks names up, at most once a minute each; ``on_lookup`` hears of every lookup really made.

    ``kept`` returns the addresses that an earlier run found for a host.
    """

    def __init__(
        self, on_lookup: Callable[[Lookup], None] | None = None, kept: Callable[[str], Sequence[str]] = lambda host: ()
    ) -> None:
        self._on_lookup = on_lookup
        self._kept = kept
        self._known: dict[str, _Name] = {}
        self._asking: dict[str, asyncio.Task[tuple[str, ...]]] = {}
        self._threads = ThreadPoolExecutor(_LOOKUP_THREADS, thread_name_prefix="lookup")

    async def addresses(self, host: str, *, keeps: bool = False) -> tuple[str, ...]:
        """Return the addresses of a host, best first; at least one. Raises Unreachable (DNS).

        With ``keeps`` the last that it had will do where its name is gone. Without, they do while only the name
        server does not answer, which says nothing of the name.
        """
        if (address := literal(host)) is not None:
            return (address,)
        known = self._known.get(host, _Name())
        if asyncio.get_running_loop().time() < known.until and (keeps or not known.is_stale):
            return known.addresses
        asking = self._asking.get(host)
        if asking is None:
            asking = self._asking[host] = asyncio.create_task(self._ask(host))
            asking.add_done_callback(_heard)
        try:
            return await asyncio.shield(asking)
        except OSError as e:
            last = known.addresses or (tuple(self._kept(host)) if keeps else ())
            if not last or not (keeps or e.errno == socket.EAI_AGAIN):
                raise Unreachable(Outcome.DNS, _explain(host, e)) from e
            return self._go_on(host, last, known, _explain(host, e))
        except UnicodeError as e:
            raise Unreachable(Outcome.DNS, f"{host!r} is not a host name") from e

    def is_stale(self, host: str) -> bool:
        """Say whether a host's addresses are those it had before its name was gone."""
        return self._known.get(host, _Name()).is_stale

    def worked(self, host: str, address: str) -> None:
        """Try this address first the next time: it took a connection."""
        known = self._known.get(host, _Name())
        if address in known.addresses[1:]:
            first = (address, *(a for a in known.addresses if a != address))
            self._known[host] = known._replace(addresses=first)

    def _go_on(self, host: str, last: tuple[str, ...], known: _Name, why: str) -> tuple[str, ...]:
        if not known.is_stale:
            log.warning("%s; going on with the address it had, %s", why, last[0])
        self._known[host] = _Name(asyncio.get_running_loop().time() + TTL, last, is_stale=True)
        return last

    def close(self) -> None:
        """Stop looking."""
        for asking in self._asking.values():
            asking.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _ask(self, host: str) -> tuple[str, ...]:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._threads, _getaddrinfo, host)
        finally:
            del self._asking[host]
        self._known.pop(host, None)
        self._known[host] = _Name(loop.time() + TTL, found)
        if len(self._known) > _MAX_NAMES:
            del self._known[next(iter(self._known))]
        if self._on_lookup is not None:
            self._on_lookup(Lookup(host=host, addresses=found, when=datetime.now(UTC)))
        return found


def _heard(asking: asyncio.Task[tuple[str, ...]]) -> None:
    """Take note of a failure even where everyone who asked was cancelled."""
    if not asking.cancelled():
        asking.exception()


def _getaddrinfo(host: str) -> tuple[str, ...]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


def _explain(host: str, error: OSError) -> str:
    if error.errno in {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", None)}:
        return f"there is no host named {host}"
    return f"{host} could not be looked up: {error.strerror or error}"


def permitted(addresses: Sequence[str], allowed: Iterable[Network], host: str) -> list[str]:
    """Return the addresses that may be connected to. Raises Unreachable where there is none."""
    public = [address for address in addresses if not is_private(address, allowed)]
    if not public:
        raise Unreachable(
            Outcome.FORBIDDEN_ADDRESS,
            f"{host} is at the private address {addresses[0]}; --allow-private lets a crawl go there",
        )
    return public
