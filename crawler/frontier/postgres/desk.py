"""The frontier as a coordinator has it: it lends to volunteers, and settles what of theirs is proven.

A volunteer's fetch is *leased* until it says in which of its segments it is durable; then it is *held*, and no silence
of minutes takes it away. *Done* it is once that segment was proven, as it was read by the coordinator itself: what a
volunteer says settles nothing. A segment that is refused, or not proven within the volunteer's term, gives all back.

Whatever is counted here is counted for the volunteer's node.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from crawler.frontier.postgres.connection import steadily
from crawler.frontier.postgres.engine import PostgresFrontier
from crawler.model import Fetch, Settlement, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from crawler.frontier.interface import Refusal
    from crawler.frontier.postgres.register import Volunteer
    from crawler.model import Leased, SegmentClass

#: Times that volunteers may say that a fetch cannot be had until it is parked, and seconds that it waits after each.
MOST_VAIN, VAIN_WAIT = 3, 5.0
#: Terms in which who is heard of must have brought what it holds.
LONGEST_TERM = 4


@dataclass(frozen=True, slots=True)
class Brought:
    """A segment that a volunteer brings. Sums are hex."""

    name: str
    node: int
    #: open, sent, proven, refused, lost.
    state: str
    bytes: int
    sha256: str
    #: The MD5 of each part.
    parts: tuple[str, ...]
    #: The volunteer's, over what ``wire.claim`` spells.
    signature: str
    #: The id of the upload in parts that is under way.
    upload: str
    #: Why it was refused.
    reason: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A volunteer's capture that is asked for again."""

    fetch_id: int
    token: int
    fetch: Fetch
    node: int
    segment: str
    offset: int


