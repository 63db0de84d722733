"""Who has what: copies count by distinct owners, only where they are proven, and only while their owner lets us in.

A segment may go from this machine once enough owners have it *now*: each copy is looked at again just before.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from typing import TYPE_CHECKING

from crawler.cold.canary import Profile
from crawler.cold.copies import CopyState
from crawler.cold.destination import Destination
from crawler.cold.proof import judged
from crawler.collection import sync_directory
from crawler.errors import OutlastError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from crawler.cold.copies import Copies, Copy
    from crawler.cold.objects import Catalogue, Object
    from crawler.cold.store import Store

#: Owners who must have a segment before it may go from here.
COPIES = 2


def owner_of(copies: Copies) -> dict[str, str]:
    """Return destination → owner, of those whose copies count: members of the quorum that are not quarantined."""
    known = {name: (Destination(**facts), trouble) for name, (facts, _, trouble) in copies.destinations().items()}
    return {name: one.counted_as for name, (one, trouble) in known.items() if one.quorum and not trouble}


def holders(copies: Copies) -> dict[tuple[str, str], set[str]]:
    """Return (object, SHA-256) → the owners who have it, proven."""
    counted, found = owner_of(copies), defaultdict(set)
    for copy in copies.all():
        if copy.state is CopyState.PROVEN and copy.destination in counted:
            found[copy.object, copy.sha256].add(counted[copy.destination])
    return found


def check_enough(destinations: Sequence[Destination], needed: int) -> None:
    """Raise UsageError where these destinations could never be so many copies."""
    owners = {one.counted_as for one in destinations if one.quorum}
    if len(owners) < needed:
        raise UsageError(
            f"--delete-local wants {needed} copies with distinct owners, and these destinations have {len(owners)}; "
            f"name more, or say --copies {max(len(owners), 1)}."
        )


class Release:
    """Removes segments from this machine once ``needed`` owners have them. Calls may come from several threads."""

    def __init__(
        self, catalogue: Catalogue, copies: Copies, needed: int, *, say: Callable[[str], None] = lambda text: None
    ) -> None:
        self._catalogue = catalogue
        self._copies = copies
        self._needed = needed
        self._say = say
        self._lock = threading.Lock()
        #: The destinations that are open: what they have can be looked at.
        self.stores: dict[str, Store] = {}
        self.count = 0
        self.bytes = 0

    def consider(self, thing: Object) -> None:
        """Remove a segment if it may go: no destination that takes anything still wants it, and enough have it."""
        path = self._catalogue.path(thing)
        with self._lock:
            if thing.is_hot or not path.is_file():
                return
            counted = owner_of(self._copies)
            open_now = counted.keys() & self.stores.keys()
            rows = [row for row in self._copies.of(thing.path, thing.sha256) if row.destination in open_now]
            if any(row.state is not CopyState.PROVEN for row in rows):
                return
            if len({counted[row.destination] for row in rows}) < self._needed:
                return
            owners = {counted[row.destination] for row in rows if self._is_there(row, thing)}
            if len(owners) < self._needed:
                return
            self._copies.drop(thing.path, thing.sha256, owners, now=time.time())
            path.unlink()
            sync_directory(path.parent)
            self.count += 1
            self.bytes += thing.bytes
        self._say(f"{thing.path} is with {', '.join(sorted(owners))} and gone from here.")

    def _is_there(self, copy: Copy, thing: Object) -> bool:
        """Look at a copy again: it must be there, with every sum right that is told of it."""
        profile = Profile.of(self._copies.destinations()[copy.destination][1] or {})
        try:
            head = self.stores[copy.destination].head(copy.key)
        except OutlastError:
            return False
        return head is not None and not judged(profile, thing, head)[1]
