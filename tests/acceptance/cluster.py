"""A Dask cluster of the tests' own: a scheduler and two workers, each a process, over loopback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.acceptance.support import environment


class Cluster:
    """Where its scheduler is, and its workers, of which one may be killed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *words: object) -> None:
        with (self.root / f"{name}.log").open("wb") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-m", "dask", *map(str, words)], stdout=log, stderr=log, env=environment(), cwd=self.root,
                start_new_session=True,
            )  # fmt: skip

    def worker(self, name: str) -> None:
        (self.root / name).mkdir()
        words = ("worker", self.address, "--nthreads", 1, "--no-nanny", "--no-dashboard", "--host", "127.0.0.1")
        self.start(name, *words, "--local-directory", self.root / name)

    def has_begun(self, name: str) -> bool:
        """Say whether a worker reads a segment, or has read one that nobody fetched yet."""
        return any((self.root / name).rglob("outlast-*"))

    def kill(self, name: str) -> None:
        os.killpg(self.running[name].pid, signal.SIGKILL)
        self.running.pop(name).wait()

    def kill_at_work(self, name: str) -> None:
        until = time.monotonic() + 60
        while not self.has_begun(name):
            assert time.monotonic() < until, f"{name} does nothing"
            time.sleep(0.002)
        self.kill(name)


@contextmanager
def cluster(root: Path) -> Iterator[Cluster]:
    made = Cluster(root)
    root.mkdir()
    try:
        made.start(
            "scheduler", "scheduler", "--host", "127.0.0.1", "--port", made.address.rpartition(":")[2], "--no-dashboard"
        )
        for name in ("one", "two"):
            made.worker(name)
        yield made
    finally:
        for name in list(made.running):
            made.kill(name)
