"""What media files say of themselves, and what they cannot make us do."""

from __future__ import annotations

import io
import random
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from crawler.reading.facts import MAX_BOXES, Facts, facts


def said(data: bytes) -> Facts:
    return facts(io.BytesIO(data), data[:4096])


def image(kind: str, **exif: Any) -> bytes:
    out, tags = io.BytesIO(), Image.Exif()
    tags[0x132] = "2021:01:06 14:00:00"
    tags.get_ifd(0x8769).update({0x9003: "2021:01:05 13:00:00", 0x9011: "-05:00"})
    tags.get_ifd(0x8825).update({1: "S", 2: (38.0, 30.0, 0.0), 3: "E", 4: (77.0, 0.0, 36.0)})
    Image.new("RGB", (41, 31)).save(out, kind, exif=tags)
    return out.getvalue()


def box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", len(body) + 8, kind) + body


def film(*, big: bool = False, last: bool = False) -> bytes:
    mvhd = box(b"mvhd", struct.pack(">IIIII", 0, 3692800800, 0, 1000, 2500), bytes(80))
    tkhd = box(b"tkhd", bytes(76), struct.pack(">II", 640 << 16, 360 << 16))
    place = box(b"udta", box(b"\xa9xyz", b"\0\x12\x15\xc7+59.9139+010.7522/"), box(b"\xa9mod", b"\0\2\0\0H1"))
    moov = box(b"moov", mvhd, box(b"trak", tkhd), place)
    data = b"\0\0\0\1mdat" + struct.pack(">Q", 16 + 3_000_000) + bytes(3_000_000) if big else box(b"mdat", bytes(100))
    return box(b"ftyp", b"isom") + (data + moov if last else moov + data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_an_image(kind: str) -> None:
    found = said(image(kind))
    assert (found.width, found.height, found.taken_at) == (41, 31, "2021-01-05T13:00:00-05:00")
    assert (found.latitude, found.longitude) == (-38.5, 77.01)


@pytest.mark.parametrize("kind", ["GIF", "BMP"])
def test_an_image_without_exif(kind: str) -> None:
    out = io.BytesIO()
    Image.new("P", (7, 5)).save(out, kind)
    assert said(out.getvalue()) == Facts(width=7, height=5)


@pytest.mark.parametrize(("big", "last"), [(False, False), (False, True), (True, True)])
def test_a_film(big: bool, last: bool) -> None:
    assert said(film(big=big, last=last)) == Facts(
        width=640,
        height=360,
        seconds=2.5,
        taken_at="2021-01-06T18:00:00+00:00",
        latitude=59.9139,
        longitude=10.7522,
        device="H1",
    )


def test_a_bomb_has_a_size_and_nothing_more() -> None:
    header = b"IHDR" + struct.pack(">IIBBBBB", 50000, 50000, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + bytes(4)
    found = said(png + bytes(100))
    assert (found.width, found.height) in {(50000, 50000), (None, None)}


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\xff\xd8\xff", b"GIF89a", b"RIFF\0\0\0\0WEBP", b"<html>", box(b"moov", box(b"mvhd")), box(b"ftyp") + b"\0\0\0\0moov",
        box(b"ftyp") + box(b"free") * 3 * MAX_BOXES, box(b"moov", box(b"trak") * 3 * MAX_BOXES), box(b"ftyp") + b"\0\0\0\1mdat" + b"\xff" * 8,
        box(b"moov", box(b"mvhd", struct.pack(">IIIII", 0, 0xFFFFFFFF, 0, 0, 1), bytes(80))),
        box(b"moov", box(b"udta", box(b"\xa9xyz", b"\0\0\0\0+99.0-999.0/"))),
    ],
)  # fmt: skip
def test_what_is_broken_says_nothing_bad(data: bytes) -> None:
    found = said(data)
    assert (found.latitude, found.longitude, found.width) == (None, None, None)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["JPEG", "PNG", "WEBP", "film"]), st.randoms(use_true_random=False), st.integers(1, 40))
def test_spoilt_files_never_raise(kind: str, rng: random.Random, spoilt: int) -> None:
    data = bytearray(film() if kind == "film" else image(kind))
    for _ in range(spoilt):
        data[rng.randrange(8, len(data))] = rng.randrange(256)
    found = said(bytes(data[: rng.randrange(8, len(data) + 1)]))
    assert found.latitude is None or -90 <= found.latitude <= 90
