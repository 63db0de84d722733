"""The report: what it counts, what it never shows, and that no stranger has a say in it."""

from __future__ import annotations

import io
import re
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from PIL import Image

from crawler.cold.copies import Copies as Ledger
from crawler.cold.copies import Copy, CopyState
from crawler.cold.destination import Destination
from crawler.collection import Collection
from crawler.commands.report import _copies
from crawler.errors import UsageError
from crawler.evidence.statement import sign
from crawler.model import Seed
from crawler.reading.report import Copies, write
from tests.unit.reading.pages import EVIL, check, hostile
from tests.unit.reading.shelves import Shop


def picture(north: float = 59.9, east: float = 10.7, colour: str = "teal") -> bytes:
    image, out = Image.new("RGB", (8, 8), colour), io.BytesIO()
    exif = Image.Exif()
    exif[0x8825] = {1: "N", 2: (int(north), round(north % 1 * 60), 0), 3: "E", 4: (int(east), round(east % 1 * 60), 0)}
    image.save(out, "JPEG", exif=exif)
    return out.getvalue()


def reported(collection: Collection, output: Path, **options: Any) -> tuple[Any, str]:
    write(collection, output, **options)
    text = output.read_text("utf-8")
    assert "http-equiv" in text
    assert not re.search(r"https?://(?!www\.w3\.org|[a-z.]*\.example|127\.0\.0\.1)", text)
    return check(text), text


def words(document: Any) -> str:
    return " ".join(document.find(".//main").text_content().split())


def test_strangers_have_no_say(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "c")
    page = shop.segment()
    page.says(hostile(), {"is": "account", "id": EVIL, "username": EVIL, "name": EVIL, "bio": EVIL})
    page.seal()
    files = shop.segment("images")
    files.holds("https://a.example/x.jpg", picture(), kind='text/html"><script>steal()</script>')
    files.seal()
    document, text = reported(shop.collection, tmp_path / "r.html", with_gps=True)
    assert "<script" not in text
    assert "1 tea <script>" in words(document)


def test_what_is_counted(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "c")
    page = shop.segment()
    day = "2021-01-{:02}T10:00:00+00:00".format
    page.says(*({"id": str(one), "text": f"tea {one}", "created_at": [day(one % 9 + 1)] * 2} for one in range(40)))
    page.says({"id": "3", "text": "tea 3, warmer", "created_at": [day(4)] * 2}, minutes=5)
    page.says({"id": "undated", "text": "tea", "kind": "reply"})
    page.says({"id": "vague", "text": "tea", "created_at": ["2021-01-01T00:00:00+00:00", "2021-01-05T00:00:00+00:00"]})
    page.says({"id": "gone", "text": "GONE", "deleted": True, "created_at": [day(5)] * 2})
    page.seal()
    document, _ = reported(shop.collection, tmp_path / "r.html")
    said = words(document)
    assert "42 posts and replies" in said
    assert "41 post, 1 reply" in said
    assert "Of 1 of them an earlier version is held" in said
    assert "1 more were marked as deleted" in said
    assert "Of 1 the platform says only about when" in said
    assert "1 have no date" in said
    table = document.xpath("//details[summary[contains(., 'Posts by day')]]//tbody/tr")
    counts = {row[0].text: sum(int(cell.text) for cell in row[1:]) for row in table}
    assert counts["2021-01-01"] == 5
    assert sum(counts.values()) == 41
    assert "43 posts and replies" in words(reported(shop.collection, tmp_path / "r.html", with_deleted=True)[0])


def test_what_is_restricted_never_appears(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "c")
    for kind in ("text", "restricted"):
        page = shop.segment(kind)
        page.says({"id": kind, "text": "tea", "kind": f"kind-{kind}"}, url=f"https://a.example/{kind}")
        page.seal()
    document, text = reported(shop.collection, tmp_path / "r.html")
    assert "kind-text" in text
    assert "kind-restricted" not in text
    assert "https://a.example/restricted" not in text
    assert "1 posts and replies" in words(document)


def test_places_only_where_they_are_asked_for(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "c")
    page = shop.segment()
    for name, gone in (("oslo", False), ("rome", True)):
        page.says(
            {"id": name, "text": "tea", "deleted": gone},
            {"is": "media", "id": name, "kind": "image", "url": f"https://a.example/{name}.jpg", "post": name},
        )
    page.seal()
    files = shop.segment("images")
    files.holds("https://a.example/oslo.jpg", picture(59.9, 10.7))
    files.holds("https://a.example/rome.jpg", picture(41.9, 12.5, "tan"))
    files.seal()
    assert "Where media was made" not in reported(shop.collection, tmp_path / "r.html")[1]
    document, text = reported(shop.collection, tmp_path / "r.html", with_gps=True)
    spots = document.xpath("//*[local-name()='circle']")
    assert [(one.get("cx"), one.get("cy")) for one in spots] == [("10.7", "-59.9")]
    assert "41.9" not in text
    assert len(document.xpath("//*[local-name()='circle']")) == 1
    both = reported(shop.collection, tmp_path / "r.html", with_gps=True, with_deleted=True)[0]
    assert len(both.xpath("//*[local-name()='circle']")) == 2


