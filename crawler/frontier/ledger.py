"""What every engine of the frontier does alike: transactions, counters, settings, and writing many rows at once.

What a verb learns is gathered, and written as few statements in one order before anything is read, at the latest at
the end of the transaction. Engines say how rows are written; all rules are in the rooms above this one.
"""

from __future__ import annotations

from abc import abstractmethod
from contextlib import contextmanager
from dataclasses import MISSING, fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec

from crawler.frontier.gathered import Counts, Gathered
from crawler.frontier.reader import FrontierReader
from crawler.frontier.states import may
from crawler.frontier.sweeps import Sweeps
from crawler.model import REVISIT_MIN_BYTES, Covered, Fetch, Standing, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from crawler.model import SegmentClass, Settlement

#: What becomes of a fetch that a capture is found of, or that is refused, when nobody has it.
_FROM_QUEUED = frozenset({State.DONE, State.FAILED, State.PARKED, State.QUEUED})
#: States of which it is counted why.
_REASONED = frozenset({State.FAILED, State.PARKED, State.EXCLUDED})

decode = msgspec.msgpack.Decoder(Fetch).decode
_encode = msgspec.msgpack.Encoder().encode
_fields = attrgetter(*(field.name for field in fields(Fetch)))
#: A fetch without what it has by default, which is most of it.
_Work: Any = msgspec.defstruct("_Work", [
    (field.name, Any) if field.default is MISSING else (field.name, Any, field.default) for field in fields(Fetch)
], omit_defaults=True)  # fmt: skip


def encode(fetch: Fetch) -> bytes:
    """Return a fetch as it stands in a row; ``decode`` reads it again, and those that were written whole."""
    return _encode(_Work(*_fields(fetch)))


