"""What a volunteer's segment really holds, read by who does not believe the volunteer: in a process of its own.

A segment is refused whole where it holds anything that Outlast does not write, or that is not what its digests say.
Of its captures those count whose fetch the frontier had lent to this very volunteer, read as the frontier's own work
(a WARC says of itself what it likes); what it was not asked for is *disowned*.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from crawler.collection import Collection
from crawler.deathwatch.watch import bare
from crawler.errors import Damaged, DatabaseLost, OutlastError
from crawler.frontier.engines import to_read
from crawler.model import PROBE_LANE, Seed, SegmentClass, Settlement, State
from crawler.recover import read_group
from crawler.url import canonical
from crawler.warc.groups import GroupReader
from crawler.warc.reader import Records
from crawler.warc.records import WARC_FIELDS, WORK, leased_from
from crawler.warc.seal import seal
from spiders.registry import get

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

    from crawler.warc.groups import Group
    from crawler.warc.reader import RawRecord
    from spiders.base import PlatformSpider

log = logging.getLogger("outlast.volunteers")

#: A clock may be wrong by so much.
_AHEAD = timedelta(minutes=10)
#: Inflated bytes for one of the file: text is about ten.
_MOST_INFLATED = 500
_encode = msgspec.msgpack.Encoder().encode
_PREFIX = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A segment to read."""

    root: str
    path: str
    #: The segment's name, its class, and who holds what is in it.
    name: str
    kind: str
    worker: str


@dataclass(frozen=True, slots=True)
class Disowned:
    """A capture that nobody asked for, as ``deaths`` names it."""

    url: str
    status: int
    date: str
    offset: int
    record_id: str


def examine(job: Job) -> list[Disowned]:
    """Read a segment; write what it says to ``told_of(job)`` (what is *done* settles something), and return what is
    disowned.

    Raises Damaged where the segment is to be refused, DatabaseLost where the frontier cannot be asked.
    """
    path = Path(job.path)
    _check(path)
    collection = Collection.open(Path(job.root))
    marker = collection.marker
    seed = Seed(url=marker.seed, since=marker.since, until=marker.until, options=marker.options)
    spider = get(marker.platform)(seed=seed)
    disowned: list[Disowned] = []
    with closing(to_read(collection)) as reader, told_of(job).open("wb") as out:
        for group in GroupReader(path):
            one = _read(group, job, collection, reader, spider)
            if isinstance(one, Disowned):
                disowned.append(one)
            elif one is not None:
                data = _encode(one)
                out.write(len(data).to_bytes(_PREFIX, "big") + data)
    return disowned


def told_of(job: Job) -> Path:
    """Return where what was read of a segment is."""
    return Path(job.path).with_name(f"{job.name}.told")


def settlements(job: Job) -> Iterator[Settlement]:
    """Yield what was read of a segment."""
    decode = msgspec.msgpack.Decoder(Settlement).decode
    with told_of(job).open("rb") as file:
        while size := file.read(_PREFIX):
            yield decode(file.read(int.from_bytes(size, "big")))


def _read(
    group: Group, job: Job, collection: Collection, reader: Any, spider: PlatformSpider
) -> Settlement | Disowned | None:  # fmt: skip
    if not group.is_complete:
        return None
    row = reader.work_of(group.leased.fetch.fingerprint)
    place = (job.name, group.offset)
    if row is not None and row["state"] == "done" and row["place"] == place:
        return None  # read before
    if row is None or row["worker"] != job.worker or row["state"] not in {"queued", "leased", "held"}:
        return _disowned(group)
    attempt = group.leased.attempt
    group.leased = replace(
        group.leased, id=row["id"], fetch=row["fetch"], attempt=attempt if isinstance(attempt, int) else 0
    )
    try:
        told = read_group(group, job.name, collection, spider, lambda identity: None)
    except OSError:
        raise
    except Exception as e:  # noqa: BLE001 - a revisit of what is elsewhere, or whatever a stranger thinks of
        log.warning("%s:%d: %s", job.name, group.offset, e)
        return _disowned(group)
    if told.state is State.DONE and job.kind != SegmentClass.ATTEMPTS:
        return told
    # What did not settle it is evidence of a try: the death watch hears of it, and it settles nothing.
    return replace(bare(told), state=State.QUEUED, token=0, coverage=())


def _disowned(group: Group) -> Disowned | None:
    """Return what is to be passed over; an exchange without answer shows nothing to anybody."""
    if not group.response_id or group.leased.fetch.lane == PROBE_LANE:
        return None
    return Disowned(canonical(group.url), 0, group.date, group.response_offset, group.response_id)


