"""``archive keys``: the keys that sign collections."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crawler.commands.console import common, console_from

if TYPE_CHECKING:
    from crawler.commands.console import Console


@click.command(epilog="\b\nExit status\n  0  done\n  2  usage; there is such a key already, or none")
@click.argument("action", type=click.Choice(["new", "list", "show"]))
@click.argument("name", required=False)
@click.option("--key", "path", type=click.Path(dir_okay=False), default=None, help="The key in this file, not a NAME.")
@common
def keys(action: str, name: str | None, path: str | None, **options: Any) -> int:
    """Make a key that archive sign signs with (Ed25519), list the keys, or show the public half of one. Give that to
    whoever shall verify, by a way of its own; keep the private one safe: whoever has it can sign as you.
    """
    console = console_from(options)
    {"new": _new, "list": _list, "show": _show}[action](console, name, path)
    return 0


def _new(console: Console, name: str | None, path: str | None) -> None:
    from crawler.evidence import keys as ring  # noqa: PLC0415 - not for --help

    place = Path(path) if path else ring.place(name or "default")
    public = ring.new(place).hex()
    console.say(f"The private key is in {place}; keep a copy where nobody else can read it. The public key:")
    console.result(public)
    console.summary(exit_code=0, file=str(place), public_key=public)


def _list(console: Console, _name: str | None, _path: str | None) -> None:
    from crawler.evidence import keys as ring  # noqa: PLC0415 - not for --help

    known = ring.listed()
    for name, path in known.items():
        public = ring.raw(ring.private(str(path)).public_key()).hex()
        console.result(f"{name}  {public}")
        console.event("key", name=name, file=str(path), public_key=public)
    if not known:
        console.say(f"There are no keys in {ring.folder()}; archive keys new makes one.")
    console.summary(exit_code=0, keys=len(known))


def _show(console: Console, name: str | None, path: str | None) -> None:
    from crawler.evidence import keys as ring  # noqa: PLC0415 - not for --help

    public = ring.raw(ring.private(path or name).public_key())
    console.result(ring.pem(public).rstrip())
    console.summary(exit_code=0, public_key=public.hex())
