"""Framing, decoding and requests over messages made by a grammar and over kept inputs that were changed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz import targets
from tests.fuzz.strategies import anything, few, some

_VALUES = st.sampled_from(
    [b"chunked", b"gzip, chunked", b"identity", b"0", b"5", b"5, 5", b"-1", b"1" * 19, b"close", b"keep-alive", b"", b" x ", b"\xff"]
)  # fmt: skip
_NAMES = st.sampled_from(
    [b"Content-Length", b"Transfer-Encoding", b"connection", b"Content-Length ", b" folded", b"X", b"", b"Trailer"]
)
_ENDS = st.sampled_from([b"\r\n", b"\n", b"\r\r\n"])
_CHUNKS = st.sampled_from(
    [b"5\r\nhello\r\n", b"5;a=b\nhello\n", b"0\r\n", b"\r\n", b"A\r\n0123456789\r\n", b"ffffffffffffffff\r\n", b"x\r\n", b"T: 1\r\n", b"hello"]
)  # fmt: skip


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """What might be an answer: heads of all sorts before pieces of a body."""
    end = draw(_ENDS)
    parts = []
    before = draw(st.lists(st.sampled_from([b"100", b"103", b"101", b"099"]), max_size=2))
    final = draw(st.sampled_from([b"200 OK", b"204", b"304 X", b"200OK", b"2000", b"404  Not  Here"]))
    for status in (*before, final):
        lines = [draw(st.sampled_from([b"HTTP/1.1 ", b"HTTP/1.0 ", b"http/1.1\t", b"HTTP/2 ", b"ICY "])) + status]
        lines += [name + b": " + value for name, value in draw(st.lists(st.tuples(_NAMES, _VALUES), max_size=4))]
        parts.append(end.join([*lines, b"", b""]))
    return b"".join(parts) + b"".join(draw(st.lists(_CHUNKS, max_size=5)))


@some
@given(answers() | anything("framing"))
def test_framing(data: bytes) -> None:
    targets.framing(data)


@few
@given(anything("headers"))
def test_headers(data: bytes) -> None:
    targets.headers(data)


_WORDS = st.sampled_from([*targets._PACKERS, *targets._CLAIMS, "chunked", "chunked", "cut", "flip"])


@some
@given(st.lists(_WORDS, max_size=4), st.binary(max_size=400) | st.binary(max_size=20).map(lambda b: b * 500))
def test_decoding(words: list[str], body: bytes) -> None:
    targets.decode(" ".join(words).encode() + b"\n" + body)


@some
@given(anything("request"))
def test_requests(data: bytes) -> None:
    targets.request(data)


@some
@given(anything("urls") | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_urls(data: bytes) -> None:
    targets.urls(data)
