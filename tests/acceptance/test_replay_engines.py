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
from urllib.parse import quote

import pytest

from crawler.replicas.run import running
from tests.acceptance.chrome import ALONE, Page, shown
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
    #: A page with a film; it may be the same.
    film: str


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
        film = next(
            t for t in replica.things()
            if t["kind"] == "post" and t["media"] == "video" and t["public"] and not t["sensitive"]
        )  # fmt: skip
    found = {"parler": _exported(folder / "parler", post["url"], _words(post["text"]), film["url"])}
    with running("mastodon", size=40, trap="old") as replica:  # one whose pages need no scripts
        seed = f"127.0.0.1:{replica.port}"
        assert archive("crawl", seed, "--into", folder / "mastodon").code == 0
    pictured, filmed = (_post_with(kind, folder / "mastodon") for kind in ("image", "video"))
    found["mastodon"] = _exported(folder / "mastodon", pictured["url"], _words(pictured["text"]), filmed["url"])
    (folder / "www").mkdir()
    with serving(folder / "www") as port:
        ran = archive("crawl", f"127.0.0.1:{port}", "--into", folder / "own")
        assert ran.code == 0, ran.err
    kettle = f"http://127.0.0.1:{port}/kettle.html"
    found["own"] = _exported(folder / "own", kettle, TEXT, kettle)
    return found


def _words(text: str) -> str:
    """Return words of a post that stand in one line of its page."""
    return " ".join(text.split("\n", maxsplit=1)[0].split(" #", maxsplit=1)[0].split()[:3])


def _post_with(kind: str, directory: Path) -> dict[str, Any]:
    """Return a post whose page is held, and has an image or a video attached."""
    tables = directory.with_name(f"tables-{kind}")
    assert archive("export", directory, "-f", "jsonl", "-o", tables).code == 0
    media = [json.loads(line) for line in (tables / "media.jsonl").read_text().splitlines()]
    posts: dict[str, dict[str, Any]] = {
        one["id"]: one for one in map(json.loads, (tables / "posts.jsonl").read_text().splitlines())
    }
    ids = [one["post"] for one in media if one["kind"] == kind and one["post"] in posts and one["sha256"]]
    return next(posts[one] for one in ids if not posts[one]["sensitive"] and posts[one]["text"])


def _exported(directory: Path, url: str, text: str, film: str) -> Site:
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
    for url in dict.fromkeys((site.url, site.film)):
        what = "-".join(["text"] * (url == site.url) + ["film"] * (url == site.film))

        def holds(seen: dict[str, Any], url: str = url) -> bool:
            return (url != site.url or is_read(seen, site.text)) and (url != site.film or plays(seen))

        with replaying(
            source, "--engine", engine, "--url", url, "--viewer", programs / "viewer", programs=programs
        ) as ready:
            seen, page = looked_at(ready, tmp_path / what, holds, screenshots / f"{name}-{engine}-{what}.png")
        assert holds(seen), seen
        assert not page.elsewhere
        assert engine == "direct" or servers(page) == {"127.0.0.1"}


@pytest.mark.parametrize("name", ["parler", "mastodon"])
def test_our_own_pages_need_no_viewer(
    name: str, sites: dict[str, Site], programs: Path, tmp_path: Path, screenshots: Path
) -> None:
    site = sites[name]
    looks = {f"search?q={quote(site.text)}": lambda seen: is_read(seen, site.text), "media": plays}
    with replaying(site.directory, "--engine", "browse", programs=programs) as ready:
        for number, (path, holds) in enumerate(looks.items()):
            there = {**ready, "url": ready["url"] + path}
            seen, page = looked_at(there, tmp_path / str(number), holds, screenshots / f"{name}-browse-{number}.png")
            assert holds(seen), seen
            assert servers(page) == {"127.0.0.1"}


def test_our_own_pages_say_what_they_do_not_take(sites: dict[str, Site]) -> None:
    for arguments in ((sites["own"].wacz,), (sites["own"].directory, "--url", sites["own"].url)):
        ran = archive("replay", *arguments, "--engine", "browse", "--no-open")
        assert ran.code == 2
        assert len(ran.err.splitlines()) == 1, ran.err
    assert archive("replay", "/nowhere", "--engine", "browse", "--no-open").code == 10


def is_read(seen: dict[str, Any], text: str) -> bool:
    """Return whether the text stands there, and all of the page's images, one at least, were decoded."""
    widths = [width for _, width in of_the_page(seen)]
    return text in seen["text"] and all(widths) and max(widths, default=0) > 1


def plays(seen: dict[str, Any]) -> bool:
    return any(width == 160 and at > 0.2 for _, width, at in seen["videos"])


def looked_at(ready: dict[str, Any], profile: Path, holds: Any, picture: Path) -> tuple[dict[str, Any], Page]:
    """Open what is ready in a Chromium, as it is to be started for the engine."""
    mapped = [one for one in ready["browser"] if one.startswith("--") and "user-data-dir" not in one][:-1]
    return shown(
        ["chromium", f"--user-data-dir={profile}", *(mapped or [ALONE])], profile, ready["url"], holds, picture
    )


def servers(page: Page) -> set[str]:
    return {url.split("/")[2].split(":")[0] for url in page.asked if url.startswith("http")}


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
