"""Who has what: copies count by distinct owners, only where they are proven, and only while their owner lets us in.

A segment may go from this machine once enough owners have it *now*: each copy is looked at again just before, and read
where nothing but its bytes proves it. What is seen to be lost is written down, to be sent again.
"""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from crawler.cold.canary import Profile
from crawler.cold.copies import CopyState
from crawler.cold.destination import Destination
from crawler.cold.look import Seen, learn, look
from crawler.collection import sync_directory
from crawler.errors import OutlastError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from crawler.cold.copies import Copies, Copy
    from crawler.cold.look import Reading
    from crawler.cold.objects import Catalogue, Object
    from crawler.cold.store import Store

#: Owners who must have a segment before it may go from here.
COPIES = 2


def owner(destination: Destination, home: Path | None = None) -> str:
    """Return by whom a destination's copies are counted; empty where they do not count.

    A directory of which no owner is told is its device's. What is on the disk that ``home`` is on dies with it: it
    counts only where somebody named an owner.
    """
    if destination.owner or not destination.path:
        return destination.counted_as
    device = _device(destination.path)
    return "" if device is None or (home is not None and device == _device(home)) else f"device {device}"


def _device(path: str | Path) -> str | None:
    try:
        found = Path(path).stat().st_dev
    except OSError:
        return None
    return f"{os.major(found)}:{os.minor(found)}"


def owner_of(copies: Copies, home: Path) -> dict[str, str]:
    """Return destination → owner, of those whose copies count: members of the quorum that are not quarantined."""
    known = {name: (Destination(**facts), trouble) for name, (facts, _, trouble) in copies.destinations().items()}
    told = {name: owner(one, home) for name, (one, trouble) in known.items() if one.quorum and not trouble}
    return {name: who for name, who in told.items() if who}


def holders(copies: Copies, home: Path) -> dict[tuple[str, str], set[str]]:
    """Return (object, SHA-256) → the owners who have it, proven."""
    counted, found = owner_of(copies, home), defaultdict(set)
    for copy in copies.all():
        if copy.state is CopyState.PROVEN and copy.destination in counted:
            found[copy.object, copy.sha256].add(counted[copy.destination])
    return found


def check_enough(destinations: Sequence[Destination], needed: int, home: Path) -> None:
    """Raise UsageError where these destinations could never be so many copies."""
    members = [one for one in destinations if one.quorum]
    owners = {who for one in members if (who := owner(one, home))}
    if len(owners) >= needed:
        return
    told = f" ({', '.join(sorted(owners))})" if owners else ""
    near = [one.name for one in members if one.path and not owner(one, home)]
    why = f" {', '.join(near)}: that is no other disk than the collection's, or is not there;" if near else ""
    fewer = f", or say --copies {len(owners)}" if owners else ""
    raise UsageError(
        f"--delete-local wants copies with {needed} distinct owners, and these destinations have {len(owners)}{told};"
        f"{why} name more, or whose they are (owner, in a [[destination]] of the config){fewer}."
    )


class Release:
    """Removes segments from this machine once ``needed`` owners have them. Calls may come from several threads."""

    def __init__(
        self, catalogue: Catalogue, copies: Copies, needed: int, *, say: Callable[[str], None] = lambda text: None,
        leaving: Callable[[], object] = lambda: None,
    ) -> None:  # fmt: skip
        self._catalogue = catalogue
        self._copies = copies
        self._needed = needed
        self._say = say
        self._leaving = leaving
        self._lock = threading.Lock()
        #: The destinations that are open: what they have can be looked at.
        self.stores: dict[str, Store] = {}
        self.count = 0
        self.bytes = 0
        #: Copies that were seen to be missing or changed.
        self.lost = 0
        self._told: set[tuple[Copy, str]] = set()

    def consider(self, thing: Object) -> None:
        """Remove a segment if it may go: no destination that takes anything still wants it, and enough have it."""
        path = self._catalogue.path(thing)
        with self._lock:
            if thing.is_hot or not path.is_file():
                return
            counted = owner_of(self._copies, path.parent)
            open_now = counted.keys() & self.stores.keys()
            rows = [row for row in self._copies.of(thing.path, thing.sha256) if row.destination in open_now]
            if any(row.state is not CopyState.PROVEN for row in rows):
                return
            owners = {counted[row.destination] for row in rows}
            for reading in ("never", "unproved"):  # nothing is read in vain where too few are there
                if len(owners) < self._needed:
                    return
                lost = self.lost
                owners = {counted[row.destination] for row in rows if self._is_there(row, thing, reading)}
                if self.lost > lost:  # it must go there again first
                    return
            if len(owners) < self._needed:
                return
            try:
                self._leaving()
            except OutlastError as e:
                self._say(f"{thing.path} stays here: what it says cannot be read: {e}")
                return
            self._copies.drop(thing.path, thing.sha256, owners, now=time.time())
            path.unlink()
            sync_directory(path.parent)
            self.count += 1
            self.bytes += thing.bytes
        self._say(f"{thing.path} is with {', '.join(sorted(owners))} and gone from here.")

    def _is_there(self, copy: Copy, thing: Object, reading: Reading) -> bool:
        """Look at a copy again; one that is missing or changed is lost, and must be sent anew."""
        profile = Profile.of(self._copies.destinations()[copy.destination][1] or {})
        try:
            seen = look(self.stores[copy.destination], profile, copy, thing, reading)
        except OutlastError as e:
            seen = Seen("unreadable", f"({e})")
        if seen.is_lost:
            learn(self._copies, copy, seen)
            self.lost += 1
        if seen.what and (copy, seen.what) not in self._told:
            self._told.add((copy, seen.what))
            goes = ", and goes there again" if seen.is_lost else ""
            self._say(f"{copy.destination}: {copy.key} is {seen.what} {seen.why}".rstrip() + goes)
        return not seen.what
