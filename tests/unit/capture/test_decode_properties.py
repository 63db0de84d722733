"""A body that gives nothing is not read to its end, however long it is."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, cast

import pytest

from crawler.capture.decode import response_from
from crawler.model import Body, Digests, Fetch
from tests.fuzz.targets import captured


class _Endless(io.RawIOBase):
    """A file that begins with some bytes and goes on with others, and counts what is read of it."""

    def __init__(self, start: bytes, more: bytes) -> None:
        self._start, self._more, self.count = start, more, 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        assert size > 0
        found, self._start = self._start[:size], self._start[size:]
        if not found:
            found = (self._more * (size // len(self._more) + 1))[:size]
            turn = size % len(self._more)
            self._more = self._more[turn:] + self._more[:turn]
        self.count += len(found)
        return found


class _File:
    """As much of a path as a spooled body needs."""

    def __init__(self, make: Callable[[], _Endless]) -> None:
        self.made: list[_Endless] = []
        self._make = make

    def open(self, mode: str) -> _Endless:
        self.made.append(self._make())
        return self.made[-1]


@pytest.mark.parametrize(
    ("start", "more", "flag"),
    [
        (b"\x1f\x8b\x08\0\0\0\0\0\0\xff", b"\xff", "decoded-damaged"),
        (gzip.compress(b"hi"), b"\0", ""),
        (b"", gzip.compress(b"")[:-8] + bytes(8), "decoded-cut"),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\xff", b"\0\0\0\xff\xff", "decoded-cut"),
    ],
    ids=["damaged", "padded", "empty members", "empty blocks"],
)
def test_what_gives_nothing_is_not_read_to_its_end(start: bytes, more: bytes, flag: str) -> None:
    file = _File(lambda: _Endless(start, more))
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"
    body = Body(size=1 << 40, path=cast("Path", file))
    taken = replace(captured(head, b""), body=body)
    facts: dict[str, Any] = {one.name: "" for one in fields(Digests)} | {"payload_length": 1 << 40}
    taken = replace(taken, digests=Digests(**facts))
    response = response_from(Fetch(url="http://a.example/", lane="files"), taken)
    assert response.flags == ([flag] if flag else [])
    assert all(one.count <= 8 << 20 for one in file.made)
