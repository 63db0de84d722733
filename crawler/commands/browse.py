"""``archive browse``: what is held as readable pages, on this machine alone."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crawler.commands.console import Console, common, console_from, until_told

if TYPE_CHECKING:
    from collections.abc import Iterator


@click.command(
    epilog="\b\nExit status\n  0  ended by Ctrl-C\n  2  usage, or the port is taken\n  6  what is held is damaged\n"
    "  8  the disk is full\n  10  there is no such directory"
)
@click.argument("directory", type=click.Path(file_okay=False))
@click.option("--port", type=click.IntRange(0, 65535), default=0, metavar="N", help="[default: a free one]")
@click.option("--no-open", is_flag=True, help="Do not open the browser.")
@click.option("--with-deleted", is_flag=True, help="What was marked as deleted when it was captured, too.")
@common
def browse(directory: str, port: int, no_open: bool, with_deleted: bool, **options: Any) -> int:
    """Read the collection in DIRECTORY in a browser: posts, threads, accounts and media, with a search over all posts.
    The pages need no script and no network; they are served to this machine alone, until Ctrl-C.
    """
    console = console_from(options)
    with until_told() as told, served_pages(Path(directory), console, port, with_deleted=with_deleted) as served:
        url = f"http://127.0.0.1:{served}/"
        console.result(url)
        console.event("ready", url=url, port=served)
        console.say("Ctrl-C ends it.")
        if not no_open:
            click.launch(url)
        told.wait()
    console.summary(exit_code=0, url=url)
    return 0


@contextmanager
def served_pages(directory: Path, console: Console, port: int, *, with_deleted: bool = False) -> Iterator[int]:
    """Bring the data set up to date and serve its pages until this is left; yield the port."""
    from crawler.cold.fetch import reader  # noqa: PLC0415 - not for --help
    from crawler.collection import Collection  # noqa: PLC0415
    from crawler.reading.browse import browsing  # noqa: PLC0415
    from crawler.reading.dataset import Dataset  # noqa: PLC0415
    from crawler.reading.tables import lacks  # noqa: PLC0415

    collection = Collection.open(directory)
    with Dataset(collection) as dataset:
        for lack in lacks(dataset.update(say=console.say)):
            console.say(f"  {lack}")
    with browsing(collection, port=port, remote=reader(collection), with_deleted=with_deleted) as served:
        yield served
