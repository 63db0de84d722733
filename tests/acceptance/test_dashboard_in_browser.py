"""The live page in a real browser, during a crawl: hostile posts stay text, and every control can be clicked."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from crawler.replicas.images import png
from tests.acceptance.browser import Page, browser
from tests.acceptance.support import archive, start

SPIDER = """
from crawler.model import Lane, Post
from spiders.base import IMAGES, LISTINGS, PlatformSpider, Territory

PAGES = Lane(name="pages", order=80)


class TeaSpider(PlatformSpider):
    name = "tea"
    title = "Tea"
    lanes = (LISTINGS, IMAGES, PAGES)
    kinds = ("page", "image")

    @classmethod
    def territory(cls, seed):
        return Territory()

    def seeds(self, seed):
        yield self.fetch(seed.url, lane=LISTINGS, callback=self.parse_posts)

    def parse_posts(self, response):
        for one in response.data():
            yield Post(platform="tea", captured_at=response.captured_at.isoformat(), source_url=response.url, **one)
        yield self.fetch(response.urljoin("/page/bad"), lane=LISTINGS, parent=response, callback=self.parse_bad)
        for n in range(20):
            url = response.urljoin(f"/{n}.png")
            yield self.fetch(url, lane=IMAGES, parent=response, covers=("image", url))
        for n in range(400):
            url = response.urljoin(f"/page/{n}")
            yield self.fetch(url, lane=PAGES, parent=response, covers=("page", url))

    def parse_bad(self, response):
        raise ValueError("<b>bad</b>")
"""
OWNED = "document.title='owned';document.body.dataset.owned='1'"
POSTS = [
    {"id": "1", "url": f"javascript:{OWNED}", "author": f'"><svg onload="{OWNED}">', "text": f"<script>{OWNED}</script>"},
    {"id": "2", "url": "https://a.example/'\"><b>", "author": "b", "text": f'<img src=x onerror="{OWNED}"></li></ul>'},
    {"id": "3", "url": "https://a.example/3", "author": "\u202egnp.exe", "text": f"{{{{constructor.constructor(`{OWNED}`)()}}}}"},
]  # fmt: skip
#: What reaches beyond the right edge.
WIDER = """[...document.querySelectorAll("main *")].filter(one =>
    one.getBoundingClientRect().right > document.documentElement.clientWidth + 1).map(one => one.outerHTML.slice(0, 200))"""


class Tea(BaseHTTPRequestHandler):
    """A site whose people mean harm."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        status, kind, body = 200, "text/html", b"<script>" + OWNED.encode() + b"</script>"
        if self.path == "/":
            kind, body = "application/json", json.dumps(POSTS).encode()
        elif self.path == "/0.png":
            kind, body = "image/png", f'<svg xmlns="http://www.w3.org/2000/svg" onload="{OWNED}"/>'.encode()
        elif self.path.endswith(".png"):
            kind, body = "text/html", png(self.path)
        elif self.path == "/robots.txt":
            status, body = 404, b"no"
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *told: Any) -> None:
        pass


@pytest.fixture
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Tea)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def _status(place: Path) -> dict[str, Any]:
    return archive("status", place, "--json").summary


async def _url(place: Path) -> str:
    for _ in range(300):
        if (place / "dashboard.url").exists() and (found := (place / "dashboard.url").read_text().strip()):
            return found
        await asyncio.sleep(0.1)
    raise AssertionError("no page")


async def _clicked(page: Page, said: str) -> None:
    """Wait for the page's own word that an order is given."""
    await page.until(f"document.querySelector('#answer').textContent.startsWith({json.dumps(said)})")


@pytest.mark.outside
async def test_the_live_page_in_a_browser(site: str, tmp_path: Path) -> None:
    place, spider, shots = tmp_path / "c", tmp_path / "tea.py", tmp_path / "shots"
    shots.mkdir()
    spider.write_text(SPIDER)
    port = site.rstrip("/").rpartition(":")[2]
    crawl = start(
        "crawl", site, "--into", place, "--spider", spider, "--rate", "6", "--max-time", "4m", "--dashboard", "0",
        "--seal-every", "5s",
    )  # fmt: skip
    try:
        async with browser(tmp_path / "profile") as page:
            await page.look(1200)
            await page.open(await _url(place))
            await page.until("document.querySelectorAll('#posts li').length === 3")
            await page.until("document.querySelectorAll('#images img').length === 8")
            await _hostile(page)
            await _steered(page, place, port)
            for name, width, dark in (("light", 1200, False), ("dark", 1200, True), ("narrow", 390, False)):
                await page.look(width, dark=dark)
                assert await page.run(WIDER) == [], name
                await _brought(page)
                await page.until("[...document.images].every(one => one.complete && one.naturalWidth > 0)")
                await page.picture(shots / f"{name}.png")
                assert (shots / f"{name}.png").stat().st_size > 20_000
            await page.look(800, media="print")
            assert await page.run("getComputedStyle(document.querySelector('#controls')).display") == "none"
            await page.picture(shots / "print.png")
            await page.look(1200)
            await page.click("#stop")
            await page.until("document.querySelector('#stop').textContent === 'Really stop?'")
            await page.click("#stop")
            await page.until("document.querySelector('#state').textContent === 'this run has ended'")
            assert page.said == []
            assert {url.split("/")[2] for url in page.asked} == {(await page.run("location.host"))}
        assert crawl.wait(30) == 130
    finally:
        if crawl.poll() is None:
            os.killpg(crawl.pid, signal.SIGKILL)
            crawl.wait()


