"""A second witness: of what strangers bring, a sample is asked for again while the site is there to ask.

A capture *agrees* where the site answers with the same payload, or with pages that say the same of the same posts.
Where it does not, the site is asked once more: if it does not agree with itself either, nothing can be said
(*unchecked*, as where it no longer answers, or answers a URL that cannot exist with the same). Else the capture
*differs*: it is struck, so that no reader shows it, and what the coordinator itself was answered takes its place. All
that did not agree has one witness, its volunteer.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from crawler import clock, deaths
from crawler.capture import spool
from crawler.collection import OPEN_SUFFIX
from crawler.deathwatch.case import bogus
from crawler.errors import OutlastError
from crawler.model import Leased, Outcome, State
from crawler.provenance import warcinfo_fields
from crawler.recover import read_group, recover
from crawler.url import origin
from crawler.warc.groups import GroupReader
from crawler.warc.records import exchange
from crawler.warc.seal import seal
from crawler.warc.segment import SegmentWriter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from crawler.admission import Admission
    from crawler.collection import Collection
    from crawler.config import Config
    from crawler.frontier.postgres.desk import Asked, Desk
    from crawler.frontier.thread import WriterThread
    from crawler.model import Capture, Fetch, Seed, Settlement
    from crawler.vigil import Vigil
    from crawler.volunteers.asking import Asker
    from spiders.base import PlatformSpider

log = logging.getLogger("outlast.volunteers")

#: Captures that wait to be asked for again; beyond that no more are chosen.
MOST_WAITING = 100
#: Seconds between two requests of ours, beside those of the fleet, and times that each is tried.
PAUSE, TRIES = 1.0, 3


@dataclass(frozen=True, slots=True)
class _Reading:
    """What an answer says: the SHA-256 of its payload, and each post with what it says."""

    payload: str
    posts: frozenset[tuple[str, str, bytes]]

    @classmethod
    def of(cls, told: Settlement) -> _Reading:
        posts = frozenset((one.kind, one.id, one.mark) for one in told.coverage if one.mark)
        return cls(told.digests.payload_sha256 if told.digests else "", posts)

    def is_borne_out_by(self, later: _Reading) -> bool:
        """Say whether a later answer says all that this one does; a list may have grown since."""
        return self.payload == later.payload or (bool(self.posts) and self.posts <= later.posts)


class Witness:
    """Asks again for a part of what volunteers bring: ``part`` of it, from 0 to 1."""

    def __init__(
        self, collection: Collection, desk: Desk, call: WriterThread, config: Config, seed: Seed,
        spider: type[PlatformSpider], admission: Admission, asker: Asker, vigil: Vigil, *, part: float,
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._collection = collection
        self._desk = desk
        self._call = call
        self._config = config
        self._seed = seed
        self._spider = spider
        self._admission = admission
        self._asker = asker
        self._vigil = vigil
        self._part = part
        self._say = say
        self._tries: dict[int, int] = {}

    async def choose(self, node: int, segment: str, told: list[Settlement]) -> None:
        """Choose some of what was settled; nobody can know which."""
        bound = int(self._part * (1 << 32))
        chosen = [
            one for one in told
            if one.state is State.DONE and one.location and one.digests and 200 <= one.status < 300
            and secrets.randbelow(1 << 32) < bound
        ]  # fmt: skip
        if chosen:
            await self._call(self._desk.ask_again, node, segment, chosen, most=MOST_WAITING, now=clock.now())

    async def run(self) -> None:
        """Ask, one after the other, for ever."""
        while True:
            if one := await self._call(self._next):
                await self._check(one)
            await asyncio.sleep(max(PAUSE, self._config.delay))

    def _next(self) -> Asked | None:
        """Return what is to be asked now: what is dead says nothing of what was."""
        waiting = self._desk.asked_again(MOST_WAITING)
        turns = sorted(waiting, key=lambda one: self._tries.get(one.fetch_id, 0))
        return next((one for one in turns if not self._is_dead(one)), None)

    def _is_dead(self, one: Asked) -> bool:
        return self._vigil.is_closed(origin(one.fetch.url), one.fetch.lane)

    async def _check(self, one: Asked) -> None:
        state, why, ours = await self._compared(one)
        if state == "differs" and await self._call(lambda: self._is_dead(one) or not self._desk.stands(one)):
            state = "again"  # it died meanwhile, or what it had said in its death was taken back
        if state == "again":
            self._tries[one.fetch_id] = tries = self._tries.get(one.fetch_id, 0) + 1
            if tries < TRIES:
                if ours is not None:
                    ours.unlink(missing_ok=True)
                return
            state = "unchecked"
        if state == "differs" and ours is not None:
            await self._call(self._replace, one, ours)
        elif ours is not None:
            ours.unlink(missing_ok=True)
        await self._call(self._desk.bear_witness, one, state, why, now=clock.now())
        if state == "differs":
            self._say(
                f"{one.fetch.url}: node {one.node} brought something else than the site says; ours stands for it."
            )

    async def _compared(self, one: Asked) -> tuple[str, str, Path | None]:
        """Return the state, why, and the file of what we were answered, where that is to be kept or removed."""
        path = self._collection.warcs / one.segment
        theirs = await asyncio.to_thread(self._read, path, one.offset, one) if path.is_file() else None
        if theirs is None:
            return "unchecked", "its segment is not on this machine", None
        first, why = await self._asked(one.fetch)
        if first is None:
            return "again", why, None
        ours = await asyncio.to_thread(self._read, first, None, one)
        if ours is not None and theirs.is_borne_out_by(ours):
            return "agrees", "", first
        second, why = await self._asked(one.fetch)
        again = await asyncio.to_thread(self._read, second, None, one) if second else None
        if second is not None:
            second.unlink()
        if ours is None or again is None or not ours.is_borne_out_by(again):
            return "unchecked", why or "the site answers otherwise each time", first
        if await self._asker.payload(bogus(one.fetch.url)) == ours.payload:
            return "unchecked", "the site answers so under any URL", first
        return "differs", "the site answers otherwise, twice the same", first

    async def _asked(self, fetch: Fetch) -> tuple[Path | None, str]:
        """Ask the site; return a segment with its answer, or why there is none."""
        capture = await self._asker.ask(fetch)
        try:
            if capture.outcome is not Outcome.OK or not 200 <= capture.status < 300:
                return None, f"HTTP {capture.status}" if capture.status else capture.outcome.value
            return await asyncio.to_thread(self._written, fetch, capture), ""
        finally:
            spool.discard(capture.body)

    def _written(self, fetch: Fetch, capture: Capture) -> Path:
        kind = self._spider.segment_class(fetch.lane)
        name = self._collection.segment_name(secrets.randbelow(90_000) + 10_000, f"{self._desk.prefix}w0", kind)
        path = self._collection.spool / f"{name}{OPEN_SUFFIX}"
        writer = SegmentWriter(path, warcinfo_fields=warcinfo_fields(self._collection.marker, self._config))
        work = Leased(id=0, token=0, fetch=fetch)
        writer.append(*exchange(capture, warcinfo_id=writer.warcinfo_id, work=work, original=None).records)
        writer.close()
        return path

    def _read(self, path: Path, offset: int | None, one: Asked) -> _Reading | None:
        """Return what the first capture from an offset on says; None where there is none, or it cannot be read."""
        with suppress(OutlastError, StopIteration, ValueError, LookupError):
            return _Reading.of(self._settlement(path, offset, one))
        return None

    def _settlement(self, path: Path, offset: int | None, one: Asked) -> Settlement:
        group = next(iter(GroupReader(path, start=offset or 0)))
        group.leased = replace(group.leased, id=one.fetch_id, token=one.token, fetch=one.fetch)
        return read_group(group, one.segment, self._collection, self._spider(seed=self._seed), lambda identity: None)

    def _replace(self, one: Asked, ours: Path) -> None:
        """Let what we were answered stand for a volunteer's capture. Runs in the frontier's thread."""
        collection = self._collection
        theirs = self._settlement(collection.warcs / one.segment, one.offset, one)
        deaths.record(collection.root, {
            "event": "forged", "at": datetime.now(UTC).isoformat(timespec="seconds"), "origin": "", "lane": "",
            "sign": "", "why": f"node {one.node} brought something else than the site says, twice",
            "records": [
                {"url": one.fetch.url, "status": theirs.status, "date": theirs.date, "segment": one.segment,
                 "offset": one.offset, "record_id": theirs.record_id}
            ],
        })  # fmt: skip
        path = collection.warcs / ours.name
        name = ours.name.removesuffix(OPEN_SUFFIX)
        kind = self._spider.segment_class(one.fetch.lane)
        self._desk.add_segment(name, kind, f"{self._desk.prefix}w0")
        ours.rename(path)
        self._desk.take_back([theirs])
        recover(path, collection, self._desk, self._spider, self._seed, self._admission)
        seal(path, index_dir=collection.indexes, manifest_path=collection.manifest, segment_class=kind.value)
        self._desk.set_segment_state(name, "sealed")
