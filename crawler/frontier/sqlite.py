"""The frontier in one SQLite file: WAL, one writer, every commit fsynced.

A lease is written without its own fsync (``synchronous=NORMAL``): a power cut that loses one merely leaves a fetch
queued, while a commit (``FULL``) also makes every lease before it durable. Counters change in memory within a
transaction and are written once at its end.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import contextmanager
from dataclasses import asdict, replace
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import msgspec

from crawler.failpoint import failpoint
from crawler.frontier.interface import Held
from crawler.frontier.reader import FORMAT, RANK, FrontierReader, disk_fault
from crawler.frontier.states import may
from crawler.frontier.sweeps import Sweeps
from crawler.model import REVISIT_MIN_BYTES, Covered, Fetch, Gate, Lease, Leased, Settlement, Standing, State
from crawler.template import Template
from crawler.url import origin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from crawler.frontier.interface import Refusal, Stats
    from crawler.frontier.sweeps import Lent, Sweep
    from crawler.model import Commit, Note, SegmentClass

#: Ids of a sweep that one lease may find refused: all of a range that robots.txt forbids must not hold up a worker.
_MOST_REFUSED = 5000
#: Payloads of holes that are remembered, a sweep: most sites have one page for all of them, some one for each.
_HOLES_REMEMBERED = 1000
#: What is said of the thing behind an id that did not answer.
_LACKING = frozenset({Standing.VACANT, Standing.MISSING, Standing.REFUSED, Standing.EXCLUDED})

#: What says where a fetch stands now.
_PLACE = ("segment", "offset", "response_offset", "response_length", "id")
#: Columns that came after the first collections were made.
_ADDED = (
    ("covered", "mark", "BLOB"),
    *(("bucket", name, "INTEGER NOT NULL DEFAULT 0") for name in ("place", "waits", "bytes")),
)

#: What makes a bucket.
_BUCKET = ("round", "lane", "origin", "day", "value")

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Fetch).decode


class SqliteFrontier(FrontierReader):
    """The embedded engine, for the one process that writes. ``:memory:`` keeps it in memory.

    Raises UsageError where the file was made by a newer Outlast or is damaged.
    """

    def __init__(self, path: Path | str) -> None:
        self.gate_for: Callable[[str], Fetch | None] | None = None
        #: What the names of its workers begin with.
        self.prefix = ""
        try:
            with self._opening(str(path)):
                self._prepare()
                self._check_format()
        except sqlite3.DatabaseError as e:
            raise disk_fault(path, e) from e
        self._origins: dict[str, int] = {}
        self._buckets: dict[tuple[str, int, str, int], int] = {}
        self._segments: dict[str, int] = {}
        self._moves: Counter[tuple[int, str]] = Counter()
        self._totals: Counter[str] = Counter()
        self._reasons: Counter[tuple[str, str]] = Counter()
        self._covered: Counter[tuple[str, str, int]] = Counter()
        self._led: Counter[tuple[int, str]] = Counter()
        self._sweeps = Sweeps(self._db, self._sql)

    def _prepare(self) -> None:
        self._db.execute("PRAGMA page_size = 8192")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        is_new = self._db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'meta'").fetchone()[0] == 0
        schema = files("crawler.frontier").joinpath("schema.sql").read_text("utf-8")
        self._db.executescript(f"BEGIN; {schema} COMMIT;")
        for table, column, what in _ADDED:
            if not self._has_column(table, column):
                self._db.execute(f"ALTER TABLE {table} ADD COLUMN {column} {what}")
        if is_new:
            self.meta_set("round", "1")
            self.meta_set("format", str(FORMAT))

    # Rounds, lanes, settings

    def open_round(self, number: int, recheck: Callable[[Fetch], bool] | None = None) -> None:
        """Begin a round. Origins are forgotten: their robots.txt is asked for anew."""
        with self._transaction():
            self._begin(number, is_recheck=recheck is not None)
            if recheck is not None:
                self._offer(filter(recheck, self._answered(number)))
        self._sweeps.put_back(lambda lent: True)
        self._sweeps.forget()

    def _begin(self, number: int, *, is_recheck: bool) -> None:
        self.meta_set("round", str(number))
        self._db.execute("DELETE FROM origin")
        self._db.execute("DELETE FROM reason")
        self._buckets.clear()
        self._origins.clear()
        if is_recheck:
            self.meta_set("recheck", str(number))

    def _answered(self, before: int) -> Iterator[Fetch]:
        """Yield what was asked for and answered before a round, little by little."""
        after = 0
        while rows := self._db.execute(self._sql["answered"], {"round": before, "after": after}).fetchall():
            yield from (_decode(work) for _, work in rows)
            after = rows[-1][0]

    def set_lanes(self, order: Mapping[str, int]) -> None:
        """Give lanes their order."""
        with self._transaction():
            self._db.executemany(
                "INSERT INTO lane VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET priority = excluded.priority",
                [("robots", 0), *order.items()],
            )

    def arrange(self, places: Mapping[int, tuple[int, bool]]) -> None:
        """Give buckets their places in a plan; what a power cut loses of it is planned anew."""
        with self._transaction(durable=False):
            self._db.executemany(
                self._sql["arrange"],
                [{"id": number, "place": place, "waits": int(waits)} for number, (place, waits) in places.items()],
            )

    def meta_set(self, key: str, value: str) -> None:
        """Keep a setting of the collection."""
        self._db.execute(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (key, value)
        )

    def settle_meta(self, key: str, value: str) -> str:
        """Keep a setting unless there is one; return the one that there is."""
        self._db.execute("INSERT INTO meta VALUES (?, ?) ON CONFLICT DO NOTHING", (key, value))
        return self.meta_get(key) or value

    def host_set(self, name: str, facts: dict[str, Any]) -> None:
        """Keep what was learned of a host's pace."""
        self._db.execute(
            "INSERT INTO host VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET facts = excluded.facts",
            (name, msgspec.json.encode(facts).decode()),
        )

    # Offer

    def offer(self, fetches: Sequence[Fetch]) -> int:
        """Make fetches known."""
        with self._transaction():
            return self._offer(fetches)

    def _offer(self, fetches: Iterable[Fetch], *, by: int | None = None) -> int:
        """Make fetches known; ``by`` is the bucket of the fetch that named them."""
        number, new = self.round, 0
        for fetch in fetches:
            swept = self._sweeps.place(number, fetch.url)
            if swept is not None and self._sweeps.is_taken(*swept):
                continue
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
            if swept is not None:
                self._sweeps.take(*swept)
                self._moves[swept[0].bucket, "queued"] -= 1
            if known:
                new += 1
                self._moves[bucket, "queued"] += 1
                if by is not None:
                    self._led[by, fetch.lane] += 1
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
            self._db.execute(self._sql["bucket"], dict(zip(_BUCKET, (number, *key), strict=True)))
            row = self._db.execute(
                "SELECT id FROM bucket WHERE (round, lane, origin, day, value) = (?, ?, ?, ?, ?)", (number, *key)
            ).fetchone()
            self._buckets[key] = row[0]
        return self._buckets[key]

    def sweep(self, template: str, fetch: Fetch, *, walk: str) -> int:
        """Let all ids of a template be fetched."""
        read = Template.of(template)
        with self._transaction():
            bucket = self._bucket(self.round, fetch, self._origin(origin(fetch.url)))
            facts = {"round": self.round, "template": read.text, "bucket": bucket, "work": _encode(fetch), "walk": walk}
            if not self._db.execute(self._sql["sweep"], facts).rowcount:
                return 0
            self._moves[bucket, "queued"] += read.size
        self._sweeps.forget()
        return read.size

    # Lease

    def lease(
        self,
        n: int,
        *,
        worker: str,
        now: float,
        seconds: float,
        admit: Callable[[Fetch], Refusal | None] | None,
        room: Callable[[str], int],
        closed: Callable[[str, str], bool] = lambda origin, lane: False,
    ) -> Lease:
        """Hand out due fetches."""
        taken: list[Leased] = []
        left: dict[str, int] = {}
        try:
            with self._transaction(durable=False):
                for bucket, place, lane in self._db.execute(
                    self._sql["buckets_due"], {"round": self.round, "now": now}
                ).fetchall():
                    while (
                        len(taken) < n
                        and not closed(place, lane)
                        and (free := left[place] if place in left else room(place)) > 0
                    ):
                        want = min(free, n - len(taken))
                        rows = self._db.execute(
                            self._sql["fetches_due"], {"bucket": bucket, "now": now, "n": want}
                        ).fetchall()
                        got = self._take(rows, bucket, place, lane, worker, now, now + seconds, admit)
                        if len(rows) < want:
                            got += self._lend(bucket, want - len(rows), worker, now + seconds, admit)
                        taken += got
                        left[place] = free - len(got)
                        if len(rows) < want or len(got) == len(rows):
                            break
                    if len(taken) >= n:
                        break
        except BaseException:
            self._sweeps.returned([one.id for one in taken if one.id < 0])
            raise
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
        self._hand_out([one.id for one in got], worker, expires)
        self._moves[bucket, "queued"] -= len(got)
        self._moves[bucket, "leased"] += len(got)
        return got

    def _hand_out(self, numbers: list[int], worker: str, expires: float) -> None:
        facts = [{"id": number, "worker": worker, "expires": expires} for number in numbers]
        self._db.executemany(self._sql["take"], facts)

    def _lend(
        self, bucket: int, want: int, worker: str, expires: float, admit: Callable[[Fetch], Refusal | None] | None
    ) -> list[Leased]:
        """Hand out ids of the sweeps of a bucket; they have no rows yet, and count as queued until they are settled."""
        got: list[Leased] = []
        refused = 0
        for sweep in self._sweeps.all(self.round):
            following = self._sweeps.following(sweep) if sweep.bucket == bucket else iter(())
            while len(got) < want and refused < _MOST_REFUSED and (position := next(following, None)) is not None:
                fetch = sweep.fetch(position)
                if self._belongs_elsewhere(sweep, position, fetch):
                    continue
                refusal = admit(fetch) if admit else None
                if refusal is None:
                    got.append(self._sweeps.lend(sweep, position, fetch, worker, expires))
                else:
                    refused += 1
                    self._refuse(sweep, position, fetch, refusal)
        return got

    def _belongs_elsewhere(self, sweep: Sweep, position: int, fetch: Fetch) -> bool:
        """Say whether an id is another's: of a fetch known before the sweep, or of another position or template."""
        facts = {"round": self.round, "fingerprint": fetch.fingerprint}
        row = self._db.execute(self._sql["find_by_fingerprint"], facts).fetchone()
        place = self._sweeps.place(self.round, fetch.url)
        if row is None and place is not None and place[0] is sweep and place[1] == position:
            return False
        self._sweeps.take(sweep, position)
        if row is not None and row[2] == "done":
            *_, status = self._db.execute(self._sql["evidence"], facts).fetchone()
            self._sweeps.settle(sweep, position, is_hit=status < 400)
        self._moves[sweep.bucket, "queued"] -= 1
        return True

    def _refuse(self, sweep: Sweep, position: int, fetch: Fetch, refusal: Refusal) -> None:
        """Keep no row of an id that may not be asked: robots.txt may forbid all of a range."""
        self._sweeps.take(sweep, position)
        self._moves[sweep.bucket, "queued"] -= 1
        self._moves[sweep.bucket, "excluded"] += 1
        self._reasons["excluded", refusal.reason] += 1
        if fetch.covers is not None:
            self._covered[fetch.covers[0], "", RANK[refusal.standing]] += 1

    def release(self, worker: str) -> int:
        """Put back what a worker holds."""
        return self._put_back("held_by", {"worker": worker}) + self._sweeps.put_back(lambda one: one.worker == worker)

    def give_back(self, worker: str, ids: Iterable[int]) -> int:
        """Put back some of what a worker holds."""
        wanted = frozenset(ids)
        return self._put_back("held_by", {"worker": worker}, wanted) + self._sweeps.give_back(worker, wanted)

    def reset_leases(self) -> int:
        """Put back everything that is leased."""
        return self._put_back("held", {}) + self._sweeps.put_back(lambda one: True)

    def reap(self, now: float) -> int:
        """Put back what was leased for too long."""
        return self._put_back("expired", {"now": now}) + self._sweeps.put_back(lambda one: one.expires < now)

    def heartbeat(self, worker: str, until: float) -> None:
        """Prolong a worker's leases."""
        self._db.execute(self._sql["prolong"], {"worker": worker, "until": until})
        self._sweeps.prolong(worker, until)

    def stats(self) -> Stats:
        """Return the counts, with ids of sweeps that are in somebody's hands, of which the file knows nothing."""
        stats = super().stats()
        out = Counter(one.lane for one in self._sweeps.out())
        lanes = {lane: dict(states) for lane, states in stats.lanes.items()}
        for lane, count in out.items():
            lanes[lane]["queued"] = lanes[lane].get("queued", 0) - count
            lanes[lane]["leased"] = lanes[lane].get("leased", 0) + count
        return replace(stats, queued=stats.queued - out.total(), leased=stats.leased + out.total(), lanes=lanes)

    def _put_back(self, which: str, facts: dict[str, Any], wanted: frozenset[int] | None = None) -> int:
        with self._transaction():
            rows = self._db.execute(self._sql[which], facts).fetchall()
            rows = [row for row in rows if wanted is None or row[0] in wanted]
            self._db.executemany(self._sql["put_back"], [{"id": number} for number, _ in rows])
            for _, bucket in rows:
                self._moves[bucket, "leased"] -= 1
                self._moves[bucket, "queued"] += 1
        return len(rows)

    # Commit

    def commit(self, commit: Commit, *, now: float) -> int:
        """Settle leased fetches in one transaction."""
        count = 0
        returned: dict[int, Lent] = {}
        with self._transaction():
            for told in commit.settlements:
                row = self._db.execute(self._sql["find"], {"id": told.id}).fetchone() if told.id >= 0 else None
                lent = self._sweeps.lent(told.id, told.token) if told.id < 0 else None
                if row is not None and row[2] == "leased" and row[3] == told.token:
                    self._settle(row, told, now)
                    count += 1
                elif lent is not None and told.id not in returned:
                    returned[told.id] = lent
                    self._settle_lent(lent, told, now)
                    count += 1
            self._raise_marks(commit.low_water)
            failpoint("frontier.before-commit")
        self._sweeps.returned(list(returned))
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
                if row is None:  # a hole of a sweep has none any more
                    continue
                if row[2] in {"failed", "parked"} and told.state is State.DONE:
                    row = self._put_up(row)
                if row[2] in {"queued", "leased"}:
                    self._settle(row[:5], told, now, is_swept=fetch.sweep)
                    count += 1
                else:  # another capture of the same: what it has may be more
                    self._twice(row[0], told)
                    for covered in told.coverage:
                        self._cover(covered)
            self._raise_marks(low_water)
        return count

    def _twice(self, number: int, told: Settlement) -> None:
        """Take note of a capture of what another has settled; with one writer that is what was taken in."""

    def _put_up(self, row: Any) -> Any:
        """Let a fetch that had failed be as if it were queued, as somebody did get it; return its row so."""
        number, bucket, state, token, url, reason = row
        self._moves[bucket, state] -= 1
        self._moves[bucket, "queued"] += 1
        self._reasons[state, reason] -= 1
        return number, bucket, "queued", token, url, ""

    def held(self, fingerprint: bytes) -> Held | None:
        """Return a fetch of this round that is settled with a record."""
        row = self._db.execute(self._sql["work"], {"round": self.round, "fingerprint": fingerprint}).fetchone()
        return Held(fetch=_decode(row[1]), segment=row[5], offset=row[6]) if _is_held(row) else None

    def commit_reread(
        self,
        items: Sequence[tuple[Fetch, Settlement]],
        links: Iterable[Fetch],
        is_stale: Callable[[Fetch], bool],
        *,
        now: float,
    ) -> tuple[int, list[Held]]:
        """Take in what captures that are held say when they are read again."""
        new, renewed = 0, []
        with self._transaction():
            for fetch, told in items:
                self._reread(fetch, told, now)
            for link in links:
                is_new = self._offer([link])
                new += is_new
                if not is_new and link.callback is not None and (held := self._renew(link, is_stale)) is not None:
                    renewed.append(held)
        return new, renewed

    def _reread(self, fetch: Fetch, told: Settlement, now: float) -> None:
        row = self._db.execute(self._sql["work"], {"round": self.round, "fingerprint": fetch.fingerprint}).fetchone()
        if not _is_held(row):
            return
        if row[2] == "failed":
            self._reasons["failed", row[4]] -= 1
            self._moves[row[3], "failed"] -= 1
            self._moves[row[3], "queued"] += 1
            self._write(row[0], row[3], "queued", replace(told, location=None), now)
            if (swept := self._sweeps.place(self.round, fetch.url)) is not None:
                self._sweeps.settle(*swept, is_hit=not _lacks(told, fetch.url))
        for covered in told.coverage:
            self._cover(covered)
        self._db.executemany(self._sql["claim"], [asdict(claim) for claim in told.claims])
        self._db.executemany(self._sql["note_again"], [asdict(note) for note in told.notes])

    def _renew(self, fetch: Fetch, is_stale: Callable[[Fetch], bool]) -> Held | None:
        """Let a known fetch be done as this one, if its own work is stale; return it where it is held."""
        row = self._db.execute(self._sql["work"], {"round": self.round, "fingerprint": fetch.fingerprint}).fetchone()
        if row is None or not is_stale(old := _decode(row[1])):
            return None
        # Its lane stays, and what it covers: they are where it is counted.
        work = replace(fetch, lane=old.lane, day=old.day, value=old.value, covers=old.covers or fetch.covers)
        self._db.execute(self._sql["renew"], {"id": row[0], "work": _encode(work)})
        return Held(fetch=work, segment=row[5], offset=row[6]) if _is_held(row) else None

    def _settle(self, row: Any, told: Settlement, now: float, *, is_swept: bool = False) -> None:
        number, bucket, state, _, url = row
        swept = self._sweeps.place(self.round, url)
        is_hole = swept is not None and self._is_hole(told, url, is_swept=is_swept)
        self._write(number, bucket, state, told, now)
        if swept is not None and told.state is State.DONE:
            self._sweeps.settle(*swept, is_hit=not _lacks(told, url) and not is_hole)
        if is_hole:
            self._db.execute(self._sql["drop"], {"id": number})
        self._take_in(told, url, bucket, swept[0] if swept is not None and is_hole else None)

    def _settle_lent(self, lent: Lent, told: Settlement, now: float) -> None:
        """Settle an id that has no row: what is a hole gets none, everything else gets it now."""
        sweep = next(sweep for sweep in self._sweeps.all(self.round) if sweep.id == lent.sweep)
        url, bucket = lent.fetch.url, lent.bucket
        self._moves[bucket, "queued"] -= 1
        if self._is_hole(told, url, is_swept=True):
            self._moves[bucket, told.state.value] += 1
            if told.state is State.EXCLUDED:
                self._sweeps.take(sweep, lent.position)
                self._reasons[told.state.value, told.reason] += 1
            else:
                self._sweeps.settle(sweep, lent.position, is_hit=False)
            self._take_in(told, url, bucket, sweep)
            return
        self._sweeps.take(sweep, lent.position)
        facts = {
            "round": self.round, "fingerprint": lent.fetch.fingerprint, "bucket": bucket, "method": lent.fetch.method,
            "url": url, "work": _encode(lent.fetch), "token": told.token,
        }  # fmt: skip
        number = self._db.execute(self._sql["swept"], facts).fetchall()[0][0]
        self._moves[bucket, "leased"] += 1
        self._settle((number, bucket, "leased", told.token, url), told, now)

    def _is_hole(self, told: Settlement, url: str, *, is_swept: bool) -> bool:
        """Say whether what became of a swept id is not worth a row: nothing is there, or nothing for strangers.

        So is an id that leads where all of them lead: to the front page, or to a door. What something named keeps
        its row in any case.
        """
        if is_swept and told.state is State.DONE and told.reason == "redirect":
            return all(self._is_offered(link) for link in told.outlinks)
        standings = {one.standing for one in told.coverage if one.url == url}
        return (told.state is State.DONE and Standing.VACANT in standings) or told.state is State.EXCLUDED

    def _is_offered(self, fetch: Fetch) -> bool:
        swept = self._sweeps.place(self.round, fetch.url)
        facts = {"round": self.round, "fingerprint": fetch.fingerprint}
        return (swept is not None and self._sweeps.is_taken(*swept)) or bool(
            self._db.execute(self._sql["find_by_fingerprint"], facts).fetchone()
        )

    def _take_in(self, told: Settlement, url: str, bucket: int, hole_of: Sweep | None) -> None:
        """Take in what a settlement says beside the state of its fetch, which for a hole of a sweep leaves no rows."""
        if told.location is not None:
            self._place(told, url, is_remembered=hole_of is None or hole_of.holes <= _HOLES_REMEMBERED)
        self._totals["bytes"] += told.size
        self._moves[bucket, "bytes"] += told.size
        self._offer((link for link in told.outlinks if not link.deeper or not self._is_old(link, told)), by=bucket)
        for covered in told.coverage:
            if hole_of is None or covered.url != url or self._is_covered(covered):
                self._cover(covered, url)
            else:
                standing = covered.standing if covered.standing in _LACKING else Standing.VACANT
                self._covered[covered.kind, "", RANK[standing]] += 1
        self._db.executemany(self._sql["claim"], [asdict(claim) for claim in told.claims])
        self._db.executemany(self._sql["note"], [asdict(note) for note in told.notes])
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
             "tried": int(new is State.QUEUED and not told.untried), "not_before": told.not_before,
             "segment": self._segment(place.segment) if place else None, "offset": place.offset if place else None,
             "response_offset": place.response_offset if place else None,
             "response_length": place.response_length if place else None},
        )  # fmt: skip
        self._moves[bucket, old] -= 1
        self._moves[bucket, new.value] += 1
        if new in {State.FAILED, State.PARKED, State.EXCLUDED}:
            self._reasons[new.value, told.reason] += 1

    def _place(self, told: Settlement, url: str, *, is_remembered: bool = True) -> None:
        assert told.location is not None
        segment = self._segment(told.location.segment)
        self._db.execute("INSERT OR IGNORE INTO settled VALUES (?, ?)", (segment, told.location.offset))
        self._totals["captures" if told.state is State.DONE else "attempts"] += 1
        digests = told.digests if is_remembered else None
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
            self._db.execute(self._sql["open"], {"rules": gate.rules, "name": gate.origin})
        else:
            self._db.execute(self._sql["leave_closed"], {"name": gate.origin})

    def _follow(self, name: str, target: int) -> None:
        """An origin's robots.txt redirects to one already known: it opens as that one does."""
        row = self._db.execute("SELECT name, closed, readable, rules FROM origin WHERE id = ?", (target,)).fetchone()
        if row is None or self._db.execute(self._sql["in_ring"], {"target": target, "name": name}).fetchone():
            self._open(Gate(origin=name))  # a ring leads nowhere: RFC 9309 section 2.3.1.2
        elif row[2] is None:
            self._db.execute("UPDATE origin SET follows = ? WHERE name = ?", (target, name))
        else:
            self._open(Gate(origin=name, rules=row[3] or "", readable=bool(row[2])))

    def _raise_marks(self, marks: Mapping[str, int]) -> None:
        for name, mark in marks.items():
            segment = self._segment(name)
            self._db.execute("UPDATE segment SET low_water = ? WHERE id = ? AND low_water < ?", (mark, segment, mark))
            self._db.execute("DELETE FROM settled WHERE segment = ? AND offset < ?", (segment, mark))

    # Coverage

    def _is_old(self, link: Fetch, told: Settlement) -> bool:
        """Say whether a link leads to what earlier rounds held, or goes on from a page on which all is.

        That is all that it shows, or leads to where it shows nothing itself; one that does neither proves nothing.
        """
        if self.round == 1 or self._is_recheck:
            return False
        if link.covers is not None and self._was_held([link.covers]):
            return True
        shown = [(one.kind, one.id) for one in told.coverage if one.standing in {Standing.CAPTURED, Standing.KNOWN}]
        named = [other.covers for other in told.outlinks if other.covers is not None and not other.deeper]
        return self._was_held(shown or named)

    @property
    def _is_recheck(self) -> bool:
        return self.round > 1 and self.meta_get("recheck") == str(self.round)

    def _was_held(self, things: Sequence[tuple[str, str]]) -> bool:
        rows = (self._db.execute(self._sql["cover"], {"kind": kind, "id": thing}).fetchone() for kind, thing in things)
        held = [row is not None and row[0] == RANK[Standing.CAPTURED] and row[2] < self.round for row in rows]
        return bool(held) and all(held)

    def _is_covered(self, covered: Covered) -> bool:
        return self._db.execute(self._sql["cover"], {"kind": covered.kind, "id": covered.id}).fetchone() is not None

    def _cover(self, covered: Covered, told_by: str = "") -> None:
        row = self._db.execute(self._sql["cover"], {"kind": covered.kind, "id": covered.id}).fetchone()
        rank = RANK[covered.standing]
        facts = {
            "kind": covered.kind,
            "id": covered.id,
            "standing": rank,
            "day": covered.day,
            "reason": covered.reason,
            "url": covered.url,
            "round": self.round,
            "mark": covered.mark or None,
        }
        if row is None:
            self._db.execute(self._sql["cover_new"], facts)
            self._covered[covered.kind, covered.day or "", rank] += 1
        elif rank > row[0]:
            self._db.execute(self._sql["cover_forward"], facts)
            self._covered[covered.kind, row[1] or "", row[0]] -= 1
            self._covered[covered.kind, row[1] or covered.day or "", rank] += 1
        elif row[0] == RANK[Standing.CAPTURED] and (self.round > row[2] or self._is_recheck):
            is_gone = covered.standing is Standing.MISSING
            if self._is_recheck and rank == row[0]:
                self._db.execute(self._sql["cover_seen"], facts)
            if is_gone or _says_other(covered.mark, row[3]):
                what = "gone" if is_gone else "changed"
                facts |= {"reason": f"{what} in round {self.round}", "url": told_by or covered.url}
                self._db.execute(self._sql["cover_changed"], facts)

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

    def _segment(self, name: str) -> int:
        if name not in self._segments:
            self._db.execute(
                "INSERT OR IGNORE INTO segment (name, class, worker, state) VALUES (?, '', '', 'open')", (name,)
            )
            self._segments[name] = self._db.execute("SELECT id FROM segment WHERE name = ?", (name,)).fetchone()[0]
        return self._segments[name]

    # Waiting, pausing, gates

    def bring_forward(self, reason: str, *, older_than: float, now: float) -> int:
        """Make due what waits for this reason."""
        with self._transaction():
            return self._db.execute(
                self._sql["bring_forward"], {"reason": reason, "older_than": older_than, "now": now}
            ).rowcount

    def forget_waits(self, beyond: float) -> None:
        """Make due what would wait beyond this time."""
        with self._transaction():
            self._db.execute(self._sql["forget_waits"], {"beyond": beyond})
            self._db.execute("UPDATE origin SET frozen_until = 0 WHERE frozen_until > ?", (beyond,))

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

    def lose(self, segment: str) -> int:
        """Queue again what is done and stands in a segment that is no more; return how many. What another segment holds
        of it is settled when that one is taken in.
        """
        with self._transaction():
            number = self._segment(segment)
            rows = self._db.execute(self._sql["done_in"], {"round": self.round, "segment": number}).fetchall()
            for fetch, bucket in rows:
                self._db.execute(self._sql["requeue"], {"id": fetch})
                self._moves[bucket, "done"] -= 1
                self._moves[bucket, "queued"] += 1
            self._db.execute("DELETE FROM payload WHERE segment = ?", (number,))
            self._db.execute("DELETE FROM settled WHERE segment = ?", (number,))
            self._db.execute("UPDATE segment SET state = 'removed' WHERE id = ?", (number,))
        return len(rows)

    def relocate(self, old: str, new: str, size: int, places: Mapping[int, tuple[int, int]]) -> None:
        """Say that a sealed segment stands for another: where each of that one's records is now (offset → offset and
        length). What is nowhere was taken down: it stays settled, and held by nothing.
        """
        with self._transaction():
            facts = {"was": self._segment(old), "now": self._segment(new), "size": size}
            rows = self._db.execute(
                "SELECT id, offset, response_offset FROM fetch WHERE segment = :was", facts
            ).fetchall()
            for number, asked, answer in rows:
                told = (
                    (facts["now"], places[asked][0], *places.get(answer, (None, None)))
                    if asked in places
                    else (None,) * 4
                )
                self._db.execute(self._sql["place"], dict(zip(_PLACE, (*told, number), strict=True)))
            for digest, at in self._db.execute(
                "SELECT sha256, offset FROM payload WHERE segment = :was", facts
            ).fetchall():
                if at in places:
                    moved = (facts["now"], places[at][0], digest, facts["was"])
                    self._db.execute(
                        "UPDATE payload SET segment = ?, offset = ? WHERE sha256 = ? AND segment = ?", moved
                    )
            self._db.execute("DELETE FROM payload WHERE segment = :was", facts)
            self._db.execute("DELETE FROM settled WHERE segment = :was", facts)
            self._db.execute(self._sql["stand_for"], facts)
            self._db.execute("UPDATE segment SET state = 'removed' WHERE id = :was", facts)

    def take_back(self, told: Iterable[Settlement]) -> int:
        """Undo settlements that were wrong."""
        count = 0
        with self._transaction():
            for one in told:
                facts = {"id": one.id, "token": one.token, "round": self.round, "fingerprint": _fingerprint(one)}
                row = self._db.execute(self._sql["settled_by"], facts).fetchone()
                if row is not None:
                    self._undo(*row)
                    count += 1
                    for covered in one.coverage:
                        self._uncover(covered)
                elif self._db.execute(self._sql["tried_by"], facts).rowcount:
                    count += 1
        return count

    def _undo(self, number: int, bucket: int, state: str, reason: str) -> None:
        self._db.execute(self._sql["requeue"], {"id": number})
        self._moves[bucket, state] -= 1
        self._moves[bucket, "queued"] += 1
        if state == State.DONE:
            self._totals["captures"] -= 1
            self._totals["attempts"] += 1
        else:
            self._reasons[state, reason] -= 1

    def _thing(self, covered: Covered) -> dict[str, Any]:
        return {"kind": covered.kind, "id": covered.id}

    def _uncover(self, covered: Covered) -> None:
        thing = self._thing(covered)
        row = self._db.execute(self._sql["cover"], thing).fetchone()
        facts = {
            **thing, "standing": RANK[covered.standing], "url": covered.url,
            "mark": covered.mark or None, "round": self.round, "known": RANK[Standing.KNOWN],
        }  # fmt: skip
        if row is not None and self._db.execute(self._sql["cover_back"], facts).rowcount:
            self._covered[covered.kind, row[1] or "", row[0]] -= 1
            self._covered[covered.kind, row[1] or "", RANK[Standing.KNOWN]] += 1

    def fetch_of(self, told: Settlement) -> Fetch | None:
        """Return the work that a settlement settles; of an id of a sweep, its URL."""
        if told.id < 0:
            return Fetch(url=told.seen.url, lane=told.seen.lane) if told.seen else None
        row = self._db.execute("SELECT work FROM fetch WHERE id = ?", (told.id,)).fetchone()
        return _decode(row[0]) if row else None

    def tell(self, note: Note) -> None:
        """Keep what a person must hear."""
        with self._transaction():
            self._db.execute(self._sql["note"], asdict(note))

    def requeue_missing(self) -> int:
        """Queue again what was settled as missing or kept in part."""
        count = 0
        with self._transaction():
            for gap in [gap for gap in self.gaps() if gap.standing in {Standing.MISSING, Standing.PARTIAL}]:
                try:
                    facts = {"round": self.round, "fingerprint": Fetch(url=gap.url, lane="").fingerprint}
                except ValueError:
                    continue
                row = self._db.execute(self._sql["find_by_fingerprint"], facts).fetchone()
                if row is not None and row[2] == "done":
                    self._db.execute(self._sql["requeue"], {"id": row[0]})
                    self._moves[row[1], "done"] -= 1
                    self._moves[row[1], "queued"] += 1
                    count += 1
        return count

    def pause(self, *, lane: str | None = None, origin: str | None = None, paused: bool = True) -> None:
        """Let the buckets of a lane or an origin wait, or go on."""
        self._db.execute(
            "UPDATE bucket SET paused = :paused WHERE (CAST(:lane AS TEXT) IS NULL OR lane = :lane) AND "
            "(CAST(:origin AS TEXT) IS NULL OR origin = (SELECT id FROM origin WHERE name = :origin))",
            {"paused": int(paused), "lane": lane, "origin": origin},
        )

    def freeze(self, origin: str, until: float) -> None:
        """Leave an origin alone until then."""
        self._db.execute("UPDATE origin SET frozen_until = ? WHERE name = ?", (until, origin))

    def reopen_gates(self) -> None:
        """Open every origin: the user decided not to wait for robots.txt."""
        self._db.execute("UPDATE origin SET closed = 0")

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
            if self._db.in_transaction:  # SQLite itself rolls back where the disk is full
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
                self._led,
            ):
                cache.clear()
            self._sweeps.forget()
            raise

    def _count(self) -> None:
        """Write the counters that moved in this transaction, and what became of the ids of sweeps."""
        self._sweeps.flush()
        for (bucket, state), n in self._moves.items():
            if n:
                self._db.execute(f"UPDATE bucket SET {state} = {state} + ? WHERE id = ?", (n, bucket))  # noqa: S608 - one of _COUNTED, or bytes
        _upsert = "INSERT INTO total VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET n = n + excluded.n"
        self._db.executemany(_upsert, list(self._totals.items()))
        _upsert = "INSERT INTO reason VALUES (?, ?, ?) ON CONFLICT (state, reason) DO UPDATE SET n = n + excluded.n"
        self._db.executemany(_upsert, [(*key, n) for key, n in self._reasons.items()])
        counts = [{"kind": k, "day": d, "standing": s, "n": n} for (k, d, s), n in self._covered.items() if n]
        self._db.executemany(self._sql["cover_count"], counts)
        led = [{"bucket": bucket, "child": child, "n": n} for (bucket, child), n in self._led.items()]
        self._db.executemany(self._sql["led"], led)
        for moved in (self._moves, self._totals, self._reasons, self._covered, self._led):
            moved.clear()


def _says_other(mark: bytes, earlier: bytes | None) -> bool:
    """Say whether the same answer as in an earlier round told something else of a thing."""
    return bool(mark and earlier) and mark[:8] == (earlier or b"")[:8] and mark != earlier


def _fingerprint(told: Settlement) -> bytes:
    """Return what a settled id of a sweep is found by; it has no number of its own."""
    return Fetch(url=told.seen.url, lane="").fingerprint if told.id < 0 and told.seen else b""


def _lacks(told: Settlement, url: str) -> bool:
    """Say whether a settlement speaks of something that is not there or not to be had."""
    return told.status >= 400 or any(one.url == url and one.standing in _LACKING for one in told.coverage)


def _is_held(row: Any) -> bool:
    """Say whether a row of the query ``work`` is of a fetch that is settled with a record."""
    return row is not None and row[2] in {"done", "failed"} and row[5] is not None
