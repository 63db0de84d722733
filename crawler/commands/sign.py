"""``archive sign``: a signed statement of what a collection is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from crawler.commands.console import common, console_from, size


@click.command(
    epilog="\b\nExit status\n  0  signed, or was and is unchanged\n  1  the authority gives no time-stamp\n"
    "  2  usage: no key, or segments that are still open\n  5  a run holds the collection\n"
    "  6  it is not what the manifest says\n  8  the disk is full; the same command goes on\n"
    "  10  there is no such directory"
)
@click.argument("directory", type=click.Path(file_okay=False))
@click.option("--key", default=None, metavar="NAME|FILE", help="Sign with this key. [default: the only one there is]")
@click.option("--tsa", default=None, metavar="URL", help="Have it time-stamped by this authority (RFC 3161).")
@click.option(
    "--tsa-ca",
    type=click.Path(exists=True, dir_okay=False),
    default=None,
    help="The authority's root certificates (PEM), to check its time-stamp at once.",
)
@click.option(
    "--bagit",
    type=click.Path(),
    default=None,
    metavar="PATH",
    help="Then make a bag of it there (BagIt 1.0, RFC 8493).",
)
@common
def sign(
    directory: str, key: str | None, tsa: str | None, tsa_ca: str | None, bagit: str | None, **options: Any
) -> int:
    """Sign what DIRECTORY holds: its segments, and every file that goes with them. archive verify --public-key proves
    it to anybody, with no network. After more was crawled, sign again: the new statement names the one before.
    """
    from functools import partial  # noqa: PLC0415 - not for --help

    from crawler.collection import Collection  # noqa: PLC0415
    from crawler.evidence import bagit as bags  # noqa: PLC0415
    from crawler.evidence import keys, statement, timestamp  # noqa: PLC0415

    console = console_from(options)
    collection = Collection.open(Path(directory))
    private = keys.private(key)
    roots = timestamp.roots_in(Path(tsa_ca)) if tsa_ca else ()
    stamp = partial(timestamp.stamp, url=tsa, roots=roots) if tsa else None
    with collection.lock():
        path, made, is_new = statement.sign(collection, private, stamp=stamp)
        bagged = bags.bag(collection, Path(bagit)) if bagit else None
    told = made.statement
    console.result(
        f"{path}: {'signed' if is_new else 'signed before, and unchanged since'}: {told.manifest.segments:,} segments, "
        f"{told.held.records:,} records, {size(told.held.bytes)}, {len(told.files):,} other files "
        "(segments by the manifest and their lengths; archive verify reads their bytes)"
    )
    if bagged:
        console.result(f"{bagit}: a bag of {bagged.files:,} files, {size(bagged.bytes)}")
    console.say(f"The public key: {made.public_key}")
    console.summary(
        exit_code=0, statement=str(path), is_new=is_new, number=told.number, public_key=made.public_key,
        root=told.manifest.root, segments=told.manifest.segments, is_stamped=made.timestamp is not None,
        bag=bagit,
    )  # fmt: skip
    return 0


seal = sign
