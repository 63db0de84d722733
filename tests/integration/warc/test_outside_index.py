"""Our index and that of cdxj-indexer, run as an outside program, find the same captures under the same keys."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from crawler.warc.cdxj import Indexer, index
from crawler.warc.post import body_query
from crawler.warc.reader import Records
from tests.unit.warc.making import CHUNKED, Segment, capture, plain

POSTS = {
    "json": ("application/json", b'{"limit": 10, "untilId": "9x", "nested": {"limit": [1, true, null]}, "list": ["a", "b"]}'),
    "json with charset": ("application/json; charset=utf-8", '{"q": "Grüße & mehr"}'.encode()),
    "json lines": ("application/json", b'{"a": 1}\n{"a": 2}'),
    "broken json": ("application/json", b"{"),
    "no names": ("application/json", b"[1, 2]"),
    "form": ("application/x-www-form-urlencoded", b"q=a+b%26c&x=%C3%A9"),
    "form, not UTF-8": ("application/x-www-form-urlencoded", b"q=\xff"),
    "text": ("text/plain", b"hello"),
    "text that is json": ("text/plain;charset=UTF-8", b'{"i": "token"}'),
    "bytes": ("application/octet-stream", bytes(range(256))),
    "long": ("application/json", json.dumps({"text": "x" * 9000}).encode()),
    "empty": ("", b""),
}  # fmt: skip


def asked(url: str, method: str, content_type: str, body: bytes) -> bytes:
    head = f"{method} {url.split('example', 1)[1]} HTTP/1.1\r\nHost: a.example\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Content-Type: {content_type}\r\n\r\n".encode() + body


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    segment = Segment(tmp_path_factory.mktemp("index"))
    first = capture("https://www.a.example/First?b=2&a=1")
    made = segment.add(first)
    segment.add(capture("https://a.example:8443/2;x", CHUNKED))
    segment.add(capture("http://a.example/3", b"HTTP/1.1 302 \r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"))
    segment.add(capture("https://a.example/4"), segment.original(made, first))
    segment.add(capture("https://a.example/5", plain(kind='image/png; name="x y"')))
    segment.add(capture("https://a.example/6", b"HTTP/1.1 404 Not Found\r\n\r\n"))
    for number, (content_type, body) in enumerate(POSTS.values()):
        url = f"https://a.example/api/{number}{'?v=1' if number % 2 else ''}"
        method = "PUT" if number == 3 else "POST"
        segment.add(capture(url, method=method, request=asked(url, method, content_type, body)))
    path = segment.close()
    return path.rename(path.with_suffix(""))


def ours(path: Path) -> list[str]:
    indexer = Indexer(path.name)
    lines = [line for record in Records(path) if (line := indexer.line(record)) is not None]
    return index(lines).decode().splitlines()


def theirs(path: Path, *options: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "cdxj_indexer.main", "--sort", *options, path],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def parts(lines: list[str]) -> list[tuple[str, str, dict[str, str]]]:
    split = (line.split(" ", 2) for line in lines)
    return [(key, stamp, json.loads(facts)) for key, stamp, facts in split]


def test_every_field_of_every_line_is_the_same(path: Path) -> None:
    found, due = parts(ours(path)), parts(theirs(path, "--post-append"))
    assert len(found) == 6 + len(POSTS)
    for (key, stamp, facts), (their_key, their_stamp, their_facts) in zip(found, due, strict=True):
        assert (key, stamp) == (their_key, their_stamp)
        # An empty value is not written by us.
        assert facts == {name: value for name, value in their_facts.items() if value}
        assert facts["digest"].startswith("sha256:")


def test_the_index_is_sorted_bytewise_and_finds_its_members(path: Path) -> None:
    lines = [line.encode() for line in ours(path)]
    assert lines == sorted(lines)
    offsets = {str(record.offset): str(record.length) for record in Records(path)}
    for _, _, facts in parts(ours(path)):
        assert offsets[facts["offset"]] == facts["length"]


def test_two_posts_to_one_url_have_two_keys(path: Path) -> None:
    keys = [key for key, _, facts in parts(ours(path)) if facts.get("method") == "POST"]
    assert len(set(keys)) == len(keys) == len(POSTS) - 1


@pytest.mark.parametrize("body", [b"[" * 100_000, b"\xff", b'{"a":1e999}', b'"\\ud800"', b'{"\\ud800":"\\ud800"}'])
def test_a_hostile_body_still_gives_a_key(body: bytes) -> None:
    assert isinstance(body_query("application/json", body), str)
