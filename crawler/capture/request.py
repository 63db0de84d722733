"""From a URL to the exact bytes of its request."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from crawler.capture.resolve import Unreachable, literal
from crawler.model import Outcome
from crawler.url import canonical

if TYPE_CHECKING:
    from collections.abc import Sequence

_PORTS = {"http": 80, "https": 443}
_HOST_NAME = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*")
_UNSAFE = re.compile(rb"[^\x21-\x7e]")
_LINE_BREAKS = re.compile(rb"[\r\n\0]+")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL points: scheme, ASCII host without brackets, port, and the bytes of Host and path."""

    scheme: str
    host: str
    port: int
    netloc: bytes
    path: bytes

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port: what a connection is good for."""
        return self.scheme, self.host, self.port


def target_of(url: str) -> Target:
    """Return the target of an http(s) URL. Raises Unreachable where it names no host that could exist."""
    try:
        parts = urlsplit(canonical(url))
        port = _PORTS[parts.scheme] if parts.port is None else parts.port
        host = parts.hostname or ""
    except (ValueError, KeyError) as e:
        raise Unreachable(Outcome.PROTOCOL, f"not an http URL: {e}") from e
    if port == 0:
        raise Unreachable(Outcome.PROTOCOL, "there is no port 0")
    if not _is_host(host):
        raise Unreachable(Outcome.DNS, f"{host!r} is not a host name")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port, parts.netloc.encode("ascii"), _UNSAFE.sub(_escape, path.encode()))


@lru_cache(maxsize=4096)
def _is_host(host: str) -> bool:
    return literal(host) is not None or _HOST_NAME.fullmatch(host) is not None


def request_bytes(
    target: Target,
    *,
    method: str,
    user_agent: str,
    headers: Sequence[tuple[str, str]] = (),
    body: bytes = b"",
    absolute: bool = False,
) -> bytes:
    """Return the whole request. ``headers`` come after the usual ones and replace those of the same name.

    ``absolute``: the target is written as a whole URL, as an HTTP proxy wants it (RFC 9112 section 3.2.2).
    """
    where = b"http://" + target.netloc + target.path if absolute else target.path
    usual = [
        ("Host", target.netloc),
        ("User-Agent", user_agent.encode()),
        ("Accept", b"*/*"),
        ("Accept-Encoding", b"gzip"),
        ("Connection", b"keep-alive"),
    ]
    if body or method in {"POST", "PUT", "PATCH"}:
        usual.append(("Content-Length", str(len(body)).encode()))
    named = {name.lower() for name, _ in headers}
    lines = [method.encode("ascii") + b" " + where + b" HTTP/1.1"]
    lines += [_line(name, value) for name, value in usual if name.lower() not in named]
    lines += [_line(name, value.encode()) for name, value in headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def _line(name: str, value: bytes) -> bytes:
    """Return one header line; nothing that a page supplied can begin another one."""
    return _LINE_BREAKS.sub(b" ", name.encode() + b": " + value)


def _escape(match: re.Match[bytes]) -> bytes:
    return b"%%%02X" % match[0][0]
