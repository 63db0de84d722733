"""Several processes of this machine, which end when the one that asked does, however it ended."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from crawler.engine import in_order
from crawler.errors import OutlastError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

T = TypeVar("T")
R = TypeVar("R")
#: Tasks begun for each process: who waits for one that takes long has not read much more than this.
_AHEAD = 4


def run_beside(work: Callable[[T, Path], R], tasks: Iterable[T], place: Path, jobs: int) -> Iterator[tuple[T, Path, R]]:
    """Yield what comes of the tasks, in their order, so many processes at work."""
    ours = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"), initializer=begin_beside)
    try:
        yield from in_order(tasks, place, _AHEAD * jobs, lambda task, path: pool.submit(work, task, path).result)
    except BrokenExecutor as e:
        raise OutlastError(
            "A process that reads segments was killed; the same command goes on, with --jobs 1 in one process."
        ) from e
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in set(multiprocessing.active_children()) - ours:
            child.terminate()


def begin_beside() -> None:
    """Make this process leave Ctrl-C to the one that asked, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
