"""The checker: what the WARC/1.1 standard asks of a file, and what a collection promises of itself.

Every rule has an id, a severity and a sentence in ``RULES``. Reading is streaming, every block once; memory grows with
the number of records only by what cross-references need (24 bytes a response, and the ids of one file at a time).
"""

from __future__ import annotations

import base64
import hashlib
import re
import uuid
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from crawler.collection import OPEN_SUFFIX
from crawler.errors import Damaged
from crawler.framing import Data, End, Event, Head, ResponseParser
from crawler.warc import cdxj, manifest
from crawler.warc.reader import RawRecord, Records
from crawler.warc.records import IDENTICAL, NOT_MODIFIED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Severity = Literal["error", "warning", "info"]

RULES: dict[str, tuple[Severity, str]] = {
    "W001-torn": ("error", "the file ends, or stops making sense, inside a record"),
    "W002-header-syntax": ("error", "a header line is no name: value"),
    "W003-tail": ("error", "a record does not end with two line ends"),
    "W004-mandatory": ("error", "a mandatory header is missing"),
    "W005-date": ("error", "a WARC-Date is no W3C date in UTC"),
    "W006-duplicate-id": ("error", "two records have the same id"),
    "W007-record-id": ("error", "a record id is no <urn:uuid:…>"),
    "W008-repeated": ("error", "a header that may occur once occurs again"),
    "W009-unknown-type": ("warning", "a record type that the standard does not know"),
    "W010-block-digest": ("error", "the block is not what its digest says"),
    "W011-payload-digest": ("error", "the payload is not what its digest says"),
    "W012-no-digest": ("warning", "a record without a block digest cannot be proved"),
    "W013-http-short": ("error", "the HTTP message is shorter than it says and is not marked WARC-Truncated"),
    "W014-http-head": ("error", "the block of a response is no HTTP message"),
    "W015-target": ("error", "a record lacks a usable WARC-Target-URI"),
    "W016-warcinfo-first": ("error", "the file does not begin with a warcinfo record"),
    "W017-filename": ("warning", "WARC-Filename is not the name of the file"),
    "W018-no-request": ("warning", "a response or revisit without its request"),
    "W019-concurrent": ("error", "WARC-Concurrent-To names no record of this file"),
    "W020-revisit-profile": ("error", "a revisit without a known profile"),
    "W021-revisit-refers": ("error", "a revisit does not say what it refers to"),
    "W022-revisit-dangling": ("error", "a revisit refers to a record that is not here"),
    "W023-revisit-payload": ("error", "a revisit and its original have different payloads"),
    "W024-revisit-truncated": ("warning", "a revisit that keeps only the head lacks WARC-Truncated: length"),
    "W025-http-version": ("warning", "a status line that is not HTTP/1.x"),
    "W026-http-surplus": ("error", "bytes follow where the HTTP message says it ends"),
    "C001-index": ("error", "the index and the file do not agree"),
    "C002-no-index": ("error", "a sealed segment has no index"),
    "C003-chain": ("error", "the manifest is damaged or its chain is broken"),
    "C004-fixity": ("error", "a segment is not the file that the manifest entered"),
    "C005-not-entered": ("error", "a sealed segment is not in the manifest"),
    "C006-gone": ("error", "a segment of the manifest is gone"),
    "C007-open": ("info", "a segment is still open; the next run seals it"),
}
#: What a server can make us record: faults of the origin, faithfully kept, and no reason not to seal a segment.
ORIGINS_FAULT = frozenset({"W013-http-short", "W014-http-head", "W025-http-version"})
_TYPES = frozenset({"warcinfo", "response", "resource", "request", "metadata", "revisit", "conversion", "continuation"})
_MANDATORY = ("WARC-Record-ID", "Content-Length", "WARC-Date", "WARC-Type")
_REPEATABLE = frozenset({"warc-concurrent-to", "warc-protocol"})
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z")
_ID = re.compile(r"<urn:uuid:([0-9a-fA-F-]{36})>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as it should be."""

    rule: str
    severity: Severity
    file: str
    offset: int
    message: str


class References:
    """What revisits need to know of a whole collection: which payload each response has, and who looks for which."""

    def __init__(self) -> None:
        #: A response after the other: 16 bytes of its id, 8 that stand for its payload digest.
        self._payloads = bytearray()
        self._wanted: list[tuple[str, int, bytes, bytes]] = []

    def add(self, record: RawRecord) -> None:
        """Note a response that revisits may refer to."""
        identity, payload = _identity(record.id), record.get("WARC-Payload-Digest")
        if identity is not None and payload:
            self._payloads += identity + _short(payload)

    def want(self, file: str, record: RawRecord) -> None:
        """Note a revisit."""
        identity = _identity(record.get("WARC-Refers-To"))
        if identity is not None:
            self._wanted.append((file, record.offset, identity, _short(record.get("WARC-Payload-Digest"))))

    def unresolved(self, *, whole: bool = True) -> Iterator[Finding]:
        """Yield the revisits that resolve to nothing, or to something else.

        What is not found is no damage unless this is the ``whole`` of what belongs together.
        """
        sought = {identity for _, _, identity, _ in self._wanted}
        found: dict[bytes, bytes] = {}
        for at in range(0, len(self._payloads), 24):
            identity = bytes(self._payloads[at : at + 16])
            if identity in sought:
                found[identity] = bytes(self._payloads[at + 16 : at + 24])
        for file, offset, identity, payload in self._wanted:
            if identity not in found:
                finding = _finding("W022-revisit-dangling", file, offset)
                yield (
                    finding
                    if whole
                    else replace(finding, severity="warning", message=f"{finding.message}, in this file")
                )
            elif found[identity] != payload:
                yield _finding("W023-revisit-payload", file, offset)


class RecordChecks:
    """The rules of one file, record by record in order.

    Without ``hashes_payloads`` the block digest alone answers for a record's bytes, which the payload's are among.
    """

    def __init__(
        self, path: Path, name: str, references: References | None = None, *, hashes_payloads: bool = True
    ) -> None:
        self._file = path.name
        self._hashes_payloads = hashes_payloads
        self._name = name
        self._references = references if references is not None else References()
        self._ids: set[bytes] = set()
        #: Record id of each request, and whether it asked for the head alone.
        self._requests: dict[str, bool] = {}
        self._count = 0

    def check(self, record: RawRecord) -> Iterator[Finding]:
        """Yield what is wrong with the next record."""
        self._count += 1
        for rule, remark in self._headers(record):
            yield _finding(rule, self._file, record.offset, remark)
        for rule, remark in self._identity(record):
            yield _finding(rule, self._file, record.offset, remark)
        for rule, remark in self._content(record):
            yield _finding(rule, self._file, record.offset, remark)

    def _headers(self, record: RawRecord) -> Iterator[tuple[str, str]]:
        for fault, remark in record.faults.items():
            yield ("W003-tail" if fault == "tail" else "W002-header-syntax"), remark
        for name in _MANDATORY:
            if not record.get(name):
                yield "W004-mandatory", name
        names = [name.lower() for name, _ in record.headers]
        for name in {
            n for n in names if n not in _REPEATABLE and n.startswith(("warc-", "content-")) and names.count(n) > 1
        }:
            yield "W008-repeated", name
        date = record.get("WARC-Date")
        if date and not _is_date(date):
            yield "W005-date", date
        if record.type and record.type not in _TYPES:
            yield "W009-unknown-type", record.type
        if record.type in {"response", "request", "resource", "revisit"} and not re.fullmatch(
            r"\S+:\S*", record.get("WARC-Target-URI")
        ):
            yield "W015-target", record.get("WARC-Target-URI")

    def _identity(self, record: RawRecord) -> Iterator[tuple[str, str]]:
        identity = _identity(record.id)
        if identity is None:
            if record.id:
                yield "W007-record-id", record.id
        elif identity in self._ids:
            yield "W006-duplicate-id", record.id
        else:
            self._ids.add(identity)
        if (self._count == 1) != (record.type == "warcinfo") and self._count == 1:
            yield "W016-warcinfo-first", ""
        if record.type == "warcinfo" and record.get("WARC-Filename") not in {self._name, ""}:
            yield "W017-filename", record.get("WARC-Filename")
        if record.type == "request":
            with record.block.open() as stream:
                self._requests[record.id] = stream.read(5) == b"HEAD "
        partner = record.get("WARC-Concurrent-To")
        if partner and (_identity(partner) or b"") not in self._ids:
            yield "W019-concurrent", partner
        if _is_answer(record) and partner not in self._requests:
            yield "W018-no-request", ""

    def _content(self, record: RawRecord) -> Iterator[tuple[str, str]]:
        is_head = self._requests.get(record.get("WARC-Concurrent-To"))
        message = _Message(
            record,
            ResponseParser("HEAD" if is_head else "GET") if _is_answer(record) else None,
            hashes_payload=self._hashes_payloads,
        )
        block, payload = record.get("WARC-Block-Digest"), record.get("WARC-Payload-Digest")
        if not block:
            yield "W012-no-digest", ""
        elif not _equals(block, message.block.digest()):
            yield "W010-block-digest", block
        if _is_answer(record):
            yield from self._http(record, message, asked=is_head is not None)
        hashed = message.payload
        if record.type in {"response", "resource"} and payload and hashed and not _equals(payload, hashed.digest()):
            yield "W011-payload-digest", payload
        if record.type == "response":
            self._references.add(record)
        elif record.type == "revisit":
            yield from self._revisit(record)

    def _http(self, record: RawRecord, message: _Message, *, asked: bool) -> Iterator[tuple[str, str]]:
        truncated = bool(record.get("WARC-Truncated"))
        if message.head is None:
            if not truncated:
                yield "W014-http-head", ""
            return
        if message.head.version[0] != 1:
            yield "W025-http-version", ""
        if record.type == "revisit" or truncated:
            return
        # Without the request at hand, a body that is not there may be that of an answer to HEAD.
        if message.end is not None and message.end.truncated and (asked or message.body):
            yield "W013-http-short", message.end.error
        if message.surplus:
            yield "W026-http-surplus", ""

    def _revisit(self, record: RawRecord) -> Iterator[tuple[str, str]]:
        profile = record.get("WARC-Profile")
        if "/revisit/" not in profile:
            yield "W020-revisit-profile", profile
        if profile not in {IDENTICAL, NOT_MODIFIED}:
            return
        for name in ("WARC-Refers-To", "WARC-Refers-To-Target-URI", "WARC-Refers-To-Date"):
            if not record.get(name):
                yield "W021-revisit-refers", name
        if profile == IDENTICAL and record.get("WARC-Truncated") != "length":
            yield "W024-revisit-truncated", ""
        self._references.want(self._file, record)


class _Message:
    """What one reading of a block tells: its digest, that of its payload, and the HTTP message in it."""

    def __init__(self, record: RawRecord, parser: ResponseParser | None, *, hashes_payload: bool) -> None:
        self.block = _hasher(record.get("WARC-Block-Digest"))
        self.payload = _hasher(record.get("WARC-Payload-Digest")) if hashes_payload else None
        self.head: Head | None = None
        self.end: End | None = None
        self.body = 0
        self.surplus = False
        with record.block.open() as stream:
            while piece := stream.read(1 << 18):
                self.block.update(piece)
                if parser is None:
                    if self.payload is not None:
                        self.payload.update(piece)
                    continue
                self.surplus = self.surplus or self.end is not None
                self._see(parser.feed(piece))
        if parser is not None:
            self._see(parser.eof())

    def _see(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Head):
                self.head = event
            elif isinstance(event, Data):
                self.body += len(event.wire)
                if self.payload is not None:
                    self.payload.update(event.entity)
            elif isinstance(event, End):
                self.end = event
                self.surplus = event.surplus


def verify_file(path: Path) -> Iterator[Finding]:
    """Yield what is wrong with one WARC file; a revisit to another file is only a warning."""
    references = References()
    yield from _records(path, path.name.removesuffix(OPEN_SUFFIX), references, None)
    yield from references.unresolved(whole=False)


def verify_collection(warcs: Path, indexes: Path, manifest_path: Path) -> Iterator[Finding]:
    """Yield what is wrong with a collection: files, indexes, manifest, and what they say of each other."""
    references = References()
    try:
        entries = {entry.segment: entry for entry in manifest.read(manifest_path)}
    except Damaged as e:
        yield _finding("C003-chain", manifest_path.name, 0, str(e))
        entries = {}
    present = sorted(warcs.glob("*.warc.gz"))
    for path in present:
        yield from _sealed(path, indexes, entries.get(path.name), references)
    # What a crash left open may hold what a sealed revisit refers to.
    for path in sorted(warcs.glob(f"*{OPEN_SUFFIX}")):
        yield _finding("C007-open", path.name, 0)
        for record in Records(path):
            if record.type == "response":
                references.add(record)
    here = {path.name.removesuffix(OPEN_SUFFIX) for path in (*present, *warcs.glob(f"*{OPEN_SUFFIX}"))}
    for name in sorted(entries.keys() - here):
        yield _finding("C006-gone", name, 0)
    yield from references.unresolved()


def _sealed(path: Path, indexes: Path, entry: manifest.Entry | None, references: References) -> Iterator[Finding]:
    digest = hashlib.sha256()
    lines: list[str] = []
    yield from _records(path, path.name, references, lines, digest.update)
    if entry is None:
        yield _finding("C005-not-entered", path.name, 0)
    elif (entry.sha256, entry.bytes) != (digest.hexdigest(), path.stat().st_size):
        yield _finding("C004-fixity", path.name, 0, f"sha256 {digest.hexdigest()}, the manifest says {entry.sha256}")
    index = indexes / f"{path.name.removesuffix('.warc.gz')}.cdxj"
    if not index.exists():
        yield _finding("C002-no-index", path.name, 0)
    elif (found := index.read_bytes()) != (due := cdxj.index(lines)):
        yield _finding("C001-index", index.name, 0, _difference(found, due))


def _difference(found: bytes, due: bytes) -> str:
    lines, wanted = set(found.splitlines()), set(due.splitlines())
    if lines == wanted:
        return "its lines are out of order or repeated"
    return f"{len(wanted - lines)} records are not in it, {len(lines - wanted)} of its lines match no record"


def _records(
    path: Path, name: str, references: References, lines: list[str] | None, seen: object = None
) -> Iterator[Finding]:
    indexer = cdxj.Indexer(name)
    records, checks = Records(path, seen=seen), RecordChecks(path, name, references)  # type: ignore[arg-type]
    for record in records:
        yield from checks.check(record)
        if lines is not None and (line := indexer.line(record)) is not None:
            lines.append(line)
    if records.torn:
        yield _finding("W001-torn", path.name, records.end, records.torn)


def _finding(rule: str, file: str, offset: int, remark: str = "") -> Finding:
    severity, sentence = RULES[rule]
    return Finding(
        rule=rule, severity=severity, file=file, offset=offset, message=f"{sentence}: {remark}" if remark else sentence
    )


def _is_answer(record: RawRecord) -> bool:
    return record.type in {"response", "revisit"} and record.get("Content-Type").startswith("application/http")


def _identity(text: str) -> bytes | None:
    found = _ID.fullmatch(text)
    try:
        return uuid.UUID(found[1]).bytes if found else None
    except ValueError:
        return None


def _is_date(text: str) -> bool:
    if not _DATE.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _hasher(labelled: str) -> hashlib._Hash:
    name = labelled.partition(":")[0].lower().replace("-", "")
    return hashlib.new(name if name in {"sha1", "sha256", "sha512", "md5"} else "sha256", usedforsecurity=False)


def _equals(labelled: str, digest: bytes) -> bool:
    """Compare with a labelled digest in hex or base32, as both are in use."""
    value = labelled.partition(":")[2]
    return value.lower() == digest.hex() or value.upper().rstrip("=") == base64.b32encode(digest).decode().rstrip("=")


def _short(labelled: str) -> bytes:
    """Return 8 bytes that stand for a labelled digest."""
    return hashlib.blake2b(labelled.lower().encode("utf-8", "surrogateescape"), digest_size=8).digest()
