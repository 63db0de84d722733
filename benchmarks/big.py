"""What the biggest things cost in memory, disk, CPU and time: one huge body, one frontier of millions of URLs.

python benchmarks/big.py body [--gb 10] [--chunked] [--random] [--page] [--work DIR] [--json]
python benchmarks/big.py frontier [--urls 10000000] [--origins 1] [--limit 2000] [--work DIR] [--json]

A real ``archive`` works as a child, and all its processes are sampled until it ends. MB are millions of bytes. What is
under ``--work`` stays there, and a frontier found there is used again. Exits with 1 where a must is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import random
import stat
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from itertools import chain, islice, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from warcio.archiveiterator import ArchiveIterator

from crawler.admission import Admission
from crawler.collection import Collection
from crawler.config import Config
from crawler.frontier.sqlite import SqliteFrontier
from crawler.model import Fetch, Seed
from spiders.generic import GenericSpider
from tests.acceptance.support import command, environment, segments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MB = 1_000_000
#: Issue 3, "Must show" 4.
MOST_RSS, MOST_PSS, MOST_DISK, LATEST_REQUEST = 250 * MB, 600 * MB, 2.1, 5.0
#: Seconds between samples.
EVERY = 0.1
_BLOCK = 1 << 20
_CHUNK = 16 << 10
_BATCH = 10_000
_HOST = "big.example"


# What is served


class Site:
    """A loopback HTTP server in a thread of its own; ``asked`` says when which path was asked for."""

    def __init__(self, answer: Callable[[str], Iterator[bytes]]) -> None:
        self.asked: list[tuple[float, str]] = []
        self._answer = answer

    @contextmanager
    def running(self) -> Iterator[int]:
        """Serve; give the port."""
        loop = asyncio.new_event_loop()
        server = loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            asyncio.run_coroutine_threadsafe(_end_all(server), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                request = await reader.readuntil(b"\r\n\r\n")
                path = request.split(b" ", 2)[1].decode()
                self.asked.append((time.monotonic(), path))
                for piece in self._answer(path):
                    writer.write(piece)
                    await writer.drain()
        writer.close()


async def _end_all(server: asyncio.Server) -> None:
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def whole(status: str, kind: str, body: bytes) -> Iterator[bytes]:
    """Answer with a body at hand."""
    yield _head(status, kind, f"Content-Length: {len(body)}") + body


def _head(status: str, kind: str, framing: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{framing}\r\n\r\n".encode()


class BigBody:
    """A body of one block over and over: cheap to make, and as hard to compress as the block, a window being 32 KiB."""

    def __init__(self, size: int, *, is_random: bool) -> None:
        self._size = size
        self._block = _noise() if is_random else _prose()

    def pieces(self) -> Iterator[bytes]:
        """Give the body in blocks."""
        times, rest = divmod(self._size, _BLOCK)
        return chain(repeat(self._block, times), [self._block[:rest]] if rest else [])

    def chunks(self) -> Iterator[bytes]:
        """Give the body in the chunked coding."""
        of_block = _chunked(self._block)
        return chain((of_block if len(p) == _BLOCK else _chunked(p) for p in self.pieces()), [b"0\r\n\r\n"])

    def sha256(self) -> str:
        """Return the digest that the record must carry."""
        digest = hashlib.sha256()
        for piece in self.pieces():
            digest.update(piece)
        return digest.hexdigest()

    def answer(self, kind: str, *, is_chunked: bool) -> Iterator[bytes]:
        """Answer with it."""
        framing = "Transfer-Encoding: chunked" if is_chunked else f"Content-Length: {self._size}"
        yield _head("200 OK", kind, framing)
        yield from self.chunks() if is_chunked else self.pieces()


def _noise() -> bytes:
    return random.Random(1).randbytes(_BLOCK)


def _prose() -> bytes:
    rng = random.Random(1)
    words = ["".join(rng.choices("etaoinshrdlu", k=rng.randint(2, 9))) for _ in range(4000)]
    lines = (
        f"<p>{' '.join(rng.choices(words, k=15))} <a href='/'>{rng.choice(words)}</a></p>\n" for _ in range(20_000)
    )
    return "".join(lines).encode()[:_BLOCK]


def _chunked(data: bytes) -> bytes:
    pieces = (data[at : at + _CHUNK] for at in range(0, len(data), _CHUNK))
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)


# What is watched


@dataclass
class Process:
    """One process of the run: its peak of resident memory (files it maps counted), and its CPU seconds."""

    name: str = ""
    rss: int = 0
    cpu: float = 0.0


@dataclass
class Watch:
    """A command and its descendants, sampled until it ends. ``place`` is the directory whose disk use counts."""

    place: Path
    begun: float = 0.0
    seconds: float = 0.0
    cpu: float = 0.0
    pss: int = 0
    disk: int = 0
    processes: dict[int, Process] = field(default_factory=dict)
    code: int = 0
    last_line: str = ""

    def run(self, *arguments: object) -> Watch:
        """Run ``archive`` with these arguments."""
        temporary = self.place / "tmp"
        temporary.mkdir(exist_ok=True)
        told = self.place / "stdout"
        self.begun = time.monotonic()
        with told.open("wb") as out, (self.place / "stderr").open("wb") as err:
            child = subprocess.Popen(
                command(*arguments), stdout=out, stderr=err, env=environment(TMPDIR=str(temporary))
            )  # fmt: skip
            while not (ended := os.wait4(child.pid, os.WNOHANG))[0]:
                self._sample(child.pid)
                time.sleep(EVERY)
        self.seconds = time.monotonic() - self.begun
        child.returncode = self.code = os.waitstatus_to_exitcode(ended[1])
        self.cpu = ended[2].ru_utime + ended[2].ru_stime  # that of waited-for descendants is in it
        self.last_line = (told.read_text().splitlines() or [""])[-1]
        return self

    def _sample(self, root: int) -> None:
        pids = list(_tree(root))
        self.pss = max(self.pss, sum(_proportional(pid) for pid in pids))
        for pid in pids:
            self._look_at(pid)
        self.disk = max(self.disk, _blocks_under(self.place) + sum(_blocks_unlinked(pid) for pid in pids))

    def _look_at(self, pid: int) -> None:
        with suppress(OSError, ValueError, IndexError):
            cmdline = Path(f"/proc/{pid}/cmdline").read_bytes()
            if not cmdline:  # it has ended
                return
            seen = self.processes.setdefault(pid, Process())
            told = Path(f"/proc/{pid}/comm").read_bytes()
            seen.name = _name(told if told.startswith(b"crawler.") else cmdline)  # until exec it had its parent's
            seen.rss = max(seen.rss, _of(Path(f"/proc/{pid}/status"), "VmHWM:"))
            ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
            seen.cpu = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in listed.read_text().split():
                yield from _tree(int(child))


def _name(cmdline: bytes) -> str:
    for part, name in (
        (b"crawler.worker", "worker"),
        (b"crawler.nursery", "nursery"),
        (b"resource_tracker", "tracker"),
        (b"multiprocessing", "sealer"),
        (b"cli", "supervisor"),
    ):
        if part in cmdline:
            return name
    return "other"


def _proportional(pid: int) -> int:
    with suppress(OSError):
        return _of(Path(f"/proc/{pid}/smaps_rollup"), "Pss:")
    return 0


def _of(path: Path, name: str) -> int:
    """Return the bytes that a file of /proc gives under a name, in kB."""
    found = (line.split()[1] for line in path.read_text().splitlines() if line.startswith(name))
    return int(next(found, 0)) * 1024


def _blocks_under(place: Path) -> int:
    total = 0
    for folder, _, names in os.walk(place):
        for name in names:
            with suppress(OSError):
                total += os.lstat(f"{folder}/{name}").st_blocks * 512
    return total


def _blocks_unlinked(pid: int) -> int:
    """Return the disk that a process holds in files without a name."""
    total = 0
    for place in Path(f"/proc/{pid}/fd").glob("*"):
        with suppress(OSError):
            found = place.stat()
            if stat.S_ISREG(found.st_mode) and not found.st_nlink:
                total += found.st_blocks * 512
    return total


# What is told


@dataclass
class Report:
    """Lines for people, facts for programs, and the musts that were missed."""

    facts: dict[str, Any] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)

    def say(self, name: str, value: Any, shown: str, *, bound: float | None = None) -> None:
        """Take in a fact; beyond its bound it is a must missed."""
        self.facts[name] = value
        if bound is not None and value > bound:
            self.missed.append(name)
            shown += f"   MISSED, the must is {bound / MB if bound >= MB else bound:g}"
        print(f"{name.replace('_', ' '):32} {shown}", file=sys.stderr, flush=True)

    def say_memory(self, watch: Watch) -> None:
        """Take in the peaks of a run."""
        for number, process in enumerate(watch.processes.values()):
            name = f"{process.name}_{number}_peak_rss"
            shown = f"{process.rss / MB:.1f} MB ({process.cpu:.1f} CPU s)"
            self.say(name, process.rss, shown, bound=MOST_RSS)
        self.say("peak_pss_of_all", watch.pss, f"{watch.pss / MB:.1f} MB", bound=MOST_PSS)
        self.say("cpu_seconds", round(watch.cpu, 2), f"{watch.cpu:.1f}")
        self.say("wall_seconds", round(watch.seconds, 2), f"{watch.seconds:.1f}")


# The big body


def body(options: argparse.Namespace, work: Path, report: Report) -> None:
    """Crawl a site of one page that links to the big body."""
    size = int(options.gb * 1000 * MB)
    big = BigBody(size, is_random=options.random)
    path, kind = ("/big", "text/html") if options.page else ("/big.iso", "application/octet-stream")

    def answer(asked: str) -> Iterator[bytes]:
        if asked == path:
            return big.answer(kind, is_chunked=options.chunked)
        if asked == "/":
            return whole("200 OK", "text/html", f"<title>A big thing</title><a href='{path}'>here</a>".encode())
        return whole("404 Not Found", "text/plain", b"no")

    place = work / "body"
    place.mkdir()
    with Site(answer).running() as port:
        watch = Watch(place).run("crawl", f"127.0.0.1:{port}", "--into", place / "c", "--json")
    report.say("exit_code", watch.code, str(watch.code), bound=0)
    report.say_memory(watch)
    report.say("disk_over_body", round(watch.disk / size, 4), f"{watch.disk / size:.3f}", bound=MOST_DISK)
    report.say("mb_a_second", round(size / MB / watch.seconds, 1), f"{size / MB / watch.seconds:.1f}")
    told, hashed = recorded_payload(place / "c", path)
    is_right = told == f"sha256:{big.sha256()}" and hashed == big.sha256()
    report.say("payload_is_right", is_right, str(is_right))
    if not is_right:
        report.missed.append("payload_is_right")


def recorded_payload(directory: Path, path: str) -> tuple[str, str]:
    """Return the payload digest that a record names, and the SHA-256 of what is in it, as warcio reads it."""
    for segment in segments(directory):
        with segment.open("rb") as file:
            for record in ArchiveIterator(file):
                if record.rec_type == "response" and record.rec_headers.get("WARC-Target-URI", "").endswith(path):
                    return record.rec_headers.get("WARC-Payload-Digest"), _hashed(record.content_stream())
    return "", ""


def _hashed(stream: Any) -> str:
    digest = hashlib.sha256()
    while piece := stream.read(_BLOCK):
        digest.update(piece)
    return digest.hexdigest()


# The big frontier


def frontier(options: argparse.Namespace, work: Path, report: Report) -> None:
    """Resume a crawl of which millions of URLs are left."""
    place = work / f"frontier-{options.urls}-{options.origins}"
    if not place.exists():
        make_frontier(place, options.urls, options.origins, report)
    _forget(place / "c" / "frontier.sqlite")
    site = Site(lambda asked: page(asked, options.urls))
    with site.running() as port:
        watch = Watch(place).run(
            "resume", place / "c", "--limit", options.limit, "--connect-to", f"::127.0.0.1:{port}", "--json"
        )  # fmt: skip
    report.say("exit_code", watch.code, f"{watch.code} (7 is --limit)")
    report.say("database_mb", _blocks(place) // MB, f"{_blocks(place) / MB:.0f} MB")
    _say_requests(site, watch, report)
    report.say_memory(watch)
    status = Watch(place).run("status", place / "c")
    report.say("status_seconds", round(status.seconds, 2), f"{status.seconds:.2f}")


def _say_requests(site: Site, watch: Watch, report: Report) -> None:
    # The supervisor first asks for the seed, only to know that the site is there.
    first = [when - watch.begun for when, _ in site.asked[:2]]
    pages = [when - watch.begun for when, path in site.asked if path.startswith("/archive/")]
    for name, when in zip(("its_probe_after", "its_first_request_after"), first, strict=False):
        report.say(name, round(when, 2), f"{when:.2f} s")
    begun = pages[0] if pages else watch.seconds
    report.say("first_queued_url_after", round(begun, 2), f"{begun:.2f} s", bound=LATEST_REQUEST)
    taken = (pages[-1] - pages[0]) if len(pages) > 1 else 1.0
    report.say("fetches_a_second", round(len(pages) / taken, 1), f"{len(pages) / taken:.0f} ({len(pages)} pages)")


def make_frontier(place: Path, urls: int, origins: int, report: Report) -> None:
    """Make a collection in which so many URLs are queued; it gets its name once it is complete."""
    part = place.with_name(place.name + ".part")
    part.mkdir()
    seed = Seed(url=f"http://{_HOST}/")
    collection = Collection.create(part / "c", seed, GenericSpider.name)
    made = SqliteFrontier(collection.frontier)
    made.set_lanes({lane.name: lane.order for lane in GenericSpider.lanes})
    made.gate_for = Admission(GenericSpider, seed, Config(), made).gate_for
    begun, offered = (time.monotonic(), time.process_time()), 0
    fetches = (fetch(number, origins) for number in range(urls))
    while batch := list(islice(fetches, _BATCH)):
        offered += made.offer(batch)
        if offered % 1_000_000 < _BATCH:
            print(f"{offered:,} offered, {time.monotonic() - begun[0]:.0f} s", file=sys.stderr, flush=True)
    made.close()
    taken, busy = time.monotonic() - begun[0], time.process_time() - begun[1]
    report.say("offered_a_second", round(offered / taken), f"{offered / taken:,.0f} ({offered:,} in {taken:.0f} s)")
    report.say("offered_a_cpu_second", round(offered / busy), f"{offered / busy:,.0f}")
    part.rename(place)


def fetch(number: int, origins: int) -> Fetch:
    """Return the work of a page of the site, or of a requisite elsewhere."""
    via = f"http://{_HOST}/archive/{number // 20:08}/a-post-of-that-day"
    if number % origins:
        url = f"http://h{number % origins}.example/archive/{number:08}/picture.jpg"
        return Fetch(url=url, lane="requisites", via=via, depth=3, covers=("asset", url))
    url = f"http://{_HOST}/archive/{number:08}/a-post-of-that-day"
    return Fetch(url=url, lane="pages", callback="parse", via=via, depth=3, covers=("page", url))


def page(path: str, urls: int) -> Iterator[bytes]:
    """Answer with a page that names others, all of them known."""
    if path.endswith((".xml", ".txt")):
        return whole("404 Not Found", "text/plain", b"no")
    number = int(path.split("/")[2]) if path.startswith("/archive/") else 0
    # Everywhere in the frontier, as far as its cache is concerned.
    named = ((number * 7919 + k * 104_729) % urls for k in range(10))
    links = "".join(f"<p>{'A word. ' * 40}<a href='/archive/{one:08}/a-post-of-that-day'>{one}</a>" for one in named)
    return whole("200 OK", "text/html", f"<title>{number}</title>{links}".encode())


def _blocks(place: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in (place / "c").glob("frontier.sqlite*"))


def _forget(path: Path) -> None:
    """Let the system forget what it has cached of a file, as if it had not been read since the machine started."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def main() -> int:
    """Measure, and say it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    one, many = kinds.add_parser("body"), kinds.add_parser("frontier")
    one.add_argument("--gb", type=float, default=10.0)
    one.add_argument("--chunked", action="store_true")
    one.add_argument("--random", action="store_true", help="a body that does not compress")
    one.add_argument("--page", action="store_true", help="as a page, which is read, instead of a file")
    many.add_argument("--urls", type=int, default=10_000_000)
    many.add_argument("--origins", type=int, default=1, help="so many hosts, as a page's requisites have them")
    many.add_argument("--limit", type=int, default=2000)
    for each in (one, many):
        each.add_argument("--work", type=Path, help="keep everything there")
        each.add_argument("--json", action="store_true")
    options = parser.parse_args()
    report = Report()
    with nullcontext(options.work) if options.work else tempfile.TemporaryDirectory() as work:
        Path(work).mkdir(parents=True, exist_ok=True)
        {"body": body, "frontier": frontier}[options.kind](options, Path(work), report)
    if options.json:
        print(json.dumps({**report.facts, "missed": report.missed}))
    print(f"missed: {', '.join(report.missed)}" if report.missed else "all musts held", file=sys.stderr)
    return 1 if report.missed else 0


if __name__ == "__main__":
    sys.exit(main())
