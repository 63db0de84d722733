"""Proofs of one record: a file that shows, with nothing but a public key, that the record is part of what was signed.

    PROOF.zip   proof.json       the paths through both trees, the segment's line of the manifest, the statement
                record.warc.gz   the record as it stands in its segment

From the record's bytes the first path leads to the segment's ``records_root``, which is in its line of the manifest;
from the line the second leads to the root that is signed. Nothing in it is compressed, so that it is as big as it says.
"""

from __future__ import annotations

import os
import struct
import zipfile
from dataclasses import asdict, dataclass
from typing import IO, TYPE_CHECKING, Annotated, Literal

import msgspec

from crawler import merkle
from crawler.collection import sync_directory
from crawler.errors import Damaged, UsageError
from crawler.evidence import check
from crawler.evidence.canonical import canonical
from crawler.evidence.statement import Count, Statement, opened, paths, tree
from crawler.warc import manifest
from crawler.warc.reader import Records, Torn, read_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from cryptography.x509 import Certificate

    from crawler.collection import Collection
    from crawler.warc.reader import RawRecord
    from crawler.warc.verify import Finding

_JSON, _RECORD = "proof.json", "record.warc.gz"
#: Bytes of proof.json, at most: a statement names as many indexes as there are segments.
_MOST = 1 << 28
_PIECE = 1 << 20
_LOCAL_HEADER = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A way through a tree: the leaf's number, how many there are, and the nodes beside it, the nearest first (hex)."""

    index: Count
    size: Annotated[int, msgspec.Meta(ge=1)]
    nodes: list[Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]]

    def leads_to(self, leaf: bytes) -> str:
        """Return the root (hex) that it leads to from a leaf; empty where it leads nowhere."""
        root = merkle.climb(leaf, self.index, self.size, [bytes.fromhex(node) for node in self.nodes])
        return root.hex() if root else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """The content of ``proof.json``."""

    type: Literal["outlast-proof/1"] = "outlast-proof/1"
    #: The line of the manifest.
    line: str
    record: Way
    segment: Way
    statement: Statement

    @property
    def data(self) -> bytes:
        """The file's bytes."""
        return canonical({**asdict(self), "statement": msgspec.json.decode(self.statement.data)})


def prove(collection: Collection, segment: str, offset: int, output: Path) -> Proof:
    """Write the proof of the record at an offset of a segment; return it.

    Raises UsageError where nothing signed covers it, there is no such record, or ``output`` exists already.
    """
    if output.exists():
        raise UsageError(f"{output} exists already.")
    lines, entries = manifest.lines(collection.manifest), manifest.read(collection.manifest)
    number = next((n for n, entry in enumerate(entries) if entry.segment == segment), None)
    if number is None or not (collection.warcs / segment).is_file():
        raise UsageError(f"There is no segment {segment} here; archive pull --segment fetches one.")
    statement = _statement(collection, number)
    index, length, leaves = _leaves(collection.warcs / segment, offset)
    if merkle.root(leaves).hex() != entries[number].records_root:
        raise Damaged(f"{segment} is not what the manifest entered; archive verify tells more.")
    signed = tree(lines[: statement.statement.manifest.segments])
    proof = Proof(
        line=lines[number].decode(),
        record=Way(index=index, size=len(leaves), nodes=[node.hex() for node in merkle.path(leaves, index)]),
        segment=Way(index=number, size=len(signed), nodes=[node.hex() for node in merkle.path(signed, number)]),
        statement=statement,
    )
    _write(output, proof, collection.warcs / segment, offset, length)
    return proof


def is_proof(path: Path) -> bool:
    """Say whether a file looks like a proof."""
    if not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as bundle:
            return _JSON in bundle.namelist()
    except (zipfile.BadZipFile, OSError, ValueError):
        return False


