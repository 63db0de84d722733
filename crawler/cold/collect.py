"""The other side of a grant: what a volunteer sent becomes a collection here, every file checked.

A volunteer may send anything: only known kinds of files are taken, under names that lead nowhere else, and no code.
What comes is a collection like one that was pulled: ``archive verify`` looks into it before it is merged.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from hashlib import file_digest
from typing import TYPE_CHECKING

from crawler.cold.store import Absent
from crawler.collection import Collection, is_vacant, sync_directory
from crawler.errors import Damaged, NotACollection, OutlastError

if TYPE_CHECKING:
    from pathlib import Path

    from crawler.cold.grant import Grant
    from crawler.cold.store import Store

#: What is taken; the rest is left: a spider is code, and work that is left would have us ask what a volunteer likes.
_TAKEN = re.compile(
    r"warcs/[A-Za-z0-9][A-Za-z0-9._-]{0,200}\.warc\.gz|indexes/[A-Za-z0-9][A-Za-z0-9._-]{0,200}\.cdxj"
    r"|evidence/(from-[0-9a-f]+/)?[a-z]+(-[0-9]+)?\.jsonl?|manifest\.jsonl|collection\.json"
)
#: Bytes of a list.
_LONGEST = 64 << 20


@dataclass(slots=True)
class Collected:
    """What came of it."""

    files: int = 0
    bytes: int = 0
    here_already: int = 0
    #: file → why it was not taken.
    refused: dict[str, str] = field(default_factory=dict)


def collect(store: Store, grant: Grant, root: Path) -> Collected:
    """Fetch what a volunteer sent into a directory that is missing, empty, or holds a part of it.

    Raises Absent where nothing came yet, Damaged where the list of it is no list, NotACollection where ``root`` or what
    came is none.
    """
    if not is_vacant(root) and not (root / "collecting").exists():
        raise NotACollection(f"{root} exists and is not what came of a grant; name another with --into.")
    files = _listed(store, grant)
    for folder in ("warcs", "indexes", "spool", "logs", "evidence"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "collecting").touch()
    told = Collected()
    # The marker comes last: a directory with one is a collection.
    for path, sha256, key in sorted(files, key=lambda one: one[0] == "collection.json"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        try:
            _take(store, key, root / path, sha256, told)
        except OutlastError as e:
            told.refused[path] = str(e)
    Collection.open(root)
    return told


def _listed(store: Store, grant: Grant) -> list[tuple[str, str, str]]:
    """Return (path, SHA-256, key) of the newest list's files that are taken."""
    lists = [one.key for one in grant.slots if one.kind == "inventory"]
    sizes = {key: head["ContentLength"] for key in lists if (head := store.head(key)) is not None}
    if not sizes:
        raise Absent(f"{grant.name} has sent nothing yet, or is not done.")
    newest = max(sizes)
    keys = {one.key for one in grant.slots}
    try:
        found = json.loads(store.get(newest) if sizes[newest] <= _LONGEST else b"")["files"]
        listed = [(str(one["path"]), str(one["sha256"]), str(one["key"])) for one in found]
    except (ValueError, KeyError, TypeError) as e:
        raise Damaged(f"{grant.name} sent a list that is none.") from e
    return [(path, sha256, key) for path, sha256, key in listed if _TAKEN.fullmatch(path) and key in keys]


def _take(store: Store, key: str, path: Path, wanted: str, told: Collected) -> None:
    if path.exists():
        with path.open("rb") as file:
            if file_digest(file, "sha256").hexdigest() == wanted:
                told.here_already += 1
                return
    part = path.with_name(f"{path.name}.part")
    sha256 = store.download(key, part)
    if sha256 != wanted:
        part.unlink()
        raise Damaged(f"It is not what was said to come: its SHA-256 is {sha256[:12]}…")
    told.bytes += part.stat().st_size
    part.rename(path)
    sync_directory(path.parent)
    told.files += 1
