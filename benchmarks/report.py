"""The results of ``peers.py`` as a table, as Markdown, as JSON, and as a picture."""

from __future__ import annotations

import json
import os
import platform
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_MEGABYTE = 1 << 20
COLUMNS = (
    "candidate", "captures", "wall s", "CPU s", "waited s", "captures/s", "captures/CPU s", "held %", "doubles",
    "asked", "peak RSS MB", "peak PSS MB", "processes", "exit",
)  # fmt: skip
#: Sizes of the picture's parts in pixels.
_NAME, _BAR, _ROW, _VALUE = 150, 460, 30, 70


@dataclass(frozen=True, slots=True)
class Result:
    """One candidate's crawl. Seconds and bytes."""

    name: str
    #: URLs of the site of which the right answer was recorded (or, without WARC, sent).
    captures: int
    #: URLs of the site.
    whole: int
    wall: float
    cpu: float
    #: What all threads waited for a processor that others had; much of it is in the wall time, too.
    waited: float
    #: Records, or without WARC answers, beyond the first for a URL.
    doubles: int
    #: Requests by the server's log.
    asked: int
    #: Those of them for what it had already been given.
    asked_again: int
    #: Of the largest process alone; of all together with shared pages counted once.
    rss: int
    pss: int
    processes: int
    exit: int
    #: Of the WARCs.
    size: int = 0
    #: Some of what was not held, and why.
    missed: tuple[str, ...] = ()
    #: Some of what was recorded more than once, and how often.
    doubled: tuple[str, ...] = ()
    #: CPU seconds by process, roughly.
    parts: tuple[str, ...] = ()

    @property
    def rate(self) -> float:
        return self.captures / self.wall if self.wall else 0.0

    @property
    def efficiency(self) -> float:
        return self.captures / self.cpu if self.cpu else 0.0

    @property
    def share(self) -> float:
        return 100 * self.captures / self.whole


def typical(results: Sequence[Result]) -> dict[str, Result]:
    """Return for each candidate the medians of its rounds, in the order they came."""
    rounds: dict[str, list[Result]] = {}
    for result in results:
        rounds.setdefault(result.name, []).append(result)
    return {name: _middle(several) for name, several in rounds.items()}


def _middle(results: list[Result]) -> Result:
    """Return the medians of several rounds, column by column; the worst of what should be whole."""
    facts: dict[str, Any] = asdict(results[0])
    for name in ("wall", "cpu", "waited", "asked", "asked_again", "rss", "pss", "processes", "size"):
        facts[name] = median(getattr(result, name) for result in results)
    facts["captures"] = min(result.captures for result in results)
    facts["doubles"] = max(result.doubles for result in results)
    facts["doubled"] = next((result.doubled for result in results if result.doubled), ())
    facts["missed"] = next((result.missed for result in results if result.missed), ())
    return Result(**facts)


def table(results: dict[str, Result]) -> list[list[str]]:
    """Return the rows, the head first."""
    return [list(COLUMNS), *(_row(result) for result in results.values())]


def _row(result: Result) -> list[str]:
    return [
        result.name, f"{result.captures:,}", f"{result.wall:.1f}", f"{result.cpu:.2f}", f"{result.waited:.1f}",
        f"{result.rate:,.0f}", f"{result.efficiency:,.0f}", f"{result.share:.2f}", f"{result.doubles:,}",
        f"{result.asked:,.0f}", f"{result.rss / _MEGABYTE:,.0f}", f"{result.pss / _MEGABYTE:,.0f}",
        f"{result.processes:.0f}", str(result.exit),
    ]  # fmt: skip


def text(rows: list[list[str]]) -> str:
    """Return rows as a table for a terminal."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(_line(row, widths) for row in rows)


def _line(row: list[str], widths: list[int]) -> str:
    first, *others = widths
    return "  ".join([row[0].ljust(first), *map(str.rjust, row[1:], others)])


def markdown(title: str, rows: list[list[str]], facts: dict[str, Any], notes: Sequence[str]) -> str:
    """Return a section with the table, how it came to be, and what each line means."""
    head, *body = rows
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    lines += ["| " + " | ".join(row) + " |" for row in body]
    told = [f"- {name}: {value}" for name, value in facts.items()]
    return "\n".join([f"## {title}", "", *lines, "", *told, *(f"- {note}" for note in notes), ""])


def ratios(results: dict[str, Result]) -> list[str]:
    """Return how we compare with each peer, and two workers with one, by captures per CPU-second."""
    ours = results.get("outlast-1")
    if ours is None:
        return []
    said = []
    for name, other in results.items():
        if name == "outlast-2" and ours.efficiency:
            said.append(f"two workers against one: {other.efficiency / ours.efficiency:.2f} per CPU-second")
        elif name != "outlast-1" and other.efficiency:
            said.append(f"one worker against {name}: {ours.efficiency / other.efficiency:.2f} per CPU-second")
    return said


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": f"{os.cpu_count()} x {models[0].split(': ')[1] if models else platform.machine()}",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') >> 30} GB",
        "system": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_version()} of {sys.base_prefix}",
        "load before": ", ".join(f"{load:.1f}" for load in os.getloadavg()),
    }


def as_json(results: Sequence[Result], facts: dict[str, Any]) -> str:
    """Return every round of every candidate."""
    return json.dumps({"facts": facts, "rounds": [asdict(result) for result in results]}, indent=1) + "\n"


def picture(results: dict[str, Result], title: str) -> str:
    """Return an SVG with one bar a candidate: captures per CPU-second."""
    ranked = sorted(results.values(), key=lambda result: -result.efficiency)
    most = max((result.efficiency for result in ranked), default=1) or 1
    width, height = _NAME + _BAR + _VALUE, _ROW * (len(ranked) + 1) + 10
    bars = "\n".join(_bar(result, place, most) for place, result in enumerate(ranked, 1))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="sans-serif" font-size="14" role="img" aria-label="{escape(title)}">\n'
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>\n'
        f'<text x="8" y="20" font-weight="bold" fill="#222222">{escape(title)}</text>\n{bars}\n</svg>\n'
    )


def _bar(result: Result, place: int, most: float) -> str:
    top, length = place * _ROW, max(_BAR * result.efficiency / most, 1)
    colour = "#2a6f97" if result.name.startswith("outlast") else "#a9b4bd"
    return (
        f'<text x="{_NAME - 8}" y="{top + 20}" text-anchor="end" fill="#222222">{escape(result.name)}</text>'
        f'<rect x="{_NAME}" y="{top + 5}" width="{length:.1f}" height="{_ROW - 10}" fill="{colour}"/>'
        f'<text x="{_NAME + length + 6:.1f}" y="{top + 20}" fill="#222222">{result.efficiency:,.0f}</text>'
    )
