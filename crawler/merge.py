"""Joining collections: the sealed segments of others become segments of one, byte for byte.

Each is copied, held against its own manifest, and sealed here as if it had been written here: read, checked, indexed,
entered, with a note of where it came from. A kill between any two steps leaves what the next call goes on from. What is
in the others is not touched. Their manifests and statements come along under ``evidence/from-ID/``, so that what was
signed there can still be proved.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crawler import deaths
from crawler.collection import Collection, sync_directory
from crawler.errors import Damaged, Locked, UsageError
from crawler.failpoint import failpoint
from crawler.model import Seed
from crawler.warc import manifest
from crawler.warc.seal import seal
from crawler.withheld import check_rewritten

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_SUFFIX = ".merging"
_PIECE = 1 << 20
_OURS = re.compile(r"(?P<start>.+-\d{14}-\d{5}-[^-]+)(?P<end>-[a-z]+\.warc\.gz)")


@dataclass(slots=True)
class Merged:
    """What came of a merge."""

    segments: int = 0
    bytes: int = 0
    #: Segments that were here already.
    known: int = 0
    #: Segment → why it was left out.
    left_out: dict[str, str] = field(default_factory=dict)
    #: Whether any of these is damaged.
    is_damaged: bool = False


def made_like(root: Path, source: Collection) -> Collection:
    """Return the collection at ``root``; where there is none, a new one with the seed of another."""
    if (root / "collection.json").is_file():
        return Collection.open(root)
    marker = source.marker
    seed = Seed(url=marker.seed, since=marker.since, until=marker.until, options=marker.options)
    made = Collection.create(root, seed, marker.platform)
    if source.spider_file is not None:
        made.add_spider(source.spider_file, marker.platform)
    return made


def check(collection: Collection, source: Collection) -> None:
    """Raise UsageError where two collections cannot be one, Locked where a run still writes to the other."""
    if source.root.resolve() == collection.root.resolve():
        raise UsageError(f"{source.root} cannot be merged into itself.")
    ours, theirs = collection.marker, source.marker
    if ours.platform != theirs.platform or _spiders(ours.spiders) != _spiders(theirs.spiders):
        raise UsageError(
            f"{source.root} is read as {theirs.platform} and {collection.root} as {ours.platform}, or not by the same "
            "spider; they cannot be one collection."
        )
    check_rewritten(source)
    if source.is_locked():
        raise Locked(f"{source.root} is still being crawled; wait for it or stop it first.")


def merge(
    collection: Collection, source: Collection, merged: Merged, *, say: Callable[[str], None] = lambda text: None
) -> None:
    """Take in the sealed segments of another collection. The caller holds the lock of ``collection``.

    Raises Damaged where the manifest of either is broken, OSError where a disk refuses.
    """
    for url in source.marker.seeds:
        if url not in collection.marker.seeds:
            collection.add_seed(Seed(url=url))
    collection.add_templates(source.marker.templates)
    for left in collection.warcs.glob(f"*{_SUFFIX}"):
        left.unlink()
    deaths.take_over(collection.root, source.root)  # before there is a record that they strike
    here = {entry.sha256: entry.segment for entry in manifest.read(collection.manifest)}
    for entry in manifest.standing(manifest.read(source.manifest)):
        if entry.sha256 in here and (collection.warcs / here[entry.sha256]).exists():
            merged.known += 1
            continue
        try:
            _take(collection, source, entry, here.get(entry.sha256))
        except (FileNotFoundError, Damaged) as e:
            why = "it is not there" if isinstance(e, FileNotFoundError) else str(e)
            merged.left_out[entry.segment] = why
            merged.is_damaged = merged.is_damaged or isinstance(e, Damaged)
            say(f"{entry.segment}: {why}; it is left out")
            continue
        merged.segments += 1
        merged.bytes += entry.bytes
    for path in source.open_segments():
        merged.left_out[path.name] = "still open"
        say(f"{path.name}: still open; archive resume {source.root} seals it, then merge again")
    _evidence(collection, source)


def _take(collection: Collection, source: Collection, entry: manifest.Entry, entered: str | None) -> None:
    name = entered or _free_name(collection, entry, source.marker.id)
    copy = collection.warcs / f"{name}{_SUFFIX}"
    if _copied(source.warcs / entry.segment, copy) != entry.sha256:
        copy.unlink()
        raise Damaged("it is not what its own manifest says")
    failpoint("merge.copied")
    seal(
        copy, index_dir=collection.indexes, manifest_path=collection.manifest, segment_class=entry.segment_class,
        origin=entry.origin or source.marker.id,
    )  # fmt: skip
    failpoint("merge.sealed")


def _free_name(collection: Collection, entry: manifest.Entry, identity: str) -> str:
    """Return the segment's name, or where another has it, one that says whose it is."""
    if not any((collection.warcs / f"{entry.segment}{end}").exists() for end in ("", ".open")):
        taken = {one.segment for one in manifest.read(collection.manifest)}
        if entry.segment not in taken:
            return entry.segment
    found = _OURS.fullmatch(entry.segment)
    return f"{found['start']}x{identity}{found['end']}" if found else f"{identity}-{entry.segment}"


def _copied(path: Path, copy: Path) -> str:
    """Copy a file durably; return the SHA-256 (hex) of what was read."""
    digest = hashlib.sha256()
    with path.open("rb") as source, copy.open("wb") as out:
        while piece := source.read(_PIECE):
            digest.update(piece)
            out.write(piece)
        out.flush()
        os.fsync(out.fileno())
    return digest.hexdigest()


def _evidence(collection: Collection, source: Collection) -> None:
    """Keep the other's manifest as it is now, and its statements."""
    lines = manifest.lines(source.manifest)
    if not lines:
        return
    folder = collection.evidence / f"from-{source.marker.id}"
    folder.mkdir(parents=True, exist_ok=True)
    kept = {folder / f"manifest-{len(lines):08d}.jsonl": source.manifest}
    kept |= {folder / path.name: path for path in source.evidence.glob("*.json*") if path.is_file()}
    for target, path in kept.items():
        part = target.with_name(target.name + ".part")
        shutil.copyfile(path, part)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.rename(target)
    sync_directory(folder)


def _spiders(versions: list[dict[str, str]]) -> str:
    return versions[-1]["sha256"] if versions else ""