class Desk(PostgresFrontier):
    """The frontier with a coordinator's verbs. Volunteers are told apart by ``Volunteer.worker``."""

    @contextmanager
    def _counting_for(self, node: int) -> Iterator[None]:
        before, self.node = self.node, node
        try:
            yield
        finally:
            self.node = before

    # Leases

    def lend(
        self, to: Volunteer, n: int, *, now: float, seconds: float, admit: Callable[[Fetch], Refusal | None],
        closed: Callable[[str, str], bool] = lambda origin, lane: False,
    ) -> tuple[Leased, ...]:  # fmt: skip
        """Hand out up to ``n`` due fetches, within the volunteer's quota."""
        n = min(n, to.quota_leases - self._leased_by(to))
        if n <= 0:
            return ()
        with self._counting_for(to.node):
            return self.lease(
                n, worker=to.worker, now=now, seconds=seconds, admit=admit, room=lambda place: n, closed=closed
            ).fetches  # fmt: skip

    @steadily
    def _leased_by(self, to: Volunteer) -> int:
        text = "SELECT count(*) FROM leased WHERE worker = ?"
        return int(self._db.execute(text, (to.worker,)).fetchone()[0])

    @steadily
    def hold(self, by: Volunteer, segment: str, ids: Sequence[tuple[int, int]], *, now: float) -> list[int]:
        """Note (id, token) of what is durable in a volunteer's segment; return the ids of what is its own."""
        tokens = dict(ids)
        with self._counting_for(by.node), self._transaction():
            number = self._segment(segment)
            self._db.execute(self._sql["brings"], {"segment": number, "node": by.node, "now": now})
            text = "SELECT 1 FROM brought WHERE segment = ? AND node = ? AND state IN ('open', 'sent')"
            if not self._db.execute(text, (number, by.node)).fetchone():
                return []
            rows = [row for row in self._owned(by, list(tokens)) if row[3] == tokens[row[0]]]
            new = self._taken_up(by, [row for row in rows if row[2] != "held"])
            self._keep(new, by, number)
        return [row[0] for row in rows if row[2] == "held" or row in new]

    def _keep(self, rows: list[Any], by: Volunteer, segment: int) -> None:
        columns = {"ids": 0, "buckets": 1, "tokens": 3}
        facts = {name: [row[at] for row in rows] for name, at in columns.items()}
        self._db.execute(self._sql["hold_all"], {"segment": segment, "worker": by.worker, **facts})
        for row in rows:
            self._counts.move(row[1], row[2], "leased")
        self._counts.totals["held"] += len(rows)

    def _taken_up(self, by: Volunteer, rows: list[Any]) -> list[Any]:
        """Take from a volunteer what it has; return those of the rows that nobody else got meanwhile."""
        facts = {"ids": [row[0] for row in rows], "worker": by.worker}
        taken = {row[0] for row in self._db.execute(self._sql["take_up"], facts).fetchall()}
        return [row for row in rows if row[0] in taken]

    def _owned(self, by: Volunteer, ids: list[int]) -> list[Any]:
        return self._db.execute(self._sql["owned"], {"ids": sorted(ids), "worker": by.worker}).fetchall()  # type: ignore[no-any-return]

    @steadily
    def hand_back(self, by: Volunteer, ids: Sequence[tuple[int, int]], why: str, *, now: float) -> int:
        """Put back what a volunteer holds (id, token); with ``why`` it tried in vain. Return how many."""
        tokens = dict(ids)
        with self._counting_for(by.node), self._transaction():
            rows = [row for row in self._owned(by, list(tokens)) if row[3] == tokens[row[0]] and row[2] == "leased"]
            rows = self._taken_up(by, rows)
            for number, bucket, old, token, url, attempts, _ in rows:
                is_over = bool(why) and attempts + 1 >= MOST_VAIN
                told = Settlement(
                    id=number, token=token, state=State.PARKED if is_over else State.QUEUED,
                    reason=f"volunteers: {why}" if why else "", untried=not why,
                    not_before=now + VAIN_WAIT * (attempts + 1) if why and not is_over else 0.0,
                )  # fmt: skip
                self._settle((number, bucket, old, token, url), told, now)
            self._write_gathered()
        return len(rows)

    @steadily
    def tokens(self, by: Volunteer, ids: Sequence[int]) -> dict[int, int]:
        """Return the tokens under which a volunteer has these, of those that are its own."""
        return {row[0]: row[3] for row in self._owned(by, list(ids))}

    @steadily
    def lent(self, to: Volunteer, ids: Sequence[tuple[int, int]]) -> list[tuple[int, int, str, str]]:
        """Return (id, token, URL, lane) of what a volunteer is to fetch, of these (id, token)."""
        text = (
            "SELECT l.id, l.token, k.url, b.lane FROM leased l JOIN known k ON k.id = l.id "
            "JOIN bucket b ON b.id = k.bucket WHERE l.id = ANY(?) AND l.worker = ?"
        )
        rows = self._db.execute(text, ([number for number, _ in ids], to.worker)).fetchall()
        return [row for row in rows if (row[0], row[1]) in set(ids)]

    @steadily
    def put_back_but(self, by: Volunteer, ids: Sequence[int]) -> int:
        """Put back what was lent to a volunteer that never heard of it: all but these. Return how many."""
        text = "SELECT id FROM leased WHERE worker = ? AND NOT id = ANY(?)"
        rows = self._db.execute(text, (by.worker, list(ids))).fetchall()
        return self.give_back(by.worker, [row[0] for row in rows]) if rows else 0

    @steadily
    def part_from(self, by: Volunteer) -> int:
        """Put back all that a volunteer has not fetched; what it holds stays with it for its term."""
        return self.release(by.worker)

    @steadily
    def freeze(self, origin: str, until: float) -> None:
        """Leave an origin alone until then, or for as long as somebody else said."""
        text = "UPDATE origin SET frozen_until = ? WHERE name = ? AND frozen_until < ?"
        self._db.execute(text, (until, origin, until))

    # Segments

    @steadily
    def announce(self, by: Volunteer, segment: str, kind: SegmentClass, *, most: int) -> bool:
        """Register a volunteer's segment, unless ``most`` of its wait already; say whether it is known."""
        if self._db.execute("SELECT 1 FROM segment WHERE name = ?", (segment,)).fetchone():
            return True
        text = (
            "SELECT count(*) FROM segment s LEFT JOIN brought b ON b.segment = s.id "
            "WHERE s.node = ? AND coalesce(b.state, 'open') IN ('open', 'sent')"
        )
        if self._db.execute(text, (by.node,)).fetchone()[0] >= most:
            return False
        with self._counting_for(by.node):
            self.add_segment(segment, kind, by.worker)
        return True

    @steadily
    def bring(self, by: Volunteer, one: Brought, *, now: float) -> Brought | None:
        """Note what a segment is said to be; return it as it is known, None where it is another's."""
        with self._transaction():
            number = self._segment(one.name)
            self._db.execute(self._sql["brings"], {"segment": number, "node": by.node, "now": now})
            text = (
                "UPDATE brought SET state = 'open', bytes = ?, sha256 = ?, parts = ?, signature = ?, upload = ?, "
                "changed = ? WHERE segment = ? AND node = ? AND state IN ('open', 'lost')"
            )
            facts = (one.bytes, one.sha256, list(one.parts), one.signature, one.upload, now, number, by.node)
            self._db.execute(text, facts)
        found = self.brought(one.name)
        return found if found is not None and found.node == by.node else None

    @steadily
    def brought(self, segment: str) -> Brought | None:
        """Return what is known of a volunteer's segment."""
        row = self._db.execute(self._sql["brought"], {"name": segment}).fetchone()
        return _brought(row) if row else None

    @steadily
    def brought_in(self, state: str) -> list[Brought]:
        """Return the segments of volunteers in one state, oldest first."""
        return [_brought(row) for row in self._db.execute(self._sql["brought_in"], {"state": state}).fetchall()]

    @steadily
    def bytes_of(self, by: Volunteer) -> int:
        """Return how many bytes of segments a volunteer has brought, or brings now."""
        return int(self._db.execute(self._sql["bytes_brought"], {"node": by.node}).fetchone()[0])

    @steadily
    def sent(self, segment: str, *, now: float) -> None:
        """A segment is wholly there, and waits for its proof."""
        self._state(segment, "sent", "", now, "open")

    def _state(self, segment: str, state: str, reason: str, now: float, *before: str) -> None:
        text = (
            "UPDATE brought SET state = ?, reason = ?, changed = ? "
            "WHERE segment = (SELECT id FROM segment WHERE name = ?) AND state = ANY(?)"
        )
        self._db.execute(text, (state, reason, now, segment, list(before)))

    # Proof

    @steadily
    def prove(self, by: Volunteer, told: Iterable[Settlement], *, now: float) -> list[Settlement]:
        """Settle what was read in a proven segment, of what is still its volunteer's; return what was."""
        by_id = {one.id: one for one in told}
        settled = []
        with self._counting_for(by.node), self._transaction():
            for number, bucket, old, token, url, *_ in self._taken_up(by, self._owned(by, list(by_id))):
                one = replace(by_id[number], token=token)
                self._settle((number, bucket, old, token, url), one, now, is_swept=self._is_swept(number))
                settled.append(one)
            self._write_gathered()
        return settled

    @steadily
    def end(self, segment: str, state: str, reason: str = "", *, now: float) -> int:
        """A segment is proven, refused or lost: what is still held in it is queued again; return how many."""
        with self._transaction():
            one = self.brought(segment)
            number = self._segment(segment)
            rows = self._db.execute(self._sql["held_in"], {"segment": number}).fetchall()
            self._let_go(rows, one.node if one else self.node, is_kept=state == "lost")
            self._state(segment, state, reason, now, "open", "sent")
            if state == "proven":
                self.set_segment_state(segment, "sealed")
        return len(rows)

    def _let_go(self, rows: list[Any], node: int, *, is_kept: bool) -> None:
        facts = {"ids": [row[0] for row in rows]}
        self._db.execute(self._sql["let_go_all"], facts)
        if not is_kept:
            self._db.execute(self._sql["disown_all"], facts)
        for _, bucket in rows:
            self._counts.move(bucket, "leased", "queued")
        if rows:
            self._db.execute(self._sql["total_moved"], {"name": "held", "node": node, "n": -len(rows)})

    @steadily
    def lapse(self, *, before: float, now: float) -> dict[str, int]:
        """Take back what is held by who is revoked, or was not heard since ``before``, or for several terms.

        Return segment → how many fetches.
        """
        facts = {"before": before, "long_before": now - LONGEST_TERM * (now - before)}
        found = self._db.execute(self._sql["lapsed"], facts).fetchall()
        taken = {
            name: self.end(name, *(("refused", "its volunteer was revoked") if revoked else ("lost",)), now=now)
            for name, revoked in found
        }
        for (worker,) in self._db.execute(self._sql["revoked"]).fetchall():
            taken[worker] = self.release(worker)
        return taken

    # A second witness

    @steadily
    def ask_again(self, node: int, segment: str, told: Sequence[Settlement], *, most: int, now: float) -> None:
        """Let captures of a volunteer be asked for again, unless ``most`` wait for that."""
        waiting = self.waiting_again()
        with self._transaction():
            for one in told[: max(most - waiting, 0)]:
                assert one.location is not None
                assert one.digests is not None
                facts = {
                    "fetch": one.id, "node": node, "segment": self._segment(segment), "place": one.location.offset,
                    "payload": one.digests.payload_sha256, "now": now,
                }  # fmt: skip
                self._db.execute(self._sql["ask_again"], facts)

    @steadily
    def waiting_again(self) -> int:
        """Return how many captures wait to be asked for again."""
        return len(self._db.execute(self._sql["asked_again"], {"most": 10_000}).fetchall())

    @steadily
    def asked_again(self, most: int) -> list[Asked]:
        """Return captures that are to be asked for again."""
        rows = self._db.execute(self._sql["asked_again"], {"most": most}).fetchall()
        return [Asked(row[0], row[1], msgspec.msgpack.decode(row[2], type=Fetch), *row[3:]) for row in rows]

    @steadily
    def stands(self, one: Asked) -> bool:
        """Say whether a fetch is still settled by the capture that is asked for again."""
        text = (
            "SELECT 1 FROM fetch f JOIN segment s ON s.id = f.segment "
            "WHERE f.id = ? AND f.state = 'done' AND s.name = ? AND f.offset = ?"
        )
        return bool(self._db.execute(text, (one.fetch_id, one.segment, one.offset)).fetchone())

    @steadily
    def bear_witness(self, one: Asked, state: str, told: str, *, now: float) -> None:
        """Note what came of asking again: agrees, differs, unchecked."""
        text = "UPDATE witness SET state = ?, told = ?, changed = ? WHERE fetch = ?"
        self._db.execute(text, (state, told, now, one.fetch_id))

    def take_back(self, told: Iterable[Settlement]) -> int:
        """Undo settlements that were wrong: each is counted for the node that brought it."""
        told = list(told)
        names = list({one.location.segment for one in told if one.location})
        nodes = dict(self._db.execute("SELECT name, node FROM segment WHERE name = ANY(?)", (names,)).fetchall())
        count = 0
        for node in sorted({self.node, *nodes.values()}):
            its = [one for one in told if nodes.get(one.location.segment if one.location else "", self.node) == node]
            with self._counting_for(node):
                count += super().take_back(its)
        return count

    def _write(self, number: int, bucket: int, old: str, token: int, told: Settlement, now: float) -> None:
        if old == "held":
            self._counts.totals["held"] -= 1
            old = "leased"
        super()._write(number, bucket, old, token, told, now)


def _brought(row: Sequence[Any]) -> Brought:
    name, node, state, size, sha256, parts, signature, upload, reason = row
    return Brought(name, node, state, size, sha256, tuple(parts), signature, upload, reason)
