"""Sealing ends the same wherever it is killed, and the manifest is a chain."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from crawler.errors import Damaged
from crawler.warc import manifest
from crawler.warc.seal import seal
from tests.acceptance.support import ROOT, environment
from tests.unit.warc.making import CHUNKED, Segment, capture

SEAL = """
import sys
from pathlib import Path
from crawler.warc.seal import seal
root = Path(sys.argv[1])
for path in sorted((root / "warcs").glob("*.open")):
    seal(path, index_dir=root / "indexes", manifest_path=root / "manifest.jsonl", segment_class="text")
"""
STEPS = ["seal.verified", "seal.hashed", "seal.manifested", "seal.indexed", "seal.renamed"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "indexes").mkdir()
    for name in ("A", "B"):
        segment = Segment(tmp_path / "warcs", f"{name}.warc.gz")
        segment.add(capture(f"https://a.example/{name}"))
        segment.add(capture(f"https://a.example/{name}/2", CHUNKED))
        segment.close()
    return tmp_path


def run(root: Path, failpoint: str = "") -> int:
    extra = {"OUTLAST_FAILPOINT": failpoint} if failpoint else {}
    return subprocess.run(
        [sys.executable, "-c", SEAL, root], cwd=ROOT, env=environment(**extra), check=False
    ).returncode


@pytest.mark.parametrize("step", [*STEPS, *(f"{step}:2" for step in STEPS)])
def test_a_kill_at_any_step_changes_nothing(root: Path, step: str) -> None:
    assert run(root, step) == -9
    assert run(root) == 0
    assert sorted(p.name for p in (root / "warcs").iterdir()) == ["A.warc.gz", "B.warc.gz"]
    entries = manifest.read(root / "manifest.jsonl")
    assert [entry.segment for entry in entries] == ["A.warc.gz", "B.warc.gz"]
    for entry in entries:
        data = (root / "warcs" / entry.segment).read_bytes()
        assert (entry.sha256, entry.bytes) == (hashlib.sha256(data).hexdigest(), len(data))
        assert entry.md5 == hashlib.md5(data).hexdigest()
        index = (root / "indexes" / entry.segment.replace(".warc.gz", ".cdxj")).read_text().splitlines()
        assert index == sorted(index)
        assert len(index) == 2
        facts = json.loads(index[0].split(" ", 2)[2])
        member = data[int(facts["offset"]) : int(facts["offset"]) + int(facts["length"])]
        assert b"WARC-Type: response" in gzip.decompress(member)


def test_a_torn_manifest_line_is_written_anew(root: Path) -> None:
    run(root, "seal.manifested")
    path = root / "manifest.jsonl"
    path.write_bytes(path.read_bytes()[:-40])
    assert run(root) == 0
    assert len(manifest.read(path)) == 2


def test_a_changed_line_breaks_the_chain(root: Path) -> None:
    run(root)
    path = root / "manifest.jsonl"
    path.write_text(path.read_text().replace('"records":', '"records": ', 1))
    with pytest.raises(Damaged, match="chain"):
        manifest.read(path)


def test_a_damaged_segment_is_not_sealed_and_not_touched(root: Path) -> None:
    path = root / "warcs" / "A.warc.gz.open"
    data = bytearray(path.read_bytes())
    data[-30] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(Damaged, match=r"A\.warc\.gz\.open"):
        seal(path, index_dir=root / "indexes", manifest_path=root / "manifest.jsonl", segment_class="text")
    assert path.read_bytes() == data
    assert not (root / "manifest.jsonl").exists()


def test_a_segment_that_holds_nothing_is_removed(tmp_path: Path) -> None:
    path = Segment(tmp_path).close()
    assert not seal(path, index_dir=tmp_path, manifest_path=tmp_path / "manifest.jsonl", segment_class="text")
    assert not path.exists()
