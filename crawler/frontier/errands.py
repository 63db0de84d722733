"""The frontier of a volunteer: its own file, in which is what its coordinator lent it, and nothing else.

A crash and a lost line cost a volunteer nothing that it fetched: leases, segments and recovery are those of the
embedded engine. Each fetch also is an *errand*, under the coordinator's number and token, until that has been told what
became of it. What pages name never gets here (``admission.Errands``): the coordinator reads them itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crawler.frontier.reader import FrontierReader
from crawler.frontier.sqlite import SqliteFrontier

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from crawler.model import Fetch, Leased, Original

_SCHEMA = """
CREATE TABLE IF NOT EXISTS errand (
    fingerprint BLOB PRIMARY KEY,
    id INTEGER NOT NULL,                -- the coordinator's
    token INTEGER NOT NULL,
    told TEXT NOT NULL DEFAULT ''       -- held, or back: what the coordinator was told
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS errand_open ON errand (told) WHERE told = '';
"""
_UNTOLD = """
SELECT e.id, e.token, f.state, f.reason, s.name FROM errand e
JOIN fetch f ON f.id = fetch_of(:round, e.fingerprint) LEFT JOIN segment s ON s.id = f.segment
WHERE e.told = '' AND f.state IN ('done', 'failed', 'parked', 'excluded') LIMIT :most
"""
_SETTLED = frozenset({"done", "failed", "parked", "excluded"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an errand."""

    id: int
    token: int
    #: Where it is durable; None where it could not be had.
    segment: str | None
    why: str


class ErrandFrontier(SqliteFrontier):
    """The frontier of a volunteer, for the one process that writes. ``node`` is its number with the coordinator."""

    def __init__(self, path: Path | str, node: int = 0) -> None:
        super().__init__(path)
        self.prefix = f"n{node}-"
        self._limited: dict[str, float] = {}

    def _prepare(self) -> None:
        super()._prepare()
        self._db.executescript(_SCHEMA)

    def take_on(self, errands: Sequence[Leased]) -> int:
        """Take errands on, durably; one that was settled here before is done anew. Return how many are to be done."""
        new = 0
        with self._transaction():
            for one in errands:
                before = self._told.new
                self._offer([one.fetch])
                self._write_gathered()
                new += self._told.new - before or self._anew(one.fetch)
                self._db.execute(
                    "INSERT OR REPLACE INTO errand (fingerprint, id, token) VALUES (?, ?, ?)",
                    (one.fetch.fingerprint, one.id, one.token),
                )
        return new

    def _anew(self, fetch: Fetch) -> int:
        facts = {"round": self.round, "fingerprint": fetch.fingerprint}
        number, bucket, state, _, _, reason = self._db.execute(self._sql["find_by_fingerprint"], facts).fetchone()
        if state not in _SETTLED:
            return 0
        if state != "done":
            self._counts.reasons[state, reason] -= 1
        self._queue_again(number, bucket, state)
        return 1

    def untold(self, most: int) -> list[Outcome]:
        """Return what became of errands that the coordinator does not know of yet."""
        rows: list[Any] = self._db.execute(_UNTOLD, {"round": self.round, "most": most}).fetchall()
        return [
            Outcome(number, token, segment if state == "done" else None, reason or state)
            for number, token, state, reason, segment in rows
        ]

    def told(self, errands: Iterable[tuple[int, int]], what: str) -> None:
        """The coordinator knows of these (id, token)."""
        with self._transaction():
            self._db.executemany(
                "UPDATE errand SET told = ? WHERE id = ? AND token = ?", [(what, *one) for one in errands]
            )

    def outstanding(self) -> list[tuple[int, int]]:
        """Return (id, token) of errands that nothing became of."""
        text = "SELECT id, token FROM errand WHERE told = ''"
        return self._db.execute(text).fetchall()  # type: ignore[no-any-return]

    def freeze(self, origin: str, until: float) -> None:
        """Leave an origin alone until then, which the coordinator is to hear."""
        super().freeze(origin, until)
        self._limited[origin] = until

    def limited(self, now: float) -> dict[str, float]:
        """Return origins that said that they are to be left alone, and until when, while that is to come."""
        return {origin: until for origin, until in list(self._limited.items()) if until > now}

    def segment_states(self) -> dict[str, str]:
        """Return segment → how it stands: what it is here, then ``sent``, ``proven``, ``refused``."""
        return dict(self._db.execute("SELECT name, state FROM segment").fetchall())


class ErrandReader(FrontierReader):
    """The same, to be read."""

    def known_payload(self, sha256: str) -> Original | None:
        """Volunteers refer to no other record: each of their segments is proven by itself."""
        return None
