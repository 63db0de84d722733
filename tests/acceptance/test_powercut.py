"""A power cut loses nothing that was acknowledged, on a modelled disk. ``benchmarks/powercut.py`` tries a thousand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from crawler.collection import Collection
from crawler.errors import NotACollection
from crawler.scope import seed_from
from crawler.warc import manifest
from tests.acceptance.support import ROOT, environment


def powercut(log: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "benchmarks" / "powercut.py", "--log", log, "--posts", 8, *arguments]
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, env=environment()
    )


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the crawl is logged that both tests cut."""
    return tmp_path_factory.mktemp("powercut") / "log"


@pytest.mark.outside
@pytest.mark.timeout(400)
@pytest.mark.parametrize("flags", [[], ["--strict", "--posix"]], ids=["journal", "strict"])
def test_nothing_acknowledged_is_lost(log: Path, flags: list[str]) -> None:
    ran = powercut(log, "--cuts", 30, "--around", 50, "--every", 60, *flags)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.outside
@pytest.mark.timeout(400)
def test_an_fsync_that_were_not_there_would_be_missed(log: Path) -> None:
    ran = powercut(log, "--cuts", 40, "--around", 0, "--every", 60, "--without", "*.warc.gz.open")
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "holds no whole record" in ran.stdout or "shorter than what was committed" in ran.stdout


def entry(path: Path, name: str) -> manifest.Entry:
    sequence, prev = manifest.next_link(path)
    facts: dict[str, Any] = dict.fromkeys(("segment_class", "sha256", "md5", "crc32", "first_date", "last_date"), "x")
    return manifest.Entry(sequence=sequence, segment=name, bytes=1, records=1, sealed_at="x", prev=prev, **facts)


def test_a_manifest_line_that_lost_its_beginning_is_torn(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    manifest.append(path, entry(path, "one"))
    whole = path.stat().st_size
    manifest.append(path, entry(path, "two"))
    data = path.read_bytes()
    path.write_bytes(data[:whole] + bytes(40) + data[whole + 40 :])
    assert [one.segment for one in manifest.read(path)] == ["one"]
    manifest.append(path, entry(path, "two"))
    assert path.read_bytes() == data


def test_a_collection_can_be_made_where_making_one_was_cut_short(tmp_path: Path) -> None:
    root = tmp_path / "new" / "c"
    for name in ("warcs", "logs"):
        (root / name).mkdir(parents=True)
    (root / "collection.json.part").write_bytes(b"{")
    assert Collection.create(root, seed_from("example.org"), "generic").root == root
    (tmp_path / "other" / "warcs" / "mine").mkdir(parents=True)
    with pytest.raises(NotACollection):
        Collection.create(tmp_path / "other", seed_from("example.org"), "generic")
