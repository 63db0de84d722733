"""Rewriting: segments anew without what is withheld, every other record byte for byte.

What is to be done is a line of ``withheld.jsonl`` before anything is (the *plan*), and each step finds out whether it
was done: after a kill the next call goes on. A record that goes leaves a tombstone (``metadata``, WARC-Refers-To) that
says by whom and why. No answer is ever composed: where a place is withheld and another URL served the same bytes, the
record of those moves to ``urn:sha256:…`` with its block as it is, and revisits refer to it there.
"""

from __future__ import annotations

import os
import re
import uuid
from contextlib import closing
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from isal import isal_zlib

from crawler.collection import class_of, sync_directory
from crawler.failpoint import failpoint
from crawler.frontier.engines import to_write
from crawler.warc import manifest
from crawler.warc.lookup import every
from crawler.warc.reader import Records, Torn, read_at
from crawler.warc.records import MOVED, packed, rewritten, tombstone
from crawler.warc.seal import seal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from crawler.collection import Collection
    from crawler.warc.lookup import Line
    from crawler.warc.reader import RawRecord
    from crawler.withheld import Entry, Withheld

#: Where segments stand that were rewritten, until they are purged.
FOLDER = "withheld"
_SUFFIX = ".rewriting"
_PIECE = 1 << 20
_NAME = re.compile(r"(?P<start>.+?)(?:-without[0-9]+)?-(?P<kind>[a-z]+)\.warc\.gz")
_SPACE = uuid.uuid5(uuid.NAMESPACE_URL, "outlast:moved")


@dataclass(slots=True)
class Rewritten:
    """What came of it."""

    #: Segment → the one in its place.
    segments: dict[str, str] = field(default_factory=dict)
    #: Segments that hold what is withheld and are not on this machine.
    lacking: list[str] = field(default_factory=list)
    #: Records that went, and that moved.
    gone: int = 0
    moved: int = 0


def rewrite(
    collection: Collection, withheld: Withheld, *, forget: Callable[[str], object],
    say: Callable[[str], object] = lambda _: None,
) -> Rewritten:  # fmt: skip
    """Rewrite every segment here that holds what is withheld. ``forget``: whoever else knows of a segment forgets it.

    The caller holds the collection's lock. Raises Damaged where a segment is not what was written, OSError where the
    disk refuses.
    """
    made = Rewritten()
    if (left := _unfinished(withheld)) is not None:
        _carry_out(collection, withheld, left, made, forget, say)
    segments, moved, made.lacking = _survey(collection, withheld)
    if segments:
        number = len(withheld.entries) + 1
        names = {name: _NAME.sub(rf"\g<start>-without{number}-\g<kind>.warc.gz", name) for name in segments}
        plan = withheld.add("rewrite", segments=tuple(names), told={"names": names, "moved": sorted(moved)})
        failpoint("rewrite.planned")
        _carry_out(collection, withheld, plan, made, forget, say)
    return made


def purge(collection: Collection) -> tuple[int, int]:
    """Delete the segments that were rewritten; return how many files those were, and their bytes."""
    folder, count, size = collection.root / FOLDER, 0, 0
    for path in sorted(folder.glob("*")):
        count, size = count + 1, size + path.stat().st_size
        path.unlink()
    if folder.is_dir():
        sync_directory(folder)
    return count, size


def _unfinished(withheld: Withheld) -> Entry | None:
    done = {entry.of for entry in withheld.entries if entry.kind == "rewritten"}
    plans = [entry for entry in withheld.entries if entry.kind == "rewrite" and entry.sequence not in done]
    return plans[0] if plans else None


