"""All that goes to one destination, in a thread of its own.

One object that is refused is left and reported; a destination that takes nothing now is asked again with growing
pauses; one that refuses us altogether is quarantined: its copies do not count until it lets us in again.
"""

from __future__ import annotations

import io
import random
import threading
import time
import uuid
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crawler.cold.canary import Profile, probe
from crawler.cold.copies import Copy, CopyState
from crawler.cold.fetch import at_hand
from crawler.cold.send import Sender
from crawler.cold.store import Denied, Refused, Unavailable, open_store
from crawler.cold.throttle import Throttle
from crawler.errors import Damaged, OutlastError

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor, Future

    from crawler.cold.copies import Copies
    from crawler.cold.destination import Destination
    from crawler.cold.objects import Catalogue, Object
    from crawler.cold.push import Hearing, Order
    from crawler.cold.quorum import Release
    from crawler.cold.store import Store
    from crawler.collection import Collection

#: Seconds of the first pause where a destination takes nothing, and of the longest.
PAUSE, LONGEST_PAUSE = 2.0, 600.0
#: While a crawl runs: seconds between looks at what it has sealed, the longest between tries of a destination that is
#: in trouble, and those after which what finds segments again is sent anew.
LOOK, LONGEST_LOOK, FINDERS_EVERY = 5.0, 60.0, 900.0
#: Times that one object is tried in one push.
TRIES = 3


@dataclass(slots=True)
class Outcome:
    """What came of one destination."""

    destination: str
    proven: int = 0
    #: Copies that are there, but nothing showed that they are whole.
    unproven: int = 0
    #: Copies that are not there.
    missing: int = 0
    #: Objects that may not go there, as strangers may read them there.
    withheld: int = 0
    bytes: int = 0
    #: object → why it was not taken.
    refused: dict[str, str] = field(default_factory=dict)
    error: OutlastError | None = None
    profile: Profile | None = None


