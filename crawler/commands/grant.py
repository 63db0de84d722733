"""``archive grant``: let machines without credentials add what they crawled, and do nothing else."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crawler.commands.console import byte_count, common, console_from, duration, size
from crawler.commands.destinations import named

if TYPE_CHECKING:
    from crawler.cold.grant import Grant
    from crawler.cold.store import Store

EXIT = """
\b
Exit status
  0  done
  2  usage, or the file is no grant
  3  the destination cannot do it, nothing came yet, or some of it was not taken
  4  credentials are missing or were refused
  6  what came is damaged
  8  the disk is full; the same command goes on
"""


@click.group(epilog=EXIT)
def grant() -> None:
    """Give a volunteer links to upload with: below a place of their own, with no credentials. They can neither read,
    nor list, nor overwrite. The volunteer runs archive push DIR --grant FILE.
    """


@grant.command(epilog=EXIT)
@click.argument("volunteer")
@click.option("--to", "where", required=True, metavar="WHERE", help="s3://BUCKET/PREFIX, or a destination's name.")
@click.option("--endpoint-url", "endpoints", multiple=True, metavar="URL", help="Of an s3:// URL.")
@click.option("--segments", type=click.IntRange(1, 10_000), default=10, show_default=True, help="So many may come.")
@click.option("--segment-size", default="2GiB", show_default=True, metavar="SIZE", help="None longer than this.")
@click.option("--expires", default="7d", show_default=True, metavar="TIME", help="7 days at most.")
@click.option(
    "--out", "path", required=True, type=click.Path(dir_okay=False), help="Where to write it. Keep it secret."
)
@common
def issue(
    volunteer: str, where: str, endpoints: tuple[str, ...], segments: int, segment_size: str, expires: str, path: str,
    **options: Any,
) -> int:  # fmt: skip
    """Write a grant for VOLUNTEER to a file."""
    from crawler.cold.canary import probe  # noqa: PLC0415 - boto3 is slow to import
    from crawler.cold.grant import issue as make  # noqa: PLC0415
    from crawler.cold.grant import revoke as end  # noqa: PLC0415
    from crawler.cold.grant import write  # noqa: PLC0415
    from crawler.errors import UsageError  # noqa: PLC0415

    console = console_from(options)
    longest, seconds = byte_count(segment_size), int(duration(expires))
    if not longest:
        raise UsageError("--segment-size must be more than 0.")
    with closing(_store(where, endpoints)) as store:
        made = make(
            store, probe(store, store.destination.prefix), volunteer, segments=segments, segment_bytes=longest,
            seconds=seconds,
        )  # fmt: skip
        try:
            write(made, Path(path))
        except UsageError:
            end(store, made)
            raise
    console.result(f"{path}: {made.name} may send {segments:,} segments to {made.destination} until {made.expires}.")
    console.say("Whoever has this file may use it; archive grant revoke ends it before.")
    console.summary(exit_code=0, name=made.name, destination=made.destination, expires=made.expires, segments=segments)
    return 0


@grant.command(epilog=EXIT)
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--to", "where", required=True, metavar="WHERE", help="Where it was issued for.")
@click.option("--endpoint-url", "endpoints", multiple=True, metavar="URL", help="Of an s3:// URL.")
@click.option("--into", required=True, type=click.Path(file_okay=False), help="Directory of the collection that comes.")
@common
def collect(file: str, where: str, endpoints: tuple[str, ...], into: str, **options: Any) -> int:
    """Fetch what the volunteer of a grant's FILE sent, and check every byte of it."""
    from crawler.cold.collect import collect as fetch  # noqa: PLC0415

    console = console_from(options)
    with closing(_store(where, endpoints)) as store:
        told = fetch(store, _read(file, store), Path(into))
    console.result(f"{into}: {told.files:,} files ({size(told.bytes)}), {told.here_already:,} here already")
    for name, why in told.refused.items():
        console.result(f"  {name}: {why}")
    code = 3 if told.refused else 0
    console.summary(
        exit_code=code, files=told.files, bytes=told.bytes, here_already=told.here_already, refused=told.refused
    )
    return code


@grant.command(epilog=EXIT)
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--to", "where", required=True, metavar="WHERE", help="Where it was issued for.")
@click.option("--endpoint-url", "endpoints", multiple=True, metavar="URL", help="Of an s3:// URL.")
@common
def revoke(file: str, where: str, endpoints: tuple[str, ...], **options: Any) -> int:
    """End the grant in FILE: none of its links is good any more. What came stays."""
    from crawler.cold.grant import revoke as end  # noqa: PLC0415

    console = console_from(options)
    with closing(_store(where, endpoints)) as store:
        found = _read(file, store)
        came = end(store, found)
    console.result(f"{found.name} is ended; {came:,} files had come.")
    console.summary(exit_code=0, name=found.name, files=came)
    return 0


def _store(where: str, endpoints: tuple[str, ...]) -> Store:
    from crawler.cold.store import open_store  # noqa: PLC0415 - boto3 is slow to import
    from crawler.errors import UsageError  # noqa: PLC0415

    (destination,) = named((where,), endpoints)
    if destination.path:
        raise UsageError("A directory signs no links.")
    return open_store(destination)


def _read(file: str, store: Store) -> Grant:
    """Return a grant that was issued for this place. Raises UsageError."""
    from crawler.cold.grant import read  # noqa: PLC0415
    from crawler.errors import UsageError  # noqa: PLC0415

    found, here = read(Path(file)), store.destination
    if not all(one.key.startswith(f"{here.key('volunteers')}/") for one in found.slots):
        raise UsageError(f"{file} was issued for {found.destination}, not for {here.where}.")
    return found
