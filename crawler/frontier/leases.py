"""What is in the hands of workers, where one process writes: in memory, and gone with it, as a lease may be.

The tables have such fetches as queued, so that a lease costs them nothing. Every lease has a token of its own, greater
than those before; those of another life of the process are others still.
"""

from __future__ import annotations

import secrets
from collections import Counter
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from crawler.model import Fetch


@dataclass(slots=True)
class Lent:
    """A fetch in the hands of a worker; ``swept`` is the sweep and position of one that has no row yet."""

    id: int
    token: int
    bucket: int
    fetch: Fetch
    worker: str
    expires: float
    swept: tuple[int, int] | None = None


class Leases:
    """All that is out, by the id of the fetch."""

    def __init__(self) -> None:
        self._lent: dict[int, Lent] = {}
        self._rows: Counter[int] = Counter()
        self._tokens = count(secrets.randbits(40))

    def __contains__(self, number: int) -> bool:
        return number in self._lent

    def token(self) -> int:
        """Return a new token."""
        return next(self._tokens)

    def lend(self, lent: Lent) -> None:
        """Put a fetch into a worker's hands."""
        self._lent[lent.id] = lent
        self._rows[lent.bucket] += lent.swept is None

    def get(self, number: int, token: int) -> Lent | None:
        """Return what is out under this id and token."""
        lent = self._lent.get(number)
        return lent if lent is not None and lent.token == token else None

    def rows_of(self, bucket: int) -> int:
        """Return how many rows of a bucket are out."""
        return self._rows[bucket]

    def which(self, holds: Callable[[Lent], bool]) -> list[Lent]:
        """Return what is out and that holds for."""
        return [lent for lent in self._lent.values() if holds(lent)]

    def end(self, some: Iterable[Lent]) -> None:
        """Forget leases: they are settled, put back, or never came to be."""
        for lent in some:
            if self._lent.pop(lent.id, None) is not None:
                self._rows[lent.bucket] -= lent.swept is None
