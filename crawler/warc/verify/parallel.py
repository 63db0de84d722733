"""Checking several files at once, each in a process of its own; what they say of each other is joined at the end."""

from __future__ import annotations

import json
import multiprocessing
import signal
import tempfile
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from crawler.errors import OutlastError
from crawler.warc.verify.references import References
from crawler.warc.verify.rules import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crawler.warc.verify.many import Check


def run(checks: Sequence[Check], references: References, jobs: int) -> Iterator[Finding]:
    """Yield what the checks find, in their order, so many of them running at once."""
    with tempfile.TemporaryDirectory(prefix="outlast-verify-") as place:
        pool = ProcessPoolExecutor(
            min(jobs, len(checks)), mp_context=multiprocessing.get_context("spawn"), initializer=_ignore_interrupt
        )
        try:
            yield from _in_order(pool, checks, Path(place), references)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in multiprocessing.active_children():
                child.terminate()


def _in_order(
    pool: ProcessPoolExecutor, checks: Sequence[Check], place: Path, references: References
) -> Iterator[Finding]:
    under_way: list[tuple[Path, Future[None]]] = []
    for number, check in enumerate(checks):
        notes = place / str(number)
        under_way.append((notes, pool.submit(_check, check, notes)))
    for notes, done in under_way:
        try:
            done.result()
        except BrokenExecutor as e:
            raise OutlastError("A process that checks files was killed; try --jobs 1.") from e
        with _told(notes).open(encoding="utf-8") as lines:
            yield from (Finding(**json.loads(line)) for line in lines)
        references.join(notes)
        notes.unlink()
        _told(notes).unlink()


def _check(check: Check, notes: Path) -> None:
    """Check a file, and leave what was found and noted in two files."""
    references = References(notes)
    with _told(notes).open("w", encoding="utf-8") as out:
        for found in check(references):
            out.write(json.dumps(asdict(found)) + "\n")
    references.close()


def _told(notes: Path) -> Path:
    return notes.with_suffix(".findings")


def _ignore_interrupt() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
