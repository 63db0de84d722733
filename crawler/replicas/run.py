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

#: Seconds: counting a world of a million posts takes its time.
_PATIENCE = 3600


class Running:
    """A replica that answers on ``port``; ``ca`` is what its clients must trust (None where it speaks plain HTTP)."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self.port: int = facts["port"]
        self.http_port: int = facts["http_port"]
        self.control_port: int = facts["control_port"]
        self.pid: int = facts["pid"]
        self.hosts: list[str] = facts["hosts"]
        self.state = Path(facts["state"])
        self.ca = Path(facts["ca"]) if facts["ca"] else None

    @property
    def url(self) -> str:
        """Where a replica without virtual hosts is."""
        return f"http://127.0.0.1:{self.port}/"

    def truth(self) -> dict[str, Any]:
        """Return what it has, counted: ``public``, ``private`` and ``gone`` by kind, and ``furniture``."""
        found: dict[str, Any] = json.loads(self.control("/truth"))
        return found

    def things(self) -> Iterator[dict[str, Any]]:
        """Yield what it has, thing by thing."""
        with urlopen(self._at("/truth.jsonl"), timeout=_PATIENCE) as answer:  # noqa: S310 - loopback
            yield from map(json.loads, answer)

    def nmin(self) -> dict[str, Any]:
        """Return the least requests that get everything public once: ``total``, and ``by_kind``."""
        found: dict[str, Any] = json.loads(self.control("/nmin"))
        return found

    def stats(self) -> dict[str, Any]:
        """Return exchanges so far, open connections, the clock, whether it is up, and the faults."""
        found: dict[str, Any] = json.loads(self.control("/stats"))
        return found

    def ledger(self) -> list[dict[str, Any]]:
        """Return what it received and sent so far, one dict an exchange (see ledger.py)."""
        path = Path(self.control("/ledger").decode())
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def faults(self, text: str = "") -> None:
        """Replace its faults; without an argument it behaves again."""
        self.control("/faults", text.encode())

    def clock(self, moment: str) -> None:
        """Set its clock to an ISO time."""
        self.control("/clock", moment.encode())

    def age(self, **counts: int) -> dict[str, list[str]]:
        """Let time go by: so many posts ``edited``, ``deleted`` and ``added``; return their ids."""
        told: dict[str, list[str]] = json.loads(self.control("/age", json.dumps(counts).encode()))
        return told

    def down(self) -> None:
        """Make it refuse connections."""
        self.control("/down", b"")

    def up(self) -> None:
        """Make it accept connections again."""
        self.control("/up", b"")

    def control(self, target: str, body: bytes | None = None) -> bytes:
        """Ask its control port; a body, even an empty one, makes it a POST. See control.py."""
        with urlopen(Request(self._at(target), data=body), timeout=_PATIENCE) as answer:  # noqa: S310 - loopback
            data: bytes = answer.read()
        return data

    def _at(self, target: str) -> str:
        return f"http://127.0.0.1:{self.control_port}{target}"


@contextmanager
def running(name: str, **options: object) -> Iterator[Running]:
    """Start ``crawler.replicas.<name>`` with these options, and end it afterwards.

    An option is a flag of the replica's command: ``http_port=0`` is ``--http-port 0``. The state directory is removed
    at the end unless ``state`` was given. Raises RuntimeError if it does not start.
    """
    home = str(Path(__file__).parent.parent.parent)
    path = os.pathsep.join(p for p in (home, os.environ.get("PYTHONPATH")) if p)
    arguments = [part for key, value in options.items() for part in (f"--{key.replace('_', '-')}", str(value))]
    with subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-P", "-m", f"crawler.replicas.{name}", *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path}, start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"the replica {name} did not start")
        replica = Running(json.loads(line))
        try:
            yield replica
        finally:
            _end(process)
            if "state" not in options:
                shutil.rmtree(replica.state, ignore_errors=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Close its standard input, which ends it; kill it if that does not."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
