"""What the headers of one record must be: which may, must and must not be there, and how they are spelled."""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from crawler.warc.verify import digests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.warc.reader import RawRecord

_TYPES = frozenset({"warcinfo", "response", "resource", "request", "metadata", "revisit", "conversion", "continuation"})
_TARGETED = _TYPES - {"warcinfo", "metadata"}
_MANDATORY = ("warc-record-id", "content-length", "warc-date", "warc-type")
#: Besides those of every record (sections 5.16 and 5.17 of the standard).
_MANDATORY_OF = {"continuation": ("warc-segment-origin-id", "warc-segment-number")}
#: What may occur again: the standard's one, and what the community writes once for each of several things.
_REPEATABLE = frozenset({"warc-concurrent-to", "warc-protocol"})
_VERSIONS = frozenset({"WARC/1.0", "WARC/1.1"})
#: Types of record on which a header must not stand.
_MISPLACED = {
    "warc-target-uri": {"warcinfo"},
    "warc-ip-address": {"warcinfo", "conversion", "continuation"},
    "warc-concurrent-to": {"warcinfo", "conversion", "continuation"},
    "warc-refers-to": {"warcinfo", "response", "resource", "request", "continuation"},
    "warc-refers-to-target-uri": _TYPES - {"revisit"},
    "warc-refers-to-date": _TYPES - {"revisit"},
    "warc-filename": _TYPES - {"warcinfo"},
    "warc-segment-origin-id": _TYPES - {"continuation"},
    "warc-segment-total-length": _TYPES - {"continuation"},
}
#: The same by type of record.
_MISPLACED_ON = {kind: tuple(name for name, kinds in _MISPLACED.items() if kind in kinds) for kind in _TYPES}
#: What becomes of the reader's faults.
_FAULTS = {
    "tail": "W003-tail", "header-syntax": "W002-header-syntax", "bare-lf": "W029-bare-lf", "folded": "W030-folded",
    "size": "W027-length", "member": "W028-member",
}  # fmt: skip
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z")
#: RFC 3339 to the minute, the day and so on, which the standard's profile of W3C dates permits from 1.1 on.
_SHORT_DATE = re.compile(r"\d{4}(?:-\d\d(?:-\d\d(?:T\d\d:\d\dZ)?)?)?")
_ID = re.compile(r"<[A-Za-z][A-Za-z0-9+.-]*:[^\s<>]+>")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>]*")
_RAW = re.compile(r"[^!-~]|[\"<>\\^`{|}]")


def header_faults(record: RawRecord) -> Iterator[tuple[str, str]]:
    """Yield rule and remark of what is wrong with a record's headers by themselves."""
    first = record.first
    for fault, remark in record.faults.items():
        yield _FAULTS[fault], remark
    kind = first.get("warc-type", "")
    for name in (*_MANDATORY, *_MANDATORY_OF.get(kind, ())):
        if not first.get(name):
            yield "W004-mandatory", name
    if len(first) != len(record.headers):
        yield from _repeated(record)
    if kind and kind not in _TYPES:
        yield "W009-unknown-type", kind
    for name in _MISPLACED_ON.get(kind, ()):
        if name in first:
            yield "W036-misplaced", f"{name} on a {kind}"
    yield from _spelling(record, kind)


def _repeated(record: RawRecord) -> Iterator[tuple[str, str]]:
    names = [name.lower() for name, _ in record.headers]
    for name in sorted(set(names)):
        if name not in _REPEATABLE and name.startswith(("warc-", "content-")) and names.count(name) > 1:
            yield "W008-repeated", name


def _spelling(record: RawRecord, kind: str) -> Iterator[tuple[str, str]]:
    first = record.first
    if record.version not in _VERSIONS:
        yield "W039-version", record.version
    date = first.get("warc-date", "")
    if date and not _is_date(date, record.version):
        yield "W005-date", date
    identity = first.get("warc-record-id", "")
    if identity and not _ID.fullmatch(identity):
        yield "W007-record-id", identity
    target = first.get("warc-target-uri", "")
    if target or kind in _TARGETED:
        yield from _target(target, record.version)
    if not first.get("content-type") and first.get("content-length", "0") != "0" and kind != "continuation":
        yield "W041-content-type", ""
    for name in ("warc-block-digest", "warc-payload-digest"):
        if digests.is_padded(first.get(name, "")):
            yield "W037-padded-digest", first[name]


@lru_cache(maxsize=64)
def _target(target: str, version: str) -> tuple[tuple[str, str], ...]:
    if target[:1] == "<" and target[-1:] == ">" and version == "WARC/1.0":
        return (("W038-bracketed-target", target), *_target(target[1:-1], "WARC/1.1"))
    if not _URI.fullmatch(target):
        return (("W015-target", target),)
    return (("W042-raw-uri", target),) if _RAW.search(target) else ()


@lru_cache(maxsize=64)
def _is_date(text: str, version: str) -> bool:
    if version == "WARC/1.1" and _SHORT_DATE.fullmatch(text):
        text += "2000-01-01T00:00Z"[len(text) :]
    elif not _DATE.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
