"""Audit: what destinations hold now, against what was proved there. Nothing is sent, and nothing changed there.

The ledger learns of it: a copy that is lost counts no longer, stays damage in every later audit, and the next push
sends it anew.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections import Counter
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from crawler.cold.canary import Profile
from crawler.cold.copies import Copies, Copy, CopyState, Lost
from crawler.cold.destination import Destination
from crawler.cold.look import Seen, learn, look
from crawler.cold.objects import Catalogue, place_of
from crawler.cold.send import SAMPLE
from crawler.cold.store import Denied, open_store
from crawler.errors import CredentialsError, Damaged, NotHere, OutlastError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crawler.cold.look import Reading
    from crawler.cold.objects import Object
    from crawler.cold.store import Store
    from crawler.collection import Collection

ReadBack = Literal["full", "sample", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as it should be."""

    destination: str
    #: missing, changed, unproven (there again, and a push must prove it), extra, archived or unreadable.
    what: str
    key: str
    why: str = ""


@dataclass(slots=True, kw_only=True)
class Verdict:
    """What came of one destination."""

    destination: str
    #: Copies that should be there, those seen there as they were, and those that are missing or changed.
    wanted: int = 0
    there: int = 0
    damaged: int = 0
    #: Copies that were never made, or never proved.
    unmade: int = 0
    unproven: int = 0
    #: How many of those that are there were looked at how: their bytes read, a sum of the server's, their length.
    looked: Counter[str] = field(default_factory=Counter)
    #: What made it unreadable.
    error: OutlastError | None = None

    @property
    def exit_code(self) -> int:
        """What an audit that found this ends with, at the least."""
        codes = [0]
        if self.error is not None:
            codes.append(self.error.exit_code if isinstance(self.error, CredentialsError) else NotHere.exit_code)
        codes += [Damaged.exit_code] if self.damaged else []
        codes += [NotHere.exit_code] if self.unmade or self.unproven else []
        return max(codes)


def audit(collection: Collection, *, read_back: ReadBack, names: Sequence[str] = ()) -> Iterator[Finding | Verdict]:
    """Yield what is wrong at each destination, and after that its verdict. ``names``: of destinations, or their URLs.

    Raises UsageError where nothing was ever pushed, or a name is unknown.
    """
    if not (collection.root / "copies.sqlite").exists():
        raise UsageError(f"{collection.root} was never pushed; archive push copies it.")
    catalogue = Catalogue(collection)
    things = {(one.path, one.sha256): one for one in (*catalogue.segments(), *catalogue.finders(note=False))}
    with _ledger(collection.root) as copies:
        known = copies.destinations()
        places = {name: Destination(**facts) for name, (facts, _, _) in known.items()}
        for name in _chosen(places, names):
            profile = Profile.of(known[name][1] or {})
            yield from _Place(copies, places[name], profile, things).look(place_of(collection), read_back)


def _chosen(places: dict[str, Destination], names: Sequence[str]) -> list[str]:
    """Return the destinations that are meant. What went through a grant's links has no place that we could look at."""
    if not names:
        return [name for name, one in places.items() if one.path or one.bucket]
    found: dict[str, None] = {}
    for name in names:
        fitting = [known for known, one in places.items() if name.rstrip("/") in {known, one.url, one.where}]
        if not fitting:
            raise UsageError(f"There is no destination {name}; there are: {', '.join(places)}.")
        found |= dict.fromkeys(fitting)
    return list(found)


@contextmanager
def _ledger(root: Path) -> Iterator[Copies]:
    """Open the ledger; of a collection that cannot be written a copy of it, which learns for this time only."""
    if os.access(root, os.W_OK) and os.access(root / "copies.sqlite", os.W_OK):
        with closing(Copies(root / "copies.sqlite")) as copies:
            yield copies
        return
    with tempfile.TemporaryDirectory(prefix="outlast-audit-") as folder:
        for path in (root / "copies.sqlite", root / "copies.sqlite-wal"):
            if path.exists():
                shutil.copyfile(path, Path(folder) / path.name)
        with closing(Copies(Path(folder) / "copies.sqlite")) as copies:
            yield copies


