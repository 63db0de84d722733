"""Collections of any size, written directly as a crawl would have: answers of the replicas, and the truth about them.

A Mastodon server's timeline in API pages of 40 posts, and Parler with one HTML page a post. Used by the tests and by
``benchmarks/dataset.py``.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b32encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from crawler.capture.decode import response_from
from crawler.collection import Collection
from crawler.commit import read_all
from crawler.model import Body, Capture, Digests, Fetch, Leased, Outcome, Seed, SegmentClass, Settlement, State, Tls
from crawler.reading.gather import spider_of
from crawler.replicas.exchange import Clock, Request, http_date
from crawler.replicas.launch import NOW
from crawler.replicas.mastodon import MastodonSite
from crawler.replicas.parler.site import ParlerSite
from crawler.replicas.parler.world import World
from crawler.warc.records import exchange, metadata
from crawler.warc.seal import seal_named
from crawler.warc.segment import SegmentWriter

#: Bytes of a segment of these collections.
SEGMENT = 256 << 20
_TLS = Tls(version="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384")
#: Posts of one server's world: making them costs the square of their number.
_WORLD = 2000
_PAGE = 40


@dataclass
class Page:
    """One answer, and what it was asked for."""

    fetch: Fetch
    body: bytes
    kind: str


@dataclass
class Truth:
    """What a replica knows of its posts: id → column → value."""

    posts: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: Posts per page, to be known before the pages are taken.
    count: int = 0


class _Herons(MastodonSite):
    """A server whose files exist in name only."""

    def image(self, path: str, **_: Any) -> str:
        return path

    def file(self, path: str, data: bytes, kind: str) -> str:
        return path


def mastodon(posts: int, truth: Truth) -> Iterator[Page]:
    """Yield a timeline of about ``posts`` posts, newest first in pages of 40."""
    request = Request("GET", "heron.example", "/", {"host": "heron.example"})
    for world in range(-(-posts // _WORLD)):
        # Ids carry the time: no two worlds may say something in the same second.
        site = _Herons(
            seed=world, size=min(_WORLD, posts - world * _WORLD), clock=Clock(NOW - timedelta(seconds=world))
        )
        statuses = [one for one in site._statuses.values() if one.is_public][::-1]
        for one in statuses:
            truth.posts[str(one.id)] = _status(one)
        for at in range(0, len(statuses), _PAGE):
            body = json.dumps([site._status(one, request) for one in statuses[at : at + _PAGE]]).encode()
            url = f"http://heron.example/api/v1/timelines/public?local=true&limit=40&max_id={world}{at:06}"
            cursor = {"page": {"n": at, "edge": []}}
            fetch = Fetch(url=url, lane="listings", callback="parse_timeline", cursor=cursor)
            yield Page(fetch, body, "application/json; charset=utf-8")


def _status(one: Any) -> dict[str, Any]:
    return {
        "kind": "reply" if one.reply_to else "post", "author": str(one.account.id), "author_name": one.account.acct,
        "text": one.text, "created_at": one.at.isoformat(), "created_until": one.at.isoformat(),
        "in_reply_to": str(one.reply_to.id) if one.reply_to else None,
        "repost_of": str(one.boost_of.id) if one.boost_of else None,
        "url": f"http://heron.example/@{one.account.username}/{one.id}",
        "media": [f"http://heron.example{path}" for path in (*one.media, *([one.film] if one.film else []))],
        "mentions": [who.acct for who in one.mentions], "sensitive": 0, "deleted": 0,
    }  # fmt: skip


def parler(posts: int, truth: Truth) -> Iterator[Page]:
    """Yield the page of each post of a world."""
    world = World(posts)
    site = ParlerSite(world, Clock(NOW))
    for number in world.numbers():
        post = world.post(number)
        truth.posts[post.hex] = {
            "kind": "post", "author": post.author.username, "author_name": post.author.name, "text": post.shown,
            "created": post.created, "url": post.url, "deleted": 0,
            "sensitive": int(post.is_sensitive and post.media is not None),
        }  # fmt: skip
        fetch = Fetch(url=post.url, lane="posts", callback="parse_post", covers=("post", post.hex))
        yield Page(fetch, site._pages.post(post).encode(), "text/html; charset=utf-8")


SITES = {"mastodon": (mastodon, "http://heron.example/"), "parler": (parler, "https://parler.com/")}


def write(
    platform: str, posts: int, root: Path, *, segment_bytes: int = SEGMENT, outlinks: bool = True
) -> tuple[Collection, Truth]:
    """Write a collection of a platform; ``outlinks``: with what each page names, as a crawl notes it."""
    pages, seed = SITES[platform]
    collection, truth = Collection.create(root, Seed(url=seed), platform), Truth()
    writer = _Writer(collection, segment_bytes, outlinks)
    for page in pages(posts, truth):
        writer.add(page)
    writer.close()
    return collection, truth


class _Writer:
    def __init__(self, collection: Collection, segment_bytes: int, outlinks: bool) -> None:
        self._collection = collection
        self._spider = spider_of(collection) if outlinks else None
        self._most = segment_bytes
        self._serial = 0
        self._pages = 0
        self._open: SegmentWriter | None = None

    def add(self, page: Page) -> None:
        writer = self._open or self._begin()
        self._pages += 1
        when = NOW + timedelta(milliseconds=self._pages)
        taken, leased = _capture(page, when), Leased(id=1, token=1, fetch=page.fetch)
        links = read_all(self._spider, response_from(page.fetch, taken)).outlinks if self._spider else ()
        made = exchange(taken, warcinfo_id=writer.warcinfo_id, work=leased, original=None)
        told = Settlement(id=1, token=1, state=State.DONE, outlinks=tuple(links))
        writer.append(*made.records, metadata(made, taken, leased, told, warcinfo_id=writer.warcinfo_id))
        if writer.size > self._most:
            self.close()

    def _begin(self) -> SegmentWriter:
        self._serial += 1
        self._name = self._collection.segment_name(self._serial, "w1", SegmentClass.TEXT)
        self._open = SegmentWriter(
            self._collection.warcs / f"{self._name}.open", warcinfo_fields={"software": "written"}
        )
        return self._open

    def close(self) -> None:
        if self._open is None:
            return
        self._open.close()
        self._open = None
        path = self._collection.warcs / f"{self._name}.open"
        assert seal_named(str(path), str(self._collection.indexes), str(self._collection.manifest), "text")


def _capture(page: Page, when: datetime) -> Capture:
    head = (
        f"HTTP/1.1 200 OK\r\nDate: {http_date(NOW)}\r\nContent-Type: {page.kind}\r\nServer: nginx\r\n"
        f"Content-Length: {len(page.body)}\r\n\r\n"
    ).encode()
    request = f"GET {page.fetch.url.split('/', 3)[3]} HTTP/1.1\r\nHost: {page.fetch.url.split('/')[2]}\r\n\r\n".encode()
    return Capture(
        url=page.fetch.url, method="GET", request=request, head=head, body=Body(size=len(page.body), data=page.body),
        status=200, outcome=Outcome.OK, started=when, ended=when, ip="192.0.2.1", tls=_TLS,
        digests=Digests(
            block_sha256=hashlib.sha256(head + page.body).hexdigest(),
            payload_sha256=hashlib.sha256(page.body).hexdigest(),
            payload_sha1=b32encode(hashlib.sha1(page.body).digest()).decode(), payload_length=len(page.body),
        ),
    )  # fmt: skip


def differences(rows: Iterator[dict[str, Any]], truth: Truth) -> Iterator[str]:
    """Yield what rows of posts say that is not so, and what they lack."""
    missing = set(truth.posts)
    for row in rows:
        told = truth.posts.get(row["id"])
        if told is None:
            if row["kind"] not in {"card", "comment", "elsewhere"}:
                yield f"{row['kind']} {row['id']} is none of the replica's"
            continue
        if row["kind"] not in {told["kind"], "elsewhere"}:
            continue
        missing.discard(row["id"])
        for name, value in told.items():
            if name == "created":
                first, last = (datetime.fromisoformat(row[end]) for end in ("created_at", "created_until"))
                if not first <= value <= last:
                    yield f"{row['id']}: made {value}, not between {first} and {last}"
            elif row[name] != value:
                yield f"{row['id']}: {name} is {row[name]!r}, not {value!r}"
    yield from (f"{identity} is missing" for identity in sorted(missing))
