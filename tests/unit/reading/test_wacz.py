"""WACZ exports: what is in one, that a killed one goes on, and that the same collection is the same bytes."""

from __future__ import annotations

import gzip
import hashlib
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from crawler.errors import Damaged, UsageError
from crawler.evidence import keys
from crawler.reading import wacz
from crawler.reading.export import Order, export
from crawler.warc.verify.references import References
from crawler.warc.verify.wacz import check_wacz
from crawler.withheld import Names, Withheld
from tests.unit.reading.shelves import Shop

POST = {"id": "1", "text": "black tea", "author": "heron", "author_name": "A heron"}
PAGES = ("https://a.example/", "https://a.example/1", "https://a.example/again")
HTML = b"<!doctype html><title> The\n tea house </title><script>evil()</script><p>Open <b>late</b>"


@pytest.fixture
def order(tmp_path: Path) -> Order:
    shop = Shop(tmp_path / "c")
    page, pages, attempts, restricted = (
        shop.segment(),
        shop.segment(),
        shop.segment("attempts"),
        shop.segment("restricted"),
    )
    page.says(POST)
    page.holds("https://a.example/1", b"<p>a post's page", "text/html")
    first = pages.holds("https://a.example/", HTML, "text/html; charset=utf-8")
    pages.holds("https://a.example/again", HTML, "text/html", original=first)
    pages.holds("https://a.example/x.jpg", b"no page")
    attempts.says(status="429 Too Many", url="https://a.example/")
    restricted.says({"id": "2", "text": "SECRET"}, url="https://a.example/secret")
    for one in (page, pages, attempts, restricted):
        one.seal()
    return Order(collection=shop.collection, output=tmp_path / "out.wacz")


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as file:
        assert file.testzip() is None
        assert {one.compress_type for one in file.infolist()} == {zipfile.ZIP_STORED}
        return {name: file.read(name) for name in file.namelist()}


def pages(found: dict[str, bytes]) -> dict[str, Any]:
    return {one["url"]: one for one in map(json.loads, found["pages/pages.jsonl"].splitlines()[1:])}


def test_what_is_in_it(order: Order) -> None:
    (written,) = export("wacz", order)
    found = members(order.output)
    assert not written.lacks
    segments = [path for path in order.collection.sealed_segments() if "-text." in path.name]
    assert {f"archive/{path.name}" for path in segments} == {name for name in found if name.startswith("archive/")}
    assert all(found[f"archive/{path.name}"] == path.read_bytes() for path in segments)
    assert not any(b"SECRET" in data or b'"429"' in data for data in found.values())
    told = json.loads(found["datapackage.json"])
    assert told["mainPageUrl"] == "https://a.example/"
    for one in told["resources"]:
        assert one["hash"] == f"sha256:{hashlib.sha256(found[one['path']]).hexdigest()}"
        assert one["bytes"] == len(found[one["path"]])
    assert not list(check_wacz(order.output, References()))


def test_pages_have_titles_and_texts(order: Order) -> None:
    list(export("wacz", order))
    found = pages(members(order.output))
    assert set(found) == set(PAGES)
    assert found["https://a.example/"]["title"] == "The tea house"
    assert found["https://a.example/"]["text"] == found["https://a.example/again"]["text"] == "Open late"
    assert found["https://a.example/1"]["title"] == "A heron: black tea"
    assert found["https://a.example/1"]["text"] == "black tea"
    assert next(iter(found)) == "https://a.example/"


def test_a_killed_export_goes_on(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    list(export("wacz", order))
    whole = order.output.read_bytes()
    order.output.unlink()
    monkeypatch.setattr(wacz, "EVERY", 1000)

    def killed(name: str) -> None:
        if name == "export.wacz" and parts()[0].stat().st_size >= 2000:
            raise KeyboardInterrupt

    def parts() -> list[Path]:
        return list(order.output.parent.glob(".out.wacz.*.part"))

    monkeypatch.setattr(wacz, "failpoint", killed)
    with pytest.raises(KeyboardInterrupt):
        list(export("wacz", order))
    (part,) = parts()
    with part.open("r+b") as file:  # what follows the last mark may be anything
        file.seek(0, 2)
        file.write(b"torn")
        file.seek(5)
        file.write(b"X")  # what comes before it is not written again
    monkeypatch.undo()
    monkeypatch.setattr(wacz, "EVERY", 1000)
    list(export("wacz", order))
    assert order.output.read_bytes()[6:] == whole[6:]
    assert order.output.read_bytes()[5:6] == b"X"
    assert not parts()


def test_a_damaged_segment_is_found_out(order: Order) -> None:
    path = next(one for one in order.collection.sealed_segments() if "-text." in one.name)
    data = bytearray(path.read_bytes())
    data[-30] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(Damaged, match="is not what it was"):
        list(export("wacz", order))
    assert not order.output.exists()


def test_parts_hold_all_and_say_so(order: Order) -> None:
    folder = order.output.with_suffix("")
    written = list(export("wacz", replace(order, output=folder, split=1)))
    told = json.loads((folder / "multi.json").read_text())
    assert told["profile"] == "multi-wacz-package"
    assert len(written) == 3
    for one in told["resources"]:
        assert one["hash"] == f"sha256:{hashlib.sha256((folder / one['path']).read_bytes()).hexdigest()}"
        assert not [each for each in check_wacz(folder / one["path"], References()) if each.severity == "error"]
    listed = [pages(members(path)) for path in sorted(folder.glob("*.wacz"))]
    assert set(listed[0]) | set(listed[1]) == set(PAGES)


def test_a_signature_is_over_the_datapackage(order: Order) -> None:
    key = Ed25519PrivateKey.generate()
    list(export("wacz", replace(order, key=key)))
    found = members(order.output)
    told = json.loads(found["datapackage-digest.json"])
    assert told["hash"] == f"sha256:{hashlib.sha256(found['datapackage.json']).hexdigest()}"
    signature = bytes.fromhex(told["ed25519"]["signature"])
    assert told["ed25519"]["publicKey"] == keys.raw(key.public_key()).hex()
    assert keys.holds(keys.raw(key.public_key()), signature, found["datapackage.json"])


def test_what_is_elsewhere_is_read_from_there_or_left_out(order: Order) -> None:
    list(export("wacz", order))
    whole = order.output.read_bytes()
    path = next(one for one in order.collection.sealed_segments() if "-text." in one.name)
    data = path.read_bytes()
    path.unlink()
    away = {path.name: data}
    list(export("wacz", replace(order, remote=lambda name, start, length: away[name][start : start + length])))
    assert order.output.read_bytes() == whole
    (written,) = export("wacz", order)
    assert "elsewhere" in written.lacks[0]
    assert f"archive/{path.name}" not in members(order.output)


def test_a_segment_with_what_was_taken_down_is_left_out(order: Order) -> None:
    list(export("wacz", order))
    assert "https://a.example/1" in pages(members(order.output))
    names = Names(files=("https://a.example/1",))
    Withheld.load(order.collection).add(
        "takedown", by="a heron", reason="asked", what=("url", "https://a.example/1"), names=names
    )
    (written,) = export("wacz", order)
    found = members(order.output)
    assert "--rewrite" in written.lacks[0]
    assert not any(b"a post's page" in gzip.decompress(data) for name, data in found.items() if name.endswith(".gz"))
    assert set(pages(found)) == {"https://a.example/", "https://a.example/again"}
    assert b"https://a.example/1" not in found["indexes/index.cdx"]


def test_a_directory_is_not_overwritten(order: Order) -> None:
    order.output.mkdir()
    with pytest.raises(UsageError, match="directory"):
        list(export("wacz", order))
