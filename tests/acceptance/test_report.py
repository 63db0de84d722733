"""``archive report`` and ``archive browse`` over crawls of replicas: complete, interrupted, empty; and in a real browser."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from fastwarc.warc import ArchiveIterator
from PIL import Image

from crawler.collection import Collection
from crawler.model import Seed
from crawler.replicas.run import running
from crawler.withheld import Names, Withheld
from tests.acceptance.support import archive, command, environment, to_replica
from tests.unit.reading.pages import EVIL, check, hostile
from tests.unit.reading.shelves import Shop
from tests.unit.reading.test_report import picture


@pytest.fixture(scope="module")
def crawls(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Parler and Mastodon complete, Parler interrupted, and one in which nothing happened yet."""
    root = tmp_path_factory.mktemp("crawls")
    for platform in ("parler", "mastodon"):
        with running(platform, size=40) as replica:
            seed = ["parler.com", *to_replica(replica)] if replica.ca else [f"127.0.0.1:{replica.port}"]
            ran = archive("crawl", *seed, "--into", root / platform, "--operator", "Heron & Sons <h@example.org>")
            assert ran.code == 0, ran.err
            if platform == "parler":
                window = ("--since", "2021-01-06", "--until", "2021-01-09")
                assert archive("crawl", *seed, "--into", root / "interrupted", *window, "--limit", "60").code == 7
    Collection.create(root / "empty", Seed(url="https://heron.example/"), "mastodon")
    return {name: root / name for name in ("parler", "mastodon", "interrupted", "empty")}


def records(path: Path) -> Iterator[Any]:
    with path.open("rb") as file:
        yield from ArchiveIterator(file, parse_http=False)


def report(directory: Path, output: Path, *options: str) -> Any:
    ran = archive("report", directory, "--output", output, "--json", *options)
    assert ran.code == 0, ran.err
    assert ran.summary["bytes"] == output.stat().st_size
    return check(output.read_text("utf-8"))


def rows(document: Any, heading: str) -> dict[str, list[str]]:
    table = document.xpath(f"//table[caption[contains(., '{heading}')]]//tbody/tr")
    return {row[0].text_content(): [cell.text_content().replace(",", "") for cell in row[1:]] for row in table}


@pytest.mark.parametrize("name", ["parler", "mastodon", "interrupted"])
def test_the_numbers_are_those_of_status(crawls: dict[str, Path], tmp_path: Path, name: str) -> None:
    document = report(crawls[name], tmp_path / "r.html")
    said = " ".join(document.text_content().split()).replace(",", "")
    told = archive("status", crawls[name], "--json").summary
    shown = rows(document, "What the platform was seen to have")
    for kind, counts in told["coverage"].items():
        if counts["captured"] or counts["missing"]:
            assert shown[kind][1:3] == [str(counts["known"] - counts.get("excluded", 0)), str(counts["captured"])]
            assert shown[kind][5] == str(counts["missing"])
    assert f"{told['captures']} captures {told['attempts']} attempts" in said
    left = told["queued"] + told["leased"]
    assert bool(left) is (name == "interrupted")
    assert (f"Interrupted. {left} of {left + told['done']} fetches" if left else "Finished") in said
    assert f"{len(told['segments'])} sealed segment" in said
    assert archive("export", crawls[name], "-f", "jsonl", "-o", tmp_path / "out").code == 0
    posts = (tmp_path / "out" / "posts.jsonl").read_text().splitlines()
    assert f"{len(posts)} posts and replies" in said
    if name != "interrupted":
        assert "Heron & Sons <h@example.org>" in said
        assert posts
    else:
        assert "2021-01-06 00:00:00 UTC to 2021-01-09 00:00:00 UTC" in said


def test_the_report_of_nothing(crawls: dict[str, Path], tmp_path: Path) -> None:
    document = report(crawls["empty"], tmp_path / "r.html")
    assert "Empty. Nothing was captured" in " ".join(document.text_content().split())


