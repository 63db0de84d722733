"""``archive replay``: the archive in a browser, offline."""

from __future__ import annotations

import re
import subprocess
import webbrowser
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crawler.commands.browse import served_pages
from crawler.commands.console import Console, common, console_from, instant, printable, until_told
from crawler.errors import UsageError
from crawler.reading.replay import ENGINES, NotInstalled, Shown, Wish, engine

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from crawler.reading.replay.holding import Holding

_BROWSE = "browse"
_SHORT = {name: line for name, (_, line) in ENGINES.items()} | {_BROWSE: "archive browse; of a collection only"}
_LINES = "\n".join(f"  {name:<10} {line}" for name, line in _SHORT.items())


@click.command(
    epilog=f"\b\nEngines (auto takes one of the first three that is to be had)\n{_LINES}\n\n"
    "\b\nExit status\n  0  shown, and ended\n  2  usage, or nothing here can show it\n  6  what is held is damaged\n"
    "  8  the disk is full\n  10  there is no such directory or file"
)
@click.argument("archive", metavar="DIRECTORY|FILE.wacz", type=click.Path())
@click.option("--engine", "-e", "name", type=click.Choice(["auto", *_SHORT]), default="auto", show_default=True)
@click.option("--url", default="", help="The page to begin with.")
@click.option("--at", metavar="DATE", help="Of several captures, those nearest to this. [default: the newest]")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="On 127.0.0.1. [default: a free one]")
@click.option("--viewer", type=click.Path(file_okay=False), help="Where ReplayWeb.page's ui.js and sw.js are.")
@click.option("--no-open", is_flag=True, help="Start no browser; say what one would open.")
@common
def replay(
    archive: str, name: str, url: str, at: str | None, port: int, viewer: str | None, no_open: bool, **options: Any
) -> int:
    """Open an archive in the browser as it looked, with no network, until Ctrl-C. Everything is served on this machine
    alone, and nothing is copied.
    """
    console = console_from(options)
    stamp = re.sub(r"\D", "", instant(at, "--at") or "")[:14]
    wish = Wish(url=url, at=stamp, port=port, viewer=Path(viewer) if viewer else None)
    with ExitStack() as stack, until_told() as told:
        if name == _BROWSE:
            shown = _pages(stack, Path(archive), wish, console)
        else:
            shown = _shown(stack, Path(archive), wish, name, console)
        _say(shown, console, no_open)
        browser = None if no_open else _browse(stack, shown)
        while not told.wait(0.3) and (browser is None or browser.poll() is None):
            pass
        if browser is not None and browser.poll():
            raise UsageError(f"{shown.browser[0]} ended with {browser.poll()}; --no-open says how to start it.")
    console.summary(exit_code=0, engine=shown.engine, url=shown.url)
    return 0


def _opened(path: Path, console: Console) -> AbstractContextManager[Holding]:
    from crawler.cold.fetch import reader  # noqa: PLC0415 - not for --help
    from crawler.collection import Collection  # noqa: PLC0415
    from crawler.reading.replay.holding import of_collection, of_wacz  # noqa: PLC0415

    if path.is_file():
        return of_wacz(path)
    collection = Collection.open(path)
    return of_collection(collection, reader(collection), console.say)


def _pages(stack: ExitStack, path: Path, wish: Wish, console: Console) -> Shown:
    if path.is_file() or wish.url or wish.at or wish.viewer:
        raise UsageError("--engine browse shows all of a collection; it takes no file, --url, --at or --viewer.")
    port = stack.enter_context(served_pages(path, console, wish.port))
    return Shown(engine=_BROWSE, url=f"http://127.0.0.1:{port}/", port=port)


def _shown(stack: ExitStack, path: Path, wish: Wish, name: str, console: Console) -> Shown:
    holding = stack.enter_context(_opened(path, console))
    for lack in holding.lacks:
        console.say(f"  {lack}")
    lacks = []
    for _, show in engine(name):
        try:
            return stack.enter_context(show(holding, wish))
        except NotInstalled as e:
            lacks.append(str(e))
    raise UsageError("\n".join([*lacks, "archive browse shows what was posted with none of them."]))


def _say(shown: Shown, console: Console, no_open: bool) -> None:
    console.event("ready", engine=shown.engine, url=shown.url, port=shown.port, browser=list(shown.browser))
    console.result(f"{shown.engine}: {printable(shown.url)}")
    if no_open and shown.browser:
        import shlex  # noqa: PLC0415 - rarely needed

        console.result(f"  {printable(shlex.join(shown.browser))}")
    console.say("Ctrl-C ends it.")


def _browse(stack: ExitStack, shown: Shown) -> subprocess.Popen[bytes] | None:
    """Open a browser; return the one that was started for this alone, with whose end all ends."""
    if not shown.browser:
        webbrowser.open(shown.url)
        return None
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(shown.browser, stdin=quiet, stdout=quiet, stderr=quiet)  # noqa: S603 - ours to start
    stack.callback(process.wait)
    stack.callback(process.terminate)
    return process
