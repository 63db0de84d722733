"""``archive merge``: collections of one site, made one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from crawler.commands.console import common, console_from, size
from crawler.errors import DiskFull


@click.command(
    epilog="\b\nExit status\n  0  all of it is in one now\n  2  usage; the collections are of different sites\n"
    "  3  something was left out: still open, or not there\n  5  a run holds one of them\n"
    "  6  a segment is damaged, and was left out\n  8  the disk is full; the same command goes on\n"
    "  10  there is no such collection"
)
@click.argument("directory", type=click.Path(file_okay=False))
@click.argument("sources", nargs=-1, required=True, metavar="FROM…", type=click.Path(file_okay=False))
@common
def merge(directory: str, sources: tuple[str, ...], **options: Any) -> int:
    """Copy the sealed segments of other collections of the same site into DIRECTORY, which is made if it is not there.
    Each is checked on the way; what is here already is recognised; FROM is not touched. The same command goes on after
    an interruption.
    """
    from crawler import merge as joining  # noqa: PLC0415 - not for --help
    from crawler.collection import Collection  # noqa: PLC0415
    from crawler.commands.running import log_to, settle_held  # noqa: PLC0415

    console = console_from(options)
    others = [Collection.open(Path(source)) for source in sources]
    collection = joining.made_like(Path(directory), others[0])
    for other in others:
        joining.check(collection, other)
    merged = joining.Merged()
    with collection.lock():
        log_to(collection)
        try:
            for other in others:
                joining.merge(collection, other, merged, say=console.say)
            captures = settle_held(collection)
        except OSError as e:
            raise DiskFull(f"{e.filename or directory} cannot be read or written: {e.strerror}.") from e
    console.result(
        f"{directory}: {merged.segments:,} segments taken in ({size(merged.bytes)}), {merged.known:,} here already; "
        f"{captures:,} captures are new" + (f"; {len(merged.left_out):,} segments left out" if merged.left_out else "")
    )
    code = 6 if merged.is_damaged else 3 if merged.left_out else 0
    console.summary(
        exit_code=code, segments=merged.segments, bytes=merged.bytes, here_already=merged.known, captures=captures,
        left_out=merged.left_out, directory=directory,
    )  # fmt: skip
    return code
