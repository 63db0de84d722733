"""What a collection consists of, as objects to be copied: sealed segments, and what finds them again.

A segment's sums come from the manifest: they were taken from disk when it was sealed, and nobody hashes it again. Keys
contain the content's hash, so nothing is ever overwritten, and the same bytes have the same name.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crawler import deaths
from crawler.cold.encrypt import SUFFIX, encrypt, recipients
from crawler.errors import DatabaseLost
from crawler.evidence.canonical import canonical, write
from crawler.evidence.holdings import coverage
from crawler.frontier import checkpoint
from crawler.frontier.engines import at_hand
from crawler.model import SegmentClass
from crawler.warc import manifest
from crawler.warc.seal import PART_BYTES
from crawler.withheld import Withheld

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from crawler.cold.destination import Destination
    from crawler.collection import Collection

log = logging.getLogger("outlast.push")

_PIECE = 1 << 20
#: Seconds between notes of the work that is left while a crawl runs: there may be millions.
NOTE_EVERY = 3600.0
#: Which class leaves the machine first: text can say what images were, not the other way round.
ORDER = (
    SegmentClass.TEXT, SegmentClass.RESTRICTED, SegmentClass.ATTEMPTS, SegmentClass.IMAGES, SegmentClass.ORIGINALS,
    SegmentClass.IMPORTED,
)  # fmt: skip
#: What may tell where it was made.
_WITH_PLACES = frozenset({SegmentClass.ORIGINALS, SegmentClass.IMPORTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Object:
    """One file of a collection. Sums are hex."""

    #: Path within the collection.
    path: str
    bytes: int
    sha256: str
    md5: str
    #: Empty where it was never taken.
    crc32: str = ""
    part_bytes: int
    #: The MD5 of each part, in order; one for a file that is no longer than a part.
    part_md5: tuple[str, ...]
    #: Key below the collection's own place.
    key: str
    #: The class of the segment that this is, or is the index of; empty for what is of the whole collection.
    segment_class: str = ""
    #: Whether it finds segments again: it is small, comes last, and must be at hand at once.
    is_hot: bool = False
    #: Whether it tells of everything that is known, also of what is restricted.
    tells_all: bool = False

    def may_go_to(self, destination: Destination, *, public_originals: bool) -> bool:
        """Say whether it may leave for a destination: to a public one nothing restricted goes.

        Originals carry the places where they were taken, as what others saved may: they go there only if somebody
        said so.
        """
        if not destination.public:
            return True
        is_held_back = self.segment_class in _WITH_PLACES and not public_originals
        return not (self.tells_all or is_held_back or self.segment_class == SegmentClass.RESTRICTED)


def place_of(collection: Collection) -> str:
    """Return where a collection's objects are, below a destination's prefix."""
    return f"{collection.name}-{collection.marker.id}"


class Catalogue:
    """The objects of a collection as they are now. Calls may come from several threads."""

    def __init__(self, collection: Collection, *, look: Callable[[], object] = lambda: None) -> None:
        self._collection = collection
        self._withheld = Withheld.load(collection)
        #: Looks through what was sealed for what was taken down.
        self._look = look
        #: Segments that hold what was taken down: they go nowhere.
        self.held_back: frozenset[str] = frozenset()
        self._lock = threading.Lock()
        #: When the work that is left was written down, and whether that was after the crawl.
        self._noted = -NOTE_EVERY
        self._is_final = False
        self._read: tuple[tuple[int, ...], list[Object]] | None = None
        self._hashed: dict[tuple[str, int, int], tuple[str, str, tuple[str, ...]]] = {}

    def segments(self) -> list[Object]:
        """Return the sealed segments, also those that are only elsewhere by now: text first, then as they were sealed.

        Raises Damaged where the manifest is broken.
        """
        with self._lock:
            stamp = (*_stamp(self._collection.manifest), *_stamp(self._withheld.path))
            if self._read is None or self._read[0] != stamp:
                if self._withheld.is_any:
                    self._look()
                self.held_back = frozenset(self._withheld.segments(self._collection.indexes))
                entries = [
                    one for one in manifest.standing(manifest.entered(self._collection))
                    if one.segment not in self.held_back
                ]  # fmt: skip
                found = [one for entry in entries if (one := self._segment(entry)) is not None]
                self._read = stamp, sorted(found, key=_rank)
            return self._read[1]

    def finders(self, *, note: bool = True) -> list[Object]:
        """Return what finds segments again and goes on with them; ``note``: write down first what changes by itself.

        The marker, the manifest as it is now, indexes, spiders, evidence, the work that is left, reports.
        """
        with self._lock:
            if note:
                self._note()
        left = self._collection.checkpoint
        root, count = self._collection.root, len(manifest.read(self._collection.manifest))
        names = {
            root / "collection.json": "collection-{}.json",
            self._collection.manifest: f"manifest/{count:08d}-{{}}.jsonl",
            **{path: f"indexes/{path.stem}-{{}}.cdxj" for path in self._shown_indexes()},
            self._withheld.path: "withheld-{}.jsonl",
            root / deaths.NAME: "deathwatch-{}.jsonl",
            **{path: f"spiders/{path.stem}-{{}}.py" for path in sorted((root / "spiders").glob("*.py"))},
            left: f"checkpoint/{int(left.stat().st_mtime) if left.is_file() else 0:012d}-{{}}.jsonl.gz",
            root / "coverage.json": "reports/coverage-{}.json",
            **{path: f"reports/{path.stem}-{{}}{path.suffix}" for path in sorted(root.glob("report.*"))},
            **{path: _evidence(root, path) for path in sorted((root / "evidence").rglob("*.json*"))},
        }
        with self._lock:
            return [self._finder(path, name) for path, name in names.items() if path.is_file()]

    def _shown_indexes(self) -> list[Path]:
        held = {f"{name.removesuffix('.warc.gz')}.cdxj" for name in self.held_back}
        return sorted(path for path in self._collection.indexes.glob("*.cdxj") if path.name not in held)

    def _note(self) -> None:
        """Write down the work that is left and what is held: now and then while a crawl runs, and at its end."""
        is_over = not self._collection.is_locked()
        is_due = time.monotonic() - self._noted > NOTE_EVERY or (is_over and not self._is_final)
        if not is_due:
            return
        self._noted, self._is_final = time.monotonic(), is_over
        if (frontier := at_hand(self._collection)) is None:
            return
        try:
            checkpoint.write(frontier, self._collection.checkpoint)
            told = coverage(frontier)
        except DatabaseLost as e:  # what is held goes all the same
            log.warning("The work that is left was not noted: %s", e)
            return
        finally:
            frontier.close()
        path = self._collection.root / "coverage.json"
        part = path.with_name(f"{path.name}.part")
        part.write_text(json.dumps(told, indent=1, sort_keys=True), "utf-8")
        part.replace(path)

    def path(self, thing: Object) -> Path:
        """Return where an object is on this machine."""
        return self._collection.root / thing.path

    def _segment(self, entry: manifest.Entry) -> Object | None:
        path = self._collection.warcs / entry.segment
        part_bytes, sums = entry.part_bytes, entry.part_md5
        if not sums:  # sealed before there were any
            if not path.is_file():
                return None
            part_bytes, (_, _, sums) = PART_BYTES, self._sums(path)
        stem = entry.segment.removesuffix(".warc.gz")
        if keys := recipients(self._collection):
            return self._encrypted(entry, keys)
        return Object(
            path=f"warcs/{entry.segment}", bytes=entry.bytes, sha256=entry.sha256, md5=entry.md5, crc32=entry.crc32,
            part_bytes=part_bytes, part_md5=sums, key=f"warcs/{stem}-{entry.sha256[:12]}.warc.gz",
            segment_class=entry.segment_class,
        )  # fmt: skip

    def _encrypted(self, entry: manifest.Entry, keys: tuple[str, ...]) -> Object | None:
        """Return the object that a segment is once it is encrypted, which it is now if it was not yet.

        What it became is kept in a file beside it: encrypted anew it would be another. None where neither is here.
        """
        path = self._collection.root / "encrypted" / f"{entry.segment}{SUFFIX}"
        told = path.with_name(f"{path.name}.json")
        origin = {"plain_sha256": entry.sha256, "recipients": list(keys)}
        facts = json.loads(told.read_bytes()) if told.is_file() else {}
        if not origin.items() <= facts.items():
            source = self._collection.warcs / entry.segment
            if not source.is_file():
                return None
            encrypt(source, path, keys)
            sha256, md5, sums = _hashed(path)
            facts = {"bytes": path.stat().st_size, "sha256": sha256, "md5": md5, "part_md5": list(sums), **origin}
            write(told, canonical(facts))
        stem = entry.segment.removesuffix(".warc.gz")
        return Object(
            path=f"encrypted/{path.name}", bytes=facts["bytes"], sha256=facts["sha256"], md5=facts["md5"],
            part_bytes=PART_BYTES, part_md5=tuple(facts["part_md5"]), segment_class=entry.segment_class,
            key=f"warcs/{stem}-{facts['sha256'][:12]}.warc.gz{SUFFIX}",
        )  # fmt: skip

    def _finder(self, path: Path, name: str) -> Object:
        sha256, md5, sums = self._sums(path)
        is_index = path.suffix == ".cdxj"
        return Object(
            path=str(path.relative_to(self._collection.root)), bytes=path.stat().st_size, sha256=sha256, md5=md5,
            part_bytes=PART_BYTES, part_md5=sums, key=name.format(sha256[:12]), is_hot=True,
            segment_class=path.stem.rsplit("-", 1)[-1] if is_index else "",
            tells_all=path.stem.startswith(("report", "coverage", "checkpoint", "withheld", "deathwatch")),
        )  # fmt: skip

    def _sums(self, path: Path) -> tuple[str, str, tuple[str, ...]]:
        """Return SHA-256, MD5 and those of the parts, of a file that does not change under its name, size and time."""
        key = (str(path), *_stamp(path))
        if key not in self._hashed:
            self._hashed[key] = _hashed(path)
        return self._hashed[key]


def _evidence(root: Path, path: Path) -> str:
    return f"{path.parent.relative_to(root)}/{path.stem}-{{}}{path.suffix}"


def _rank(one: Object) -> int:
    return ORDER.index(SegmentClass(one.segment_class)) if one.segment_class in ORDER else len(ORDER)


def _stamp(path: Path) -> tuple[int, int]:
    if not path.exists():
        return (0, 0)
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _hashed(path: Path) -> tuple[str, str, tuple[str, ...]]:
    """Return the SHA-256 and MD5 of a file and the MD5 of each of its parts."""
    whole, whole_md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    sums: list[str] = []
    with path.open("rb") as file:
        while True:
            md5, left = hashlib.md5(usedforsecurity=False), PART_BYTES
            while left and (piece := file.read(min(_PIECE, left))):
                for one in (whole, whole_md5, md5):
                    one.update(piece)
                left -= len(piece)
            if left == PART_BYTES and sums:
                break
            sums.append(md5.hexdigest())
            if left:
                break
    return whole.hexdigest(), whole_md5.hexdigest(), tuple(sums)
