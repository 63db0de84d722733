"""What ``-i`` takes: a list of URLs, a sitemap or feed, or the index of an archive (CDX, CDXJ), gzipped or not.

Which of these a file is, its lines say themselves, so they may be mixed. Anything that names no http(s) URL (a ``dns:``
record, a remark) is left out and counted.
"""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from crawler.errors import UsageError
from crawler.scope import seed_from

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: The first line of a CDX file says which field is which; ``a`` is the URL.
_CDX = "CDX"
#: Bytes of the first look at a file.
_START = 512


@dataclass(slots=True)
class Listing:
    """The URLs of a file, each once, in its order; and what else stood there."""

    urls: dict[str, None] = field(default_factory=dict)
    #: Lines that name no URL.
    left_out: int = 0
    example: str = ""


def read_listing(stream: BinaryIO) -> Listing:
    """Return what a file lists. Raises UsageError where it cannot be read."""
    found = Listing()
    try:
        for named in _named(stream):
            text = named.strip()
            try:
                found.urls[seed_from(text).url] = None
            except UsageError:
                found.left_out += 1
                found.example = found.example or text[:80]
    except (OSError, EOFError, zlib.error) as e:
        raise UsageError(f"The list of -i cannot be read: {e}.") from e
    return found


def _named(stream: BinaryIO) -> Iterator[str]:
    start = stream.read(_START)
    if start.startswith(b"\x1f\x8b"):
        joined = cast("BinaryIO", _Joined(start, stream))
        yield from _named(cast("BinaryIO", gzip.GzipFile(fileobj=joined)))
        return
    head = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    whole = _Joined(start, stream)
    if head.startswith(b"<"):
        from spiders.feeds import entries  # noqa: PLC0415 - heavy, and rarely needed

        yield from (entry.url for entry in entries(cast("BinaryIO", whole)))
    elif head.startswith(b"["):
        yield from _table(b"".join(whole))
    else:
        yield from _lines(line.decode("utf-8", "replace").removeprefix("\ufeff") for line in whole)


class _Joined:
    """A stream whose beginning was read already."""

    def __init__(self, start: bytes, rest: BinaryIO) -> None:
        self._start = start
        self._rest = rest

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            taken, self._start = self._start, b""
            return taken + self._rest.read()
        taken, self._start = self._start[:size], self._start[size:]
        return taken or self._rest.read(size)

    def __iter__(self) -> Iterator[bytes]:
        """Yield the lines."""
        *lines, last = self._start.split(b"\n")
        yield from lines
        yield from chain([last + self._rest.readline()], self._rest)


def _lines(lines: Iterable[str]) -> Iterator[str]:
    """Yield what each line names; in a CDX file the URL is where its first line says, the third word otherwise."""
    column: int | None = None
    for line in lines:
        words = line.split()
        if not words or line.startswith("#"):
            continue
        if words[0] == _CDX and "a" in words[1:]:
            column = words.index("a") - 1
        elif column is not None and column < len(words):
            yield words[column]
        elif words[0].startswith("{"):
            yield _url_of(line)
        elif len(words) > 2 and words[1].isdecimal() and words[2].startswith("{"):
            yield _url_of(line[line.index("{") :])
        elif len(words) > 2 and words[1].isdecimal():
            yield words[2]
        else:
            yield line


def _table(text: bytes) -> Iterator[str]:
    """Yield the URLs of what index servers give as JSON: a list of lists, the names of the columns first."""
    try:
        rows = json.loads(text)
        columns = rows[0]
        at = columns.index("original" if "original" in columns else "url")
        yield from (str(row[at]) for row in rows[1:])
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as e:
        raise UsageError(f"The list of -i is JSON, but no table with a column 'original' or 'url': {e}.") from e


def _url_of(text: str) -> str:
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return str(found.get("url", text)) if isinstance(found, dict) else text
