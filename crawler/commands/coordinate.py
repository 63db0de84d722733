"""``archive coordinate``: let volunteers crawl along who have neither the database nor the bucket."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crawler.commands.console import byte_count, common, console_from, duration

if TYPE_CHECKING:
    from crawler.commands.console import Console

EXIT = """
\b
Exit status
  0  complete: everything is done, and all that volunteers brought is proven; or invited, or revoked
  2  usage, or the collection is of no fleet
  3  finished, but some items failed or are parked; or the destination is not there
  4  the destination's credentials are missing or were refused
  5  another run holds this collection
  8  the disk is full; the same command goes on
  9  what is left stayed dead for too long (--give-up-after of the crawl); the same command goes on
  10  there is no such collection
  11  the database cannot be reached, or was away for three minutes; the same command goes on
  130  interrupted; volunteers wait, and the same command goes on
"""


@click.command(epilog=EXIT)
@click.argument("directory", type=click.Path(file_okay=False))
@click.option("--to", "where", metavar="WHERE", help="Where segments go: s3://BUCKET/PREFIX, file:///PATH, or a name.")
@click.option("--endpoint-url", "endpoints", multiple=True, metavar="URL", help="Of an s3:// URL.")
@click.option("--listen", default="127.0.0.1:8443", show_default=True, metavar="HOST:PORT", help="Where to answer.")
@click.option("--public", default="", metavar="URL", help="Where volunteers find it, if that is elsewhere.")
@click.option("--tls-cert", type=click.Path(exists=True, dir_okay=False), help="Its certificate (PEM), and chain.")
@click.option("--tls-key", type=click.Path(exists=True, dir_okay=False), help="The key of that.")
@click.option("--plain", is_flag=True, help="No TLS: a proxy before it has that.")
@click.option("--term", default="6h", show_default=True, metavar="TIME",
              help="Silence after which what a volunteer fetched and did not bring is queued again.")  # fmt: skip
@click.option("--sample", type=click.FloatRange(0, 100), default=1.0, show_default=True, metavar="PERCENT",
              help="Ask the site again for so much of what strangers bring.")  # fmt: skip
@click.option("--invite", is_flag=False, flag_value="volunteer", default=None, metavar="[NAME]",
              help="Print a token with which one volunteer may join, once; also while it runs.")  # fmt: skip
@click.option("--expires", default="7d", show_default=True, metavar="TIME", help="Of an invitation.")
@click.option("--quota", default="0", metavar="SIZE", help="Of an invitation: bytes it may bring. [default: no bound]")
@click.option("--leases", type=click.IntRange(1, 100_000), default=1000, show_default=True,
              help="Of an invitation: fetches it may have at once.")  # fmt: skip
@click.option("--trust", type=click.IntRange(0, 9), default=0, show_default=True,
              help="Of an invitation: 0 is a stranger.")  # fmt: skip
@click.option("--revoke", type=int, default=None, metavar="NODE", help="Let a volunteer do nothing any more.")
@common
def coordinate(
    directory: str, where: str | None, endpoints: tuple[str, ...], listen: str, public: str, tls_cert: str | None,
    tls_key: str | None, plain: bool, term: str, sample: float, invite: str | None, expires: str, quota: str,
    leases: int, trust: int, revoke: int | None, **options: Any,
) -> int:  # fmt: skip
    """Lend the work of a fleet's crawl to volunteers, prove what they bring, and settle only that.

    DIRECTORY is a collection of a fleet (archive crawl --frontier postgresql://…). Volunteers reach nothing but this
    coordinator, and a bucket over links that it signs. Without a certificate it makes its own, which tokens pin; on
    127.0.0.1, or with --plain behind a proxy, it speaks HTTP.
    """
    from crawler.commands import coordinating  # noqa: PLC0415 - heavy, and not for --help
    from crawler.frontier.engines import with_database  # noqa: PLC0415

    console: Console = console_from(options)
    with_database()
    collection = coordinating.of_fleet(Path(directory))
    if invite is not None:
        asked = coordinating.Invitation(
            label=invite, seconds=duration(expires), quota_bytes=byte_count(quota), quota_leases=leases, trust=trust
        )
        return coordinating.invite(collection, asked, public, console)
    if revoke is not None:
        return coordinating.revoke(collection, revoke, console)
    way = coordinating.Way.of(
        collection, listen, public, Path(tls_cert) if tls_cert else None, Path(tls_key) if tls_key else None,
        is_plain=plain,
    )  # fmt: skip
    to = coordinating.destination(where, endpoints)
    return coordinating.run(collection, to, way, console, term=duration(term), sample=sample / 100)
