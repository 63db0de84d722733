"""``archive coverage``: every gap with its evidence, what the platform claims, and where ids have holes."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crawler.commands.console import Console, common, console_from
from crawler.commands.status import claim_line, coverage_lines, note_line, show_days

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.collection import Collection
    from crawler.frontier.reader import FrontierReader
    from crawler.model import Covered

#: Runs of holes that are named, a kind.
RUNS = 20


@click.command(
    epilog="\b\nExit status\n  0  nothing known is lacking\n  2  the directory is no collection\n"
    "  3  there are gaps\n  10  there is no such directory"
)
@click.argument("directory", type=click.Path(file_okay=False))
@click.option("--kind", "kinds", multiple=True, metavar="KIND", help="Only gaps of this kind (post, image, …).")
@click.option("--by-day", is_flag=True, help="Count by day, too.")
@click.option(
    "--most", type=click.IntRange(0), default=0, metavar="N", help="Name at most so many gaps. [default: all]"
)
@common
def coverage(directory: str, kinds: tuple[str, ...], by_day: bool, most: int, **options: Any) -> int:
    """List all that the platform of DIRECTORY's collection admitted to and the collection lacks, each with the record
    that shows it, and set what is held against what the platform says it has.
    """
    from crawler.collection import Collection  # noqa: PLC0415 - not for --help
    from crawler.frontier.engines import to_read  # noqa: PLC0415

    console = console_from(options)
    collection = Collection.open(Path(directory))
    frontier = to_read(collection)
    try:
        _show_whole(collection.marker.seed, collection.marker.platform, frontier, console)
        if by_day:
            show_days(frontier, kinds, console)
        found = _show_gaps(frontier, kinds, most, console)
        _show_changes(frontier, _names_all(collection), kinds, console)
        _show_holes(frontier, kinds, console)
    finally:
        frontier.close()
    console.summary(exit_code=3 if found else 0, gaps=found, directory=str(collection.root))
    return 3 if found else 0


def _show_whole(seed: str, platform: str, frontier: FrontierReader, console: Console) -> None:
    console.result(f"{seed} ({platform})")
    for line in coverage_lines(platform, frontier.coverage()):
        console.result(line)
    for claim in frontier.claims():
        console.result(claim_line(claim))
        console.event("claim", kind=claim.kind, count=claim.count, counter=claim.counter, caveat=claim.caveat)
    for note, times in frontier.notes():
        console.result(note_line(note, times))
        console.event("note", text=note.text, url=note.url, times=times)


def _show_gaps(frontier: FrontierReader, kinds: tuple[str, ...], most: int, console: Console) -> int:
    """Name the gaps; return how many there are, named or not."""
    gaps = _gaps(frontier, kinds)
    count = 0
    for gap in islice(gaps, most or None):
        count += 1
        segment, offset, status = frontier.evidence(gap.url) or ("", 0, 0)
        console.event(
            "gap", kind=gap.kind, id=gap.id, standing=gap.standing.value, reason=gap.reason, day=gap.day, url=gap.url,
            status=status, segment=segment, offset=offset,
        )  # fmt: skip
        where = f"  {segment}:{offset}" if segment else ""
        why = f"  {gap.reason}" if gap.reason else ""
        what = gap.id if gap.id == gap.url else f"{gap.id} {gap.url}".rstrip()
        console.result(f"  {gap.standing.value:<9} {gap.kind:<10} {what}{why}{where}")
    rest = sum(1 for _ in gaps)
    if rest:
        console.result(f"  and {rest:,} more")
    return count + rest


def _gaps(frontier: FrontierReader, kinds: tuple[str, ...]) -> Iterator[Covered]:
    """Yield what is lacking. What the user left out, and numbers at which nothing lives, are no gaps."""
    for kind in kinds or (None,):
        yield from (gap for gap in frontier.gaps(kind) if gap.standing.value not in {"excluded", "vacant"})


def _names_all(collection: Collection) -> frozenset[str]:
    """Return which lists of the platform name all there is."""
    from spiders.registry import get  # noqa: PLC0415 - loads Scrapy

    return get(collection.marker.platform, collection.spider_file).names_all


def _show_changes(frontier: FrontierReader, whole: frozenset[str], kinds: tuple[str, ...], console: Console) -> None:
    """Name what is held and has changed on the platform since: no gap, and worth knowing."""
    for one in frontier.changes(whole):
        if not kinds or one.kind in kinds:
            segment, offset, status = frontier.evidence(one.url) or ("", 0, 0)
            console.event(
                "change", kind=one.kind, id=one.id, reason=one.reason, day=one.day, url=one.url, status=status,
                segment=segment, offset=offset,
            )  # fmt: skip
            where = f"  {segment}:{offset}" if segment else ""
            what = one.id if one.id == one.url else f"{one.id} {one.url}".rstrip()
            console.result(f"  held      {one.kind:<10} {what}  {one.reason}{where}")


def _show_holes(frontier: FrontierReader, kinds: tuple[str, ...], console: Console) -> None:
    from crawler.coverage import holes  # noqa: PLC0415 - not for --help

    for kind in kinds or frontier.coverage():
        found = holes(frontier.numbers(kind))
        if found is None or not found.missing:
            continue
        runs = ", ".join(f"{a:,}" if a == b else f"{a:,}-{b:,}" for a, b in found.runs[:RUNS])
        more = f" and {len(found.runs) - RUNS:,} more runs" if len(found.runs) > RUNS else ""
        console.result(
            f"  {kind} ids run from {found.first:,} to {found.last:,}; nothing known has {found.missing:,} of them: "
            f"{runs}{more}"
        )
        console.event("holes", kind=kind, first=found.first, last=found.last, missing=found.missing, runs=found.runs)
