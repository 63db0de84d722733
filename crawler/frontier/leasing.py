"""How work is handed out: the best buckets first, the oldest of each first, then ids of its sweeps."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from crawler.frontier.ledger import decode
from crawler.frontier.offering import Offering
from crawler.frontier.reader import RANK
from crawler.model import Covered, Fetch, Gate, Lease, Leased, Settlement, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from crawler.frontier.interface import Refusal
    from crawler.frontier.sweeps import Sweep

    Admit = Callable[[Fetch], Refusal | None] | None

#: Ids of a sweep that one lease may find refused: all of a range that robots.txt forbids must not hold up a worker.
_MOST_REFUSED = 5000


class Leasing(Offering):
    """The verb ``lease``."""

    def lease(
        self, n: int, *, worker: str, now: float, seconds: float, admit: Admit, room: Callable[[str], int],
        closed: Callable[[str, str], bool] = lambda origin, lane: False,
    ) -> Lease:  # fmt: skip
        """Hand out due fetches."""
        taken: list[Leased] = []
        left: dict[str, int] = {}
        with self._lending(taken), self._transaction(durable=False):
            due = self._db.execute(self._sql["buckets_due"], {"round": self.round, "now": now}).fetchall()
            for bucket, place, lane in due:
                while (
                    len(taken) < n
                    and not closed(place, lane)
                    and (free := left[place] if place in left else room(place)) > 0
                ):
                    want = min(free, n - len(taken))
                    rows = self._due(bucket, worker, now, want)
                    got = self._take(rows, bucket, place, lane, worker, now, now + seconds, admit)
                    if len(rows) < want:
                        got += self._lend(bucket, want - len(rows), worker, now + seconds, admit)
                    taken += got
                    left[place] = free - len(got)
                    if len(rows) < want or len(got) == len(rows):
                        break
                if len(taken) >= n:
                    break
        return Lease(token=0, worker=worker, expires=now + seconds, fetches=tuple(taken))

    def _take(
        self, rows: list[Any], bucket: int, place: str, lane: str, worker: str, now: float, expires: float,
        admit: Admit,
    ) -> list[Leased]:  # fmt: skip
        got = []
        for number, work, attempts, token in rows:
            fetch = decode(work)
            refusal = admit(fetch) if admit else None
            if refusal is None:
                got.append(Leased(id=number, token=token, fetch=fetch, attempt=attempts))
                continue
            told = Settlement(id=number, token=token, state=State.EXCLUDED, reason=refusal.reason)
            self._write(number, bucket, "queued", token, told, now)
            if fetch.covers is not None:
                self._cover(_refused(fetch, refusal))
            if lane == "robots":
                self._open(Gate(origin=place, readable=False))
        self._hand_out(rows, got, bucket, worker, expires)
        self._counts.move(bucket, "queued", "leased", len(got))
        return got

    def _swept(self, bucket: int, want: int, admit: Admit) -> Iterator[tuple[Sweep, int, Fetch]]:
        """Yield ids of the sweeps of a bucket that may be asked; each must be lent or taken before the next."""
        count = refused = 0
        for sweep in self._sweeps.all(self.round):
            following = self._sweeps.following(sweep) if sweep.bucket == bucket else iter(())
            while count < want and refused < _MOST_REFUSED and (position := next(following, None)) is not None:
                fetch = sweep.fetch(position)
                if self._belongs_elsewhere(sweep, position, fetch):
                    continue
                refusal = admit(fetch) if admit else None
                if refusal is None:
                    count += 1
                    yield sweep, position, fetch
                else:
                    refused += 1
                    self._refuse(sweep, position, fetch, refusal)

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
        self._counts.moves[sweep.bucket, "queued"] -= 1
        return True

    def _refuse(self, sweep: Sweep, position: int, fetch: Fetch, refusal: Refusal) -> None:
        """Keep no row of an id that may not be asked: robots.txt may forbid all of a range."""
        self._sweeps.take(sweep, position)
        self._counts.move(sweep.bucket, "queued", "excluded")
        self._counts.reasons["excluded", refusal.reason] += 1
        if fetch.covers is not None:
            self._counts.covered[fetch.covers[0], "", RANK[refusal.standing]] += 1

    # What engines do each in its way

    @abstractmethod
    def _lending(self, taken: list[Leased]) -> Any:
        """Return a context in which what is ``taken`` is out only if nothing is raised."""

    @abstractmethod
    def _due(self, bucket: int, worker: str, now: float, want: int) -> list[Any]:
        """Return id, work, attempts and new token of the oldest due fetches of a bucket."""

    @abstractmethod
    def _hand_out(self, rows: list[Any], some: list[Leased], bucket: int, worker: str, expires: float) -> None:
        """Put some of the rows that were due into the hands of a worker; what is left of them is settled."""

    @abstractmethod
    def _lend(self, bucket: int, want: int, worker: str, expires: float, admit: Admit) -> list[Leased]:
        """Hand out ids of the sweeps of a bucket."""


def _refused(fetch: Fetch, refusal: Refusal) -> Covered:
    assert fetch.covers is not None
    kind, thing = fetch.covers
    return Covered(
        kind=kind, id=thing, standing=refusal.standing, day=fetch.day, reason=refusal.reason, url=fetch.url
    )  # fmt: skip