# What a segment may hold


def _check(path: Path) -> None:
    """Raise Damaged unless every record is one that Outlast writes, and belongs to the exchange that it names."""
    asked: dict[str, str] = {}
    answered: set[str] = set()
    inflated, most = 0, path.stat().st_size * _MOST_INFLATED
    records = Records(path)
    for number, record in enumerate(records):
        inflated += record.block.size
        if inflated > most:
            raise Damaged("it holds far more than it says")
        if why := _stray(record, number, asked, answered):
            raise Damaged(f"{path.name}:{record.offset}: {why}")
    if records.torn:
        raise Damaged(f"{path.name}:{records.end}: {records.torn}")


def _stray(record: RawRecord, number: int, asked: dict[str, str], answered: set[str]) -> str:
    """Say what is wrong with a record's place in the segment; empty where nothing is."""
    target, partner = record.get("WARC-Target-URI"), record.get("WARC-Concurrent-To")
    if (record.type == "warcinfo") != (number == 0):
        return "a warcinfo begins a segment, and nothing else does"
    if not _is_plausible(record.get("WARC-Date")):
        return "its date cannot be"
    match record.type:
        case "warcinfo":
            return ""
        case "request":
            if record.id in asked or _asks_for(record) != target:
                return "a request that is not of the work it names"
            asked[record.id] = target
            return ""
        case "response" | "revisit":
            if asked.get(partner) != target or partner in answered:
                return "an answer to no request"
            answered.add(partner)
            return "" if record.get("Content-Type").startswith("application/http") else "an answer that is not HTTP"
        case "metadata":
            is_loose = bool(record.get(WORK)) and record.get("Content-Type") == WARC_FIELDS
            return "" if asked.get(partner) == target or is_loose else "metadata of nothing"
        case "resource":
            return "" if target.startswith(("dns:", "tls://")) else "a resource that nobody looked up"
    return f"a record of type {record.type[:20]!r}"


def _asks_for(record: RawRecord) -> str:
    try:
        return canonical(leased_from(record.get(WORK)).fetch.url)
    except (ValueError, RecursionError, TypeError):
        return ""


def _is_plausible(date: str) -> bool:
    try:
        return datetime.fromisoformat(date) <= datetime.now(UTC) + _AHEAD
    except (ValueError, TypeError):
        return False


# In a process of its own


class Examiner:
    """Reads and seals segments in another process, which is ended where that takes too long."""

    def __init__(self) -> None:
        self._process: Any = None
        self._pipe: Connection | None = None

    def examine(self, job: Job, *, seconds: float) -> list[Disowned]:
        """As ``examine``."""
        found: list[Disowned] = self._ask((job, False), seconds)
        return found

    def seal(self, job: Job, *, seconds: float) -> None:
        """Seal a segment that was examined; one that is sealed already is no fault."""
        self._ask((job, True), seconds)

    def _ask(self, order: tuple[Job, bool], seconds: float) -> Any:
        if self._pipe is None:
            context = multiprocessing.get_context("spawn")
            self._pipe, theirs = context.Pipe()
            self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
            self._process.start()
            theirs.close()
        self._pipe.send(order)
        try:
            answer = self._pipe.recv() if self._pipe.poll(seconds) else Damaged("reading it takes too long")
        except (EOFError, OSError):
            answer = Damaged("reading it ended the process that did")
        if isinstance(answer, Exception):
            if not isinstance(answer, DatabaseLost):
                self.close()
            raise answer
        return answer

    def close(self) -> None:
        """End the process."""
        if self._pipe is not None:
            self._pipe.close()
            self._process.kill()
            self._process.join()
            self._pipe = None


def _serve(pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.nice(5)
    while True:
        try:
            job, seals = pipe.recv()
        except EOFError:
            return
        pipe.send(_answer(job, seals=seals))


def _answer(job: Job, *, seals: bool) -> Any:
    try:
        if not seals:
            return examine(job)
        collection = Collection.open(Path(job.root))
        return seal(
            Path(job.path), index_dir=collection.indexes, manifest_path=collection.manifest, segment_class=job.kind
        )
    except OutlastError as e:
        return type(e)(str(e))
    except OSError as e:
        return DatabaseLost(f"the coordinator's disk: {e.strerror}")
    except Exception as e:  # noqa: BLE001 - a stranger's file ends no coordinator
        return Damaged(f"it cannot be read: {type(e).__name__}: {e}"[:300])
