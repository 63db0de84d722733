"""The servers of a replay: ranges as RFC 9110 has them, the loopback alone, and answers of then."""

from __future__ import annotations

import gzip
import http.client
import json
import ssl
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from crawler.errors import Damaged, UsageError
from crawler.reading.export import Order, export
from crawler.reading.replay import NotInstalled, Wish, browser
from crawler.reading.replay.direct import direct
from crawler.reading.replay.holding import Holding, of_collection, of_wacz
from crawler.reading.replay.served import of_text, serving, span
from crawler.reading.replay.viewer import replayweb
from tests.unit.reading.shelves import Shop
from tests.unit.warc.making import capture


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (None, None), ("bytes=0-3", (0, 4)), ("bytes=4-", (4, 10)), ("bytes=-3", (7, 10)), ("bytes=-99", (0, 10)),
        ("bytes=2-99", (2, 10)), ("bytes=5-2", None), ("bytes=-", None), ("bytes=0-1,3-4", None), ("lines=1-2", None),
        ("bytes=x-3", None), (" bytes=9-9 ", (9, 10)),
    ],
)  # fmt: skip
def test_what_a_range_asks_for(header: str | None, found: tuple[int, int] | None) -> None:
    assert span(header, 10) == found


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=99-100", "bytes=-0"])
def test_a_range_of_nothing(header: str) -> None:
    with pytest.raises(ValueError, match="nothing"):
        span(header, 10)


def chunked(packed: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(packed), packed)


def ask(
    port: int, path: str, host: str = "", method: str = "GET", body: bytes = b"", tls: bool = False, **headers: str
) -> Any:
    if tls:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            "127.0.0.1", port, context=context, timeout=10
        )
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body or None, {"Host": host or f"127.0.0.1:{port}", **named})
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer.status, data, answer.headers


def test_things_are_served_in_ranges_on_the_loopback_alone() -> None:
    with serving({"/a": of_text("text/plain", "0123456789")}.get) as port:
        assert ask(port, "/a?x")[:2] == (200, b"0123456789")
        status, data, headers = ask(port, "/a", Range="bytes=-3")
        assert (status, data, headers["Content-Range"]) == (206, b"789", "bytes 7-9/10")
        status, data, headers = ask(port, "/a", method="HEAD")
        assert (status, data, headers["Content-Length"], headers["Accept-Ranges"]) == (200, b"", "10", "bytes")
        assert ask(port, "/a", Range="bytes=10-")[0] == 416
        assert ask(port, "/b")[0] == 404
        assert ask(port, "/a", host="evil.example")[0] == 421
        assert ask(port, "/a", host=f"localhost:{port}")[0] == 200


@pytest.fixture
def order(tmp_path: Path) -> Order:
    shop = Shop(tmp_path / "c")
    page, later = shop.segment(), shop.segment()
    first = page.holds("https://a.example/film.mp4", bytes(range(256)) * 100, "video/mp4")
    page.holds("https://a.example/page", b"old", "text/html")
    page.holds("http://a.example:8080/plain", b"no tls", "text/plain")
    later.holds("https://a.example/page", b"new", "text/html", minutes=9)
    later.holds("https://b.example/copy.mp4", bytes(range(256)) * 100, "video/mp4", original=first)
    packed = gzip.compress(b"tea " * 1000)
    later.segment.add(capture("https://a.example/chunked", chunked(packed)), lane="images", callback=None)
    for one in (page, later):
        one.seal()
    return Order(collection=shop.collection, output=tmp_path / "out.wacz")


@contextmanager
def shown(holding: Holding, monkeypatch: pytest.MonkeyPatch, wish: Wish) -> Iterator[int]:
    monkeypatch.setattr(browser.shutil, "which", lambda name: f"/usr/bin/{name}")
    with direct(holding, wish) as found:
        assert f"--host-resolver-rules=MAP * 127.0.0.1:{found.port}" in found.browser
        yield found.port


