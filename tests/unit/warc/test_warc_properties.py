"""WARC files, index lines, keys and work: whatever stands in them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.model import Fetch
from crawler.warc import reader
from tests.fuzz import targets
from tests.fuzz.strategies import anything, few, some

_TYPES = st.sampled_from(["request", "response", "metadata", "resource", "revisit", "warcinfo", "x"])
_BLOCKS = st.sampled_from(
    [b"", b"HTTP/1.1 200 OK\r\n\r\nhi", b"outlink: x L {}\r\n", b"POST / HTTP/1.1\r\n\r\n{}"]
) | st.binary(max_size=60)
_LINES = st.sampled_from(
    [
        "WARC-Concurrent-To: <urn:1>", "WARC-Refers-To: <urn:0>", "WARC-Target-URI: https://a.example/x", "WARC-Target-URI: dns:a b",
        'Outlast-Fetch: {"url":"https://a.example/x","lane":"pages"}', "Outlast-Fetch: []", "Content-Type: application/warc-fields",
        "WARC-Truncated: length", "no colon", " folded", "WARC-Target-URI: \udcff",
    ]
)  # fmt: skip


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Records that are mostly well-formed, in a file that is mostly whole."""
    parts = []
    for number in range(draw(st.integers(0, 4))):
        block = draw(_BLOCKS)
        size = len(block) + draw(st.sampled_from([0, 0, 0, 0, 0, 1, -1]))
        lines = [
            draw(st.sampled_from(["WARC/1.1", "WARC/1.0", "WARC/1.1", "warc"])), f"WARC-Type: {draw(_TYPES)}",
            f"WARC-Record-ID: <urn:{number}>", "WARC-Date: 2021-01-10T20:00:00.123456Z", f"Content-Length: {size}",
            *draw(st.lists(_LINES, max_size=4)),
        ]  # fmt: skip
        parts.append("\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + block + b"\r\n\r\n")
    word = draw(st.sampled_from([b"plain\n", b"gzip\n", b"one\n"]))
    return word + b"".join(parts) + draw(st.sampled_from([b"", b"", b"", b"\r\n", b"x"]))


@some
@given(files() | anything("warc"))
def test_reading(data: bytes) -> None:
    targets.warc(data)


@some
@given(files() | anything("groups"))
def test_groups(data: bytes) -> None:
    targets.groups(data)


@some
@given(files() | anything("cdxj"))
def test_index_lines(data: bytes) -> None:
    targets.cdxj(data)


@some
@given(anything("keys") | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_keys(data: bytes) -> None:
    targets.keys(data)


@few
@given(anything("post"))
def test_bodies_in_keys(data: bytes) -> None:
    targets.post(data)


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
_FETCHES = st.builds(
    Fetch,
    url=_TEXT.map(lambda text: f"https://a.example/{text}"),
    lane=st.sampled_from(["pages", "ä"]),
    method=st.sampled_from(["GET", "POST"]),
    body=st.binary(max_size=20),
    headers=st.lists(st.tuples(_TEXT, _TEXT), max_size=2).map(tuple),
    callback=st.none() | _TEXT,
    cursor=st.none() | st.dictionaries(_TEXT, _JSON, max_size=3),
    via=st.none() | _TEXT,
    depth=st.integers(0, 500),
    hops=st.integers(0, 20),
    covers=st.none() | st.tuples(_TEXT, _TEXT),
    day=st.none() | st.just("2021-01-10"),
    value=st.integers(-5, 5),
    sweep=st.booleans(),
    follow=st.booleans(),
)


@some
@given(_FETCHES)
def test_work_comes_back_from_records_and_frames(fetch: Fetch) -> None:
    targets.check_work(fetch)


@few
@given(anything("work"))
def test_work_that_others_wrote(data: bytes) -> None:
    targets.work(data)


@few
@given(anything("frames"))
def test_frames(data: bytes) -> None:
    targets.frames(data)


@pytest.mark.parametrize("after", range(-6, 7))
def test_a_plain_file_is_read_alike_wherever_its_records_meet_the_edge_of_a_read(after: int) -> None:
    def record(size: int) -> bytes:
        head = f"WARC/1.1\r\nWARC-Type: resource\r\nContent-Length: {size}\r\n\r\n".encode()
        return head + b"x" * size + b"\r\n\r\n"

    size = 1000 - len(record(900)) + 900 + after
    file = record(size) + record(2000) + record(3)
    with targets.bounds(reader, _READ=1000):
        records = reader.Records(targets._path(file))
        assert [found.block.size for found in records] == [size, 2000, 3]
    assert (records.end, records.torn) == (len(file), "")
