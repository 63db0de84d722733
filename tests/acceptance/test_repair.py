"""archive verify and repair as people run them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crawler.collection import Collection, salvaged_name
from crawler.replicas.run import running
from tests.acceptance.support import archive
from tests.standard.rogues import GOOD, Wacz, packed


def test_files_of_anybody(tmp_path: Path) -> None:
    (tmp_path / "a.warc.gz").write_bytes(packed(*GOOD))
    (tmp_path / "b.wacz").write_bytes(Wacz(without=("pages/pages.jsonl",)).bytes())
    told = archive("verify", tmp_path, "--json")
    lines = [json.loads(line) for line in told.out.splitlines()]
    assert told.code == 6
    assert ("Z012-no-pages", "error", "b.wacz") in [
        (one.get("rule"), one.get("severity"), one.get("file")) for one in lines
    ]
    assert (lines[-1]["message_type"], lines[-1]["exit_code"]) == ("summary", 6)
    assert archive("verify", tmp_path / "a.warc.gz", tmp_path / "a.warc.gz").code == 6, "the same ids twice"
    assert archive("verify", "--rules").code == 0
    assert archive("verify").code == 2
    assert archive("verify", tmp_path / "none").code == 10
    (tmp_path / "empty").mkdir()
    assert archive("verify", tmp_path / "empty").code == 2
    assert archive("repair", tmp_path / "a.warc.gz").code == 0
    torn = tmp_path / "torn.warc.gz"
    torn.write_bytes(packed(*GOOD)[:-30])
    assert archive("repair", torn).code == 3
    assert archive("repair", torn).code == 2, "never over what is there"
    assert archive("verify", tmp_path / "torn-salvaged.warc.gz").code == 0
    (tmp_path / "rubbish.bin").write_bytes(b"rubbish")
    assert archive("repair", tmp_path / "rubbish.bin").code == 3
    assert not list(tmp_path.glob("rubbish-*")), "no WARC of nothing"
    assert archive("index", torn, "-o", tmp_path / "no" / "x").code == 2


@pytest.mark.parametrize("killed", ["", "seal.indexed"])
def test_a_damaged_collection_is_whole_again(tmp_path: Path, killed: str) -> None:
    with running("plain") as site:
        assert archive("crawl", site.url, "--into", tmp_path / "c").code == 0
        collection = Collection.open(tmp_path / "c")
        path = max(collection.sealed_segments(), key=lambda one: one.stat().st_size)
        good = path.read_bytes()
        middle = len(good) // 2
        path.write_bytes(good[:middle] + bytes(30) + good[middle + 30 :])
        broken = path.read_bytes()
        assert archive("verify", tmp_path / "c").code == 6
        path.rename(tmp_path / "gone")
        assert archive("status", tmp_path / "c", "--json").summary["lacking"] == [path.name]
        (tmp_path / "gone").rename(path)
        if killed:
            assert archive("repair", tmp_path / "c", OUTLAST_FAILPOINT=killed).code != 0
        told = archive("repair", tmp_path / "c")
        assert told.code == (0 if killed else 3), told
        assert (tmp_path / "c" / "damaged" / path.name).read_bytes() == broken
        assert not path.exists()
        assert archive("status", tmp_path / "c", "--json").summary["lacking"] == []
        assert (collection.warcs / salvaged_name(path.name)).exists()
        assert archive("repair", tmp_path / "c").code == 0
        assert archive("verify", tmp_path / "c").code == 0
        again = archive("crawl", site.url, "--into", tmp_path / "c")
        assert again.code == 0
        assert archive("verify", tmp_path / "c").code == 0
