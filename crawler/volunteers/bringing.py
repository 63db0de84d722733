"""A volunteer's segments on their way: each signed, sent part by part to where the coordinator says, and waited for."""

from __future__ import annotations

import base64
import logging
from contextlib import closing
from typing import TYPE_CHECKING

from crawler.cold.links import Links
from crawler.cold.store import Absent, Denied, Slice
from crawler.errors import Damaged
from crawler.volunteers import badge as badges
from crawler.volunteers import wire
from crawler.volunteers.client import Refused
from crawler.warc import manifest
from crawler.warc.seal import PART_BYTES

if TYPE_CHECKING:
    from pathlib import Path

    from crawler.collection import Collection
    from crawler.volunteers.badge import Badge
    from crawler.volunteers.client import Client
    from crawler.warc.manifest import Entry

log = logging.getLogger("outlast.volunteers")

#: Times that what is missing of a segment is sent in one go, as links may end while it is on its way.
_TRIES = 3


class Bringer:
    """Brings the segments of a volunteer's collection."""

    def __init__(self, collection: Collection, badge: Badge, client: Client) -> None:
        self._collection = collection
        self._badge = badge
        self._client = client
        self._key = badges.key(collection.root)

    def entries(self) -> list[Entry]:
        """Return the segments that are sealed and still here, oldest first."""
        known = manifest.read(self._collection.manifest)
        return [one for one in known if (self._collection.warcs / one.segment).is_file()]

    def bring(self, entry: Entry) -> str:
        """Send a segment; return how it stands with the coordinator then.

        Raises what the client does, Damaged where the file is not what was sealed, and what a store does.
        """
        path = self._collection.warcs / entry.segment
        if path.stat().st_size != entry.bytes:
            raise Damaged(f"{path} is not what was sealed.")
        told = self._signed(entry)
        for number in range(_TRIES):
            ways = self._client.ask("bring", told, wire.Ways)
            if ways.state != "open":
                return ways.state
            try:
                self._send(path, entry, ways.ways)
                break
            except (Absent, Denied) as e:  # links that ended
                log.info("%s: %s", entry.segment, e)
                if number == _TRIES - 1:
                    raise
        return self._client.ask("brought", wire.Brought(entry.segment), wire.Standing).state

    def _signed(self, entry: Entry) -> wire.Bring:
        told = wire.Bring(entry.segment, entry.bytes, entry.sha256, entry.part_md5, "")
        signature = self._key.sign(wire.claim(self._badge.crawl, self._badge.node, told))
        return wire.Bring(entry.segment, entry.bytes, entry.sha256, entry.part_md5, signature.hex())

    def _send(self, path: Path, entry: Entry, ways: dict[int, str]) -> None:
        with path.open("rb") as file, closing(Links()) as links:
            for number, way in sorted(ways.items()):
                body = Slice(file, (number - 1) * PART_BYTES, wire.length_of(entry.bytes, number))
                if way.startswith("/"):
                    self._client.put(way, body)
                elif not way.startswith("https://") and not self._badge.url.startswith("http://"):
                    raise Refused(400, f"{self._badge.url} sends us to {way[:40]!r}, where anybody could listen.")
                else:
                    md5 = base64.b64encode(bytes.fromhex(entry.part_md5[number - 1])).decode()
                    links.send("PUT", way, body, **{"Content-MD5": md5})
