"""What a config file may hold, and that the page which says so says all of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest

from cli import archive
from crawler.cold.destination import Destination
from crawler.cold.prices import Price
from crawler.commands.crawl import of_plan, options_of_a_crawl
from crawler.commands.settings import SHARED, defaults, name_variables, settings_of
from crawler.errors import UsageError

PAGE = (Path(__file__).parents[3] / "docs" / "config.md").read_text("utf-8")
EVERY = {"json", "quiet", "verbose"}


def names(text: str) -> set[str]:
    return set(re.findall(r"`([^`\[\]]+)`", text))


def contexts(
    command: click.Command = archive, name: str = "archive", parent: click.Context | None = None
) -> Iterator[click.Context]:
    """Yield a context of every command that does something."""
    ctx = click.Context(command, parent, name, auto_envvar_prefix=None if parent else "OUTLAST")
    if not isinstance(command, click.Group):
        yield ctx
        return
    for one in command.list_commands(ctx):
        found = command.get_command(ctx, one)
        assert found is not None
        yield from contexts(found, one, ctx)


def context(table: str) -> click.Context:
    return next(ctx for ctx in contexts() if ctx.command_path == f"archive {table.replace('.', ' ')}")


def options_of(add: Callable[[Any], Any]) -> set[str]:
    return settings_of(click.command()(add(lambda: None))).keys() - set()


def test_the_page_lists_every_setting_of_every_command() -> None:
    said = re.search(
        r"Every table may hold (.*?)\. \*Of a crawl\* are:(.*?)\. \*Of a plan\* are:(.*?)\.\n", PAGE, re.DOTALL
    )
    assert said
    every, crawl, plan = map(names, said.groups())
    assert (every, crawl, plan) == (EVERY, options_of(options_of_a_crawl), options_of(of_plan))
    told = {}
    for table, row in re.findall(r"^\| `\[([a-z.]+)\]` \| (.*) \|$", PAGE, re.MULTILINE):
        more = (crawl if "*of a crawl*" in row else set()) | (plan if "*of a plan*" in row else set())
        told[table] = names(row) | more | every
    have = {
        ctx.command_path.removeprefix("archive ").replace(" ", "."): settings_of(ctx.command).keys() - set()
        for ctx in contexts()
    }
    assert told == have


def test_the_page_lists_the_tables_that_several_commands_read() -> None:
    rows = dict(re.findall(r"^\| `\[\[([a-z]+)\]\]`[^|]*\| (.*) \|$", PAGE, re.MULTILINE))
    assert tuple(rows) == SHARED
    assert names(rows["destination"]) == {one.name for one in fields(Destination)} | {"url"}
    prices = {one.name for one in fields(Price)} - {"storage_class"} | {"class"}
    assert names(rows["price"]) == prices


def test_settings_are_called_as_flags_are() -> None:
    tables = {
        "push": {"to": ["here"], "retry_for": "3s", "delete-local": True},
        "grant": {"issue": {"segments": 20}}, "destination": [{"name": "here"}],
    }  # fmt: skip
    assert defaults(context("push"), tables) == {"urls": ["here"], "retry_for": "3s", "delete_local": True}
    assert defaults(context("grant.issue"), tables) == {"segments": 20}
    assert defaults(context("grant.revoke"), tables) == {}


@pytest.mark.parametrize(
    ("tables", "complaint"),
    [
        ({"pushh": {}}, "[pushh] is no command's table"), ({"push": 3}, "push is no table"),
        ({"push": {"urls": []}}, "[push] has no setting 'urls'"), ({"push": {"config": ""}}, "has no setting"),
        ({"push": {"to": "here"}}, "[push] to must be a list"), ({"push": {"grant": []}}, "must not be a list"),
    ],
)  # fmt: skip
def test_what_no_command_knows(tables: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=re.escape(complaint)):
        defaults(context("push"), tables)


def test_a_group_has_no_table_for_what_it_has_not() -> None:
    with pytest.raises(UsageError, match=re.escape("[grant.isue] is no command's table")):
        defaults(context("grant.issue"), {"grant": {"isue": {}}})


def test_the_environment_speaks_of_flags_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTLAST_GRANT_ISSUE_TO", "vault")
    ctx = context("grant.issue")
    name_variables(ctx)
    assert settings_of(ctx.command)["to"].resolve_envvar_value(ctx) == "vault"
