"""A finished collection looked at again: what is new is taken, and what was edited or deleted is told with its record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from crawler.frontier.reader import FrontierReader
from crawler.replicas.run import running
from tests.acceptance.support import archive


def _changes(directory: Path) -> dict[str, dict[str, Any]]:
    """Return what has changed, by id."""
    told = (json.loads(line) for line in archive("coverage", directory, "--json").out.splitlines())
    return {one["id"]: one for one in told if one["message_type"] == "change"}


def _held(directory: Path) -> set[str]:
    frontier = FrontierReader(directory / "frontier.sqlite")
    try:
        return {thing for _, thing, standing, _ in frontier.covered() if standing == "captured"}
    finally:
        frontier.close()


@pytest.mark.parametrize("name", ["mastodon", "wordpress", "discourse", "forums", "mediawiki"])
def test_what_was_edited_or_deleted_is_told(name: str, tmp_path: Path) -> None:
    with running(name, size=60 if name == "forums" else 40) as replica:
        crawl = ["crawl", f"127.0.0.1:{replica.port}", "--into", tmp_path / "c", "--rate", "200"]
        assert archive(*crawl).code == 0
        asked = len(replica.ledger())
        aged = replica.age(edited=4, deleted=3, added=2)
        again = archive(*crawl, "--again", "--recheck")
        assert again.code == 0, again.err
        assert len(replica.ledger()) - asked <= 1.2 * asked
    changes = _changes(tmp_path / "c")
    assert all(one["segment"] and one["status"] in {200, 404} for one in changes.values())
    told = {word: {key for key, one in changes.items() if one["reason"] == f"{word} in round 2"} for word in
            ("changed", "gone")}  # fmt: skip
    if name == "mediawiki":  # an edit is a revision of its own, and pages go
        assert not told["changed"]
        assert len([one for one in told["gone"] if "/wiki/" in one]) == 3
    else:
        assert told["changed"] == set(aged["edited"])
        assert set(aged["deleted"]) <= told["gone"]
        kept = set(aged["edited"]) | set(aged["added"])
        assert not told["gone"] & kept
        assert set(aged["added"]) <= _held(tmp_path / "c")
