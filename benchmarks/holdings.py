"""What a WARC directory holds of a site: which bodies, how often. Read with fastwarc, a stranger to all candidates."""

from __future__ import annotations

import hashlib
import zipfile
from collections import Counter
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

from fastwarc.warc import ArchiveIterator, WarcRecordType

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.site import Site, Truth


@dataclass(slots=True)
class Holdings:
    """What was found of a site."""

    #: Paths held with the right status and body.
    held: set[str] = field(default_factory=set)
    #: Path → records about it.
    records: Counter[str] = field(default_factory=Counter)
    #: Path → why its record is not what the server said.
    wrong: dict[str, str] = field(default_factory=dict)
    #: Of the files.
    bytes: int = 0

    @property
    def doubles(self) -> int:
        return sum(self.records.values()) - len(self.records)


def read(directory: Path, site: Site, host: str) -> Holdings:
    """Return what the WARCs and WACZs anywhere below a directory hold."""
    found = Holdings()
    for stream, size in _streams(directory):
        found.bytes += size
        for record in ArchiveIterator(stream, record_types=WarcRecordType.response | WarcRecordType.revisit):
            _enter(found, record, site, host)
    for path in found.held:
        found.wrong.pop(path, None)
    return found


def _streams(directory: Path) -> Iterator[tuple[IO[bytes], int]]:
    for file in sorted(directory.rglob("*")):
        # warcprox and Outlast mark a file that is not finished with .open; what is in it counts.
        if file.suffix == ".wacz":
            with zipfile.ZipFile(file) as bag:
                for member in bag.infolist():
                    if member.filename.startswith("archive/"):
                        with bag.open(member) as stream:
                            yield stream, member.file_size
        elif ".warc" in file.suffixes and file.is_file():
            with file.open("rb") as stream:
                yield stream, file.stat().st_size


def _enter(found: Holdings, record: Any, site: Site, host: str) -> None:
    # wget puts angle brackets around the URI, as WARC/1.0's grammar says by mistake.
    url = urlsplit(record.headers.get("WARC-Target-URI", "").strip("<>"))
    path = url.path + (f"?{url.query}" if url.query else "")
    truth = site.truth.get(path)
    if url.netloc != host or truth is None:
        return
    found.records[path] += 1
    wrong = _fault(record, truth)
    if wrong:
        found.wrong[path] = wrong
    else:
        found.held.add(path)


def _fault(record: Any, truth: Truth) -> str:
    """Say what is wrong with a record, if anything is."""
    status = record.http_headers.status_code if record.http_headers else None
    if status != truth.status:
        return f"status {status}, not {truth.status}"
    if record.record_type == WarcRecordType.revisit:
        digest = record.headers.get("WARC-Payload-Digest", "").lower()
        return "" if digest in truth.digests else f"revisit of another body ({digest})"
    body = record.reader.read()
    return "" if hashlib.sha256(body).hexdigest() == truth.sha256 else f"another body of {len(body)} bytes"
