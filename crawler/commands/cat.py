"""``archive cat``: one post, or the bytes of one file or record, out of the WARCs."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from crawler.commands.console import Console, common, console_from, printable, size
from crawler.errors import Damaged, UsageError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from crawler.collection import Collection
    from crawler.reading.dataset import Dataset
    from crawler.reading.find import Found

#: Bytes that are copied at once.
_PIECE = 1 << 20


@click.command(
    epilog="\b\nExit status\n  0  shown\n  2  usage: nothing held is called that\n"
    "  3  it is not on this machine, and no copy answers\n  6  what is held is damaged\n"
    "  10  there is no such directory"
)
@click.argument("directory", type=click.Path(file_okay=False))
@click.argument("what", metavar="ID|URL|SHA256")
@click.option("--record", is_flag=True, help="The WARC record as it stands in its segment, a gzip member.")
@click.option(
    "--payload", is_flag=True, help="The page or API answer that a post stands in, decoded; --output asks for it, too."
)
@click.option("--output", "-o", default="-", type=click.Path(dir_okay=False, allow_dash=True), help="[default: stdout]")
@click.option("--with-deleted", is_flag=True, help="What was marked as deleted when it was captured, too.")
@common
def cat(
    directory: str, what: str, record: bool, payload: bool, output: str, with_deleted: bool, **options: Any
) -> int:  # fmt: skip
    """Show a post of the collection in DIRECTORY by its id or permalink, or write the bytes of a media file or page by
    its URL or SHA-256. What is no longer on this machine is read from a copy.
    """
    from crawler.collection import Collection  # noqa: PLC0415 - not for --help
    from crawler.reading.dataset import Dataset  # noqa: PLC0415
    from crawler.reading.find import find  # noqa: PLC0415

    console = console_from(options)
    collection = Collection.open(Path(directory))
    with Dataset(collection) as dataset:
        dataset.update(say=console.say)
        found = find(dataset, collection, what, with_deleted=with_deleted)
        if found.posts and not (record or payload or output != "-"):
            _show(dataset, found, console)
            console.summary(exit_code=0, posts=len(found.posts))
            return 0
    if output == "-" and console.json:
        raise UsageError("--json has standard output for itself; name a file with --output.")
    with _opened(output) as out:
        count = _write(collection, found, out, record)
    place = found.place
    console.summary(exit_code=0, output=output, bytes=count, segment=place.segment, offset=place.offset)
    return 0


@contextmanager
def _opened(output: str) -> Iterator[BinaryIO]:
    """Open what is written to. Bytes of a stranger are never sent to a terminal, which obeys some."""
    if output == "-":
        if sys.stdout.isatty():
            raise UsageError("These are bytes and no text for a terminal; name a file with --output, or use a pipe.")
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        with Path(output).open("wb") as out:
            yield out
    except OSError as e:
        raise UsageError(f"{output} cannot be written: {e.strerror}.") from e


def _write(collection: Collection, found: Found, out: BinaryIO, record: bool) -> int:
    from crawler.cold.fetch import reader  # noqa: PLC0415 - not for --help
    from crawler.reading.shelf import Shelf  # noqa: PLC0415
    from crawler.warc.reader import Torn  # noqa: PLC0415

    shelf = Shelf(collection, reader(collection))
    count = 0
    try:
        if record:
            for piece in shelf.raw(found.place):
                count += out.write(piece)
            return count
        with shelf.answer(found.place) as answer, answer.open() as stream:
            while piece := stream.read(_PIECE):
                count += out.write(piece)
    except Torn as e:
        raise Damaged(f"{found.place.segment}:{found.place.offset}: {e}.") from e
    return count


def _show(dataset: Dataset, found: Found, console: Console) -> None:
    from crawler.reading.find import media_of, versions_of  # noqa: PLC0415 - not for --help
    from crawler.reading.tables import MEDIA, POST, VERSION, facts  # noqa: PLC0415

    for row in found.posts:
        media, versions = media_of(dataset, row["id"]), versions_of(dataset, row)
        for line in _lines(row, media, versions):
            console.result(line)
        files, earlier = [facts(one, MEDIA) for one in media], [facts(one, VERSION) for one in versions]
        console.event("post", **facts(row, POST), files=files, earlier=earlier)


def _lines(row: sqlite3.Row, media: list[sqlite3.Row], versions: list[sqlite3.Row]) -> Iterator[str]:
    name, author = row["author_name"] or row["author"] or "nobody named", row["author"]
    yield f"{printable(row['kind'])} {printable(row['id'])}  {_when(row)}"
    yield f"by {printable(name)}" + (f" ({printable(author)})" if author not in {None, name} else "")
    for column, label in (("in_reply_to", "in reply to"), ("repost_of", "echoes")):
        if row[column]:
            yield f"{label} {printable(row[column])}"
    yield printable(row["url"])
    yield from ("", *(f"    {printable(line)}" for line in row["text"].splitlines()), "")
    yield from (_file(one) for one in media)
    counters = json.loads(row["counters"] or "{}")
    yield from (f"  {printable(name)}: {printable(str(count))}" for name, count in counters.items())
    for one in versions:
        yield f"  earlier, until {one['captured_at'][:19]}: {printable(' '.join(one['text'].split()))[:200]}"
    yield f"  captured {row['captured_at'][:19]}, {row['warc_file']}:{row['warc_offset']} {row['warc_record_id']}"


def _file(one: sqlite3.Row) -> str:
    told = [printable(one["kind"]), printable(one["mime"] or "not held")]
    told += [size(one["size"])] if one["size"] else []
    told += [f"{one['width']}x{one['height']}"] if one["width"] else []
    told += [one["sha256"] or ""]
    return f"  {' '.join(told)} {printable(one['url'])}".rstrip()


def _when(row: sqlite3.Row) -> str:
    if not row["created_at"]:
        return "no date"
    first, last = (str(row[name])[:19].replace("T", " ") for name in ("created_at", "created_until"))
    return f"{first} UTC" if first == last else f"between {first} and {last} UTC"
