"""The server and its books: what it says it sent is what arrived, byte for byte."""

from __future__ import annotations

import json
import socket
import ssl
from base64 import b64decode
from typing import Any

import pytest

from crawler.replicas.exchange import MAX_HEAD
from crawler.replicas.parler.api import cookies
from crawler.replicas.run import Running, running
from tests.integration.replicas.client import Client, Clients, Reply, get

Truth = dict[str, list[dict[str, Any]]]


def test_its_certificate_is_good_for_every_host_and_no_other(parler: Running) -> None:
    assert parler.ca is not None
    for host in parler.hosts:
        with Client(parler, host) as client:
            assert isinstance(client.socket, ssl.SSLSocket)
            assert client.socket.version() == "TLSv1.3"
            assert client.ask("/").status in {200, 301, 404}
    for host, ca in (("elsewhere.example", parler.ca), ("parler.com", None)):
        context = ssl.create_default_context(cafile=str(ca) if ca else None)
        with socket.create_connection(("127.0.0.1", parler.port)) as raw, pytest.raises(ssl.SSLCertVerificationError):
            context.wrap_socket(raw, server_hostname=host)


def test_the_ledger_holds_what_came_and_what_went(parler: Running, truth: Truth, wire: Clients) -> None:
    before = len(parler.ledger())
    urls = [next(thing["url"] for thing in things if not thing.get("huge")) for things in truth.values()]
    replies = [wire.get(url, Accept_Encoding="gzip") for url in urls]
    lines = parler.ledger()[before:]
    assert len(lines) == len(replies)
    for url, reply, line in zip(urls, replies, lines, strict=True):
        assert url == f"{line['scheme']}://{line['host']}{line['target']}"
        assert (line["request_sha256"], line["response_sha256"]) == reply.digests
        assert (line["request_bytes"], line["response_bytes"]) == (len(reply.sent), len(reply.received))
        assert (line["status"], line["complete"], line["fault"]) == (reply.status, True, None)
        assert (b64decode(line["request"]), b64decode(line["response"])) == (reply.sent, reply.received)
    assert [line["sequence"] for line in lines] == list(range(before + 1, before + 1 + len(lines)))


def test_the_same_url_gets_the_same_bytes(parler: Running, truth: Truth, wire: Clients) -> None:
    urls = [thing["url"] for kind in ("post", "profile", "share", "image", "link") for thing in truth[kind][:40]]
    first = [wire.get(url, Accept_Encoding="gzip").received for url in urls]
    with running("parler", posts=300, ledger="off") as twin:
        assert twin.port != parler.port
        again = Clients(twin)
        assert [again.get(url, Accept_Encoding="gzip").received for url in urls] == first
        twin.clock("2021-02-01T00:00:00Z")
        later = [again.get(url, Accept_Encoding="gzip") for url in urls]
        again.close()
    assert all(reply.headers["date"] == "Mon, 01 Feb 2021 00:00:00 GMT" for reply in later)
    assert " ago" in later[0].text
    assert all(reply.received != old for reply, old in zip(later, first, strict=True))


def test_requests_in_a_row_are_answered_in_a_row(parler: Running) -> None:
    with Client(parler, "api.parler.com") as client:
        one = b"GET /v3/uuidConversion/post/%d HTTP/1.1\r\nHost: api.parler.com\r\n\r\n"
        wanted = [client.send(one % n).received for n in range(1, 30)]
        data = b"".join(one % n for n in range(1, 30))
        got = b""
        for at in range(0, len(data), 101):
            client.socket.sendall(data[at : at + 101])
        while len(got) < len(b"".join(wanted)):
            got += client.socket.recv(65536)
        assert got == b"".join(wanted)


def test_methods_and_versions(parler: Running) -> None:
    with Client(parler, "parler.com") as client:
        assert client.ask("/robots.txt", "HEAD").received.endswith(b"\r\n\r\n")
        refused = client.ask("/", "DELETE")
        assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD")
        last = client.ask("/robots.txt", version="HTTP/1.0")
        assert last.headers["connection"] == "close"
        assert client.socket.recv(1) == b""
    with Client(parler, "parler.com") as client:
        assert client.ask("/robots.txt", Connection="close").status == 200
        assert client.socket.recv(1) == b""


