"""Checking several files: one after the other, or several at once in processes of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from crawler.warc.verify.references import References
from crawler.warc.verify.rules import Finding

#: Checks one file and notes in the references what its records say of others.
Check = Callable[[References], Iterator[Finding]]


def run(checks: Sequence[Check], references: References, jobs: int) -> Iterator[Finding]:
    """Yield what the checks find, in their order, however many run at once."""
    if min(jobs, len(checks)) > 1:
        from crawler.warc.verify import parallel  # noqa: PLC0415 - as heavy as all the rest

        yield from parallel.run(checks, references, jobs)
        return
    for check in checks:
        yield from check(references)
