"""What a spider sees of a capture: codings removed, bounded, and never an exception over what a server sent."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.capture import decode
from crawler.capture.decode import MAX_DECODED, entity, response_from
from crawler.model import Body, Capture, Digests, Fetch, Outcome

WHEN = datetime(2024, 5, 1, 12, tzinfo=UTC)
PAGE = b"<html><body>" + bytes(range(256)) * 40 + b"</body></html>"
PARSED = Fetch(url="http://a.test/", lane="pages", callback="parse")
UNREAD = Fetch(url="http://a.test/", lane="images")


def captured(body=b"", headers=b"", *, path=None, status=200, head=None, **kwargs):
    if path is not None:
        path.write_bytes(body)
    stored = Body(size=len(body), path=path) if path else Body(size=len(body), data=body)
    head = b"HTTP/1.1 %d X\r\n%b\r\n" % (status, headers) if head is None else head
    facts = {"outcome": Outcome.OK, "started": WHEN, "ended": WHEN} | kwargs
    return Capture(
        url="http://a.test/",
        method="GET",
        request=b"GET / HTTP/1.1\r\n\r\n",
        head=head,
        body=stored,
        status=status,
        **facts,
    )


def deflated(data, window):
    stream = zlib.compressobj(wbits=window)
    return stream.compress(data) + stream.flush()


def chunked(data, size=1000):
    parts = [data[i : i + size] for i in range(0, len(data), size)]
    return b"".join(b"%x;e=1\r\n%b\r\n" % (len(p), p) for p in parts) + b"0\r\nT: 1\r\n\r\n"


CHUNKED = b"Transfer-Encoding: chunked\r\n"
HALF = len(PAGE) // 2
CODED = {
    "identity": (b"", PAGE),
    "gzip": (b"Content-Encoding: gzip\r\n", gzip.compress(PAGE)),
    "x-gzip": (b"Content-Encoding: X-GZip\r\n", gzip.compress(PAGE)),
    "deflate": (b"Content-Encoding: deflate\r\n", deflated(PAGE, 15)),
    "bare deflate": (b"Content-Encoding: deflate\r\n", deflated(PAGE, -15)),
    "gzip called deflate": (b"Content-Encoding: deflate\r\n", gzip.compress(PAGE)),
    "members": (
        b"Content-Encoding: gzip\r\n",
        gzip.compress(PAGE[:HALF]) + gzip.compress(b"") + gzip.compress(PAGE[HALF:]),
    ),
    "padding": (b"Content-Encoding: gzip\r\n", gzip.compress(PAGE) + b"\0" * 600),
    "not gzip at all": (b"Content-Encoding: gzip\r\n", PAGE),
    "twice": (b"Content-Encoding: gzip\r\nContent-Encoding: deflate\r\n", deflated(gzip.compress(PAGE), 15)),
    "identity named": (b"Content-Encoding: identity\r\n", PAGE),
}


@pytest.mark.parametrize("where", ["memory", "spool"])
@pytest.mark.parametrize("framing", ["plain", "chunked"])
@pytest.mark.parametrize(("header", "coded"), CODED.values(), ids=CODED)
def test_codings_are_removed(header, coded, framing, where, tmp_path):
    wire = chunked(coded) if framing == "chunked" else coded
    capture = captured(
        wire, header + (CHUNKED if framing == "chunked" else b""), path=tmp_path / "b" if where == "spool" else None
    )
    response = response_from(PARSED, capture)
    assert response.body == (PAGE if where == "memory" else b"")
    assert response.head_bytes == PAGE[:4096]
    assert response.flags == []
    assert response.payload_length == len(coded)
    with response.open() as stream:
        assert stream.read() == PAGE
    with entity(capture) as stream:
        assert stream.read() == coded


def test_facts_are_carried_over():
    headers = (
        b"Set-Cookie: a\r\nX-N: caf\xe9\r\nno colon\r\nset-cookie:b\r\nContent-Type: text/html;\r\n charset=latin-1\r\n"
    )
    response = response_from(PARSED, captured("é".encode("latin-1"), headers, status=404))
    assert (response.status, response.url, response.captured_at, response.fetch) == (
        404,
        "http://a.test/",
        WHEN,
        PARSED,
    )
    assert response.headers.getlist("Set-Cookie") == [b"a", b"b"]
    assert response.headers["x-n"] == b"caf\xe9"
    assert response.header("X-N") == "café"
    assert response.text == "é"


def test_what_nobody_parses_has_a_head_and_a_stream_but_no_body():
    response = response_from(UNREAD, captured(gzip.compress(PAGE), b"Content-Encoding: gzip\r\n"))
    assert (response.body, response.head_bytes) == (b"", PAGE[:4096])
    with response.open() as stream:
        assert stream.read(10) + stream.read() == PAGE


def test_no_answer_has_status_0():
    response = response_from(PARSED, captured(b"", head=b"", status=0, outcome=Outcome.DNS))
    assert (response.status, response.body, response.head_bytes, response.outcome) == (0, b"", b"", Outcome.DNS)
    foreign = response_from(PARSED, captured(b"SSH-2.0", head=b"", status=0, outcome=Outcome.PROTOCOL))
    assert (foreign.body, foreign.payload_length) == (b"", 0)


def test_an_answer_cut_in_its_head():
    response = response_from(
        PARSED, captured(head=b"HTTP/1.1 200 OK\r\nX: y", outcome=Outcome.CUT, truncated="disconnect")
    )
    assert (response.status, response.header("X"), response.body, response.truncated) == (200, "y", b"", "disconnect")


def test_the_digests_of_the_wire_spare_a_count():
    digests = Digests(block_sha256="", payload_sha256="", payload_sha1="", payload_length=77)
    assert response_from(UNREAD, captured(b"x", digests=digests)).payload_length == 77


@pytest.mark.parametrize("where", ["memory", "spool"])
def test_an_unknown_coding_is_left_alone(where, tmp_path):
    capture = captured(
        b"\x8b\x03brotli", b"Content-Encoding: br\r\n", path=tmp_path / "b" if where == "spool" else None
    )
    response = response_from(PARSED, capture)
    assert response.head_bytes == b"\x8b\x03brotli"
    assert response.flags == ["undecoded"]
    assert response.header("Content-Encoding") == "br"


def test_codings_without_end_are_left_alone():
    response = response_from(PARSED, captured(PAGE, b"Content-Encoding: " + b"gzip," * 50 + b"gzip\r\n"))
    assert (response.body, response.flags) == (PAGE, ["undecoded"])


# Damage


@pytest.mark.parametrize("cut", [0, 1, 2, 9, 12, 200, -9, -1])
def test_a_cut_off_stream_gives_what_is_there(cut):
    whole = gzip.compress(PAGE)
    response = response_from(PARSED, captured(whole[:cut], b"Content-Encoding: gzip\r\nContent-Length: 9999\r\n"))
    expected = zlib.decompressobj(31).decompress(whole[:cut])
    assert response.body == (whole[:1] if cut == 1 else expected)
    assert response.flags == ([] if cut in {0, 1} else ["decoded-damaged"])


def test_a_wrong_checksum_loses_nothing():
    damaged = bytearray(gzip.compress(PAGE))
    damaged[-8] ^= 0xFF
    response = response_from(PARSED, captured(bytes(damaged), b"Content-Encoding: gzip\r\n"))
    assert (response.body, response.flags) == (PAGE, ["decoded-damaged"])


def test_damage_loses_only_what_follows():
    noise = b"".join(zlib.crc32(bytes([i & 255, i >> 8])).to_bytes(4, "big") for i in range(20_000))
    damaged = bytearray(gzip.compress(noise, 9))
    half = len(damaged) // 2
    damaged[half : half + 50] = b"\xff" * 50
    response = response_from(PARSED, captured(bytes(damaged), b"Content-Encoding: gzip\r\n"))
    assert response.flags == ["decoded-damaged"]
    assert len(response.body) > len(noise) // 2 - 40_000
    assert noise.startswith(response.body[: half - 40_000])


def test_broken_chunks_give_what_came_before():
    wire = chunked(PAGE).replace(b"\r\n3e8;", b"\r\nzzz;", 1)
    response = response_from(PARSED, captured(wire, CHUNKED, truncated="unspecified"))
    assert (response.body, response.truncated) == (PAGE[:1000], "unspecified")


# Bombs


def test_a_bomb_is_cut_and_memory_stays_bounded():
    bomb = gzip.compress(b"\0" * (300 * 1024 * 1024), 9)
    capture = captured(bomb, b"Content-Encoding: gzip\r\n")
    tracemalloc.start()
    response = response_from(PARSED, capture)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert response.flags == ["decoded-cut"]
    assert len(response.body) < 16 * 1024 * 1024
    assert peak < 64 * 1024 * 1024


def test_a_body_that_is_honestly_big_is_cut_at_the_limit(monkeypatch):
    monkeypatch.setattr(decode, "MAX_DECODED", 100_000)
    data = PAGE * 20
    response = response_from(PARSED, captured(gzip.compress(data), b"Content-Encoding: gzip\r\n"))
    assert (response.body, response.flags) == (data[:100_000], ["decoded-cut"])
    assert MAX_DECODED == 64 * 1024 * 1024


def test_a_bomb_in_a_bomb_is_cut():
    bomb = gzip.compress(gzip.compress(b"\0" * 100_000_000, 9), 9)
    response = response_from(PARSED, captured(bomb, b"Content-Encoding: gzip, gzip\r\n"))
    assert response.flags[0] == "decoded-cut"
    assert len(response.body) < 16 * 1024 * 1024


# Anything at all


@settings(max_examples=300, deadline=None)
@given(
    headers=st.binary(max_size=120),
    coding=st.sampled_from([b"", b"gzip", b"deflate", b"br", b"gzip, deflate"]),
    start=st.sampled_from([b"", b"\x1f\x8b\x08\0", gzip.compress(b"hello")]),
    body=st.binary(max_size=200),
    chunks=st.booleans(),
)
def test_nothing_a_server_sends_raises(headers, coding, start, body, chunks):
    lines = headers.replace(b"\n\n", b"").replace(b"\n\r\n", b"") + b"\r\nContent-Encoding: " + coding + b"\r\n"
    response = response_from(PARSED, captured(start + body, lines + (CHUNKED if chunks else b"")))
    with response.open() as stream:
        assert stream.read() == response.body
    assert response.head_bytes == response.body[:4096]
    assert isinstance(response.text, str)


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=3000), size=st.integers(1, 500), coding=st.sampled_from(["gzip", "deflate", ""]))
def test_any_entity_survives_its_codings(data, size, coding):
    coded = {"gzip": gzip.compress(data), "deflate": zlib.compress(data), "": data}[coding]
    response = response_from(
        PARSED, captured(chunked(coded, size), CHUNKED + f"Content-Encoding: {coding}\r\n".encode())
    )
    assert (response.body, response.flags) == (data, [])
