"""A full disk under each part of a collection: exit code 8, nothing lost, and the same command goes on once there is room.

The disks are small tmpfs file systems in a mount namespace of their own: root's, or a user's where there is no root.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from crawler.replicas.run import running
from tests.acceptance.killing import baseline, crawl_command
from tests.acceptance.support import ROOT, archive, doubles, namespace, settled

#: part → sizes of the file systems under the collection while it is small, and whether the reserve is watched.
SMALL: dict[str, tuple[dict[str, str], bool]] = {
    "warc": ({"warcs": "700k"}, False),
    "spool": ({"spool": "600k"}, False),
    "database": ({"": "700k", "warcs": "1g", "spool": "1g", "logs": "1g", "indexes": "1g"}, False),
    "log": ({"logs": "64k"}, True),
    "reserve": ({"warcs": "64m"}, True),
}


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Part → (command that crawls a site, what it settles where there is room). Only big files are ever spooled."""
    whole, files = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("files")
    (files / "index.html").write_text("".join(f"<a href=/{n}.zip>{n}</a>" for n in range(4)))
    for n in range(4):
        (files / f"{n}.zip").write_bytes(random.Random(n).randbytes(3 << 20))
    with (
        running("parler", posts=60) as replica,
        ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=files)) as server,
    ):
        Thread(target=server.serve_forever, daemon=True).start()
        parler = partial(crawl_command, replica)
        big = partial(files_command, server.server_port)
        assert archive(*big(whole / "files")).code == 0
        posts, zips = (parler, baseline(replica, whole / "posts")), (big, settled(whole / "files"))
        yield {part: zips if part == "spool" else posts for part in SMALL}
        server.shutdown()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


def files_command(port: int, directory: Path) -> list[str]:
    return ["crawl", f"127.0.0.1:{port}", "--into", str(directory)]


@pytest.mark.outside
@pytest.mark.parametrize("part", SMALL)
def test_a_full_disk_is_exit_8_and_loses_nothing(part: str, sites: Any, tmp_path: Path) -> None:
    crawling, whole = sites[part]
    directory = tmp_path / "c"
    sizes, watched = SMALL[part]
    command = [*crawling(directory), *([] if watched else ["--disk-reserve", "0"]), "--delay", "0", "--json"]
    begun = archive(*command, "--limit", 1, "--delay", "0.3")
    assert begun.code == 7, begun.err
    story = {
        "command": [str(c) for c in command],
        "directory": str(directory),
        "sizes": sizes,
        "kept": str(tmp_path / "k"),
    }
    done = subprocess.run(
        [*namespace(), sys.executable, "-P", "-m", "tests.acceptance.test_disk_full", json.dumps(story)],
        capture_output=True, text=True, timeout=110, check=False, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    first, second, checked = json.loads(done.stdout)
    assert first["code"] == 8, first
    assert "make room" in first["err"]
    assert second["code"] == 0, second
    assert checked["code"] == 0, checked
    kept = tmp_path / "k"
    found = settled(kept)
    assert found == whole
    assert not {fetch for fetch, count in doubles(kept).items() if count > 1}


def inside(story: dict[str, Any]) -> list[dict[str, Any]]:
    """Run in the namespace: make the disks small, crawl, make room, crawl, verify, and carry all out of it."""
    directory = Path(story["directory"])
    for part, size in story["sizes"].items():
        mount(directory / part, size)
    told = [run(*story["command"])]
    for part in story["sizes"]:
        subprocess.run(["mount", "-o", "remount,size=2g", str(directory / part)], check=True)
    told += [run(*story["command"]), run("verify", str(directory))]
    shutil.copytree(directory, story["kept"])
    return told


def mount(place: Path, size: str) -> None:
    """Put a small disk under a directory, with what is in it."""
    aside = place.with_name(f"{place.name}-aside")
    if place.exists():
        place.rename(aside)
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(place)], check=True)
    if aside.exists():
        shutil.copytree(aside, place, dirs_exist_ok=True)


def run(*command: str) -> dict[str, Any]:
    ran = archive(*command, timeout=50)
    return {"code": ran.code, "err": ran.err, "out": ran.out[-2000:]}


if __name__ == "__main__":
    print(json.dumps(inside(json.loads(sys.argv[1]))))
