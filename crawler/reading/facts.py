"""What a media file says of itself: its size in pixels, how long it lasts, when, where and with what it was made.

Nothing is ever decoded, and of any file only a bounded part is held; what is broken or hostile says nothing. Images are
Pillow's; of films the boxes of ISO/IEC 14496-12 are walked, as no kept library reads them from a stream.
"""

from __future__ import annotations

import io
import logging
import re
import struct
import warnings
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger("outlast.reading")

#: Bytes of an image that are looked at: its head, and in most cases all of it.
MAX_IMAGE = 4 << 20
#: Bytes of a film's index that are held, boxes that are looked at, and bytes of a film that are passed over for it.
MAX_INDEX, MAX_BOXES, MAX_FILM = 16 << 20, 2000, 8 << 30
_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "MPO")
_IMAGE = re.compile(rb"\xff\xd8\xff|\x89PNG|GIF8|RIFF....WEBP|BM|II\*\0|MM\0\*|....ftypavi", re.DOTALL)
_FILM = re.compile(rb"....(?:ftyp|moov|mdat|free|wide|skip)", re.DOTALL)
_STAMP = re.compile(r"(\d{4}):(\d\d):(\d\d) (\d\d):(\d\d):(\d\d)")
_OFFSET = re.compile(r"[+-]\d\d:\d\d")
#: ISO 6709, as films carry it: ``+59.9139+010.7522+012/``.
_ISO6709 = re.compile(rb"([+-]\d{1,2}(?:\.\d{1,9})?)([+-]\d{1,3}(?:\.\d{1,9})?)")
#: EXIF tags (CIPA DC-008): make, model, DateTime; the sub-directories; DateTimeOriginal and its offset.
_MAKE, _MODEL, _CHANGED, _EXIF, _GPS, _TAKEN, _TAKEN_OFFSET = 0x10F, 0x110, 0x132, 0x8769, 0x8825, 0x9003, 0x9011
_EPOCH = datetime(1904, 1, 1, tzinfo=UTC)
_CONTAINERS = frozenset({b"moov", b"trak", b"udta", b"mdia"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a file says; None or empty where it says nothing."""

    width: int | None = None
    height: int | None = None
    seconds: float | None = None
    #: ISO 8601 with the offset of the clock, where the file has one.
    taken_at: str | None = None
    #: Where it was made (degrees), and with what.
    latitude: float | None = None
    longitude: float | None = None
    device: str = ""

    @property
    def has_place(self) -> bool:
        return bool(self.latitude is not None or self.device)

    def without_place(self) -> Facts:
        """Return the same without what tells of whoever made it."""
        return replace(self, latitude=None, longitude=None, device="")


#: What a file says that says nothing.
NOTHING = Facts()


def facts(stream: BinaryIO, start: bytes) -> Facts:
    """Return what a file says of itself, from its bytes; ``start`` are the first of them. Never raises over a file."""
    try:
        if _IMAGE.match(start):
            return _image(stream.read(MAX_IMAGE))
        if _FILM.match(start):
            return _film(stream)
    except Exception as e:  # noqa: BLE001 - parsers fail in any way over what is no such file
        log.debug("a media file is not understood: %s", e)
    return Facts()


def _image(data: bytes) -> Facts:
    from PIL import Image  # noqa: PLC0415 - heavy, and many collections hold no images

    Image.MAX_IMAGE_PIXELS = None  # a bomb for those who decode
    with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data), formats=_FORMATS) as image:
        found = Facts(width=image.width, height=image.height)
        exif = image.getexif()
        told = exif.get_ifd(_EXIF)
        latitude, longitude = _position(exif.get_ifd(_GPS))
        return replace(
            found, taken_at=_stamp(told.get(_TAKEN) or exif.get(_CHANGED), told.get(_TAKEN_OFFSET)),
            latitude=latitude, longitude=longitude,
            device=_device(exif.get(_MAKE), exif.get(_MODEL)),
        )  # fmt: skip


def _stamp(said: Any, offset: Any) -> str | None:
    found = _STAMP.match(said) if isinstance(said, str) else None
    if found is None:
        return None
    when = datetime(*map(int, found.groups())).isoformat()  # type: ignore[arg-type]  # noqa: DTZ001 - the camera's
    return when + (offset if isinstance(offset, str) and _OFFSET.fullmatch(offset) else "")


def _device(*parts: Any) -> str:
    told = [part.replace("\0", " ").strip()[:60] for part in parts if isinstance(part, str)]
    return " ".join(part for part in told if part)


def _position(gps: dict[int, Any]) -> tuple[float | None, float | None]:
    """Return degrees north and east (GPSLatitude, its reference; GPSLongitude, its reference)."""
    if not {1, 2, 3, 4} <= gps.keys():
        return None, None
    north, east = (
        sum(float(part) / 60**power for power, part in enumerate(gps[tag][:3])) * (-1 if gps[ref] in signs else 1)
        for tag, ref, signs in ((2, 1, "Ss"), (4, 3, "Ww"))
    )
    return _sane(north, east)


def _sane(north: float, east: float) -> tuple[float | None, float | None]:
    is_place = -90 <= north <= 90 and -180 <= east <= 180 and (north, east) != (0, 0)
    return (round(north, 7), round(east, 7)) if is_place else (None, None)


def _film(stream: BinaryIO) -> Facts:
    index = _index(stream)
    found = Facts()
    for kind, body in _boxes(index):
        if kind == b"mvhd":
            found = replace(found, **_movie(body))
        elif kind == b"tkhd":
            width, height = (value >> 16 for value in struct.unpack(">II", body[-8:]))
            if width and height:
                found = replace(found, width=width, height=height)
        elif kind == b"\xa9xyz" and (place := _ISO6709.search(body[:200])):
            north, east = _sane(float(place[1]), float(place[2]))
            found = replace(found, latitude=north, longitude=east)
        elif kind in {b"\xa9mak", b"\xa9mod"}:
            found = replace(found, device=_device(found.device, body[4:64].decode("utf-8", "replace")))
    return found


def _index(stream: BinaryIO) -> bytes:
    """Return the content of the film's ``moov``, wherever in the file it stands."""
    passed = 0
    for _ in range(MAX_BOXES):
        head = stream.read(8)
        if len(head) < 8:
            return b""
        size, kind = struct.unpack(">I4s", head)
        if size == 1:
            size, head = struct.unpack(">Q", stream.read(8))[0], b" " * 16
        if kind == b"moov":
            return stream.read(min(size - len(head), MAX_INDEX)) if size > len(head) else b""
        left = size - len(head)
        passed += left
        if size < len(head) or passed > MAX_FILM:
            return b""
        while left > 0 and (piece := stream.read(min(left, 1 << 20))):
            left -= len(piece)
    return b""


def _boxes(index: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and content of the boxes in a film's index, those in containers too."""
    stack, seen = [(0, len(index))], 0
    while stack and seen < MAX_BOXES:
        at, end = stack.pop()
        while at + 8 <= end and seen < MAX_BOXES:
            seen += 1
            size, kind = struct.unpack_from(">I4s", index, at)
            if size < 8 or at + size > end:
                break
            if kind in _CONTAINERS:
                stack.append((at + 8, at + size))
            else:
                yield kind, index[at + 8 : at + min(size, 4096)]
            at += size


def _movie(body: bytes) -> dict[str, Any]:
    """Return what a ``mvhd`` says: when the film was made, and how long it lasts."""
    layout = ">QQIQ" if body[0] == 1 else ">IIII"
    made, _, scale, length = struct.unpack_from(layout, body, 4)
    when = (_EPOCH + timedelta(seconds=made)).isoformat() if made > 0 and made < 1 << 33 else None
    return {"taken_at": when, "seconds": round(length / scale, 3) if scale else None}
