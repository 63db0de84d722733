"""The dataset: whole segments, versions, the newest shown, and the same whatever the order."""

from __future__ import annotations

import sqlite3
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from crawler.errors import Damaged
from crawler.reading.dataset import Dataset
from crawler.warc.reader import read_at
from tests.unit.reading.shelves import Shop


def rows_of(dataset: Dataset, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in dataset.db.execute(sql)]


def test_an_update_takes_in_what_is_new_and_only_that(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "c")
    for identity in ("1", "2"):
        page = shop.segment()
        page.says({"id": identity, "text": f"tea {identity}"})
        page.seal()
        with Dataset(shop.collection) as dataset:
            assert dataset.update().segments == 1
            assert dataset.update().segments == 0
    with Dataset(shop.collection) as dataset:
        assert rows_of(dataset, "SELECT id, text FROM posts ORDER BY id") == [("1", "tea 1"), ("2", "tea 2")]
        for row in dataset.db.execute("SELECT * FROM posts"):
            record = read_at(shop.collection.warcs / row["warc_file"], row["warc_offset"])
            assert (record.id, record.length, record.get("WARC-Target-URI")) == (
                row["warc_record_id"], row["warc_length"], row["source_url"],
            )  # fmt: skip


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_newest_version_is_shown_whatever_the_order(tmp_path: Path, order: tuple[int, ...]) -> None:
    shop = Shop(tmp_path / "c")
    texts = ["tea", "tea and toast", "tea"]
    for minutes in order:
        page = shop.segment()
        page.says(
            {"id": "1", "text": texts[minutes], "counters": {"likes": str(minutes)}}, {"id": "2", "text": "same"},
            minutes=minutes,
        )  # fmt: skip
        page.seal()
        with Dataset(shop.collection) as dataset:
            dataset.update()
    with Dataset(shop.collection) as dataset:
        shown = rows_of(dataset, "SELECT id, text, versions, counters FROM posts ORDER BY id")
        assert shown == [("1", "tea", 2, '{"likes":"2"}'), ("2", "same", 1, None)]
        versions = rows_of(
            dataset,
            "SELECT text, substr(first_seen, 12, 5), substr(last_seen, 12, 5) FROM post WHERE id = '1' ORDER BY text",
        )
        assert versions == [("tea", "12:00", "12:02"), ("tea and toast", "12:01", "12:01")]
        assert rows_of(dataset, "SELECT count(*) FROM seen") == [(6,)]


def test_intervals_of_one_post_are_narrowed(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "c")
    page = shop.segment()
    page.says({"id": "1", "created_at": ["2021-01-01", "2021-01-05"]})
    page.seal()
    other = shop.segment()
    other.says({"id": "1", "created_at": ["2021-01-03", "2021-01-09"]}, minutes=5)
    other.seal()
    with Dataset(shop.collection) as dataset:
        dataset.update()
        assert rows_of(dataset, "SELECT created_at, created_until FROM posts") == [("2021-01-03", "2021-01-05")]


def test_a_card_never_stands_for_the_post_itself(tmp_path: Path) -> None:
    page = Shop(tmp_path / "c").segment()
    page.says({"id": "1", "text": "the whole of it"})
    page.says(
        {"id": "1", "kind": "card", "text": "the whole …"}, {"id": "2", "kind": "card", "text": "only here"}, minutes=9
    )
    page.seal()
    with Dataset(page.collection) as dataset:
        dataset.update()
        assert rows_of(dataset, "SELECT id, kind, text, versions FROM posts ORDER BY id") == [
            ("1", "post", "the whole of it", 1), ("2", "card", "only here", 1),
        ]  # fmt: skip


def test_what_says_less_of_a_post_never_stands_for_what_says_more(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "c")
    for minutes, more in ((0, {"counters": {"likes": "2"}}), (5, {"extra": {"mentioned_only": True}})):
        page = shop.segment()
        page.says({"id": "1", "text": "tea", **more}, minutes=minutes)
        page.seal()
    with Dataset(shop.collection) as dataset:
        dataset.update()
        assert rows_of(dataset, "SELECT text, counters FROM posts") == [("tea", '{"likes":"2"}')]


def test_markup_is_told_apart_from_its_text(tmp_path: Path) -> None:
    page = Shop(tmp_path / "c", markup=True).segment()
    page.says({"id": "1", "text": "<p>tea &amp; <b>toast</b><br>jam</p><script>bang()</script>"})
    page.seal()
    with Dataset(page.collection) as dataset:
        dataset.update()
        assert rows_of(dataset, "SELECT text FROM posts") == [("tea & toast\njam",)]
        assert "<script>" in rows_of(dataset, "SELECT html FROM posts")[0][0]


