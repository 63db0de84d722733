"""SURT: the key under which an index sorts a URL, so that the captures of one page and of one domain stand together.

The host is reversed (``com,example)/path``); scheme, userinfo, a leading www, default port and session ids go; case is
folded; the query's parameters are sorted. The rules are those of the Wayback family's sorting keys, written anew.
"""

from __future__ import annotations

import re
from urllib.parse import quote_from_bytes, unquote_to_bytes

_URL = re.compile(
    rb"(?s)^(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):(?://(?P<authority>[^/?#]*))?(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?"
)
_WWW = re.compile(rb"^www\d*\.")
_PORT = re.compile(rb":(\d*)$")
_DEFAULT = {b"http": b"80", b"https": b"443"}
#: What stays unescaped: every printable ASCII character but space, ``#`` and ``%``.
_SAFE = "".join(chr(c) for c in range(0x21, 0x7F) if chr(c) not in "#%")
_SESSION_IN_PATH = (
    re.compile(rb"^(.*/)(?:\((?:[a-z]\([0-9a-z]{24}\))+\)/)([^?]+\.aspx.*)$", re.IGNORECASE),
    re.compile(rb"^(.*/)\([0-9a-z]{24}\)/([^?]+\.aspx.*)$", re.IGNORECASE),
)
_SESSION_IN_QUERY = (
    re.compile(rb"^(.*?)(?:jsessionid=[0-9a-z]{32})(?:&(.*))?$", re.IGNORECASE),
    re.compile(rb"^(.*?)(?:phpsessid=[0-9a-z]{32})(?:&(.*))?$", re.IGNORECASE),
    re.compile(rb"^(.*?)(?:sid=[0-9a-z]{32})(?:&(.*))?$", re.IGNORECASE),
    re.compile(rb"^(.*?)(?:aspsessionid[a-z]{8}=[a-z]{24})(?:&(.*))?$", re.IGNORECASE),
    re.compile(rb"^(.*?)(?:cfid=[^&]+&cftoken=[^&]+)(?:&(.*))?$", re.IGNORECASE),
)


def surt(url: str) -> str:
    """Return the key of a URL; what is no URL is its own key, without white space: a key is one word."""
    raw = _bytes(re.sub(r"[\r\n\t]", "", url.strip()))
    found = _URL.match(raw)
    if found is None or found["authority"] is None:
        return "".join(c if c.isprintable() and c != " " else "%20" for c in raw.decode("utf-8", "replace"))
    scheme = found["scheme"].lower()
    host, port = _authority(found["authority"], scheme)
    key = b",".join(reversed(host.strip(b"[]").split(b".")))
    key += (b":" + port if port else b"") + b")" + _path(found["path"])
    query = _query(found["query"])
    return (key + (b"?" + query if query else b"")).decode("ascii", "replace")


def _bytes(text: str) -> bytes:
    """Return the bytes of a text: those of a header that was no UTF-8 as they were."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def _authority(authority: bytes, scheme: bytes) -> tuple[bytes, bytes]:
    place = authority.rsplit(b"@", 1)[-1]
    port = b""
    if (found := _PORT.search(place)) is not None:
        port, place = found[1].lstrip(b"0"), place[: found.start()]
    host = _unescape(place)
    if not host.isascii():
        host = _idna(host)
    host = re.sub(rb"\.{2,}", b".", host.lower()).strip(b".")
    host = _WWW.sub(b"", _escape(host))
    return host, b"" if port == _DEFAULT.get(scheme) else port


def _idna(host: bytes) -> bytes:
    try:
        return host.decode("utf-8", "ignore").encode("idna")
    except UnicodeError:
        return host


def _path(path: bytes) -> bytes:
    kept: list[bytes] = []
    parts = _unescape(path).split(b"/")[1:]
    for part in parts:
        if part == b"..":
            kept = kept[:-1]
        elif part != b".":
            kept.append(part)
    last = kept[-1:] if kept else [b""]
    clean = _escape(b"/" + b"".join(p + b"/" for p in kept[:-1] if p) + last[0]).lower()
    for pattern in _SESSION_IN_PATH:
        clean = pattern.sub(rb"\1\2", clean)
    return clean[:-1] if len(clean) > 1 and clean.endswith(b"/") else clean


def _query(query: bytes | None) -> bytes:
    if not query:
        return b""
    clean = _escape(_unescape(query))
    for pattern in _SESSION_IN_QUERY:
        if (found := pattern.match(clean)) is not None:
            clean = found[1] + (found[2] or b"")
    arguments = [tuple(part.split(b"=", 1)) for part in clean.lower().split(b"&")]
    return b"&".join(b"=".join(argument) for argument in sorted(arguments))


def _unescape(data: bytes) -> bytes:
    """Remove escapes until none is left: a URL escaped twice is the same page."""
    while (plain := unquote_to_bytes(data)) != data:
        data = plain
    return data


def _escape(data: bytes) -> bytes:
    return quote_from_bytes(data, safe=_SAFE).encode("ascii")