def findings(path: Path, keys: Sequence[bytes], roots: Sequence[Certificate]) -> Iterator[Finding]:
    """Yield what is wrong with a proof, and what it shows. Without ``keys`` any may have signed."""
    try:
        proof, leaf, record = _read(path)
        entry = manifest.parsed(proof.line.encode())
        statement = opened(proof.statement.data)
    except (Damaged, Torn) as e:
        yield check.finding("P001-proof", path.name, str(e))
        return
    # A way alone leads to the same root in trees of several sizes.
    if (proof.record.leads_to(leaf), proof.record.size) != (entry.records_root or None, entry.records):
        yield check.finding("P002-record", path.name)
    told = statement.statement.manifest
    if (proof.segment.leads_to(merkle.leaf([proof.line.encode()])), proof.segment.size) != (told.root, told.segments):
        yield check.finding("P003-segment", path.name)
    yield from check.signer(statement, path.name, keys)
    yield from check.stamped(statement, path.name, roots)
    remark = f"{record.type} of {record.get('WARC-Target-URI')!a} of {record.get('WARC-Date')!a}, {record.id!a}"
    yield check.finding("P004-shown", path.name, f"{remark}, record {proof.record.index + 1} of {entry.segment!a}")


def _statement(collection: Collection, number: int) -> Statement:
    """Return the oldest time-stamped statement, else the oldest, over a line of the manifest, by whom signed last."""
    all_of_them = [opened(path.read_bytes()) for path in paths(collection)]
    over = [one for one in all_of_them if one.statement.manifest.segments > number and one.key == all_of_them[-1].key]
    if not over:
        raise UsageError("It is not in what was signed; archive sign signs it.")
    return next((one for one in over if one.timestamp), over[0])


def _leaves(path: Path, offset: int) -> tuple[int, int, list[bytes]]:
    """Return the number and length of the record at an offset, and the leaves of all."""
    leaves, found = merkle.Leaves(), (-1, 0)
    records = Records(path, seen=leaves.feed)
    for number, record in enumerate(records):
        leaves.cut(records.end)
        if record.offset == offset:
            found = number, record.length
    if found[0] < 0:
        raise UsageError(f"{path.name} has no record at {offset}.")
    return *found, leaves.hashes


def _write(output: Path, proof: Proof, segment: Path, offset: int, length: int) -> None:
    part = output.with_name(output.name + ".part")
    try:
        with part.open("wb") as out:
            with zipfile.ZipFile(out, "w") as bundle, segment.open("rb") as source:
                # Without a date: of one record there is one proof.
                bundle.writestr(zipfile.ZipInfo(_JSON), proof.data)
                source.seek(offset)
                with bundle.open(_RECORD, "w", force_zip64=True) as target:
                    for piece in _pieces(source, length):
                        target.write(piece)
            out.flush()
            os.fsync(out.fileno())
        part.rename(output)
    except OSError as e:
        raise UsageError(f"{output} cannot be written: {e.strerror}.") from e
    sync_directory(output.absolute().parent)


def _read(path: Path) -> tuple[Proof, bytes, RawRecord]:
    """Return the proof, the leaf that its record is, and the record. Raises Damaged, or Torn."""
    try:
        with zipfile.ZipFile(path) as bundle, path.open("rb") as raw:
            told, record = bundle.getinfo(_JSON), bundle.getinfo(_RECORD)
            if told.compress_type or record.compress_type or told.file_size > _MOST:
                raise Damaged("something in it is compressed, or too long")
            data = bundle.read(told)
            proof = msgspec.json.decode(data, type=Proof)
            with bundle.open(record) as stream:
                leaf = merkle.leaf(_pieces(stream, record.file_size))
            raw.seek(record.header_offset)
            # The lengths of the name and of the extra field end the local header (APPNOTE.TXT 4.3.7).
            lengths = struct.unpack("<26xHH", raw.read(_LOCAL_HEADER))
        found = read_at(path, record.header_offset + _LOCAL_HEADER + sum(lengths))
    except (zipfile.BadZipFile, KeyError, OSError, ValueError, RecursionError, EOFError, struct.error) as e:
        raise Damaged(f"{e}") from e
    if found.length != record.file_size or proof.data != data:
        raise Damaged("it holds something else than one record and its proof")
    return proof, leaf, found


def _pieces(source: IO[bytes], length: int) -> Iterator[bytes]:
    while length and (piece := source.read(min(_PIECE, length))):
        length -= len(piece)
        yield piece
