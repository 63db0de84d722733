"""``archive status``: what a collection holds and lacks, read beside a running crawl or without one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crawler.commands.console import Console, common, console_from, size
from crawler.commands.dashboard import listen, of_dashboard, shown
from crawler.errors import Damaged

if TYPE_CHECKING:
    from crawler.collection import Collection
    from crawler.control import Steering
    from crawler.frontier.interface import Stats, Swept
    from crawler.frontier.reader import FrontierReader
    from crawler.model import Claim, Note


#: Hosts with the same trouble that are named.
MOST_NAMED = 8


@click.command(
    epilog="\b\nExit status\n  0  shown\n  2  usage, or the directory is no collection\n"
    "  10  there is no such directory"
)
@click.argument("directory", type=click.Path(file_okay=False))
@click.option("--by-day", is_flag=True, help="Count by day, too.")
@of_dashboard
@common
def status(directory: str, by_day: bool, dashboard: str | None, **options: Any) -> None:
    """Say what the collection in DIRECTORY holds and what it lacks; with --dashboard, in a browser, until Ctrl-C."""
    from crawler.collection import Collection  # noqa: PLC0415 - not for --help
    from crawler.frontier.engines import to_read  # noqa: PLC0415
    from crawler.reading.page.snapshot import held  # noqa: PLC0415

    console = console_from(options)
    collection = Collection.open(Path(directory))
    frontier = to_read(collection)
    try:
        if by_day:
            show_days(frontier, (), console)
        stats, swept = frontier.stats(), frontier.sweeps()
        facts = held(collection, frontier, stats, swept) | {"lacking": _lacking(collection, console)}
        _show(facts, frontier, stats, swept, console)
    finally:
        frontier.close()
    if dashboard is not None:
        _serve(collection, dashboard, console)
    console.summary(**facts)


def _lacking(collection: Collection, console: Console) -> list[str]:
    """Return the segments that are entered and not here, but for what repair set aside and what is proven elsewhere."""
    from crawler.cold.copies import elsewhere  # noqa: PLC0415 - not for --help
    from crawler.collection import salvaged_name  # noqa: PLC0415
    from crawler.warc import manifest  # noqa: PLC0415

    here = {path.name for path in collection.sealed_segments()} | set(elsewhere(collection.root / "copies.sqlite"))
    try:
        entries = manifest.standing(manifest.read(collection.manifest))
    except Damaged as e:
        console.say(str(e))
        return []
    return [one.segment for one in entries if one.segment not in here and salvaged_name(one.segment) not in here]


def _serve(collection: Collection, dashboard: str, console: Console) -> None:
    """Serve the live page until Ctrl-C or a TERM."""
    import asyncio  # noqa: PLC0415 - not for --help
    import signal  # noqa: PLC0415

    from crawler.model import Seed  # noqa: PLC0415
    from spiders.registry import get, names  # noqa: PLC0415

    marker = collection.marker
    # A spider that came with a collection is code of whoever made it: looking runs none of it.
    known = marker.platform in names() and not marker.spiders
    spider = get(marker.platform)(seed=Seed(url=marker.seed, options=marker.options)) if known else None

    async def until_stopped() -> None:
        ended = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
        async with shown(collection, listener, console, kept=False, spider=spider):
            await ended.wait()

    with listen(dashboard) as listener:
        asyncio.run(until_stopped())


def _show(facts: dict[str, Any], frontier: FrontierReader, stats: Stats, swept: list[Swept], console: Console) -> None:
    from crawler.control import Steering  # noqa: PLC0415 - not for --help
    from crawler.reading.sweeps import sweep_lines  # noqa: PLC0415

    running = "being crawled now" if facts["running"] else "no crawl is running"
    console.result(f"{facts['seed']} ({facts['platform']}), {running}")
    for line in coverage_lines(facts["platform"], frontier.coverage()):
        console.result(line)
    console.result(
        f"  {stats.captures:,} captures, {stats.attempts:,} attempts, {size(stats.bytes)} on the wire; "
        f"{len(facts['segments'])} segments sealed, {size(facts['segment_bytes'])}"
    )
    console.result(
        f"  {stats.done:,} done, {stats.queued:,} queued, {stats.leased:,} in flight, {stats.parked:,} parked, "
        f"{stats.failed:,} failed, {stats.excluded:,} excluded"
    )
    if lacking := facts["lacking"]:
        named = f"{', '.join(lacking[:MOST_NAMED])}{' …' if len(lacking) > MOST_NAMED else ''}"
        console.result(f"  {len(lacking):,} segments are gone from here: {named}; archive pull brings copies back")
    for lane, states in stats.lanes.items():
        if waiting := states.get("queued", 0) + states.get("leased", 0):
            console.result(f"    {lane:<12} {states.get('done', 0):>9,} done, {waiting:,} to go")
    notes = [note_line(note, times) for note, times in frontier.notes()][:MOST_NAMED]
    claims = [claim_line(claim) for claim in frontier.claims()]
    troubles = [*map(dead_line, facts["dead"]), *trouble(stats)]
    for line in (*troubles, *order_lines(Steering(**facts["orders"])), *sweep_lines(swept), *claims, *notes):
        console.result(line)


def dead_line(dead: dict[str, Any]) -> str:
    """Return what is dead, as people read it."""
    since = datetime.fromtimestamp(dead["since"], UTC).strftime("%Y-%m-%d %H:%M UTC")
    lane = f" ({dead['lane']})" if dead["lane"] else ""
    waits = f"{dead['waiting']:,} fetches wait, and it is asked now and then"
    return f"  {dead['origin']}{lane} died, {since}: {dead['why']}; {waits}"


def order_lines(orders: Steering) -> list[str]:
    """Return what the orders to a crawl amount to, as people read them."""
    lines = ["  paused: nothing is asked until `archive resume`"] if orders.paused else []
    told = [f"rate {host} {rate:g}/s" for host, rate in orders.rates.items()]
    told += [f"concurrency {host} {n}" for host, n in orders.concurrency.items()]
    told += [f"lane {lane} {place}" for lane, place in orders.lanes.items()]
    told += [f"exclude {pattern}" for pattern in orders.exclude]
    return lines + ([f"  set: {', '.join(told)}"] if told else [])


def show_days(frontier: FrontierReader, kinds: tuple[str, ...], console: Console) -> None:
    """Count what is captured, missing, refused, excluded and queued by day."""
    console.result("By day")
    for (kind, day), counts in frontier.days().items():
        if not kinds or kind in kinds:
            told = ", ".join(f"{n:,} {'queued' if standing == 'known' else standing}" for standing, n in counts.items())
            console.result(f"  {day or 'no day':<10}  {kind:<10}  {told}")
            console.event("day", kind=kind, day=day, **counts)


def coverage_lines(platform: str, coverage: dict[str, dict[str, int]]) -> list[str]:
    """Return the coverage by kind as people read it, in the platform's own order."""
    from spiders.registry import get, names  # noqa: PLC0415 - not for --help

    kinds = get(platform).kinds if platform in names() else ()  # a plug-in may be gone, or a spider be a file
    order = {kind: place for place, kind in enumerate(kinds)}
    return [_line(kind, coverage[kind]) for kind in sorted(coverage, key=lambda kind: (order.get(kind, 99), kind))]


