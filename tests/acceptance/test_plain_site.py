"""An ordinary website, crawled with no flag at all; and the limits, filters and lists a user sets."""

from __future__ import annotations

import json
import sqlite3
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from crawler.replicas.run import running
from tests.acceptance.support import archive, doubles, held, settled, start


@pytest.fixture(scope="module")
def site() -> Any:
    with running("plain") as replica:
        yield replica


def targets(directory: Path, site: Any) -> set[str]:
    kept = (one for one in held(directory) if one.response_type and "-attempts." not in one.segment)
    return {one.url.removeprefix(site.url.rstrip("/")) for one in kept}


def test_a_site_is_saved_whole(site: Any, tmp_path: Path) -> None:
    ran = archive("crawl", site.url, "--into", tmp_path / "c", "--json")
    assert ran.code == 0, ran.err
    kept = targets(tmp_path / "c", site)
    assert not set(site.truth()["paths"]) - kept
    assert not {path for path in kept if path.startswith("/private/")}
    assert not doubles(tmp_path / "c")
    assert ran.summary["coverage"]["page"]["refused"] == 1
    assert archive("verify", tmp_path / "c").code == 0
    sent = {(line["request_sha256"], line["response_sha256"]) for line in site.ledger()}
    for one in held(tmp_path / "c"):
        if one.response_type == "response":
            assert (one.request_digest[7:], one.response_digest[7:]) in sent, one.url


def test_robots_can_be_ignored_or_observed(site: Any, tmp_path: Path) -> None:
    for policy in ("ignore", "observe"):
        archive("crawl", site.url, "--into", tmp_path / policy, "--robots", policy, "--exclude", "/calendar/")
        assert "/private/diary" in targets(tmp_path / policy, site)
    assert "would have refused" in (tmp_path / "observe" / "logs" / "crawl.log").read_text()


def test_filters_limit_what_is_fetched(site: Any, tmp_path: Path) -> None:
    assert (
        archive("crawl", site.url, "--into", tmp_path / "a", "--exclude", "/calendar/", "--exclude", "/page/2").code
        == 0
    )
    kept = targets(tmp_path / "a", site)
    assert not {path for path in kept if "/calendar/" in path or "/page/2" in path}
    assert archive("crawl", site.url, "--into", tmp_path / "b", "--include", "/page/", "--offsite", "none").code == 0
    assert {"/", "/page/0"} <= targets(tmp_path / "b", site)
    assert "/about" not in targets(tmp_path / "b", site)


def test_a_limit_stops_and_the_same_command_goes_on(site: Any, tmp_path: Path) -> None:
    command = ["crawl", site.url, "--into", tmp_path / "c", "--exclude", "/calendar/"]
    ran = archive(*command, "--limit", "10", "--json")
    assert ran.code == 7
    assert 10 <= ran.summary["captures"] < 60
    assert archive("resume", tmp_path / "c").code == 0
    assert not set(site.truth()["paths"]) - targets(tmp_path / "c", site)
    assert not {path for path in targets(tmp_path / "c", site) if path.startswith("/calendar/2021/02")}, (
        "the filter is remembered"
    )
    assert archive(*command, "--json").summary["captures"] == len(
        [s for s, _ in settled(tmp_path / "c").values() if s == "done"]
    )
    assert not doubles(tmp_path / "c")


def test_max_time_and_max_bytes_have_their_codes(site: Any, tmp_path: Path) -> None:
    with running("plain", latency=300) as slow:
        assert archive("crawl", slow.url, "--into", tmp_path / "t", "--max-time", "1s").code == 7
        assert archive("crawl", slow.url, "--into", tmp_path / "b", "--max-bytes", "5KB").code == 8


def test_a_list_is_fetched_too(site: Any, tmp_path: Path) -> None:
    listing = tmp_path / "urls.txt"
    listing.write_text(f"# wanted\n{site.url}page/5\n\n{site.url}unlinked?x=1\n")
    ran = archive("crawl", site.url, "-i", listing, "--into", tmp_path / "c", "--include", "/nothing-else")
    assert ran.code == 0, ran.err
    asked = Counter(one.url for one in held(tmp_path / "c"))
    assert asked[f"{site.url}page/5"]
    assert asked[f"{site.url}unlinked?x=1"]


def test_a_lost_frontier_is_made_anew_from_the_warcs(site: Any, tmp_path: Path) -> None:
    command = ["crawl", site.url, "--into", tmp_path / "c", "--exclude", "/calendar/", "--json"]
    whole = archive(*command).summary
    for path in (tmp_path / "c").glob("frontier.sqlite*"):
        path.unlink()
    before = len(site.ledger())
    ran = archive(*command)
    assert ran.code == 0, ran.err
    assert ran.summary["coverage"] == whole["coverage"]
    assert ran.summary["captures"] == whole["captures"]
    # Whoever is missing gets its second look again; nothing that is held is asked for.
    assert len(site.ledger()) - before <= 4
    assert not doubles(tmp_path / "c")


def test_a_segment_damaged_before_its_commits_is_not_cut(site: Any, tmp_path: Path) -> None:
    command = ["crawl", site.url, "--into", tmp_path / "c", "--exclude", "/calendar/"]
    crawl = start(*command, OUTLAST_FAILPOINT="frontier.committed:4")
    crawl.wait(timeout=60)
    time.sleep(1)
    victim = next((tmp_path / "c" / "warcs").glob("*-text.warc.gz.open"))
    with sqlite3.connect(tmp_path / "c" / "frontier.sqlite") as db:
        mark = db.execute(
            "SELECT max(low_water) FROM segment WHERE name = ?", (victim.name.removesuffix(".open"),)
        ).fetchone()[0]
    db.close()
    data = victim.read_bytes()[: mark - 10]
    victim.write_bytes(data)
    ran = archive(*command)
    assert ran.code == 6, ran.err
    assert victim.read_bytes() == data


def test_faults_are_waited_out(tmp_path: Path) -> None:
    with running("plain", faults="429=1%9*3,502%11*3,cut%17*2,reset%13*2") as faulty:
        ran = archive("crawl", faulty.url, "--into", tmp_path / "c", "--exclude", "/calendar/", "--json")
        assert ran.code == 0, ran.err
        assert not set(faulty.truth()["paths"]) - targets(tmp_path / "c", faulty)
    assert ran.summary["attempts"] >= 6
    assert archive("verify", tmp_path / "c").code == 0


def test_every_command_ends_with_a_summary(site: Any, tmp_path: Path) -> None:
    commands = [
        ["crawl", site.url, "--into", tmp_path / "c", "--limit", "3"], ["status", tmp_path / "c"], ["verify", tmp_path / "c"],
        ["detect", site.url], ["doctor"], ["completion", "bash"],
    ]  # fmt: skip
    for command in commands:
        ran = archive(*command, "--json", cwd=tmp_path)
        last = json.loads(ran.out.splitlines()[-1])
        assert last["message_type"] == "summary", command
        assert "Traceback" not in ran.err