def _survey(collection: Collection, withheld: Withheld) -> tuple[list[str], set[str], list[str]]:
    """Return the segments to rewrite, the ids of the records that move, and the segments that are not here."""
    hidden = [
        one for one in _lines(collection)
        if withheld.hides(url=one.url, sha256=one.digest, segment=one.segment, offset=one.offset)
    ]  # fmt: skip
    hidden_at = {(one.segment, one.offset) for one in hidden}
    digests = {one.digest for one in hidden if one.mime != "warc/revisit"}
    revisits = [one for one in _lines(collection) if one.mime == "warc/revisit" and one.digest in digests]
    left = [one for one in revisits if (one.segment, one.offset) not in hidden_at]
    wanted = {record.get("WARC-Refers-To"): one.segment for one, record in _read(collection, left)}
    places = {one.digest for one in left}
    originals = [one for one in hidden if one.digest in places and one.mime != "warc/revisit"]
    gone = {record.id: one for one, record in _read(collection, originals)}
    segments = {one.segment for one in hidden} | {wanted[identity] for identity in gone.keys() & wanted.keys()}
    segments |= {one.segment for one, record in _read(collection, left) if record.get("WARC-Refers-To") in gone}
    moved = {identity for identity in wanted.keys() & gone.keys() if not _is_thing(withheld, gone[identity])}
    here = {path.name for path in collection.sealed_segments()}
    return sorted(segments & here), moved, sorted(segments - here)


def _lines(collection: Collection) -> Iterator[Line]:
    for index in sorted(collection.indexes.glob("*.cdxj")):
        yield from every(index)


def _read(collection: Collection, lines: list[Line]) -> Iterator[tuple[Line, RawRecord]]:
    for line in lines:
        path = collection.warcs / line.segment
        if path.is_file():
            yield line, read_at(path, line.offset)


def _is_thing(withheld: Withheld, line: Line) -> bool:
    """Say whether a capture is withheld for what it holds, not for where it was."""
    return withheld.hides(sha256=line.digest, segment=line.segment, offset=line.offset)


def _carry_out(
    collection: Collection, withheld: Withheld, plan: Entry, made: Rewritten, forget: Callable[[str], object],
    say: Callable[[str], object],
) -> None:  # fmt: skip
    moved = frozenset(plan.told["moved"])
    lost = _gone(collection, withheld, plan)
    for name, new in plan.told["names"].items():
        path = collection.warcs / name
        if path.is_file():
            _write(collection, withheld, path, new, moved, lost, made)
            seal(
                collection.warcs / f"{new}{_SUFFIX}", index_dir=collection.indexes, manifest_path=collection.manifest,
                segment_class=class_of(name), replaces=name,
            )  # fmt: skip
            failpoint("rewrite.sealed")
            _relocate(collection, path, collection.warcs / new)
            forget(name)
            failpoint("rewrite.relocated")
            collection.set_aside(name, FOLDER)
            say(f"{name}: rewritten as {new}")
        made.segments[name] = new
    withheld.add("rewritten", of=plan.sequence, segments=tuple(plan.told["names"].values()))


def _gone(collection: Collection, withheld: Withheld, plan: Entry) -> frozenset[str]:
    """Return the ids of the answers that go: a revisit of one that does not move goes with it."""
    found: set[str] = set()
    for name in plan.told["names"]:
        path = next((one for one in (collection.warcs / name, collection.root / FOLDER / name) if one.is_file()), None)
        if path is not None:
            found |= {one.id for one in Records(path) if one.type == "response" and withheld.hides_record(one, name)}
    return frozenset(found - set(plan.told["moved"]))


def _write(
    collection: Collection, withheld: Withheld, path: Path, new: str, moved: frozenset[str], gone: frozenset[str],
    made: Rewritten,
) -> None:  # fmt: skip
    """Write the new segment beside the old; durable when this returns. One that was entered already is as it should."""
    part = collection.warcs / f"{new}{_SUFFIX}"
    if (collection.warcs / new).is_file():
        return
    if part.exists() and any(one.segment == new for one in manifest.read(collection.manifest)):
        return
    doomed = _doomed(withheld, path, moved, gone)
    with path.open("rb") as source, part.open("wb") as out:
        out.write(packed(rewritten(new, path.name)))
        for record in Records(path):
            if _group(record) in doomed or record.id in doomed:
                _bury(withheld, path, record, record.id in moved, out, made)
            elif record.type == "revisit" and record.get("WARC-Refers-To") in moved:
                _spell(record, _redirected(record), out)
            else:
                _copy(source, record, out)
        out.flush()
        os.fsync(out.fileno())
    sync_directory(part.parent)
    failpoint("rewrite.written")


