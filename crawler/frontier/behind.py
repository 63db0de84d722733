"""An index that is written behind its rows: many keys at once, in their order.

Keys are hashes, so each new one belongs on a page of its own. Written with their rows, such pages were half of what a
commit cost. So a row is durable at once, and its key in ``known`` once enough of them have come; until then it is
remembered, and read from the rows again by who begins, as they have all of it.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_FIND = "SELECT id FROM known WHERE round = ? AND key = ?"
#: In a file that no Outlast of this format has opened yet.
_FIND_BEFORE = "SELECT id FROM fetch WHERE round = ? AND fingerprint = ?"


class Index:
    """Finds the ids of rows by their keys, as of the last commit of whoever writes.

    ``rows`` selects id, round and key (16 bytes) of the rows above an id, in order; ``name`` is the setting that says
    up to which id all are in the index; about ``most`` are remembered.
    """

    def __init__(self, db: Any, name: str, rows: str, most: int) -> None:
        self._db, self._name, self._rows, self._most = db, name, rows, most
        self.forget()

    def forget(self) -> None:
        """What is remembered may no longer be so."""
        self._recent: dict[bytes, int] | None = None
        self._round = self._last = 0

    def find(self, number: int, key: bytes) -> int | None:
        """Return the id of the row that has this key in a round."""
        recent = self._see()
        if number == self._round and key in recent:
            return recent[key]
        row = self._db.execute(_FIND if self._is_there else _FIND_BEFORE, (number, key)).fetchone()
        return row[0] if row else None

    def _see(self) -> dict[bytes, int]:
        """Return what came since the index was written."""
        if self._recent is None or len(self._recent) > 3 * self._most:
            self._recent, self._last = {}, self._written()
        if self._is_there:
            for number, of, key in self._db.execute(self._rows, (self._last,)):
                self._round, self._last = of, number
                self._recent[key] = number
        return self._recent

    def _written(self) -> int:
        """Return the id up to which all rows are in the index."""
        self._is_there = bool(self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'known'").fetchone())
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (self._name,)).fetchone()
        return int(row[0]) if row else 0


class Behind(Index):
    """The same for the one who writes. All but ``find`` is called within a transaction; one that fails is forgotten.

    Rows of another round are added only after ``flush``.
    """

    def forget(self) -> None:
        """What is remembered may no longer be so."""
        super().forget()
        self._order: Iterator[bytes] | None = None
        self._edge = 0

    @property
    def recent(self) -> dict[bytes, int]:
        """Key → id of what is not sure to be in the index."""
        return self._see()

    @property
    def last(self) -> int:
        """The id that the last row has, or had before it was deleted."""
        self._see()
        return self._last

    def add(self, number: int, keys: Collection[bytes]) -> range:
        """Remember rows that are written in this transaction; return their ids.

        Twice as many keys are written as came, so that it comes to an end; all where there are too many.
        """
        ids = range(self.last + 1, self.last + 1 + len(keys))
        self.recent.update(zip(keys, ids, strict=True))
        self._round, self._last = number, ids.stop - 1
        if len(self.recent) > 2 * self._most:
            self.flush()
        elif self._order is None and len(self.recent) >= self._most:
            self._begin()
        if self._order is not None:
            self._write(2 * len(keys))
        return ids

    def remove(self, number: int, key: bytes) -> None:
        """Forget a row that is deleted."""
        self.recent.pop(key, None)
        self._db.execute("DELETE FROM known WHERE round = ? AND key = ?", (number, key))

    def flush(self) -> None:
        """Write all keys."""
        if self.recent:
            self._begin()
            self._write(len(self.recent) + 1)

    def _begin(self) -> None:
        self._order, self._edge = iter(sorted(self.recent)), self._last

    def _write(self, most: int) -> None:
        recent, order = self.recent, self._order
        assert order is not None
        keys = list(islice(order, most))
        rows = [(self._round, key, recent[key]) for key in keys if key in recent]
        self._db.executemany("INSERT OR REPLACE INTO known VALUES (?, ?, ?)", rows)
        if len(keys) < most:
            self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (self._name, str(self._edge)))
            self._recent = {key: row for key, row in recent.items() if row > self._edge}
            self._order = None

    def _see(self) -> dict[bytes, int]:
        return super()._see() if self._recent is None else self._recent
