"""Every engine of the frontier, under one name. A new engine is one more parameter here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crawler.frontier import reader
from crawler.frontier.errands import ErrandFrontier
from crawler.frontier.postgres.engine import PostgresFrontier
from crawler.frontier.sqlite import SqliteFrontier
from tests.conformance.frontier import database

#: Makes a frontier, or opens again the one that it made before; the name tells several apart.
Opener = Callable[[], SqliteFrontier]


@pytest.fixture(autouse=True)
def few_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a file's index be written, and written on, within what a test does."""
    monkeypatch.setattr(reader, "MOST_FETCHES", 3)
    monkeypatch.setattr(reader, "MOST_PAYLOADS", 2)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a database."""
    with database.server() as address:
        yield address


@pytest.fixture(params=["file", "postgres"])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    """What opens one frontier of each lasting engine, again and again."""
    if request.param == "file":
        yield lambda: SqliteFrontier(tmp_path / "frontier.sqlite")
        return
    address = database.schema(request.getfixturevalue("postgres"))
    yield lambda: PostgresFrontier(address, "here")
    database.drop(address)


@pytest.fixture(params=["memory", "file", "postgres", "errands"])
def frontier(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqliteFrontier]:
    address = ""
    if request.param == "postgres":
        address = database.schema(request.getfixturevalue("postgres"))
        made: SqliteFrontier = PostgresFrontier(address, "here")
    elif request.param == "errands":
        made = ErrandFrontier(tmp_path / "frontier.sqlite", 7)
    else:
        made = SqliteFrontier(":memory:" if request.param == "memory" else tmp_path / "frontier.sqlite")
    made.set_lanes({"listings": 10, "posts": 20, "video": 90})
    yield made
    made.close()
    if address:
        database.drop(address)
