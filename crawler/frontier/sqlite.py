"""The frontier in one SQLite file: WAL, one writer, every commit fsynced.

What is leased is known in memory alone (``leases.py``); the counters that say so are written without an fsync of
their own (``synchronous=NORMAL``), while a commit (``FULL``) also makes everything before it durable.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager, nullcontext, suppress
from importlib.resources import files
from itertools import count, islice
from typing import TYPE_CHECKING, Any

from crawler.failpoint import failpoint
from crawler.frontier.behind import Behind
from crawler.frontier.covering import Thing
from crawler.frontier.engine import Engine
from crawler.frontier.leases import Leases, Lent
from crawler.frontier.ledger import encode
from crawler.frontier.reader import FORMAT, disk_fault
from crawler.model import Leased, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from crawler.frontier.leasing import Admit
    from crawler.model import Commit, Covered, Fetch, Settlement

#: Columns that came after the first collections were made.
_ADDED = (
    ("covered", "mark", "BLOB"),
    *(("bucket", name, "INTEGER NOT NULL DEFAULT 0") for name in ("place", "waits", "bytes")),
)
#: Bytes of the write-ahead log after which it is written back.
_LOG = 64 << 20
#: How many keys one statement looks up: each number is a statement that SQLite has to prepare but once.
_LOOKUPS = (500, 50, 5, 1)


class _Connection(sqlite3.Connection):
    """A connection that calls ``before`` before each statement."""

    before: Callable[[], None] = staticmethod(lambda: None)

    def at_once(self) -> nullcontext[None]:
        """Return a context for statements that nobody reads the results of; here they take no more time one by one."""
        return nullcontext()

    def execute(self, statement: str, facts: Any = ()) -> sqlite3.Cursor:
        self.before()
        return super().execute(statement, facts)

    def executemany(self, statement: str, facts: Iterable[Any]) -> sqlite3.Cursor:
        self.before()
        return super().executemany(statement, facts)


class SqliteFrontier(Engine):
    """The embedded engine, for the one process that writes. ``:memory:`` keeps it in memory.

    Raises UsageError where the file was made by a newer Outlast or is damaged.
    """

    _index = Behind
    _fetches: Behind
    _payloads: Behind

    def __init__(self, path: Path | str) -> None:
        try:
            with self._opening(str(path), factory=_Connection):
                self._prepare()
                self._check_format()
                if self.meta_get("format") != str(FORMAT):
                    self.meta_set("format", str(FORMAT))
        except sqlite3.DatabaseError as e:
            raise disk_fault(path, e) from e
        self._leases = Leases()
        self._swept_ids = count(-1, -1)
        self._start()

    def _prepare(self) -> None:
        self._db.execute("PRAGMA page_size = 8192")
        self._db.execute("PRAGMA journal_mode = WAL")
        # What is written at random places is written less often, the more of it comes together.
        self._db.execute(f"PRAGMA wal_autocheckpoint = {_LOG // self._db.execute('PRAGMA page_size').fetchone()[0]}")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA secure_delete = OFF")  # some builds overwrite what is deleted
        is_new = self._db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'meta'").fetchone()[0] == 0
        schema = files("crawler.frontier").joinpath("schema.sql").read_text("utf-8")
        self._db.executescript(f"BEGIN; {schema} COMMIT;")
        if self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'fetch_known'").fetchone():
            upgrade = files("crawler.frontier").joinpath("format3.sql").read_text("utf-8")
            self._db.executescript(f"BEGIN; {upgrade} COMMIT;")
        for table, column, what in _ADDED:
            if not self._has_column(table, column):
                self._db.execute(f"ALTER TABLE {table} ADD COLUMN {column} {what}")
        if is_new:
            self.meta_set("round", "1")

    def _forget(self) -> None:
        super()._forget()
        self._fetches.forget()
        self._payloads.forget()

    def close(self) -> None:
        """Close the file, its index complete; where that cannot be written, who begins next reads the rows."""
        with suppress(sqlite3.Error), self._transaction():
            self._fetches.flush()
            self._payloads.flush()
        super().close()

    def _may_begin(self, number: int) -> bool:
        self._fetches.flush()
        return super()._may_begin(number)

    def open_round(self, number: int, recheck: Callable[[Fetch], bool] | None = None) -> None:
        """Begin a round."""
        self._put_back(lambda lent: True)
        super().open_round(number, recheck)

    # Lease

    @contextmanager
    def _lending(self, taken: list[Leased]) -> Iterator[None]:
        try:
            yield
        except BaseException:
            numbers = {one.id for one in taken}
            self._end(self._leases.which(lambda lent: lent.id in numbers))
            raise

    def _due(self, bucket: int, worker: str, now: float, want: int) -> list[Any]:
        # What is out stands before all that is not, or close to it.
        facts = {"bucket": bucket, "now": now, "n": want + self._leases.rows_of(bucket)}
        rows = self._db.execute(self._sql["fetches_due"], facts)
        free = ((number, *row, self._leases.token()) for number, *row in rows if number not in self._leases)
        return list(islice(free, want))

    def _hand_out(self, rows: list[Any], some: list[Leased], bucket: int, worker: str, expires: float) -> None:
        self._counts.hands[worker] += len(some)
        for one in some:
            self._leases.lend(Lent(one.id, one.token, bucket, one.fetch, worker, expires))

    def _lend(self, bucket: int, want: int, worker: str, expires: float, admit: Admit) -> list[Leased]:
        """Hand out ids of the sweeps of a bucket; they have no rows until they are settled."""
        got = []
        for sweep, position, fetch in self._swept(bucket, want, admit):
            one = Leased(id=next(self._swept_ids), token=self._leases.token(), fetch=fetch)
            self._sweeps.lend(sweep, position)
            self._leases.lend(Lent(one.id, one.token, bucket, fetch, worker, expires, (sweep.id, position)))
            got.append(one)
        self._counts.move(bucket, "queued", "leased", len(got))
        self._counts.hands[worker] += len(got)
        return got

    def _end(self, some: list[Lent]) -> None:
        self._leases.end(some)
        if swept := [lent.swept for lent in some if lent.swept is not None]:
            self._sweeps.put_back(swept)

    def _put_back(self, holds: Callable[[Lent], bool]) -> int:
        some = self._leases.which(holds)
        if some:
            with self._transaction(durable=False):
                for lent in some:
                    self._counts.move(lent.bucket, "leased", "queued")
                    self._counts.hands[lent.worker] -= 1
            self._end(some)
        return len(some)

    def next_due(self) -> float | None:
        """Return when the earliest waiting fetch is due."""
        rows = self._db.execute(self._sql["waiting_ones"])
        return next((when for when, number in rows if number not in self._leases), None)

    def release(self, worker: str) -> int:
        """Put back what a worker holds."""
        return self._put_back(lambda lent: lent.worker == worker)

    def give_back(self, worker: str, ids: Iterable[int]) -> int:
        """Put back some of what a worker holds."""
        wanted = frozenset(ids)
        return self._put_back(lambda lent: lent.worker == worker and lent.id in wanted)

    def reap(self, now: float) -> int:
        """Put back what was leased for too long."""
        return self._put_back(lambda lent: lent.expires < now)

    def reset_leases(self) -> int:
        """Put back everything that is leased, by this process or by one that is no more."""
        count = self._put_back(lambda lent: True)
        with self._transaction():
            count += int(self._db.execute("SELECT coalesce(sum(leased), 0) FROM bucket").fetchone()[0])
            for name in ("leases_ended", "rows_put_back", "hands_empty"):
                self._db.execute(self._sql[name])
        return count

    def heartbeat(self, worker: str, until: float) -> None:
        """Prolong a worker's leases."""
        for lent in self._leases.which(lambda lent: lent.worker == worker):
            lent.expires = until

    # Commit

    def commit(self, commit: Commit, *, now: float) -> int:
        """Settle leased fetches in one transaction."""
        ended: dict[int, Lent] = {}
        with self._transaction():
            for told in commit.settlements:
                lent = self._leases.get(told.id, told.token)
                if lent is not None and told.id not in ended:
                    ended[told.id] = lent
                    self._counts.hands[lent.worker] -= 1
                    self._settle_lent(lent, told, now)
            self._raise_marks(commit.low_water)
            self._write_gathered()
            failpoint("frontier.before-commit")
        self._leases.end(ended.values())
        self._sweeps.returned(lent.swept for lent in ended.values() if lent.swept is not None)
        failpoint("frontier.committed")
        return len(ended)

    def _settle_lent(self, lent: Lent, told: Settlement, now: float) -> None:
        number, url = lent.id, lent.fetch.url
        if lent.swept is not None:
            if self._is_hole(told, url, is_swept=True):
                self._settle_hole(lent, told)
                return
            number = self._with_row(lent)
        self._settle((number, lent.bucket, "leased", lent.token, url), told, now)

    def _settle_hole(self, lent: Lent, told: Settlement) -> None:
        """Settle an id that has no row, and as it is a hole gets none."""
        sweep, position = self._sweep_of(lent)
        self._counts.move(lent.bucket, "leased", told.state.value)
        if told.state is State.EXCLUDED:
            self._sweeps.take(sweep, position)
            self._counts.reasons[told.state.value, told.reason] += 1
        else:
            self._sweeps.settle(sweep, position, is_hit=False)
        self._take_in(told, lent.fetch.url, lent.bucket, sweep)

    def _with_row(self, lent: Lent) -> int:
        """Give an id of a sweep a row of its own, now that it has something to say."""
        self._sweeps.take(*self._sweep_of(lent))
        self._write_gathered()
        (number,) = self._insert({lent.fetch.fingerprint: (lent.bucket, lent.fetch)})
        return number

    def _sweep_of(self, lent: Lent) -> tuple[Any, int]:
        assert lent.swept is not None
        number, position = lent.swept
        return next(sweep for sweep in self._sweeps.all(self.round) if sweep.id == number), position

    def _ended(self, row: Any) -> str:
        some = self._leases.which(lambda lent: lent.id == row[0])
        self._end(some)
        for lent in some:
            self._counts.hands[lent.worker] -= 1
        return "leased" if some else str(row[2])

    def _twice(self, number: int, told: Settlement) -> None:
        """Take no note: with one writer it is what was taken in."""

    def _forget_try(self, told: Settlement) -> bool:
        return told.id not in self._leases and super()._forget_try(told)

    def lose(self, segment: str) -> int:
        """Queue again what was in a segment that is no more."""
        self._payloads.forget()
        return super().lose(segment)

    def relocate(self, old: str, new: str, size: int, places: Mapping[int, tuple[int, int]]) -> None:
        """Say that a sealed segment stands for another."""
        self._payloads.forget()
        super().relocate(old, new, size, places)

    # Rows

    def _drop(self, number: int) -> None:
        row = self._db.execute("SELECT round, fingerprint FROM fetch WHERE id = ?", (number,)).fetchone()
        self._fetches.remove(*row)
        super()._drop(number)

    def _begin(self, *, durable: bool) -> None:
        self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        self._db.execute("BEGIN IMMEDIATE")

    def _learn(self, links: dict[bytes, tuple[int, Fetch]]) -> Iterable[bytes]:
        recent = self._fetches.recent
        unsure = {key: link for key, link in links.items() if key not in recent}
        statement = "SELECT key FROM known WHERE round = ? AND key IN"
        known = {row[0] for row in self._among(statement, sorted(unsure), self.round)}
        new = {key: link for key, link in unsure.items() if key not in known}
        self._insert(new)
        return new

    def _insert(self, links: dict[bytes, tuple[int, Fetch]]) -> range:
        number = self.round
        ids = self._fetches.add(number, links)
        rows = [
            (one, number, key, bucket, fetch.method, fetch.url, encode(fetch))
            for one, (key, (bucket, fetch)) in zip(ids, links.items(), strict=True)
        ]
        self._db.executemany(self._sql["learn"], rows)
        return ids

    def _among(self, statement: str, keys: Sequence[Any], *first: Any) -> Iterator[Any]:
        """Yield what a statement that ends with IN finds for any of these keys."""
        at = 0
        while at < len(keys):
            size = next(size for size in _LOOKUPS if size <= len(keys) - at)
            marks = ", ".join("?" * size)
            yield from self._db.execute(f"{statement} ({marks})", (*first, *keys[at : at + size]))
            at += size

    def _write_settled(self, rows: list[tuple[Any, ...]]) -> None:
        self._db.executemany(self._sql["settle"], [row[:-1] for row in rows])

    def _write_groups(self, groups: list[tuple[int, int]]) -> None:
        self._db.executemany("INSERT OR IGNORE INTO settled VALUES (?, ?)", groups)

    def _write_payloads(self, rows: list[tuple[Any, ...]]) -> None:
        new = [row for row in rows if row[0][:16] not in self._payloads.recent]
        ids = self._payloads.add(0, [row[0][:16] for row in new])
        self._db.executemany(
            "INSERT INTO payload VALUES (?, ?, ?, ?, ?, ?, ?)", [(n, *row) for n, row in zip(ids, new, strict=True)]
        )

    # Coverage

    def _key(self, kind: str, thing: str) -> tuple[str, str]:
        return kind, thing

    def _known(self, keys: list[tuple[str, str]]) -> dict[tuple[str, str], Thing]:
        found = {}
        for kind in sorted({kind for kind, _ in keys}):
            ids = [thing for other, thing in keys if other == kind]
            for thing, *row in self._among(self._sql["cover"].rstrip("; \n"), ids, kind):
                found[kind, thing] = Thing(*row)
        return found

    def _make_known(self, new: dict[tuple[str, str], tuple[Covered, Thing]]) -> set[tuple[str, str]]:
        self._db.executemany(self._sql["cover_new"], [(*_row(thing), *key) for key, (_, thing) in new.items()])
        return set(new)

    def _change(self, things: dict[tuple[str, str], Thing]) -> None:
        self._db.executemany(self._sql["cover_change"], [(*_row(thing), *key) for key, thing in things.items()])


def _row(thing: Thing) -> tuple[Any, ...]:
    return thing.standing, thing.day, thing.reason, thing.url, thing.round, thing.mark
