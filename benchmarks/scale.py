"""What a rescue of Parler's order asks for, out of what was measured: the tables of docs/scale.md.

    python benchmarks/scale.py [--files 100e6] [--terabytes 70] [--hours 48] [--copies 2] [--links 10]

Every constant below was measured (docs/performance.md, benchmarks/frontier_size.py) or is a list price
(crawler/cold/prices.toml); everything printed is arithmetic on them. Nothing is run.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from crawler.cold.prices import prices
from crawler.warc.seal import PART_BYTES

#: Captures a CPU second of small things, parsing, sealing and all (peers.py), and CPU seconds a GB of big ones: 59 MB/s
#: (big.py) with both cores taken, which is the most it can have been.
CAPTURES_CPU, BIG_CPU_GB, BIG_MBS = 393, 2 * 1000 / 59, 59
#: CPU seconds to push a GB once, and the MB/s it went at (push_speed.py).
PUSH_CPU_GB, PUSH_MBS = 1.44, 93
#: Captures a second with so many requests at once and 125 ms an answer (peers.py --latency).
FAR, FAR_AT_ONCE = 471, 64
#: Of PostgreSQL: bytes a fetch queued, what done adds, write-ahead log (frontier_size.py), offers a second (the same),
#: settled a second and the server's CPU seconds for a thousand (frontier_rate.py --urls 10000000).
QUEUED, DONE, WAL, OFFERS, SETTLED, SERVER_CPU = 770, 425, 1133 + 1476, 7771, 3725, 0.074
SEGMENT = 1 << 30


def row(*cells: str) -> None:
    print("|", " | ".join(cells), "|")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=float, default=100e6)
    parser.add_argument("--terabytes", type=float, default=70)
    parser.add_argument("--hours", type=float, default=48)
    parser.add_argument("--copies", type=int, default=2)
    parser.add_argument("--links", type=float, default=10)
    of = parser.parse_args()
    seconds, gigabytes = of.hours * 3600, of.terabytes * 1000
    rate, speed = of.files / seconds, gigabytes * 1000 / seconds

    row("captures a second", f"{of.files:,.0f} / {seconds:,.0f} s", f"{rate:,.0f}")
    row("MB a second in", f"{gigabytes:,.0f} GB / {seconds:,.0f} s", f"{speed:,.0f} ({speed * 8 / 1000:.2f} Gbit/s)")
    row(
        "MB a second out",
        f"{of.copies} copies",
        f"{speed * of.copies:,.0f} ({speed * of.copies * 8 / 1000:.2f} Gbit/s)",
    )

    cpu = {
        "captures": of.files / CAPTURES_CPU,
        "bytes": gigabytes * BIG_CPU_GB,
        "push": of.copies * gigabytes * PUSH_CPU_GB,
    }
    for name, taken in cpu.items():
        row(f"core hours, {name}", "", f"{taken / 3600:,.0f}")
    row("cores", f"{sum(cpu.values()) / 3600:,.0f} / {of.hours:.0f} h", f"{sum(cpu.values()) / seconds:.1f}")
    row("machines by a fetch of 59 MB/s each", f"{speed:,.0f} / {BIG_MBS}", f"{speed / BIG_MBS:.1f}")
    row(
        "machines by a push of 93 MB/s each",
        f"{speed * of.copies:,.0f} / {PUSH_MBS}",
        f"{speed * of.copies / PUSH_MBS:.1f}",
    )
    for line in (1000, 200, 50):
        row(f"machines by a line of {line} Mbit/s out", "", f"{speed * of.copies * 8 / line:.1f}")
    row("requests at once, all on one host", f"{rate:,.0f} / {FAR} x {FAR_AT_ONCE}", f"{rate / FAR * FAR_AT_ONCE:,.0f}")
    row("hours at --concurrency 16", "", f"{of.files / (FAR / FAR_AT_ONCE * 16) / 3600:,.0f}")

    row("frontier GB, queued / done", "", f"{of.files * QUEUED / 1e9:,.0f} / {of.files * (QUEUED + DONE) / 1e9:,.0f}")
    row("write-ahead log, GB, MB/s", "", f"{of.files * WAL / 1e9:,.0f}, {rate * WAL / 1e6:.1f}")
    row("of the settlements measured", f"{rate:,.0f} / {SETTLED:,}", f"{rate / SETTLED:.0%}")
    row("of the offers measured", f"{rate:,.0f} x {of.links:.0f} / {OFFERS:,}", f"{rate * of.links / OFFERS:.0%}")
    row("server's cores for settlements", "", f"{rate * SERVER_CPU / 1000:.2f}")

    segments = gigabytes * 1e9 / SEGMENT
    parts = gigabytes * 1e9 / PART_BYTES
    requests = parts + 3 * segments
    row("segments", f"{gigabytes:,.0f} GB / 1 GiB", f"{segments:,.0f}")
    row("requests that write, a copy", f"{parts:,.0f} parts + 3 x {segments:,.0f}", f"{requests:,.0f}")
    row("requests a second, all copies", "", f"{of.copies * requests / seconds:.1f}")
    date, known = prices()
    print("\nprices of", date)
    for one in known:
        month = (gigabytes + segments * one.extra / 1e9) * one.month
        row(
            one.host, one.storage_class, f"{requests / 1000 * one.put:,.0f}", f"{month:,.0f}",
            f"{month * one.days / 30:,.0f}", f"{gigabytes * one.back:,.0f}",
        )  # fmt: skip


if __name__ == "__main__":
    main()
