"""How many fetches a frontier moves a second: claim, commit with a location, two discoveries each.

    python benchmarks/frontier_rate.py [--urls 10000000] [--engine sqlite|postgres] [--writers 2] [--seconds 10]

A cycle leases at most 500 fetches and commits them as done originals, each with where its record stands and two
fetches that it names, one of which is new to the frontier. The frontier is filled first with so many queued fetches.
PostgreSQL runs from the wheel the tests use, on this machine, asked by several processes as a fleet does; of what
docs/scale.md advises for a server it has what fits here, and ``synchronous_commit``, ``fsync`` and
``full_page_writes`` are on. Prints JSON lines: fetches settled a second, and processor seconds for 1000: of the
frontier in its writers, of the server, and of making what is committed, which is the benchmark's own part and counts
in the rate alone; the best of the runs last.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import sys
import tempfile
import time
from itertools import count, islice
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

sys.path.insert(0, str(Path(__file__).parent.parent))

from crawler import garbage
from crawler.frontier.postgres.engine import PostgresFrontier
from crawler.frontier.sqlite import SqliteFrontier
from crawler.model import Commit, Digests, Fetch, Leased, Location, Settlement, State
from tests.conformance.frontier import database

BATCH = 500
#: Of the server; sizes for a machine of 16 GB or more that others use, too.
SETTINGS = {
    "shared_buffers": "4GB", "max_wal_size": "16GB", "checkpoint_timeout": "30min",
}  # fmt: skip


def fetch(name: str) -> Fetch:
    url = f"https://example.org/archive/{name}/a-post-of-that-day"
    return Fetch(url=url, lane="pages", callback="parse", via="https://example.org/", depth=3)


def opened(place: str, name: str) -> SqliteFrontier | PostgresFrontier:
    if place.startswith("postgresql:"):
        return PostgresFrontier(place, name)
    return SqliteFrontier(place)


def filled(place: str, urls: int) -> None:
    frontier, began = opened(place, "filling"), time.perf_counter()
    frontier.set_lanes({"pages": 50})
    fetches = (fetch(f"{number:08}") for number in range(urls))
    while batch := list(islice(fetches, 5000)):
        frontier.offer(batch)
    seconds = time.perf_counter() - began
    print(json.dumps({"filled": urls, "seconds": round(seconds, 1), "per_second": round(urls / seconds)}), flush=True)
    if isinstance(frontier, PostgresFrontier):
        frontier._db.execute("ANALYZE")  # noqa: SLF001 - as the server would by itself, a minute later
    frontier.close()


def settled(one: Leased, name: str, offset: int) -> Settlement:
    digests = Digests(
        block_sha256="00" * 32, payload_sha256=os.urandom(32).hex(), payload_sha1="A" * 32, payload_length=5000
    )
    return Settlement(
        id=one.id, token=one.token, state=State.DONE, status=200, size=6000, is_original=True, digests=digests,
        location=Location(segment=f"{name}.warc.gz", offset=offset, response_offset=offset + 400, response_length=5600),
        record_id=f"<urn:uuid:{offset:032x}>", date="2026-01-01T00:00:00Z",
        outlinks=(fetch(f"{name}/{offset}"), fetch(f"{offset % 1000:08}")),
    )  # fmt: skip


def write(place: str, name: str, seconds: float, ready: object, told: object) -> None:
    garbage.seldom()  # as a crawl does
    frontier, offsets = opened(place, name), count(1)
    ready.wait()  # type: ignore[attr-defined]
    done, making, start = 0, 0.0, time.monotonic()
    before = time.process_time()
    while time.monotonic() < start + seconds:
        lease = frontier.lease(
            BATCH, worker=name, now=time.time(), seconds=600, admit=None, room=lambda origin: BATCH
        )  # fmt: skip
        offset, began = 0, time.thread_time()
        settlements = []
        for one in lease.fetches:
            offset = next(offsets) * 6000
            settlements.append(settled(one, name, offset))
        making += time.thread_time() - began
        done += frontier.commit(
            Commit(settlements=tuple(settlements), low_water={f"{name}.warc.gz": offset}), now=time.time()
        )
    frontier.close()  # which writes what was yet to be written
    spent, took = time.process_time() - before, time.monotonic() - start
    told.put((done, done / took, spent - making, making))  # type: ignore[attr-defined]


def served(place: str) -> float:
    """Return the processor seconds of a database server and all that it has started; 0 for a file."""
    if not place.startswith("postgresql:"):
        return 0.0
    folder = parse_qs(urlsplit(place).query)["host"][0]
    main = int(Path(folder, "data", "postmaster.pid").read_text("utf-8").split()[0])
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            facts = stat.read_text("utf-8").rpartition(")")[2].split()
            if int(stat.parent.name) == main:
                ticks += sum(map(int, facts[11:15]))
            elif int(facts[1]) == main:
                ticks += sum(map(int, facts[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def run(place: str, run_number: int, writers: int, seconds: float) -> dict[str, float]:
    spawn = multiprocessing.get_context("spawn")
    ready, told = spawn.Barrier(writers), spawn.Queue()
    processes = [
        spawn.Process(target=write, args=(place, f"n{run_number}w{n}", seconds, ready, told)) for n in range(writers)
    ]
    before = served(place)
    for process in processes:
        process.start()
    results = [told.get() for _ in processes]
    for process in processes:
        process.join()
    time.sleep(0.2)  # the server takes leave of its children
    server = served(place) - before
    done, rate, frontier, making = (sum(column) for column in zip(*results, strict=True))
    parts = {"frontier": frontier, "server": server, "making": making}
    return {
        "per_second": round(rate),
        **{f"{name}_cpu_per_1000": round(1000 * cpu / max(done, 1), 4) for name, cpu in parts.items()},
    }


def measure(place: str, engine: str, args: argparse.Namespace) -> None:
    filled(place, args.urls)
    writers = args.writers if engine == "postgres" else 1
    best: dict[str, float] = {}
    for number in range(args.runs):
        found = run(place, number, writers, args.seconds)
        facts = {"engine": engine, "urls": args.urls, "writers": writers, **found, "load": round(os.getloadavg()[0], 1)}
        print(json.dumps(facts), flush=True)
        best = max(best, found, key=lambda one: one.get("per_second", 0))
    print(json.dumps({"engine": engine, "best": best}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--urls", type=int, default=1_000_000)
    parser.add_argument("--engine", choices=["sqlite", "postgres"], action="append")
    parser.add_argument("--writers", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10)
    args = parser.parse_args()
    for engine in args.engine or ["sqlite", "postgres"]:
        with contextlib.ExitStack() as stack:
            if engine == "sqlite":
                place = str(Path(stack.enter_context(tempfile.TemporaryDirectory())) / "frontier.sqlite")
            else:
                place = database.schema(stack.enter_context(database.server(**SETTINGS)))
            measure(place, engine, args)


if __name__ == "__main__":
    main()
