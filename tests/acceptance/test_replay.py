"""Ten sampled posts replay with their media from a plain server that knows nothing but the CDXJ and the WARCs.

The server sends each recorded block as it stands: if a browser could read the answer then, it can now.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.client
import json
import random
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from lxml import html

from crawler.warc.surt import surt
from tests.acceptance.support import segments


class Replay:
    """Answers from a collection's index, on a loopback port."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.lines: dict[str, dict[str, Any]] = {}
        for index in sorted((directory / "indexes").glob("*.cdxj")):
            if "-attempts." not in index.name:
                for line in index.read_text().splitlines():
                    key, _, facts = line.split(" ", 2)
                    self.lines[key] = json.loads(facts)
        self.missed: list[str] = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.socket.accept()
                with client:
                    head = b""
                    while b"\r\n\r\n" not in head:
                        head += client.recv(4096)
                    target = head.split(b" ")[1].decode()
                    host = re.search(rb"\r\n[Hh]ost: ([^\r]+)", head)
                    assert host is not None
                    client.sendall(self.block(f"https://{host[1].decode()}{target}"))

    def block(self, url: str) -> bytes:
        facts = self.lines.get(surt(url))
        if facts is None:
            self.missed.append(url)
            return b"HTTP/1.1 404 Not Archived\r\nContent-Length: 0\r\n\r\n"
        headers, block = self.record(facts)
        if headers["WARC-Type"] == "revisit":
            original = self.lines[surt(headers["WARC-Refers-To-Target-URI"])]
            head, _, _ = block.partition(b"\r\n\r\n")
            body = self.record(original)[1].partition(b"\r\n\r\n")[2]
            return head + b"\r\n\r\n" + body
        return block

    def record(self, facts: dict[str, Any]) -> tuple[dict[str, str], bytes]:
        with (self.directory / "warcs" / facts["filename"]).open("rb") as stream:
            stream.seek(int(facts["offset"]))
            data = gzip.decompress(stream.read(int(facts["length"])))
        head, _, block = data.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
        return headers, block[: int(headers["Content-Length"])]


@pytest.fixture(scope="module")
def replay(crawled: Any) -> Iterator[Replay]:
    server = Replay(crawled[0])
    yield server
    server.socket.close()


def get(replay: Replay, url: str) -> tuple[int, bytes, str]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection("127.0.0.1", replay.port, timeout=10)
    connection.request("GET", parts.path or "/", headers={"Host": parts.hostname or ""})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.headers.get("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
    return answer.status, body, answer.headers.get("Location", "")


def test_ten_posts_replay_with_all_they_need(crawled: Any, replay: Replay) -> None:
    _, _, _, truth = crawled
    with_media = [t for t in truth if t["kind"] == "post" and t["media"] in {"image", "video"}]
    images = videos = 0
    for post in random.Random(6).sample(with_media, 10):
        status, body, _ = get(replay, post["url"])
        assert status == 200
        tree = html.fromstring(body)
        assert tree.xpath("string(//title)").startswith(f"@{post['author']} - {post['author_name']}")
        for source in tree.xpath(
            "//img/@src | //link[@rel='stylesheet']/@href | //script/@src | //video/source/@src | //video/@src"
        ):
            url = source if source.startswith("https:") else f"https://parler.com{source}"
            status, data, location = get(replay, url)
            if status == 302:
                status, data, _ = get(replay, location)
                images += 1
            assert status == 200, url
            if "video.parler.com" in url:
                assert data[4:8] == b"ftyp"
                assert get(replay, url.replace("_small.mp4", ""))[1][4:12] == b"ftypqt  "
                videos += 1
    assert not replay.missed
    assert images
    assert videos


def test_every_media_file_replays_to_what_was_served(crawled: Any, replay: Replay) -> None:
    _, _, _, truth = crawled
    kinds = {"image": (b"\xff\xd8", b"\x89PNG"), "video": (b"\0\0\0",)}
    seen: set[str] = set()
    for thing in truth:
        if thing["public"] and thing["kind"] in kinds:
            status, body, _ = get(replay, thing["url"])
            assert status == 200
            assert body.startswith(kinds[thing["kind"]])
            seen.add(hashlib.sha256(body).hexdigest())
    assert len(seen) > 10
    assert segments(crawled[0])
