"""A site of one's own with what replay must show: a page, an image, and a video that browsers can play."""

from __future__ import annotations

import functools
import io
import json
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from PIL import Image

PAGE = """<!doctype html><html><head><meta charset="utf-8"><title>{title}</title>
<link rel="stylesheet" href="/style.css"></head><body><h1>{title}</h1><p>{text}</p>
<p><a href="/">home</a> <a href="/kettle.html">kettle</a></p>
<p id="said"></p><p><a href="/said.json">what is said</a></p>
<script type="module" src="/app.js"></script><img src="/teapot.jpg" alt="a teapot"><video src="/film.webm" muted controls></video></body></html>"""
#: Stands on the page only once a module has fetched it.
TEXT = "The kettle whistles at five."
APP = """const answer = await fetch("/said.json");
document.getElementById("said").textContent = (await answer.json()).text;
"""


def webm(frames: int = 30) -> bytes:
    """Return a film: VP8 frames, each a key frame as lossy WebP holds them (RFC 6386, RFC 9649), in Matroska."""
    blocks = b""
    for number in range(frames):
        out = io.BytesIO()
        Image.new("RGB", (160, 120), (8 * number, 90, 255 - 8 * number)).save(out, "WEBP", lossless=False, quality=60)
        data = out.getvalue()
        at = data.index(b"VP8 ")
        frame = data[at + 8 : at + 8 + struct.unpack("<I", data[at + 4 : at + 8])[0]]
        blocks += element(0xA3, b"\x81" + struct.pack(">hB", number * 100, 0x80) + frame)
    video = element(0xE0, element(0xB0, b"\0\xa0") + element(0xBA, b"\0\x78"))
    track = element(0xD7, b"\1") + element(0x73C5, b"\1") + element(0x83, b"\1") + element(0x86, b"V_VP8") + video
    info = element(0x2AD7B1, struct.pack(">I", 1_000_000)) + element(0x4489, struct.pack(">d", frames * 100.0))
    info += element(0x4D80, b"test") + element(0x5741, b"test")
    cluster = element(0x1F43B675, element(0xE7, b"\0") + blocks)
    segment = element(0x1549A966, info) + element(0x1654AE6B, element(0xAE, track)) + cluster
    head = element(0x4286, b"\1") + element(0x42F7, b"\1") + element(0x42F2, b"\4") + element(0x42F3, b"\x08")
    head += element(0x4282, b"webm") + element(0x4287, b"\2") + element(0x4285, b"\2")
    return element(0x1A45DFA3, head) + element(0x18538067, segment)


def element(identity: int, data: bytes) -> bytes:
    """Return an EBML element (RFC 8794)."""
    name = identity.to_bytes((identity.bit_length() + 7) // 8, "big")
    return name + (0x0100000000000000 | len(data)).to_bytes(8, "big") + data


class _Quiet(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(folder: Path) -> Iterator[int]:
    """Serve the site on the loopback; yield its port."""
    out = io.BytesIO()
    Image.effect_noise((320, 200), 60).convert("RGB").save(out, "JPEG")
    (folder / "teapot.jpg").write_bytes(out.getvalue())
    (folder / "film.webm").write_bytes(webm())
    (folder / "app.js").write_text(APP)
    (folder / "said.json").write_text(json.dumps({"text": TEXT}))
    (folder / "style.css").write_text("body { background: #fff6e0; font: 18px serif }")
    (folder / "index.html").write_text(PAGE.format(title="Tea for all", text="Welcome."))
    (folder / "kettle.html").write_text(PAGE.format(title="The kettle", text="Listen:"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
