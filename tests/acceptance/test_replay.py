"""Ten sampled posts replay with their media from a plain server over the CDXJ, to a client and to a real browser."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from lxml import html

from crawler.replicas.authority import context_for
from crawler.replicas.parler.site import HOSTS
from tests.acceptance.replay import Replay
from tests.acceptance.support import segments


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


@pytest.mark.outside
def test_a_post_with_an_image_looks_right_in_a_browser(crawled: Any, tmp_path: Path) -> None:
    """Headless Chromium, every host mapped to the replay server, so that nothing can come from elsewhere."""
    directory, _, _, truth = crawled
    post = next(
        t for t in truth if t["kind"] == "post" and t["media"] == "image" and t["text"].isascii() and not t["sensitive"]
    )
    server = Replay(directory, context_for(HOSTS, tmp_path))
    picture = tmp_path / "post.png"
    chromium = [
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update", "--ignore-certificate-errors", "--window-size=900,900",
        f"--user-data-dir={tmp_path / 'profile'}", f"--host-resolver-rules=MAP * 127.0.0.1:{server.port}",
    ]  # fmt: skip
    shot = subprocess.run(
        [*chromium, f"--screenshot={picture}", post["url"]], capture_output=True, timeout=90, check=False
    )
    page = subprocess.run(
        [*chromium, "--dump-dom", post["url"]], capture_output=True, text=True, timeout=90, check=False
    )
    server.socket.close()
    assert picture.exists(), shot.stderr[-2000:]
    assert picture.stat().st_size > 8000
    assert post["text"].split("\n")[0].split(" #")[0][:20] in page.stdout
    assert not [url for url in server.missed if "parler" in url and "favicon" not in url]
