"""What the records of a capture say (WARC/1.1), and that their blocks are the bytes of the wire."""

from __future__ import annotations

import errno
import gzip
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from warcio.archiveiterator import ArchiveIterator

from crawler.model import EMPTY_BODY, Body, Fetch, Leased, Outcome, SegmentClass
from crawler.warc.groups import GroupReader
from crawler.warc.reader import Records, read_at
from crawler.warc.records import fetch_from, fetch_json, leased_from
from tests.unit.warc.making import CHUNKED, PAGE, Segment, capture, plain

UGLY = (
    b"HTTP/1.1  200   Odd  reason \r\nX:1\r\nFolded: a\r\n  b\r\nX-Caf\xe9: caf\xe9\r\nno colon here\r\nDup: 1\r\nDup: 2\r\n"
    b"Content-Length: 2\r\n\r\nhi"
)


def all_records(path: Path) -> list[Any]:
    return list(Records(path))


def test_blocks_are_byte_for_byte_the_wire(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    wires = [plain(), CHUNKED, UGLY, b"HTTP/1.0 204\r\n\r\n", plain(bytes(range(256)) * 300, kind="image/png")]
    for number, wire in enumerate(wires):
        segment.add(capture(f"https://a.example/{number}", wire))
    found = [r.block.data for r in all_records(segment.close()) if r.type == "response"]
    assert found == wires


def test_headers_of_a_group(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    segment.add(capture())
    info, request, response, story = all_records(segment.close())
    assert info.get("WARC-Filename") == "OUTLAST-a.example-1-text.warc.gz"
    for record in (request, response, story):
        assert record.version == "WARC/1.1"
        assert record.get("WARC-Date") == "2021-01-10T20:00:00.123456Z"
        assert record.get("WARC-Warcinfo-ID") == info.id
        assert record.get("WARC-Block-Digest").startswith("sha256:")
    assert response.get("WARC-Concurrent-To") == request.id
    assert story.get("WARC-Concurrent-To") == request.id
    assert response.get("WARC-IP-Address") == "192.0.2.1"
    assert [v for k, v in response.headers if k == "WARC-Protocol"] == ["http/1.1", "tls/1.3"]
    assert response.get("WARC-Cipher-Suite") == "TLS_AES_256_GCM_SHA384"
    assert response.get("Content-Type") == "application/http;msgtype=response"
    assert b"outlink: https://a.example/next L " in story.block.data
    assert b"payload-digest: sha1:" in story.block.data


def test_a_revisit_keeps_the_head_and_says_where_the_rest_is(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    first, second = capture("https://a.example/1"), capture("https://a.example/2")
    made = segment.add(first)
    segment.add(second, segment.original(made, first))
    revisit = next(r for r in all_records(segment.close()) if r.type == "revisit")
    assert revisit.block.data == second.head
    assert revisit.get("WARC-Profile").endswith("/identical-payload-digest")
    assert revisit.get("WARC-Truncated") == "length"
    assert made.response is not None
    assert revisit.get("WARC-Refers-To") == made.response.id
    assert revisit.get("WARC-Refers-To-Target-URI") == first.url
    assert revisit.get("WARC-Refers-To-Date") == made.date


def test_an_exchange_without_answer_is_a_request_and_its_story(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    failed = capture(
        head=b"", body=EMPTY_BODY, digests=None, outcome=Outcome.TIMEOUT, error="no answer in 60 s", status=0
    )
    segment.add(failed)
    assert [r.type for r in all_records(segment.close())] == ["warcinfo", "request", "metadata"]


def test_an_answer_that_is_not_http_is_kept_as_evidence(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    segment.add(capture(head=b"", body=Body(size=5, data=b"SSH-2"), digests=None, outcome=Outcome.PROTOCOL, status=0))
    odd = all_records(segment.close())[2]
    assert (odd.type, odd.get("Content-Type"), odd.block.data) == ("metadata", "application/octet-stream", b"SSH-2")


def test_nothing_crawled_can_begin_a_header_line(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    segment.add(
        capture(error="bad\r\nWARC-Type: warcinfo"), via="https://a.example/\r\nX: y", covers=("post", "a\r\nb\u2028c")
    )
    for record in all_records(segment.close()):
        assert not record.faults
        assert record.type in {"warcinfo", "request", "response", "metadata"}


def test_work_survives_its_trip_through_a_header() -> None:
    fetch = Fetch(
        url="https://a.example/ü?q=\U0001fad6", lane="posts", method="POST", body=b"\0\xff{}", headers=(("Accept", "a/b"),), callback="parse",
        cursor={"next": "ü", "n": [1, 2]}, via="https://a.example/", depth=3, hops=1, covers=("post", "x"), day="2021-01-06", value=2,
        sweep=True, follow=False,
    )  # fmt: skip
    text = fetch_json(fetch)
    assert text.isascii()
    assert fetch_from(text) == fetch
    assert leased_from(text[:-1] + ',"attempt":4,"fingerprint":"00"}') == Leased(id=0, token=0, attempt=4, fetch=fetch)


def test_one_gzip_member_a_record_and_outside_readers_agree(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    for number in range(5):
        segment.add(capture(f"https://a.example/{number}", [plain(), CHUNKED, UGLY][number % 3]))
    path = segment.close()
    records = all_records(path)
    data = path.read_bytes()
    for record in records:
        gzip.decompress(data[record.offset : record.offset + record.length])
    assert sum(r.length for r in records) == len(data)
    with path.open("rb") as stream:
        assert len([r.rec_type for r in ArchiveIterator(stream)]) == len(records)
    plain_name = path.with_name("x.warc.gz")
    plain_name.write_bytes(data)
    assert subprocess.run(["gzip", "-t", plain_name], check=False).returncode == 0
    assert (
        subprocess.run(
            [sys.executable, "-m", "fastwarc.cli", "check", plain_name], check=False, capture_output=True
        ).returncode
        == 0
    )


def test_media_is_stored_not_deflated(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    noise = os.urandom(200_000)
    segment.add(capture(wire=plain(noise, kind="video/mp4")), story=False)
    assert abs(segment.close().stat().st_size - len(noise)) < 3000


def test_a_big_body_is_written_from_its_spool_and_read_back(tmp_path: Path) -> None:
    body = bytes(range(256)) * 12_000
    spooled = tmp_path / "x.spool"
    spooled.write_bytes(body)
    taken = capture(wire=plain(body))
    segment = Segment(tmp_path / "warcs")
    segment.add(capture(wire=plain(body), body=Body(size=len(body), path=spooled)), story=False)
    (group,) = GroupReader(segment.close())
    again = group.capture(lambda _: None, tmp_path)
    assert again.body.path is not None
    assert again.body.path.read_bytes() == body
    assert again.digests == taken.digests


def test_a_failing_disk_leaves_the_segment_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    segment = Segment(tmp_path)
    segment.add(capture())
    before, real, calls = segment.path.read_bytes(), os.writev, 0

    def full(fd: int, pieces: list[memoryview]) -> int:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, [pieces[0][:10]])

    monkeypatch.setattr(os, "writev", full)
    with pytest.raises(OSError, match="No space"):
        segment.add(capture())
    monkeypatch.undo()
    assert segment.path.read_bytes() == before
    segment.add(capture("https://a.example/2"))
    assert [r.type for r in all_records(segment.close())][-3:] == ["request", "response", "metadata"]


def test_groups_join_however_they_interleave(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    first = segment.add(capture("https://a.example/1"), story=False)
    segment.add(capture("https://a.example/2", CHUNKED), story=False)
    path = segment.close()
    one, two = GroupReader(path)
    assert (one.leased.fetch.url, two.leased.fetch.url) == ("https://a.example/1", "https://a.example/2")
    assert one.response_id == (first.response.id if first.response else "")
    taken = capture("https://a.example/2", CHUNKED)
    again = two.capture(lambda _: None, tmp_path)
    assert (again.head, again.body.data, again.status, again.digests) == (
        taken.head,
        taken.body.data,
        200,
        taken.digests,
    )
    assert read_at(path, two.response_offset).block.data == CHUNKED


def test_a_revisit_is_read_with_its_originals_body(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    first = capture("https://a.example/1")
    made = segment.add(first)
    segment.add(capture("https://a.example/2"), segment.original(made, first))
    path = segment.close()
    one, two = GroupReader(path)
    places = {one.response_id: (path, one.response_offset)}
    again = two.capture(places.get, tmp_path)
    assert again.body.data == PAGE
    assert again.truncated is None


@pytest.mark.parametrize("cut", [1, 10, 100, 400])
def test_a_torn_tail_ends_reading_at_the_last_good_record(tmp_path: Path, cut: int) -> None:
    segment = Segment(tmp_path)
    segment.add(capture())
    good = segment.writer.size
    segment.add(capture("https://a.example/2"))
    path = segment.close()
    path.write_bytes(path.read_bytes()[: good + cut])
    records = Records(path)
    assert len(list(records)) == 4
    assert (records.end, bool(records.torn)) == (good, True)


@pytest.mark.parametrize("junk", [b"\0" * 500, b"garbage", b"\x1f\x8b\x08\0junkjunkjunk", b"\x1f"])
def test_rubbish_at_the_end_is_no_record(tmp_path: Path, junk: bytes) -> None:
    segment = Segment(tmp_path)
    segment.add(capture())
    path = segment.close()
    size = path.stat().st_size
    path.write_bytes(path.read_bytes() + junk)
    records = Records(path)
    assert len(list(records)) == 4
    assert records.end == size
    assert records.torn
    assert SegmentClass.TEXT == "text"
