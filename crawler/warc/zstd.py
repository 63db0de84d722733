"""WARC files of zstd frames, ``.warc.zst``: one record a frame, an optional dictionary before the first of them.

As wget-at writes them (iipc/warc-specifications, warc-zstd, proposed). A record that is spread over several frames
is not put together again. What is damaged raises ``zlib.error``, as gzip does. The library is loaded when needed.
"""

from __future__ import annotations

import struct
import sys
import zlib
from functools import cache
from typing import Any

_FRAME = b"\x28\xb5\x2f\xfd"
#: Skippable frames end so; that of the dictionary begins with 0x5d.
_SKIPPABLE = b"\x2a\x4d\x18"
_DICTIONARY = 0x5D
_MOST = 8 << 20
_HEADER = struct.Struct("<4sI")
#: A ZstdDict.
Dictionary = Any


@cache
def _library() -> Any:
    if sys.version_info >= (3, 14):
        from compression import zstd  # noqa: PLC0415
    else:
        from backports import zstd  # noqa: PLC0415
    return zstd


def begins(data: bytes) -> bool:
    """Say whether a frame of any kind begins here."""
    return data[:4] == _FRAME or (data[1:4] == _SKIPPABLE and data[0] & 0xF0 == 0x50)


def skippable(data: bytes) -> int:
    """Return how long the skippable frame is that begins here, as far as can be said; 0 where another frame does.

    Raises zlib.error where it is longer than a dictionary may be.
    """
    if data[:4] == _FRAME:
        return 0
    size: int = _HEADER.unpack_from(data)[1] if len(data) >= _HEADER.size else 0
    if size > _MOST:
        raise zlib.error("a skippable frame is too long")
    return _HEADER.size + size


def dictionary(frame: bytes) -> Dictionary | None:
    """Return the dictionary in a skippable frame, None where it holds something else. It may be compressed itself."""
    if frame[0] != _DICTIONARY:
        return None
    content = frame[_HEADER.size :]
    try:
        if content[:4] == _FRAME:
            content = _library().ZstdDecompressor().decompress(content, _MOST)
        return _library().ZstdDict(content)
    except (_library().ZstdError, ValueError) as e:
        raise zlib.error(f"the dictionary: {e}") from e


class Frame:
    """One frame being decoded, as zlib's decompressobj does it."""

    #: What was not decoded yet is kept inside.
    unconsumed_tail = b""

    def __init__(self, known: Dictionary | None = None) -> None:
        self._frame = _library().ZstdDecompressor(known)

    def decompress(self, data: bytes, most: int) -> bytes:
        """Return at most so many bytes."""
        try:
            out: bytes = self._frame.decompress(data, most)
        except _library().ZstdError as e:
            raise zlib.error(str(e)) from e
        return out

    @property
    def eof(self) -> bool:
        return bool(self._frame.eof)

    @property
    def is_waiting(self) -> bool:
        """Say whether there is more to come out before anything else need go in."""
        return not self._frame.eof and not self._frame.needs_input

    @property
    def unused_data(self) -> bytes:
        data: bytes = self._frame.unused_data
        return data
