"""Audit: what destinations hold now, against what was proved there. Nothing is changed, nothing is sent."""

from __future__ import annotations

import random
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from crawler.cold.canary import Profile
from crawler.cold.copies import Copies, Copy, CopyState
from crawler.cold.destination import Destination
from crawler.cold.objects import finders, place_of, segments
from crawler.cold.s3 import Archived, Store
from crawler.cold.send import expected_etag, trusts_etag
from crawler.errors import OutlastError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.cold.objects import Object
    from crawler.collection import Collection

#: Part of the copies that a sampled audit reads back.
SAMPLE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as it should be."""

    destination: str
    #: missing, changed, extra, unreadable or archived; the last two are no damage.
    what: str
    key: str
    why: str = ""

    @property
    def is_damage(self) -> bool:
        """Whether a copy is lost."""
        return self.what in {"missing", "changed"}


def audit(
    collection: Collection, *, read_back: Literal["full", "sample", "none"], names: tuple[str, ...] = ()
) -> Iterator[Finding | str]:
    """Yield what is wrong at each destination, and the name of each destination when it is done.

    Raises UsageError where nothing was ever pushed, or a name is unknown.
    """
    path = collection.root / "copies.sqlite"
    if not path.exists():
        raise UsageError(f"{collection.root} was never pushed; archive push copies it.")
    things = {(one.path, one.sha256): one for one in (*segments(collection), *finders(collection))}
    with closing(Copies(path)) as copies:
        known = copies.destinations()
        if unknown := set(names) - known.keys():
            raise UsageError(f"There is no destination {', '.join(sorted(unknown))}; there are: {', '.join(known)}.")
        for name in names or known:
            facts, profile, _ = known[name]
            try:
                with closing(Store(Destination(**facts))) as store:
                    held = [copy for copy in copies.all(name) if copy.state is CopyState.PROVEN]
                    yield from _checked(store, Profile.of(profile or {}), held, things, read_back)
                    base = store.destination.key(place_of(collection))
                    yield from _extra(store, f"{base}/", {copy.key for copy in copies.all(name)})
            except OutlastError as e:
                yield Finding(destination=name, what="unreadable", key="", why=str(e))
            yield name


def _checked(
    store: Store, profile: Profile, held: list[Copy], things: dict[tuple[str, str], Object], read_back: str
) -> Iterator[Finding]:
    for copy in held:
        thing = things.get((copy.object, copy.sha256))
        head = store.head(copy.key)
        if head is None:
            yield Finding(destination=copy.destination, what="missing", key=copy.key)
        elif head.get("ContentLength") != copy.bytes:
            why = f"{head.get('ContentLength')} bytes, not {copy.bytes}"
            yield Finding(destination=copy.destination, what="changed", key=copy.key, why=why)
        elif thing and trusts_etag(profile, thing) and str(head.get("ETag", "")).strip('"') != expected_etag(thing):
            yield Finding(destination=copy.destination, what="changed", key=copy.key, why="another ETag")
        elif read_back == "full" or (read_back == "sample" and random.random() < SAMPLE):  # noqa: S311 - a sample
            yield from _read(store, copy)


def _read(store: Store, copy: Copy) -> Iterator[Finding]:
    try:
        found, _ = store.sha256(copy.key)
    except Archived as e:
        yield Finding(destination=copy.destination, what="archived", key=copy.key, why=str(e))
        return
    if found != copy.sha256:
        yield Finding(destination=copy.destination, what="changed", key=copy.key, why="other bytes than were sent")


def _extra(store: Store, prefix: str, known: set[str]) -> Iterator[Finding]:
    for key, _ in store.objects(prefix):
        if key not in known:
            yield Finding(destination=store.destination.name, what="extra", key=key)
