"""What a frontier knows and sealed segments do not tell: the work that is left, in a file that travels with the copies.

A machine that never saw a crawl makes its frontier anew from the WARCs; what only the lost one knew (URLs of a list,
work named by segments that were still open) is in here, and is offered then. What WARCs have settled stays settled.
"""

from __future__ import annotations

import filecmp
import gzip
from typing import TYPE_CHECKING

import msgspec

from crawler.errors import Damaged
from crawler.model import Fetch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crawler.frontier.reader import FrontierReader

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Fetch).decode
#: Bytes of one line; a body of a request is in it.
_LONGEST = 16 << 20


def write(frontier: FrontierReader, path: Path) -> int:
    """Write the fetches that are left of a frontier, which a crawl may be using; return how many.

    The same work makes the same bytes, and leaves the file untouched. It is whole or as it was.
    """
    count = 0
    part = path.with_name(f"{path.name}.part")
    with (
        part.open("wb") as raw,
        gzip.GzipFile(fileobj=raw, mode="wb", filename="", compresslevel=6, mtime=0) as out,
    ):
        for fetch in frontier.left():
            out.write(_encode(fetch) + b"\n")
            count += 1
    if path.is_file() and filecmp.cmp(part, path, shallow=False):
        part.unlink()
    else:
        part.replace(path)
    return count


def read(path: Path) -> Iterator[Fetch]:
    """Yield the fetches of a checkpoint. Raises Damaged where it is none."""
    try:
        with gzip.open(path, "rb") as lines:
            while line := lines.readline(_LONGEST):
                yield _decode(line)
    except (OSError, EOFError, ValueError) as e:
        raise Damaged(f"{path} is not readable as a checkpoint: {e}") from e
