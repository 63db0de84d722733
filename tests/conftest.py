"""What all tests share: a clean environment, and the switch for tests that need programs from apt or npm."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

for name in [name for name in os.environ if name.startswith("OUTLAST_")]:
    del os.environ[name]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--outside", action="store_true", help="run only the tests that need programs from apt or npm")
    parser.addoption("--screenshots", type=Path, help="keep there what a browser showed")


@pytest.fixture(scope="session")
def screenshots(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures of what a browser showed go: the directory that ``--screenshots`` names, or one of pytest's."""
    folder: Path = request.config.getoption("--screenshots") or tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect, never skip: a run with a skipped test is a failed one for .ci/run."""
    wanted = config.getoption("--outside")
    chosen = [item for item in items if ("outside" in item.keywords) == wanted]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(chosen)])
    items[:] = chosen
