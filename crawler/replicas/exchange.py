"""What comes in and what goes out: requests as they came, answers, and the exact bytes an answer becomes.

The framing (Content-Length or chunks, gzip or not, odd spellings) is a function of the URL, so the same URL gets the
same bytes every time while the replica's clock stands still.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from http import HTTPStatus
from itertools import cycle
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_HEAD = 64 * 1024
MAX_BODY = 1024 * 1024
_FIRST = re.compile(r"([!-~]+) ([!-~\x80-\xff]+) (HTTP/1\.\d)")
_SIZE = re.compile(r"[0-9]{1,9}")
#: Of 256 turns of HTML, how many come gzipped in chunks, and how many in chunks at all: 31 % and 51 %.
GZIPPED, CHUNKED = 80, 130
#: A turn without any oddities.
_PLAIN = 254


class Clock:
    """The replica's own time. It stands still until it is set, so that answers can be compared."""

    def __init__(self, moment: datetime) -> None:
        self.set(moment)

    def set(self, moment: datetime) -> None:
        """Set the time; one without a zone is UTC."""
        self.moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        self.date = http_date(self.moment)


def http_date(moment: datetime) -> str:
    """Return a time as HTTP writes it (RFC 9110, 5.6.7)."""
    return format_datetime(moment.astimezone(UTC), usegmt=True)


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came; header names in lower case, the host without its port."""

    method: str
    host: str
    target: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    version: str = "HTTP/1.1"

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def is_last(self) -> bool:
        """Whether the client wants the connection closed afterwards."""
        said = self.headers.get("connection", "").lower()
        return "close" in said or (self.version == "HTTP/1.0" and "keep-alive" not in said)


@dataclass(frozen=True, slots=True)
class Flow:
    """A body too large to hold: its length in bytes, and what makes its pieces."""

    length: int
    pieces: Callable[[], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a site answers, before it is framed."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/html; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()
    #: The framing differs from URL to URL, as it does for pages made on the fly.
    varies: bool = False
    flow: Flow | None = None


def parse(buffer: bytes) -> tuple[Request, int] | None:
    """Return the first request of a buffer and how many bytes it takes; None while it is not all there.

    Raises ValueError for bytes that are no request, or one that is too large.
    """
    end = buffer.find(b"\r\n\r\n", 0, MAX_HEAD) + 4
    if end < 4:
        if len(buffer) >= MAX_HEAD:
            raise ValueError("the head is too large")
        return None
    first, *lines = buffer[: end - 4].decode("latin-1").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    found, size = _FIRST.fullmatch(first), headers.get("content-length", "0")
    if found is None or not _SIZE.fullmatch(size) or int(size) > MAX_BODY or "transfer-encoding" in headers:
        raise ValueError("no HTTP/1 request with a body of a sane and stated size")
    whole = end + int(size)
    if len(buffer) < whole:
        return None
    method, target, version = found.groups()
    host = headers.get("host", "").partition(":")[0].lower()
    return Request(method, host, target, headers, buffer[end:whole], version), whole


def frame(request: Request, answer: Answer, date: str) -> tuple[bytes, bytes]:
    """Return the head and the body of an answer as they go over the wire; the body of a flow is empty here."""
    turn = _turn(request) if answer.varies else _PLAIN
    body, headers = answer.body, _headers(answer, turn)
    if turn < GZIPPED and "gzip" in request.headers.get("accept-encoding", ""):
        body = gzip.compress(body, 6, mtime=0)
        headers.append("Content-Encoding: gzip")
    if turn < CHUNKED and request.version == "HTTP/1.1":
        trailer = b"X-Kettle: whistling\r\n" if turn % 4 == 0 else b""
        headers += ["Transfer-Encoding: chunked"] + ["Trailer: X-Kettle"] * bool(trailer)
        body = _chunks(body, request.target, trailer, b";kettle=on" if turn % 3 == 0 else b"")
    elif answer.status not in {204, 304}:
        headers.append(f"Content-Length: {answer.flow.length if answer.flow else len(body)}")
    lines = [
        f"HTTP/1.1 {answer.status} {_reason(answer.status)}", f"Date: {date}", "Server: nginx", *headers,
        f"Connection: {'close' if request.is_last else 'keep-alive'}", "", "",
    ]  # fmt: skip
    return "\r\n".join(lines).encode("latin-1"), b"" if request.method == "HEAD" else body


def _turn(request: Request) -> int:
    return hashlib.blake2b(f"{request.host}{request.target}".encode(), digest_size=1).digest()[0]


def _headers(answer: Answer, turn: int) -> list[str]:
    lines = [f"{'content-type' if turn % 5 == 0 else 'Content-Type'}: {answer.content_type}"]
    lines += [f"{name}: {value}" for name, value in answer.headers]
    if turn % 7 == 0:
        lines += ["Vary: Accept-Encoding", "Vary: Origin"]
    if turn % 11 == 0:
        lines += ["X-REQUEST-cost:3", "cache-CONTROL:  private"]
    return lines


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Status"


def _chunks(body: bytes, key: str, trailer: bytes, extension: bytes) -> bytes:
    """Cut a body into chunks of sizes that differ from one another (RFC 9112, 7.1)."""
    noise = hashlib.shake_128(key.encode()).digest(32)
    sizes = cycle(1 + (high << 8 | low) % 4096 for high, low in zip(noise[::2], noise[1::2], strict=True))
    parts, at = [], 0
    while at < len(body):
        piece = body[at : at + next(sizes)]
        parts.append(b"%x%s\r\n%s\r\n" % (len(piece), extension, piece))
        at += len(piece)
    return b"".join((*parts, b"0\r\n", trailer, b"\r\n"))
