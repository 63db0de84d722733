"""Every input ever kept still holds every property of its target, and every target keeps some."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.fuzz.strategies import CORPUS, kept
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_kept_inputs(name: str) -> None:
    assert len(kept(name)) >= 3
    for file, data in kept(name).items():
        try:
            TARGETS[name](data)
        except Exception as e:
            raise AssertionError(f"corpus/{name}/{file}: {type(e).__name__}: {e}") from e


def test_the_corpus_is_small_and_all_of_it_is_used() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)
    assert sum(len(data) for name in TARGETS for data in kept(name).values()) < 300_000


def test_the_fuzzer_says_what_it_needs() -> None:
    done = subprocess.run([sys.executable, "-m", "tests.fuzz.run", "list"], capture_output=True, text=True, check=False)
    assert "framing" in done.stdout or "pip install atheris" in done.stdout
    assert "Traceback" not in done.stderr
