"""``archive audit``: whether the copies are still there, and still what they were."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from crawler.commands.console import common, console_from

if TYPE_CHECKING:
    from crawler.cold.audit import Verdict


@click.command(
    epilog="\b\nExit status\n  0  every copy is there and, as far as it was looked at, as it was\n"
    "  2  never pushed, or usage\n  3  a copy was never made or proved, or a destination could not be read\n"
    "  4  credentials are missing or were refused\n  6  a copy is missing or changed, and no push has mended it\n"
    "  10  there is no such directory\n  130  interrupted"
)
@click.argument("directory", type=click.Path(file_okay=False))
@click.argument("destinations", nargs=-1)
@click.option(
    "--read-back",
    type=click.Choice(["none", "sample", "full"]),
    default="none",
    show_default=True,
    help="Read copies and compare their bytes: none, one in twenty, or all.",
)
@common
def audit(
    directory: str, destinations: tuple[str, ...], read_back: Literal["full", "sample", "none"], **options: Any
) -> int:  # fmt: skip
    """Compare what every destination holds now with what was proved there when DIRECTORY was pushed: lengths, and the
    sums that a server tells. A directory tells none; bytes are read only where --read-back says so.
    """
    from crawler.cold.audit import Finding  # noqa: PLC0415 - not for --help
    from crawler.cold.audit import audit as findings  # noqa: PLC0415
    from crawler.collection import Collection  # noqa: PLC0415
    from crawler.errors import UsageError  # noqa: PLC0415

    console = console_from(options)
    collection = Collection.open(Path(directory))
    if not os.access(collection.root, os.W_OK):
        console.say(f"{directory} cannot be written: what is found here is not written down, and no push learns of it.")
    code, damaged, asked = 0, 0, False
    for found in findings(collection, read_back=read_back, names=destinations):
        if isinstance(found, Finding):
            console.result(f"  {found.what:<10} {found.key}  {found.why}".rstrip())
            console.event("finding", **asdict(found))
            continue
        console.result(f"{found.destination}: {_told(found, read_back)}")
        console.event(
            "destination", name=found.destination, wanted=found.wanted, there=found.there, damaged=found.damaged,
            unmade=found.unmade, unproven=found.unproven, looked=found.looked,
            error=str(found.error) if found.error else None,
        )  # fmt: skip
        damaged += found.damaged
        code = max(code, found.exit_code)
        asked = True
    if not asked:  # what a pull of a part notes is no push
        raise UsageError(
            f"Nothing of {directory} was pushed from here to where it can be looked at; archive pull proves the rest."
        )
    console.summary(exit_code=code, damaged=damaged)
    return code


def _told(found: Verdict, read_back: str) -> str:
    """Return in a line what is there, and what was looked at to say so."""
    if found.error:
        return f"it could not be read to its end; {found.there + found.damaged:,} of {found.wanted:,} were looked at"
    parts = [f"{found.there:,} of {found.wanted:,} there"]
    parts += [f"{found.damaged:,} missing or changed"] if found.damaged else []
    parts += [f"{found.unmade:,} never made"] if found.unmade else []
    parts += [f"{found.unproven:,} not proven"] if found.unproven else []
    parts += ["archive push mends that"] if found.damaged or found.unmade or found.unproven else []
    return f"{', '.join(parts)}; {_looked(found, read_back)}" if found.there else ", ".join(parts)


def _looked(found: Verdict, read_back: str) -> str:
    sums = {how: count for how, count in sorted(found.looked.items()) if how not in {"read", "length"}}
    parts = ["lengths match"]
    parts += [f"so does the {how} that the server tells of {count:,}" for how, count in sums.items()]
    if found.looked["read"] == found.there:
        return "those were read" if found.damaged else "every copy was read and is as it was"
    if read_back == "none":
        return f"{', '.join(parts)}; nothing was read: --read-back sample|full reads"
    return f"{', '.join(parts)}; bytes read of {found.looked['read']:,} (--read-back full reads all)"
