"""Other people's hosts that die: nobody waits for them, and what they lack is said and asked for again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from crawler import deaths
from tests.acceptance.support import archive

PAGES, LIFE = 12, 10


class Hosts(BaseHTTPRequestHandler):
    """A site, and a host from which its pages have their pictures: closed after a few answers."""

    answered = 0
    lives_on = False
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        is_home = self.headers["Host"] == "home.example"
        if self.path == "/robots.txt":
            return self._say(404, b"")
        if is_home:
            return self._say(200, self._page())
        Hosts.answered += 1
        if Hosts.answered > LIFE and not Hosts.lives_on:
            return self._say(403, b"closed")
        return self._say(200, b"\x89PNG\r\n\x1a\n" + self.path.encode(), "image/png")

    def _page(self) -> bytes:
        links = "".join(f'<a href="/{n}">{n}</a>' for n in range(PAGES)) if self.path == "/" else ""
        pictures = "".join(f'<img src="http://cdn.example{self.path}-{n}.png">' for n in range(3))
        return f"<html><body>{self.path}{links}{pictures}</body></html>".encode()

    def _say(self, status: int, body: bytes, kind: str = "text/html") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def hosts() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Hosts) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_the_crawl_ends_and_says_what_is_parked(tmp_path: Path) -> None:
    with hosts() as port:
        command = ("crawl", "http://home.example/", "--into", tmp_path / "c", "--connect-to", f"::127.0.0.1:{port}")
        ran = archive(*command, "--json", timeout=90)
        assert ran.code == 3, ran.err
        assert "parked" in ran.err
        assert "HTTP 403" in ran.err
        assert ran.summary["coverage"]["page"]["captured"] == PAGES + 1
        assert ran.summary["parked"] == 3 * (PAGES + 1) - LIFE
        assert not (tmp_path / "c" / deaths.NAME).exists()
        Hosts.lives_on = True
        ran = archive(*command, "--retry", "parked", "--json", timeout=90)
    assert ran.code == 0, ran.err
    assert ran.summary["parked"] == 0
