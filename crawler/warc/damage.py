"""Reading on behind damage: every record of a file that can be read, and every stretch between them that cannot."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crawler.warc.reader import Records, begins_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from crawler.warc.reader import RawRecord, Watch

_READ = 1 << 20
#: What a record may begin with: a gzip member, a zstd frame, a version line.
_START = re.compile(rb"\x1f\x8b\x08[\x00-\x1f]|\x28\xb5\x2f\xfd|(?<=\n)WARC/\d")
_LONGEST_START = 8
#: Bytes of a file of which so much may be read again in search of the next record, besides twice its size.
_AGAIN = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A stretch that is no record: ``kind`` as in ``reader.Torn``."""

    offset: int
    end: int
    kind: str
    why: str


def walk(
    path: Path,
    *,
    start: int = 0,
    stop: int | None = None,
    seen: Callable[[bytes], object] | None = None,
    watch: Watch | None = None,
) -> Iterator[RawRecord | Gap]:
    """Yield the records and gaps of a file, or of the part of it from ``start`` to ``stop``, in order.

    Behind damage it goes on at the next place where a record begins, be it inside what a record took for its block.
    ``seen`` and ``watch`` as in ``Records``. Raises OSError where the disk fails.
    """
    end = _size(path) if stop is None else stop
    again = 2 * (end - start) + _AGAIN
    while True:
        records = Records(path, start=start, stop=stop, seen=seen, watch=watch, lenient=True)
        yield from records
        if not records.torn:
            return
        seen = None
        again -= records.reached - records.end
        # A hostile file could have every byte of it read once for each of its bytes.
        sought_from = records.end + 1 if again > 0 else max(records.reached, records.end + 1)
        start = _next_start(path, sought_from, end)
        yield Gap(offset=records.end, end=start, kind=records.kind, why=records.torn)
        if start >= end:
            return


def _size(path: Path) -> int:
    with path.open("rb") as file:
        return file.seek(0, io.SEEK_END)


def _next_start(path: Path, at: int, stop: int) -> int:
    """Return where the next record begins, ``stop`` where none does."""
    with path.open("rb") as file:
        window_at, window = max(0, at - 1), b""
        file.seek(window_at)
        while piece := file.read(min(_READ, stop - window_at - len(window))):
            window += piece
            for found in _START.finditer(window):
                offset = window_at + found.start()
                if offset >= at and begins_at(path, offset):
                    return offset
            kept = window[-_LONGEST_START:]
            window_at += len(window) - len(kept)
            window = kept
    return stop
