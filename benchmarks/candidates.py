"""The candidates of ``peers.py``: how each one's environment is built and how it is told to crawl the site.

Every peer gets an environment of its own below the work directory, with the pins it needs to run at all; wget comes
from apt. They run with their defaults and as their documentation says, apart from what would hold them back: no delays,
32 requests at once where that can be set, little logging.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT = Path(__file__).parent.parent
PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
SPIDER = Path(__file__).with_name("peer_spider.py")
_SCRAPY = (
    "CONCURRENT_REQUESTS=32", "CONCURRENT_REQUESTS_PER_DOMAIN=32", "DOWNLOAD_DELAY=0", "ROBOTSTXT_OBEY=1",
    "LOG_LEVEL=WARNING", "TELNETCONSOLE_ENABLED=0", "REMOTE_CONTROL_ENABLED=0",
)  # fmt: skip
# warcprox refuses to fetch from 127.0.0.1 unless this attribute says otherwise; there is no option for it.
_WARCPROX = """
from warcprox.main import main
from warcprox.warcproxy import WarcProxyHandler
WarcProxyHandler.allow_localhost = True
main()
"""


@dataclass(frozen=True, slots=True)
class Job:
    """One crawl to be done."""

    url: str
    #: Where its files go, and where it runs.
    out: Path
    #: The ``bin`` of the candidate's environment.
    programs: Path
    #: For a proxy: where it listens.
    port: int = 0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A crawler to be measured."""

    name: str
    command: Callable[[Job], list[str]]
    #: For pip; the first one is the candidate itself.
    packages: tuple[str, ...] = ()
    #: A program from apt.
    program: str = ""
    #: Whether it only records what ``fetcher.py`` asks it for.
    is_proxy: bool = False
    #: Whether it leaves WARCs; else the server's log says what it got.
    writes: bool = True
    note: str = ""


def outlast(workers: int, *more: str) -> Candidate:
    """Return ourselves with so many workers (0: the option is not there yet) and options."""
    option = ("--workers", str(workers)) if workers else ()

    def command(job: Job) -> list[str]:
        return [*archive(), "crawl", job.url, "--into", str(job.out / "collection"), *option, *more]

    many = f"{workers} workers" if workers > 1 else "1 worker"
    return Candidate(f"outlast-{workers or 1}", command, note=f"Outlast, {many}: all processes, sealing included")


def archive() -> list[str]:
    """Return how Outlast is called: as installed beside this Python, or from the checkout."""
    installed = Path(sys.executable).with_name("archive")
    return [str(installed)] if installed.is_file() else [sys.executable, "-P", "-m", "cli"]


def has_workers() -> bool:
    """Say whether ``archive crawl`` knows ``--workers``."""
    told = subprocess.run(
        [*archive(), "crawl", "--help"], capture_output=True, text=True, check=True, env=environment(ours=True)
    )
    return "--workers" in told.stdout


def environment(*, ours: bool) -> dict[str, str]:
    """Return what candidates run with: nothing of the caller's, and for us the way to the checkout."""
    bare = {"PATH": PATH, "LANG": "C.UTF-8", "HOME": os.environ.get("HOME", "/")}
    return {**bare, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": "/nonexistent"} if ours else bare


def peers() -> list[Candidate]:
    """Return everybody else."""
    return [
        Candidate(
            "wget", _wget, program="wget", note="wget --mirror --page-requisites: one connection; exit 8: dead links"
        ),
        Candidate("scrapy", _scrapy, packages=("scrapy",), writes=False, note="Scrapy without WARC, by nginx's log"),
        Candidate(
            "scrapy-webarchive", _webarchive, note="Scrapy 2.11 with scrapy-webarchive",
            packages=(
                "scrapy-webarchive", "w3lib<2.2", "Twisted==23.10.*", "pyOpenSSL<24.3", "service-identity==24.1.*",
            ),
        ),
        Candidate(
            "crau", _crau, note="crau, a Scrapy 2.11 crawler; asks for no robots.txt",
            packages=("crau", "Scrapy==2.11.2", "Twisted<23", "pyOpenSSL<24", "cryptography<43", "w3lib<2.2"),
        ),
        Candidate(
            "warcprox", _warcprox, packages=("warcprox",), is_proxy=True,
            note="warcprox's own process alone: the client that asks, and finds no links, is not counted",
        ),
    ]  # fmt: skip


def _wget(job: Job) -> list[str]:
    return [
        "wget", "--mirror", "--page-requisites", "--no-verbose", "--warc-file", str(job.out / "wget"), "--warc-cdx",
        "--directory-prefix", str(job.out / "files"), job.url,
    ]  # fmt: skip


def _scrapy(job: Job, *more: str) -> list[str]:
    settings = [word for setting in (*_SCRAPY, *more) for word in ("-s", setting)]
    return [str(job.programs / "scrapy"), "runspider", str(SPIDER), "-a", f"url={job.url}", *settings]


def _webarchive(job: Job) -> list[str]:
    extension = json.dumps({"scrapy_webarchive.extensions.WaczExporter": 543})
    return _scrapy(job, f"EXTENSIONS={extension}", f"SW_EXPORT_URI={job.out}/wacz/")


def _crau(job: Job) -> list[str]:
    return [str(job.programs / "crau"), "archive", str(job.out / "crau.warc.gz"), job.url, "--max-depth", "1000000"]


def _warcprox(job: Job) -> list[str]:
    return [str(job.programs / "python"), "-c", _WARCPROX, "--port", str(job.port), "--dir", str(job.out), "--gzip"]


def prepare(candidates: Sequence[Candidate], venvs: Path) -> tuple[list[Candidate], dict[str, str]]:
    """Build what is missing; return the candidates that can run, and their versions. Who cannot is told of."""
    ready, versions = [], {}
    for candidate in candidates:
        try:
            versions[candidate.name] = _version(candidate, venvs)
        except (OSError, subprocess.CalledProcessError) as e:
            why = (getattr(e, "stderr", None) or str(e)).strip().splitlines()
            print(f"going on without {candidate.name}: {why[-1] if why else e!r}", file=sys.stderr)
        else:
            ready.append(candidate)
    return ready, versions


def _version(candidate: Candidate, venvs: Path) -> str:
    """Make a candidate's environment if there is none with these pins; return its version."""
    if candidate.program:
        install(candidate.program, candidate.program)
        return _said([candidate.program, "--version"]).splitlines()[0]
    if not candidate.packages:
        return "Outlast " + _said(["git", "-C", str(ROOT), "describe", "--always", "--dirty"]).strip()
    venv = venvs / candidate.name
    pins = venv / "pins.txt"
    if not pins.is_file() or pins.read_text().split("\n") != list(candidate.packages):
        print(f"building the environment of {candidate.name} …", file=sys.stderr)
        shutil.rmtree(venv, ignore_errors=True)
        _said([sys.executable, "-m", "venv", str(venv)])
        _said([str(venv / "bin" / "pip"), "install", "-q", *candidate.packages])
        pins.write_text("\n".join(candidate.packages))
    listed = _said([str(venv / "bin" / "pip"), "list", "--format", "json", "--disable-pip-version-check"])
    versions = {package["name"].lower(): package["version"] for package in json.loads(listed)}
    return f"{candidate.packages[0]} {versions[candidate.packages[0]]}"


def install(program: str, package: str) -> None:
    """Have a program, from apt if it is not there; OSError or CalledProcessError where that cannot be."""
    if shutil.which(program, path=PATH) is None:
        _said(["apt-get", "update", "-qq"])
        _said(["apt-get", "install", "-y", "-qq", "--no-install-recommends", package])


def _said(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
