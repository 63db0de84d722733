"""Requests in, bytes out: parsing any split, and framing that is a function of the URL."""

from __future__ import annotations

import gzip
from datetime import datetime

import h11
import pytest

from crawler.replicas.exchange import MAX_HEAD, Answer, Clock, Flow, Request, frame, parse

RAW = (
    b"POST /a?b=1 HTTP/1.1\r\nHost: PARLER.com:443\r\nContent-Length: 3\r\nCookie: x=1\r\n\r\nabcGET / HTTP/1.1\r\n\r\n"
)
DATE = "Sun, 10 Jan 2021 20:00:00 GMT"


def read(request: Request, data: bytes) -> tuple[h11.Response, bytes]:
    """Let h11 read what was framed."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=request.method, target=request.target, headers=[("Host", request.host)]))
    client.send(h11.EndOfMessage())
    client.receive_data(data)
    head = client.next_event()
    assert isinstance(head, h11.Response)
    body = b""
    while isinstance(event := client.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert client.trailing_data == (b"", False)
    return head, body


def test_a_request_is_taken_whole_and_no_more() -> None:
    for cut in range(len(RAW) - 18):
        assert parse(RAW[:cut]) is None
    found = parse(RAW)
    assert found is not None
    request, size = found
    assert RAW[size:].startswith(b"GET / ")
    assert (request.method, request.host, request.target, request.path) == ("POST", "parler.com", "/a?b=1", "/a")
    assert (request.body, request.headers["cookie"]) == (b"abc", "x=1")


@pytest.mark.parametrize(
    "raw",
    [
        b"\r\n\r\n", b"GET /\r\n\r\n", b"GET / HTTP/2.0\r\n\r\n", b"GET /a b HTTP/1.1\r\n\r\n", b"x" * (MAX_HEAD + 1),
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: many\r\n\r\n", b"\xff\xfe\x00\r\n\r\n",
    ],
)  # fmt: skip
def test_what_is_no_request_is_said_so(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(raw)


def test_the_last_request_of_a_connection() -> None:
    assert not Request("GET", "a", "/").is_last
    assert Request("GET", "a", "/", {"connection": "Close"}).is_last
    assert Request("GET", "a", "/", version="HTTP/1.0").is_last


def test_pages_are_framed_in_many_ways_and_read_the_same() -> None:
    body = "".join(f"<p>{n}</p>" for n in range(3000)).encode()
    seen: dict[str, int] = {
        "chunked": 0,
        "gzip": 0,
        "length": 0,
        "trailer": 0,
        "extension": 0,
        "twice": 0,
        "odd case": 0,
    }
    sizes = set()
    for n in range(600):
        request = Request("GET", "parler.com", f"/post/{n}", {"accept-encoding": "gzip"})
        head, sent = frame(request, Answer(200, body, varies=True), DATE)
        assert (head, sent) == frame(request, Answer(200, body, varies=True), DATE)
        answer, read_body = read(request, head + sent)
        names = [name for name, _ in answer.headers.raw_items()]
        headers = dict(answer.headers)
        assert read_body == (gzip.compress(body, 6, mtime=0) if b"content-encoding" in headers else body)
        seen["gzip"] += b"content-encoding" in headers
        seen["chunked"] += b"transfer-encoding" in headers
        seen["length"] += b"content-length" in headers
        seen["trailer"] += b"\r\nX-Kettle: whistling\r\n\r\n" in sent[-40:]
        seen["extension"] += b";kettle=on\r\n" in sent[:40]
        seen["twice"] += names.count(b"Vary") == 2
        seen["odd case"] += b"content-type" in names
        if b"transfer-encoding" in headers:
            sizes.add(sent.partition(b"\r\n")[0])
    assert all(count > 10 for count in seen.values()), seen
    assert seen["chunked"] / 600 >= 0.3
    assert seen["chunked"] + seen["length"] == 600
    assert len(sizes) > 100


def test_nobody_gets_gzip_unasked_nor_chunks_in_1_0() -> None:
    for n in range(100):
        plain = Request("GET", "parler.com", f"/post/{n}", version="HTTP/1.0")
        head, body = frame(plain, Answer(200, b"x" * 100, varies=True), DATE)
        assert b"\r\nContent-Length: 100\r\n" in head
        assert b"\r\nConnection: close\r\n" in head
        assert body == b"x" * 100


def test_a_head_request_gets_the_head() -> None:
    head, body = frame(Request("HEAD", "a", "/"), Answer(200, b"12345"), DATE)
    assert b"Content-Length: 5\r\n" in head
    assert body == b""
    flow = Answer(200, flow=Flow(10**9, lambda: iter(())))
    assert b"Content-Length: 1000000000\r\n" in frame(Request("GET", "a", "/"), flow, DATE)[0]


def test_the_clock_stands_where_it_is_set() -> None:
    clock = Clock(datetime(2021, 1, 10, 20, 0))
    assert clock.date == DATE
    clock.set(datetime.fromisoformat("2021-01-11T01:00:00+02:00"))
    assert clock.date == "Sun, 10 Jan 2021 23:00:00 GMT"
