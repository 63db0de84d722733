"""Every engine of the frontier, under one name. A new engine is one more parameter here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from crawler.frontier.sqlite import SqliteFrontier


@pytest.fixture(params=["memory", "file"])
def frontier(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqliteFrontier]:
    made = SqliteFrontier(":memory:" if request.param == "memory" else tmp_path / "frontier.sqlite")
    made.set_lanes({"listings": 10, "posts": 20, "video": 90})
    yield made
    made.close()
