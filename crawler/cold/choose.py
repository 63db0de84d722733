"""Which segments hold what is wanted: by name, by the capture of a URL or post, by date; from the indexes alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import TYPE_CHECKING

from crawler.warc.lookup import captures, every

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crawler.warc import manifest
    from crawler.warc.lookup import Line

_REVISIT = "warc/revisit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is wanted of a collection; everything where nothing is said."""

    #: Shell patterns of segments' names.
    segments: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    #: Ids that stand in URLs, between what is no letter and no digit.
    posts: tuple[str, ...] = ()
    #: Days or seconds, as digits (20210106, 20210106120000), both included; they narrow URLs and posts down.
    since: str = ""
    until: str = ""

    @property
    def needs_indexes(self) -> bool:
        """Whether the names of segments alone do not tell."""
        return bool(self.urls or self.posts or self.since or self.until)

    def has(self, stamp: str) -> bool:
        """Say whether a capture of this 14-digit date is wanted."""
        return self.since <= stamp and (not self.until or stamp[: len(self.until)] <= self.until)


def chosen(entries: list[manifest.Entry], indexes: Path, wanted: Wanted) -> list[manifest.Entry]:
    """Return the segments to fetch. A revisit brings the segment of what it repeats.

    Raises Damaged where an index is none.
    """
    if not wanted.segments and not wanted.needs_indexes:
        return entries
    names = {one.segment for one in entries if any(fnmatch(one.segment, pattern) for pattern in wanted.segments)}
    if wanted.needs_indexes:
        names |= _holding([indexes / f"{one.segment.removesuffix('.warc.gz')}.cdxj" for one in entries], wanted)
    return [entry for entry in entries if entry.segment in names]


def _holding(indexes: list[Path], wanted: Wanted) -> set[str]:
    here = [index for index in indexes if index.exists()]
    names, repeated = set(), set()
    for line in (line for index in here for line in _lines(index, wanted) if wanted.has(line.stamp)):
        names.add(line.segment)
        if line.mime == _REVISIT:
            repeated.add(line.digest)
    originals = (line for index in here if repeated for line in every(index) if line.mime != _REVISIT)
    return names | {line.segment for line in originals if line.digest in repeated}


def _lines(index: Path, wanted: Wanted) -> Iterator[Line]:
    if not wanted.urls and not wanted.posts:
        yield from every(index)
    for url in wanted.urls:
        yield from captures(index, url)
    if wanted.posts:
        ids = re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(map(re.escape, wanted.posts))})(?![A-Za-z0-9])")
        yield from (line for line in every(index) if ids.search(line.url.partition("://")[2].partition("/")[2]))
