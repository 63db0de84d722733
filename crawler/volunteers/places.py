"""Where volunteers' segments go: straight to a bucket over links that are signed for one part each, or through here.

A link is good for an hour, for one part of one upload, and where the destination checks it for nothing but the bytes
that were announced. The coordinator alone begins and ends uploads, under keys of its own choosing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Protocol, cast

from crawler.cold.canary import Profile, bare, probe
from crawler.cold.copies import Copies, Copy, CopyState
from crawler.cold.objects import Catalogue, place_of
from crawler.cold.s3 import base64_of
from crawler.cold.send import Sender
from crawler.cold.store import Absent, Refused, open_store
from crawler.cold.throttle import Throttle
from crawler.errors import Damaged
from crawler.volunteers.wire import length_of

if TYPE_CHECKING:
    from pathlib import Path

    from crawler.cold.destination import Destination
    from crawler.cold.s3 import S3Store
    from crawler.cold.store import Store
    from crawler.collection import Collection
    from crawler.frontier.postgres.desk import Brought

#: Seconds that a link is good.
LINK_SECONDS = 3600
_PIECE = 1 << 20


class Place(Protocol):
    """Where segments go. Calls come from several threads, one for a segment at a time."""

    def begin(self, one: Brought) -> str:
        """Prepare for a segment; return an id to go on with."""
        ...

    def ways(self, one: Brought) -> dict[int, str]:
        """Return where the parts go that are not there: number → URL, or a path of the coordinator's."""
        ...

    def finish(self, one: Brought) -> None:
        """All parts are said to be there. Raises Refused where they are not."""
        ...

    def fetch(self, one: Brought, path: Path) -> str:
        """Write what is there to a file; return its SHA-256."""
        ...

    def settle(self, one: Brought, path: Path) -> None:
        """Prove the copy of a segment that was sealed here. Raises Unavailable where that must wait."""

    def discard(self, one: Brought) -> None:
        """A segment is refused: nothing of it stays."""

    def close(self) -> None: ...


def opened(collection: Collection, destination: Destination) -> Links | Through:
    """Open a destination for volunteers. Raises what a store does, and Refused where nothing comes back whole."""
    store = open_store(destination)
    try:
        profile = probe(store, destination.key(place_of(collection)))
    except BaseException:
        store.close()
        raise
    if not profile.is_intact:
        store.close()
        raise Refused(f"{destination.name} does not give back what it is given; nothing is sent there.")
    ledger = _Ledger(collection, destination, profile)
    signs = profile.signs_links and profile.takes_parts
    return Links(store, profile, ledger) if signs else Through(store, profile, ledger)


class _Ledger:
    """The copies of the coordinator's collection, as pushes know them."""

    def __init__(self, collection: Collection, destination: Destination, profile: Profile) -> None:
        self.collection = collection
        self.destination = destination
        self.copies = Copies(collection.root / "copies.sqlite")
        self.copies.add(destination.name, asdict(destination))
        self.copies.set_profile(destination.name, profile.facts())
        self._base = destination.key(place_of(collection))

    def key(self, one: Brought) -> str:
        """Return a segment's key, as a push would: it names the content."""
        return f"{self._base}/warcs/{one.name.removesuffix('.warc.gz')}-{one.sha256[:12]}.warc.gz"

    def enter(self, one: Brought) -> Copy:
        """Return the row of a segment's copy."""
        copy = Copy(
            object=f"warcs/{one.name}", sha256=one.sha256, destination=self.destination.name, key=self.key(one),
            state=CopyState.PENDING, bytes=one.bytes,
        )  # fmt: skip
        self.copies.want([copy], now=time.time())
        rows = self.copies.of(copy.object, copy.sha256)
        return next(row for row in rows if row.destination == copy.destination)


