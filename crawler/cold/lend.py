"""Segments lent to machines that do not have the collection: what is to be known of one, and where its bytes are.

A machine that sees the collection's own directory (a disk that all share) reads there. Any other makes one for the
while, with this segment alone, from a destination where it is proven. Credentials are not lent: each has its own.
"""

from __future__ import annotations

import re
import tempfile
import zlib
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from crawler import deaths, engine
from crawler.cold.copies import Copies, Copy, CopyState
from crawler.cold.destination import Destination
from crawler.cold.fetch import reader
from crawler.cold.store import open_store
from crawler.collection import Collection, class_of
from crawler.engine import Cluster, Desk
from crawler.errors import NotHere, OutlastError, UsageError
from crawler.model import SegmentClass
from crawler.provenance import outlast_version
from crawler.warc import manifest
from crawler.warc.lookup import originals
from crawler.withheld import NAME as WITHHELD

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from crawler.engine import Read

    #: Its own index, or the lines of all captures that its revisits may refer to.
    Needs = Literal["nothing", "index", "originals"]

_SEGMENT = re.compile(rb'"filename": "([^"]+)"')
_FOLDERS = ("warcs", "indexes", "spool", "spiders")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loan:
    """A segment, and all that reading it may ask for."""

    #: Where the collection is on the machine that lends.
    root: str
    segment: str
    sha256: str
    told: Any
    version: str
    #: Path within a collection → its content, compressed.
    files: dict[str, bytes] = field(repr=False)
    #: Destination → where it is, and what its probe found.
    destinations: dict[str, tuple[dict[str, Any], dict[str, Any] | None]]
    #: Proven ones, of this segment and of those that it refers to.
    copies: tuple[Copy, ...]


def cluster(collection: Collection, address: str, needs: Needs = "nothing") -> Cluster:
    """Return what has segments of a collection read by the engine at an address. ``needs``: what goes with each."""

    def run(read: Read, segments: Sequence[tuple[str, Any]], place: Path) -> Iterator[tuple[str, Path, Any]]:
        loans = lend(collection, segments, needs)
        for loan, path, answer in engine.run(partial(borrow, read), loans, place, engine=address):
            yield loan.segment, path, answer

    here = {path.name for path in collection.sealed_segments()}
    with closing(_ledger(collection)) as copies:
        known = {one.object.removeprefix("warcs/") for one in copies.all() if one.state is CopyState.PROVEN}
    standing = {one.segment for one in manifest.standing(manifest.read(collection.manifest))}
    return Cluster(run, frozenset((standing & known) - here))


def _ledger(collection: Collection) -> Copies:
    path = collection.root / "copies.sqlite"
    return Copies(path if path.is_file() else Path(":memory:"))


def lend(collection: Collection, segments: Sequence[tuple[str, Any]], needs: Needs) -> Iterator[Loan]:
    """Yield the loan of each segment, with what it is told."""
    entries = {one.segment: one for one in manifest.read(collection.manifest)}
    # Only pages are read through a revisit; of a file its own record says enough.
    texts = [name for name, _ in segments if needs == "originals" and class_of(name) == SegmentClass.TEXT]
    lines = originals(collection.indexes, texts)
    common = _files(collection, [Path("collection.json"), Path(WITHHELD), Path(deaths.NAME), *_spiders(collection)])
    with closing(_ledger(collection)) as copies:
        known = {
            name: (facts, profile) for name, (facts, profile, trouble) in copies.destinations().items() if not trouble
        }
        for name, told in segments:
            needed = {name} | _named(lines.get(name, ()))
            proven = [one for segment in sorted(needed) for one in copies.all_of(f"warcs/{segment}")]
            proven = [one for one in proven if one.state is CopyState.PROVEN and one.destination in known]
            own = [Path("indexes") / f"{name.removesuffix('.warc.gz')}.cdxj"] if needs == "index" else []
            extra = {"indexes/originals.cdxj": zlib.compress(b"".join(lines[name]))} if name in lines else {}
            yield Loan(
                root=str(collection.root.absolute()), segment=name, told=told, version=outlast_version(),
                sha256=entries[name].sha256 if name in entries else "",
                files={**common, **_files(collection, own), **extra},
                destinations={one.destination: known[one.destination] for one in proven}, copies=tuple(proven),
            )  # fmt: skip


def borrow(read: Read, loan: Loan, out: Path) -> Any:
    """Read a segment that was lent; called on the machine that borrows it."""
    if loan.version != outlast_version():
        raise UsageError(f"A worker of the engine has Outlast {outlast_version()}, and this is {loan.version}.")
    if (here := _here(loan)) is not None:
        return read(Desk(here, loan.segment, loan.told, reader(here)), out)
    with _made(loan) as made:
        return read(Desk(made, loan.segment, loan.told, reader(made)), out)


def _here(loan: Loan) -> Collection | None:
    """Return the collection itself, where this machine sees it and the segment is there."""
    root = Path(loan.root)
    with suppress(OSError):
        is_same = (root / "collection.json").read_bytes() == zlib.decompress(loan.files["collection.json"])
        if is_same and (root / "warcs" / loan.segment).is_file():
            return Collection.open(root)
    return None


@contextmanager
def _made(loan: Loan) -> Iterator[Collection]:
    """Make a collection of this segment alone, for the while."""
    with tempfile.TemporaryDirectory(prefix="outlast-loan-") as folder:
        root = Path(folder)
        for name in _FOLDERS:
            (root / name).mkdir()
        for name, data in loan.files.items():
            (root / name).write_bytes(zlib.decompress(data))
        with closing(Copies(root / "copies.sqlite")) as copies:
            for name, (facts, profile) in loan.destinations.items():
                copies.add(name, facts)
                copies.set_profile(name, profile or {})
            copies.want(loan.copies, now=0.0)
        _bring(loan, root / "warcs" / loan.segment)
        yield Collection.open(root)


def _bring(loan: Loan, path: Path) -> None:
    faults = ["no destination has it, proven."]
    for copy in (one for one in loan.copies if one.object == f"warcs/{loan.segment}"):
        try:
            with closing(open_store(Destination(**loan.destinations[copy.destination][0]))) as store:
                if store.download(copy.key, path) == loan.sha256:
                    return
            faults.append(f"{copy.destination} gave something else.")
        except OutlastError as e:
            faults.append(str(e))
    raise NotHere(
        f"No worker can read {loan.segment}: {loan.root} is not on a disk that they share, and {' '.join(faults)}"
    )


def _files(collection: Collection, names: Iterable[Path]) -> dict[str, bytes]:
    paths = [(name, collection.root / name) for name in names]
    return {str(name): zlib.compress(path.read_bytes()) for name, path in paths if path.is_file()}


def _spiders(collection: Collection) -> Iterator[Path]:
    return (path.relative_to(collection.root) for path in sorted((collection.root / "spiders").glob("*.py")))


def _named(lines: Iterable[bytes]) -> set[str]:
    """Return the segments that lines of an index name."""
    return {found[1].decode() for line in lines if (found := _SEGMENT.search(line))}
