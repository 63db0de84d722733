"""The frontier's verbs on PostgreSQL, for many writers at once.

The rules are those of the embedded engine, which this one inherits; what differs is how they reach the tables. What a
commit writes is gathered and written as few statements, each in one order (ids, fingerprints, keys), so that no two
nodes wait for each other in a ring; where they do all the same, the verb is tried again. Whatever is gathered is
written before anything is read. Counters are a row of each node's own.

A fetch is leased under a new token, and only the newest token settles it: who was silent for longer than its lease
settles nothing any more. What such a node had written all the same is kept as surplus, and told.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from crawler.errors import Locked
from crawler.failpoint import failpoint
from crawler.frontier.postgres.connection import Database, steadily
from crawler.frontier.postgres.reader import PostgresReader, own, queries
from crawler.frontier.reader import FORMAT, RANK, FrontierReader
from crawler.frontier.sqlite import _MOST_REFUSED, SqliteFrontier, _says_other
from crawler.frontier.sweeps import Sweeps
from crawler.model import REVISIT_MIN_BYTES, Covered, Fetch, Leased, Settlement, Standing, State
from crawler.url import origin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from crawler.frontier.interface import Held, Refusal, Stats, Swept
    from crawler.model import Commit, Lease, Note, Original, SegmentClass

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Fetch).decode
_COUNTED = ("queued", "leased", "done", "failed", "parked", "excluded")
#: Ids of fetches that come at once.
_BLOCK = 1000
#: Fetches of earlier rounds that are offered at once.
_AT_ONCE = 1000


@dataclass(slots=True)
class _Thing:
    """A row of ``covered``."""

    standing: int
    day: str | None
    reason: str
    url: str
    round: int
    mark: bytes | None


class PostgresFrontier(SqliteFrontier):
    """The frontier in a database that other machines write, too; ``node`` is the id of this one's collection.

    Raises DatabaseLost where it cannot be reached, Locked where another process is that node, and UsageError where a
    newer Outlast made it.
    """

    def __init__(self, address: str, node: str, machine: str = "") -> None:
        self.gate_for: Callable[[str], Fetch | None] | None = None
        self._sql = queries()
        self._db: Any = Database(address)
        try:
            self._db.prepare()
            self.node = self._join(node, machine)
            self._prepare()
            self._check_format()
        except BaseException:
            self._db.close()
            raise
        self._origins: dict[str, int] = {}
        self._buckets: dict[tuple[str, int, str, int], int] = {}
        self._segments: dict[str, int] = {}
        self._moves: Counter[tuple[int, str]] = Counter()
        self._totals: Counter[str] = Counter()
        self._reasons: Counter[tuple[str, str]] = Counter()
        self._covered: Counter[tuple[str, str, int]] = Counter()
        self._led: Counter[tuple[int, str]] = Counter()
        self._sweeps = Sweeps(self._db, self._sql)
        self._ids: Iterator[int] = iter(())
        self._round: int | None = None
        self._forget()
        self._gathers = False
        self._db.before = self._write_gathered
        self.prefix = f"n{self.node}-"

    def _join(self, name: str, machine: str) -> int:
        self._db.execute("INSERT INTO node (name) VALUES (?) ON CONFLICT DO NOTHING", (name,))
        self._db.execute("UPDATE node SET machine = ? WHERE name = ?", (machine, name))
        number: int = self._db.execute("SELECT id FROM node WHERE name = ?", (name,)).fetchone()[0]
        self._lock(number)
        self._db.connected = lambda: self._lock(number)
        return number

    def _lock(self, number: int) -> None:
        key = (f"outlast {self._db.schema}", number)
        if not self._db.execute("SELECT pg_try_advisory_lock(hashtext(?), ?::INTEGER)", key).fetchone()[0]:
            raise Locked("This collection crawls already, perhaps as a copy on another machine.")

    def _prepare(self) -> None:
        for key, value in (("round", "1"), ("format", str(FORMAT))):
            self._db.execute("INSERT INTO meta VALUES (?, ?) ON CONFLICT DO NOTHING", (key, value))

    def _forget(self) -> None:
        self._new = 0
        self._links: dict[bytes, tuple[int, Fetch]] = {}
        #: Fetches that were named → the bucket of the one that did.
        self._named: dict[bytes, int] = {}
        self._settled: dict[int, tuple[Any, ...]] = {}
        self._groups: list[tuple[int, int]] = []
        self._payloads: list[tuple[Any, ...]] = []
        self._things: list[Covered] = []
        self._now = 0.0

    @property
    def address(self) -> str:
        """Where the database is; no secret is in it."""
        return self._db.address  # type: ignore[no-any-return]

    # Settings

    @property
    def round(self) -> int:
        """The current round."""
        if self._round is None:
            self._round = int(self.meta_get("round") or 1)
        return self._round

    @steadily
    def meta_get(self, key: str) -> str | None:
        """Return a setting: the crawl's, or this node's own."""
        return super().meta_get(own(self.node, key))

    @steadily
    def meta_set(self, key: str, value: str) -> None:
        """Keep a setting: the crawl's, or this node's own."""
        super().meta_set(own(self.node, key), value)

    def _has_column(self, table: str, column: str) -> bool:
        return True

    def _rows(self, which: str, **facts: Any) -> Iterator[Any]:
        return self._db.stream(self._sql[which], {"node": self.node, **facts})  # type: ignore[no-any-return]

    @steadily
    def open_round(self, number: int, recheck: Callable[[Fetch], bool] | None = None) -> None:
        """Begin a round, unless another node was first."""
        self.reset_leases()
        self._round = None
        with self._transaction():
            if int(self._db.execute("SELECT value FROM meta WHERE key = 'round' FOR UPDATE").fetchone()[0]) >= number:
                return
            self._begin(number, is_recheck=recheck is not None)
            self._round = None
            self.meta_set("round_began", self._db.execute(self._sql["second"]).fetchone()[0])
            held = filter(recheck, self._answered(number)) if recheck else iter(())
            while some := list(islice(held, _AT_ONCE)):
                self._offer(some)
        self._sweeps.forget()

    # Offer

    @steadily
    def offer(self, fetches: Sequence[Fetch]) -> int:
        """Make fetches known."""
        with self._transaction(), self._gathering():
            self._offer(fetches)
            self._write_gathered()
            return self._new

    def _offer(self, fetches: Iterable[Fetch], *, by: int | None = None) -> int:
        before = self._new
        for fetch in fetches:
            if fetch.lane == "robots" or self._sweeps.place(self.round, fetch.url) is not None:
                self._new += super()._offer([fetch], by=by)
            elif (key := fetch.fingerprint) not in self._links:
                bucket = self._bucket(self.round, fetch, self._origin(origin(fetch.url)))
                self._links[key] = (bucket, fetch)
                if by is not None:
                    self._named[key] = by
        if not self._gathers:
            self._write_gathered()
        return self._new - before

    def _origin(self, name: str) -> int:
        if name not in self._origins:
            gate = self.gate_for(name) if self.gate_for else None
            made = self._db.execute(
                "INSERT INTO origin (name, closed) VALUES (?, ?) ON CONFLICT DO NOTHING", (name, int(gate is not None))
            ).rowcount
            self._origins[name] = self._db.execute("SELECT id FROM origin WHERE name = ?", (name,)).fetchone()[0]
            if made and gate is not None:
                self._offer([gate])
        return self._origins[name]

    def _next_id(self) -> int:
        if (number := next(self._ids, None)) is None:
            start = self._db.execute("SELECT nextval('fetch_id')").fetchone()[0]
            self._ids = iter(range(start, start + _BLOCK))
            number = next(self._ids)
        return number

    def _learn(self, links: dict[bytes, tuple[int, Fetch]]) -> set[bytes]:
        """Let fetches become known; return the fingerprints of those that were not."""
        rows = sorted((key, self._next_id(), bucket, fetch) for key, (bucket, fetch) in links.items())
        keys, ids, buckets, fetches = zip(*rows, strict=True)
        facts = {
            "round": self.round, "ids": list(ids), "fingerprints": list(keys), "buckets": list(buckets),
            "methods": [fetch.method for fetch in fetches], "urls": [fetch.url for fetch in fetches],
            "works": [_encode(fetch) for fetch in fetches],
        }  # fmt: skip
        return {row[0] for row in self._db.execute(self._sql["learn_all"], facts).fetchall()}

    # Lease

    @steadily
    def lease(
        self, n: int, *, worker: str, now: float, seconds: float, admit: Callable[[Fetch], Refusal | None] | None,
        room: Callable[[str], int], closed: Callable[[str, str], bool] = lambda origin, lane: False,
    ) -> Lease:  # fmt: skip
        """Hand out due fetches."""
        return super().lease(n, worker=worker, now=now, seconds=seconds, admit=admit, room=room, closed=closed)

    def _hand_out(self, numbers: list[int], worker: str, expires: float) -> None:
        if numbers:
            self._db.execute(self._sql["take_all"], {"ids": sorted(numbers), "worker": worker})
            self._db.execute(self._sql["holds"], {"worker": worker, "node": self.node, "until": expires})

    def _lend(
        self, bucket: int, want: int, worker: str, expires: float, admit: Callable[[Fetch], Refusal | None] | None
    ) -> list[Leased]:
        """Hand out ids of the sweeps of a bucket. Each gets its row now, for others to see; holes lose it again."""
        chosen: dict[bytes, tuple[int, Fetch]] = {}
        refused = 0
        for sweep in self._sweeps.all(self.round):
            following = self._sweeps.following(sweep) if sweep.bucket == bucket else iter(())
            while len(chosen) < want and refused < _MOST_REFUSED and (position := next(following, None)) is not None:
                fetch = sweep.fetch(position)
                if fetch.fingerprint in chosen or self._belongs_elsewhere(sweep, position, fetch):
                    continue
                refusal = admit(fetch) if admit else None
                if refusal is None:
                    self._sweeps.take(sweep, position)
                    chosen[fetch.fingerprint] = (bucket, fetch)
                else:
                    refused += 1
                    self._refuse(sweep, position, fetch, refusal)
        return self._lent(chosen, bucket, worker, expires)

    def _lent(self, chosen: dict[bytes, tuple[int, Fetch]], bucket: int, worker: str, expires: float) -> list[Leased]:
        first = {key: self._next_id() for key in chosen}
        facts = {
            "round": self.round, "ids": list(first.values()), "fingerprints": list(chosen),
            "buckets": [bucket] * len(chosen), "methods": [fetch.method for _, fetch in chosen.values()],
            "urls": [fetch.url for _, fetch in chosen.values()],
            "works": [_encode(fetch) for _, fetch in chosen.values()],
        }  # fmt: skip
        new = {row[0] for row in self._db.execute(self._sql["learn_all"], facts).fetchall()} if chosen else set()
        got = [Leased(id=first[key], token=1, fetch=fetch) for key, (_, fetch) in chosen.items() if key in new]
        self._hand_out([one.id for one in got], worker, expires)
        self._moves[bucket, "queued"] -= len(chosen)
        self._moves[bucket, "leased"] += len(got)
        return got

    @steadily
    def take_back(self, told: Iterable[Settlement]) -> int:
        """Undo settlements that were wrong."""
        return super().take_back(list(told))

    @steadily
    def tell(self, note: Note) -> None:
        """Keep what a person must hear."""
        super().tell(note)

    @steadily
    def stats(self) -> Stats:
        """Return the counts."""
        return FrontierReader.stats(self)

    @steadily
    def surplus(self) -> list[tuple[str, str, int, str | None, int | None]]:
        """Return captures that settled nothing."""
        return self._db.execute(self._sql["surplus_all"]).fetchall()  # type: ignore[no-any-return]

    def sweeps(self) -> list[Swept]:
        """Return how far the sweeps of this round are."""
        return self._sweeps_of_round()

    @steadily
    def heartbeat(self, worker: str, until: float) -> None:
        """Prolong a worker's leases."""
        self._db.execute(self._sql["prolong"], {"worker": worker, "until": until})

    @steadily
    def _put_back(self, which: str, facts: dict[str, Any], wanted: frozenset[int] | None = None) -> int:
        return super()._put_back(which, {**facts, "node": self.node}, wanted)

    # Commit

    @steadily
    def commit(self, commit: Commit, *, now: float) -> int:
        """Settle leased fetches in one transaction."""
        count = 0
        with self._transaction(), self._gathering():
            ids = sorted({told.id for told in commit.settlements})
            rows = self._db.execute(self._sql["find_all"], {"ids": ids}).fetchall() if ids else []
            found = {row[0]: row for row in rows}
            for told in commit.settlements:
                row = found.get(told.id)
                if row is not None and row[2] == "leased" and row[3] == told.token:
                    self._settle(row[:5], told, now, is_swept=self._is_swept(told.id))
                    found[told.id] = (*row[:2], told.state.value, *row[3:])
                    count += 1
                elif row is not None:
                    self._twice(told.id, told)
            self._raise_marks(commit.low_water)
            self._write_gathered()
            failpoint("frontier.before-commit")
        failpoint("frontier.committed")
        return count

    def _is_swept(self, number: int) -> bool:
        if not self._sweeps.all(self.round):
            return False
        row = self._db.execute("SELECT work FROM fetch WHERE id = ?", (number,)).fetchone()
        return row is not None and _decode(row[0]).sweep

    @steadily
    def commit_recovered(
        self, items: Sequence[tuple[Fetch, Settlement]], low_water: Mapping[str, int], *, now: float
    ) -> int:
        """Settle what a segment holds, by fingerprint: not what an earlier round asked for, which others have ended."""
        began = self.meta_get("round_began") or ""
        due: list[tuple[Fetch, Settlement]] = []
        late: list[tuple[Fetch, Settlement]] = []
        for fetch, told in items:
            (late if told.date and told.date[: len(began)] < began else due).append((fetch, told))
        if late:
            with self._transaction():
                for fetch, told in late:
                    self._came_late(fetch, told)
        return super().commit_recovered(due, low_water, now=now)

    def _came_late(self, fetch: Fetch, told: Settlement) -> None:
        facts = {"round": self.round, "fingerprint": fetch.fingerprint}
        row = self._db.execute(self._sql["find_by_fingerprint"], facts).fetchone()
        if row is not None:
            self._twice(row[0], told)
        elif told.location is not None:
            self._groups.append((self._segment(told.location.segment), told.location.offset))

    @steadily
    def commit_reread(
        self, items: Sequence[tuple[Fetch, Settlement]], links: Iterable[Fetch], is_stale: Callable[[Fetch], bool], *,
        now: float,
    ) -> tuple[int, list[Held]]:  # fmt: skip
        """Take in what captures that are held say when they are read again."""
        return super().commit_reread(items, links, is_stale, now=now)

    def _twice(self, number: int, told: Settlement) -> None:
        """Keep account of a capture that came when another had settled its fetch, or was about to."""
        if told.location is None or told.state is not State.DONE:
            return
        segment, offset = self._segment(told.location.segment), told.location.offset
        row = self._db.execute('SELECT segment, "offset" FROM fetch WHERE id = ?', (number,)).fetchone()
        if row is not None and (row[0], row[1]) != (segment, offset):
            facts = {"segment": segment, "place": offset, "fetch": number, "node": self.node}
            self._db.execute(self._sql["surplus"], facts)
            self._groups.append((segment, offset))

    def _write(self, number: int, bucket: int, old: str, told: Settlement, now: float) -> None:
        place = told.location if told.state is State.DONE else None
        segment = self._segment(place.segment) if place else None
        if number in self._settled:
            self._write_gathered()
        self._settled[number] = (
            number, told.state.value, told.reason, told.status,
            int(told.state is State.QUEUED and not told.untried), told.not_before,
            segment, place.offset if place else None, place.response_offset if place else None,
            place.response_length if place else None,
        )  # fmt: skip
        self._now = now
        self._moves[bucket, old] -= 1
        self._moves[bucket, told.state.value] += 1
        if told.state in {State.FAILED, State.PARKED, State.EXCLUDED}:
            self._reasons[told.state.value, told.reason] += 1

    def _place(self, told: Settlement, url: str, *, is_remembered: bool = True) -> None:
        assert told.location is not None
        segment = self._segment(told.location.segment)
        self._groups.append((segment, told.location.offset))
        self._totals["captures" if told.state is State.DONE else "attempts"] += 1
        digests = told.digests if is_remembered else None
        if told.is_original and told.state is State.DONE and digests and digests.payload_length > REVISIT_MIN_BYTES:
            self._payloads.append(
                (bytes.fromhex(digests.payload_sha256), told.record_id, url, told.date, segment,
                 told.location.response_offset)
            )  # fmt: skip

    def known_payload(self, sha256: str) -> Original | None:
        """Return the committed record of this node that first had this payload."""
        return PostgresReader.known_payload(self, sha256)  # type: ignore[arg-type]

    def _raise_marks(self, marks: Mapping[str, int]) -> None:
        low = {self._segment(name): mark for name, mark in marks.items()}
        self._groups = [(segment, offset) for segment, offset in self._groups if offset >= low.get(segment, 0)]
        for segment, mark in sorted(low.items()):
            self._db.execute("UPDATE segment SET low_water = ? WHERE id = ? AND low_water < ?", (mark, segment, mark))
            self._db.execute("DELETE FROM settled WHERE segment = ? AND offset < ?", (segment, mark))

    # Coverage

    def _cover(self, covered: Covered, told_by: str = "") -> None:
        self._things.append(covered)
        if not self._gathers:
            self._write_gathered()

    def _was_held(self, things: Sequence[tuple[str, str]]) -> bool:
        rows = [self._db.execute(self._sql["cover"], {"key": _key(*thing)}).fetchone() for thing in things]
        held = [row is not None and row[0] == RANK[Standing.CAPTURED] and row[2] < self.round for row in rows]
        return bool(held) and all(held)

    def _thing(self, covered: Covered) -> dict[str, Any]:
        return {"key": _key(covered.kind, covered.id)}

    def _is_covered(self, covered: Covered) -> bool:
        return self._db.execute(self._sql["cover"], {"key": _key(covered.kind, covered.id)}).fetchone() is not None

    def _write_things(self, told: list[Covered]) -> None:
        while told:
            told = self._told_once(told)

    def _told_once(self, told: list[Covered]) -> list[Covered]:
        """Write what is told of things; return what is to be told again, as another node came first."""
        by_key: dict[bytes, list[Covered]] = {}
        for one in told:
            by_key.setdefault(_key(one.kind, one.id), []).append(one)
        known = {
            bytes(row[0]): _Thing(*row[1:])
            for row in self._db.execute(self._sql["covers"], {"keys": sorted(by_key)}).fetchall()
        }
        things = {key: self._folded(known.get(key), by_key[key]) for key in sorted(by_key)}
        new = {key: thing for key, thing in things.items() if key not in known}
        made = self._make_known(new, by_key)
        changed = {key: thing for key, thing in things.items() if key in known and thing != known[key]}
        if changed:
            self._db.execute(self._sql["cover_all"], {"keys": list(changed), **_columns(changed.values())})
        for key, thing in things.items():
            if key in known or key in made:
                self._count_thing(by_key[key][0].kind, known.get(key), thing)
        return [one for key in new if key not in made for one in by_key[key]]

    def _make_known(self, new: dict[bytes, _Thing], by_key: dict[bytes, list[Covered]]) -> set[bytes]:
        if not new:
            return set()
        facts = {
            "keys": list(new), "kinds": [by_key[key][0].kind for key in new], "ids": [by_key[key][0].id for key in new],
            **_columns(new.values()),
        }  # fmt: skip
        return {bytes(row[0]) for row in self._db.execute(self._sql["cover_new_all"], facts).fetchall()}

    def _folded(self, old: _Thing | None, told: list[Covered]) -> _Thing:
        """Return a thing as it is after all that is told of it, by the rules of the embedded engine."""
        thing = replace(old) if old is not None else None
        for one in told:
            rank = RANK[one.standing]
            if thing is None:
                thing = _Thing(rank, one.day, one.reason, one.url, self.round, one.mark or None)
            elif rank > thing.standing:
                day = thing.day if thing.day is not None else one.day
                thing = _Thing(rank, day, one.reason, one.url or thing.url, self.round, one.mark or None)
            elif thing.standing == RANK[Standing.CAPTURED] and (self.round > thing.round or self._is_recheck):
                is_gone = one.standing is Standing.MISSING
                if self._is_recheck and rank == thing.standing:
                    thing.round = self.round
                if is_gone or _says_other(one.mark, thing.mark):
                    thing.reason = f"{'gone' if is_gone else 'changed'} in round {self.round}"
                    thing.mark = one.mark or thing.mark
        assert thing is not None
        return thing

    def _count_thing(self, kind: str, old: _Thing | None, new: _Thing) -> None:
        if old is None or old.standing != new.standing:
            if old is not None:
                self._covered[kind, old.day or "", old.standing] -= 1
            self._covered[kind, new.day or "", new.standing] += 1

    # Segments

    def _segment(self, name: str) -> int:
        if name not in self._segments:
            self._db.execute(
                "INSERT INTO segment (name, class, worker, node, state) VALUES (?, '', '', ?, 'open') "
                "ON CONFLICT DO NOTHING",
                (name, self.node),
            )
        return super()._segment(name)

    def add_segment(self, name: str, kind: SegmentClass, worker: str) -> None:
        """Register a segment that is about to be written."""
        self._db.execute(
            "INSERT INTO segment (name, class, worker, node, state) VALUES (?, ?, ?, ?, 'open') ON CONFLICT DO NOTHING",
            (name, kind.value, worker, self.node),
        )

    # Transactions

    @contextmanager
    def _gathering(self) -> Iterator[None]:
        self._gathers = True
        try:
            yield
        finally:
            self._gathers = False

    @contextmanager
    def _transaction(self, *, durable: bool = True) -> Iterator[None]:
        self._forget()
        self._db.execute("BEGIN" if durable else "BEGIN; SET LOCAL synchronous_commit = off")
        try:
            if self._sweeps.all(self.round):
                # Bits of a stretch are read and written as a whole: one node at a time.
                self._db.execute("SELECT pg_advisory_xact_lock(hashtext(?), 0)", (f"outlast {self._db.schema} sweeps",))
            yield
            self._count()
            self._db.execute("COMMIT")
        except BaseException:
            self._forget()
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            for cache in (
                self._origins, self._buckets, self._segments, self._moves, self._totals, self._reasons, self._covered,
                self._led,
            ):  # fmt: skip
                cache.clear()
            self._round = None
            self._sweeps.forget()
            raise

    def _write_gathered(self) -> None:
        """Write what was gathered. Called before each statement: nothing reads what is yet to be written."""
        before, self._db.before = self._db.before, lambda: None
        try:
            if self._links:
                links, self._links = self._links, {}
                self._write_links(links)
            if self._settled:
                rows, self._settled = sorted(self._settled.items()), {}
                names = ("ids", "states", "reasons", "statuses", "tries", "waits", "segments", "offsets",
                         "response_offsets", "response_lengths")  # fmt: skip
                columns = zip(*(row for _, row in rows), strict=True)
                facts = {"now": self._now, **dict(zip(names, map(list, columns), strict=True))}
                self._db.execute(self._sql["settle_all"], facts)
            self._write_places()
            if self._things:
                things, self._things = self._things, []
                self._write_things(things)
        finally:
            self._db.before = before

    def _write_links(self, links: dict[bytes, tuple[int, Fetch]]) -> None:
        new = self._learn(links)
        self._new += len(new)
        for key, (bucket, fetch) in links.items():
            if key in new:
                self._moves[bucket, "queued"] += 1
                if (by := self._named.pop(key, None)) is not None:
                    self._led[by, fetch.lane] += 1
                if fetch.covers is not None:
                    kind, thing = fetch.covers
                    self._things.append(
                        Covered(kind=kind, id=thing, standing=Standing.KNOWN, day=fetch.day, url=fetch.url)
                    )

    def _write_places(self) -> None:
        if self._groups:
            segments, offsets = zip(*sorted(set(self._groups)), strict=True)
            self._groups = []
            self._db.execute(self._sql["settled_all"], {"segments": list(segments), "offsets": list(offsets)})
        if self._payloads:
            rows, self._payloads = sorted({row[0]: row for row in reversed(self._payloads)}.values()), []
            names = ("digests", "records", "urls", "dates", "segments", "offsets")
            columns = zip(*rows, strict=True)
            facts = dict(zip(names, map(list, columns), strict=True))
            self._db.execute(self._sql["payload_all"], {"node": self.node, **facts})

    def _count(self) -> None:
        """Write the counters that moved in this transaction."""
        self._write_gathered()
        self._sweeps.flush()
        moves: dict[int, dict[str, int]] = {}
        for (bucket, state), n in self._moves.items():
            moves.setdefault(bucket, dict.fromkeys((*_COUNTED, "bytes"), 0))[state] += n
        node = self.node
        for name, facts in (
            ("moved", [{"bucket": b, "node": node, **n} for b, n in sorted(moves.items()) if any(n.values())]),
            ("led", [
                {"bucket": b, "child": c, "node": node, "n": n} for (b, c), n in sorted(self._led.items()) if n
            ]),
            ("total_moved", [{"name": k, "node": node, "n": n} for k, n in sorted(self._totals.items()) if n]),
            ("reason_moved", [
                {"state": s, "reason": r, "node": node, "n": n} for (s, r), n in sorted(self._reasons.items()) if n
            ]),
            ("coverage_moved", [
                {"kind": k, "day": d, "standing": s, "node": node, "n": n}
                for (k, d, s), n in sorted(self._covered.items()) if n
            ]),
        ):  # fmt: skip
            for one in facts:
                self._db.execute(self._sql[name], one)
        for moved in (self._moves, self._totals, self._reasons, self._covered, self._led):
            moved.clear()


def _key(kind: str, thing: str) -> bytes:
    """Return what a thing is known by, however long its id is."""
    return blake2b(f"{kind}\0{thing}".encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _columns(things: Iterable[_Thing]) -> dict[str, list[Any]]:
    rows = list(things)
    return {
        "standings": [one.standing for one in rows], "days": [one.day for one in rows],
        "reasons": [one.reason for one in rows], "urls": [one.url for one in rows],
        "rounds": [one.round for one in rows], "marks": [one.mark for one in rows],
    }  # fmt: skip
