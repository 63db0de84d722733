"""Headless Chromium over its debugging protocol: what a page shows, in all of its frames and shadow trees."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import time
from pathlib import Path
from typing import Any

import aiohttp

#: No name leads anywhere but to this machine.
ALONE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"
#: What all documents that this one can reach show.
LOOK = """
(() => {
    const seen = {text: "", images: [], videos: []};
    const walk = (root) => {
        for (const one of root.querySelectorAll("*")) {
            if (one.shadowRoot) walk(one.shadowRoot);
            if (one.tagName === "IFRAME" && one.contentDocument?.documentElement) visit(one.contentDocument);
        }
    };
    const visit = (page) => {
        seen.text += page.body?.innerText ?? "";
        for (const one of page.images) if (one.currentSrc) seen.images.push([one.currentSrc, one.naturalWidth]);
        for (const one of page.querySelectorAll("video")) {
            if (one.paused) { one.muted = true; one.play().catch(() => 0); }
            seen.videos.push([one.currentSrc, one.videoWidth, one.currentTime]);
        }
        walk(page);
    };
    visit(document);
    return seen;
})()
"""


class Page:
    """One page; ``elsewhere`` are addresses of servers that answered and are not on this machine."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._count = 0
        self.elsewhere: set[str] = set()
        self.asked: list[str] = []

    async def call(self, method: str, **parameters: Any) -> Any:
        self._count += 1
        await self._socket.send_json({"id": self._count, "method": method, "params": parameters})
        while True:
            told = json.loads((await self._socket.receive(timeout=30)).data)
            self._hear(told)
            if told.get("id") == self._count:
                assert "error" not in told, told
                return told["result"]

    def _hear(self, told: dict[str, Any]) -> None:
        if told.get("method") == "Network.requestWillBeSent":
            self.asked.append(told["params"]["request"]["url"])
        if told.get("method") == "Network.responseReceived":
            address = told["params"]["response"].get("remoteIPAddress") or "127.0.0.1"
            if address not in {"127.0.0.1", "[::1]"}:
                self.elsewhere.add(address)

    async def look(self) -> dict[str, Any]:
        found = await self.call("Runtime.evaluate", expression=LOOK, returnByValue=True)
        return dict(found["result"].get("value") or {"text": "", "images": [], "videos": []})

    async def until(self, holds: Any, seconds: float) -> dict[str, Any]:
        """Look until what is seen is as wanted, or for so long."""
        end = time.monotonic() + seconds
        while True:
            seen = await self.look()
            if holds(seen) or time.monotonic() > end:
                return seen
            await asyncio.sleep(0.3)


async def _shown(port: str, url: str, holds: Any, seconds: float) -> tuple[dict[str, Any], Page, bytes]:
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{port}/json") as answer:
            target = next(one for one in await answer.json() if one["type"] == "page")
        async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=1 << 28) as socket:
            page = Page(socket)
            for domain in ("Network", "Page"):
                await page.call(f"{domain}.enable")
            await page.call("Page.navigate", url=url)
            seen = await page.until(holds, seconds)
            shot = await page.call("Page.captureScreenshot", format="png")
            return seen, page, base64.b64decode(shot["data"])


def shown(
    command: list[str], profile: Path, url: str, holds: Any, picture: Path, seconds: float = 40
) -> tuple[dict[str, Any], Page]:
    """Open a URL in a Chromium started so, until ``holds`` is true of what is seen; keep a screenshot."""
    arguments = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--remote-debugging-port=0",
        "--window-size=1200,900",
    ]
    process = subprocess.Popen(
        [*command, *arguments, "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + 30
        while not (profile / "DevToolsActivePort").exists():
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.1)
        port = (profile / "DevToolsActivePort").read_text().partition("\n")[0]
        seen, page, shot = asyncio.run(_shown(port, url, holds, seconds))
        picture.write_bytes(shot)
        return seen, page
    finally:
        process.terminate()
        process.wait(20)
