"""How a URL is spelled, and which parts of it others need. Pure functions over text."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import urlsplit

from w3lib.url import safe_url_string

DEFAULT_PORTS = {"http": 80, "https": 443}
#: What no host name can hold (URL standard, "forbidden domain code points"); a colon is only in IPv6 addresses.
_NOT_IN_A_HOST = re.compile(r"[\x00-\x20\x7f#%/<>?@\[\\\]^|]")


@lru_cache(maxsize=65536)
def canonical(url: str) -> str:
    """Return the URL under which a fetch is known: escaped, default port and fragment dropped, query kept in order.

    Only the spelling changes; the order and repetition of query parameters can carry meaning and stay. Raises
    ValueError where there is no such URL.
    """
    parts = urlsplit(safe_url_string(url))
    scheme = parts.scheme.lower()
    host = _ascii_host((parts.hostname or "").rstrip("."))
    has_host = bool(host) or scheme not in DEFAULT_PORTS
    if not has_host or _NOT_IN_A_HOST.search(host) or ("[" in parts.netloc and ":" not in host):
        raise ValueError(f"{host!r} is no host")
    netloc = f"[{host}]" if ":" in host else host
    port = parts.port
    if port is not None and port != DEFAULT_PORTS.get(scheme):
        netloc = f"{netloc}:{port}"
    query = f"?{parts.query}" if parts.query else ""
    return f"{scheme}://{netloc}{parts.path or '/'}{query}"


@lru_cache(maxsize=8192)
def origin(url: str) -> str:
    """Return ``scheme://host[:port]``, the unit of politeness and of robots.txt."""
    parts = urlsplit(canonical(url))
    return f"{parts.scheme}://{parts.netloc}"


def host_of(url: str) -> str:
    """Return the lower-case host name of a URL, without port."""
    return urlsplit(canonical(url)).hostname or ""


def _ascii_host(host: str) -> str:
    if host.isascii():
        return host.lower()
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        return host.lower()
