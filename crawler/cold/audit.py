"""Audit: what destinations hold now, against what was proved there. Nothing is sent, and nothing changed there.

The ledger learns of it: a copy that is lost counts no longer, and the next push sends it anew.
"""

from __future__ import annotations

import random
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from crawler.cold.canary import Profile
from crawler.cold.copies import Copies, Copy, CopyState
from crawler.cold.destination import Destination
from crawler.cold.objects import Catalogue, place_of
from crawler.cold.proof import judged
from crawler.cold.send import SAMPLE, next_name
from crawler.cold.store import Archived, Denied, open_store
from crawler.errors import CredentialsError, Damaged, OutlastError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.cold.objects import Object
    from crawler.cold.store import Store
    from crawler.collection import Collection


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as it should be."""

    destination: str
    #: missing, changed, extra, unreadable or archived; the last two are no damage.
    what: str
    key: str
    why: str = ""
    #: What made a destination unreadable.
    error: OutlastError | None = None

    @property
    def is_damage(self) -> bool:
        """Whether a copy is lost."""
        return self.what in {"missing", "changed"}

    @property
    def exit_code(self) -> int:
        """What an audit that found this ends with, at the least."""
        if self.error is not None:
            return CredentialsError.exit_code if isinstance(self.error, CredentialsError) else 3
        return Damaged.exit_code if self.is_damage else 0


def audit(
    collection: Collection, *, read_back: Literal["full", "sample", "none"], names: tuple[str, ...] = ()
) -> Iterator[Finding | str]:
    """Yield what is wrong at each destination, and the name of each destination when it is done.

    Raises UsageError where nothing was ever pushed, or a name is unknown.
    """
    path = collection.root / "copies.sqlite"
    if not path.exists():
        raise UsageError(f"{collection.root} was never pushed; archive push copies it.")
    catalogue = Catalogue(collection)
    things = {(one.path, one.sha256): one for one in (*catalogue.segments(), *catalogue.finders())}
    with closing(Copies(path)) as copies:
        known = copies.destinations()
        if unknown := set(names) - known.keys():
            raise UsageError(f"There is no destination {', '.join(sorted(unknown))}; there are: {', '.join(known)}.")
        for name in names or known:
            facts, profile, _ = known[name]
            if not names and all(copy.state is CopyState.PENDING for copy in copies.all(name)):
                continue  # nothing ever left for there, so there is no copy to look at
            try:
                with closing(open_store(Destination(**facts))) as store:
                    for copy in copies.all(name):
                        if copy.state is CopyState.PROVEN and (
                            found := _checked(store, Profile.of(profile or {}), copy, things, read_back)
                        ):
                            _learn(copies, copy, found)
                            yield found
                    base = store.destination.key(place_of(collection))
                    yield from _extra(store, f"{base}/", {copy.key for copy in copies.all(name)})
                copies.set_trouble(name, "")
            except OutlastError as e:
                if isinstance(e, Denied):
                    copies.set_trouble(name, str(e))
                yield Finding(destination=name, what="unreadable", key="", why=str(e), error=e)
            yield name


def _checked(
    store: Store, profile: Profile, copy: Copy, things: dict[tuple[str, str], Object], read_back: str
) -> Finding | None:
    def found(what: str, why: str = "") -> Finding:
        return Finding(destination=copy.destination, what=what, key=copy.key, why=why)

    thing = things.get((copy.object, copy.sha256))
    head = store.head(copy.key)
    if head is None:
        return found("missing")
    if head.get("ContentLength") != copy.bytes:
        return found("changed", f"{head.get('ContentLength')} bytes, not {copy.bytes}")
    if thing and (fault := judged(profile, thing, head)[1]):
        return found("changed", fault)
    if read_back == "full" or (read_back == "sample" and random.random() < SAMPLE):  # noqa: S311 - a sample
        try:
            sha256, _ = store.sha256(copy.key)
        except Archived as e:
            return found("archived", str(e))
        if sha256 != copy.sha256:
            return found("changed", "other bytes than were sent")
    return None


def _learn(copies: Copies, copy: Copy, found: Finding) -> None:
    """Let the next push send a lost copy anew; what is there and wrong stays, as evidence, and is written beside."""
    if found.what == "missing":
        copies.set(copy, CopyState.PENDING, now=time.time(), reason="an audit did not find it")
    elif found.what == "changed":
        copies.rename(copy, next_name(copy.key), now=time.time(), reason=found.why)


def _extra(store: Store, prefix: str, known: set[str]) -> Iterator[Finding]:
    for key, _ in store.objects(prefix):
        if key not in known:
            yield Finding(destination=store.destination.name, what="extra", key=key)
