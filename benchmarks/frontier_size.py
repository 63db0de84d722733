"""How many bytes PostgreSQL takes for a fetch of the frontier, queued and then done.

    python benchmarks/frontier_size.py [--urls 75000]

Offers so many URLs of the shapes that Parler's had (a post, an image, a video in turn), each named by a page and with
a row of coverage as the Parler spider gives it, and commits them all as done originals, with the places of
their records. The server comes from the wheel the tests use. Sizes are those of whole relations after VACUUM
(``pg_total_relation_size``: heap, TOAST and indexes), so what vacuum does not give back is in them. Prints JSON lines:
for the queued and for the done, bytes a fetch by table, bytes of write-ahead log, fetches a second; last the bytes of
a frontier of 100 million that are all done, which is an extrapolation.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent.parent))

from crawler.frontier.postgres.engine import PostgresFrontier
from crawler.model import Commit, Covered, Digests, Fetch, Leased, Location, Settlement, Standing, State
from tests.conformance.frontier import database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BATCH = 500
SEGMENT = "outlast-20210110120000000-00001.warc.gz"


def fetches(number: int) -> Iterator[Fetch]:
    for one in range(number):
        name = hashlib.md5(str(one).encode(), usedforsecurity=False).hexdigest()
        kind, url = (
            ("post", f"https://parler.com/post/{name}"),
            ("image", f"https://images.parler.com/{name}_256"),
            ("video", f"https://video.parler.com/{name[:2]}/{name[2:4]}/{name[:12]}.mp4"),
        )[one % 3]
        via = f"https://parler.com/profile/account{one // 20}/posts"
        yield Fetch(url=url, lane=f"{kind}s", callback=f"parse_{kind}", via=via, depth=3, covers=(kind, name))


def settled(one: Leased, offset: int) -> Settlement:
    fetch = one.fetch
    assert fetch.covers is not None
    kind, name = fetch.covers
    payload = hashlib.sha256(name.encode()).hexdigest()
    digests = Digests(block_sha256=payload, payload_sha256=payload, payload_sha1="A" * 32, payload_length=5000)
    return Settlement(
        id=one.id, token=one.token, state=State.DONE, status=200, size=6000, digests=digests,
        location=Location(segment=SEGMENT, offset=offset, response_offset=offset + 400, response_length=5600),
        record_id=f"<urn:uuid:{name[:8]}-{name[8:12]}-{name[12:16]}-{name[16:20]}-{name[20:]}>",
        date="2021-01-10T12:00:00Z",
        coverage=(Covered(kind=kind, id=name, standing=Standing.CAPTURED, day="2021-01-06", url=fetch.url),),
    )  # fmt: skip


def sizes(frontier: PostgresFrontier) -> tuple[dict[str, int], int]:
    """Return the bytes of each table with its indexes, and how far the write-ahead log is."""
    db = frontier._db  # noqa: SLF001 - the benchmark looks at what no verb shows
    wal = db.execute("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::BIGINT").fetchone()[0]
    db.execute("VACUUM ANALYZE")
    rows = db.execute(
        "SELECT relname, pg_total_relation_size(c.oid) FROM pg_class c "
        "WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace"
    ).fetchall()
    return dict(rows), wal


def offer(frontier: PostgresFrontier, urls: int) -> None:
    frontier.set_lanes({"posts": 30, "images": 70, "videos": 80})
    waiting = fetches(urls)
    while batch := list(islice(waiting, 5000)):
        frontier.offer(batch)


def settle(frontier: PostgresFrontier, urls: int) -> None:
    offsets = count(6000, 6000)
    # What has changed is vacuumed on the way, as autovacuum would within minutes.
    for vacuum_now in (number % (urls // 20) < BATCH for number in range(0, urls, BATCH)):
        lease = frontier.lease(
            BATCH, worker="w", now=time.time(), seconds=600, admit=None, room=lambda _: BATCH
        )  # fmt: skip
        told = tuple(settled(one, next(offsets)) for one in lease.fetches)
        frontier.commit(Commit(settlements=told, low_water={SEGMENT: next(offsets)}), now=time.time())
        if vacuum_now:
            frontier._db.execute("VACUUM")  # noqa: SLF001


def measure(frontier: PostgresFrontier, stage: str, urls: int, verb: Callable[[PostgresFrontier, int], None]) -> float:
    """Do one stage, print what it took; return the bytes that it added for each fetch."""
    (before, log), began = sizes(frontier), time.perf_counter()
    verb(frontier, urls)
    seconds = time.perf_counter() - began
    after, log_now = sizes(frontier)
    grown = {name: (size - before.get(name, 0)) / urls for name, size in after.items()}
    facts = {
        "stage": stage, "fetches": urls, "bytes_each": round(sum(grown.values())),
        "by_table": {name: round(each) for name, each in grown.items() if round(each)},
        "wal_each": round((log_now - log) / urls), "per_second": round(urls / seconds),
    }  # fmt: skip
    print(json.dumps(facts), flush=True)
    return sum(grown.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--urls", type=int, default=75_000)
    urls = parser.parse_args().urls
    with database.server() as address:
        frontier = PostgresFrontier(database.schema(address), "sizes")
        each = measure(frontier, "queued", urls, offer)
        each += measure(frontier, "done, beside what it took queued", urls, settle)
        print(json.dumps({"extrapolated_to": 100_000_000, "gb": round(each / 10)}))
        frontier.close()


if __name__ == "__main__":
    main()
