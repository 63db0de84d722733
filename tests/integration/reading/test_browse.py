"""The pages of ``archive browse``, over a socket: all that is held is reached, and no stranger has a say in them."""

from __future__ import annotations

import gzip
import http.client
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from crawler.collection import Collection
from crawler.reading.browse import browsing
from crawler.reading.dataset import Dataset
from crawler.reading.takedown import take_down
from tests.unit.reading.pages import EVIL, check, hostile
from tests.unit.reading.shelves import Shop
from tests.unit.reading.test_report import picture, words
from tests.unit.warc.making import capture

FILM = b"\0\0\0\x18ftypisom" + bytes(range(256)) * 3000


@contextmanager
def served(collection: Collection, **options: Any) -> Iterator[int]:
    with Dataset(collection) as dataset:
        dataset.update()
    with browsing(collection, **options) as port:
        yield port


def asked(
    server: int, path: str, method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], bytes]:  # fmt: skip
    connection = http.client.HTTPConnection("127.0.0.1", server, timeout=20)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def page(server: int, path: str) -> Any:
    status, headers, body = asked(server, path)
    assert status == 200, (path, body[-600:])
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script" not in policy
    assert "sandbox" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    return check(body.decode())


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    shop = Shop(tmp_path_factory.mktemp("browse") / "c")
    text = shop.segment()
    text.says(*({"id": str(n), "text": f"tea {n}", "author": "heron", "author_name": "Heron",
                 "created_at": [f"2021-01-{n % 7 + 1:02}T10:00:00+00:00"] * 2} for n in range(60)))  # fmt: skip
    text.says(*({"id": f"r{n}", "text": f"toast {n}", "kind": "reply", "in_reply_to": "5"} for n in range(30)))
    text.says({"id": "rr", "text": "deep", "kind": "reply", "in_reply_to": "r1"})
    text.says({"id": "5", "text": "tea 5, warmer", "created_at": ["2021-01-06T10:00:00+00:00"] * 2}, minutes=5)
    text.says(
        hostile(),
        {"is": "account", "id": EVIL, "username": EVIL, "name": EVIL, "bio": EVIL, "avatar": "https://a.example/a.jpg"},
    )
    text.says(
        {
            "is": "account",
            "id": "heron",
            "username": "heron",
            "name": "Heron",
            "bio": "wades",
            "avatar": "https://a.example/a.jpg",
        }
    )
    for name in ("film.mp4", "evil.svg", "page.html", "packed.jpg", "pale.jpg"):
        text.says(
            {"is": "media", "id": name, "kind": "image", "url": f"https://a.example/{name}", "post": "7", "title": EVIL}
        )
    text.says({"is": "media", "id": "lost", "kind": "image", "url": "https://a.example/lost.jpg", "post": "7"})
    text.says(
        {"id": "gone", "text": "GONE tea", "deleted": True},
        {"is": "media", "id": "g", "kind": "image", "url": "https://a.example/gone.jpg", "post": "gone"},
    )
    text.seal()
    files = shop.segment("images")
    files.holds("https://a.example/a.jpg", picture())
    files.holds("https://a.example/film.mp4", FILM, "text/html")
    files.holds(
        "https://a.example/evil.svg",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>steal()</script></svg>",
        "image/svg+xml",
    )
    files.holds("https://a.example/page.html", b"<html><script>steal()</script></html>", "image/jpeg")
    files.holds("https://a.example/gone.jpg", picture(1, 1))
    packed = gzip.compress(picture(2, 2))
    wire = f"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n".encode()
    files.segment.add(capture("https://a.example/packed.jpg", wire + packed), lane="images", callback=None)
    files.seal()
    hidden = shop.segment("restricted")
    hidden.says({"id": "secret", "text": "SECRET tea"})
    hidden.seal()
    return shop


@pytest.fixture(scope="module")
def server(shop: Shop) -> Iterator[int]:
    with served(shop.collection) as server:
        yield server


def every(server: int, path: str) -> Iterator[Any]:
    """Yield the pages from one on."""
    seen = set()
    while path not in seen:
        seen.add(path)
        document = page(server, path)
        yield document
        path = (document.xpath("//a[@rel='next']/@href") or [path])[0]


def test_all_posts_are_reached_once(server: int) -> None:
    texts = [p.text_content() for document in every(server, "/") for p in document.xpath("//p[@class='text']")]
    assert len(texts) == 92
    assert sorted(one for one in texts if one.startswith("tea ") and len(one) < 8) == sorted(
        f"tea {n}" for n in range(60) if n != 5
    )
    assert "tea 5, warmer" in texts
    first = page(server, "/").xpath("//article//a[starts-with(@href, '/post')]/text()")
    assert first == sorted(first, reverse=True)


