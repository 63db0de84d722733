"""Templates that are swept: which id comes next, who holds it, and what became of it, in a few bits an id.

An id that is handed out has no row yet: a process that ends has lent nothing, and the id is still to be asked. What
becomes of it is written when it is settled, in the transaction of its commit.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import msgspec

from crawler.model import Fetch
from crawler.template import Template
from crawler.url import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

#: Ids whose bits are kept together.
STRETCH = 1024
#: Ids that are asked, evenly over the whole range, to find out where it is dense.
SAMPLES = 8192

_decode = msgspec.msgpack.Decoder(Fetch).decode


@dataclass(slots=True)
class Bits:
    """What became of the ids of one stretch: a bit each."""

    taken: int = 0
    hits: int = 0
    holes: int = 0

    @classmethod
    def of(cls, *blobs: bytes) -> Bits:
        """Read what the database holds."""
        return cls(*(int.from_bytes(blob, "little") for blob in blobs))

    def facts(self) -> dict[str, bytes]:
        """Return what the database is to hold."""
        size = STRETCH // 8
        return {name: getattr(self, name).to_bytes(size, "little") for name in ("taken", "hits", "holes")}


@dataclass(slots=True)
class Sweep:
    """One template and how far it is."""

    id: int
    template: Template
    bucket: int
    work: Fetch
    walk: str
    #: Number of a stretch → how many of its ids are taken, how many answered; of those of which any is.
    counts: dict[int, tuple[int, int]] = field(default_factory=dict)
    holes: int = 0
    #: Positions still to be looked at; None where one begins again.
    path: Iterator[int] | None = None

    def fetch(self, position: int) -> Fetch:
        """Return the work of one id."""
        url = self.template.url(position)
        kind = self.work.covers[0] if self.work.covers else None
        return replace(self.work, url=url, covers=(kind, url) if kind else None)

    def positions(self) -> Iterator[int]:
        """Yield every position once, in the order of the walk, but those of stretches that are done."""
        last = (self.template.size - 1) // STRETCH
        if self.walk == "dense":
            yield from range(self.template.size - 1, -1, -max(self.template.size // SAMPLES, 1))
            yield from self._dense()
        for number in range(last + 1) if self.walk == "oldest" else range(last, -1, -1):
            yield from self._stretch(number)

    def _dense(self) -> Iterator[int]:
        """Yield the positions of stretches in which something answered, or beside which it did, the densest first.

        What answers meanwhile counts at once, so a clump is followed to its ends.
        """
        seen: set[int] = set()
        while (best := self._densest(seen)) is not None:
            seen.add(best)
            yield from self._stretch(best)

    def _densest(self, seen: set[int]) -> int | None:
        last = (self.template.size - 1) // STRETCH
        rates: dict[int, float] = {}
        for number, (_, hits) in self.counts.items():
            for near in (number - 1, number, number + 1) if hits else ():
                if 0 <= near <= last and near not in seen and near not in rates:
                    around = [self.counts.get(n, (0, 0)) for n in (near - 1, near, near + 1)]
                    rates[near] = sum(hit for _, hit in around) / max(sum(asked for asked, _ in around), 1)
        return max(rates, key=lambda number: (rates[number], number), default=None)

    def _stretch(self, number: int) -> Iterator[int]:
        first, last = number * STRETCH, min((number + 1) * STRETCH, self.template.size) - 1
        if self.counts.get(number, (0, 0))[0] <= last - first:
            yield from range(first, last + 1) if self.walk == "oldest" else range(last, first - 1, -1)


class Sweeps:
    """The sweeps of the current round. Whoever writes does so within a transaction, and calls ``flush`` at its end."""

    def __init__(self, db: Any, sql: Mapping[str, str]) -> None:
        self._db = db
        self._sql = sql
        self._all: list[Sweep] | None = None
        #: Stretches looked at in this transaction, and those of them that changed.
        self._bits: dict[tuple[int, int], Bits] = {}
        self._changed: set[tuple[int, int]] = set()
        self._out: set[tuple[int, int]] = set()

    def all(self, number: int) -> list[Sweep]:
        """Return the sweeps of a round; it is always asked for the current one."""
        if self._all is None:
            rows = self._db.execute(self._sql["sweeps"], {"round": number}).fetchall()
            self._all = [Sweep(row[0], Template.of(row[1]), row[2], _decode(row[3]), row[4]) for row in rows]
            for sweep in self._all:
                for place, *blobs in self._db.execute(self._sql["stretches"], {"sweep": sweep.id}):
                    bits = Bits.of(*blobs)
                    sweep.counts[place] = (bits.taken.bit_count(), bits.hits.bit_count())
                    sweep.holes += bits.holes.bit_count()
        return self._all

    def place(self, number: int, url: str) -> tuple[Sweep, int] | None:
        """Return the sweep and the position that a URL has in a round's templates; None where it has none."""
        sweeps = self.all(number)
        if not sweeps:
            return None
        known = canonical(url)
        for sweep in sweeps:
            if (position := sweep.template.place(known)) is not None:
                return sweep, position
        return None

    def is_taken(self, sweep: Sweep, position: int) -> bool:
        """Say whether an id was settled, has a row, or is in somebody's hands."""
        if (sweep.id, position) in self._out:
            return True
        place, bit = divmod(position, STRETCH)
        return bool(self._stretch(sweep, place).taken >> bit & 1)

    def take(self, sweep: Sweep, position: int) -> None:
        """An id is no longer to be handed out."""
        self._mark(sweep, position, "taken")

    def settle(self, sweep: Sweep, position: int, *, is_hit: bool) -> None:
        """Note what became of an id."""
        self._mark(sweep, position, "taken", "hits" if is_hit else "holes")

    def following(self, sweep: Sweep) -> Iterator[int]:
        """Yield the ids that come next and nobody has; what is yielded must be lent or taken."""
        if sweep.path is None:
            sweep.path = sweep.positions()
        return (position for position in sweep.path if not self.is_taken(sweep, position))

    def lend(self, sweep: Sweep, position: int) -> None:
        """Let an id be in somebody's hands."""
        self._out.add((sweep.id, position))

    def returned(self, places: Iterable[tuple[int, int]]) -> None:
        """Ids (sweep and position) are in nobody's hands any more: they are settled."""
        self._out.difference_update(places)

    def put_back(self, places: Iterable[tuple[int, int]]) -> None:
        """Ids are in nobody's hands any more, and to be handed out again."""
        self.returned(places)
        for sweep in self._all or ():
            sweep.path = None

    def flush(self) -> None:
        """Write the stretches that changed."""
        facts: list[dict[str, Any]] = [
            {"sweep": key[0], "number": key[1], **self._bits[key].facts()} for key in sorted(self._changed)
        ]
        if facts:
            self._db.executemany(self._sql["stretch_put"], facts)
        self._bits.clear()
        self._changed.clear()

    def forget(self) -> None:
        """What was read is no longer so: a transaction failed, a round begins, or there is a new sweep."""
        self._all = None
        self._bits.clear()
        self._changed.clear()

    def _stretch(self, sweep: Sweep, place: int) -> Bits:
        key = (sweep.id, place)
        if key not in self._bits:
            row = self._db.execute(self._sql["stretch"], {"sweep": sweep.id, "number": place}).fetchone()
            self._bits[key] = Bits.of(*row) if row else Bits()
        return self._bits[key]

    def _mark(self, sweep: Sweep, position: int, *names: str) -> None:
        place, bit = divmod(position, STRETCH)
        bits = self._stretch(sweep, place)
        holes = bits.holes.bit_count()
        for name in names:
            setattr(bits, name, getattr(bits, name) | 1 << bit)
        if "hits" in names:
            bits.holes &= ~(1 << bit)
        sweep.holes += bits.holes.bit_count() - holes
        sweep.counts[place] = (bits.taken.bit_count(), bits.hits.bit_count())
        self._changed.add((sweep.id, place))
