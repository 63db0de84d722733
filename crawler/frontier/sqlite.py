"""The frontier in one SQLite file: WAL, one writer, every commit fsynced.

A lease is written without its own fsync (``synchronous=NORMAL``): a power cut that loses one merely leaves a fetch
queued, while a commit (``FULL``) also makes every lease before it durable. Counters change in memory within a
transaction and are written once at its end.
"""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from contextlib import contextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import msgspec

from crawler.errors import UsageError
from crawler.failpoint import failpoint
from crawler.frontier.interface import Refusal, Stats
from crawler.frontier.states import may
from crawler.model import REVISIT_MIN_BYTES, Covered, Fetch, Gate, Lease, Leased, Original, Settlement, Standing, State
from crawler.url import origin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from crawler.model import Commit, SegmentClass

FORMAT = 1
STANDINGS = list(Standing)
_RANK = {standing: rank for rank, standing in enumerate(STANDINGS)}
_COUNTED = ("queued", "leased", "done", "failed", "parked", "excluded")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Fetch).decode


def _queries() -> dict[str, str]:
    text = files("crawler.frontier").joinpath("queries.sql").read_text("utf-8")
    return {
        part.split("\n", 1)[0].strip(): part.split("\n", 1)[1]
        for part in re.split(r"^-- name: ", text, flags=re.MULTILINE)[1:]
    }


