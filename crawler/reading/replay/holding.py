"""What is replayed: a collection, or a WACZ file of anybody's."""

from __future__ import annotations

import gzip
import json
import struct
import tempfile
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from crawler.errors import Damaged, NotHere, UsageError
from crawler.reading.package import package, stored
from crawler.reading.prepared import prepared
from crawler.reading.shelf import Place, Shelf
from crawler.reading.zipped import of_file
from crawler.warc.indexing import merged
from crawler.warc.reader import read_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from crawler.collection import Collection
    from crawler.reading.shelf import Remote
    from crawler.reading.zipped import Read
    from crawler.warc.reader import RawRecord

_HEADER = struct.Struct("<4s22xHH")
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, KeyError)
#: Bytes of a description that anybody reads, and of an index.
_MOST_JSON, _MOST_INDEX = 64 << 20, 1 << 36
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Bytes:
    """Some bytes that are read in ranges."""

    size: int
    read: Read


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """An archive that can be shown."""

    title: str
    #: URL and 14-digit date of the page to begin with; empty where there is none.
    main: tuple[str, str]
    #: A sorted CDXJ.
    index: Path
    #: All of it as a WACZ.
    wacz: Bytes
    #: The files in its ``archive/``, by name.
    archive: Mapping[str, Bytes]
    #: Opens a record.
    record: Callable[[Place], AbstractContextManager[RawRecord]]
    lacks: tuple[str, ...] = ()


@contextmanager
def of_collection(
    collection: Collection, remote: Remote | None = None, say: Callable[[str], object] = lambda _: None
) -> Iterator[Holding]:
    """Show a collection: nothing of it is copied. What is taken down meanwhile is shown no more, all else still is."""
    with prepared(collection, remote=remote, say=say) as made, made.index.open("rb") as index:
        whole = package(collection, made, remote=remote)
        members = [stored(collection, one, remote) for one in made.segments]
        yield Holding(
            title=collection.marker.seed, main=made.pages.first(collection.marker.seed), index=_lasting(index),
            wacz=Bytes(size=whole.size, read=whole.read),
            archive={one.name.removeprefix("archive/"): Bytes(size=one.size, read=one.read) for one in members},
            record=Shelf(collection, remote).record, lacks=made.lacks,
        )  # fmt: skip


def _lasting(file: BinaryIO) -> Path:
    """Return a path to an open file that leads to it even when a takedown has removed its name, where there is one."""
    path = Path(f"/proc/self/fd/{file.fileno()}")
    return path if path.exists() else Path(file.name)


@contextmanager
def of_wacz(path: Path) -> Iterator[Holding]:
    """Show a WACZ file. Raises UsageError where it is none, Damaged."""
    try:
        with zipfile.ZipFile(path) as file, tempfile.TemporaryDirectory(prefix="outlast-replay-") as folder:
            told = _description(file)
            archive = {name: _place(path, one) for name, one in _archived(file)}
            index = _index(file, Path(folder))
            yield Holding(
                title=str(told.get("title") or path.name), main=_main(told), index=index,
                wacz=Bytes(size=path.stat().st_size, read=of_file(path)),
                archive={name: Bytes(size=size, read=of_file(path, base)) for name, (base, size) in archive.items()},
                record=lambda place: _record(path, archive, place),
            )  # fmt: skip
    except zipfile.BadZipFile as e:
        raise UsageError(f"{path} is no WACZ file: {e}.") from e


@contextmanager
def _record(path: Path, archive: Mapping[str, tuple[int, int]], place: Place) -> Iterator[RawRecord]:
    if place.segment not in archive:
        raise NotHere(f"{place.segment} is not in {path}.")
    base, size = archive[place.segment]
    if not 0 <= place.offset < size:
        raise Damaged(f"The index of {path} leads out of {place.segment}.")
    yield read_at(path, base + place.offset)


def _description(file: zipfile.ZipFile) -> dict[str, Any]:
    try:
        with file.open("datapackage.json") as stream:
            told = json.loads(stream.read(_MOST_JSON))
    except (RecursionError, *_BROKEN) as e:
        raise UsageError(f"{file.filename} is no WACZ file: it has no readable datapackage.json.") from e
    return told if isinstance(told, dict) else {}


def _main(told: dict[str, Any]) -> tuple[str, str]:
    date = "".join(c for c in str(told.get("mainPageDate") or "") if c in "0123456789")
    return str(told.get("mainPageUrl") or ""), date[:14]


def _archived(file: zipfile.ZipFile) -> Iterator[tuple[str, zipfile.ZipInfo]]:
    for one in file.infolist():
        if one.filename.startswith("archive/") and not one.is_dir():
            if one.compress_type != zipfile.ZIP_STORED:
                raise UsageError(f"{one.filename} of {file.filename} is compressed twice and cannot be read in ranges.")
            yield one.filename.removeprefix("archive/"), one


def _place(path: Path, one: zipfile.ZipInfo) -> tuple[int, int]:
    """Return where the bytes of a stored member begin, and how many they are."""
    with path.open("rb") as file:
        file.seek(one.header_offset)
        head = file.read(_HEADER.size)
    if len(head) < _HEADER.size or head[:4] != b"PK\3\4":
        raise Damaged(f"{one.filename} is not where the directory of {path} says.")
    _, name, extra = _HEADER.unpack(head)
    return one.header_offset + _HEADER.size + name + extra, one.file_size


def _index(file: zipfile.ZipFile, folder: Path) -> Path:
    """Unpack the indexes into one sorted CDXJ."""
    paths: list[Path] = []
    for one in file.infolist():
        if one.filename.startswith("indexes/") and one.filename.endswith((".cdx", ".cdxj", ".cdx.gz", ".cdxj.gz")):
            paths.append(folder / f"{len(paths)}.cdxj")
            try:
                _unpack(file, one, paths[-1])
            except (OSError, *_BROKEN) as e:
                raise Damaged(f"{one.filename} of {file.filename} cannot be read: {e}.") from e
    if not paths:
        raise UsageError(f"{file.filename} has no index; only ReplayWeb.page itself may open it.")
    whole = folder / "index.cdxj"
    with whole.open("wb") as out:
        out.writelines(merged(paths))
    return whole


def _unpack(file: zipfile.ZipFile, one: zipfile.ZipInfo, path: Path) -> None:
    with file.open(one) as stream, path.open("wb") as out:
        plain = cast("BinaryIO", gzip.GzipFile(fileobj=stream)) if one.filename.endswith(".gz") else stream
        while (piece := plain.read(_PIECE)) and out.tell() < _MOST_INDEX:
            out.write(piece)
