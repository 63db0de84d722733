"""Reading what is only elsewhere: ranges of a segment, or the whole of it, from a destination where it is proven."""

from __future__ import annotations

import tempfile
import weakref
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from crawler.cold.canary import Profile
from crawler.cold.copies import Copies, CopyState
from crawler.cold.destination import Destination
from crawler.cold.store import Absent, open_store
from crawler.errors import Damaged, OutlastError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from crawler.cold.copies import Copy
    from crawler.cold.objects import Object
    from crawler.cold.store import Store
    from crawler.collection import Collection

#: Classes from which nothing can be read at once.
_ASLEEP = frozenset({"GLACIER", "DEEP_ARCHIVE"})


def reader(collection: Collection) -> Callable[[str, int, int], bytes] | None:
    """Return what reads (segment's file name, start, length) from a proven copy; None where nothing was ever pushed.

    It raises OutlastError where no destination has the segment, or none answers. Calls may come from several threads.
    """
    path = collection.root / "copies.sqlite"
    return _Remote(path).read if path.is_file() else None


class _Remote:
    """The destinations of a collection, opened as they are needed."""

    def __init__(self, ledger: Path) -> None:
        self._copies = Copies(ledger)
        weakref.finalize(self, self._copies.close)
        self._stores: dict[str, Store] = {}

    def read(self, segment: str, start: int, length: int) -> bytes:
        faults = []
        for copy, destination in self._holding(segment):
            try:
                store = self._stores.setdefault(copy.destination, open_store(destination))
                data = store.get(copy.key, first=start, last=start + length - 1)
            except OutlastError as e:
                faults.append(str(e))
                continue
            if len(data) == min(length, max(copy.bytes - start, 0)):
                return data
            faults.append(f"{copy.destination} gave {len(data)} bytes for {length}.")
        raise Absent(f"{segment} is not here, and no destination gives it. {' '.join(faults)}".strip())

    def _holding(self, segment: str) -> list[tuple[Copy, Destination]]:
        """Return the proven copies that can be read in ranges, the nearest first: directories, then what is awake."""
        known = self._copies.destinations()
        found = []
        for copy in self._copies.all_of(f"warcs/{segment}"):
            facts, profile, trouble = known[copy.destination]
            if copy.state is CopyState.PROVEN and not trouble and Profile.of(profile or {}).reads_ranges:
                found.append((copy, Destination(**facts)))
        return sorted(found, key=lambda one: (not one[1].path, one[1].storage_class in _ASLEEP))


@contextmanager
def at_hand(path: Path, thing: Object, copies: Copies, stores: Mapping[str, Store]) -> Iterator[Path]:
    """Give an object's file: the one that is here, or a copy of what a destination has, for as long as it is needed."""
    if path.is_file() or thing.path not in copies.dropped():
        yield path
        return
    folder = path.parent.parent / "spool"
    with tempfile.NamedTemporaryFile(dir=folder if folder.is_dir() else None, prefix="copy-") as spool:
        _bring(Path(spool.name), thing, copies, stores)
        yield Path(spool.name)


def _bring(path: Path, thing: Object, copies: Copies, stores: Mapping[str, Store]) -> None:
    for copy in copies.of(thing.path, thing.sha256):
        if copy.state is CopyState.PROVEN and copy.destination in stores:
            try:
                if stores[copy.destination].download(copy.key, path) == thing.sha256:
                    return
            except OutlastError:
                continue
    raise Damaged(f"{thing.path} went from here, and no destination of this push gives it back.")
