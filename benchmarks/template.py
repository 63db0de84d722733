"""Sweep a template of a million ids of which 3 % answer, in clumps, with kill -9 on the way; say what was found.

python benchmarks/template.py [--ids 1000000] [--kills 2] [--order newest|oldest|dense] [--work DIR] [--json]

What must hold: every id that answers is held, every other one is settled as a hole, none is settled twice, and the
frontier stays under 50 MB. An id may be *asked* twice only where a kill came between its request and the moment its
answer was durable; the server counts those.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from crawler.collection import Collection
from crawler.frontier.reader import FrontierReader
from tests.acceptance.support import command, environment

SHARE = 0.03
_PAGE = (
    '<!DOCTYPE html><html><head><title>{n}</title><link rel="stylesheet" href="/style.css"></head>'
    '<body><h1>Post {n}</h1><p>{words}</p><img src="/image/{n}.png"></body></html>\n'
)
_NOT_FOUND = b"<!DOCTYPE html><title>Not found</title><p>There is no such post.</p>\n"


def truth(ids: int) -> set[int]:
    """Return the ids that answer: clumps of 50 to 3,000 in a row."""
    rng = random.Random(ids)
    found: set[int] = set()
    while len(found) < SHARE * ids:
        first, size = rng.randint(1, ids), rng.randint(50, 3000)
        found.update(range(first, min(first + size, ids + 1)))
    return set(sorted(found)[: int(SHARE * ids)])


# The site, a process of its own: ``template.py --serve IDS`` prints its port, and its books when told to end


class Site(asyncio.Protocol):
    """Answers one request after the other; the books say how often each id was asked."""

    posts: set[int]
    asked: bytearray
    other = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._out = transport
        self._in = b""

    def data_received(self, data: bytes) -> None:
        self._in += data
        while (end := self._in.find(b"\r\n\r\n")) >= 0:
            path = self._in.split(b" ", 2)[1].decode()
            self._in = self._in[end + 4 :]
            status, kind, body = self._answer(path)
            head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
            self._out.write(head.encode() + body)  # type: ignore[attr-defined]

    def _answer(self, path: str) -> tuple[str, str, bytes]:
        _, _, last = path.rpartition("/")
        if path.startswith("/post/") and last.isdecimal() and int(last) < len(self.asked):
            self.asked[int(last)] = min(self.asked[int(last)] + 1, 255)
            if int(last) in self.posts:
                page = _PAGE.format(n=last, words=f"words of post {last} " * 40)
                return "200 OK", "text/html; charset=utf-8", page.encode()
            return "404 Not Found", "text/html; charset=utf-8", _NOT_FOUND
        type(self).other += 1
        if path == "/":
            return "200 OK", "text/html; charset=utf-8", b"<!DOCTYPE html><title>Home</title><p>Nothing leads on.</p>\n"
        if path.startswith("/image/"):
            return "200 OK", "image/png", b"\x89PNG\r\n\x1a\n" + path.encode()
        return ("200 OK", "text/css", b"p { margin: 0 }\n") if path == "/style.css" else ("404 Gone", "text/html", b"")


async def serve(ids: int) -> None:
    Site.posts, Site.asked = truth(ids), bytearray(ids + 1)
    server = await asyncio.get_running_loop().create_server(Site, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    hits = [Site.asked[n] for n in range(1, ids + 1)]
    print(json.dumps({"never": hits.count(0), "twice": sum(1 for n in hits if n > 1), "other": Site.other}))


# The crawl


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--ids", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--every", type=float, default=45.0, help="seconds between kills, about")
    parser.add_argument("--order", choices=["newest", "oldest", "dense"], default="newest")
    parser.add_argument("--work", type=Path, help="directory for the collection, which stays there")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        asyncio.run(serve(given.serve))
        return 0
    work = given.work or Path(tempfile.mkdtemp(prefix="outlast-template-"))
    try:
        found = measured(given.ids, given.kills, given.every, given.order, work / "c")
    finally:
        if given.work is None:
            shutil.rmtree(work)
    print(json.dumps(found) if given.json else "\n".join(f"{name:<28} {value}" for name, value in found.items()))
    return 0 if found["good"] else 1


def measured(ids: int, kills: int, every: float, order: str, directory: Path) -> dict[str, object]:
    with subprocess.Popen(
        [sys.executable, __file__, "--serve", str(ids)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as site:
        assert site.stdout is not None
        port = site.stdout.readline().strip()
        crawl = command(
            "crawl", f"127.0.0.1:{port}", "--into", directory, "--robots", "ignore", "--quiet",
            "--template-order", order, "--template", f"http://127.0.0.1:{port}/post/{{1..{ids}}}",
            "--segment-size", "256MiB",
        )  # fmt: skip
        begun = time.monotonic()
        rng = random.Random(ids)
        runs = [_run(crawl, every * rng.uniform(0.5, 1.5) if turn < kills else 0.0) for turn in range(kills + 1)]
        seconds = time.monotonic() - begun
        books = json.loads(site.communicate("")[0].splitlines()[-1])
    return _compared(ids, directory, books, runs, seconds)


def _run(crawl: list[str], kill_after: float) -> int:
    """Run the crawl to its end, or kill it with all its workers after so many seconds; return its exit code."""
    running = subprocess.Popen(crawl, env=environment(), start_new_session=True, stdout=subprocess.DEVNULL)
    try:
        return running.wait(kill_after or None)
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGKILL)
        return running.wait()


def _compared(ids: int, directory: Path, books: dict[str, int], runs: list[int], seconds: float) -> dict[str, object]:
    collection = Collection.open(directory)
    posts = truth(ids)
    settled = bytearray(ids + 1)
    held: set[int] = set()
    for path in sorted(collection.indexes.glob("*.cdxj")):
        for line in path.read_text().splitlines():
            facts = json.loads(line[line.index("{") :])
            _, _, last = facts["url"].rpartition("/post/")
            if last.isdecimal():
                settled[int(last)] += 1
                if facts["status"] == "200":
                    held.add(int(last))
    frontier = FrontierReader(collection.frontier)
    (swept,) = frontier.sweeps()
    stats = frontier.stats()
    frontier.close()
    size = sum(path.stat().st_size for path in directory.glob("frontier.sqlite*"))
    found: dict[str, object] = {
        "ids": ids, "answer": len(posts), "found": len(held & posts), "holes": swept.holes,
        "lost": settled[1:].count(0), "settled twice": sum(1 for n in settled if n > 1),
        "asked twice": books["twice"], "never asked": books["never"], "other requests": books["other"],
        "queued": stats.queued, "frontier MB": round(size / 1e6, 1),
        "WARC MB": round(sum(p.stat().st_size for p in collection.sealed_segments()) / 1e6, 1),
        "exit codes": runs, "seconds": round(seconds, 1), "ids a second": round(ids / seconds),
    }  # fmt: skip
    found["good"] = (
        held == posts and swept.hits == len(posts) and swept.holes == ids - len(posts) and size < 50e6
        and not found["lost"] and not found["settled twice"] and not stats.queued and runs[-1] == 0
    )  # fmt: skip
    return found


if __name__ == "__main__":
    sys.exit(main())
