"""archive takedown as a custodian uses it, over crawls of two replicas: after it the words of a post are nowhere."""

from __future__ import annotations

import gzip
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from crawler.replicas.run import running
from tests.acceptance.support import archive, to_replica

WHO = ("--by", "the\x1b[2J author", "--reason", "she asked\r\nWARC-Type: response\x1b]0;x\x07")


def holding(root: Path, token: bytes) -> list[str]:
    """Return the files that hold a token, compressed or not, or as JSON spells it."""
    found = []
    for path in (path for path in root.rglob("*") if path.is_file()):
        data = path.read_bytes()
        inner = [data]
        if data[:2] == b"PK":
            with zipfile.ZipFile(path) as file:
                inner += [file.read(name) for name in file.namelist()]
        inner += [gzip.decompress(one) for one in inner if one[:2] == b"\x1f\x8b"]
        found += [str(path.relative_to(root))] * any(token in one for one in inner)
    return found


def alone(rows: list[dict[str, Any]]) -> tuple[dict[str, Any], str]:
    """Return a post and words of it that no other has."""
    for row in rows:
        words = row["text"].split("\n")[0][:60].strip()
        if len(words) > 30 and words.isascii() and sum(words in one["text"] for one in rows) == 1:
            return row, words
    raise AssertionError("no post is like no other")


def rows_of(directory: Path, output: Path) -> list[dict[str, Any]]:
    ran = archive("export", directory, "-f", "jsonl", "-o", output)
    assert ran.code == 0, ran.err
    return [json.loads(line) for line in (output / "posts.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("platform", ["parler", "mastodon"])
def test_nothing_of_a_post_is_left(platform: str, tmp_path: Path) -> None:
    directory = tmp_path / "c"
    with running(platform, size=25) as replica:
        seed = ["parler.com", *to_replica(replica)] if replica.ca else [f"127.0.0.1:{replica.port}"]
        ran = archive("crawl", *seed, "--into", directory)
        assert ran.code == 0, ran.err
    config = {"XDG_DATA_HOME": str(tmp_path / "data")}
    assert archive("keys", "new", "k", **config).code == 0
    key = json.loads(archive("sign", directory, "--json", **config).out.splitlines()[-1])["public_key"]
    rows = rows_of(directory, tmp_path / "before")
    post, words = alone(rows)
    assert holding(tmp_path / "before", words.encode())
    assert holding(directory, words.encode())

    would = archive("takedown", directory, "--post", post["id"], "--dry-run", "--json")
    assert (would.code, archive("takedown", directory, "--list").out) == (0, "Nothing was taken down.\n")
    assert archive("takedown", directory, "--post", post["id"]).code == 2, "who and why"
    assert archive("takedown", directory, "--post", "nobody", *WHO).code == 2
    told = archive("takedown", directory, "--post", post["id"], *WHO)
    assert told.code == 0, told.err
    assert would.summary["captures"] > 1
    listed = archive("takedown", directory, "--list")
    assert "she asked" in listed.out
    assert len(listed.out.splitlines()) == 1
    assert "\x1b" not in listed.out + told.out

    shown(directory, tmp_path / "blocked", post, words)
    assert archive("export", directory, "-f", "bagit", "-o", tmp_path / "bag").code == 2, "it is still in the segments"
    assert archive("export", directory, "-f", "wacz", "-o", tmp_path / "part.wacz").code == 3
    assert archive("verify", directory, "--public-key", key).code == 0

    again = archive("takedown", directory, "--rewrite", "--purge", "--key", "k", **config)
    assert again.code == 0, again.err
    assert holding(directory, words.encode()) == []
    verified = archive("verify", directory, "--public-key", key)
    assert verified.code == 0, verified.out
    assert "C011-withheld" in verified.out
    assert "(0 errors, 0 warnings)" in verified.out
    assert archive("export", directory, "-f", "wacz", "-o", tmp_path / "out.wacz").code == 0
    assert archive("verify", tmp_path / "out.wacz").code == 0
    assert holding(tmp_path, words.encode()) == ["before/posts.jsonl"], "and in no export but the one made before"
    left = shown(directory, tmp_path / "rewritten", post, words)
    # What no other capture held goes with it; what one did is as it was.
    before = {row["id"]: row["text"] for row in rows}
    assert {row["id"]: row["text"] for row in left}.items() <= before.items()
    assert len(left) > len(before) // 2
    shutil.rmtree(directory / "indexes")
    (directory / "dataset.sqlite").unlink()
    assert archive("verify", directory).code == 6
    assert holding(directory, words.encode()) == []


def shown(directory: Path, output: Path, post: dict[str, Any], words: str) -> list[dict[str, Any]]:
    """Hold everything that shows anything against the words; return the posts that are left."""
    rows = rows_of(directory, output / "jsonl")
    for name in ("csv", "sqlite"):
        assert archive("export", directory, "-f", name, "-o", output / name).code == 0
    for arguments in (["index", directory, "--all"], ["index", directory, "--all", "--format", "cdx11"]):
        ran = archive(*arguments, "-o", output / f"{len(arguments)}.index")
        assert ran.code == 0
        assert post["url"] not in (output / f"{len(arguments)}.index").read_text()
    assert archive("report", directory, "--output", output / "report.html").code in {0, 3}
    assert holding(output, words.encode()) == []
    assert post["id"] not in {row["id"] for row in rows}
    found = archive("search", directory, f'"{words}"')
    assert (found.code, found.out) == (0, "")
    for name, option in ((post["id"], "-v"), (post["url"], "--record"), (post["url"], "--payload")):
        ran = archive("cat", directory, name, option)
        assert (ran.code, ran.out) == (3, ""), (name, option, ran)
        assert "taken down" in ran.err
    return rows
