"""Captures that no spider reads (probes, pages that are kept and not parsed), looked through for what was taken down.

They have no items; what stands in them is found by the ids and permalinks in their text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crawler.model import PROBE_LANE
from crawler.reading.rows import answers
from crawler.reading.shelf import answer
from crawler.warc.reader import Torn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_FILES = ("image/", "video/", "audio/", "font/")
_PIECE = 1 << 20
#: Bytes of a decoded page that are looked at.
_MOST = 64 << 20
#: Bytes of a name that two pieces of a page may share.
_LONGEST = 4096


def naming(path: Path, is_named_in: Callable[[bytes], bool]) -> Iterator[tuple[int, str]]:
    """Yield offset and id of each answer of a segment that no callback reads and that names something."""
    for leased, record in answers(path, with_probes=True):
        fetch = leased.fetch
        if record.type != "response" or (fetch.callback is not None and fetch.lane != PROBE_LANE):
            continue
        try:
            response = answer(fetch, record, method=fetch.method)
            if response.header("Content-Type").startswith(_FILES):
                continue
            with response.open() as stream:
                is_named = _holds(iter(lambda: stream.read(_PIECE), b""), is_named_in)
        except (Torn, OSError):
            continue
        if is_named:
            yield record.offset, record.id


def _holds(pieces: Iterator[bytes], is_named_in: Callable[[bytes], bool]) -> bool:
    kept, count = b"", 0
    for piece in pieces:
        text = kept + piece.replace(b"\\/", b"/")
        if is_named_in(text):
            return True
        kept, count = text[-_LONGEST:], count + len(piece)
        if count > _MOST:
            return False
    return False
