"""What became of work: a commit settles fetches, with all that their answers named, in one transaction."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from crawler.frontier.interface import Held
from crawler.frontier.leasing import Leasing
from crawler.frontier.ledger import decode, encode
from crawler.frontier.reader import RANK
from crawler.model import Standing, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from crawler.frontier.sweeps import Sweep
    from crawler.model import Fetch, Settlement

#: Payloads of holes that are remembered, a sweep: most sites have one page for all of them, some one for each.
_HOLES_REMEMBERED = 1000
#: What is said of the thing behind an id that did not answer.
_LACKING = frozenset({Standing.VACANT, Standing.MISSING, Standing.REFUSED, Standing.EXCLUDED})


class Settling(Leasing):
    """The verbs that settle fetches. How leased ones are found is the engine's."""

    def _settle(self, row: Any, told: Settlement, now: float, *, is_swept: bool = False) -> None:
        number, bucket, state, token, url = row
        swept = self._sweeps.place(self.round, url) if self._sweeps.all(self.round) else None
        is_hole = swept is not None and self._is_hole(told, url, is_swept=is_swept)
        self._write(number, bucket, state, token, told, now)
        if swept is not None and told.state is State.DONE:
            self._sweeps.settle(*swept, is_hit=not _lacks(told, url) and not is_hole)
        if is_hole:
            self._drop(number)
        self._take_in(told, url, bucket, swept[0] if swept is not None and is_hole else None)

    def _drop(self, number: int) -> None:
        """Delete the row of a hole."""
        self._db.execute(self._sql["drop"], {"id": number})

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
        self._counts.totals["bytes"] += told.size
        self._counts.moves[bucket, "bytes"] += told.size
        self._offer((link for link in told.outlinks if not link.deeper or not self._is_old(link, told)), by=bucket)
        for covered in told.coverage:
            if hole_of is None or covered.url != url or self._is_covered(covered):
                self._cover(covered, url)
            else:
                standing = covered.standing if covered.standing in _LACKING else Standing.VACANT
                self._counts.covered[covered.kind, "", RANK[standing]] += 1
        self._hear(told, "note")
        if told.gate is not None:
            self._open(told.gate)

    def _hear(self, told: Settlement, note: str) -> None:
        """Keep what the platform says it has, and what a person must hear."""
        if told.claims:
            self._db.executemany(self._sql["claim"], [asdict(claim) for claim in told.claims])
        if told.notes:
            self._db.executemany(self._sql[note], [asdict(one) for one in told.notes])

    # Recovery

    def commit_recovered(
        self, items: Sequence[tuple[Fetch, Settlement]], low_water: Mapping[str, int], *, now: float
    ) -> int:
        """Settle what a segment holds, by fingerprint."""
        count = 0
        with self._transaction():
            for fetch, told in items:
                count += self._recover(fetch, told, now)
            self._raise_marks(low_water)
        return count

    def _recover(self, fetch: Fetch, told: Settlement, now: float) -> bool:
        self._offer([fetch])
        facts = {"round": self.round, "fingerprint": fetch.fingerprint}
        row = self._db.execute(self._sql["find_by_fingerprint"], facts).fetchone()
        if row is None:  # a hole of a sweep has none any more
            return False
        if row[2] in {"failed", "parked"} and told.state is State.DONE:
            row = self._put_up(row)
        if row[2] in {"queued", "leased"}:
            self._settle((*row[:2], self._ended(row), *row[3:5]), told, now, is_swept=fetch.sweep)
            return True
        # Another capture of the same: what it has may be more.
        self._twice(row[0], told)
        for covered in told.coverage:
            self._cover(covered)
        return False

    def _put_up(self, row: Any) -> Any:
        """Let a fetch that had failed be as if it were queued, as somebody did get it; return its row so."""
        number, bucket, state, token, url, reason = row
        self._counts.move(bucket, state, "queued")
        self._counts.reasons[state, reason] -= 1
        return number, bucket, "queued", token, url, ""

    def held(self, fingerprint: bytes) -> Held | None:
        """Return a fetch of this round that is settled with a record."""
        row = self._db.execute(self._sql["work"], {"round": self.round, "fingerprint": fingerprint}).fetchone()
        return Held(fetch=decode(row[1]), segment=row[5], offset=row[6]) if _is_held(row) else None

    # Reading again

    def commit_reread(
        self, items: Sequence[tuple[Fetch, Settlement]], links: Iterable[Fetch], is_stale: Callable[[Fetch], bool], *,
        now: float,
    ) -> tuple[int, list[Held]]:  # fmt: skip
        """Take in what captures that are held say when they are read again."""
        renewed = []
        with self._transaction():
            for fetch, told in items:
                self._reread(fetch, told, now)
            self._write_gathered()
            first = before = self._told.new
            for link in links:
                self._offer([link])
                self._write_gathered()
                is_new, before = self._told.new > before, self._told.new
                if not is_new and link.callback is not None and (held := self._renew(link, is_stale)) is not None:
                    renewed.append(held)
            return before - first, renewed

    def _reread(self, fetch: Fetch, told: Settlement, now: float) -> None:
        row = self._db.execute(self._sql["work"], {"round": self.round, "fingerprint": fetch.fingerprint}).fetchone()
        if not _is_held(row):
            return
        if row[2] == "failed":
            self._counts.reasons["failed", row[4]] -= 1
            self._counts.move(row[3], "failed", "queued")
            self._write(row[0], row[3], "queued", row[7], replace(told, location=None), now)
            if (swept := self._sweeps.place(self.round, fetch.url)) is not None:
                self._sweeps.settle(*swept, is_hit=not _lacks(told, fetch.url))
        for covered in told.coverage:
            self._cover(covered)
        self._hear(told, "note_again")

    def _renew(self, fetch: Fetch, is_stale: Callable[[Fetch], bool]) -> Held | None:
        """Let a known fetch be done as this one, if its own work is stale; return it where it is held."""
        row = self._db.execute(self._sql["work"], {"round": self.round, "fingerprint": fetch.fingerprint}).fetchone()
        if row is None or not is_stale(old := decode(row[1])):
            return None
        # Its lane stays, and what it covers: they are where it is counted.
        work = replace(fetch, lane=old.lane, day=old.day, value=old.value, covers=old.covers or fetch.covers)
        self._db.execute(self._sql["renew"], {"id": row[0], "work": encode(work)})
        return Held(fetch=work, segment=row[5], offset=row[6]) if _is_held(row) else None

    # What engines do each in its way

    @abstractmethod
    def _ended(self, row: Any) -> str:
        """End the lease of a fetch, if there is one; return the state that it is counted under."""

    @abstractmethod
    def _twice(self, number: int, told: Settlement) -> None:
        """Take note of a capture of what another has settled."""


def _lacks(told: Settlement, url: str) -> bool:
    """Say whether a settlement speaks of something that is not there or not to be had."""
    return told.status >= 400 or any(one.url == url and one.standing in _LACKING for one in told.coverage)


def _is_held(row: Any) -> bool:
    """Say whether a row of the query ``work`` is of a fetch that is settled with a record."""
    return row is not None and row[2] in {"done", "failed"} and row[5] is not None
