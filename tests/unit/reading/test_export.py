"""Exports: every format says the same, a killed one goes on, and nothing in them runs."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from PIL import Image

from crawler.errors import UsageError
from crawler.reading import copy, lines
from crawler.reading.export import Order, export
from tests.unit.reading.shelves import Shop

POSTS = [
    {"id": "1", "text": "tea", "author": "a", "created_at": ["2021-01-06T20:00:00+00:00"] * 2, "media": ["https://a.example/1.jpg"]},
    {"id": "2", "text": '=HYPERLINK("http://evil")', "in_reply_to": "1", "kind": "reply", "counters": {"likes": "3"}},
    {"id": "3", "text": "gone, but served", "deleted": True},
    {"id": "4", "text": 'two\nlines, "quoted" \u202e', "hashtags": ["tea"], "sensitive": True},
    {"id": "5", "text": " @SUM(1)", "extra": {"deep": [1, {"a": None}]}},
]  # fmt: skip


def picture() -> bytes:
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x10F], exif[0x110] = "Heron", "H1"
    exif.get_ifd(0x8769)[0x9003] = "2021:01:06 14:00:00"
    exif.get_ifd(0x8825).update({1: "N", 2: (38.0, 53.0, 23.0), 3: "W", 4: (77.0, 0.0, 33.0)})
    Image.new("RGB", (40, 30)).save(out, "JPEG", exif=exif)
    return out.getvalue()


@pytest.fixture
def order(tmp_path: Path) -> Order:
    shop = Shop(tmp_path / "c")
    page, images, later = shop.segment(), shop.segment("images"), shop.segment()
    page.says(*POSTS, {"is": "account", "id": "a", "username": "a", "bio": "+1 tea"})
    page.says({"is": "media", "id": "m", "kind": "image", "url": "https://a.example/1.jpg", "post": "1"})
    page.says({"is": "media", "id": "n", "kind": "image", "url": "https://a.example/2.jpg", "post": "3"})
    images.holds("https://a.example/1.jpg", picture())
    later.says({**POSTS[0], "text": "tea, edited"}, minutes=9)
    for one in (page, images, later):
        one.seal()
    return Order(collection=shop.collection, output=tmp_path / "out")


def in_lines(order: Order) -> dict[str, list[dict[str, Any]]]:
    return {
        one.path.stem: [json.loads(line) for line in one.path.read_text().splitlines()]
        for one in export("jsonl", order)
    }


def test_json_lines_say_what_the_spider_did(order: Order) -> None:
    found = in_lines(order)
    assert [row["id"] for row in found["posts"]] == ["2", "4", "5", "1"]
    assert found["posts"][-1]["text"] == "tea, edited"
    assert (found["posts"][-1]["versions"], found["posts"][-1]["media"], found["posts"][-1]["counters"]) == (
        2,
        ["https://a.example/1.jpg"],
        {},
    )
    assert [(row["id"], row["text"]) for row in found["versions"]] == [("1", "tea")]
    assert found["posts"][2]["extra"] == {"deep": [1, {"a": None}]}
    (media,) = found["media"]
    assert (media["width"], media["height"], media["taken_at"]) == (40, 30, "2021-01-06T14:00:00")
    assert "latitude" not in media
    assert sorted(path.name for path in order.output.iterdir()) == [
        f"{name}.jsonl" for name in ("accounts", "media", "posts", "versions")
    ]


def test_places_and_what_was_deleted_only_where_asked_for(order: Order) -> None:
    found = in_lines(replace(order, with_gps=True, with_deleted=True))
    assert {row["id"]: row["deleted"] for row in found["posts"]} == {
        "1": False,
        "2": False,
        "3": True,
        "4": False,
        "5": False,
    }
    media = {row["id"]: row for row in found["media"]}
    assert (round(media["m"]["latitude"], 4), round(media["m"]["longitude"], 4), media["m"]["device"]) == (
        38.8897,
        -77.0092,
        "Heron H1",
    )
    again = in_lines(replace(order, output=order.output.with_name("public")))
    assert "Heron" not in json.dumps(again)
    assert "gone" not in json.dumps(again)


def test_csv_holds_the_same_and_no_formula(order: Order) -> None:
    wanted = in_lines(order)
    for one in export("csv", replace(order, output=order.output.with_name("csv"))):
        with one.path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == len(wanted[one.path.stem])
        for row, told in zip(rows, wanted[one.path.stem], strict=True):
            assert list(row) == list(told)
            for name, cell in row.items():
                assert not cell.lstrip().startswith(("=", "+", "@", "-")), (name, cell)
                if isinstance(told[name], str):
                    assert cell.removeprefix("'") == told[name]


def test_sqlite_holds_the_same_and_can_be_searched(order: Order) -> None:
    wanted = in_lines(order)
    (one,) = export("sqlite", replace(order, output=order.output.with_name("all.sqlite")))
    db = sqlite3.connect(one.path)
    db.row_factory = sqlite3.Row
    for table, rows in wanted.items():
        found = [dict(row) for row in db.execute(f"SELECT * FROM {table} ORDER BY number")]
        assert [row["id"] for row in found] == [row["id"] for row in rows]
        for row, told in zip(found, rows, strict=True):
            assert {name: row[name] for name, value in told.items() if isinstance(value, str)} == {
                name: value for name, value in told.items() if isinstance(value, str)
            }
    assert [
        row["id"]
        for row in db.execute("SELECT id FROM search JOIN posts ON number = search.rowid WHERE search MATCH 'edited'")
    ] == ["1"]
    assert "export" not in [row[0] for row in db.execute("SELECT name FROM sqlite_master")]
    db.close()


def test_parquet_holds_the_same_with_types(order: Order) -> None:
    wanted = in_lines(order)
    for one in export("parquet", replace(order, output=order.output.with_name("parquet"))):
        found = duckdb.sql(
            f"SELECT id, captured_at::VARCHAR AS at, typeof(captured_at) AS kind FROM '{one.path}'"
        ).fetchall()
        assert [row[0] for row in found] == [row["id"] for row in wanted[one.path.stem]]
        assert {row[2] for row in found} <= {"TIMESTAMP WITH TIME ZONE"}
    posts = duckdb.sql(
        f"SELECT id, text, hashtags, counters, sensitive FROM '{order.output.with_name('parquet')}/posts.parquet'"
    ).fetchall()
    told = [(row["id"], row["text"], row["hashtags"], row["counters"], row["sensitive"]) for row in wanted["posts"]]
    assert [(one[0], one[1], one[2], dict(one[3]), one[4]) for one in posts] == told


@pytest.mark.parametrize(("name", "module"), [("jsonl", lines), ("csv", lines), ("sqlite", copy)])
def test_an_export_that_broke_off_goes_on(
    order: Order, monkeypatch: pytest.MonkeyPatch, name: str, module: Any
) -> None:
    monkeypatch.setattr(module, "EVERY", 1)
    (whole, *rest) = export(name, order)
    wanted = {one.path.name: _content(one.path) for one in (whole, *rest)}
    taken = 0

    def rows_of(*arguments: Any) -> Any:
        nonlocal taken
        for row in from_dataset(*arguments):
            taken += 1
            if taken == 3:
                raise KeyboardInterrupt
            yield row

    from_dataset = module.rows_of
    target = order.output.with_name("again")
    monkeypatch.setattr(module, "rows_of", rows_of)
    with pytest.raises(KeyboardInterrupt):
        list(export(name, replace(order, output=target)))
    found = {one.path.name: _content(one.path) for one in export(name, replace(order, output=target))}
    assert list(found.values()) == list(wanted.values())
    assert taken < 3 + 7, "what was written was not written again"


def _content(path: Path) -> Any:
    if path.suffix in {".jsonl", ".csv"}:
        return path.read_bytes()
    db = sqlite3.connect(path)
    found = [
        db.execute(f"SELECT * FROM {table} ORDER BY number").fetchall()
        for table in ("accounts", "posts", "versions", "media")
    ]
    db.close()
    return found


def test_what_cannot_be_done_is_said_in_one_line(order: Order, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("tea")
    for name, output in (
        ("jsonl", tmp_path / "file"),
        ("sqlite", tmp_path),
        ("rubbish", tmp_path / "x"),
        ("csv", tmp_path / "file" / "x"),
    ):
        with pytest.raises(UsageError):
            list(export(name, replace(order, output=output)))
