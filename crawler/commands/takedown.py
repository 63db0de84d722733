"""``archive takedown``: what may no longer be shown, and ``archive quarantine``: what must never leave."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crawler.commands.console import Console, common, console_from, printable, size
from crawler.errors import DiskFull, UsageError

if TYPE_CHECKING:
    from crawler.collection import Collection
    from crawler.reading.dataset import Dataset
    from crawler.reading.takedown import Resolved
    from crawler.withheld import Entry

EXIT = """
\b
Exit status
  0  done
  2  usage: nothing of that name is held
  3  done here, but not everywhere: each place and reason is named
  5  a run holds the collection (--rewrite)
  6  what is held is damaged
  8  the disk is full; the same command goes on
  10  there is no such directory
"""
#: What has a scheme.
_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:.")
_LINE = re.compile(r"(?:sha256:)?([0-9a-fA-F]{64})(?:\s.*)?")
#: Captures that are named one by one without -v.
_SHOWN = 20


@click.command(epilog=EXIT)
@click.argument("directory", type=click.Path(file_okay=False))
@click.option("--url", default=None, metavar="URL", help="All that this URL answered.")
@click.option("--post", default=None, metavar="ID|URL", help="A post, wherever it was captured.")
@click.option("--account", default=None, metavar="ID|NAME|URL", help="An account and all it posted.")
@click.option("--sha256", default=None, metavar="HEX", help="A payload, whatever URL served it.")
@click.option("--reason", default="", metavar="TEXT", help="Why; kept in the collection's audit trail.")
@click.option("--by", default="", metavar="WHO", help="Who asked; kept likewise.")
@click.option("--rewrite", is_flag=True, help="Then write its segments anew, without all that was taken down.")
@click.option(
    "--purge", is_flag=True, help="With --rewrite: delete the old segments, and all that is kept of them here."
)
@click.option("--key", default=None, metavar="NAME|FILE", help="With --rewrite: sign what the collection is then.")
@click.option(
    "--copies", is_flag=True, help="Delete the copies of segments that were rewritten, wherever they were pushed."
)
@click.option("--dry-run", is_flag=True, help="Say what would be withheld, and do nothing.")
@click.option("--list", "is_list", is_flag=True, help="Show the audit trail.")
@click.option("--lift", type=click.IntRange(1), default=None, metavar="N", help="Show again what takedown N withheld.")
@common
def takedown(
    directory: str, url: str | None, post: str | None, account: str | None, sha256: str | None, reason: str, by: str,
    rewrite: bool, purge: bool, key: str | None, copies: bool, dry_run: bool, is_list: bool, lift: int | None,
    **options: Any,
) -> int:  # fmt: skip
    """Withhold something of the collection in DIRECTORY from every index, export, search and page, at once: each
    capture that holds it, threads and listings, too. The recorded bytes stay until --rewrite.
    """
    from crawler.collection import Collection  # noqa: PLC0415 - not for --help
    from crawler.reading.dataset import Dataset  # noqa: PLC0415

    console = console_from(options)
    named = {"url": url, "post": post, "account": account, "sha256": sha256}
    asked = [(kind, value) for kind, value in named.items() if value]
    count = len(asked) + is_list + (lift is not None)
    if count != 1 and not ((rewrite or copies) and not count):
        raise UsageError(
            "Say one thing: --url, --post, --account, --sha256, --list or --lift; or --rewrite or --copies alone."
        )
    if ((rewrite or copies) and (dry_run or is_list)) or ((purge or key) and not rewrite):
        raise UsageError("--purge and --key belong to --rewrite, and --dry-run and --list change nothing.")
    if (lift is not None or asked) and not dry_run and not (reason.strip() and by.strip()):
        raise UsageError("--reason and --by must be said: they are what is known of it later.")
    if url and not _URL.match(url):
        raise UsageError(f"{url!r} is no URL, and would match nothing.")
    collection = Collection.open(Path(directory))
    if is_list:
        return _list(collection, console)
    facts: dict[str, Any] = {}
    with Dataset(collection) as dataset:
        if lift is not None:
            facts |= _lift(dataset, lift, by, reason, console)
        elif asked:
            facts |= _take_down(collection, dataset, asked[0], by, reason, dry_run, console)
        if rewrite:
            facts |= _rewrite(collection, dataset, purge, key, console)
    facts |= _withdraw(collection, console) if copies else _remind(collection, console)
    code = 3 if facts.get("lacking") or facts.get("kept") else 0
    console.summary(exit_code=code, **facts)
    return code


@click.command(epilog=EXIT)
@click.argument("directory", type=click.Path(file_okay=False))
@click.option(
    "--hashes", required=True, type=click.Path(exists=True, dir_okay=False), metavar="FILE", help="A SHA-256 a line."
)
@click.option("--by", required=True, metavar="WHO", help="Whose list it is; kept in the collection's audit trail.")
@click.option("--reason", default="on a list of hashes", show_default=True, metavar="TEXT", help="Why.")
@common
def quarantine(directory: str, hashes: str, by: str, reason: str, **options: Any) -> int:
    """Withhold every payload of the collection in DIRECTORY whose SHA-256 is in FILE, those that are captured later,
    too: it is in no export, index or page, and no segment that holds one is pushed.
    """
    from crawler.collection import Collection  # noqa: PLC0415 - not for --help
    from crawler.reading import takedown as taking  # noqa: PLC0415
    from crawler.reading.dataset import Dataset  # noqa: PLC0415

    console = console_from(options)
    collection = Collection.open(Path(directory))
    digests = _hashes(Path(hashes))
    with Dataset(collection) as dataset:
        entries = len(dataset.withheld.entries)
        entry, found = taking.quarantine(collection, dataset, Path(hashes).name, digests, by=by, reason=reason)
    since = "from now on" if entry.sequence > entries else "already"
    console.result(f"{len(digests):,} hashes are withheld {since}, as number {entry.sequence}")
    _tell(found, console)
    console.summary(exit_code=0, number=entry.sequence, hashes=len(digests), captures=len(found.captures))
    return 0


def _hashes(path: Path) -> list[str]:
    """Return the digests of a list. Raises UsageError at a line that is none."""
    found: dict[str, None] = {}
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            for number, line in enumerate(lines, 1):
                text = line.strip()
                if not text or text.startswith("#"):
                    continue
                if (digest := _LINE.fullmatch(text)) is None:
                    raise UsageError(f"{path}:{number}: {printable(text[:80])} is no SHA-256: 64 hex digits.")
                found[digest[1].lower()] = None
    except OSError as e:
        raise UsageError(f"{path} cannot be read: {e.strerror}.") from e
    if not found:
        raise UsageError(f"{path} has no hashes.")
    return list(found)


def _take_down(
    collection: Collection, dataset: Dataset, asked: tuple[str, str], by: str, reason: str, dry_run: bool,
    console: Console,
) -> dict[str, Any]:  # fmt: skip
    from crawler.reading import takedown as taking  # noqa: PLC0415 - not for --help

    if dry_run:
        dataset.update(say=console.say)
        found = taking.resolve(collection, dataset, *asked)
        number, entries = None, 0
    else:
        entries = len(dataset.withheld.entries)
        entry, found = taking.take_down(collection, dataset, *asked, by=by, reason=reason)
        number = entry.sequence
    _tell(found, console)
    told = f"{len(found.captures):,} captures in {len(found.segments):,} segments"
    if number is None:
        console.result(f"{told} would be withheld")
    elif number > entries:
        console.result(f"{told} are withheld from now on, as number {number}")
    else:
        console.result(f"That is taken down already, as number {number}: {told} are withheld")
    return {
        "number": number, "things": list(found.things), "captures": len(found.captures),
        "segments": list(found.segments), "dry_run": dry_run, "is_new": (number or 0) > entries,
    }  # fmt: skip


def _rewrite(
    collection: Collection, dataset: Dataset, purge: bool, key: str | None, console: Console
) -> dict[str, Any]:
    """Rewrite what holds anything that was taken down; return what came of it."""
    from crawler import rewrite as rewriting  # noqa: PLC0415 - not for --help
    from crawler.evidence import keys, statement  # noqa: PLC0415

    private = keys.private(key) if key else None
    count = freed = 0
    with collection.lock():
        if left := collection.open_segments():
            raise UsageError(f"{len(left)} segments are still open; archive crawl or archive resume seals them.")
        dataset.update(say=console.say)
        try:
            made = rewriting.rewrite(collection, dataset.withheld, forget=dataset.forget, say=console.say)
            dataset.update(say=console.say)
            dataset.purge()
            if purge:
                count, freed = rewriting.purge(collection)
        except OSError as e:
            raise DiskFull(f"{e.filename or collection.root} cannot be written: {e.strerror}.") from e
        if private is not None:
            console.result(f"{statement.sign(collection, private)[0]}: signed")
    console.result(f"{len(made.segments):,} segments rewritten; {made.gone:,} records are gone, {made.moved:,} moved")
    for name in made.lacking:
        console.say(f"{name} is not on this machine; archive pull brings it back, then --rewrite again")
    if purge:
        console.result(f"{count:,} old files deleted, {size(freed)}")
    elif made.segments:
        console.say(f"The old segments are in {collection.root / rewriting.FOLDER}; --rewrite --purge deletes them.")
    return {
        "rewritten": made.segments, "gone": made.gone, "moved": made.moved, "lacking": made.lacking, "purged": count,
    }  # fmt: skip


def _withdraw(collection: Collection, console: Console) -> dict[str, Any]:
    """Delete the copies of what was rewritten; return what came of it."""
    from crawler.cold.withdraw import withdraw  # noqa: PLC0415 - not for --help
    from crawler.withheld import Withheld  # noqa: PLC0415

    gone, kept = 0, {}
    for one in withdraw(collection):
        gone += not one.why
        if one.why:
            kept[f"{one.destination}: {one.key}".rstrip(": ")] = one.why
            console.result(f"{printable(one.destination)}: {printable(one.key)} stays: {printable(one.why)}")
        console.event("copy", destination=one.destination, key=one.key, why=one.why)
    console.result(f"{gone:,} copies deleted, {len(kept):,} are still there")
    if gone or kept:
        Withheld.load(collection).add("copies", told={"gone": gone, "kept": kept})
    if gone:
        console.say("archive push sends the new segments.")
    return {"withdrawn": gone, "kept": kept}


def _remind(collection: Collection, console: Console) -> dict[str, Any]:
    from crawler.cold.withdraw import pending  # noqa: PLC0415 - not for --help

    if left := pending(collection):
        console.say(
            f"{left:,} copies elsewhere still hold what was taken down; archive takedown DIR --copies deletes them."
        )
    return {"copies_left": left}


def _tell(found: Resolved, console: Console) -> None:
    shown = None if console.verbose else _SHOWN
    for url, segment, offset in found.captures[:shown]:
        console.result(f"  {printable(url)}  {segment}:{offset}")
    if not console.verbose and len(found.captures) > _SHOWN:
        console.result(f"  … and {len(found.captures) - _SHOWN:,} more; -v names them")
    for url, segment, offset in found.captures:
        console.event("capture", url=url, segment=segment, offset=offset)


def _lift(dataset: Dataset, number: int, by: str, reason: str, console: Console) -> dict[str, Any]:
    from crawler.reading import takedown as taking  # noqa: PLC0415 - not for --help

    entry = taking.lift(dataset, number, by=by, reason=reason)
    console.result(f"takedown {number} is lifted, as number {entry.sequence}; what was rewritten meanwhile stays away")
    return {"number": entry.sequence, "lifted": number}


def _list(collection: Collection, console: Console) -> int:
    from crawler.withheld import Withheld  # noqa: PLC0415 - not for --help

    withheld = Withheld.load(collection)
    active = {entry.sequence for entry in withheld.active()}
    for entry in withheld.entries:
        console.result(_line(entry, entry.sequence in active))
        console.event(
            "entry", number=entry.sequence, kind=entry.kind, at=entry.at, by=entry.by, reason=entry.reason,
            what=list(entry.what), records=len(entry.records), segments=list(entry.segments), of=entry.of or None,
            in_force=entry.sequence in active, told=entry.told,
        )  # fmt: skip
    if not withheld.entries:
        console.result("Nothing was taken down.")
    console.summary(exit_code=0, entries=len(withheld.entries), in_force=len(active))
    return 0


def _line(entry: Entry, is_active: bool) -> str:
    told = f"{entry.sequence}  {entry.at}  {entry.kind}"
    told += f" {entry.what[0]} {printable(entry.what[1])}" if entry.what[0] else ""
    told += f" (of {entry.of})" if entry.of else ""
    told += f": {printable(entry.reason)} (asked by {printable(entry.by)})" if entry.reason else ""
    is_over = entry.kind == "takedown" and not is_active
    return told + ("  [lifted]" if is_over else "")
