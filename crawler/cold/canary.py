"""Probe before trust: a few small objects show what a destination really does with what it is told.

A 200 proves nothing: servers are known that store other bytes than they were sent, that take wrong checksums, that
overwrite in spite of ``If-None-Match``. What is not shown here is not trusted, and costs a read-back instead.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import uuid
import zlib
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from crawler.cold.store import Absent, Denied, Exists, Refused, Slice, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from crawler.cold.store import Store

#: S3's least size of a part that is not the last.
_PART = 5 << 20
#: What is asked of a server that is not known yet may go wrong in any of these ways.
NO = (Refused, Unavailable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a destination was seen to do. What was not seen is False."""

    #: What was put came back, byte for byte.
    is_intact: bool = False
    #: A body that does not fit its Content-MD5 is refused.
    checks_md5: bool = False
    #: The ETag of an object is the MD5 of what is stored, though nobody told it.
    etag_is_md5: bool = False
    #: ``If-None-Match: *`` keeps what is there.
    is_conditional: bool = False
    #: Uploads in parts work, and come back byte for byte.
    takes_parts: bool = False
    #: The ETag of a part is its MD5, and that of the whole the MD5 of those.
    etag_of_parts: bool = False
    #: It says which parts of an upload it has.
    lists_parts: bool = False
    #: A range of an object can be read.
    reads_ranges: bool = False
    #: Sums of whole objects that it computes itself: a wrong one is refused, the right one is told later.
    checksums: tuple[str, ...] = ()
    #: The same for the CRC32 of an object that came in parts.
    whole_crc32: bool = False
    #: What boto3 sends by itself (over https a checksum as a trailer) comes back as it was.
    takes_trailers: bool = False
    #: A storage class is kept, and told both of one object and in lists.
    keeps_class: bool = False
    #: What is locked cannot be deleted; only asked of a destination that locks.
    locks: bool = False
    #: Links that are signed let others do one thing, and those with a wrong signature nothing.
    signs_links: bool = False
    #: When this was seen, UTC.
    probed: str = ""

    @classmethod
    def of(cls, facts: dict[str, Any]) -> Profile:
        """Return the profile that was kept as JSON; what it does not know was not seen."""
        known = {one.name: facts[one.name] for one in fields(cls) if one.name in facts}
        return cls(**{**known, "checksums": tuple(known.get("checksums", ()))})

    def facts(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return {**asdict(self), "checksums": list(self.checksums)}


def probe(store: Store, prefix: str) -> Profile:
    """Try a destination with objects below ``prefix/.outlast-canary-…``, which go again.

    Raises Denied where it refuses us, Unavailable where it cannot be reached.
    """
    canary = Canary(store, f"{prefix}/.outlast-canary-{uuid.uuid4().hex[:12]}".lstrip("/"))
    try:
        found: dict[str, Any] = _whole(store, canary.key)
        if found["is_intact"]:
            found |= _in_parts(store, canary.key)
            if not store.destination.path:
                from crawler.cold.canary_s3 import features  # noqa: PLC0415 - a directory has none of them

                found |= features(store, canary)
        return Profile(**found, probed=datetime.now(UTC).isoformat(timespec="seconds"))
    finally:
        canary.clear()


class Canary:
    """The objects of a probe."""

    def __init__(self, store: Store, place: str) -> None:
        self._store = store
        self._place = place
        self._keys: list[str] = []

    def key(self, name: str) -> str:
        """Return a key for an object that goes again at the end."""
        self._keys.append(f"{self._place}/{name}")
        return self._keys[-1]

    def clear(self) -> None:
        """Delete what there is of them."""
        for key in self._keys:
            try:
                self._store.delete(key)
            except (*NO, Denied):
                continue


def _whole(store: Store, key: Callable[[str], str]) -> dict[str, Any]:
    data = os.urandom(100_045)
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    name = key("whole")
    # Without a sum of ours: an ETag that fits is then its own.
    told = store.put(name, io.BytesIO(data), length=len(data), md5="")
    is_intact = store.get(name) == data
    head = store.head(name) or {}
    # Before what some servers overwrite in spite of a condition.
    reads_ranges = is_right(lambda: store.get(name, first=1000, last=1999) == data[1000:2000])
    other, wrong = os.urandom(64), "0" * 32
    return {
        "is_intact": is_intact,
        "reads_ranges": reads_ranges,
        "etag_is_md5": is_intact and _etag(told) == _etag(head) == md5,
        "checks_md5": is_refused_by(lambda: store.put(key("wrong"), io.BytesIO(other), length=64, md5=wrong)),
        "is_conditional": is_refused_by(
            lambda: store.put(name, io.BytesIO(other), length=64, md5=md5_of(other), conditional=True), Exists
        )
        and store.get(name) == data,
    }


def _in_parts(store: Store, key: Callable[[str], str]) -> dict[str, Any]:
    """Try uploads in parts, with a sum of the whole, or else without."""
    data = os.urandom(_PART + 1000)
    found = _assembled(store, key("parts-crc32"), data, crc32=f"{zlib.crc32(data):08x}")
    if not found:
        return _assembled(store, key("parts"), data)
    return {**found, "whole_crc32": found["whole_crc32"] and _refuses_wrong_crc32(store, key("parts-wrong"))}


def _assembled(store: Store, name: str, data: bytes, crc32: str = "") -> dict[str, Any]:
    sums = [md5_of(data[:_PART]), md5_of(data[_PART:])]
    upload = ""
    try:
        upload = store.begin(name, with_crc32=bool(crc32))
        with _file(data) as file:
            etags = {
                1: store.part(name, upload, 1, Slice(file, 0, _PART), md5=sums[0]),
                2: store.part(name, upload, 2, Slice(file, _PART, 1000), md5=sums[1]),
            }
        listed = _listed(store, name, upload)
        told = store.complete(name, upload, etags, crc32=crc32)
        digest, _ = store.sha256(name)
    except NO:
        if upload:
            store.abort(name, upload)
        return {}
    is_intact = digest == hashlib.sha256(data).hexdigest()
    head = store.head(name) or {}
    return {
        "takes_parts": is_intact,
        "lists_parts": listed == {1: _PART, 2: 1000},
        "etag_of_parts": is_intact
        and [bare(etags[1]), bare(etags[2])] == sums
        and _etag(told) == _etag(head) == etag_of_parts(sums),
        "whole_crc32": bool(crc32) and whole_sum(head, "CRC32") == crc32,
    }


def _refuses_wrong_crc32(store: Store, name: str) -> bool:
    data, upload = os.urandom(1000), ""
    try:
        upload = store.begin(name, with_crc32=True)
        with _file(data) as file:
            etags = {1: store.part(name, upload, 1, Slice(file, 0, 1000), md5=md5_of(data))}
        is_refused = is_refused_by(lambda: store.complete(name, upload, etags, crc32="00000000"))
        if is_refused:
            store.abort(name, upload)
    except NO:
        return False
    return is_refused


def whole_sum(head: dict[str, Any], algorithm: str) -> str:
    """Return the sum (hex) that a server tells of a whole object; empty where it tells none, or one of its parts."""
    value = str(head.get(f"Checksum{algorithm}", ""))
    if not value or "-" in value or head.get("ChecksumType", "FULL_OBJECT") != "FULL_OBJECT":
        return ""
    try:
        return base64.b64decode(value, validate=True).hex()
    except ValueError:
        return ""


def etag_of_parts(md5s: list[str] | tuple[str, ...]) -> str:
    """Return the ETag of an object put together from parts with these MD5s (hex), where it is made as S3's are."""
    joined = b"".join(bytes.fromhex(md5) for md5 in md5s)
    return f"{hashlib.md5(joined, usedforsecurity=False).hexdigest()}-{len(md5s)}"


def _listed(store: Store, name: str, upload: str) -> dict[int, int]:
    try:
        return {number: size for number, (_, size) in (store.parts(name, upload) or {}).items()}
    except (Absent, *NO):
        return {}


def is_refused_by(attempt: Callable[[], object], how: type[Exception] = Refused) -> bool:
    """Say whether something was refused, and in this way."""
    try:
        attempt()
    except how:
        return True
    except NO:
        return False
    return False


def is_right(question: Callable[[], bool]) -> bool:
    """Return the answer; no where there is none."""
    try:
        return question()
    except NO:
        return False


def _file(data: bytes) -> Any:
    import tempfile  # noqa: PLC0415 - rarely needed

    file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller's with closes it
    file.write(data)
    file.flush()
    return file


def _etag(told: dict[str, Any]) -> str:
    return bare(str(told.get("ETag", "")))


def bare(etag: str) -> str:
    """Return an ETag without quotes."""
    return etag.removeprefix("W/").strip('"')


def md5_of(data: bytes) -> str:
    """Return the MD5 (hex)."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
