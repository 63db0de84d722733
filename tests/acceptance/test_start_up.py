"""``archive --help`` stays as quick as bare Python: nothing heavy is imported for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from cli import COMMANDS
from tests.acceptance.support import ROOT, archive, environment

HEAVY = {
    "scrapy",
    "twisted",
    "boto3",
    "warcio",
    "sqlite3",
    "asyncio",
    "lxml",
    "selectolax",
    "tqdm",
    "msgspec",
    "w3lib",
    "cryptography",
    "aiohttp",
}


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["crawl", "--help"], ["status", "--help"], ["demo", "--help"]]
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom cli import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit as e:\n    assert not e.code, e.code\n"
        "print('LOADED', *{m.split('.')[0] for m in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment(), cwd=ROOT
    )
    loaded = set(done.stdout.rsplit("LOADED", 1)[1].split())
    assert not loaded & HEAVY


def test_every_command_says_its_exit_codes() -> None:
    for name in COMMANDS:
        ran = archive(name, "--help")
        assert ran.code == 0
        assert "Exit status" in ran.out, name
        assert "--json" in ran.out, name
