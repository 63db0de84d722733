"""How a crawl went, for its report: how it was set up, what servers answered and when, what is lacking and why."""

from __future__ import annotations

import json
import re
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any

from crawler.collection import class_of
from crawler.coverage import holes
from crawler.framing import parse_headers
from crawler.frontier.engines import at_hand
from crawler.model import SegmentClass
from crawler.reading.figures import Timeline, second, shares, strip
from crawler.reading.shelf import Shelf
from crawler.warc.reader import Torn, read_at
from crawler.withheld import Withheld

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crawler.collection import Collection
    from crawler.frontier.reader import FrontierReader
    from crawler.model import Covered

#: How coverage is stacked, best first.
STANDINGS = ("captured", "partial", "queued", "missing", "refused")
#: What servers answer → how it is drawn, as it is stacked.
ANSWERS = {
    "answered": "captured", "moved": "queued", "not there": "s0", "refused": "refused", "too many requests": "partial",
    "server error": "missing",
}  # fmt: skip
#: Gaps that are named, in all and for one reason; runs of holes; silences.
_GAPS, _ALIKE, _RUNS, _SILENCES = 200, 25, 300, 5
#: Facts of a warcinfo that a report shows, as people call them.
_INFO = {
    "operator": "operator", "description": "purpose", "robots": "robots.txt", "http-header-user-agent": "user agent",
    "software": "software", "outlast-tls-verification": "TLS verification", "outlast-spider": "spider",
    "outlast-clock": "clock",
}  # fmt: skip
_LINE = re.compile(rb'\S+ (\d{12})\d\d \{.*?"status": "(\d{3})"')
#: Minutes that are counted before they go to the time line.
_BATCH = 20_000
_RESTRICTED = SegmentClass.RESTRICTED.value


def run(collection: Collection) -> dict[str, Any]:
    """Return how the last run was set up, by the newest segment that is on this machine."""
    paths = [*collection.sealed_segments(), *collection.open_segments()]
    newest = max(paths, key=lambda path: path.name, default=None)
    told = _warcinfo(newest) if newest else {}
    try:
        settings = json.loads(told.get("outlast-settings") or "{}")
        said = [(name, json.dumps(one["value"], ensure_ascii=False), one["from"]) for name, one in settings.items()]
    except (ValueError, TypeError, KeyError, AttributeError):
        said = []
    return {"info": [(label, told[name]) for name, label in _INFO.items() if told.get(name)], "settings": said}


def _warcinfo(path: Path) -> dict[str, str]:
    try:
        record = read_at(path, 0)
    except (Torn, OSError):
        return {}
    if record.type != "warcinfo":
        return {}
    with record.block.open() as stream:
        pairs = parse_headers(b"warcinfo\r\n" + stream.read(1 << 16))
    return {name.decode("latin-1").lower(): value.decode("utf-8", "replace") for name, value in pairs}


def answers(collection: Collection) -> dict[str, Any]:
    """Return what servers answered and when, by the indexes of the sealed segments: attempts are in them, too."""
    timeline, totals = Timeline(), Counter[str]()
    for index in sorted(collection.indexes.glob("*.cdxj")):
        for counts in _minutes(index):
            for (minute, status), count in counts.items():
                name = _name(int(status))
                totals[status.decode()] += count
                at = second(f"{minute[:8].decode()}T{minute[8:].decode()}")
                if at is not None:
                    timeline.add(at, name, count)
    return {
        "figure": timeline.columns(list(ANSWERS)), "classes": ANSWERS,
        "statuses": sorted(totals.items()), "total": sum(totals.values()),
        "silences": timeline.silences()[:_SILENCES],
    }  # fmt: skip


def _minutes(index: Path) -> Iterator[Counter[tuple[bytes, bytes]]]:
    counts: Counter[tuple[bytes, bytes]] = Counter()
    with index.open("rb") as file:
        for line in file:
            if found := _LINE.match(line):
                counts[found[1], found[2]] += 1
            if len(counts) > _BATCH:
                yield counts
                counts = Counter()
    yield counts


