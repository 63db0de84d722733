"""Rows equal the replica's truth, field by field; a small version of ``benchmarks/dataset.py``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crawler.reading.dataset import Dataset
from crawler.reading.export import Order, export
from crawler.reading.gather import spider_of
from crawler.reading.rows import rows
from tests.acceptance.written import differences, write

SIZES = {"mastodon": 600, "parler": 60}


@pytest.mark.parametrize("platform", SIZES)
def test_rows_are_the_truth(tmp_path: Path, platform: str) -> None:
    collection, truth = write(platform, SIZES[platform], tmp_path / "c", segment_bytes=100_000)
    assert len(collection.sealed_segments()) > 1
    written = {
        one.path.stem: one.path for one in export("jsonl", Order(collection=collection, output=tmp_path / "out"))
    }
    found = [json.loads(line) for line in written["posts"].read_text().splitlines()]
    assert list(differences(iter(found), truth)) == []
    assert len({row["id"] for row in found} & truth.posts.keys()) == len(truth.posts) >= 0.8 * SIZES[platform]
    spoiled = [{**row, "text": "no"} for row in found]
    assert len([one for one in differences(iter(spoiled), truth) if ": text is 'no'" in one]) >= len(truth.posts) * 0.9


@pytest.mark.parametrize("platform", SIZES)
def test_a_spider_that_need_not_follow_says_the_same(tmp_path: Path, platform: str) -> None:
    collection, _ = write(platform, SIZES[platform] // 3, tmp_path / "c", outlinks=False)
    (path,) = collection.sealed_segments()
    spider = spider_of(collection)
    with_links = list(rows(path, spider))
    spider.follows = False
    assert list(rows(path, spider)) == with_links
    with Dataset(collection) as dataset:
        dataset.update()
        assert dataset.db.execute("SELECT count(*) FROM seen").fetchone()[0] <= len(with_links)
