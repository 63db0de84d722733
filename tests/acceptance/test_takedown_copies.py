"""What becomes of copies when something is taken down: what leaves, what is deleted there, and what a lock forbids."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crawler.cold.destination import from_url
from crawler.cold.s3 import S3Store
from tests.acceptance.s3_servers import moto
from tests.acceptance.support import archive
from tests.unit.reading.shelves import Shop
from tests.unit.reading.test_takedown import TOKEN, holding

LEAF = b"leaf" * 1000
WHY = ("--by", "Ms. Heron", "--reason", "she asked")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path / "c")
    text, images, other = shop.segment(), shop.segment("images"), shop.segment()
    text.says({"id": "105306842726444723", "text": TOKEN, "author": "7"}, url="https://a.example/list")
    text.says({"id": "2", "text": "green tea"}, url="https://a.example/2")
    images.holds("https://a.example/leaf.jpg", LEAF)
    other.says({"id": "3", "text": "toast"}, url="https://a.example/3")
    for page in (text, images, other):
        page.seal()
    return shop


def test_copies_are_held_back_withdrawn_and_sent_anew(shop: Shop, tmp_path: Path) -> None:
    root, disk = shop.collection.root, tmp_path / "disk"
    disk.mkdir()
    to = ("--to", f"file://{disk}", "--copies", "1")
    assert archive("push", root, *to).code == 0
    assert len(holding(disk, TOKEN.encode())) == 1
    assert archive("takedown", root, "--post", "105306842726444723", *WHY).code == 0
    held = archive("push", root, *to)
    assert (held.code, "1 segments stay here" in held.out) == (3, True), held
    nothing = archive("takedown", root, "--copies", "--json")
    assert (nothing.code, nothing.summary["withdrawn"]) == (0, 0), "only what was rewritten is withdrawn"
    told = archive("takedown", root, "--rewrite", "--purge")
    assert "copies elsewhere still hold" in told.err
    gone = archive("takedown", root, "--copies", "--json")
    assert (gone.code, gone.summary["withdrawn"], gone.summary["kept"]) == (0, 2, {}), gone
    assert holding(disk, TOKEN.encode()) == []
    assert archive("push", root, *to).code == 0
    assert archive("audit", root).code == 0
    back = archive("pull", f"file://{disk}", "--into", tmp_path / "back")
    assert back.code == 0, back
    assert (tmp_path / "back" / "withheld.jsonl").read_bytes() == (root / "withheld.jsonl").read_bytes()
    assert archive("verify", tmp_path / "back").code == 0
    assert archive("search", tmp_path / "back", TOKEN).out == ""
    assert holding(tmp_path / "back", TOKEN.encode()) == []


def test_a_list_of_hashes_keeps_what_it_names_here(shop: Shop, tmp_path: Path) -> None:
    root, disk, listed = shop.collection.root, tmp_path / "disk", tmp_path / "list.txt"
    disk.mkdir()
    listed.write_text("# of the trust\n6f0e\n")
    bad = archive("quarantine", root, "--hashes", listed, "--by", "the trust")
    assert (bad.code, "list.txt:2" in bad.err) == (2, True)
    listed.write_text(f"# of the trust\n\n{hashlib.sha256(LEAF).hexdigest().upper()}  leaf.jpg\n{'0' * 64}\n")
    told = archive("quarantine", root, "--hashes", listed, "--by", "the trust", "--json")
    assert (told.code, told.summary["hashes"], told.summary["captures"]) == (0, 2, 1), told
    assert archive("push", root, "--to", f"file://{disk}", "--copies", "1").code == 3
    assert holding(disk, LEAF) == []
    late = shop.segment("images")
    late.holds("https://a.example/again.jpg", LEAF)
    late.seal()
    assert archive("push", root, "--to", f"file://{disk}", "--copies", "1").code == 3
    assert holding(disk, LEAF) == []
    assert archive("cat", root, hashlib.sha256(LEAF).hexdigest()).code == 3
    assert archive("export", root, "-f", "wacz", "-o", tmp_path / "part.wacz").code == 3, "the segment is left out"
    assert archive("takedown", root, "--rewrite", "--purge").code == 0
    assert archive("push", root, "--to", f"file://{disk}", "--copies", "1").code == 0
    assert archive("export", root, "-f", "wacz", "-o", tmp_path / "x.wacz").code == 0
    assert holding(root, LEAF) == holding(disk, LEAF) == holding(tmp_path, LEAF) == []


def test_what_a_lock_forbids_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with moto(tmp_path / "moto") as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        client = server.client()
        client.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
        until = datetime.now(UTC) + timedelta(days=9)
        locked = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": until}
        client.put_object(Bucket="locked", Key="p/locked", Body=b"1", ContentMD5="xMpCOKC5I4INzFCab3WEmw==", **locked)
        for data in (b"1", b"2"):
            client.put_object(Bucket="locked", Key="p/free", Body=data)
        client.delete_object(Bucket="locked", Key="p/free")
        client.put_object(Bucket="locked", Key="p/free-of-others", Body=b"3")
        store = S3Store(from_url("s3://locked/p", endpoint=server.url), connections=2, timeout=10)
        told = store.withdraw("p/locked")
        assert f"locked (COMPLIANCE) until {until:%Y-%m-%d}" in told
        assert "nobody can delete it before" in told
        assert store.withdraw("p/free") == ""
        assert store.withdraw("p/never") == ""
        store.close()
        left = client.list_object_versions(Bucket="locked")
        assert {one["Key"] for one in left["Versions"]} == {"p/locked", "p/free-of-others"}
        assert "DeleteMarkers" not in left
