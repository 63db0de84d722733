"""How ``crawl``, ``resume`` and ``demo`` run a crawl and tell of it: open or make the collection, run, report."""

from __future__ import annotations

import asyncio
import logging
import re
import signal
import sys
import time
from contextlib import nullcontext
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from tqdm import tqdm

from crawler import clock, garbage
from crawler.admission import Admission
from crawler.collection import Collection, default_root, is_vacant
from crawler.commands import pushing
from crawler.commands.console import Console, is_terminal, size
from crawler.commands.crawl import PER_RUN
from crawler.commands.dashboard import listen, shown
from crawler.commands.status import MOST_NAMED, claim_line, coverage_lines, note_line, trouble
from crawler.config import Config
from crawler.control import is_paused
from crawler.coverage import coverage_facts
from crawler.errors import Interrupted, SiteUnavailable, UsageError
from crawler.frontier.engines import to_read, to_write, with_database
from crawler.model import Seed
from crawler.nursery import Nursery, nursery
from crawler.plan.words import goal_lines
from crawler.planning import goal_of
from crawler.probe import Site, probe
from crawler.provenance import user_agent
from crawler.recover import take_in
from crawler.scope import Scope
from crawler.supervise import WORKER, Report, Supervisor
from crawler.template import Template
from crawler.url import canonical, host_of
from spiders.registry import adopt, get

if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket

    from crawler.frontier.engine import Engine
    from crawler.frontier.interface import Stats

