"""``archive index``: one sorted index over WARC files, for tools that do not read ours."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crawler.commands import engines
from crawler.commands.console import common, console_from
from crawler.errors import NoCollection, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from crawler.commands.console import Console
    from crawler.warc.indexing import Digest, Format
    from crawler.warc.reader import RawRecord

#: Classes of segments that no replay should show: what settled nothing, and what is not for everybody.
_LEFT_OUT = ("-attempts.warc.gz", "-restricted.warc.gz")


@click.command(
    epilog="\b\nExit status\n  0  written\n  2  there is no WARC file in the directory, or no index can be written\n"
    "  6  something of a file could not be read: the rest is written\n  10  there is no such file or directory\n"
    + engines.EXIT
)
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(["cdxj", "cdx11"]), default="cdxj", show_default=True)
@click.option("--digest", type=click.Choice(["sha1", "sha256"]), default="sha256", show_default=True)
@click.option("--all", "is_all", is_flag=True, help="Segments of attempts and of what is restricted, too.")
@click.option("--output", "-o", type=click.Path(dir_okay=False, allow_dash=True), default="-", help="[default: stdout]")
@engines.option
@common
def index(
    path: Path, form: Format, digest: Digest, is_all: bool, output: str, engine: str | None, **options: Any
) -> int:
    """Write one sorted index over the WARC files of PATH, a collection, a directory or a file. With --digest sha1
    payloads are hashed anew for tools that know no other digest.
    """
    console = console_from(options)
    if output == "-" and console.json:
        raise UsageError("--json has standard output for itself; name a file with --output.")
    faults: list[str] = []
    if engine is None:
        files, lines = _lines(path, form, digest, is_all, faults)
    else:
        files, lines = _lines_by(engine, console, path, form, digest, is_all, faults)
    count = 0
    try:
        with click.open_file(output, "wb") as out:
            for line in lines:
                out.write(line)
                count += not line.startswith(b" CDX")
    except BrokenPipeError:
        raise
    except OSError as e:
        raise UsageError(f"{e.filename or output} cannot be read or written: {e.strerror}.") from e
    for fault in faults:
        console.say(fault)
    code = 6 if faults else 0
    console.summary(exit_code=code, lines=count, files=files, damaged=faults)
    return code


def _lines(path: Path, form: Format, digest: Digest, is_all: bool, faults: list[str]) -> tuple[int, Iterator[bytes]]:
    """Return how many files there are, and the lines of their index."""
    from crawler.warc import indexing  # noqa: PLC0415 - not for --help

    paths = _warcs(path, is_all=is_all)
    return len(paths), indexing.index(paths, form, digest, damaged=faults.append, hides=_hides(path))


def _lines_by(
    address: str, console: Console, path: Path, form: Format, digest: Digest, is_all: bool, faults: list[str]
) -> tuple[int, Iterator[bytes]]:
    """Return the same, read by an engine: also of segments that are only elsewhere."""
    from crawler.collection import Collection  # noqa: PLC0415
    from crawler.reading.index import index_segment  # noqa: PLC0415
    from crawler.reading.takedown import current  # noqa: PLC0415
    from crawler.warc import indexing  # noqa: PLC0415

    collection = Collection.open(path)
    current(collection)
    cluster = engines.cluster(collection, address, console)
    assert cluster is not None
    found = {one.name for one in collection.sealed_segments()} | cluster.afar
    names = sorted(name for name in found if is_all or not name.endswith(_LEFT_OUT))

    def lines() -> Iterator[bytes]:
        with tempfile.TemporaryDirectory(prefix="outlast-index-") as folder:
            read = partial(index_segment, form=form, digest=digest)
            results = cluster.run(read, [(name, None) for name in names], Path(folder))
            yield from indexing.joined(results, Path(folder), form, faults.append)

    return len(names), lines()


def _hides(path: Path) -> Callable[[RawRecord, str], bool]:
    """Return what says whether a record is no capture that may be shown of the collection that a path is, or is in."""
    root = next((one for one in (path, path.absolute().parent.parent) if (one / "collection.json").is_file()), None)
    if root is None:
        return lambda record, name: False
    from crawler.collection import Collection  # noqa: PLC0415 - only for a collection of ours
    from crawler.reading.takedown import current  # noqa: PLC0415

    return current(Collection.open(root)).passes_over


def _warcs(path: Path, *, is_all: bool) -> list[Path]:
    if not path.exists():
        raise NoCollection(f"There is no {path}.")
    if path.is_file():
        return [path]
    folder = path / "warcs" if (path / "collection.json").is_file() else path
    found = [one for one in sorted(folder.rglob("*")) if one.name.endswith((".warc", ".warc.gz", ".warc.zst"))]
    found = [one for one in found if is_all or not one.name.endswith(_LEFT_OUT)]
    if not found:
        raise UsageError(f"{path} holds no WARC file.")
    return found
