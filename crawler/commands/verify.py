"""``archive verify``: prove that a collection, or anybody's WARC and WACZ files, are whole."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from crawler.commands import engines
from crawler.commands.console import common, console_from
from crawler.errors import Damaged, DatabaseLost, NoCollection, NotACollection, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cryptography.x509 import Certificate

    from crawler.commands.console import Console
    from crawler.warc.verify import Finding

#: What people want to hear although nothing is wrong: by whom it is signed, and when.
_WORTH_SAYING = frozenset(
    {"S009-key-not-given", "S012-holds", "S013-authority", "P004-shown", "C011-withheld", "C012-no-frontier"}
)

EXIT = f"""
\b
Exit status
  0  whole: nothing is wrong (warnings may be)
  2  the directory is no collection and holds no WARC or WACZ file
  6  damage was found
  10  there is no such file or directory
{engines.EXIT}
"""
#: Warnings of one rule that are named one by one in a file: some writers earn one with every record.
_ALIKE = 3
_KINDS = (".warc", ".warc.gz", ".warc.zst", ".wacz")


@click.command(epilog=EXIT)
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="PATH...")
@click.option(
    "--public-key",
    "public_keys",
    multiple=True,
    metavar="KEY",
    help="It must be signed by this key (a PEM file or 64 hex digits), or one of several.",
)
@click.option(
    "--tsa-ca",
    type=click.Path(exists=True, dir_okay=False),
    default=None,
    help="Root certificates (PEM) of the authorities whose time-stamps count.",
)
@click.option("-j", "--jobs", type=click.IntRange(1), help="Check so many files at once. [default: one a core]")
@engines.option
@click.option("--rules", is_flag=True, help="Print every rule and how much it weighs, and end.")
@common
def verify(
    paths: tuple[Path, ...], public_keys: tuple[str, ...], tsa_ca: str | None, jobs: int | None, engine: str | None,
    rules: bool, **options: Any,
) -> int:  # fmt: skip
    """Check PATH, a collection, WARC and WACZ files or a directory of them, or what archive prove wrote: structure,
    digests, HTTP messages, request and response pairs, revisits, index, pages and manifest, and where it is signed,
    that it is what was signed. Reads every byte of what is here, and says what is only elsewhere; changes nothing.

    Several files are taken to belong together: a revisit in one may refer to another.
    """
    console = console_from(options)
    if rules:
        return _print_rules(console)
    if not paths:
        raise UsageError("Say what to check: archive verify PATH...")
    trust = _trust(public_keys, tsa_ca)
    counts = {"error": 0, "warning": 0, "info": 0}
    alike: Counter[tuple[str, str]] = Counter()
    how = _How(console, jobs or _cores(), engine, reach := _Reach())
    for finding in _findings(paths, how, trust):
        counts[finding.severity] += 1
        console.event(
            "finding", rule=finding.rule, severity=finding.severity, file=finding.file, offset=finding.offset,
            message=finding.message,
        )  # fmt: skip
        alike[finding.file, finding.rule] += finding.severity == "warning"
        is_new = alike[finding.file, finding.rule] <= _ALIKE and finding.severity != "info"
        if is_new or console.verbose or finding.rule in _WORTH_SAYING:
            console.result(f"{finding.severity}: {finding.file}:{finding.offset}: {finding.rule}: {finding.message}")
    for (file, rule), count in alike.items():
        if count > _ALIKE and not console.verbose:
            console.result(f"warning: {file}: {rule}: {count - _ALIKE:,} more of these; -v names each")
    name = str(paths[0]) if len(paths) == 1 else f"{len(paths)} paths"
    console.result(f"{name}: {_verdict(counts, reach)}")
    code = 6 if counts["error"] else 0
    console.summary(
        exit_code=code, errors=counts["error"], warnings=counts["warning"], path=name, paths=[str(p) for p in paths],
        segments_read=reach.read, segments_elsewhere=reach.elsewhere,
    )  # fmt: skip
    return code


@dataclass(slots=True)
class _Reach:
    """Segments of collections that were read, and those that are not here to be read."""

    read: int = 0
    elsewhere: int = 0


class _How(NamedTuple):
    """Who reads, so many processes or an engine, and how far that reaches."""

    console: Console
    jobs: int
    engine: str | None
    reach: _Reach


def _verdict(counts: dict[str, int], reach: _Reach) -> str:
    """Return the last line: nobody may take for whole what nobody read."""
    weighed = f"({counts['error']} errors, {counts['warning']} warnings)"
    told = "DAMAGED" if counts["error"] else "whole"
    if not reach.elsewhere:
        return f"{told} {weighed}"
    return (
        f"{told}, as far as it is here {weighed}: {reach.read:,} of {reach.read + reach.elsewhere:,} segments were "
        f"read; {reach.elsewhere:,} are only elsewhere (archive audit, archive pull)"
    )


class _Trust(NamedTuple):
    """Whose signatures and time-stamps count."""

    keys: list[bytes]
    roots: list[Certificate]


def _trust(public_keys: tuple[str, ...], tsa_ca: str | None) -> _Trust:
    if not public_keys and not tsa_ca:
        return _Trust([], [])
    from crawler.evidence import keys, timestamp  # noqa: PLC0415 - not for --help

    return _Trust([keys.public(one) for one in public_keys], timestamp.roots_in(Path(tsa_ca)) if tsa_ca else [])


def _findings(paths: Sequence[Path], how: _How, trust: _Trust) -> Iterator[Finding]:
    from crawler.warc.verify import verify_files  # noqa: PLC0415 - not for --help

    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise NoCollection(f"There is no {path}.")
        if path.is_dir() and ((path / "collection.json").is_file() or not (held := _held(path))):
            yield from _collection(path, how, trust)
        elif path.is_dir():
            files += held
        elif path.name.endswith(_KINDS) or not _is_proof(path):
            files.append(path)
        else:
            yield from _proof(path, trust)
    if files and how.engine:
        raise UsageError("--engine checks collections; of other files it does not know where its workers have them.")
    if files:
        yield from verify_files(files, jobs=how.jobs)


def _is_proof(path: Path) -> bool:
    from crawler.evidence import proof  # noqa: PLC0415

    return proof.is_proof(path)


def _proof(path: Path, trust: _Trust) -> Iterator[Finding]:
    from crawler.evidence import proof  # noqa: PLC0415

    yield from proof.findings(path, trust.keys, trust.roots)


def _collection(path: Path, how: _How, trust: _Trust) -> Iterator[Finding]:
    """Check a collection of ours. Raises NotACollection where it is none."""
    from crawler.cold.copies import elsewhere  # noqa: PLC0415
    from crawler.collection import Collection  # noqa: PLC0415
    from crawler.evidence import check  # noqa: PLC0415
    from crawler.frontier.engines import to_read  # noqa: PLC0415
    from crawler.warc.verify.collection import verify_collection, verify_frontier  # noqa: PLC0415
    from crawler.warc.verify.rules import finding, printable  # noqa: PLC0415
    from crawler.withheld import NAME, Withheld  # noqa: PLC0415

    try:
        collection = Collection.open(path)
    except NotACollection as e:
        if (path / "collection.json").is_file() and (path / "manifest.jsonl").is_file():
            yield finding("C013-marker", "collection.json", 0, "restore it from a copy, and verify again for the rest")
            return
        raise NotACollection(f"{e} It holds no WARC or WACZ file either.") from e
    cluster = engines.cluster(collection, how.engine, how.console, "index")
    afar = cluster.afar if cluster else frozenset()
    how.reach.read += len(afar | {one.name for one in collection.sealed_segments()})
    for found in verify_collection(
        collection.warcs, collection.indexes, collection.manifest, jobs=how.jobs,
        elsewhere=elsewhere(collection.root / "copies.sqlite"), cluster=cluster,
    ):  # fmt: skip
        how.reach.elsewhere += found.rule == "C010-elsewhere" and found.file not in afar
        yield found
    try:
        Withheld.load(collection)
    except Damaged as e:
        yield finding("C003-chain", NAME, 0, str(e))
    if collection.marker.frontier or collection.frontier.is_file():
        try:
            with closing(to_read(collection)) as frontier:
                yield from verify_frontier(frontier.places(), collection.indexes)
        except (DatabaseLost, UsageError) as e:
            if not collection.marker.frontier:
                raise
            yield finding("C012-no-frontier", "collection.json", 0, printable(str(e)))
    yield from check.findings(collection, trust.keys, trust.roots)


def _held(folder: Path) -> list[Path]:
    """Return the WARC and WACZ files in a directory and below."""
    return sorted(path for path in folder.rglob("*") if path.name.endswith(_KINDS) and path.is_file())


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _print_rules(console: Console) -> int:
    from crawler.evidence import check  # noqa: PLC0415
    from crawler.warc.verify.rules import RULES, Rule, table  # noqa: PLC0415

    rules = {**RULES, **{name: Rule(*told) for name, told in check.RULES.items()}}
    for name, rule in rules.items():
        console.event("rule", rule=name, severity=rule.severity, ours=rule.ours or rule.severity, means=rule.sentence)
    if not console.json:
        console.result(table(rules).rstrip("\n"))
    console.summary(exit_code=0, rules=len(rules))
    return 0
