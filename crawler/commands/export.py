"""``archive export``: a collection in a form that others read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crawler.commands import engines
from crawler.commands.console import byte_count, common, console_from, size
from crawler.errors import UsageError
from crawler.reading.export import FORMATS, Order
from crawler.reading.export import export as written

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_FORMATS = "\n".join(f"  {name:<8} {line}" for name, (_, line) in FORMATS.items())


@click.command(
    epilog=f"\b\nFormats\n{_FORMATS}\n\n\b\nExit status\n  0  exported\n  2  usage\n"
    "  3  exported, but something could not be read or is not on this machine\n  6  what is held is damaged\n"
    "  8  the disk is full; the same command goes on\n  10  there is no such directory\n" + engines.EXIT
)
@click.argument("directory", type=click.Path(file_okay=False))
@click.option("--format", "-f", "name", required=True, type=click.Choice(list(FORMATS)), help="See below.")
@click.option(
    "--output", "-o", required=True, type=click.Path(), metavar="PATH", help="What is written; - streams a WACZ."
)
@click.option("--with-gps", is_flag=True, help="Say where media was made, and with which device.")
@click.option("--with-deleted", is_flag=True, help="What was marked as deleted when it was captured, too.")
@click.option("--jobs", type=click.IntRange(1), default=None, help="Processes that read. [default: as many as pay]")
@click.option("--split", metavar="SIZE", help="Several WACZ files of about this size, and multi.json.")
@click.option("--key", metavar="NAME|FILE", help="Sign the WACZ with this key (archive keys).")
@engines.option
@common
def export(
    directory: str, name: str, output: str, with_gps: bool, with_deleted: bool, jobs: int | None, split: str | None,
    key: str | None, engine: str | None, **options: Any,
) -> int:  # fmt: skip
    """Write what the collection in DIRECTORY holds to PATH: accounts, posts and media as tables, each row with the WARC
    record it stands in; or all of it as a WACZ that replay tools open. The same command goes on after an interruption.
    """
    from crawler.cold.fetch import reader  # noqa: PLC0415 - not for --help
    from crawler.collection import Collection  # noqa: PLC0415

    console = console_from(options)
    if name != "wacz" and (split or key or output == "-"):
        raise UsageError("--split, --key and --output - are for --format wacz.")
    if output == "-" and (console.json or split or sys.stdout.isatty()):
        raise UsageError("A stream takes all of standard output, which is no terminal then; no --json, no --split.")
    collection = Collection.open(Path(directory))
    order = Order(
        collection=collection, output=Path(output), with_gps=with_gps, with_deleted=with_deleted, jobs=jobs,
        remote=reader(collection) if name == "wacz" else None, split=byte_count(split) if split else None,
        key=_key(key) if key else None, cluster=engines.cluster(collection, engine, console, "originals"),
        say=console.say,
    )  # fmt: skip
    lacks: dict[str, None] = {}
    for one in written(name, order):
        lacks |= dict.fromkeys(one.lacks)
        length = one.path.stat().st_size if one.bytes is None else one.bytes
        rows = f"{one.rows:,} rows, " if one.rows is not None else ""
        (console.say if output == "-" else console.result)(f"{one.path}: {rows}{size(length)}")
        console.event("file", path=str(one.path), rows=one.rows, bytes=length)
    for lack in lacks:
        console.say(f"  {lack}")
    code = 3 if lacks else 0
    console.summary(exit_code=code, format=name, output=output, lacks=list(lacks))
    return code


def _key(named: str) -> Ed25519PrivateKey:
    from crawler.evidence.keys import private  # noqa: PLC0415 - heavy, and rarely needed

    return private(named)
