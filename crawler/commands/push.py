"""``archive push``: a collection to S3-compatible places, resumed where it was interrupted, and proved there."""

from __future__ import annotations

import os
import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

import click

from crawler.commands.console import (
    Console,
    byte_count,
    common,
    console_from,
    duration,
    ending_at_once,
    is_terminal,
    size,
)

if TYPE_CHECKING:
    from tqdm import tqdm

    from crawler.cold.destination import Destination
    from crawler.cold.push import Pushed
    from crawler.collection import Collection

#: Seconds between two lines for programs that tell how far a destination is.
TELL_EVERY = 2.0

EXIT = """
\b
Exit status
  0  everything is at every destination, and proved
  2  usage
  3  something is not there, or nothing shows that it is whole
  4  credentials are missing or were refused
  5  another push of this collection runs
  6  the manifest is damaged
  8  the collection cannot be written
  10  there is no such directory
  130  interrupted (Ctrl-C); the same command goes on
"""


@click.command(epilog=EXIT)
@click.argument("directory", type=click.Path(file_okay=False))
@click.option(
    "--to",
    "urls",
    multiple=True,
    metavar="WHERE",
    help="s3://BUCKET/PREFIX, file:///PATH, or the name of a destination; several are several copies.",
)
@click.option(
    "--endpoint-url",
    "endpoints",
    multiple=True,
    metavar="URL",
    help="One for all destinations, or one for each in order.",
)
@click.option(
    "--grant",
    type=click.Path(exists=True, dir_okay=False),
    default=None,
    help="Send through the links of this file, which archive grant made, instead of to destinations.",
)
@click.option("--follow", is_flag=True, help="While a crawl of this collection runs, go on with what it seals.")
@click.option("--region", default=None, help="[default: that of the AWS settings]")
@click.option("--storage-class", default="", help="Class of the segments (GLACIER_IR, DEEP_ARCHIVE, …).")
@click.option("--connections", type=click.IntRange(1, 64), default=4, show_default=True, help="At once, a destination.")
@click.option("--bwlimit", default="0", metavar="SIZE", help="At most so many bytes a second over all.")
@click.option(
    "--read-back",
    type=click.Choice(["auto", "full", "sample", "none"]),
    default="auto",
    show_default=True,
    help="Read copies back: where nothing else proves them, all, one in twenty beside, or none.",
)
@click.option(
    "--retry-for",
    default="15m",
    show_default=True,
    metavar="TIME",
    help="Ask a destination that takes nothing again for so long.",
)
@click.option("--public-originals", is_flag=True, help="Let originals go to public destinations.")
@click.option("--delete-local", is_flag=True, help="Remove segments from this machine once enough owners have them.")
@click.option(
    "--copies",
    type=click.IntRange(1),
    default=2,
    show_default=True,
    help="How many distinct owners must have a segment, proven, before it may go.",
)
@click.option(
    "--lock-compliance",
    is_flag=True,
    help="Yes, lock where the config says compliance: nobody, not even you, can delete it before its date.",
)
@click.option(
    "--encrypt-to",
    "keys",
    multiple=True,
    metavar="age1…",
    help="Encrypt segments to this public key of age, from now on in every push of this collection. A copy whose "
    "identity is lost is lost; indexes and manifest stay readable.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be sent, and what it would cost.")
