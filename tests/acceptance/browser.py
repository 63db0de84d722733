"""Headless Chromium over its DevTools protocol: open a page, click, type, read, take a picture.

https://chromedevtools.github.io/devtools-protocol
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-sync", "--disable-background-networking",
    "--disable-component-update", "--disable-default-apps", "--no-first-run", "--remote-debugging-port=0",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
]  # fmt: skip


class Page:
    """One tab. ``said`` are its console's errors and uncaught exceptions, ``asked`` the URLs of its requests."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._count = 0
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self.said: list[str] = []
        self.asked: list[str] = []
        self._hearing = asyncio.create_task(self._hear())

    async def _hear(self) -> None:
        async for message in self._socket:
            told = json.loads(message.data)
            if (future := self._waiting.pop(told.get("id", 0), None)) is not None:
                future.set_result(told)
            match told.get("method"):
                case "Runtime.exceptionThrown" | "Log.entryAdded":
                    self.said.append(json.dumps(told["params"]))
                case "Network.requestWillBeSent":
                    self.asked.append(told["params"]["request"]["url"])

    async def do(self, method: str, **params: Any) -> dict[str, Any]:
        self._count += 1
        future = self._waiting[self._count] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": self._count, "method": method, "params": params})
        told = await asyncio.wait_for(future, 30)
        assert "error" not in told, told
        found: dict[str, Any] = told["result"]
        return found

    async def open(self, url: str) -> None:
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.do(f"{domain}.enable")
        await self.do("Page.navigate", url=url)

    async def run(self, script: str) -> Any:
        told = await self.do("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    async def until(self, script: str, seconds: float = 20) -> Any:
        """Wait until an expression is true, and return its value."""
        for _ in range(int(seconds * 10)):
            with suppress(AssertionError):
                if found := await self.run(script):
                    return found
            await asyncio.sleep(0.1)
        raise AssertionError(f"{script} did not come true; {self.said}")

    async def click(self, selector: str) -> None:
        """Press and let go where the middle of an element is, once it is there, as a hand does."""
        quoted = json.dumps(selector)
        await self.until(f"document.querySelector({quoted})?.disabled === false")
        await self.run(f"document.querySelector({quoted}).scrollIntoView({{block: 'center'}})")
        at = await self.run(
            f"(r => ({{x: r.x + r.width / 2, y: r.y + r.height / 2}}))(document.querySelector({quoted}).getBoundingClientRect())"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self.do("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **at)

    async def type(self, selector: str, text: str) -> None:
        await self.click(selector)
        await self.do("Input.insertText", text=text)

    async def look(self, width: int, *, dark: bool = False, media: str = "") -> None:
        """Be so wide, and light or dark, on a screen or on paper."""
        await self.do("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        await self.do("Emulation.setEmulatedMedia", media=media, features=features)

    async def picture(self, path: Path) -> None:
        told = await self.do("Page.captureScreenshot", captureBeyondViewport=True)
        await asyncio.to_thread(path.write_bytes, base64.b64decode(told["data"]))


@asynccontextmanager
async def browser(profile: Path) -> AsyncIterator[Page]:
    """Start Chromium with nothing but loopback to go to, and give its tab."""
    process = await asyncio.create_subprocess_exec(
        "chromium", *FLAGS, f"--user-data-dir={profile}", "about:blank",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        while not (found := re.search(rb"ws://([\d.:]+)/", await asyncio.wait_for(process.stderr.readline(), 30))):
            pass
        draining = asyncio.create_task(process.stderr.read())
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://{found[1].decode()}/json") as answer:
                tab = next(one for one in await answer.json() if one["type"] == "page")
            async with session.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                yield Page(socket)
        draining.cancel()
    finally:
        process.terminate()
        await process.wait()
