"""Repositories of the AT Protocol: a CAR file (ipld.io, CARv1) of DAG-CBOR blocks, read out of a stream. Pure.

A repository is a signed commit, the tree of its keys (a Merkle search tree) and its records. Blocks come in any order,
so the stream is read twice: first for the tree, then for the records that it names. Of a big repository only the tree
is ever held. A block that is not what its name says, and one that the tree does not lead to, is nobody's record: what
somebody deleted may still lie about in a file.
"""

from __future__ import annotations

import base64
import hashlib
import math
import struct
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Bytes of one block, entries of a tree, levels of a value.
MAX_BLOCK, MAX_ENTRIES, MAX_DEPTH = 4 << 20, 4_000_000, 64
#: CIDv1 with SHA-256: version, codec, hash function, length of the hash; the codec is DAG-CBOR for all but files.
_CID = 36
_SHA256 = b"\x12\x20"
_TAG_OF_CIDS = 42
_FLOATS = {25: ">e", 26: ">f", 27: ">d"}


def records(opener: Callable[[], BinaryIO]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield (collection/key, CID, record) of every record of a repository, as its JSON would say it.

    What a file lacks, or that ends too early, is left out; so is all that follows what is no block.
    """
    with opener() as stream:
        names = _Tree(stream).names
    with opener() as stream:
        for cid, data in _blocks(stream, []):
            for name in names.get(cid, ()):
                record = _value(data)
                if isinstance(record, dict):
                    yield name, _spelled(cid), record


class _Tree:
    """The keys of a repository, read from all the blocks of its file."""

    def __init__(self, stream: BinaryIO) -> None:
        #: CID → the keys that it stands under.
        self.names: dict[bytes, list[str]] = {}
        self._nodes: dict[bytes, tuple[Any, list[Any]]] = {}
        self._left = MAX_ENTRIES
        roots: list[bytes] = []
        commit: Any = None
        for cid, data in _blocks(stream, roots):
            if roots and cid == roots[0]:
                commit = _value(data)
            elif data[:1] == b"\xa2" and isinstance(node := _value(data), dict) and node.keys() == {"e", "l"}:
                entries = node["e"] if isinstance(node["e"], list) else []
                self._left -= len(entries) + 1
                if self._left < 0:
                    break
                self._nodes[cid] = (node["l"], entries)
        if isinstance(commit, dict):
            self._walk(commit.get("data"))

    def _walk(self, root: Any) -> None:
        """Go down from the root; a node that two lead to is read once."""
        waiting = [root]
        while waiting:
            left, entries = self._nodes.pop(_named(waiting.pop()), (None, []))
            waiting.append(left) if left is not None else None
            key = b""
            for entry in entries:
                shared, rest = (entry.get("p"), entry.get("k")) if isinstance(entry, dict) else (None, None)
                if not isinstance(shared, int) or not isinstance(rest, bytes) or not 0 <= shared <= len(key):
                    break
                key = key[:shared] + rest
                name, cid = key[:1024].decode("ascii", "replace"), _named(entry.get("v"))
                if cid:
                    self.names.setdefault(cid, []).append(name)
                if entry.get("t") is not None:
                    waiting.append(entry["t"])


def _blocks(stream: BinaryIO, roots: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Yield (CID, bytes) of the blocks whose bytes are what their CID says; ``roots`` takes those of the header."""
    header = _value(_piece(stream))
    if not isinstance(header, dict) or header.get("version") != 1:
        return
    listed = header.get("roots")
    roots.extend(_named(root) for root in (listed if isinstance(listed, list) else [])[:16])
    while piece := _piece(stream):
        cid, data = piece[:_CID], piece[_CID:]
        if cid[2:4] == _SHA256 and hashlib.sha256(data).digest() == cid[4:]:
            yield cid, data


def _piece(stream: BinaryIO) -> bytes:
    """Return what the next length says; nothing at the end, or where it is no length."""
    size = 0
    for place in range(5):
        byte = stream.read(1)
        if not byte:
            return b""
        size |= (byte[0] & 0x7F) << 7 * place
        if byte[0] < 0x80:
            break
    found = stream.read(size) if 0 < size <= MAX_BLOCK else b""
    return found if len(found) == size else b""


def _value(data: bytes) -> Any:
    """Return what a block says; None where it is no DAG-CBOR."""
    try:
        return _Reader(data).value(0)
    except (ValueError, struct.error, IndexError, OverflowError):
        return None


class _Reader:
    """DAG-CBOR (ipld.io): lengths are definite, keys are text, and the one tag there is marks a CID."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def _take(self, size: int) -> bytes:
        if size > len(self._data) - self._at:
            raise ValueError("more than there is")
        self._at += size
        return self._data[self._at - size : self._at]

    def value(self, depth: int) -> Any:
        """Return the next value. Raises ValueError where there is none."""
        if depth > MAX_DEPTH:
            raise ValueError("too deep")
        first = self._take(1)[0]
        kind, low = first >> 5, first & 31
        if kind == 7:
            return self._simple(low)
        size = low if low < 24 else int.from_bytes(self._take(1 << low - 24)) if low < 28 else -1
        if size < 0:
            raise ValueError("no definite length")
        if kind < 2:
            return size if kind == 0 else -1 - size
        if kind == 2:
            return self._take(size)
        if kind == 3:
            return self._take(size).decode("utf-8", "replace")
        if kind == 6:
            return self._cid(size, depth)
        if size > len(self._data) - self._at:  # each takes a byte at the least
            raise ValueError("more than there is")
        if kind == 4:
            return [self.value(depth + 1) for _ in range(size)]
        return {str(self.value(depth + 1)): self.value(depth + 1) for _ in range(size)}

    def _simple(self, low: int) -> Any:
        if low in _FLOATS:
            (found,) = struct.unpack(_FLOATS[low], self._take(1 << low - 24))
            return found if math.isfinite(found) else None
        if low not in {20, 21, 22}:
            raise ValueError("no value of DAG-CBOR")
        return {20: False, 21: True, 22: None}[low]

    def _cid(self, tag: int, depth: int) -> dict[str, str]:
        """Return a CID as JSON says it."""
        found = self.value(depth + 1)
        if tag != _TAG_OF_CIDS or not isinstance(found, bytes) or not 1 < len(found) <= 128:
            raise ValueError("no CID")
        return {"$link": _spelled(found[1:])}


def _spelled(cid: bytes) -> str:
    """Return a CID as people write it: multibase b, base 32."""
    return "b" + base64.b32encode(cid).decode().lower().rstrip("=")


def _named(link: Any) -> bytes:
    """Return the bytes of a CID that a value holds; nothing where it holds none."""
    text = link.get("$link") if isinstance(link, dict) else None
    if not isinstance(text, str) or text[:1] != "b" or len(text) > 256:
        return b""
    try:
        return base64.b32decode(text[1:].upper() + "=" * (-len(text[1:]) % 8))
    except ValueError:
        return b""
