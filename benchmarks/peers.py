"""Compare Outlast with its peers on one machine and one site: captures a second and a CPU-second, memory, what is held.

python benchmarks/peers.py [--rounds 3] [--only NAME...] [--pages 4000] [--images 1200] [--work DIR] [--write docs/]
python benchmarks/peers.py --latency 0.05..0.2 [--concurrency 64]    share of what the concurrency allows
python benchmarks/peers.py --delay-ms 50 [--concurrency 16]          two workers against one, concurrency each
python benchmarks/peers.py --tls                                     the same site over TLS and plain

Builds what it needs in the work directory (environments of the peers, the site) and keeps it there; nginx and wget come
from apt where they are missing. The candidates run one after the other, the rounds interleaved, on a site that nginx
serves from warm caches. CPU is user and system time of all of a candidate's processes, never the server's. Held is what
can be read back from its WARCs with the right status and SHA-256; the site's maker knows what is right.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import far, report
from benchmarks.candidates import Candidate, has_workers, install, outlast, peers, prepare
from benchmarks.origin import Origin, late, nginx, warm
from benchmarks.runs import crawl
from benchmarks.site import Site, make

if TYPE_CHECKING:
    from collections.abc import Iterator

TITLE = "Captures per CPU-second"


def main() -> int:
    given = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers and candidates end with us
    work = given.work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    site = make(work / f"site-{given.pages}-{given.images}", pages=given.pages, images=given.images)
    if given.latency:
        return far.latency(site, work, given.latency, given.concurrency or 64, given.rounds)
    if given.delay_ms:
        return far.delay(site, work, given.delay_ms / 1000, given.concurrency or 16, given.rounds)
    with serving(site, work) as origin:
        return far.tls(site, work, origin, given.rounds) if given.tls else compare(site, work, origin, given)


@contextmanager
def serving(site: Site, work: Path) -> Iterator[Origin]:
    """Serve the site with nginx; where there is none to be had, with a server of our own."""
    try:
        install("nginx", "nginx")
    except (OSError, subprocess.CalledProcessError) as e:
        print(f"going on without nginx, which slows all down: {e}", file=sys.stderr)
        server = late(site, work / "origin", (0.0, 0.0))
    else:
        server = nginx(site, work / "origin")
    with server as origin:
        yield origin


def compare(site: Site, work: Path, origin: Origin, given: argparse.Namespace) -> int:
    """Run all candidates, print and write the table."""
    warm(site, origin)
    candidates, versions = prepare(_chosen(given.only), work / "venvs")
    facts = {
        **report.machine(),
        "site": _described(site),
        "rounds": given.rounds,
        "versions": ", ".join(dict.fromkeys(versions.values())),
    }
    results = []
    for number in range(given.rounds):
        for candidate in candidates:
            result = crawl(candidate, site, origin, work).result
            results.append(result)
            print(f"round {number + 1}: {_told(result)}", file=sys.stderr, flush=True)
    middle = report.typical(results)
    rows = report.table(middle)
    notes = [*report.ratios(middle), *(f"{candidate.name}: {candidate.note}" for candidate in candidates)]
    print(report.text(rows), *report.ratios(middle), sep="\n")
    for place in {work, given.write or work}:
        place.mkdir(parents=True, exist_ok=True)
        (place / "peers.md").write_text(report.markdown(TITLE, rows, facts, notes))
        (place / "peers.json").write_text(report.as_json(results, facts))
    if given.write:
        (given.write / "peers.svg").write_text(report.picture(middle, TITLE))
    return 0


def _chosen(only: list[str]) -> list[Candidate]:
    """Return the candidates whose names are these; all, if none are given."""
    everybody = [*([outlast(1), outlast(2)] if has_workers() else [outlast(0)]), *peers()]
    names = {name for one in everybody for name in (one.name, one.name.rstrip("-12"))}
    if unknown := set(only) - names:
        sys.exit(f"--only knows {', '.join(sorted(names))}; not {', '.join(sorted(unknown))}")
    return [one for one in everybody if not only or {one.name, one.name.rstrip("-12")} & set(only)]


def _described(site: Site) -> str:
    kinds = [truth.kind for truth in site.truth.values()]
    counts = ", ".join(f"{kinds.count(kind):,} {kind}" for kind in dict.fromkeys(kinds))
    return f"{len(site.truth):,} URLs ({counts}), {site.bytes / 1e6:,.0f} MB"


def _told(result: report.Result) -> str:
    missed = "; ".join(result.missed)
    return (
        f"{result.name}: {result.captures:,} of {result.whole:,} in {result.wall:.1f} s, {result.cpu:.2f} CPU s, "
        f"{result.efficiency:,.0f} per CPU-second, exit {result.exit}{'; not held: ' if missed else ''}{missed}"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="of outlast, wget, scrapy, …")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "outlast-peers")
    parser.add_argument("--pages", type=int, default=4000)
    parser.add_argument("--images", type=int, default=1200)
    parser.add_argument("--write", type=Path, metavar="DIR", help="write peers.md, peers.json and peers.svg there")
    parser.add_argument("--latency", type=_range, metavar="FROM..TO", help="seconds that every answer is late")
    parser.add_argument("--delay-ms", type=float, default=0.0, help="one and two workers with this delay")
    parser.add_argument("--concurrency", type=int, default=0)
    parser.add_argument("--tls", action="store_true", help="the same site over TLS and plain")
    return parser.parse_args()


def _range(text: str) -> tuple[float, float]:
    least, _, most = text.partition("..")
    return float(least), float(most or least)


if __name__ == "__main__":
    sys.exit(main())
