"""A directory as a destination: another disk, a mounted share. What is there is read back to be believed.

An object is written beside its place, made durable, and only then gets its name, which nothing else may have.
"""

from __future__ import annotations

import errno
import hashlib
import os
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from crawler.cold.store import Absent, Denied, Exists, Refused, Slice, Unavailable, landing
from crawler.collection import sync_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.cold.destination import Destination

_PIECE = 1 << 20
#: What an object is called while it is written.
_PART = ".part-"


class DirectoryStore:
    """One directory, which must be there: a disk that is not mounted must not be written beside."""

    def __init__(self, destination: Destination) -> None:
        self.destination = destination
        self._root = Path(destination.path)
        if not self._root.is_dir():
            raise Unavailable(f"{destination.name}: the directory {self._root} is not there.")

    def close(self) -> None:
        """Nothing is open."""

    def put(
        self, key: str, body: Any, *, length: int, md5: str = "", checksum: tuple[str, str] | None = None,
        conditional: bool = False, hot: bool = True,
    ) -> dict[str, Any]:  # fmt: skip
        path = self._path(key)
        with self._asking(key):
            self._make(path.parent)
            part = path.with_name(f"{_PART}{uuid.uuid4().hex}")
            try:
                with part.open("xb") as out:
                    self._copy(key, body, out, length=length, md5=md5)
                self._name(part, path)
            finally:
                part.unlink(missing_ok=True)
            sync_directory(path.parent)
        return {}

    def _copy(self, key: str, body: Any, out: BinaryIO, *, length: int, md5: str) -> None:
        digest, count = hashlib.md5(usedforsecurity=False), 0
        while piece := body.read(_PIECE):
            digest.update(piece)
            out.write(piece)
            count += len(piece)
        if count != length or (md5 and digest.hexdigest() != md5):
            raise Refused(f"{self.destination.name} refuses {key}: it is not what was sealed.")
        out.flush()
        os.fsync(out.fileno())

    def _name(self, part: Path, path: Path) -> None:
        """Give it its name, if nothing has that."""
        try:
            os.link(part, path)
        except FileExistsError as e:
            raise Exists(f"{self.destination.name} has {path.name} already.") from e
        except OSError:  # no hard links there: nobody else writes here, as a push is alone
            if path.exists():
                raise Exists(f"{self.destination.name} has {path.name} already.") from None
            part.rename(path)

    def head(self, key: str) -> dict[str, Any] | None:
        try:
            with self._asking(key):
                return {"ContentLength": self._path(key).stat().st_size}
        except Absent:
            return None

    def sha256(self, key: str) -> tuple[str, int]:
        digest, length = hashlib.sha256(), 0
        with self._asking(key), self._path(key).open("rb") as file:
            # What is still in memory proves nothing of the disk.
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            while piece := file.read(_PIECE):
                digest.update(piece)
                length += len(piece)
        return digest.hexdigest(), length

    def get(self, key: str, *, first: int | None = None, last: int | None = None) -> bytes:
        with self._asking(key), self._path(key).open("rb") as file:
            file.seek(first or 0)
            return file.read() if last is None else file.read(last + 1 - (first or 0))

    def download(self, key: str, path: Path) -> str:
        digest = hashlib.sha256()
        with self._asking(key), self._path(key).open("rb") as file, landing(path) as write:
            while piece := file.read(_PIECE):
                digest.update(piece)
                write(piece)
        return digest.hexdigest()

    def is_awake(self, key: str) -> bool:
        return True

    def restore(self, key: str, *, days: int, tier: str) -> None:
        """Nothing here sleeps."""

    def delete(self, key: str) -> None:
        path = self._path(key)
        with self._asking(key):
            path.unlink(missing_ok=True)
            for folder in (path.parent, path.parent.parent):
                if folder != self._root and not any(folder.iterdir()):
                    folder.rmdir()

    def withdraw(self, key: str) -> str:
        self.delete(key)
        return ""

    def objects(self, prefix: str) -> Iterator[tuple[str, int]]:
        with self._asking(prefix):
            for path in sorted((self._root / prefix.rpartition("/")[0]).rglob("*")):
                key = path.relative_to(self._root).as_posix()
                if key.startswith(prefix) and path.is_file() and not path.name.startswith(_PART):
                    yield key, path.stat().st_size

    # A file is written whole; what a kill left of one goes.

    def begin(self, key: str, *, hot: bool = True, with_crc32: bool = False) -> str:
        raise Refused(f"{self.destination.name} takes no uploads in parts.")

    def part(self, key: str, upload: str, number: int, body: Slice, *, md5: str) -> str:
        raise Absent(f"{self.destination.name} has no upload {upload}.")

    def parts(self, key: str, upload: str) -> dict[int, tuple[str, int]] | None:
        raise Absent(f"{self.destination.name} has no upload {upload}.")

    def complete(
        self, key: str, upload: str, etags: dict[int, str], *, conditional: bool = False, crc32: str = ""
    ) -> dict[str, Any]:
        raise Absent(f"{self.destination.name} has no upload {upload}.")

    def abort(self, key: str, upload: str) -> None:
        with self._asking(key):
            self._path(key).unlink(missing_ok=True)

    def uploads(self, prefix: str) -> list[tuple[str, str]]:
        with self._asking(prefix):
            found = (
                path.relative_to(self._root).as_posix()
                for path in (self._root / prefix.rpartition("/")[0]).rglob(f"{_PART}*")
            )
            return [(key, "file") for key in found if key.startswith(prefix)]

    def _path(self, key: str) -> Path:
        if any(part in {"", ".", ".."} for part in key.split("/")):
            raise Refused(f"{key!r} is no key.")
        return self._root / key

    def _make(self, folder: Path) -> None:
        """Make a folder durably."""
        if not folder.is_dir():
            self._make(folder.parent)
            folder.mkdir(exist_ok=True)
            sync_directory(folder.parent)

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        """Turn the system's errors into ours."""
        name = self.destination.name
        try:
            yield
        except FileNotFoundError as e:
            if not self._root.is_dir():
                raise Unavailable(f"{name}: the directory {self._root} is not there any more.") from e
            raise Absent(f"{name} has no {what}.") from e
        except OSError as e:
            if e.errno in {errno.EACCES, errno.EPERM}:
                raise Denied(f"{name} refuses us ({e.strerror}: {e.filename}).") from e
            raise Unavailable(f"{name} takes nothing now ({e.strerror}).") from e