def test_a_thread(server: int) -> None:
    documents = list(every(server, "/post?id=5"))
    assert len(documents) == 2
    said = words(documents[0])
    assert "tea 5, warmer" in said
    assert "What it said before" in said
    replies = [
        p.text_content()
        for document in documents
        for p in document.xpath("//h2/following-sibling::article//p[@class='text']")
    ]
    assert replies == [f"toast {n}" for n in range(30)]
    deep = page(server, "/post?id=rr")
    assert [p.text_content() for p in deep.xpath("//p[@class='text']")][:3] == ["tea 5, warmer", "toast 1", "deep"]


def test_an_account_and_its_posts(server: int) -> None:
    documents = list(every(server, "/account?id=heron"))
    assert "wades" in words(documents[0])
    assert sum(len(document.xpath("//article")) for document in documents) == 60 - 1
    (picture_of,) = documents[0].xpath("//main//img/@src")
    assert asked(server, picture_of)[2] == picture()
    assert len(page(server, "/accounts").xpath("//tbody/tr")) == 2


def test_search(server: int) -> None:
    found = [document.xpath("//article") for document in every(server, "/search?q=toast")]
    assert sum(map(len, found)) == 30
    assert page(server, "/search?q=%22tea+7%22").xpath("//mark/text()")
    assert len(page(server, "/search?q=").xpath("//article")) == 25
    status, _, body = asked(server, "/search?q=%22")
    assert status == 404
    assert "This is no search" in words(check(body.decode()))


def test_what_is_deleted_or_restricted_is_not_shown(server: int, shop: Shop) -> None:
    for path in ("/", "/search?q=tea", "/search?q=GONE", "/media", "/search?q=SECRET"):
        for document in every(server, path):
            said = words(document)
            assert "GONE tea" not in said
            assert "SECRET tea" not in said
    for path in ("/post?id=gone", "/post?id=secret"):
        assert asked(server, path)[0] == 404
    with Dataset(shop.collection) as dataset:
        (digest,) = dataset.db.execute("SELECT sha256 FROM held WHERE url = 'https://a.example/gone.jpg'").fetchone()
    assert asked(server, f"/file/{digest}")[0] == 404
    with served(shop.collection, with_deleted=True) as other:
        assert "Marked as deleted" in words(page(other, "/post?id=gone"))
        assert asked(other, f"/file/{digest}")[0] == 200


def test_strangers_have_no_say(server: int) -> None:
    identity = hostile()["id"]
    for path in ("/post?id=", "/account?id=", "/search?q="):
        for name in (identity, EVIL, hostile()["author"], "javascript:steal()"):
            status, _, body = asked(server, path + quote(name, safe=""))
            assert status in {200, 404}
            check(body.decode())
    document = page(server, "/post?id=" + quote(identity, safe=""))
    (shown,) = document.xpath("//article[@class='chosen']//p[@class='text']")
    assert "<script>steal()</script>" in shown.text_content()
    assert "{{ 7 * 7 }}" in shown.text_content()
    assert "javascript:steal()" in document.xpath("//article")[0].text_content()
    assert not [
        href for href in document.xpath("//@href") if "javascript" in href and not href.startswith("/account?id=")
    ]
    account = page(server, "/account?id=" + quote(EVIL, safe=""))
    assert "<script>steal()" in account.xpath("//h1")[0].text_content()


def test_media_by_ranges_and_as_what_it_is(server: int) -> None:
    document = page(server, "/post?id=7")
    sources = document.xpath("//*[@src]/@src | //ul[@class='files']//a/@href")
    kinds = {}
    for source in set(sources):
        status, headers, body = asked(server, source)
        assert status == 200
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in headers["Content-Security-Policy"]
        assert headers["Content-Type"] in {"image/jpeg", "video/mp4"} or headers["Content-Disposition"].startswith(
            "attachment"
        )
        kinds[body[:12]] = headers["Content-Type"]
        if body == FILM:
            assert asked(server, source, Range="bytes=700000-700009")[2] == FILM[700000:700010]
            status, part, body = asked(server, source, Range="bytes=-5")
            assert (status, body, part["Content-Range"]) == (
                206,
                FILM[-5:],
                f"bytes {len(FILM) - 5}-{len(FILM) - 1}/{len(FILM)}",
            )
            assert asked(server, source, Range="bytes=999999999-")[0] == 416
            assert asked(server, source, "HEAD")[2] == b""
            assert asked(server, source, If_None_Match=headers["ETag"])[0] == 304
    assert kinds == {
        FILM[:12]: "video/mp4", b"<svg xmlns='": "application/octet-stream", b"<html><scrip": "application/octet-stream",
        picture(2, 2)[:12]: "image/jpeg",
    }  # fmt: skip
    assert words(document).count("not held") == 2


