"""``manifest.jsonl``: one line a sealed segment, each naming the SHA-256 of the line before it.

So no segment can be changed, dropped or slipped in later without breaking the chain from there on.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from crawler.collection import sync_directory
from crawler.errors import Damaged

if TYPE_CHECKING:
    from pathlib import Path

    from _typeshed import DataclassInstance

    from crawler.collection import Collection

#: What the first line names as its predecessor.
GENESIS = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One sealed segment. Digests are hex, sizes bytes, dates as in WARC-Date."""

    sequence: int
    segment: str
    segment_class: str
    bytes: int
    records: int
    sha256: str
    md5: str
    crc32: str
    first_date: str
    last_date: str
    sealed_at: str
    prev: str
    #: Bytes of a part, and of each part in order its MD5 (hex), as uploads in parts want them; nobody hashes again.
    part_bytes: int = 0
    part_md5: tuple[str, ...] = ()
    #: Root (hex) of the Merkle tree whose leaves are the segment's records as they stand in the file.
    records_root: str = ""
    #: The id of the collection that first sealed it, or name and hash of the file that it was; empty for this one.
    origin: str = ""
    #: The segment in whose place it stands: what was taken down is not in this one.
    replaces: str = ""


def read(path: Path) -> list[Entry]:
    """Return the entries; a last line that a crash left torn is not one of them.

    Raises Damaged where a line is unreadable or the chain is broken.
    """
    entries: list[Entry] = []
    prev = GENESIS
    for number, text in enumerate(lines(path), 1):
        try:
            entry = parsed(text)
        except Damaged as e:
            raise Damaged(f"{path}:{number}: {e}") from e
        if entry.prev != prev or entry.sequence != number:
            raise Damaged(f"{path}:{number}: the chain is broken here")
        prev = hashlib.sha256(text).hexdigest()
        entries.append(entry)
    return entries


def standing(entries: list[Entry]) -> list[Entry]:
    """Return the entries in whose place no other stands."""
    replaced = {entry.replaces for entry in entries if entry.replaces}
    return [entry for entry in entries if entry.segment not in replaced]


def parsed(line: bytes) -> Entry:
    """Return the entry in a line. Raises Damaged."""
    try:
        facts = json.loads(line)
        return Entry(**{**facts, "part_md5": tuple(facts.get("part_md5", ()))})
    except (ValueError, TypeError, AttributeError, RecursionError) as e:
        raise Damaged(f"not a manifest line: {e}") from e


def append(path: Path, entry: DataclassInstance) -> None:
    """Add a line to a chain durably. ``sequence`` and ``prev`` of ``entry`` must follow from ``next_link``."""
    whole = sum(len(text) + 1 for text in lines(path))
    with path.open("ab") as out:
        # A torn line, left by a crash, was never acknowledged.
        out.truncate(whole)
        out.write(json.dumps(asdict(entry), separators=(",", ":")).encode() + b"\n")
        out.flush()
        os.fsync(out.fileno())
    sync_directory(path.parent)


def next_link(path: Path) -> tuple[int, str]:
    """Return the sequence number and ``prev`` of the next line."""
    found = lines(path)
    return len(found) + 1, hashlib.sha256(found[-1]).hexdigest() if found else GENESIS


def entered(collection: Collection) -> list[Entry]:
    """Return the entries of a collection. Raises Damaged where segments are sealed and none is entered, too."""
    found = read(collection.manifest)
    if not found and collection.sealed_segments():
        raise Damaged(f"{collection.manifest} is gone or empty, and there are segments; restore it from a copy.")
    return found


def lines(path: Path) -> list[bytes]:
    """Return the lines without their ends, as bytes; a last one that a crash left torn is none."""
    if not path.exists():
        return []
    found = path.read_bytes().split(b"\n")[:-1]
    if found and not _is_whole(found[-1]):
        # A power cut may keep the end of a line and lose the sector before it. If the line was ever acknowledged, then
        # its segment is sealed, and ``archive verify`` misses it here.
        found.pop()
    return found


def _is_whole(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True
