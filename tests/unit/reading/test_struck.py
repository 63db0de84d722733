"""What a dead host answered captured nothing: no reader shows it, though its records stay and can be looked at."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crawler import deaths
from crawler.cold.objects import Catalogue
from crawler.collection import Collection
from crawler.errors import Damaged
from crawler.evidence import holdings
from crawler.model import Original
from crawler.reading.dataset import Dataset
from crawler.reading.find import Found, Query, find, search
from crawler.reading.prepared import prepared
from crawler.reading.shelf import Place, Shelf
from crawler.warc import indexing
from crawler.warc.lookup import captures
from crawler.withheld import Withheld
from tests.unit.reading.shelves import Shop

PAGE, OTHER = "https://a.example/page", "https://a.example/other"


@pytest.fixture
def shop(tmp_path: Path) -> tuple[Shop, Original]:
    """A page that was held, and what a dead host served in its place later."""
    shop = Shop(tmp_path / "c")
    text = shop.segment()
    text.says({"id": "1", "text": "green tea"}, url=PAGE)
    dead = text.says({"id": "2", "text": "goodbye"}, url=PAGE, minutes=5)
    text.says({"id": "3", "text": "toast"}, {"id": "1", "text": "green tea"}, url=OTHER, minutes=6)
    text.seal()
    return shop, dead


def strike(shop: Shop, one: Original, event: str = "dead") -> None:
    where = {"url": one.url, "status": 200, "date": one.date, "record_id": one.record_id, "segment": one.segment}
    told = {"event": event, "origin": "https://a.example", "lane": "", "records": [{**where, "offset": 0}]}
    deaths.record(shop.collection.root, told)


def posts(dataset: Dataset) -> set[str]:
    dataset.update()
    return {row["id"] for row in search(dataset, Query(text=""))}


def indexed(shop: Shop) -> list[str]:
    """Return the dates that ``archive index`` gives of the page."""
    hides = Withheld(shop.collection).passes_over
    lines = indexing.index(shop.collection.sealed_segments(), "cdxj", "sha256", damaged=pytest.fail, hides=hides)
    return [line.split(b" ")[1].decode() for line in lines if json.loads(line.split(b" ", 2)[2])["url"] == PAGE]


def replayed(shop: Shop) -> list[str]:
    """Return the dates that a replay, and so a WACZ file, names of the page."""
    with prepared(shop.collection) as made:
        return [line.stamp for line in captures(made.index, PAGE)]


def found(dataset: Dataset, collection: Collection) -> Found:
    return find(dataset, collection, PAGE)


def test_what_was_known_to_be_dead_is_never_shown(shop: tuple[Shop, Original]) -> None:
    strike(*shop)
    with Dataset(shop[0].collection) as dataset:
        assert posts(dataset) == {"1", "3"}


def test_what_is_found_out_later_goes_again(shop: tuple[Shop, Original]) -> None:
    here, dead = shop
    collection, both = here.collection, ["20210110120000", "20210110120500"]
    with Dataset(collection) as dataset:
        assert posts(dataset) == {"1", "2", "3"}
        assert replayed(here) == indexed(here) == both
        before = found(dataset, collection)
        strike(here, dead)
        dataset.obey()
        assert posts(dataset) == {"1", "3"}
        assert replayed(here) == indexed(here) == both[:1]
        after = found(dataset, collection)
    assert after.place.offset < before.place.offset
    with Shelf(collection).record(Place(*before.place)) as record:  # it is evidence
        assert record.id == dead.record_id


def test_a_soft_404_stays_what_it_is(shop: tuple[Shop, Original]) -> None:
    strike(*shop, "soft 404")
    assert len(indexed(shop[0])) == 2


def test_it_travels_and_is_signed(shop: tuple[Shop, Original]) -> None:
    here, _ = shop
    assert deaths.NAME not in {one.path for one in Catalogue(here.collection).finders()}
    strike(*shop)
    told = {one.path: one for one in Catalogue(here.collection).finders()}
    assert told[deaths.NAME].tells_all, "it names pages, and strangers need not"
    assert told[deaths.NAME].key.startswith("deathwatch-")
    assert {one.kind for one in holdings.files(here.collection) if one.path == deaths.NAME} == {"grows"}


def test_rubbish_is_said_and_a_torn_line_is_none(shop: tuple[Shop, Original]) -> None:
    strike(*shop)
    path = shop[0].collection.root / deaths.NAME
    with path.open("ab") as out:
        out.write(b'{"event": "dead", "rec')
    assert len(deaths.struck(path.parent).records) == 1
    path.write_bytes(b'{"event": "dead"}\n')
    with pytest.raises(Damaged):
        deaths.struck(path.parent)
    path.write_bytes(b"\xff\x00\n")
    with pytest.raises(Damaged):
        deaths.struck(path.parent)