def test_the_report_goes_beside_the_collection(crawls: dict[str, Path]) -> None:
    assert archive("report", crawls["interrupted"], "-q").code == 0
    assert (crawls["interrupted"] / "report.html").exists()
    assert archive("verify", crawls["interrupted"], "-q").code == 0


def test_lacking_things_are_named_with_their_records(tmp_path: Path) -> None:
    with running("plain") as replica:
        assert archive("crawl", f"127.0.0.1:{replica.port}", "--into", tmp_path / "c").code == 0
    document = report(tmp_path / "c", tmp_path / "r.html")
    gaps = [json.loads(line) for line in archive("coverage", tmp_path / "c", "--json").out.splitlines()]
    gaps = [one for one in gaps if one["message_type"] == "gap"]
    assert {one["reason"] for one in gaps} == {"missing", "robots"}
    for gap in gaps:
        (row,) = document.xpath(f"//details//tr[td[contains(., '{gap['url']}')]]")
        said = row.text_content()
        assert gap["standing"] in said
        assert gap["reason"] in said
        if gap["segment"]:
            assert f"{gap['segment']}:{gap['offset']}" in said
            identity = re.search(r"<urn:uuid:[0-9a-f-]+>", said)
            assert identity is not None
            ids = [record.headers["WARC-Record-ID"] for record in records(tmp_path / "c" / "warcs" / gap["segment"])]
            assert identity[0] in ids
    gone = next(gap["url"] for gap in gaps if gap["segment"])
    Withheld.load(Collection.open(tmp_path / "c")).add("takedown", names=Names(urls=(gone,)))
    report(tmp_path / "c", tmp_path / "r.html")
    assert gone not in (tmp_path / "r.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("report", "/nowhere"), 10), (("browse", "/nowhere", "--no-open"), 10),
        (("report", "C", "-o", "/proc/nowhere/r.html"), 2), (("report", "/usr"), 2), (("browse", "C", "--port", "PORT", "--no-open"), 2),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(crawls: dict[str, Path], arguments: tuple[str, ...], code: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        told = {"C": str(crawls["empty"]), "PORT": str(taken.getsockname()[1])}
        ran = archive(*(told.get(one, one) for one in arguments))
    assert ran.code == code, ran.err
    assert len([line for line in ran.err.splitlines() if line.startswith("archive: ")]) == 1
    assert "Traceback" not in ran.err


@contextmanager
def browsed(directory: Path) -> Iterator[str]:
    """Run ``archive browse``; end it by Ctrl-C, as a user does."""
    process = subprocess.Popen(
        command("browse", directory, "--no-open", "--json"),
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment(),
    )  # fmt: skip
    try:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        yield told["url"].rstrip("/")
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=20)
        assert process.returncode == 0
        assert json.loads(out.splitlines()[-1])["message_type"] == "summary"
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return answer.read()


@pytest.mark.parametrize("name", ["parler", "mastodon"])
def test_every_post_and_file_can_be_reached_by_links(crawls: dict[str, Path], tmp_path: Path, name: str) -> None:
    assert archive("export", crawls[name], "-f", "jsonl", "-o", tmp_path / "out").code == 0
    wanted = {
        table: [json.loads(line) for line in (tmp_path / "out" / f"{table}.jsonl").read_text().splitlines()]
        for table in ("posts", "media")
    }
    texts: set[str] = set()
    files: dict[str, int] = {}
    with browsed(crawls[name]) as url:
        todo, seen = ["/", "/accounts", "/media"], {"/", "/accounts", "/media"}
        while todo:
            document = check(get(url + todo.pop()).decode())
            texts |= {" ".join(p.text_content().split()) for p in document.xpath("//p[@class='text']")}
            for link in document.xpath("//a/@href | //*/@src"):
                if link not in seen and link != "#main":
                    seen.add(link)
                    if link.startswith("/file/"):
                        files[link[6:]] = len(get(url + link))
                    else:
                        with suppress(urllib.error.HTTPError):  # names a post that is not held
                            get(url + link)
                            todo.append(link)
    for post in wanted["posts"]:
        assert not post["text"].strip() or " ".join(post["text"].split()) in texts
    for one in wanted["media"]:
        if one["sha256"]:
            assert files[one["sha256"]] == one["size"]
    assert files


class Listening:
    """A proxy that answers nobody, and knows who was asked for."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                with client, suppress(OSError):
                    client.settimeout(5)
                    self.heard.append(client.recv(2000).partition(b"\r\n")[0].decode("latin-1"))
                    client.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def close(self) -> None:
        self._socket.close()


def chromium(url: str, folder: Path, proxy: Listening, *options: str) -> str:
    """Have Chromium draw a page, or print its document."""
    ran = subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--hide-scrollbars", "--disable-background-networking", "--disable-component-update", "--disable-default-apps",
         "--disable-features=OptimizationHints", f"--user-data-dir={folder / 'profile'}",
         f"--proxy-server=127.0.0.1:{proxy.port}", "--window-size=1000,1600", *options, url],
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    return ran.stdout


DARK = "--blink-settings=preferredColorScheme=0"


@pytest.fixture
def evil(tmp_path: Path) -> Path:
    """A collection that strangers filled with the worst, in a title that would show it had it any effect."""
    shop = Shop(tmp_path / "evil")
    page = shop.segment()
    script = "<script>document.title='STOLEN'</script><img src=http://evil.example/x onerror=\"document.title='STOLEN'\"><style>*{background:url(http://evil.example/y)}</style>"
    page.says(hostile(), hostile(id="plain", text=script + EVIL, author_name=script, kind=script[:50]))
    page.says(
        {"is": "media", "id": "m", "kind": "image", "url": "https://a.example/x.jpg", "post": "plain", "title": script}
    )
    page.says({"is": "account", "id": hostile()["author"], "username": script, "name": script, "bio": script})
    page.seal()
    files = shop.segment("images")
    files.holds("https://a.example/x.jpg", picture())
    files.holds("https://a.example/y.svg", script.encode(), "image/svg+xml")
    files.seal()
    return shop.collection.root


@pytest.mark.outside
@pytest.mark.timeout(300)
def test_in_chromium_nothing_runs_and_nothing_is_asked_elsewhere(
    crawls: dict[str, Path], evil: Path, tmp_path: Path
) -> None:
    proxy = Listening()
    report(crawls["parler"], tmp_path / "parler.html", "--with-gps")
    report(evil, tmp_path / "evil.html", "--with-gps")
    for scheme, options in (("light", ()), ("dark", (DARK,))):
        target = tmp_path / f"{scheme}.png"
        chromium((tmp_path / "parler.html").as_uri(), tmp_path, proxy, f"--screenshot={target}", *options)
        corner = Image.open(target).convert("RGB").getpixel((2, 2))
        assert (min(corner) > 240) if scheme == "light" else (max(corner) < 60)
    assert "<title>Report: https://a" in chromium((tmp_path / "evil.html").as_uri(), tmp_path, proxy, "--dump-dom")
    with browsed(evil) as url:
        for path in ("/", "/post?id=plain", "/accounts"):
            document = chromium(url + path, tmp_path, proxy, "--dump-dom")
            assert " · https://a.example/</title>" in document
            assert "STOLEN" not in document.replace("'STOLEN'", "")
    with browsed(crawls["parler"]) as url:
        chromium(f"{url}/media", tmp_path, proxy, f"--screenshot={tmp_path / 'media.png'}")
        shades = Image.open(tmp_path / "media.png").convert("L").histogram()
        assert sum(map(bool, shades)) > 64  # pictures are drawn
    proxy.close()
    assert not [line for line in proxy.heard if "example" in line or "parler" in line]
