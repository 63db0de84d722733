"""The ZIP that nobody writes: readable by others, any range of it the same as the whole's, also beyond 4 GiB."""

from __future__ import annotations

import io
import random
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from crawler.errors import Damaged
from crawler.reading.zipped import Member, Zip, of_bytes, of_file


def test_others_read_it_and_any_range_is_that_of_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "b"
    path.write_bytes(bytes(range(256)) * 999)
    members = [
        of_bytes("a.txt", b"tea"), of_bytes("empty", b""),
        Member(name="archive/ü.warc.gz", size=1000, crc32=zlib.crc32(path.read_bytes()[5:1005]), read=of_file(path, 5)),
    ]  # fmt: skip
    whole = Zip(members)
    data = b"".join(whole.read(0, whole.size))
    assert len(data) == whole.size
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        assert file.testzip() is None
        assert file.namelist() == ["a.txt", "empty", "archive/ü.warc.gz"]
        assert file.read("archive/ü.warc.gz") == path.read_bytes()[5:1005]
    chance = random.Random(1)
    for _ in range(300):
        start, stop = sorted(chance.sample(range(len(data) + 1), 2))
        assert b"".join(whole.read(start, stop)) == data[start:stop]


def test_what_is_not_what_it_was_is_damage(tmp_path: Path) -> None:
    whole = Zip(
        [Member(name="a", size=3, crc32=zlib.crc32(b"tea"), read=lambda start, stop: iter((b"cup"[start:stop],)))]
    )
    with pytest.raises(Damaged, match="a is not what it was"):
        list(whole.read(0, whole.size))
    path = tmp_path / "short"
    path.write_bytes(b"te")
    with pytest.raises(Damaged, match="shorter"):
        list(Zip([Member(name="a", size=3, crc32=0, read=of_file(path))]).read(0, 100))


class Vast(io.RawIOBase):
    """A ZIP as a file that can be sought, of which nothing is ever made that is not read."""

    def __init__(self, whole: Zip) -> None:
        self._whole, self._at = whole, 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._whole.size)[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = b"".join(self._whole.read(self._at, min(self._at + len(buffer), self._whole.size)))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def zeros(start: int, stop: int) -> Iterator[bytes]:
    return iter((bytes(stop - start),))


@pytest.mark.parametrize("sizes", [[5 << 30], [3 << 30, 3 << 30], [(1 << 32) - 1], [1] * 70_000])
def test_what_needs_zip64_has_it(sizes: list[int]) -> None:
    members = [Member(name=f"m{at}", size=size, crc32=7, read=zeros) for at, size in enumerate(sizes)]
    last = of_bytes("last", b"the last")
    with zipfile.ZipFile(Vast(Zip([*members, last]))) as file:
        assert [one.file_size for one in file.infolist()] == [*sizes, 8]
        assert file.read("last") == b"the last"
