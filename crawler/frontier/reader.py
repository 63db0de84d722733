"""What can be read of a SQLite frontier, beside its writer or without one.

``status`` reads it so while a crawl runs, and workers ask it whether a payload is known; a read sees the last commit.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from crawler.errors import DiskFull, OutlastError, UsageError
from crawler.frontier.behind import Index
from crawler.frontier.interface import Bucket, Host, Stats, Stretch, Swept, Trouble
from crawler.model import Claim, Covered, Fetch, Gate, Note, Original, Standing, source_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: 2: leases are no rows; an Outlast that knows but 1 would wait for those that were counted when a crawl was killed.
#: 3: hashes are found in one index, which is written behind.
FORMAT = 3
#: What is found by a hash, and how many of it are remembered before their index is written: some 150 bytes each.
_FETCHES = ("indexed fetch", "SELECT id, round, fingerprint FROM fetch WHERE id > ? ORDER BY id")
_PAYLOADS = ("indexed payload", "SELECT id, 0, substr(sha256, 1, 16) FROM payload WHERE id > ? ORDER BY id")
MOST_FETCHES, MOST_PAYLOADS = 1 << 18, 1 << 15
STANDINGS = list(Standing)
RANK = {standing: rank for rank, standing in enumerate(STANDINGS)}
_COUNTED = ("queued", "leased", "done", "failed", "parked", "excluded")


def _queries() -> dict[str, str]:
    return parted(files("crawler.frontier").joinpath("queries.sql").read_text("utf-8"))


def parted(text: str) -> dict[str, str]:
    """Return the statements of a file by their names."""
    return {
        part.split("\n", 1)[0].strip(): part.split("\n", 1)[1]
        for part in re.split(r"^-- name: ", text, flags=re.MULTILINE)[1:]
    }


def disk_fault(place: object, error: sqlite3.Error) -> OutlastError:
    """Return what a person should hear of a database error: the disk is full or failing, or the file is no good."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}:
        return DiskFull(f"{place} cannot be written ({error}); make room and run the same command again.")
    return UsageError(
        f"{place} cannot be used ({error}); move it away, and the same command makes it anew from the WARCs."
    )