#: Seconds between progress lines where there is no terminal.
LINE_EVERY = 30.0
log = logging.getLogger("outlast.crawl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the user asked for."""

    seed: Seed
    config: Config
    into: str | None = None
    urls: tuple[str, ...] = ()
    #: Templates of URLs → the order in which their ids are asked.
    templates: dict[str, str] = field(default_factory=dict)
    platform: str = ""
    #: A spider of a single file, for this site.
    spider: Path | None = None
    #: Read again what is held.
    reparse: bool = False
    add_seed: bool = False
    #: States whose fetches are queued again.
    retry: tuple[str, ...] = ()
    again: bool = False
    #: Of that round: look at all that is held.
    recheck: bool = False
    #: Where the live page is to be served.
    dashboard: str | None = None


def carry_out(order: Order, console: Console) -> int:
    """Run a crawl to its end and return the exit code."""
    config = replace(order.config, user_agent=user_agent(order.config))
    if config.frontier:
        with_database()
        from crawler.frontier.postgres.connection import checked  # noqa: PLC0415 - only fleets have psycopg

        checked(config.frontier)
    root = Path(order.into) if order.into else default_root(order.seed)
    pushing.check(config, root)
    Scope(
        hosts=frozenset(), include=config.include, exclude=config.exclude
    )  # a bad pattern is said before anything is asked
    with (
        nursery(WORKER) as workers,
        listen(order.dashboard) if order.dashboard is not None else nullcontext() as listener,
    ):
        return _carry_out(root, order, config, console, listener, workers)


def _carry_out(
    root: Path, order: Order, config: Config, console: Console, listener: socket | None, workers: Nursery
) -> int:
    collection, site = _open(root, order, config, console)
    with collection.lock():
        log_to(collection)
        _adopt(order, collection, console)
        if is_paused(collection.root):
            console.say(f"Paused by an order: nothing is asked until `archive resume {root}`.")
        frontier = _frontier(collection, order, config)
        config = _remembered(frontier, config)
        _tell_goal(config, console)
        beside = pushing.Pushing(collection, config, console) if config.push_to else None
        try:
            report = _run(order, collection, frontier, config, site, console, beside, listener, workers)
        except BaseException:
            if beside:
                beside.stop()
            raise
        finally:
            frontier.close()
    return _tell(report, collection, console, beside)


def _open(root: Path, order: Order, config: Config, console: Console) -> tuple[Collection, Site | None]:
    """Open the collection at ``root``, or recognise the site and make one."""
    if (root / "collection.json").is_file():
        collection = Collection.open(root)
        if canonical(order.seed.url) not in collection.marker.seeds:
            if not order.add_seed:
                raise UsageError(
                    f"{root} holds {collection.marker.seed}, not {order.seed.url}; name another directory with --into, "
                    "or add this seed to it with --add-seed."
                )
            collection.add_seed(order.seed)
        return collection, None
    if not is_vacant(root):
        raise UsageError(f"{root} exists and is not an Outlast collection; name another with --into.")
    platform = adopt(order.spider).name if order.spider else order.platform
    listed = bool(order.urls or order.templates or order.spider)
    # With a spider of its own there is nothing to recognise.
    site = asyncio.run(probe(order.seed, config, platform, only_reach=order.spider is not None, listed=listed))
    if order.spider:
        site = replace(site, confidence=100, reasons=(f"read by {order.spider.name}",))
    console.say(f"{host_of(order.seed.url)}: {site.title} ({'; '.join(site.reasons)})")
    console.event("detected", platform=site.platform, confidence=site.confidence, reasons=list(site.reasons))
    if not config.contact and not site.is_local:
        console.say("Tip: --contact you@example.org tells the operator of the site how to reach you.")
    return Collection.create(root, order.seed, site.platform), site


def _adopt(order: Order, collection: Collection, console: Console) -> None:
    """Take the spider's file that was named, or the collection's own as it is now."""
    file = order.spider or collection.spider_file
    if file is None:
        return
    had_one = collection.marker.spiders or collection.marker.frontier or collection.frontier.exists()
    if collection.add_spider(file, adopt(file).name) and had_one and not order.reparse:
        console.say(f"{file.name} is not what read this site before; --reparse reads what is held with it, too.")


def _run(
    order: Order, collection: Collection, frontier: Engine, config: Config, site: Site | None,
    console: Console, beside: pushing.Pushing | None, listener: socket | None, workers: Nursery,
) -> Report:  # fmt: skip
    collection.add_templates(order.templates)
    marker = collection.marker
    swept = [Template.of(text).url(0) for text in marker.templates]
    config = replace(config, listed_hosts=tuple(sorted({host_of(u) for u in (*order.urls, *marker.seeds, *swept)})))
    seed = replace(order.seed, url=marker.seed, since=marker.since, until=marker.until, options=marker.options)
    view = Progress(console, beside)
    supervisor = Supervisor(
        collection, frontier, config, seed, get(marker.platform, collection.spider_file), reparse=order.reparse,
        progress=view.show, say=console.say,
        tell=lambda event: announce(event, console), nursery=workers,
    )  # fmt: skip
    if site is not None:
        site.record(collection, frontier, config)
    supervisor.list_urls(order.urls)
    for state in order.retry:
        count = frontier.requeue_missing() if state == "missing" else frontier.requeue(state)
        console.say(f"{count:,} {state} fetches queued again")
    if order.again:
        is_new = supervisor.begin_again(recheck=order.recheck)
        console.say(f"Round {frontier.round}{'' if is_new else ', begun before, goes on'}: what is new or changed.")
    for text, count in supervisor.sweep(order.templates).items():
        console.say(f"{text}: {count:,} ids to ask" if count else f"{text}: goes on where it was")
    garbage.seldom()
    try:
        return asyncio.run(_until_stopped(supervisor, seed, config, site, console, listener, view))
    finally:
        view.close()


async def _until_stopped(
    supervisor: Supervisor, seed: Seed, config: Config, site: Site | None, console: Console, listener: socket | None,
    view: Progress,
) -> Report:  # fmt: skip
    """Run the supervisor; the first Ctrl-C stops it in good order, the second at once."""
    presses = 0

    def pressed() -> None:
        nonlocal presses
        presses += 1
        if presses == 1:
            console.say("\nStopping: finishing what is in flight (Ctrl-C again to stop at once; nothing is lost).")
            supervisor.stop(Interrupted())
        else:
            supervisor.kill()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, pressed)

    async def reachable() -> None:
        found = site or await _reached(supervisor, seed, config)
        if found.refusal:
            raise SiteUnavailable(found.refusal)

    if listener is None:
        return await supervisor.run(reachable=reachable)
    async with shown(
        supervisor.collection, listener, console, kept=True, workers=supervisor.workers, newest=supervisor.newest,
        spider=supervisor.spider(seed=seed), ends=clock.now() + config.max_time if config.max_time else None,
    ) as board:  # fmt: skip
        view.told = board.note
        return await supervisor.run(reachable=reachable)


