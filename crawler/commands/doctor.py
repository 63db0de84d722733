"""``archive doctor``: check this installation or a spider, and say how to mend what is wrong."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crawler.commands.console import common, console_from, size
from crawler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spiders.base import PlatformSpider

#: (what, is it well, what to know or do)
Check = tuple[str, bool, str]


@click.command(
    epilog="\b\nExit status\n  0  all well\n  2  the spider, replica or collection cannot be read\n"
    "  3  something needs attention"
)
@click.option("--spider", metavar="FILE|NAME", help="Check this spider instead: a file, or the name of a platform.")
@click.option(
    "--replica", metavar="FILE|MODULE", help="Let it crawl this replica in memory, and hold it against its books."
)
@click.option(
    "--over",
    type=click.Path(file_okay=False),
    metavar="DIR",
    help="Let it read the captures of this collection, and say what it no longer names.",
)
@common
def doctor(spider: str | None, replica: str | None, over: str | None, **options: Any) -> int:
    """Check Python, packages, name collisions, disk, file limits, clock and plug-ins. With --spider, check instead
    that a spider keeps what all spiders must: it is pure, ends, takes only what is public, and names what it says.
    """
    console = console_from(options)
    if spider is None and (replica or over):
        raise UsageError("--replica and --over go with --spider.")
    checks = list(_checks() if spider is None else _conforms(spider, replica, over))
    for what, well, remark in checks:
        console.result(f"{'ok  ' if well else 'LOOK'}  {what}{': ' if remark else ''}{remark}")
    bad = [what for what, well, _ in checks if not well]
    console.summary(exit_code=3 if bad else 0, checks=[{"what": w, "ok": ok, "remark": r} for w, ok, r in checks])
    return 3 if bad else 0


def _conforms(named: str, replica: str | None, over: str | None) -> Iterator[Check]:
    from spiders.conformance import checks  # noqa: PLC0415 - only doctor --spider asks
    from spiders.conformance_reading import Answered  # noqa: PLC0415
    from spiders.rehearsal import built, rehearse, site_in  # noqa: PLC0415

    spider = _spider(named)
    done = rehearse(spider, built(site_in(replica))) if replica else None
    answers = (Answered(*one) for one in _captures(over)) if over else ()
    for check in checks(spider, answers, rehearsal=done):
        if not check.faults:
            yield check.what, True, check.remark
        yield from ((check.what, False, fault) for fault in check.faults)


def _spider(named: str) -> type[PlatformSpider]:
    from spiders.registry import adopt, get  # noqa: PLC0415 - only doctor --spider asks

    is_file = named.endswith(".py") or Path(named).is_file()
    return adopt(Path(named)) if is_file else get(named)


def _captures(directory: str) -> Iterator[Any]:
    from crawler.captures import read_captures  # noqa: PLC0415 - only doctor --over asks
    from crawler.collection import Collection  # noqa: PLC0415

    return read_captures(Collection.open(Path(directory)))


def _checks() -> Iterator[Check]:
    yield "Python", sys.version_info >= (3, 11), sys.version.split()[0]
    yield from _packages()
    yield from _own_modules()
    yield _disk()
    yield _files()
    yield _sqlite()
    yield _clock()
    yield from _spiders()


def _packages() -> Iterator[Check]:
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - only doctor asks

    for name in (
        "scrapy",
        "warcio",
        "boto3",
        "click",
        "tqdm",
        "msgspec",
        "isal",
        "uvloop",
        "selectolax",
        "lxml",
        "orjson",
        "protego",
    ):
        try:
            yield name, True, version(name)
        except PackageNotFoundError:
            yield name, False, "missing; install Outlast into an environment of its own (pipx install outlast)"


def _own_modules() -> Iterator[Check]:
    """``cli`` and ``settings`` are common names: another distribution in the same environment may take them."""
    import importlib.util  # noqa: PLC0415 - only doctor asks

    home = Path(__file__).parent.parent.parent
    for name in ("cli", "settings", "crawler", "spiders"):
        spec = importlib.util.find_spec(name)
        where = Path(spec.origin) if spec and spec.origin else None
        well = where is not None and home in where.parents
        yield f"module {name}", well, str(where) if well else f"{where} took its name; use an environment of its own"


def _disk() -> Check:
    free = shutil.disk_usage(Path.cwd()).free
    with tempfile.NamedTemporaryFile(dir=Path.cwd()) as probe:
        probe.write(b"x")
        probe.flush()
    return "disk here", free > 2 << 30, f"{size(free)} free"


def _files() -> Check:
    import resource  # noqa: PLC0415 - only doctor asks

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return "open files", soft >= 1024, f"limit {soft}" + ("" if soft >= 1024 else "; raise it with ulimit -n 4096")


def _sqlite() -> Check:
    import sqlite3  # noqa: PLC0415 - only doctor asks

    return (
        "SQLite",
        sqlite3.sqlite_version_info >= (3, 37),
        f"{sqlite3.sqlite_version} (3.37 or newer for STRICT tables)",
    )


def _clock() -> Check:
    from crawler.provenance import clock  # noqa: PLC0415 - only doctor asks

    # Not an error: captures are dated by this clock, and the warcinfo says how far it can be trusted.
    return "clock", True, clock()


def _spiders() -> Iterator[Check]:
    from spiders.registry import broken, names  # noqa: PLC0415 - only doctor asks

    yield "platforms", True, ", ".join(names())
    for name, why in broken().items():
        yield f"plug-in {name}", False, why
