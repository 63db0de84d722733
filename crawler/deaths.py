"""``DIR/deathwatch.jsonl``: what died when, the records that show it, and what of them captured nothing.

Those records stay in their segments as evidence. ``struck`` names them to ``Withheld``, which every reader asks.

event     what                        records                                        struck
dead      a part is dead              the answers that showed it, queued again       yes
withheld  an answer that came after   it                                             yes
alive     it answers again            -                                              -
soft 404  one answer means 404        the answers that were taken for captures       no
disowned  nobody asked a volunteer    what it brought all the same                   yes
forged    a volunteer's differs       it, where the site itself answered otherwise   yes
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crawler.errors import Damaged, DiskFull

if TYPE_CHECKING:
    from pathlib import Path

NAME = "deathwatch.jsonl"
_STRIKING = frozenset({"dead", "withheld", "disowned", "forged"})


@dataclass(frozen=True, slots=True)
class Struck:
    """The records that captured nothing, as a dead host answered."""

    #: Their ids.
    records: frozenset[str] = frozenset()
    #: URL and 14-digit date of each: by these a line of an index is known, wherever its record was moved since.
    places: frozenset[tuple[str, str]] = frozenset()


def record(root: Path, event: dict[str, Any]) -> None:
    """Add an event durably. Raises DiskFull where it cannot be written."""
    try:
        with (root / NAME).open("a+b") as out:
            fcntl.flock(out, fcntl.LOCK_EX)
            if out.seek(0, os.SEEK_END) and os.pread(out.fileno(), 1, out.tell() - 1) != b"\n":
                out.seek(0)
                out.truncate(out.read().rfind(b"\n") + 1)  # what a power cut tore
            out.write(json.dumps(event, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
            out.flush()
            os.fsync(out.fileno())
    except OSError as e:
        raise DiskFull(f"{root / NAME} cannot be written: {e.strerror}.") from e


def events(root: Path) -> list[dict[str, Any]]:
    """Return all that the death watch of the collection at ``root`` wrote down. Raises Damaged."""
    try:
        lines = (root / NAME).read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    try:
        return [json.loads(line) for line in lines if line.endswith(b"\n")]
    except ValueError as e:
        raise Damaged(f"{root / NAME}: no line of ours: {e}") from e


def take_over(root: Path, other: Path) -> None:
    """Add what the death watch of the collection at ``other`` wrote down. Raises Damaged, DiskFull."""
    known = events(root)
    for event in events(other):
        if event not in known:
            record(root, event)


def struck(root: Path) -> Struck:
    """Return the records that captured nothing: no index should name them. Raises Damaged."""
    try:
        told = [one for e in events(root) if e["event"] in _STRIKING for one in e["records"] if one["record_id"]]
        return Struck(
            frozenset(one["record_id"] for one in told), frozenset((one["url"], stamp(one["date"])) for one in told)
        )
    except (LookupError, TypeError) as e:
        raise Damaged(f"{root / NAME}: no line of ours: {e}") from e


def stamp(date: str) -> str:
    """Return a date as an index spells it: 14 digits."""
    return re.sub(r"\D", "", date)[:14]