class Links:
    """A bucket that checks signed links: bytes go there past the coordinator, which reads them back."""

    how = "over links that it signs"

    def __init__(self, store: Store, profile: Profile, ledger: _Ledger) -> None:
        self._store = cast("S3Store", store)
        self._profile = profile
        self._ledger = ledger

    def begin(self, one: Brought) -> str:
        upload = self._store.begin(self._ledger.key(one), hot=False)
        # A push of this collection ends uploads of which the ledger knows nothing.
        self._ledger.copies.set(self._ledger.enter(one), CopyState.UPLOADING, now=time.time(), upload=upload)
        return upload

    def ways(self, one: Brought) -> dict[int, str]:
        try:
            there = self._there(one)
        except Absent:
            return {}  # it has ended already, and the answer to that was lost
        return {number: self._link(one, number, md5) for number, md5 in enumerate(one.parts, 1) if number not in there}

    def _link(self, one: Brought, number: int, md5: str) -> str:
        return self._store.link(
            "upload_part", seconds=LINK_SECONDS, Key=self._ledger.key(one), UploadId=one.upload, PartNumber=number,
            ContentMD5=base64_of(md5),
        )  # fmt: skip

    def _there(self, one: Brought) -> dict[int, str]:
        """Return number → ETag of the parts that are there and as they should be."""
        found = self._store.parts(self._ledger.key(one), one.upload) or {}
        return {
            number: etag for number, (etag, size) in found.items()
            if number <= len(one.parts) and size == length_of(one.bytes, number)
            and (not self._profile.etag_of_parts or bare(etag) == one.parts[number - 1])
        }  # fmt: skip

    def finish(self, one: Brought) -> None:
        key = self._ledger.key(one)
        try:
            etags = self._there(one)
            if len(etags) < len(one.parts):
                raise Refused(f"{len(one.parts) - len(etags)} parts of it are not there.")
            self._store.complete(key, one.upload, etags)
        except Absent:
            if self._store.head(key) is None:
                raise

    def fetch(self, one: Brought, path: Path) -> str:
        return self._store.download(self._ledger.key(one), path)

    def settle(self, one: Brought, path: Path) -> None:
        """It was read back from there."""
        self._ledger.copies.set(self._ledger.enter(one), CopyState.PROVEN, now=time.time(), proof="SHA-256, read back")

    def discard(self, one: Brought) -> None:
        if one.upload:
            self._store.abort(self._ledger.key(one), one.upload)
            self._store.withdraw(self._ledger.key(one))
            self._ledger.copies.forget(self._ledger.enter(one))

    def close(self) -> None:
        self._store.close()
        self._ledger.copies.close()


class Through:
    """A destination that signs no links: parts come to the coordinator, which sends what it has checked."""

    how = "through this machine"

    def __init__(self, store: Store, profile: Profile, ledger: _Ledger) -> None:
        self._store = store
        self._profile = profile
        self._ledger = ledger
        self._folder = ledger.collection.root / "incoming"

    def begin(self, one: Brought) -> str:
        (self._folder / one.name).mkdir(parents=True, exist_ok=True)
        return "here"

    def ways(self, one: Brought) -> dict[int, str]:
        return {
            number: f"/v1/part/{one.name}/{number}"
            for number in range(1, len(one.parts) + 1)
            if not self.part(one, number).is_file()
        }

    def part(self, one: Brought, number: int) -> Path:
        """Return the file of a part; it is whole if it is there."""
        return self._folder / one.name / f"{number}.part"

    def finish(self, one: Brought) -> None:
        if missing := len(self.ways(one)):
            raise Refused(f"{missing} parts of it are not there.")

    def fetch(self, one: Brought, path: Path) -> str:
        digest = hashlib.sha256()
        with path.open("wb") as out:
            for number in range(1, len(one.parts) + 1):
                with self.part(one, number).open("rb") as part:
                    while piece := part.read(_PIECE):
                        digest.update(piece)
                        out.write(piece)
            out.flush()
            os.fsync(out.fileno())
        return digest.hexdigest()

    def settle(self, one: Brought, path: Path) -> None:
        copy = self._ledger.enter(one)
        if copy.state is not CopyState.PROVEN:
            thing = next(thing for thing in Catalogue(self._ledger.collection).segments() if thing.path == copy.object)
            with ThreadPoolExecutor(2) as pool:
                sender = Sender(
                    self._store, self._profile, self._ledger.copies, pool=pool, throttle=Throttle(0), read_back="full"
                )
                if not sender.send(copy, thing, path):
                    raise Damaged("nothing proves the copy at the destination")
        self.discard(one)

    def discard(self, one: Brought) -> None:
        with suppress(FileNotFoundError):
            shutil.rmtree(self._folder / one.name)

    def close(self) -> None:
        self._store.close()
        self._ledger.copies.close()
