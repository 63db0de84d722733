"""CDXJ: one line a record, sorted, so that a replay tool finds a capture without reading WARCs (CDXJ 0.1.0).

<surt> <YYYYMMDDhhmmss> {"url", "mime", "status", "digest", "length", "offset", "filename"}
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from crawler.framing import parse_headers
from crawler.warc.post import METHODS, body_query, with_body
from crawler.warc.records import WARC_FIELDS
from crawler.warc.surt import surt

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crawler.warc.reader import RawRecord

INDEXED = frozenset({"response", "revisit", "resource", "metadata"})
_STATUS = re.compile(rb"HTTP/\S+[ \t]+(\d{3})", re.IGNORECASE)
#: Bytes of a block that hold its HTTP head, at the most.
_HEAD = 512 * 1024
_MOST_ASKED = 4096


class Indexer:
    """Makes the lines of one file, fed its records in order."""

    def __init__(self, filename: str) -> None:
        self._filename = filename
        #: Record id of a request with a body → its method, and the query that stands for the body.
        self._asked: dict[str, tuple[str, str]] = {}

    def line(self, record: RawRecord) -> str | None:
        """Return a record's line (with its line end), or None where its kind is not indexed.

        ``request``, ``warcinfo`` and metadata in warc-fields are left out, as other indexers do.
        """
        kind = record.type
        if kind == "request":
            self._ask(record)
        if kind not in INDEXED or (kind in {"resource", "metadata"} and record.get("Content-Type") == WARC_FIELDS):
            return None
        url = record.target
        facts = {
            "url": url,
            **_http(record),
            "digest": record.get("WARC-Payload-Digest") or record.get("WARC-Block-Digest"),
        }
        facts |= {"length": str(record.length), "offset": str(record.offset), "filename": self._filename}
        key = url
        if (asked := self._asked.pop(record.get("WARC-Concurrent-To"), None)) is not None:
            facts["method"], facts["requestBody"] = asked
            key = with_body(url, *asked)
        stamp = re.sub(r"\D", "", record.get("WARC-Date"))[:14]
        return f"{surt(key)} {stamp} {json.dumps({k: v for k, v in facts.items() if v})}\n"

    def _ask(self, record: RawRecord) -> None:
        with record.block.open() as stream:
            head, _, body = stream.read(_HEAD).partition(b"\r\n\r\n")
        method = head[:8].partition(b" ")[0].decode("latin-1")
        if method not in METHODS:
            return
        types = [value.decode("latin-1") for name, value in parse_headers(head) if name.lower() == b"content-type"]
        self._asked[record.id] = method, body_query(types[0] if types else "", body)
        if len(self._asked) > _MOST_ASKED:
            # Its answer never came: groups interleave, but not over so many.
            self._asked.pop(next(iter(self._asked)))


def _http(record: RawRecord) -> dict[str, str]:
    if record.type not in {"response", "revisit"}:
        return {"mime": _mime(record.get("Content-Type"))}
    with record.block.open() as stream:
        head = re.split(rb"\r?\n\r?\n", stream.read(_HEAD), maxsplit=1)[0]
    status = _STATUS.match(head)
    types = [value for name, value in parse_headers(head) if name.lower() == b"content-type"]
    mime = "warc/revisit" if record.type == "revisit" else _mime(types[0].decode("latin-1")) if types else ""
    return {"mime": mime, "status": status[1].decode() if status else ""}


def _mime(content_type: str) -> str:
    return re.split(r"[;\s]", content_type.strip(), maxsplit=1)[0]


def index(lines: Iterable[str]) -> bytes:
    """Return the lines as a sorted index file (bytewise, as ``LC_ALL=C sort``)."""
    return b"".join(sorted(entry.encode() for entry in lines))
