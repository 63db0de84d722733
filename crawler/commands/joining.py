"""How ``join`` takes up a token, and runs a volunteer's crawl to its end."""

from __future__ import annotations

import asyncio
import signal
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import msgspec

from crawler import garbage
from crawler.collection import Collection, is_vacant
from crawler.commands.console import printable, size
from crawler.commands.running import Progress, log_to
from crawler.config import Config
from crawler.errors import Interrupted, UsageError
from crawler.evidence import keys
from crawler.frontier.engines import is_volunteer, to_write
from crawler.model import Seed
from crawler.nursery import Nursery, nursery
from crawler.supervise import WORKER, Report, Supervisor
from crawler.volunteers import badge as badges
from crawler.volunteers import token as tokens
from crawler.volunteers import wire
from crawler.volunteers.client import Client, Dismissed, Refused
from crawler.volunteers.liaison import Liaison
from spiders.registry import get

if TYPE_CHECKING:
    from pathlib import Path

    from crawler.commands.console import Console
    from crawler.frontier.errands import ErrandFrontier
    from crawler.volunteers.badge import Badge

#: What comes with an invitation, and is kept with the rest of the settings.
_THEIRS = ("contact", "operator", "purpose", "user_agent", "robots")


def carry_out(text: str, root: Path, config: Config, console: Console) -> int:
    """Join where this directory has not, and crawl along; return the exit code."""
    with nursery(WORKER) as workers:
        return _carry_out(text, root, config, console, workers)


def _carry_out(text: str, root: Path, config: Config, console: Console, workers: Nursery) -> int:
    badge, config = _joined(text, root, config, console)
    collection = Collection.open(root)
    with (
        collection.lock(),
        closing(Client(badge.url, badge.pin, badge.secret)) as client,
        closing(to_write(collection)) as frontier,
    ):
        log_to(collection)
        errands = cast("ErrandFrontier", frontier)
        config = _remembered(errands, config)
        liaison = Liaison(collection, errands, badge, client, config, say=console.say)
        report = _run(collection, errands, config, liaison, console, workers)
    return _tell(report, liaison, console)


def _joined(text: str, root: Path, config: Config, console: Console) -> tuple[Badge, Config]:
    """Return who this directory is to its coordinator; take up the token where it is nobody yet."""
    token = tokens.read(text) if text else None
    if token is not None and badges.exists(root) and badges.read(root).url != token.url:
        raise UsageError(f"{root} is a volunteer of {badges.read(root).url}; name another directory.")
    was_there = root.exists()
    if token is not None:
        _check_room(root)
    badge = badges.made(root, token) if token is not None else badges.read(root)
    if badge.node:
        return badge, config
    if token is None:
        raise UsageError(f"{root} has not joined yet; the token is needed once more.")
    try:
        enrolled = _enrol(token, root, badge)
    except (Dismissed, Refused):
        badges.forget(root, was_there=was_there)  # it is nobody's; after a lost answer it may be
        raise
    badge = badges.joined(root, badge, enrolled.node, enrolled.crawl)
    console.say(f"Joined the rescue of {printable(enrolled.seed.url)} as node {badge.node}.")
    theirs = {name: getattr(enrolled.settings, name) for name in _THEIRS}
    return badge, replace(config, **theirs, sources={**config.sources, **dict.fromkeys(_THEIRS, "coordinator")})


def _check_room(root: Path) -> None:
    """Raise UsageError where no volunteer can be, before a token is used up for it."""
    is_one = (root / "collection.json").is_file() and is_volunteer(Collection.open(root).marker)
    if not is_one and not is_vacant(root, badges.FILES):
        raise UsageError(f"{root} holds something else; name another directory.")


def _enrol(token: tokens.Token, root: Path, badge: Badge) -> wire.Enrolled:
    public = keys.raw(badges.key(root).public_key())
    asked = wire.Enrol(token.secret.hex(), badge.shows, public.hex())
    with closing(Client(token.url, token.pin)) as client:
        enrolled = client.ask("enrol", asked, wire.Enrolled)
    get(enrolled.platform)  # an older Outlast may know no such platform
    if not (root / "collection.json").is_file():
        Collection.create(
            root, enrolled.seed, enrolled.platform, frontier=f"{badge.url}#{enrolled.node}", beside=badges.FILES
        )
    return enrolled


def _remembered(frontier: ErrandFrontier, config: Config) -> Config:
    """Return the settings of this run: what the coordinator said when this volunteer joined, and what is typed now."""
    if stored := frontier.meta_get("config"):
        last = msgspec.json.decode(stored, type=Config, strict=False)
        kept = {name: getattr(last, name) for name in _THEIRS if name not in config.sources}
        config = replace(config, **kept, sources={**dict.fromkeys(kept, "coordinator"), **config.sources})
    frontier.meta_set("config", msgspec.json.encode(config).decode())
    return config


def _run(
    collection: Collection, frontier: ErrandFrontier, config: Config, liaison: Liaison, console: Console,
    workers: Nursery,
) -> Report:  # fmt: skip
    marker = collection.marker
    seed = Seed(url=marker.seed, since=marker.since, until=marker.until, options=marker.options)
    view = Progress(console, None)
    supervisor = Supervisor(
        collection, frontier, config, seed, get(marker.platform), progress=view.show, say=console.say,
        volunteer=liaison, nursery=workers,
    )  # fmt: skip
    garbage.seldom()
    try:
        return asyncio.run(_until_stopped(supervisor, console))
    finally:
        view.close()


async def _until_stopped(supervisor: Supervisor, console: Console) -> Report:
    """Run it; the first Ctrl-C leaves in good order, the second at once."""
    presses = 0

    def pressed() -> None:
        nonlocal presses
        presses += 1
        if presses == 1:
            console.say("\nLeaving: finishing what is in flight, and bringing it (Ctrl-C again: at once).")
            supervisor.stop(Interrupted())
        else:
            supervisor.kill()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, pressed)

    async def reachable() -> None:
        """The coordinator is, and what it lends is found out one by one."""

    return await supervisor.run(reachable=reachable)


def _tell(report: Report, liaison: Liaison, console: Console) -> int:
    error = report.error
    code = error.exit_code if error else 0
    console.say(
        f"{report.stats.captures:,} captures, {size(report.stats.bytes)}; {liaison.proven:,} segments "
        f"({size(liaison.proven_bytes)}) proven in this run."
    )
    for note in report.notes:
        console.say(note)
    console.say(f"archive: {error}" if error else "Complete: thank you.")
    console.summary(
        exit_code=code, captures=report.stats.captures, bytes=report.stats.bytes, proven=liaison.proven,
        proven_bytes=liaison.proven_bytes, error=str(error) if error else None,
    )  # fmt: skip
    return code
