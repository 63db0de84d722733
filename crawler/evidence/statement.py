"""Statements: what a collection consists of at one moment, signed, each naming the one before it.

    evidence/statement-00001.json   {statement, public_key, signature, timestamp: {token, signature}}
    evidence/coverage-00001.json    what was held then of what the platform has

The signature (Ed25519, hex) is over ``statement`` in its canonical spelling. The token (RFC 3161, base64) is over all
but itself, and is signed in its turn, so that no byte of the file can change. Segments are in it by the root of a
Merkle tree over the manifest's lines; everything else by its SHA-256.
"""

from __future__ import annotations

import base64
import hashlib
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from crawler import merkle
from crawler.errors import Damaged, OutlastError, UsageError
from crawler.evidence.canonical import canonical, write
from crawler.evidence.holdings import File, coverage, files, settle
from crawler.evidence.keys import holds, raw
from crawler.frontier.engines import at_hand
from crawler.provenance import outlast_version
from crawler.warc import manifest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from crawler.collection import Collection

#: What is signed of a token begins so, and no statement does.
_TOKEN = b"outlast-timestamp/1\n"
Count = Annotated[int, msgspec.Meta(ge=0)]
#: Hex has one spelling here, so that no byte of a file can change and say the same.
Signature = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{128}\Z")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Which collection a statement is about."""

    id: str
    created: str
    seeds: list[str]
    platform: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Segments:
    """The segments, by the manifest: how many lines it has, their bytes, the last one's SHA-256 and the tree's root."""

    segments: Annotated[int, msgspec.Meta(ge=1)]
    bytes: Count
    head: str
    root: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What is in the segments."""

    records: Count
    bytes: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is stated."""

    type: Literal["outlast-statement/1"] = "outlast-statement/1"
    number: Annotated[int, msgspec.Meta(ge=1)]
    #: SHA-256 (hex) of the file of the statement before; empty in the first.
    previous: str
    made: str
    software: str
    collection: Subject
    manifest: Segments
    held: Held
    files: list[File]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """A time-stamp: an authority's response in base64, and the signature over it."""

    token: str
    signature: Signature


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """The file: what is stated, and by whom."""

    statement: Facts
    public_key: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
    signature: Signature
    timestamp: Stamp | None = None

    @property
    def data(self) -> bytes:
        """The file's bytes."""
        return canonical({name: value for name, value in asdict(self).items() if value is not None})

    @property
    def stamped(self) -> bytes:
        """The bytes that the token is over."""
        return replace(self, timestamp=None).data

    @property
    def token(self) -> bytes:
        """An authority's response; empty where there is none."""
        return base64.b64decode(self.timestamp.token, validate=True) if self.timestamp else b""

    @property
    def key(self) -> bytes:
        """The 32 bytes of the public key."""
        return bytes.fromhex(self.public_key)


def opened(data: bytes) -> Statement:
    """Return the statement in a file. Raises Damaged where it is not as it was signed."""
    try:
        found = msgspec.json.decode(data, type=Statement)
        held = holds(found.key, bytes.fromhex(found.signature), canonical(asdict(found.statement)))
        if found.timestamp:
            held = held and holds(found.key, bytes.fromhex(found.timestamp.signature), _TOKEN + found.token)
    except (ValueError, RecursionError) as e:  # msgspec's and binascii's errors are such
        raise Damaged(f"it is no statement: {e}") from e
    if not held:
        raise Damaged("its signature does not hold")
    # Of base64's last character some bits say nothing.
    is_spelled = found.timestamp is None or base64.b64encode(found.token).decode() == found.timestamp.token
    if found.data != data or not is_spelled:
        raise Damaged("it is not spelled as it was signed")
    if any(PurePosixPath(one.path).is_absolute() or ".." in one.path.split("/") for one in found.statement.files):
        raise Damaged("it names files outside the collection")
    return found


def paths(collection: Collection) -> list[Path]:
    """Return the files of a collection's statements, the oldest first."""
    return sorted(collection.evidence.glob("statement-*.json"))


