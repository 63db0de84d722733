"""``archive verify``: prove that a collection, or one WARC file, is whole."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crawler.commands.console import common, console_from
from crawler.errors import NoCollection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cryptography.x509 import Certificate

    from crawler.warc.verify import Finding

#: What people want to hear although nothing is wrong: by whom it is signed, and when.
_WORTH_SAYING = frozenset({"S009-key-not-given", "S012-holds", "S013-authority", "P004-shown"})

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
@common
def verify(path: str, public_keys: tuple[str, ...], tsa_ca: str | None, **options: Any) -> int:
    """Check PATH, a collection, a WARC file, or what archive prove wrote: structure, digests, request and response
    pairs, revisits, index and manifest, and where it is signed, that it is what was signed. Reads every byte; changes
    nothing.
    """
    from crawler.evidence import keys, timestamp  # noqa: PLC0415 - not for --help

    given = [keys.public(one) for one in public_keys]
    roots = timestamp.roots_in(Path(tsa_ca)) if tsa_ca else []
    console = console_from(options)
    counts = {"error": 0, "warning": 0, "info": 0}
    for finding in _findings(Path(path), given, roots):
        counts[finding.severity] += 1
        console.event(
            "finding", rule=finding.rule, severity=finding.severity, file=str(finding.file), offset=finding.offset,
            message=finding.message,
        )  # fmt: skip
        if finding.severity != "info" or console.verbose or finding.rule in _WORTH_SAYING:
            console.result(f"{finding.severity}: {finding.file}:{finding.offset}: {finding.rule}: {finding.message}")
    verdict = f"{counts['error']} errors, {counts['warning']} warnings"
    console.result(f"{path}: {'DAMAGED' if counts['error'] else 'whole'} ({verdict})")
    code = 6 if counts["error"] else 0
    console.summary(exit_code=code, errors=counts["error"], warnings=counts["warning"], path=path)
    return code


def _findings(path: Path, keys: list[bytes], roots: list[Certificate]) -> Iterator[Finding]:
    from crawler.collection import Collection  # noqa: PLC0415 - not for --help
    from crawler.evidence import check, proof  # noqa: PLC0415
    from crawler.warc.verify import verify_collection, verify_file  # noqa: PLC0415

    if path.is_file():
        yield from proof.findings(path, keys, roots) if proof.is_proof(path) else verify_file(path)
        return
    if not path.exists():
        raise NoCollection(f"There is no {path}.")
    collection = Collection.open(path)
    yield from verify_collection(collection.warcs, collection.indexes, collection.manifest)
    yield from check.findings(collection, keys, roots)
