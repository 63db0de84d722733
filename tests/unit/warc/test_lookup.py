"""A URL is found in an index by halving, wherever it stands, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crawler.errors import Damaged
from crawler.warc import cdxj
from crawler.warc.lookup import captures, every
from crawler.warc.surt import surt


def _index(path: Path, urls: list[str]) -> Path:
    lines = [
        f"{surt(url)} 2021010{n % 9 + 1}000000 "
        + json.dumps({"url": url, "offset": str(n), "length": "5", "filename": "a.warc.gz"})
        + "\n"
        for n, url in enumerate(urls)
    ]
    path.write_bytes(cdxj.index(lines))
    return path


@pytest.mark.parametrize("count", [0, 1, 2, 3, 50, 257])
def test_each_is_found(tmp_path: Path, count: int) -> None:
    urls = [f"https://a.example/{'x' * (n % 40)}/{n}" for n in range(count)]
    index = _index(tmp_path / "i.cdxj", [*urls, *urls[:2]])
    for n, url in enumerate(urls):
        assert [line.url for line in captures(index, url)] == [url] * (2 if n < 2 else 1)
    assert not list(captures(index, "https://a.example/x"))
    assert not list(captures(index, "https://0.example/"))
    assert not list(captures(index, "https://z.example/"))
    assert sorted(line.offset for line in every(index)) == list(range(count + min(count, 2)))


def test_a_longer_url_is_another_one(tmp_path: Path) -> None:
    index = _index(tmp_path / "i.cdxj", ["https://a.example/1", "https://a.example/12", "https://a.example/1?q=2"])
    assert [line.url for line in captures(index, "https://a.example/1")] == ["https://a.example/1"]


def test_rubbish_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "i.cdxj").write_bytes(b"rubbish\n")
    with pytest.raises(Damaged, match=r"i\.cdxj"):
        list(every(tmp_path / "i.cdxj"))
