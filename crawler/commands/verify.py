"""``archive verify``: prove that a collection, or one WARC file, is whole."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crawler.commands.console import common, console_from
from crawler.errors import NoCollection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.warc.verify import Finding

EXIT = """
\b
Exit status
  0  whole: nothing is wrong (warnings may be)
  2  the directory is no collection
  6  damage was found
  10  there is no such file or directory
"""


@click.command(epilog=EXIT)
@click.argument("path", type=click.Path())
@common
def verify(path: str, **options: Any) -> int:
    """Check PATH, a collection or a WARC file: structure, digests, request and response pairs, revisits, index and
    manifest. Reads every byte; changes nothing.
    """
    console = console_from(options)
    counts = {"error": 0, "warning": 0, "info": 0}
    for finding in _findings(Path(path)):
        counts[finding.severity] += 1
        console.event(
            "finding", rule=finding.rule, severity=finding.severity, file=str(finding.file), offset=finding.offset,
            message=finding.message,
        )  # fmt: skip
        if finding.severity != "info" or console.verbose:
            console.result(f"{finding.severity}: {finding.file}:{finding.offset}: {finding.rule}: {finding.message}")
    verdict = f"{counts['error']} errors, {counts['warning']} warnings"
    console.result(f"{path}: {'DAMAGED' if counts['error'] else 'whole'} ({verdict})")
    code = 6 if counts["error"] else 0
    console.summary(exit_code=code, errors=counts["error"], warnings=counts["warning"], path=path)
    return code


def _findings(path: Path) -> Iterator[Finding]:
    from crawler.collection import Collection  # noqa: PLC0415 - not for --help
    from crawler.warc.verify import verify_collection, verify_file  # noqa: PLC0415

    if path.is_file():
        return verify_file(path)
    if not path.exists():
        raise NoCollection(f"There is no {path}.")
    collection = Collection.open(path)
    return verify_collection(collection.warcs, collection.indexes, collection.manifest)