def _name(status: int) -> str:
    if status == 429:
        return "too many requests"
    if status in {401, 403, 451}:
        return "refused"
    return ("answered", "answered", "answered", "moved", "not there", "server error")[min(status // 100, 5)]


def crawl(collection: Collection) -> dict[str, Any] | None:
    """Return where the crawl stands, by its frontier; None where that is not on this machine."""
    if (found := at_hand(collection)) is None:
        return None
    withheld = Withheld.load(collection)
    with closing(found) as frontier:
        stats = frontier.stats()
        covered = frontier.coverage()
        return {
            "stats": stats,
            "round": frontier.round,
            "coverage": [_kind(kind, counts) for kind, counts in covered.items() if set(counts) - {"excluded"}],
            "noted": {kind: counts["excluded"] for kind, counts in covered.items() if counts.get("excluded")},
            "claims": [(one, covered.get(one.kind, {}).get("captured", 0)) for one in frontier.claims()],
            "notes": [one for one in frontier.notes() if not withheld.hides(url=one[0].url)][:_ALIKE],
            "spaces": list(_spaces(frontier, covered)),
            "reasons": sorted(stats.reasons.items(), key=lambda one: (-one[1], one[0])),
            "gaps": _gaps(frontier, Shelf(collection), withheld),
        }


def _kind(kind: str, counts: dict[str, int]) -> dict[str, Any]:
    told = {("queued" if name == "known" else name): n for name, n in counts.items()}
    known = sum(told.get(name, 0) for name in STANDINGS)
    return {"kind": kind, "known": known, "bar": shares(told, STANDINGS), **{n: told.get(n, 0) for n in STANDINGS}}


def _spaces(frontier: FrontierReader, covered: dict[str, dict[str, int]]) -> Iterator[dict[str, Any]]:
    """Yield the spaces of ids that are dense, and their holes."""
    for kind in covered:
        found = holes(frontier.numbers(kind))
        if found is None:
            continue
        longest = sorted(found.runs, key=lambda one: one[0] - one[1])
        yield {
            "kind": kind, "found": found, "boxes": strip(found.first, found.last, longest[:_RUNS]),
            "longest": longest[:_ALIKE], "more": max(0, len(longest) - _ALIKE),
        }  # fmt: skip


def _gaps(frontier: FrontierReader, shelf: Shelf, withheld: Withheld) -> dict[str, Any]:
    """Return what is known and not held: how much for which reason, and some of it with the record that shows it.

    What was taken down is counted, and not named.
    """
    counts: Counter[tuple[str, str, str]] = Counter()
    named: list[dict[str, Any]] = []
    names = [is_named_in for _, is_named_in in withheld.named_in()]
    for gap in frontier.gaps():
        standing = "queued" if gap.standing.value == "known" else gap.standing.value
        if standing in {"excluded", "vacant"}:
            continue
        group = (gap.kind, standing, gap.reason)
        counts[group] += 1
        is_failure = standing != "queued" or gap.reason
        if is_failure and counts[group] <= _ALIKE and len(named) < _GAPS:
            told = f"{gap.id} {gap.url}".encode("utf-8", "replace")
            if not (withheld.hides(url=gap.url) or any(is_named_in(told) for is_named_in in names)):
                named += _evidence(gap, standing, frontier, shelf)
    return {
        "groups": sorted(counts.items(), key=lambda one: (-one[1], one[0])),
        "total": counts.total(),
        "named": named,
    }


def _evidence(gap: Covered, standing: str, frontier: FrontierReader, shelf: Shelf) -> list[dict[str, Any]]:
    """Return a gap with its record; nothing of what is restricted."""
    segment, offset, status = frontier.evidence(gap.url) or ("", 0, 0)
    if class_of(segment) == _RESTRICTED:
        return []
    path = shelf.path(segment) if segment else None
    record = ""
    if path is not None:
        try:
            record = read_at(path, offset).id
        except (Torn, OSError):
            record = "cannot be read"
    return [{
        "kind": gap.kind, "id": gap.id, "standing": standing, "reason": gap.reason, "day": gap.day, "url": gap.url,
        "status": status, "segment": segment, "offset": offset, "record": record,
    }]  # fmt: skip
