"""``archive report``: what is held and what is not, as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crawler.commands.console import common, console_from, size

if TYPE_CHECKING:
    from crawler.collection import Collection
    from crawler.reading.report import Copies


@click.command(
    epilog="\b\nExit status\n  0  written\n  2  usage, or the file cannot be written\n"
    "  3  written, but something could not be read or is not on this machine\n  6  what is held is damaged\n"
    "  8  the disk is full\n  10  there is no such directory"
)
@click.argument("directory", type=click.Path(file_okay=False))
@click.option(
    "--output", "-o", type=click.Path(dir_okay=False), metavar="PATH", help="The file. [default: DIR/report.html]"
)
@click.option("--with-gps", is_flag=True, help="With a map of where media was made.")
@click.option("--with-deleted", is_flag=True, help="Count what was marked as deleted when it was captured, too.")
@click.option("--open", "show", is_flag=True, help="Open it in the browser.")
@common
def report(
    directory: str, output: str | None, with_gps: bool, with_deleted: bool, show: bool, **options: Any
) -> int:  # fmt: skip
    """Write a report of the collection in DIRECTORY: what was asked, what is held by day and kind, what is lacking and
    why, what proves it and where its copies are. One file, with no script, that asks no network for anything.
    """
    from crawler.collection import Collection  # noqa: PLC0415 - not for --help
    from crawler.reading.report import write  # noqa: PLC0415

    console = console_from(options)
    collection = Collection.open(Path(directory))
    path = Path(output) if output else collection.root / "report.html"
    lacks = write(
        collection, path, copies=_copies(collection), with_gps=with_gps, with_deleted=with_deleted, say=console.say
    )
    for lack in lacks:
        console.say(f"  {lack}")
    console.result(f"{path}: {size(path.stat().st_size)}")
    code = 3 if lacks else 0
    console.summary(exit_code=code, output=str(path), bytes=path.stat().st_size, lacks=list(lacks))
    if show:
        click.launch(str(path))
    return code


def _copies(collection: Collection) -> list[Copies]:
    """Return what is where, by the ledger of copies; none where there is no ledger."""
    from contextlib import closing  # noqa: PLC0415 - not for --help

    from crawler.cold.copies import Copies as Ledger  # noqa: PLC0415
    from crawler.cold.copies import CopyState  # noqa: PLC0415
    from crawler.cold.destination import Destination  # noqa: PLC0415
    from crawler.reading.report import Copies  # noqa: PLC0415

    path = collection.root / "copies.sqlite"
    if not path.exists():
        return []
    with closing(Ledger(path)) as ledger:
        found = []
        for name, (facts, _, trouble) in ledger.destinations().items():
            copies = ledger.all(name)
            proven = [one for one in copies if one.state is CopyState.PROVEN]
            found.append(
                Copies(
                    name=name, place=Destination(**facts).where, objects=len(copies),
                    proven=len(proven), bytes=sum(one.bytes for one in proven), trouble=trouble,
                )
            )  # fmt: skip
    return found
