"""``archive pull``: a collection back from cold storage, every file checked before it gets its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from crawler.commands.console import common, console_from, digits, duration, size


@click.command(
    epilog="\b\nExit status\n  0  all that was asked for is here, and is what was pushed\n  2  usage\n"
    "  3  something is not there, or not restored yet\n"
    "  4  credentials are missing or were refused\n  6  what came is not what was pushed\n"
    "  8  the disk here is full; the same command goes on"
)
@click.argument("url", metavar="NAME|s3://BUCKET/PREFIX|file:///PATH")
@click.option("--into", required=True, type=click.Path(file_okay=False), help="The collection's directory.")
@click.option("--endpoint-url", "endpoint", default=None, metavar="URL", help="[default: Amazon's]")
@click.option("--region", default=None, help="[default: that of the AWS settings]")
@click.option("--segment", "patterns", multiple=True, metavar="PATTERN", help="Only segments whose names match.")
@click.option("--url", "urls", multiple=True, metavar="URL", help="Only what holds a capture of this URL.")
@click.option("--post", "posts", multiple=True, metavar="ID", help="Only what holds a capture whose URL has this id.")
@click.option("--since", default="", metavar="DATE", help="Only captures of this day (or second) and later.")
@click.option("--until", default="", metavar="DATE", help="Only captures up to this day (or second), itself included.")
@click.option(
    "--tier",
    "--restore",
    "tier",
    type=click.Choice(["Bulk", "Standard", "Expedited"]),
    default=None,
    help="Ask for what is in an archive class back, and wait for it.",
)
@click.option(
    "--identity",
    type=click.Path(exists=True, dir_okay=False),
    default=None,
    help="Decrypt what was encrypted with this file, as age-keygen writes it.",
)
@click.option("--days", type=click.IntRange(1), default=7, show_default=True, help="How long it stays restored.")
@click.option("--wait", default="3d", show_default=True, metavar="TIME", help="Wait so long for what is restored.")
@common
def pull(
    url: str, into: str, endpoint: str | None, region: str | None, patterns: tuple[str, ...], urls: tuple[str, ...],
    posts: tuple[str, ...], since: str, until: str, tier: str | None, identity: str | None, days: int, wait: str,
    **options: Any,
) -> int:  # fmt: skip
    """Fetch a collection that was pushed, whole or in part, and check every byte of it. The same command goes on after
    an interruption; ``archive crawl`` goes on with what was pulled, even on a machine that never saw it. With
    --segment, --url, --post or dates only the segments that hold it come, found through the indexes.
    """
    from contextlib import closing  # noqa: PLC0415 - not for --help

    from crawler.cold.choose import Wanted  # noqa: PLC0415
    from crawler.cold.encrypt import identities_in  # noqa: PLC0415
    from crawler.cold.pull import Wish  # noqa: PLC0415
    from crawler.cold.pull import pull as fetch  # noqa: PLC0415
    from crawler.cold.store import Archived, open_store  # noqa: PLC0415
    from crawler.commands.destinations import named  # noqa: PLC0415

    console = console_from(options)
    (destination,) = named((url,), (endpoint,) if endpoint else (), region)
    wanted = Wanted(segments=patterns, urls=urls, posts=posts, since=digits(since), until=digits(until))
    identities = tuple(identities_in(Path(identity))) if identity else ()
    wish = Wish(wanted=wanted, tier=tier or "", days=days, patience=duration(wait), identities=identities)
    with closing(open_store(destination)) as store:
        try:
            pulled = fetch(store, destination.prefix, Path(into), wish, say=console.say)
        except Archived as e:
            console.say(f"archive: {e}")
            console.summary(exit_code=3, error=str(e), directory=into)
            return 3
    console.result(
        f"{into}: {pulled.segments:,} segments fetched ({size(pulled.bytes)}), {pulled.here_already:,} here already"
        + (f", {pulled.left:,} not asked for" if pulled.left else "")
        + (f", {len(pulled.missing):,} not to be had" if pulled.missing else "")
    )
    found_none = bool(pulled.left) and not (pulled.segments or pulled.here_already or pulled.missing)
    if found_none:
        console.say("No segment there holds what was asked for.")
    if pulled.spoilt:
        console.say(f"{len(pulled.spoilt):,} other files there are not what was pushed; indexes were made anew.")
    code = 3 if pulled.missing or found_none else 6 if pulled.spoilt else 0
    console.summary(
        exit_code=code, segments=pulled.segments, bytes=pulled.bytes, here_already=pulled.here_already,
        not_asked_for=pulled.left, missing=pulled.missing, spoilt=pulled.spoilt,
        directory=into,
    )  # fmt: skip
    return code
