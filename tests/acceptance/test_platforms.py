"""Every platform's replica: all that is public is held, nothing that is private, after a kill -9 in the middle."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.platforms import ROWS, crawled


@pytest.mark.parametrize("name", ROWS)
def test_all_that_is_public_and_nothing_private(name: str, tmp_path: Path) -> None:
    row = crawled(name, tmp_path, size=60)
    assert row.is_good, str(row)
