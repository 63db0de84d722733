"""Servers of a site on a loopback port, and their books of what was asked: nginx, or one that answers late.

nginx runs as a child with its whole configuration and its logs below a work directory, and is ended by its pid. The
late one is ``slow.py``.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.slow import answer
from crawler.replicas.authority import context_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.site import Site

#: The name in the certificate; crawlers are told that it is 127.0.0.1.
HOST = "outlast-benchmark.test"
#: Seconds until all that was asked has reached nginx's log.
FLUSH = 0.5

_CONFIGURATION = """
daemon off;
{user}
worker_processes 2;
worker_rlimit_nofile 65536;
pid {work}/nginx.pid;
error_log {work}/error.log warn;
events {{ worker_connections 16384; }}
http {{
  types {{ text/html html; image/jpeg jpg; text/plain txt; }}
  default_type application/octet-stream;
  log_format asked '$msec $status $body_bytes_sent $request';
  access_log {work}/access.log asked buffer=64k flush=200ms;
  client_body_temp_path {work}/tmp; proxy_temp_path {work}/tmp; fastcgi_temp_path {work}/tmp;
  uwsgi_temp_path {work}/tmp; scgi_temp_path {work}/tmp;
  sendfile on; tcp_nopush on; tcp_nodelay on;
  keepalive_timeout 75; keepalive_requests 10000000;
  open_file_cache max=65536 inactive=1h; open_file_cache_valid 1h;
  open_file_cache_min_uses 1; open_file_cache_errors on;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    listen 127.0.0.1:{tls_port} ssl backlog=4096;
    ssl_certificate {work}/server.pem; ssl_certificate_key {work}/server.key;
    ssl_session_cache shared:benchmark:4m;
    root {root}; index index.html;
    {moved}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """One answer by the server's own log. Seconds since the epoch, bytes of the body."""

    at: float
    status: int
    size: int
    path: str


@dataclass(slots=True)
class Origin:
    """Where a site is served, and the book about it."""

    port: int
    tls_port: int = 0
    #: What a client must trust.
    authority: Path | None = None
    book: Path | None = None
    _read: int = field(default=0)

    def url(self, *, tls: bool = False) -> str:
        """Return the front page's URL, by the name in the certificate if over TLS."""
        return f"https://{HOST}:{self.tls_port}/" if tls else f"http://127.0.0.1:{self.port}/"

    def named_url(self) -> str:
        """Return the plain front page by name, to be compared with TLS on equal terms."""
        return f"http://{HOST}:{self.port}/"

    def asked(self) -> list[Asked]:
        """Return what was asked since the last call."""
        assert self.book is not None
        time.sleep(FLUSH)
        with self.book.open("rb") as lines:
            lines.seek(self._read)
            new = lines.read()
        self._read += len(new)
        return [_entry(line) for line in new.decode("latin-1").splitlines()]


def _entry(line: str) -> Asked:
    at, status, size, request = line.split(" ", 3)
    parts = request.split(" ")
    return Asked(float(at), int(status), int(size), parts[1] if len(parts) > 1 else "")


def doubles(asked: Sequence[Asked], site: Site) -> int:
    """Return how many answers of the site were given again to somebody who had them."""
    times = Counter(entry.path for entry in asked if entry.path in site.truth)
    return sum(times.values()) - len(times)


@contextmanager
def nginx(site: Site, work: Path) -> Iterator[Origin]:
    """Serve a site with nginx, plain and over TLS, until the block ends."""
    (work / "tmp").mkdir(parents=True, exist_ok=True)
    context_for([HOST], work)
    port, tls_port = free_port(), free_port()
    moved = "\n".join(f"    location = {path} {{ return 301 {target}; }}" for path, target in site.moved.items())
    (work / "nginx.conf").write_text(
        _CONFIGURATION.format(
            user="user root;" if os.getuid() == 0 else "",
            work=work,
            root=site.root,
            port=port,
            tls_port=tls_port,
            moved=moved,
        )  # fmt: skip
    )
    (work / "access.log").write_bytes(b"")
    command = [_program(), "-p", str(work), "-c", str(work / "nginx.conf"), "-e", str(work / "error.log")]
    child = subprocess.Popen(command)
    try:
        _await(port, child)
        yield Origin(port, tls_port, work / "ca.pem", work / "access.log")
    finally:
        end(child, signal.SIGQUIT)


@contextmanager
def late(site: Site, work: Path, latency: tuple[float, float]) -> Iterator[Origin]:
    """Serve a site with every answer late by between so many seconds."""
    work.mkdir(parents=True, exist_ok=True)
    port, book = free_port(), work / "late.log"
    order = {"port": port, "root": str(site.root), "moved": site.moved, "latency": latency, "book": str(book)}
    program = Path(__file__).with_name("slow.py")
    child = subprocess.Popen([sys.executable, "-P", str(program), json.dumps(order)])
    try:
        _await(port, child)
        yield Origin(port, book=book)
    finally:
        end(child, signal.SIGTERM)


def end(child: subprocess.Popen[bytes], how: signal.Signals) -> None:
    """End a child of ours in good order, or at once after ten seconds."""
    child.send_signal(how)
    try:
        child.wait(10)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def warm(site: Site, origin: Origin) -> None:
    """Ask for everything once, so that no candidate finds cold caches, and complete and check the truth by it.

    The words of redirects and of 404s are the server's own; all other bodies must be the files'.
    """
    connection = http.client.HTTPConnection("127.0.0.1", origin.port)
    for path, truth in site.truth.items():
        connection.request("GET", path)
        response = connection.getresponse()
        got = truth.with_body(response.read())
        if response.status != truth.status or (truth.status == 200 and truth != got):
            raise RuntimeError(f"the origin says {response.status} {got} to {path}, not {truth}")
        site.truth[path] = got
    connection.close()
    origin.asked()


def learn(site: Site) -> None:
    """Complete the truth by the words that ``slow.py`` has for redirects and 404s."""
    for path, truth in site.truth.items():
        if truth.status != 200:
            site.truth[path] = truth.with_body(answer(path, site.root, site.moved)[2])


def _program() -> str:
    return shutil.which("nginx") or "/usr/sbin/nginx"


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        port: int = door.getsockname()[1]
        return port


def _await(port: int, child: subprocess.Popen[bytes]) -> None:
    """Return once somebody listens."""
    until = time.monotonic() + 20
    while time.monotonic() < until and child.poll() is None:
        if listens(port):
            return
        time.sleep(0.05)
    raise RuntimeError(f"nothing listens on port {port}: {child.args}")


def listens(port: int) -> bool:
    """Say whether somebody accepts connections on a local port."""
    with socket.socket() as knock:
        return knock.connect_ex(("127.0.0.1", port)) == 0
