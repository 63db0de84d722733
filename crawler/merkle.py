"""Merkle trees over SHA-256, as RFC 9162 section 2.1 makes them: leaves and nodes are hashed apart, so that neither
passes for the other, and the last node of an odd row rises as it is.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_LEAF, _NODE = b"\x00", b"\x01"


def leaf(pieces: Iterable[bytes]) -> bytes:
    """Return the hash of a leaf, given in pieces."""
    digest = hashlib.sha256(_LEAF)
    for piece in pieces:
        digest.update(piece)
    return digest.digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """Return the root over hashes of leaves."""
    row = list(leaves) or [hashlib.sha256().digest()]
    while len(row) > 1:
        row = _above(row)
    return row[0]


def path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return the nodes that lead from a leaf to the root, the nearest first."""
    row, found = list(leaves), []
    while len(row) > 1:
        if (index ^ 1) < len(row):
            found.append(row[index ^ 1])
        row, index = _above(row), index // 2
    return found


def climb(node: bytes, index: int, size: int, nodes: Sequence[bytes]) -> bytes | None:
    """Return the root that a path leads to from leaf ``index`` of ``size``; None where no path has that shape."""
    if not 0 <= index < size:
        return None
    rest = list(nodes)
    while size > 1:
        if (index ^ 1) < size:
            if not rest:
                return None
            beside = rest.pop(0)
            node = _join(beside, node) if index & 1 else _join(node, beside)
        index, size = index // 2, (size + 1) // 2
    return None if rest else node


class Leaves:
    """The leaves of a file whose parts end where somebody finds out later: fed its bytes, told of each part's end.

    All that was fed before the last piece must belong to the part that goes on; so no more than a piece is kept.
    """

    def __init__(self) -> None:
        self.hashes: list[bytes] = []
        self._leaf = hashlib.sha256(_LEAF)
        self._piece = memoryview(b"")
        #: Where the piece begins in the file, and how much of it is hashed.
        self._start = self._used = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the file."""
        self._leaf.update(self._piece[self._used :])
        self._start += len(self._piece)
        self._piece, self._used = memoryview(data), 0

    def cut(self, end: int) -> None:
        """End a part at this offset in the file."""
        upto = end - self._start
        self._leaf.update(self._piece[self._used : upto])
        self.hashes.append(self._leaf.digest())
        self._leaf, self._used = hashlib.sha256(_LEAF), upto


def _above(row: list[bytes]) -> list[bytes]:
    joined = [_join(row[at], row[at + 1]) for at in range(0, len(row) - 1, 2)]
    return joined + row[len(joined) * 2 :]


def _join(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(_NODE + left + right).digest()
