"""``DIR/withheld.jsonl``: what was taken down, who asked and why, and what has become of it since.

Lines are chained like those of the manifest, only ever added, and say nothing of what the thing said. ``Withheld`` is
the one question that everything asks before it shows a record, a post or a file. What a dead host answered captured
nothing (``deaths``), so it answers for that, too: readers pass it over, but it is evidence, and not taken down.

A takedown names *things* (posts, accounts, payloads), whose captures are withheld whatever else they hold, and *places*
(``files``): URLs whose answers are withheld there, though another URL that served the same bytes may be shown.
"""

from __future__ import annotations

import fcntl
import re
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from hashlib import sha256 as _sha256
from typing import TYPE_CHECKING, Any

import msgspec

from crawler import deaths
from crawler.errors import Damaged, UsageError
from crawler.model import Account, Media, Post
from crawler.url import canonical
from crawler.warc import manifest
from crawler.warc.lookup import every

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from crawler.collection import Collection
    from crawler.warc.lookup import Line
    from crawler.warc.reader import RawRecord

NAME = "withheld.jsonl"
#: Ids that are as long name one thing wherever they stand in a URL; "12" names many.
_TELLING = 8
#: Slashes in ``https://host/path``: what stands above is the whole site.
_BELOW_HOST = 3
_PARTS = re.compile(r"[/?&=;#]")
_NAME = re.compile(rb"https?://[!#-&(-;=?-\[\]-~]+|(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{8,200}(?![A-Za-z0-9_-])")
#: Kinds as which pages show a post that has a page of its own.
_SHOWN = {"card": "post"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What a takedown withholds, by name."""

    #: ``kind/id`` of each post.
    posts: tuple[str, ...] = ()
    #: Ids and usernames.
    accounts: tuple[str, ...] = ()
    #: Permalinks of these; what is below one in its path belongs to it.
    urls: tuple[str, ...] = ()
    #: URLs that are places: see above.
    files: tuple[str, ...] = ()
    #: Hex digests of payloads.
    sha256: tuple[str, ...] = ()

    def has(self, other: Names) -> bool:
        """Say whether all that another names is named here."""
        return all(set(getattr(other, one.name)) <= set(getattr(self, one.name)) for one in fields(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line: takedown, found (a later capture of it), lift, rewrite (a plan), rewritten, copies. What people typed is
    spelled so that it steers nothing.
    """

    sequence: int
    kind: str
    at: str
    #: Who asked, and why, in their words.
    by: str = ""
    reason: str = ""
    #: What was asked for: url, post, account, sha256 or hashes, and its value.
    what: tuple[str, str] = ("", "")
    names: Names = field(default_factory=Names)
    #: Segment, offset and id of each record that holds a thing, as they stood then.
    records: tuple[tuple[str, int, str], ...] = ()
    #: All segments in which something is withheld by this.
    segments: tuple[str, ...] = ()
    #: The takedown that is lifted or that found something, or the plan that is done.
    of: int = 0
    #: Of a plan: segment → the one that takes its place; ids of records that move. Of copies: destination → what came.
    told: dict[str, Any] = field(default_factory=dict)
    prev: str = ""


class _Rules:
    """What some takedowns withhold together."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.records: set[tuple[str, int]] = set()
        self._things: set[str] = set()
        self._accounts: set[str] = set()
        self._urls: set[str] = set()
        self._files: set[str] = set()
        self._hashes: set[str] = set()
        for entry in entries:
            names = entry.names
            self.records.update((segment, offset) for segment, offset, _ in entry.records)
            self._things.update(names.posts)
            self._accounts.update(names.accounts)
            self._urls.update(names.urls)
            self._files.update(names.files)
            self._hashes.update(names.sha256)
        self._ids = {thing.partition("/")[2] for thing in self._things}
        self.is_any = any((self.records, self._things, self._accounts, self._urls, self._files, self._hashes))

    @property
    def names_things(self) -> bool:
        return bool(self._urls) or any(len(one) >= _TELLING for one in self._ids)

    def is_named_in(self, text: bytes) -> bool:
        """Say whether a text names a thing: its permalink, or an id so long that it is one wherever it stands."""
        for found in _NAME.finditer(text):
            name = found[0].decode("ascii")
            if name in self._ids or (name.startswith("http") and self._is_permalink(name)):
                return True
        return False

    def hides(self, *, url: str = "", item: Any = None, sha256: str = "", segment: str = "", offset: int = -1) -> bool:
        return (
            (segment, offset) in self.records
            or bool(sha256 and sha256.removeprefix("sha256:") in self._hashes)
            or bool(url and self._hides_url(url))
            or (item is not None and self._hides_item(item))
        )

    def _hides_url(self, url: str) -> bool:
        if not (self._urls or self._files or self._ids):
            return False
        try:
            url = canonical(url)
        except ValueError:
            return False
        if url in self._files or self._is_permalink(url):
            return True
        return any(len(part) >= _TELLING and part in self._ids for part in _PARTS.split(url))

    def _is_permalink(self, url: str) -> bool:
        """Say whether a URL is a permalink or below one."""
        if url in self._urls:
            return True
        start = url.partition("?")[0]
        while start.count("/") >= _BELOW_HOST:
            if start in self._urls and not start.endswith("/"):
                return True
            start = start.rpartition("/")[0]
        return False

    def _hides_item(self, item: Any) -> bool:
        if isinstance(item, Post):
            is_named = thing_of(item.kind, item.id) in self._things or item.repost_of in self._ids
            return is_named or item.author in self._accounts
        if isinstance(item, Account):
            return item.id in self._accounts or item.username in self._accounts
        if isinstance(item, Media):
            return item.account in self._accounts or (item.post or "").rpartition("/")[2] in self._ids
        return self.hides(url=item.url, sha256=item.sha256)


class Withheld:
    """What is withheld now; follows the file as others add to it."""

    def __init__(self, collection: Collection) -> None:
        self._root = collection.root
        self.path = collection.root / NAME
        self._size = self._deaths = -1
        self._struck = deaths.Struck()
        self.entries: list[Entry] = []
        self._rules = _Rules(())

    @classmethod
    def load(cls, collection: Collection) -> Withheld:
        """Return what is withheld of a collection. Raises Damaged where the file is not what was written."""
        made = cls(collection)
        made.look()
        return made

    def look(self) -> None:
        """Read what was added since."""
        size = _size(self.path)
        if size != self._size:
            self.entries, self._size = _read(self.path), size
            self._rules = _Rules(self.active())

    @property
    def struck(self) -> deaths.Struck:
        """What captured nothing, as far as that is known now."""
        size = _size(self._root / deaths.NAME)
        if size != self._deaths:
            self._struck, self._deaths = deaths.struck(self._root), size
        return self._struck

    @property
    def version(self) -> tuple[int, int]:
        """What stands for all that readers pass over: it grows with it."""
        self.look()
        return len(self.entries), len(self.struck.records)

    @property
    def is_any(self) -> bool:
        """Say whether anything is withheld."""
        self.look()
        return self._rules.is_any

    def active(self) -> list[Entry]:
        """Return the takedowns that hold, and what was found by them since."""
        lifted = {entry.of for entry in self.entries if entry.kind == "lift"}
        return [
            entry for entry in self.entries
            if (entry.kind == "takedown" and entry.sequence not in lifted)
            or (entry.kind == "found" and entry.of not in lifted)
        ]  # fmt: skip

    def hides(self, *, url: str = "", item: Any = None, sha256: str = "", segment: str = "", offset: int = -1) -> bool:
        """Say whether any of these may not be shown.

        ``item``: an Account, Post, Media or the File of a row; ``sha256``: of a payload, labelled or not.
        """
        self.look()
        return self._rules.is_any and self._rules.hides(
            url=url, item=item, sha256=sha256, segment=segment, offset=offset
        )

    def hides_record(self, record: RawRecord, segment: str, offset: int | None = None) -> bool:
        """Say whether a record is withheld, by where it stands and what its headers say."""
        asked = _asked(record, segment)
        return self.hides(**(asked if offset is None else asked | {"offset": offset}))

    def passes_over(self, record: RawRecord, segment: str) -> bool:
        """Say whether whoever reads what was captured passes over a record: it is withheld, or captured nothing."""
        return record.id in self.struck.records or self.hides_record(record, segment)

    def passing(self, segment: str) -> Callable[[RawRecord], bool] | None:
        """Return what says as much of the records of a segment as is known now; None where nothing is passed over."""
        self.look()
        struck, rules = self.struck.records, self._rules
        if not struck and not rules.is_any:
            return None
        return lambda record: record.id in struck or rules.hides(**_asked(record, segment))

    def is_struck(self, url: str, stamp: str) -> bool:
        """Say whether the record that a line of an index names captured nothing; ``stamp``: its 14-digit date."""
        return (url, stamp) in self.struck.places

    def named_in(self) -> list[tuple[int, Callable[[bytes], bool]]]:
        """Return the number of each takedown of things, and what says whether a text names one."""
        rules = [(one.of or one.sequence, _Rules((one,))) for one in self.active()]
        return [(number, one.is_named_in) for number, one in rules if one.names_things]

    def whose_record(self, record: RawRecord, segment: str) -> Entry | None:
        """Return the takedown that hides a record, None where nothing does."""
        asked = _asked(record, segment)
        return self.whose(**asked) if self.hides(**asked) else None

    def whose(self, **what: Any) -> Entry:
        """Return the takedown that hides what ``hides`` was asked for, and said yes."""
        entry = next(one for one in self.active() if _Rules((one,)).hides(**what))
        return next(one for one in self.entries if one.sequence == (entry.of or entry.sequence))

    def segments(self, indexes: Path) -> set[str]:
        """Return the segments that still hold what is withheld, by their indexes."""
        if not self.is_any:
            return set()
        return {line.segment for index in sorted(indexes.glob("*.cdxj")) for line in self._hidden(index)}

    def hides_any(self, index: Path) -> bool:
        """Say whether anything of an index, if it is there, is withheld."""
        return self.is_any and index.is_file() and any(self._hidden(index))

    def _hidden(self, index: Path) -> Iterator[Line]:
        return (
            line for line in every(index)
            if self.hides(url=line.url, sha256=line.digest, segment=line.segment, offset=line.offset)
        )  # fmt: skip

    def same(self, what: tuple[str, str], *, by: str, reason: str) -> Entry | None:
        """Return the newest takedown in force that was asked for with the same words."""
        asked = ("takedown", (what[0], _plain(what[1])), _plain(by), _plain(reason))
        found = (one for one in reversed(self.active()) if (one.kind, one.what, one.by, one.reason) == asked)
        return next(found, None)

    def has(self, records: Iterable[tuple[str, int, str]]) -> bool:
        """Say whether each of these records (segment, offset, id) is withheld by its place."""
        return self._rules.records.issuperset((segment, offset) for segment, offset, _ in records)

    # Adding

    def add(
        self, kind: str, *, by: str = "", reason: str = "", what: tuple[str, str] = ("", ""), **facts: Any
    ) -> Entry:
        """Add a line durably, and obey it."""
        with self._alone():
            sequence, prev = manifest.next_link(self.path)
            entry = Entry(
                sequence=sequence, kind=kind, at=datetime.now(UTC).isoformat(timespec="seconds"), by=_plain(by),
                reason=_plain(reason), what=(what[0], _plain(what[1])), prev=prev, **facts,
            )  # fmt: skip
            manifest.append(self.path, entry)
        self.look()
        return entry

    def find(self, segment: str, found: Iterable[tuple[int, str, int]]) -> None:
        """Add the records of a segment that is newer than the takedown: offset, id, number of the takedown."""
        self.look()
        new = [one for one in found if (segment, one[0]) not in self._rules.records]
        for number in sorted({of for _, _, of in new}):
            records = tuple((segment, offset, name) for offset, name, of in new if of == number)
            self.add("found", of=number, records=records, segments=(segment,))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep others from adding at once."""
        with (self._root / "withheld.lock").open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def check_rewritten(collection: Collection) -> None:
    """Raise UsageError where segments still hold what was taken down: they must not be handed on."""
    if held := Withheld.load(collection).segments(collection.indexes):
        raise UsageError(
            f"{len(held)} segments still hold what was taken down; archive takedown {collection.root} --rewrite first."
        )


def rules_of(names: Names) -> _Rules:
    """Return what would hide what is named."""
    return _Rules((Entry(sequence=0, kind="takedown", at="", names=names),))


def thing_of(kind: str, identity: str) -> str:
    """Return what a post is called here."""
    return f"{_SHOWN.get(kind, kind)}/{identity}"


def _asked(record: RawRecord, segment: str) -> dict[str, Any]:
    """Return what is asked for where a record stands in a segment."""
    url, digest = record.target, record.get("WARC-Payload-Digest")
    return {"url": url, "sha256": digest, "segment": segment, "offset": record.offset}


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _plain(text: str) -> str:
    """Return text of a stranger on one line, without what steers a terminal."""
    return "".join(one if one.isprintable() else " " for one in text).strip()[:4000]


def _read(path: Path) -> list[Entry]:
    entries: list[Entry] = []
    prev = manifest.GENESIS
    for number, text in enumerate(manifest.lines(path), 1):
        try:
            entry = msgspec.json.decode(text, type=Entry)
        except (ValueError, RecursionError) as e:
            raise Damaged(f"{path}:{number}: no line of ours: {e}") from e
        if entry.prev != prev or entry.sequence != number:
            raise Damaged(f"{path}:{number}: the chain is broken here")
        prev = _sha256(text).hexdigest()
        entries.append(entry)
    return entries
