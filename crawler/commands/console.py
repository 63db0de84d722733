"""What every command shares: --json, -q/-v, --config, and how it speaks.

People read standard error; with ``--json`` programs read JSON lines on standard output, the last of them the
summary. Values come from flags, then the environment (OUTLAST_<COMMAND>_<FLAG>), then the TOML file, then defaults.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from crawler.commands import settings
from crawler.errors import Interrupted, UsageError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

#: What joins the parts of an emoji, and letters of some scripts; harmless, though no letter.
_JOINERS = "\u200c\u200d"

INTERRUPTED = "Interrupted; nothing that was saved is lost, and the same command goes on from here."

F = TypeVar("F", bound="Callable[..., Any]")


@dataclass(frozen=True, slots=True)
class Console:
    """Where a command's words go."""

    json: bool
    quiet: bool
    verbose: bool

    def say(self, text: str = "") -> None:
        """Tell people something."""
        if not self.quiet:
            click.echo(text, err=True)

    def result(self, text: str = "") -> None:
        """Print an answer: on standard output, unless that belongs to JSON."""
        click.echo(text, err=self.json)

    def event(self, message_type: str, **facts: Any) -> None:
        """Tell programs something."""
        if self.json:
            click.echo(json.dumps({"message_type": message_type, **facts}, ensure_ascii=False))

    def summary(self, **facts: Any) -> None:
        """Print the one line that ends every command under ``--json``."""
        self.event("summary", **facts)


def common(function: F) -> F:
    """Add the options that every command has."""
    for option in (
        click.option(
            "--config",
            type=click.Path(dir_okay=False),
            is_eager=True,
            expose_value=False,
            callback=_read_config,
            help="TOML file of defaults, a table a command. [default: outlast/config.toml in the XDG config folder]",
        ),
        click.option("-v", "--verbose", is_flag=True, help="Say more."),
        click.option("-q", "--quiet", is_flag=True, help="Say nothing but the result and errors."),
        click.option("--json", "as_json", is_flag=True, help="JSON lines on standard output, a summary last."),
    ):
        function = option(function)
    return function


def console_from(options: dict[str, Any]) -> Console:
    """Take the common options out of a command's arguments."""
    return Console(options.pop("as_json"), options.pop("quiet"), options.pop("verbose"))


def _read_config(ctx: click.Context, _param: click.Parameter, value: str | None) -> None:

    settings.name_variables(ctx)
    path = Path(value) if value else _default_config()
    ctx.meta["outlast.config"] = path
    if not path.is_file() and (value is None or ctx.info_name == "add"):  # what adds to a config may begin one
        return
    tables = ctx.meta["outlast.tables"] = settings.read(path)
    try:
        ctx.default_map = settings.defaults(ctx, tables)
    except UsageError as e:
        raise UsageError(f"{path}: {e}") from e


def _default_config() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "outlast" / "config.toml"


def is_terminal() -> bool:
    """Say whether progress bars make sense."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


@contextmanager
def until_told() -> Iterator[threading.Event]:
    """Yield what is set by Ctrl-C and SIGTERM, which are how a server of ours ends."""
    import signal  # noqa: PLC0415 - not for --help
    import threading  # noqa: PLC0415

    told = threading.Event()
    before = {number: signal.signal(number, lambda *_: told.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def ending_at_once() -> Iterator[None]:
    """Let Ctrl-C end the program there and then, with one line: for what loses nothing when it is killed.

    Threads that wait for a server could not be told to stop, and would be waited for.
    """
    import signal  # noqa: PLC0415 - not for --help

    def end(*_: object) -> None:
        # Not click's echo: what is interrupted may be in the midst of one.
        os.write(2, f"\narchive: {INTERRUPTED}\n".encode()[0 if is_terminal() else 1 :])
        os._exit(Interrupted.exit_code)

    before = signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def size(count: float) -> str:
    """Return bytes as people read them."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def duration(text: str) -> float:
    """Return seconds from ``90``, ``15m``, ``2h``, ``1d``. Raises UsageError."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    number, unit = (text[:-1], text[-1]) if text and text[-1] in units else (text, "s")
    try:
        seconds = float(number) * units[unit]
    except ValueError:
        seconds = -1
    if not 0 <= seconds < 1e9:
        raise UsageError(f"{text!r} is not a duration; write 90, 15m, 2h or 1d.")
    return seconds


def byte_count(text: str) -> int:
    """Return bytes from ``500``, ``20MB``, ``1GiB``. Raises UsageError."""
    units = {"": 1, "B": 1, "K": 1e3, "KB": 1e3, "M": 1e6, "MB": 1e6, "G": 1e9, "GB": 1e9, "T": 1e12, "TB": 1e12,
             "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}  # fmt: skip
    number = text.rstrip("BbIiKkMmGgTt")
    try:
        count = int(float(number) * units[text[len(number) :].upper()])
    except (ValueError, KeyError, OverflowError):
        count = -1
    if count < 0:
        raise UsageError(f"{text!r} is not a size; write 500MB or 1GiB.")
    return count


def instant(text: str | None, flag: str) -> str | None:
    """Return an instant as ISO 8601 in UTC; None where nothing was typed. Raises UsageError."""
    from datetime import UTC, datetime  # noqa: PLC0415 - not for --help

    if text is None:
        return None
    try:
        when = datetime.fromisoformat(text)
    except ValueError as e:
        raise UsageError(f"{flag} {text!r} is not a date; write 2021-01-06 or 2021-01-06T12:00Z.") from e
    when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    return when.isoformat()


def digits(date: str) -> str:
    """Return the digits of a day or second, with which the stamp of a capture begins. Raises UsageError."""
    found = "".join(c for c in date if c not in "-:TZ ")
    if date and not (found.isdecimal() and found.isascii() and len(found) in range(4, 15, 2)):
        raise UsageError(f"{date!r} is not a date; write 2021-01-06 or 2021-01-06T12:00:00Z.")
    return found


def printable(text: str) -> str:
    """Return a stranger's text as it may stand on one line of a terminal: nothing in it moves, hides or turns."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in _JOINERS else "\ufffd" if ord(c) < 32 or 127 <= ord(c) < 160 else "" for c in text
    )
