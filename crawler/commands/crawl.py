"""``archive crawl``: from a domain to a collection, and on from wherever the last run stopped."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crawler.commands.console import byte_count, common, console_from, duration, instant
from crawler.commands.dashboard import of_dashboard
from crawler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from crawler.commands.console import Console
    from crawler.commands.running import Order
    from crawler.config import Config
    from crawler.model import Seed

EXIT_CODES = """
\b
Exit status
  0  complete: everything the site admitted to is accounted for
  2  usage, or --into is a directory that is no collection of ours
  3  finished, but some items failed, are parked or are not pushed
  5  another run holds this collection
  6  a segment is damaged
  7  --deadline, --limit or --max-time reached; the same command goes on
  8  disk, --budget, --max-bytes or the limit of open files reached; the same command goes on
  9  the site cannot be reached, refuses, or is gone
  11  the database of the fleet cannot be reached; the same command goes on
  130  interrupted, state saved; the same command goes on
"""

#: Settings that belong to one run and are not remembered for the next.
PER_RUN = frozenset({"limit", "max_time", "max_bytes"})
#: How long a dry run looks.
PROBE_SECONDS, PROBE_CAPTURES = 60.0, 300
#: Settings of how long an exchange may take.
TIMEOUTS = ("connect_timeout", "first_byte_timeout", "idle_timeout", "total_timeout")


def options_of_a_crawl(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that ``crawl`` and ``resume`` share."""
    for option in reversed(
        (
            click.option(
                "--contact", default="", help="How the site's operator can reach you; goes into the User-Agent."
            ),
            click.option("--operator", default="", help="Who crawls, for the warcinfo."),
            click.option("--purpose", default="", help="Why, for the warcinfo."),
            click.option("--user-agent", default="", help="Send this User-Agent instead of our own."),
            click.option(
                "--robots",
                type=click.Choice(["obey", "ignore", "observe"]),
                default="obey",
                show_default=True,
                help="robots.txt: obey it, ignore it, or fetch all the same and log what it would have refused.",
            ),
            click.option(
                "--include", multiple=True, metavar="REGEX", help="Fetch only URLs that match (the seed always)."
            ),
            click.option("--exclude", multiple=True, metavar="REGEX", help="Never fetch URLs that match."),
            click.option(
                "--offsite",
                type=click.Choice(["none", "requisites"]),
                default="requisites",
                show_default=True,
                help="Whether images, styles and scripts of pages may come from other hosts.",
            ),
            click.option(
                "--limit", type=click.IntRange(0), default=0, metavar="N", help="Stop after N captures (exit 7)."
            ),
            click.option("--max-time", default="0", metavar="TIME", help="Stop after 90, 15m, 2h, 1d (exit 7)."),
            click.option(
                "--max-bytes", default="0", metavar="SIZE", help="Stop after 500MB, 1GiB on the wire (exit 8)."
            ),
            click.option(
                "--rate",
                type=click.FloatRange(0),
                default=0.0,
                help="At most so many requests a second per host. [default: adaptive]",
            ),
            click.option(
                "--concurrency",
                type=click.IntRange(1, 1024),
                default=16,
                show_default=True,
                help="At most so many requests at once per host.",
            ),
            click.option(
                "--workers",
                type=click.IntRange(0, 256),
                default=0,
                metavar="N",
                help="Worker processes. [default: one a core]",
            ),
            click.option(
                "--watchdog",
                default="60s",
                show_default=True,
                metavar="TIME",
                help="Replace a worker that gave no sign of life for so long.",
            ),
            click.option(
                "--probe-every",
                default="30s",
                show_default=True,
                metavar="TIME",
                help="Watch for the site's death, and ask what died again after this long, then ever more rarely "
                "(up to twenty times this). 0: no watch.",
            ),
            click.option(
                "--give-up-after",
                default="24h",
                show_default=True,
                metavar="TIME",
                help="End (exit 9) when all that is left has been dead for so long.",
            ),
            click.option(
                "--delay",
                type=click.FloatRange(0),
                default=0.0,
                help="Seconds between requests to one host. [default: adaptive]",
            ),
            click.option(
                "--seal-every", default="15m", show_default=True, metavar="TIME", help="Seal a segment after this long."
            ),
            click.option(
                "--segment-size", default="1GiB", show_default=True, metavar="SIZE", help="Seal a segment at this size."
            ),
            click.option(
                "--tsa",
                default="",
                metavar="URL",
                help="Have the manifest time-stamped by this authority (RFC 3161) as segments are sealed.",
            ),
            click.option(
                "--ca-cert",
                type=click.Path(exists=True, dir_okay=False),
                default=None,
                help="Trust this CA (PEM) as well.",
            ),
            click.option("--insecure", is_flag=True, help="Do not verify certificates; every warcinfo then says so."),
            click.option(
                "--proxy", default="", metavar="URL", help="http://, https://, socks5:// or socks5h:// proxy."
            ),
            click.option(
                "--resolve",
                multiple=True,
                metavar="HOST:PORT:ADDR",
                help="Use this address for a host, as curl's --resolve.",
            ),
            click.option(
                "--connect-to",
                multiple=True,
                metavar="H1:P1:H2:P2",
                help="Connect to H2:P2 for H1:P1, as curl's --connect-to.",
            ),
            click.option(
                "--keep-addresses/--no-keep-addresses",
                default=False,
                help="Where a name is gone, go on with the addresses it had, as long as its certificate is good.",
            ),
            click.option(
                "--allow-private", multiple=True, metavar="CIDR", help="Private addresses that may be connected to."
            ),
            click.option("--bind-address", default="", metavar="ADDR", help="Connect from this local address."),
            click.option(
                "--connect-timeout",
                default="15s",
                show_default=True,
                metavar="TIME",
                help="Wait so long for a connection, name lookup and TLS included.",
            ),
            click.option(
                "--first-byte-timeout",
                default="60s",
                show_default=True,
                metavar="TIME",
                help="Wait so long for an answer to begin.",
            ),
            click.option(
                "--idle-timeout",
                default="60s",
                show_default=True,
                metavar="TIME",
                help="Give an answer up that has stopped, or merely drips, for so long.",
            ),
            click.option(
                "--total-timeout",
                default="6h",
                show_default=True,
                metavar="TIME",
                help="Cut an answer off after so long.",
            ),
            click.option(
                "--max-body", default="0", metavar="SIZE", help="Cut an answer off at this size. [default: none]"
            ),
            click.option(
                "--push-to",
                multiple=True,
                metavar="NAME",
                help="Copy each sealed segment to this destination while crawling; several are several copies.",
            ),
            click.option("--public-originals", is_flag=True, help="Let originals go to public destinations."),
            click.option(
                "--delete-local",
                is_flag=True,
                help="Remove segments from this machine once enough owners have them, proven.",
            ),
            click.option(
                "--copies",
                type=click.IntRange(1),
                default=2,
                show_default=True,
                help="How many distinct owners are enough.",
            ),
            click.option(
                "--frontier",
                default="",
                metavar="URL",
                help="Share this crawl with other machines over a PostgreSQL database: postgresql://user@host/db.",
            ),
            click.option(
                "--lease",
                default="60s",
                show_default=True,
                metavar="TIME",
                help="With --frontier, the silence after which others have what a machine held.",
            ),
            click.option(
                "--disk-reserve",
                default="256MiB",
                show_default=True,
                metavar="SIZE",
                help="Stop while this much disk is left (exit 8).",
            ),
        )
    ):
        function = option(function)
    return function


