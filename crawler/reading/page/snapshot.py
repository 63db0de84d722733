"""One look at a collection: what ``archive status --json`` says, and what only the live page shows. Pure reading."""

from __future__ import annotations

import json
import math
import shutil
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from crawler import obituary
from crawler.collection import OPEN_SUFFIX, class_of
from crawler.control import standing
from crawler.coverage import coverage_facts
from crawler.errors import OutlastError
from crawler.fleet import members_of
from crawler.model import SegmentClass
from crawler.plan import Share
from crawler.planning import HEADLINE
from crawler.politeness.pace import of_host
from crawler.reading.sweeps import sweep_facts
from crawler.warc.lookup import captures

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from crawler.collection import Collection
    from crawler.control import Steering
    from crawler.frontier.interface import Host, Stats, Swept
    from crawler.frontier.reader import FrontierReader
    from crawler.warc.lookup import Line

#: Hosts, and fetches in trouble for one reason, that are named.
MOST_HOSTS, MOST_TROUBLES = 100, 3
#: Reasons and notes that are named.
MOST_NAMED = 50
#: Indexes in which evidence is looked for.
MOST_INDEXES = 16
#: Characters of a stranger's text.
LONGEST = 300


def held(collection: Collection, frontier: FrontierReader, stats: Stats, swept: list[Swept]) -> dict[str, Any]:
    """Return what the collection holds and lacks: the summary of ``archive status --json``."""
    marker = collection.marker
    sealed = collection.sealed_segments()
    share = Share.of(frontier, stats)
    return {
        "seed": marker.seed, "platform": marker.platform, "running": collection.is_locked(),
        "share_saved": share.saved, "expected": share.expected,
        "captures": stats.captures, "attempts": stats.attempts, "bytes": stats.bytes,
        "coverage": coverage_facts(frontier.coverage()), "done": stats.done, "queued": stats.queued,
        "leased": stats.leased, "parked": stats.parked, "failed": stats.failed, "excluded": stats.excluded,
        "reasons": stats.reasons, "lanes": stats.lanes, "segments": [path.name for path in sealed],
        "segment_bytes": _size(sealed), "sweeps": sweep_facts(swept), "orders": asdict(standing(collection.root)),
        "dead": dead(frontier),
    }  # fmt: skip


def dead(frontier: FrontierReader) -> list[dict[str, Any]]:
    """Return what is dead now, and how many fetches of its host wait for it."""
    found = obituary.standing(frontier.meta_get(obituary.META))
    waiting = {host.origin: host.queued for host in frontier.hosts(MOST_HOSTS)} if found else {}
    return [{**one, "waiting": waiting.get(one["origin"], 0)} for one in found]


def snapshot(
    collection: Collection, frontier: FrontierReader, evidence: Evidence, stats: Stats, now: float
) -> dict[str, Any]:
    """Return what the page shows that can be read from disk. ``segments`` is a count here: there may be thousands."""
    found = held(collection, frontier, stats, frontier.sweeps())
    names = found.pop("segments")
    open_now = collection.open_segments()
    return {
        **found,
        # Strangers' words are in some of these, so there may be any number.
        "reasons": dict(sorted(stats.reasons.items(), key=lambda one: -one[1])[:MOST_NAMED]),
        "at": now, "blocked": stats.blocked, "unreadable": list(stats.unreadable[:MOST_NAMED]), "segments": len(names),
        "newest_segments": names[-5:][::-1],
        "open_segments": [
            {"name": path.name.removesuffix(OPEN_SUFFIX), "bytes": _size([path])} for path in open_now
        ],
        "hosts": hosts(frontier, standing(collection.root), now),
        "troubles": [
            {**asdict(one), "url": one.url[:LONGEST], "reason": one.reason[:LONGEST], "record": evidence.of(one.url)}
            for one in frontier.troubles(MOST_TROUBLES)
        ],
        "claims": [asdict(one) for one in frontier.claims()],
        "notes": [
            {"text": note.text[:LONGEST], "url": note.url[:LONGEST], "times": n}
            for note, n in frontier.notes()[:MOST_NAMED]
        ],
        "disk": disk(collection.places), "plan": json.loads(frontier.meta_get(HEADLINE) or "null"),
        "fleet": [
            {**asdict(one), "name": one.name[:LONGEST]} for one in members_of(frontier)[:MOST_HOSTS]
        ],
    }  # fmt: skip


class Evidence:
    """Where the last answers stand to what went wrong: looked up in the newest indexes, once."""

    def __init__(self, collection: Collection) -> None:
        self._folder = collection.indexes
        self._indexes: list[Path] = []
        self._known: dict[str, str] = {}

    def of(self, url: str) -> str:
        """Return segment and offset of the last answer to a URL; empty where there is none in a sealed segment."""
        indexes = sorted(path for path in self._folder.glob("*.cdxj") if class_of(path.name) != SegmentClass.RESTRICTED)
        if indexes[-MOST_INDEXES:] != self._indexes:
            self._indexes = indexes[-MOST_INDEXES:]
            self._known.clear()
        if url not in self._known:
            self._known[url] = self._found(url)
        return self._known[url]

    def _found(self, url: str) -> str:
        found: list[Line] = []
        for index in self._indexes:
            with suppress(OutlastError, OSError, ValueError):
                found += captures(index, url)
        last = max(found, key=lambda line: line.stamp, default=None)
        return f"{last.segment}:{last.offset}" if last else ""


def hosts(frontier: FrontierReader, orders: Steering, now: float) -> list[dict[str, Any]]:
    """Return the hosts of the crawl, the busiest first: what is left, and how fast they may be asked and why."""
    learned = frontier.host_get("*") or {}
    return [
        {**asdict(one), "wait": max(one.frozen_until - now, 0.0), "learned": _learned(learned, one),
         "rate_set": of_host(orders.rates, one.origin, None),
         "concurrency_set": of_host(orders.concurrency, one.origin, None)}
        for one in frontier.hosts(MOST_HOSTS)
    ]  # fmt: skip


def disk(places: Iterable[Path]) -> dict[str, Any]:
    """Return how many bytes are free where it is tightest."""
    free, total, place = min((*_usage(place), str(place)) for place in places if place.exists())
    return {"free": free, "total": total, "place": place}


def deadline(frontier: FrontierReader) -> float | None:
    """Return the deadline of the crawl's settings in seconds since the epoch, None where it has none."""
    said = json.loads(frontier.meta_get("config") or "{}").get("deadline")
    try:
        when = _instant(said) if isinstance(said, str) else float(said or 0)
    except (ValueError, TypeError):
        return None
    return when if math.isfinite(when) and when > 0 else None


def _instant(text: str) -> float:
    when = datetime.fromisoformat(text)
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def _usage(place: Path) -> tuple[int, int]:
    usage = shutil.disk_usage(place)
    return usage.free, usage.total


def _size(paths: Iterable[Path]) -> int:
    total = 0
    for path in paths:
        try:
            total += path.stat().st_size
        except FileNotFoundError:  # sealed or removed just now
            continue
    return total


def _learned(known: dict[str, Any], host: Host) -> float:
    """Return the requests a second that a host was found to bear, 0 where it never complained."""
    facts = known.get(host.origin)
    rate = facts.get("rate") if isinstance(facts, dict) else None
    return float(rate) if isinstance(rate, int | float) else 0.0
