"""The frontier's verbs on PostgreSQL, for many writers at once.

The rules are those of the embedded engine; what differs is how they reach the tables. Rows are written in one order
(ids, fingerprints, keys), so that no two nodes wait for each other in a ring; where they do all the same, the verb is
tried again. Counters are a row of each node's own.

A fetch is leased under a new token, and only the newest token settles it: who was silent for longer than its lease
settles nothing any more. What such a node had written all the same is kept as surplus, and told.
"""

from __future__ import annotations

from contextlib import nullcontext
from hashlib import blake2b
from inspect import getmembers, isfunction, isgeneratorfunction, unwrap
from socket import gethostname
from typing import TYPE_CHECKING, Any

from crawler.errors import Locked
from crawler.failpoint import failpoint
from crawler.frontier.covering import Thing
from crawler.frontier.engine import Engine
from crawler.frontier.ledger import decode, encode
from crawler.frontier.postgres.connection import Database, steadily
from crawler.frontier.postgres.reader import PostgresReader, own, queries
from crawler.frontier.reader import FORMAT
from crawler.model import Leased, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from crawler.frontier.leasing import Admit
    from crawler.frontier.postgres.outage import Outage
    from crawler.model import Commit, Covered, Fetch, Settlement

#: Ids of fetches that come at once.
_BLOCK = 1000
#: Columns of ``settle_all``, in the order of ``Ledger._write``.
_SETTLED = (
    "states", "reasons", "statuses", "tries", "waits", "times", "tokens", "segments", "offsets", "response_offsets",
    "response_lengths", "ids", "buckets",
)  # fmt: skip


