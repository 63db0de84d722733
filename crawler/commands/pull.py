"""``archive pull``: a collection back from cold storage, every file checked before it gets its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from crawler.commands.console import common, console_from, duration, size


@click.command(
    epilog="\b\nExit status\n  0  all that was asked for is here, and is what was pushed\n  2  usage\n"
    "  3  something is not there\n  4  credentials are missing or were refused\n  6  what came is not what was pushed"
)
@click.argument("url", metavar="s3://BUCKET/PREFIX")
@click.option("--into", required=True, type=click.Path(file_okay=False), help="The collection's directory.")
@click.option("--endpoint-url", "endpoint", default=None, metavar="URL", help="[default: Amazon's]")
@click.option("--region", default=None, help="[default: that of the AWS settings]")
@click.option("--segment", "patterns", multiple=True, metavar="PATTERN", help="Only segments whose names match.")
@click.option(
    "--restore",
    "tier",
    type=click.Choice(["Bulk", "Standard", "Expedited"]),
    default=None,
    help="Ask for what is in an archive class back, and wait for it.",
)
@click.option("--days", type=click.IntRange(1), default=7, show_default=True, help="How long it stays restored.")
@click.option("--wait", default="3d", show_default=True, metavar="TIME", help="Wait so long for what is restored.")
@common
def pull(
    url: str, into: str, endpoint: str | None, region: str | None, patterns: tuple[str, ...], tier: str | None,
    days: int, wait: str, **options: Any,
) -> int:  # fmt: skip
    """Fetch a collection that was pushed, whole or in part, and check every byte of it. The same command goes on after
    an interruption; ``archive crawl`` goes on with what was pulled, even on a machine that never saw it.
    """
    from contextlib import closing  # noqa: PLC0415 - not for --help

    from crawler.cold.destination import from_url  # noqa: PLC0415
    from crawler.cold.pull import Wish  # noqa: PLC0415
    from crawler.cold.pull import pull as fetch  # noqa: PLC0415
    from crawler.cold.store import open_store  # noqa: PLC0415

    console = console_from(options)
    destination = from_url(url, endpoint=endpoint, region=region)
    wish = Wish(segments=patterns, tier=tier or "", days=days, patience=duration(wait))
    with closing(open_store(destination)) as store:
        pulled = fetch(store, destination.prefix, Path(into), wish, say=console.say)
    console.result(
        f"{into}: {pulled.segments:,} segments fetched ({size(pulled.bytes)}), {pulled.here_already:,} here already"
        + (f", {len(pulled.missing):,} not to be had" if pulled.missing else "")
    )
    code = 3 if pulled.missing else 0
    console.summary(
        exit_code=code, segments=pulled.segments, bytes=pulled.bytes, here_already=pulled.here_already,
        missing=pulled.missing, directory=into,
    )  # fmt: skip
    return code
