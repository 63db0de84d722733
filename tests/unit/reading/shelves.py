"""Collections made by hand: a spider in a file, and segments written the way a worker does."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from crawler.collection import Collection
from crawler.model import Original, Seed, SegmentClass
from crawler.warc.seal import seal_named
from tests.unit.warc.making import Segment, capture, plain

SPIDER = """
from crawler.model import Account, Media, Post, Verdict
from spiders.base import EXTRAS, IMAGES, LISTINGS, PlatformSpider, Probe


class TeaSpider(PlatformSpider):
    name = "tea"
    title = "Tea"
    lanes = (LISTINGS, IMAGES, EXTRAS)
    markup = MARKUP

    def judge(self, response):
        return Verdict.MIXED if b"PRIVATE" in response.head_bytes else super().judge(response)

    def parse_post(self, response):
        kinds = {"post": Post, "account": Account, "media": Media}
        for one in response.data() or ():
            if one == "bang":
                raise ValueError("bang")
            kind = kinds[one.pop("is", "post")]
            if one.get("created_at"):
                one["created_at"] = tuple(one["created_at"])
            url = one.pop("url", f"https://a.example/{one['id']}")
            yield kind(platform="tea", url=url, captured_at=response.captured_at.isoformat(), source_url=response.url, **one)
"""
NOON = datetime(2021, 1, 10, 12, tzinfo=UTC)


class Shop:
    """A collection of a site that sells tea."""

    def __init__(self, root: Path, *, markup: bool = False) -> None:
        self.collection = Collection.create(root, Seed(url="https://a.example/"), "tea")
        source = root.with_suffix(".py")
        source.write_text(SPIDER.replace("MARKUP", str(markup)))
        self.collection.add_spider(source, "tea")
        self._count = 0

    def segment(self, kind: str = "text") -> Page:
        self._count += 1
        return Page(self.collection, self.collection.segment_name(self._count, "w1", SegmentClass(kind)))


class Page:
    """A segment being filled."""

    def __init__(self, collection: Collection, name: str) -> None:
        self.collection = collection
        self.name = name
        self.segment = Segment(collection.warcs, name)
        self._url = 0

    def says(
        self,
        *things: Any,
        minutes: int = 0,
        status: str = "200 OK",
        url: str = "",
        original: Original | None = None,
        **work: Any,
    ) -> Original:
        """Capture a page that says these things, so many minutes after noon."""
        self._url += 1
        when = NOON + timedelta(minutes=minutes)
        taken = capture(
            url or f"https://a.example/{self.name[-40:]}/{self._url}",
            plain(json.dumps(things).encode(), status, "application/json"), started=when, ended=when,
        )  # fmt: skip
        return self.segment.original(self.segment.add(taken, original, **work), taken)

    def holds(
        self, url: str, data: bytes, kind: str = "image/jpeg", minutes: int = 0, original: Original | None = None
    ) -> Original:
        """Capture a file."""
        when = NOON + timedelta(minutes=minutes)
        taken = capture(url, plain(data, kind=kind), started=when, ended=when)
        return self.segment.original(self.segment.add(taken, original, lane="images", callback=None), taken)

    def moved(self, url: str, target: str) -> None:
        wire = f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode()
        self.segment.add(capture(url, wire), lane="images", callback=None)

    def seal(self) -> Path:
        path = self.segment.close()
        kind = self.name.partition(".warc")[0].rpartition("-")[2]
        assert seal_named(str(path), str(self.collection.indexes), str(self.collection.manifest), kind)
        return self.collection.warcs / self.name
