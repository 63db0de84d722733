"""The replay index: the captures of all sealed segments in one sorted CDXJ, without those that would hide better ones.

Replay tools show the capture that is nearest in time, so a 429, a 5xx or a 304 next to the page would be shown instead
of it, and a 404 of later the page that was there. They stay in the WARCs; only this index leaves them out.
"""

from __future__ import annotations

import hashlib
from itertools import groupby, islice
from typing import TYPE_CHECKING, BinaryIO

import orjson
from isal import igzip

from crawler.errors import Damaged
from crawler.warc.indexing import write_lines
from crawler.withheld import Withheld

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from crawler.engine import Desk
    from crawler.warc.indexing import Digest, Format

#: Lines of one compressed block, as the tools of others make them.
BLOCK = 3000
#: The first line of an ``.idx`` file; readers take the rest as key and place of each block.
_META = b'!meta 0 {"format": "cdxj-gzip-1.0", "filename": "%s"}\n'


def chosen(lines: Iterable[bytes], struck: Collection[tuple[str, str]] = ()) -> Iterator[bytes]:
    """Yield of sorted lines those that replay shows. Raises Damaged where one is no line of an index.

    What a server could not or would not give (429, 5xx, 304) goes; any other 4xx where the same key has an answer; and
    what is no page of the web (``dns:``), but for the bytes that a takedown left to others (``urn:sha256:``). So do
    the ``struck`` (URL, 14-digit date): what dead hosts answered.
    """
    for _, captures in groupby(lines, key=lambda line: line.partition(b" ")[0]):
        errors: list[bytes] = []
        is_there = False
        for line in captures:
            facts = facts_of(line)
            if struck and (facts["url"], line.split(b" ", 2)[1].decode("latin-1")) in struck:
                continue
            status = _status(facts)
            if 400 <= status < 500 and status != 429:
                errors += [] if is_there else [line]
            elif status < 400 and status != 304:
                is_there = True
                yield line
        if not is_there:
            yield from errors


def _status(facts: dict[str, str]) -> int:
    """Return the status of a capture: 0 of a record that has none, 599 of what is not of the web."""
    if not str(facts.get("url", "")).startswith(("http://", "https://", "urn:sha256:")):
        return 599
    told = str(facts.get("status", ""))
    return int(told) if told.isascii() and told.isdigit() else 0


def facts_of(line: bytes) -> dict[str, str]:
    """Return what a line says of its capture. Raises Damaged."""
    try:
        facts: dict[str, str] = orjson.loads(line.split(b" ", 2)[2])
        facts["url"], facts["filename"]
    except (ValueError, LookupError, TypeError) as e:
        raise Damaged(f"an index has a line that is none: {line[:80]!r}") from e
    return facts


def pack(lines: Iterable[bytes], out: BinaryIO, idx: BinaryIO, name: str) -> None:
    """Write an index in blocks, each a gzip member, and the ``.idx`` that says where each begins (ZipNum)."""
    idx.write(_META % name.encode())
    lines, offset = iter(lines), 0
    while block := list(islice(lines, BLOCK)):
        key, stamp, _ = block[0].split(b" ", 2)
        data = igzip.compress(b"".join(block), mtime=0)
        told = {
            "offset": offset, "length": len(data), "digest": f"sha256:{hashlib.sha256(data).hexdigest()}",
            "filename": name,
        }  # fmt: skip
        idx.write(b"%s %s %s\n" % (key, stamp, orjson.dumps(told)))
        out.write(data)
        offset += len(data)


def index_segment(desk: Desk, out: Path, *, form: Format, digest: Digest) -> list[str]:
    """Write the sorted lines of a segment, for tools of others, without what may not be shown; return what is damaged
    of it.
    """
    path = desk.collection.warcs / desk.segment
    return write_lines(path, out, form=form, digest=digest, hides=Withheld.load(desk.collection).passes_over)
