"""One file, whoever made it: all its records, and what lies between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crawler.warc.damage import Gap, walk
from crawler.warc.verify.records import RecordChecks
from crawler.warc.verify.rules import finding, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from crawler.warc.reader import RawRecord
    from crawler.warc.verify.references import References
    from crawler.warc.verify.rules import Finding

_GAPS = {"torn": "W001-torn", "foreign": "W032-garbage", "size": "W027-length"}


def check_file(
    path: Path,
    references: References,
    *,
    label: str = "",
    start: int = 0,
    stop: int | None = None,
    seen: Callable[[bytes], object] | None = None,
    each: Callable[[RawRecord], object] | None = None,
    ours: bool = False,
) -> Iterator[Finding]:
    """Yield what is wrong with the records of a WARC file, or of the part of a file from ``start`` to ``stop``.

    ``label``: what findings call it. ``each`` is told of every record that could be read, ``seen`` of every byte.
    Offsets in findings count from ``start``.
    """
    label = label or shown(path.name)
    checks = RecordChecks(label, label.rpartition("/")[2], references, ours=ours)
    count = 0
    try:
        for found in walk(path, start=start, stop=stop, seen=seen, watch=checks.watch):
            found_at = found.offset - start
            if isinstance(found, Gap):
                remark = f"{found.why} ({found.end - found.offset} bytes)"
                yield finding(_GAPS[found.kind], label, found_at, remark, ours=ours)
                continue
            count += 1
            found.offset = found_at
            yield from checks.check(found)
            if each is not None:
                each(found)
    except OSError as e:
        yield finding("W043-unreadable", label, 0, e.strerror or str(e))
    else:
        if not count:
            yield finding("W031-empty", label, 0)