def _doomed(withheld: Withheld, path: Path, moved: frozenset[str], gone: frozenset[str]) -> set[str]:
    """Return the groups of a segment that go, by the id of their request, and single records by their own."""
    found = set()
    for record in Records(path):
        if record.type == "warcinfo" or record.get(MOVED):
            hides = record.type != "warcinfo" and withheld.hides(sha256=record.get("WARC-Payload-Digest"))
        else:
            hides = withheld.hides_record(record, path.name)
            hides = hides or (record.type == "revisit" and record.get("WARC-Refers-To") in gone)
        if hides:
            found |= {_group(record), record.id}
    return found


def _group(record: RawRecord) -> str:
    return record.get("WARC-Concurrent-To") or record.id


def _bury(withheld: Withheld, path: Path, record: RawRecord, moves: bool, out: IO[bytes], made: Rewritten) -> None:
    """Write what is left of a record that goes: of an answer its tombstone, and its bytes elsewhere if those stay."""
    made.gone += 1
    is_alone = record.type == "metadata" and not record.get("WARC-Concurrent-To")
    if record.type in {"response", "revisit", "resource"} or is_alone:
        entry = withheld.whose_record(record, path.name)
        told = (
            (entry.sequence, entry.at, entry.by, entry.reason) if entry else (0, "", "", "its original was taken down")
        )
        out.write(packed(tombstone(record.id, *told)))
    if moves:
        made.moved += 1
        _spell(record, _elsewhere(record), out)


def moved_id(identity: str) -> str:
    """Return the id that a record has once it has moved."""
    return f"<urn:uuid:{uuid.uuid5(_SPACE, identity)}>"


def _urn(record: RawRecord) -> str:
    return f"urn:{record.get('WARC-Payload-Digest')}"


def _elsewhere(record: RawRecord) -> list[tuple[str, str]]:
    """Return the headers of a record that moves: nothing says any more where it was."""
    kept = ("WARC-Date", "WARC-Payload-Digest", "WARC-Block-Digest", "WARC-Truncated", "Content-Type", "Content-Length")
    told = [("WARC-Type", record.type), ("WARC-Record-ID", moved_id(record.id)), ("WARC-Target-URI", _urn(record))]
    return [*told, (MOVED, record.id), *((name, record.get(name)) for name in kept if record.get(name))]


def _redirected(record: RawRecord) -> list[tuple[str, str]]:
    """Return the headers of a revisit whose original has moved."""
    changed = {
        "warc-refers-to": moved_id(record.get("WARC-Refers-To")),
        "warc-refers-to-target-uri": _urn(record),
    }
    return [(name, changed.get(name.lower(), value)) for name, value in record.headers]


def _spell(record: RawRecord, headers: list[tuple[str, str]], out: IO[bytes]) -> None:
    """Write a record's block, as it is, under other headers."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    member = isal_zlib.compressobj(2, isal_zlib.DEFLATED, 31)
    out.write(member.compress(f"{record.version}\r\n{lines}\r\n".encode("utf-8", "surrogateescape")))
    with record.block.open() as stream:
        while piece := stream.read(_PIECE):
            out.write(member.compress(piece))
    out.write(member.compress(b"\r\n\r\n") + member.flush())


def _copy(source: IO[bytes], record: RawRecord, out: IO[bytes]) -> None:
    """Copy a record as it stands in its segment."""
    source.seek(record.offset)
    left = record.length
    while left and (piece := source.read(min(_PIECE, left))):
        out.write(piece)
        left -= len(piece)
    if left:
        raise Torn("the segment ends inside a record")


def _relocate(collection: Collection, old: Path, new: Path) -> None:
    """Tell the frontier where everything is now."""
    if not collection.marker.frontier and not collection.frontier.is_file():
        return
    now = {record.id: (record.offset, record.length) for record in Records(new)}
    places = {record.offset: now[record.id] for record in Records(old) if record.id in now}
    with closing(to_write(collection)) as frontier:
        frontier.relocate(old.name, new.name, new.stat().st_size, places)
