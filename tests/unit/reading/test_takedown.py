"""Takedown: what it finds, that everything obeys at once, and what rewriting leaves."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
import sys
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from crawler.collection import Collection
from crawler.errors import Damaged, NotHere, TakenDown, UsageError
from crawler.frontier.sqlite import SqliteFrontier
from crawler.model import Location
from crawler.reading import takedown
from crawler.reading.browse import browsing
from crawler.reading.dataset import Dataset
from crawler.reading.find import Query, find, search
from crawler.reading.gather import spider_of
from crawler.reading.page.newest import Newest
from crawler.reading.prepared import prepared
from crawler.reading.replay import Wish
from crawler.reading.replay.holding import of_collection
from crawler.reading.shelf import Place, Shelf
from crawler.rewrite import FOLDER, purge, rewrite
from crawler.warc import indexing, manifest
from crawler.warc.lookup import captures
from crawler.warc.reader import RawRecord, Records
from crawler.warc.verify.collection import verify_collection
from crawler.withheld import Withheld
from tests.acceptance.support import ROOT
from tests.unit.reading.shelves import Shop
from tests.unit.reading.test_served import ask, shown

LEAF, TOKEN = b"leaf" * 1000, "zanzibarquince"
WHY = {"by": "Ms. Heron", "reason": "asked\x1b[31m\r\nWARC/1.1\r\nX: \udcff"}


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path / "c")
    text, images, closed = shop.segment(), shop.segment("images"), shop.segment("restricted")
    secret = {"id": "105306842726444723", "text": f"the {TOKEN} is ripe", "author": "7"}
    text.says(secret, {"id": "2", "text": "green tea", "author": "8"}, url="https://a.example/list")
    text.says({"id": "2", "text": "green tea", "author": "8"}, url="https://a.example/2")
    text.says({"id": "3", "text": "an echo", "author": "8", "repost_of": secret["id"]}, url="https://a.example/3")
    text.says({"id": "4", "text": "toast", "author": "8", "in_reply_to": secret["id"]}, url="https://a.example/4")
    text.says(
        {"is": "media", "id": "m", "kind": "image", "url": "https://a.example/secret.jpg", "post": secret["id"]},
        {"is": "media", "id": "n", "kind": "image", "url": "https://a.example/copy.jpg", "post": "2"},
        {"is": "account", "id": "7", "username": "heron"}, url="https://a.example/media",
    )  # fmt: skip
    text.says(f"https://a.example/{secret['id']} {TOKEN}", url="https://a.example/probe", lane="probe")
    text.says(f"https://a.example/{secret['id']}0", url="https://a.example/other", lane="probe")
    original = images.holds("https://a.example/secret.jpg", LEAF)
    images.holds("https://a.example/copy.jpg", LEAF, original=original, minutes=1)
    closed.says(secret, {"id": "9", "text": "PRIVATE"}, url="https://a.example/mixed")
    for page in (text, images, closed):
        page.seal()
    return shop


def texts(dataset: Dataset, words: str = "") -> set[str]:
    dataset.update()
    return {row["id"] for row in search(dataset, Query(text=words))}


def urls(collection: Collection) -> set[str]:
    withheld = takedown.current(collection)
    lines = indexing.index(
        collection.sealed_segments(), "cdxj", "sha256", damaged=pytest.fail, hides=withheld.hides_record
    )
    return {json.loads(line.split(b" ", 2)[2])["url"].removeprefix("https://a.example/") for line in lines}


def faults(collection: Collection) -> list[str]:
    found = verify_collection(collection.warcs, collection.indexes, collection.manifest)
    return [str(one) for one in found if one.severity != "info"]


def holding(root: Path, token: bytes) -> list[str]:
    """Return the files that hold a token, compressed or not."""
    found = []
    for path in (path for path in root.rglob("*") if path.is_file()):
        data = path.read_bytes()
        plain = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else b""
        found += [path.name] * (token in data or token in plain)
    return found


def test_a_post_is_withheld_with_all_that_holds_it(shop: Shop) -> None:
    collection = shop.collection
    with Dataset(collection) as dataset:
        assert texts(dataset) == {"105306842726444723", "2", "3", "4"}
        entry, found = takedown.take_down(collection, dataset, "post", "105306842726444723", **WHY)
        assert {url.rpartition("/")[2] for url, _, _ in found.captures} == {
            "list", "3", "media", "probe", "mixed", "secret.jpg",
        }  # fmt: skip
        assert texts(dataset) == {"2", "4"}
        assert not texts(dataset, TOKEN)
        assert holding(collection.root, TOKEN.encode()) == [
            name for name in holding(collection.root, TOKEN.encode()) if name.endswith(".warc.gz")
        ]
        with pytest.raises(TakenDown):
            find(dataset, collection, "105306842726444723")
        with pytest.raises(TakenDown):
            find(dataset, collection, "https://a.example/secret.jpg")
    assert urls(collection) == {"2", "4", "copy.jpg", "other"}
    assert entry.reason == "asked [31m  WARC/1.1  X:"
    shelf = Shelf(collection)
    for _, segment, offset in found.captures:
        with pytest.raises(NotHere), shelf.record(Place(segment, offset, 10)):
            pass
        with pytest.raises(NotHere):
            list(shelf.raw(Place(segment, offset, 10)))
    with shelf.answer(place(collection, "https://a.example/copy.jpg")) as answer:
        assert answer.open().read() == LEAF, "another place may have the bytes"


def place(collection: Collection, url: str) -> Place:
    line = next(line for index in collection.indexes.glob("*.cdxj") for line in captures(index, url))
    return Place(line.segment, line.offset, line.length)


def test_replay_and_the_live_page_obey(shop: Shop) -> None:
    collection = shop.collection
    with closing(SqliteFrontier(collection.frontier)) as frontier:
        newest = Newest(collection, frontier, spider_of(collection), Withheld.load(collection))
        live = [asked(path, record) for path in collection.sealed_segments() for record in Records(path)
                if record.type == "request" and "secret.jpg" not in record.get("WARC-Target-URI")]  # fmt: skip
        before = newest.look(live)["posts"]
        with prepared(collection) as made:
            old = made.folder
        with Dataset(collection) as dataset:
            takedown.take_down(collection, dataset, "post", "105306842726444723", **WHY)
        assert not old.exists()
        assert [one["id"] for one in before if one not in newest.look(live)["posts"]] == ["3", "105306842726444723"]
    with prepared(collection) as made:
        assert made.index.read_text() == "", "its segments are left out"
        assert holding(made.folder, TOKEN.encode()) == []
    rewritten(collection)
    with prepared(collection) as made:
        text = made.index.read_text()
        assert "urn:sha256:" in text
        assert "https://a.example/copy.jpg" in text
        assert "https://a.example/4" in text
        assert not any(f"https://a.example/{name}" in text for name in ("list", "3", "media", "secret.jpg", "mixed"))


def test_a_replay_that_runs_obeys_at_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    collection = shop.collection
    images = next(one.name for one in collection.sealed_segments() if "-images" in one.name)
    with of_collection(collection) as held, shown(held, monkeypatch, Wish()) as port, browsing(collection) as pages:
        get = partial(ask, port, host="a.example", tls=True)
        assert TOKEN.encode() in get("/list")[1]
        assert get("/secret.jpg")[:2] == (200, LEAF)
        assert TOKEN.encode() in ask(pages, "/post?id=105306842726444723")[1]
        assert b"".join(held.archive[images].read(0, 10))
        assert len(b"".join(held.wacz.read(0, held.wacz.size))) == held.wacz.size
        with Dataset(collection) as dataset:
            takedown.take_down(collection, dataset, "post", "105306842726444723", **WHY)
        for path in ("/list", "/3", "/secret.jpg"):
            status, data, headers = get(path)
            assert (status, headers["X-Outlast-Replay"]) == (404, "not-held"), path
            assert TOKEN.encode() not in data
        assert b"toast" in get("/4")[1], "all else is shown as before"
        assert TOKEN.encode() not in ask(pages, "/post?id=105306842726444723")[1]
        assert b"toast" in ask(pages, "/post?id=4")[1]
        for name in held.archive:
            with pytest.raises(TakenDown):
                list(held.archive[name].read(0, 10))
        with pytest.raises((TakenDown, OSError)):
            list(held.wacz.read(0, held.wacz.size))


def asked(path: Path, request: RawRecord) -> Location:
    answer = next(one for one in Records(path) if one.get("WARC-Concurrent-To") == request.id)
    return Location(
        segment=path.name, offset=request.offset, response_offset=answer.offset, response_length=answer.length
    )


def test_what_comes_later_is_withheld_too_and_a_lift_shows_it_again(shop: Shop) -> None:
    collection = shop.collection
    with Dataset(collection) as dataset:
        takedown.take_down(collection, dataset, "account", "heron", **WHY)
        assert texts(dataset) == {"2", "4"}
        late = shop.segment()
        late.says(
            {"id": "105306842726444723", "text": TOKEN}, {"id": "5", "text": "late"}, url="https://a.example/late"
        )
        late.says({"id": "6", "text": "later", "author": "7"}, url="https://a.example/later")
        late.says({"id": "7", "text": "fine"}, url="https://a.example/fine")
        late.seal()
        assert texts(dataset) == {"2", "4", "7"}
        assert urls(collection) == {"2", "4", "copy.jpg", "other", "fine"}
        with pytest.raises(UsageError):
            takedown.lift(dataset, 2, **WHY)
        takedown.lift(dataset, 1, **WHY)
        assert texts(dataset) == {"105306842726444723", "2", "3", "4", "5", "6", "7"}
    assert "late" in urls(collection)


def test_a_url_a_digest_and_a_list(shop: Shop, tmp_path: Path) -> None:
    collection, digest = shop.collection, hashlib.sha256(LEAF).hexdigest()
    with Dataset(collection) as dataset:
        takedown.take_down(collection, dataset, "url", "https://a.example/2", **WHY)
        assert texts(dataset) == {"105306842726444723", "2", "3", "4"}, "the listing has it, too"
        takedown.take_down(collection, dataset, "url", "https://a.example/secret.jpg", **WHY)
        with Shelf(collection).answer(place(collection, "https://a.example/copy.jpg")) as answer:
            assert answer.open().read() == LEAF
        takedown.quarantine(collection, dataset, "list", [digest, "0" * 64], **WHY)
        with pytest.raises(NotHere), Shelf(collection).answer(place(collection, "https://a.example/copy.jpg")):
            pass
        for bad in (("post", "nobody"), ("account", "nobody"), ("sha256", "beef"), ("url", "http://[")):
            with pytest.raises(UsageError):
                takedown.resolve(collection, dataset, *bad)
    assert not {"2", "secret.jpg", "copy.jpg"} & urls(collection)


def rewritten(collection: Collection) -> None:
    with collection.lock(), Dataset(collection) as dataset:
        dataset.update()
        rewrite(collection, dataset.withheld, forget=dataset.forget)
        dataset.update()
        dataset.purge()
        purge(collection)


def test_rewriting_leaves_nothing_of_it_and_all_of_the_rest(shop: Shop) -> None:
    collection = shop.collection
    before = {record.id: record for path in collection.sealed_segments() for record in Records(path)}
    with Dataset(collection) as dataset:
        takedown.take_down(collection, dataset, "post", "105306842726444723", **WHY)
    shown = urls(collection)
    rewritten(collection)
    assert urls(collection) - {"urn:sha256:" + hashlib.sha256(LEAF).hexdigest()} == shown
    assert holding(collection.root, TOKEN.encode()) == []
    assert faults(collection) == []
    with Shelf(collection).answer(place(collection, "https://a.example/copy.jpg")) as answer:
        assert answer.open().read() == LEAF
    records = [record for path in collection.sealed_segments() for record in Records(path)]
    kept = [record for record in records if record.id in before]
    changed = [record.get("WARC-Type") for record in kept if record.headers != before[record.id].headers]
    assert changed == ["revisit"]
    assert all(record.block.data == before[record.id].block.data for record in kept)
    tombstones = [record for record in records if record.get("Outlast-Withheld")]
    assert {before[one.get("WARC-Refers-To")].type for one in tombstones} == {"response"}
    assert len(tombstones) == 6
    assert all(b"by: Ms. Heron\r\nreason: asked [31m  WARC/1.1  X:\r\n" in one.block.data for one in tombstones)
    with Dataset(collection) as dataset:
        assert texts(dataset) == {"2", "4"}
        with pytest.raises(TakenDown):
            find(dataset, collection, "105306842726444723")
    assert not any((collection.root / FOLDER).iterdir())
    entries = manifest.read(collection.manifest)
    assert sorted(one.replaces for one in entries if one.replaces) == sorted(one.segment for one in entries[:3])
    with Dataset(collection) as dataset:
        takedown.take_down(collection, dataset, "sha256", hashlib.sha256(LEAF).hexdigest(), **WHY)
    rewritten(collection)
    assert holding(collection.root, LEAF) == []
    assert faults(collection) == []


@pytest.mark.parametrize(
    "place",
    ["rewrite.planned", "rewrite.written", "seal.manifested", "seal.renamed", "rewrite.sealed:2", "rewrite.relocated"],
)
def test_a_killed_rewrite_goes_on(shop: Shop, place: str) -> None:
    collection = shop.collection
    with Dataset(collection) as dataset:
        takedown.take_down(collection, dataset, "post", "105306842726444723", **WHY)
    command = [sys.executable, str(ROOT / "cli.py"), "takedown", str(collection.root), "--rewrite", "--purge"]
    killed = subprocess.run(command, env={**os.environ, "OUTLAST_FAILPOINT": place}, capture_output=True, check=False)
    assert killed.returncode == -9, killed.stderr
    again = subprocess.run(command, capture_output=True, check=False)
    assert again.returncode == 0, again.stderr
    assert holding(collection.root, TOKEN.encode()) == []
    assert faults(collection) == []
    assert [one.kind for one in Withheld.load(collection).entries] == ["takedown", "rewrite", "rewritten"]


@pytest.mark.parametrize("is_rewritten", [False, True])
def test_what_is_asked_for_again_adds_nothing_to_the_trail(shop: Shop, is_rewritten: bool) -> None:
    collection = shop.collection
    other = {**WHY, "by": "Mr. Stork"}
    with Dataset(collection) as dataset:
        first, _ = takedown.take_down(collection, dataset, "post", "105306842726444723", **WHY)
    if is_rewritten:
        rewritten(collection)
    with Dataset(collection) as dataset:
        count = len(dataset.withheld.entries)
        again, _ = takedown.take_down(collection, dataset, "post", "105306842726444723", **WHY)
        assert (again, len(dataset.withheld.entries)) == (first, count)
        takedown.quarantine(collection, dataset, "list", ["0" * 64], **WHY)
        takedown.quarantine(collection, dataset, "list", ["0" * 64], **WHY)
        takedown.quarantine(collection, dataset, "list", ["0" * 64, "1" * 64], **WHY)
        takedown.take_down(collection, dataset, "url", "https://a.example/2", **WHY)
        second, _ = takedown.take_down(collection, dataset, "url", "https://a.example/2", **other)
        takedown.lift(dataset, second.sequence, **WHY)
        third, _ = takedown.take_down(collection, dataset, "url", "https://a.example/2", **other)
        kinds = [one.kind for one in dataset.withheld.entries[count:]]
    assert kinds == ["takedown"] * 4 + ["lift", "takedown"], "longer lists, other people and what was lifted are new"
    assert third.sequence == count + 6


def test_the_trail_is_a_chain(shop: Shop) -> None:
    collection = shop.collection
    with Dataset(collection) as dataset:
        takedown.take_down(collection, dataset, "post", "2", **WHY)
        takedown.take_down(collection, dataset, "post", "105306842726444723", **WHY)
    path = collection.root / "withheld.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1][:40])
    assert len(Withheld.load(collection).entries) == 1, "what was torn was never promised"
    path.write_bytes(lines[0].replace(b"Heron", b"Stork") + lines[1])
    with pytest.raises(Damaged):
        Withheld.load(collection)


def test_a_dataset_that_slept_through_a_takedown(shop: Shop) -> None:
    collection = shop.collection
    with Dataset(collection) as dataset, Dataset(collection) as other:
        dataset.update()
        takedown.take_down(collection, dataset, "post", "105306842726444723", **WHY)
        assert "105306842726444723" not in texts(other)
    old = (collection.root / "dataset.sqlite").read_bytes()
    with Dataset(collection) as dataset:
        takedown.take_down(collection, dataset, "post", "2", **WHY)
    (collection.root / "dataset.sqlite").write_bytes(old)
    with Dataset(collection) as dataset:
        assert {row["id"] for row in search(dataset, Query())} <= {"4"}
