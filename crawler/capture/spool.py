"""Where the bytes of an answer gather: in memory while small, in a spool file once big, hashed on the way."""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from base64 import b32encode
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from crawler.model import EMPTY_BODY, Body, Digests

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crawler.framing import Data

_SUFFIX = ".spool"


class Sink:
    """Takes one answer: its head, then its body piece by piece; gives a Body and its Digests.

    ``write`` may run in a thread and blocks on the disk once ``threshold`` bytes are exceeded. Raises OSError where
    the disk refuses.
    """

    def __init__(self, directory: Path, threshold: int) -> None:
        self._directory = directory
        self._threshold = threshold
        self._block = hashlib.sha256()
        self._payload = (hashlib.sha256(), hashlib.sha1(usedforsecurity=False))
        self._payload_length = 0
        self._memory: list[bytes] = []
        self._file: BinaryIO | None = None
        self._path: Path | None = None
        self._size = 0
        # A cancelled exchange discards its sink while a thread may still be writing to it.
        self._lock = threading.Lock()
        self._discarded = False

    def write_head(self, wire: bytes) -> None:
        """Count the head into the block."""
        self._block.update(wire)

    def write(self, pieces: Iterable[Data]) -> None:
        """Hash and keep pieces of the body, in order."""
        with self._lock:
            if self._discarded:
                return
            for wire, entity in pieces:
                self._hash(wire, entity)
                self._keep(wire)

    def finish(self) -> tuple[Body, Digests]:
        """Return the body and its digests; the caller now owns the spool file, if there is one."""
        return self._body(), Digests(
            block_sha256=self._block.hexdigest(),
            payload_sha256=self._payload[0].hexdigest(),
            payload_sha1=b32encode(self._payload[1].digest()).decode(),
            payload_length=self._payload_length,
        )

    def discard(self) -> None:
        """Forget everything and delete the spool file."""
        with self._lock:
            self._discarded = True
            self._memory.clear()
            if self._file is not None and self._path is not None:
                with suppress(OSError):  # closing writes what is buffered, perhaps to a full disk
                    self._file.close()
                self._path.unlink(missing_ok=True)

    def _hash(self, wire: bytes, entity: bytes) -> None:
        self._block.update(wire)
        for digest in self._payload:
            digest.update(entity)
        self._payload_length += len(entity)

    def _keep(self, wire: bytes) -> None:
        self._size += len(wire)
        if self._file is None:
            self._memory.append(wire)
            if self._size > self._threshold:
                self._open()
        else:
            self._file.write(wire)

    def _open(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix="body-", suffix=_SUFFIX, dir=self._directory)
        self._path = Path(name)
        self._file = os.fdopen(descriptor, "wb")
        self._file.writelines(self._memory)
        self._memory.clear()

    def _body(self) -> Body:
        if self._file is not None:
            self._file.close()
            return Body(size=self._size, path=self._path)
        return Body(size=self._size, data=b"".join(self._memory)) if self._size else EMPTY_BODY


def discard(body: Body) -> None:
    """Delete the spool file behind a body, if there is one; a second time does nothing."""
    if body.path is not None:
        body.path.unlink(missing_ok=True)


def sweep(directory: Path) -> int:
    """Delete what a killed run left in the spool directory; return how many files that were."""
    leftovers = list(directory.glob(f"*{_SUFFIX}"))
    for path in leftovers:
        path.unlink(missing_ok=True)
    return len(leftovers)
