"""The ordinary website: everything it says it has is there, and a trap."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lxml import etree, html

from crawler.replicas.run import Running, running
from tests.integration.replicas.client import Client
from tests.unit.replicas import structure


@pytest.fixture(scope="module")
def plain() -> Iterator[Running]:
    with running("plain") as replica:
        yield replica


@pytest.fixture
def client(plain: Running) -> Iterator[Client]:
    with Client(plain) as opened:
        yield opened


def test_everything_is_there(plain: Running, client: Client) -> None:
    assert plain.ca is None
    assert plain.port == plain.http_port
    for thing in plain.things():
        assert client.ask(thing["url"]).status == (301 if thing["id"] == "/moved" else 200), thing
    assert plain.truth()["public"] == {"page": 37}
    assert len(plain.truth()["paths"]) == 37 + plain.truth()["furniture"]
    assert plain.nmin()["total"] == 43


def test_every_page_can_be_reached(plain: Running, client: Client) -> None:
    seen, todo = set(), ["/", "/sitemap.xml", "/feed.xml"]
    base = plain.url.rstrip("/")
    while todo:
        path = todo.pop().partition("#")[0].removeprefix(base)
        if path in seen or path.startswith(("/calendar/", "/private/")):
            continue
        seen.add(path)
        reply = client.ask(path)
        if path.endswith(".xml"):
            todo += etree.fromstring(reply.body).xpath("//*[local-name()='loc' or local-name()='link']/text()")
        elif reply.headers["content-type"].startswith("text/html") and reply.body:
            todo += html.document_fromstring(reply.body).xpath("//a/@href | //img/@src | //link/@href")
    assert set(plain.truth()["paths"]) - seen == {"/large.png", "/hidden.png", "/back.png"}, (
        "srcset and CSS alone name these"
    )


def test_pictures_redirects_and_dead_ends(client: Client) -> None:
    assert structure.png(client.ask("/back.png").body) == (64, 64)
    assert client.ask("/large.png").body == client.ask("/small.png").body
    assert client.ask("/moved").headers["location"] == "/about"
    assert client.ask("/gone").status == client.ask("/missing.css").status == 404
    assert "Disallow: /private/" in client.ask("/robots.txt").text


def test_the_calendar_never_ends(client: Client) -> None:
    path, seen = "/calendar/2021/01?next=1", set()
    for _ in range(30):
        assert path not in seen
        seen.add(path)
        path = html.document_fromstring(client.ask(path).body).xpath("//a/@href")[-1]
    assert path.startswith("/calendar/2023/")
    for odd in ("/calendar/", "/calendar/x", "/calendar/99999999999/99999999999", "/calendar/2021"):
        assert client.ask(odd).status == 200
