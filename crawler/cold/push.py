"""Push: every object of a collection to every destination, each destination by itself.

A destination has a thread of its own, so that none waits for another, and goes through its copies in order. One object
that is refused is left and reported; a destination that takes nothing now is asked again with growing pauses; one that
refuses us altogether is left alone until somebody pushes again.
"""

from __future__ import annotations

import fcntl
import random
import threading
import time
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from crawler.cold.canary import Profile, probe
from crawler.cold.copies import Copies, Copy, CopyState
from crawler.cold.objects import finders, place_of, segments
from crawler.cold.s3 import Denied, Refused, Store, Unavailable
from crawler.cold.send import Sender
from crawler.cold.throttle import Throttle
from crawler.errors import Damaged, Locked, OutlastError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Executor, Future

    from crawler.cold.destination import Destination
    from crawler.cold.objects import Object
    from crawler.collection import Collection

#: Seconds of the first pause where a destination takes nothing, and of the longest.
PAUSE, LONGEST_PAUSE = 2.0, 600.0
#: Times that one object is tried in one push.
TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """How a push is to be done."""

    #: Parts, or small objects, on their way at once to one destination.
    connections: int = 4
    #: Bytes a second over all; 0 = no limit.
    rate: float = 0.0
    read_back: Literal["full", "auto", "none"] = "auto"
    #: Seconds for which a destination that takes nothing is asked again.
    patience: float = 900.0


@dataclass(slots=True)
class Outcome:
    """What came of one destination."""

    destination: str
    proven: int = 0
    #: Copies that are there, but nothing showed that they are whole.
    unproven: int = 0
    #: Copies that are not there.
    missing: int = 0
    bytes: int = 0
    #: object → why it was not taken.
    refused: dict[str, str] = field(default_factory=dict)
    error: OutlastError | None = None
    profile: Profile | None = None


def push(
    collection: Collection,
    destinations: Sequence[Destination],
    order: Order,
    *,
    with_finders: bool = True,
    progress: Callable[[str, int, int], None] = lambda name, sent, whole: None,
    say: Callable[[str], None] = lambda text: None,
) -> list[Outcome]:
    """Copy a collection to each destination and prove the copies; ``progress`` hears (destination, bytes, of).

    Raises Locked where another push of this collection runs, Damaged where its manifest is broken.
    """
    with _alone(collection), closing(Copies(collection.root / "copies.sqlite")) as copies:
        # The manifest is read first: what is sealed while we push goes with the next one.
        things = {
            (one.path, one.sha256): one
            for one in (*segments(collection), *(finders(collection) if with_finders else ()))
        }
        throttle = Throttle(order.rate)
        outcomes = [Outcome(one.name) for one in destinations]
        threads = []
        for destination, outcome in zip(destinations, outcomes, strict=True):
            facts = asdict(destination)
            copies.add(destination.name, facts)
            base = destination.key(place_of(collection))
            copies.want(
                (
                    Copy(object=one.path, sha256=one.sha256, destination=destination.name, key=f"{base}/{one.key}",
                         state=CopyState.PENDING, bytes=one.bytes)
                    for one in things.values()
                ),
                now=time.time(),
            )  # fmt: skip
            one_way = _Way(collection, destination, base, copies, things, order, throttle, outcome, progress, say)
            threads.append(threading.Thread(target=one_way.go, name=destination.name))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return outcomes


