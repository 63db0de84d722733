"""Defaults from a TOML file and from the environment: a table for each command, a name for each of its flags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from crawler.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

#: Tables that are no command's.
SHARED = ("destination", "price")
#: Flags that are for one run, not for a file.
_NEVER = frozenset({"help", "version", "config"})


def settings_of(command: click.Command) -> dict[str, click.Option]:
    """Return what a command's table may hold: its long flags, without dashes in front, and with - between words."""
    found = {}
    for option in command.params:
        name = next((spelled[2:] for spelled in option.opts if spelled.startswith("--")), "")
        if isinstance(option, click.Option) and name and name not in _NEVER:
            found[name] = option
    return found


def read(path: Path) -> dict[str, Any]:
    """Return the tables of a file. Raises UsageError where it cannot be read."""
    import tomllib  # noqa: PLC0415 - most have no such file

    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as e:
        raise UsageError(f"{path}: {e.strerror}.") from e
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise UsageError(f"{path}: {e}") from e


def defaults(ctx: click.Context, tables: dict[str, Any]) -> dict[str, Any]:
    """Return what the tables say of a command's parameters. Raises UsageError at what no command knows."""
    name, table = _table(ctx, tables)
    known, found = settings_of(ctx.command), {}
    for spelled, value in table.items():
        option = known.get(spelled.replace("_", "-"))
        if option is None:
            raise UsageError(f"[{name}] has no setting {spelled!r}.")
        if option.multiple != isinstance(value, list):
            raise UsageError(f"[{name}] {spelled} must {'' if option.multiple else 'not '}be a list.")
        found[str(option.name)] = value
    return found


def _table(ctx: click.Context, tables: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return a command's table and what that is called, such as ``crawl`` or ``grant.issue``."""
    if ctx.parent is None:
        return "", tables
    name, around = _table(ctx.parent, tables)
    assert isinstance(ctx.parent.command, click.Group)
    known = {*ctx.parent.command.list_commands(ctx.parent), *(() if name else SHARED)}
    if unknown := around.keys() - known:
        raise UsageError(f"[{f'{name}.{min(unknown)}'.lstrip('.')}] is no command's table.")
    name, mine = f"{name}.{ctx.info_name}".lstrip("."), around.get(str(ctx.info_name), {})
    if not isinstance(mine, dict):
        raise UsageError(f"{name} is no table; write [{name}].")
    return name, mine


def name_variables(ctx: click.Context) -> None:
    """Let the environment's variables be called as the flags are: OUTLAST_PUSH_TO, OUTLAST_GRANT_ISSUE_TO."""
    for name, option in settings_of(ctx.command).items():
        if ctx.auto_envvar_prefix:
            option.envvar = f"{ctx.auto_envvar_prefix}_{name.replace('-', '_').upper()}"
