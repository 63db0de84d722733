"""Merging: bytes and names stay, the chain is whole, a kill anywhere changes nothing, and the others are not touched."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from crawler import deaths
from crawler import merge as joining
from crawler.collection import Collection
from crawler.errors import Locked, UsageError
from crawler.model import Seed
from crawler.warc import manifest
from crawler.warc.seal import seal
from crawler.warc.verify.collection import verify_collection
from tests.acceptance.support import ROOT, environment
from tests.unit.warc.making import Segment, capture

MERGE = """
import sys
from pathlib import Path
from crawler import merge
from crawler.collection import Collection
into, *others = (Collection.open(Path(one)) for one in sys.argv[1:])
with into.lock():
    for other in others:
        merge.merge(into, other, merge.Merged())
"""
STEPS = ["merge.copied", "seal.verified", "seal.manifested", "seal.indexed", "seal.renamed", "merge.sealed"]
NAME = "OUTLAST-a.example-20210110200000-00001-w1-text.warc.gz"


def made(root: Path, *names: str, platform: str = "generic") -> Collection:
    collection = Collection.create(root, Seed(url="https://a.example/"), platform)
    for name in names:
        segment = Segment(collection.warcs, name)
        segment.add(capture(f"https://a.example/{root.name}/{name}"))
        segment.close()
        seal(
            collection.warcs / f"{name}.open", index_dir=collection.indexes, manifest_path=collection.manifest,
            segment_class="text",
        )  # fmt: skip
    return collection


def sums(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != "lock"
    }


def errors(collection: Collection) -> list[str]:
    found = verify_collection(collection.warcs, collection.indexes, collection.manifest)
    return [f"{one.rule} {one.file}" for one in found if one.severity == "error"]


def test_bytes_and_names_stay_and_who_sealed_it_is_noted(tmp_path: Path) -> None:
    one, two = made(tmp_path / "one", "A-text.warc.gz"), made(tmp_path / "two", "B-text.warc.gz", "C-text.warc.gz")
    before, merged = sums(two.root), joining.Merged()
    joining.check(one, two)
    joining.merge(one, two, merged)
    assert (merged.segments, merged.known, merged.left_out) == (2, 0, {})
    assert sums(two.root) == before
    for name in ("B-text.warc.gz", "C-text.warc.gz"):
        assert (one.warcs / name).read_bytes() == (two.warcs / name).read_bytes()
    entries = manifest.read(one.manifest)
    assert [entry.origin for entry in entries] == ["", two.marker.id, two.marker.id]
    assert errors(one) == []
    kept = one.evidence / f"from-{two.marker.id}" / "manifest-00000002.jsonl"
    assert kept.read_bytes() == two.manifest.read_bytes()
    # Once more, and from a third that has it from the second: nothing is taken twice, and the origin stays the first.
    again = joining.Merged()
    joining.merge(one, two, again)
    assert (again.segments, again.known) == (0, 2)
    three = made(tmp_path / "three")
    joining.merge(three, one, joining.Merged())
    assert [entry.origin for entry in manifest.read(three.manifest)] == [one.marker.id, two.marker.id, two.marker.id]
    assert errors(three) == []


@pytest.mark.parametrize("step", [*STEPS, *(f"{step}:2" for step in STEPS)])
def test_a_killed_merge_goes_on(tmp_path: Path, step: str) -> None:
    one, two = made(tmp_path / "one", "A-text.warc.gz"), made(tmp_path / "two", "B-text.warc.gz", "C-text.warc.gz")
    command = [sys.executable, "-c", MERGE, str(one.root), str(two.root)]
    assert subprocess.run(command, cwd=ROOT, env=environment(OUTLAST_FAILPOINT=step), check=False).returncode == -9
    assert subprocess.run(command, cwd=ROOT, env=environment(), check=False).returncode == 0
    assert [entry.segment for entry in manifest.read(one.manifest)] == [f"{n}-text.warc.gz" for n in "ABC"]
    assert errors(one) == []
    assert sorted(path.name for path in one.warcs.iterdir()) == [f"{n}-text.warc.gz" for n in "ABC"]


def test_two_segments_of_one_name_are_both_kept(tmp_path: Path) -> None:
    one, two = made(tmp_path / "one", NAME), made(tmp_path / "two", NAME)
    joining.merge(one, two, joining.Merged())
    first, second = manifest.read(one.manifest)
    assert first.segment == NAME
    assert second.segment == NAME.replace("-w1-", f"-w1x{two.marker.id}-")
    assert (one.warcs / second.segment).read_bytes() == (two.warcs / NAME).read_bytes()
    assert errors(one) == []
    joining.merge(one, two, joining.Merged())
    assert len(manifest.read(one.manifest)) == 2


def test_what_is_damaged_missing_or_open_is_left_out_and_said(tmp_path: Path) -> None:
    one = made(tmp_path / "one")
    two = made(tmp_path / "two", "A-text.warc.gz", "B-text.warc.gz", "C-text.warc.gz")
    damaged = two.warcs / "A-text.warc.gz"
    data = damaged.read_bytes()
    damaged.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    (two.warcs / "B-text.warc.gz").unlink()
    Segment(two.warcs, "D-text.warc.gz").close()
    merged, said = joining.Merged(), []
    joining.merge(one, two, merged, say=said.append)
    assert merged.segments == 1
    assert set(merged.left_out) == {"A-text.warc.gz", "B-text.warc.gz", "D-text.warc.gz.open"}
    assert merged.is_damaged
    assert len(said) == 3
    assert errors(one) == []


def test_what_cannot_be_one_is_refused(tmp_path: Path) -> None:
    one = made(tmp_path / "one")
    with pytest.raises(UsageError, match="itself"):
        joining.check(one, Collection.open(one.root))
    with pytest.raises(UsageError, match="cannot be one"):
        joining.check(one, made(tmp_path / "two", platform="mastodon"))
    three = made(tmp_path / "three")
    with three.lock(), pytest.raises(Locked):
        joining.check(one, three)


def test_what_captured_nothing_there_captured_nothing_here(tmp_path: Path) -> None:
    here, there = made(tmp_path / "a", "one"), made(tmp_path / "b", "two")
    died = {"event": "dead", "records": [{"url": "https://a.example/", "date": "2021-01-10", "record_id": "<urn:x>"}]}
    deaths.record(there.root, died)
    for _ in range(2):
        joining.merge(here, there, joining.Merged())
    assert deaths.events(here.root) == [died]


def test_a_new_collection_is_made_like_the_other(tmp_path: Path) -> None:
    two = made(tmp_path / "two", "A-text.warc.gz")
    one = joining.made_like(tmp_path / "new", two)
    assert one.marker.seeds == two.marker.seeds
    assert one.marker.id != two.marker.id
    assert joining.made_like(tmp_path / "new", two).marker == one.marker
