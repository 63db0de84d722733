"""What a spider sees of a capture: a decoded Scrapy response that knows when it was taken.

The same class comes from the wire (``capture/handler.py``) and from a WARC (recovery, export), built in both
cases by ``capture/decode.py``; a callback cannot tell which, and must not need to.
"""

from __future__ import annotations

import codecs
import io
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec
from scrapy.http import Headers, TextResponse

from crawler.model import Fetch, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

#: Bytes of a decoded body that are always at hand, even when the body itself is not in memory.
HEAD_BYTES = 4096
#: Bytes of JSON that are read; as objects they are thirty times as many.
MAX_JSON = 16 << 20
#: Codecs that only Python has. A page that names them makes some raise; one costs the square of the page's length.
_NOT_FOR_PAGES = frozenset({"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7"})

_UNREAD = object()


class CaptureResponse(TextResponse):
    """A captured answer, decoded.

    ``body`` holds the decoded entity, or nothing where the capture was too big to keep in memory or has no
    callback; ``head_bytes`` then still has its first 4 KiB and ``open()`` streams all of it.
    ``status`` is 0 where no answer came, and ``outcome`` says why.
    """

    fetch: Fetch
    captured_at: datetime
    outcome: Outcome
    #: Bytes of the entity on the wire (content coding kept, transfer coding removed).
    payload_length: int
    truncated: str | None
    head_bytes: bytes

    def __init__(
        self,
        url: str,
        *,
        fetch: Fetch,
        captured_at: datetime,
        outcome: Outcome = Outcome.OK,
        payload_length: int = 0,
        truncated: str | None = None,
        head_bytes: bytes = b"",
        opener: Callable[[], BinaryIO] | None = None,
        headers: Any = None,
        **kwargs: Any,
    ) -> None:
        is_ready = isinstance(headers, Headers)  # Scrapy would take them apart and put them together again
        super().__init__(url, headers=None if is_ready else headers, **kwargs)
        if is_ready:
            self.headers = headers
        self.fetch = fetch
        self.captured_at = captured_at
        self.outcome = outcome
        self.payload_length = payload_length
        self.truncated = truncated
        self.head_bytes = head_bytes or self.body[:HEAD_BYTES]
        self._opener = opener
        self._data: Any = _UNREAD

    @property
    def encoding(self) -> str:
        """The encoding of the text; one that no browser knows counts as none."""
        found = super().encoding
        return found if _is_spoken(found) else "utf-8"

    @cached_property
    def said_at(self) -> str:
        """``captured_at`` as items carry it; each of a page asks."""
        return self.captured_at.isoformat()

    def open(self) -> BinaryIO:
        """Return a new stream over the decoded entity, bounded against decompression bombs."""
        return self._opener() if self._opener is not None else io.BytesIO(self.body)

    def data(self) -> Any:
        """Return the JSON that the answer holds, read once; None where it holds none, or more than MAX_JSON bytes."""
        if self._data is _UNREAD:
            body = self.body
            if not body and self._opener is not None:
                with self.open() as stream:
                    body = stream.read(MAX_JSON + 1)
            try:
                self._data = msgspec.json.decode(body) if len(body) <= MAX_JSON else None
            except (ValueError, RecursionError):
                self._data = None
        return self._data

    def header(self, name: str) -> str:
        """Return the last value of a header as Latin-1 text, or the empty string."""
        values: list[bytes] | None = dict.get(self.headers, _key(name))
        return values[-1].decode("latin-1") if values else ""


@lru_cache(maxsize=256)
def _key(name: str) -> bytes:
    """Return a header's name as Scrapy's headers hold it."""
    return name.title().encode("latin-1")


@lru_cache(maxsize=256)
def _is_spoken(encoding: str) -> bool:
    """Say whether an encoding is one of text that pages are written in."""
    try:
        codec = codecs.lookup(encoding)
    except LookupError:
        return False
    return codec._is_text_encoding and codec.name.replace("_", "-") not in _NOT_FOR_PAGES  # noqa: SLF001 - nothing else tells
