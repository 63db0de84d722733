"""``--dashboard``: the live page of a crawl or a collection, from the option to the URL that is printed."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import click

from crawler.errors import DiskFull, OutlastError, UsageError

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Callable, Iterator

    from crawler.collection import Collection
    from crawler.commands.console import Console
    from crawler.reading.page.board import Board

HOST, PORT = "127.0.0.1", 8470
#: Where the URL of a running crawl's page stands, token and all, for its owner alone.
FILE = "dashboard.url"


def of_dashboard(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option."""
    return click.option(
        "--dashboard", "--page", "dashboard", is_flag=False, flag_value=str(PORT), default=None,
        metavar="[HOST:]PORT", help=f"Serve the live page, on {HOST} unless told otherwise. Alone: port {PORT}.",
    )(function)  # fmt: skip


def listen(text: str) -> socket.socket:
    """Return a socket that listens where the option says. Raises UsageError where that is no address or is taken."""
    import socket  # noqa: PLC0415 - not for --help

    host, port = _address(text)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as e:
        raise UsageError(
            f"The live page cannot be at {host} port {port} ({e.strerror}); --dashboard 0 takes a port that is free."
        ) from e


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise UsageError(f"--dashboard {text}: write PORT or HOST:PORT, or put it where no other word follows.")
    return host.strip("[]") or HOST, int(port)


@asynccontextmanager
async def shown(
    collection: Collection, listener: socket.socket, console: Console, *, kept: bool, **sources: Any
) -> AsyncIterator[Board]:
    """Serve the live page of a collection while this is open, and print its URL once; ``sources`` as in Sources.

    ``kept``: the URL stands in the collection as long, for its owner's eyes.
    """
    import secrets  # noqa: PLC0415 - as above

    from crawler.reading.page.app import serving  # noqa: PLC0415 - aiohttp is heavy, and few want it
    from crawler.reading.page.board import Board, Sources  # noqa: PLC0415

    host, port = listener.getsockname()[:2]
    token = secrets.token_urlsafe(32)
    place = f"http://{_named(host)}:{port}/"
    board = Board(collection, Sources(copies=_Copies(collection).tally, **sources))
    with _noted(collection, f"{place}#token={token}", kept):
        async with serving(board, listener, token):
            (console.say if kept else console.result)(f"Live page: {place}#token={token}")
            console.event("dashboard", url=place)
            if not _is_here(host):
                console.say("Whoever reaches this address can read the page, unencrypted; orders want the token.")
            yield board


@contextmanager
def _noted(collection: Collection, url: str, kept: bool) -> Iterator[None]:
    """Keep the URL in the collection, readable by its owner alone."""
    path = collection.root / FILE
    if not kept:
        yield
        return
    try:
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(f"{url}\n")
    except OSError as e:
        raise DiskFull(f"{path} cannot be written: {e.strerror}.") from e
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _named(host: str) -> str:
    """Return a bound address as a browser of this machine goes to it."""
    host = {"0.0.0.0": HOST, "::": "::1"}.get(host, host)  # noqa: S104 - if the user bound there
    return f"[{host}]" if ":" in host else host


def _is_here(host: str) -> bool:
    from ipaddress import ip_address  # noqa: PLC0415 - as above

    return ip_address(host).is_loopback


class _Copies:
    """What the ledger of copies says, once there is one."""

    def __init__(self, collection: Collection) -> None:
        self._path = collection.root / "copies.sqlite"
        self._copies: Any = None

    def tally(self) -> list[dict[str, Any]]:
        """Return destination, state, objects and bytes, and what is wrong with the destination.

        Nothing, where the ledger cannot be opened: the page has more to show than copies.
        """
        from crawler.cold.copies import Copies  # noqa: PLC0415 - as above

        if self._copies is None:
            if not self._path.is_file():
                return []
            try:
                self._copies = Copies(self._path)
            except OutlastError:
                return []
        trouble = {name: why for name, (_, _, why) in self._copies.destinations().items()}
        return [
            {"destination": name, "state": state, "objects": n, "bytes": size, "trouble": trouble.get(name, "")}
            for name, state, n, size in self._copies.tally()
        ]