async def _brought(page: Page) -> None:
    """Who brings a fleet's crawl is named, also one with a long name, none, or a hostile one; nothing is too wide."""
    plain = {
        "captures": 0,
        "bytes": 0,
        "leased": 0,
        "held": 0,
        "proven_bytes": 0,
        "refused": 0,
        "differs": 0,
        "agrees": 0,
    }
    names = ("anna", "W" * 60, "<b>mallory</b>", "")
    fleet = [
        {**plain, "node": number, "name": name, "kind": "volunteer", "standing": standing, "heard": 1000, "refused": number // 3}
        for number, (name, standing) in enumerate(zip(names, ("here", "late", "silent", "left"), strict=True), 1)
    ]  # fmt: skip
    shown = await page.run(
        f"(() => {{ fleet({json.dumps({'at': 1090, 'fleet': fleet})}); const rows = [...document.querySelectorAll('#members tr')];"
        f" return [rows.map(row => [row.firstChild.textContent, row.lastChild.textContent]), {WIDER}]; }})()"
    )
    assert shown == [
        [["anna (volunteer 1)", "here"], [f"{'W' * 60} (volunteer 2)", "late, not heard for 2 min"],
         ["<b>mallory</b> (volunteer 3)", "silent, not heard for 2 min, 1 segments refused"],
         ["volunteer 4", "left, 1 segments refused"]], [],
    ]  # fmt: skip


async def _hostile(page: Page) -> None:
    """What strangers wrote is text, and changed nothing."""
    shown = await page.run("[...document.querySelectorAll('#posts .text')].map(one => one.textContent)")
    assert sorted(shown) == sorted(post["text"] for post in POSTS)
    assert (
        await page.run("document.querySelectorAll('#posts script, #posts img, #posts svg, #posts b, #posts a').length")
        == 0
    )
    assert await page.run("document.body.dataset.owned === undefined && !document.title.includes('owned')")
    assert await page.run("location.hash") == ""


async def _steered(page: Page, place: Path, port: str) -> None:
    """Click each control, and see what came of it."""
    host = f"127.0.0.1:{port}"
    await page.click("#pause")
    await _clicked(page, "pause")
    await page.until("document.querySelector('#state').textContent === 'paused'")
    assert _status(place)["orders"]["paused"]
    done = await page.run("document.querySelector('#share').textContent")
    await asyncio.sleep(2.5)
    assert await page.run("document.querySelector('#share').textContent") == done
    told = _status(place)
    shown = await page.run(
        "Object.fromEntries([...document.querySelectorAll('#facts > div')].map(one => [...one.children].map(part => part.textContent)))"
    )
    for name in ("done", "queued", "parked", "failed", "excluded", "captures", "attempts"):
        assert int(shown[name.capitalize()].replace(",", "")) == told[name], name
    for row, value, said in (
        ("input:nth-of-type(1)", "5", f"rate {host} 5"),
        ("input:nth-of-type(2)", "2", f"concurrency {host} 2"),
    ):
        await page.type(f"#hosts tr {row}", value)
        await page.click("#hosts tr button")
        await _clicked(page, said)
    await page.type("#lanes tr[data-key=pages] input", "-3")
    await page.click("#lanes tr[data-key=pages] button")
    await _clicked(page, "lane pages -3")
    for pattern in ("/page/1", "/mistake/"):
        await page.type("#pattern", pattern)
        await page.click("#exclude button")
        await _clicked(page, f"exclude {pattern}")
    await page.click("#excluded li[data-key='/mistake/'] button")
    await _clicked(page, "include /mistake/")
    await page.click("#pause")
    await _clicked(page, "resume")
    await page.until("document.querySelector('#state').textContent === 'crawling'")
    assert _status(place)["orders"] == {
        "paused": False, "rates": {host: 5.0}, "concurrency": {host: 2}, "lanes": {"pages": -3}, "exclude": ["/page/1"],
    }  # fmt: skip
    await page.until("/page.bad.*evidence: OUTLAST-/.test(document.querySelector('#troubles').textContent)", 40)
    await page.click("#failed")
    await _clicked(page, "retry failed")
