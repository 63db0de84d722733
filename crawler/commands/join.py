"""``archive join``: give a machine to somebody else's rescue, with nothing but a token."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crawler.commands.console import byte_count, common, console_from, duration

if TYPE_CHECKING:
    from crawler.config import Config

EXIT = """
\b
Exit status
  0  the crawl is done, and all that was fetched here is proven
  2  usage, or that is no token
  4  the coordinator does not know this volunteer (any more), or the token was used
  5  another run holds this directory
  7  --max-time reached; the same command goes on
  8  the disk is full; the same command goes on
  11  the coordinator cannot be reached
  130  interrupted: what was fetched is brought or waits here, the rest goes to others
"""


@click.command(epilog=EXIT)
@click.argument("token")
@click.argument("directory", type=click.Path(file_okay=False), required=False)
@click.option("--workers", type=click.IntRange(0, 256), default=0, metavar="N", help="Processes. [default: one a core]")
@click.option("--rate", type=click.FloatRange(0), default=0.0, help="Ask a host no more than so often a second.")
@click.option("--concurrency", type=click.IntRange(1, 1024), default=64, show_default=True, metavar="N",
              help="Ask a host no more than so much at once.")  # fmt: skip
@click.option("--max-time", default="0", metavar="TIME", help="Leave after 90, 15m, 2h, 1d (exit 7).")
@click.option("--seal-every", default="1m", show_default=True, metavar="TIME", help="Bring what is older than this.")
@click.option("--segment-size", default="256MiB", show_default=True, metavar="SIZE", help="Or larger than this.")
@click.option("--delete-local", is_flag=True, help="Remove from this machine what is proven elsewhere.")
@click.option("--disk-reserve", default="1GiB", show_default=True, metavar="SIZE", help="Leave so much disk (exit 8).")
@click.option("--allow-private", multiple=True, metavar="CIDR", help="Private addresses that may be connected to.")
@click.option("--proxy", default="", metavar="URL", help="http://, https://, socks5:// or socks5h:// proxy.")
@click.option("--bind-address", default="", metavar="ADDR", help="Connect from this local address.")
@click.option("--ca-cert", type=click.Path(exists=True, dir_okay=False), default=None, help="Trust this CA, too.")
@common
def join(token: str, directory: str | None, **options: Any) -> int:
    """Crawl along for a coordinator: fetch what it lends, bring what was fetched.

    TOKEN is what the coordinator gave you; - reads it from standard input, where no list of processes shows it. It is
    good once. Then it is DIRECTORY (./volunteer) that goes on: archive join DIRECTORY. Only outgoing HTTPS is needed;
    what is fetched here is addresses that the coordinator chooses, never private ones.
    """
    from crawler.commands.joining import carry_out  # noqa: PLC0415 - heavy, and not for --help

    console = console_from(options)
    if directory is None and _has_joined(token):
        return carry_out("", Path(token), _config(options), console)
    text = sys.stdin.readline() if token == "-" else token  # noqa: S105 - that is where it is read from
    return carry_out(text, Path(directory or "volunteer"), _config(options), console)


def _has_joined(text: str) -> bool:
    try:
        return (Path(text) / "volunteer.json").is_file()
    except OSError:  # a token may be too long for a name
        return False


def _config(options: dict[str, Any]) -> Config:
    from crawler.config import Config  # noqa: PLC0415 - as above

    ctx = click.get_current_context()
    values = {**options, "segment_bytes": byte_count(options.pop("segment_size"))}
    values.pop("segment_size", None)
    for name in ("max_time", "seal_every"):
        values[name] = duration(values[name])
    values["disk_reserve"] = byte_count(values["disk_reserve"])
    values["ca_cert"] = str(Path(values["ca_cert"]).absolute()) if values["ca_cert"] else ""
    typed = {name for name in options if (found := ctx.get_parameter_source(name)) and found.name != "DEFAULT"}
    # Whether the site is dead is for the coordinator's own machines to find out.
    return Config(**values, volunteer=True, probe_every=0.0, sources=dict.fromkeys(sorted(typed), "commandline"))
