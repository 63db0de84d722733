"""The framing parser: a table of answers, any split of them, and two other parsers as oracles."""

from __future__ import annotations

import h11
import httptools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.framing import (
    MAX_CHUNK_LINE,
    MAX_HEAD,
    MAX_TRAILER,
    Data,
    End,
    Head,
    Interim,
    ResponseParser,
    entity_of,
    head_of,
    parse_headers,
)


class Reading:
    """Everything a parser made of some pieces of input."""

    def __init__(self, pieces, method="GET", *, close=True, clean=True):
        parser = ResponseParser(method)
        self.events = [event for piece in pieces for event in parser.feed(piece)]
        if close:
            self.events += parser.eof(clean=clean)
        self.wire = b"".join(e.wire for e in self.events if not isinstance(e, End))
        self.entity = b"".join(e.entity for e in self.events if isinstance(e, Data))
        self.interim = b"".join(e.wire for e in self.events if isinstance(e, Interim))
        self.head = next((e for e in self.events if isinstance(e, Head)), None)
        self.end = next((e for e in self.events if isinstance(e, End)), None)

    @property
    def facts(self):
        end = self.end and (self.end.truncated, self.end.error)
        return self.wire, self.entity, self.interim, self.head, end


def read(data, method="GET", **kwargs):
    return Reading([data], method, **kwargs)


OK = b"HTTP/1.1 200 OK\r\n"

