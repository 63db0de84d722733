"""Run ``archive`` as a user does, and read what it wrote without our own reader."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastwarc.warc import ArchiveIterator

ROOT = Path(__file__).parent.parent.parent


@dataclass
class Ran:
    code: int
    out: str
    err: str

    @property
    def summary(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        assert found["message_type"] == "summary"
        return found


def environment(**extra: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": "/nonexistent", **extra}


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-P", "-m", "cli", *(str(a) for a in arguments)]


def archive(*arguments: object, cwd: Path | None = None, timeout: float = 300, **extra: str) -> Ran:
    done = subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=timeout,
        check=False,
        env=environment(**extra),
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def start(*arguments: object, **extra: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command(*arguments),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(**extra),
        start_new_session=True,
    )


def to_replica(replica: Any) -> list[str]:
    return ["--connect-to", f"::127.0.0.1:{replica.port}", "--ca-cert", str(replica.ca)]


def segments(directory: Path) -> list[Path]:
    return sorted((directory / "warcs").glob("*.warc.gz"))


@dataclass
class Held:
    """One request with its answer, as a WARC holds them."""

    url: str
    method: str
    work: dict[str, Any]
    segment: str
    request_digest: str
    response_digest: str = ""
    response_type: str = ""
    headers: dict[str, str] | None = None
    truncated: bool = False


def held(directory: Path) -> list[Held]:
    """Return every exchange of a collection, read by FastWARC."""
    found: dict[str, Held] = {}
    later: list[tuple[str, Any]] = []
    for path in segments(directory):
        with path.open("rb") as stream:
            for record in ArchiveIterator(stream, parse_http=False):
                headers = {k.lower(): v for k, v in record.headers.items()}
                if headers["warc-type"] == "request":
                    work = json.loads(headers["outlast-fetch"])
                    found[headers["warc-record-id"]] = Held(
                        headers["warc-target-uri"],
                        record.reader.read().split(b" ", 1)[0].decode(),
                        work,
                        path.name,
                        headers["warc-block-digest"],
                    )
                elif headers["warc-type"] in {"response", "revisit"}:
                    later.append((headers["warc-concurrent-to"], headers))
    for request, headers in later:
        one = found[request]
        one.response_digest = headers.get("warc-block-digest", "")
        one.response_type = headers["warc-type"]
        one.headers = headers
        one.truncated = "warc-truncated" in headers
    return list(found.values())


def settled(directory: Path) -> dict[tuple[str, str], tuple[str, int]]:
    """Return (method, URL) → (state, status) of every fetch in the frontier."""
    with sqlite3.connect(f"file:{directory / 'frontier.sqlite'}?mode=ro", uri=True) as db:
        rows = db.execute("SELECT method, url, state, status FROM fetch").fetchall()
    db.close()
    return {(method, url): (state, status) for method, url, state, status in rows}


def apart_from_people(directory: Path) -> dict[tuple[str, str], tuple[str, int]]:
    """As ``settled``, but for accounts by number: those are asked for that a mention names before a list."""
    return {key: told for key, told in settled(directory).items() if not re.search(r"/accounts/\d+$", key[1])}


def doubles(directory: Path) -> Counter[tuple[str, str]]:
    """Return fetches with more than one settled capture in the WARCs; there must be none."""
    counts = Counter(
        # A POST read is told by its body as well.
        (one.method, one.url if one.method == "GET" else f"{one.url} {one.request_digest}")
        for one in held(directory)
        if one.response_type and "-attempts." not in one.segment and "-probe-" not in one.segment and not one.truncated
    )
    return Counter({key: n for key, n in counts.items() if n > 1})


def namespace() -> list[str]:
    """Return the command that may mount: as root, or as a user with namespaces. Fails where neither works."""
    for command in (["unshare", "-m"], ["unshare", "-Urm"]):
        trial = [*command, "sh", "-c", "mount -t tmpfs none /mnt"]
        if subprocess.run(trial, capture_output=True, check=False).returncode == 0:
            return command
    pytest.fail("nothing can be mounted here: neither root nor user namespaces may")
