"""With a deadline that cannot fit all, what is of the window is saved, and what will not fit is said beforehand."""

from __future__ import annotations

import json
import sqlite3
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from crawler.replicas.run import running
from tests.acceptance.support import archive

WINDOW = ("2020-12-05", "2020-12-06")


@pytest.fixture(scope="module")
def site() -> Any:
    with running("mastodon", size=300, clock="2021-01-10T12:00:00Z") as replica:
        yield replica


def buckets(place: Path) -> list[dict[str, Any]]:
    with sqlite3.connect(f"file:{place / 'frontier.sqlite'}?mode=ro", uri=True) as db:
        db.row_factory = sqlite3.Row
        found = [dict(row) for row in db.execute("SELECT * FROM bucket")]
    db.close()
    return found


def left(place: Path, days: tuple[str, ...] = ()) -> int:
    return sum(one["queued"] + one["leased"] for one in buckets(place) if not days or one["day"] in days)


def share_saved(place: Path) -> float:
    """Return what share is saved, of which all who say it say the same."""
    said = {archive(command, place, "--json").summary["share_saved"] for command in ("status", "plan")}
    assert len(said) == 1
    return float(said.pop())


def soon(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="seconds")


def start_takes() -> float:
    """Return seconds that a command takes to start; much more than one on a busy machine."""
    began = time.monotonic()
    archive("crawl", "127.0.0.1:1", "--deadline", "tomorrow")
    return time.monotonic() - began


@pytest.mark.timeout(400)  # the deadline is later on a busy machine
def test_the_window_is_saved_by_the_deadline_and_the_same_command_goes_on(site: Any, tmp_path: Path) -> None:
    place, deadline = tmp_path / "c", soon(45 + 2 * start_takes())
    command = [
        "crawl", f"127.0.0.1:{site.port}", "--into", str(place), "--workers", "1", "--deadline", deadline,
        "--window", "/".join(WINDOW),
    ]  # fmt: skip
    ran = archive(*command, "--rate", "9")
    assert ran.code == 7, ran.err
    assert 0 < share_saved(place) < 1
    assert "First: 2020-12-05 00:00 UTC until 2020-12-07 00:00 UTC" in ran.err
    assert left(place) > 20
    assert left(place, WINDOW) == 0
    assert sum(one["done"] for one in buckets(place) if one["day"] in WINDOW) > 60

    entries = [json.loads(line) for line in (place / "plan.jsonl").read_text().splitlines()]
    early = [one for one in entries if datetime.fromisoformat(one["at"]) < datetime.fromisoformat(deadline)]
    halfway = early[len(early) // 2]
    refused = {one["work"] for one in halfway["decisions"] if one["verdict"] != "fits"}
    assert {"images", "extras"} <= refused
    assert not any(work.endswith("of the window") for work in refused)
    assert "machines, each with an address of its own" in "\n".join(halfway["lines"])

    ran = archive("plan", place, "--deadline", soon(86400), "--json")
    assert ran.code == 0
    assert ran.summary["by_deadline"]["likely"]["share"] == pytest.approx(1, abs=0.01)
    assert ran.summary["factor_needed"] < 1

    ran = archive(*command, "--rate", "500")
    assert ran.code == 0, ran.err
    assert "is over; going on as long as the site answers" in ran.err
    assert left(place) == 0
    done, lost = (
        sum(one[state] for one in buckets(place) for state in states) for states in (("done",), ("failed", "parked"))
    )
    assert share_saved(place) == done / (done + lost)


def test_a_budget_is_kept_and_spent_on_what_is_worth_most(site: Any, tmp_path: Path) -> None:
    place = tmp_path / "c"
    # What is under way when the budget is spent still comes, the more the faster and the busier the machine.
    ran = archive(
        "crawl", f"127.0.0.1:{site.port}", "--into", place, "--rate", "40", "--workers", "1", "--budget", "450kB"
    )  # fmt: skip
    assert ran.code == 8, ran.err
    held = buckets(place)
    assert 450_000 <= sum(one["bytes"] for one in held) < 900_000
    done, waiting = ({lane: sum(one[state] for one in held if one["lane"] == lane) for lane in ("posts", "extras")}
                     for state in ("done", "queued"))  # fmt: skip
    assert waiting["extras"] > done["extras"]
    assert done["posts"] > done["extras"]


def test_a_dry_run_says_what_would_fit_and_keeps_nothing(site: Any, tmp_path: Path) -> None:
    ran = archive("crawl", f"127.0.0.1:{site.port}", "--dry-run", "--deadline", soon(3600), "--json", cwd=tmp_path)
    assert ran.code == 0, ran.err
    assert ran.summary["by_deadline"]["likely"]["things"] > 0
    assert list(tmp_path.iterdir()) == []


def test_what_makes_no_sense_is_said(tmp_path: Path) -> None:
    for arguments in (
        ["--deadline", "tomorrow"], ["--window", "2021-01-07/2021-01-05"], ["--first", "2021-01-06", "--tz", "Mars/X"],
        ["--budget", "much"], ["--window", "x/y"],
    ):  # fmt: skip
        ran = archive("crawl", "127.0.0.1:1", *arguments, cwd=tmp_path)
        assert ran.code == 2, (arguments, ran.err)
        assert len(ran.err.strip().splitlines()) <= 4
    assert list(tmp_path.iterdir()) == []
