"""What commands share that let an engine do their work."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from crawler.commands.console import is_terminal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from crawler.cold.lend import Needs
    from crawler.collection import Collection
    from crawler.commands.console import Console
    from crawler.engine import Cluster, Read

#: Seconds between two lines that say how far it is, where there is no terminal.
LINE_EVERY = 30.0
EXIT = "  12  the engine cannot be reached, or is gone; the same command goes on"
option = click.option(
    "--engine", default=None, metavar="URL",
    help="Let a Dask cluster read the segments: tcp://host:8786, its scheduler.",
)  # fmt: skip


def cluster(collection: Collection, address: str | None, console: Console, needs: Needs = "nothing") -> Cluster | None:
    """Return the engine at an address, which says how far it is; None where none is wanted."""
    if address is None:
        return None
    from crawler.cold import lend  # noqa: PLC0415 - not for --help

    made = lend.cluster(collection, address, needs)

    def run(read: Read, segments: Sequence[tuple[str, Any]], place: Path) -> Iterator[tuple[str, Path, Any]]:
        return _watched(made.run(read, segments, place), len(segments), console)

    return replace(made, run=run)


def _watched(found: Iterator[tuple[str, Path, Any]], total: int, console: Console) -> Iterator[tuple[str, Path, Any]]:
    """Say how far the engine is: a bar on a terminal, now and then a line elsewhere."""
    from tqdm import tqdm  # noqa: PLC0415 - not for --help

    last = time.monotonic()
    with tqdm(total=total, unit=" segments", dynamic_ncols=True, disable=console.quiet or not is_terminal()) as bar:
        for number, one in enumerate(found, 1):
            yield one
            bar.update()
            console.event("status", segments=number, of=total)
            if bar.disable and time.monotonic() - last >= LINE_EVERY:
                last = time.monotonic()
                console.say(f"{number:,} of {total:,} segments read")
