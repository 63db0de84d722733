"""The newest posts and images that were saved, read back from the WARCs.

A running crawl says where its newest captures stand; without one the newest indexes do. Nothing restricted is shown.
An image has a random name for as long as it is listed, so that nobody can ask for any other record.
"""

from __future__ import annotations

import heapq
import logging
import secrets
from itertools import islice
from typing import TYPE_CHECKING, Any

from crawler.collection import class_of
from crawler.errors import OutlastError
from crawler.model import Location, Post, SegmentClass
from crawler.reading.entries import plain
from crawler.reading.page.snapshot import LONGEST
from crawler.reading.rows import of_capture
from crawler.reading.shelf import Place, Shelf
from crawler.warc.lookup import every
from crawler.warc.reader import Torn, read_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from crawler.collection import Collection
    from crawler.frontier.reader import FrontierReader
    from crawler.withheld import Withheld
    from spiders.base import PlatformSpider

log = logging.getLogger("outlast.page")

#: How many of each are shown, how many captures are read for that in one look, and how many are remembered.
SHOWN, LOOKS, REMEMBERED = 8, 8, 256
#: Items of a page of which one may be taken down.
MOST_ITEMS = 100_000
#: Bytes of a page's record that are worth reading for this, and of an image that are sent.
MAX_PAGE, MAX_IMAGE = 512 << 10, 8 << 20
#: Bytes of the newest indexes of each class that are looked at, and captures in them.
MAX_INDEXES, INDEXED = 16 << 20, 64
_FAULTS = (OutlastError, Torn, OSError, ValueError)


def image_type(head: bytes) -> str | None:
    """Return the type of an image by its first bytes; None for all that is none, SVG among it: that can hold scripts.

    Source: https://mimesniff.spec.whatwg.org/#matching-an-image-type-pattern.
    """
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if head[:4] == b"RIFF" and head[8:14] == b"WEBPVP":
        return "image/webp"
    return None