@common
@ending_at_once()
def push(
    directory: str, urls: tuple[str, ...], endpoints: tuple[str, ...], grant: str | None, region: str | None,
    storage_class: str, connections: int, bwlimit: str, read_back: Literal["auto", "full", "sample", "none"],
    retry_for: str, follow: bool, public_originals: bool, delete_local: bool, copies: int, lock_compliance: bool,
    keys: tuple[str, ...], dry_run: bool, **options: Any,
) -> int:  # fmt: skip
    """Copy the collection in DIRECTORY to every destination and prove each copy. Killed or cut off, the same command
    goes on: only what is not there is sent. Credentials and CA bundle come from the usual AWS variables.
    """
    from crawler.cold.encrypt import encrypt_to  # noqa: PLC0415 - not for --help
    from crawler.collection import Collection  # noqa: PLC0415
    from crawler.commands.destinations import named  # noqa: PLC0415
    from crawler.errors import DiskFull, UsageError  # noqa: PLC0415
    from crawler.reading.takedown import current  # noqa: PLC0415

    console = console_from(options)
    if bool(urls) == bool(grant):
        raise UsageError("Say where it goes: --to WHERE, or --grant FILE.")
    collection = Collection.open(Path(directory))
    if not os.access(collection.root, os.W_OK):
        raise DiskFull(f"{directory} cannot be written, and a push keeps what it did there (copies.sqlite, push.lock).")
    if keys:
        encrypt_to(collection, keys)
    look = partial(current, collection)
    look()
    if grant:
        return _through_links(collection, Path(grant), connections, console)
    destinations = named(urls, endpoints, region, storage_class)
    _check_locks(destinations, console, is_sure=lock_compliance)
    if dry_run:
        return _plan(collection, destinations, console, public_originals=public_originals)
    from crawler.cold.push import Hearing, Order  # noqa: PLC0415 - boto3 is slow to import
    from crawler.cold.push import push as carry_out  # noqa: PLC0415

    bars = _Bars(console)
    order = Order(
        connections=connections, rate=byte_count(bwlimit), read_back=read_back, patience=duration(retry_for),
        follow=follow, public_originals=public_originals, delete_local=delete_local, copies=copies,
    )  # fmt: skip
    with closing(bars):
        pushed = carry_out(
            collection, destinations, order, Hearing(bars.show, bars.say), look=look,
            leaving=partial(_taken_in, collection),
        )  # fmt: skip
    return _tell(pushed, console)


def _taken_in(collection: Collection) -> None:
    """Bring the data set up to date: what a segment says is known here also when the segment is gone."""
    from crawler.reading.dataset import Dataset  # noqa: PLC0415

    with Dataset(collection) as dataset:
        dataset.update(jobs=1)


def _through_links(collection: Collection, path: Path, connections: int, console: Console) -> int:
    """Send a collection as a volunteer does."""
    from crawler.cold.grant import read  # noqa: PLC0415
    from crawler.cold.volunteer import send  # noqa: PLC0415

    bars = _Bars(console)
    with closing(bars):
        told = send(collection, read(path), connections=connections, progress=bars.show)
    console.result(f"{told.there:,} files are there ({size(told.bytes)}), {told.sent:,} went now")
    for thing, why in told.refused.items():
        console.result(f"  {thing}: {why}")
    code = 3 if told.refused else 0
    console.summary(exit_code=code, there=told.there, sent=told.sent, bytes=told.bytes, refused=told.refused)
    return code


def _check_locks(destinations: list[Destination], console: Console, *, is_sure: bool) -> None:
    """Say until when what is locked stays; a lock that nobody can undo must be asked for twice."""
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415

    from crawler.errors import UsageError  # noqa: PLC0415

    for one in destinations:
        if one.lock == "compliance" and not is_sure:
            raise UsageError(
                f"{one.name} locks for compliance: nobody could delete anything there for {one.lock_days} days, "
                "whoever asks for it. If that is what you want, say --lock-compliance as well."
            )
        if one.lock:
            until = datetime.now(UTC) + timedelta(days=one.lock_days)
            console.say(f"{one.name}: segments are locked ({one.lock}) until {until:%Y-%m-%d}.")


def _plan(collection: Collection, destinations: list[Destination], console: Console, *, public_originals: bool) -> int:
    """Say what a push would send to each destination, and what that would cost."""
    from dataclasses import asdict  # noqa: PLC0415

    from crawler.cold.objects import Catalogue  # noqa: PLC0415
    from crawler.cold.prices import estimate, prices  # noqa: PLC0415

    tables = click.get_current_context().meta.get("outlast.tables", {})
    date, known = prices(tables.get("price", []))
    catalogue = Catalogue(collection)
    things = [*catalogue.segments(), *catalogue.finders()]
    for one in destinations:
        there = _proven(collection, one)
        wanted = [
            thing for thing in things
            if thing.may_go_to(one, public_originals=public_originals) and (thing.path, thing.sha256) not in there
        ]  # fmt: skip
        found = estimate(one, wanted, known)
        console.result(
            f"{one.name}: {found.objects:,} objects, {size(found.bytes)}, {found.requests:,} requests to write; "
            + (
                f"${found.once:,.2f} to send, ${found.month:,.2f} a month (at least ${found.least:,.2f} in all), "
                f"${found.back:,.2f} to get it back"
                if found.once is not None
                else "no price is known for it: [[price]] tables of the config say more"
            )
        )
        console.event("estimate", **asdict(found), prices=date)
    console.result(f"Prices are list prices of {date}; [[price]] tables of the config come before them.")
    console.summary(exit_code=0, destinations=len(destinations), prices=date)
    return 0


