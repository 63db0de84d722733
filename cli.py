"""``archive``: the table of contents of the command line. Each command is a file in ``crawler/commands``.

Commands are imported only when they run, so that ``archive --help`` stays as quick as bare Python.
"""

from __future__ import annotations

import errno
import importlib
import sys
import traceback
from keyword import iskeyword
from typing import Any, NoReturn

import click

from crawler.errors import NO_ROOM, DiskFull, Interrupted, OutlastError

COMMANDS = {
    "crawl": ("crawl", "Save a whole site; the same command resumes."),
    "resume": ("resume", "Go on with an interrupted or paused crawl."),
    "pause": ("steer", "Let a running crawl ask nothing until it is resumed."),
    "set": ("steer", "Change the pace, the order or the scope of a crawl while it runs."),
    "stop": ("steer", "End a running crawl in good order."),
    "detect": ("detect", "Say which platform a site is, and why."),
    "status": ("status", "Say what a collection holds and what it lacks, also while it is crawled."),
    "fleet": ("fleet", "Say who takes part in a crawl of several machines, and what each brought."),
    "plan": ("plan", "Say what will be saved by a deadline, and what would change that."),
    "coverage": ("coverage", "List what is lacking, each gap with its evidence."),
    "search": ("search", "Find posts by their words."),
    "cat": ("cat", "Show one post, or the bytes of a file or record."),
    "replay": ("replay", "Open an archive in the browser, offline."),
    "report": ("report", "Write what is held and what is not as one HTML file."),
    "browse": ("browse", "Read the posts, threads, accounts and media in a browser."),
    "export": ("export", "Write what is held as WACZ, or as tables: JSON lines, CSV, SQLite, Parquet."),
    "push": ("push", "Copy a collection to S3-compatible places, and prove the copies."),
    "pull": ("pull", "Fetch a collection back from where it was pushed."),
    "merge": ("merge", "Join collections of one site: those of volunteers become one."),
    "import": ("importing", "Take in WARC and WACZ files that other programs made."),
    "audit": ("audit", "Check that the copies are there, and as they were."),
    "keys": ("keys", "Make and show the keys that sign."),
    "sign": ("sign", "Sign what a collection holds, with a time-stamp if wanted."),
    "seal": ("sign", "The same as sign."),
    "prove": ("prove", "Write a proof of one record that needs nothing but the public key."),
    "grant": ("grant", "Let volunteers without credentials add what they crawled."),
    "coordinate": ("coordinate", "Let volunteers without credentials crawl along."),
    "join": ("join", "Crawl along for a coordinator, with a token."),
    "destinations": ("destinations", "Name places for copies, and see what each really does."),
    "verify": ("verify", "Prove that a collection or WARC file is whole."),
    "repair": ("repair", "Save what is whole of a damaged WARC file or collection."),
    "takedown": ("takedown", "Withhold a post, account, URL or file from all that is shown."),
    "quarantine": ("takedown", "Withhold every payload on a list of hashes."),
    "index": ("index", "Write one sorted index for other tools, CDXJ or CDX."),
    "demo": ("demo", "Crawl a replica of a dead platform on this machine."),
    "new": ("new", "Begin a spider of your own, with its replica and its test."),
    "doctor": ("doctor", "Check this installation, or a spider."),
    "completion": ("completion", "Print the shell completion script."),
}

#: Errors by which the system says that this user may not, or that the disk is write-protected.
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


def _version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - only --version asks

        try:
            click.echo(f"archive, version {version('outlast')}")
        except PackageNotFoundError:
            click.echo("archive, from a checkout that is not installed")
        ctx.exit()


class LazyGroup(click.Group):
    """A group that knows its commands by name and one line, and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"crawler.commands.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "OUTLAST"})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Say which version this is."
)
def archive() -> None:
    """Save a social platform's public posts and media before it goes dark.

    \b
    archive crawl example.org       save it; run it again to resume
    archive status example.org      what is held, what is missing
    archive verify example.org      prove that every byte is as it was
    archive demo                    try all of it on this machine
    """  # noqa: D301 - click's mark for "do not wrap"


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit with its documented code."""
    try:
        result: Any = archive.main(args=arguments, prog_name="archive", standalone_mode=False)
    except click.exceptions.Exit as e:
        sys.exit(e.exit_code)
    except click.ClickException as e:
        e.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        _say("Interrupted; nothing that was saved is lost, and the same command may be run again.")
        sys.exit(Interrupted.exit_code)
    except OutlastError as e:
        _say(str(e))
        sys.exit(e.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except OSError as e:
        if e.errno in NO_ROOM:
            _say(f"{e.filename or 'a file'} cannot be written: {e.strerror}; free some space and run it again.")
            sys.exit(DiskFull.exit_code)
        if e.errno not in _FORBIDDEN:
            _fault()
        _say(f"{e.filename or 'a file'} cannot be read or written: {e.strerror}.")
        sys.exit(2)
    except Exception:  # noqa: BLE001 - the last door
        _fault()
    sys.exit(result if isinstance(result, int) else 0)


def _fault() -> NoReturn:
    """End for a fault of ours: the whole story for a report, then the one line a person needs."""
    traceback.print_exc()
    _say("this is a fault in Outlast, not in what you typed; what was captured is safe, and the story is above.")
    sys.exit(1)


def _say(message: str) -> None:
    click.echo(f"archive: {message}", err=True)


if __name__ == "__main__":
    main()
