"""Orders to a crawl, from commands and from the live page: ``DIR/controls.jsonl``, a line each, never rewritten.

A running crawl reads what is new a few times a second; one that does not run finds it at its next start. So an order
holds over a resume and ``kill -9``, and the file says who asked for what, and when.

verb          subject        value            until
pause         -              -                resume
resume        -              -                -
rate          host[:port]    requests/s       the next order for it; 0 takes the ceiling away
concurrency   host[:port]    requests at once the same; 0 asks it nothing
lane          name           order            the next order for it; lower goes first
exclude       regex          -                include
include       regex          -                -
retry         failed|parked|missing  -        done once
stop          -              -                done once, by the run that reads it
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from crawler.collection import sync_directory
from crawler.errors import DiskFull, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FILE = "controls.jsonl"
#: Verbs that are done once, instead of holding until another order.
ONCE = frozenset({"retry", "stop"})
_VERBS = ONCE | {"pause", "resume", "rate", "concurrency", "lane", "exclude", "include"}
_RETRIES = frozenset({"failed", "parked", "missing"})
#: Bounds of values: requests a second, requests at once, place of a lane.
_BOUNDS = {"rate": (0.0, 10_000.0), "concurrency": (0.0, 1_000.0), "lane": (-1_000.0, 1_000.0)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One thing that was asked for."""

    verb: str
    subject: str = ""
    value: float = 0.0
    #: "command" or "page".
    by: str = ""
    #: ISO 8601 UTC.
    at: str = ""

    def __str__(self) -> str:
        value = f" {self.value:g}" if self.verb in _BOUNDS else ""
        return " ".join(filter(None, (self.verb, self.subject))) + value


@dataclass(frozen=True, slots=True, kw_only=True)
class Steering:
    """What the orders so far amount to."""

    paused: bool = False
    #: host or host:port → requests a second, requests at once, over all workers.
    rates: dict[str, float] = field(default_factory=dict)
    concurrency: dict[str, int] = field(default_factory=dict)
    #: lane → its place instead of the platform's.
    lanes: dict[str, int] = field(default_factory=dict)
    #: Regular expressions; no URL that matches is fetched.
    exclude: tuple[str, ...] = ()


def steering(orders: Iterable[Order]) -> Steering:
    """Return what a sequence of orders amounts to."""
    paused = False
    values: dict[str, dict[str, float]] = {verb: {} for verb in _BOUNDS}
    exclude: dict[str, None] = {}
    for order in orders:
        match order.verb:
            case "pause" | "resume":
                paused = order.verb == "pause"
            case "exclude":
                exclude[order.subject] = None
            case "include":
                exclude.pop(order.subject, None)
            case verb if verb in values:
                values[verb][order.subject] = order.value
    return Steering(
        paused=paused,
        rates={host: rate for host, rate in values["rate"].items() if rate},
        concurrency={host: int(n) for host, n in values["concurrency"].items()},
        lanes={lane: int(place) for lane, place in values["lane"].items()},
        exclude=tuple(exclude),
    )


def checked(verb: str, subject: str = "", value: float = 0.0, *, by: str) -> Order:
    """Return an order that makes sense. Raises UsageError."""
    if verb not in _VERBS:
        raise UsageError(f"{verb!r} is no order; there are {', '.join(sorted(_VERBS))}.")
    if verb == "retry" and subject not in _RETRIES:
        raise UsageError(f"{subject!r} cannot be tried again; name failed, parked or missing.")
    if verb in _BOUNDS:
        low, high = _BOUNDS[verb]
        if not subject or not re.fullmatch(r"[\w.:\[\]-]{1,255}", subject):
            raise UsageError(f"{subject!r} is no {'lane' if verb == 'lane' else 'host'}.")
        if not low <= value <= high:
            raise UsageError(f"{value:g} is not between {low:g} and {high:g}.")
    if verb in {"exclude", "include"}:
        if not 0 < len(subject) <= 1000:
            raise UsageError("A pattern has between 1 and 1,000 characters.")
        try:
            re.compile(subject)
        except re.error as e:
            raise UsageError(f"{subject!r} is not a regular expression: {e}") from e
    return Order(
        verb=verb, subject=subject, value=float(value), by=by, at=datetime.now(UTC).isoformat(timespec="seconds")
    )


def check_lanes(platform: str, orders: Iterable[Order]) -> None:
    """Raise UsageError for a lane that the platform does not have: a slip of the pen would change nothing, unsaid."""
    from spiders.registry import get, names  # noqa: PLC0415 - heavy, and a command's help needs none of it

    if platform not in names():
        return  # a plug-in may be gone, or a spider be a file
    known = {lane.name for lane in get(platform).lanes}
    for order in orders:
        if order.verb == "lane" and order.subject not in known:
            raise UsageError(f"{order.subject!r} is no lane of {platform}; it has {', '.join(sorted(known))}.")


def give(root: Path, order: Order) -> None:
    """Add an order durably to the collection at ``root``. Raises DiskFull where it cannot be written."""
    try:
        with (root / FILE).open("a+b") as out:
            fcntl.flock(out, fcntl.LOCK_EX)
            out.truncate(_whole(root))  # a line that a power cut tore was never acknowledged
            out.write(json.dumps(asdict(order), ensure_ascii=False).encode() + b"\n")
            out.flush()
            os.fsync(out.fileno())
        sync_directory(root)
    except OSError as e:
        raise DiskFull(f"{root / FILE} cannot be written: {e.strerror}.") from e


def _whole(root: Path) -> int:
    """Return how many bytes of the file are whole lines."""
    return (root / FILE).read_bytes().rfind(b"\n") + 1


class Orders:
    """The orders of one collection, as they come."""

    def __init__(self, root: Path) -> None:
        self._path = root / FILE
        self._read = 0
        #: All there are, in order; a line that is none counts, and says nothing.
        self.all: list[Order] = []

    def news(self) -> list[Order]:
        """Return what came since the last call."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._read)
                data = file.read()
        except FileNotFoundError:
            return []
        data = data[: data.rfind(b"\n") + 1]
        self._read += len(data)
        found = [_order(line) for line in data.splitlines()]
        self.all += found
        return found

    def standing(self) -> Steering:
        """Return what all of them amount to."""
        return steering(self.all)


def standing(root: Path) -> Steering:
    """Return what the orders to the collection at ``root`` amount to."""
    orders = Orders(root)
    orders.news()
    return orders.standing()


def is_paused(root: Path) -> bool:
    """Say whether the crawl at ``root`` is to ask nothing."""
    return standing(root).paused


def _order(line: bytes) -> Order:
    try:
        facts = Order(**json.loads(line))
        return checked(facts.verb, facts.subject, facts.value, by=facts.by)
    except (ValueError, TypeError, UsageError):
        return Order(verb="")
