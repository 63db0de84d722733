"""What a destination can do, whatever it is: the few calls that copies need, and the ways in which they go wrong.

Errors come out as ``Refused`` (this object, this call), ``Unavailable`` (the destination as a whole, for now) or
``Denied`` (until somebody does something). Calls may come from several threads.
"""

from __future__ import annotations

import io
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from crawler.errors import CredentialsError, DiskFull, OutlastError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from crawler.cold.destination import Destination
    from crawler.cold.throttle import Throttle


@contextmanager
def landing(path: Path) -> Iterator[Callable[[bytes], None]]:
    """Write what a destination gives to a file here, durably; what our own disk refuses is no fault of the destination.

    Raises DiskFull.
    """
    with _ours(path):
        out = path.open("wb", buffering=0)  # no rest of it is written, and refused, while it is closed

    def write(data: bytes) -> None:
        left = memoryview(data)
        with _ours(path):
            while left:
                left = left[out.write(left) :]

    with out:
        yield write
        with _ours(path):
            os.fsync(out.fileno())


@contextmanager
def _ours(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        raise DiskFull(f"{path} cannot be written: {e.strerror}.") from e


class Refused(OutlastError):
    """The destination refuses this object, or has something else under its name."""

    exit_code = 3


class Unavailable(OutlastError):
    """The destination takes nothing now; later it may."""

    exit_code = 3


class Denied(CredentialsError):
    """The destination refuses us altogether."""


class NoBucket(Denied):
    """There is no such bucket: nothing can be there, whoever asks."""

    exit_code = 3


class Absent(Refused):
    """There is no such object or upload."""


class Archived(Refused):
    """The object is in an archive class and must be restored first."""


class Underway(Refused):
    """The object is being restored already."""


class Exists(Refused):
    """There is such an object already, and it stays."""


class Store(Protocol):
    """One destination. Keys are whole; sums are hex; ``hot`` is what must be at hand at once, the rest is segments."""

    @property
    def destination(self) -> Destination: ...

    def close(self) -> None:
        """Close its connections."""

    def put(
        self, key: str, body: Any, *, length: int, md5: str = "", checksum: tuple[str, str] | None = None,
        conditional: bool = False, hot: bool = True,
    ) -> dict[str, Any]:  # fmt: skip
        """Put an object whole; ``checksum`` is (algorithm as S3 names it, base64). Raises Exists if ``conditional``."""
        ...

    def head(self, key: str) -> dict[str, Any] | None:
        """Return what it says of an object, under boto3's names; None where there is none."""
        ...

    def sha256(self, key: str) -> tuple[str, int]:
        """Read an object back; return its SHA-256 and length."""
        ...

    def get(self, key: str, *, first: int | None = None, last: int | None = None) -> bytes:
        """Return an object's bytes, or some of them (both ends included)."""
        ...

    def download(self, key: str, path: Path) -> str:
        """Write an object to a file durably; return the SHA-256 of what came."""
        ...

    def is_awake(self, key: str) -> bool:
        """Say whether an object can be read now: it is in no archive class, or restored from it."""
        ...

    def restore(self, key: str, *, days: int, tier: str) -> None:
        """Ask for an archived object back, for so many days; one that was asked for already is no fault."""

    def delete(self, key: str) -> None:
        """Delete an object of ours that is no copy: a canary."""

    def withdraw(self, key: str) -> str:
        """Delete an object in every version of it; return what keeps some of it there, empty where nothing does."""
        ...

    def objects(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Yield (key, bytes) of the objects below a prefix."""
        ...

    def begin(self, key: str, *, hot: bool = True, with_crc32: bool = False) -> str:
        """Begin an upload in parts; return its id."""
        ...

    def part(self, key: str, upload: str, number: int, body: Slice, *, md5: str) -> str:
        """Send a part (numbers begin at 1); return its ETag. Raises Absent where the upload is over."""
        ...

    def parts(self, key: str, upload: str) -> dict[int, tuple[str, int]] | None:
        """Return number → (ETag, bytes) of the parts it has; None where it cannot say. Raises Absent."""
        ...

    def complete(
        self, key: str, upload: str, etags: dict[int, str], *, conditional: bool = False, crc32: str = ""
    ) -> dict[str, Any]:
        """End an upload in parts; its object is there then. Raises Absent where the upload is over already."""
        ...

    def abort(self, key: str, upload: str) -> None:
        """Give up an upload in parts; one that is over is no fault."""

    def uploads(self, prefix: str) -> list[tuple[str, str]]:
        """Return (key, id) of uploads under way below a prefix; none where it cannot say."""
        ...


class Slice(io.RawIOBase):
    """A part of a file as a stream of its own that can be sent again."""

    def __init__(self, file: BinaryIO, start: int, length: int, throttle: Throttle | None = None) -> None:
        self._throttle = throttle
        self._fd = file.fileno()
        self._start, self._length, self._at = start, length, 0

    def __len__(self) -> int:
        return self._length

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._length}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        left = max(self._length - self._at, 0)
        # pread, as several parts of one file are on their way at once.
        data = os.pread(self._fd, left if size < 0 else min(size, left), self._start + self._at)
        self._at += len(data)
        if self._throttle is not None:
            self._throttle.take(len(data))
        return data

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def open_store(destination: Destination, *, connections: int = 8, timeout: float = 60.0) -> Store:
    """Open a destination. Raises CredentialsError where there are none, Unavailable where a directory is not there."""
    if destination.path:
        from crawler.cold.directory import DirectoryStore  # noqa: PLC0415 - they know this module

        return DirectoryStore(destination)
    from crawler.cold.s3 import S3Store  # noqa: PLC0415 - boto3 is slow to import

    return S3Store(destination, connections=connections, timeout=timeout)
