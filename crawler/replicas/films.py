"""Small real videos: MP4 (ISO 14496-12) and QuickTime with motion-JPEG frames, a function of a key."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crawler.replicas.images import jpeg, noise

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

WIDTH, HEIGHT = 160, 120
_BLOCK = 1 << 16
_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """A video of so many frames at 10 a second, followed by ``filler`` bytes in ``mdat`` that no track uses.

    ``notes`` are user data of QuickTime's kind (``©xyz``: where it was taken, ISO 6709) for ``moov/udta``.
    """

    key: str
    frames: int
    quicktime: bool = False
    notes: Mapping[bytes, str] = field(default_factory=dict)
    filler: int = 0

    def data(self) -> bytes:
        """Return all its bytes."""
        return b"".join(self.pieces())

    def size(self) -> int:
        """Return how many bytes it has."""
        return len(self._start()) + self.filler

    def pieces(self) -> Iterator[bytes]:
        """Yield its bytes in pieces of at most 64 KiB or so."""
        yield self._start()
        for at in range(0, self.filler, _BLOCK):
            yield noise(f"{self.key}/{at}", min(_BLOCK, self.filler - at))

    def _start(self) -> bytes:
        """Return everything before the filler; the header of ``mdat`` has room for 64 bits."""
        samples = [jpeg(f"{self.key}/{n % 5}", WIDTH, HEIGHT) for n in range(self.frames)]
        brand = b"qt  " if self.quicktime else b"isom"
        head = _box(b"ftyp", brand + struct.pack(">I", 512) + brand + (b"" if self.quicktime else b"mp41"))
        offset = len(head) + len(self._movie(samples, 0)) + 16
        media = b"".join(samples)
        mdat = struct.pack(">I4sQ", 1, b"mdat", 16 + len(media) + self.filler)
        return head + self._movie(samples, offset) + mdat + media

    def _movie(self, samples: list[bytes], offset: int) -> bytes:
        length = len(samples) * 100
        header = struct.pack(">IIIIIIH10x", 0, 0, 0, 1000, length, 0x10000, 0x100)
        notes = b"".join(_note(kind, text) for kind, text in self.notes.items())
        return _box(
            b"moov",
            _box(b"mvhd", header + _MATRIX + bytes(24) + struct.pack(">I", 2)),
            _box(b"trak", _track_header(length), _box(b"mdia", *_media(samples, length, offset))),
            _box(b"udta", notes) if notes else b"",
        )


def _track_header(length: int) -> bytes:
    facts = struct.pack(">IIIIII8xHHHH", 7, 0, 0, 1, 0, length, 0, 0, 0, 0)
    return _box(b"tkhd", facts + _MATRIX + struct.pack(">II", WIDTH << 16, HEIGHT << 16))


def _media(samples: list[bytes], length: int, offset: int) -> Iterator[bytes]:
    yield _box(b"mdhd", struct.pack(">IIIIIHH", 0, 0, 0, 1000, length, 0x55C4, 0))
    yield _box(b"hdlr", struct.pack(">II4s12x", 0, 0, b"vide") + b"video\0")
    reference = _box(b"dref", struct.pack(">II", 0, 1), _box(b"url ", struct.pack(">I", 1)))
    table = _box(b"stbl", *_samples(samples, offset))
    yield _box(b"minf", _box(b"vmhd", struct.pack(">I8x", 1)), _box(b"dinf", reference), table)


def _samples(samples: list[bytes], offset: int) -> Iterator[bytes]:
    """Yield the tables of where the frames are: one chunk, each frame 100 ms long."""
    look = struct.pack(">H16xHHIIIH", 1, WIDTH, HEIGHT, 0x480000, 0x480000, 0, 1)
    entry = _box(b"jpeg", bytes(6), look, b"\x04jpeg".ljust(32, b"\0"), struct.pack(">Hh", 24, -1))
    yield _box(b"stsd", struct.pack(">II", 0, 1), entry)
    yield _box(b"stts", struct.pack(">IIII", 0, 1, len(samples), 100))
    yield _box(b"stsc", struct.pack(">IIIII", 0, 1, 1, len(samples), 1))
    sizes = [len(sample) for sample in samples]
    yield _box(b"stsz", struct.pack(f">III{len(sizes)}I", 0, 0, len(sizes), *sizes))
    yield _box(b"stco", struct.pack(">III", 0, 1, offset))


def _note(kind: bytes, text: str) -> bytes:
    data = text.encode()
    return _box(kind, struct.pack(">HH", len(data), 0x15C7), data)


def _box(kind: bytes, *parts: bytes) -> bytes:
    data = b"".join(parts)
    return struct.pack(">I", len(data) + 8) + kind + data
