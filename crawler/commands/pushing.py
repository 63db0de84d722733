"""``archive crawl --push-to``: a push beside the crawl, in a process of its own, for which the crawl never waits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from crawler.cold.quorum import check_enough
from crawler.commands.console import Console, size
from crawler.commands.destinations import named
from crawler.errors import UsageError
from crawler.nursery import module_path

if TYPE_CHECKING:
    from pathlib import Path

    from crawler.collection import Collection
    from crawler.config import Config

#: Seconds between lines about what is left to push when the crawl is over.
LINE_EVERY = 30.0


def check(config: Config, root: Path) -> None:
    """Raise UsageError where a crawl into ``root`` could not push as it is told to."""
    destinations = named(config.push_to)
    if config.delete_local and not destinations:
        raise UsageError("--delete-local wants destinations: --push-to NAME.")
    if config.delete_local:
        root = root.absolute()
        check_enough(destinations, config.copies, next(one for one in (root, *root.parents) if one.exists()))


class Pushing:
    """``archive push --follow`` of a collection that is being crawled; it ends by itself after the crawl.

    It is in a session of its own, so that Ctrl-C ends the crawl and not what it leaves behind.
    """

    def __init__(self, collection: Collection, config: Config, console: Console) -> None:
        self._console = console
        self._root = collection.root
        self._names = config.push_to
        self._progress: dict[str, tuple[int, int]] = {}
        #: What it told of each destination at its end, and of all.
        self.destinations: list[dict[str, Any]] = []
        self.summary: dict[str, Any] = {}
        log = (collection.log.parent / "push.log").open("ab")
        with log:
            self._child = subprocess.Popen(  # noqa: S603 - ourselves
                _command(collection, config), stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": module_path()}, start_new_session=True,
            )  # fmt: skip
        self._hearing = threading.Thread(target=self._hear, daemon=True)
        self._hearing.start()

    def line(self) -> str:
        """Return how far each destination is, in a few words."""
        shares = (f"{name} {sent / whole if whole else 1:.0%}" for name, (sent, whole) in self._progress.items())
        return f"pushed: {', '.join(shares)}" if self._progress else ""

    def finish(self) -> int:
        """Wait until what was sealed is pushed, tell of it, and return its exit code; Ctrl-C leaves the rest."""
        last = time.monotonic()
        try:
            while self._child.poll() is None:
                time.sleep(0.1)
                if time.monotonic() - last >= LINE_EVERY:
                    last = time.monotonic()
                    self._console.say(f"Pushing what is left (Ctrl-C leaves it for later). {self.line()}")
        except KeyboardInterrupt:
            self.stop()
        self._hearing.join()
        for one in self.destinations:
            self._console.say(_told(one))
        code = self._child.returncode
        if code:
            where = " ".join(f"--to {name}" for name in self._names)
            self._console.say(
                f"Not everything is pushed (see logs/push.log); archive push {self._root} {where} goes on."
            )
        return 3 if code else 0

    def stop(self) -> None:
        """End it now; what arrived stays, and the next push goes on."""
        self._child.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(10)
        self._child.kill()
        self._child.wait()

    def _hear(self) -> None:
        assert self._child.stdout is not None
        with self._child.stdout as lines:
            for line in lines:
                with suppress(ValueError):  # a line that a kill cut off
                    self._take_in(json.loads(line))

    def _take_in(self, told: dict[str, Any]) -> None:
        match told.get("message_type"):
            case "progress":
                self._progress[told["name"]] = told["sent"], told["bytes"]
            case "note":
                self._console.say(told["text"])
            case "destination":
                self.destinations.append({key: value for key, value in told.items() if key != "message_type"})
            case "summary":
                self.summary = told


def _command(collection: Collection, config: Config) -> list[str]:
    path = click.get_current_context().meta["outlast.config"]
    options = [
        *(["--config", str(path)] if path.is_file() else []),
        *(["--public-originals"] if config.public_originals else []),
        *(["--delete-local", "--copies", str(config.copies)] if config.delete_local else []),
        *(argument for name in config.push_to for argument in ("--to", name)),
    ]
    return [
        sys.executable, "-P", "-m", "cli", "push", str(collection.root), "--follow", "--json", "--quiet", *options,
    ]  # fmt: skip


def _told(one: dict[str, Any]) -> str:
    lacks = f", {one['missing'] + one['unproven']:,} not proven" if one["missing"] + one["unproven"] else ""
    why = f" ({one['error']})" if one["error"] else ""
    return f"{one['name']}: {one['proven']:,} proven, {size(one['bytes'])}{lacks}{why}"