@pytest.fixture(params=["collection", "wacz"])
def holding(request: pytest.FixtureRequest, order: Order) -> Iterator[Holding]:
    if request.param == "collection":
        with of_collection(order.collection) as found:
            yield found
        return
    list(export("wacz", order))
    with of_wacz(order.output) as found:
        yield found


def test_the_direct_engine_answers_as_the_server_did(holding: Holding, monkeypatch: pytest.MonkeyPatch) -> None:
    film = bytes(range(256)) * 100
    with shown(holding, monkeypatch, Wish()) as port:
        assert ask(port, "/film.mp4", "a.example", tls=True)[:2] == (200, film)
        status, data, headers = ask(port, "/film.mp4", "a.example", tls=True, Range="bytes=300-309")
        assert (status, data) == (206, film[300:310])
        assert headers["Content-Type"] == "video/mp4"
        assert ask(port, "/copy.mp4", "b.example", tls=True)[1] == film
        assert ask(port, "/page", "a.example", tls=True)[1] == b"new"
        assert ask(port, "/plain", "a.example:8080")[1] == b"no tls"
        status, data, headers = ask(port, "/chunked", "a.example", tls=True)
        assert headers["Content-Encoding"] == "gzip"
        assert headers["Transfer-Encoding"] is None
        assert gzip.decompress(data) == b"tea " * 1000
        status, data, headers = ask(port, "/no<b>", "nobody.example")
        assert (status, headers["X-Outlast-Replay"]) == (404, "not-held")
        assert b"http://nobody.example/no&lt;b&gt;" in data
        assert ask(port, "/page", "a.example", "OPTIONS", Origin="https://x.example")[0] == 204


def test_the_capture_nearest_in_time_is_shown(holding: Holding, monkeypatch: pytest.MonkeyPatch) -> None:
    with shown(holding, monkeypatch, Wish(at="20210110120400")) as port:
        assert ask(port, "/page", "a.example", tls=True)[1] == b"old"


def test_the_viewer_gets_its_files_and_the_archive(holding: Holding, tmp_path: Path) -> None:
    folder = tmp_path / "v" / "package"
    folder.mkdir(parents=True)
    with pytest.raises(NotInstalled, match="npm pack"), replayweb(holding, Wish(viewer=tmp_path / "v")):
        pass
    for name in ("ui.js", "sw.js"):
        (folder / name).write_text(name)
    with replayweb(holding, Wish(viewer=tmp_path / "v", url='https://a.example/"><script>')) as found:
        assert b"&quot;&gt;&lt;script&gt;" in ask(found.port, "/")[1]
        assert ask(found.port, "/replay/sw.js")[1] == b"sw.js"
        copy = tmp_path / "copy.wacz"
        copy.write_bytes(ask(found.port, "/archive.wacz")[1])
        with zipfile.ZipFile(copy) as file:
            assert file.testzip() is None
            assert json.loads(file.read("datapackage.json"))["wacz_version"] == "1.1.1"


@pytest.mark.parametrize("rubbish", [b"", b"PK", b"no zip at all" * 99])
def test_rubbish_is_no_wacz(rubbish: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.wacz"
    path.write_bytes(rubbish)
    with pytest.raises(UsageError, match="no WACZ"), of_wacz(path):
        pass


def test_an_index_that_leads_elsewhere_reads_nothing(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    list(export("wacz", order))
    path = order.output.with_name("lies.wacz")
    with zipfile.ZipFile(order.output) as whole, zipfile.ZipFile(path, "w") as lies:
        for one in whole.infolist():
            data = whole.read(one)
            if one.filename == "indexes/index.cdx":
                data = data.replace(b'"offset": "', b'"offset": "99999999')
            lies.writestr(one, data)
    with of_wacz(path) as holding, shown(holding, monkeypatch, Wish()) as port:
        assert ask(port, "/page", "a.example", tls=True)[0] == 502
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("datapackage.json", "{}")
        file.writestr("archive/a.warc.gz", "x" * 99)
    with pytest.raises((UsageError, Damaged), match="twice"), of_wacz(path):
        pass
