"""Pictures, films and links: real bytes, places only where they were, the same bytes under several ids."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from crawler.replicas.exchange import Clock, Request, frame
from crawler.replicas.launch import NOW
from crawler.replicas.parler.site import ParlerSite
from crawler.replicas.parler.world import World
from crawler.replicas.run import Running
from tests.integration.replicas.client import Client, Clients, get
from tests.unit.replicas import structure

Truth = dict[str, list[dict[str, Any]]]


def test_links_redirect_at_both_doors(truth: Truth, wire: Clients) -> None:
    outside = 0
    for link in truth["link"]:
        for host in ("api.parler.com", "par.pw"):
            reply = wire.get(f"https://{host}/l/{link['id']}")
            assert (reply.status, reply.headers["location"]) == (302, link["target"])
        outside += link["outside"]
        assert link["outside"] == link["target"].startswith("https://elsewhere.example/")
    assert 0 < outside < len(truth["link"])


def test_images_decode_and_say_nothing_more(truth: Truth, wire: Clients) -> None:
    kinds: Counter[str] = Counter()
    for thing in truth["image"] + truth["avatar"] + truth["banner"] + truth["preview"]:
        reply = wire.get(thing["url"])
        assert reply.status == 200
        kinds[reply.headers["content-type"]] += 1
        decode = structure.png if reply.headers["content-type"] == "image/png" else structure.jpeg
        assert min(decode(reply.body)) >= 64
    assert set(kinds) == {"image/png", "image/jpeg"}


def test_only_originals_of_films_say_where_they_were_taken(truth: Truth, wire: Clients) -> None:
    places = 0
    for video in truth["video"]:
        if video["huge"]:
            continue
        reply = wire.get(video["url"])
        assert reply.headers["content-type"] == "video/quicktime"
        notes = structure.film(reply.body)
        assert notes.get(b"\xa9xyz", "") == video["place"]
        assert notes[b"\xa9mak"] == "Invented Camera Works"
        places += bool(video["place"])
        assert 2_000 < len(reply.body) < 400_000
    for variant in truth["variant"]:
        reply = wire.get(variant["url"])
        assert reply.headers["content-type"] == "video/mp4"
        assert structure.film(reply.body) == {}
        assert b"\xa9xyz" not in reply.body
    assert 0 < places < len(truth["video"])


def test_a_huge_original_is_streamed_whole(truth: Truth, parler: Running) -> None:
    (huge,) = [video for video in truth["video"] if video["huge"]]
    reply = get(parler, huge["url"])
    assert int(reply.headers["content-length"]) == len(reply.body) == 20_000_000
    assert structure.film(reply.body).get(b"\xa9xyz", "") == huge["place"]
    line = parler.ledger()[-1]
    assert (line["request_sha256"], line["response_sha256"]) == reply.digests
    assert line["response_bytes"] == len(reply.received)


def test_a_client_that_leaves_a_huge_answer_is_entered_as_cut_off(truth: Truth, parler: Running) -> None:
    (huge,) = [video for video in truth["video"] if video["huge"]]
    with Client(parler, "video.parler.com") as client:
        client.socket.sendall(f"GET {huge['url'][24:]} HTTP/1.1\r\nHost: video.parler.com\r\n\r\n".encode())
        assert client.socket.recv(1000)
    for _ in range(100):
        line = parler.ledger()[-1]
        if line["target"] == huge["url"][24:] and not line["complete"]:
            break
    assert not line["complete"]
    assert 0 < line["response_bytes"] < 20_000_000


def test_a_world_of_2000_posts_has_enough_of_the_same() -> None:
    """At least 100 bodies over 1 KiB are the same as an earlier one; at least 30 % of the HTML is chunked."""
    site = ParlerSite(World(2000), Clock(NOW))
    seen: set[bytes] = set()
    same: Counter[str] = Counter()
    chunked: Counter[bool] = Counter()
    for thing in site.things():
        parts = urlsplit(thing["url"])
        request = Request("GET", parts.hostname or "", parts.path, {"accept-encoding": "gzip"})
        if thing["kind"] in {"image", "video", "avatar", "preview", "variant"}:
            answer = site.answer(request)
            digest = sha256(answer.body).digest()
            same[thing["kind"]] += digest in seen and len(answer.body) > 1024
            seen.add(digest)
        elif thing["kind"] in {"post", "share", "profile"}:
            head, _ = frame(request, site.answer(request), "now")
            chunked[b"Transfer-Encoding: chunked" in head] += 1
    assert same["image"] + same["video"] >= 100, same
    assert sum(same.values()) >= 300
    assert chunked[True] / chunked.total() >= 0.3
