"""The volunteer's side of a grant: a collection sent through links, resumed where it was interrupted.

Which file goes to which of the grant's places is durable before its first byte leaves. What arrived is compared with
the sums that the server tells; that it is all there is proved by who collects it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from crawler.cold.canary import bare, etag_of_parts
from crawler.cold.canary_s3 import completion
from crawler.cold.copies import Copies, Copy, CopyState
from crawler.cold.destination import Destination
from crawler.cold.links import Links
from crawler.cold.objects import Catalogue
from crawler.cold.push import alone
from crawler.cold.store import Absent, Denied, Refused, Slice
from crawler.errors import Damaged

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import BinaryIO

    from crawler.cold.grant import Grant, Slot
    from crawler.cold.objects import Object
    from crawler.collection import Collection


@dataclass(slots=True)
class Sent:
    """What came of it."""

    #: Files that are there now, and of those the ones that went this time.
    there: int = 0
    sent: int = 0
    bytes: int = 0
    #: file → why it is not there.
    refused: dict[str, str] = field(default_factory=dict)


def send(
    collection: Collection, grant: Grant, *, connections: int = 4,
    progress: Callable[[str, int, int], None] = lambda name, sent, whole: None,
) -> Sent:  # fmt: skip
    """Send what is not there yet, and a list of what is.

    Raises Locked where a push runs, Denied where the links are not good any more, Unavailable where nothing is taken.
    """
    if grant.is_over:
        raise Denied(f"This grant was good until {grant.expires}; ask for another.")
    with alone(collection), closing(Copies(collection.root / "copies.sqlite")) as copies, closing(Links()) as links:
        copies.add(grant.name, asdict(Destination(name=grant.name, quorum=False)))
        catalogue = Catalogue(collection)
        things = [*catalogue.segments(), *catalogue.finders()]
        sender = _Sender(grant, copies, links, connections)
        told = Sent()
        whole = sum(one.bytes for one in things)
        for thing in things:
            try:
                told.sent += sender.bring(thing, catalogue.path(thing))
            except (Refused, Damaged) as e:
                told.refused[thing.path] = str(e)
                continue
            told.there += 1
            told.bytes += thing.bytes
            progress(grant.name, told.bytes, whole)
        if told.sent or not told.refused:
            sender.list_all(things)
        return told


class _Sender:
    def __init__(self, grant: Grant, copies: Copies, links: Links, connections: int) -> None:
        self._grant = grant
        self._copies = copies
        self._links = links
        self._connections = connections
        taken = {copy.key for copy in copies.all(grant.name)}
        self._free = {
            kind: [slot for slot in grant.slots if slot.kind == kind and slot.key not in taken]
            for kind in ("segment", "file", "inventory")
        }
        self._slots = {slot.key: slot for slot in grant.slots}

    def bring(self, thing: Object, path: Path) -> bool:
        """Send one file, unless it is there; say whether it was sent."""
        copy = next(
            (one for one in self._copies.of(thing.path, thing.sha256) if one.destination == self._grant.name), None
        )
        if copy is not None and copy.state is CopyState.UPLOADED:
            return False
        copy = copy or self._assign(thing)
        slot = self._slots[copy.key]
        if len(thing.part_md5) > len(slot.parts):
            raise Refused(f"{thing.path} is longer than this grant allows.")
        if not path.is_file():
            raise Damaged(f"{thing.path} is not here.")
        with path.open("rb") as file:
            self._send(copy, slot, thing, file)
        self._copies.set(copy, CopyState.UPLOADED, now=time.time(), proof="ETag" if self._grant.etag_of_parts else "")
        return True

    def _assign(self, thing: Object) -> Copy:
        """Give a file one of the grant's places, durably."""
        free = self._free["file" if thing.is_hot else "segment"]
        if not free:
            raise Refused("This grant has no place for more; ask for another.")
        slot = free.pop(0)
        copy = Copy(
            object=thing.path, sha256=thing.sha256, destination=self._grant.name, key=slot.key,
            state=CopyState.PENDING, bytes=thing.bytes,
        )  # fmt: skip
        self._copies.want([copy], now=time.time())
        return copy

    def _send(self, copy: Copy, slot: Slot, thing: Object, file: BinaryIO) -> None:
        there = self._copies.parts(slot.upload)

        def part(number: int) -> str:
            md5 = thing.part_md5[number - 1]
            start = (number - 1) * thing.part_bytes
            body = Slice(file, start, min(thing.part_bytes, thing.bytes - start))
            sum_of = base64.b64encode(bytes.fromhex(md5)).decode()
            told, _ = self._links.send("PUT", slot.parts[number - 1], body, **{"Content-MD5": sum_of})
            etag = told.get("etag", "")
            if self._grant.etag_of_parts and bare(etag) != md5:
                raise Refused(f"Part {number} of {thing.path} arrived as something else.")
            self._copies.part_sent(slot.upload, number, etag)
            return etag

        missing = [number for number in range(1, len(thing.part_md5) + 1) if number not in there]
        try:
            with ThreadPoolExecutor(self._connections) as pool:
                etags = {**there, **dict(zip(missing, pool.map(part, missing), strict=True))}
            _, text = self._links.send("POST", slot.end, completion(etags))
        except Absent:
            # All parts had arrived, and the answer to their end was lost: the links are used up.
            if missing:
                raise
            return
        if self._grant.etag_of_parts and etag_of_parts(thing.part_md5).encode() not in text:
            raise Refused(f"{thing.path} arrived as something else.")

    def list_all(self, things: list[Object]) -> None:
        """Send a list of what is there, unless it is there: path, SHA-256, bytes, key of each."""
        keys = {(one.object, one.sha256): one for one in self._copies.all(self._grant.name)}
        lines = [
            {"path": one.path, "sha256": one.sha256, "bytes": one.bytes, "key": found.key}
            for one in things
            if (found := keys.get((one.path, one.sha256))) is not None and found.state is CopyState.UPLOADED
        ]
        data = json.dumps({"format": 1, "files": lines}).encode()
        known = hashlib.md5(data, usedforsecurity=False).hexdigest()
        # A push that was cut off after its last file has yet to say so: what went this time does not tell.
        if any(known in self._copies.parts(slot.upload).values() for slot in self._free["inventory"]):
            return
        for slot in self._free["inventory"]:
            with tempfile.TemporaryFile() as file:
                file.write(data)
                file.flush()
                md5 = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
                try:
                    told, _ = self._links.send(
                        "PUT", slot.parts[0], Slice(file, 0, len(data)), **{"Content-MD5": md5}
                    )  # fmt: skip
                    self._links.send("POST", slot.end, completion({1: told.get("etag", "")}))
                except Absent:
                    continue  # an earlier push used it
            self._copies.part_sent(slot.upload, 1, known)
            return
        raise Refused("This grant has no place for another list of what came; ask for another.")
