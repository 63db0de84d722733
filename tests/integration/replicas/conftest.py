"""One replica of Parler that several files look at; those that change it start their own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from crawler.replicas.run import Running, running
from tests.integration.replicas.client import Clients


@pytest.fixture(scope="session")
def parler() -> Iterator[Running]:
    with running("parler", posts=300, ledger="bytes", huge=20_000_000) as replica:
        yield replica


@pytest.fixture(scope="session")
def wire(parler: Running) -> Iterator[Clients]:
    clients = Clients(parler)
    yield clients
    clients.close()


@pytest.fixture(scope="session")
def truth(parler: Running) -> dict[str, list[dict[str, Any]]]:
    """kind → what the replica says there is"""
    found: dict[str, list[dict[str, Any]]] = {}
    for thing in parler.things():
        found.setdefault(thing["kind"], []).append(thing)
    return found
