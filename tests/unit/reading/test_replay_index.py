"""The replay index: what it leaves out, in which order, and how it is packed."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import pytest

from crawler.errors import Damaged
from crawler.reading import index
from crawler.reading.index import chosen, pack
from crawler.warc import indexing
from crawler.warc.indexing import merged


def line(key: str, minute: int, status: int | str, url: str = "http://a.example/", **facts: str) -> bytes:
    told = {
        "url": url,
        "mime": "text/html",
        "status": str(status),
        "filename": "a.warc.gz",
        "offset": "0",
        "length": "1",
    }
    return f"{key} 202101101200{minute:02d} {json.dumps(told | facts)}\n".encode()


def statuses(lines: list[bytes]) -> list[str]:
    return [json.loads(one.split(b" ", 2)[2])["status"] for one in chosen(lines)]


@pytest.mark.parametrize(
    ("had", "shown"),
    [
        (["200"], ["200"]),
        (["429", "200"], ["200"]),
        (["200", "429", "503", "304"], ["200"]),
        (["200", "404"], ["200"]),
        (["404", "410", "200", "403"], ["200"]),
        (["404", "301"], ["301"]),
        (["404", "410"], ["404", "410"]),
        (["404", "429", "304"], ["404"]),
        (["500"], []),
        ([""], [""]),
    ],
)
def test_what_would_hide_something_better_is_left_out(had: list[str], shown: list[str]) -> None:
    assert statuses([line("example,a)/", at, one) for at, one in enumerate(had)]) == shown


def test_one_address_does_not_speak_for_another() -> None:
    lines = [line("example,a)/", 0, 404), line("example,a)/b", 0, 200), line("example,a)/b?__wb_method=post", 0, 404)]
    assert list(chosen(lines)) == lines


def test_what_is_not_of_the_web_is_left_out() -> None:
    assert not list(chosen([line("dns:a.example", 0, "", url="dns:a.example")]))


@pytest.mark.parametrize("text", [b"\n", b"a b\n", b"a b {\n", b"a b 1\n", b'a b {"url": "x"}\n'])
def test_a_line_that_is_none_is_damage(text: bytes) -> None:
    with pytest.raises(Damaged):
        list(chosen([text]))


def test_many_files_are_merged_in_rounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "_FILES", 3)
    lines = [line(f"example,a)/{n:03d}", n % 60, 200) for n in range(100)]
    paths = []
    for at in range(11):
        paths.append(tmp_path / f"{at}.cdxj")
        paths[-1].write_bytes(b"".join(lines[at::11]))
    assert list(merged(paths)) == lines


def test_blocks_are_found_by_their_first_lines() -> None:
    lines = [line(f"example,a)/{n:05d}", 0, 200) for n in range(index.BLOCK * 2 + 5)]
    out, idx = io.BytesIO(), io.BytesIO()
    pack(lines, out, idx, "index.cdx.gz")
    meta, *blocks = idx.getvalue().splitlines()
    assert meta == b'!meta 0 {"format": "cdxj-gzip-1.0", "filename": "index.cdx.gz"}'
    assert gzip.decompress(out.getvalue()) == b"".join(lines)
    for number, block in enumerate(blocks):
        key, stamp, told = block.split(b" ", 2)
        place = json.loads(told)
        first = gzip.decompress(out.getvalue()[place["offset"] : place["offset"] + place["length"]]).splitlines(True)[0]
        assert first == lines[number * index.BLOCK]
        assert first.startswith(key + b" " + stamp)
    assert len(blocks) == 3
