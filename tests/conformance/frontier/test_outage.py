"""A database that goes away, or stands still, costs the time that it is away: up to a bound, and nothing is lost."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from crawler.errors import DatabaseLost
from crawler.frontier.postgres import outage
from crawler.frontier.postgres.engine import PostgresFrontier
from tests.conformance.frontier import database
from tests.conformance.frontier.support import fetch


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with database.server() as address:
        yield address


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage, "NOTICED", 1.0)
    monkeypatch.setattr(outage, "LOOK", 0.2)


def meanwhile(frontier: PostgresFrontier, *verbs: Callable[[], Any]) -> tuple[list[Any], list[str]]:
    """Run verbs one after the other while the outage is watched, as a run does; return what came of them, and was said."""
    said: list[str] = []

    async def run() -> list[Any]:
        watching = asyncio.create_task(frontier.outage.watch(said.append))
        found = [await asyncio.to_thread(verb) for verb in verbs]
        await asyncio.sleep(2 * outage.LOOK)
        watching.cancel()
        return found

    return asyncio.run(run()), said


def test_a_database_that_is_gone_is_waited_for(server: str) -> None:
    with closing(PostgresFrontier(database.schema(server), "one")) as frontier:

        def restart() -> None:
            with database.away(server):
                is_away.set()
                time.sleep(3)

        is_away = threading.Event()
        restarting = threading.Thread(target=restart)
        restarting.start()
        is_away.wait()
        found, said = meanwhile(
            frontier, lambda: frontier.offer([fetch("1")]), lambda: frontier.gate("https://a.example")
        )
        restarting.join()
        assert found == [1, None]
        assert [line.split(" (")[0].split(" after")[0] for line in said] == [
            "The database does not answer", "The database answers again"
        ]  # fmt: skip
        assert (frontier.stats().queued, frontier.outage.seconds) == (1, 0)


def test_a_transaction_that_the_server_ended_is_made_again(server: str) -> None:
    """Where a machine stood still in it: to the server it had fallen silent."""
    with closing(PostgresFrontier(database.schema(server), "one")) as frontier:
        frontier._db.execute("SET idle_in_transaction_session_timeout = 200")
        pauses = iter([0.6])

        def stood_still(place: str) -> None:
            time.sleep(next(pauses, 0))

        frontier.gate_for = stood_still
        assert frontier.offer([fetch("1")]) == 1
        assert frontier.stats().queued == 1


def test_a_database_that_stands_still_is_given_up_in_time(server: str) -> None:
    address = f"{database.schema(server)}&patience=3"
    with closing(PostgresFrontier(address, "one")) as frontier, database.frozen(server):
        began = time.monotonic()
        with pytest.raises(DatabaseLost, match=r"away for [34] s"):
            meanwhile(frontier, lambda: frontier.offer([fetch("1")]))
        with pytest.raises(DatabaseLost, match="away for"):
            frontier.stats()
        assert 3 <= time.monotonic() - began < 6
    with closing(PostgresFrontier(address, "one")) as again:
        assert again.stats().queued == 0


def test_one_that_stands_still_for_less_goes_on(server: str) -> None:
    with closing(PostgresFrontier(database.schema(server), "one")) as frontier:

        def freeze() -> None:
            with database.frozen(server):
                is_frozen.set()
                time.sleep(3)

        is_frozen = threading.Event()
        freezing = threading.Thread(target=freeze)
        freezing.start()
        is_frozen.wait()
        found, said = meanwhile(frontier, lambda: frontier.offer([fetch("1")]))
        freezing.join()
        assert (found, len(said)) == ([1], 2)


def test_who_ends_a_run_waits_for_nothing(server: str) -> None:
    with closing(PostgresFrontier(database.schema(server), "one")) as frontier, database.away(server):
        threading.Timer(1.5, frontier.outage.hurry).start()
        began = time.monotonic()
        with pytest.raises(DatabaseLost):
            frontier.stats()
        assert time.monotonic() - began < 4
