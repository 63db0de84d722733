"""Push: every object of a collection to every destination, each destination by itself.

A destination has a thread of its own (``way.py``), so that none waits for another. While a crawl runs, each goes on
with what is sealed; what finds it again (manifest, indexes) follows every quarter of an hour, so that what has left can
be used if this machine is lost.
"""

from __future__ import annotations

import fcntl
import threading
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from crawler.cold.copies import Copies
from crawler.cold.objects import Catalogue, place_of
from crawler.cold.quorum import COPIES, Release, check_enough, holders
from crawler.cold.throttle import Throttle
from crawler.cold.way import Outcome, Way
from crawler.errors import Locked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from crawler.cold.destination import Destination
    from crawler.cold.send import ReadBack
    from crawler.collection import Collection


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """How a push is to be done."""

    #: Parts, or small objects, on their way at once to one destination.
    connections: int = 4
    #: Bytes a second over all; 0 = no limit.
    rate: float = 0.0
    read_back: ReadBack = "auto"
    #: Seconds for which a destination that takes nothing is asked again.
    patience: float = 900.0
    #: Go on while a crawl of this collection runs.
    follow: bool = False
    public_originals: bool = False
    #: Remove segments from this machine once so many owners have them.
    delete_local: bool = False
    copies: int = COPIES


@dataclass(slots=True)
class Pushed:
    """What came of a push."""

    destinations: list[Outcome] = field(default_factory=list)
    #: Segments, and those that enough owners have for them to go from here.
    segments: int = 0
    deletable: int = 0
    #: Segments that went from here, and their bytes.
    deleted: int = 0
    deleted_bytes: int = 0
    #: Segments that went nowhere, as they hold what was taken down.
    held_back: int = 0


@dataclass(frozen=True, slots=True)
class Hearing:
    """Who hears how it goes: ``progress`` (destination, bytes, of how many), ``say`` sentences."""

    progress: Callable[[str, int, int], None] = lambda name, sent, whole: None
    say: Callable[[str], None] = lambda text: None


def push(
    collection: Collection, destinations: Sequence[Destination], order: Order, hearing: Hearing = Hearing(), *,
    look: Callable[[], object] = lambda: None, leaving: Callable[[], object] = lambda: None,
) -> Pushed:  # fmt: skip
    """Copy a collection to each destination and prove the copies. ``look``: looks for what was taken down;
    ``leaving``: reads what is to be known of segments when they are gone.

    Raises Locked where another push of this collection runs, Damaged where its manifest is broken, UsageError where
    segments are to go from here and these destinations could never have enough copies.
    """
    if order.delete_local:
        check_enough(destinations, order.copies, collection.warcs)
    with alone(collection, wait=order.follow), closing(Copies(collection.root / "copies.sqlite")) as copies:
        catalogue = Catalogue(collection, look=look)
        things = catalogue.segments()
        release = Release(catalogue, copies, order.copies, say=hearing.say, leaving=leaving)
        throttle = Throttle(order.rate)
        ways = []
        for destination in destinations:
            copies.add(destination.name, asdict(destination))
            base = destination.key(place_of(collection))
            ways.append(Way(collection, destination, base, catalogue, copies, release, order, throttle, hearing))
        _run([way.go for way in ways])
        if order.delete_local:
            _let_go(catalogue, release)
            if release.lost:  # what was seen to be lost goes there again, once
                _run([way.go for way in ways if way.outcome.error is None])
                _let_go(catalogue, release)
        things = catalogue.segments()
        for way in ways:
            way.count()
            way.close()
        held = holders(copies, collection.warcs)
        return Pushed(
            destinations=[way.outcome for way in ways], segments=len(things),
            deletable=sum(len(held.get((one.path, one.sha256), ())) >= order.copies for one in things),
            deleted=release.count, deleted_bytes=release.bytes,
            held_back=len(catalogue.held_back),
        )  # fmt: skip


def _let_go(catalogue: Catalogue, release: Release) -> None:
    for thing in catalogue.segments():
        release.consider(thing)


def _run(tasks: Sequence[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=task) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@contextmanager
def alone(collection: Collection, *, wait: bool = False) -> Iterator[None]:
    """Keep other pushes of this collection out, or wait for their end; a crawl may run meanwhile."""
    with (collection.root / "push.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError as e:
            raise Locked(f"Another push of {collection.root} is running.") from e
        yield