def _line(kind: str, counts: dict[str, int]) -> str:
    if set(counts) == {"excluded"}:
        return f"  {kind:<10} {counts['excluded']:>9,} noted, outside this crawl"
    total = sum(n for standing, n in counts.items() if standing != "vacant")
    others = ", ".join(f"{n:,} {standing}" for standing, n in counts.items() if n and standing != "captured")
    return f"  {kind:<10} {counts.get('captured', 0):>9,} of {total:,} captured{f'  ({others})' if others else ''}"


def claim_line(claim: Claim) -> str:
    """Return what the platform says it has, with what must be known of that."""
    caveat = f", which {claim.caveat}" if claim.caveat else ""
    return f"  {claim.kind:<10} {claim.count:>9,} says the platform ({claim.counter}{caveat})"


def note_line(note: Note, times: int) -> str:
    """Return what a person must hear, and the answer that shows it."""
    return f"  {note.text}{f'  ({times:,} times)' if times > 1 else ''}  {note.url}".rstrip()


def trouble(stats: Stats) -> list[str]:
    """Return what is parked, failed or waiting on the user, a line each."""
    lines = [
        f"  {count:,} parked, failed or refused: {reason}"
        for reason, count in sorted(stats.reasons.items(), key=lambda item: -item[1])[:8]
    ]
    lines += [
        f"  {place}/robots.txt was never readable, so its pages wait; --robots ignore goes on without it"
        for place in stats.unreadable[:MOST_NAMED]
    ]
    if (more := len(stats.unreadable) - MOST_NAMED) > 0:
        lines.append(f"  {more:,} more hosts have no readable robots.txt")
    return lines
