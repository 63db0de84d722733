"""The work that is left travels, and is the same bytes for the same work."""

import gzip
from pathlib import Path

import pytest

from crawler.errors import Damaged
from crawler.frontier import checkpoint
from crawler.frontier.sqlite import SqliteFrontier
from crawler.model import Fetch

ZIPPED = gzip.compress(b"{}\n")


def fetch(number: int) -> Fetch:
    return Fetch(
        url=f"https://example.org/{number}", lane="posts", callback="parse", cursor={"page": number}, body=b"\x00\xff",
        method="POST", headers=(("Accept", "x"),), covers=("post", str(number)), via="https://example.org/", day="2021-01-06",
    )  # fmt: skip


def test_it_goes_there_and_back(tmp_path: Path) -> None:
    frontier = SqliteFrontier(tmp_path / "frontier.sqlite")
    work = [fetch(number) for number in range(50)]
    frontier.offer(work)
    path = tmp_path / "checkpoint.jsonl.gz"
    assert checkpoint.write(frontier, path) == 50
    assert list(checkpoint.read(path)) == work
    before = path.stat()
    checkpoint.write(frontier, path)
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    frontier.close()
    other = SqliteFrontier(tmp_path / "other.sqlite")
    assert other.offer(list(checkpoint.read(path))) == 50
    other.close()


@pytest.mark.parametrize("data", [b"", b"no gzip", ZIPPED, ZIPPED[:-4]], ids=["empty", "text", "json", "torn"])
def test_rubbish_is_said(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "checkpoint.jsonl.gz"
    path.write_bytes(data)
    if not data:
        assert list(checkpoint.read(path)) == []
        return
    with pytest.raises(Damaged):
        list(checkpoint.read(path))
