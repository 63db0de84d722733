"""``evidence/heads.jsonl``: time-stamps of the manifest's head while segments seal, a line each.

The manifest is a chain, so that a stamp over its last line is one over every segment so far: each was there then, as it
is now.
"""

from __future__ import annotations

import base64
import hashlib
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import msgspec

from crawler.collection import sync_directory
from crawler.errors import Damaged
from crawler.evidence import timestamp
from crawler.evidence.canonical import canonical
from crawler.evidence.holdings import HEADS
from crawler.warc import manifest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from cryptography.x509 import Certificate

    from crawler.collection import Collection


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A time-stamp over the line of so many segments. ``token`` is the authority's response in base64."""

    segments: Annotated[int, msgspec.Meta(ge=1)]
    tsa: str
    token: str


def stamp(collection: Collection, url: str) -> bool:
    """Have the manifest's head time-stamped; return whether it was not yet. Raises as ``timestamp.stamp`` does."""
    lines, path = manifest.lines(collection.manifest), collection.root / HEADS
    known = _whole(path)
    if not lines or (known and _opened(known[-1]).segments >= len(lines)):
        return False
    token = timestamp.stamp(lines[-1], url=url)
    head = Head(segments=len(lines), tsa=url, token=base64.b64encode(token).decode())
    path.parent.mkdir(exist_ok=True)
    with path.open("ab") as out:
        out.truncate(sum(map(len, known)))  # a torn line was never acknowledged
        out.write(canonical(asdict(head)) + b"\n")
        out.flush()
        os.fsync(out.fileno())
    sync_directory(path.parent)
    return True


def checked(
    collection: Collection, lines: list[bytes], roots: Sequence[Certificate]
) -> Iterator[tuple[int, timestamp.Stamped | Damaged]]:
    """Yield the offset of each stamp, and what it says or why it does not hold."""
    offset = 0
    for line in _whole(collection.root / HEADS):
        try:
            yield offset, _check(_opened(line), lines, roots)
        except Damaged as e:
            yield offset, e
        offset += len(line)


def _check(head: Head, lines: list[bytes], roots: Sequence[Certificate]) -> timestamp.Stamped:
    if head.segments > len(lines):
        raise Damaged("it is over a line that is not there")
    digest = hashlib.sha256(lines[head.segments - 1]).digest()
    return timestamp.check(base64.b64decode(head.token), digest, roots)


def _whole(path: Path) -> list[bytes]:
    """Return the lines with their ends; a last one without was never acknowledged."""
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    return lines[:-1] if lines and not lines[-1].endswith(b"\n") else lines


def _opened(line: bytes) -> Head:
    try:
        found = msgspec.json.decode(line, type=Head)
        base64.b64decode(found.token, validate=True)
    except ValueError as e:
        raise Damaged(f"it is no line of this file: {e}") from e
    if canonical(asdict(found)) + b"\n" != line:
        raise Damaged("it is not spelled as it was written")
    return found
