"""Read images and films by their specifications alone: what is wrong anywhere raises AssertionError."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"dinf", b"stbl", b"udta"}


def jpeg(data: bytes) -> tuple[int, int]:
    """Decode every block of a grey baseline JPEG; return (width, height)."""
    assert data[:2] == b"\xff\xd8"
    at, width, height, tables = 2, 0, 0, {}
    while True:
        marker, size = struct.unpack_from(">HH", data, at)
        body, at = data[at + 4 : at + 2 + size], at + 2 + size
        assert marker not in {0xFFE1, 0xFFED}, "EXIF or IPTC"
        if marker == 0xFFC0:
            precision, height, width, parts = struct.unpack_from(">BHHB", body)
            assert (precision, parts) == (8, 1)
        elif marker == 0xFFC4:
            tables[body[0]] = huffman(body)
        elif marker == 0xFFDA:
            break
    assert data[-2:] == b"\xff\xd9"
    scan = data[at:-2]
    assert scan.count(b"\xff") == scan.count(b"\xff\x00"), "a marker inside the scan"
    bits = "".join(f"{byte:08b}" for byte in scan.replace(b"\xff\x00", b"\xff"))
    place = 0
    for _ in range((width // 8) * (height // 8)):
        size, place = symbol(tables[0x00], bits, place)
        place += size
        end, place = symbol(tables[0x10], bits, place)
        assert end == 0, "end of block"
    assert len(bits) - place < 8
    assert set(bits[place:]) <= {"1"}
    return width, height


def huffman(body: bytes) -> dict[str, int]:
    """Return code → symbol of one table (ITU T.81, annex C)."""
    codes, code, symbols = {}, 0, iter(body[17:])
    for length, count in enumerate(body[1:17], 1):
        for _ in range(count):
            codes[f"{code:0{length}b}"] = next(symbols)
            code += 1
        code <<= 1
    return codes


def symbol(table: dict[str, int], bits: str, place: int) -> tuple[int, int]:
    for length in range(1, 17):
        if (found := table.get(bits[place : place + length])) is not None:
            return found, place + length
    raise AssertionError("no such code")


def png(data: bytes) -> tuple[int, int]:
    """Inflate an RGB PNG and check every CRC; return (width, height)."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, kinds, pixels, width, height = 8, [], b"", 0, 0
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        assert struct.unpack_from(">I", data, at + 8 + size)[0] == zlib.crc32(kind + body)
        kinds.append(kind)
        if kind == b"IHDR":
            width, height, depth, color = struct.unpack_from(">IIBB", body)
            assert (depth, color) == (8, 2)
        pixels += body if kind == b"IDAT" else b""
        at += 12 + size
    assert kinds[0] == b"IHDR"
    assert kinds[-1] == b"IEND"
    assert b"eXIf" not in kinds
    rows = zlib.decompress(pixels)
    assert len(rows) == height * (1 + 3 * width)
    assert all(rows[n * (1 + 3 * width)] <= 4 for n in range(height)), "filter types"
    return width, height


def boxes(
    data: bytes, start: int = 0, end: int | None = None, path: tuple[bytes, ...] = ()
) -> Iterator[tuple[tuple[bytes, ...], bytes]]:
    """Yield (path, content) of every box of an MP4 or QuickTime file; sizes must add up exactly."""
    end = len(data) if end is None else end
    while start < end:
        size, kind = struct.unpack_from(">I4s", data, start)
        head = 8
        if size == 1:
            (size,), head = struct.unpack_from(">Q", data, start + 8), 16
        assert head <= size <= end - start, (path, kind, size)
        yield (*path, kind), data[start + head : start + size]
        if kind in CONTAINERS:
            yield from boxes(data, start + head, start + size, (*path, kind))
        start += size


def vp9(frame: bytes) -> tuple[int, int]:
    """Read the head of a VP9 key frame of profile 0 (VP9 Bitstream Specification, 6.2); return (width, height)."""
    assert frame[0] & 0b1111_1100 == 0b1000_0000, "marker, profile, a frame of its own, a key frame"
    assert frame[1:4] == b"\x49\x83\x42"
    sides = int.from_bytes(frame[4:9]) >> 4 & 0xFFFF_FFFF  # after the color space and its range, 4 bits
    return (sides >> 16) + 1, (sides & 0xFFFF) + 1


def film(data: bytes) -> dict[bytes, str]:
    """Check that a film's frames are where its tables say; return its user data."""
    found = list(boxes(data))
    by_name = {path[-1]: content for path, content in found}
    assert found[0][0] == (b"ftyp",)
    assert {
        b"mvhd",
        b"tkhd",
        b"mdhd",
        b"hdlr",
        b"vmhd",
        b"dref",
        b"stsd",
        b"stts",
        b"stsc",
        b"stsz",
        b"stco",
    } <= by_name.keys()
    assert by_name[b"hdlr"][8:12] == b"vide"
    count = struct.unpack_from(">I", by_name[b"stsz"], 8)[0]
    sizes = struct.unpack_from(f">{count}I", by_name[b"stsz"], 12)
    (at,) = struct.unpack_from(">I", by_name[b"stco"], 8)
    assert struct.unpack_from(">II", by_name[b"stts"], 4) == (1, count)
    assert struct.unpack_from(">I", by_name[b"mvhd"], 16)[0] == count * 100
    for size in sizes:
        assert vp9(data[at : at + size]) == (160, 120)
        at += size
    assert at <= len(data)
    notes = [(path[-1], content) for path, content in found if path[:2] == (b"moov", b"udta") and len(path) == 3]
    for _, content in notes:
        assert struct.unpack_from(">H", content)[0] == len(content) - 4
    return {kind: content[4:].decode() for kind, content in notes}
