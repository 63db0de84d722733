"""Salvage: the whole records of a damaged file go to a new one, byte for byte; the damaged one is never touched.

The new file begins with a warcinfo that says ``Outlast-Salvaged: NAME``, so that ``archive verify`` knows why what some
records refer to is not there, and ends with a metadata record that names every stretch that was lost.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from isal import isal_zlib

from crawler.collection import sync_directory
from crawler.warc.damage import Gap, walk
from crawler.warc.reader import DistantBlock
from crawler.warc.records import packed, salvaged, spelled
from crawler.warc.verify.records import RecordChecks
from crawler.warc.verify.references import References
from crawler.warc.verify.rules import DAMAGE

if TYPE_CHECKING:
    from pathlib import Path

    from crawler.warc.reader import RawRecord

_READ = 1 << 20
#: Faults of a member that leave the record in it whole: it is written anew, alone and with its line ends.
_MENDED = frozenset({"tail", "member"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A stretch of the damaged file that no record could be had of."""

    offset: int
    bytes: int
    why: str


@dataclass(slots=True)
class Salvaged:
    """What came of it."""

    records: int = 0
    bytes: int = 0
    losses: list[Loss] = field(default_factory=list)


def salvage(path: Path, into: Path, *, name: str) -> Salvaged:
    """Write the whole records of a file to a new one that will be called ``name``; durable when this returns.

    Raises FileExistsError where there is such a file, OSError where the disk refuses.
    """
    made = Salvaged()
    checks = RecordChecks(path.name, path.name, References())
    packs = not name.endswith(".warc")
    spell = packed if packs else spelled
    with path.open("rb") as source, into.open("xb") as out:
        out.write(spell(salvaged("warcinfo", name, path.name, ())))
        for found in walk(path, watch=checks.watch):
            if isinstance(found, Gap):
                made.losses.append(Loss(offset=found.offset, bytes=found.end - found.offset, why=found.why))
                continue
            faults = [one for one in checks.check(found) if one.rule in DAMAGE and one.rule != "W003-tail"]
            if faults:
                made.losses.append(Loss(offset=found.offset, bytes=found.length, why=faults[0].message))
                continue
            copy_record(path, source, found, out, packs=packs)
            made.records += 1
        lost = tuple(f"{loss.offset} {loss.bytes} {loss.why}" for loss in made.losses)
        out.write(spell(salvaged("metadata", name, path.name, lost)))
        out.flush()
        os.fsync(out.fileno())
        made.bytes = out.tell()
    sync_directory(into.parent)
    return made


def copy_record(
    path: Path, source: IO[bytes], record: RawRecord, out: IO[bytes], *, packs: bool = True, anew: bool = False
) -> None:  # fmt: skip
    """Write a record of the file at ``path``, open as ``source``, as a member of its own: as it stands where it is one.

    ``packs``: members are gzip, else plain. ``anew``: it is not packed so yet.
    """
    if anew or record.faults.keys() & _MENDED or record.inner or record.is_zstd:
        _write_anew(path, record, out, packs=packs)
        return
    source.seek(record.offset)
    left = record.length
    while left and (piece := source.read(min(_READ, left))):
        out.write(piece)
        left -= len(piece)


def _write_anew(path: Path, record: RawRecord, out: IO[bytes], *, packs: bool) -> None:
    """Write a record's own bytes as a member of its own, whatever it shared one with."""
    whole = DistantBlock(
        path=path, offset=record.offset, skip=record.inner, size=record.head + record.block.size,
        dictionary=record.dictionary,
    )  # fmt: skip
    member = isal_zlib.compressobj(2, isal_zlib.DEFLATED, 31) if packs else None
    with whole.open() as stream:
        while piece := stream.read(_READ):
            out.write(member.compress(piece) if member else piece)
    out.write(member.compress(b"\r\n\r\n") + member.flush() if member else b"\r\n\r\n")