class Ledger(FrontierReader):
    """The tables of a frontier, for who writes them."""

    #: What the names of its workers begin with.
    prefix = ""

    def _start(self) -> None:
        """Begin with nothing remembered; ``_db`` and ``_sql`` are there."""
        self.gate_for: Callable[[str], Fetch | None] | None = None
        self._origins: dict[str, int] = {}
        self._buckets: dict[tuple[str, str, str, int], int] = {}
        self._segments: dict[str, int] = {}
        self._sweeps = Sweeps(self._db, self._sql)
        self._forget()
        self._db.before = self._write_gathered

    def _forget(self) -> None:
        """Remember nothing that a transaction may have made."""
        self._told, self._counts = Gathered(), Counts()
        self._round: int | None = None
        self._rechecked: bool | None = None

    # Settings

    @property
    def round(self) -> int:
        """The current round."""
        if self._round is None:
            self._round = int(self.meta_get("round") or 1)
        return self._round

    @property
    def _is_recheck(self) -> bool:
        if self._rechecked is None:
            self._rechecked = self.round > 1 and self.meta_get("recheck") == str(self.round)
        return self._rechecked

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

    # Segments

    def add_segment(self, name: str, kind: SegmentClass, worker: str) -> None:
        """Register a segment that is about to be written."""
        self._db.execute(self._sql["segment_new"], {**self._whose, "name": name, "kind": kind.value, "worker": worker})

    def set_segment_state(self, name: str, state: str) -> None:
        """Say how far a segment is."""
        self._db.execute("UPDATE segment SET state = ? WHERE name = ?", (state, name))

    def _segment(self, name: str) -> int:
        if name not in self._segments:
            self._db.execute(self._sql["segment_new"], {**self._whose, "name": name, "kind": "", "worker": ""})
            self._segments[name] = self._db.execute("SELECT id FROM segment WHERE name = ?", (name,)).fetchone()[0]
        return self._segments[name]

    def _raise_marks(self, marks: Mapping[str, int]) -> None:
        low = {self._segment(name): mark for name, mark in marks.items()}
        self._told.groups = [(segment, at) for segment, at in self._told.groups if at >= low.get(segment, 0)]
        self._told.marks |= low

    def _write_marks(self) -> None:
        for segment, mark in sorted(self._told.marks.items()):
            self._db.execute("UPDATE segment SET low_water = ? WHERE id = ? AND low_water < ?", (mark, segment, mark))
            self._db.execute("DELETE FROM settled WHERE segment = ? AND offset < ?", (segment, mark))

    # Transactions

    @property
    def _whose(self) -> Mapping[str, Any]:
        """Whose counters and segments these are, where each writer has some of its own."""
        return {}

    @contextmanager
    def _transaction(self, *, durable: bool = True) -> Iterator[None]:
        self._told, self._counts = Gathered(), Counts()
        try:
            self._begin(durable=durable)
            yield
            self._write_gathered()
            with self._db.at_once():
                self._sweeps.flush()
                self._write_marks()
                for name, facts in self._counts.statements():
                    for one in facts:
                        self._db.execute(self._sql[name], {**one, **self._whose})
                self._db.execute("COMMIT")
        except BaseException:
            self._forget()
            if self._db.in_transaction:  # SQLite itself rolls back where the disk is full
                self._db.execute("ROLLBACK")
            # Ids handed out inside the transaction never came to be.
            for cache in (self._origins, self._buckets, self._segments):
                cache.clear()
            self._sweeps.forget()
            raise

    def _write_gathered(self) -> None:
        """Write what was gathered. Called before each statement: nothing reads what is yet to be written."""
        told = self._told
        if not (told.links or told.settled or told.groups or told.payloads or told.things):
            return
        before, self._db.before = self._db.before, lambda: None
        try:
            if told.links:
                links, told.links = told.links, {}
                self._write_links(links)
            with self._db.at_once():
                self._write_places()
            if told.things:
                things, told.things = told.things, []
                self._write_things(things)
        finally:
            self._db.before = before

    def _write_places(self) -> None:
        told = self._told
        if told.settled:
            rows, told.settled = told.settled, {}
            self._write_settled([rows[number] for number in sorted(rows)])
        if told.groups:
            groups, told.groups = sorted(set(told.groups)), []
            self._write_groups(groups)
        if told.payloads:
            payloads, told.payloads = told.payloads, {}
            self._write_payloads([payloads[digest] for digest in sorted(payloads)])

    def _write_links(self, links: dict[bytes, tuple[int, Fetch]]) -> None:
        for key in self._learn(links):
            bucket, fetch = links[key]
            self._told.new += 1
            self._counts.moves[bucket, "queued"] += 1
            if (by := self._told.named.pop(key, None)) is not None:
                self._counts.led[by, fetch.lane] += 1
            if fetch.covers is not None:
                # What a fetch already known would also cover is told by that fetch under its own name.
                kind, thing = fetch.covers
                known = Covered(kind=kind, id=thing, standing=Standing.KNOWN, day=fetch.day, url=fetch.url)
                self._told.things.append((known, ""))

    def _write(self, number: int, bucket: int, old: str, token: int, told: Settlement, now: float) -> None:
        """Say what became of a fetch."""
        new = told.state
        assert may(old, new) or (old == "queued" and new in _FROM_QUEUED)
        if number in self._told.settled:
            self._write_gathered()
        place = told.location if new is State.DONE else None
        self._told.settled[number] = (
            new.value, told.reason, told.status, int(new is State.QUEUED and not told.untried), told.not_before, now,
            token, *((self._segment(place.segment), place.offset, place.response_offset, place.response_length)
                     if place else (None,) * 4),
            number, bucket,
        )  # fmt: skip
        self._counts.move(bucket, old, new.value)
        if new in _REASONED:
            self._counts.reasons[new.value, told.reason] += 1

    def _place(self, told: Settlement, url: str, *, is_remembered: bool = True) -> None:
        """Keep where the records of a settlement stand, and its payload as the original of what comes later."""
        assert told.location is not None
        segment = self._segment(told.location.segment)
        self._told.groups.append((segment, told.location.offset))
        self._counts.totals["captures" if told.state is State.DONE else "attempts"] += 1
        digests = told.digests if is_remembered else None
        if told.is_original and told.state is State.DONE and digests and digests.payload_length > REVISIT_MIN_BYTES:
            digest = bytes.fromhex(digests.payload_sha256)
            row = (digest, told.record_id, url, told.date, segment, told.location.response_offset)
            self._told.payloads.setdefault(digest, row)

    # What engines do each in its way

    @abstractmethod
    def _begin(self, *, durable: bool) -> None:
        """Begin a transaction. What is not ``durable`` may be lost with what nobody was told of."""

    @abstractmethod
    def _learn(self, links: dict[bytes, tuple[int, Fetch]]) -> Iterable[bytes]:
        """Let fetches become known; return the fingerprints of those that were not."""

    @abstractmethod
    def _write_settled(self, rows: list[tuple[Any, ...]]) -> None:
        """Write what became of fetches, in the order of their ids."""

    @abstractmethod
    def _write_groups(self, groups: list[tuple[int, int]]) -> None:
        """Write which groups are settled."""

    @abstractmethod
    def _write_payloads(self, rows: list[tuple[Any, ...]]) -> None:
        """Write payloads that nobody had before."""

    @abstractmethod
    def _write_things(self, told: Sequence[tuple[Covered, str]]) -> None:
        """Write what is told of things."""
