"""A collection as a bag (BagIt 1.0, RFC 8493), the parcel that libraries hand each other.

``data/`` is the collection as it is, and can be verified, replayed and signed like any. Files that never change are
linked where the disk allows it, so that a bag costs no room; what a crawl goes on writing to is copied.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from crawler.collection import sync_directory
from crawler.errors import NO_ROOM, Damaged, DiskFull, UsageError
from crawler.evidence.holdings import files, prefix, settle
from crawler.provenance import outlast_version
from crawler.warc import manifest
from crawler.withheld import check_rewritten

if TYPE_CHECKING:
    from pathlib import Path

    from crawler.collection import Collection

_ESCAPED = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Bagged:
    """The payload of a bag."""

    files: int
    bytes: int


def bag(collection: Collection, output: Path) -> Bagged:
    """Make a bag of a collection; it has its name once it is whole. The caller holds the collection's lock.

    Raises UsageError where ``output`` exists, cannot be written, or a segment of the manifest is not here; Damaged
    where one is not what the manifest says; DiskFull. Then there is no bag.
    """
    if output.exists():
        raise UsageError(f"{output} exists already.")
    part = output.with_name(f".{output.name}.bagging")
    try:
        shutil.rmtree(part, ignore_errors=True)
        (part / "data").mkdir(parents=True)
        sums = _payload(collection, part)
        bagged = Bagged(files=len(sums), bytes=sum((part / name).stat().st_size for name in sums))
        _tags(collection, part, sums, bagged)
        for folder in (part, *(path for path in part.rglob("*") if path.is_dir())):
            sync_directory(folder)
        part.rename(output)
        sync_directory(output.absolute().parent)
    except OSError as e:
        raise (DiskFull if e.errno in NO_ROOM else UsageError)(f"{output} cannot be written: {e.strerror}.") from e
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return bagged


def _payload(collection: Collection, part: Path) -> dict[str, str]:
    """Fill ``data/``; return path in the bag → SHA-256 (hex)."""
    check_rewritten(collection)
    settle(collection)
    sums = {}
    for entry in manifest.standing(manifest.read(collection.manifest)):
        path = collection.warcs / entry.segment
        if not path.is_file():
            raise UsageError(f"{entry.segment} is not here; archive pull fetches it.")
        name = _put(path, part, f"warcs/{entry.segment}", link=True)
        if prefix(part / name)[1] != entry.sha256:
            raise Damaged(f"{entry.segment} is not what the manifest says; archive verify tells more.")
        sums[name] = entry.sha256
    for one in files(collection):
        name = _put(collection.root / one.path, part, one.path, link=one.kind == "fixed")
        sums[name] = one.sha256 if one.kind == "fixed" else prefix(part / name)[1]
    name = _put(collection.manifest, part, collection.manifest.name, link=False)
    return {**sums, name: prefix(part / name)[1]}


def _put(path: Path, part: Path, name: str, *, link: bool) -> str:
    target = part / "data" / name
    target.parent.mkdir(parents=True, exist_ok=True)
    if link:
        try:
            os.link(path, target)
        except OSError:  # another disk, or one that knows no links
            link = False
    if not link:
        shutil.copyfile(path, target)
        with target.open("rb") as file:
            os.fsync(file.fileno())
    return f"data/{name}"


def _tags(collection: Collection, part: Path, sums: dict[str, str], bagged: Bagged) -> None:
    info = {
        "Bag-Software-Agent": f"Outlast/{outlast_version()}",
        "Bagging-Date": datetime.now(UTC).date().isoformat(),
        "External-Identifier": collection.marker.id,
        "External-Description": f"Web archive of {collection.marker.seed}",
        "Payload-Oxum": f"{bagged.bytes}.{bagged.files}",
    }
    texts = {
        "bagit.txt": "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n",
        "bag-info.txt": "".join(f"{name}: {' '.join(value.split())}\n" for name, value in info.items()),
        "manifest-sha256.txt": "".join(f"{sums[name]}  {name.translate(_ESCAPED)}\n" for name in sorted(sums)),
    }
    for name, text in texts.items():
        _write(part / name, text)
    _write(part / "tagmanifest-sha256.txt", "".join(f"{prefix(part / name)[1]}  {name}\n" for name in texts))


def _write(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