def sign(
    collection: Collection, key: Ed25519PrivateKey, *, stamp: Callable[[bytes], bytes] | None = None
) -> tuple[Path, Statement, bool]:
    """Sign what a collection is now; return the statement's file, the statement, and whether it is new.

    The caller holds the collection's lock. Nothing is signed twice: where the last statement says the same, by the same
    key, it stands. Raises UsageError where segments are open, Damaged where what is here contradicts the manifest.
    """
    _check_segments(collection)
    settle(collection)
    before = paths(collection)
    last = _last(before)
    facts = _facts(collection, last)
    if last and _says_the_same(last, facts, raw(key.public_key())) and (last.timestamp or not stamp):
        return before[-1], last, False
    about = collection.evidence / f"coverage-{facts.number:05d}.json"
    if (frontier := at_hand(collection)) is not None:
        with closing(frontier):
            write(about, canonical(coverage(frontier)))
        settle(collection)
        facts = replace(facts, files=files(collection))
    try:
        made = _signed(facts, key, stamp)
    except OutlastError:  # no authority, no statement: nothing is left that no statement names
        about.unlink(missing_ok=True)
        raise
    path = collection.evidence / f"statement-{facts.number:05d}.json"
    write(path, made.data)
    return path, made, True


def _last(before: list[Path]) -> Statement | None:
    try:
        return opened(before[-1].read_bytes()) if before else None
    except Damaged as e:
        raise Damaged(f"{before[-1]}: {e}; restore it from a copy, or move it away.") from e


def tree(lines: list[bytes]) -> list[bytes]:
    """Return the leaves of the tree over the lines of a manifest."""
    return [merkle.leaf([line]) for line in lines]


def _check_segments(collection: Collection) -> None:
    if left := collection.open_segments():
        raise UsageError(f"{len(left)} segments are still open; archive crawl or archive resume seals them.")
    entries = manifest.entered(collection)
    if not entries:
        raise UsageError("There is nothing to sign: no segment is sealed.")
    for entry in entries:
        path = collection.warcs / entry.segment
        if path.exists() and path.stat().st_size != entry.bytes:
            raise Damaged(f"{entry.segment} is not what the manifest says; archive verify tells more.")


def _facts(collection: Collection, last: Statement | None) -> Facts:
    lines, entries = manifest.lines(collection.manifest), manifest.read(collection.manifest)
    marker = collection.marker
    return Facts(
        number=last.statement.number + 1 if last else 1,
        previous=hashlib.sha256(last.data).hexdigest() if last else "",
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        software=f"Outlast/{outlast_version()}",
        collection=Subject(id=marker.id, created=marker.created, seeds=marker.seeds, platform=marker.platform),
        manifest=Segments(
            segments=len(lines),
            bytes=sum(len(line) + 1 for line in lines),
            head=hashlib.sha256(lines[-1]).hexdigest(),
            root=merkle.root(tree(lines)).hex(),
        ),
        held=Held(records=sum(one.records for one in entries), bytes=sum(one.bytes for one in entries)),
        files=files(collection),
    )


def _says_the_same(last: Statement, facts: Facts, key: bytes) -> bool:
    def lasting(told: Facts) -> list[Any]:
        own = ("evidence/statement-", "evidence/coverage-")
        return [told.manifest, *(one for one in told.files if not one.path.startswith(own))]

    return last.key == key and lasting(facts) == lasting(last.statement)


def _signed(facts: Facts, key: Ed25519PrivateKey, stamp: Callable[[bytes], bytes] | None) -> Statement:
    made = Statement(
        statement=facts, public_key=raw(key.public_key()).hex(), signature=key.sign(canonical(asdict(facts))).hex()
    )
    if stamp is None:
        return made
    token = stamp(made.data)
    signed = key.sign(_TOKEN + token).hex()
    return replace(made, timestamp=Stamp(token=base64.b64encode(token).decode(), signature=signed))