class FrontierReader:
    """A frontier's file, opened to be read. Raises UsageError where a newer Outlast made it, or it is damaged."""

    _index: type[Index] = Index

    def __init__(self, path: Path) -> None:
        # A write-ahead log needs a shared-memory file beside it; on a medium that takes none, nobody can be writing.
        immutable = "" if os.access(path.parent, os.W_OK) else "&immutable=1"
        try:
            with self._opening(f"file:{quote(str(path))}?mode=ro{immutable}", uri=True):
                self._check_format()
        except sqlite3.DatabaseError as e:
            if not path.exists():
                raise UsageError(f"{path} is gone; archive resume makes it anew from the WARCs.") from e
            raise UsageError(f"{path} cannot be read: {e}.") from e

    @contextlib.contextmanager
    def _opening(
        self, place: str, *, uri: bool = False, factory: type[sqlite3.Connection] = sqlite3.Connection
    ) -> Iterator[None]:
        """Connect, and close again where what is done next fails."""
        self._sql = _queries()
        self._db: Any = sqlite3.connect(
            place, uri=uri, isolation_level=None, check_same_thread=False, timeout=30, factory=factory
        )
        try:
            self._db.execute("PRAGMA cache_size = -65536")
            self._fetches = self._index(self._db, *_FETCHES, MOST_FETCHES)
            self._payloads = self._index(self._db, *_PAYLOADS, MOST_PAYLOADS)
            self._db.create_function("fetch_of", 2, self._fetches.find)
            yield
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _rows(self, which: str, **facts: Any) -> Iterator[Any]:
        """Yield what a statement finds, however much that is."""
        yield from self._db.execute(self._sql[which], facts)

    def places(self) -> Iterator[tuple[str, int]]:
        """Yield segment and offset of the answer of each fetch that is done and has one, segment by segment."""
        yield from self._rows("places")

    @property
    def round(self) -> int:
        """The current round."""
        return int(self.meta_get("round") or 1)

    def meta_get(self, key: str) -> str | None:
        """Return a setting of the collection."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def host_get(self, name: str) -> dict[str, Any] | None:
        """Return what was learned of a host's pace."""
        row = self._db.execute("SELECT facts FROM host WHERE name = ?", (name,)).fetchone()
        return msgspec.json.decode(row[0], type=dict[str, Any]) if row else None

    def addresses(self, host: str) -> list[str]:
        """Return where a host was found the last time."""
        found: list[str] = (self.host_get(f"addresses {host}") or {}).get("addresses", [])
        return found

    def gate(self, origin: str) -> Gate | None:
        """Return what an origin's robots.txt settled."""
        row = self._db.execute(
            "SELECT rules, readable FROM origin WHERE name = ? AND readable IS NOT NULL", (origin,)
        ).fetchone()
        return Gate(origin=origin, rules=row[0] or "", readable=bool(row[1])) if row else None

    def next_due(self) -> float | None:
        """Return when the earliest waiting fetch is due."""
        found: float | None = self._db.execute(self._sql["waiting"]).fetchone()[0]
        return found

    def taken_in(self) -> set[str]:
        """Return the names of the segments whose captures are settled here."""
        return {row[0] for row in self._db.execute("SELECT name FROM segment WHERE low_water > 0 OR state = 'sealed'")}

    def low_water(self, name: str) -> int:
        """Return the offset before which a segment is settled."""
        row = self._db.execute("SELECT low_water FROM segment WHERE name = ?", (name,)).fetchone()
        return int(row[0]) if row else 0

    def settled_end(self, name: str) -> int:
        """Return an offset that a segment must reach: just past where its last settled group begins, 0 for none."""
        row = self._db.execute(
            "SELECT max(offset) FROM settled JOIN segment ON segment.id = settled.segment WHERE name = ?", (name,)
        ).fetchone()
        return 0 if row[0] is None else int(row[0]) + 1

    def is_settled_group(self, segment: str, offset: int) -> bool:
        """Say whether a group above the mark was committed."""
        row = self._db.execute(
            "SELECT 1 FROM settled JOIN segment ON segment.id = settled.segment WHERE name = ? AND offset = ?",
            (segment, offset),
        ).fetchone()
        return row is not None

    def known_payload(self, sha256: str) -> Original | None:
        """Return the committed record that first had this payload."""
        digest = bytes.fromhex(sha256)
        row = self._db.execute(
            "SELECT record_id, url, date, name FROM payload p JOIN segment s ON s.id = p.segment "
            "WHERE p.id = ? AND sha256 = ?",
            (self._payloads.find(0, digest[:16]), digest),
        ).fetchone()
        return Original(record_id=row[0], url=row[1], date=row[2], segment=row[3]) if row else None

    def stats(self) -> Stats:
        """Return the counts."""
        facts = {"round": self.round}
        lanes = {
            lane: {state: n for state, n in zip(_COUNTED, counts, strict=True) if n}
            for lane, *counts in self._db.execute(self._sql["lanes"], facts)
        }
        states = {state: sum(counts.get(state, 0) for counts in lanes.values()) for state in _COUNTED}
        totals: dict[str, int] = dict(self._db.execute("SELECT name, n FROM total").fetchall())
        return Stats(
            **states,
            held=totals.get("held", 0),
            blocked=self._db.execute(self._sql["blocked"], facts).fetchone()[0],
            captures=totals.get("captures", 0),
            attempts=totals.get("attempts", 0),
            bytes=totals.get("bytes", 0),
            lanes=lanes,
            reasons=dict(
                self._db.execute("SELECT reason, sum(n) FROM reason GROUP BY reason HAVING sum(n) > 0").fetchall()
            ),
            frozen=dict(self._db.execute("SELECT name, frozen_until FROM origin WHERE frozen_until > 0").fetchall()),
            unreadable=tuple(
                r[0] for r in self._db.execute("SELECT name FROM origin WHERE closed = 1 AND readable = 0")
            ),
        )

    def hosts(self, most: int) -> list[Host]:
        """Return the origins of this round, the busiest first, at most so many."""
        rows = self._db.execute(self._sql["hosts"], {"round": self.round, "most": most})
        return [
            Host(
                origin=name, queued=queued, leased=leased, done=done, failed=failed, parked=parked, frozen_until=until,
                closed=bool(closed), readable=None if readable is None else bool(readable),
            )
            for name, queued, leased, done, failed, parked, until, closed, readable in rows
        ]  # fmt: skip

    def buckets(self) -> list[Bucket]:
        """Return the buckets of this round."""
        if not self._has_column("bucket", "place"):  # no newer Outlast has opened it yet
            return []
        return [
            Bucket(
                id=number, lane=lane, origin=place, day=day, value=value, queued=queued, leased=leased, done=done,
                given_up=given_up, bytes=size, place=rank, waits=bool(waits),
            )
            for number, lane, place, day, value, queued, leased, done, given_up, size, rank, waits in self._db.execute(
                self._sql["buckets"], {"round": self.round}
            )
        ]  # fmt: skip

    def led(self) -> dict[tuple[str, str], int]:
        """Return which lanes led to how many new fetches of which."""
        if not self._has_column("led", "n"):
            return {}
        return {
            (lane, child): int(n)
            for lane, child, n in self._db.execute("SELECT lane, child, sum(n) FROM led GROUP BY lane, child")
        }

    def _has_column(self, table: str, column: str) -> bool:
        return column in {row[0] for row in self._db.execute("SELECT name FROM pragma_table_info(?)", (table,))}

    def in_hand(self) -> dict[str, int]:
        """Return worker → how many fetches it holds."""
        if not self._has_column("hand", "n"):
            return {}
        return dict(self._db.execute(self._sql["in_hand"]).fetchall())

    def troubles(self, most: int) -> list[Trouble]:
        """Return some of what failed or is parked, at most so many for each reason, the most frequent reasons first."""
        reasons = self._db.execute(
            "SELECT state, reason FROM reason WHERE n > 0 AND state IN ('failed', 'parked') ORDER BY n DESC LIMIT 20"
        ).fetchall()
        return [
            Trouble(state=state, reason=reason, url=url, status=status, attempts=attempts, tried=tried)
            for state, reason in reasons
            for url, status, attempts, tried in self._db.execute(
                self._sql["troubles"], {"state": state, "reason": reason, "most": most}
            )
        ]  # fmt: skip

    def surplus(self) -> list[tuple[str, str, int, str | None, int | None]]:
        """Return captures that settled nothing, as another machine's did: URL, segment, offset; then where that stands.

        There are none where one machine writes.
        """
        return []

    def witnessed(self) -> dict[str, int]:
        """Return how many captures volunteers brought, and of how many a second witness says what; empty without any.

        ``captures``, ``agrees``, ``differs``, ``unchecked``, ``single-witness``: what nobody else bears out.
        """
        return {}

    def members(self) -> list[tuple[Any, ...]]:
        """Return the nodes of a fleet, as ``fleet.Member`` has them: there are none where one machine writes."""
        return []

    def sweeps(self) -> list[Swept]:
        """Return how far the sweeps of this round are."""
        if not self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'sweep'").fetchone():
            return []
        return self._sweeps_of_round()

    def _sweeps_of_round(self) -> list[Swept]:
        return [
            Swept(template=template, walk=walk, stretches=tuple(self._stretches(number)))
            for number, template, _, _, walk in self._db.execute(self._sql["sweeps"], {"round": self.round}).fetchall()
        ]

    def _stretches(self, sweep: int) -> Iterator[Stretch]:
        for number, *blobs in self._db.execute(self._sql["stretches"], {"sweep": sweep}):
            asked, hits, holes = (int.from_bytes(blob, "little").bit_count() for blob in blobs)
            yield Stretch(number=number, asked=asked, hits=hits, holes=holes)

    def coverage(self) -> dict[str, dict[str, int]]:
        """Return kind → standing → count."""
        found: dict[str, dict[str, int]] = {}
        rows = self._db.execute(
            "SELECT kind, standing, sum(n) FROM coverage GROUP BY kind, standing ORDER BY kind, standing DESC"
        )
        for kind, rank, count in rows:
            if count:
                found.setdefault(kind, {})[STANDINGS[rank].value] = count
        return found

    def gaps(self, kind: str | None = None) -> Iterator[Covered]:
        """Yield what is known and not captured."""
        yield from self._told_of("gaps", kind=kind)

    def changes(self, whole: frozenset[str] = frozenset()) -> Iterator[Covered]:
        """Yield what is captured and, as a later round saw, gone since or become another.

        ``whole`` names callbacks whose lists name all there is: what they told of, and no longer do, is gone.
        """
        yield from self._told_of("changes")
        if number := int(self.meta_get("recheck") or 0):
            yield from self._gone(number, whole)

    def _gone(self, number: int, whole: frozenset[str]) -> Iterator[Covered]:
        """Yield posts that the last round to look for all of them did not meet, where an answer shows it."""
        rows = self._db.execute(self._sql["unseen"], {"captured": RANK[Standing.CAPTURED], "round": number}).fetchall()
        lists = self._read_whole(number, whole) if rows else {}
        for kind, thing, day, url, mark in rows:
            page = self.evidence(url) if url else None
            where = url if page is not None and page[2] in {404, 410} else lists.get(bytes(mark[:8]), "")
            if where:
                reason = f"gone in round {number}"
                yield Covered(kind=kind, id=thing, standing=Standing.CAPTURED, day=day, reason=reason, url=where)

    def _read_whole(self, number: int, whole: frozenset[str]) -> dict[bytes, str]:
        """Return lists that a round read to their end, by what stands in a mark → a URL of theirs."""
        found: dict[bytes, str] = {}
        broken = set()
        for work, state, status in self._rows("asked", round=number):
            fetch = msgspec.msgpack.decode(work, type=Fetch)
            if fetch.callback in whole:
                # What has not changed is not read, and so tells of nothing.
                if state != "done" or status == 304:
                    broken.add(source_of(fetch))
                elif status == 200:
                    found.setdefault(source_of(fetch), fetch.url)
        return {source: url for source, url in found.items() if source not in broken}

    def _told_of(self, which: str, **facts: Any) -> Iterator[Covered]:
        for found, thing, rank, day, reason, url in self._rows(which, captured=RANK[Standing.CAPTURED], **facts):
            yield Covered(kind=found, id=thing, standing=STANDINGS[rank], day=day, reason=reason, url=url)

    def covered(self) -> Iterator[tuple[str, str, str, str]]:
        """Yield kind, id, standing and reason of everything that the platform is known to have, in order."""
        for kind, thing, rank, reason in self._rows("everything"):
            yield kind, thing, STANDINGS[rank].value, reason

    def left(self) -> Iterator[Fetch]:
        """Yield the work of this round that no sealed segment settles."""
        for (work,) in self._rows("left", round=self.round):
            yield msgspec.msgpack.decode(work, type=Fetch)

    def earlier(self, fingerprint: bytes) -> tuple[str, int] | None:
        """Return (segment, offset) of the whole answer that an earlier round got; None where none did."""
        for number in range(self.round - 1, 0, -1):
            row = self._db.execute(self._sql["earlier"], {"round": number, "fingerprint": fingerprint}).fetchone()
            if row is not None:
                return (row[0], row[1])
        return None

    def evidence(self, url: str) -> tuple[str, int, int] | None:
        """Return (segment, offset, status) of the capture that settled a URL; None where there is none."""
        try:
            fingerprint = Fetch(url=url, lane="").fingerprint
        except ValueError:
            return None
        for number in range(self.round, 0, -1):
            row = self._db.execute(self._sql["evidence"], {"round": number, "fingerprint": fingerprint}).fetchone()
            if row is not None and row[0] is not None:
                return (row[0], row[1] or 0, row[2])
        return None

    def numbers(self, kind: str) -> Iterator[int]:
        """Yield the ids of a kind that are numbers, in order."""
        return (row[0] for row in self._rows("numbers", kind=kind))

    def days(self) -> dict[tuple[str, str], dict[str, int]]:
        """Return (kind, day) → standing → count; what has no day is under the empty one."""
        found: dict[tuple[str, str], dict[str, int]] = {}
        rows = self._db.execute(
            "SELECT kind, day, standing, n FROM coverage WHERE n > 0 ORDER BY kind, day, standing DESC"
        )
        for kind, day, rank, count in rows:
            found.setdefault((kind, day), {})[STANDINGS[rank].value] = count
        return found

    def claims(self) -> list[Claim]:
        """Return what the platform itself says it has."""
        rows = self._db.execute("SELECT kind, counter, n, caveat, url FROM claim ORDER BY kind, counter")
        return [Claim(kind=k, counter=c, count=n, caveat=caveat, url=url) for k, c, n, caveat, url in rows]

    def notes(self) -> list[tuple[Note, int]]:
        """Return what a person must hear, and how often it was said."""
        rows = self._db.execute("SELECT text, url, n FROM note ORDER BY text")
        return [(Note(text=text, url=url), n) for text, url, n in rows]

    def _check_format(self) -> None:
        found = int(self.meta_get("format") or 0)
        if found > FORMAT:
            raise UsageError(f"This frontier has format {found}; this Outlast reads up to {FORMAT}: update it.")
