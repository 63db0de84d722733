"""The rows of many segments, read side by side where that pays, here or by an engine.

Whoever reads a segment writes its rows to a file, which is deleted once they are taken.
"""

from __future__ import annotations

import ctypes
import logging
import os
import struct
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from crawler import engine
from crawler.collection import Collection
from crawler.engine import Desk
from crawler.errors import UsageError
from crawler.model import Seed
from crawler.reading.entries import batches
from crawler.reading.rows import rows
from crawler.reading.shelf import Shelf
from crawler.reading.silent import naming
from crawler.withheld import Withheld

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from crawler.engine import Cluster
    from spiders.base import PlatformSpider

#: Bytes of segments that are not worth another process: starting one takes as long as reading so much.
WORTH = 16 << 20
#: How the directory of the files ends; a kill may leave one.
SUFFIX = ".rows"
_LENGTH = struct.Struct("<I")
#: What glibc calls its thresholds for giving memory back (mallopt(3)), and bytes of it that a process that reads keeps.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT, _KEPT_AT_ONCE = 64 << 20, 16 << 20


@dataclass(frozen=True, slots=True)
class Gathered:
    """The rows of one segment, in packed batches, and how reading it went."""

    segment: str
    batches: Iterator[bytes]
    told: Told


@dataclass(slots=True)
class Told:
    """What was not taken of a segment: pages that could not be read, and records that hold what was taken down."""

    unread: int = 0
    #: Offset, record id, and the number of the takedown.
    withheld: list[tuple[int, str, int]] = field(default_factory=list)


def gather(
    collection: Collection, names: Sequence[str], *, reader: str, places: bool = False, jobs: int | None = None,
    cluster: Cluster | None = None,
) -> Iterator[Gathered]:  # fmt: skip
    """Yield the rows of segments, in their order. Each must be used up before the next is taken.

    ``reader``: what stands for the spider as it is here (``reader_of``). ``cluster``: an engine that reads them.
    """
    if not names:
        return
    spool = collection.spool if collection.spool.is_dir() else None
    read = partial(read_segment, places=places)
    with tempfile.TemporaryDirectory(dir=spool, suffix=SUFFIX) as folder:
        place = Path(folder)
        if cluster is not None:
            found = cluster.run(read, [(name, reader) for name in names], place)
        else:
            found = _here(collection, names, read, place, jobs)
        for name, path, told in found:
            yield Gathered(name, _read_file(path), told)


def _here(
    collection: Collection, names: Sequence[str], read: Callable[[Desk, Path], Told], place: Path, jobs: int | None
) -> Iterator[tuple[str, Path, Told]]:
    if jobs is None:
        worth = sum((collection.warcs / name).stat().st_size for name in names) // WORTH
        jobs = min(os.cpu_count() or 1, worth)
    return engine.run(partial(_at_home, read, collection.root), names, place, jobs=min(jobs, len(names)))


def _at_home(read: Callable[[Desk, Path], Told], root: Path, name: str, out: Path) -> Told:
    return read(Desk(Collection.open(root), name), out)


def read_segment(desk: Desk, out: Path, *, places: bool) -> Told:
    """Write the rows of a segment to a file. Raises UsageError where the spider here is not that of who asked."""
    from crawler.reading.dataset import reader_of  # noqa: PLC0415 - it gathers

    if desk.told is not None and desk.told != reader_of(desk.collection):
        raise UsageError("A worker of the engine has other spiders than this machine: install the same Outlast on all.")
    told = Told()
    with out.open("wb") as file:
        for packed in _packed(desk, told, places):
            file.write(_LENGTH.pack(len(packed)) + packed)
    return told


def _packed(desk: Desk, told: Told, places: bool) -> Iterator[bytes]:
    def unread(url: str, error: Exception) -> None:
        told.unread += 1

    collection, name = desk.collection, desk.segment
    spider, withheld = _loaded(collection.root, repr(collection.marker))
    withheld.look()
    found = rows(
        collection.warcs / name, spider, locate=Shelf(collection, desk.remote).locate, places=places, unread=unread,
        withheld=withheld, found=lambda *one: told.withheld.append(one),
    )  # fmt: skip
    yield from batches(found, markup=spider.markup)
    for number, is_named_in in withheld.named_in():
        told.withheld += [(*one, number) for one in naming(collection.warcs / name, is_named_in)]


@lru_cache(maxsize=1)
def _loaded(root: Path, marker: str) -> tuple[PlatformSpider, Withheld]:
    """Return what all segments of a collection are read with."""
    _keep_freed()
    collection = Collection.open(root)
    spider = spider_of(collection)
    spider.follows = False
    return spider, Withheld.load(collection)


def _keep_freed() -> None:
    """Keep the memory of one page's tree for the next: else it is given back and faulted in anew for every page."""
    with suppress(AttributeError, OSError):  # not glibc
        libc = ctypes.CDLL(None)
        libc.mallopt(_TRIM_THRESHOLD, _KEPT)
        libc.mallopt(_MMAP_THRESHOLD, _KEPT_AT_ONCE)


def spider_of(collection: Collection) -> PlatformSpider:
    """Return the spider of a collection, as its crawl had it."""
    from spiders.registry import get  # noqa: PLC0415 - heavy

    logging.getLogger("scrapy").setLevel(logging.WARNING)
    marker = collection.marker
    seed = Seed(url=marker.seed, since=marker.since, until=marker.until, options=marker.options)
    return get(marker.platform, collection.spider_file)(seed=seed)


def _read_file(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while head := file.read(_LENGTH.size):
            yield file.read(_LENGTH.unpack(head)[0])
