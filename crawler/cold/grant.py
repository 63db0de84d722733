"""Grants: links with which a machine without credentials adds a collection below a place of its own, and does no more.

An upload in parts is begun for every file that may come, under a key that nobody else has, and each part gets a signed
link, and so does the end of the upload. Such links read nothing and list nothing; when an upload has ended, its links
are good for nothing, so that nothing is ever overwritten. Whoever has the file of a grant may use it: it is a secret.
"""

from __future__ import annotations

import json
import os
import re
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, cast

from crawler.cold.store import Refused
from crawler.errors import OutlastError, UsageError
from crawler.warc.seal import PART_BYTES

if TYPE_CHECKING:
    from pathlib import Path

    from crawler.cold.canary import Profile
    from crawler.cold.s3 import S3Store
    from crawler.cold.store import Store

FORMAT = 1
#: SigV4 lets no link live longer.
LONGEST = 7 * 86400
#: Places for what is sent with each push: manifest, marker, evidence; and for the list of what came.
_FILES, _INVENTORIES = 24, 8
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")

Kind = Literal["segment", "file", "inventory"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One file that may come: a link for each part, and one to end with."""

    kind: Kind
    key: str
    upload: str
    parts: tuple[str, ...]
    end: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a volunteer gets. ``name`` is the volunteer's, and unlike any other grant's."""

    name: str
    destination: str
    #: ISO 8601, UTC.
    expires: str
    #: Whether an ETag there is what S3's is, so that what arrived can be compared.
    etag_of_parts: bool
    slots: tuple[Slot, ...]

    @property
    def is_over(self) -> bool:
        """Whether its links are good for nothing any more."""
        return datetime.now(UTC) >= datetime.fromisoformat(self.expires)


def issue(store: Store, profile: Profile, volunteer: str, *, segments: int, segment_bytes: int, seconds: int) -> Grant:
    """Begin the uploads and sign the links. Raises UsageError, or Refused where the destination checks no links."""
    if not _NAME.fullmatch(volunteer):
        raise UsageError(f"{volunteer!r} is no name for a volunteer: letters, digits, - and _.")
    if not 0 < seconds <= LONGEST:
        raise UsageError("A link lives for 7 days at most.")
    if not profile.signs_links:
        raise Refused(f"{store.destination.name} does not check signed links; a grant there would be worth nothing.")
    name = f"{volunteer}-{uuid.uuid4().hex[:12]}"
    place = store.destination.key("volunteers", name)
    long = -(-segment_bytes // PART_BYTES)
    wanted: list[tuple[Kind, int]] = [("segment", long)] * segments
    wanted += [("file", 1)] * (segments + _FILES)
    wanted += [("inventory", 1)] * _INVENTORIES
    slots: list[Slot] = []
    try:
        for number, (kind, parts) in enumerate(wanted):
            slots.append(_slot(cast("S3Store", store), kind, f"{place}/{kind}-{number:05d}", parts, seconds))
    except OutlastError:
        _abort(store, slots)
        raise
    expires = datetime.now(UTC) + timedelta(seconds=seconds)
    return Grant(
        name=name, destination=store.destination.name, expires=expires.isoformat(timespec="seconds"),
        etag_of_parts=profile.etag_of_parts, slots=tuple(slots),
    )  # fmt: skip


def _slot(store: S3Store, kind: Kind, key: str, parts: int, seconds: int) -> Slot:
    upload = store.begin(key, hot=kind != "segment")

    def link(operation: str, **more: Any) -> str:
        return store.link(operation, seconds=seconds, Key=key, UploadId=upload, **more)

    return Slot(
        kind=kind, key=key, upload=upload, end=link("complete_multipart_upload"),
        parts=tuple(link("upload_part", PartNumber=number) for number in range(1, parts + 1)),
    )  # fmt: skip


def revoke(store: Store, grant: Grant) -> int:
    """End all uploads that are still open, so that no link of it is good any more; return how many files came."""
    _abort(store, grant.slots)
    return sum(store.head(one.key) is not None for one in grant.slots)


def _abort(store: Store, slots: list[Slot] | tuple[Slot, ...]) -> None:
    for one in slots:
        with suppress(Refused):
            store.abort(one.key, one.upload)


def write(grant: Grant, path: Path) -> None:
    """Write a grant to a file that only its owner may read. Raises UsageError where there is one, or none can be."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            json.dump({"format": FORMAT, **asdict(grant)}, out, indent=1)
    except OSError as e:
        raise UsageError(f"{path} cannot be written: {e.strerror}.") from e


def read(path: Path) -> Grant:
    """Read a grant. Raises UsageError where the file is none, or a newer one."""
    try:
        facts: dict[str, Any] = json.loads(path.read_text("utf-8"))
        if facts.pop("format") > FORMAT:
            raise UsageError(f"{path} is of a newer Outlast; update this one.")
        slots = tuple(Slot(**{**one, "parts": tuple(one["parts"])}) for one in facts.pop("slots"))
        grant = Grant(**facts, slots=slots)
        datetime.fromisoformat(grant.expires)
    except OSError as e:
        raise UsageError(f"{path}: {e.strerror}.") from e
    except (ValueError, TypeError, KeyError, AttributeError) as e:
        raise UsageError(f"{path} is no grant.") from e
    return grant