async def _reached(supervisor: Supervisor, seed: Seed, config: Config) -> Site:
    """Ask the seed alone, at the address it had where its name is gone and the user consented to that."""
    known = to_read(supervisor.collection)
    try:
        kept = known.addresses if config.keep_addresses else None
        return await probe(seed, config, supervisor.spider.name, only_reach=True, listed=True, kept=kept)
    finally:
        known.close()


def _tell_goal(config: Config, console: Console) -> None:
    """Echo what the user wants saved first and by when, in UTC and the zone that was named."""
    goal = goal_of(config, clock.now())
    for line in goal_lines(goal, config.tz):
        console.say(line)
    if config.deadline and goal.deadline is None:
        console.say(f"The deadline, {config.deadline}, is over; going on as long as the site answers.")


def announce(event: dict[str, str], console: Console) -> None:
    """Tell at once that something died, or lives again."""
    console.say(event["text"])
    console.event("deathwatch", **event)


def _frontier(collection: Collection, order: Order, config: Config) -> Engine:
    """Open the frontier; the first machine of a fleet says what it crawls, all others must crawl the same."""
    if config.frontier:
        collection.join_fleet(config.frontier)
    frontier = to_write(collection)
    if collection.marker.frontier:
        marker = collection.marker
        ours = f"{marker.seed} ({marker.platform})"
        ours += "".join(f" {name} {day}" for name in ("since", "until") if (day := getattr(marker, name)))
        if (theirs := frontier.settle_meta("crawl", ours)) != ours:
            frontier.close()
            raise UsageError(
                f"The fleet of that database crawls {theirs}, not {ours}; another crawl in the same "
                "database has schema=NAME in its address."
            )
    return frontier


def _remembered(frontier: Engine, config: Config) -> Config:
    """Return the settings of this run: what was typed, else what the last run had, else the defaults."""
    stored = frontier.meta_get("config")
    if stored:
        last = msgspec.json.decode(stored, type=Config, strict=False)
        kept = {
            f.name: getattr(last, f.name)
            for f in fields(Config)
            if f.name not in config.sources and f.name not in PER_RUN and f.name != "sources"
        }
        for name, value in kept.items():
            if value != getattr(config, name):
                log.info("%s stays %r, as in the last run", name, value)
        config = replace(config, **kept, sources={**last.sources, **config.sources})
    frontier.meta_set("config", msgspec.json.encode(config).decode())
    return config


class Progress:
    """A tqdm bar on a terminal, one plain line every half minute elsewhere."""

    def __init__(self, console: Console, beside: pushing.Pushing | None) -> None:
        self._console = console
        self._beside = beside
        self._bar: tqdm[Any] | None = None
        self._last = time.monotonic()
        #: Hears of new figures, too.
        self.told: Callable[[Stats], None] = lambda stats: None

    def show(self, stats: Stats, seconds: float) -> None:
        """Take in new figures."""
        self.told(stats)
        known = stats.done + stats.queued + stats.leased + stats.parked + stats.failed
        self._console.event(
            "status",
            captures=stats.captures,
            known=known,
            queued=stats.queued,
            bytes=stats.bytes,
            seconds=round(seconds, 2),
        )
        if self._console.quiet:
            return
        if is_terminal():
            self._draw(stats, known)
        elif time.monotonic() - self._last >= LINE_EVERY:
            self._last = time.monotonic()
            self._console.say(
                f"{stats.done:,} of {known:,} known done, {size(stats.bytes)}, {stats.queued:,} queued, "
                f"{stats.parked + stats.failed:,} failed or parked, {seconds:.0f} s{self._pushed()}"
            )

    def _draw(self, stats: Stats, known: int) -> None:
        if self._bar is None:
            self._bar = tqdm(unit=" URLs", dynamic_ncols=True, initial=stats.done, smoothing=0.1)
        self._bar.total = known
        self._bar.n = stats.done
        waits = f", {stats.parked + stats.failed} failed or parked" if stats.parked + stats.failed else ""
        self._bar.set_postfix_str(f"{size(stats.bytes)}{waits}{self._pushed()}", refresh=False)
        self._bar.refresh()

    def _pushed(self) -> str:
        line = self._beside.line() if self._beside else ""
        return f", {line}" if line else ""

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.close()


