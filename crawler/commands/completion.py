"""``archive completion``: the script that makes a shell complete commands and options."""

from __future__ import annotations

from typing import Any

import click
from click.shell_completion import get_completion_class

from crawler.commands.console import common, console_from
from crawler.errors import UsageError


@click.command(epilog="\b\nExit status\n  0  printed\n  2  unknown shell")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@common
@click.pass_context
def completion(ctx: click.Context, /, shell: str, **options: Any) -> None:
    """Print the completion script of SHELL: eval "$(archive completion bash)"."""
    console = console_from(options)
    made = get_completion_class(shell)
    if made is None:
        raise UsageError(f"click knows no completion for {shell}.")
    source = made(ctx.find_root().command, {}, "archive", "_ARCHIVE_COMPLETE").source()
    console.result(source)
    console.summary(shell=shell, source=source)
