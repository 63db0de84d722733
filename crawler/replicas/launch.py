"""Starting and ending a replica as a process: options, state directory, the line that says it is ready."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from crawler.replicas.authority import context_for
from crawler.replicas.control import Control
from crawler.replicas.faults import Faults
from crawler.replicas.ledger import MODES, Ledger
from crawler.replicas.server import Replica, Site

if TYPE_CHECKING:
    import ssl

    from crawler.replicas.exchange import Clock

#: When replicas live, unless they are told otherwise.
NOW = datetime(2021, 1, 10, 20, 0, tzinfo=UTC)


def parser(name: str, description: str) -> argparse.ArgumentParser:
    """Return a parser with the options that all replicas have."""
    found = argparse.ArgumentParser(prog=f"python -P -m crawler.replicas.{name}", description=description)
    found.add_argument("--seed", type=int, default=1, help="another seed, other things")
    found.add_argument("--port", type=int, default=0, help="0 takes a free one")
    found.add_argument("--state", type=Path, help="directory of authority and ledger; a new one by default")
    found.add_argument("--faults", default="", help="see crawler/replicas/faults.py")
    found.add_argument("--ledger", choices=MODES, default="digests")
    found.add_argument("--clock", type=datetime.fromisoformat, default=NOW, help="ISO time at which it stands still")
    found.add_argument("--latency", type=float, default=0.0, help="milliseconds added to every answer")
    return found


def launch(site: Site, clock: Clock, options: argparse.Namespace) -> None:
    """Serve a site until standard input closes or a signal comes; with TLS if the site has names.

    Prints one JSON line when ready: ``port``, ``http_port``, ``control_port``, ``ca`` (a path, or null), ``hosts``,
    ``pid``, ``state``.
    """
    faults = Faults(options.faults, site.stores)
    state = options.state or Path(tempfile.mkdtemp(prefix="outlast-replica-"))
    state.mkdir(parents=True, exist_ok=True)
    doors: dict[str, tuple[int, ssl.SSLContext | None]] = {"http": (options.port, None)}
    if site.hosts:
        doors = {"https": (options.port, context_for(site.hosts, state)), "http": (options.http_port, None)}
    ledger = Ledger((state / "ledger.jsonl").absolute(), options.ledger)
    asyncio.run(_serve(Replica(site, clock, ledger, faults, options.latency / 1000, doors), state.absolute()))


async def _serve(replica: Replica, state: Path) -> None:
    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, done.set)
    await replica.up()
    control = await asyncio.start_server(Control(replica).serve, "127.0.0.1", 0)
    main = "https" if "https" in replica.doors else "http"
    ready = {
        "port": replica.doors[main][0], "http_port": replica.doors["http"][0],
        "control_port": control.sockets[0].getsockname()[1], "ca": str(state / "ca.pem") if main == "https" else None,
        "hosts": list(replica.site.hosts), "pid": os.getpid(), "state": str(state),
    }  # fmt: skip
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    if sys.stdin is not None:  # else 0 is nobody's, or some socket's
        threading.Thread(target=_wait_for_the_end, args=(loop, done), daemon=True).start()
    await done.wait()
    control.close()
    replica.down()
    await asyncio.sleep(0.05)  # resets are on their way
    replica.ledger.flush()


def _wait_for_the_end(loop: asyncio.AbstractEventLoop, done: asyncio.Event) -> None:
    """Read standard input, whatever it is, until it ends. In a thread: a loop cannot watch a file or /dev/null."""
    try:
        while os.read(0, 4096):
            pass
        loop.call_soon_threadsafe(done.set)
    except (OSError, RuntimeError):
        return