def test_one_post_of_1970_presses_nothing_together(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "c")
    page = shop.segment()
    times = [
        "1970-01-01T00:00:00+00:00",
        "9999-01-01T00:00:00+00:00",
        *[f"2021-01-{n % 20 + 1:02}T00:00:00+00:00" for n in range(600)],
    ]
    page.says(*({"id": str(n), "text": "tea", "created_at": [at, at]} for n, at in enumerate(times)))
    page.seal()
    said = words(reported(shop.collection, tmp_path / "r.html")[0])
    assert "a day a column" in said
    assert "1 are earlier than shown. 1 are later than shown." in said


def test_a_window_is_what_is_drawn(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "c")
    collection = Collection.create(
        tmp_path / "w",
        Seed(url="https://a.example/", since="2021-01-06T00:00:00+00:00", until="2021-01-08T00:00:00+00:00"),
        "tea",
    )
    collection.add_spider(tmp_path / "c.py", "tea")
    shop.collection = collection
    page = shop.segment()
    times = ["2020-01-01", "2021-01-04", "2021-01-06", "2021-01-07", "2021-01-08", "2021-01-10", "2021-03-01"]
    page.says(*({"id": at, "text": "tea", "created_at": [f"{at}T12:00:00+00:00"] * 2} for at in times))
    page.seal()
    document, _ = reported(collection, tmp_path / "r.html")
    assert "1 are earlier than shown. 1 are later than shown." in words(document)
    assert document.xpath("//*[local-name()='rect' and @class='window']")
    assert "2021-01-06 00:00:00 UTC to 2021-01-08 00:00:00 UTC" in words(document)


def test_an_empty_collection(tmp_path: Path) -> None:
    collection = Collection.create(tmp_path / "c", Seed(url="https://a.example/<b>"), "mastodon")
    document, _ = reported(collection, tmp_path / "r.html", with_gps=True)
    said = words(document)
    assert "Empty. Nothing was captured" in said
    assert "No segment is sealed" in said
    assert "a.example/<b>" in said


def test_every_drawing_says_what_it_shows(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "c")
    page = shop.segment()
    page.says({"id": "1", "text": "tea", "created_at": ["2021-01-06T10:00:00+00:00"] * 2})
    page.seal()
    files = shop.segment("images")
    files.holds("https://a.example/x.jpg", picture())
    files.seal()
    document, _ = reported(
        shop.collection, tmp_path / "r.html", copies=[Copies(name="b<i>", place="s3://x", objects=3, proven=2, bytes=9)]
    )
    drawings = document.xpath("//*[local-name()='svg']")
    assert len(drawings) >= 3
    for drawing in drawings:
        assert drawing.get("role") == "img"
        assert drawing.get("aria-label") or drawing.xpath("*[local-name()='title' or local-name()='desc']/text()")
        assert drawing.get("aria-label") or drawing.xpath("ancestor::figure//details//table")
    assert document.xpath("//html/@lang") == ["en"]
    assert "b<i>" in words(document)


def test_what_proves_it_and_where_its_copies_are(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "c")
    page = shop.segment()
    page.says({"id": "1", "text": "tea"})
    page.seal()
    said = words(reported(shop.collection, tmp_path / "r.html")[0])
    assert "not yet; archive sign c does" in said
    assert "this machine has the only one" in said
    key = Ed25519PrivateKey.generate()
    _, signed, _ = sign(shop.collection, key)
    more = shop.segment()
    more.says({"id": "2", "text": "toast"})
    more.seal()
    with closing(Ledger(shop.collection.root / "copies.sqlite")) as ledger:
        ledger.add("shed", asdict(Destination(name="shed", path="/mnt/<shed>")))
        for number, state in enumerate((CopyState.PROVEN, CopyState.PROVEN, CopyState.UPLOADING)):
            ledger.want(
                [Copy(object=f"warcs/{number}", sha256="0" * 64, destination="shed", key="k", state=state, bytes=1024)],
                now=0,
            )
        ledger.set_trouble("shed", "it refuses <us>")
    said = words(reported(shop.collection, tmp_path / "r.html", copies=_copies(shop.collection))[0])
    assert signed.public_key in said
    assert f"statement-00001.json, {signed.statement.made[:10]}" in said
    assert "over 1 segment (1 came later)" in said
    assert "shedfile:///mnt/<shed>not counted: it refuses <us>322.0 KiB" in said
    assert "no longer what was signed" not in said
    lines = shop.collection.manifest.read_bytes().splitlines(keepends=True)
    shop.collection.manifest.write_bytes(lines[0].replace(b'"records":', b'"records": '))
    assert "the manifest is no longer what was signed" in words(reported(shop.collection, tmp_path / "r.html")[0])
    (path,) = shop.collection.evidence.glob("statement-*")
    path.write_bytes(path.read_bytes().replace(b"outlast", b"otherwise"))
    assert "statement-00001.json: it" in words(reported(shop.collection, tmp_path / "r.html")[0])


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    collection = Collection.create(tmp_path / "c", Seed(url="https://a.example/"), "mastodon")
    for output in (tmp_path / "nowhere" / "r.html", tmp_path / "c"):
        with pytest.raises(UsageError, match="cannot be written"):
            write(collection, output)
    assert (tmp_path / "c" / "collection.json").exists()
    assert not list(tmp_path.glob("*.part"))
