"""What must hold for any bytes whatever: one function a target, which raises AssertionError where it does not.

The same functions are driven by a coverage-guided fuzzer (``run.py``), by hypothesis (``test_*_properties.py``) and by
the inputs kept in ``corpus/`` (``test_corpus.py``). An input is what the code under test would read, as far as
possible, so that corpus files can be read and written by hand. Where more must be said (a method, a coding, a
callback) the first line says it; where something has to be chosen (how the input is cut), a generator seeded with the
input chooses, so that every run of an input is the same.
"""

from __future__ import annotations

import asyncio
import gzip
import io
import itertools
import json
import logging
import math
import random
import re
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, cast
from unittest import mock
from urllib.parse import urlsplit

import h11
import httptools
import msgspec
from fastwarc.warc import ArchiveIterator as FastWarc
from warcio.archiveiterator import ArchiveIterator as Warcio

import crawler.framing as _framing
from crawler.capture import decode as _decode
from crawler.capture.decode import MAX_DECODED, entity, response_from
from crawler.capture.request import request_bytes, target_of
from crawler.capture.resolve import Unreachable
from crawler.commit import Found, read_all, settlement
from crawler.errors import OutlastError, UsageError
from crawler.framing import Data, End, Event, Head, Interim, ResponseParser, parse_headers
from crawler.frontier.remote import MAX_FRAME, Frame, Settle, Wire
from crawler.model import Body, Capture, Commit, Covered, Fetch, Leased, Outcome, Seed
from crawler.politeness.ratelimit import MAX_WAIT, advice
from crawler.politeness.robots import MAX_BYTES, MAX_CRAWL_DELAY, MAX_SITEMAPS, Rules, gate_from
from crawler.response import HEAD_BYTES, CaptureResponse
from crawler.scope import Scope, seed_from
from crawler.settle import Answer, rule
from crawler.url import canonical, host_of, origin
from crawler.warc import groups as _groups
from crawler.warc import reader as _reader
from crawler.warc.cdxj import Indexer, index
from crawler.warc.groups import GroupReader, outlinks
from crawler.warc.post import MAX_QUERY, body_query, with_body
from crawler.warc.reader import RawRecord, Records, Torn, read_at
from crawler.warc.records import Record, exchange, fetch_from, fetch_json, leased_from, metadata
from crawler.warc.surt import surt
from crawler.warc.verify import verify_file
from spiders import counter, feeds, html, parler_pages
from spiders.base import PlatformSpider
from spiders.generic import GenericSpider
from spiders.parler import COUNTER, ParlerSpider
from spiders.testing import NOON
from spiders.window import ago

Target = Callable[[bytes], None]
TARGETS: dict[str, Target] = {}

NOW = NOON.timestamp()
PAGE = "https://a.example/d/page.html?q=1"

# What hostile input makes the crawler say in its log is not news here.
logging.getLogger("outlast").setLevel(logging.CRITICAL)


def target(function: Target) -> Target:
    """Register a target under its own name."""
    TARGETS[function.__name__] = function
    return function


def chance(data: bytes) -> random.Random:
    """Return the generator of all that an input does not say itself."""
    return random.Random(zlib.crc32(data))


def text_of(data: bytes) -> str:
    """Return any text there can be, half surrogate pairs included."""
    with suppress(UnicodeDecodeError):
        return data.decode("utf-8", "surrogatepass")
    return data.decode("utf-8", "replace")


def knobs(data: bytes) -> tuple[list[str], bytes]:
    """Split off the first line, which says in words how the rest is to be taken."""
    line, _, rest = data.partition(b"\n")
    return line.decode("latin-1").split(), rest


@contextmanager
def bounds(*places: ModuleType, **small: int) -> Iterator[None]:
    """Make the bounds of a module so small that short inputs reach them."""
    with ExitStack() as stack:
        for place in places:
            stack.enter_context(mock.patch.multiple(place, **small))
        yield


# Framing


@target
def framing(data: bytes) -> None:
    """A response: out again once and in order, the same however it is cut, in bounded memory; oracles agree."""
    _check_framing(data)
    with bounds(_framing, MAX_HEAD=60, MAX_CHUNK_LINE=12, MAX_TRAILER=16):
        _check_framing(data)
    _Reading([data], "GET", clean=False)
    _check_by_oracles(data, _Reading([data], "GET"))


def _check_framing(data: bytes) -> None:
    for method in ("GET", "HEAD", "CONNECT"):
        whole = _Reading([data], method)
        _check_events(data, whole)
        for pieces in _cuts(data):
            assert _Reading(pieces, method).facts == whole.facts, method


