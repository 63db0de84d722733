"""The spider's callbacks over the real pages of the replica, fetched with nothing but the standard library."""

from __future__ import annotations

import gzip
import http.client
import socket
import ssl
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest

from crawler.model import Account, Fetch, Media, Post, Seed, Standing
from crawler.replicas.run import Running, running
from crawler.response import CaptureResponse
from spiders.parler import ParlerSpider
from spiders.testing import Crawled, answer, crawl

POSTS = 260


class Wire:
    """GETs from the replica over kept-alive TLS connections."""

    def __init__(self, replica: Running) -> None:
        self._port = replica.port
        self._context = ssl.create_default_context(cafile=str(replica.ca))
        self._open: dict[str, http.client.HTTPConnection] = {}

    def __call__(self, fetch: Fetch) -> CaptureResponse:
        parts = urlsplit(fetch.url)
        host = parts.hostname or ""
        connection = self._open.get(host)
        if connection is None:
            connection = self._open[host] = http.client.HTTPConnection(host)
            raw = socket.create_connection(("127.0.0.1", self._port))
            connection.sock = self._context.wrap_socket(raw, server_hostname=host)
        connection.auto_open = 0
        try:
            connection.request("GET", parts.path + (f"?{parts.query}" if parts.query else ""))
            reply = connection.getresponse()
            body = reply.read()
        except (http.client.HTTPException, OSError):
            connection.close()
            del self._open[host]
            return self(fetch)
        if reply.getheader("Connection", "").lower() == "close":
            connection.close()
            del self._open[host]
        headers = {name: value for name, value in reply.getheaders() if name.lower() != "transfer-encoding"}
        if headers.pop("Content-Encoding", "") == "gzip":
            body = gzip.decompress(body)
        return answer(fetch.url, body, status=reply.status, headers=headers, captured_at=datetime.now(UTC), fetch=fetch)

    def close(self) -> None:
        for connection in self._open.values():
            connection.close()


@pytest.fixture(scope="module")
def replica() -> Iterator[Running]:
    with running("parler", posts=POSTS) as started:
        yield started


@pytest.fixture(scope="module")
def wire(replica: Running) -> Iterator[Wire]:
    found = Wire(replica)
    yield found
    found.close()


@pytest.fixture(scope="module")
def truth(replica: Running) -> dict[str, dict[str, Any]]:
    """kind → id → what the replica says of it"""
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for thing in replica.things():
        found[thing["kind"]][thing["id"]] = thing
    return found


@pytest.fixture(scope="module")
def crawled(wire: Wire) -> Crawled:
    return crawl(ParlerSpider, Seed(url="https://parler.com/"), wire)


def captured(crawled: Crawled, kind: str) -> set[str]:
    found = {c.id for c in crawled.coverage if c.kind == kind and c.standing is Standing.CAPTURED}
    return found | {item.id for item in crawled.items if isinstance(item, Post) and item.kind == kind}


@pytest.mark.parametrize("kind", ["post", "profile", "image", "video"])
def test_every_public_thing_is_found(kind: str, crawled: Crawled, truth: dict[str, dict[str, Any]]) -> None:
    assert captured(crawled, kind) == {one for one, thing in truth[kind].items() if thing["public"]}


def test_posts_say_what_they_say(crawled: Crawled, truth: dict[str, dict[str, Any]]) -> None:
    posts = {item.id: item for item in crawled.items if isinstance(item, Post) and item.kind == "post"}
    assert posts.keys() == truth["post"].keys()
    for identity, thing in truth["post"].items():
        post = posts[identity]
        assert (post.author, post.author_name, post.text) == (thing["author"], thing["author_name"], thing["text"])
        assert post.extra["shape"] == thing["shape"]
        assert post.sensitive == (thing["sensitive"] and thing["media"] is not None)
        assert post.created_at is not None
        earliest, latest = map(datetime.fromisoformat, post.created_at)
        assert earliest <= datetime.fromisoformat(thing["created_at"]) <= latest


def test_comments_come_out_one_by_one(crawled: Crawled, truth: dict[str, dict[str, Any]]) -> None:
    said = {item.id: item for item in crawled.items if isinstance(item, Post) and item.kind == "comment"}
    assert len(said) == len(truth["comment"])
    texts = Counter((item.extra["post"], item.text) for item in said.values())
    assert texts == Counter((thing["post"], thing["text"]) for thing in truth["comment"].values())


def test_accounts_and_media_say_whose_they_are(crawled: Crawled, truth: dict[str, dict[str, Any]]) -> None:
    accounts = {
        item.id: item for item in crawled.items if isinstance(item, Account) and "mentioned_only" not in item.extra
    }
    for identity, account in accounts.items():
        assert (account.name, account.bio) == (truth["profile"][identity]["name"], truth["profile"][identity]["bio"])
    posts = {item.id: item for item in crawled.items if isinstance(item, Post) and item.kind == "post"}
    originals = {
        (item.kind, item.id): item
        for item in crawled.items
        if isinstance(item, Media) and item.kind in {"image", "video"} and item.variant == "original"
    }
    for kind in ("image", "video"):
        for identity, thing in truth[kind].items():
            media = originals[kind, identity]
            assert media.url == thing["url"]
            assert media.post in {None, thing["post"]}
            shown = media.extra["short"] if kind == "image" else f"{media.url}_small.mp4"
            assert shown in posts[thing["post"]].media


def test_nothing_is_asked_twice_and_nothing_private(crawled: Crawled) -> None:
    assert max(Counter(fetch.url for fetch in crawled.fetches).values()) == 1
    assert [url for url in crawled.urls() if "/v1/" in url] == ["https://api.parler.com/v1/discover/posts"]
    assert not [url for url in crawled.urls() if "/auth/" in url]
    assert not crawled.refused


@pytest.mark.parametrize(
    ("since", "until"),
    [
        ("2021-01-06T00:00:00+00:00", "2021-01-07T00:00:00+00:00"),
        ("2021-01-09T00:00:00+00:00", None),
        (None, "2020-09-01T00:00:00+00:00"),
        ("2030-01-01T00:00:00+00:00", None),
    ],
)
def test_a_window_is_walked_and_little_else(
    since: str | None, until: str | None, wire: Wire, truth: dict[str, dict[str, Any]]
) -> None:
    found = crawl(ParlerSpider, Seed(url="https://parler.com/", since=since, until=until), wire)
    asked = {fetch.covers[1] for fetch in found.fetches if fetch.covers and fetch.covers[0] == "post"}
    inside = {
        identity
        for identity, thing in truth["post"].items()
        if (since or "") <= thing["created_at"] and (until is None or thing["created_at"] < until)
    }
    assert inside <= asked
    posts = {item.id: item for item in found.items if isinstance(item, Post) and item.kind == "post"}
    sure = {
        identity
        for identity, post in posts.items()
        if post.created_at and ((since and post.created_at[1] < since) or (until and post.created_at[0] >= until))
    }
    assert len(sure) <= 25, "pages that are surely outside were fetched beyond what finding the window takes"
