"""``pages.jsonl`` of a WACZ: a header line, then a page a line."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from crawler.warc.verify.rules import Finding, finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import IO

#: Bytes of a line that anybody reads: a page may carry its whole text.
_MOST = 16 << 20
_FORMAT = "json-pages-1.0"


def check_pages(file: str, stream: IO[bytes], page: Callable[[str, str, int], object]) -> Iterator[Finding]:
    """Yield what is wrong; ``page`` is told of each page: the file, its URL and the number of its line."""
    number = 0
    while line := stream.readline(_MOST):
        number += 1
        told = _object(line)
        if number == 1:
            if told.get("format") != _FORMAT or not told.get("id"):
                yield finding("Z014-pages", file, number, "the first line is no header")
        elif line.strip():
            if fault := _fault(told):
                yield finding("Z014-pages", file, number, fault)
            else:
                page(file, told["url"], number)
    if not number:
        yield finding("Z014-pages", file, 0, "it is empty")


def _fault(told: dict[str, Any]) -> str:
    if not isinstance(told.get("url"), str):
        return "a page without url"
    try:
        datetime.fromisoformat(told["ts"])
    except (KeyError, TypeError, ValueError):
        return "a page without a ts of RFC 3339"
    return ""


def _object(line: bytes) -> dict[str, Any]:
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}
