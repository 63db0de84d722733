"""Pull: a collection back from a destination, each file checked against the manifest before it gets its name.

The manifest says what there is; its chain says that nothing of it was changed. What is here already is not fetched
again, so a pull that was interrupted goes on. A frontier is not needed: the next crawl makes it anew from the WARCs.
What an archive class holds is asked for all at once, and fetched as it comes.
"""

from __future__ import annotations

import json
import re
import time
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import file_digest
from typing import TYPE_CHECKING, Any

from crawler.cold.choose import Wanted, chosen
from crawler.cold.copies import Copies
from crawler.cold.encrypt import SUFFIX, decrypt
from crawler.cold.store import Archived
from crawler.collection import Collection, is_vacant, sync_directory
from crawler.errors import Damaged, NotACollection, UsageError
from crawler.evidence.canonical import write
from crawler.warc import cdxj, manifest
from crawler.warc.reader import Records

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from crawler.cold.store import Store

_MARKER = re.compile(r"(?P<place>.*/)?collection-(?P<sum>[0-9a-f]{12})(?:~\d+)?\.json")
_SUM = re.compile(
    r"-(?P<sum>[0-9a-f]{12})(?:~\d+)?(?P<end>\.warc\.gz|\.warc\.gz\.age|\.jsonl\.gz|\.jsonl|\.cdxj|\.json|\.py)$"
)
#: What else comes back: nothing that could lead outside the collection.
_KEPT = re.compile(
    r"(?P<path>(?:evidence(?:/from-[0-9a-f]+)?|spiders)/[A-Za-z0-9][A-Za-z0-9._-]*|withheld|deathwatch)-[0-9a-f]{12}"
)
#: Seconds between looks at what is being restored from an archive, at first and at most.
LOOK, LONGEST_LOOK = 5.0, 300.0