class _Reading:
    """Everything the parser made of some pieces of input."""

    def __init__(self, pieces: list[bytes], method: str, *, clean: bool = True) -> None:
        parser = ResponseParser(method)
        self.events: list[Event] = []
        longest = max(map(len, pieces), default=0)
        for piece in pieces:
            self.events += parser.feed(piece)
            assert len(parser._partial) <= _framing.MAX_HEAD + longest
            assert len(getattr(parser._body, "_line", b"")) <= _framing.MAX_CHUNK_LINE + longest
        self.events_before_close = len(self.events)
        self.events += parser.eof(clean=clean)
        assert parser.feed(b"HTTP/1.1 200 OK\r\n\r\n") == parser.eof() == []
        self.wire = b"".join(e.wire for e in self.events if not isinstance(e, End))
        self.entity = b"".join(e.entity for e in self.events if isinstance(e, Data))
        self.head = next((e for e in self.events if isinstance(e, Head)), None)
        assert isinstance(self.events[-1], End)
        self.end = self.events[-1]

    @property
    def facts(self) -> tuple[Any, ...]:
        interim = [e.wire for e in self.events if isinstance(e, Interim)]
        # Where a message ends with a piece, only the next one tells that more follows it.
        return self.wire, self.entity, interim, self.head, self.end.truncated, self.end.error


def _check_events(data: bytes, reading: _Reading) -> None:
    kinds = [type(event) for event in reading.events]
    assert (kinds.count(Head) <= 1, kinds.count(End)) == (True, 1)
    order = [kind for kind, _ in itertools.groupby(kinds)]
    assert [kind for kind in (Interim, Head, Data, End) if kind in order] == order
    assert data.startswith(reading.wire)
    assert reading.end.surplus == (len(reading.wire) < len(data))
    if reading.end.keep_alive:
        assert (reading.end.truncated, reading.end.error, reading.end.surplus) == (None, "", False)
        assert reading.events_before_close == len(reading.events), "what lasts until the close cannot be kept alive"
    for event in reading.events:
        if isinstance(event, Head | Interim):
            assert event.wire[:5].upper() == b"HTTP/"
            assert len(event.wire) <= _framing.MAX_HEAD
        if isinstance(event, Head):
            assert 100 <= event.status <= 999
            assert all(name and b"\n" not in name + value and b":" not in name for name, value in event.headers)
        if isinstance(event, Data):
            assert event.wire
            assert len(event.entity) <= len(event.wire)


def _cuts(data: bytes) -> Iterator[list[bytes]]:
    """Yield a few ways to cut bytes: anywhere, and one by one where that is quick."""
    draw = chance(data)
    for most in (1, 4, 30):
        at = sorted(draw.randrange(len(data) + 1) for _ in range(most))
        yield [data[a:b] for a, b in itertools.pairwise([0, *at, len(data)])]
    if len(data) <= 1500:
        yield [data[i : i + 1] for i in range(len(data))]


@dataclass
class _Oracle:
    """What another parser makes of a message."""

    status: int = 0
    body: bytes = b""
    is_whole: bool = False

    def on_body(self, body: bytes) -> None:
        assert not self.is_whole
        self.body += body

    def on_message_complete(self) -> None:
        self.is_whole = True


def _check_by_oracles(data: bytes, ours: _Reading) -> None:
    """Where h11 and llhttp both take a message, and for the same, it is that for us too."""
    strict, usual = _h11(data), _llhttp(data)
    if strict is None or usual is None or strict.status != usual.status or not strict.body.startswith(usual.body):
        return
    assert ours.head is not None
    assert ours.head.status == strict.status
    assert ours.entity == strict.body
    assert ours.end.truncated is None


def _h11(data: bytes) -> _Oracle | None:
    """Return what h11 makes of a whole message; None where it refuses it."""
    client = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    client.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    client.send(h11.EndOfMessage())
    told = _Oracle()
    try:
        client.receive_data(data)
        client.receive_data(b"")
        while not told.is_whole:
            event = client.next_event()
            if isinstance(event, h11.Response):
                told.status = event.status_code
            elif isinstance(event, h11.Data):
                told.body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                told.is_whole = True
            elif not isinstance(event, h11.InformationalResponse):
                return None
    except h11.RemoteProtocolError:
        return None
    return told


def _llhttp(data: bytes) -> _Oracle | None:
    """Return what llhttp makes of one message; None where it refuses it, or sees another after it."""
    told = _Oracle()
    parser = httptools.HttpResponseParser(told)
    try:
        parser.feed_data(data)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return None
    told.status = parser.get_status_code()
    return told if told.body or told.is_whole else None


# From a capture to what a spider sees


def _stream(level: int, window: int, data: bytes) -> bytes:
    packer = zlib.compressobj(level, wbits=window)
    return packer.compress(data) + packer.flush()


def _members(data: bytes) -> bytes:
    draw = chance(data)
    at = sorted(draw.randrange(len(data) + 1) for _ in range(3))
    return b"".join(gzip.compress(data[a:b], draw.randrange(10)) for a, b in itertools.pairwise([0, *at, len(data)]))


