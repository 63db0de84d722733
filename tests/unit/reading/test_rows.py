"""Rows: a pure function of a segment; attempts, probes and what is restricted say nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from crawler.model import PROBE_LANE
from crawler.reading.gather import spider_of
from crawler.reading.rows import File, rows
from crawler.reading.shelf import Shelf
from crawler.warc.reader import read_at
from tests.unit.reading.shelves import Page, Shop

LONG = {"id": "1", "text": "a long talk about tea " * 100}


def said(page: Page, **options: Any) -> list[Any]:
    path = page.seal()
    found = list(rows(path, spider_of(page.collection), **options))
    for row in found:
        record = read_at(path, row.offset)
        assert (row.segment, row.length, row.record_id) == (path.name, record.length, record.id)
    assert found == list(rows(path, spider_of(page.collection), **options))
    return [row.item for row in found]


def test_items_stand_in_the_order_of_their_records(tmp_path: Path) -> None:
    page = Shop(tmp_path / "c").segment()
    page.says({"id": "1", "text": "tea"}, {"is": "account", "id": "a", "username": "a"})
    page.says({"is": "media", "id": "m", "kind": "image"})
    assert [(type(item).__name__, item.id) for item in said(page)] == [("Post", "1"), ("Account", "a"), ("Media", "m")]


def test_what_settled_nothing_says_nothing(tmp_path: Path) -> None:
    page = Shop(tmp_path / "c").segment()
    page.says({"id": "1"}, status="503 Sorry")
    page.says({"id": "2"}, status="404 Not Found", sweep=True)
    page.says({"id": "3"}, lane=PROBE_LANE)
    assert said(page) == []


def test_segments_of_attempts_are_not_read(tmp_path: Path) -> None:
    page = Shop(tmp_path / "c").segment("attempts")
    page.says({"id": "1"})
    assert said(page) == []


def test_what_is_restricted_is_read_where_it_is_asked_for(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "c")
    page = shop.segment("restricted")
    page.says({"id": "1"}, {"id": "2", "text": "PRIVATE"})
    assert said(page) == []
    assert [row.item.id for row in rows(shop.collection.warcs / page.name, spider_of(shop.collection), restricted=True)] == [  # type: ignore[union-attr]
        "1", "2",
    ]  # fmt: skip


def test_what_a_later_spider_calls_mixed_is_restricted_too(tmp_path: Path) -> None:
    page = Shop(tmp_path / "c").segment()
    page.says({"id": "1", "text": "PRIVATE"})
    assert said(page) == []


def test_a_page_that_breaks_its_callback_loses_no_other(tmp_path: Path) -> None:
    page, unread = Shop(tmp_path / "c").segment(), []
    page.says({"id": "1"}, "bang", {"id": "2"})
    page.says({"id": "3"})
    path = page.seal()
    found = rows(path, spider_of(page.collection), unread=lambda url, e: unread.append((url, str(e))))
    assert [row.item.id for row in found] == ["1", "3"]  # type: ignore[union-attr]
    assert [why for _, why in unread] == ["bang"]


def test_a_revisit_says_what_its_original_does_at_its_own_time(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "c")
    first, second = shop.segment(), shop.segment()
    original = first.says(LONG)
    second.says(LONG, original=original, minutes=5)
    first.seal()
    path, spider = second.seal(), spider_of(shop.collection)
    (row,) = rows(path, spider, locate=Shelf(shop.collection).locate)
    assert row.item.text == LONG["text"]  # type: ignore[union-attr]
    assert row.item.captured_at == "2021-01-10T12:05:00+00:00"
    unread: list[str] = []
    assert list(rows(path, spider, unread=lambda url, _: unread.append(url))) == []
    assert len(unread) == 1


def test_a_torn_segment_gives_what_comes_before(tmp_path: Path) -> None:
    page = Shop(tmp_path / "c").segment()
    page.says({"id": "1"})
    size = page.segment.writer.size
    page.says({"id": "2"})
    path = page.seal()
    with path.open("r+b") as file:
        file.truncate(size + 500)
    assert [row.item.id for row in rows(path, spider_of(page.collection))] == ["1"]  # type: ignore[union-attr]


def test_files_and_where_they_moved(tmp_path: Path) -> None:
    page = Shop(tmp_path / "c").segment("images")
    page.holds("https://a.example/1.jpg", b"no picture at all" * 100)
    page.moved("https://a.example/2.jpg", "/1.jpg")
    one, two = said(page)
    assert isinstance(one, File)
    assert (one.url, one.mime, one.size, one.facts.width, len(one.sha256)) == (
        "https://a.example/1.jpg",
        "image/jpeg",
        1700,
        None,
        64,
    )
    assert (two.url, two.moved_to, two.sha256) == ("https://a.example/2.jpg", "https://a.example/1.jpg", "")
