"""A ZIP file that nobody writes: its members stay where they are, and any range of it is made when it is asked for.

Members are stored, not deflated; their CRC-32 and size are known beforehand, so nothing is read that is not asked for.
APPNOTE.TXT 6.3.10; ZIP64 (4.5.3) where a size, an offset or the number of members needs it.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from isal import isal_zlib

from crawler.errors import Damaged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    #: Yields the bytes from one offset up to another.
    Read = Callable[[int, int], Iterator[bytes]]

_PIECE = 1 << 20
_MOST_32, _MOST_16 = 0xFFFFFFFF, 0xFFFF
#: 1 January 1980: the same members are the same ZIP, whenever it is made.
_DATE = 0x21
_UTF8 = 0x0800
_MODE = 0o100644 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A file in the ZIP."""

    name: str
    size: int
    crc32: int
    read: Read


def of_bytes(name: str, data: bytes) -> Member:
    """Return a member that is in memory."""
    return Member(
        name=name, size=len(data), crc32=isal_zlib.crc32(data), read=lambda start, stop: iter((data[start:stop],))
    )


def of_file(path: Path, base: int = 0) -> Read:
    """Return what reads a file, or the part of one that begins at ``base``."""

    def read(start: int, stop: int) -> Iterator[bytes]:
        with path.open("rb") as file:
            file.seek(base + start)
            left = stop - start
            while left > 0:
                piece = file.read(min(_PIECE, left))
                if not piece:
                    raise Damaged(f"{path} is shorter than it was.")
                left -= len(piece)
                yield piece

    return read


class Zip:
    """A ZIP of these members. ``read`` yields any range of it; calls may come from several threads."""

    def __init__(self, members: Sequence[Member]) -> None:
        self._parts: list[tuple[int, Read, Member | None]] = []
        self.size = 0
        places = []
        for member in members:
            places.append(self.size)
            self._add(_local(member))
            self._add_part(member.size, member.read, member)
        #: Where the directory of members begins: names, sizes and CRC-32 of all.
        self.directory = start = self.size
        for member, place in zip(members, places, strict=True):
            self._add(_central(member, place))
        self._add(_end(len(members), start, self.size - start))
        self._starts = [part[0] for part in self._parts]

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes from ``start`` up to ``stop``. Raises Damaged where a member is read whole and is another."""
        for at in range(bisect_right(self._starts, start) - 1, len(self._parts)):
            begin, read, member = self._parts[at]
            end = self._starts[at + 1] if at + 1 < len(self._parts) else self.size
            if begin >= stop:
                return
            pieces = read(max(start - begin, 0), min(stop, end) - begin)
            is_whole = member is not None and start <= begin and end <= stop
            yield from _checked(pieces, member) if is_whole and member else pieces

    def _add(self, data: bytes) -> None:
        self._add_part(len(data), lambda start, stop: iter((data[start:stop],)))

    def _add_part(self, size: int, read: Read, member: Member | None = None) -> None:
        if size:
            self._parts.append((self.size, read, member))
        self.size += size


def _checked(pieces: Iterable[bytes], member: Member) -> Iterator[bytes]:
    crc = 0
    for piece in pieces:
        crc = isal_zlib.crc32(piece, crc)
        yield piece
    if crc != member.crc32:
        raise Damaged(f"{member.name} is not what it was when it was sealed; archive verify says more.")


def _local(member: Member) -> bytes:
    name = member.name.encode()
    is_big = member.size >= _MOST_32
    size = _MOST_32 if is_big else member.size
    extra = struct.pack("<HHQQ", 1, 16, member.size, member.size) if is_big else b""
    head = struct.pack(
        "<4sHHHHHIIIHH",
        b"PK\3\4",
        45 if is_big else 20,
        _UTF8,
        0,
        0,
        _DATE,
        member.crc32,
        size,
        size,
        len(name),
        len(extra),
    )
    return head + name + extra


def _central(member: Member, place: int) -> bytes:
    name = member.name.encode()
    big = [member.size, member.size] if member.size >= _MOST_32 else []
    big += [place] if place >= _MOST_32 else []
    extra = struct.pack(f"<HH{len(big)}Q", 1, 8 * len(big), *big) if big else b""
    size = min(member.size, _MOST_32)
    needed = 45 if big else 20
    head = struct.pack(
        "<4sHHHHHHIIIHHHHHII", b"PK\1\2", 3 << 8 | needed, needed, _UTF8, 0, 0, _DATE, member.crc32, size, size,
        len(name), len(extra), 0, 0, 0, _MODE, min(place, _MOST_32),
    )  # fmt: skip
    return head + name + extra


def _end(count: int, start: int, size: int) -> bytes:
    end = struct.pack(
        "<4sHHHHIIH", b"PK\5\6", 0, 0, min(count, _MOST_16), min(count, _MOST_16), min(size, _MOST_32),
        min(start, _MOST_32), 0,
    )  # fmt: skip
    if count < _MOST_16 and start < _MOST_32 and size < _MOST_32:
        return end
    wide = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 3 << 8 | 45, 45, 0, 0, count, count, size, start)
    return wide + struct.pack("<4sIQI", b"PK\6\7", 0, start + size, 1) + end
