"""``archive import``: what other programs saved, in a collection."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crawler.commands.console import common, console_from, size
from crawler.errors import DiskFull, NoCollection, UsageError

if TYPE_CHECKING:
    from crawler.collection import Collection


@click.command(
    "import",
    epilog="\b\nExit status\n  0  all of it is in the collection now\n  2  usage, or the collection is another site's\n"
    "  5  a run holds the collection\n"
    "  6  a file was left out: it is damaged, no WARC or holds none, or was taken down\n"
    "  8  the disk is full; the same command goes on\n"
    "  10  there is no such file, or no such collection and no --seed",
)
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.argument("files", nargs=-1, required=True, metavar="FILE…", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--seed", default="", metavar="URL", help="Make the collection, of this site, where there is none.")
@click.option("--platform", default="generic", show_default=True, help="Of that one: which platform it is read as.")
@common
def import_(directory: Path, files: tuple[Path, ...], seed: str, platform: str, **options: Any) -> int:
    """Take WARC and WACZ files that other programs made, and WARC files in any ZIP, into the collection DIRECTORY. They
    are copied, checked, indexed and entered with their hash, and from then on verified, replayed, exported, pushed and
    signed with the rest; the platform's spider reads what it knows of in them. A crawl fetches what it would have
    fetched without them.

    FILE is not touched. The same command goes on after an interruption.
    """
    from crawler import importing  # noqa: PLC0415 - not for --help
    from crawler.commands.running import log_to, settle_held  # noqa: PLC0415

    console = console_from(options)
    for file in files:
        if not file.is_file():
            raise NoCollection(f"There is no file {file}.")
    collection = _collection(directory, seed, platform)
    imported = importing.Imported()
    with collection.lock():
        log_to(collection)
        try:
            for file in files:
                importing.take_in(collection, file, imported, say=console.say)
            settle_held(collection)
        except OSError as e:
            raise DiskFull(f"{e.filename or directory} cannot be read or written: {e.strerror}.") from e
    console.result(
        f"{directory}: {imported.segments:,} files taken in ({size(imported.bytes)}), {imported.known:,} here already"
        + (f"; {len(imported.left_out):,} left out" if imported.left_out else "")
        + (f"; {len(imported.withheld):,} hold what was taken down" if imported.withheld else "")
    )
    code = 6 if imported.left_out else 0
    console.summary(
        exit_code=code, segments=imported.segments, bytes=imported.bytes, here_already=imported.known,
        left_out=imported.left_out, withheld=imported.withheld, directory=str(directory),
    )  # fmt: skip
    return code


def _collection(directory: Path, seed: str, platform: str) -> Collection:
    """Open the collection, or make one of the site that was named."""
    from crawler.collection import Collection, is_vacant  # noqa: PLC0415
    from crawler.scope import seed_from  # noqa: PLC0415
    from spiders.registry import get  # noqa: PLC0415

    if (directory / "collection.json").is_file() or not seed:
        found = Collection.open(directory)
        if seed and seed_from(seed).url not in found.marker.seeds:
            raise UsageError(f"{directory} is the collection of {found.marker.seed}, not of {seed}; leave --seed out.")
        return found
    if not is_vacant(directory):
        raise UsageError(f"{directory} exists and is not an Outlast collection; name another.")
    return Collection.create(directory, seed_from(seed), get(platform).name)
