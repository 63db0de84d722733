"""``archive new``: begin something of your own; so far a spider, with its replica and its test."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import click

from crawler.commands.console import common, console_from
from crawler.errors import UsageError

EXIT = "\b\nExit status\n  0  written\n  2  the name is none or is taken, or a file is there already"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,40}")


@click.group(epilog=EXIT)
def new() -> None:
    """Begin something of your own."""


@new.command(epilog=EXIT)
@click.argument("name")
@click.option("--single-file", is_flag=True, help="A file for --spider, with replica and test beside it; no package.")
@click.option(
    "--into", type=click.Path(file_okay=False), default=".", show_default=True, help="Directory to write into."
)
@common
def spider(name: str, single_file: bool, into: str, **options: Any) -> None:
    """Write a spider called NAME (small letters, digits, hyphens), a replica of its site and its test: a distribution
    to be installed beside Outlast, or single files. They work together as they are; then make them your site's.
    """
    console = console_from(options)
    _check(name)
    written = scaffold(name, Path(into), single_file=single_file)
    for path in written:
        console.result(str(path))
    for line in _what_next(name, written, single_file=single_file):
        console.say(line)
    console.summary(exit_code=0, name=name, files=[str(path) for path in written])


def scaffold(name: str, into: Path, *, single_file: bool = False) -> list[Path]:
    """Write the files of a new spider; return them. Raises UsageError where one is there already."""
    module = name.replace("-", "_")
    package = f"outlast_{module}"
    words = {
        "name": name, "title": name.replace("-", " ").capitalize(), "package": package,
        "class_name": "".join(part.capitalize() for part in name.split("-")),
        "spider_module": module if single_file else f"{package}.spider",
        "replica_module": f"{module}_replica" if single_file else f"{package}.replica",
    }  # fmt: skip
    home = into / f"outlast-{name}"
    plan = {
        home / "pyproject.toml": "pyproject.toml", home / package / "__init__.py": "",
        home / package / "spider.py": "spider.py", home / package / "replica.py": "replica.py",
        home / "tests" / f"test_{module}.py": "test.py",
    }  # fmt: skip
    if single_file:
        plan = {
            into / f"{module}.py": "spider.py", into / f"{module}_replica.py": "replica.py",
            into / f"test_{module}.py": "test.py",
        }  # fmt: skip
    _write(plan, words)
    return list(plan)


def _write(plan: dict[Path, str], words: dict[str, str]) -> None:
    if taken := next((path for path in plan if path.exists()), None):
        raise UsageError(f"{taken} is there already; choose another name, or another directory with --into.")
    for path, template in plan.items():
        text = files("crawler.scaffold").joinpath(f"{template}.txt").read_text("utf-8") if template else ""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(Template(text).substitute(words), "utf-8")
        except OSError as e:
            raise UsageError(f"{path} cannot be written: {e.strerror}.") from e


def _check(name: str) -> None:
    from spiders.registry import BUILT_IN  # noqa: PLC0415 - not for --help

    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name for a spider; use small letters, digits and hyphens.")
    if name in BUILT_IN:
        raise UsageError(f"Outlast has a spider called {name}; choose another name.")


def _what_next(name: str, written: list[Path], *, single_file: bool) -> list[str]:
    if single_file:
        spider, replica, test = written
        return [
            "Next:",
            f"  archive doctor --spider {spider} --replica {replica}",
            f"  archive crawl example.org --spider {spider}",
            f"  python -m pytest {test}",
        ]
    return ["Next:", f"  pip install -e {written[0].parent}", f"  archive doctor --spider {name}"]