class _Place:
    """One destination, with what the ledger says of it."""

    def __init__(
        self, copies: Copies, destination: Destination, profile: Profile, things: dict[tuple[str, str], Object]
    ) -> None:
        self._copies = copies
        self._name = destination.name
        self._destination = destination
        self._profile = profile
        self._things = things
        self._now = {path: sha256 for path, sha256 in things}  # noqa: C416 - dict() would copy it
        self._rows = {(row.object, row.sha256): row for row in copies.all(destination.name)}
        self._lost = {
            (one.object, one.sha256): one
            for one in copies.lost(destination.name)
            if (row := self._rows.get((one.object, one.sha256))) and row.state is not CopyState.PROVEN
        }
        self._proven = [row for row in self._rows.values() if row.state is CopyState.PROVEN]
        self._verdict = Verdict(destination=destination.name)

    def look(self, place: str, read_back: ReadBack) -> Iterator[Finding | Verdict]:
        """Look at all of it."""
        self._count()
        try:
            with closing(open_store(self._destination)) as store:
                yield from self._look_at_all(store, read_back)
                yield from self._extra(store, f"{self._destination.key(place)}/")
            self._copies.set_trouble(self._name, "")
        except OutlastError as e:
            if isinstance(e, Denied):
                self._copies.set_trouble(self._name, str(e))
            self._verdict.error = e
            yield Finding(destination=self._name, what="unreadable", key="", why=str(e))
        yield self._verdict

    def _count(self) -> None:
        """Count what should be there: what was proven once, and what the collection has now and may go there."""
        states = {key: row.state for key, row in self._rows.items() if key in self._things}
        for key, thing in self._things.items():
            if key not in states and thing.may_go_to(self._destination, public_originals=False):
                states[key] = CopyState.PENDING
        begun = [state for key, state in states.items() if key not in self._lost]
        self._verdict.unproven = begun.count(CopyState.UPLOADED)
        self._verdict.unmade = begun.count(CopyState.PENDING) + begun.count(CopyState.UPLOADING)
        self._verdict.wanted = self._verdict.unproven + self._verdict.unmade + len(self._proven)

    def _look_at_all(self, store: Store, read_back: ReadBack) -> Iterator[Finding]:
        read = _to_be_read(self._proven, read_back)
        for row in self._proven:
            reading: Reading = "always" if (row.object, row.sha256) in read else "never"
            seen = look(store, self._profile, row, self._things.get((row.object, row.sha256)), reading)
            learn(self._copies, row, seen)
            yield from self._told(row.key, seen)
        for key, lost in self._lost.items():
            if not self._is_past(key):
                self._verdict.wanted += 1
                yield from self._still(store, replace(self._rows[key], key=lost.key), lost)

    def _is_past(self, key: tuple[str, str]) -> bool:
        """Say whether something lost is a former state of a file whose state of now is there."""
        now = self._rows.get((key[0], self._now.get(key[0], "")))
        is_there = now is not None and now.state is CopyState.PROVEN
        return key not in self._things and (is_there or key[0] not in self._now)

    def _still(self, store: Store, row: Copy, lost: Lost) -> Iterator[Finding]:
        """Look at what an earlier audit or push found to be lost: it is, until a push has proved it anew."""
        thing = self._things.get((row.object, row.sha256))
        seen = look(store, self._profile, row, thing, "always" if lost.what == "changed" else "unproved")
        if seen.is_lost:
            yield from self._told(row.key, seen)
            return
        self._verdict.unproven += 1
        yield Finding(
            destination=self._name, what="unproven", key=row.key, why=f"it was {lost.what}, and is there again"
        )

    def _told(self, key: str, seen: Seen) -> Iterator[Finding]:
        self._verdict.damaged += seen.is_lost
        if not seen.is_lost:
            self._verdict.there += 1
            self._verdict.looked[seen.how] += 1
        if seen.what:
            yield Finding(destination=self._name, what=seen.what, key=key, why=seen.why)

    def _extra(self, store: Store, prefix: str) -> Iterator[Finding]:
        lost = {one.key: one for one in self._copies.lost(self._name)}
        known = {row.key for row in self._copies.all(self._name)}
        for key, _ in store.objects(prefix):
            if key not in known and key not in lost:
                yield Finding(destination=self._name, what="extra", key=key)


def _to_be_read(rows: Sequence[Copy], read_back: ReadBack) -> set[tuple[str, str]]:
    """Return the (object, SHA-256) of the copies whose bytes are read: none, one in twenty and at least one, or all."""
    count = {"none": 0, "sample": max(1, round(SAMPLE * len(rows))), "full": len(rows)}[read_back]
    return {(row.object, row.sha256) for row in random.sample(rows, min(count, len(rows)))}
