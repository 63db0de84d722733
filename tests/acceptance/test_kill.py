"""kill -9 at 25 moments loses nothing and settles nothing twice. ``benchmarks/kill.py`` does a hundred and more."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from crawler.replicas.run import running
from tests.acceptance.killing import FAILPOINTS, WHO, baseline, crawl_command, kill_once, try_moment
from tests.acceptance.support import archive, settled

MOMENTS = [*FAILPOINTS, *WHO, *WHO, *WHO]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with running("parler", posts=100) as replica:
        yield replica, baseline(replica, tmp_path_factory.mktemp("whole") / "c")


@pytest.mark.parametrize(
    ("number", "moment"), list(enumerate(MOMENTS)), ids=[f"{n}-{m}" for n, m in enumerate(MOMENTS)]
)
def test_kill(site: Any, tmp_path: Path, number: int, moment: str) -> None:
    replica, expected = site
    assert len(MOMENTS) >= 25
    outcome = try_moment(replica, tmp_path / "c", moment, expected, seed=number, seconds=4.0)
    assert outcome.is_good, outcome


def test_what_was_written_but_not_committed_is_recovered_without_the_site(tmp_path: Path) -> None:
    with running("parler", posts=100, state=tmp_path / "replica") as replica:
        command = crawl_command(replica, tmp_path / "c")
        kill_once(command, "frontier.before-commit:6", random.Random(1), 4.0)
        before = sum(1 for state, _ in settled(tmp_path / "c").values() if state == "done")
    ran = archive(*command, "--json")
    assert ran.code == 9, ran.err
    assert ran.summary["recovered"] > 0
    after = sum(1 for state, _ in settled(tmp_path / "c").values() if state == "done")
    assert after >= before + 1
    assert archive("verify", tmp_path / "c").code == 0
