"""``archive demo``: a replica of a dead platform on this machine, crawled with an ordinary command and verified."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crawler.commands.console import Console, common, console_from
from crawler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.replicas.run import Running

EXIT = """
\b
Exit status
  0  crawled, verified, and nothing the replica shows the public is missing
  2  --into is a directory that is no collection of ours
  3  something is missing
  6  verify found damage
"""


@click.command(epilog=EXIT)
@click.argument("platform", required=False, default="")
@click.option(
    "--posts", type=click.IntRange(20, 1_000_000), default=200, show_default=True, help="How large the replica is."
)
@click.option("--into", type=click.Path(file_okay=False), help="The collection's directory. [default: a new ./demo-…]")
@common
def demo(platform: str, posts: int, into: str | None, **options: Any) -> int:
    """Start a replica of a platform (of one that is gone, unless you name another; invented people, invented posts) on
    this machine, crawl it with the command shown, verify every byte, and say what to do next.
    """
    from spiders.registry import DEMO, get  # noqa: PLC0415 - not for --help

    console = console_from(options)
    spider = get(platform or DEMO)
    root = into or tempfile.mkdtemp(prefix="demo-", dir=Path.cwd())
    console.say(f"Starting a replica of {spider.title} with {posts:,} posts on 127.0.0.1 …")
    with _replica(spider.name, posts) as replica:
        # A replica with names of its own is reached under them, by its own certificates.
        named = ["--connect-to", f"::127.0.0.1:{replica.port}", "--ca-cert", str(replica.ca)] if replica.ca else []
        command = ["crawl", replica.hosts[0] if named else f"127.0.0.1:{replica.port}", "--into", root, *named]
        code, crawled = _archive(command, console)
        truth = replica.truth()
    if code not in {0, 3}:
        return code
    code, verified = _archive(["verify", root], console)
    missing = _compare(crawled.get("coverage", {}), truth, console)
    shown = _shown(root)
    console.say("\nWhat next:")
    console.say(f"  archive status {shown}       what is held, what is missing")
    console.say(f"  archive browse {shown}       read it in a browser")
    console.say(f"  archive report {shown}       all of that as one page")
    console.say(f"  archive verify {shown}       prove it again, any time")
    console.say(f"  archive replay {shown}       open it in the browser, offline")
    console.say("  archive crawl example.org       the real thing")
    code = code or (3 if missing else 0)
    console.summary(
        exit_code=code, directory=root, posts=posts, crawl=crawled, verify=verified, missing=missing,
        **{key: crawled.get(key) for key in ("captures", "bytes", "coverage", "segments", "seconds")},
    )  # fmt: skip
    return code


@contextmanager
def _replica(name: str, posts: int) -> Iterator[Running]:
    from crawler.replicas.run import running  # noqa: PLC0415 - not for --help

    try:
        with running(name, size=posts) as replica:
            yield replica
    except RuntimeError as e:
        raise UsageError(f"There is no replica of {name} to show.") from e


def _archive(arguments: list[str], console: Console) -> tuple[int, dict[str, Any]]:
    """Run one of our own commands as a user would, show it, and return its exit code and summary."""
    console.say(f"\n$ archive {shlex.join([_shown(a) for a in arguments])}")
    flags = ["--json"] + (["--quiet"] if console.quiet else [])
    home = str(Path(__file__).parent.parent.parent)
    path = os.pathsep.join(p for p in (home, os.environ.get("PYTHONPATH")) if p)
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-P", "-m", "cli", *arguments, *flags],
        stdout=subprocess.PIPE, check=False, env={**os.environ, "PYTHONPATH": path}, text=True,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    return done.returncode, json.loads(lines[-1]) if lines else {}


def _shown(argument: str) -> str:
    """Return a path as short as it can be from here."""
    here = f"{Path.cwd()}/"
    return argument.removeprefix(here)


def _compare(coverage: dict[str, dict[str, int]], truth: dict[str, Any], console: Console) -> dict[str, int]:
    """Say how much of what the replica shows the public is held; return what is not, by kind."""
    missing: dict[str, int] = {}
    console.say("\nAgainst the replica's own books:")
    for kind, public in truth["public"].items():
        if kind not in coverage:
            continue  # the spider files it under another kind
        held = coverage.get(kind, {}).get("captured", 0)
        console.say(f"  {kind:<10} {held:,} of {public:,}")
        if held < public:
            missing[kind] = public - held
    return missing
