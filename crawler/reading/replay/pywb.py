"""pywb (GPL-3.0) as a program of its own: it reads our index, and the WARCs by ranges from a server on the loopback."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from crawler.errors import UsageError
from crawler.reading.replay import NotInstalled, Shown
from crawler.reading.replay.served import Thing, free_port, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.reading.replay import Wish
    from crawler.reading.replay.holding import Holding

#: Pages with ES modules come out blank when pywb rewrites them on the server (webrecorder/pywb 764).
_CONFIG = """collections:
  archive:
    index_paths: {index}
    archive_paths: http://127.0.0.1:{port}/
client_side_replay: true
"""
#: Seconds until it answers.
_PATIENCE = 60


@contextmanager
def pywb(holding: Holding, wish: Wish) -> Iterator[Shown]:
    """Run ``wayback`` over the archive. Raises NotInstalled, UsageError where it does not start."""
    program = shutil.which("wayback")
    if program is None:
        raise NotInstalled("pywb's wayback is not installed; pipx install pywb")

    def find(path: str) -> Thing | None:
        one = holding.archive.get(unquote(path.removeprefix("/")))
        return Thing(mime="application/warc", size=one.size, read=one.read) if one else None

    with serving(find) as archive, tempfile.TemporaryDirectory(prefix="outlast-pywb-") as folder:
        index = Path(folder) / "index.cdxj"
        index.symlink_to(holding.index.resolve())
        (Path(folder) / "config.yaml").write_text(_CONFIG.format(index=index, port=archive), "utf-8")
        port = wish.port or free_port()
        with _running(program, folder, port) as base:
            url, stamp = (wish.url, wish.at) if wish.url else holding.main
            yield Shown(engine="pywb", url=f"{base}archive/{stamp and stamp + '/'}{url}", port=port)


@contextmanager
def _running(program: str, folder: str, port: int) -> Iterator[str]:
    with (Path(folder) / "log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - the program that was asked for
            [program, "--bind", "127.0.0.1", "--port", str(port), "--directory", folder],
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    base = f"http://127.0.0.1:{port}/"
    try:
        _await(process, base, Path(folder) / "log")
        yield base
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await(process: subprocess.Popen[bytes], base: str, log: Path) -> None:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(base, timeout=5):  # noqa: S310 - our own address
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.2)
    raise UsageError(f"pywb did not start: {log.read_text('utf-8', 'replace').strip()[-500:]}")
