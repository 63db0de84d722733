"""A WACZ file: that the ZIP is whole, that its datapackage tells the truth, and that index, pages and records agree.

WACZ 1.1.1 (webrecorder/specs). Stored WARCs are read where they stand in the ZIP; what is deflated against the
standard is unpacked to a temporary file first.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crawler.warc.verify.files import check_file
from crawler.warc.verify.pages import check_pages
from crawler.warc.verify.rules import Finding, finding
from crawler.warc.verify.wacz_index import WaczIndex

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.warc.verify.references import References

_READ = 1 << 20
#: Bytes of a description that anybody reads.
_MOST_JSON = 64 << 20
_DATAPACKAGE, _DIGEST, _PAGES = "datapackage.json", "datapackage-digest.json", "pages/pages.jsonl"
#: What each folder of the standard may hold.
_PLACES = {
    "archive": re.compile(r"[^/]+\.warc(\.gz|\.zst)?"),
    "indexes": re.compile(r"[^/]+\.(cdxj?|idx)(\.gz)?"),
    "pages": re.compile(r"[^/]+\.jsonl(\.gz)?"),
}
_LOCAL_HEADER = struct.Struct("<26xHH")
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError, ValueError)


def check_wacz(path: Path, references: References) -> Iterator[Finding]:
    """Yield what is wrong with a WACZ file."""
    try:
        file = zipfile.ZipFile(path)
    except _BROKEN as e:
        yield finding("Z001-zip", path.name, 0, str(e))
        return
    with file, WaczIndex(path.name) as index:
        yield from _Wacz(path, file, index, references).findings()


class _Wacz:
    def __init__(self, path: Path, file: zipfile.ZipFile, index: WaczIndex, references: References) -> None:
        self._path = path
        self._file = file
        self._index = index
        self._references = references
        self._members = {one.filename: one for one in file.infolist() if not one.is_dir()}
        #: Name of each member → its digest and length, by reading.
        self._read: dict[str, tuple[str, int]] = {}

    def findings(self) -> Iterator[Finding]:
        yield from self._layout()
        resources: list[dict[str, Any]] = []
        yield from self._datapackage(resources)
        named = {str(one.get("path")): one for one in resources}
        for name in sorted(self._members):
            algorithm = str(named.get(name, {}).get("hash", "")).partition(":")[0]
            yield from self._member(name, algorithm if algorithm in {"sha256", "sha512", "md5", "sha1"} else "sha256")
        yield from self._resources(named)
        yield from self._index.findings()

    def _found(self, rule: str, member: str, offset: int = 0, remark: str = "") -> Finding:
        return finding(rule, f"{self._path.name}/{member}" if member else self._path.name, offset, remark)

    def _layout(self) -> Iterator[Finding]:
        for rule, folder in (("Z010-no-warc", "archive"), ("Z011-no-index", "indexes")):
            if not any(self._is_of(name, folder) for name in self._members):
                yield self._found(rule, "")
        if _PAGES not in self._members:
            yield self._found("Z012-no-pages", "")
        names = [one.filename for one in self._file.infolist()]
        for name in sorted(set(names)):
            folder, slash, _ = name.partition("/")
            unsafe = name.startswith("/") or "\\" in name or ".." in name.split("/")
            strange = slash and not name.endswith("/") and folder in _PLACES and not self._is_of(name, folder)
            if unsafe or strange or names.count(name) > 1:
                yield self._found("Z020-layout", name, 0, "twice" if names.count(name) > 1 else "")

    def _is_of(self, name: str, folder: str) -> bool:
        return name.startswith(f"{folder}/") and _PLACES[folder].fullmatch(name[len(folder) + 1 :]) is not None

    def _datapackage(self, resources: list[dict[str, Any]]) -> Iterator[Finding]:
        told = self._json(_DATAPACKAGE)
        listed = told.get("resources") if isinstance(told, dict) else None
        if not isinstance(told, dict) or not isinstance(listed, list):
            yield self._found("Z003-datapackage", _DATAPACKAGE)
            return
        resources += [one for one in listed if isinstance(one, dict)]
        profile, version = told.get("profile"), str(told.get("wacz_version", ""))
        if profile not in {"data-package", "wacz"} or not version.startswith("1."):
            yield self._found("Z021-profile", _DATAPACKAGE, 0, f"{profile} {version}")
        yield from self._digest()

    def _digest(self) -> Iterator[Finding]:
        if _DIGEST not in self._members:
            yield self._found("Z008-no-digest", "")
            return
        told = self._json(_DIGEST)
        due = str(told.get("hash", "")) if isinstance(told, dict) else ""
        algorithm, _, value = due.partition(":")
        if algorithm not in {"sha256", "sha512"} or not isinstance(told, dict) or told.get("path") != _DATAPACKAGE:
            yield self._found("Z009-digest", _DIGEST, 0, due)
        elif hashlib.new(algorithm, self._file.read(_DATAPACKAGE)).hexdigest() != value.lower():
            yield self._found("Z009-digest", _DIGEST)

    def _json(self, name: str) -> Any:
        """Return what a member says, None where it cannot be read."""
        try:
            with self._file.open(name) as stream:
                return json.loads(stream.read(_MOST_JSON))
        except (KeyError, RecursionError, *_BROKEN):
            return None

    def _member(self, name: str, algorithm: str) -> Iterator[Finding]:
        """Read a member whole, once, and look at what is in it."""
        one = self._members[name]
        if one.compress_type != zipfile.ZIP_STORED and name.endswith((".gz", ".zst")):
            yield self._found("Z013-deflated", name)
        digest = hashlib.new(algorithm, usedforsecurity=False)
        try:
            if not self._is_of(name, "archive"):
                yield from self._plain(name, digest)
            elif one.compress_type == zipfile.ZIP_STORED:
                yield from self._warc(name, digest)
            else:
                yield from self._unpacked(name, digest)
        except _BROKEN as e:
            yield self._found("Z002-member", name, 0, str(e))
            return
        self._read[name] = f"{algorithm}:{digest.hexdigest()}", one.file_size

    def _plain(self, name: str, digest: hashlib._Hash) -> Iterator[Finding]:
        with self._file.open(name) as stream:
            while piece := stream.read(_READ):
                digest.update(piece)
        if self._is_of(name, "indexes") and ".idx" not in name:
            with self._file.open(name) as stream:
                self._index.read(name, stream)
        elif name == _PAGES:
            with self._file.open(name) as stream:
                yield from check_pages(f"{self._path.name}/{name}", stream, self._index.page)

    def _warc(self, name: str, digest: hashlib._Hash) -> Iterator[Finding]:
        """Read a stored WARC in its place."""
        one, crc = self._members[name], 0

        def seen(data: bytes) -> None:
            nonlocal crc
            crc = zlib.crc32(data, crc)
            digest.update(data)

        start = self._start(one)
        yield from check_file(
            self._path, self._references, label=f"{self._path.name}/{name}", start=start, stop=start + one.file_size,
            seen=seen, each=self._index.record_of(name),
        )  # fmt: skip
        if crc != one.CRC:
            yield self._found("Z002-member", name, 0, "its CRC-32 is another")

    def _start(self, one: zipfile.ZipInfo) -> int:
        """Return where a stored member's bytes begin: its own header may be longer than the directory's."""
        with self._path.open("rb") as file:
            file.seek(one.header_offset)
            header = file.read(_LOCAL_HEADER.size)
        if header[:4] != b"PK\3\4":
            raise zipfile.BadZipFile("there is no member where the directory says")
        name, extra = _LOCAL_HEADER.unpack(header)
        return int(one.header_offset + _LOCAL_HEADER.size + name + extra)

    def _unpacked(self, name: str, digest: hashlib._Hash) -> Iterator[Finding]:
        with tempfile.NamedTemporaryFile(prefix="outlast-verify-") as out:
            with self._file.open(name) as stream:
                while piece := stream.read(_READ):
                    digest.update(piece)
                    out.write(piece)
            out.flush()
            label = f"{self._path.name}/{name}"
            each = self._index.record_of(name)
            yield from check_file(Path(out.name), self._references, label=label, each=each)

    def _resources(self, named: dict[str, dict[str, Any]]) -> Iterator[Finding]:
        for name, told in named.items():
            if name not in self._members:
                yield self._found("Z004-missing", name)
            elif name in self._read:
                digest, size = self._read[name]
                if str(told.get("hash", "")).lower() != digest:
                    yield self._found("Z006-hash", name, 0, digest)
                if told.get("bytes") != size:
                    yield self._found("Z007-bytes", name, 0, str(size))
        for name in sorted(self._members.keys() - named.keys() - {_DATAPACKAGE, _DIGEST}):
            if named:
                yield self._found("Z005-unlisted", name)
