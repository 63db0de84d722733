"""The captures of a collection as its spider reads them: the answer, and the work that it led to when it came."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from crawler.capture import spool
from crawler.capture.decode import response_from
from crawler.collection import class_of
from crawler.model import PROBE_LANE, SegmentClass
from crawler.warc.groups import GroupReader, outlinks
from crawler.warc.reader import Records, Torn

#: Attempts settled nothing, and of what others saved no work was ours.
UNREAD = frozenset({SegmentClass.ATTEMPTS.value, SegmentClass.IMPORTED.value})

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.collection import Collection
    from crawler.model import Fetch
    from crawler.response import CaptureResponse


def read_captures(collection: Collection) -> Iterator[tuple[CaptureResponse, tuple[Fetch, ...] | None]]:
    """Yield every settled capture of the sealed segments that a callback reads; each is good until the next.

    With it come the fetches that its callback named, None where that is not written down. What is torn is left out:
    ``archive verify`` tells of it.
    """
    paths = [path for path in collection.sealed_segments() if class_of(path.name) not in UNREAD]
    places: dict[str, tuple[Path, int]] = {}
    for path in paths:
        places.update((record.id, (path, record.offset)) for record in Records(path) if record.type == "response")
    for path in paths:
        named = _named(path)
        for group in GroupReader(path):
            fetch = group.leased.fetch
            if fetch.callback is None or fetch.lane == PROBE_LANE or not group.response_id:
                continue
            with tempfile.TemporaryDirectory(prefix="outlast-read-") as folder:
                try:
                    capture = group.capture(places.get, Path(folder))
                except Torn:
                    continue
                yield response_from(fetch, capture), named.get(group.response_id)
                spool.discard(capture.body)


def _named(path: Path) -> dict[str, tuple[Fetch, ...]]:
    """Return response record id → the fetches that its callback named."""
    found = {}
    for record in Records(path):
        if record.type == "metadata" and (answer := record.get("WARC-Refers-To")):
            try:
                found[answer] = tuple(outlinks(record))
            except Torn:
                continue
    return found
