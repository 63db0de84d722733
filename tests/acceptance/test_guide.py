"""docs/platforms.md, word for word: its spider, and the commands beside it, against the site it was written for."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import venv
from pathlib import Path

import pytest

import cli
from crawler.commands.new import scaffold
from crawler.errors import UsageError
from crawler.replicas.run import running
from tests.acceptance.platforms import Row, compare
from tests.acceptance.support import ROOT, archive, environment

GUIDE = (ROOT / "docs/platforms.md").read_text()
EXAMPLE = re.search(r"<!-- (\S+) -->\n```python\n(.*?)```", GUIDE, re.DOTALL)


def commands(beginning: str) -> list[list[str]]:
    """Return the commands of the block that begins with these words."""
    blocks = re.findall(r"```console\n(.*?)```", GUIDE, re.DOTALL)
    block = next(one for one in blocks if one.startswith(f"$ {beginning}"))
    return [shlex.split(line.removeprefix("$ "), comments=True) for line in block.splitlines()]


def test_the_guides_spider_saves_the_site_that_nobody_prepared_for(tmp_path: Path) -> None:
    assert EXAMPLE is not None
    name, text = EXAMPLE.groups()
    assert len(text.splitlines()) < 66
    assert len([line for line in text.splitlines() if line.strip()]) < 60
    (tmp_path / name).write_text(text)
    with running("attic", size=8) as replica:
        here = {"example.org": f"127.0.0.1:{replica.port}", "https:": "http:", "400": str(replica.truth()["top"])}
        for command in commands("archive doctor --spider ./attic.py\n"):
            told = [re.sub("|".join(here), lambda found: here[found[0]], word) for word in command[1:]]
            ran = archive(*told, cwd=tmp_path)
            # What is for members is a gap, with its evidence.
            assert ran.code == (3 if "coverage" in told else 0), ran.out + ran.err
            assert "LOOK" not in ran.out
        truth = list(replica.things())
    row = Row("attic")
    compare(row, truth, tmp_path / "attic")
    assert row.is_whole, str(row)


def test_what_the_scaffold_writes_passes_at_once(tmp_path: Path) -> None:
    spider, replica, _ = scaffold("loft", tmp_path, single_file=True)
    checked = archive("doctor", "--spider", spider, "--replica", replica, "--json")
    assert checked.code == 0, checked.out
    assert all(check["ok"] for check in checked.summary["checks"])
    assert len(spider.read_text().splitlines()) < 60


def test_a_scaffolded_distribution_is_small_and_passes(tmp_path: Path) -> None:
    written = scaffold("old-loft", tmp_path)
    assert sum(len(path.read_text().splitlines()) for path in written) < 150
    home = written[0].parent
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:asyncio", "-p", "no:cacheprovider", written[-1]]
    path = os.pathsep.join((str(home), str(ROOT)))
    done = subprocess.run(command, cwd=home, env=environment(PYTHONPATH=path), capture_output=True, check=False)
    assert done.returncode == 0, done.stdout.decode()


@pytest.mark.outside
def test_a_scaffolded_distribution_is_found_once_installed(tmp_path: Path) -> None:
    for command in commands("archive new spider attic-two"):
        if command[0] == "pip":
            site = tmp_path / "site"
            venv.create(tmp_path / "venv", with_pip=True)
            install = [tmp_path / "venv/bin/python", "-m", "pip", "install", "-q", "--no-deps", "--target", site]
            subprocess.run([*install, command[-1]], cwd=tmp_path, check=True)
            continue
        path = os.pathsep.join((str(tmp_path / "site"), str(ROOT)))
        ran = archive(*command[1:], cwd=tmp_path, PYTHONPATH=path)
        assert ran.code == 0, ran.out + ran.err
    replica = subprocess.Popen(
        [sys.executable, "-m", "outlast_attic_two.replica", "--size", "30"],
        env=environment(PYTHONPATH=path), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with replica:
        assert replica.stdout is not None
        port = re.search(rb'"port": (\d+)', replica.stdout.readline())
        assert port is not None
        ran = archive("crawl", f"127.0.0.1:{int(port[1])}", "--into", "c", cwd=tmp_path, PYTHONPATH=path)
        replica.stdin.close() if replica.stdin else None
    assert ran.code == 0, ran.err
    assert "Attic two (it says so)" in ran.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["new", "spider", "../x"], "is no name for a spider"),
        (["new", "spider", "mastodon"], "Outlast has a spider called mastodon"),
        (["new", "spider", "loft", "--single-file"], "is there already"),
        (["doctor", "--replica", "x"], "go with --spider"),
        (["doctor", "--spider", "nosuch"], "There is no platform 'nosuch'"),
        (["doctor", "--spider", "/nonexistent.py"], "cannot be read"),
        (["doctor", "--spider", "loft.py"], "does not load: NameError"),
        (["doctor", "--spider", "mastodon", "--replica", "crawler.replicas.nosuch"], "does not load"),
        (["doctor", "--spider", "mastodon", "--replica", "crawler.replicas.kit"], "it holds none"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(
    arguments: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loft.py").write_text("Spider\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as e:
        cli.archive.main(args=arguments, prog_name="archive", standalone_mode=False)
    assert told in str(e.value)
    assert "\n" not in str(e.value)