class SqliteFrontier:
    """The embedded engine. ``read_only`` opens the file beside a writer; every verb that writes then fails.

    Raises UsageError where the file was made by a newer Outlast.
    """

    def __init__(self, path: Path | str, *, read_only: bool = False) -> None:
        self.gate_for: Callable[[str], Fetch | None] | None = None
        self._sql = _queries()
        place = f"file:{path}?mode=ro" if read_only else str(path)
        self._db = sqlite3.connect(place, uri=read_only, isolation_level=None, check_same_thread=False, timeout=30)
        self._db.execute("PRAGMA busy_timeout = 30000")
        self._db.execute("PRAGMA cache_size = -65536")
        if not read_only:
            self._prepare()
        self._check_format()
        self._origins: dict[str, int] = {}
        self._buckets: dict[tuple[str, int, str, int], int] = {}
        self._segments: dict[str, int] = {}
        self._moves: Counter[tuple[int, str]] = Counter()
        self._totals: Counter[str] = Counter()
        self._reasons: Counter[tuple[str, str]] = Counter()
        self._covered: Counter[tuple[str, str, int]] = Counter()

    def _prepare(self) -> None:
        self._db.execute("PRAGMA page_size = 8192")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        if self._db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'meta'").fetchone()[0] == 0:
            schema = files("crawler.frontier").joinpath("schema.sql").read_text("utf-8")
            self._db.executescript(f"BEGIN; {schema} COMMIT;")
            self.meta_set("round", "1")
            self.meta_set("format", str(FORMAT))

    def _check_format(self) -> None:
        found = int(self.meta_get("format") or 0)
        if found > FORMAT:
            self._db.close()
            raise UsageError(f"This frontier has format {found}; this Outlast reads up to {FORMAT}: update it.")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # Rounds, lanes, settings

    @property
    def round(self) -> int:
        """The current round."""
        return int(self.meta_get("round") or 1)

    def open_round(self, number: int) -> None:
        """Begin a round."""
        self.meta_set("round", str(number))
        self._buckets.clear()

    def set_lanes(self, order: Mapping[str, int]) -> None:
        """Give lanes their order."""
        with self._transaction():
            self._db.executemany("INSERT OR REPLACE INTO lane VALUES (?, ?)", [("robots", 0), *order.items()])

    def meta_get(self, key: str) -> str | None:
        """Return a setting of the collection."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def meta_set(self, key: str, value: str) -> None:
        """Keep a setting of the collection."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def host_get(self, name: str) -> dict[str, Any] | None:
        """Return what was learned of a host's pace."""
        row = self._db.execute("SELECT facts FROM host WHERE name = ?", (name,)).fetchone()
        return msgspec.json.decode(row[0], type=dict[str, Any]) if row else None

    def host_set(self, name: str, facts: dict[str, Any]) -> None:
        """Keep what was learned of a host's pace."""
        self._db.execute("INSERT OR REPLACE INTO host VALUES (?, ?)", (name, msgspec.json.encode(facts).decode()))

    # Offer

    def offer(self, fetches: Sequence[Fetch]) -> int:
        """Make fetches known."""
        with self._transaction():
            return self._offer(fetches)

    def _offer(self, fetches: Iterable[Fetch]) -> int:
        number, new = self.round, 0
        for fetch in fetches:
            place = self._origin(origin(fetch.url))
            bucket = self._bucket(number, fetch, place)
            known = self._db.execute(
                self._sql["learn"],
                {
                    "round": number,
                    "fingerprint": fetch.fingerprint,
                    "bucket": bucket,
                    "method": fetch.method,
                    "url": fetch.url,
                    "work": _encode(fetch),
                },
            ).rowcount
            if known:
                new += 1
                self._moves[bucket, "queued"] += 1
            elif fetch.lane == "robots" and fetch.hops and fetch.cursor:
                self._follow(fetch.cursor["origin"], place)
            if known and fetch.covers is not None:
                # What a fetch already known would also cover is told by that fetch under its own name.
                kind, thing = fetch.covers
                self._cover(Covered(kind=kind, id=thing, standing=Standing.KNOWN, day=fetch.day, url=fetch.url))
        return new

    def _origin(self, name: str) -> int:
        if name in self._origins:
            return self._origins[name]
        row = self._db.execute("SELECT id FROM origin WHERE name = ?", (name,)).fetchone()
        if row is None:
            gate = self.gate_for(name) if self.gate_for else None
            made = self._db.execute(
                "INSERT INTO origin (name, closed) VALUES (?, ?)", (name, gate is not None)
            ).lastrowid
            assert made is not None
            self._origins[name] = made
            if gate is not None:
                self._offer([gate])
            return made
        self._origins[name] = row[0]
        return int(row[0])

    def _bucket(self, number: int, fetch: Fetch, place: int) -> int:
        key = (fetch.lane, place, fetch.day or "", fetch.value)
        if key not in self._buckets:
            self._db.execute(
                "INSERT OR IGNORE INTO bucket (round, lane, origin, day, value) VALUES (?, ?, ?, ?, ?)", (number, *key)
            )
            row = self._db.execute(
                "SELECT id FROM bucket WHERE (round, lane, origin, day, value) = (?, ?, ?, ?, ?)", (number, *key)
            ).fetchone()
            self._buckets[key] = row[0]
        return self._buckets[key]

    # Lease

    def lease(
        self,
        n: int,
        *,
        worker: str,
        now: float,
        seconds: float,
        admit: Callable[[Fetch], Refusal | None] | None,
        busy: Mapping[str, int],
        default_room: int,
    ) -> Lease:
        """Hand out due fetches."""
        taken: list[Leased] = []
        room = dict(busy)
        with self._transaction(durable=False):
            for bucket, place, lane in self._db.execute(
                self._sql["buckets_due"], {"round": self.round, "now": now}
            ).fetchall():
                while len(taken) < n and (free := room.get(place, default_room)) > 0:
                    want = min(free, n - len(taken))
                    rows = self._db.execute(
                        self._sql["fetches_due"], {"bucket": bucket, "now": now, "n": want}
                    ).fetchall()
                    got = self._take(rows, bucket, place, lane, worker, now, now + seconds, admit)
                    taken += got
                    room[place] = free - len(got)
                    if len(rows) < want or len(got) == len(rows):
                        break
                if len(taken) >= n:
                    break
        return Lease(token=0, worker=worker, expires=now + seconds, fetches=tuple(taken))

    def _take(
        self, rows: list[Any], bucket: int, place: str, lane: str, worker: str, now: float, expires: float,
        admit: Callable[[Fetch], Refusal | None] | None,
    ) -> list[Leased]:  # fmt: skip
        got = []
        for number, work, attempts, token in rows:
            fetch = _decode(work)
            refusal = admit(fetch) if admit else None
            if refusal is None:
                got.append(Leased(id=number, token=token + 1, fetch=fetch, attempt=attempts))
                continue
            self._write(
                number,
                bucket,
                "queued",
                Settlement(id=number, token=0, state=State.EXCLUDED, reason=refusal.reason),
                now,
            )
            if fetch.covers is not None:
                kind, thing = fetch.covers
                self._cover(
                    Covered(
                        kind=kind,
                        id=thing,
                        standing=refusal.standing,
                        day=fetch.day,
                        reason=refusal.reason,
                        url=fetch.url,
                    )
                )
            if lane == "robots":
                self._open(Gate(origin=place, readable=False))
        self._db.executemany(self._sql["take"], [{"id": one.id, "worker": worker, "expires": expires} for one in got])
        self._moves[bucket, "queued"] -= len(got)
        self._moves[bucket, "leased"] += len(got)
        return got

    def release(self, worker: str) -> int:
        """Put back what a worker holds."""
        return self._put_back("held_by", {"worker": worker})

    def reset_leases(self) -> int:
        """Put back everything that is leased."""
        return self._put_back("held", {})

    def reap(self, now: float) -> int:
        """Put back what was leased for too long."""
        return self._put_back("expired", {"now": now})

    def heartbeat(self, worker: str, until: float) -> None:
        """Prolong a worker's leases."""
        self._db.execute(self._sql["prolong"], {"worker": worker, "until": until})

    def _put_back(self, which: str, facts: dict[str, Any]) -> int:
        with self._transaction():
            rows = self._db.execute(self._sql[which], facts).fetchall()
            for number, bucket in rows:
                self._db.execute(self._sql["put_back"], {"id": number})
                self._moves[bucket, "leased"] -= 1
                self._moves[bucket, "queued"] += 1
        return len(rows)

    # Commit

    def commit(self, commit: Commit, *, now: float) -> int:
        """Settle leased fetches in one transaction."""
        count = 0
        with self._transaction():
            for told in commit.settlements:
                row = self._db.execute(self._sql["find"], {"id": told.id}).fetchone()
                if row is not None and row[2] == "leased" and row[3] == told.token:
                    self._settle(row, told, now)
                    count += 1
            self._raise_marks(commit.low_water)
            failpoint("frontier.before-commit")
        failpoint("frontier.committed")
        return count

    def commit_recovered(
        self, items: Sequence[tuple[Fetch, Settlement]], low_water: Mapping[str, int], *, now: float
    ) -> int:
        """Settle what a segment holds, by fingerprint."""
        count = 0
        with self._transaction():
            for fetch, told in items:
                self._offer([fetch])
                row = self._db.execute(
                    self._sql["find_by_fingerprint"], {"round": self.round, "fingerprint": fetch.fingerprint}
                ).fetchone()
                if row[2] in {"queued", "leased"}:
                    self._settle(row, told, now)
                    count += 1
            self._raise_marks(low_water)
        return count

    def _settle(self, row: Any, told: Settlement, now: float) -> None:
        number, bucket, state, _, url = row
        self._write(number, bucket, state, told, now)
        if told.location is not None:
            self._place(told, url)
        self._totals["bytes"] += told.size
        self._offer(told.outlinks)
        for covered in told.coverage:
            self._cover(covered)
        if told.gate is not None:
            self._open(told.gate)

    def _write(self, number: int, bucket: int, old: str, told: Settlement, now: float) -> None:
        new = told.state
        assert may(State(old), new) or (
            old == "queued" and new in {State.DONE, State.FAILED, State.PARKED, State.QUEUED}
        )
        place = told.location if told.state is State.DONE else None
        self._db.execute(
            self._sql["settle"],
            {"id": number, "state": new.value, "reason": told.reason, "status": told.status, "now": now,
             "tried": int(new is State.QUEUED), "not_before": told.not_before,
             "segment": self._segment(place.segment) if place else None, "offset": place.offset if place else None,
             "response_offset": place.response_offset if place else None,
             "response_length": place.response_length if place else None},
        )  # fmt: skip
        self._moves[bucket, old] -= 1
        self._moves[bucket, new.value] += 1
        if new in {State.FAILED, State.PARKED, State.EXCLUDED}:
            self._reasons[new.value, told.reason] += 1

    def _place(self, told: Settlement, url: str) -> None:
        assert told.location is not None
        segment = self._segment(told.location.segment)
        self._db.execute("INSERT OR IGNORE INTO settled VALUES (?, ?)", (segment, told.location.offset))
        self._totals["captures" if told.state is State.DONE else "attempts"] += 1
        digests = told.digests
        if told.is_original and told.state is State.DONE and digests and digests.payload_length > REVISIT_MIN_BYTES:
            self._db.execute(
                "INSERT OR IGNORE INTO payload VALUES (?, ?, ?, ?, ?, ?)",
                (
                    bytes.fromhex(digests.payload_sha256),
                    told.record_id,
                    url,
                    told.date,
                    segment,
                    told.location.response_offset,
                ),
            )

    def _open(self, gate: Gate) -> None:
        """Open an origin, and those whose robots.txt redirects to its; the first word holds for the round."""
        if gate.readable:
            self._db.execute(
                "UPDATE origin SET closed = 0, readable = 1, rules = :rules WHERE closed = 1 AND rules IS NULL AND "
                "(name = :name OR follows = (SELECT id FROM origin WHERE name = :name))",
                {"rules": gate.rules, "name": gate.origin},
            )
        else:
            self._db.execute(
                "UPDATE origin SET readable = 0 WHERE closed = 1 AND "
                "(name = :name OR follows = (SELECT id FROM origin WHERE name = :name))",
                {"name": gate.origin},
            )

    def _follow(self, name: str, target: int) -> None:
        """An origin's robots.txt redirects to one already known: it opens as that one does."""
        row = self._db.execute("SELECT name, closed, readable, rules FROM origin WHERE id = ?", (target,)).fetchone()
        if row is None or row[0] == name:
            self._open(Gate(origin=name, readable=False))
        elif row[2] is None:
            self._db.execute("UPDATE origin SET follows = ? WHERE name = ?", (target, name))
        else:
            self._open(Gate(origin=name, rules=row[3] or "", readable=bool(row[2])))

    def _raise_marks(self, marks: Mapping[str, int]) -> None:
        for name, mark in marks.items():
            segment = self._segment(name)
            self._db.execute("UPDATE segment SET low_water = max(low_water, ?) WHERE id = ?", (mark, segment))
            self._db.execute("DELETE FROM settled WHERE segment = ? AND offset < ?", (segment, mark))

    # Coverage

    def _cover(self, covered: Covered) -> None:
        row = self._db.execute(self._sql["cover"], {"kind": covered.kind, "id": covered.id}).fetchone()
        rank = _RANK[covered.standing]
        facts = {
            "kind": covered.kind,
            "id": covered.id,
            "standing": rank,
            "day": covered.day,
            "reason": covered.reason,
            "url": covered.url,
        }
        if row is None:
            self._db.execute(self._sql["cover_new"], facts)
            self._covered[covered.kind, covered.day or "", rank] += 1
        elif rank > row[0]:
            self._db.execute(self._sql["cover_forward"], facts)
            self._covered[covered.kind, row[1] or "", row[0]] -= 1
            self._covered[covered.kind, row[1] or covered.day or "", rank] += 1

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
        rows = self._db.execute(self._sql["gaps"], {"kind": kind, "captured": _RANK[Standing.CAPTURED]})
        for found, thing, rank, day, reason, url in rows:
            yield Covered(kind=found, id=thing, standing=STANDINGS[rank], day=day, reason=reason, url=url)

    # Segments and payloads

    def add_segment(self, name: str, kind: SegmentClass, worker: str) -> None:
        """Register a segment that is about to be written."""
        self._db.execute(
            "INSERT OR IGNORE INTO segment (name, class, worker, state) VALUES (?, ?, ?, 'open')",
            (name, kind.value, worker),
        )

    def set_segment_state(self, name: str, state: str) -> None:
        """Say how far a segment is."""
        self._db.execute("UPDATE segment SET state = ? WHERE name = ?", (state, name))

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
        row = self._db.execute(
            "SELECT record_id, url, date, name FROM payload JOIN segment s ON s.id = payload.segment WHERE sha256 = ?",
            (bytes.fromhex(sha256),),
        ).fetchone()
        return Original(record_id=row[0], url=row[1], date=row[2], segment=row[3]) if row else None

    def _segment(self, name: str) -> int:
        if name not in self._segments:
            self._db.execute(
                "INSERT OR IGNORE INTO segment (name, class, worker, state) VALUES (?, '', '', 'open')", (name,)
            )
            self._segments[name] = self._db.execute("SELECT id FROM segment WHERE name = ?", (name,)).fetchone()[0]
        return self._segments[name]

    # Waiting, pausing, gates

    def next_due(self) -> float | None:
        """Return when the earliest waiting fetch is due."""
        found: float | None = self._db.execute(self._sql["waiting"]).fetchone()[0]
        return found

    def bring_forward(self, reason: str, *, older_than: float, now: float) -> int:
        """Make due what waits for this reason."""
        with self._transaction():
            return self._db.execute(
                self._sql["bring_forward"], {"reason": reason, "older_than": older_than, "now": now}
            ).rowcount

    def requeue(self, state: str, reason: str | None = None) -> int:
        """Queue parked or failed fetches again."""
        with self._transaction():
            rows = self._db.execute(self._sql["troubled"], {"state": state, "reason": reason}).fetchall()
            for number, bucket, why in rows:
                self._db.execute(self._sql["requeue"], {"id": number})
                self._moves[bucket, state] -= 1
                self._moves[bucket, "queued"] += 1
                self._reasons[state, why] -= 1
        return len(rows)

    def pause(self, *, lane: str | None = None, origin: str | None = None, paused: bool = True) -> None:
        """Let the buckets of a lane or an origin wait, or go on."""
        self._db.execute(
            "UPDATE bucket SET paused = :paused WHERE (:lane IS NULL OR lane = :lane) AND "
            "(:origin IS NULL OR origin = (SELECT id FROM origin WHERE name = :origin))",
            {"paused": int(paused), "lane": lane, "origin": origin},
        )

    def freeze(self, origin: str, until: float) -> None:
        """Leave an origin alone until then."""
        self._db.execute("UPDATE origin SET frozen_until = ? WHERE name = ?", (until, origin))

    def gate(self, origin: str) -> Gate | None:
        """Return what an origin's robots.txt settled."""
        row = self._db.execute(
            "SELECT rules, readable FROM origin WHERE name = ? AND readable IS NOT NULL", (origin,)
        ).fetchone()
        return Gate(origin=origin, rules=row[0] or "", readable=bool(row[1])) if row else None

    def reopen_gates(self) -> None:
        """Open every origin: the user decided not to wait for robots.txt."""
        self._db.execute("UPDATE origin SET closed = 0")

    # Figures

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

    # Transactions

    @contextmanager
    def _transaction(self, *, durable: bool = True) -> Iterator[None]:
        self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._count()
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            # Ids handed out inside the transaction never came to be.
            for cache in (
                self._origins,
                self._buckets,
                self._segments,
                self._moves,
                self._totals,
                self._reasons,
                self._covered,
            ):
                cache.clear()
            raise

    def _count(self) -> None:
        """Write the counters that moved in this transaction."""
        for (bucket, state), n in self._moves.items():
            if n:
                self._db.execute(f"UPDATE bucket SET {state} = {state} + ? WHERE id = ?", (n, bucket))  # noqa: S608 - one of _COUNTED
        _upsert = "INSERT INTO total VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET n = n + excluded.n"
        self._db.executemany(_upsert, list(self._totals.items()))
        _upsert = "INSERT INTO reason VALUES (?, ?, ?) ON CONFLICT (state, reason) DO UPDATE SET n = n + excluded.n"
        self._db.executemany(_upsert, [(*key, n) for key, n in self._reasons.items()])
        counts = [{"kind": k, "day": d, "standing": s, "n": n} for (k, d, s), n in self._covered.items() if n]
        self._db.executemany(self._sql["cover_count"], counts)
        for moved in (self._moves, self._totals, self._reasons, self._covered):
            moved.clear()
