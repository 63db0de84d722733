"""One function over many tasks: in this process, in several of this machine, or on a Dask cluster; one way to ask.

What a task finds is a file and a small value. The files come in the order of the tasks wherever they were written, so
what is made of them is the same; memory is the same, too, however much a task finds.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from crawler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from crawler.collection import Collection

    #: Reads a segment and writes what it finds to a file; returns what is small enough to say.
    Read = Callable[["Desk", Path], Any]

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a segment is read: on this machine, or on one that it was lent to."""

    #: The segment is among its own.
    collection: Collection
    segment: str
    #: What belongs to this segment alone: its line of the manifest, say.
    told: Any = None
    #: Reads (segment, start, length) of others from where they are; None where all there is is here.
    remote: Callable[[str, int, int], bytes] | None = None


@dataclass(frozen=True, slots=True)
class Cluster:
    """An engine that reads segments of one collection."""

    #: Has segments read, each with what it is told; yields segment, file and answer, in order.
    run: Callable[[Read, Sequence[tuple[str, Any]], Path], Iterator[tuple[str, Path, Any]]]
    #: Segments that are not on this machine, and that it can read.
    afar: frozenset[str] = frozenset()


def run(
    work: Callable[[T, Path], R], tasks: Iterable[T], place: Path, *, jobs: int = 1, engine: str = ""
) -> Iterator[tuple[T, Path, R]]:
    """Yield each task with the file that ``work(task, file)`` wrote and what it returned; then the file is deleted.

    ``place`` is a directory for the files. ``engine``: the address of a Dask scheduler; else there are ``jobs``
    processes, or none beside this one. Work and tasks must be picklable where they leave it. What ``work`` raises is
    raised. Raises EngineLost where there is no such engine, or no more.
    """
    if engine:
        try:
            from crawler.engine.dask import run_there  # noqa: PLC0415 - an extra
        except ImportError as e:
            raise UsageError("--engine needs Dask: pip install 'outlast[engine]'.") from e
        return run_there(work, tasks, place, engine)
    if jobs > 1:
        from crawler.engine.pool import run_beside  # noqa: PLC0415 - heavy

        return run_beside(work, tasks, place, jobs)
    return _run_here(work, tasks, place)


def _run_here(work: Callable[[T, Path], R], tasks: Iterable[T], place: Path) -> Iterator[tuple[T, Path, R]]:
    path = place / "0"
    for task in tasks:
        try:
            yield task, path, work(task, path)
        finally:
            path.unlink(missing_ok=True)


def in_order(
    tasks: Iterable[T], place: Path, ahead: int, begin: Callable[[T, Path], Callable[[], R]]
) -> Iterator[tuple[T, Path, R]]:
    """Yield tasks as they were given, so many of them begun at once; ``begin`` returns what waits for one."""
    begun: deque[tuple[T, Path, Callable[[], R]]] = deque()

    def first() -> Iterator[tuple[T, Path, R]]:
        task, path, done = begun.popleft()
        try:
            yield task, path, done()
        finally:
            path.unlink(missing_ok=True)

    for number, task in enumerate(tasks):
        path = place / str(number)
        begun.append((task, path, begin(task, path)))
        if len(begun) >= ahead:
            yield from first()
    while begun:
        yield from first()
