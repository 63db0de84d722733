"""The workers of a Dask cluster (extra ``outlast[engine]``). Whoever can reach its scheduler runs code on all of them.

A task leaves its file on the worker that did it, from where it comes in pieces. A worker that dies takes its files with
it, and others do its tasks again: the scheduler those that were under way, we those whose files were not here yet.
"""

from __future__ import annotations

import logging
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from distributed import Client, KilledWorker, get_worker
from distributed.client import FutureCancelledError

from crawler.engine import in_order
from crawler.errors import EngineLost, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from distributed import Future

T = TypeVar("T")
R = TypeVar("R")
_SCHEMES = frozenset({"tcp", "tls", "ws", "wss"})
#: Seconds until somebody answers there, until there is a worker, and between two looks whether it still does.
_ANSWER, _WORKER, _LOOK = 10, 25, 5
_PIECE = 8 << 20
#: Tasks begun for each thread of the cluster.
_AHEAD = 4
#: How often the files of a task may be lost with their worker.
_TRIES = 3


class _Client(Client):
    """A client that is closed by who opened it, and by nobody else: one that never was connected cannot be."""

    def __del__(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class _Left:
    """What a task left with a worker: its file, and what it returned."""

    worker: str
    path: str
    size: int
    answer: Any


def run_there(
    work: Callable[[T, Path], R], tasks: Iterable[T], place: Path, address: str
) -> Iterator[tuple[T, Path, R]]:
    """Yield what comes of the tasks, in their order. Raises EngineLost, UsageError where Dask is not installed."""
    client = _connected(address)

    def begin(task: T, path: Path) -> Callable[[], R]:
        first = client.submit(_do, work, task, pure=False)
        return lambda: _brought(client, address, lambda: client.submit(_do, work, task, pure=False), first, path)

    try:
        yield from in_order(tasks, place, _AHEAD * max(4, sum(client.nthreads().values())), begin)
    finally:
        with suppress(Exception):
            client.close(timeout=_ANSWER)


def _connected(address: str) -> Client:
    _checked(address)
    # What goes wrong is one line of ours.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        client: Client = _Client(address, timeout=_ANSWER, set_as_default=False)  # type: ignore[no-untyped-call]
    except Exception as e:  # whatever a stranger answers
        raise EngineLost(f"No Dask scheduler answers at {address} ({type(e).__name__}).") from e
    try:
        _attended(client, address)
    except EngineLost:
        client.close(timeout=_ANSWER)
        raise
    return client


def _attended(client: Client, address: str) -> None:
    """Wait until there is a worker. Raises EngineLost where none comes."""
    try:
        client.wait_for_workers(1, timeout=_WORKER)
    except TimeoutError as e:
        raise EngineLost(f"The scheduler at {address} has no workers: dask worker {address}") from e
    except Exception as e:  # it is gone itself
        raise EngineLost from e


def _checked(address: str) -> None:
    try:
        parts = urlsplit(address)
        if parts.scheme in _SCHEMES and parts.hostname and parts.port and address.isprintable():
            return
    except ValueError:
        pass
    raise UsageError("--engine wants the address of a Dask scheduler: tcp://host:8786 (or tls, ws, wss).")


def _brought(
    client: Client, address: str, again: Callable[[], Future[Any]], future: Future[Any], path: Path
) -> Any:  # fmt: skip
    """Wait for a task and bring its file here."""
    for _ in range(_TRIES):
        left = _result(client, address, future)
        try:
            _fetch(client, left, path)
        except (OSError, ValueError, KeyError, RuntimeError):
            future = again()  # its worker is gone, and the file with it
        else:
            return left.answer
    raise EngineLost("Workers of the engine end before what they read is here; the same command goes on.")


def _result(client: Client, address: str, future: Future[Any]) -> _Left:
    try:
        while client.status == "running":
            with suppress(TimeoutError):
                left: _Left = future.result(timeout=_LOOK)
                return left
            _attended(client, address)
    except (FutureCancelledError, ConnectionError) as e:
        raise EngineLost from e
    except KilledWorker as e:
        raise EngineLost("A task ended every worker that tried it; is their memory enough?") from e
    except ModuleNotFoundError as e:
        raise EngineLost(f"The engine's workers lack {e.name}: they need the same Outlast as this machine.") from e
    raise EngineLost


def _fetch(client: Client, left: _Left, path: Path) -> None:
    if left.worker not in client.nthreads():  # to ask one that is gone takes half a minute
        raise KeyError(left.worker)
    with path.open("wb") as out:
        while out.tell() < left.size:
            asked = client.run(_piece, left.path, out.tell(), workers=[left.worker])
            if not (piece := asked[left.worker]):
                raise ValueError(left.path)
            out.write(piece)
    with suppress(Exception):
        client.run(Path(left.path).unlink, missing_ok=True, workers=[left.worker])


# On a worker


def _do(work: Callable[[Any, Path], Any], task: Any) -> _Left:

    worker = get_worker()
    # Below the worker's own directory, which goes when it ends.
    descriptor, name = tempfile.mkstemp(prefix="outlast-", dir=worker.local_directory)
    os.close(descriptor)
    try:
        answer = work(task, Path(name))
    except BaseException:
        Path(name).unlink()
        raise
    return _Left(worker.address, name, Path(name).stat().st_size, answer)


def _piece(path: str, start: int) -> bytes:
    with Path(path).open("rb") as file:
        file.seek(start)
        return file.read(_PIECE)
