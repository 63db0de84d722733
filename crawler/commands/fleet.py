"""``archive fleet``: who takes part in a crawl, what each has brought, and how fast hosts are asked by all together."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crawler.commands.console import common, console_from, printable, size
from crawler.errors import NoCollection, NoCrawl, UsageError

if TYPE_CHECKING:
    from crawler.commands.console import Console
    from crawler.fleet import Member
    from crawler.frontier.interface import Host
    from crawler.frontier.postgres.reader import PostgresReader

#: Hosts that are shown, the busiest first.
MOST_HOSTS = 20
STANDINGS = ("here", "late", "silent", "left", "revoked")


@click.command(
    epilog="\b\nExit status\n  0  shown\n  2  usage, or the collection is of no fleet\n"
    "  10  there is no such directory, or no crawl in that database\n  11  the database cannot be reached"
)
@click.argument("where", metavar="DIR|postgresql://…")
@click.option(
    "--over", type=click.FloatRange(0, 3600), default=2.0, show_default=True, metavar="SECONDS",
    help="Look twice, so far apart, for what is done a second.",
)  # fmt: skip
@common
def fleet(where: str, over: float, **options: Any) -> int:
    """Show the machines and volunteers of the crawl that DIR is part of, or that a database has: when each was heard
    last, what it holds and has brought, and which are late (not heard for half of a lease) or silent (for all of it).
    """
    console = console_from(options)
    with closing(_opened(where)) as frontier:
        before, began = _counts(frontier), time.monotonic()
        if over and not _is_over(frontier):
            time.sleep(over)
        _show(frontier, before, time.monotonic() - began, console)
    return 0


def _opened(where: str) -> PostgresReader:
    from crawler.frontier.engines import is_volunteer, with_database  # noqa: PLC0415 - not for --help

    if "://" in where:
        with_database()
        from crawler.frontier.postgres.reader import PostgresReader  # noqa: PLC0415 - only fleets have psycopg

        try:
            return PostgresReader(where)
        except NoCrawl as e:
            raise NoCollection(f"{e} Where it has a schema of its own, the address ends with ?schema=NAME.") from e
    from crawler.collection import Collection  # noqa: PLC0415

    marker = Collection.open(Path(where)).marker
    if is_volunteer(marker):
        raise UsageError(f"{where} is a volunteer's; who coordinates the crawl sees the fleet.")
    if not marker.frontier:
        raise UsageError(f"{where} is part of no fleet: its frontier is its own (archive status).")
    return _opened(marker.frontier)


def _is_over(frontier: PostgresReader) -> bool:
    return not any(row[6] for row in frontier.members())


def _counts(frontier: PostgresReader) -> tuple[dict[int, int], dict[str, int]]:
    """Return what each node and each host has done so far."""
    from crawler.fleet import members_of  # noqa: PLC0415

    done = {one.node: one.captures + one.attempts + one.held for one in members_of(frontier)}
    return done, {one.origin: _settled(one) for one in frontier.hosts(MOST_HOSTS)}


def _settled(host: Host) -> int:
    return host.done + host.failed + host.parked


def _show(
    frontier: PostgresReader, before: tuple[dict[int, int], dict[str, int]], seconds: float, console: Console
) -> None:
    from crawler.control import Steering  # noqa: PLC0415
    from crawler.fleet import members_of  # noqa: PLC0415
    from crawler.reading.page.snapshot import hosts  # noqa: PLC0415

    now, found = frontier.now(), members_of(frontier)
    count = {name: sum(one.standing == name for one in found) for name in STANDINGS}
    crawl = frontier.meta_get("crawl") or "a crawl"
    told = ", ".join(f"{n} {name}" for name, n in count.items() if n)
    console.result(f"{printable(crawl)}, round {frontier.round}: {told}")
    for one in found:
        rate = _rate(one.captures + one.attempts + one.held, before[0].get(one.node), seconds)
        console.result(_line(one, now, rate))
        console.event("member", **asdict(one), rate=rate, silent_for=round(now - one.heard, 1))
    shown = hosts(frontier, Steering(), now)[:MOST_HOSTS]
    for host in shown:
        done = host["done"] + host["failed"] + host["parked"]
        host["rate"] = _rate(done, before[1].get(host["origin"]), seconds)
        console.result(_host_line(host))
        console.event("host", **host)
    stats = frontier.stats()
    console.summary(
        exit_code=0, crawl=crawl, round=frontier.round, members=len(found), standing=count, done=stats.done,
        queued=stats.queued, leased=stats.leased, held=stats.held, captures=stats.captures, bytes=stats.bytes,
    )  # fmt: skip


def _rate(now: int, before: int | None, seconds: float) -> float | None:
    """Return what was done a second since the first look; None where there was none."""
    return round(max(now - before, 0) / seconds, 2) if before is not None and seconds > 0.5 else None


def _line(one: Member, now: float, rate: float | None) -> str:
    told = [f"{one.captures:,} captures, {size(one.bytes)}", f"{one.leased:,} in flight"]
    told += [f"{rate:g}/s"] if rate else []
    if one.kind == "volunteer":
        told.append(f"{one.held:,} held, {one.proven:,} segments proven ({size(one.proven_bytes)})")
        told += [f"{one.refused:,} refused"] if one.refused else []
        told += [f"{one.differs:,} of {one.agrees + one.differs:,} samples differ"] if one.differs else []
    heard = f"heard {_ago(now - one.heard)} ago" if one.heard else "never heard"
    name = printable(one.name)[:40] or "?"
    return f"  {one.node:>3} {name:<20} {one.kind:<9} {one.standing:<7} {heard}; {', '.join(told)}"


def _ago(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def _host_line(host: dict[str, Any]) -> str:
    told = [f"{host['done']:,} done, {host['queued']:,} to go, {host['leased']:,} in flight"]
    told += [f"{host['rate']:g}/s"] if host["rate"] else []
    told += [f"bears {host['learned']:g}/s"] if host["learned"] else []
    told += [f"left alone for {_ago(host['wait'])}"] if host["wait"] else []
    return f"  {host['origin']}: {', '.join(told)}"
