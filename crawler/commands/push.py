"""``archive push``: a collection to S3-compatible places, resumed where it was interrupted, and proved there."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from crawler.commands.console import Console, byte_count, common, console_from, duration, is_terminal, size

if TYPE_CHECKING:
    from tqdm import tqdm

    from crawler.cold.destination import Destination
    from crawler.cold.push import Outcome
    from crawler.collection import Collection

#: Seconds between looks at what a running crawl has sealed, and those that one destination that takes nothing may
#: hold up the others meanwhile.
FOLLOW_EVERY, AWHILE = 5.0, 20.0

EXIT = """
\b
Exit status
  0  everything is at every destination, and proved
  2  usage
  3  something is not there, or nothing shows that it is whole
  4  credentials are missing or were refused
  5  another push of this collection runs
  6  the manifest is damaged
  10  there is no such directory
"""


@click.command(epilog=EXIT)
@click.argument("directory", type=click.Path(file_okay=False))
@click.option(
    "--to",
    "urls",
    multiple=True,
    required=True,
    metavar="WHERE",
    help="s3://BUCKET/PREFIX, or the name of a [[destination]] of the config; several are several copies.",
)
@click.option(
    "--endpoint-url",
    "endpoints",
    multiple=True,
    metavar="URL",
    help="One for all destinations, or one for each in order.",
)
@click.option("--follow", is_flag=True, help="While a crawl of this collection runs, go on with what it seals.")
@click.option("--region", default=None, help="[default: that of the AWS settings]")
@click.option("--storage-class", default="", help="Class of the segments (GLACIER_IR, DEEP_ARCHIVE, …).")
@click.option("--connections", type=click.IntRange(1, 64), default=4, show_default=True, help="At once, a destination.")
@click.option("--bwlimit", default="0", metavar="SIZE", help="At most so many bytes a second over all.")
@click.option(
    "--read-back",
    type=click.Choice(["auto", "full", "none"]),
    default="auto",
    show_default=True,
    help="Read copies back: where nothing else proves them, always, or never.",
)
@click.option(
    "--retry-for",
    default="15m",
    show_default=True,
    metavar="TIME",
    help="Ask a destination that takes nothing again for so long.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be sent.")
@common
def push(
    directory: str, urls: tuple[str, ...], endpoints: tuple[str, ...], region: str | None, storage_class: str,
    connections: int, bwlimit: str, read_back: Literal["auto", "full", "none"], retry_for: str, dry_run: bool,
    follow: bool,
    **options: Any,
) -> int:  # fmt: skip
    """Copy the collection in DIRECTORY to every destination and prove each copy. Killed or cut off, the same command
    goes on: only what is not there is sent. Credentials and CA bundle come from the usual AWS variables.
    """
    from crawler.collection import Collection  # noqa: PLC0415 - not for --help
    from crawler.errors import UsageError  # noqa: PLC0415

    console = console_from(options)
    collection = Collection.open(Path(directory))
    destinations = _destinations(urls, endpoints, region, storage_class)
    if len({one.name for one in destinations}) < len(destinations):
        raise UsageError("Two destinations are the same place; that would be one copy.")
    if dry_run:
        return _plan(collection, len(destinations), console)
    from crawler.cold.push import Order  # noqa: PLC0415 - boto3 is slow to import
    from crawler.cold.push import push as carry_out  # noqa: PLC0415

    bars = _Bars(console)
    order = Order(
        connections=connections, rate=byte_count(bwlimit), read_back=read_back, patience=duration(retry_for)
    )  # fmt: skip
    try:
        while True:
            runs = follow and collection.is_locked()
            # While more is sealed, what finds it again would be out of date at once.
            outcomes = carry_out(
                collection, destinations, replace(order, patience=min(order.patience, AWHILE)) if runs else order,
                with_finders=not runs, progress=bars.show, say=console.say,
            )  # fmt: skip
            if not runs:
                break
            time.sleep(FOLLOW_EVERY)
    finally:
        bars.close()
    return _tell(outcomes, console)


def _destinations(
    urls: tuple[str, ...], endpoints: tuple[str, ...], region: str | None, storage_class: str
) -> list[Destination]:
    """Return what ``--to`` names: destinations of the configuration by their names, others by their URLs."""
    from crawler.cold.destination import from_tables, from_url  # noqa: PLC0415 - not for --help
    from crawler.errors import UsageError  # noqa: PLC0415

    tables = click.get_current_context().meta.get("outlast.tables", {})
    named = from_tables(tables.get("destination", []))
    count = sum("://" in url for url in urls)
    if len(endpoints) not in {0, 1, count}:
        raise UsageError("Give one --endpoint-url for all s3:// destinations, or one for each.")
    places = iter(endpoints if len(endpoints) == count else [*(endpoints or (None,))] * count)
    found = []
    for url in urls:
        if "://" in url:
            found.append(from_url(url, endpoint=next(places), region=region, storage_class=storage_class))
        elif url in named:
            found.append(named[url])
        else:
            known = f"there are: {', '.join(named)}" if named else "the config has none"
            raise UsageError(f"There is no destination {url!r}; {known}. Or write s3://BUCKET/PREFIX.")
    return found


def _plan(collection: Collection, copies: int, console: Console) -> int:
    """Say what a push would send to destinations that have nothing yet."""
    from crawler.cold.objects import finders, segments  # noqa: PLC0415

    things = [*segments(collection), *finders(collection)]
    count, whole = len(things), sum(one.bytes for one in things)
    requests = sum(len(one.part_md5) + (2 if len(one.part_md5) > 1 else 0) for one in things)
    console.result(f"{count:,} objects, {size(whole)}, {requests:,} requests to each of {copies} destinations")
    console.summary(exit_code=0, objects=count, bytes=whole, requests=requests, destinations=copies)
    return 0


def _tell(outcomes: list[Outcome], console: Console) -> int:
    code = 0
    for one in outcomes:
        is_whole = not (one.missing or one.unproven or one.error or one.refused)
        told = f"{one.proven:,} proven, {size(one.bytes)}"
        told += f", {one.unproven:,} there but not proven" if one.unproven else ""
        told += f", {one.missing:,} not there" if one.missing else ""
        console.result(f"{one.destination}: {told}")
        for thing, why in one.refused.items():
            console.result(f"  {thing}: {why}")
        if one.error:
            console.result(f"  {one.error}")
            code = max(code, one.error.exit_code if one.error.exit_code in {4, 6} else 3)
        code = max(code, 0 if is_whole else 3)
        console.event(
            "destination", name=one.destination, proven=one.proven, unproven=one.unproven, missing=one.missing,
            bytes=one.bytes, refused=one.refused, error=str(one.error) if one.error else None,
            profile=one.profile.facts() if one.profile else None,
        )  # fmt: skip
    console.summary(exit_code=code, destinations=len(outcomes), proven=sum(one.proven for one in outcomes))
    return code


class _Bars:
    """A bar a destination on a terminal; nothing elsewhere, where the outcome is enough."""

    def __init__(self, console: Console) -> None:
        self._shown = not console.quiet and is_terminal()
        self._bars: dict[str, tqdm[Any]] = {}

    def show(self, name: str, sent: int, whole: int) -> None:
        """Take in how far a destination is."""
        if not self._shown:
            return
        from tqdm import tqdm  # noqa: PLC0415

        if name not in self._bars:
            self._bars[name] = tqdm(
                desc=name, total=whole, unit="B", unit_scale=True, position=len(self._bars), dynamic_ncols=True
            )
        bar = self._bars[name]
        bar.n = min(sent, whole)
        bar.refresh()

    def close(self) -> None:
        """Leave the bars as they stand."""
        for bar in self._bars.values():
            bar.close()
