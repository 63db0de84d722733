"""Indexes for tools that know only SHA-1, or only CDX."""

from __future__ import annotations

import json
from pathlib import Path

from crawler.warc.indexing import index
from tests.standard.rogues import CHUNKED, PAGE, WITH_CHUNKS, WITH_REVISIT, packed, sha1, sha256
from tests.unit.warc.making import PAGE as OURS
from tests.unit.warc.making import Segment, capture


def told(lines: list[bytes]) -> dict[str, dict[str, str]]:
    return {(facts := json.loads(line.split(b" ", 2)[2]))["url"]: facts for line in lines}


def test_digests_of_payloads(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    path.write_bytes(packed(*WITH_CHUNKS))
    known = told(list(index([path], "cdxj", "sha256", damaged=print)))
    assert known["https://a.example/4"]["digest"] == sha256(PAGE)
    known = told(list(index([path], "cdxj", "sha1", damaged=print)))
    assert known["https://a.example/4"]["digest"] == sha1(PAGE) != sha1(CHUNKED)


def test_a_revisit_has_the_digest_that_its_metadata_tells(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    first = capture("https://a.example/1")
    made = segment.add(first)
    segment.add(capture("https://a.example/2"), segment.original(made, first))
    known = told(list(index([segment.close()], "cdxj", "sha1", damaged=print)))
    assert known["https://a.example/2"]["mime"] == "warc/revisit"
    assert {facts["digest"] for facts in known.values()} == {sha1(OURS)}


def test_eleven_columns_sorted_over_all_files(tmp_path: Path) -> None:
    paths, faults = [tmp_path / "b.warc.gz", tmp_path / "a.warc.gz"], []
    paths[0].write_bytes(packed(*WITH_REVISIT))
    paths[1].write_bytes(packed(*WITH_CHUNKS)[:-50])
    first, *lines = index(paths, "cdx11", "sha1", damaged=faults.append)
    assert first == b" CDX N b a m s k r M S V g\n"
    assert lines == sorted(lines)
    assert {len(line.split(b" ")) for line in lines} == {11}
    assert len(faults) == 1
    whole = [line.split(b" ") for line in lines]
    assert [one[5].decode() for one in whole if one[2] == b"https://a.example/2"] == [sha1(PAGE)[5:]] * 2
    data = paths[0].read_bytes()
    assert all(data[int(one[9]) :][:2] == b"\x1f\x8b" for one in whole if one[10] == b"b.warc.gz\n")