def test_what_one_segment_alone_says_is_forgotten_with_it(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "c")
    first, second = shop.segment(), shop.segment()
    first.says({"id": "1", "text": "secret"}, {"id": "2", "text": "shared"})
    second.says({"id": "2", "text": "shared"}, minutes=-5)
    first.seal(), second.seal()
    with Dataset(shop.collection) as dataset:
        dataset.update()
        dataset.forget(first.name)
        assert rows_of(dataset, "SELECT id, warc_file FROM posts") == [("2", second.name)]
        for word, count in (("secret", 0), ("shared", 1)):
            assert rows_of(dataset, f"SELECT count(*) FROM post_text WHERE post_text MATCH '{word}'") == [(count,)]
        assert dataset.update().segments == 1
        assert len(rows_of(dataset, "SELECT id FROM posts")) == 2


def test_a_file_stands_behind_its_media_through_redirects_and_revisits(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "c")
    text, images = shop.segment(), shop.segment("images")
    text.says(
        *(
            {"is": "media", "id": n, "kind": "image", "url": f"https://a.example/{n}.jpg", "post": "post/9"}
            for n in "1234"
        )
    )
    original = images.holds("https://a.example/1.jpg", b"leaf" * 1000)
    images.holds("https://a.example/2.jpg", b"leaf" * 1000, original=original)
    images.moved("https://a.example/3.jpg", "https://a.example/2.jpg")
    text.seal(), images.seal()
    with Dataset(shop.collection) as dataset:
        dataset.update()
        found = rows_of(dataset, "SELECT id, post, size, mime, warc_record_id FROM media_files ORDER BY id")
    assert [row[:4] for row in found] == [
        ("1", "9", 4000, "image/jpeg"), ("2", "9", 4000, "image/jpeg"), ("3", "9", 4000, "image/jpeg"), ("4", "9", None, None),
    ]  # fmt: skip
    assert {row[4] for row in found} == {original.record_id, None}


def test_a_changed_spider_reads_again(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "c")
    page = shop.segment()
    page.says({"id": "1", "text": "<p>tea</p>"})
    page.seal()
    with Dataset(shop.collection) as dataset:
        dataset.update()
    source = tmp_path / "c.py"
    source.write_text(source.read_text().replace("markup = False", "markup = True"))
    assert shop.collection.add_spider(source, "tea")
    with Dataset(shop.collection) as dataset:
        assert dataset.update().segments == 1
        assert rows_of(dataset, "SELECT text FROM posts") == [("tea",)]


def test_two_processes_find_what_one_does(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "c")
    for number in range(3):
        page = shop.segment()
        page.says({"id": str(number), "text": "tea"}, {"id": "9", "text": "tea"}, "bang", minutes=number)
        page.seal()
    found = []
    for jobs in (1, 2):
        with Dataset(shop.collection) as dataset:
            assert dataset.update(jobs=jobs).unread == 3
            found.append(rows_of(dataset, "SELECT id, text, captured_at, warc_record_id FROM posts ORDER BY id"))
        dataset.path.unlink()
    assert found[0] == found[1]
    assert not list(shop.collection.spool.iterdir())


def test_hostile_text_is_kept_and_harms_nothing(tmp_path: Path) -> None:
    page = Shop(tmp_path / "c").segment()
    hostile = [
        "\x00\x1b[2J",
        "'; DROP TABLE post; --",
        "\u202e=cmd|' /C calc'!A0",
        "<script>alert(1)</script>",
        "\U0001f375",
    ]
    page.says(
        *(
            {"id": str(n), "text": text, "author_name": text, "extra": {text: [text, 1 << 62]}}
            for n, text in enumerate(hostile)
        )
    )
    page.seal()
    with Dataset(page.collection) as dataset:
        dataset.update()
        assert [text for (text,) in rows_of(dataset, "SELECT text FROM posts ORDER BY id")] == hostile


def test_a_damaged_dataset_says_so_in_one_line(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "c")
    (tmp_path / "c" / "dataset.sqlite").write_bytes(b"rubbish " * 1000)
    with pytest.raises(Damaged, match="made anew"):
        Dataset(shop.collection)


def test_segments_that_are_elsewhere_are_named(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "c")
    here, gone, writing = shop.segment(), shop.segment(), shop.segment()
    for page in (here, gone, writing):
        page.says({"id": page.name[-30:]})
    here.seal()
    gone.seal().unlink()
    with Dataset(shop.collection) as dataset:
        told = dataset.update()
    assert (told.lacking, told.open, told.total) == ((gone.name,), 1, 1)
    assert isinstance(dataset.db, sqlite3.Connection)
