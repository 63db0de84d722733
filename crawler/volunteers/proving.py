"""From *sent* to *proven*: each segment is read back, read through, sealed here, and only then settles anything.

Every step can be done again after a kill: the segment stays *sent* until the last one.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from crawler import clock, deaths
from crawler.cold.store import Denied, Refused, Unavailable
from crawler.errors import Damaged, DatabaseLost
from crawler.evidence import bringers
from crawler.failpoint import failpoint
from crawler.model import State
from crawler.volunteers.examine import Examiner, Job, settlements, told_of
from crawler.volunteers.wire import node_and_class

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from crawler.admission import Admission
    from crawler.collection import Collection
    from crawler.frontier.postgres.desk import Brought, Desk
    from crawler.frontier.postgres.register import Volunteer
    from crawler.frontier.thread import WriterThread
    from crawler.model import Settlement
    from crawler.volunteers.examine import Disowned
    from crawler.volunteers.places import Place

log = logging.getLogger("outlast.volunteers")

_SUFFIX = ".bringing"
#: Settlements of one transaction.
_AT_ONCE = 200
#: Seconds that reading a segment may take, and a mebibyte of it more.
_SECONDS, _SECONDS_A_MEBIBYTE = 120.0, 2.0


class Proving:
    """Proves what volunteers sent, one segment after the other. ``settled`` hears of what that settled."""

    def __init__(
        self, collection: Collection, desk: Desk, call: WriterThread, place: Place, admission: Admission,
        settled: Callable[[Volunteer, str, list[Settlement]], Awaitable[None]],
    ) -> None:  # fmt: skip
        self._collection = collection
        self._desk = desk
        self._call = call
        self._place = place
        self._admission = admission
        self._settled = settled
        self._examiner = Examiner()

    def close(self) -> None:
        """End the process that reads."""
        self._examiner.close()

    async def prove(self, one: Brought, by: Volunteer) -> str:
        """Prove a segment that was sent; return ``proven``, ``refused``, or ``sent`` where that must wait."""
        facts = node_and_class(one.name)
        assert facts is not None
        final = self._collection.warcs / one.name
        path = final if final.exists() else final.with_name(one.name + _SUFFIX)
        job = Job(
            root=str(self._collection.root), path=str(path), name=one.name, kind=facts[1].value, worker=by.worker
        )  # fmt: skip
        try:
            await self._take_in(one, by, job, path, final)
        except (Damaged, Refused) as e:
            await self._refuse(one, path, str(e))
            return "refused"
        except (Unavailable, Denied, DatabaseLost, OSError) as e:
            log.warning("%s waits: %s", one.name, e)
            return "sent"
        finally:
            told_of(job).unlink(missing_ok=True)
        await self._call(self._desk.end, one.name, "proven", now=clock.now())
        log.info("%s of %s (node %d) is proven", one.name, by.label, by.node)
        return "proven"

    async def _take_in(self, one: Brought, by: Volunteer, job: Job, path: Path, final: Path) -> None:
        if path != final and await asyncio.to_thread(self._place.fetch, one, path) != one.sha256:
            raise Damaged("it is not what was said to come: its SHA-256 is another")
        seconds = _SECONDS + _SECONDS_A_MEBIBYTE * one.bytes / (1 << 20)
        disowned = await asyncio.to_thread(self._examiner.examine, job, seconds=seconds)
        failpoint("volunteers.examined")
        self._strike(one, by, disowned)
        self._note(one, by)
        # Whatever happens now, no other run is to settle by it what only this volunteer was lent.
        await self._call(self._desk.set_segment_state, one.name, "sealed")
        if path != final:
            await asyncio.to_thread(self._examiner.seal, job, seconds=seconds)
        failpoint("volunteers.sealed")
        await asyncio.to_thread(self._settle, one, final)
        failpoint("volunteers.settled")
        told = settlements(job)
        while batch := list(islice(told, _AT_ONCE)):
            settled = await self._call(self._told, by, batch)
            await self._settled(by, one.name, settled)
            failpoint("volunteers.proven")

    def _told(self, by: Volunteer, batch: list[Settlement]) -> list[Settlement]:
        """Let the death watch hear what was read, and settle what it lets pass. Runs in the frontier's thread."""
        tokens = self._desk.tokens(by, [each.id for each in batch])
        sifted = []
        for each in batch:
            if each.state is not State.DONE:
                self._admission.watched(each)
            elif each.id in tokens:
                sifted.append(self._admission.sift(replace(each, token=tokens[each.id])))
        settled = self._desk.prove(by, sifted, now=clock.now())
        self._admission.learn(each.gate for each in settled if each.gate is not None)
        return settled

    async def _refuse(self, one: Brought, path: Path, why: str) -> None:
        log.error("%s is refused: %s", one.name, why)
        await asyncio.to_thread(self._discard, one, path)
        await self._call(self._desk.end, one.name, "refused", why[:500], now=clock.now())

    def _settle(self, one: Brought, final: Path) -> None:
        if final.exists():  # one without captures leaves nothing
            self._place.settle(one, final)

    def _discard(self, one: Brought, path: Path) -> None:
        if path.name.endswith(_SUFFIX):
            path.unlink(missing_ok=True)
        self._place.discard(one)

    def _note(self, one: Brought, by: Volunteer) -> None:
        bringers.note(self._collection.root, {
            "segment": one.name, "node": by.node, "label": by.label, "bytes": one.bytes, "sha256": one.sha256,
            "crawl": self._collection.marker.id, "public_key": by.public_key.hex(), "signature": one.signature,
        })  # fmt: skip

    def _strike(self, one: Brought, by: Volunteer, disowned: list[Disowned]) -> None:
        """Let every reader pass over what nobody had asked for, before there is anything to read."""
        known = deaths.struck(self._collection.root).records
        new = [each for each in disowned if each.record_id not in known]
        if new:
            deaths.record(self._collection.root, {
                "event": "disowned", "at": datetime.now(UTC).isoformat(timespec="seconds"), "origin": "", "lane": "",
                "sign": "", "why": f"node {by.node} ({by.label}) was not asked for it",
                "records": [
                    {"url": each.url, "status": each.status, "date": each.date, "segment": one.name,
                     "offset": each.offset, "record_id": each.record_id} for each in new
                ],
            })  # fmt: skip
