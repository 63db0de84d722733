"""How a URL is spelled, and which parts of it others need. Pure functions over text."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}
#: What most URLs look like, and is as it should be.
_PLAIN = re.compile(
    r"https?://[a-z0-9]+(?:[.-][a-z0-9]+)*+(?::(?!80/|443/)(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}))?/[A-Za-z0-9._~/-]*+(?:\?[A-Za-z0-9._~/=&-]++)?+"
)
#: Characters of a URL that is worth remembering.
_SHORT = 512
#: What no name of a host has in it, whatever else it may be made of.
_NO_HOST = re.compile(r"[\x00-\x20\x7f]|%00")
#: What may stand in brackets: an IPv6 address, but none with a zone, which may hold anything and means nothing here.
_IPV6 = re.compile(r"[0-9a-f.]*:[0-9a-f:.]*")


def canonical(url: str) -> str:
    """Return the URL under which a fetch is known: escaped, default port and fragment dropped, query kept in order.

    Only the spelling changes; the order and repetition of query parameters can carry meaning and stay. Raises
    ValueError where there is no such URL.
    """
    if _PLAIN.fullmatch(url):
        return url
    return _short(url) if len(url) <= _SHORT else _spell(url)


def _spell(url: str) -> str:
    # As heavy as all the rest, and most URLs never come here.
    from w3lib.url import safe_url_string  # noqa: PLC0415

    parts = urlsplit(safe_url_string(url))
    scheme = parts.scheme.lower()
    host = _ascii_host((parts.hostname or "").rstrip("."))
    if (
        (not host and scheme in DEFAULT_PORTS)
        or _NO_HOST.search(host)
        or ("[" in parts.netloc and not _IPV6.fullmatch(host))
    ):
        raise ValueError(f"{host!r} is no host")
    netloc = f"[{host}]" if ":" in host else host
    port = parts.port
    if port is not None and port != DEFAULT_PORTS.get(scheme):
        netloc = f"{netloc}:{port}"
    query = f"?{parts.query}" if parts.query else ""
    return f"{scheme}://{netloc}{parts.path or '/'}{query}"


_short = lru_cache(maxsize=65536)(_spell)


def origin(url: str) -> str:
    """Return ``scheme://host[:port]``, the unit of politeness and of robots.txt."""
    if url.startswith(("https://", "http://")) and 8 < (end := url.find("/", 8)) < _SHORT:
        return _origin(url[: end + 1])  # URLs are many, and their origins few
    return _origin_of(url)


def _origin_of(url: str) -> str:
    known = canonical(url)
    end = known.find("/", known.find("://") + 3)
    if end > 0:
        return known[:end]
    parts = urlsplit(known)
    return f"{parts.scheme}://{parts.netloc}"


_origin = lru_cache(maxsize=4096)(_origin_of)


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