#: Word → the coding it declares, and what it does to the body.
_PACKERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "stored": ("x-gzip", lambda data: _stream(0, 31, data)),
    "members": ("GZIP", _members),
    "padded": ("gzip", lambda data: gzip.compress(data) + b"\0" * 300),
    "zlib": ("deflate", lambda data: _stream(6, 15, data)),
    "bare": ("deflate", lambda data: _stream(6, -15, data)),
    "identity": ("identity", lambda data: data),
}  # fmt: skip
_CLAIMS = {"claim-gzip": "gzip", "claim-deflate": "deflate", "claim-br": "br", "claim-odd": "gzip, , x"}


@target
def decode(data: bytes) -> None:
    """``gzip zlib chunked cut\\n<body>``: what is honestly packed is unpacked; nothing raises, everything is bounded."""
    words, plain = knobs(data)
    body, codings, is_honest = plain, list[str](), True
    for word in words[:5]:
        if word in _PACKERS:
            coding, pack = _PACKERS[word]
            body = pack(body)
            codings.append(coding)
        elif word in _CLAIMS:
            codings.append(_CLAIMS[word])
            is_honest = False
    entity_bytes = body
    head = "".join(f"Content-Encoding: {coding}\r\n" for coding in codings)
    if "chunked" in words:
        head += "Transfer-Encoding: chunked\r\n"
        body = _chunked(body)
    if "cut" in words:
        body = body[: chance(data).randrange(len(body) + 1)]
    elif "flip" in words and body:
        at = chance(data).randrange(len(body))
        body = body[:at] + bytes([body[at] ^ 1 << at % 8]) + body[at + 1 :]
    is_whole = not {"cut", "flip"} & set(words)
    is_honest = is_honest and is_whole and len([c for c in codings if c != "identity"]) <= 3
    capture = captured(b"HTTP/1.1 200 OK\r\n" + head.encode() + b"\r\n", body)
    response = response_from(Fetch(url=PAGE, lane="pages", callback="parse"), capture)
    unread = response_from(Fetch(url=PAGE, lane="pages"), capture)
    with entity(capture) as stream:
        assert (stream.read() == entity_bytes) or not is_whole
    with response.open() as stream:
        assert stream.read() == response.body
    assert len(response.body) <= MAX_DECODED
    assert response.head_bytes == unread.head_bytes == response.body[:HEAD_BYTES]
    assert unread.body == b""
    if is_honest:
        assert (response.body, response.flags) == (plain, [])
        assert response.payload_length == len(entity_bytes)
    with bounds(_decode, MAX_DECODED=300, _RATIO_FROM=100, _MAX_RATIO=3, _MAX_FRUITLESS=50, _PIECE=16, _READ=64):
        small = response_from(Fetch(url=PAGE, lane="pages", callback="parse"), capture)
    assert response.body.startswith(small.body)
    assert len(small.body) <= max(300, len(body))
    response.text  # noqa: B018 - decoding text must not raise either
    response.header("Content-Encoding")


