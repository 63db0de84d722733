"""The open segments of one worker: which one a group goes to, when they rotate, and what is settled in each.

A *group* is the records of one capture. It begins with request and response, and its metadata record follows when
the callback has ended, so groups may interleave. A segment's *low-water mark* is the offset before which every
group is settled; recovery reads from there.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crawler.warc.segment import SegmentWriter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from pathlib import Path

    from crawler.model import SegmentClass
    from crawler.warc.records import Record

#: Blocks bigger than this are written in a thread, so that one video does not hold up the event loop.
INLINE_BYTES = 1 << 20


@dataclass(slots=True, eq=False)
class OpenSegment:
    """A segment being written."""

    name: str
    writer: SegmentWriter
    opened: float
    #: End of the last whole group or metadata record.
    end: int
    pending: set[int] = field(default_factory=set)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    #: Users between choosing this segment and having written to it; it may not close under them.
    users: int = 0

    @property
    def low_water(self) -> int:
        return min(self.pending, default=self.end)


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Where a capture's records stand."""

    segment: OpenSegment
    offset: int
    response_offset: int
    response_length: int


class Segments:
    """The open segments of a worker, one for each class in use.

    ``new`` registers a segment with the supervisor and returns its path; ``closed`` is told when one is complete
    and every group in it is settled. Raises OSError where the disk fails; the segment is then as it was before.
    """

    def __init__(
        self,
        *,
        new: Callable[[SegmentClass], Awaitable[Path]],
        closed: Callable[[str], Awaitable[None]],
        warcinfo: dict[str, str],
        max_bytes: int,
        max_age: float,
    ) -> None:
        self._new = new
        self._closed = closed
        self._warcinfo = warcinfo
        self._max_bytes = max_bytes
        self._max_age = max_age
        self._current: dict[SegmentClass, OpenSegment] = {}
        self._retired: list[OpenSegment] = []
        self._opening = asyncio.Lock()

    async def begin(self, kind: SegmentClass, make: Callable[[str], Sequence[Record]]) -> Group:
        """Append the first records of a group; ``make`` gets the segment's warcinfo id."""
        segment = await self._for(kind)
        segment.users += 1
        try:
            async with segment.lock:
                places = await self._append(segment, make(segment.writer.warcinfo_id))
                offset = places[0][0]
                segment.pending.add(offset)
                last = places[-1]
        finally:
            segment.users -= 1
        return Group(segment, offset, *last)

    async def add(self, group: Group, record: Record) -> None:
        """Append a later record of a group to the segment the group is in."""
        async with group.segment.lock:
            await self._append(group.segment, [record])

    async def loose(self, kind: SegmentClass, make: Callable[[str], Sequence[Record]]) -> None:
        """Append records that stand for themselves (a name lookup, a certificate chain)."""
        segment = await self._for(kind)
        segment.users += 1
        try:
            async with segment.lock:
                await self._append(segment, make(segment.writer.warcinfo_id))
        finally:
            segment.users -= 1

    async def make_durable(self, groups: Iterable[Group]) -> dict[str, int]:
        """Fsync the segments of these groups and return their low-water marks once the groups are settled."""
        marks: dict[str, int] = {}
        touched = set()
        for group in groups:
            group.segment.pending.discard(group.offset)
            touched.add(group.segment)
        for segment in touched:
            marks[segment.name] = segment.low_water
            await asyncio.to_thread(segment.writer.sync)
        return marks

    async def retire(self, *, everything: bool = False) -> None:
        """Close what is full, old, or (``everything``) all there is, as far as its groups are settled."""
        for kind, segment in list(self._current.items()):
            if everything or self._is_due(segment):
                self._retired.append(self._current.pop(kind))
        for segment in [s for s in self._retired if not s.pending and not s.users]:
            self._retired.remove(segment)
            await asyncio.to_thread(segment.writer.close)
            await self._closed(segment.name)

    def _is_due(self, segment: OpenSegment) -> bool:
        return segment.end >= self._max_bytes or time.monotonic() - segment.opened >= self._max_age

    async def _for(self, kind: SegmentClass) -> OpenSegment:
        async with self._opening:
            segment = self._current.get(kind)
            if segment is not None and self._is_due(segment):
                self._retired.append(self._current.pop(kind))
                segment = None
            if segment is None:
                path = await self._new(kind)
                writer = SegmentWriter(path, warcinfo_fields=self._warcinfo)
                segment = OpenSegment(path.name.removesuffix(".open"), writer, time.monotonic(), writer.size)
                self._current[kind] = segment
            return segment

    async def _append(self, segment: OpenSegment, records: Sequence[Record]) -> list[tuple[int, int]]:
        if sum(r.length for r in records) > INLINE_BYTES:
            places = await asyncio.to_thread(segment.writer.append, *records)
        else:
            places = segment.writer.append(*records)
        segment.end = places[-1][0] + places[-1][1]
        return places
