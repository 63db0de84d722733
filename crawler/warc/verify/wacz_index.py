"""Whether the CDXJ of a WACZ agrees with its records: every line seeks to a record that is what the line says.

Records and lines are laid into a temporary SQLite database and joined there, so that memory stays flat.
"""

from __future__ import annotations

import gzip
import json
import re
import sqlite3
import weakref
from typing import TYPE_CHECKING, Any, Self

from crawler.warc.verify import digests
from crawler.warc.verify.rules import Finding, finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import IO

    from crawler.warc.reader import RawRecord

_SCHEMA = """
CREATE TABLE record (file TEXT, offset INTEGER, length INTEGER, url TEXT, stamp TEXT, digest TEXT, type TEXT);
CREATE TABLE line (
    origin TEXT, number INTEGER, file TEXT, offset INTEGER, length INTEGER, url TEXT, stamp TEXT, digest TEXT
);
CREATE TABLE page (origin TEXT, number INTEGER, url TEXT);
CREATE TABLE fault (rule TEXT, origin TEXT, number INTEGER, remark TEXT);
"""
_INDEXES = """
CREATE INDEX record_place ON record (file, offset);
CREATE INDEX line_place ON line (file, offset);
CREATE INDEX record_url ON record (url);
"""
_LIES = """
SELECT l.origin, l.number, l.file, l.offset, l.length, l.url, l.stamp, l.digest, r.length, r.url, r.stamp, r.digest
FROM line l LEFT JOIN record r ON r.file = l.file AND r.offset = l.offset
WHERE r.file IS NULL OR l.length != r.length OR l.url != r.url OR l.stamp != r.stamp OR l.digest != r.digest
ORDER BY l.rowid
"""
_LEFT_OUT = """
SELECT file, count(*), min(offset) FROM record r WHERE type IN ('response', 'revisit')
AND NOT EXISTS (SELECT 1 FROM line l WHERE l.file = r.file AND l.offset = r.offset) GROUP BY file
"""
_LOST = """
SELECT origin, number, url FROM page p WHERE NOT EXISTS (SELECT 1 FROM record r WHERE r.url = p.url) ORDER BY rowid
"""
_LINE = re.compile(r"(\S+) (\d{14,17}) (\{.*\})\s*")
_MOST_LINE = 1 << 20
_FIELDS = ("length", "url", "time", "digest")


class WaczIndex:
    """Collects records, lines and pages of a WACZ; ``findings`` says where they disagree."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._db = sqlite3.connect("", isolation_level=None)
        weakref.finalize(self, self._db.close)
        self._db.executescript(f"PRAGMA journal_mode = OFF; {_SCHEMA} BEGIN;")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def record_of(self, member: str) -> Callable[[RawRecord], object]:
        """Return what is told of each record of a WARC file."""
        file = member.rpartition("/")[2]

        def add(record: RawRecord) -> None:
            digest = record.get("WARC-Payload-Digest") or record.get("WARC-Block-Digest")
            stamp = re.sub(r"\D", "", record.get("WARC-Date"))[:14]
            row = (file, record.offset, record.length, record.target, stamp, digest, record.type)
            self._db.execute("INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?)", _plain(row))

        return add

    def page(self, origin: str, url: str, number: int) -> None:
        """Note a page."""
        self._db.execute("INSERT INTO page VALUES (?, ?, ?)", _plain((origin, number, url.partition("#")[0])))

    def read(self, member: str, stream: IO[bytes]) -> None:
        """Note the lines of an index, packed or not. Raises OSError, EOFError or zlib.error where it is damaged."""
        lines = gzip.GzipFile(fileobj=stream) if member.endswith(".gz") else stream
        before, number = b"", 0
        while line := lines.readline(_MOST_LINE):
            number += 1
            if line.startswith(b"!meta") or not line.strip():
                continue
            if line < before:
                self._fault("Z017-index-order", member, number)
            before = line
            self._line(member, number, line)

    def _line(self, member: str, number: int, line: bytes) -> None:
        told = _LINE.fullmatch(line.decode("utf-8", "replace"))
        facts = _facts(told[3]) if told else None
        if told is None or facts is None:
            self._fault("Z016-index-line", member, number, line[:80].decode("utf-8", "replace"))
            return
        row = (
            member, number, facts["filename"].rpartition("/")[2], int(facts["offset"]), int(facts["length"]),
            facts["url"], told[2][:14], facts["digest"],
        )  # fmt: skip
        self._db.execute("INSERT INTO line VALUES (?, ?, ?, ?, ?, ?, ?, ?)", _plain(row))

    def _fault(self, rule: str, member: str, number: int, remark: str = "") -> None:
        self._db.execute("INSERT INTO fault VALUES (?, ?, ?, ?)", _plain((rule, member, number, remark)))

    def findings(self) -> Iterator[Finding]:
        """Yield where they disagree; offsets of an index or of pages are numbers of lines."""
        self._db.executescript(_INDEXES)
        for rule, member, number, remark in self._db.execute("SELECT * FROM fault ORDER BY rowid"):
            yield finding(rule, f"{self._name}/{member}", number, remark)
        for member, number, file, offset, *facts in self._db.execute(_LIES):
            if remark := _lie(file, offset, facts[:4], facts[4:]):
                yield finding("Z018-index-lies", f"{self._name}/{member}", number, remark)
        for file, count, first in self._db.execute(_LEFT_OUT):
            remark = f"{count} of them, the first of them here"
            yield finding("Z019-not-indexed", f"{self._name}/archive/{file}", first, remark)
        for origin, number, url in self._db.execute(_LOST):
            yield finding("Z015-page-lost", origin, number, url)


def _lie(file: str, offset: int, told: list[Any], found: list[Any]) -> str:
    """Return how a line and its record differ, empty where only the digests are spelled or made in other ways."""
    if found[0] is None:
        return f"no record of {file} begins at {offset}"
    differing = [name for name, one, other in zip(_FIELDS, told, found, strict=True) if one != other]
    if "digest" in differing and (not found[3] or not _differ(told[3], found[3])):
        differing.remove("digest")
    return f"the {' and the '.join(differing)} of the record at {offset} of {file}" if differing else ""


def _differ(one: str, other: str) -> bool:
    same_kind = digests.algorithm(one) and digests.algorithm(one) == digests.algorithm(other)
    return bool(same_kind) and digests.value(one) != digests.value(other)


def _facts(text: str) -> dict[str, str] | None:
    """Return what a line says, None where it lacks what readers need."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return None
    facts = {name: str(told.get(name, "")) for name in ("url", "digest", "filename", "offset", "length")}
    numbers = facts["offset"].isascii() and facts["offset"].isdigit() and facts["length"].isascii()
    usable = numbers and facts["length"].isdigit() and len(facts["offset"]) < 19 and len(facts["length"]) < 19
    return facts if usable and all(facts.values()) else None


def _plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a row without the lone surrogates that SQLite cannot take."""
    return tuple(
        value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value for value in row
    )
