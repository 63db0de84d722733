"""Withdrawing: the copies of segments that were rewritten, as they hold what was taken down.

Every version of every object that a segment or its index ever had below our place is deleted. What keeps one there, an
object lock before all, is said; the ledger goes on knowing of it, and the next call tries again.
"""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crawler.cold.copies import Copies
from crawler.cold.destination import Destination
from crawler.cold.objects import place_of
from crawler.cold.push import alone
from crawler.cold.store import open_store
from crawler.errors import OutlastError
from crawler.warc import manifest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.cold.store import Store
    from crawler.collection import Collection

_END = re.compile(r"-[0-9a-f]{12}(?:~\d+)?\.(?:warc\.gz|warc\.gz\.age|cdxj)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """What came of one object, or of a destination (empty key); ``why`` says what keeps it there, empty: it is gone."""

    destination: str
    key: str = ""
    why: str = ""


def replaced(collection: Collection) -> set[str]:
    """Return the segments that others stand for."""
    return {entry.replaces for entry in manifest.read(collection.manifest) if entry.replaces}


def pending(collection: Collection) -> int:
    """Return how many copies of such segments the ledger knows of."""
    if not (collection.root / "copies.sqlite").is_file():
        return 0
    objects = _objects(replaced(collection))
    with closing(Copies(collection.root / "copies.sqlite")) as copies:
        return sum(copy.object in objects for copy in copies.all())


def withdraw(collection: Collection) -> Iterator[Withdrawal]:
    """Delete the copies of segments that were rewritten, place by place. Raises Locked while a push runs."""
    path, names = collection.root / "copies.sqlite", replaced(collection)
    if not path.is_file() or not names:
        return
    with alone(collection), closing(Copies(path)) as copies:
        for name, (facts, _, _) in copies.destinations().items():
            kept: set[str] = set()
            try:
                with closing(open_store(Destination(**facts))) as store:
                    for one in _at(store, collection, names):
                        kept |= {one.key} if one.why else set()
                        yield one
            except OutlastError as e:
                yield Withdrawal(destination=name, why=str(e))
                continue
            objects = _objects(names)
            for copy in copies.all(name):
                if copy.object in objects and copy.key not in kept:
                    copies.forget(copy)


def _objects(names: set[str]) -> set[str]:
    return {f"warcs/{name}" for name in names} | {f"indexes/{name.removesuffix('.warc.gz')}.cdxj" for name in names}


def _at(store: Store, collection: Collection, names: set[str]) -> Iterator[Withdrawal]:
    base, name = store.destination.key(place_of(collection)), store.destination.name
    for stem in sorted(one.removesuffix(".warc.gz") for one in names):
        for folder in ("warcs", "indexes"):
            prefix = f"{base}/{folder}/{stem}"
            for key in [key for key, _ in store.objects(f"{prefix}-") if _END.fullmatch(key[len(prefix) :])]:
                yield Withdrawal(destination=name, key=key, why=store.withdraw(key))
