"""Small real images: baseline JPEG (ITU T.81) and PNG (RFC 2083), a function of a key. They carry no EXIF."""

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
    """Return a grey JPEG of flat 8x8 blocks: only DC coefficients, so the encoder fits a page. Sides divide by 8."""
    levels = noise(key, (width // 8) * (height // 8))
    writer, last = _Bits(), 0
    for level in levels:
        value = level // 2 - 64
        difference, last = value - last, value
        size = abs(difference).bit_length()
        # The category, one of twelve codes of four bits; the difference; then end of block, one bit.
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
    """Bits written one after another; a 0xFF byte is followed by a zero, as JPEG wants."""

    def __init__(self) -> None:
        self._value, self._count = 0, 0
        self._bytes = bytearray()

    def put(self, value: int, count: int) -> None:
        self._value, self._count = self._value << count | value, self._count + count
        while self._count >= 8:
            self._count -= 8
            byte = self._value >> self._count & 0xFF
            self._bytes += b"\xff\0" if byte == 0xFF else bytes((byte,))
        self._value &= (1 << self._count) - 1

    def end(self) -> bytes:
        if self._count:
            self.put((1 << 8 - self._count) - 1, 8 - self._count)
        return bytes(self._bytes)


def _segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


@lru_cache(maxsize=512)
def png(key: str, size: int = 64) -> bytes:
    """Return a square RGB PNG."""
    rows = b"".join(b"\0" + noise(f"{key}/{y // 8}", size * 3) for y in range(size))
    head = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    parts = (b"IHDR", head), (b"IDAT", zlib.compress(rows, 6)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