def _proven(collection: Collection, destination: Destination) -> set[tuple[str, str]]:
    from crawler.cold.copies import Copies, CopyState  # noqa: PLC0415

    path = collection.root / "copies.sqlite"
    if not path.is_file():
        return set()
    copies = Copies(path)
    try:
        rows = copies.all(destination.name)
    finally:
        copies.close()
    return {(one.object, one.sha256) for one in rows if one.state is CopyState.PROVEN}


def _tell(pushed: Pushed, console: Console) -> int:
    code = 0
    if pushed.held_back:
        console.result(
            f"{pushed.held_back:,} segments stay here: they hold what was taken down; archive takedown --rewrite first"
        )
        code = 3
    for one in pushed.destinations:
        is_whole = not (one.missing or one.unproven or one.error or one.refused)
        told = f"{one.proven:,} proven, {size(one.bytes)}"
        told += f", {one.unproven:,} there but not proven" if one.unproven else ""
        told += f", {one.missing:,} not there" if one.missing else ""
        told += f", {one.withheld:,} withheld as strangers may read there" if one.withheld else ""
        console.result(f"{one.destination}: {told}")
        for thing, why in one.refused.items():
            console.result(f"  {thing}: {why}")
        if one.error:
            console.result(f"  {one.error}")
            code = max(code, one.error.exit_code if one.error.exit_code in {4, 6} else 3)
        code = max(code, 0 if is_whole else 3)
        console.event(
            "destination", name=one.destination, proven=one.proven, unproven=one.unproven, missing=one.missing,
            withheld=one.withheld, bytes=one.bytes, refused=one.refused, error=str(one.error) if one.error else None,
            profile=one.profile.facts() if one.profile else None,
        )  # fmt: skip
    if pushed.deleted:
        console.result(
            f"{pushed.deleted:,} segments ({size(pushed.deleted_bytes)}) went from here; they are elsewhere."
        )
    console.summary(
        exit_code=code, destinations=len(pushed.destinations), proven=sum(one.proven for one in pushed.destinations),
        segments=pushed.segments, deletable=pushed.deletable, deleted=pushed.deleted,
        deleted_bytes=pushed.deleted_bytes,
    )  # fmt: skip
    return code


class _Bars:
    """A bar a destination on a terminal, lines for programs; nothing elsewhere, where the outcome is enough."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown = not console.quiet and is_terminal()
        self._bars: dict[str, tqdm[Any]] = {}
        self._told: dict[str, float] = {}
        self._lock = Lock()

    def show(self, name: str, sent: int, whole: int) -> None:
        """Take in how far a destination is."""
        with self._lock:
            if self._console.json and time.monotonic() - self._told.get(name, 0.0) >= TELL_EVERY:
                self._told[name] = time.monotonic()
                self._console.event("progress", name=name, sent=sent, bytes=whole)
            if self._shown:
                self._draw(name, sent, whole)

    def _draw(self, name: str, sent: int, whole: int) -> None:
        from tqdm import tqdm  # noqa: PLC0415

        if name not in self._bars:
            self._bars[name] = tqdm(
                desc=name, total=whole, unit="B", unit_scale=True, position=len(self._bars), dynamic_ncols=True
            )
        bar = self._bars[name]
        bar.total = whole
        bar.n = min(sent, whole)
        bar.refresh()

    def say(self, text: str) -> None:
        """Say something above the bars."""
        self._console.event("note", text=text)
        if self._bars and not self._console.quiet:
            next(iter(self._bars.values())).write(text, file=sys.stderr)
        else:
            self._console.say(text)

    def close(self) -> None:
        """Leave the bars as they stand."""
        for bar in self._bars.values():
            bar.close()
