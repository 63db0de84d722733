"""What replay and WACZ need of a collection beside its segments: the replay index and the pages.

``DIR/replay/`` holds them: made anew from the WARCs whenever there is more to show, never signed or copied. What a kill
leaves of it is made again.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crawler.collection import class_of, salvaged_name
from crawler.errors import Damaged
from crawler.failpoint import failpoint
from crawler.model import SegmentClass
from crawler.reading.dataset import Dataset
from crawler.reading.index import chosen
from crawler.reading.pages import Pages
from crawler.reading.shelf import Shelf
from crawler.reading.tables import lacks
from crawler.warc import manifest
from crawler.warc.indexing import merged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from crawler.collection import Collection
    from crawler.engine import Cluster
    from crawler.reading.shelf import Remote
    from crawler.warc.manifest import Entry

#: Version of what is made here.
FORMAT = 1
INDEX = "index.cdxj"
_WITHHELD = (
    "{:,} segments hold what was taken down and are left out; archive takedown --rewrite writes them anew without it"
)
#: Classes of segments that replay does not show.
_HIDDEN = frozenset({SegmentClass.ATTEMPTS.value, SegmentClass.RESTRICTED.value})


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A collection ready to be shown."""

    folder: Path
    #: The replay index, sorted.
    index: Path
    pages: Pages
    #: The segments that are shown, in the order of the manifest.
    segments: tuple[Entry, ...]
    #: What is lacking, as sentences.
    lacks: tuple[str, ...]


@contextmanager
def prepared(
    collection: Collection, *, remote: Remote | None = None, jobs: int | None = None, cluster: Cluster | None = None,
    say: Callable[[str], object] = lambda _: None,
) -> Iterator[Prepared]:  # fmt: skip
    """Make index and pages, or take those that are as new as the collection; keep others from making them meanwhile."""
    with Dataset(collection) as dataset:
        said = lacks(dataset.update(jobs=jobs, cluster=cluster, say=say))
        withheld = dataset.withheld.segments(collection.indexes)
        segments, away = _segments(collection, remote, withheld)
        told = repr((FORMAT, _stamp(dataset), dataset.withheld.version, [one.sha256 for one in segments]))
        with _place(collection.root / "replay", hashlib.sha256(told.encode()).hexdigest()[:16]) as (folder, is_new):
            if is_new or not (folder / "unread").is_file():
                unread = _make(collection, folder, segments, dataset, Shelf(collection, remote), say)
                (folder / "unread.part").write_text(str(unread))
                (folder / "unread.part").replace(folder / "unread")
            unread = int((folder / "unread").read_text())
            said += (f"{unread:,} pages have no title and text in the list",) if unread else ()
            said += (_WITHHELD.format(len(withheld)),) if withheld else ()
            said += (f"{away:,} segments are elsewhere only and are left out",) if away else ()
            with closing(Pages(folder / "pages.sqlite")) as pages:
                yield Prepared(folder=folder, index=folder / INDEX, pages=pages, segments=tuple(segments), lacks=said)


def _stamp(dataset: Dataset) -> str:
    """Return what stands for all that the dataset says."""
    found = dataset.db.execute("SELECT count(*), coalesce(sum(number * (items + 1)), 0), max(reader) FROM segment")
    return repr(tuple(found.fetchone()))


def _segments(collection: Collection, remote: Remote | None, withheld: set[str]) -> tuple[list[Entry], int]:
    """Return the segments that are shown, and how many cannot be read.

    A segment is handed out whole, so one that holds what was taken down is not. What was salvaged of a segment, or
    written anew without what was taken down, stands in its place.
    """
    here = {path.name for path in collection.sealed_segments()}
    entries = [
        one
        for one in manifest.standing(manifest.entered(collection))
        if class_of(one.segment) not in _HIDDEN
        and one.segment not in withheld
        and salvaged_name(one.segment) not in here
    ]
    held = [
        one for one in entries if one.segment in here or (remote is not None and _index_of(collection, one).is_file())
    ]
    return held, len(entries) - len(held)


def _index_of(collection: Collection, entry: Entry) -> Path:
    return collection.indexes / f"{entry.segment.removesuffix('.warc.gz')}.cdxj"


@contextmanager
def _place(root: Path, name: str) -> Iterator[tuple[Path, bool]]:
    """Hold the folder of what is shown now, and remove older ones that nobody shows; say whether it is a new one."""
    root.mkdir(exist_ok=True)
    folder, is_new = root / name, not (root / name).is_dir()
    for other in root.iterdir() if is_new else ():
        with (root / other.name / "lock").open("a") as lock, suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(other)
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield folder, is_new


def _make(
    collection: Collection, folder: Path, segments: list[Entry], dataset: Dataset, shelf: Shelf,
    say: Callable[[str], object],
) -> int:  # fmt: skip
    say("making the replay index")
    paths = [_index_of(collection, one) for one in segments]
    for path in paths:
        if not path.is_file():
            raise Damaged(f"{path} is missing; archive verify says more.")
    index = folder / INDEX
    with index.open("wb") as out:
        out.writelines(chosen(merged(paths), dataset.withheld.struck.places))
    failpoint("replay.indexed")
    say("making the list of pages")
    (folder / "pages.sqlite").unlink(missing_ok=True)
    with closing(Pages(folder / "pages.sqlite")) as pages, index.open("rb") as lines:
        return pages.fill(lines, dataset, shelf)
