"""Random histories against a model of ten lines: offers, leases, commits, crashes."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from crawler.frontier.postgres.engine import PostgresFrontier
from crawler.frontier.sqlite import SqliteFrontier
from crawler.model import Leased, State
from tests.conformance.frontier import database
from tests.conformance.frontier.support import at, fetch, lease, settle, told


class FrontierMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.frontier = self.open()
        #: path → state, for everything ever offered.
        self.model: dict[str, State] = {}
        self.held: list[Leased] = []
        self.stale: list[Leased] = []
        self.offset = 0

    def open(self) -> SqliteFrontier:
        return SqliteFrontier(Path(self.folder.name) / "frontier.sqlite")

    def name(self, leased: Leased) -> str:
        return leased.fetch.url.rsplit("/", 1)[1]

    @rule(paths=st.lists(st.integers(0, 30).map(str), max_size=6))
    def offer(self, paths: list[str]) -> None:
        new = {path for path in paths if path not in self.model}
        assert self.frontier.offer([fetch(path) for path in paths]) == len(new)
        self.model |= dict.fromkeys(new, State.QUEUED)

    @rule(n=st.integers(1, 5))
    def lease(self, n: int) -> None:
        got = lease(self.frontier, n)
        queued = [path for path, state in self.model.items() if state is State.QUEUED]
        assert len(got) == min(n, len(queued))
        for one in got:
            assert self.model[self.name(one)] is State.QUEUED
            self.model[self.name(one)] = State.LEASED
        self.held += got

    @rule(data=st.data(), state=st.sampled_from([State.DONE, State.FAILED, State.PARKED, State.QUEUED]))
    def commit(self, data: st.DataObject, state: State) -> None:
        if not self.held:
            return
        one = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        link = str(data.draw(st.integers(0, 30)))
        self.offset += 100
        assert settle(self.frontier, told(one, state, location=at(self.offset), outlinks=(fetch(link),))) == 1
        self.model[self.name(one)] = state
        self.model.setdefault(link, State.QUEUED)
        self.stale.append(one)

    @rule(data=st.data())
    def commit_stale(self, data: st.DataObject) -> None:
        if self.stale:
            one = self.stale[data.draw(st.integers(0, len(self.stale) - 1))]
            if one not in self.held:
                assert settle(self.frontier, told(one)) == 0

    @rule()
    def crash(self) -> None:
        self.frontier.close()
        self.frontier = self.open()
        assert self.frontier.reset_leases() == len(self.held)
        for one in self.held:
            self.model[self.name(one)] = State.QUEUED
        self.stale += self.held
        self.held = []

    @invariant()
    def counts_agree(self) -> None:
        stats = self.frontier.stats()
        for state in (State.QUEUED, State.LEASED, State.DONE, State.FAILED, State.PARKED):
            assert getattr(stats, state.value) == sum(known is state for known in self.model.values())

    def teardown(self) -> None:
        self.frontier.close()
        self.folder.cleanup()


class PostgresMachine(FrontierMachine):
    #: The address of a server, where the test set one up.
    server = ""

    def __init__(self) -> None:
        self.address = database.schema(self.server)
        super().__init__()

    def open(self) -> SqliteFrontier:
        return PostgresFrontier(self.address, "here")

    def teardown(self) -> None:
        super().teardown()
        database.drop(self.address)


FrontierMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestFrontier = FrontierMachine.TestCase
PostgresMachine.TestCase.settings = settings(max_examples=12, stateful_step_count=25, deadline=None)


@pytest.mark.usefixtures("served")
class TestPostgres(PostgresMachine.TestCase):  # type: ignore[misc, name-defined]
    pass


@pytest.fixture(scope="module")
def served(postgres: str) -> None:
    PostgresMachine.server = postgres
