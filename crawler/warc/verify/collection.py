"""A collection of ours: every segment, its index, the manifest, and what they say of each other."""

from __future__ import annotations

import hashlib
import re
import tempfile
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

from crawler.collection import OPEN_SUFFIX, class_of, salvaged_name
from crawler.errors import Damaged
from crawler.model import SegmentClass
from crawler.warc import cdxj, manifest
from crawler.warc.reader import Records
from crawler.warc.verify.files import check_file
from crawler.warc.verify.many import joined, noted, run
from crawler.warc.verify.references import References
from crawler.warc.verify.rules import finding, of_others

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from crawler.engine import Cluster, Desk
    from crawler.warc.reader import RawRecord
    from crawler.warc.verify.rules import Finding

_OFFSET = re.compile(rb'"offset": "(\d+)"')


def verify_collection(
    warcs: Path,
    indexes: Path,
    manifest_path: Path,
    *,
    jobs: int = 1,
    elsewhere: Mapping[str, Sequence[str]] | None = None,
    cluster: Cluster | None = None,
) -> Iterator[Finding]:
    """Yield what is wrong with a collection: files, indexes, manifest, and what they say of each other.

    ``elsewhere``: segment → who has it, of those that went from here; what they hold may be referred to. ``cluster``:
    an engine that checks the segments, also those that are only elsewhere.
    """
    elsewhere = elsewhere or {}
    references = References()
    try:
        entries = {entry.segment: entry for entry in manifest.read(manifest_path)}
    except Damaged as e:
        yield finding("C003-chain", manifest_path.name, 0, str(e))
        entries = {}
    present, still_open = sorted(warcs.glob("*.warc.gz")), sorted(warcs.glob(f"*{OPEN_SUFFIX}"))
    afar = cluster.afar if cluster else frozenset()
    if cluster is not None:
        yield from _by(cluster, sorted({path.name for path in present} | afar), entries, references)
    else:
        yield from run([partial(_segment, path, indexes, entries.get(path.name)) for path in present], references, jobs)
    # What a crash left open may hold what a sealed revisit refers to.
    for path in still_open:
        yield finding("C007-open", path.name, 0)
        for record in Records(path):
            if record.type == "response":
                references.add(path.name, record)
    here = {path.name.removesuffix(OPEN_SUFFIX) for path in (*present, *still_open)}
    replaced = {entry.replaces: entry.segment for entry in entries.values() if entry.replaces}
    for name in sorted(replaced.keys() & entries.keys() - here):
        yield finding("C011-withheld", name, 0, f"{replaced[name]} stands in its place")
    # What was salvaged of a damaged segment stands in its place.
    gone = sorted(name for name in entries.keys() - here - replaced.keys() if salvaged_name(name) not in here)
    for name in gone:
        owners = elsewhere.get(name)
        yield finding("C010-elsewhere", name, 0, ", ".join(owners)) if owners else finding("C006-gone", name, 0)
    for found in references.unresolved(whole=not elsewhere.keys() & set(gone) - afar, ours=True):
        yield found if _is_ours(found.file) else of_others(found)


def _is_ours(name: str) -> bool:
    return class_of(name) != SegmentClass.IMPORTED


def _by(
    cluster: Cluster, names: Iterable[str], entries: Mapping[str, manifest.Entry], references: References
) -> Iterator[Finding]:
    with tempfile.TemporaryDirectory(prefix="outlast-verify-") as folder:
        tasks = [(name, entries.get(name)) for name in names]
        yield from joined(cluster.run(check_segment, tasks, Path(folder)), references)


def check_segment(desk: Desk, out: Path) -> None:
    """Check a segment as one of its collection: ``desk.told`` is its line of the manifest."""
    collection = desk.collection
    noted(partial(_segment, collection.warcs / desk.segment, collection.indexes, desk.told), out)


def verify_frontier(places: Iterable[tuple[str, int]], indexes: Path) -> Iterator[Finding]:
    """Yield what the crawl counts as saved and no index names. ``places``: segment and offset of each answer, in order.

    The index is held against its segment elsewhere; segments without one are still open.
    """
    for name, answers in groupby(places, key=itemgetter(0)):
        index = indexes / f"{name.removesuffix('.warc.gz')}.cdxj"
        if not index.exists():
            continue
        known = {int(found[1]) for found in _OFFSET.finditer(index.read_bytes())}
        lost = sorted(offset for _, offset in answers if offset not in known)
        if lost:
            yield finding("C009-frontier", name, lost[0], f"{len(lost)} answers, the first of them here")


def _segment(path: Path, indexes: Path, entry: manifest.Entry | None, references: References) -> Iterator[Finding]:
    digest, indexer = hashlib.sha256(), cdxj.Indexer(path.name)
    lines: list[str] = []
    count = 0

    def each(record: RawRecord) -> None:
        nonlocal count
        count += 1
        if (line := indexer.line(record)) is not None:
            lines.append(line)

    ours = _is_ours(path.name)
    for found in check_file(path, references, seen=digest.update, each=each, ours=ours):
        yield found if ours else of_others(found)
    yield from _entered(path, entry, digest.hexdigest(), count)
    index = indexes / f"{path.name.removesuffix('.warc.gz')}.cdxj"
    if not index.exists():
        yield finding("C002-no-index", path.name, 0)
    elif (have := index.read_bytes()) != (due := cdxj.index(lines)):
        yield finding("C001-index", index.name, 0, _difference(have, due))


def _entered(path: Path, entry: manifest.Entry | None, digest: str, count: int) -> Iterator[Finding]:
    if entry is None:
        yield finding("C005-not-entered", path.name, 0)
    elif (entry.sha256, entry.bytes) != (digest, path.stat().st_size):
        yield finding("C004-fixity", path.name, 0, f"sha256 {digest}, the manifest says {entry.sha256}")
    elif entry.records != count:
        yield finding("C008-count", path.name, 0, f"{count}, the manifest says {entry.records}")


def _difference(found: bytes, due: bytes) -> str:
    lines, wanted = set(found.splitlines()), set(due.splitlines())
    if lines == wanted:
        return "its lines are out of order or repeated"
    return f"{len(wanted - lines)} records are not in it, {len(lines - wanted)} of its lines match no record"
