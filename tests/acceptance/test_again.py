"""A finished collection crawled again: what is new or changed is fetched, what is known and what has not changed is not."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from fastwarc.warc import ArchiveIterator

from crawler.replicas.run import running
from tests.acceptance.support import archive


def _revisits(directory: Path) -> Counter[str]:
    found: Counter[str] = Counter()
    for path in (directory / "warcs").glob("*.warc.gz"):
        with path.open("rb") as stream:
            found.update(
                record.headers["WARC-Profile"].rpartition("/")[2]
                for record in ArchiveIterator(stream, parse_http=False)
                if record.headers["WARC-Type"] == "revisit"
            )
    return found


def test_a_new_round_stops_where_known_territory_begins(tmp_path: Path) -> None:
    with running("mastodon", size=300) as replica:
        crawl = ["crawl", f"127.0.0.1:{replica.port}", "--into", tmp_path / "c"]
        assert archive(*crawl).code == 0
        before = Counter(one["target"].partition("?")[0] for one in replica.ledger())
        finished = archive(*crawl)
        assert finished.code == 0
        assert Counter(one["target"].partition("?")[0] for one in replica.ledger()) == before
        again = archive(*crawl, "--again")
        assert again.code == 0, again.err
        assert "Round 2" in again.err
        ledger = replica.ledger()[sum(before.values()) :]
    pages = [one for one in ledger if "/timelines/" in one["target"]]
    assert len(pages) == 1
    assert len([one for one in before if "/timelines/" in one]) == 1
    media = [one for one in ledger if one["target"].startswith("/system/")]
    assert media
    assert {one["status"] for one in media} == {304}
    revisits = _revisits(tmp_path / "c")
    assert revisits["server-not-modified"] == sum(one["status"] == 304 for one in ledger)
    assert archive("verify", tmp_path / "c").code == 0


def test_a_list_that_only_names_what_there_is_stops_there_too(tmp_path: Path) -> None:
    with running("peertube", size=115) as replica:
        crawl = ["crawl", f"127.0.0.1:{replica.port}", "--into", tmp_path / "c"]
        assert archive(*crawl).code == 0
        before = len(replica.ledger())
        again = archive(*crawl, "--again")
        assert again.code == 0, again.err
        targets = [one["target"] for one in replica.ledger()]
    lists = [at for at, target in enumerate(targets) if target.startswith("/api/v1/videos?")]
    assert [at < before for at in lists] == [True, True, False]


def test_a_list_of_numbered_posts_stops_at_the_first_page_that_is_known(tmp_path: Path) -> None:
    with running("discourse", size=120) as replica:
        crawl = ["crawl", f"127.0.0.1:{replica.port}", "--into", tmp_path / "c", "--rate", "100"]
        assert archive(*crawl).code == 0
        before = len(replica.ledger())
        again = archive(*crawl, "--again")
        assert again.code == 0, again.err
        targets = [one["target"] for one in replica.ledger()]
    lists = [at for at, target in enumerate(targets) if target.startswith("/posts.json")]
    assert [at < before for at in lists] == [True, True, True, False]


def test_a_new_round_of_lists_in_pages_reads_the_first_of_each(tmp_path: Path) -> None:
    with running("ghost", size=220) as replica:
        crawl = ["crawl", f"127.0.0.1:{replica.port}", "--into", tmp_path / "c"]
        assert archive(*crawl).code == 0
        before = [one["target"] for one in replica.ledger()]
        assert archive(*crawl, "--again").code == 0
        after = [one["target"] for one in replica.ledger()[len(before) :]]

    def pages(asked: list[str]) -> int:
        return sum("/content/posts/" in one for one in asked)

    assert pages(before) == 2
    assert pages(after) == 1
    assert len(after) < len(before) * 0.75
    # Nothing was edited, and nothing is gone.
    assert '"change"' not in archive("coverage", tmp_path / "c", "--json").out
    told = [json.loads(line) for line in archive("status", tmp_path / "c", "--by-day", "--json").out.splitlines()]
    by_day = Counter[str]()
    for one in told[:-1]:
        by_day[one["kind"]] += one.get("captured", 0)
    assert by_day == {kind: counts["captured"] for kind, counts in told[-1]["coverage"].items()}


def test_what_was_missing_is_asked_for_again_when_told(tmp_path: Path) -> None:
    with running("plain") as replica:
        crawl = ["crawl", f"127.0.0.1:{replica.port}", "--into", tmp_path / "c"]
        assert archive(*crawl).code == 0
        asked = len(replica.ledger())
        told = archive(*crawl, "--retry", "missing")
        assert "missing fetches queued again" in told.err
        more = [one["target"] for one in replica.ledger()[asked:]]
        assert "/gone" in more
        gaps = archive("coverage", tmp_path / "c")
        assert gaps.code == 3
        assert "/gone" in gaps.out
        assert ".warc.gz:" in gaps.out