class PostgresFrontier(PostgresReader, Engine):
    """The frontier in a database that other machines write, too; ``node`` is the id of this one's collection.

    Raises DatabaseLost where it cannot be reached, Locked where another process is that node, and UsageError where a
    newer Outlast made it.
    """

    def __init__(self, address: str, node: str) -> None:
        self._sql = queries()
        self._db: Any = Database(address)
        try:
            self._db.prepare()
            self.node = self._join(node)
            for key, value in (("round", "1"), ("format", str(FORMAT))):
                self._db.execute("INSERT INTO meta VALUES (?, ?) ON CONFLICT DO NOTHING", (key, value))
            self._check_format()
        except BaseException:
            self._db.close()
            raise
        self._ids: Iterator[int] = iter(())
        self.prefix = f"n{self.node}-"
        self._start()

    def _join(self, name: str) -> int:
        self._db.execute("INSERT INTO node (name) VALUES (?) ON CONFLICT DO NOTHING", (name,))
        self._db.execute("UPDATE node SET machine = ? WHERE name = ?", (gethostname(), name))
        number: int = self._db.execute("SELECT id FROM node WHERE name = ?", (name,)).fetchone()[0]
        self._lock(number)
        self._db.connected = lambda: self._lock(number)
        return number

    def _lock(self, number: int) -> None:
        key = (f"outlast {self._db.schema}", number)
        if not self._db.execute("SELECT pg_try_advisory_lock(hashtext(?), ?::INTEGER)", key).fetchone()[0]:
            raise Locked("This collection crawls already, perhaps as a copy on another machine.")

    @property
    def _whose(self) -> dict[str, Any]:
        return {"node": self.node}

    @property
    def address(self) -> str:
        """Where the database is; no secret is in it."""
        return self._db.address  # type: ignore[no-any-return]

    @property
    def outage(self) -> Outage:
        """Whether the database answers."""
        return self._db.outage  # type: ignore[no-any-return]

    # Settings

    def meta_set(self, key: str, value: str) -> None:
        """Keep a setting: the crawl's, or this node's own."""
        super().meta_set(own(self.node, key), value)

    # Lease

    def _lending(self, taken: list[Leased]) -> Any:
        return nullcontext()

    def _due(self, bucket: int, worker: str, now: float, want: int) -> list[Any]:
        facts = {"bucket": bucket, "now": now, "n": want, "worker": worker}
        return self._db.execute(self._sql["fetches_due"], facts).fetchall()  # type: ignore[no-any-return]

    def _hand_out(self, rows: list[Any], some: list[Leased], bucket: int, worker: str, expires: float) -> None:
        if len(some) < len(rows):
            refused = {row[0] for row in rows}.difference(one.id for one in some)
            self._db.execute(self._sql["let_go"], {"ids": sorted(refused)})
        self._hold(some, worker, expires)

    def _hold(self, some: list[Leased], worker: str, expires: float) -> None:
        if some:
            self._db.execute(self._sql["holds"], {"worker": worker, "node": self.node, "until": expires})

    def _lend(self, bucket: int, want: int, worker: str, expires: float, admit: Admit) -> list[Leased]:
        """Hand out ids of the sweeps of a bucket. Each gets its row now, for others to see; holes lose it again."""
        chosen: dict[bytes, tuple[int, Fetch]] = {}
        for sweep, position, fetch in self._swept(bucket, want, admit):
            self._sweeps.take(sweep, position)
            self._counts.moves[bucket, "queued"] -= 1
            chosen.setdefault(fetch.fingerprint, (bucket, fetch))
        if not chosen:
            return []
        facts = self._columns(chosen)
        fetches = dict(zip(facts["ids"], (chosen[key][1] for key in facts["fingerprints"]), strict=True))
        rows = self._db.execute(self._sql["learn_leased"], {**facts, "worker": worker}).fetchall()
        got = [Leased(id=number, token=token, fetch=fetches[number]) for number, token in sorted(rows)]
        self._hold(got, worker, expires)
        self._counts.moves[bucket, "leased"] += len(got)
        return got

    def _put_back(self, which: str, **facts: Any) -> int:
        count = 0
        with self._transaction():
            for bucket, n in self._db.execute(self._sql[which], facts).fetchall():
                self._counts.move(bucket, "leased", "queued", n)
                count += n
        return count

    def release(self, worker: str) -> int:
        """Put back what a worker holds."""
        return self._put_back("held_by", worker=worker, ids=None)

    def give_back(self, worker: str, ids: Iterable[int]) -> int:
        """Put back some of what a worker holds."""
        return self._put_back("held_by", worker=worker, ids=list(ids))

    def reset_leases(self) -> int:
        """Put back everything that this node has leased."""
        return self._put_back("held", node=self.node)

    def reap(self, now: float) -> int:
        """Put back what was leased for too long."""
        return self._put_back("expired", now=now)

    def heartbeat(self, worker: str, until: float) -> None:
        """Prolong a worker's leases."""
        self._db.execute(self._sql["prolong"], {"worker": worker, "until": until})

    def open_round(self, number: int, recheck: Callable[[Fetch], bool] | None = None) -> None:
        """Begin a round, unless another node was first."""
        self.reset_leases()
        super().open_round(number, recheck)

    def _may_begin(self, number: int) -> bool:
        now = self._db.execute("SELECT value FROM meta WHERE key = 'round' FOR UPDATE").fetchone()[0]
        if int(now) < number:
            self.meta_set("round_began", self._db.execute(self._sql["second"]).fetchone()[0])
        return int(now) < number

    # Commit

    def commit(self, commit: Commit, *, now: float) -> int:
        """Settle leased fetches in one transaction."""
        count = 0
        with self._transaction():
            keys = {(told.id, told.token) for told in commit.settlements}
            found = self._end_leases(sorted(keys)) if keys else {}
            for told in commit.settlements:
                if (row := found.pop((told.id, told.token), None)) is not None:
                    self._settle(row, told, now, is_swept=self._is_swept(told.id))
                    count += 1
                else:
                    self._twice(told.id, told)
            self._raise_marks(commit.low_water)
            self._write_gathered()
            failpoint("frontier.before-commit")
        failpoint("frontier.committed")
        return count

    def _end_leases(self, keys: list[tuple[int, int]]) -> dict[tuple[int, int], Any]:
        ids, tokens = zip(*keys, strict=True)
        rows = self._db.execute(self._sql["end_leases"], {"ids": list(ids), "tokens": list(tokens)})
        return {(row[0], row[3]): row for row in rows.fetchall()}

    def _is_swept(self, number: int) -> bool:
        if not self._sweeps.all(self.round):
            return False
        row = self._db.execute("SELECT work FROM known WHERE id = ?", (number,)).fetchone()
        return row is not None and decode(row[0]).sweep

    def _ended(self, row: Any) -> str:
        facts = {"id": row[0]}
        if self._db.execute(self._sql["end_wait"], facts).rowcount:
            return "queued"
        if self._db.execute(self._sql["end_lease"], facts).rowcount:
            return "leased"
        return str(row[2])

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
            self._told.groups.append((self._segment(told.location.segment), told.location.offset))

    def _twice(self, number: int, told: Settlement) -> None:
        """Keep account of a capture that came when another had settled its fetch, or was about to."""
        if told.location is None or told.state is not State.DONE:
            return
        segment, offset = self._segment(told.location.segment), told.location.offset
        row = self._db.execute("SELECT segment, offset FROM fetch WHERE id = ?", (number,)).fetchone()
        if row is not None and (row[0], row[1]) != (segment, offset):
            facts = {"segment": segment, "place": offset, "fetch": number, "node": self.node}
            self._db.execute(self._sql["surplus"], facts)
            self._told.groups.append((segment, offset))

    # Rows

    def _begin(self, *, durable: bool) -> None:
        self._db.execute("BEGIN" if durable else "BEGIN; SET LOCAL synchronous_commit = off")
        if self._sweeps.all(self.round):
            # Bits of a stretch are read and written as a whole: one node at a time.
            self._db.execute("SELECT pg_advisory_xact_lock(hashtext(?), 0)", (f"outlast {self._db.schema} sweeps",))

    def _next_id(self) -> int:
        if (number := next(self._ids, None)) is None:
            start = self._db.execute("SELECT nextval('fetch_id')").fetchone()[0]
            self._ids = iter(range(start, start + _BLOCK))
            number = next(self._ids)
        return number

    def _columns(self, links: dict[bytes, tuple[int, Fetch]]) -> dict[str, Any]:
        """Return the columns of new fetches: numbered in the order they were named, ordered by fingerprint."""
        numbers = {key: self._next_id() for key in links}
        keys = sorted(links)
        fetches = [links[key][1] for key in keys]
        return {
            "round": self.round, "ids": [numbers[key] for key in keys], "fingerprints": keys,
            "buckets": [links[key][0] for key in keys], "methods": [fetch.method for fetch in fetches],
            "urls": [fetch.url for fetch in fetches], "works": [encode(fetch) for fetch in fetches],
        }  # fmt: skip

    def _learn(self, links: dict[bytes, tuple[int, Fetch]]) -> Iterable[bytes]:
        # Most links lead to what is known, and are not sent.
        facts = {"round": self.round, "fingerprints": sorted(links)}
        known = {row[0] for row in self._db.execute(self._sql["known"], facts)}
        new = {key: link for key, link in links.items() if key not in known}
        return [row[0] for row in self._db.execute(self._sql["learn_all"], self._columns(new))] if new else []

    def _write_settled(self, rows: list[tuple[Any, ...]]) -> None:
        facts = dict(zip(_SETTLED, map(list, zip(*rows, strict=True)), strict=True))
        self._db.execute(self._sql["settle_all"], facts)
        if again := [row for row in rows if row[0] == State.QUEUED]:
            facts = {"ids": [row[-2] for row in again], "buckets": [row[-1] for row in again]}
            self._db.execute(self._sql["wait_all"], {**facts, "waits": [row[4] for row in again]})

    def _write_groups(self, groups: list[tuple[int, int]]) -> None:
        segments, offsets = zip(*groups, strict=True)
        self._db.execute(self._sql["settled_all"], {"segments": list(segments), "offsets": list(offsets)})

    def _write_payloads(self, rows: list[tuple[Any, ...]]) -> None:
        names = ("digests", "records", "urls", "dates", "segments", "offsets")
        facts = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
        self._db.execute(self._sql["payload_all"], {"node": self.node, **facts})

    # Coverage

    def _key(self, kind: str, thing: str) -> bytes:
        """Return what a thing is known by, however long its id is."""
        return blake2b(f"{kind}\0{thing}".encode("utf-8", "surrogatepass"), digest_size=16).digest()

    def _known(self, keys: list[bytes]) -> dict[bytes, Thing]:
        rows = self._db.execute(self._sql["covers"], {"keys": keys}).fetchall()
        return {bytes(row[0]): Thing(*row[1:]) for row in rows}

    def _make_known(self, new: dict[bytes, tuple[Covered, Thing]]) -> set[bytes]:
        told = [covered for covered, _ in new.values()]
        facts = {
            "keys": list(new), "kinds": [one.kind for one in told], "ids": [one.id for one in told],
            **_columns(thing for _, thing in new.values()),
        }  # fmt: skip
        return {bytes(row[0]) for row in self._db.execute(self._sql["cover_new_all"], facts).fetchall()}

    def _change(self, things: dict[bytes, Thing]) -> None:
        self._db.execute(self._sql["cover_all"], {"keys": list(things), **_columns(things.values())})


for _name, _verb in getmembers(PostgresFrontier, isfunction):
    # A stream has a connection of its own; a payload that is not known is written once more.
    if not _name.startswith("_") and not isgeneratorfunction(unwrap(_verb)) and _name not in {"close", "known_payload"}:
        setattr(PostgresFrontier, _name, steadily(_verb))


def _columns(things: Iterable[Thing]) -> dict[str, list[Any]]:
    rows = list(things)
    return {
        "standings": [one.standing for one in rows], "days": [one.day for one in rows],
        "reasons": [one.reason for one in rows], "urls": [one.url for one in rows],
        "rounds": [one.round for one in rows], "marks": [one.mark for one in rows],
    }  # fmt: skip
