"""What is said and written down of a death: to people, to the log, to ``deathwatch.jsonl``, to ``archive status``."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from crawler.deaths import record
from crawler.deathwatch.case import Case, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from crawler.model import Settlement

log = logging.getLogger("outlast.deathwatch")

#: Key of the frontier's ``meta`` for what is suspected or dead now.
META = "deathwatch"


class Obituary:
    """Tells of deaths, and of what lives again. ``say`` passes an event on to whoever watches the crawl."""

    def __init__(self, root: Path, say: Callable[[dict[str, str]], None]) -> None:
        self._root = root
        self._say = say

    def tell(self, event: str, case: Case, text: str) -> None:
        """Say what happened, at once."""
        log.warning("%s", text)
        self._say({"event": event, "origin": case.part.origin, "lane": case.part.lane, "text": text})

    def write(self, event: str, case: Case, run: Iterable[Settlement]) -> None:
        """Write down what happened, durably, with the records that show it. Raises DiskFull."""
        record(
            self._root,
            {
                "event": event, "at": datetime.now(UTC).isoformat(timespec="seconds"), "origin": case.part.origin,
                "lane": case.part.lane, "sign": case.key.sign.value, "payload": case.key.mark, "why": str(case.key),
                "controls": [one.fetch.url for one in case.controls], "records": [_place(told) for told in run],
            },
        )  # fmt: skip


def _place(told: Settlement) -> dict[str, Any]:
    where = told.location
    return {
        "url": told.seen.url if told.seen else "", "status": told.status, "date": told.date,
        "record_id": told.record_id, "segment": where.segment if where else "", "offset": where.offset if where else 0,
    }  # fmt: skip


def to_text(cases: list[Case]) -> str:
    """Return what is suspected or dead as the frontier keeps it."""
    return msgspec.json.encode(cases).decode()


def from_text(text: str | None) -> list[Case]:
    """Return what the frontier kept."""
    return msgspec.json.decode(text or "[]", type=list[Case])


def standing(text: str | None) -> list[dict[str, Any]]:
    """Return what is dead now, by the frontier's ``meta``: origin, lane, why, since and next (epoch seconds)."""
    return [
        {"origin": one.part.origin, "lane": one.part.lane, "why": str(one.key), "since": one.since, "next": one.due}
        for one in from_text(text)
        if one.stage is Stage.DEAD
    ]
