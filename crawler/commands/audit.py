"""``archive audit``: whether the copies are still there, and still what they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click

from crawler.commands.console import common, console_from


@click.command(
    epilog="\b\nExit status\n  0  every copy is there and as it was\n  2  never pushed, or usage\n"
    "  3  a destination could not be read\n  4  credentials are missing or were refused\n"
    "  6  a copy is missing or changed\n  10  there is no such directory"
)
@click.argument("directory", type=click.Path(file_okay=False))
@click.argument("destinations", nargs=-1)
@click.option(
    "--read-back",
    type=click.Choice(["none", "sample", "full"]),
    default="none",
    show_default=True,
    help="Read copies back and compare their bytes: none, one in twenty, or all.",
)
@common
def audit(
    directory: str, destinations: tuple[str, ...], read_back: Literal["full", "sample", "none"], **options: Any
) -> int:  # fmt: skip
    """Compare what every destination holds now with what was proved there when DIRECTORY was pushed."""
    from crawler.cold.audit import Finding  # noqa: PLC0415 - not for --help
    from crawler.cold.audit import audit as findings  # noqa: PLC0415
    from crawler.collection import Collection  # noqa: PLC0415

    console = console_from(options)
    collection = Collection.open(Path(directory))
    code = 0
    since: list[Finding] = []
    damaged = 0
    for found in findings(collection, read_back=read_back, names=destinations):
        if isinstance(found, Finding):
            since.append(found)
            console.result(f"  {found.what:<10} {found.key}  {found.why}".rstrip())
            console.event("finding", destination=found.destination, what=found.what, key=found.key, why=found.why)
            damaged += found.is_damage
            code = max(code, found.exit_code)
            continue
        lost = sum(one.is_damage for one in since)
        is_read = not any(one.what == "unreadable" for one in since)
        verdict = f"{lost:,} copies missing or changed" if lost else "every copy is as it was"
        console.result(f"{found}: {verdict if is_read else 'it could not be read to its end'}")
        since = []
    console.summary(exit_code=code, damaged=damaged)
    return code
