"""``archive pause``, ``set`` and ``stop``: orders to a crawl, obeyed at once by one that runs, kept for the next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from crawler.commands.console import Console, common, console_from
from crawler.errors import UsageError

EXIT_CODES = """
\b
Exit status
  0  the order is given
  2  usage, or the directory is no collection
  8  the disk cannot take it
  10  there is no such directory
"""

directory = click.argument("directory", type=click.Path(file_okay=False))


@click.command(epilog=EXIT_CODES)
@directory
@common
def pause(directory: str, **options: Any) -> int:
    """Let the crawl in DIRECTORY ask nothing until `archive resume`, also over a restart."""
    return _give(directory, [("pause", "", 0.0)], console_from(options))


@click.command(epilog=EXIT_CODES)
@directory
@common
def stop(directory: str, **options: Any) -> int:
    """End the crawl that runs in DIRECTORY: what is in flight is finished, and the same command goes on later."""
    from crawler.collection import Collection  # noqa: PLC0415 - not for --help

    if not Collection.open(Path(directory)).is_locked():
        raise UsageError(f"No crawl is running in {directory}.")
    return _give(directory, [("stop", "", 0.0)], console_from(options))


@click.command(epilog=EXIT_CODES)
@directory
@click.option("--rate", multiple=True, metavar="HOST=N", help="At most N requests a second to this host; 0 = adaptive.")
@click.option("--concurrency", multiple=True, metavar="HOST=N", help="At most N at once to this host; 0 = none.")
@click.option("--lane", multiple=True, metavar="NAME=N", help="Place of a kind of work; lower goes first.")
@click.option("--exclude", multiple=True, metavar="REGEX", help="Never fetch URLs that match.")
@click.option("--include", multiple=True, metavar="REGEX", help="Take back an --exclude that was set so.")
@click.option(
    "--retry", multiple=True, type=click.Choice(["failed", "parked", "missing"]), help="Queue these again, once."
)
@common
def set(  # noqa: A001 - the command's name
    directory: str, rate: tuple[str, ...], concurrency: tuple[str, ...], lane: tuple[str, ...],
    exclude: tuple[str, ...], include: tuple[str, ...], retry: tuple[str, ...], **options: Any,
) -> int:  # fmt: skip
    """Change how the crawl in DIRECTORY goes on, while it runs; it stays so over a restart.

    HOST is a host or host:port.
    """
    wanted = [("rate", *_pair(text)) for text in rate] + [("concurrency", *_pair(text)) for text in concurrency]
    wanted += [("lane", *_pair(text)) for text in lane]
    for verb, subjects in (("exclude", exclude), ("include", include), ("retry", retry)):
        wanted += [(verb, subject, 0.0) for subject in subjects]
    if not wanted:
        raise UsageError("Say what to change: --rate, --concurrency, --lane, --exclude, --include or --retry.")
    return _give(directory, wanted, console_from(options))


def _pair(text: str) -> tuple[str, float]:
    subject, _, value = text.rpartition("=")
    try:
        return subject, float(value)
    except ValueError as e:
        raise UsageError(f"{text!r} is not NAME=NUMBER.") from e


def _give(directory: str, wanted: list[tuple[str, str, float]], console: Console) -> int:
    from crawler.collection import Collection  # noqa: PLC0415 - not for --help
    from crawler.control import check_lanes, checked, give  # noqa: PLC0415

    collection = Collection.open(Path(directory))
    orders = [checked(verb, subject, value, by="command") for verb, subject, value in wanted]
    check_lanes(collection.marker.platform, orders)
    for order in orders:
        give(collection.root, order)
    running = collection.is_locked()
    when = "obeyed by the crawl that is running" if running else "kept for the next run"
    for order in orders:
        console.result(f"{order}: {when}")
    console.summary(exit_code=0, running=running, orders=[str(order) for order in orders])
    return 0
