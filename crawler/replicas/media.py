"""Small real images and videos: baseline JPEG, PNG, and MP4/QuickTime with motion-JPEG frames.

Enough of each format (ITU T.81, RFC 2083, ISO 14496-12) that decoders accept the bytes.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from functools import lru_cache


def noise(key: str, size: int) -> bytes:
    """Return bytes that depend on the key alone."""
    return hashlib.shake_128(key.encode()).digest(size)


@lru_cache(maxsize=512)
def jpeg(key: str, width: int = 320, height: int = 240) -> bytes:
    """Return a grey baseline JPEG of 8x8 flat blocks: only DC coefficients, so the encoder fits a page."""
    blocks = (width // 8) * (height // 8)
    levels = noise(key, blocks)
    writer, last = _Bits(), 0
    for level in levels:
        value = level // 2 - 64
        difference, last = value - last, value
        size = abs(difference).bit_length()
        # Twelve DC codes of four bits each; the category, then the difference; then end of block, one bit.
        writer.put(size, 4)
        writer.put(difference if difference >= 0 else difference + (1 << size) - 1, size)
        writer.put(0, 1)
    return b"".join([
        b"\xff\xd8", _segment(0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0"), _segment(0xDB, b"\0" + bytes([8] * 64)),
        _segment(0xC0, struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\0"),
        _segment(0xC4, b"\0" + bytes([0, 0, 0, 12] + [0] * 12) + bytes(range(12))),
        _segment(0xC4, b"\x10" + bytes([1] + [0] * 15) + b"\0"),
        _segment(0xDA, b"\x01\x01\0\0\x3f\0"), writer.end(), b"\xff\xd9",
    ])  # fmt: skip


class _Bits:
    def __init__(self) -> None:
        self._value, self._count = 0, 0
        self._parts: list[int] = []

    def put(self, value: int, count: int) -> None:
        self._value, self._count = self._value << count | value, self._count + count
        while self._count >= 8:
            self._count -= 8
            byte = self._value >> self._count & 0xFF
            self._parts += [byte, 0] if byte == 0xFF else [byte]
        self._value &= (1 << self._count) - 1

    def end(self) -> bytes:
        if self._count:
            self.put((1 << 8 - self._count) - 1, 8 - self._count)
        return bytes(self._parts)


def _segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


@lru_cache(maxsize=512)
def png(key: str, size: int = 64) -> bytes:
    """Return a square RGB PNG."""
    rows = b"".join(b"\0" + noise(f"{key}/{y // 8}", size * 3) for y in range(size))
    head = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(rows, 6)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def video(
    key: str,
    *,
    frames: int,
    width: int = 160,
    height: int = 120,
    quicktime: bool = False,
    place: str = "",
    padding: int = 0,
) -> bytes:
    """Return a video of so many frames at 10 a second; ``place`` is an ISO 6709 location for moov/udta."""
    samples = [jpeg(f"{key}/{n % 5}", width, height) for n in range(frames)]
    brand = b"qt  " if quicktime else b"isom"
    head = _box(b"ftyp", brand + struct.pack(">I", 512) + brand + b"mp41")
    if padding:
        head += _box(b"free", noise(f"{key}/padding", padding))
    movie = _movie(samples, width, height, place, 0)
    offset = len(head) + len(movie) + 8
    return head + _movie(samples, width, height, place, offset) + _box(b"mdat", b"".join(samples))


def _movie(samples: list[bytes], width: int, height: int, place: str, offset: int) -> bytes:
    duration = len(samples) * 100
    matrix = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    mvhd = _box(
        b"mvhd",
        struct.pack(">IIIIIIH10x", 0, 0, 0, 1000, duration, 0x10000, 0x100) + matrix + bytes(24) + struct.pack(">I", 2),
    )
    tkhd = _box(
        b"tkhd",
        struct.pack(">IIIIII8xHHHH", 7, 0, 0, 1, 0, duration, 0, 0, 0, 0)
        + matrix
        + struct.pack(">II", width << 16, height << 16),
    )
    entry = _box(
        b"jpeg",
        bytes(6)
        + struct.pack(
            ">H16xHHIIIH32sHh", 1, width, height, 0x480000, 0x480000, 0, 1, b"\x04jpeg".ljust(32, b"\0"), 24, -1
        ),
    )
    table = b"".join([
        _box(b"stsd", struct.pack(">II", 0, 1) + entry), _box(b"stts", struct.pack(">IIII", 0, 1, len(samples), 100)),
        _box(b"stsc", struct.pack(">IIIII", 0, 1, 1, len(samples), 1)),
        _box(b"stsz", struct.pack(">III", 0, 0, len(samples)) + b"".join(struct.pack(">I", len(s)) for s in samples)),
        _box(b"stco", struct.pack(">III", 0, 1, offset)),
    ])  # fmt: skip
    data = _box(b"dinf", _box(b"dref", struct.pack(">II", 0, 1) + _box(b"url ", struct.pack(">I", 1))))
    media = _box(b"mdhd", struct.pack(">IIIIIHH", 0, 0, 0, 1000, duration, 0x55C4, 0))
    media += _box(b"hdlr", struct.pack(">II4s12x", 0, 0, b"vide") + b"video\0")
    media += _box(b"minf", _box(b"vmhd", struct.pack(">I8x", 1)) + data + _box(b"stbl", table))
    track = _box(b"trak", tkhd + _box(b"mdia", media))
    told = _box(b"udta", _text(b"\xa9xyz", place) + _text(b"\xa9mak", "Invented Camera Works")) if place else b""
    return _box(b"moov", mvhd + track + told)


def _text(kind: bytes, text: str) -> bytes:
    data = text.encode()
    return _box(kind, struct.pack(">HH", len(data), 0x15C7) + data)


def _box(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data) + 8) + kind + data
