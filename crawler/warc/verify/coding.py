"""Whether a body really is in its content coding: all of it is decoded, nothing is kept."""

from __future__ import annotations

import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from isal import isal_zlib

from crawler.warc import zstd

if TYPE_CHECKING:
    from collections.abc import Callable

_ERRORS = (cast("type[Exception]", isal_zlib.error), zlib.error)
_PIECE = 1 << 18
#: Past so much a body that swells by more than this is no longer followed: it was made to be a burden.
_SURE, _MOST_SWELLING = 64 << 20, 300


class _Brotli:
    """Brotli as zlib's decompressobj does it."""

    unused_data = unconsumed_tail = b""

    def __init__(self) -> None:
        import brotli  # noqa: PLC0415 - few bodies are

        self._decoder: Any = brotli.Decompressor()
        self._error = brotli.error

    def decompress(self, data: bytes, most: int) -> bytes:
        try:
            out: bytes = self._decoder.process(data, output_buffer_limit=most)
        except self._error as e:
            raise zlib.error(str(e)) from e
        return out

    @property
    def is_waiting(self) -> bool:
        return not self._decoder.can_accept_more_data()

    @property
    def eof(self) -> bool:
        return bool(self._decoder.is_finished())


def _gzip() -> Any:
    return isal_zlib.decompressobj(31)


_CODINGS: dict[bytes, Callable[[], Any]] = {
    b"gzip": _gzip, b"x-gzip": _gzip, b"deflate": lambda: isal_zlib.decompressobj(15), b"br": _Brotli,
    b"zstd": zstd.Frame,
}  # fmt: skip


class Decoding:
    """A body being decoded; ``fault`` says afterwards what is wrong with it."""

    def __init__(self, coding: bytes) -> None:
        self._name = coding.decode("latin-1")
        self._make = _CODINGS[coding]
        self._decoder = self._make()
        self._taken = self._given = 0
        self._error = ""
        self._done = False

    def feed(self, data: bytes) -> None:
        """Take more of the body."""
        if self._done:
            return
        if not self._taken and self._name == "deflate" and data[0] & 0x0F != 8:
            # Half the world's servers leave out zlib's header, and every browser bears it.
            self._decoder = isal_zlib.decompressobj(-15)
        self._taken += len(data)
        try:
            self._decode(data)
        except _ERRORS as e:
            self._error, self._done = str(e) or "damaged", True

    def _decode(self, data: bytes) -> None:
        while not self._done:
            out = self._decoder.decompress(data, _PIECE)
            self._given += len(out)
            if self._decoder.eof:
                data = self._decoder.unused_data
                # Members may follow each other; anything else after the end no browser minds.
                self._done = data[:2] != b"\x1f\x8b"
                if not self._done:
                    self._decoder = self._make()
                continue
            if self._given > _SURE and self._given > _MOST_SWELLING * self._taken:
                self._done = True
            data = self._decoder.unconsumed_tail
            if not data and not getattr(self._decoder, "is_waiting", len(out) == _PIECE):
                return

    @property
    def fault(self) -> str:
        """Say what is wrong, empty where nothing is; to be asked when all was fed."""
        if not self._taken:
            return ""
        if self._error:
            return f"no {self._name} ({self._error})"
        return "" if self._done or self._ended() else f"the {self._name} stream ends early"

    def _ended(self) -> bool:
        with suppress(*_ERRORS):
            self._decode(b"")
        return bool(self._done or self._decoder.eof)


def decoding(headers: tuple[tuple[bytes, bytes], ...]) -> Decoding | None:
    """Return what checks the outermost content coding of a message, None where there is none that is known."""
    codings = [
        part.strip() for name, value in headers if name.lower() == b"content-encoding"
        for part in value.lower().split(b",")
    ]  # fmt: skip
    return Decoding(codings[-1]) if codings and codings[-1] in _CODINGS else None
