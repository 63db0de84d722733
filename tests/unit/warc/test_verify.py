"""The checker names every fault it promises to name, and passes what is good."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from crawler.warc.reader import Records
from crawler.warc.seal import seal
from crawler.warc.verify import RULES, verify_file
from crawler.warc.verify.collection import verify_collection
from tests.unit.warc.making import CHUNKED, Segment, capture, plain

Edit = Callable[[list[bytes]], list[bytes]]


def good(folder: Path) -> Path:
    """Return a segment with a response, a chunked one, a revisit, a cut-off one; records 0 to 9, stories left out."""
    segment = Segment(folder, "G.warc.gz")
    first = capture("https://a.example/1")
    made = segment.add(first, story=False)
    segment.add(capture("https://a.example/2", CHUNKED), story=False)
    segment.add(capture("https://a.example/3"), segment.original(made, first), story=False)
    segment.add(capture("https://a.example/4", plain()[:-50], truncated="disconnect"), story=False)
    path = segment.close()
    return path.rename(path.with_suffix(""))


def rules(path: Path) -> set[str]:
    return {finding.rule for finding in verify_file(path)}


def edited(tmp_path: Path, edit: Edit) -> Path:
    """Return the good file with its plain records changed by ``edit``."""
    path = good(tmp_path)
    data = path.read_bytes()
    members = [zlib.decompress(data[r.offset : r.offset + r.length], 31) for r in Records(path)]
    out = b"".join(deflated(member) for member in edit(members))
    path.write_bytes(out)
    return path


def deflated(data: bytes) -> bytes:
    stream = zlib.compressobj(6, zlib.DEFLATED, 31)
    return stream.compress(data) + stream.flush()


def replacing(record: int, old: bytes, new: bytes) -> Edit:
    def edit(members: list[bytes]) -> list[bytes]:
        assert re.search(old, members[record], re.DOTALL), members[record][:500]
        members[record] = re.sub(old, new, members[record], count=1, flags=re.DOTALL)
        return members

    return edit


def test_a_good_file_gives_nothing(tmp_path: Path) -> None:
    assert not list(verify_file(good(tmp_path)))


def test_a_plain_file_is_read_as_well(tmp_path: Path) -> None:
    path = good(tmp_path)
    data = path.read_bytes()
    bare = b"".join(zlib.decompress(data[r.offset : r.offset + r.length], 31) for r in Records(path))
    path.write_bytes(bare)
    assert not list(verify_file(path))
    path.write_bytes(bare[:-20])
    assert rules(path) == {"W001-torn"}


# Records: 0 warcinfo, 1 request, 2 response, 3 request, 4 chunked, 5 request, 6 revisit, 7 request, 8 cut off.
FAULTS: dict[str, tuple[str, Edit]] = {
    "header without colon": ("W002-header-syntax", replacing(2, rb"WARC-Type: response", b"WARC-Type: response\r\nnonsense")),
    "tail missing": ("W003-tail", replacing(2, rb"\r\n\r\n$", b"\r\n")),
    "no record id": ("W004-mandatory", replacing(1, rb"WARC-Record-ID: [^\r]*\r\n", b"")),
    "no date": ("W004-mandatory", replacing(1, rb"WARC-Date: [^\r]*\r\n", b"")),
    "malformed date": ("W005-date", replacing(1, rb"WARC-Date: [^\r]*", b"WARC-Date: yesterday")),
    "impossible date": ("W005-date", replacing(1, rb"WARC-Date: [^\r]*", b"WARC-Date: 2021-02-31T00:00:00Z")),
    "duplicate record": ("W006-duplicate-id", lambda members: [*members, members[-2]]),
    "odd record id": ("W007-record-id", replacing(1, rb"WARC-Record-ID: [^\r]*", b"WARC-Record-ID: <one>")),
    "repeated date": ("W008-repeated", replacing(1, rb"(WARC-Date: [^\r]*\r\n)", rb"\1\1")),
    "unknown type": ("W009-unknown-type", replacing(1, rb"WARC-Type: request", b"WARC-Type: wish")),
    "changed block": ("W010-block-digest", replacing(2, b"tea and", b"tea und")),
    "wrong payload digest": ("W011-payload-digest", replacing(2, rb"Payload-Digest: sha256:..", b"Payload-Digest: sha256:zz")),
    "digest over the framing": ("W011-payload-digest", replacing(4, rb"Payload-Digest: sha256:..", b"Payload-Digest: sha256:zz")),
    "no digest": ("W012-no-digest", replacing(2, rb"WARC-Block-Digest: [^\r]*\r\n", b"")),
    "short body unmarked": ("W013-http-short", replacing(8, rb"WARC-Truncated: [^\r]*\r\n", b"")),
    "no HTTP": ("W014-http-head", replacing(2, rb"HTTP/1.1 200 OK", b"XTTP/1.1 200 OK")),
    "no target": ("W015-target", replacing(2, rb"WARC-Target-URI: [^\r]*\r\n", b"")),
    "space in target": ("W015-target", replacing(2, rb"WARC-Target-URI: [^\r]*", b"WARC-Target-URI: https://a.example/ 1")),
    "warcinfo not first": ("W016-warcinfo-first", lambda members: members[1:]),
    "other name": ("W017-filename", replacing(0, rb"WARC-Filename: G", b"WARC-Filename: H")),
    "request gone": ("W018-no-request", lambda members: [*members[:1], *members[2:]]),
    "concurrent to nothing": ("W019-concurrent", lambda members: [*members[:1], *members[2:]]),
    "revisit without profile": ("W020-revisit-profile", replacing(6, rb"WARC-Profile: [^\r]*\r\n", b"")),
    "revisit without target": ("W021-revisit-refers", replacing(6, rb"WARC-Refers-To-Target-URI: [^\r]*\r\n", b"")),
    "dangling revisit": ("W022-revisit-dangling", lambda members: [*members[:1], *members[3:]]),
    "revisit of another payload": ("W023-revisit-payload", replacing(6, rb"Payload-Digest: sha256:..", b"Payload-Digest: sha256:zz")),
    "revisit not truncated": ("W024-revisit-truncated", replacing(6, rb"WARC-Truncated: length\r\n", b"")),
    "bytes after the end": ("W026-http-surplus", replacing(2, rb"(200 OK.*Content-Length): \d{4}", rb"\1: 0005")),
    "HTTP/2 status line": ("W025-http-version", replacing(2, rb"HTTP/1.1 200 OK", b"HTTP/2 200 OKOK")),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_fault(tmp_path: Path, name: str) -> None:
    rule, edit = FAULTS[name]
    assert rule in rules(edited(tmp_path, edit))


def test_the_rules_are_known() -> None:
    """As a writer of ours might make them; tests/standard/test_gallery.py has all rules."""
    assert {rule for rule, _ in FAULTS.values()} <= RULES.keys()


def test_an_answer_to_head_is_whole_without_its_body(tmp_path: Path) -> None:
    """Only the request tells the two apart, and a body that never came is the commonest cut of all."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"
    for number, (method, found) in enumerate([("HEAD", set()), ("GET", {"W013-http-short"})]):
        segment = Segment(tmp_path / str(number))
        segment.add(
            capture(wire=head, method=method, request=f"{method} / HTTP/1.1\r\nHost: a.example\r\n\r\n".encode())
        )
        assert rules(segment.close()) == found


