"""Volunteers crawl apart, their disks are merged, and the crawl goes on as if one machine had done it all."""

from __future__ import annotations

from pathlib import Path

from crawler.replicas.run import running
from tests.acceptance.support import apart_from_people, archive, settled


def test_what_volunteers_hold_is_not_asked_for_again(tmp_path: Path) -> None:
    with running("mastodon", size=40) as replica:
        crawl = ["crawl", f"127.0.0.1:{replica.port}", "--workers", "1", "--concurrency", "4", "--into"]
        assert archive(*crawl, tmp_path / "whole").code == 0
        whole = len(replica.ledger())
        for name, limit in (("one", 30), ("two", 60)):
            assert archive(*crawl, tmp_path / name, "--limit", limit).code == 7
        done = {
            name: {key for key, (state, _) in settled(tmp_path / name).items() if state == "done"}
            for name in ("one", "two")
        }
        ran = archive("merge", tmp_path / "all", tmp_path / "one", tmp_path / "two", "--json")
        assert ran.code == 0, ran.err
        assert ran.summary["captures"] == len(done["one"] | done["two"])
        found = settled(tmp_path / "all")
        assert {key for key, (state, _) in found.items() if state == "done"} == done["one"] | done["two"]
        again = archive("merge", tmp_path / "all", tmp_path / "two", "--json")
        assert (again.summary["segments"], again.summary["captures"]) == (0, 0)
        asked = len(replica.ledger())
        ran = archive(*crawl, tmp_path / "all", "--json")
        assert ran.code == 0, ran.err
        more = len(replica.ledger()) - asked
        # A collection that has no frontier of its own settles what it was given, too.
        assert archive("merge", tmp_path / "two", tmp_path / "one").code == 0
        assert len([1 for state, _ in settled(tmp_path / "two").values() if state == "done"]) >= len(done["two"])
    assert apart_from_people(tmp_path / "all") == apart_from_people(tmp_path / "whole")
    assert more < whole - 40
    assert archive("verify", tmp_path / "all").code == 0
