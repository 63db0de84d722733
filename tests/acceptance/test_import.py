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
from tests.acceptance.written import Page, Truth, differences, parler, write


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


def test_what_another_outlast_noted_beside_its_records_drives_nothing_here(tmp_path: Path) -> None:
    write("parler", 5, tmp_path / "theirs")
    (theirs,) = segments(tmp_path / "theirs")
    ran = archive("import", tmp_path / "ours", theirs, "--seed", "https://elsewhere.example")
    assert ran.code == 0, ran.err
    found = archive("status", tmp_path / "ours", "--json")
    assert (found.code, found.summary["failed"], found.summary["done"]) == (0, 0, 0)


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
    assert "no record of it is whole" in ran.summary["left_out"]["text.warc"]
    assert "archive repair" in ran.summary["left_out"]["torn.warc.gz"]
    assert archive("import", tmp_path / "all", tmp_path / "good.warc.gz", "--seed", "https://x.example").code == 2
    assert archive("import", tmp_path / "nowhere", tmp_path / "good.warc.gz").code == 10
    assert archive("import", tmp_path / "all", tmp_path / "nothing.warc").code == 10
    assert archive("import", tmp_path / "new", bad[0], "--seed", "https://x.example", "--platform", "none").code == 2


def zipped(path: Path, *members: tuple[Path, str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        for file, name in members:
            package.write(file, name)
    return path


def test_of_a_package_nothing_is_passed_over_in_silence(tmp_path: Path) -> None:
    good = written(tmp_path / "good.warc.gz", parler(5, Truth()))
    other = written(tmp_path / "other.warc", parler(7, Truth()), gzip=False)
    (tmp_path / "note.txt").write_text("hello")
    empty = zipped(tmp_path / "empty.zip")
    none = zipped(tmp_path / "none.wacz", (tmp_path / "note.txt", "archive/note.txt"))
    inner = zipped(tmp_path / "inner.wacz", (good, "archive/good.warc.gz"))
    outer = zipped(tmp_path / "outer.zip", (inner, "a/inner.wacz"), (other, "deep/er/other.warc"))
    half = tmp_path / "half.wacz"
    half.write_bytes(inner.read_bytes()[:-300])
    flipped = zipped(tmp_path / "flipped.wacz", (other, "archive/other.warc"))
    data = flipped.read_bytes()
    flipped.write_bytes(data[:900] + bytes(9) + data[909:])
    given = [empty, none, outer, half, flipped]
    ran = archive("import", tmp_path / "all", *given, "--seed", "https://parler.com", "--json")
    assert (ran.code, ran.summary["segments"]) == (6, 1), ran.err
    told = ran.summary["left_out"]
    assert sorted(told) == ["empty.zip", "flipped.wacz/other.warc", "half.wacz", "none.wacz", "outer.zip/a/inner.wacz"]
    assert not any("archive repair" in why for why in told.values())
    assert archive("verify", tmp_path / "all").code == 0
    # The same bytes are known whatever they are called.
    (tmp_path / "another.warc").symlink_to(other)
    ran = archive("import", tmp_path / "all", tmp_path / "another.warc", "--json")
    assert (ran.code, ran.summary["segments"], ran.summary["here_already"]) == (0, 0, 1), ran.err
    for path in (half, inner, empty):
        assert archive("repair", path).code == 2
    (tmp_path / "nothing.warc.gz").touch()
    assert archive("repair", tmp_path / "nothing.warc.gz").code == 3


def test_what_was_taken_down_does_not_come_back_by_an_import(tmp_path: Path) -> None:
    truth, who = Truth(), ["--by", "me", "--reason", "asked"]
    file = written(tmp_path / "posts.warc.gz", parler(5, truth))
    assert archive("import", tmp_path / "all", file, "--seed", "https://parler.com").code == 0
    url = next(iter(truth.posts.values()))["url"]
    assert archive("takedown", tmp_path / "all", "--url", url, *who).code == 0
    assert archive("takedown", tmp_path / "all", "--rewrite", "--purge", "--by", "me").code == 0
    renamed = file.rename(tmp_path / "renamed.warc.gz")
    ran = archive("import", tmp_path / "all", renamed, "--json")
    assert (ran.code, ran.summary["segments"]) == (6, 0), ran.err
    assert "taken down" in ran.summary["left_out"]["renamed.warc.gz"]
    # Another file with the same page is another matter: it is withheld, and that is said.
    more = written(tmp_path / "more.warc.gz", parler(6, Truth()))
    ran = archive("import", tmp_path / "all", more, "--json")
    assert (ran.code, ran.summary["segments"], ran.summary["withheld"]) == (0, 1, ["more.warc.gz"]), ran.err
    assert archive("cat", tmp_path / "all", url).code == 3
    assert archive("takedown", tmp_path / "all", "--lift", "1", *who).code == 0
    ran = archive("import", tmp_path / "all", renamed, "--json")
    assert (ran.code, ran.summary["segments"]) == (0, 1), ran.err
    ran = archive("import", tmp_path / "all", renamed, "--json")
    assert (ran.code, ran.summary["here_already"]) == (0, 1), ran.err
    assert archive("verify", tmp_path / "all").code == 0


@pytest.mark.parametrize("place", ["import.copied", "seal.manifested", "seal.indexed", "seal.renamed"])
def test_an_import_that_was_killed_goes_on(tmp_path: Path, place: str) -> None:
    file = written(tmp_path / "posts.warc.gz", parler(5, Truth()))
    taken = ["import", tmp_path / "all", file, "--seed", "https://parler.com", "--platform", "parler"]
    assert archive(*taken, OUTLAST_FAILPOINT=place).code == -9
    assert archive(*taken).code == 0
    assert [path.read_bytes() for path in (tmp_path / "all" / "warcs").iterdir()] == [file.read_bytes()]
    assert archive("verify", tmp_path / "all").code == 0
