"""The sink: memory below the threshold, a file above it, the same digests either way."""

from __future__ import annotations

import hashlib
from base64 import b32encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.capture import spool
from crawler.capture.spool import Sink
from crawler.framing import Data
from crawler.model import EMPTY_BODY, Body

HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


@settings(max_examples=60, deadline=None)
@given(pieces=st.lists(st.tuples(st.binary(max_size=60), st.binary(max_size=60)), max_size=12))
@pytest.mark.parametrize("threshold", [0, 100, 10_000])
def test_bytes_and_digests_do_not_depend_on_where_they_gather(threshold, pieces, tmp_path_factory):
    folder = tmp_path_factory.mktemp("spool")
    sink = Sink(folder / "made" / "when needed", threshold)
    sink.write_head(HEAD)
    sink.write([Data(*piece) for piece in pieces[:3]])
    sink.write([Data(*piece) for piece in pieces[3:]])
    body, digests = sink.finish()
    wire, payload = b"".join(p[0] for p in pieces), b"".join(p[1] for p in pieces)
    assert body.size == len(wire)
    assert (body.path is not None) == (len(wire) > threshold)
    with body.open() as stream:
        assert stream.read() == wire
    assert digests.block_sha256 == hashlib.sha256(HEAD + wire).hexdigest()
    assert digests.payload_sha256 == hashlib.sha256(payload).hexdigest()
    assert digests.payload_sha1 == b32encode(hashlib.sha1(payload).digest()).decode()
    assert digests.payload_length == len(payload)
    spool.discard(body)
    assert not list(folder.rglob("*.spool"))


def test_nothing_is_the_empty_body(tmp_path):
    assert Sink(tmp_path, 10).finish()[0] is EMPTY_BODY


def test_a_discarded_sink_takes_nothing_more(tmp_path):
    sink = Sink(tmp_path, 0)
    sink.write([Data(b"abc", b"abc")])
    assert len(list(tmp_path.iterdir())) == 1
    sink.discard()
    sink.write([Data(b"def", b"def")])
    assert list(tmp_path.iterdir()) == []


def test_sweep_takes_leftovers_and_nothing_else(tmp_path):
    Sink(tmp_path, 0).discard()
    left = Sink(tmp_path, 0)
    left.write([Data(b"abc", b"abc")])
    body, _ = left.finish()
    (tmp_path / "notes.txt").write_text("mine")
    assert spool.sweep(tmp_path) == 1
    assert spool.sweep(tmp_path / "no such folder") == 0
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]
    spool.discard(body)
    spool.discard(Body(size=1, data=b"x"))
