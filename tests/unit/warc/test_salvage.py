"""Salvage: every whole record of a damaged file, byte for byte, in a file that verifies."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from crawler.warc.damage import Gap, walk
from crawler.warc.reader import RawRecord
from crawler.warc.salvage import salvage
from crawler.warc.verify import verify_file
from tests.standard.rogues import ANSWERED, GOOD, IN_CHUNKS, INFO, TOLD, good_but, gz, in_frames, packed, plain, raw_but
from tests.standard.rogues import request as asked

SIZES = [len(packed(one)) for one in GOOD]


def ids(path: Path) -> list[str]:
    return [found.id for found in walk(path) if isinstance(found, RawRecord)]


def salvaged(tmp_path: Path, data: bytes, suffix: str = ".warc.gz") -> tuple[Path, list[tuple[int, int]], bytes]:
    """Return the new file, what was lost, and what it holds of the old one."""
    path, into = tmp_path / f"old{suffix}", tmp_path / f"new{'.warc' if suffix == '.warc' else '.warc.gz'}"
    path.write_bytes(data)
    made = salvage(path, into, name=into.name)
    assert path.read_bytes() == data
    assert not any(found.severity == "error" for found in verify_file(into)), list(verify_file(into))
    assert not any(isinstance(found, Gap) for found in walk(into))
    kept = ids(into)[1:-1]
    assert len(kept) == made.records
    return into, [(loss.offset, loss.bytes) for loss in made.losses], into.read_bytes()


def test_a_damaged_member_is_skipped_and_all_others_are_copied(tmp_path: Path) -> None:
    good, at = packed(*GOOD), sum(SIZES[:4])
    _, lost, data = salvaged(tmp_path, good[: at + 200] + bytes(9) + good[at + 209 :])
    assert lost == [(at, SIZES[4])]
    assert good[:at] in data
    assert good[at + SIZES[4] :] in data


@pytest.mark.parametrize("cut", [40, 400, 900])
def test_a_torn_end(tmp_path: Path, cut: int) -> None:
    good = packed(*GOOD)
    _, lost, data = salvaged(tmp_path, good[:-cut])
    whole = sum(size for at, size in enumerate(SIZES) if sum(SIZES[: at + 1]) <= len(good) - cut)
    assert lost == [(whole, len(good) - cut - whole)]
    assert good[:whole] in data


def test_a_flipped_bit_where_only_the_digest_tells(tmp_path: Path) -> None:
    data = plain(*GOOD)
    at = data.find(b"toast")
    _, lost, kept = salvaged(tmp_path, data[:at] + b"T" + data[at + 1 :], ".warc")
    assert lost == [(len(plain(*GOOD[:2])), len(ANSWERED.bytes()))]
    assert plain(*GOOD[3:]) in kept


def test_a_length_that_swallows_the_next_record(tmp_path: Path) -> None:
    """The next one is found inside what the wrong one takes for its block."""
    wrong = ANSWERED.of(Content_Length=str(len(ANSWERED.block) + 200))
    _, lost, data = salvaged(tmp_path, good_but(2, wrong, pack=plain), ".warc")
    assert lost == [(len(plain(*GOOD[:2])), len(wrong.bytes()))]
    assert plain(*GOOD[3:]) in data


def test_what_is_only_badly_packed_is_mended(tmp_path: Path) -> None:
    for name, data in {
        "one": gz(plain(*GOOD)),
        "tail": raw_but(2, lambda one: one[:-4]),
        "zstd": in_frames(*GOOD),
    }.items():
        (tmp_path / name).mkdir()
        into, lost, _ = salvaged(tmp_path / name, data, ".warc.zst" if name == "zstd" else ".warc.gz")
        assert not lost
        whole = [zlib.decompress(member, 31) for member in members(into)]
        assert whole[1:-1] == [one.bytes() for one in GOOD]


def members(path: Path) -> list[bytes]:
    data = path.read_bytes()
    places = [(found.offset, found.length) for found in walk(path) if isinstance(found, RawRecord)]
    return [data[offset : offset + length] for offset, length in places]


def test_what_was_lost_is_said_in_the_file(tmp_path: Path) -> None:
    good = packed(*GOOD)
    into, [(offset, size)], _ = salvaged(tmp_path, good[:-40])
    last = [found for found in walk(into) if isinstance(found, RawRecord)][-1]
    assert last.get("Outlast-Salvaged") == "old.warc.gz"
    assert f"lost: {offset} {size} the file ends inside a gzip member\r\n".encode() in last.block.open().read()


def test_what_a_lost_request_leaves_behind_still_verifies(tmp_path: Path) -> None:
    data = packed(INFO, asked(3), IN_CHUNKS, TOLD.of(WARC_Concurrent_To=IN_CHUNKS.headers["WARC-Concurrent-To"]))
    start = len(packed(INFO))
    into, lost, _ = salvaged(tmp_path, data[: start + 50] + bytes(5) + data[start + 55 :])
    assert [offset for offset, _ in lost] == [start]
    assert {found.rule for found in verify_file(into)} >= {"W019-concurrent"}
    with pytest.raises(FileExistsError):
        salvage(tmp_path / "old.warc.gz", into, name="x.warc.gz")
