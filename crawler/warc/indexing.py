"""Indexes for other people's tools: CDXJ or CDX with 11 columns, with SHA-256 or the SHA-1 that many know alone.

Lines of each file are sorted by themselves in a temporary file and then merged, so that memory is that of one file.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import tempfile
from base64 import b32encode
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from crawler import engine
from crawler.framing import Data, ResponseParser
from crawler.warc import cdxj
from crawler.warc.damage import Gap, walk
from crawler.warc.records import WARC_FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from crawler.warc.reader import RawRecord

Format = Literal["cdxj", "cdx11"]
Digest = Literal["sha1", "sha256"]
#: Files that are merged at once; more than these are merged in rounds.
_FILES = 200
_CDX11 = b" CDX N b a m s k r M S V g\n"
_SHA1 = b"payload-digest: sha1:"
#: Revisits whose metadata record may still come: only it says what the SHA-1 of their payload is.
_MOST_WAITING = 1 << 14


def index(
    paths: Sequence[Path], form: Format, digest: Digest, *, damaged: Callable[[str], object],
    hides: Callable[[RawRecord, str], bool] = lambda record, name: False,
) -> Iterator[bytes]:  # fmt: skip
    """Yield the sorted lines of an index over WARC files; ``damaged`` hears of what could not be read. ``hides`` is
    asked for each record that would be named, with the name of its file.
    """
    with tempfile.TemporaryDirectory(prefix="outlast-index-") as folder:
        write = partial(write_lines, form=form, digest=digest, hides=hides)
        yield from joined(engine.run(write, paths, Path(folder)), Path(folder), form, damaged)


def joined(
    results: Iterable[tuple[Any, Path, list[str]]], place: Path, form: Format, damaged: Callable[[str], object]
) -> Iterator[bytes]:
    """Yield the lines of several files in one order, from the files of each, which are kept in ``place`` meanwhile."""
    if form == "cdx11":
        yield _CDX11
    kept = []
    for number, (_, path, faults) in enumerate(results):
        kept.append(path.rename(place / f"lines-{number}"))
        for fault in faults:
            damaged(fault)
    yield from merged(kept)


def write_lines(
    path: Path, out: Path, *, form: Format, digest: Digest, hides: Callable[[RawRecord, str], bool]
) -> list[str]:
    """Write the sorted lines of one WARC file to another file; return what could not be read of it."""
    faults: list[str] = []
    lines = sorted(_spelled(line, form).encode() for line in _lines(path, digest, faults.append, hides))
    with out.open("wb") as file:
        file.writelines(lines)
    return faults


def merged(paths: Sequence[Path]) -> Iterator[bytes]:
    """Yield the lines of sorted files in one order."""
    with ExitStack() as stack:
        if len(paths) > _FILES:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="outlast-index-")))
            paths = [_joined(paths[at : at + _FILES], folder / f"{at}.cdxj") for at in range(0, len(paths), _FILES)]
            yield from merged(paths)
            return
        yield from heapq.merge(*(stack.enter_context(path.open("rb")) for path in paths))


def _joined(paths: Sequence[Path], into: Path) -> Path:
    with into.open("wb") as out:
        out.writelines(merged(paths))
    return into


def _lines(
    path: Path, digest: Digest, damaged: Callable[[str], object], hides: Callable[[RawRecord, str], bool]
) -> Iterator[str]:
    """Yield the CDXJ lines of one file, with the digests that were asked for."""
    indexer = cdxj.Indexer(path.name)
    waiting: dict[str, str] = {}
    for found in walk(path):
        if isinstance(found, Gap):
            damaged(f"{path.name}:{found.offset}: {found.why}")
            continue
        line = indexer.line(found)
        if digest == "sha1" and found.type == "metadata" and (told := _told(found)):
            asked = waiting.pop(found.get("WARC-Concurrent-To"), None)
            if asked is not None:
                yield _with_digest(asked, told)
        if line is None or hides(found, path.name):
            continue
        if digest == "sha256" or found.get("WARC-Payload-Digest").startswith("sha1:"):
            yield line
        elif found.type != "revisit":
            yield _with_digest(line, _sha1(found))
        else:
            waiting[found.get("WARC-Concurrent-To") or found.id] = line
            if len(waiting) > _MOST_WAITING:
                yield _with_digest(waiting.pop(next(iter(waiting))), "")
    yield from (_with_digest(line, "") for line in waiting.values())


def _told(record: RawRecord) -> str:
    """Return the SHA-1 that a metadata record of ours says a payload has."""
    if record.get("Content-Type") != WARC_FIELDS:
        return ""
    with record.block.open() as stream:
        line = next((line for line in stream.read(1 << 20).split(b"\r\n") if line.startswith(_SHA1)), b"")
    return line.removeprefix(b"payload-digest: ").decode("latin-1")


def _sha1(record: RawRecord) -> str:
    """Return the SHA-1 of a record's payload as other tools spell it."""
    http = record.get("Content-Type").startswith("application/http")
    parser, digest = ResponseParser("GET"), hashlib.sha1(usedforsecurity=False)
    with record.block.open() as stream:
        while piece := stream.read(1 << 18):
            if not http:
                digest.update(piece)
                continue
            for event in parser.feed(piece):
                if isinstance(event, Data):
                    digest.update(event.entity)
    return f"sha1:{b32encode(digest.digest()).decode()}"


def _with_digest(line: str, digest: str) -> str:
    key, stamp, told = line.split(" ", 2)
    facts = {**json.loads(told), "digest": digest}
    return f"{key} {stamp} {json.dumps({name: value for name, value in facts.items() if value})}\n"


def _spelled(line: str, form: Format) -> str:
    if form == "cdxj":
        return line
    key, stamp, told = line.split(" ", 2)
    facts = json.loads(told)
    digest = facts.get("digest", "").partition(":")[2]
    columns = (facts.get("mime"), facts.get("status"), digest, "-", "-", facts["length"], facts["offset"])
    spelled = " ".join(str(one or "-") for one in columns)
    url = facts["url"].replace(" ", "%20")
    return f"{key} {stamp} {url} {spelled} {facts['filename'].replace(' ', '%20')}\n"
