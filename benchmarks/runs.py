"""One crawl of one candidate: run it under ``measure.py``, then see what it holds."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from benchmarks import holdings
from benchmarks.candidates import Candidate, Job, environment
from benchmarks.measure import Measured
from benchmarks.origin import Asked, Origin, doubles, end, free_port, listens
from benchmarks.report import Result

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.site import Site

HERE = Path(__file__).parent
#: Seconds until a candidate is told to stop, and is reported with what it has.
PATIENCE = 1800.0
#: Connections of the client in front of a proxy.
CONNECTIONS = 16


@dataclass(frozen=True, slots=True)
class Crawl:
    """What a crawl took, what it holds, and what the server saw of it."""

    result: Result
    asked: list[Asked]


def crawl(candidate: Candidate, site: Site, origin: Origin, work: Path, url: str = "") -> Crawl:
    """Have a candidate crawl the site into a fresh directory, which goes afterwards."""
    url = url or origin.url()
    out = work / "out" / candidate.name
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    job = Job(url, out, work / "venvs" / candidate.name / "bin", free_port() if candidate.is_proxy else 0)
    origin.asked()
    measured = _measured(candidate, job, site)
    asked = origin.asked()
    held = holdings.read(out, site, urlsplit(url).netloc) if candidate.writes else _sent(asked, site)
    shutil.rmtree(out, ignore_errors=True)
    return Crawl(_result(candidate, site, measured, held, asked), asked)


def _measured(candidate: Candidate, job: Job, site: Site) -> Measured:
    with _running(candidate, job) as (helper, book):
        if candidate.is_proxy:
            _ask_through(helper, job, site)
            helper.send_signal(signal.SIGTERM)
        try:
            helper.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            print(f"{candidate.name} is at it for {PATIENCE:.0f} s; it must stop", file=sys.stderr)
            helper.send_signal(signal.SIGTERM)
            helper.wait(60)
    return Measured(**json.loads(book.read_text()))


@contextmanager
def _running(candidate: Candidate, job: Job) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Run a candidate below ``measure.py``; whatever happens, it ends with the block."""
    book = job.out.with_suffix(".measured.json")
    helper = [sys.executable, "-P", str(HERE / "measure.py"), str(book), *candidate.command(job)]
    log = job.out.with_suffix(".log")
    with log.open("wb") as told:
        child = subprocess.Popen(
            helper, cwd=job.out, env=environment(ours=not (candidate.packages or candidate.program)),
            stdin=subprocess.DEVNULL, stdout=told, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        yield child, book
    finally:
        if child.poll() is None:
            end(child, signal.SIGTERM)


def _ask_through(helper: subprocess.Popen[bytes], job: Job, site: Site) -> None:
    """Fetch the whole site through a proxy."""
    until = time.monotonic() + 60
    while not listens(job.port) and helper.poll() is None and time.monotonic() < until:
        time.sleep(0.1)
    listing = job.out.with_suffix(".urls")
    listing.write_text("\n".join(urljoin(job.url, path) for path in site.truth))
    subprocess.run(
        [sys.executable, "-P", str(HERE / "fetcher.py"), str(job.port), str(listing), str(CONNECTIONS)],
        check=True, timeout=PATIENCE,
    )  # fmt: skip


def _sent(asked: list[Asked], site: Site) -> holdings.Holdings:
    """Return what a candidate without WARCs got: whole answers, by the server's log."""
    found = holdings.Holdings()
    for entry in asked:
        truth = site.truth.get(entry.path)
        if truth is not None:
            found.records[entry.path] += 1
            if (entry.status, entry.size) == (truth.status, truth.size):
                found.held.add(entry.path)
    return found


def _result(
    candidate: Candidate, site: Site, measured: Measured, held: holdings.Holdings, asked: list[Asked]
) -> Result:
    twice = [f"{path}: {times} records" for path, times in held.records.most_common(20) if times > 1]
    missing = sorted(set(site.truth) - held.held)
    return Result(
        name=candidate.name, captures=len(held.held), whole=len(site.truth), wall=measured.wall, cpu=measured.cpu,
        waited=measured.waited,
        doubles=held.doubles, asked=len(asked), asked_again=doubles(asked, site), rss=measured.peak_rss,
        pss=measured.peak_pss, processes=measured.processes, exit=measured.exit, size=held.bytes,
        missed=tuple(f"{path}: {held.wrong.get(path, 'no record')}" for path in missing[:5]),
        doubled=tuple(twice), parts=tuple(f"{name}: {cpu:.2f}" for name, cpu in measured.parts.items()),
    )  # fmt: skip
