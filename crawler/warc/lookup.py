"""Finding captures in a CDXJ file: its lines are sorted, so that a URL is found by halving, however big the file is."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from crawler.errors import Damaged
from crawler.warc.surt import surt

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_REVISIT = b'"mime": "warc/revisit"'
_DIGEST = re.compile(rb'"digest": "([^"]+)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One capture: its 14-digit date, URL, type, and where its record is."""

    stamp: str
    url: str
    mime: str
    #: Of the payload, as the record's header says it.
    digest: str
    segment: str
    offset: int
    length: int


def captures(index: Path, url: str) -> Iterator[Line]:
    """Yield the captures of a URL. Raises Damaged where a line of the index is none."""
    key = f"{surt(url)} ".encode()
    with index.open("rb") as file:
        _seek(file, key, index.stat().st_size)
        for text in file:
            if not text.startswith(key):
                return
            yield _parsed(text, index)


def every(index: Path) -> Iterator[Line]:
    """Yield all captures of an index, in its order. Raises Damaged where a line of it is none."""
    with index.open("rb") as file:
        yield from (_parsed(text, index) for text in file)


def originals(indexes: Path, segments: Iterable[str]) -> dict[str, list[bytes]]:
    """Return segment → the lines of all captures whose payload one of its revisits has, sorted.

    All indexes are read, where any of these segments has a revisit; one that has none is not there.
    """
    wanted: dict[bytes, set[str]] = {}
    for segment in segments:
        for line in _lines(indexes / f"{segment.removesuffix('.warc.gz')}.cdxj"):
            if _REVISIT in line and (found := _DIGEST.search(line)):
                wanted.setdefault(found[1], set()).add(segment)
    lines: dict[str, list[bytes]] = {}
    for index in sorted(indexes.glob("*.cdxj")) if wanted else ():
        for line in _lines(index):
            if _REVISIT not in line and (found := _DIGEST.search(line)):
                for segment in wanted.get(found[1], ()):
                    lines.setdefault(segment, []).append(line)
    return {segment: sorted(some) for segment, some in lines.items()}


def _lines(index: Path) -> Iterator[bytes]:
    if index.is_file():
        with index.open("rb") as file:
            yield from file


def _seek(file: BinaryIO, key: bytes, size: int) -> None:
    """Go to the first line that does not come before ``key``."""
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        _go(file, middle)
        text = file.readline()
        if text and text < key:
            low = middle + 1
        else:
            high = middle
    _go(file, low)


def _go(file: BinaryIO, at: int) -> None:
    """Go to the first line that begins at an offset or after it."""
    file.seek(max(at - 1, 0))
    if at:
        file.readline()


def _parsed(text: bytes, index: Path) -> Line:
    try:
        _, stamp, told = text.decode().split(" ", 2)
        facts = json.loads(told)
        return Line(
            stamp=stamp, url=facts["url"], mime=facts.get("mime", ""),
            digest=facts.get("digest", ""), segment=facts["filename"], offset=int(facts["offset"]),
            length=int(facts["length"]),
        )  # fmt: skip
    except (ValueError, KeyError, TypeError) as e:
        raise Damaged(f"{index.name} has a line that is none of an index: {e}") from e
