"""Run a replica as a process of its own, for the demo and the tests."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

if TYPE_CHECKING:
    from collections.abc import Iterator


class Running:
    """A replica that answers on ``port``; ``ca`` is what its clients must trust."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self.port: int = facts["port"]
        self.pid: int = facts["pid"]
        self.state = Path(facts["state"])
        self.ca = Path(facts["ca"]) if facts["ca"] else None
        self._control = f"http://127.0.0.1:{facts['control_port']}"

    @property
    def url(self) -> str:
        """Where a replica without virtual hosts is."""
        return f"http://127.0.0.1:{self.port}/"

    def truth(self) -> dict[str, Any]:
        """Return what it has, counted."""
        found: dict[str, Any] = json.loads(self.control("/truth"))
        return found

    def things(self) -> Iterator[dict[str, Any]]:
        """Yield what it has, thing by thing."""
        return (json.loads(line) for line in self.control("/truth.jsonl").splitlines())

    def ledger(self) -> list[dict[str, Any]]:
        """Return what it received and sent so far."""
        path = Path(self.control("/ledger").decode())
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def control(self, target: str, body: bytes | None = None) -> bytes:
        """Ask its control port."""
        with urlopen(Request(self._control + target, data=body), timeout=60) as answer:  # noqa: S310 - loopback
            data: bytes = answer.read()
        return data


@contextmanager
def running(name: str, **options: object) -> Iterator[Running]:
    """Start ``crawler.replicas.<name>`` with these options, and end it afterwards."""
    home = str(Path(__file__).parent.parent.parent)
    path = os.pathsep.join(p for p in (home, os.environ.get("PYTHONPATH")) if p)
    arguments = [part for key, value in options.items() for part in (f"--{key.replace('_', '-')}", str(value))]
    with subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-P", "-m", f"crawler.replicas.{name}", *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path}, start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdin is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"the replica {name} did not start")
        replica = Running(json.loads(line))
        try:
            yield replica
        finally:
            process.stdin.close()
            process.wait(timeout=30)
            if "state" not in options:
                shutil.rmtree(replica.state, ignore_errors=True)
