"""WARC and WACZ files that other programs wrote become part of a collection, and are read with the rest."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from warcio.archiveiterator import ArchiveIterator
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from crawler.replicas.launch import NOW
from crawler.replicas.run import running
from tests.acceptance.support import archive, segments
from tests.acceptance.written import Page, Truth, differences, parler


def written(path: Path, pages: Iterator[Page], *, gzip: bool = True) -> Path:
    """Write pages as warcio does: each answer, then its request."""
    with path.open("wb") as out:
        writer = WARCWriter(out, gzip=gzip)
        writer.write_record(writer.create_warcinfo_record(path.name, {"software": "another crawler"}))
        for page in pages:
            head = StatusAndHeaders("200 OK", [("Content-Type", page.kind)], "HTTP/1.1")
            answer = writer.create_warc_record(
                page.fetch.url,
                "response",
                payload=io.BytesIO(page.body),
                http_headers=head,
                length=len(page.body),
                warc_headers_dict={"WARC-Date": f"{NOW:%Y-%m-%dT%H:%M:%SZ}"},
            )
            asked = StatusAndHeaders(f"GET /{page.fetch.url.split('/', 3)[3]} HTTP/1.1", [], is_http_request=True)
            writer.write_request_response_pair(
                writer.create_warc_record(
                    page.fetch.url, "request", payload=io.BytesIO(), length=0, http_headers=asked
                ),
                answer,
            )
    return path


@pytest.mark.parametrize("kind", ["warc.gz", "warc", "wacz"])
def test_a_dead_platform_that_others_saved_is_read_as_our_own(tmp_path: Path, kind: str) -> None:
    truth = Truth()
    file = written(tmp_path / f"posts.{kind.replace('wacz', 'warc.gz')}", parler(40, truth), gzip=kind != "warc")
    given = file
    if kind == "wacz":
        given = tmp_path / "posts.wacz"
        with zipfile.ZipFile(given, "w") as package:
            package.write(file, "archive/posts.warc.gz")
            package.writestr("pages/pages.jsonl", "{}")
    taken = ["import", tmp_path / "all", given, "--seed", "https://parler.com", "--platform", "parler", "--json"]
    ran = archive(*taken)
    assert (ran.code, ran.summary["segments"]) == (0, 1), ran.err
    (segment,) = segments(tmp_path / "all")
    entry = json.loads((tmp_path / "all" / "manifest.jsonl").read_text())
    assert entry["origin"].endswith(hashlib.sha256(file.read_bytes()).hexdigest())
    assert entry["segment_class"] == "imported"
    if kind != "warc":
        assert segment.read_bytes() == file.read_bytes()
    with segment.open("rb") as ours, file.open("rb") as theirs:
        assert [one.raw_stream.read() for one in ArchiveIterator(ours, no_record_parse=True)] == [
            one.raw_stream.read() for one in ArchiveIterator(theirs, no_record_parse=True)
        ]
    again = archive(*taken)
    assert (again.code, again.summary["segments"], again.summary["here_already"]) == (0, 0, 1)
    ran = archive("verify", tmp_path / "all")
    assert ran.code == 0, ran.out
    ran = archive("export", tmp_path / "all", "--format", "jsonl", "--output", tmp_path / "out")
    assert ran.code == 0, ran.err
    rows = [json.loads(line) for line in (tmp_path / "out" / "posts.jsonl").read_text().splitlines()]
    assert list(differences(iter(rows), truth)) == []


def test_others_files_stand_beside_a_crawl_that_does_not_count_them(tmp_path: Path) -> None:
    with running("mastodon", size=10) as replica:
        crawl = ["crawl", f"127.0.0.1:{replica.port}", "--workers", "1", "--into", tmp_path / "all", "--json"]
        first = archive(*crawl)
        assert first.code == 0, first.err
        truth = Truth()
        file = written(tmp_path / "posts.warc.gz", parler(5, truth))
        assert archive("import", tmp_path / "all", file).code == 0
        again = archive(*crawl)
    assert (again.code, again.summary["captures"]) == (0, first.summary["captures"])
    ran = archive("verify", tmp_path / "all", "--json")
    assert ran.code == 0, ran.out
    url = next(iter(truth.posts.values()))["url"]
    assert archive("cat", tmp_path / "all", url).code == 0
    assert archive("takedown", tmp_path / "all", "--url", url, "--reason", "asked", "--by", "me").code == 0
    assert archive("cat", tmp_path / "all", url).code != 0
    ran = archive("takedown", tmp_path / "all", "--rewrite", "--by", "me")
    assert ran.code == 0, ran.err
    assert archive("verify", tmp_path / "all").code == 0
    assert not any(url.encode() in path.read_bytes() for path in (tmp_path / "all" / "indexes").glob("*.cdxj"))


def test_what_is_damaged_or_no_warc_is_left_out_and_named(tmp_path: Path) -> None:
    good = written(tmp_path / "good.warc.gz", parler(5, Truth())).read_bytes()
    (tmp_path / "torn.warc.gz").write_bytes(good[:-400])
    (tmp_path / "text.warc").write_text("no record at all\n" * 9)
    (tmp_path / "empty.warc.gz").touch()
    bad = [tmp_path / name for name in ("torn.warc.gz", "text.warc", "empty.warc.gz")]
    ran = archive("import", tmp_path / "all", *bad, tmp_path / "good.warc.gz", "--seed", "https://parler.com", "--json")
    assert (ran.code, ran.summary["segments"]) == (6, 1), ran.err
    assert sorted(ran.summary["left_out"]) == ["empty.warc.gz", "text.warc", "torn.warc.gz"]
    assert [path.name.partition("-")[0] for path in (tmp_path / "all" / "warcs").iterdir()] == ["good"]
    assert archive("verify", tmp_path / "all").code == 0
    assert archive("import", tmp_path / "nowhere", tmp_path / "good.warc.gz").code == 10
    assert archive("import", tmp_path / "all", tmp_path / "nothing.warc").code == 10
    assert archive("import", tmp_path / "new", bad[0], "--seed", "https://x.example", "--platform", "none").code == 2
