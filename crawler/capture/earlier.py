"""What an earlier round holds of a fetch, and how to ask whether it has changed since (RFC 9110, section 13)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crawler.framing import parse_headers
from crawler.model import Original
from crawler.warc.reader import Torn, read_at

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from crawler.model import Fetch
    from crawler.warc.reader import RawRecord

log = logging.getLogger("outlast.capture")

#: Bytes of an earlier answer's head that are read.
_HEAD = 64 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """An answer that is held, and the headers that ask for it only if it has changed."""

    original: Original
    conditions: tuple[tuple[str, str], ...]


def earlier(fetch: Fetch, find: Callable[[bytes], tuple[str, int] | None], folder: Path) -> Earlier | None:
    """Return what an earlier round got for this fetch; None where it must be asked for as if for the first time.

    Only what nobody reads is asked for so: a 304 has nothing in it for a callback. A damaged or missing segment is no
    reason to fail: the whole is asked for again.
    """
    if fetch.callback is not None or fetch.method != "GET":
        return None
    place = find(fetch.fingerprint)
    if place is None:
        return None
    try:
        return _read(read_at(folder / place[0], place[1]), fetch)
    except (Torn, OSError) as e:
        log.warning("%s: what an earlier round got cannot be read (%s)", fetch.url, e)
        return None


def _read(record: RawRecord, fetch: Fetch) -> Earlier | None:
    with record.block.open() as stream:
        headers = {name.lower(): value for name, value in parse_headers(stream.read(_HEAD).partition(b"\r\n\r\n")[0])}
    pairs = ((b"etag", "If-None-Match"), (b"last-modified", "If-Modified-Since"))
    conditions = tuple((ask, headers[said].decode("latin-1")) for said, ask in pairs if headers.get(said))
    payload = record.get("WARC-Payload-Digest")
    if not conditions or not payload:
        return None
    if record.type == "revisit":
        original = Original(
            record_id=record.get("WARC-Refers-To"), url=record.get("WARC-Refers-To-Target-URI") or fetch.url,
            date=record.get("WARC-Refers-To-Date"), segment="", payload=payload,
        )  # fmt: skip
    else:
        original = Original(
            record_id=record.id, url=fetch.url, date=record.get("WARC-Date"), segment="", payload=payload
        )
    return Earlier(original=original, conditions=conditions)