def _tell(report: Report, collection: Collection, console: Console, beside: pushing.Pushing | None) -> int:
    """Say how it ended and return the exit code."""
    stats = report.stats
    unfinished = stats.failed + stats.parked + stats.blocked
    error = report.error
    code = error.exit_code if error else 3 if unfinished else 0
    console.say()
    for line in coverage_lines(collection.marker.platform, report.coverage):
        console.say(line)
    console.say(
        f"{stats.captures:,} captures, {size(stats.bytes)}, in {len(collection.sealed_segments())} segments under "
        f"{collection.root}, {report.seconds:.1f} s"
    )
    told = (*map(claim_line, report.claims), *(note_line(*one) for one in report.heard[:MOST_NAMED]))
    for note in (*told, *report.notes, *trouble(stats)):
        console.say(note)
    not_pushed = beside.finish() if beside else 0
    code = code or not_pushed
    if error:
        console.say(f"archive: {error}")
    elif code == 0:
        console.say("Complete.")
    console.summary(
        exit_code=code, captures=stats.captures, bytes=stats.bytes, coverage=coverage_facts(report.coverage),
        done=stats.done,
        queued=stats.queued, failed=stats.failed, parked=stats.parked, excluded=stats.excluded, attempts=stats.attempts,
        recovered=report.recovered, segments=[p.name for p in collection.sealed_segments()],
        seconds=round(report.seconds, 3), error=str(error) if error else None, directory=str(collection.root),
        pushed=beside.destinations if beside else None,
    )  # fmt: skip
    return code


def settle_held(collection: Collection) -> int:
    """Settle in the frontier what segments hold that came from elsewhere; return how many captures that are.

    The caller holds the collection's lock.
    """
    marker = collection.marker
    spider = get(marker.platform, collection.spider_file)
    seed = Seed(url=marker.seed, since=marker.since, until=marker.until, options=marker.options)
    frontier = to_write(collection)
    try:
        stored = frontier.meta_get("config")
        config = msgspec.json.decode(stored, type=Config, strict=False) if stored else Config()
        config = replace(config, listed_hosts=tuple(sorted({host_of(url) for url in marker.seeds})))
        admission = Admission(spider, seed, config, frontier)
        frontier.set_lanes({lane.name: lane.order for lane in spider.lanes})
        frontier.gate_for = admission.gate_for
        return take_in(collection, frontier, spider, seed, admission)
    finally:
        frontier.close()


def log_to(collection: Collection) -> None:
    """Write what happens to the collection's log, rotated at 10 MiB."""
    from logging.handlers import RotatingFileHandler  # noqa: PLC0415 - logging.handlers is slow to import

    collection.log.parent.mkdir(exist_ok=True)
    handler = RotatingFileHandler(collection.log, maxBytes=10 << 20, backupCount=5, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s supervisor %(name)s: %(message)s"))
    logging.Formatter.converter = time.gmtime
    root = logging.getLogger("outlast")
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    root.propagate = False
    logging.raiseExceptions = False  # a full disk must not fill the terminal with complaints of the log
    log.info("begin: %s", re.sub(r"outlast-[\w-]{40,}", "TOKEN", " ".join(sys.argv)))
