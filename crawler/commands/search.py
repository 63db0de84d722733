"""``archive search``: posts by their words."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crawler.commands.console import Console, common, console_from, instant, printable

if TYPE_CHECKING:
    import sqlite3

    from crawler.reading.dataset import Dataset
    from crawler.reading.find import Query

#: How words that were found are shown.
_FOUND = str.maketrans({"\x02": "[", "\x03": "]"})


@click.command(
    epilog="\b\nExit status\n  0  searched, whether or not anything was found\n  2  usage: no such search\n"
    "  6  what is held is damaged\n  8  the disk is full\n  10  there is no such directory"
)
@click.argument("directory", type=click.Path(file_okay=False))
@click.argument("text")
@click.option("--author", default="", metavar="NAME", help="Only by this account: its id, username or name.")
@click.option("--since", default=None, metavar="DATE", help="Only posts from this instant on (ISO 8601, UTC).")
@click.option("--until", default=None, metavar="DATE", help="Only posts before this instant (ISO 8601, UTC).")
@click.option("--kind", default="", metavar="KIND", help="Only posts of this kind (post, reply, comment, …).")
@click.option("--with-deleted", is_flag=True, help="What was marked as deleted when it was captured, too.")
@click.option("--most", type=click.IntRange(0), default=20, show_default=True, metavar="N", help="So many; 0 is all.")
@common
def search(
    directory: str, text: str, author: str, since: str | None, until: str | None, kind: str, with_deleted: bool,
    most: int, **options: Any,
) -> int:  # fmt: skip
    """Find posts in the collection in DIRECTORY by their words: tea toast (both), "black tea" (a phrase), tea OR toast,
    tea NOT toast, te*. An empty TEXT finds all, newest first.
    """
    from crawler.collection import Collection  # noqa: PLC0415 - not for --help
    from crawler.reading.dataset import Dataset  # noqa: PLC0415
    from crawler.reading.find import Query  # noqa: PLC0415

    console = console_from(options)
    query = Query(
        text=text, author=author, since=instant(since, "--since"), until=instant(until, "--until"), kind=kind,
        with_deleted=with_deleted,
    )  # fmt: skip
    with Dataset(Collection.open(Path(directory))) as dataset:
        dataset.update(say=console.say)
        count = _show(dataset, query, most, console)
    console.summary(exit_code=0, found=count, text=text)
    return 0


def _show(dataset: Dataset, query: Query, most: int, console: Console) -> int:
    """Show what is found; return how many were shown."""
    from crawler.reading.find import search as found  # noqa: PLC0415 - not for --help
    from crawler.reading.tables import POST, facts  # noqa: PLC0415

    rows = found(dataset, query)
    count = 0
    for row in islice(rows, most or None):
        count += 1
        for line in _lines(row):
            console.result(line)
        console.event("post", snippet=row["snippet"].translate(_FOUND), **facts(row, POST))
    if most and next(rows, None) is not None:
        console.say(f"There are more; --most 0 shows all of them, and the first {most} are above.")
    elif not count:
        console.say("Nothing found.")
    return count


def _lines(row: sqlite3.Row) -> list[str]:
    when = (row["created_at"] or "")[:16].replace("T", " ") or "no date"
    who = printable(row["author_name"] or row["author"] or "nobody named")
    kind = "" if row["kind"] == "post" else f"  ({printable(row['kind'])})"
    return [
        f"{printable(row['id'])}  {when}  {who}{kind}",
        f"  {printable(' '.join(row['snippet'].translate(_FOUND).split()))}",
        f"  {printable(row['url'])}",
    ]
