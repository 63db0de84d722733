"""``archive destinations``: the places that copies go to, by name, and what each of them really does."""

from __future__ import annotations

import json
import re
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from crawler.commands.console import byte_count, common, console_from
from crawler.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from crawler.cold.canary import Profile
    from crawler.cold.destination import Destination
    from crawler.commands.console import Console

EXIT = """
\b
Exit status
  0  done
  2  usage, or no such destination
  3  it cannot be reached, or does not give back what it is given
  4  credentials are missing or were refused
"""

_NAME = re.compile(r"\w[\w.-]*", re.ASCII)

#: What a probe finds, in words.
WORDS = {
    "is_intact": "gives back what it is given",
    "checks_md5": "refuses a wrong Content-MD5",
    "checksums": "computes and tells checksums",
    "takes_trailers": "understands checksum trailers",
    "etag_is_md5": "ETag is the MD5",
    "takes_parts": "takes uploads in parts",
    "lists_parts": "lists parts",
    "etag_of_parts": "ETag of parts is S3's",
    "whole_crc32": "checks CRC32 of parts",
    "is_conditional": "keeps what is there (If-None-Match)",
    "reads_ranges": "reads ranges",
    "keeps_class": "keeps storage classes",
    "locks": "locks (asked where wanted)",
    "signs_links": "signs links",
}


@click.group(epilog=EXIT)
def destinations() -> None:
    """Name the places that copies go to. They are [[destination]] tables in the config; credentials are not: those
    come from the usual AWS variables, or from the AWS profile that a destination names.
    """


@destinations.command(epilog=EXIT)
@click.argument("name")
@click.argument("url", metavar="s3://BUCKET/PREFIX|file:///PATH")
@click.option("--endpoint-url", "endpoint", metavar="URL", help="[default: Amazon's]")
@click.option("--region", help="[default: that of the AWS settings]")
@click.option("--profile", help="AWS profile whose credentials are used there.")
@click.option(
    "--owner", help="Whose it is: copies count by distinct owners. [default: the endpoint, or a directory's disk]"
)
@click.option("--storage-class", help="Class of segments (GLACIER_IR, DEEP_ARCHIVE, …).")
@click.option("--hot-class", help="Class of manifest, indexes and reports.")
@click.option(
    "--lock", type=click.Choice(["governance", "compliance"]), help="Object Lock of segments. [default: none]"
)
@click.option("--lock-days", type=click.IntRange(1), help="For how long.")
@click.option("--quorum/--no-quorum", default=None, help="Whether its copies count. [default: they do]")
@click.option("--public", is_flag=True, default=None, help="Strangers may read there: nothing restricted goes there.")
@click.option(
    "--bandwidth",
    metavar="SIZE",
    callback=lambda _c, _p, text: byte_count(text) if text else None,
    help="At most so many bytes a second.",
)
@click.option("--sse", type=click.Choice(["AES256", "aws:kms"]), help="Encryption by the server.")
@click.option("--sse-key", help="Id of its key.")
@click.option("--tag", "tags", multiple=True, metavar="NAME=VALUE", help="Tag of every object.")
@click.option("--metadata", multiple=True, metavar="NAME=VALUE", help="Metadata of every object.")
@click.option("--no-probe", is_flag=True, help="Do not look what it really does.")
@common
def add(name: str, url: str, no_probe: bool, **options: Any) -> int:
    """Add the destination NAME to the config, and probe it."""
    import tomlkit  # noqa: PLC0415 - only here

    from crawler.cold.destination import from_table  # noqa: PLC0415

    console = console_from(options)
    for pairs in ("tags", "metadata"):
        options[pairs] = _pairs(options[pairs])
    facts = {key: value for key, value in {"name": name, "url": url, **options}.items() if value not in (None, {})}
    one = from_table(facts)
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name for a destination: letters, digits, dots, - and _.")
    if name in _known():
        raise UsageError(f"There is a destination {name!r} already; remove it first.")
    path = _config()
    document = tomlkit.parse(path.read_text("utf-8")) if path.is_file() else tomlkit.document()
    tables = document.setdefault("destination", tomlkit.aot())
    table = tomlkit.table()
    table.update(facts)
    tables.append(table)
    _write(path, tomlkit.dumps(document))
    console.say(f"{name} is in {path}.")
    return _finish(one, console) if no_probe else _probe(one, console, is_named=True)


@destinations.command(epilog=EXIT)
@click.argument("name")
@click.option("--endpoint-url", "endpoints", multiple=True, metavar="URL", help="Of an s3:// URL.")
@common
def probe(name: str, endpoints: tuple[str, ...], **options: Any) -> int:
    """Look what a destination (NAME, or a URL) really does, with a few small objects that go again."""
    return _probe(named((name,), endpoints)[0], console_from(options), is_named=name in _known())


