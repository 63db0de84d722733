"""``archive prove``: one record with what shows that it is part of a signed collection."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crawler.commands.console import common, console_from, digits, size
from crawler.errors import TakenDown, UsageError

if TYPE_CHECKING:
    from crawler.collection import Collection

_ID = re.compile(r"<?(?:urn:uuid:)?([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})>?")
_PLACE = re.compile(r"([^/]+\.warc\.gz):(\d+)")


@click.command(
    epilog="\b\nExit status\n  0  written\n  2  usage: no such record, or it is not signed yet\n"
    "  3  it was taken down\n  6  the segment is damaged\n  10  there is no such directory"
)
@click.argument("directory", type=click.Path(file_okay=False))
@click.argument("what", metavar="URL|RECORD-ID|SEGMENT:OFFSET")
@click.option("--output", "-o", required=True, type=click.Path(dir_okay=False), help="Where the proof goes.")
@click.option(
    "--at",
    default="",
    metavar="DATE",
    help="The capture of this day or second (2021-01-06, 20210106120000). [default: newest]",
)
@common
def prove(directory: str, what: str, output: str, at: str, **options: Any) -> int:
    """Write a proof that a record is part of the signed collection in DIRECTORY: the record itself, its path through
    the signed trees, and the statement. archive verify checks it with the public key and nothing else.
    """
    from crawler.collection import Collection  # noqa: PLC0415 - not for --help
    from crawler.evidence import proof  # noqa: PLC0415

    console = console_from(options)
    collection = Collection.open(Path(directory))
    segment, offset = _find(collection, what, digits(at))
    _check_shown(collection, segment, offset)
    made = proof.prove(collection, segment, offset, Path(output))
    console.result(f"{output}: the record at {segment}:{offset}, {size(Path(output).stat().st_size)}")
    console.summary(
        exit_code=0, file=output, segment=segment, offset=offset, statement=made.statement.statement.number,
        public_key=made.statement.public_key,
    )  # fmt: skip
    return 0


def _check_shown(collection: Collection, segment: str, offset: int) -> None:
    """Raise TakenDown where a record may not be shown."""
    from crawler.reading.takedown import current  # noqa: PLC0415 - not for --help
    from crawler.warc.reader import Torn, read_at  # noqa: PLC0415

    withheld = current(collection)
    try:
        if withheld.is_any and withheld.hides_record(read_at(collection.warcs / segment, offset), segment):
            raise TakenDown
    except (Torn, OSError):
        return  # whoever proves it says what is wrong


def _find(collection: Collection, what: str, at: str) -> tuple[str, int]:
    """Return (segment, offset) of the record. Raises UsageError where there is none."""
    from crawler.warc.lookup import captures  # noqa: PLC0415 - not for --help
    from crawler.warc.reader import Records  # noqa: PLC0415

    if place := _PLACE.fullmatch(what):
        return place[1], int(place[2])
    if identity := _ID.fullmatch(what):
        for path in collection.sealed_segments():
            for record in Records(path):
                if identity[1].lower() in record.id.lower():
                    return path.name, record.offset
        raise UsageError(f"There is no record {identity[1]} here.")
    found = [
        ("-attempts." not in line.segment, line.stamp, line.segment, line.offset)
        for index in sorted(collection.indexes.glob("*.cdxj"))
        for line in captures(index, what)
        if line.stamp.startswith(at)
    ]
    if not found:
        raise UsageError(f"There is no capture of {what}{f' of {at}' if at else ''} here.")
    return max(found)[2:]
