"""A collection as WACZ (1.1.1), or several: the members, of which the segments stay where they are.

archive/NAME.warc.gz, indexes/index.cdx (or index.cdx.gz in blocks and index.idx where it is long), pages/pages.jsonl,
datapackage.json, datapackage-digest.json. The same collection is the same bytes, whenever it is packed.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from isal import isal_zlib

from crawler.errors import TakenDown
from crawler.evidence import keys
from crawler.reading.index import facts_of, pack
from crawler.reading.pages import when
from crawler.reading.zipped import Member, Zip, of_bytes, of_file
from crawler.withheld import Withheld

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from crawler.collection import Collection
    from crawler.reading.prepared import Prepared
    from crawler.reading.shelf import Remote
    from crawler.reading.zipped import Read
    from crawler.warc.manifest import Entry

#: Bytes of an index that viewers take in whole.
_SMALL = 1 << 20
#: Bytes that are asked for at once from afar.
_PIECE = 8 << 20
_SOFTWARE = "Outlast"
#: What a resource may not be called (Data Package v1).
_NO_NAME = re.compile(r"[^-a-z0-9._]+")


def package(
    collection: Collection, made: Prepared, *, remote: Remote | None = None, segments: Sequence[Entry] | None = None,
    number: int = 0, key: Ed25519PrivateKey | None = None,
) -> Zip:  # fmt: skip
    """Return the WACZ of a collection, or of these of its segments as the part with a number; signed with a key."""
    taken = made.segments if segments is None else segments
    names = {one.segment for one in taken}
    members = [stored(collection, one, remote) for one in taken]
    hashes = [f"sha256:{one.sha256}" for one in taken]
    main = made.pages.first(collection.marker.seed)
    for path in _files(made, names, main[0]):
        member, told = _made(f"{'pages' if path.suffix == '.jsonl' else 'indexes'}/{path.name}", path)
        members.append(member)
        hashes.append(told)
    data = _datapackage(collection, taken, list(zip(members, hashes, strict=True)), main, number)
    members += [of_bytes("datapackage.json", data), of_bytes("datapackage-digest.json", _digest(data, key))]
    return Zip(members)


def stored(collection: Collection, entry: Entry, remote: Remote | None) -> Member:
    """Return a segment as a member of a WACZ: its own file, or ranges of a copy.

    Reading it raises TakenDown from the moment on in which something in it is.
    """
    path = collection.warcs / entry.segment
    if path.is_file() or remote is None:
        read = of_file(path)
    else:

        def read(start: int, stop: int) -> Iterator[bytes]:
            for at in range(start, stop, _PIECE):
                yield remote(entry.segment, at, min(_PIECE, stop - at))

    return Member(
        name=f"archive/{entry.segment}", size=entry.bytes, crc32=int(entry.crc32, 16),
        read=_while_shown(read, entry.segment, collection),
    )  # fmt: skip


def _while_shown(read: Read, segment: str, collection: Collection) -> Read:
    withheld = Withheld.load(collection)
    index = collection.indexes / f"{segment.removesuffix('.warc.gz')}.cdxj"
    known, is_hidden = len(withheld.entries), False

    def shown(start: int, stop: int) -> Iterator[bytes]:
        nonlocal known, is_hidden
        withheld.look()
        if len(withheld.entries) != known:
            known, is_hidden = len(withheld.entries), withheld.hides_any(index)
        if is_hidden:
            raise TakenDown
        yield from read(start, stop)

    return shown


def _files(made: Prepared, names: set[str], main: str) -> list[Path]:
    """Return index and pages of some segments; they are made the first time."""
    named = hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()[:16]
    folder = made.folder / f"part-{named}"
    if not folder.is_dir():
        with tempfile.TemporaryDirectory(dir=made.folder, prefix="new-", ignore_cleanup_errors=True) as new:
            _index(Path(new), made.index, names)
            _write(Path(new) / "pages.jsonl", made.pages.lines(names, main))
            with suppress(OSError):  # another run was quicker
                Path(new).rename(folder)
    return sorted(folder.iterdir())


def _index(folder: Path, index: Path, names: set[str]) -> None:
    with index.open("rb") as lines:
        if index.stat().st_size <= _SMALL:
            _write(folder / "index.cdx", _of(lines, names))
            return
        with (folder / "index.cdx.gz").open("wb") as out, (folder / "index.idx").open("wb") as places:
            pack(_of(lines, names), out, places, "index.cdx.gz")


def _of(lines: Iterable[bytes], names: set[str]) -> Iterator[bytes]:
    return (line for line in lines if facts_of(line)["filename"] in names)


def _write(path: Path, lines: Iterable[bytes]) -> None:
    with path.open("wb") as out:
        out.writelines(lines)


def _made(name: str, path: Path) -> tuple[Member, str]:
    """Return a file of ours as a member, and its hash."""
    sha256, crc, size = hashlib.sha256(), 0, path.stat().st_size
    for piece in of_file(path)(0, size):
        sha256.update(piece)
        crc = isal_zlib.crc32(piece, crc)
    return Member(name=name, size=size, crc32=crc, read=of_file(path)), f"sha256:{sha256.hexdigest()}"


def _datapackage(
    collection: Collection,
    taken: Sequence[Entry],
    members: list[tuple[Member, str]],
    main: tuple[str, str],
    number: int,
) -> bytes:
    told: dict[str, Any] = {
        "profile": "data-package", "wacz_version": "1.1.1", "software": _SOFTWARE,
        "title": collection.marker.seed + (f" (part {number})" if number else ""),
        "created": max((one.sealed_at for one in taken), default=collection.marker.created),
    }  # fmt: skip
    if main[0]:
        told |= {"mainPageUrl": main[0], "mainPageDate": when(main[1])}
    told["resources"] = [
        {
            "name": _NO_NAME.sub("-", one.name.rpartition("/")[2].lower()),
            "path": one.name,
            "hash": digest,
            "bytes": one.size,
        }
        for one, digest in members
    ]
    return orjson.dumps(told, option=orjson.OPT_INDENT_2)


def _digest(data: bytes, key: Ed25519PrivateKey | None) -> bytes:
    told: dict[str, Any] = {"path": "datapackage.json", "hash": f"sha256:{hashlib.sha256(data).hexdigest()}"}
    if key is not None:
        # wacz-auth knows only ECDSA and certificates of a domain; this is the key that signs the collection.
        public = keys.raw(key.public_key()).hex()
        told["ed25519"] = {"publicKey": public, "signature": key.sign(data).hex()}
    return json.dumps(told).encode()