def test_who_asks_for_another_host_gets_nothing(server: int) -> None:
    for host in (
        "evil.example",
        f"evil.example:{server}",
        "127.0.0.1",
        f"127.0.0.1.evil.example:{server}",
    ):
        status, _, body = asked(server, "/", Host=host)
        assert status == 421
        assert b"tea" not in body
    assert asked(server, "/", Host=f"localhost:{server}")[0] == 200


@pytest.mark.parametrize(
    "path",
    ["/nope", "/file/" + "0" * 64, "/file/../../etc/passwd", "/post", "/post?id=%00", "/account?id=", "/?from=~", "/?from=~9&from=8",
     "/search?q=a&from=nan~x", "/media?from=" + "9" * 400, "/?" + "&".join(f"a{n}=1" for n in range(99)), "/%ff", "/search?q=%ff%fe",
     "/accounts?from=-1", "/search?q=" + "a" * 5000],
)  # fmt: skip
def test_rubbish_is_a_page(server: int, path: str) -> None:
    status, _, body = asked(server, path)
    assert status in {200, 404}
    check(body.decode())


def test_other_methods_and_broken_heads_end_quietly(server: int) -> None:
    assert asked(server, "/", "POST")[0] == 501
    connection = http.client.HTTPConnection("127.0.0.1", server, timeout=5)
    connection.putrequest("GET", "/")
    connection.putheader("X-Long", "a" * 70000)
    connection.endheaders()
    assert connection.getresponse().status == 431
    connection.close()
    assert asked(server, "/")[0] == 200


def test_what_is_not_on_this_machine_is_said(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "c")
    text = shop.segment()
    text.says(
        {"id": "1", "text": "tea"},
        {"is": "media", "id": "m", "kind": "image", "url": "https://a.example/a.jpg", "post": "1"},
    )
    text.seal()
    files = shop.segment("images")
    files.holds("https://a.example/a.jpg", picture())
    path = files.seal()
    with served(shop.collection) as server:
        data = path.read_bytes()
        path.unlink()
        (source,) = page(server, "/post?id=1").xpath("//img/@src")
        status, _, body = asked(server, source)
        assert status == 404
        assert re.search("is not on this machine", words(check(body.decode())))
    with served(shop.collection, remote=lambda _, start, length: data[start : start + length]) as server:
        assert asked(server, source)[2] == picture()


def test_a_damaged_record_ends_its_answer_and_nothing_else(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "c")
    text = shop.segment()
    text.says(
        {"id": "1", "text": "tea"},
        {"is": "media", "id": "m", "kind": "video", "url": "https://a.example/a.mp4", "post": "1"},
    )
    text.seal()
    noise = random.Random(1).randbytes(3 << 20)
    files = shop.segment("originals")
    files.holds("https://a.example/a.mp4", FILM[:12] + noise, "video/mp4")
    path = files.seal()
    with served(shop.collection) as server:
        (source,) = page(server, "/post?id=1").xpath("//video/@src")
        with path.open("r+b") as file:
            file.seek(path.stat().st_size // 2)
            file.write(b"damage" * 2000)
        connection = http.client.HTTPConnection("127.0.0.1", server, timeout=20)
        connection.request("GET", source)
        answer = connection.getresponse()
        with suppress(http.client.IncompleteRead):
            body = answer.read()
            assert answer.status == 404 or len(body) == len(noise) + 12
        connection.close()
        assert "tea" in words(page(server, "/"))


def test_what_is_taken_down_is_gone_at_once(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "c")
    for name in ("1", "2"):
        text = shop.segment()
        text.says({"id": name, "text": f"tea {name}"})
        text.seal()
    with served(shop.collection) as server:
        assert "tea 1" in words(page(server, "/"))
        with Dataset(shop.collection) as dataset:
            take_down(shop.collection, dataset, "post", "1", by="she", reason="hers")
        assert "tea 1" not in words(page(server, "/"))
        assert "tea 2" in words(page(server, "/"))
        assert asked(server, "/post?id=1")[0] == 404
