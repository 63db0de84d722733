"""Looking at a copy again: whether it is there, and still what was sent; the ledger learns of what is lost.

A length alone proves nothing, and a directory tells nothing else: there only reading shows what is there.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from crawler.cold.proof import judged
from crawler.cold.send import next_name
from crawler.cold.store import Archived

if TYPE_CHECKING:
    from crawler.cold.canary import Profile
    from crawler.cold.copies import Copies, Copy
    from crawler.cold.objects import Object
    from crawler.cold.store import Store

#: When bytes are read: never, where no sum of the server's proves them, or always.
Reading = Literal["never", "unproved", "always"]
#: What was looked at: its bytes, or no more than its length; between them is the name of a sum.
READ, LENGTH = "read", "length"


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a copy: ``what`` is empty where it is as it was, else missing, changed or archived."""

    what: str = ""
    why: str = ""
    #: What showed that it is as it was: READ, a sum's name, or LENGTH.
    how: str = LENGTH

    @property
    def is_lost(self) -> bool:
        return self.what in {"missing", "changed"}


def look(store: Store, profile: Profile, copy: Copy, thing: Object | None, reading: Reading) -> Seen:
    """Look at a copy; ``thing`` is what it is a copy of, None where that is not known any more."""
    head = store.head(copy.key)
    if head is None:
        return Seen("missing")
    if head.get("ContentLength") != copy.bytes:
        return Seen("changed", f"it has {head.get('ContentLength')} bytes, not {copy.bytes}")
    proof, fault = judged(profile, thing, head) if thing else ("", "")
    if fault:
        return Seen("changed", fault)
    if reading == "always" or (reading == "unproved" and not proof):
        return _read(store, copy)
    return Seen(how=proof or LENGTH)


def _read(store: Store, copy: Copy) -> Seen:
    try:
        sha256, _ = store.sha256(copy.key)
    except Archived as e:
        return Seen("archived", str(e))
    return Seen(how=READ) if sha256 == copy.sha256 else Seen("changed", "other bytes than were sent")


def learn(copies: Copies, copy: Copy, seen: Seen) -> None:
    """Let the next push send a lost copy anew; what is there and wrong stays, as evidence, and is written beside."""
    if seen.is_lost:
        key = next_name(copy.key) if seen.what == "changed" else copy.key
        copies.lose(copy, seen.what, seen.why, key=key, now=time.time())
