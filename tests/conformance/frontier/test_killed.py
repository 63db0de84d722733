"""SIGKILL a writer at random moments: what it acknowledged is there, and nothing is lost."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from crawler.frontier.postgres.engine import PostgresFrontier
from crawler.frontier.sqlite import SqliteFrontier
from tests.acceptance.support import ROOT, environment
from tests.conformance.frontier import database

WRITER = """
import sys
from crawler.frontier.postgres.engine import PostgresFrontier
from crawler.frontier.sqlite import SqliteFrontier
from tests.conformance.frontier.support import at, fetch, lease, settle, told
place = sys.argv[1]
frontier = PostgresFrontier(place, "here") if place.startswith("postgresql:") else SqliteFrontier(place)
frontier.reset_leases()
frontier.offer([fetch(str(n)) for n in range(100)])
print("ready", flush=True)
while (got := lease(frontier, 10)):
    settle(frontier, *(told(one, location=at(one.id * 100), outlinks=(fetch(f"{one.id}/x") ,) if one.id < 2000 else ()) for one in got))
    print(*(one.id for one in got), flush=True)
"""


@pytest.mark.parametrize("engine", ["file", "postgres"])
@pytest.mark.parametrize("moment", ["frontier.before-commit:7", "frontier.committed:7", "", "", "", ""])
def test_kill(tmp_path: Path, postgres: str, engine: str, moment: str) -> None:
    path = str(tmp_path / "frontier.sqlite") if engine == "file" else database.schema(postgres)
    acknowledged: set[int] = set()
    for turn in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, path],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment(OUTLAST_FAILPOINT=moment if turn == 0 else ""),
        ) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            if not moment or turn:
                time.sleep(random.uniform(0.02, 0.3))
                writer.kill()
            acknowledged |= {int(word) for line in writer.stdout if line.endswith("\n") for word in line.split()}
    frontier = SqliteFrontier(path) if engine == "file" else PostgresFrontier(path, "here")
    frontier.reset_leases()
    stats = frontier.stats()
    done = {row[0] for row in frontier._db.execute("SELECT id FROM fetch WHERE state = 'done'")}
    total = frontier._db.execute("SELECT count(*) FROM fetch").fetchone()[0]
    if engine == "file":
        assert frontier._db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    frontier.close()
    assert acknowledged <= done
    assert stats.done == len(done)
    assert stats.done + stats.queued == total