def _chunked(body: bytes) -> bytes:
    draw = chance(body)
    at = sorted({draw.randrange(len(body) + 1) for _ in range(4)} | {0, len(body)})
    pieces = [body[a:b] for a, b in itertools.pairwise(at)]
    return b"".join(b"%x;a=b\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\nX: 1\r\n\r\n"


def captured(head: bytes, body: bytes, *, url: str = PAGE, status: int = 200, method: str = "GET") -> Capture:
    """Return a capture of an answer as it came."""
    return Capture(
        url=url, method=method, request=b"GET / HTTP/1.1\r\n\r\n", head=head, body=Body(size=len(body), data=body),
        status=status, outcome=Outcome.OK, started=NOON, ended=NOON,
    )  # fmt: skip


# WARC


class MemoryFile:
    """A file in memory, as far as a reader asks a path for it."""

    name = "memory.warc"

    def __init__(self, data: bytes) -> None:
        self.data = data

    def open(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self.data)


def warc_file(data: bytes) -> tuple[list[str], bytes]:
    """Return the words and the file of ``gzip\\n<records in plain>``: each record packed, all in one, or as it is."""
    words, plain = knobs(data)
    if "gzip" in words:
        records = re.split(rb"(?<=\r\n\r\n)(?=WARC/)", plain) if plain else []
        return words, b"".join(_stream(chance(r).randrange(10), 31, r) for r in records)
    return words, _stream(6, 31, plain) if "one" in words else plain


def _path(data: bytes) -> Path:
    return cast("Path", MemoryFile(data))


def _facts(record: RawRecord) -> tuple[Any, ...]:
    with record.block.open() as stream:
        block = stream.read()
    assert len(block) == record.block.size
    return record.offset, record.length, record.version, record.headers, block, record.faults


@target
def warc(data: bytes) -> None:
    """``gzip\\n<records>``: reading and checking never raise; nothing before damage is lost; other readers agree."""
    found = _check_warc(data)
    with bounds(_reader, SPOOL_THRESHOLD=8, _READ=64):
        small = _check_warc(data)
    # How much may follow a block before it counts as another record is a bound, too.
    assert small == found or any("tail" in faults for *_, faults in found), "the same in small pieces"
    with bounds(_reader, MAX_HEADERS=400, _READ=64):
        _check_warc(data)


def _check_warc(data: bytes) -> list[tuple[Any, ...]]:
    _, file = warc_file(data)
    seen: list[bytes] = []
    records = Records(_path(file), seen=seen.append)
    found = [_facts(record) for record in records]
    assert b"".join(seen) == file
    ends = [offset + length for offset, length, *_ in found]
    assert [0, *ends][:-1] == [offset for offset, *_ in found] if found else records.end == 0
    assert records.end == (ends[-1] if ends else 0)
    assert bool(records.torn) == (records.end < len(file))
    draw = chance(data)
    for at in draw.sample(range(len(found)), min(2, len(found))):
        assert _facts(read_at(_path(file), found[at][0])) == found[at]
        assert [_facts(record) for record in Records(_path(file), start=found[at][0])] == found[at:]
    with suppress(Torn):
        read_at(_path(file), draw.randrange(len(file) + 2))
    _check_cut(file, draw.randrange(len(file) + 1), found)
    assert all(str(finding) for finding in verify_file(_path(file)))
    if not records.torn and not any(faults for *_, faults in found) and all(_is_usual(*one[2:4]) for one in found):
        told = [
            (dict(headers)["WARC-Type"], dict(headers)["WARC-Record-ID"], block) for _, _, _, headers, block, _ in found
        ]
        assert _warcio(file) == told
        assert _fastwarc(file) == told
    return found


def _check_cut(file: bytes, cut: int, found: list[tuple[Any, ...]]) -> None:
    """Of a torn file all whole records are there, and no others."""
    torn = Records(_path(file[:cut]))
    left = [_facts(record) for record in torn]
    is_odd = bool(left) and left[-1] not in found  # a plain record that lacks its two line ends is told with that fault
    assert left[: len(left) - is_odd] == found[: len(left) - is_odd]
    assert not is_odd or (left[-1][:1], left[-1][2:5]) == (found[len(left) - 1][:1], found[len(left) - 1][2:5])
    assert sum(offset + length <= cut for offset, length, *_ in found) in {len(left), len(left) - is_odd}


_TYPES = frozenset({"warcinfo", "response", "request", "resource", "metadata", "revisit", "conversion", "continuation"})


def _is_usual(version: str, headers: list[tuple[str, str]]) -> bool:
    """Say whether every reader must understand this record alike: nothing twice, nothing but ASCII, what must be there."""
    names = [name.lower() for name, _ in headers]
    return (
        version in {"WARC/1.0", "WARC/1.1"}
        and len(set(names)) == len(names)
        and {"WARC-Type", "WARC-Record-ID", "WARC-Date", "Content-Length"} <= {name for name, _ in headers}
        and dict(headers)["WARC-Type"] in _TYPES
        and all(
            re.fullmatch(r"[A-Za-z-]+", name) and re.fullmatch(r"[!-~]+( [!-~]+)*", value) for name, value in headers
        )
    )


def _warcio(file: bytes) -> list[tuple[str, str, bytes]]:
    found = Warcio(io.BytesIO(file), no_record_parse=True)
    return [(r.rec_type, r.rec_headers.get_header("WARC-Record-ID"), r.raw_stream.read()) for r in found]


def _fastwarc(file: bytes) -> list[tuple[str, str, bytes]]:
    found = FastWarc(io.BytesIO(file), parse_http=False)
    return [(str(r.record_type).rpartition(".")[2], r.headers["WARC-Record-ID"], r.reader.read()) for r in found]


@target
def groups(data: bytes) -> None:
    """``gzip\\n<records>``: captures come back as they were, or Torn says why not; nothing else is raised."""
    _check_groups(data)
    with bounds(_reader, _groups, SPOOL_THRESHOLD=8):
        _check_groups(data)


def _check_groups(data: bytes) -> None:
    _, file = warc_file(data)
    path = _path(file)
    places = {record.id: (path, record.offset) for record in Records(path)}
    with tempfile.TemporaryDirectory() as folder:
        reader = GroupReader(path)
        for group in reader:
            assert group.is_complete
            assert group.leased.fetch.url is not None
            try:
                capture = group.capture(places.get, Path(folder))
            except Torn:
                continue
            with capture.body.open() as stream:
                wire = capture.head + stream.read()
            if group.response_id and not group.is_revisit:
                block = _facts(read_at(path, group.response_offset))[4]
                assert wire in block
            assert not capture.head or capture.digests is not None
            response_from(group.leased.fetch, capture)
            if capture.body.path is not None:
                capture.body.path.unlink()
        assert not list(Path(folder).iterdir())
    assert reader.end <= len(file)
    assert bool(reader.torn) == (reader.end < len(file))
    for record in Records(path):
        with suppress(Torn):
            assert all(isinstance(fetch, Fetch) for fetch in outlinks(record))


@target
def cdxj(data: bytes) -> None:
    """``gzip\\n<records>``: every line of the index is one line of three parts, and the index is sorted."""
    _, file = warc_file(data)
    indexer = Indexer("file.warc.gz")
    lines = [line for record in Records(_path(file)) if (line := indexer.line(record)) is not None]
    for line in lines:
        key, stamp, told = line.removesuffix("\n").split(" ", 2)
        assert line.count("\n") == 1
        assert key.isprintable()
        assert re.fullmatch("[0-9]{0,14}", stamp)
        facts = json.loads(told)
        assert all(isinstance(value, str) and value for value in facts.values())
        assert file[int(facts["offset"]) :]
    made = index(lines)
    assert made.splitlines(keepends=True) == sorted(made.splitlines(keepends=True))
    assert len(made.splitlines()) == len(lines)


@target
def keys(data: bytes) -> None:
    """A URL: its sorting key is one word, and the same for all spellings of the URL that mean the same."""
    url = text_of(data)
    key = surt(url)
    assert isinstance(key, str)
    assert not re.search(r"[\s\x00-\x1f]", key)
    key.encode()
    key = surt(f"https://www.example.org/{url}")
    assert key.startswith("org,example)/")
    assert key.isascii()
    assert not re.search(r"\s", key)
    for same_place in ("http://WWW2.Example.ORG:80", "https://user:pw@example.org:443"):
        assert surt(f"{same_place}/{url}") == key
    if "#" not in url and url == url.rstrip():
        assert surt(f"https://example.org/{url}#fragment") == key
    with suppress(ValueError):
        assert surt(canonical(f"http://{url}")).isascii()


@target
def post(data: bytes) -> None:
    """``<content type>\\n<body>``: the query that stands for a body never raises, is bounded, and makes a key."""
    kind, _, body = data.partition(b"\n")
    query = body_query(kind.decode("latin-1"), body)
    assert len(query) <= MAX_QUERY
    assert query == body_query(kind.decode("latin-1"), body)
    key = surt(with_body("https://example.org/x?y=1", "POST", query))
    assert key.startswith("org,example)/x?")
    assert "__wb_method=post" in key
    assert not re.search(r"\s", key)


# Politeness


@target
def ratelimit(data: bytes) -> None:
    """``<status>\\n<name>: <value>\\n…``: advice is never longer than a day, and never made of the server's words."""
    words, rest = knobs(data)
    status = int(words[0]) if words and re.fullmatch("[0-9]{1,3}", words[0]) else 429
    lines = [line.partition(":") for line in text_of(rest).split("\n")]
    headers = [(name, value) for name, _, value in lines]
    told = advice(status, headers, NOW)
    assert told == advice(status, headers, NOW)
    for moment in (told.wait_until, told.reset):
        assert moment is None or (math.isfinite(moment) and NOW <= moment <= NOW + MAX_WAIT)
    for count in (told.remaining, told.limit):
        assert count is None or 0 <= count < 10**12
    assert bool(told.why) == (told.wait_until is not None)
    assert told.why in {"", "Retry-After", "no requests left in the window", "end of the window"}
    assert advice(status, dict(headers), NOW).why in {
        "",
        "Retry-After",
        "no requests left in the window",
        "end of the window",
    }


@target
def robots(data: bytes) -> None:
    """``<path of a URL>\\n<robots.txt>``: nothing raises, what it asks of us is bounded, itself it cannot forbid."""
    path, _, body = data.partition(b"\n")
    gate = gate_from("https://a.example", 200, body)
    assert len(gate.rules) <= MAX_BYTES
    for text in (gate.rules, text_of(body)):
        rules = Rules(text)
        assert rules.allowed(f"https://a.example/{text_of(path)}") in {True, False}
        assert rules.allowed(text_of(path)) in {True, False}
        assert rules.allowed("https://a.example/robots.txt")
        delay = rules.crawl_delay
        assert delay is None or (math.isfinite(delay) and 0 <= delay <= MAX_CRAWL_DELAY)
        assert len(rules.sitemaps) <= MAX_SITEMAPS
        assert all(isinstance(url, str) for url in rules.sitemaps)
    for status in (0, 301, 404, 403, 429, 500, 503):
        assert gate_from("https://a.example", status, body).rules == ""


# URLs and requests


@target
def urls(data: bytes) -> None:
    """Text where a URL should be: one spelling and no other, or ValueError; what a user typed, or UsageError."""
    text = text_of(data)
    for written in (text, f"http://{text}", f"https://a.example/{text}"):
        _check_url(written)
    bases = [PAGE]
    with suppress(Unreachable, ValueError):
        bases += [canonical(f"http://{text}")] if target_of(f"http://{text}") else []
    for base in bases:
        if (found := html.absolute(base, text)) is not None:
            assert found == canonical(found)
            assert found.startswith(("http://", "https://"))
            assert found.isascii()
            assert found.isprintable()
            assert " " not in found
            with suppress(Unreachable):
                _check_request(target_of(found), (), b"")
    with suppress(UsageError):
        seed = seed_from(text)
        assert seed.url == canonical(seed.url)
        assert host_of(seed.url)


_SCOPE = Scope(hosts=frozenset({"a.example"}), suffixes=(".example.org",), paths=("/d/",), home="a.example")


def _check_url(url: str) -> None:
    assert isinstance(_SCOPE.refuses(Fetch(url=url, lane="pages")), str)
    with suppress(Unreachable):
        _check_request(target_of(url), (), b"")
    try:
        once = canonical(url)
    except ValueError:
        return
    if urlsplit(once).scheme in {"http", "https"} and not _SCOPE.refuses(Fetch(url=url, lane="pages")):
        assert canonical(once) == canonical(f"{once}#fragment") == once
        assert origin(once) == origin(url)
        assert host_of(once) == host_of(url)
        assert Fetch(url=once, lane="a").fingerprint == Fetch(url=url, lane="b").fingerprint


@target
def request(data: bytes) -> None:
    """``<url>␞<name>␟<value>␞…␝<body>``: whatever a page says, the request is one request, by another's parser too."""
    head, _, body = data.partition(b"\x1d")
    url, *fields = text_of(head).split("\x1e")
    pairs = [(name, value) for name, _, value in (one.partition("\x1f") for one in fields)]
    try:
        place = target_of(url)
    except Unreachable:
        return
    headers = [(name, value) for name, value in pairs if _is_encodable(name + value)]
    _check_request(place, headers, body)


def _is_encodable(text: str) -> bool:
    with suppress(UnicodeEncodeError):
        return text.encode() is not None
    return False


def _check_request(place: Any, headers: Any, body: bytes) -> None:
    for absolute in (False, True):
        made = request_bytes(
            place, method="POST" if body else "GET", user_agent="t", headers=headers, body=body, absolute=absolute
        )
        assert made.endswith(b"\r\n\r\n" + body)
        lines = made[: len(made) - len(body) - 4].split(b"\r\n")
        assert not any(re.search(rb"[\r\n\0]", line) for line in lines)
        usual = {"host", "user-agent", "accept", "accept-encoding", "connection"} | (
            {"content-length"} if body else set()
        )
        assert len(lines) == 1 + len(usual - {name.lower() for name, _ in headers}) + len(headers)
        assert re.fullmatch(rb"(?:GET|POST) [!-~]+ HTTP/1\.1", lines[0])
        if not headers:
            _check_by_h11(made, place.netloc, body)


def _check_by_h11(made: bytes, host: bytes, body: bytes) -> None:
    server = h11.Connection(h11.SERVER)
    server.receive_data(made)
    asked = server.next_event()
    assert isinstance(asked, h11.Request)
    assert dict(asked.headers.raw_items())[b"Host"] == host
    got = b""
    while isinstance(event := server.next_event(), h11.Data):
        got += bytes(event.data)
    assert isinstance(event, h11.EndOfMessage)
    assert got == body
    assert server.next_event() is h11.PAUSED or server.trailing_data[0] == b""


# Work


@target
def work(data: bytes) -> None:
    """The JSON of a piece of work: ValueError, or work that a record and a frame give back as it is."""
    text = data.decode("utf-8", "surrogateescape")
    for read in (fetch_from, leased_from):
        try:
            found = read(text)
        except (ValueError, RecursionError):
            continue
        check_work(found.fetch if isinstance(found, Leased) else found)


def check_work(fetch: Fetch) -> None:
    """A piece of work survives its record, its outlink line and its frame, if the join lets it through at all."""
    if not fetch.url or not fetch.lane:
        return  # what is nothing by default is not written down
    try:
        frame = msgspec.msgpack.encode(fetch)
        json.dumps(fetch.cursor, allow_nan=False)
    except (ValueError, OverflowError, RecursionError):
        return  # crawler/commit.py refuses it, or it is no JSON
    assert same(msgspec.msgpack.decode(frame, type=Fetch), fetch)
    assert same(fetch_from(fetch_json(fetch)), fetch)
    assert fetch_json(fetch).isascii()
    assert fetch_json(fetch).isprintable()
    try:
        leased = Leased(id=1, token=1, attempt=3, fetch=fetch)
        made = exchange(captured(b"", b""), warcinfo_id="<urn:x>", work=leased, original=None)
    except ValueError:
        return  # no URL, or too long for a header
    told = settlement_of(leased, Found(outlinks=[fetch]))
    story = metadata(made, captured(b"", b""), leased, told, warcinfo_id="<urn:x>")
    written = _plain(made.request) + _plain(story)
    (group,) = GroupReader(_path(written))
    assert same(group.leased.fetch, fetch)
    assert group.leased.attempt == 3
    _, read = Records(_path(written))
    assert all(same(*pair) for pair in zip(outlinks(read), told.outlinks, strict=True))


def _plain(record: Record) -> bytes:
    """Return a record as it stands in a file that is not packed."""
    lines = ["WARC/1.1", *(f"{name}: {value}" for name, value in record.headers), "", ""]
    return "\r\n".join(lines).encode() + record.head + b"\r\n\r\n"


def same(one: Any, two: Any) -> bool:
    """Say whether two are equal, where no number is one."""
    return repr(one) == repr(two)


@target
def frames(data: bytes) -> None:
    """What came over a worker's socket: a frame that encodes to the same again, or an error of the decoder."""
    with suppress(ValueError, RecursionError):
        frame = msgspec.msgpack.decode(data, type=Frame)
        again = msgspec.msgpack.encode(frame)
        assert same(msgspec.msgpack.decode(again, type=Frame), frame)
    asyncio.run(_receive(data))
    asyncio.run(_receive(len(data).to_bytes(4, "big") + data))


async def _receive(data: bytes) -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    wire = Wire(reader, cast("asyncio.StreamWriter", None))
    with suppress(OutlastError, ValueError, RecursionError):
        while await wire.receive() is not None:
            pass


@target
def search(data: bytes) -> None:
    """A search of a counter told anything at all: it ends, asks no number twice, and goes on from its cursor alike."""
    draw = iter(data)
    step = counter.Search.newest(next(draw, 1))
    asked: set[tuple[str, int]] = set()
    goals = [counter.Goal.UNTIL, counter.Goal.SINCE]
    said = (counter.Answer.HOLE, counter.Answer.ABOVE, counter.Answer.BELOW)
    while True:
        while step.at is not None:
            assert step.first <= step.at <= counter.CEILING + 2 * counter.MOST**2
            assert (step.goal, step.at) not in asked or step.known
            asked.add((step.goal, step.at))
            word = next(draw, None)
            if word is None:
                return
            again = counter.Search.of(json.loads(json.dumps(step.cursor()))) if word & 32 else step
            assert again == step
            if step.goal is counter.Goal.NEWEST and word & 64:
                step = step.remember(f"https://parler.com/post/{step.at}")
            step = again.told(said[word % (2 if step.goal is counter.Goal.NEWEST else 3)])
        if not goals or step.proof is None:
            return
        step = step.moment(goals.pop(0), step.first, max(step.proof, step.first))


# Pages


@target
def markup(data: bytes) -> None:
    """HTML or CSS: what it names is absolute, canonical and bounded, whatever the page."""
    text = text_of(data)
    named = html.page(text, PAGE)
    for found in (named.links, named.requisites, named.feeds, named.frames):
        assert len(found) <= html.MAX_URLS
        assert all(url == canonical(url) and len(url) <= 4 * html.MAX_WRITTEN for url in found)
    assert len(named.title) <= html.MAX_TITLE
    with bounds(html, MAX_URLS=4, MAX_TAGS=20, MAX_LOOKED_AT=9, MAX_URLS_LENGTH=200, _PIECE=30):
        few = html.page(text, PAGE)
    assert max(len(few.links), len(few.requisites), len(few.feeds), len(few.frames)) <= 4
    with bounds(html, _PIECE=30):
        assert html.page(text, PAGE) == named, "a page reads alike in pieces"
    for target_name in itertools.chain(html.css(text), html.srcset(text)):
        assert target_name
        html.absolute(PAGE, target_name)
    html.absolute(PAGE, html.refresh(text))


@target
def listing(data: bytes) -> None:
    """A sitemap or a feed: entries, bounded, the same when it comes packed."""
    found = list(feeds.entries(io.BytesIO(data)))
    with bounds(feeds, MAX_ENTRIES=3, MAX_BYTES=300, MAX_ELEMENTS=20, MAX_JSON=90, _MAX_VALUE=30, _READ=16):
        assert len(list(feeds.entries(io.BytesIO(data)))) <= 3
    with bounds(feeds, _READ=16):
        assert list(feeds.entries(io.BytesIO(data))) == found, "a listing reads alike in pieces"
    assert len(found) <= feeds.MAX_ENTRIES
    for entry in found:
        assert 0 < len(entry.url) <= feeds._MAX_VALUE
        for written in (entry.published, entry.modified):
            moment = feeds.moment(written)
            assert moment is None or moment[0] <= moment[1]
    if not data.startswith(b"\x1f\x8b"):
        assert list(feeds.entries(io.BytesIO(gzip.compress(data, 1)))) == found


def _message(data: bytes) -> tuple[bytes, bytes, int]:
    """Return head, body and status of ``[HTTP/1.1 200 OK]\\n<headers>\\n\\n<body>``, written with whatever line ends."""
    parser = ResponseParser("GET")
    events = [*parser.feed(data), *parser.eof()]
    head = next((event for event in events if isinstance(event, Head)), None)
    if head is None:
        return b"HTTP/1.1 200 OK\r\n\r\n", data, 200
    body = b"".join(event.wire for event in events if isinstance(event, Data))
    return head.wire, body, head.status


def settlement_of(leased: Leased, found: Found, response: CaptureResponse | None = None) -> Any:
    """Return how the join settles a fetch."""
    if response is None:
        response = response_from(leased.fetch, captured(b"HTTP/1.1 200 OK\r\n\r\n", b""))
    facts = Answer(
        outcome=Outcome.OK, status=response.status, verdict=GenericSpider().judge(response), attempt=leased.attempt,
        location=bool(response.header("Location")), follow=leased.fetch.follow, sweep=leased.fetch.sweep,
    )  # fmt: skip
    return settlement(leased, rule(facts), response, found, verdict=facts.verdict, now=NOW)


def _check_read(spider: PlatformSpider, fetch: Fetch, message: bytes) -> None:
    """Run a callback as the join does: it must end well, and what it found must go into a record and a frame."""
    head, body, status = _message(message)
    capture = captured(head, body, url=canonical(fetch.url), status=status)
    response = response_from(fetch, capture)
    spider.judge(response)
    type(spider).recognise([response])
    found = read_all(spider, response)
    assert found.error == "", found.error
    leased = Leased(id=1, token=1, fetch=fetch)
    told = settlement_of(leased, found, response)
    story = metadata(None, capture, leased, told, warcinfo_id="<urn:x>")
    assert story.length <= 64 * (len(response.body) + 4096)
    frame = msgspec.msgpack.encode(Frame(1, call=Settle(Commit(settlements=(told,)))))
    assert len(frame) <= MAX_FRAME
    for outlink in told.outlinks:
        if not _SCOPE.refuses(outlink):
            assert outlink.fingerprint
    assert all(isinstance(covered, Covered) for covered in told.coverage)


_GENERIC = {"parse", "parse_style", "parse_listing", "parse_robots_txt"}


@target
def generic(data: bytes) -> None:
    """``<callback>\\n<response>``: no page makes the ordinary spider fail, or say what cannot be kept."""
    words, message = knobs(data)
    name = words[0] if words and words[0] in _GENERIC else "parse"
    spider = GenericSpider(
        seed=Seed(url="https://a.example/", since="2020-01-01T00:00:00+00:00" if "window" in words else None)
    )
    cursor = {"origin": "https://a.example"} if name == "parse_robots_txt" else None
    lane = "robots" if name == "parse_robots_txt" else "pages"
    _check_read(spider, Fetch(url=PAGE, lane=lane, callback=name, cursor=cursor, covers=("page", PAGE)), message)


_POST = "0f3c9a7b1d2e4f5a8b6c7d8e9f0a1b2c"
#: Callback → the URL it reads, and the cursor it may carry.
_PARLER: dict[str, tuple[str, tuple[str, str], dict[str, Any] | None]] = {
    "parse_post": (f"https://parler.com/post/{_POST}", ("post", _POST), None),
    "parse_profile": ("https://parler.com/profile/u/posts", ("profile", "u"), None),
    "parse_share": (f"https://share.par.pw/post/{_POST}", ("share", _POST), None),
    "parse_link": ("https://api.parler.com/l/xXtqI", ("link", "xXtqI"), {"post": _POST}),
    "parse_id": (f"{COUNTER}7", ("id", "7"), {"edge": 64}),
    "parse_document": ("https://legal.parler.com/", ("document", "https://legal.parler.com/"), None),
    "parse_style": ("https://parler.com/512ae92f/style.css", ("asset", "x"), None),
    "parse_api": ("https://api.parler.com/v1/discover/posts?startkey=x", ("api", "x"), {"pages": 1}),
}


@target
def parler(data: bytes) -> None:
    """``<callback> [window] [search]\\n<response>``: no page makes Parler's spider fail."""
    words, message = knobs(data)
    name = words[0] if words and words[0] in _PARLER else "parse_post"
    url, covers, cursor = _PARLER[name]
    window = ("2021-01-05T00:00:00+00:00", "2021-01-09T00:00:00+00:00") if "window" in words else (None, None)
    spider = ParlerSpider(seed=Seed(url="https://parler.com/", since=window[0], until=window[1]))
    step = counter.Search.newest(1).told(counter.Answer.ABOVE).told(counter.Answer.ABOVE)
    if "search" in words and name == "parse_id":
        cursor = {"search": step.cursor()}
    elif "search" in words and name == "parse_post" and window[0]:
        cursor = {"search": step.moment(counter.Goal.SINCE, 1, 900).cursor()}
    fetch = Fetch(url=url, lane="posts", callback=name, covers=covers, cursor=cursor, follow=name != "parse_link")
    _check_read(spider, fetch, message)


@target
def parler_page(data: bytes) -> None:
    """A page of Parler's, or not: what it shows, or nothing."""
    text = text_of(data)
    for read in (parler_pages.post_page, parler_pages.profile_page):
        shown = read(text.encode("utf-8", "replace").decode())
        assert shown is None or repr(shown)
    interval = ago(text, NOON)
    assert interval is None or interval[0] < interval[1] <= NOON


@target
def headers(data: bytes) -> None:
    """A head: names are names, values are one line."""
    for name, value in parse_headers(data):
        assert name
        assert name == name.strip()
        assert b":" not in name
        assert b"\n" not in name + value
        assert value == value.strip()
