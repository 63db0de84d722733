"""Recovery: settle what a crash left written but not committed, from the WARC alone, with no network.

From a segment's low-water mark on, groups that were committed are skipped; every other complete group is read by
its spider again and committed in place. Only then is a torn tail cut off. The cost is that of what was in flight.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from dataclasses import replace
from typing import IO, TYPE_CHECKING

from crawler import clock
from crawler.capture import spool
from crawler.capture.decode import response_from
from crawler.collection import OPEN_SUFFIX, class_of, serial_of
from crawler.commit import read_all, settlement
from crawler.errors import Damaged, Locked
from crawler.failpoint import failpoint
from crawler.model import PROBE_LANE, Fetch, Leased, Location, SegmentClass, Settlement, State
from crawler.settle import Answer, rule
from crawler.warc.groups import GroupReader
from crawler.warc.reader import Records, Torn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from crawler.admission import Admission
    from crawler.collection import Collection
    from crawler.frontier.engine import Engine
    from crawler.model import Seed
    from crawler.warc.groups import Group
    from spiders.base import PlatformSpider

log = logging.getLogger("outlast.recover")

BATCH = 200
#: Seconds that a worker without a supervisor gets to end.
ORPHAN_SECONDS = 15.0


def recover(
    path: Path,
    collection: Collection,
    frontier: Engine,
    spider_class: type[PlatformSpider],
    seed: Seed,
    admission: Admission,
) -> int:
    """Settle the uncommitted captures of one open segment and cut off its torn tail; return how many were settled.

    Raises Locked where a worker still holds the segment, OSError where the disk fails.
    """
    name = path.name.removesuffix(OPEN_SUFFIX)
    spider = spider_class(seed=seed)
    with path.open("r+b") as handle:
        _lock(handle, path)
        durable = max(frontier.low_water(name), frontier.settled_end(name))
        if path.stat().st_size < durable:
            raise Damaged(f"{path.name} is shorter than what was committed of it; restore it from a copy.")
        reader = GroupReader(path, start=frontier.low_water(name))
        count = 0
        for batch in _batches(_unsettled(reader, name, frontier, collection, spider)):
            os.fsync(handle.fileno())
            sifted = [(fetch, admission.sift(told)) for fetch, told in batch]
            count += frontier.commit_recovered(sifted, {}, now=clock.now())
            admission.learn(told.gate for _, told in sifted if told.gate is not None)
            failpoint("recover.committed")
        if reader.end < durable:
            # Cutting here would drop settled captures: this is no torn tail.
            raise Damaged(
                f"{path.name}:{reader.end}: {reader.torn}, before what was committed; restore it from a copy."
            )
        if reader.end < path.stat().st_size:
            log.warning("%s: cutting a torn tail of %d bytes (%s)", name, path.stat().st_size - reader.end, reader.torn)
            os.truncate(path, reader.end)
        # What a killed worker had not synced may still be in the system's memory only, and the mark vouches for it.
        os.fsync(handle.fileno())
        frontier.commit_recovered([], {name: reader.end}, now=clock.now())
    if count:
        log.info("%s: %d captures recovered", name, count)
    return count


def take_in(
    collection: Collection,
    frontier: Engine,
    spider_class: type[PlatformSpider],
    seed: Seed,
    admission: Admission,
) -> int:
    """Settle what sealed segments hold that the frontier knows nothing of; return how many captures that were.

    Those are segments that came from elsewhere, or all of them where the frontier was lost.
    """
    known, serial, count = frontier.taken_in(), int(frontier.meta_get("serial") or 0), 0
    for path in collection.sealed_segments():
        if path.name not in known:
            if class_of(path.name) != SegmentClass.IMPORTED:  # of those, no work was ours
                count += rebuild(path, collection, frontier, spider_class, seed, admission)
            frontier.set_segment_state(path.name, "sealed")
            serial = max(serial, serial_of(path.name))
    frontier.meta_set("serial", str(serial))
    return count


def rebuild(
    path: Path,
    collection: Collection,
    frontier: Engine,
    spider_class: type[PlatformSpider],
    seed: Seed,
    admission: Admission,
) -> int:
    """Settle every capture of a sealed segment in a frontier that knows nothing of it; return how many.

    So a lost frontier is made anew from the WARCs: queued is what was named and not captured.
    """
    reader, spider = GroupReader(path), spider_class(seed=seed)
    count = 0
    for batch in _batches(_unsettled(reader, path.name, frontier, collection, spider)):
        sifted = [(fetch, admission.sift(told)) for fetch, told in batch]
        count += frontier.commit_recovered(sifted, {}, now=clock.now())
        admission.learn(told.gate for _, told in sifted if told.gate is not None)
    if reader.torn:
        raise Damaged(f"{path.name}:{reader.end}: {reader.torn}; restore it from a copy.")
    frontier.commit_recovered([], {path.name: reader.end}, now=clock.now())
    return count


def _lock(handle: IO[bytes], path: Path) -> None:
    """Take the segment; a worker whose supervisor was killed ends by itself within moments."""
    until = time.monotonic() + ORPHAN_SECONDS
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            if time.monotonic() > until:
                raise Locked(f"{path.name} is still being written by a worker.") from e
            time.sleep(0.1)
        else:
            return


def _unsettled(
    reader: GroupReader, name: str, frontier: Engine, collection: Collection, spider: PlatformSpider
) -> Iterator[tuple[Fetch, Settlement]]:
    find = finder(collection)
    for group in reader:
        is_probe = group.leased.fetch.lane == PROBE_LANE
        if group.is_complete and not is_probe and not frontier.is_settled_group(name, group.offset):
            try:
                yield group.leased.fetch, read_group(group, name, collection, spider, find)
            except Torn as e:
                log.warning("%s:%d: %s; its fetch is asked for again", name, group.offset, e)


def read_group(
    group: Group, name: str, collection: Collection, spider: PlatformSpider,
    find: Callable[[str], tuple[Path, int] | None],
) -> Settlement:  # fmt: skip
    """Judge, rule and read one capture as the worker would have; ``find`` says where the record with an id stands."""
    leased: Leased = group.leased
    capture = group.capture(find, collection.spool)
    try:
        response = response_from(leased.fetch, capture)
        verdict = spider.judge(response)
        ruling = rule(
            Answer(
                outcome=response.outcome,
                status=response.status,
                verdict=verdict,
                attempt=leased.attempt,
                location=bool(response.header("Location")),
                follow=leased.fetch.follow,
                sweep=leased.fetch.sweep,
                truncated=response.truncated,
            )  # fmt: skip
        )
        if not ruling.read and not (ruling.state is State.DONE and spider.reads(leased.fetch, ruling.standing)):
            response.fetch = replace(leased.fetch, callback=None)
        told = settlement(leased, ruling, response, read_all(spider, response), verdict=verdict, now=clock.now())
    finally:
        spool.discard(capture.body)
    return replace(
        told,
        location=Location(
            segment=name,
            offset=group.offset,
            response_offset=group.response_offset,
            response_length=group.response_length,
        ),
        digests=capture.digests,
        record_id=group.response_id,
        date=group.date,
        is_original=not group.is_revisit and not ruling.attempt and capture.truncated is None,
        size=len(capture.head) + capture.body.size,
    )


def finder(collection: Collection) -> Callable[[str], tuple[Path, int] | None]:
    """Return what says where the record with an id stands: a walk over all segments, for the rare recovered revisit."""
    places: dict[str, tuple[Path, int]] = {}

    def find(identity: str) -> tuple[Path, int] | None:
        if not places:
            for path in (*collection.sealed_segments(), *collection.open_segments()):
                places.update(
                    (record.id, (path, record.offset)) for record in Records(path) if record.type == "response"
                )
        return places.get(identity)

    return find


def _batches(items: Iterator[tuple[Fetch, Settlement]]) -> Iterator[list[tuple[Fetch, Settlement]]]:
    batch: list[tuple[Fetch, Settlement]] = []
    for item in items:
        batch.append(item)
        if len(batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