@contextmanager
def _alone(collection: Collection) -> Iterator[None]:
    """Keep other pushes of this collection out; a crawl may run meanwhile."""
    with (collection.root / "push.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            raise Locked(f"Another push of {collection.root} is running.") from e
        yield


class _Way:
    """All that goes to one destination."""

    def __init__(
        self, collection: Collection, destination: Destination, base: str, copies: Copies,
        things: dict[tuple[str, str], Object], order: Order, throttle: Throttle, outcome: Outcome,
        progress: Callable[[str, int, int], None], say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._collection = collection
        self._destination = destination
        self._base = base
        self._copies = copies
        self._things = things
        self._order = order
        self._throttle = throttle
        self._outcome = outcome
        self._progress = progress
        self._say = say
        self._lock = threading.Lock()
        self._sent = 0

    def go(self) -> None:
        """Do it; whatever goes wrong is in the outcome."""
        name = self._destination.name
        try:
            with closing(Store(self._destination, connections=self._order.connections + 2)) as store:
                profile = self._outcome.profile = self._profiled(store)
                if profile.is_intact:
                    self._patiently(lambda: self._sweep(store, profile))
                else:
                    why = f"{name} does not give back what it is given; nothing is sent there."
                    self._outcome.error = Refused(why)
        except OutlastError as e:
            self._outcome.error = e
            self._copies.set_trouble(name, str(e) if isinstance(e, Denied) else "")
        except Exception as e:  # noqa: BLE001 - one destination must not take the others with it
            self._outcome.error = OutlastError(f"{name}: {type(e).__name__}: {e}")
        self._count()

    def _profiled(self, store: Store) -> Profile:
        known = self._copies.destinations()[self._destination.name][1]
        if known is not None:
            return Profile.of(known)
        found: list[Profile] = []
        self._patiently(lambda: found.append(probe(store, self._base)))
        self._copies.set_profile(self._destination.name, found[0].facts())
        return found[0]

    def _patiently(self, attempt: Callable[[], None]) -> None:
        """Try until it is done, with growing pauses while the destination takes nothing."""
        given_up = time.monotonic() + self._order.patience
        pause = PAUSE
        while True:
            before = self._sent
            try:
                attempt()
            except Unavailable as e:
                if self._sent > before:  # it did take something
                    pause, given_up = PAUSE, time.monotonic() + self._order.patience
                if time.monotonic() + pause > given_up:
                    raise
                self._say(f"{e} Trying again in {pause:.0f} s.")
                time.sleep(pause * random.uniform(0.75, 1.25))  # noqa: S311 - jitter, not a secret
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                return

    def _sweep(self, store: Store, profile: Profile) -> None:
        """Send all that is not proven yet."""
        with ThreadPoolExecutor(self._order.connections, thread_name_prefix=self._destination.name) as pool:
            sender = Sender(
                store, profile, self._copies, pool=pool, throttle=self._throttle, read_back=self._order.read_back,
                sent=self._more,
            )  # fmt: skip
            self._sent = 0
            wanted = [copy for copy in self._copies.all(self._destination.name) if self._thing(copy) is not None]
            for copy in wanted:
                if copy.state is CopyState.PROVEN and self._order.read_back != "full":
                    self._more(copy.bytes)
            self._send_all(sender, sorted(wanted, key=self._rank), pool)
            self._abort_orphans(store)

    def _send_all(self, sender: Sender, wanted: list[Copy], pool: Executor) -> None:
        """Send in order: small objects several at once, a long one by itself, its parts being several at once."""
        under_way: list[Future[None]] = []
        was_hot = False
        try:
            for copy in wanted:
                thing = self._things[copy.object, copy.sha256]
                if copy.state is CopyState.PROVEN or copy.object in self._outcome.refused:
                    continue
                if len(thing.part_md5) > 1 or thing.is_hot != was_hot:
                    _all_done(under_way)
                    was_hot = thing.is_hot
                if len(thing.part_md5) > 1:
                    self._one(sender, copy)
                else:
                    under_way.append(pool.submit(self._one, sender, copy))
            _all_done(under_way)
        finally:
            for future in under_way:
                future.cancel()

    def _one(self, sender: Sender, copy: Copy) -> None:
        thing = self._thing(copy)
        assert thing is not None
        for number in range(TRIES):
            try:
                sender.send(self._now(copy) if number else copy, thing, self._collection.root / thing.path)
            except (Refused, Damaged) as e:
                why = str(e)
                continue
            return
        self._outcome.refused[copy.object] = why
        self._say(f"{copy.object}: {why}")

    def _now(self, copy: Copy) -> Copy:
        """Return a copy as the ledger has it now."""
        rows = self._copies.all(self._destination.name)
        return next((row for row in rows if (row.object, row.sha256) == (copy.object, copy.sha256)), replace(copy))

    def _abort_orphans(self, store: Store) -> None:
        """End uploads below our place that nobody goes on with: they would be paid for for ever."""
        ours = {copy.upload for copy in self._copies.all(self._destination.name) if copy.upload}
        for key, upload in store.uploads(f"{self._base}/"):
            if upload not in ours:
                store.abort(key, upload)

    def _thing(self, copy: Copy) -> Object | None:
        return self._things.get((copy.object, copy.sha256))

    def _rank(self, copy: Copy) -> tuple[bool, int]:
        """Text leaves first; what finds it last of all, so that it names nothing that is not there."""
        thing = self._thing(copy)
        assert thing is not None
        return (thing.is_hot, list(self._things).index((copy.object, copy.sha256)))

    def _more(self, count: int) -> None:
        with self._lock:
            self._sent += count
            self._progress(self._destination.name, self._sent, sum(one.bytes for one in self._things.values()))

    def _count(self) -> None:
        outcome = self._outcome
        for copy in self._copies.all(self._destination.name):
            if self._thing(copy) is not None:
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
