"""The directory of one archive: its marker, its lock, its format version, and every path in it.

    DIR/
      collection.json          what this is: format version, id, seed, platform
      lock                     held with flock by the one run that may write (push.lock and others: one job each)
      frontier.sqlite          every known fetch and where it stands
      warcs/NAME.warc.gz       sealed segments; NAME.warc.gz.open while being written
      indexes/NAME.cdxj        one sorted CDXJ file a segment
      spiders/NAME-SHA.py      the site's own spider, where there is one, each version of it
      controls.jsonl           orders to the crawl, a line each
      plan.jsonl               what was planned for a deadline, window or budget, a line each time that it changed
      checkpoint.jsonl.gz      the work that was left, for a machine that never saw this one; coverage.json likewise
      damaged/                 segments that were found damaged, as they are; ``archive repair`` put them there
      dashboard.url            where a running crawl's live page is, for its owner alone; gone when it ends
      withheld.jsonl           what was taken down, by whom and why; ``archive takedown`` and nothing else adds to it
      deathwatch.jsonl         what died when, and the records that show it and captured nothing
      withheld/                segments that were rewritten without it, until they are purged
      manifest.jsonl           one hash-chained line a sealed segment
      evidence/                signed statements of all this, and time-stamps of the manifest's head
      dataset.sqlite           what the WARCs say, as tables; made anew from them at any time (dataset.lock: by one run)
      coordinator.json         where volunteers find a coordinator of this; coordinator.pem: what it shows them
      incoming/                parts of volunteers' segments that come through it
      volunteer.json           who this is to its coordinator, for its owner alone; volunteer.pem: what it signs with
      copies.sqlite            which copy of what is where, and what proved it
      encrypted/               segments as they leave, where copies are encrypted
      replay/                  replay index and list of pages; made anew from the WARCs at any time
      report.html              what is held and what is not, for people
      spool/                   big bodies on their way into a record; swept at every start
      logs/crawl.log           what happened, for people

A collection holds no absolute path and can be moved or copied while nobody writes to it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import uuid
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from crawler.errors import NO_ROOM, DiskFull, Locked, NoCollection, NotACollection, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.model import Seed, SegmentClass

FORMAT = 1
OPEN_SUFFIX = ".open"
#: What is made before the marker, empty.
_FOLDERS = ("warcs", "indexes", "spool", "logs")
_MARKER_PART = "collection.json.part"


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """The content of ``collection.json``."""

    format: int
    id: str
    created: str
    #: The first is the one the collection is named after.
    seeds: list[str]
    platform: str
    options: dict[str, str] = field(default_factory=dict)
    since: str | None = None
    until: str | None = None
    #: Templates of URLs that are swept → in which order.
    templates: dict[str, str] = field(default_factory=dict)
    #: Where a spider of its own reads this site, each version of its file: ``name``, ``sha256``, ``since``. The last
    #: is the one that is used.
    spiders: list[dict[str, str]] = field(default_factory=list)
    #: The database of the fleet that crawls with it, or where its coordinator is; empty where its frontier is its own.
    frontier: str = ""

    @property
    def seed(self) -> str:
        return self.seeds[0]


class Collection:
    """A collection on disk. ``create`` makes one, ``open`` finds one; neither takes the lock."""

    def __init__(self, root: Path, marker: Marker) -> None:
        self.root = root
        self.marker = marker
        self.warcs = root / "warcs"
        self.indexes = root / "indexes"
        self.manifest = root / "manifest.jsonl"
        self.evidence = root / "evidence"
        self.frontier = root / "frontier.sqlite"
        self.spool = root / "spool"
        self.checkpoint = root / "checkpoint.jsonl.gz"
        self.plan = root / "plan.jsonl"
        self.log = root / "logs" / "crawl.log"

    @property
    def places(self) -> tuple[Path, ...]:
        """The directories that are written to, which may be on disks of their own."""
        return (self.root, self.warcs, self.spool, self.indexes, self.log.parent)

    @classmethod
    def open(cls, root: Path) -> Self:
        """Open an existing collection.

        Raises NoCollection where there is no such directory, NotACollection where it is something else, and
        UsageError where it was made by a newer Outlast.
        """
        path = root / "collection.json"
        if not root.exists():
            raise NoCollection(f"There is no collection at {root}.")
        if not path.is_file():
            raise NotACollection(f"{root} is not an Outlast collection (it has no collection.json).")
        try:
            facts: dict[str, Any] = json.loads(path.read_text("utf-8"))
            version = int(facts["format"])
            if version > FORMAT:
                raise UsageError(
                    f"{root} has collection format {version}; this Outlast reads up to {FORMAT}: update it."
                )
            marker = Marker(**facts)
        except (ValueError, KeyError, TypeError) as e:
            raise NotACollection(f"{path} is not readable as a collection marker: {e}") from e
        return cls(root, marker)

    @classmethod
    def create(
        cls, root: Path, seed: Seed, platform: str, *, frontier: str = "", beside: frozenset[str] = frozenset()
    ) -> Self:  # fmt: skip
        """Make a new, empty collection; ``root`` must be missing or vacant, but for the files ``beside``."""
        if not is_vacant(root, beside):
            raise NotACollection(f"{root} exists and is not an Outlast collection; name another with --into.")
        marker = Marker(
            format=FORMAT,
            id=uuid.uuid4().hex[:12],
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            seeds=[seed.url],
            platform=platform,
            options=seed.options,
            since=seed.since,
            until=seed.until,
            frontier=frontier,
        )
        made = cls(root, marker)
        missing = [folder for folder in root.parents if not folder.exists()]
        try:
            for name in _FOLDERS:
                (root / name).mkdir(parents=True, exist_ok=True)
            made._write_marker()
            for folder in (root, *missing):
                with suppress(PermissionError):  # a parent that we may not read we did not write either
                    sync_directory(folder.parent)
        except OSError as e:
            raise (DiskFull if e.errno in NO_ROOM else UsageError)(f"{root} cannot be written: {e.strerror}.") from e
        return made

    def add_seed(self, seed: Seed) -> None:
        """Let a further seed belong to this collection."""
        self.marker = replace(self.marker, seeds=[*self.marker.seeds, seed.url])
        self._write_marker()

    def add_templates(self, templates: dict[str, str]) -> None:
        """Let the ids of these templates belong to this collection; one that does already keeps its order."""
        if templates.keys() - self.marker.templates.keys():
            self.marker = replace(self.marker, templates={**templates, **self.marker.templates})
            self._write_marker()

    def join_fleet(self, address: str) -> None:
        """Let a database be this collection's frontier."""
        if self.marker.frontier != address:
            self.marker = replace(self.marker, frontier=address)
            self._write_marker()

    @property
    def spider_file(self) -> Path | None:
        """The file of this collection's own spider, None where its platform has one."""
        return self.root / "spiders" / _kept_as(self.marker.spiders[-1]) if self.marker.spiders else None

    def add_spider(self, path: Path, platform: str) -> bool:
        """Keep a copy of a spider's file, and let it read this collection from now on; say whether it is another one.

        Each version is kept: captures were read with it.
        """
        source = path.read_bytes()
        name = self.marker.spiders[-1]["name"] if path == self.spider_file else path.name
        told = {"name": name, "sha256": hashlib.sha256(source).hexdigest()}
        if self.marker.spiders and self.marker.spiders[-1]["sha256"] == told["sha256"]:
            return False
        told["since"] = datetime.now(UTC).isoformat(timespec="seconds")
        folder = self.root / "spiders"
        folder.mkdir(exist_ok=True)
        with (folder / _kept_as(told)).open("wb") as out:
            out.write(source)
            out.flush()
            os.fsync(out.fileno())
        sync_directory(folder)
        self.marker = replace(self.marker, platform=platform, spiders=[*self.marker.spiders, told])
        self._write_marker()
        return True

    def _write_marker(self) -> None:
        text = json.dumps(asdict(self.marker), indent=2, ensure_ascii=False)
        part = self.root / _MARKER_PART
        with part.open("w", encoding="utf-8") as out:
            out.write(text + "\n")
            out.flush()
            os.fsync(out.fileno())
        part.rename(self.root / "collection.json")
        sync_directory(self.root)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the collection for writing. Raises Locked at once if another run holds it."""
        with (self.root / "lock").open("a+") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as e:
                handle.seek(0)
                holder = handle.read().strip()
                raise Locked(f"{self.root} is in use by another run{f' (pid {holder})' if holder else ''}.") from e
            handle.truncate(0)
            handle.write(str(os.getpid()))
            handle.flush()
            yield

    def is_locked(self) -> bool:
        """Say whether a run holds this collection now."""
        try:
            with (self.root / "lock").open("r") as handle:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return False

    @property
    def name(self) -> str:
        """The part of a segment name that says which collection it is from: the seed's host."""
        return re.sub(r"[^A-Za-z0-9.]+", "_", urlsplit(self.marker.seed).hostname or "site")

    def segment_name(self, serial: int, worker: str, segment_class: SegmentClass) -> str:
        """Return the file name of a new segment, without ``.open``."""
        stamp = datetime.now(UTC).strftime("%Y%m%d%H%M%S")
        return f"OUTLAST-{self.name}-{stamp}-{serial:05d}-{worker}-{segment_class.value}.warc.gz"

    def set_aside(self, segment: str, folder: str) -> None:
        """Move a segment and its index to a folder; the segment last, as it is what the next run would look for."""
        (aside := self.root / folder).mkdir(exist_ok=True)
        for path in (self.indexes / f"{segment.removesuffix('.warc.gz')}.cdxj", self.warcs / segment):
            if path.exists():
                path.rename(aside / path.name)
                sync_directory(path.parent)
        sync_directory(aside)
        sync_directory(self.root)

    def open_segments(self) -> list[Path]:
        """Return the segments still being written, or left so by a crash, oldest first."""
        return sorted(self.warcs.glob(f"*.warc.gz{OPEN_SUFFIX}"))

    def sealed_segments(self) -> list[Path]:
        """Return the sealed segments, oldest first."""
        return sorted(self.warcs.glob("*.warc.gz"))


