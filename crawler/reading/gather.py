"""The rows of many segments, read side by side by several processes where that pays.

A process that reads is sent the name of one segment after another over a pipe, writes its rows to a file in ``spool``,
and ends when the pipe does: whoever asked may be killed.
"""

from __future__ import annotations

import logging
import os
import signal
import struct
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING

from crawler.errors import OutlastError
from crawler.model import Seed
from crawler.reading.entries import batches
from crawler.reading.rows import rows
from crawler.reading.shelf import Shelf
from crawler.reading.silent import naming
from crawler.withheld import Withheld

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from crawler.collection import Collection
    from spiders.base import PlatformSpider

#: Bytes of segments that are not worth another process: starting one takes as long as reading so much.
WORTH = 16 << 20
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Gathered:
    """The rows of one segment, in packed batches; ``read`` says afterwards how that went."""

    segment: str
    batches: Iterator[bytes]
    read: Callable[[], Read]


@dataclass(slots=True)
class Read:
    """What was not taken of a segment: pages that could not be read, and records that hold what was taken down."""

    unread: int = 0
    #: Offset, record id, and the number of the takedown.
    withheld: list[tuple[int, str, int]] = field(default_factory=list)


def gather(
    collection: Collection, names: Sequence[str], *, places: bool = False, jobs: int | None = None
) -> Iterator[Gathered]:
    """Yield the rows of segments, in whatever order they are done. Each must be used up before the next is taken."""
    if not names:
        return
    if jobs is None:
        worth = sum((collection.warcs / name).stat().st_size for name in names) // WORTH
        jobs = min(os.cpu_count() or 1, worth, len(names))
    if jobs > 1:
        yield from _side_by_side(collection, list(names), places, jobs)
        return
    reader = _Reader(collection, places)
    for name in names:
        told = Read()
        yield Gathered(name, reader.read(name, told), lambda told=told: told)  # type: ignore[misc]


class _Reader:
    """Reads segments of one collection with its spider."""

    def __init__(self, collection: Collection, places: bool) -> None:
        self._collection = collection
        self._spider = spider_of(collection)
        self._spider.follows = False
        self._shelf = Shelf(collection)
        self._places = places
        self._withheld = Withheld.load(collection)

    def read(self, name: str, told: Read) -> Iterator[bytes]:
        def unread(url: str, error: Exception) -> None:
            told.unread += 1

        found = rows(
            self._collection.warcs / name, self._spider, locate=self._shelf.locate, places=self._places, unread=unread,
            withheld=self._withheld, found=lambda *one: told.withheld.append(one),
        )  # fmt: skip
        yield from batches(found, markup=self._spider.markup)
        for number, is_named_in in self._withheld.named_in():
            told.withheld += [(*one, number) for one in naming(self._collection.warcs / name, is_named_in)]


def spider_of(collection: Collection) -> PlatformSpider:
    """Return the spider of a collection, as its crawl had it."""
    from spiders.registry import get  # noqa: PLC0415 - heavy

    logging.getLogger("scrapy").setLevel(logging.WARNING)
    marker = collection.marker
    seed = Seed(url=marker.seed, since=marker.since, until=marker.until, options=marker.options)
    return get(marker.platform, collection.spider_file)(seed=seed)


def _side_by_side(collection: Collection, names: list[str], places: bool, jobs: int) -> Iterator[Gathered]:
    context = get_context("spawn")
    readers: dict[Connection, str] = {}
    processes = []
    for _ in range(jobs):
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, collection.root, places), daemon=True)
        process.start()
        processes.append(process)
        theirs.close()
        readers[ours] = ""
    try:
        todo = names[::-1]
        for ours in readers:
            _send(ours, readers, todo)
        while busy := [ours for ours, name in readers.items() if name]:
            for ready in wait(busy):
                assert isinstance(ready, Connection)
                name, told = readers[ready], _answer(ready, readers[ready])
                _send(ready, readers, todo)
                yield Gathered(name, _read_file(_rows_file(collection, name)), lambda told=told: told)  # type: ignore[misc]
    finally:
        for ours in readers:
            ours.close()
        for process in processes:
            process.terminate()  # it idles; or whoever asked wants no more, and what it writes is swept
            process.join()


def _send(ours: Connection, readers: dict[Connection, str], todo: list[str]) -> None:
    readers[ours] = todo.pop() if todo else ""
    if readers[ours]:
        ours.send(readers[ours])


def _answer(ours: Connection, name: str) -> Read:
    try:
        said: Read | OutlastError | OSError = ours.recv()
    except EOFError as e:
        raise OutlastError(f"The process that read {name} was killed; the same command goes on from here.") from e
    if isinstance(said, Exception):
        raise said
    return said


def _serve(theirs: Connection, root: Path, places: bool) -> None:
    """Read segments as they are named, until nobody names any more."""
    from crawler.collection import Collection  # noqa: PLC0415 - the process begins here

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    collection = Collection.open(root)
    reader = _Reader(collection, places)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            name = theirs.recv()
            told = Read()
            try:
                with _rows_file(collection, name).open("wb") as out:
                    for packed in reader.read(name, told):
                        out.write(_LENGTH.pack(len(packed)) + packed)
                theirs.send(told)
            except (OutlastError, OSError) as e:
                theirs.send(e)


def _rows_file(collection: Collection, name: str) -> Path:
    return collection.spool / f"{name}.rows"


def _read_file(path: Path) -> Iterator[bytes]:
    """Yield the batches of a file, and delete it."""
    with path.open("rb") as file:
        while head := file.read(_LENGTH.size):
            yield file.read(_LENGTH.unpack(head)[0])
    path.unlink()
