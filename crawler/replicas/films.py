"""Small real videos that browsers play: MP4 (ISO 14496-12) and QuickTime with VP9 frames, a function of a key."""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crawler.replicas.images import noise

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

WIDTH, HEIGHT = 160, 120
_BLOCK = 1 << 16
#: A square on its way from left to right: VP9 key frames, each made by libvpx of a picture of two colours.
_FRAMES = tuple(
    base64.b64decode(frame)
    for frame in (
        "gkmDQgAJ8Ad2ADgkHBiMAAAwYAAAfKn//83Rn/1hB/1mywZU/UF///vj5///+kY///ABE3bDPad/9pAf80nfirFR+A7hZVd60D6i3//6eUf//1Q///lUYuxqgSENYYA=",
        "gkmDQgAJ8Ad2ADgkHBiMAAAwYAAAfKn//83Rn/1hB/1mywZRCUulv//xZD///4YUyg/8d/4muQ8FaOYCGiJBUrHWJXH0yonuGGZCqA==",
        "gkmDQgAJ8Ad2ADgkHBiMAAAwYAAAfKn//83Rn/1hB/1mywZK10Jp///3x8////oUv///gATfSVz2nf/aQH/NJ34qxU08ci3j7BI2v0dY",
        "gkmDQgAJ8Ad2ADgkHBiMAAAwYAAAfKn//83Rn/1hB/1mywZKvGfTk4//4sh///8MKZQf+O/8TXIeEGDKqZPe+tn6Eb8M9i+PY1Llp+6A",
        "gkmDQgAJ8Ad2ADgkHBiMAACAZ9jr2gBczAB8m5Wb/whB/1myuUXbodJq2r//9Cl///8ABz/C1oNgaP/tID/mk78VYp/yCBawDyB4QOLTcsyQ",
        "gkmDQgAJ8Ad2ADgkHBiMAAAwYAAAfKn//83Rn/1hB/1mywZKXNB+FPB//+LIf///DCmUH/jv/E1yHgrSBi0pOCxtohg4Ovvezt+A",
        "gkmDQgAJ8Ad2ADgkHBiMAABwZ9jr2gAAAHyblZv/CEH/WbLBkpcz9YkyXwf//oUv///gAFu8ueSue07/7SA/5pO/FWKjyzy/IYBevb/lAA==",
        "gkmDQgAJ8Ad2ADgkHBiMAAAwYAAAfKn//83Rn/1hB/1mywZKU9/jKOdv//FkP///hhTKD/x3/ia5DxDRfsos9sFwfkXJYA==",
    )
)
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
        first = noise(self.key, 1)[0]
        samples = [_FRAMES[(first + n) % len(_FRAMES)] for n in range(self.frames)]
        brand = b"qt  " if self.quicktime else b"isom"
        head = _box(b"ftyp", brand + struct.pack(">I", 512) + brand + (b"" if self.quicktime else b"mp41"))
        head += _box(b"free", noise(self.key, 300 * self.frames))  # no two films are the same
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
    codec = _box(b"vpcC", struct.pack(">IBBBBBBH", 1 << 24, 0, 10, 0x82, 1, 1, 1, 0))  # profile 0, level 1, 8 bits
    entry = _box(b"vp09", bytes(6), look, b"\x03VP9".ljust(32, b"\0"), struct.pack(">Hh", 24, -1), codec)
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
