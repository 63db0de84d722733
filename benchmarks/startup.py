"""From the command to the first request: ``python -m benchmarks.startup``.

A relay in front of a replica notes when the first bytes of each connection arrive: the first is where the site is
recognised, the next one of another process is the first fetch of the crawl. CPU is that of all of the crawl's processes
up to that moment.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from crawler.replicas.run import running

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds after which a crawl that asks nothing is given up.
PATIENCE = 120.0
_TICK = os.sysconf("SC_CLK_TCK")


class Relay:
    """Passes connections on to a port; ``seen`` is called with the first bytes of each."""

    def __init__(self, port: int, seen: Callable[[bytes], None]) -> None:
        self._port = port
        self._seen = seen
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=self._relay, args=(self._listener.accept()[0],), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        with suppress(OSError), client, socket.create_connection(("127.0.0.1", self._port)) as server:
            begun = client.recv(65536)
            self._seen(begun)
            server.sendall(begun)
            threading.Thread(target=_pass, args=(server, client), daemon=True).start()
            _pass(client, server)


def _pass(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while some := source.recv(65536):
            sink.sendall(some)
        sink.shutdown(socket.SHUT_WR)


def cpu(group: int) -> float:
    """Return CPU seconds of a process group, and of those of its children that are over."""
    ticks = 0
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            facts = entry.read_text().rpartition(")")[2].split()
            ticks += sum(map(int, facts[11:15])) if int(facts[2]) == group else 0
    return ticks / _TICK


def start(command: list[str], port: int) -> list[tuple[float, float]]:
    """Return seconds and CPU seconds from the start to the first two connections."""
    found: list[tuple[float, float]] = []
    is_over = threading.Event()
    with tempfile.TemporaryDirectory() as place:
        relay = Relay(port, lambda _: note())
        target = [*command, f"127.0.0.1:{relay.port}", "--into", f"{place}/c"]
        began = time.monotonic()
        child = subprocess.Popen(target, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def note() -> None:
            found.append((time.monotonic() - began, cpu(child.pid)))
            if len(found) >= 2:
                is_over.set()

        is_over.wait(PATIENCE)
        os.killpg(child.pid, signal.SIGTERM)
        child.wait()
        relay.close()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--platform", default="mastodon")
    options = parser.parse_args()
    archive = shutil.which("archive", path=str(Path(sys.executable).parent)) or "archive"
    rounds = []
    with running(options.platform, size=60) as site:
        for _ in range(options.rounds):
            found = start([archive, "crawl", "--workers", "1"], site.port)
            rounds.append(found)
            told = "; ".join(f"{seconds:.2f} s, {used:.2f} CPU s" for seconds, used in found)
            print(f"recognising; first fetch: {told}", flush=True)
    for name, place in (("recognising", 0), ("first fetch", 1)):
        have = [found[place] for found in rounds if len(found) > place]
        if have:
            print(f"{name}: median {median(s for s, _ in have):.2f} s, {median(used for _, used in have):.2f} CPU s")
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    return 0


if __name__ == "__main__":
    sys.exit(main())
