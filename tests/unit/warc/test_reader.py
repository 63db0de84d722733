"""The reader's bounds: what is big is never held, and what is damaged is never believed."""

from __future__ import annotations

import os
import random
import tracemalloc
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from isal import isal_zlib

from crawler.warc.groups import GroupReader
from crawler.warc.reader import Records, Torn, read_at
from crawler.warc.verify import verify_file
from tests.unit.warc.making import Segment, capture, plain


def record(block: bytes, length: str | None = None, more: str = "") -> bytes:
    told = str(len(block)) if length is None else length
    return f"WARC/1.1\r\nWARC-Type: resource\r\n{more}Content-Length: {told}\r\n\r\n".encode() + block + b"\r\n\r\n"


def deflated(data: bytes, level: int = 2) -> bytes:
    stream = isal_zlib.compressobj(level, isal_zlib.DEFLATED, 31)
    return stream.compress(data) + stream.flush()


@pytest.mark.parametrize("plain_file", [False, True], ids=["gzip", "plain"])
def test_a_big_block_is_streamed_again_and_again_and_never_held(tmp_path: Path, plain_file: bool) -> None:
    size = 48 << 20
    path = tmp_path / "big"
    with path.open("wb") as out:
        stream = isal_zlib.compressobj(1, isal_zlib.DEFLATED, 31)
        write = out.write if plain_file else lambda data: out.write(stream.compress(data))
        write(f"WARC/1.1\r\nWARC-Type: resource\r\nContent-Length: {size}\r\n\r\n".encode())
        for _ in range(size >> 20):
            write(b"0123456789abcdef" * 65536)
        write(b"\r\n\r\n")
        out.write(b"" if plain_file else stream.flush())
    with path.open("ab") as out:
        out.write(record(b"next") if plain_file else deflated(record(b"next")))
    tracemalloc.start()
    found, small = Records(path)
    for _ in range(2):
        with found.block.open() as block:
            assert block.read(20) == b"0123456789abcdef0123"
            assert 20 + sum(len(piece) for piece in iter(lambda: block.read(100_000), b"")) == size
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20
    assert small.block.data == b"next"
    assert read_at(path, small.offset).block == small.block


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(0, 3 << 18) | st.integers(-600, 600).map(lambda n: (1 << 18) + n),
    kind=st.integers(0, 2),
    zip_level=st.booleans(),
)
def test_a_member_of_any_size_is_whole(
    tmp_path_factory: pytest.TempPathFactory, size: int, kind: int, zip_level: bool
) -> None:
    """The inflater's pending output must not be taken for a torn end, nor the other way round."""
    block = [b"\0" * size, random.Random(size).randbytes(min(size, 9000)), (b"abc" * size)[:size]][kind]
    data = deflated(record(block)) if zip_level else zlib.compress(record(block), 9, 31)
    path = tmp_path_factory.getbasetemp() / "member"
    path.write_bytes(data)
    records = Records(path)
    assert [r.block.size for r in records] == [len(block)]
    assert (records.end, records.torn) == (len(data), "")
    path.write_bytes(data[: random.Random(size).randrange(1, len(data))])
    records = Records(path)
    assert list(records) == []
    assert records.end == 0
    assert records.torn


@pytest.mark.parametrize("length", ["", "-1", "+5", "1_0", "5 5", "٣", "0x5", "9" * 5000, "5.0"])
def test_a_length_is_digits_and_nothing_else(tmp_path: Path, length: str) -> None:
    path = tmp_path / "odd"
    path.write_bytes(deflated(record(b"hello", length)))
    records = Records(path)
    assert list(records) == []
    assert "Content-Length" in records.torn


@settings(max_examples=150, deadline=None)
@given(
    data=st.binary(max_size=300)
    | st.binary(max_size=200).map(deflated)
    | st.binary(max_size=200).map(lambda b: b"WARC/1.1\r\n" + b)
)
def test_reading_and_checking_never_raise(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "noise"
    path.write_bytes(data)
    assert isinstance(list(verify_file(path)), list)
    assert list(GroupReader(path)) == []


@settings(max_examples=150, deadline=None)
@given(where=st.floats(0, 0.999), bit=st.integers(0, 7))
def test_no_flipped_bit_is_believed(tmp_path_factory: pytest.TempPathFactory, where: float, bit: int) -> None:
    folder = tmp_path_factory.mktemp("flip")
    segment = Segment(folder)
    segment.add(capture(wire=plain(b"x" * 100)), story=False)
    path = segment.close()
    whole = [(r.headers, r.block.data) for r in Records(path)]
    data = bytearray(path.read_bytes())
    data[int(where * len(data))] ^= 1 << bit
    path.write_bytes(data)
    # Time stamp and system in a gzip header mean nothing; whatever else changes ends the reading.
    found = [(r.headers, r.block.data) for r in Records(path)]
    assert found == whole[: len(found)]


def test_a_bomb_is_skipped_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb"
    bomb = zlib.compress(record(b"") + b"\0" * (64 << 20), 9, 31)
    path.write_bytes(bomb)
    tracemalloc.start()
    records = Records(path)
    assert list(records) == []
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "more than one record" in records.torn
    assert peak < 8 << 20


def test_a_file_that_shrinks_while_a_block_is_read(tmp_path: Path) -> None:
    path = tmp_path / "shrinks"
    path.write_bytes(deflated(record(os.urandom(3 << 20)), 0))
    (found,) = Records(path)
    os.truncate(path, 1 << 20)
    with found.block.open() as block, pytest.raises(Torn):
        list(iter(lambda: block.read(1 << 16), b""))
