"""What records say of each other: unique ids, what revisits and WARC-Concurrent-To name, over any number of files.

Kept in a temporary SQLite database, which goes to disk as it grows: memory stays flat however many records there are.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import weakref
from contextlib import closing
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from crawler.warc.profiles import IDENTICAL
from crawler.warc.verify import digests
from crawler.warc.verify.rules import Finding, finding, printable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crawler.warc.reader import RawRecord

_SCHEMA = """
CREATE TABLE record (id BLOB, kind INTEGER, place BLOB, payload BLOB, file TEXT, offset INTEGER);
CREATE TABLE concurrent (id BLOB, whose BLOB, file TEXT, offset INTEGER, told TEXT);
CREATE TABLE salvaged (file TEXT);
CREATE TABLE finding (told TEXT);
CREATE TABLE revisit (id BLOB, place BLOB, payload BLOB, file TEXT, offset INTEGER);
"""
_INDEXES = """
CREATE INDEX record_id ON record (id);
CREATE INDEX concurrent_id ON concurrent (id);
CREATE INDEX concurrent_whose ON concurrent (whose);
"""
_BATCH = 5000
_DUPLICATES = """
SELECT r.file, r.offset FROM record r
JOIN (SELECT id, min(rowid) AS first FROM record GROUP BY id HAVING count(*) > 1) d ON r.id = d.id AND r.rowid > d.first
ORDER BY r.rowid
"""
_UNCONCURRENT = """
SELECT file, offset, told FROM concurrent c WHERE NOT EXISTS (SELECT 1 FROM record r WHERE r.id = c.id) ORDER BY rowid
"""
#: Either names the other: some writers put the request first, some the response.
_UNASKED = """
SELECT file, min(offset), count(*) FROM record r WHERE kind = 1
AND NOT EXISTS (SELECT 1 FROM concurrent c JOIN record q ON q.id = c.id WHERE c.whose = r.id AND q.kind = 2)
AND NOT EXISTS (SELECT 1 FROM concurrent c JOIN record q ON q.id = c.whose WHERE c.id = r.id AND q.kind = 2)
GROUP BY file ORDER BY min(rowid)
"""
_REVISITS = """
SELECT v.file, v.offset, v.payload, coalesce(
    (SELECT payload FROM record WHERE id = v.id AND payload IS NOT NULL LIMIT 1),
    (SELECT payload FROM record WHERE place = v.place AND payload = v.payload LIMIT 1),
    (SELECT payload FROM record WHERE place = v.place AND payload IS NOT NULL LIMIT 1)
) FROM revisit v ORDER BY v.rowid
"""
_KINDS = {"response": 1, "revisit": 1, "request": 2}
#: What has a payload that a revisit may be of.
_ORIGINALS = frozenset({"response", "resource", "conversion"})


class References:
    """Notes records as they are read; asked at the end. ``path``: a file to keep them in, for another to ``join``."""

    def __init__(self, path: Path | None = None) -> None:
        # An empty name is SQLite's own temporary file. No journal: what a crash leaves of this is of no use.
        self._db = sqlite3.connect(path or "", isolation_level=None)
        weakref.finalize(self, self._db.close)
        self._db.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {_SCHEMA} BEGIN;")
        self._records: list[tuple[bytes, int, bytes | None, bytes | None, str, int]] = []
        self._concurrent: list[tuple[bytes, bytes, str, int, str]] = []

    def add(self, file: str, record: RawRecord) -> None:
        """Note a record, and what it refers to."""
        first = record.first
        kind = first.get("warc-type", "")
        payload: bytes | None = None
        place: bytes | None = None
        if kind in _ORIGINALS:
            payload = _payload(first.get("warc-payload-digest", ""))
            place = _place(first.get("warc-target-uri", ""), first.get("warc-date", ""))
        own = identity(first.get("warc-record-id", ""))
        # What was moved from a place that may not be shown left its request there.
        http = "outlast-moved" not in first and first.get("content-type", "").startswith("application/http")
        self._records.append((own, _KINDS.get(kind, 0) if http else 0, place, payload, file, record.offset))
        if "warc-concurrent-to" in first:
            self._concurrent += [
                (identity(value), own, file, record.offset, printable(value)) for value in concurrent_to(record)
            ]
        if "outlast-salvaged" in first:
            self._db.execute("INSERT INTO salvaged VALUES (?)", (file,))
        if kind == "revisit":
            self._want(file, record)
        if len(self._records) >= _BATCH:
            self._flush()

    def _want(self, file: str, record: RawRecord) -> None:
        refers = record.get("WARC-Refers-To")
        uri, date = record.get("WARC-Refers-To-Target-URI"), record.get("WARC-Refers-To-Date")
        if not refers and not (uri and date):
            return
        payload = _payload(record.get("WARC-Payload-Digest")) if record.get("WARC-Profile") == IDENTICAL else None
        row = (identity(refers) if refers else None, _place(uri, date) if uri else None, payload, file, record.offset)
        self._db.execute("INSERT INTO revisit VALUES (?, ?, ?, ?, ?)", row)

    def _flush(self) -> None:
        self._db.executemany("INSERT INTO record VALUES (?, ?, ?, ?, ?, ?)", self._records)
        self._db.executemany("INSERT INTO concurrent VALUES (?, ?, ?, ?, ?)", self._concurrent)
        self._records.clear()
        self._concurrent.clear()

    def tell(self, found: Finding) -> None:
        """Keep a finding for who joins this."""
        self._db.execute("INSERT INTO finding VALUES (?)", (json.dumps(asdict(found)),))

    def close(self) -> None:
        """Write all to the file that was given."""
        self._flush()
        self._db.execute("COMMIT")
        self._db.close()

    def join(self, path: Path) -> Iterator[Finding]:
        """Take over what another one noted, and closed; yield the findings that it was told."""
        with closing(sqlite3.connect(path)) as other:
            yield from (Finding(**json.loads(told)) for (told,) in other.execute("SELECT told FROM finding"))
        self._db.execute("COMMIT")
        self._db.execute("ATTACH ? AS other", (str(path),))
        for table in ("record", "concurrent", "revisit", "salvaged"):
            self._db.execute(f"INSERT INTO {table} SELECT * FROM other.{table}")  # noqa: S608 - names of ours
        self._db.execute("DETACH other")
        self._db.execute("BEGIN")

    def unresolved(self, *, whole: bool = True, ours: bool = False) -> Iterator[Finding]:
        """Yield the ids that are not unique and the references that resolve to nothing, or to something else.

        That a revisit's original is not here is no damage unless this is the ``whole`` of what belongs together; what a
        salvaged file lacks was told when it was salvaged.
        """
        self._flush()
        self._db.executescript(_INDEXES)
        for file, offset in self._db.execute(_DUPLICATES):
            yield finding("W006-duplicate-id", file, offset, ours=ours)
        salvaged = {file for (file,) in self._db.execute("SELECT file FROM salvaged")}
        for file, offset, told in self._db.execute(_UNCONCURRENT):
            lost = finding("W019-concurrent", file, offset, told, ours=ours)
            yield replace(lost, severity="warning") if file in salvaged else lost
        for file, offset, count in self._db.execute(_UNASKED):
            yield finding("W018-no-request", file, offset, f"{count}, the first of them here", ours=ours)
        if self._db.execute("SELECT 1 FROM revisit LIMIT 1").fetchone():
            self._db.execute("CREATE INDEX record_place ON record (place)")
        for file, offset, payload, original in self._db.execute(_REVISITS):
            if original is None:
                dangling = finding("W022-revisit-dangling", file, offset, "" if whole else "in this file", ours=ours)
                yield dangling if whole and file not in salvaged else replace(dangling, severity="warning")
            elif payload is not None and payload != original and payload[:1] == original[:1]:
                yield finding("W023-revisit-payload", file, offset, ours=ours)


def concurrent_to(record: RawRecord) -> list[str]:
    """Return all that a record names as written with it: the one header that may be repeated."""
    if len(record.first) == len(record.headers):
        return [record.first["warc-concurrent-to"]] if "warc-concurrent-to" in record.first else []
    return [value for name, value in record.headers if name.lower() == "warc-concurrent-to"]


def identity(told: str) -> bytes:
    """Return 16 bytes that stand for a record id."""
    if told.startswith("<urn:uuid:") and len(told) == 47:
        try:
            own = bytes.fromhex(told[10:46].replace("-", ""))
        except ValueError:
            own = b""
        if len(own) == 16:
            return own
    return hashlib.blake2b(told.strip("<>").encode("utf-8", "surrogateescape"), digest_size=16).digest()


def _payload(labelled: str) -> bytes:
    """Return what stands for a payload's digest: a byte for its algorithm and some of it; empty for no digest."""
    if not labelled:
        return b""
    name = digests.algorithm(labelled) or labelled.partition(":")[0].lower()
    mark = hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=1).digest()
    return mark + (digests.value(labelled) or labelled.encode("utf-8", "surrogateescape"))[:12]


def _place(uri: str, date: str) -> bytes:
    """Return what stands for a capture: its URI and second."""
    told = f"{date[:19]} {uri.strip('<>')}".encode("utf-8", "surrogateescape")
    return hashlib.blake2b(told, digest_size=8).digest()
