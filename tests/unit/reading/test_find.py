"""Finding: by words, by who and when, by id, URL and digest; what is hidden stays so until it is asked for."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from crawler.collection import Collection
from crawler.errors import NotHere, UsageError
from crawler.reading.dataset import Dataset
from crawler.reading.find import Query, find, search
from crawler.reading.shelf import Place, Shelf
from tests.unit.reading.shelves import Shop

LEAF, GONE = b"leaf" * 1000, b"gone" * 1000
BIG = random.Random(1).randbytes(2 << 20)


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[tuple[Dataset, Collection]]:
    shop = Shop(tmp_path / "c")
    text, images, closed = shop.segment(), shop.segment("images"), shop.segment("restricted")
    text.says(
        {"id": "1", "text": "black tea with toast", "author": "7", "created_at": ["2021-01-06T20:00:00+00:00"] * 2},
        {"id": "2", "text": "green tea", "author": "8", "created_at": ["2021-01-07T00:00:00+00:00", "2021-01-09T00:00:00+00:00"]},
        {"id": "3", "text": "no tea", "author": "8", "kind": "reply", "url": "https://a.example/1"},
        {"id": "4", "text": "tea, deleted", "deleted": True},
        {"is": "account", "id": "7", "username": "Heron"},
        {"is": "media", "id": "m", "kind": "image", "url": "https://a.example/4.jpg", "post": "4"},
        {"is": "media", "id": "n", "kind": "image", "url": "https://a.example/1.jpg", "post": "1"},
        url="https://a.example/page",
    )  # fmt: skip
    original = images.holds("https://a.example/1.jpg", LEAF)
    images.holds("https://a.example/copy.jpg", LEAF, original=original)
    images.moved("https://a.example/short", "https://a.example/copy.jpg")
    images.holds("https://a.example/4.jpg", GONE)
    images.holds("https://a.example/film.bin", BIG)
    closed.says({"id": "9", "text": "secret tea"}, url="https://a.example/closed")
    for one in (text, images, closed):
        one.seal()
    with Dataset(shop.collection) as dataset:
        dataset.update()
        yield dataset, shop.collection


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        (Query(text="tea"), {"1", "2", "3"}),
        (Query(text="TEA toast"), {"1"}),
        (Query(text='"tea with"'), {"1"}),
        (Query(text="tea NOT black", author="8"), {"2", "3"}),
        (Query(text="", author="@heron"), {"1"}),
        (Query(text="tea", kind="reply"), {"3"}),
        (Query(text="tea", since="2021-01-08T00:00:00+00:00"), {"2"}),
        (Query(text="tea", until="2021-01-07T00:00:00+00:00"), {"1"}),
        (Query(text="te*", with_deleted=True), {"1", "2", "3", "4"}),
        (Query(text="secret"), set()),
    ],
)
def test_search(shelf: tuple[Dataset, Collection], query: Query, ids: set[str]) -> None:
    found = list(search(shelf[0], query))
    assert {row["id"] for row in found} == ids
    assert all(row["snippet"] for row in found)


@pytest.mark.parametrize("text", ['"', "foo:bar", "AND", "tea (", "^", "*", "tea NEAR(", "\x00", "'; DROP TABLE post"])
def test_what_is_no_search_is_said_in_one_line(shelf: tuple[Dataset, Collection], text: str) -> None:
    with pytest.raises(UsageError, match="is no search") as caught:
        list(search(shelf[0], Query(text=text)))
    assert "\n" not in str(caught.value)


def body(shelf: tuple[Dataset, Collection], what: str) -> bytes:
    dataset, collection = shelf
    found = find(dataset, collection, what)
    with Shelf(collection).answer(found.place) as answer, answer.open() as stream:
        return stream.read()


@pytest.mark.parametrize(
    "what", ["https://a.example/1.jpg", "https://a.example/copy.jpg", "https://a.example/short", hashlib.sha256(LEAF).hexdigest(), "sha256:" + hashlib.sha256(LEAF).hexdigest().upper()]
)  # fmt: skip
def test_a_file_by_any_name(shelf: tuple[Dataset, Collection], what: str) -> None:
    assert body(shelf, what) == LEAF


def test_posts_by_id_and_permalink_and_pages_by_url(shelf: tuple[Dataset, Collection]) -> None:
    dataset, collection = shelf
    assert [row["text"] for row in find(dataset, collection, "2").posts] == ["green tea"]
    assert [row["id"] for row in find(dataset, collection, "https://a.example/1").posts] == ["1"]
    assert b"black tea" in body(shelf, "https://a.example/page")


@pytest.mark.parametrize(
    "what", ["4", "https://a.example/4", "https://a.example/4.jpg", hashlib.sha256(GONE).hexdigest()]
)
def test_what_was_deleted_is_hidden_until_it_is_asked_for(shelf: tuple[Dataset, Collection], what: str) -> None:
    dataset, collection = shelf
    with pytest.raises(UsageError, match="--with-deleted"):
        find(dataset, collection, what)
    assert find(dataset, collection, what, with_deleted=True)


@pytest.mark.parametrize("what", ["9", "https://a.example/closed", "0" * 64, "", "http://[", "\x1b[2J"])
def test_what_is_restricted_or_nowhere_is_not_found(shelf: tuple[Dataset, Collection], what: str) -> None:
    with pytest.raises(UsageError, match="Nothing held") as caught:
        find(*shelf, what)
    assert "\x1b" not in str(caught.value)


def test_what_is_elsewhere_is_read_by_ranges(
    shelf: tuple[Dataset, Collection], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    dataset, collection = shelf
    monkeypatch.setattr("crawler.reading.shelf._PIECE", 300_000)
    asked: list[int] = []

    def remote(segment: str, start: int, length: int) -> bytes:
        asked.append(length)
        with (tmp_path / segment).open("rb") as file:
            file.seek(start)
            return file.read(length)

    place = find(dataset, collection, "https://a.example/film.bin").place
    copied = find(dataset, collection, "https://a.example/copy.jpg").place
    whole = b"".join(Shelf(collection).raw(place))
    path = collection.warcs / place.segment
    path.rename(tmp_path / place.segment)
    with pytest.raises(NotHere), Shelf(collection).answer(place):
        pass
    away = Shelf(collection, remote)
    with away.answer(place) as answer, answer.open() as stream:
        assert stream.read() == BIG
    assert b"".join(away.raw(place)) == whole
    assert max(asked) == 300_000
    with away.answer(copied) as answer, answer.open() as stream:
        assert stream.read() == LEAF
    with pytest.raises(NotHere), away.answer(Place("../../etc/passwd", 0)):
        pass
