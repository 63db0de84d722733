"""``archive repair``: save what is whole of a damaged WARC file or collection."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crawler.commands.console import common, console_from, size
from crawler.errors import DiskFull, NoCollection, NotHere, UsageError

if TYPE_CHECKING:
    from crawler.commands.console import Console
    from crawler.warc.salvage import Salvaged

EXIT = """
\b
Exit status
  0  nothing is damaged, or all of it could be mended
  2  the directory is no collection, the file a WACZ or ZIP, or the new file is there already
  3  something was lost: each stretch is named; or the file holds no record
  5  a run holds the collection
  8  the disk is full; the same command goes on
  10  there is no such file or directory
"""


@click.command(epilog=EXIT)
@click.argument("path", type=click.Path(path_type=Path), metavar="PATH")
@click.option("--into", type=click.Path(path_type=Path, dir_okay=False), help="Where the whole records of a file go.")
@common
def repair(path: Path, into: Path | None, **options: Any) -> int:
    """Copy every whole record of PATH, a damaged WARC file or a collection's damaged segments, to a new file, byte for
    byte; what cannot be read is skipped and named. The damaged file is never changed: in a collection it moves to
    damaged/, and what was lost is fetched again by the next crawl.

    Where a copy was pushed, archive pull brings the whole segment back instead. WACZ and ZIP files are not repaired:
    unpack them first.
    """
    console = console_from(options)
    if not path.exists():
        raise NoCollection(f"There is no {path}.")
    try:
        lost = _collection(path, console) if path.is_dir() else _file(path, into, console)
    except FileExistsError as e:
        raise UsageError(f"{e.filename} is there already; name another with --into.") from e
    except OSError as e:
        raise DiskFull(f"{e.filename or path} cannot be read or written: {e.strerror}.") from e
    code = 3 if lost else 0
    console.summary(exit_code=code, path=str(path), lost_bytes=lost)
    return code


def _file(path: Path, into: Path | None, console: Console) -> int:
    from crawler.importing import is_zip  # noqa: PLC0415
    from crawler.warc.salvage import salvage  # noqa: PLC0415 - not for --help
    from crawler.warc.verify import verify_file  # noqa: PLC0415
    from crawler.warc.verify.rules import DAMAGE  # noqa: PLC0415

    if is_zip(path) or path.name.endswith((".wacz", ".zip")):
        raise UsageError(
            f"{path} is a WACZ or ZIP file, and those are not repaired: unpack it (what is torn with zip -FF first) "
            "and repair the WARC files that come out."
        )
    rules = {found.rule for found in verify_file(path)}
    if not rules & {*DAMAGE, "W028-member"}:
        if "W031-empty" in rules:
            raise NotHere(f"{path} holds no record: there is nothing to save.")
        console.result(f"{path}: nothing is damaged")
        return 0
    plain = path.name.endswith(".warc")
    stem = path.name.partition(".warc")[0]
    into = into or path.with_name(f"{stem}-salvaged.warc{'' if plain else '.gz'}")
    made = salvage(path, into, name=into.name)
    if not made.records:
        into.unlink()
        made.bytes = 0
        return _report(path.name, "", made, console)
    return _report(path.name, into.name, made, console)


def _collection(path: Path, console: Console) -> int:
    from crawler import repair as mending  # noqa: PLC0415 - not for --help
    from crawler.collection import Collection, salvaged_name  # noqa: PLC0415
    from crawler.commands.running import log_to, settle_held  # noqa: PLC0415

    collection = Collection.open(path)
    lost = 0
    with collection.lock():
        log_to(collection)
        broken = list(mending.damaged(collection))
        for entry in broken:
            made, _ = mending.repair(collection, entry)
            if made is not None:
                lost += _report(entry.segment, salvaged_name(entry.segment), made, console)
            else:
                console.say(f"{entry.segment}: salvaged before; the last record of the new segment names what was lost")
            console.say(f"{entry.segment}: kept as it is in {collection.root / 'damaged'}")
        if broken and (collection.marker.frontier or collection.frontier.is_file()):
            settle_held(collection)
    if not broken:
        console.result(f"{path}: nothing is damaged")
    return lost


def _report(name: str, new: str, made: Salvaged, console: Console) -> int:
    """Say what was saved (nothing, where there is no new file) and what was not; return the bytes that were lost."""
    from crawler.warc.verify.rules import printable  # noqa: PLC0415

    lost = sum(loss.bytes for loss in made.losses)
    for loss in made.losses:
        console.result(f"{name}:{loss.offset}: {loss.bytes} bytes lost: {printable(loss.why)}")
        console.event("lost", file=name, offset=loss.offset, bytes=loss.bytes, why=loss.why)
    where = f"{made.records:,} whole records are in {new} ({size(made.bytes)})" if new else "no record is whole"
    console.result(f"{name}: {where}; {size(lost)} lost")
    console.event("salvaged", file=name, into=new or None, records=made.records, bytes=made.bytes, lost_bytes=lost)
    return lost