@dataclass(slots=True)
class Pulled:
    """What came of a pull."""

    segments: int = 0
    bytes: int = 0
    here_already: int = 0
    #: Segments that were not asked for.
    left: int = 0
    #: Segments that were asked for and that the destination does not have, or not as they were.
    missing: dict[str, str] = field(default_factory=dict)
    #: What else there is not what was pushed → why. The segments tell all of it but statements and time-stamps.
    spoilt: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is wanted of a collection, and how long it may take."""

    wanted: Wanted = field(default_factory=Wanted)
    #: Ask for archived segments to be restored, at this tier (Bulk, Standard, Expedited), and wait for them.
    tier: str = ""
    days: int = 7
    patience: float = 72 * 3600.0
    #: Identities of age that decrypt what was encrypted.
    identities: tuple[Any, ...] = ()


def pull(
    store: Store, prefix: str, root: Path, wish: Wish, *, say: Callable[[str], None] = lambda text: None
) -> Pulled:
    """Fetch the collection below ``prefix`` into a directory that is missing, empty, or holds a part of it.

    Raises UsageError where there is no collection below the prefix, or several; Damaged where its manifest is no good;
    Archived where what was asked for is still being restored.
    """
    keys = dict(store.objects(f"{prefix}/" if prefix else ""))
    place = _place(keys, prefix)
    if not is_vacant(root) and not (root / "collection.json").exists() and not (root / "pulling").exists():
        raise NotACollection(f"{root} exists and is not an Outlast collection; name another with --into.")
    for folder in ("warcs", "indexes", "spool", "logs"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "pulling").touch()
    here = {key.removeprefix(place): key for key in keys if key.startswith(place)}
    one = _Pull(store, here, root, wish, say)
    pulled = one.run()
    # The marker comes last: a directory with one is a collection.
    one.marker()
    Collection.open(root)
    (root / "pulling").unlink()
    sync_directory(root)
    return pulled


def _place(keys: dict[str, int], prefix: str) -> str:
    """Return where the one collection below a prefix is, with the slash at its end."""
    places = {found["place"] or "" for key in keys if (found := _MARKER.fullmatch(key))}
    if not places:
        raise UsageError(f"There is no collection below {prefix or 'that place'}.")
    if len(places) > 1:
        raise UsageError(f"There are several collections; name one: {', '.join(sorted(places))}")
    return places.pop()


class _Pull:
    """One pull. ``here`` is name below the collection's place → key."""

    def __init__(self, store: Store, here: dict[str, str], root: Path, wish: Wish, say: Callable[[str], None]) -> None:
        self._store = store
        self._here = here
        self._root = root
        self._wish = wish
        self._say = say
        self._pulled = Pulled()

    def run(self) -> Pulled:
        """Fetch all but the marker."""
        entries = manifest.standing(self._manifest())
        if self._wish.wanted.needs_indexes:
            self._indexes(entries)
        wanted = chosen(entries, self._root / "indexes", self._wish.wanted)
        if self._pulled.spoilt:  # what they would say of these segments, nobody knows
            known = {entry.segment for entry in wanted}
            wanted += [one for one in entries if one.segment not in known and not self._index(one).exists()]
        self._pulled.left = len(entries) - len(wanted)
        self._note(entries, {entry.segment for entry in wanted})
        due = [(entry, keys) for entry in wanted if (keys := self._sought(entry)) is not None]
        asleep = self._wake([keys[0] for _, keys in due if keys])
        for entry, keys in sorted(due, key=lambda one: bool(one[1]) and one[1][0] in asleep):
            self._segment(entry, keys, asleep)
        self._indexes([entry for entry in entries if (self._root / "warcs" / entry.segment).exists()])
        self._rest()
        self._left()
        return self._pulled

    def marker(self) -> None:
        """Fetch the marker: of several the one that knows most, as it only ever learns."""
        part = self._root / "collection.json.pulled"
        best, most = b"", -1
        for name in sorted(self._here):
            if _MARKER.fullmatch(name) and self._had(name, part):
                data = part.read_bytes()
                part.unlink()
                if (knows := _knowledge(data)) > most:
                    best, most = data, knows
        if not best:
            raise Damaged("The destination has no collection.json that is what was pushed.")
        write(self._root / "collection.json", best)

    def _manifest(self) -> list[manifest.Entry]:
        names = sorted(name for name in self._here if name.startswith("manifest/") and name.endswith(".jsonl"))
        if not names:
            raise Damaged("The destination has no manifest.")
        key, path = self._here[names[-1]], self._root / "manifest.jsonl"
        self._take(key, path)
        entries = manifest.read(path)
        if len(entries) != int(key.rpartition("/")[2].split("-")[0]):
            raise Damaged(f"{key} has {len(entries)} entries, and its name says another number.")
        return entries

    def _sought(self, entry: manifest.Entry) -> list[str] | None:
        """Return the keys under which a segment may be; None where it is on this machine."""
        path = self._root / "warcs" / entry.segment
        if path.exists():
            with path.open("rb") as file:
                if file_digest(file, "sha256").hexdigest() == entry.sha256:
                    self._pulled.here_already += 1
                    return None
        return self._keys(entry)

    def _keys(self, entry: manifest.Entry) -> list[str]:
        stem = f"warcs/{entry.segment.removesuffix('.warc.gz')}-"
        found = [name for name in sorted(self._here) if name.startswith(stem) and _is_copy(name[len(stem) :], entry)]
        return [self._here[name] for name in sorted(found, key=lambda name: name.endswith(SUFFIX))]

    def _note(self, entries: list[manifest.Entry], wanted: set[str]) -> None:
        """Note what is not asked for and stays there, so that nobody takes it for lost."""
        left = [one for one in entries if one.segment not in wanted and self._keys(one)]
        if not left:
            return
        with closing(Copies(self._root / "copies.sqlite")) as copies:
            for entry in left:
                copies.drop(f"warcs/{entry.segment}", entry.sha256, [self._store.destination.where], now=time.time())

    def _wake(self, keys: list[str]) -> set[str]:
        """Ask for all that is archived, at once; return what that is."""
        asleep = {key for key in keys if not self._store.is_awake(key)}
        if asleep and not self._wish.tier:
            raise Archived(
                f"{len(asleep)} segments are in an archive class, {min(asleep)} among them; --tier Bulk (cheapest), "
                "Standard or Expedited asks for them and waits."
            )
        for key in sorted(asleep):
            self._store.restore(key, days=self._wish.days, tier=self._wish.tier)
        if asleep:
            self._say(f"{len(asleep):,} segments are being restored ({self._wish.tier}); this may take hours.")
        return asleep

    def _segment(self, entry: manifest.Entry, keys: list[str], asleep: set[str]) -> None:
        why = "the destination does not have it"
        for key in keys:
            try:
                if key in asleep:
                    self._await(key)
                path = self._root / "warcs" / entry.segment
                self._decrypt(key, path, entry.sha256) if key.endswith(SUFFIX) else self._take(key, path, entry.sha256)
            except Damaged as e:
                why = str(e)
                continue
            self._pulled.segments += 1
            self._pulled.bytes += entry.bytes
            return
        self._pulled.missing[entry.segment] = why
        self._say(f"{entry.segment}: {why}")

    def _decrypt(self, key: str, path: Path, sha256: str) -> None:
        if not self._wish.identities:
            raise Damaged("it is encrypted; --identity FILE decrypts it")
        sealed, part = path.with_name(f"{path.name}{SUFFIX}"), path.with_name(f"{path.name}.part")
        self._take(key, sealed)
        found = decrypt(sealed, part, list(self._wish.identities))
        sealed.unlink()
        if found != sha256:
            part.unlink()
            raise Damaged(f"{key} is not what was pushed: its SHA-256 is {found[:12]}…")
        part.rename(path)
        sync_directory(path.parent)

    def _await(self, key: str) -> None:
        until, look = time.monotonic() + self._wish.patience, LOOK
        while not self._store.is_awake(key):
            if time.monotonic() > until:
                raise Archived(f"{key} is still being restored; the same command goes on.")
            time.sleep(look)
            look = min(look * 1.5, LONGEST_LOOK)

    def _indexes(self, entries: list[manifest.Entry]) -> None:
        names: dict[str, str] = {}
        for name in sorted(self._here):
            if name.startswith("indexes/") and (found := _SUM.search(name)):
                names[name[: found.start()].removeprefix("indexes/")] = name
        for entry in entries:
            stem = entry.segment.removesuffix(".warc.gz")
            path = self._index(entry)
            if stem in names and not path.exists() and not self._had(names[stem], path):
                self._remade(entry, path)

    def _index(self, entry: manifest.Entry) -> Path:
        return self._root / "indexes" / f"{entry.segment.removesuffix('.warc.gz')}.cdxj"

    def _remade(self, entry: manifest.Entry, path: Path) -> None:
        """Make the index of a segment anew, as sealing made it; without the segment it is not known what that holds."""
        segment = self._root / "warcs" / entry.segment
        if segment.exists():
            indexer = cdxj.Indexer(entry.segment)
            write(path, cdxj.index(line for record in Records(segment) if (line := indexer.line(record)) is not None))

    def _had(self, name: str, path: Path) -> bool:
        """Fetch an object that is no segment; say whether it is what was pushed."""
        try:
            self._take(self._here[name], path)
        except Damaged as e:
            if name not in self._pulled.spoilt:
                self._say(str(e))
            self._pulled.spoilt[name] = str(e)
            return False
        return True

    def _rest(self) -> None:
        """Fetch statements, time-stamps and spiders; of several under one name the longest, as they only ever grow."""
        best: dict[Path, bytes] = {}
        for name in sorted(self._here):
            found, end = _KEPT.match(name), _SUM.search(name)
            if found is None or end is None:
                continue
            # A spider's own name has its hash already.
            path = self._root / f"{found['path']}{end['end']}"
            part = path.with_name(f"{path.name}.pulled")
            part.parent.mkdir(parents=True, exist_ok=True)
            if not self._had(name, part):
                continue
            data = part.read_bytes()
            part.unlink()
            if path not in best or len(data) > len(best[path]):
                best[path] = data
        for path, data in best.items():
            if not path.exists() or path.stat().st_size < len(data):
                write(path, data)

    def _left(self) -> None:
        """Fetch the newest note of the work that was left, for a frontier that is made anew."""
        names = sorted(name for name in self._here if name.startswith("checkpoint/") and _SUM.search(name))
        if names and not (self._root / "frontier.sqlite").exists():
            self._had(names[-1], self._root / "checkpoint.jsonl.gz")

    def _take(self, key: str, path: Path, sha256: str = "") -> None:
        """Fetch an object into a file that gets its name once it is what it should be; its key has its hash."""
        short = found["sum"] if (found := _SUM.search(key)) else ""
        part = path.with_name(path.name + ".part")
        digest = self._store.download(key, part)
        if (sha256 and digest != sha256) or not digest.startswith(short):
            part.unlink()
            raise Damaged(f"{key} is not what was pushed: its SHA-256 is {digest[:12]}…")
        part.rename(path)
        sync_directory(path.parent)


def _is_copy(rest: str, entry: manifest.Entry) -> bool:
    """Say whether the end of a key is that of a segment, or of what it became when it was encrypted."""
    plain = re.fullmatch(r"([0-9a-f]{12})(?:~\d+)?\.warc\.gz", rest)
    return plain[1] == entry.sha256[:12] if plain else bool(re.fullmatch(r"[0-9a-f]{12}(?:~\d+)?\.warc\.gz\.age", rest))


def _knowledge(data: bytes) -> int:
    """Return how much a marker knows; -1 where it is none."""
    try:
        told = json.loads(data)
        return sum(len(told.get(name, ())) for name in ("seeds", "templates", "spiders"))
    except (ValueError, TypeError, AttributeError, RecursionError):
        return -1
