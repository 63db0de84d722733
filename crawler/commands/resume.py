"""``archive resume``: go on with a crawl, from its directory alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from crawler.commands.console import common, console_from
from crawler.commands.crawl import EXIT_CODES, config_from, of_plan, of_spider, options_of_a_crawl
from crawler.commands.dashboard import of_dashboard


@click.command(epilog=EXIT_CODES)
@click.argument("directory", type=click.Path(file_okay=False))
@of_spider
@of_dashboard
@of_plan
@options_of_a_crawl
@common
def resume(directory: str, spider: str | None, reparse: bool, dashboard: str | None, **options: Any) -> int:
    """Go on with the interrupted or paused crawl in DIRECTORY, with the settings it had; what is typed here wins."""
    from crawler.collection import Collection  # noqa: PLC0415 - heavy, and not for --help
    from crawler.commands.running import Order, carry_out  # noqa: PLC0415
    from crawler.control import checked, give, is_paused  # noqa: PLC0415
    from crawler.model import Seed  # noqa: PLC0415

    console = console_from(options)
    collection = Collection.open(Path(directory))
    marker = collection.marker
    if is_paused(collection.root):
        give(collection.root, checked("resume", by="command"))
    if collection.is_locked():
        console.result("The crawl that is running goes on.")
        console.summary(exit_code=0, running=True)
        return 0
    seed = Seed(url=marker.seed, since=marker.since, until=marker.until, options=marker.options)
    order = Order(
        seed=seed,
        into=directory,
        config=config_from(options),
        spider=Path(spider) if spider else None,
        reparse=reparse,
        dashboard=dashboard,
    )
    return carry_out(order, console)
