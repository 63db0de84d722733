"""What a disk may hold after a power cut at some moment of a log (see writelog.py), drawn at random.

A file holds all that was written to it before its last fsync that had returned. Of what came later each sector of 512
bytes holds what it held after some of the writes to it; mostly the eight sectors of a page agree, sometimes they are
torn apart. The file's size is any that it had since, or one between. What was written through a mapping is garbage.

A directory knows the names that it knew at its last fsync. Of the changes since, the first few survive, as where a
journal keeps them in order; with ``strict`` any of them do. With ``own_names`` an fsync of a new file also makes its
name durable, as on ext4, xfs and btrfs; POSIX promises no such thing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.writelog import Change, File, Folder

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from benchmarks.writelog import Log, Naming, Span

SECTOR = 512
PAGE = 4096


@dataclass(slots=True)
class _Image:
    """A file's durable content, moved on from cut to cut."""

    file: File
    durable: bytearray = field(default_factory=bytearray)
    #: Begun and not durable, in order.
    pending: list[Change] = field(default_factory=list)
    _taken: int = 0

    def advance(self, moment: int) -> None:
        """Go on to a later moment."""
        changes = self.file.changes
        while self._taken < len(changes) and changes[self._taken].span.begun < moment:
            self.pending.append(changes[self._taken])
            self._taken += 1
        solid = _solid(self.file.syncs, moment)
        left = []
        for change in self.pending:
            if change.span.ended < solid:
                change.apply(self.durable)
            else:
                left.append(change)
        self.pending = left


class Disk:
    """The disk under a log. Cuts must come in the order of time."""

    def __init__(self, log: Log, *, strict: bool = False, own_names: bool = True) -> None:
        self._log = log
        self._strict = strict
        self._own_names = own_names
        self._images: dict[File, _Image] = {}

    def cut(self, moment: int, rng: random.Random, into: Path) -> None:
        """Make ``into``, with what may be on the disk after a power cut at this moment."""
        self._lay(self._log.root, moment, rng, into)

    def _lay(self, folder: Folder, moment: int, rng: random.Random, into: Path) -> None:
        into.mkdir()
        for name, node in self._names(folder, moment, rng).items():
            if isinstance(node, Folder):
                self._lay(node, moment, rng, into / name)
            else:
                (into / name).write_bytes(self._content(node, moment, rng))

    def _names(self, folder: Folder, moment: int, rng: random.Random) -> dict[str, File | Folder]:
        begun = [naming for naming in folder.namings if naming.span.begun < moment]
        solid = _solid(folder.syncs, moment)
        sure = [naming.span.ended < solid or self._is_own(naming, moment) for naming in begun]
        if self._strict:
            chance = rng.choice((0.0, 0.5, 1.0))
            kept = [is_sure or rng.random() < chance for is_sure in sure]
        else:
            least = max((number for number, is_sure in enumerate(sure, 1) if is_sure), default=0)
            length = rng.choice((least, len(begun), rng.randint(least, len(begun))))
            kept = [number < length for number in range(len(begun))]
        names: dict[str, File | Folder] = {}
        for naming, is_kept in zip(begun, kept, strict=True):
            if is_kept:
                naming.apply(names)
        return names

    def _is_own(self, naming: Naming, moment: int) -> bool:
        """Say whether a name is durable because what it names was fsynced since."""
        return self._own_names and naming.node is not None and naming.span.ended < _solid(naming.node.syncs, moment)

    def _content(self, file: File, moment: int, rng: random.Random) -> bytes:
        image = self._images.setdefault(file, _Image(file))
        image.advance(moment)
        if file.is_mapped:
            return rng.randbytes(len(file.as_of(moment)))
        return _drawn(image, rng) if image.pending else bytes(image.durable)


def _solid(syncs: list[Span], moment: int) -> int:
    """Return the moment before which all is durable: when the last fsync began that has returned."""
    return max((sync.begun for sync in syncs if sync.ended < moment), default=-1)


def _drawn(image: _Image, rng: random.Random) -> bytes:
    sizes = _sizes(image)
    mood = rng.random()
    if mood < 0.2:
        return bytes(image.durable)
    reach = _Reach(len(image.pending), 1.0 if mood > 0.8 else rng.choice((0.0, 0.1, 0.5, 0.9)), rng)
    content = bytearray(image.durable)
    content.extend(bytes(max(sizes) - len(content)))
    for number, change in enumerate(image.pending, 1):
        _write_back(content, change, number, reach)
    size = sizes[-1] if mood > 0.8 else rng.choice((sizes[0], sizes[-1], rng.choice(sizes), _between(sizes, rng)))
    return bytes(content[:size])


def _sizes(image: _Image) -> list[int]:
    """Return the sizes of a file since its last fsync."""
    sizes = [len(image.durable)]
    for change in image.pending:
        sizes.append(
            change.offset if change.data is None else max(sizes[-1], change.offset + len(change.data))
        )  # fmt: skip
    return sizes


def _between(sizes: list[int], rng: random.Random) -> int:
    return rng.randint(min(sizes), max(sizes))


class _Reach:
    """How many of the pending changes each sector of a file has seen."""

    def __init__(self, changes: int, chance: float, rng: random.Random) -> None:
        self._changes = changes
        self._chance = chance
        self._rng = rng
        self._tears = rng.random() < 0.5
        self._pages: dict[int, int] = {}
        self._sectors: dict[int, int] = {}

    def __call__(self, sector: int) -> int:
        if sector not in self._sectors:
            page = sector * SECTOR // PAGE
            if page not in self._pages:
                self._pages[page] = self._draw()
            torn = self._tears and self._rng.random() < 0.5
            self._sectors[sector] = self._draw() if torn else self._pages[page]
        return self._sectors[sector]

    def _draw(self) -> int:
        if self._rng.random() < self._chance:
            return self._changes
        return self._rng.choice((0, self._rng.randint(0, self._changes)))


def _write_back(content: bytearray, change: Change, number: int, reach: _Reach) -> None:
    """Do to ``content`` what a change did to those sectors that have seen it."""
    end = len(content) if change.data is None else change.offset + len(change.data)
    at = change.offset
    while at < end:
        sector = at // SECTOR
        stop = min(end, (sector + 1) * SECTOR)
        if number <= reach(sector):
            part = bytes(stop - at) if change.data is None else change.data[at - change.offset : stop - change.offset]
            content[at:stop] = part
        at = stop
