"""The checker: what the WARC and WACZ standards ask of a file, and what a collection promises of itself.

``rules`` is the table; ``headers``, ``message`` and ``records`` look at a record, ``references`` at what records say of
each other, ``files``, ``wacz`` and ``collection`` at what holds them. Every block is read once, memory is flat.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from crawler.warc.verify.files import check_file
from crawler.warc.verify.many import run
from crawler.warc.verify.references import References
from crawler.warc.verify.rules import RULES, Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["RULES", "Finding", "Severity", "verify_file", "verify_files"]


def verify_file(path: Path) -> Iterator[Finding]:
    """Yield what is wrong with one WARC or WACZ file; a revisit to another file is only a warning."""
    return verify_files([path])


def verify_files(paths: Sequence[Path], *, jobs: int = 1) -> Iterator[Finding]:
    """Yield what is wrong with files that belong together; one alone may lack what its revisits refer to."""
    references = References()
    yield from run([partial(_check, path) for path in paths], references, jobs)
    yield from references.unresolved(whole=len(paths) > 1)


def _check(path: Path, references: References) -> Iterator[Finding]:
    if not path.name.endswith(".wacz"):
        return check_file(path, references)
    from crawler.warc.verify.wacz import check_wacz  # noqa: PLC0415 - most files are none

    return check_wacz(path, references)
