"""``archive export --format wacz``: a file, a directory of parts with ``multi.json``, or a stream.

What is written is a stream of known bytes, so a killed export goes on where its file ends.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from typing import TYPE_CHECKING, BinaryIO

from crawler.collection import sync_directory
from crawler.errors import UsageError
from crawler.failpoint import failpoint
from crawler.reading.export import Written
from crawler.reading.package import package
from crawler.reading.prepared import prepared

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from crawler.reading.export import Order
    from crawler.reading.prepared import Prepared
    from crawler.reading.zipped import Zip
    from crawler.warc.manifest import Entry

#: Bytes after which what is written is made durable and may be resumed from.
EVERY = 64 << 20


def wacz(order: Order) -> Iterator[Written]:
    """Write a collection as one WACZ, or as a directory of them where ``order.split`` says how large each may be."""
    _refuse(order)
    with prepared(order.collection, remote=order.remote, jobs=order.jobs, cluster=order.cluster, say=order.say) as made:
        if order.split is not None:
            yield from _parts(order, made, order.split)
            return
        whole = package(order.collection, made, remote=order.remote, key=order.key)
        if str(order.output) == "-":
            sys.stdout.buffer.writelines(whole.read(0, whole.size))
            sys.stdout.buffer.flush()
        else:
            order.output.parent.mkdir(parents=True, exist_ok=True)
            write(whole, order.output)
        yield Written(path=order.output, bytes=whole.size, lacks=made.lacks)


def _refuse(order: Order) -> None:
    if order.split is None and order.output.is_dir():
        raise UsageError(f"{order.output} is a directory; this format writes a file, or a directory with --split.")
    if order.split is not None and order.output.exists() and not order.output.is_dir():
        raise UsageError(f"{order.output} is a file; --split writes a directory.")


def write(whole: Zip, path: Path) -> None:
    """Write a ZIP beside its name, from where a killed run left it, and give it its name. Raises Damaged, OSError."""
    part = path.with_name(f".{path.name}.{hashlib.sha256(_directory(whole)).hexdigest()[:16]}.part")
    for other in path.parent.glob(f".{path.name}.*.part"):
        if other != part:
            other.unlink()
    with part.open("ab") as out:
        out.truncate(out.tell() // EVERY * EVERY)
        out.seek(0, os.SEEK_END)
        _pour(whole, out)
    part.replace(path)
    sync_directory(path.parent)


def _pour(whole: Zip, out: BinaryIO) -> None:
    due = out.tell() + EVERY
    for piece in whole.read(out.tell(), whole.size):
        view = memoryview(piece)
        while view:
            taken = out.write(view[: due - out.tell()])
            view = view[taken:]
            if out.tell() == due:
                _sync(out)
                due += EVERY
                failpoint("export.wacz")
    _sync(out)


def _sync(out: BinaryIO) -> None:
    out.flush()
    os.fsync(out.fileno())


def _parts(order: Order, made: Prepared, most: int) -> Iterator[Written]:
    folder = order.output
    folder.mkdir(parents=True, exist_ok=True)
    told = []
    for number, segments in enumerate(_split(made.segments, most), 1):
        whole = package(order.collection, made, remote=order.remote, segments=segments, number=number, key=order.key)
        path = folder / f"{order.collection.name}-{number:05d}.wacz"
        order.say(f"writing {path.name}")
        if not path.is_file() or not _is(whole, path):
            write(whole, path)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        told.append({"name": path.name, "path": path.name, "hash": f"sha256:{digest}", "bytes": whole.size})
        yield Written(path=path, bytes=whole.size, lacks=made.lacks)
    package_of = {"profile": "multi-wacz-package", "title": order.collection.marker.seed, "resources": told}
    part = folder / ".multi.json.part"
    part.write_text(json.dumps(package_of, indent=1), "utf-8")
    part.replace(folder / "multi.json")
    yield Written(path=folder / "multi.json", bytes=(folder / "multi.json").stat().st_size)


def _is(whole: Zip, path: Path) -> bool:
    """Say whether a file that is already there is this ZIP, as far as its directory tells."""
    if path.stat().st_size != whole.size:
        return False
    with path.open("rb") as file:
        file.seek(whole.directory)
        return file.read() == _directory(whole)


def _directory(whole: Zip) -> bytes:
    return b"".join(whole.read(whole.directory, whole.size))


def _split(segments: Sequence[Entry], most: int) -> Iterator[list[Entry]]:
    """Yield runs of segments that fit, each at least one."""
    run: list[Entry] = []
    for one in segments:
        if run and sum(each.bytes for each in run) + one.bytes > most:
            yield run
            run = []
        run.append(one)
    if run:
        yield run
