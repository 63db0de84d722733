"""Outlast against an origin that answers late, and over TLS: the modes of ``peers.py`` without peers."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from statistics import mean, median
from typing import TYPE_CHECKING

from benchmarks.candidates import Candidate, has_workers, outlast
from benchmarks.origin import HOST, Asked, Origin, late, learn, warm
from benchmarks.report import text
from benchmarks.runs import Crawl, crawl
from benchmarks.slow import lateness

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from benchmarks.site import Site

#: The part of the answers, in the order of time, that is the crawl at its full pace: neither its beginning nor its end.
_MIDDLE = (0.2, 0.9)


@dataclass(frozen=True, slots=True)
class Flow:
    """How fast answers left, by the server's log."""

    #: Answers a second from the first request to the last answer.
    whole: float
    #: Answers a second in the middle of the crawl.
    steady: float
    #: Mean seconds that they were late.
    late: float


def flow(asked: Sequence[Asked], latency: tuple[float, float]) -> Flow:
    """Return the pace of a crawl."""
    times = sorted(entry.at for entry in asked)
    begin, end = (int(len(times) * share) for share in _MIDDLE)
    seconds = mean(lateness(entry.path, *latency) for entry in asked)
    whole = len(times) / (times[-1] - times[0] + seconds)
    return Flow(whole, (end - begin) / (times[end - 1] - times[begin - 1]), seconds)


@dataclass(slots=True)
class Series:
    """The rounds of one candidate at one URL."""

    name: str
    candidate: Candidate
    url: str
    crawls: list[Crawl] = field(default_factory=list)

    def middle(self, of: Callable[[Crawl], float]) -> float:
        """Return the median of the rounds."""
        return median(map(of, self.crawls))

    def row(self) -> list[str]:
        """Return the first cells of a line of any table; what was not held is told of."""
        worst = min((one.result for one in self.crawls), key=lambda result: result.captures)
        for missed in worst.missed:
            print(f"{self.name}: not held: {missed}", file=sys.stderr)
        wall, cpu = self.middle(lambda one: one.result.wall), self.middle(lambda one: one.result.cpu)
        waited = self.middle(lambda one: one.result.waited)
        return [self.name, f"{worst.captures:,}", f"{worst.share:.2f}", f"{wall:.1f}", f"{cpu:.1f}", f"{waited:.1f}"]


_HEAD = ["candidate", "captures", "held %", "wall s", "CPU s", "waited s"]


def _run(series: Sequence[Series], site: Site, origin: Origin, work: Path, rounds: int) -> None:
    """Do all rounds, interleaved, so that a busy hour of the machine hits all alike."""
    for number in range(rounds):
        for one in series:
            one.crawls.append(crawl(one.candidate, site, origin, work, one.url))
            print(f"round {number + 1}: {one.name}: {one.crawls[-1].result.wall:.1f} s", file=sys.stderr, flush=True)


def latency(site: Site, work: Path, seconds: tuple[float, float], concurrency: int, rounds: int) -> int:
    """Print the requests a second as a share of what so many connections allow at that latency."""
    rows = [[*_HEAD, "requests/s", "share %", "steady/s", "share %"]]
    with late(site, work / "late", seconds) as origin:
        learn(site)
        ours = [outlast(workers, "--concurrency", str(concurrency)) for workers in _workers()]
        series = [Series(one.name, one, origin.url()) for one in ours]
        _run(series, site, origin, work, rounds)
    for one in series:
        allowed = concurrency / flow(one.crawls[0].asked, seconds).late
        whole = one.middle(lambda crawled: flow(crawled.asked, seconds).whole)
        steady = one.middle(lambda crawled: flow(crawled.asked, seconds).steady)
        shares = [f"{100 * rate / allowed:.1f}" for rate in (whole, steady)]
        rows.append([*one.row(), f"{whole:,.0f}", shares[0], f"{steady:,.0f}", shares[1]])
    print(f"latency {seconds[0]}..{seconds[1]} s, {concurrency} at once: {allowed:,.0f} requests/s are allowed")
    print(text(rows))
    return 0


def delay(site: Site, work: Path, seconds: float, concurrency: int, rounds: int) -> int:
    """Print the wall speed of two workers against one, each with so many connections."""
    if not has_workers():
        print("this Outlast has no --workers", file=sys.stderr)
        return 1
    rows = [[*_HEAD, "captures/s", "requests/s", "steady/s"]]
    with late(site, work / "late", (seconds, seconds)) as origin:
        learn(site)
        ours = [outlast(workers, "--concurrency", str(concurrency * workers)) for workers in _workers()]
        series = [Series(one.name, one, origin.url()) for one in ours]
        _run(series, site, origin, work, rounds)
    rates = [_rates(one, seconds) for one in series]
    rows += [[*one.row(), *(f"{rate:,.0f}" for rate in three)] for one, three in zip(series, rates, strict=True)]
    wall, span, steady = (two / one for one, two in zip(*rates, strict=True))
    print(f"every answer {seconds * 1000:.0f} ms late, {concurrency} connections a worker")
    print(text(rows))
    print(
        f"two workers against one: {wall:.2f} by wall time, start and end included; {span:.2f} from the first request "
        f"to the last answer; {steady:.2f} in the middle of the crawl"
    )
    return 0


def _rates(one: Series, seconds: float) -> tuple[float, float, float]:
    """Return captures a second by wall time, and answers a second of the whole crawl and its middle."""
    return (
        one.middle(lambda crawled: crawled.result.rate),
        one.middle(lambda crawled: flow(crawled.asked, (seconds, seconds)).whole),
        one.middle(lambda crawled: flow(crawled.asked, (seconds, seconds)).steady),
    )


def tls(site: Site, work: Path, origin: Origin, rounds: int) -> int:
    """Print the throughput over TLS against plain HTTP, same name, same server."""
    warm(site, origin)
    series = [
        Series(f"{ours.name}, {scheme}", ours, url)
        for ours in (_named(origin, workers) for workers in _workers())
        for scheme, url in (("plain", origin.named_url()), ("TLS", origin.url(tls=True)))
    ]
    _run(series, site, origin, work, rounds)
    rates = [
        (one.middle(lambda crawled: crawled.result.rate), one.middle(lambda crawled: crawled.result.efficiency))
        for one in series
    ]
    rows = [[*_HEAD, "captures/s", "captures/CPU s"]]
    rows += [[*one.row(), *(f"{rate:,.0f}" for rate in both)] for one, both in zip(series, rates, strict=True)]
    print(text(rows))
    for one, plain, over in zip(series[::2], rates[::2], rates[1::2], strict=True):
        wall, cpu = over[0] / plain[0], over[1] / plain[1]
        print(f"{one.candidate.name}: TLS against plain: {wall:.2f} by wall time, {cpu:.2f} per CPU-second")
    return 0


def _named(origin: Origin, workers: int) -> Candidate:
    """Return ourselves, who find the site by its name on this machine."""
    resolve = [f"--resolve={HOST}:{port}:127.0.0.1" for port in (origin.port, origin.tls_port)]
    return outlast(workers, *resolve, "--ca-cert", str(origin.authority), "--allow-private", "127.0.0.0/8")


def _workers() -> tuple[int, ...]:
    return (1, 2) if has_workers() else (0,)
