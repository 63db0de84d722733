"""A whole replica of Parler, crawled with the command a user types, held against the replica's own books."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from fastwarc.warc import ArchiveIterator, WarcRecordType

from tests.acceptance.support import ROOT, archive, doubles, environment, held, segments


def test_everything_public_is_captured(crawled: Any) -> None:
    _, summary, _, truth = crawled
    public = Counter(thing["kind"] for thing in truth if thing["public"])
    assert public["post"] > 200
    for kind in ("post", "profile", "image", "video", "comment"):
        assert summary["coverage"][kind]["captured"] == public[kind], kind


def test_nothing_that_needs_a_login(crawled: Any) -> None:
    directory, _, _, truth = crawled
    private = {thing["url"] for thing in truth if not thing["public"]}
    assert private
    kept = {one.url for one in held(directory) if one.response_type and "-attempts." not in one.segment}
    assert not kept & private


def test_every_block_equals_the_wire(crawled: Any) -> None:
    directory, _, ledger, _ = crawled
    sent = Counter((line["request_sha256"], line["response_sha256"]) for line in ledger)
    kept = [one for one in held(directory) if one.response_type == "response"]
    assert len(kept) > 1000
    for one in kept:
        pair = (one.request_digest.removeprefix("sha256:"), one.response_digest.removeprefix("sha256:"))
        assert sent[pair] > 0, one.url
    requests = Counter(line["request_sha256"] for line in ledger)
    for one in held(directory):
        assert requests[one.request_digest.removeprefix("sha256:")] > 0, one.url


def test_no_fetch_is_settled_twice_and_nothing_is_asked_without_need(crawled: Any) -> None:
    directory, _, ledger, _ = crawled
    assert not doubles(directory)
    asked = Counter((line["host"], line["method"], line["target"]) for line in ledger if line["status"] < 400)
    # The home page is asked once to recognise the platform and may be asked once more as a page.
    assert all(count <= 2 for count in asked.values()), asked.most_common(3)


def test_outside_tools_accept_every_segment(crawled: Any) -> None:
    directory, _, _, _ = crawled
    chunked: set[str] = set()
    for path in segments(directory):
        assert subprocess.run(["gzip", "-t", path], check=False).returncode == 0
        done = subprocess.run(
            [sys.executable, "-m", "fastwarc.cli", "check", str(path)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        with path.open("rb") as stream:
            for record in ArchiveIterator(stream, record_types=WarcRecordType.response):
                if record.http_headers and "chunked" in (record.http_headers.get("Transfer-Encoding") or ""):
                    chunked.add(record.record_id.strip("<>"))
    flagged = set()
    for path in segments(directory):
        done = subprocess.run(
            [sys.executable, "-m", "warcio.cli", "check", "-v", str(path)], capture_output=True, text=True, check=False
        )
        offset_id = ""
        for line in done.stdout.splitlines():
            if "WARC-Record-ID" in line:
                offset_id = line.split("<", 1)[1].split(">", 1)[0]
            if "digest failed" in line:
                flagged.add(offset_id)
    assert len(chunked) > 50
    assert flagged == chunked


def test_revisits_resolve(crawled: Any) -> None:
    directory, _, _, _ = crawled
    responses: dict[str, Any] = {}
    revisits = []
    for path in segments(directory):
        with path.open("rb") as stream:
            for record in ArchiveIterator(stream, parse_http=False):
                headers = {k.lower(): v for k, v in record.headers.items()}
                if headers["warc-type"] == "response":
                    responses[headers["warc-record-id"]] = headers
                elif headers["warc-type"] == "revisit":
                    revisits.append(headers)
    assert len(revisits) >= 100
    for revisit in revisits:
        original = responses[revisit["warc-refers-to"]]
        assert revisit["warc-refers-to-target-uri"] == original["warc-target-uri"]
        assert revisit["warc-refers-to-date"] == original["warc-date"]
        assert revisit["warc-payload-digest"] == original["warc-payload-digest"]
        assert revisit["warc-truncated"] == "length"


def test_an_outside_indexer_finds_what_our_index_has(crawled: Any) -> None:
    directory, _, _, _ = crawled
    for path in segments(directory):
        done = subprocess.run(
            [sys.executable, "-m", "cdxj_indexer.main", str(path)], capture_output=True, text=True, check=True
        )
        ours = (directory / "indexes" / path.name.replace(".warc.gz", ".cdxj")).read_text()
        assert comparable(ours) == comparable(done.stdout), path.name


def comparable(index: str) -> Counter[tuple[str, ...]]:
    lines = []
    for line in index.splitlines():
        key, stamp, facts = line.split(" ", 2)
        found = json.loads(facts)
        lines.append(
            (key, stamp, *(str(found.get(name)) for name in ("url", "mime", "status", "offset", "length", "filename")))
        )
    return Counter(lines)


def test_verify_passes_and_names_a_changed_byte(crawled: Any, tmp_path: Path) -> None:
    directory, _, _, _ = crawled
    assert archive("verify", directory).code == 0
    copy = tmp_path / "copy"
    shutil.copytree(directory, copy)
    victim = max(segments(copy), key=lambda path: path.stat().st_size)
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    ran = archive("verify", copy)
    assert ran.code == 6
    assert victim.name in ran.out


def test_the_items_come_out_equal_from_the_warc_with_the_network_cut(crawled: Any, tmp_path: Path) -> None:
    """Run every callback over the WARC in a process that cannot open a socket; compare with the truth."""
    directory, _, _, truth = crawled
    done = subprocess.run(
        [sys.executable, "-P", str(ROOT / "tests" / "acceptance" / "reread.py"), str(directory)],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
    assert done.returncode == 0, done.stderr
    posts = {}
    for line in done.stdout.splitlines():
        item = json.loads(line)
        if item["item"] == "Post":
            posts[item["id"]] = item
    public = {thing["id"]: thing for thing in truth if thing["public"] and thing["kind"] == "post"}
    assert public.keys() <= posts.keys()
    for identity, thing in public.items():
        assert posts[identity]["author"] == thing["author"], identity
        assert posts[identity]["text"] == thing["text"], identity


def test_the_same_command_says_that_it_is_complete(crawled: Any) -> None:
    directory, _, _, _ = crawled
    ran = archive("crawl", "parler.com", "--into", directory, "--json")
    assert ran.code == 0
    assert "Complete" in ran.err


def test_a_sealed_segment_is_plain_gzip(crawled: Any) -> None:
    directory, _, _, _ = crawled
    for path in segments(directory):
        with gzip.open(path) as stream:
            assert stream.read(10) == b"WARC/1.1\r\n"
