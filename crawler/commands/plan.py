"""``archive plan``: what will fit by a deadline or into a budget, what will not, and what would change that."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crawler.commands.console import Console, common, console_from
from crawler.commands.crawl import of_plan

if TYPE_CHECKING:
    from crawler.collection import Collection
    from crawler.config import Config

EXIT_CODES = """
\b
Exit status
  0  shown
  2  usage, or the directory is no collection
  10  there is no such directory
"""


@click.command(epilog=EXIT_CODES)
@click.argument("directory", type=click.Path(file_okay=False))
@of_plan
@common
def plan(directory: str, **options: Any) -> int:
    """Say what of the crawl in DIRECTORY will be saved by its deadline or within its budget, also while it runs.

    What is typed here is only asked, not set: what if there were two days, or 500GB?
    """
    from crawler.collection import Collection  # noqa: PLC0415 - not for --help
    from crawler.commands.crawl import aims  # noqa: PLC0415
    from crawler.config import Config  # noqa: PLC0415

    console = console_from(options)
    collection = Collection.open(Path(directory))
    typed = {name for name in options if (options[name] or None) not in {None, "0"}}
    aims(options, {})
    if "first" in typed:
        typed.add("window")
    asked = Config(**options)
    show(collection, console, asked, frozenset(typed))
    return 0


def show(collection: Collection, console: Console, asked: Config, typed: frozenset[str]) -> None:
    """Print the plan of a collection for its settings, but for those ``typed``, which are as ``asked``."""
    from dataclasses import replace  # noqa: PLC0415

    import msgspec  # noqa: PLC0415

    from crawler import clock  # noqa: PLC0415
    from crawler.config import Config  # noqa: PLC0415
    from crawler.control import standing  # noqa: PLC0415
    from crawler.frontier.engines import to_read  # noqa: PLC0415
    from crawler.plan import Share, headline  # noqa: PLC0415
    from crawler.plan.words import facts, lines  # noqa: PLC0415
    from crawler.planning import goal_of, planned  # noqa: PLC0415
    from spiders.registry import get  # noqa: PLC0415

    frontier = to_read(collection)
    try:
        stored = frontier.meta_get("config")
        config = msgspec.json.decode(stored, type=Config, strict=False) if stored else Config()
        config = replace(config, **{name: getattr(asked, name) for name in typed if hasattr(config, name)})
        now = clock.now()
        spider = get(collection.marker.platform, collection.spider_file)
        plan = planned(frontier, spider, goal_of(config, now), now, standing(collection.root).lanes)
        share = Share.of(frontier, frontier.stats())
        decided = facts(plan)
        for line in lines(plan, share, config.tz) + ([] if decided else ["Nothing is left to be fetched."]):
            console.result(line)
        if config.deadline and plan.goal.deadline is None:
            console.result(f"The deadline, {config.deadline}, is over.")
        for decision in decided:
            console.event("decision", **decision)
        console.summary(exit_code=0, **headline(plan, share), budget=config.budget, window=list(config.window))
    finally:
        frontier.close()
