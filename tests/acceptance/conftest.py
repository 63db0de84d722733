"""One crawl of the Parler replica that several files look at."""

from __future__ import annotations

from typing import Any

import pytest

from crawler.replicas.run import running
from tests.acceptance.support import archive, to_replica

POSTS = 1000


@pytest.fixture(scope="session")
def crawled(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """(directory, summary, the replica's ledger, its truth)"""
    directory = tmp_path_factory.mktemp("replica") / "c"
    with running("parler", posts=POSTS) as replica:
        ran = archive("crawl", "parler.com", "--into", directory, *to_replica(replica), "--json")
        assert ran.code == 0, ran.err
        ledger = replica.ledger()
        truth = list(replica.things())
    return directory, ran.summary, ledger, truth
