"""Archives replay in a real browser by every engine: text, images and a playing film, and nothing leaves the loopback."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from crawler.replicas.run import running
from tests.acceptance.chrome import ALONE, shown
from tests.acceptance.own_site import TEXT, serving
from tests.acceptance.support import archive, command, environment, to_replica

pytestmark = [pytest.mark.outside, pytest.mark.timeout(300)]

#: The newest whose npm package installs.
VIEWER = "replaywebpage@2.5.3"


@dataclass(frozen=True)
class Site:
    """A collection, its export, and the page to look at."""

    directory: Path
    wacz: Path
    url: str
    text: str
    film: bool = False


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ReplayWeb.page and pywb, as a user installs them: ``viewer/``, ``pywb/bin/wayback``."""
    folder = tmp_path_factory.mktemp("programs")
    (folder / "viewer").mkdir()
    subprocess.run(["npm", "pack", "--silent", VIEWER], cwd=folder / "viewer", check=True, timeout=120)
    packed = next((folder / "viewer").glob("*.tgz"))
    shutil.unpack_archive(packed, folder / "viewer", filter="data")
    subprocess.run([sys.executable, "-m", "venv", folder / "pywb"], check=True, timeout=120)
    subprocess.run([folder / "pywb/bin/pip", "install", "-q", "pywb>=2.9", "setuptools<80"], check=True, timeout=240)
    return folder


@pytest.fixture(scope="session")
def sites(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Site]:
    folder = tmp_path_factory.mktemp("archives")
    with running("parler", posts=60) as replica:
        assert archive("crawl", "parler.com", "--into", folder / "parler", *to_replica(replica)).code == 0
        post = next(
            t for t in replica.things()
            if t["kind"] == "post" and t["media"] == "image" and t["public"] and not t["sensitive"]
        )  # fmt: skip
    found = {"parler": _exported(folder / "parler", post["url"], _words(post["text"]))}
    with running("mastodon", size=40, trap="old") as replica:  # one whose pages need no scripts
        seed = f"127.0.0.1:{replica.port}"
        assert archive("crawl", seed, "--into", folder / "mastodon").code == 0
    found["mastodon"] = _exported(folder / "mastodon", *_post_with_image(folder / "mastodon"))
    (folder / "www").mkdir()
    with serving(folder / "www") as port:
        ran = archive("crawl", f"127.0.0.1:{port}", "--into", folder / "own")
        assert ran.code == 0, ran.err
    found["own"] = _exported(folder / "own", f"http://127.0.0.1:{port}/kettle.html", TEXT, film=True)
    return found


def _words(text: str) -> str:
    """Return words of a post that stand in one line of its page."""
    return " ".join(text.split("\n", maxsplit=1)[0].split(" #", maxsplit=1)[0].split()[:3])


def _post_with_image(directory: Path) -> tuple[str, str]:
    """Return URL and words of a post whose page is held, and has an image attached."""
    tables = directory.with_name("tables")
    assert archive("export", directory, "-f", "jsonl", "-o", tables).code == 0
    media = [json.loads(line) for line in (tables / "media.jsonl").read_text().splitlines()]
    posts = {one["id"]: one for one in map(json.loads, (tables / "posts.jsonl").read_text().splitlines())}
    ids = [one["post"] for one in media if one["kind"] == "image" and one["post"] in posts and one["sha256"]]
    post = next(posts[one] for one in ids if not posts[one]["sensitive"] and posts[one]["text"])
    return post["url"], _words(post["text"])


def _exported(directory: Path, url: str, text: str, film: bool = False) -> Site:
    wacz = directory.with_suffix(".wacz")
    ran = archive("export", directory, "-f", "wacz", "-o", wacz)
    assert ran.code == 0, ran.err
    return Site(directory, wacz, url, text, film)


@contextmanager
def replaying(*arguments: object, programs: Path) -> Iterator[dict[str, Any]]:
    """Run ``archive replay`` until this is left; yield what it says when it is ready. Ctrl-C ends it with 0."""
    path = f"{programs / 'pywb/bin'}{os.pathsep}{os.environ['PATH']}"
    process = subprocess.Popen(
        command("replay", *arguments, "--no-open", "--json"), stdout=subprocess.PIPE, text=True,
        env=environment(PATH=path),
    )  # fmt: skip
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line
        yield json.loads(line)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def of_the_page(seen: dict[str, Any]) -> list[list[Any]]:
    """Return the images that are not pywb's own."""
    return [one for one in seen["images"] if "/static/pywb" not in one[0]]


@pytest.mark.parametrize("engine", ["replayweb", "pywb", "direct"])
@pytest.mark.parametrize("name", ["parler", "mastodon", "own"])
def test_an_archive_is_seen_as_it_was(
    engine: str, name: str, sites: dict[str, Site], programs: Path, tmp_path: Path, screenshots: Path
) -> None:
    site = sites[name]
    # The engines read the export and the collection by the same ways; one of each is looked at.
    source = site.directory if engine == "pywb" else site.wacz
    profile = tmp_path / "profile"
    arguments = [source, "--engine", engine, "--url", site.url, "--viewer", programs / "viewer"]

    def holds(seen: dict[str, Any]) -> bool:
        plays = any(width and at > 0.2 for _, width, at in seen["videos"])
        pictures = [width for _, width in of_the_page(seen)]
        return site.text in seen["text"] and pictures and all(pictures) and (plays or not site.film)

    with replaying(*arguments, programs=programs) as ready:
        mapped = [one for one in ready["browser"] if one.startswith("--") and "user-data-dir" not in one][:-1]
        browser = ["chromium", f"--user-data-dir={profile}", *(mapped or [ALONE])]
        seen, page = shown(browser, profile, ready["url"], holds, screenshots / f"{name}-{engine}.png")

    assert site.text in seen["text"]
    assert [one for one in of_the_page(seen) if one[1] > 1], seen["images"]
    if site.film:
        assert any(width == 160 and at > 0.2 for _, width, at in seen["videos"]), seen["videos"]
    assert not page.elsewhere
    if engine != "direct":
        there = {url.split("/")[2].split(":")[0] for url in page.asked if url.startswith("http")}
        assert there <= {"127.0.0.1"}, there


def test_every_export_is_valid_to_others(sites: dict[str, Site], tmp_path: Path) -> None:
    """The wacz validator, cdxj-indexer over the WARCs in it, and our own verify."""
    tools = Path(sys.executable).parent
    for name, site in sites.items():
        done = subprocess.run(
            [tools / "wacz", "validate", "-f", site.wacz], capture_output=True, text=True, timeout=120, check=False
        )
        assert "is valid" in done.stdout, done.stdout + done.stderr
        ran = archive("verify", site.wacz, "--json")
        assert ran.code == 0, ran.out
        folder = tmp_path / name
        shutil.unpack_archive(site.wacz, folder, "zip")
        index = (folder / "indexes" / "index.cdx").read_text().splitlines()
        ours = {(one["filename"], one["offset"], one["length"], one["url"]) for one in map(_facts, index)}
        found = subprocess.run(
            [tools / "cdxj-indexer", "-p", *sorted((folder / "archive").iterdir())], capture_output=True, text=True,
            timeout=120, check=True,
        )  # fmt: skip
        theirs = {
            (one["filename"], one["offset"], one["length"], one["url"])
            for one in map(_facts, found.stdout.splitlines())
        }
        assert ours
        assert ours <= theirs


def _facts(line: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(line.split(" ", 2)[2])
    return found
