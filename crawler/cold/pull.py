"""Pull: a collection back from a destination, each file checked against the manifest before it gets its name.

The manifest says what there is; its chain says that nothing of it was changed. What is here already is not fetched
again, so a pull that was interrupted goes on. A frontier is not needed: the next crawl makes it anew from the WARCs.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from fnmatch import fnmatch
from hashlib import file_digest
from typing import TYPE_CHECKING

from crawler.cold.store import Archived
from crawler.collection import Collection, is_vacant, sync_directory
from crawler.errors import Damaged, NotACollection, OutlastError, UsageError
from crawler.warc import manifest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from crawler.cold.store import Store

_MARKER = re.compile(r"(?P<place>.*/)?collection-(?P<sum>[0-9a-f]{12})(?:~\d+)?\.json")
_SUM = re.compile(r"-(?P<sum>[0-9a-f]{12})(?:~\d+)?(?P<end>\.warc\.gz|\.jsonl|\.cdxj|\.json)$")
#: Seconds between looks at what is being restored from an archive.
LOOK = 5.0


@dataclass(slots=True)
class Pulled:
    """What came of a pull."""

    segments: int = 0
    bytes: int = 0
    here_already: int = 0
    #: Segments of the manifest that the destination does not have, or not as they were; those left out are not in it.
    missing: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is wanted of a collection."""

    #: Shell patterns of segments' names; empty for all.
    segments: tuple[str, ...] = ()
    #: Ask for archived segments to be restored, at this tier (Bulk, Standard, Expedited), and wait for them.
    tier: str = ""
    days: int = 7
    patience: float = 72 * 3600.0


def pull(
    store: Store, prefix: str, root: Path, wish: Wish, *, say: Callable[[str], None] = lambda text: None
) -> Pulled:
    """Fetch the collection below ``prefix`` into a directory that is missing, empty, or holds a part of it.

    Raises UsageError where there is no collection below the prefix, or several; Damaged where its manifest is no good.
    """
    keys = dict(store.objects(f"{prefix}/" if prefix else ""))
    place = _place(keys, prefix)
    if not is_vacant(root) and not (root / "collection.json").exists() and not (root / "pulling").exists():
        raise NotACollection(f"{root} exists and is not an Outlast collection; name another with --into.")
    for folder in ("warcs", "indexes", "spool", "logs"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "pulling").touch()
    here = {key.removeprefix(place): key for key in keys if key.startswith(place)}
    entries = _manifest(store, here, root)
    pulled = Pulled()
    for entry in entries:
        if not wish.segments or any(fnmatch(entry.segment, pattern) for pattern in wish.segments):
            _segment(store, here, root, entry, wish, pulled, say)
    _indexes(store, here, root)
    # The marker comes last: a directory with one is a collection.
    _take(store, _newest(here, "collection-", ".json"), root / "collection.json", sha256="")
    Collection.open(root)
    (root / "pulling").unlink()
    sync_directory(root)
    return pulled


def _place(keys: dict[str, int], prefix: str) -> str:
    """Return where the one collection below a prefix is, with the slash at its end."""
    places = {found["place"] or "" for key in keys if (found := _MARKER.fullmatch(key))}
    if not places:
        raise UsageError(f"There is no collection below {prefix or 'the bucket'}.")
    if len(places) > 1:
        raise UsageError(f"There are several collections; name one: {', '.join(sorted(places))}")
    return places.pop()


def _manifest(store: Store, here: dict[str, str], root: Path) -> list[manifest.Entry]:
    key = _newest(here, "manifest/", ".jsonl")
    _take(store, key, root / "manifest.jsonl", sha256="")
    entries = manifest.read(root / "manifest.jsonl")
    count = int(key.rpartition("/")[2].split("-")[0])
    if len(entries) != count:
        raise Damaged(f"{key} should have {count} entries and has {len(entries)}.")
    return entries


def _newest(here: dict[str, str], start: str, end: str) -> str:
    """Return the key of the newest of the files that are kept under several names."""
    names = sorted(name for name in here if name.startswith(start) and name.endswith(end))
    if not names:
        raise Damaged(f"The destination has no {start}…{end}.")
    return here[names[-1]]


def _segment(
    store: Store, here: dict[str, str], root: Path, entry: manifest.Entry, wish: Wish, pulled: Pulled,
    say: Callable[[str], None],
) -> None:  # fmt: skip
    path = root / "warcs" / entry.segment
    if path.exists():
        with path.open("rb") as file:
            if file_digest(file, "sha256").hexdigest() == entry.sha256:
                pulled.here_already += 1
                return
    stem = f"warcs/{entry.segment.removesuffix('.warc.gz')}-{entry.sha256[:12]}"
    names = [name for name in sorted(here) if name.startswith(stem) and _SUM.search(name)]
    why = "the destination does not have it"
    for name in names:
        try:
            _awake(store, here[name], wish, say)
            _take(store, here[name], path, sha256=entry.sha256)
        except Damaged as e:
            why = str(e)
            continue
        pulled.segments += 1
        pulled.bytes += entry.bytes
        return
    pulled.missing[entry.segment] = why
    say(f"{entry.segment}: {why}")


def _awake(store: Store, key: str, wish: Wish, say: Callable[[str], None]) -> None:
    """Have an archived object restored, and wait until it is there."""
    if store.is_awake(key):
        return
    if not wish.tier:
        raise OutlastError(f"{key} is in an archive class; --restore Bulk asks for it back and waits.")
    store.restore(key, days=wish.days, tier=wish.tier)
    say(f"{key} is being restored ({wish.tier}); this may take hours.")
    until = time.monotonic() + wish.patience
    while not store.is_awake(key):
        if time.monotonic() > until:
            raise Archived(f"{key} is still being restored; the same command goes on.")
        time.sleep(LOOK)


def _indexes(store: Store, here: dict[str, str], root: Path) -> None:
    """Take the newest index of each segment that is here."""
    for path in sorted((root / "warcs").glob("*.warc.gz")):
        stem = path.name.removesuffix(".warc.gz")
        found = [name for name in sorted(here) if name.startswith(f"indexes/{stem}-")]
        if found and not (root / "indexes" / f"{stem}.cdxj").exists():
            _take(store, here[found[-1]], root / "indexes" / f"{stem}.cdxj", sha256="")


def _take(store: Store, key: str, path: Path, *, sha256: str) -> None:
    """Fetch an object into a file that gets its name once it is what it should be; its key has its hash."""
    wanted = sha256 or ""
    short = found["sum"] if (found := _SUM.search(key)) else ""
    part = path.with_name(path.name + ".part")
    digest = store.download(key, part)
    if (wanted and digest != wanted) or not digest.startswith(short):
        part.unlink()
        raise Damaged(f"{key} is not what was pushed: its SHA-256 is {digest[:12]}…")
    part.rename(path)
    sync_directory(path.parent)