@pytest.mark.parametrize(
    "raw", [b"hello\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"\x16" * (MAX_HEAD + 1)]
)
def test_nonsense_is_answered_entered_and_hung_up_on(parler: Running, raw: bytes) -> None:
    with Client(parler, "parler.com") as client:
        reply = client.send(raw)
        assert reply.status == 400
    line = parler.ledger()[-1]
    assert (line["method"], line["status"], line["request_bytes"]) == ("", 400, len(raw))


def test_another_host_and_plain_http(parler: Running) -> None:
    with Client(parler, "parler.com") as client:
        assert client.send(b"GET / HTTP/1.1\r\nHost: other.example\r\n\r\n").status == 421
    with Client(parler, "parler.com", plain=True) as client:
        reply = client.ask("/post/x?y=1")
        assert (reply.status, reply.headers["location"]) == (301, "https://parler.com/post/x?y=1")
    assert parler.ledger()[-1]["scheme"] == "http"
    assert get(parler, "https://www.parler.com/robots.txt").headers["location"] == "https://parler.com/robots.txt"


def test_the_api_answers_whoever_is_logged_in(parler: Running, truth: Truth, wire: Clients) -> None:
    posts = {post["id"]: post for post in truth["post"]}
    seen, target, jar = [], "/v1/discover/posts", cookies(1)
    for _ in range(100):
        reply = wire.get(f"https://api.parler.com{target}", Cookie="; ".join(f"{k}={v}" for k, v in jar.items()))
        assert reply.status == 200
        renewed = reply.headers["set-cookie"].partition(";")[0].partition("=")
        assert renewed[0] == "jst"
        assert renewed[2] != jar["jst"]
        jar["jst"] = renewed[2]
        data = loads(reply)
        seen += data["posts"]
        if data["last"]:
            break
        target = f"/v1/discover/posts?startkey={data['next']}"
    assert [post["id"] for post in seen] == [post["id"] for post in reversed(truth["post"])]
    for post in seen:
        thing = posts[post["id"]]
        assert post["body"] == thing["text"]
        assert post["createdAt"] == thing["created_at"][:19].translate(str.maketrans("", "", "-:T"))
        assert [post["parent"], post["root"]] == [*thing["echoes"], None, None][:2]
        assert isinstance(post["upvotes"], str)


def test_keys_seek_in_time_and_forged_cookies_do_not_open(truth: Truth, wire: Clients) -> None:
    jar = "; ".join(f"{k}={v}" for k, v in cookies(1).items())
    noon = "2021-01-06T12:00:00.000Z_0"
    data = loads(wire.get(f"https://api.parler.com/v1/feed?startkey={noon}", Cookie=jar))
    before = [post["id"] for post in truth["post"] if post["created_at"] <= "2021-01-06T12:00:00"]
    assert [post["id"] for post in data["posts"]] == before[:-21:-1]
    author = max(truth["profile"], key=lambda p: sum(post["author"] == p["id"] for post in truth["post"]))["id"]
    data = loads(wire.get(f"https://api.parler.com/v1/post/creator?username={author}", Cookie=jar))
    own = [post["id"] for post in reversed(truth["post"]) if post["author"] == author]
    assert [post["id"] for post in data["posts"]] == own[:20]
    assert data["last"] is False
    commented = next(comment for comment in truth["comment"] if comment["parent"])
    data = loads(wire.get(f"https://api.parler.com/v1/comment?id={commented['post']}", Cookie=jar))
    assert {c["id"] for c in data["comments"]} == {c["id"] for c in truth["comment"] if c["post"] == commented["post"]}
    assert loads(wire.get(f"https://api.parler.com/v1/profile?username={author}", Cookie=jar))["username"] == author
    assert wire.get("https://api.parler.com/v1/nothing", Cookie=jar).status == 404
    assert wire.get("https://api.parler.com/v1/feed?startkey=soon", Cookie=jar).status == 400
    for forged in ("mst=x; jst=y", jar[:-1], jar.replace("jst=0", "jst=1"), jar.partition(";")[0]):
        assert wire.get("https://api.parler.com/v1/feed", Cookie=forged).status == 401


def loads(reply: Reply) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(reply.body)
    return found