def serial_of(segment: str) -> int:
    """Return the serial number in the name of a segment, 0 where it has none."""
    found = re.search(r"-\d{14}-(\d{5,9})-", segment)
    return int(found[1]) if found else 0


def class_of(segment: str) -> str:
    """Return the class of a segment, by its file name or that of its index."""
    return segment.partition(".warc")[0].removesuffix(".cdxj").rpartition("-")[2]


def _kept_as(spider: dict[str, str]) -> str:
    """Return the file name of a version of a spider."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", Path(spider["name"]).stem)[:60]
    return f"{stem}-{spider['sha256'][:12]}.py"


def default_root(seed: Seed) -> Path:
    """Return ``./<host>[-path]``, where a crawl of this seed goes without ``--into``."""
    parts = urlsplit(seed.url)
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{parts.netloc}{parts.path}".replace(":", "-").replace("/", "-"))
    return Path(slug.strip("-.")[:120] or "site")


def is_vacant(root: Path, beside: frozenset[str] = frozenset()) -> bool:
    """Say whether a collection can be made here: nothing is, or no more than a power cut left of making one.

    ``beside`` names files that may be there.
    """
    if not root.exists():
        return True
    return root.is_dir() and all(
        place.name == _MARKER_PART
        or place.name in beside
        or (place.name in _FOLDERS and place.is_dir() and not any(place.iterdir()))
        for place in root.iterdir()
    )


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def salvaged_name(segment: str) -> str:
    """Return the name of the segment that holds what was salvaged of a damaged one."""
    start, _, kind = segment.removesuffix(".warc.gz").rpartition("-")
    return f"{start}-salvaged-{kind}.warc.gz"
