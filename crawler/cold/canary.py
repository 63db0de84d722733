"""Probe before trust: a few small objects show what a destination really does with what it is told.

A 200 proves nothing: servers are known that store other bytes than they were sent, that take wrong checksums, that
overwrite in spite of ``If-None-Match``. What is not shown here is not trusted, and costs a read-back instead.
"""

from __future__ import annotations

import hashlib
import io
import os
import uuid
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from crawler.cold.s3 import Absent, Exists, Refused, Slice, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from crawler.cold.s3 import Store

#: S3's least size of a part that is not the last.
_PART = 5 << 20
#: What is asked of a server that is not known yet may go wrong in any of these ways.
_NO = (Refused, Unavailable)


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

    @classmethod
    def of(cls, facts: dict[str, Any]) -> Profile:
        """Return the profile that was kept as JSON; what it does not know is False."""
        return cls(**{name: bool(facts.get(name)) for name in cls.__dataclass_fields__})

    def facts(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return asdict(self)


def probe(store: Store, prefix: str) -> Profile:
    """Try a destination with objects below ``prefix/.outlast-canary-…``, which go again.

    Raises Denied where it refuses us, Unavailable where it cannot be reached.
    """
    place = f"{prefix}/.outlast-canary-{uuid.uuid4().hex[:12]}"
    keys: list[str] = []

    def key(name: str) -> str:
        keys.append(f"{place}/{name}")
        return keys[-1]

    try:
        whole = _whole(store, key)
        return Profile(**whole, **_in_parts(store, key)) if whole["is_intact"] else Profile(**whole)
    finally:
        for one in keys:
            try:
                store.delete(one)
            except _NO:
                continue


def _whole(store: Store, key: Callable[[str], str]) -> dict[str, bool]:
    data = os.urandom(100_045)
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    name = key("whole")
    # Without a sum of ours: an ETag that fits is then its own.
    told = store.put(name, io.BytesIO(data), length=len(data), md5="")
    is_intact = store.get(name) == data
    head = store.head(name) or {}
    other, wrong = os.urandom(64), "0" * 32
    return {
        "is_intact": is_intact,
        "etag_is_md5": is_intact and _etag(told) == _etag(head) == md5,
        "checks_md5": _is_refused(lambda: store.put(key("wrong"), io.BytesIO(other), length=64, md5=wrong)),
        "is_conditional": _is_refused(
            lambda: store.put(name, io.BytesIO(other), length=64, md5=_md5(other), conditional=True), Exists
        )
        and store.get(name) == data,
        "reads_ranges": _is_right(lambda: store.get(name, first=1000, last=1999) == data[1000:2000]),
    }


def _in_parts(store: Store, key: Callable[[str], str]) -> dict[str, bool]:
    name, data = key("parts"), os.urandom(_PART + 1000)
    sums = [_md5(data[:_PART]), _md5(data[_PART:])]
    try:
        upload = store.begin(name)
        with _file(data) as file:
            etags = {
                1: store.part(name, upload, 1, Slice(file, 0, _PART), md5=sums[0]),
                2: store.part(name, upload, 2, Slice(file, _PART, 1000), md5=sums[1]),
            }
        listed = _listed(store, name, upload)
        told = store.complete(name, upload, etags)
        digest, _ = store.sha256(name)
    except _NO:
        return {}
    is_intact = digest == hashlib.sha256(data).hexdigest()
    whole = etag_of_parts(sums)
    return {
        "takes_parts": is_intact,
        "lists_parts": listed == {1: _PART, 2: 1000},
        "etag_of_parts": is_intact
        and [_bare(etags[1]), _bare(etags[2])] == sums
        and _etag(told) == _etag(store.head(name) or {}) == whole,
    }


def etag_of_parts(md5s: list[str] | tuple[str, ...]) -> str:
    """Return the ETag of an object put together from parts with these MD5s (hex), where it is made as S3's are."""
    joined = b"".join(bytes.fromhex(md5) for md5 in md5s)
    return f"{hashlib.md5(joined, usedforsecurity=False).hexdigest()}-{len(md5s)}"


def _listed(store: Store, name: str, upload: str) -> dict[int, int]:
    try:
        return {number: size for number, (_, size) in (store.parts(name, upload) or {}).items()}
    except (Absent, *_NO):
        return {}


def _is_refused(attempt: Callable[[], object], how: type[Exception] = Refused) -> bool:
    try:
        attempt()
    except how:
        return True
    except _NO:
        return False
    return False


def _is_right(question: Callable[[], bool]) -> bool:
    try:
        return question()
    except _NO:
        return False


def _file(data: bytes) -> Any:
    import tempfile  # noqa: PLC0415 - rarely needed

    file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller's with closes it
    file.write(data)
    file.flush()
    return file


def _etag(told: dict[str, Any]) -> str:
    return _bare(str(told.get("ETag", "")))


def _bare(etag: str) -> str:
    return etag.removeprefix("W/").strip('"')


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