class Way:
    """The way to one destination; ``outcome`` tells how it went."""

    def __init__(
        self, collection: Collection, destination: Destination, base: str, catalogue: Catalogue, copies: Copies,
        release: Release, order: Order, throttle: Throttle, hearing: Hearing,
    ) -> None:  # fmt: skip
        self.outcome = Outcome(destination.name)
        self._collection = collection
        self._destination = destination
        self._base = base
        self._catalogue = catalogue
        self._copies = copies
        self._release = release
        self._order = order
        self._throttle = Throttle(destination.bandwidth, also=throttle)
        self._hearing = hearing
        self._store: Store | None = None
        self._things: dict[tuple[str, str], Object] = {}
        #: What is there and could not be proved, so that it is not looked at again and again.
        self._unproved: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        self._sent = 0
        self._found_again = time.monotonic()

    def close(self) -> None:
        """Close its connections."""
        self._release.stores.pop(self._destination.name, None)
        if self._store is not None:
            self._store.close()
            self._store = None

    def go(self) -> None:
        """Send all there is, and while a crawl runs what it seals; whatever goes wrong is in the outcome."""
        pause = LOOK
        while True:
            # Asked first: what is sealed after this is seen by the next round.
            is_last = not (self._order.follow and self._collection.is_locked())
            if is_last:  # what was refused while the crawl ran is tried once more
                self.outcome.refused.clear()
                self._unproved.clear()
            self.outcome.error = error = self._round(is_last=is_last)
            if is_last:
                break
            if self._order.delete_local:  # another destination may have gone that still wanted something
                for thing in self._catalogue.segments():
                    self._release.consider(thing)
            pause = min(2 * pause, LONGEST_LOOK) if error else LOOK
            if error:
                self._hearing.say(f"{error} Trying again in {pause:.0f} s; the crawl goes on.")
            self._rest(pause)

    def _rest(self, seconds: float) -> None:
        """Wait, but not longer than the crawl runs."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and self._collection.is_locked():
            time.sleep(0.5)

    def _round(self, *, is_last: bool) -> OutlastError | None:
        """Send what is not there yet; return what went wrong."""
        try:
            is_due = is_last or time.monotonic() - self._found_again > FINDERS_EVERY
            self._take_in(with_finders=is_due)
            if is_last or self._wanted():
                self._patiently(self._sweep, patience=self._order.patience if is_last else 0.0)
                self._copies.set_trouble(self._destination.name, "")
            if is_due:
                self._found_again = time.monotonic()
        except Denied as e:
            self._copies.set_trouble(self._destination.name, str(e))
            self.close()
            return e
        except OutlastError as e:
            self.close()
            return e
        except Exception as e:  # noqa: BLE001 - one destination must not take the others with it
            return OutlastError(f"{self._destination.name}: {type(e).__name__}: {e}")
        return None

    def _take_in(self, *, with_finders: bool) -> None:
        """Enter what is to be copied. The manifest is read first: what is sealed meanwhile goes with the next round."""
        found = [*self._catalogue.segments(), *(self._catalogue.finders() if with_finders else ())]
        allowed = [
            one for one in found if one.may_go_to(self._destination, public_originals=self._order.public_originals)
        ]
        self.outcome.withheld = len(found) - len(allowed)
        self._things = {(one.path, one.sha256): one for one in allowed}
        self._copies.want(
            (
                Copy(object=one.path, sha256=one.sha256, destination=self._destination.name,
                     key=f"{self._base}/{one.key}", state=CopyState.PENDING, bytes=one.bytes)
                for one in allowed
            ),
            now=time.time(),
        )  # fmt: skip

    def _rows(self) -> list[Copy]:
        return [one for one in self._copies.all(self._destination.name) if (one.object, one.sha256) in self._things]

    def _wanted(self) -> list[Copy]:
        return [one for one in self._rows() if one.state is not CopyState.PROVEN and not self._is_given_up(one)]

    def _is_given_up(self, copy: Copy) -> bool:
        """Whether this push has done with a copy: it was refused, or is there and cannot be proved."""
        return copy.object in self.outcome.refused or (
            copy.state is CopyState.UPLOADED and (copy.object, copy.sha256) in self._unproved
        )

    def _opened(self) -> tuple[Store, Profile]:
        """Return the destination, open, and what it was seen to do."""
        name = self._destination.name
        if self._store is None:
            self._store = open_store(self._destination, connections=self._order.connections + 2)
        known = Profile.of(self._copies.destinations()[name][1] or {})
        if not known.probed:
            known = probe(self._store, self._base)
            self._copies.set_profile(name, known.facts())
        self.outcome.profile = known
        if not known.is_intact:
            raise Refused(f"{name} does not give back what it is given; nothing is sent there.")
        if self._destination.lock and not known.locks:
            raise Refused(f"{name} does not lock what it is told to lock; nothing is sent there.")
        self._release.stores[name] = self._store
        return self._store, known

    def _patiently(self, attempt: Callable[[], None], *, patience: float) -> None:
        """Try until it is done, with growing pauses while the destination takes nothing."""
        given_up = time.monotonic() + patience
        pause = PAUSE
        while True:
            before = self._sent
            try:
                attempt()
            except Unavailable as e:
                if self._sent > before:  # it did take something
                    pause, given_up = PAUSE, time.monotonic() + patience
                if time.monotonic() + pause > given_up:
                    raise
                self._hearing.say(f"{e} Trying again in {pause:.0f} s.")
                time.sleep(pause * random.uniform(0.75, 1.25))  # noqa: S311 - jitter, not a secret
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                return

    def _sweep(self) -> None:
        """Send all that is not proven yet."""
        store, profile = self._opened()
        with ThreadPoolExecutor(self._order.connections, thread_name_prefix=self._destination.name) as pool:
            sender = Sender(
                store, profile, self._copies, pool=pool, throttle=self._throttle, read_back=self._order.read_back,
                sent=self._more,
            )  # fmt: skip
            self._sent = 0
            self._more(sum(one.bytes for one in self._rows() if one.state is CopyState.PROVEN))
            self._send_all(sender, store, pool)
            self._abort_orphans(store)

    def _send_all(self, sender: Sender, store: Store, pool: Executor) -> None:
        """Send in order: small objects several at once, a long one by itself, its parts being several at once."""
        rank = {key: number for number, key in enumerate(self._things)}
        under_way: list[Future[None]] = []
        was: tuple[str, bool] = ("", False)
        try:
            for copy in sorted(self._wanted(), key=lambda one: rank[one.object, one.sha256]):
                thing = self._things[copy.object, copy.sha256]
                kind = (thing.segment_class, thing.is_hot)
                # A class is there before the next one leaves; what finds it comes last, and names nothing that is not.
                if len(thing.part_md5) > 1 or kind != was:
                    _all_done(under_way)
                    was = kind
                if len(thing.part_md5) > 1:
                    self._one(sender, store, copy)
                else:
                    under_way.append(pool.submit(self._one, sender, store, copy))
            _all_done(under_way)
        finally:
            for future in under_way:
                future.cancel()

    def _one(self, sender: Sender, store: Store, copy: Copy) -> None:
        thing = self._things[copy.object, copy.sha256]
        why = ""
        for number in range(TRIES):
            try:
                with at_hand(self._catalogue.path(thing), thing, self._copies, self._release.stores) as path:
                    proof = sender.send(self._now(copy) if number else copy, thing, path)
            except Denied as e:
                if self._is_shut_out(store):
                    raise
                why = str(e)
            except (Refused, Damaged) as e:
                why = str(e)
            else:
                if not proof:
                    self._unproved.add((copy.object, copy.sha256))
                elif self._order.delete_local:
                    self._release.consider(thing)
                return
        self.outcome.refused[copy.object] = why
        self._hearing.say(f"{copy.object}: {why}")

    def _is_shut_out(self, store: Store) -> bool:
        """Say whether the destination refuses us altogether, and not merely one object."""
        key = f"{self._base}/.outlast-canary-{uuid.uuid4().hex[:12]}"
        try:
            store.put(key, io.BytesIO(b"?"), length=1)
            store.delete(key)
        except Denied:
            return True
        return False

    def _now(self, copy: Copy) -> Copy:
        """Return a copy as the ledger has it now."""
        rows = self._copies.of(copy.object, copy.sha256)
        return next(row for row in rows if row.destination == copy.destination)

    def _abort_orphans(self, store: Store) -> None:
        """End uploads below our place that nobody goes on with: they would be paid for for ever."""
        ours = {copy.upload for copy in self._copies.all(self._destination.name) if copy.upload}
        for key, upload in store.uploads(f"{self._base}/"):
            if upload not in ours:
                store.abort(key, upload)

    def _more(self, count: int) -> None:
        with self._lock:
            self._sent += count
            whole = sum(one.bytes for one in self._things.values())
        self._hearing.progress(self._destination.name, self._sent, whole)

    def count(self) -> None:
        """Count what is there, once all is done."""
        outcome = self.outcome
        for copy in self._rows():
            outcome.proven += copy.state is CopyState.PROVEN
            outcome.unproven += copy.state is CopyState.UPLOADED
            outcome.missing += copy.state in {CopyState.PENDING, CopyState.UPLOADING}
            outcome.bytes += copy.bytes if copy.state is CopyState.PROVEN else 0


def _all_done(under_way: list[Future[None]]) -> None:
    """Wait for what is under way; raise the first fault there was."""
    wait(under_way, return_when=FIRST_EXCEPTION)
    for future in under_way:
        if future.done():
            future.result()
    wait(under_way)
    under_way.clear()
