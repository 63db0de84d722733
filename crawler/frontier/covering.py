"""Where the things of the platform stand: they only move forward, and what moved is counted."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from crawler.frontier.ledger import Ledger
from crawler.frontier.reader import RANK
from crawler.model import Covered, Standing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(slots=True)
class Thing:
    """A row of ``covered``, without its key."""

    standing: int
    day: str | None
    reason: str
    url: str
    round: int
    mark: bytes | None


class Covering(Ledger):
    """The ledger of what is covered."""

    def _cover(self, covered: Covered, told_by: str = "") -> None:
        self._told.things.append((covered, told_by))

    def _write_things(self, told: Sequence[tuple[Covered, str]]) -> None:
        """Write what is told of things; again where another node came first."""
        while told:
            by_key: dict[Any, list[tuple[Covered, str]]] = {}
            for one in told:
                by_key.setdefault(self._key(one[0].kind, one[0].id), []).append(one)
            known = self._known(sorted(by_key))
            things = {key: self._folded(known.get(key), by_key[key]) for key in sorted(by_key)}
            new = {key: (by_key[key][0][0], thing) for key, thing in things.items() if key not in known}
            made = self._make_known(new) if new else set()
            if changed := {key: thing for key, thing in things.items() if key in known and thing != known[key]}:
                self._change(changed)
            for key, thing in things.items():
                if key in known or key in made:
                    self._count_thing(by_key[key][0][0].kind, known.get(key), thing)
            told = [one for key in new if key not in made for one in by_key[key]]

    def _folded(self, old: Thing | None, told: Iterable[tuple[Covered, str]]) -> Thing:
        """Return a thing as it is after all that is told of it."""
        thing = replace(old) if old is not None else None
        for one, by in told:
            rank = RANK[one.standing]
            if thing is None:
                thing = Thing(rank, one.day, one.reason, one.url, self.round, one.mark or None)
            elif rank > thing.standing:
                day = thing.day if thing.day is not None else one.day
                thing = Thing(rank, day, one.reason, one.url or thing.url, self.round, one.mark or None)
            elif thing.standing == RANK[Standing.CAPTURED] and (self.round > thing.round or self._is_recheck):
                if self._is_recheck and rank == thing.standing:
                    thing.round = self.round
                self._compare(thing, one, by)
        assert thing is not None
        return thing

    def _compare(self, thing: Thing, told: Covered, by: str) -> None:
        """Note of what is held since an earlier round that it is gone now, or says something else."""
        is_gone = told.standing is Standing.MISSING
        if is_gone or _says_other(told.mark, thing.mark):
            thing.reason = f"{'gone' if is_gone else 'changed'} in round {self.round}"
            thing.mark = told.mark or thing.mark
            thing.url = by or told.url or thing.url

    def _count_thing(self, kind: str, old: Thing | None, new: Thing) -> None:
        if old is None or old.standing != new.standing:
            if old is not None:
                self._counts.covered[kind, old.day or "", old.standing] -= 1
            self._counts.covered[kind, new.day or "", new.standing] += 1

    def _uncover(self, covered: Covered) -> None:
        """Let a thing be known and no more, where this very capture told of it."""
        key = self._key(covered.kind, covered.id)
        row = self._known([key]).get(key)
        facts = {
            "standing": RANK[covered.standing], "url": covered.url, "mark": covered.mark or None, "round": self.round,
            "known": RANK[Standing.KNOWN], "kind": covered.kind, "id": covered.id, "key": key,
        }  # fmt: skip
        if row is not None and self._db.execute(self._sql["cover_back"], facts).rowcount:
            self._counts.covered[covered.kind, row.day or "", row.standing] -= 1
            self._counts.covered[covered.kind, row.day or "", RANK[Standing.KNOWN]] += 1

    def _was_held(self, things: Iterable[tuple[str, str]]) -> bool:
        """Say whether there are things, and earlier rounds hold all of them."""
        keys = [self._key(*thing) for thing in things]
        known = self._known(sorted(set(keys))) if keys else {}
        return bool(keys) and all(
            key in known and known[key].standing == RANK[Standing.CAPTURED] and known[key].round < self.round
            for key in keys
        )

    def _is_covered(self, covered: Covered) -> bool:
        key = self._key(covered.kind, covered.id)
        return key in self._known([key])

    # What engines do each in its way

    @abstractmethod
    def _key(self, kind: str, thing: str) -> Any:
        """Return what a thing is known by."""

    @abstractmethod
    def _known(self, keys: list[Any]) -> dict[Any, Thing]:
        """Return things as they stand; ``keys`` are in order."""

    @abstractmethod
    def _make_known(self, new: dict[Any, tuple[Covered, Thing]]) -> set[Any]:
        """Let things become known; return the keys of those that were not."""

    @abstractmethod
    def _change(self, things: dict[Any, Thing]) -> None:
        """Write things as they stand now."""


def _says_other(mark: bytes, earlier: bytes | None) -> bool:
    """Say whether the same answer as in an earlier round told something else of a thing."""
    return bool(mark and earlier) and mark[:8] == (earlier or b"")[:8] and mark != earlier
