"""How quickly a big collection is reported and browsed: python -P -m benchmarks.reading mastodon --posts 200000.

WARCs are written directly. Says how long ``archive report`` takes and how much memory, and how long the first and the
farthest page of ``archive browse`` take, a search, and a thread.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import quote
from urllib.request import urlopen

from benchmarks.dataset import run
from tests.acceptance.support import command, environment
from tests.acceptance.written import SITES, write


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("platform", choices=list(SITES))
    options.add_argument("--posts", type=int, default=200_000)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        root = Path(folder) / "c"
        write(given.platform, given.posts, root, outlinks=False)
        wall, cpu, peak = run("search", root, "nothing like it", "-q")
        print(f"the dataset: {wall:.1f} s, {cpu:.1f} s of CPU, {peak / 1e6:.0f} MB at most", flush=True)
        wall, cpu, peak = run("report", root, "-o", Path(folder) / "r.html", "-q")
        length = (Path(folder) / "r.html").stat().st_size
        print(
            f"report: {wall:.1f} s, {cpu:.1f} s of CPU, {peak / 1e6:.0f} MB at most; {length / 1e3:.0f} KB", flush=True
        )
        browse(root)


def browse(root: Path) -> None:
    process = subprocess.Popen(
        command("browse", root, "--no-open", "--json"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, env=environment(),
    )  # fmt: skip
    assert process.stdout is not None
    try:
        url = json.loads(process.stdout.readline())["url"].rstrip("/")
        page = timed("first page", url + "/")
        post = re.search(r"/post\?id=[^\"]+", page)
        assert post is not None
        timed("farthest page", f"{url}/?from={quote('0~9', safe='')}")
        timed("a post", url + post[0])
        timed("search for a common word", f"{url}/search?q=the")
        timed("search for a rare word", f"{url}/search?q=kettle+lighthouse+toast")
        timed("media", f"{url}/media")
        status = Path(f"/proc/{process.pid}/status").read_text()
        print("browse took", re.search(r"VmHWM:\s*(.*)", status)[1], "at most")  # type: ignore[index]
    finally:
        process.terminate()
        process.wait()


def timed(name: str, url: str) -> str:
    begun = time.monotonic()
    with urlopen(url, timeout=120) as answer:
        text = answer.read().decode()
    print(f"{name}: {1000 * (time.monotonic() - begun):.0f} ms, {len(text) / 1e3:.0f} KB", flush=True)
    return text


if __name__ == "__main__":
    main()
