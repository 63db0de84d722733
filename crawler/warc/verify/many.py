"""Checking several files: one after the other, or several at once; what they say of each other is joined at the end."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from crawler import engine
from crawler.warc.verify.references import References
from crawler.warc.verify.rules import Finding

#: Checks one file and notes in the references what its records say of others.
Check = Callable[[References], Iterator[Finding]]


def run(checks: Sequence[Check], references: References, jobs: int) -> Iterator[Finding]:
    """Yield what the checks find, in their order, however many run at once."""
    if min(jobs, len(checks)) > 1:
        with tempfile.TemporaryDirectory(prefix="outlast-verify-") as folder:
            yield from joined(engine.run(noted, checks, Path(folder), jobs=min(jobs, len(checks))), references)
        return
    for check in checks:
        yield from check(references)


def noted(check: Check, out: Path) -> None:
    """Check a file, and leave in another what was found and noted."""
    out.unlink(missing_ok=True)
    references = References(out)
    for found in check(references):
        references.tell(found)
    references.close()


def joined(results: Iterable[tuple[Any, Path, None]], references: References) -> Iterator[Finding]:
    """Yield what was found elsewhere, and take over what was noted there."""
    for _, path, _ in results:
        yield from references.join(path)