def test_a_chunked_header_over_a_plain_body(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    segment.add(capture(wire=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n<html>hello</html>"))
    assert rules(segment.close()) == {"W033-transfer-coding"}


def test_one_file_of_many_is_not_damaged_by_a_revisit_to_another(tmp_path: Path) -> None:
    first, second = Segment(tmp_path, "1.warc.gz"), Segment(tmp_path, "2.warc.gz")
    page = capture("https://a.example/1")
    second.add(capture("https://a.example/2"), first.original(first.add(page), page))
    first.close()
    alone = list(verify_file(second.close()))
    assert [(f.rule, f.severity) for f in alone] == [("W022-revisit-dangling", "warning")]
    for path in tmp_path.glob("*.open"):
        path.rename(path.with_suffix(""))
    together = verify_collection(tmp_path, tmp_path, tmp_path / "manifest.jsonl")
    assert {f.rule for f in together} == {"C002-no-index", "C005-not-entered"}


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    (tmp_path / "indexes").mkdir()
    path = good(tmp_path / "warcs")
    opened = path.rename(path.with_name(path.name + ".open"))
    seal(opened, index_dir=tmp_path / "indexes", manifest_path=tmp_path / "manifest.jsonl", segment_class="text")
    return tmp_path


def of(root: Path) -> set[str]:
    return {f.rule for f in verify_collection(root / "warcs", root / "indexes", root / "manifest.jsonl")}


def test_a_collection_is_more_than_its_files(collection: Path) -> None:
    assert not of(collection)
    warc, index, lines = (
        collection / "warcs" / "G.warc.gz",
        collection / "indexes" / "G.cdxj",
        collection / "manifest.jsonl",
    )
    kept = {path: path.read_bytes() for path in (warc, index, lines)}

    def back() -> None:
        for path, data in kept.items():
            path.write_bytes(data)

    index.write_bytes(kept[index].replace(b'"200"', b'"404"', 1))
    assert of(collection) == {"C001-index"}
    index.unlink()
    assert of(collection) == {"C002-no-index"}
    back()
    lines.write_bytes(b"{}\n")
    assert of(collection) == {"C003-chain", "C005-not-entered"}
    back()
    first = warc.read_bytes()
    warc.write_bytes(first[:9] + b"\x07" + first[10:])
    assert of(collection) == {"C004-fixity"}
    back()
    lines.unlink()
    assert of(collection) == {"C005-not-entered"}
    back()
    warc.unlink()
    assert of(collection) == {"C006-gone"}
    back()
    Segment(collection / "warcs", "H.warc.gz").close()
    assert of(collection) == {"C007-open"}