def of_plan(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of what is saved first."""
    for option in (
        click.option("--budget", default="0", metavar="SIZE", help="Save what is worth most in so many bytes (exit 8)"),
        click.option("--tz", default="", metavar="ZONE", help="The time zone of --first, such as America/New_York."),
        click.option("--first", default="", metavar="DAY", help="Save what is of this day first, a day in --tz."),
        click.option(
            "--window", multiple=True, metavar="DAY/DAY",
            help="Save what is of these days first (UTC, both included, or instants); the rest after it.",
        ),
        click.option(
            "--deadline", default="", metavar="TIME",
            help="When the site goes dark: save what is most valuable until then (exit 7). 'none' forgets it.",
        ),
    ):  # fmt: skip
        function = option(function)
    return function


def of_spider(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a spider that is a single file, and of reading again what is held."""
    for option in (
        click.option("--reparse", is_flag=True, help="First read what is held again, with the spider as it is now."),
        click.option(
            "--spider", type=click.Path(exists=True, dir_okay=False), default=None, metavar="FILE",
            help="Read the site with the spider in this file; the collection keeps a copy of it.",
        ),
    ):  # fmt: skip
        function = option(function)
    return function


@click.command(epilog=EXIT_CODES)
@click.argument("domain", required=False)
@click.option("--into", type=click.Path(file_okay=False), help="The collection's directory. [default: ./<host>[-path]]")
@click.option(
    "-i",
    "--input",
    "listing",
    type=click.File("rb"),
    help="File of URLs to fetch as well: a list, a sitemap, a CDX or CDXJ index; - is stdin.",
)
@click.option(
    "--template",
    "templates",
    multiple=True,
    metavar="URL",
    help="Ask every id of a URL such as 'https://site/post/{1..25000}'; also {0001..9999}, {0x0..0xff}, {a..zz}.",
)
@click.option(
    "--template-order",
    type=click.Choice(["newest", "oldest", "dense"]),
    default="newest",
    show_default=True,
    help="Which ids of a template go first: the highest, the lowest, or those of dense stretches, found by samples.",
)
@of_spider
@click.option("--platform", default="", help="Take the site for this platform instead of detecting it.")
@click.option("--since", default=None, metavar="DATE", help="Only posts from this instant on (ISO 8601, UTC).")
@click.option("--until", default=None, metavar="DATE", help="Only posts before this instant (ISO 8601, UTC).")
@click.option(
    "--option", "spider_options", multiple=True, metavar="NAME=VALUE", help="A setting of the platform's spider."
)
@click.option("--add-seed", is_flag=True, help="Crawl this seed into a collection that began with another.")
@click.option(
    "--retry",
    multiple=True,
    type=click.Choice(["parked", "failed", "missing"]),
    help="Queue again what is parked, failed or missing.",
)
@click.option("--dry-run", is_flag=True, help="Look for a minute, say what would fit, and keep nothing.")
@click.option("--again", is_flag=True, help="Crawl a finished collection anew: fetch what is new or has changed.")
@click.option(
    "--recheck", is_flag=True, help="With --again: read all lists and pages again, to see what was edited or deleted."
)
@of_dashboard
@of_plan
@options_of_a_crawl
@common
def crawl(
    domain: str | None, into: str | None, listing: Any, templates: tuple[str, ...], template_order: str,
    spider: str | None, reparse: bool, platform: str, since: str | None, until: str | None,
    spider_options: tuple[str, ...], add_seed: bool, retry: tuple[str, ...], dry_run: bool, again: bool,
    recheck: bool,
    dashboard: str | None, **options: Any,
) -> int:  # fmt: skip
    """Save a whole site: recognise the platform at DOMAIN (a host, host:port or URL), walk its public posts and
    media, and record every exchange into WARC files. Run the same command again and it goes on where it stopped.
    """
    gc.disable()  # what is imported stays: to look for garbage in it takes a seventh of the time
    from crawler.commands.running import Order, carry_out  # noqa: PLC0415 - heavy, and not for --help
    from crawler.template import Template  # noqa: PLC0415
    from crawler.url import origin  # noqa: PLC0415

    gc.freeze()
    gc.enable()
    console = console_from(options)
    urls = _listed(listing, console)
    swept = [Template.of(text) for text in templates]
    if not domain and not urls and not swept:
        raise UsageError("Say what to crawl: archive crawl example.org (or -i FILE with URLs).")
    first = domain or (urls[0] if urls else origin(swept[0].url(0)))
    order = Order(
        seed=_seed(first, since, until, spider_options), into=into, urls=urls,
        templates={template.text: template_order for template in swept}, platform=platform,
        spider=Path(spider) if spider else None, reparse=reparse, add_seed=add_seed, config=config_from(options),
        retry=retry, again=again or recheck, recheck=recheck, dashboard=dashboard,
    )  # fmt: skip
    return _probed(order, console) if dry_run else carry_out(order, console)


def _probed(order: Order, console: Console) -> int:
    """Look at a site for a minute, into a directory that goes away again, and say what would fit."""
    import tempfile  # noqa: PLC0415 - few ask
    from dataclasses import replace  # noqa: PLC0415

    from crawler.collection import Collection  # noqa: PLC0415
    from crawler.commands.console import Console  # noqa: PLC0415
    from crawler.commands.plan import show  # noqa: PLC0415
    from crawler.commands.running import carry_out  # noqa: PLC0415

    asked = order.config
    probing = replace(
        asked, push_to=(), max_time=min(asked.max_time or PROBE_SECONDS, PROBE_SECONDS),
        limit=min(asked.limit or PROBE_CAPTURES, PROBE_CAPTURES),
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="outlast-") as place:
        root = Path(place) / "probe"
        carry_out(replace(order, into=str(root), config=probing, dashboard=None), Console(False, True, False))
        console.say(f"After a look of {PROBE_CAPTURES} captures or {PROBE_SECONDS:.0f} s, of which nothing is kept:")
        show(Collection.open(root), console, asked, frozenset({"deadline", "window", "budget", "tz"}))
    return 0


def config_from(options: dict[str, Any]) -> Config:
    """Return the Config of a run, with where each value came from."""
    from crawler.config import Config  # noqa: PLC0415

    ctx = click.get_current_context()
    renamed = {"segment_size": "segment_bytes", "insecure": "verify"}
    sources = {
        renamed.get(name, name): source.name.lower()
        for name in options
        if (source := ctx.get_parameter_source(name)) is not None and source.name != "DEFAULT"
    }
    values = dict(options)
    values["verify"] = not values.pop("insecure")
    values["segment_bytes"] = byte_count(values.pop("segment_size"))
    for name in ("max_bytes", "disk_reserve", "max_body"):
        values[name] = byte_count(values[name])
    for name in ("max_time", "seal_every", "watchdog", "lease", "probe_every", "give_up_after", *TIMEOUTS):
        values[name] = duration(values[name])
        if not values[name] and name in TIMEOUTS:
            raise UsageError(f"--{name.replace('_', '-')} must be more than 0.")
    if "deadline" in values:
        aims(values, sources)
    values["ca_cert"] = _absolute(values["ca_cert"])
    _check_networks(values["allow_private"])
    return Config(**values, sources=sources)


def aims(values: dict[str, Any], sources: dict[str, str]) -> None:
    """Read what a crawl is to save first, and by when."""
    from crawler.plan.value import Window  # noqa: PLC0415

    values["budget"] = byte_count(values["budget"])
    first, deadline = values.pop("first"), values["deadline"]
    values["deadline"] = "" if deadline in {"", "none"} else instant(deadline, "--deadline")
    try:
        windows = [Window.of(text) for text in values["window"]]
        if first:
            windows.append(Window.of_day(first, values["tz"] or "UTC"))
        elif values["tz"]:
            Window.of_day("2021-01-06", values["tz"])
    except ValueError as e:
        raise UsageError(f"--window, --first or --tz: {e}.") from e
    values["window"] = tuple(map(str, windows))
    if source := sources.pop("first", ""):
        sources["window"] = source


def _absolute(path: str | None) -> str:
    return str(Path(path).absolute()) if path else ""


def _check_networks(networks: tuple[str, ...]) -> None:
    from ipaddress import ip_network  # noqa: PLC0415

    for text in networks:
        try:
            ip_network(text)
        except ValueError as e:
            raise UsageError(f"--allow-private: {e}") from e


def _seed(text: str, since: str | None, until: str | None, options: tuple[str, ...]) -> Seed:
    from dataclasses import replace  # noqa: PLC0415

    from crawler.scope import seed_from  # noqa: PLC0415

    pairs = [option.partition("=") for option in options]
    if any(not equals for _, equals, _ in pairs):
        raise UsageError("--option wants NAME=VALUE.")
    first, last = instant(since, "--since"), instant(until, "--until")
    if first and last and first >= last:
        raise UsageError(f"--since {since} is not before --until {until}: no post is of that time.")
    return replace(
        seed_from(text), since=first, until=last,
        options={name: value for name, _, value in pairs},
    )  # fmt: skip


def _listed(listing: Any, console: Console) -> tuple[str, ...]:
    if listing is None:
        return ()
    from crawler.commands.listing import read_listing  # noqa: PLC0415

    found = read_listing(listing)
    if found.left_out:
        console.say(f"{found.left_out:,} lines of the list name no http(s) URL, such as {found.example!r}")
    return tuple(found.urls)