class Newest:
    """The newest things of one collection, as ``spider`` reads them; without one no posts."""

    def __init__(
        self, collection: Collection, frontier: FrontierReader, spider: PlatformSpider | None, withheld: Withheld
    ) -> None:
        self._collection = collection
        self._frontier = frontier
        self._spider = spider
        self._shelf = Shelf(collection)
        self._withheld = withheld
        self._takedowns = (0, 0)
        self._indexed: tuple[list[Path], list[Location]] = ([], [])
        #: What captures that were read gave: posts, and the name of an image.
        self._posts: dict[tuple[str, int], list[dict[str, Any]]] = {}
        self._names: dict[tuple[str, int], dict[str, Any] | None] = {}
        self._images: dict[str, Place] = {}

    def look(self, live: Sequence[Location] | None) -> dict[str, list[dict[str, Any]]]:
        """Return the newest ``posts`` and ``images``, newest first.

        ``live`` says where the newest captures of a crawl of ours stand, oldest first; None where there is none.
        """
        self._obey()
        known = {
            (one.segment, one.response_offset): one for one in [*self._from_indexes(live is not None), *(live or ())]
        }
        by_class: dict[str, list[Location]] = {}
        for one in reversed(known.values()):
            by_class.setdefault(class_of(one.segment), []).append(one)
        images = by_class.get(SegmentClass.IMAGES, [])
        return {"posts": self._shown_posts(by_class.get(SegmentClass.TEXT, [])), "images": self._shown_images(images)}

    def image(self, name: str) -> tuple[str, bytes] | None:
        """Return type and bytes of an image that is listed; None where it is not, or is no image, or is too big."""
        place = self._images.get(name)
        if place is None:
            return None
        try:
            with self._shelf.answer(place) as answer, answer.open() as stream:
                data = stream.read(MAX_IMAGE + 1)
        except _FAULTS:
            return None
        kind = image_type(data)
        return (kind, data) if kind and len(data) <= MAX_IMAGE else None

    def _obey(self) -> None:
        """Forget what was read before something else was taken down, or found to be no capture."""
        if self._takedowns != self._withheld.version:
            self._takedowns = self._withheld.version
            for known in (self._posts, self._names, self._images):
                known.clear()

    # Where to look

    def _from_indexes(self, is_live: bool) -> list[Location]:
        """Return what the newest indexes name; beside a crawl of ours they are looked at once, as it tells us more."""
        paths = sorted(self._collection.indexes.glob("*.cdxj"))
        if self._indexed[0] != paths and not (is_live and self._indexed[0]):
            self._indexed = (paths, [one for kind in ("text", "images") for one in self._indexed_as(kind, paths)])
        return self._indexed[1]

    def _indexed_as(self, kind: str, paths: list[Path]) -> Iterator[Location]:
        mine, size = [], 0
        for path in reversed([path for path in paths if class_of(path.name) == kind]):
            size += path.stat().st_size
            if size > MAX_INDEXES:
                break
            mine.append(path)
        try:
            lines = heapq.nlargest(
                INDEXED,
                (line for path in mine for line in every(path) if not self._withheld.is_struck(line.url, line.stamp)),
                key=lambda line: line.stamp,
            )
        except _FAULTS:
            return
        for line in reversed(lines):
            found = self._frontier.evidence(line.url) if kind == SegmentClass.TEXT else (line.segment, 0, 200)
            if found and found[0] == line.segment:
                yield Location(
                    segment=line.segment, offset=found[1], response_offset=line.offset, response_length=line.length
                )

    # What is there

    def _shown_posts(self, captures: list[Location]) -> list[dict[str, Any]]:
        fresh = [one for one in captures if (one.segment, one.response_offset) not in self._posts]
        for one in fresh[:LOOKS]:
            self._posts[one.segment, one.response_offset] = self._said(one)
        _forget(self._posts)
        found = {
            post["id"]: post
            for one in reversed(captures)
            for post in self._posts.get((one.segment, one.response_offset), [])
        }
        return list(islice(reversed(found.values()), SHOWN))

    def _said(self, one: Location) -> list[dict[str, Any]]:
        path = self._shelf.path(one.segment)
        if self._spider is None or path is None or one.response_length > MAX_PAGE:
            return []
        withheld = self._withheld if self._withheld.is_any else None
        try:
            request, record = read_at(path, one.offset), read_at(path, one.response_offset)
            if record.type != "response" or self._withheld.passes_over(record, one.segment):
                return []
            # A page that says anything of what was taken down says nothing.
            items = of_capture(request, record, self._spider, MOST_ITEMS if withheld else SHOWN)
            if withheld and any(withheld.hides(item=item) for item in items):
                return []
        except Exception as e:  # noqa: BLE001 - a callback may fail in any way over a hostile page; nobody lacks it here
            log.debug("%s:%d is not shown: %s", one.segment, one.offset, e)
            return []
        is_markup = self._spider.markup
        posts = [item for item in items if isinstance(item, Post) and not item.deleted]
        return [_post(post, is_markup) for post in posts[:SHOWN]]

    def _shown_images(self, captures: list[Location]) -> list[dict[str, Any]]:
        fresh = [one for one in captures if (one.segment, one.response_offset) not in self._names]
        for one in fresh[:LOOKS]:
            self._names[one.segment, one.response_offset] = self._named(one)
        _forget(self._names)
        found = [told for one in captures if (told := self._names.get((one.segment, one.response_offset)))]
        return found[:SHOWN]

    def _named(self, one: Location) -> dict[str, Any] | None:
        """Give an image a name; None where the capture holds none."""
        place = Place(one.segment, one.response_offset, one.response_length)
        try:
            with self._shelf.answer(place) as answer, answer.open() as stream:
                if answer.status != 200 or not image_type(stream.read(16)):
                    return None
                url = answer.url
        except _FAULTS:
            return None
        name = secrets.token_hex(8)
        self._images[name] = place
        _forget(self._images)
        return {"name": name, "url": url[:LONGEST]}


def _post(post: Post, is_markup: bool) -> dict[str, Any]:
    said = post.text[: 4 * LONGEST]
    said = plain(said) if is_markup else said
    return {
        "id": post.id[:LONGEST], "kind": post.kind[:40], "author": (post.author_name or post.author or "")[:80],
        "text": " ".join(said.split())[:LONGEST], "url": post.url[:LONGEST],
        "captured_at": post.captured_at[:19],
    }  # fmt: skip


def _forget(known: dict[Any, Any]) -> None:
    """Forget the oldest of what is remembered."""
    while len(known) > REMEMBERED:
        known.pop(next(iter(known)))