@destinations.command("list", epilog=EXIT)
@common
def show(**options: Any) -> int:
    """List the destinations, and what their last probe found."""
    console = console_from(options)
    found = _known()
    for one in found.values():
        profile = _remembered().get(one.name)
        console.result(_line(one))
        for line in _table(profile) if profile else ["  not probed yet"]:
            console.result(line)
        console.event("destination", **asdict(one), probe=profile)
    if not found:
        console.result(f"There are no destinations in {_config()}; archive destinations add NAME URL makes one.")
    console.summary(exit_code=0, destinations=len(found))
    return 0


@destinations.command(epilog=EXIT)
@click.argument("name")
@common
def remove(name: str, **options: Any) -> int:
    """Take NAME out of the config. What is there stays there."""
    import tomlkit  # noqa: PLC0415 - only here

    console = console_from(options)
    if name not in _known():
        raise UsageError(f"There is no destination {name!r}.")
    path = _config()
    document = tomlkit.parse(path.read_text("utf-8"))
    tables: Any = document["destination"]
    del tables[next(number for number, table in enumerate(tables) if table.get("name") == name)]
    if not tables:
        del document["destination"]
    _write(path, tomlkit.dumps(document))
    console.say(f"{name} is not in {path} any more; what is there stays there.")
    console.summary(exit_code=0, name=name)
    return 0


def named(
    urls: tuple[str, ...], endpoints: tuple[str, ...] = (), region: str | None = None, storage_class: str = ""
) -> list[Destination]:
    """Return what ``--to`` names: destinations of the configuration by their names, others by their URLs."""
    from crawler.cold.destination import from_tables, from_url  # noqa: PLC0415 - not for --help

    tables = click.get_current_context().meta.get("outlast.tables", {})
    known = from_tables(tables.get("destination", []))
    count = sum(url.startswith("s3://") for url in urls)
    if len(endpoints) not in {0, 1, count}:
        raise UsageError("Give one --endpoint-url for all s3:// destinations, or one for each.")
    places = iter(endpoints if len(endpoints) == count else [*(endpoints or (None,))] * count)
    found = []
    for url in urls:
        if "://" in url:
            endpoint = next(places) if url.startswith("s3://") else None
            found.append(from_url(url, endpoint=endpoint, region=region, storage_class=storage_class))
        elif url in known:
            found.append(known[url])
        else:
            others = f"there are: {', '.join(known)}" if known else "the config has none"
            raise UsageError(f"There is no destination {url!r}; {others}. Or write s3://BUCKET/PREFIX.")
    if len({one.name for one in found}) < len(found) or len({one.where for one in found}) < len(found):
        raise UsageError("Two destinations are the same place; that would be one copy.")
    return found


def _known() -> dict[str, Destination]:
    from crawler.cold.destination import from_tables  # noqa: PLC0415 - not for --help

    return from_tables(click.get_current_context().meta.get("outlast.tables", {}).get("destination", []))


def _config() -> Path:
    path: Path = click.get_current_context().meta["outlast.config"]
    return path


def _probe(one: Destination, console: Console, *, is_named: bool) -> int:
    from crawler.cold.canary import probe as learn  # noqa: PLC0415 - boto3 is slow to import
    from crawler.cold.store import open_store  # noqa: PLC0415

    with closing(open_store(one)) as store:
        profile = learn(store, one.prefix)
    if is_named:
        _write(_memory(), json.dumps({**_remembered(), one.name: profile.facts()}, indent=1))
    console.result(_line(one))
    for line in _table(profile.facts()):
        console.result(line)
    return _finish(one, console, profile)


def _finish(one: Destination, console: Console, profile: Profile | None = None) -> int:
    code = 0 if profile is None or profile.is_intact else 3
    console.summary(exit_code=code, **asdict(one), probe=profile.facts() if profile else None)
    return code


def _line(one: Destination) -> str:
    from crawler.cold.quorum import owner  # noqa: PLC0415 - not for --help

    told = [one.where, f"owner {owner(one) or one.counted_as}"]
    told += [f"class {one.storage_class}"] if one.storage_class else []
    told += [f"locked ({one.lock}, {one.lock_days} days)"] if one.lock else []
    told += ["public"] if one.public else []
    told += [] if one.quorum else ["does not count"]
    return f"{one.name}: {', '.join(told)}"


def _table(profile: dict[str, Any]) -> list[str]:
    def said(value: Any) -> str:
        return (", ".join(value) or "no") if isinstance(value, list) else "yes" if value else "no"

    lines = [f"  {words:<36} {said(profile.get(name))}" for name, words in WORDS.items()]
    return [*lines, f"  {'seen':<36} {profile.get('probed', '')}"]


def _pairs(texts: tuple[str, ...]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    if any(not name or not equals for name, equals, _ in pairs):
        raise UsageError("--tag and --metadata want NAME=VALUE.")
    return {name: value for name, _, value in pairs}


def _remembered() -> dict[str, dict[str, Any]]:
    """Return name → what its last probe found, kept beside the config."""
    try:
        found: dict[str, dict[str, Any]] = json.loads(_memory().read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def _memory() -> Path:
    return _config().with_name("destinations.json")


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, "utf-8")
        part.replace(path)
    except OSError as e:
        raise UsageError(f"{path} cannot be written: {e.strerror}.") from e
