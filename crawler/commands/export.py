"""``archive export``: a collection in a form that others read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from crawler.commands.console import common, console_from, size
from crawler.reading.export import FORMATS, Order
from crawler.reading.export import export as written

_FORMATS = "\n".join(f"  {name:<8} {line}" for name, (_, line) in FORMATS.items())


@click.command(
    epilog=f"\b\nFormats\n{_FORMATS}\n\n\b\nExit status\n  0  exported\n  2  usage\n"
    "  3  exported, but something could not be read or is not on this machine\n  6  what is held is damaged\n"
    "  8  the disk is full; the same command goes on\n  10  there is no such directory"
)
@click.argument("directory", type=click.Path(file_okay=False))
@click.option("--format", "-f", "name", required=True, type=click.Choice(list(FORMATS)), help="See below.")
@click.option("--output", "-o", required=True, type=click.Path(), metavar="PATH", help="What is written.")
@click.option("--with-gps", is_flag=True, help="Say where media was made, and with which device.")
@click.option("--with-deleted", is_flag=True, help="What was marked as deleted when it was captured, too.")
@click.option("--jobs", type=click.IntRange(1), default=None, help="Processes that read. [default: as many as pay]")
@common
def export(
    directory: str, name: str, output: str, with_gps: bool, with_deleted: bool, jobs: int | None, **options: Any
) -> int:
    """Write what the collection in DIRECTORY holds to PATH: accounts, posts and media as tables, each row with the WARC
    record it stands in. The same command goes on after an interruption.
    """
    from crawler.collection import Collection  # noqa: PLC0415 - not for --help

    console = console_from(options)
    order = Order(
        collection=Collection.open(Path(directory)), output=Path(output), with_gps=with_gps, with_deleted=with_deleted,
        jobs=jobs, say=console.say,
    )  # fmt: skip
    lacks: dict[str, None] = {}
    for one in written(name, order):
        lacks |= dict.fromkeys(one.lacks)
        length = one.path.stat().st_size
        rows = f"{one.rows:,} rows, " if one.rows is not None else ""
        console.result(f"{one.path}: {rows}{size(length)}")
        console.event("file", path=str(one.path), rows=one.rows, bytes=length)
    for lack in lacks:
        console.say(f"  {lack}")
    code = 3 if lacks else 0
    console.summary(exit_code=code, format=name, output=output, lacks=list(lacks))
    return code
