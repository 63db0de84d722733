"""A site that limits us is obeyed by every worker at once, and loses us nothing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.acceptance.limited import LimitedSite, Seen
from tests.acceptance.support import archive, settled

RATE, WAIT, PAGES = 25, 2, 500
#: Seconds a request may still leave after a worker was told to wait, and what a busy machine may add to see it.
LATE = 0.1 + 0.15


def test_two_workers_obey_retry_after_and_get_everything(tmp_path: Path) -> None:
    with LimitedSite(PAGES, rate=RATE, wait=WAIT) as site:
        ran = archive(
            "crawl", f"127.0.0.1:{site.port}", "--into", tmp_path / "c", "--workers", 2, "--json", timeout=110
        )
    assert ran.code == 0, ran.err
    pages = {f"/{n}" for n in range(1, PAGES)} | {"/"}
    assert {seen.path for seen in site.log if seen.status == 200} >= pages
    assert sum(state == "done" and status == 200 for state, status in settled(tmp_path / "c").values()) >= PAGES
    assert early(site.log) == []
    assert Counter(seen.status for seen in site.log)[429] < 60
    assert said(tmp_path / "c"), "each wait is explained in the log"


def early(log: list[Seen]) -> list[tuple[Seen, float]]:
    """Return the requests that were answered while the site had told us to wait."""
    found, first, until = [], 0.0, 0.0
    for seen in log:
        if first + LATE < seen.at < until - 0.05:
            found.append((seen, until - seen.at))
        if seen.status == 429:
            first = seen.at if seen.at >= until else first
            until = max(until, seen.at + WAIT)
    return found


def said(directory: Path) -> list[str]:
    lines = (directory / "logs" / "crawl.log").read_text().splitlines()
    return [line for line in lines if "HTTP 429; waiting 2 s (Retry-After)" in line]
