"""What is put right afterwards: tried again, taken back, found elsewhere, or found lost."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from crawler.frontier.ledger import decode
from crawler.frontier.settling import Settling
from crawler.model import Fetch, Standing, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from crawler.model import Note, Settlement

#: What says where a fetch stands now.
_PLACE = ("segment", "offset", "response_offset", "response_length", "id")


class Mending(Settling):
    """The verbs over what is settled already."""

    def bring_forward(self, reason: str, *, older_than: float, now: float) -> int:
        """Make due what waits for this reason."""
        with self._transaction():
            facts = {"reason": reason, "older_than": older_than, "now": now}
            return int(self._db.execute(self._sql["bring_forward"], facts).rowcount)

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
                self._queue_again(number, bucket, state)
                self._counts.reasons[state, why] -= 1
        return len(rows)

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
                    self._queue_again(row[0], row[1], "done")
                    count += 1
        return count

    def _queue_again(self, number: int, bucket: int, old: str) -> None:
        self._db.execute(self._sql["requeue"], {"id": number, "bucket": bucket})
        self._counts.move(bucket, old, "queued")

    def lose(self, segment: str) -> int:
        """Queue again what is done and stands in a segment that is no more; return how many. What another segment holds
        of it is settled when that one is taken in.
        """
        with self._transaction():
            number = self._segment(segment)
            rows = self._db.execute(self._sql["done_in"], {"round": self.round, "segment": number}).fetchall()
            for fetch, bucket in rows:
                self._queue_again(fetch, bucket, "done")
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
            for payload, at in self._db.execute(self._sql["payloads_in"], facts).fetchall():
                if at in places:
                    moved = {**facts, "id": payload, "offset": places[at][0]}
                    self._db.execute(self._sql["payload_moved"], moved)
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
                else:
                    count += self._forget_try(one)
        return count

    def _forget_try(self, told: Settlement) -> bool:
        """Let a fetch that waits since this very try be as if nobody had tried it."""
        return bool(self._db.execute(self._sql["tried_by"], {"id": told.id, "token": told.token}).rowcount)

    def _undo(self, number: int, bucket: int, state: str, reason: str) -> None:
        self._queue_again(number, bucket, state)
        if state == State.DONE:
            self._counts.totals["captures"] -= 1
            self._counts.totals["attempts"] += 1
        else:
            self._counts.reasons[state, reason] -= 1

    def fetch_of(self, told: Settlement) -> Fetch | None:
        """Return the work that a settlement settles; of an id of a sweep, its URL."""
        if told.id < 0:
            return Fetch(url=told.seen.url, lane=told.seen.lane) if told.seen else None
        row = self._db.execute("SELECT work FROM fetch WHERE id = ?", (told.id,)).fetchone()
        return decode(row[0]) if row else None

    def tell(self, note: Note) -> None:
        """Keep what a person must hear."""
        with self._transaction():
            self._db.execute(self._sql["note"], asdict(note))


def _fingerprint(told: Settlement) -> bytes:
    """Return what a settled id of a sweep is found by; it has no number of its own."""
    return Fetch(url=told.seen.url, lane="").fingerprint if told.id < 0 and told.seen else b""
