"""Whether a collection is what was signed: its statements, the manifest they are over, every file they name, and the
time-stamps. Needs no network; segments themselves are held against the manifest by ``crawler.warc.verify``.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from crawler import merkle
from crawler.errors import Damaged
from crawler.evidence import heads, timestamp
from crawler.evidence.holdings import HEADS, names, prefix
from crawler.evidence.statement import Statement, opened, paths, tree
from crawler.warc import manifest
from crawler.warc.verify import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from cryptography.x509 import Certificate

    from crawler.collection import Collection
    from crawler.evidence.holdings import File
    from crawler.evidence.statement import Facts

RULES: dict[str, tuple[Severity, str]] = {
    "S001-statement": ("error", "the statement is not as it was signed"),
    "S002-key": ("error", "it is signed by another key"),
    "S003-chain": ("error", "the statements are no chain"),
    "S004-manifest": ("error", "the manifest is not what was signed"),
    "S005-file": ("error", "the file is not what was signed"),
    "S006-gone": ("error", "a signed file is gone"),
    "S007-unsigned": ("error", "nothing here is signed"),
    "S008-timestamp": ("error", "the time-stamp does not hold"),
    "S009-key-not-given": ("info", "signed, by a key that was not given with --public-key"),
    "S010-later": ("info", "changed since it was signed, as what goes on changes"),
    "S011-surplus": ("warning", "the file is not in the last statement"),
    "S012-holds": ("info", "holds"),
    "S014-state": (
        "warning",
        "changed since it was signed, and no segment was sealed since: sign again if a run did it",
    ),
    "P001-proof": ("error", "the proof is none"),
    "P002-record": ("error", "the record is not in the segment"),
    "P003-segment": ("error", "the segment is not in what was signed"),
    "P004-shown": ("info", "the proof is of"),
    "S013-authority": ("info", "time-stamped, by an authority whose root was not given with --tsa-ca"),
}


def findings(collection: Collection, keys: Sequence[bytes], roots: Sequence[Certificate]) -> Iterator[Finding]:
    """Yield what is wrong, and what was found to hold. Without ``keys`` any may have signed, and any authority without
    ``roots``.
    """
    lines = manifest.lines(collection.manifest)
    leaves = tree(lines)
    last: Statement | None = None
    for number, path in enumerate(paths(collection), 1):
        name = f"{collection.evidence.name}/{path.name}"
        try:
            found = opened(path.read_bytes())
        except Damaged as e:
            yield finding("S001-statement", name, str(e))
            last = None
            continue
        previous = hashlib.sha256(last.data).hexdigest() if last else ""
        if found.statement.number != number or (found.statement.previous != previous and (last or number == 1)):
            yield finding("S003-chain", name)
        if found.statement.collection.id != collection.marker.id:
            yield finding("S003-chain", name, "it is about another collection")
        yield from signer(found, name, keys)
        yield from stamped(found, name, roots)
        yield from _manifest(found, lines, leaves)
        last = found
    if last is not None:
        yield from _files(collection, last.statement, len(lines))
    elif keys and not paths(collection):
        yield finding("S007-unsigned", collection.evidence.name)
    for offset, told in heads.checked(collection, lines, roots):
        yield _told(told, HEADS, offset)


def signer(found: Statement, name: str, keys: Sequence[bytes]) -> Iterator[Finding]:
    """Yield by whom a statement is signed."""
    told = f"statement {found.statement.number} of {found.statement.made}, by {found.public_key}"
    if keys and found.key not in keys:
        yield finding("S002-key", name, found.public_key)
    else:
        yield finding("S012-holds" if keys else "S009-key-not-given", name, told)


def stamped(found: Statement, name: str, roots: Sequence[Certificate]) -> Iterator[Finding]:
    """Yield when a statement was time-stamped, if it was."""
    if found.token:
        yield _told(_token(found.token, hashlib.sha256(found.stamped).digest(), roots), name)


def _token(token: bytes, digest: bytes, roots: Sequence[Certificate]) -> timestamp.Stamped | Damaged:
    try:
        return timestamp.check(token, digest, roots)
    except Damaged as e:
        return e


def _told(told: timestamp.Stamped | Damaged, name: str, offset: int = 0) -> Finding:
    if isinstance(told, Damaged):
        return finding("S008-timestamp", name, str(told), offset)
    remark = f"time-stamp of {told.time.isoformat()}, certificate of {told.authority}"
    return finding("S012-holds" if told.is_trusted else "S013-authority", name, remark, offset)


def _manifest(found: Statement, lines: list[bytes], leaves: list[bytes]) -> Iterator[Finding]:
    told, name = found.statement.manifest, "manifest.jsonl"
    count = told.segments
    if len(lines) < count:
        yield finding("S004-manifest", name, f"it had {count} whole lines and has {len(lines)}")
    elif merkle.root(leaves[:count]).hex() != told.root:
        start = sum(len(line) + 1 for line in lines[: count - 1])
        is_last = hashlib.sha256(lines[count - 1]).hexdigest() != told.head
        yield finding("S004-manifest", name, f"line {count}" if is_last else "", start if is_last else 0)


def _files(collection: Collection, last: Facts, segments: int) -> Iterator[Finding]:
    """Yield what became of each file of the last statement, and which came later."""
    went_on = segments > last.manifest.segments or any(_grew(collection, one) for one in last.files)
    for one in last.files:
        path = collection.root / one.path
        if not path.is_file():
            yield finding(_when_gone(collection, one), one.path, "" if one.kind == "fixed" else "it is not here")
        elif not _is_as_signed(path, one):
            yield finding(_when_changed(collection, one, last, segments, went_on), one.path)
    if segments == last.manifest.segments:
        own = f"{collection.evidence.name}/statement-{last.number:05d}.json"
        for name in sorted(names(collection) - {one.path for one in last.files} - {own}):
            yield finding("S011-surplus", name)


def _is_as_signed(path: Path, one: File) -> bool:
    return path.stat().st_size == one.bytes and prefix(path)[1] == one.sha256


def _grew(collection: Collection, one: File) -> bool:
    """Say whether a file was added to, and is as it was so far; a log that was rotated has another name."""
    path = collection.root / one.path
    candidates = sorted(path.parent.glob(f"{path.name}*")) if one.kind == "grows" else []
    return any(
        (candidate != path or candidate.stat().st_size > one.bytes) and prefix(candidate, one.bytes)[1] == one.sha256
        for candidate in candidates
    )


def _when_changed(collection: Collection, one: File, last: Facts, segments: int, went_on: bool) -> str:
    """Return the rule for a file that is not as it was: logs grow, a run changes its state and never whose it is."""
    if _grew(collection, one):
        return "S010-later"
    if one.kind != "state" or not went_on or (one.path == "collection.json" and not _is_about(collection, last)):
        return "S005-file"
    return "S010-later" if segments > last.manifest.segments else "S014-state"


def _is_about(collection: Collection, last: Facts) -> bool:
    """Say whether the marker is of the collection that was signed; there may be more seeds, and a spider of its own."""
    ours, told = collection.marker, last.collection
    is_read_so = ours.platform == told.platform or bool(ours.spiders)
    return is_read_so and ours.created == told.created and set(told.seeds) <= set(ours.seeds)


def _when_gone(collection: Collection, one: File) -> str:
    """Return the rule for a file that is not here: where its segment is elsewhere, so may its index be."""
    folder, _, name = one.path.rpartition("/")
    segment = collection.warcs / name.replace(".cdxj", ".warc.gz")
    may = one.kind != "fixed" or (folder == collection.indexes.name and not segment.exists())
    return "S010-later" if may else "S006-gone"


def finding(rule: str, file: str, remark: str = "", offset: int = 0) -> Finding:
    """Return a finding by one of the rules here."""
    severity, sentence = RULES[rule]
    message = f"{sentence}: {remark}" if remark else sentence
    return Finding(rule=rule, severity=severity, file=file, offset=offset, message=message)