#: name, input, entity, truncated, keep alive, a word of the error
MESSAGES = [
    ("length", OK + b"Content-Length: 5\r\n\r\nhello", b"hello", None, True, ""),
    ("empty", OK + b"Content-Length: 0\r\n\r\n", b"", None, True, ""),
    ("until close", OK + b"\r\nhello", b"hello", None, False, ""),
    ("bare LF", b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", b"hi", None, True, ""),
    ("mixed line ends", b"HTTP/1.1 200 OK\r\nContent-Length: 2\n\r\nhi", b"hi", None, True, ""),
    ("no space", OK + b"Content-Length:2\r\nX:1\r\n\r\nhi", b"hi", None, True, ""),
    ("space before colon", OK + b"Content-Length : 2\r\n\r\nhi", b"hi", None, True, ""),
    ("double spaces", b"HTTP/1.1  200  Very   OK\r\nX:  a  \r\nContent-Length:  2  \r\n\r\nhi", b"hi", None, True, ""),
    ("no reason", b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi", b"hi", None, True, ""),
    ("lower case", b"http/1.1 200 ok\r\ncontent-length: 2\r\n\r\nhi", b"hi", None, True, ""),
    ("reason sticks", b"HTTP/1.1 200OK\r\nContent-Length: 2\r\n\r\nhi", b"hi", None, True, ""),
    ("folded", OK + b"X-Long: one\r\n two\r\n\tthree\r\nContent-Length:\r\n 2\r\n\r\nhi", b"hi", None, True, ""),
    ("latin-1", OK + b"X: caf\xe9\r\nContent-Length: 2\r\n\r\nhi", b"hi", None, True, ""),
    ("no colon", OK + b"this is no header\r\nContent-Length: 2\r\n\r\nhi", b"hi", None, True, ""),
    ("fold at start", OK + b" lost\r\nContent-Length: 2\r\n\r\nhi", b"hi", None, True, ""),
    ("same length twice", OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi", b"hi", None, True, ""),
    ("length list", OK + b"Content-Length: 2, 2\r\n\r\nhi", b"hi", None, True, ""),
    ("1.0", b"HTTP/1.0 200 OK\r\n\r\nhi", b"hi", None, False, ""),
    ("1.0 length", b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", b"hi", None, False, ""),
    ("1.0 kept", b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nhi", b"hi", None, True, ""),
    ("close", OK + b"Connection: foo, Close\r\nContent-Length: 2\r\n\r\nhi", b"hi", None, False, ""),
    ("chunked", OK + b'Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\nA;x="y"\r\n0123456789\r\n0\r\n\r\n', b"hi0123456789", None, True, ""),
    ("chunked LF", OK + b"Transfer-Encoding: Chunked\r\n\r\n2\nhi\n0\n\n", b"hi", None, True, ""),
    ("trailer", OK + b"Transfer-Encoding: chunked\r\n\r\n02 \r\nhi\r\n000;e\r\nX-T: 1\r\nno colon\r\n\r\n", b"hi", None, True, ""),
    ("identity", OK + b"Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nhi", b"hi", None, True, ""),
    ("204", b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", b"", None, True, ""),
    ("304", b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", b"", None, True, ""),
    ("101", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", b"", None, False, ""),
    ("odd version", b"HTTP/2 200\r\nContent-Length: 2\r\n\r\nhi", b"hi", None, True, ""),
    # odd, but whole: flagged, and the connection not used again
    ("both", OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", b"hi", None, False, "both"),
    ("differing, short", OK + b"Content-Length: 2\r\nContent-Length: 9\r\n\r\nhi", b"hi", None, False, "differing"),
    ("differing, long", OK + b"Content-Length: 4\r\nContent-Length: 2\r\n\r\nhi!!", b"hi!!", None, False, "differing"),
    ("length is a word", OK + b"Content-Length: five\r\n\r\nhello", b"hello", None, False, "no number"),
    ("negative length", OK + b"Content-Length: -5\r\n\r\nhello", b"hello", None, False, "no number"),
    ("immense length", OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\nhello", b"hello", None, False, "no number"),
    ("chunked in 1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", b"hi", None, False, "1.0"),
    ("gzip, chunked", OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", b"hi", None, False, "other than"),
    ("chunked not last", OK + b"Transfer-Encoding: chunked, gzip\r\n\r\n2\r\nhi", b"2\r\nhi", None, False, "other than"),
    ("ends in trailer", OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX: 1", b"hi", None, False, "trailer"),
    # cut off
    ("short", OK + b"Content-Length: 9\r\n\r\nhello", b"hello", "disconnect", False, "5 of 9"),
    ("differing, odd", OK + b"Content-Length: 2\r\nContent-Length: 9\r\n\r\nhiya", b"hiya", "disconnect", False, "4 of 9"),
    ("chunks stop", OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel", b"hel", "disconnect", False, "last chunk"),
    ("size stops", OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1", b"hi", "disconnect", False, "last chunk"),
    ("head stops", OK + b"Content-Le", b"", "disconnect", False, "27 bytes of the head"),
    ("line stops", b"HTTP/1.1 20", b"", "disconnect", False, "of the head"),
    ("nothing", b"", b"", "disconnect", False, "before any answer"),
    # broken: everything is kept, nothing past the fault is entity
    ("chunk size", OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\nzz\r\nmore\r\n0\r\n\r\n", b"hi", "unspecified", False, "no number"),
    ("chunk size 0x", OK + b"Transfer-Encoding: chunked\r\n\r\n0x2\r\nhi\r\n0\r\n\r\n", b"", "unspecified", False, "no number"),
    ("chunk size immense", OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 17 + b"\r\nhi", b"", "unspecified", False, "no number"),
    ("chunk too long", OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhix\r\n0\r\n\r\n", b"hi", "unspecified", False, "longer"),
    ("not chunked", OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello", b"", "disconnect", False, "last chunk"),
    # no HTTP at all
    ("0.9", b"<html>hi</html>", b"", None, False, "not HTTP"),
    ("ssh", b"SSH-2.0-x\r\n", b"", None, False, "not HTTP"),
    ("odd status", b"HTTP/1.1 2000 OK\r\n\r\n", b"", None, False, "not HTTP"),
    ("status 000", b"HTTP/1.1 000 x\r\n\r\n", b"", None, False, "not HTTP"),
    ("h2", b"\0\0\x12\x04\0\0\0\0\0" + b"\0" * 18, b"", None, False, "HTTP/2"),
]  # fmt: skip
IDS = [message[0] for message in MESSAGES]


@pytest.mark.parametrize(("data", "entity", "truncated", "keep_alive", "error"), [m[1:] for m in MESSAGES], ids=IDS)
def test_every_message_ends_where_it_should_with_all_its_bytes(data, entity, truncated, keep_alive, error):
    reading = read(data)
    assert reading.wire == data
    assert reading.entity == entity
    assert (reading.end.truncated, reading.end.keep_alive, reading.end.surplus) == (truncated, keep_alive, False)
    assert error in reading.end.error
    assert bool(error) == bool(reading.end.error)


@pytest.mark.parametrize("data", [m[1] for m in MESSAGES], ids=IDS)
def test_one_byte_at_a_time_changes_nothing(data):
    assert Reading([bytes([b]) for b in data]).facts == read(data).facts


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_no_split_changes_anything(data):
    message = data.draw(st.sampled_from([m[1] for m in MESSAGES]))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(message)), max_size=8)))
    pieces = [message[a:b] for a, b in zip([0, *cuts], [*cuts, len(message)], strict=True)]
    assert Reading(pieces).facts == read(message).facts


@settings(max_examples=600, deadline=None)
@given(
    prefix=st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n", *(m[1] for m in MESSAGES)]),
    noise=st.binary(max_size=200),
    cut=st.integers(0, 400),
    method=st.sampled_from(["GET", "HEAD", "CONNECT"]),
)
def test_any_bytes_come_out_once_and_in_order_up_to_the_end(prefix, noise, cut, method):
    data = prefix + noise
    whole, split = read(data, method), Reading([data[:cut], data[cut:]], method)
    assert data.startswith(whole.wire)
    assert whole.facts == split.facts
    assert whole.end is not None
    assert whole.end.surplus or whole.wire == data
    assert sum(isinstance(e, End) for e in whole.events) == 1


@settings(max_examples=600, deadline=None)
@given(
    prefix=st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\n", *(m[1] for m in MESSAGES)]),
    noise=st.binary(max_size=200) | st.sampled_from([m[1] for m in MESSAGES]),
    method=st.sampled_from(["GET", "HEAD", "CONNECT"]),
)
def test_what_is_at_hand_is_read_at_once_as_it_is_read_from_the_wire(prefix, noise, method):
    data = prefix + noise
    known, head = read(data, method), head_of(data)
    if head is None:
        assert known.head is None or not known.head.wire.endswith((b"\n\n", b"\n\r\n"))
        return
    assert head == known.head
    after = data[len(known.interim) + len(head.wire) :]
    assert entity_of(method, head.wire, after) == known.entity


def test_surplus_is_no_part_of_the_message_and_closes():
    message = OK + b"Content-Length: 2\r\n\r\nhi"
    reading = read(message + b"HTTP/1.1 200 again", close=False)
    assert reading.wire == message
    assert reading.end == End(None, "", keep_alive=False, surplus=True)


def test_surplus_after_a_message_without_body():
    message = b"HTTP/1.1 204 No Content\r\n\r\n"
    reading = read(message + b"hello", close=False)
    assert (reading.wire, reading.end.surplus, reading.end.keep_alive) == (message, True, False)


def test_head_has_no_body():
    reading = read(OK + b"Content-Length: 500\r\n\r\n", "HEAD", close=False)
    assert reading.end == End(None, "", keep_alive=True, surplus=False)


def test_interim_heads_come_before_the_final_one():
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    reading = read(interim + OK + b"Content-Length: 2\r\n\r\nhi", close=False)
    assert reading.interim == interim
    assert reading.head.status == 200
    assert reading.entity == b"hi"


def test_a_reset_is_no_end_of_a_body_that_lasts_until_close():
    reading = read(OK + b"\r\nhello", clean=False)
    assert (reading.entity, reading.end.truncated) == (b"hello", "disconnect")


def test_head_facts():
    head = read(b"HTTP/1.1  404  Not  Here \r\nA: 1\r\nB:2\r\n\r\n").head
    assert (head.status, head.reason, head.version) == (404, b"Not  Here", (1, 1))
    assert head.headers == ((b"A", b"1"), (b"B", b"2"))


@pytest.mark.parametrize("step", [1 << 30, 4096])
def test_a_head_may_be_big_but_not_bigger_than_that(step):
    def pieces(data):
        return [data[i : i + step] for i in range(0, len(data), step)]

    fill = MAX_HEAD - len(OK) - len(b"X: \r\n\r\nhi") + 2
    fits = OK + b"X: " + b"a" * fill + b"\r\n\r\nhi"
    assert Reading(pieces(fits)).entity == b"hi"
    too_big = Reading(pieces(OK + b"X: " + b"a" * (2 * MAX_HEAD)))
    assert (len(too_big.wire), too_big.end.truncated, too_big.head.status) == (MAX_HEAD, "length", 200)


def test_endless_interim_heads_end():
    reading = read(b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000, close=False)
    assert reading.head is None
    assert reading.end.truncated == "length"
    assert len(reading.wire) <= MAX_HEAD


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"1;" + b"x" * MAX_CHUNK_LINE + b"\r\nh\r\n0\r\n\r\n", "line is too long"),
        (b"1;" + b"x" * 3 * MAX_CHUNK_LINE, "line is too long"),
        (
            b"1\r\nh\r\n0\r\n" + (b"X: " + b"y" * 1000 + b"\r\n") * (MAX_TRAILER // 1000 + 1) + b"\r\n",
            "trailer is too long",
        ),
    ],
)
def test_chunk_lines_and_trailers_are_bounded(body, word):
    data = OK + b"Transfer-Encoding: chunked\r\n\r\n" + body
    reading = read(data)
    assert reading.wire == data
    assert reading.end.truncated == "unspecified"
    assert word in reading.end.error
    assert Reading([data[i : i + 7] for i in range(0, len(data), 7)]).facts == reading.facts


def test_parse_headers_of_a_request():
    head = b"GET / HTTP/1.1\r\nHost: a\r\n: nameless\r\nnothing\r\n folded nothing\r\nA:\r\n b\r\n\r\n"
    assert parse_headers(head) == ((b"Host", b"a"), (b"A", b"b"))


@given(st.binary(max_size=300))
def test_parse_headers_takes_anything(head):
    for name, value in parse_headers(head):
        assert name
        assert b"\n" not in name + value


# Oracles: where stricter parsers accept a message, they must find the same body.

_TOKEN = st.text("abcdefghijklmnopqrstuvwxyzABC-0123456789", min_size=1, max_size=12).map(str.encode)
_VALUE = st.binary(max_size=20).map(lambda b: bytes(c for c in b if 0x20 < c < 0x7F))
_RESERVED = {b"content-length", b"transfer-encoding", b"connection", b"upgrade"}


@st.composite
def messages(draw):
    body = draw(st.binary(max_size=300))
    headers = draw(st.lists(st.tuples(_TOKEN, _VALUE), max_size=5))
    lines = [n + b": " + v for n, v in headers if n.lower() not in _RESERVED]
    kind = draw(st.sampled_from(["length", "chunked", "close"]))
    if kind == "length":
        lines.append(b"Content-Length: %d" % len(body))
        wire = body
    elif kind == "chunked":
        lines.append(b"Transfer-Encoding: chunked")
        cuts = sorted(draw(st.lists(st.integers(0, len(body)), max_size=4)))
        parts = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
        wire = b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in parts if p) + b"0\r\n\r\n"
    else:
        wire = body
    status = draw(st.sampled_from([200, 204, 206, 301, 304, 404, 500]))
    return b"HTTP/1.1 %d X\r\n" % status + b"\r\n".join([*lines, b"", b""]) + wire


def _h11(data):
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    client.send(h11.EndOfMessage())
    client.receive_data(data)
    client.receive_data(b"")
    body = b""
    while not isinstance(event := client.next_event(), h11.EndOfMessage):
        if isinstance(event, h11.Data):
            body += bytes(event.data)
        elif not isinstance(event, h11.Response):
            raise h11.RemoteProtocolError(repr(event))
    return body


class _Llhttp:
    def __init__(self):
        self.body = b""
        self.complete = False

    def on_body(self, body):
        self.body += body

    def on_message_complete(self):
        self.complete = True


def _httptools(data):
    sink = _Llhttp()
    httptools.HttpResponseParser(sink).feed_data(data)
    return sink.body, sink.complete


@settings(max_examples=400, deadline=None)
@given(messages())
def test_h11_and_llhttp_find_the_same_body(data):
    reading = read(data)
    try:
        assert reading.entity == _h11(data)
        assert reading.end.truncated is None
    except h11.RemoteProtocolError:
        pass
    try:
        body, complete = _httptools(data)
    except httptools.HttpParserError:
        return
    assert reading.entity == body
    if complete:
        assert reading.end.truncated is None


@pytest.mark.parametrize("data", [m[1] for m in MESSAGES], ids=IDS)
def test_llhttp_agrees_on_the_table_where_it_accepts(data):
    try:
        body, complete = _httptools(data)
    except httptools.HttpParserError:
        return
    reading = read(data)
    if complete:
        assert reading.entity == body
    else:
        assert reading.entity.startswith(body)
