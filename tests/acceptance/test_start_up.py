"""``archive --help`` stays as quick as bare Python: nothing heavy is imported for it."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from cli import COMMANDS, main
from cli import archive as cli
from tests.acceptance.support import ROOT, environment

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


@pytest.mark.parametrize(("number", "code"), [(errno.EACCES, 2), (errno.EROFS, 2), (errno.EBADF, 1)])
def test_what_this_user_may_not_is_no_fault_of_ours(
    number: int, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(**_: object) -> None:
        raise OSError(number, "Refused", "somewhere/lock")

    monkeypatch.setattr(cli, "main", refused)
    with pytest.raises(SystemExit) as ended:
        main([])
    told = capsys.readouterr().err
    assert ended.value.code == code
    assert ("Traceback" in told) == (code == 1)
    assert "somewhere/lock" in told


def leaves(command: click.Command, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the words of every command that does something; a group only names others."""
    if not isinstance(command, click.Group):
        yield words
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from leaves(found, (*words, name))


def test_every_command_says_its_exit_codes() -> None:
    found = list(leaves(cli, ()))
    assert {words[0] for words in found} == COMMANDS.keys()
    for words in found:
        told = CliRunner().invoke(cli, [*words, "--help"])
        assert told.exit_code == 0, words
        assert "Exit status" in told.output, words
        assert "--json" in told.output, words
