from __future__ import annotations

import stat
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.errors import UsageError
from crawler.volunteers import badge, tls, wire
from crawler.volunteers.client import Client, Dismissed, Refused, Unreachable
from crawler.volunteers.token import Token, checked, new_secret, read


def test_a_token_says_where_how_to_know_it_and_the_secret() -> None:
    token = Token(url="https://rescue.example.org:8443/x", pin="ab" * 32, secret=new_secret())
    assert read(str(token)) == token
    assert read(f"  {str(token)[:50]}\n{str(token)[50:]} \n") == token  # as mail breaks it


@given(st.text(max_size=300) | st.binary(max_size=200).map(lambda data: "outlast-" + data.hex()))
def test_what_is_no_token_is_said(text: str) -> None:
    with pytest.raises(UsageError, match="no token"):
        read(text)


@pytest.mark.parametrize("url", [
    "http://rescue.example.org", "ftp://127.0.0.1", "https://", "https://a@b", "https://b/?x", "https://b/#7", "b:8443",
    "http://127.0.0.1.example.org", "http://10.0.0.1",
])  # fmt: skip
def test_a_coordinator_is_reached_over_https_or_on_this_machine(url: str) -> None:
    with pytest.raises(UsageError):
        checked(url)
    assert checked("http://127.0.0.1:8443/") == "http://127.0.0.1:8443"


def test_a_segments_name_says_whose_it_is_and_leads_nowhere() -> None:
    name = "OUTLAST-a.example-20260101000000-00001-n7-w12-text.warc.gz"
    assert wire.node_and_class(name) == (7, "text")
    for other in (
        name.replace("n7", "7"), name.replace("text", "nothing"), name + ".open", "../" + name, name.replace("a.e", "a/e"),
        name.replace("n7-w12", "w12"), name + "\n", name.replace("20260101000000", "2026"), "",
    ):  # fmt: skip
        assert wire.node_and_class(other) is None, other


def test_a_badge_is_for_its_owner_alone_and_stays_as_it_is(tmp_path: Path) -> None:
    token = Token(url="https://a.example", secret=new_secret())
    made = badge.made(tmp_path / "v", token)
    assert badge.made(tmp_path / "v", token) == made
    joined = badge.joined(tmp_path / "v", made, 7, "abc")
    assert badge.read(tmp_path / "v") == joined
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "v").iterdir()} == {0o600}
    (tmp_path / "v" / "volunteer.json").write_text("{")
    with pytest.raises(UsageError, match="damaged"):
        badge.read(tmp_path / "v")


class _Answer(BaseHTTPRequestHandler):
    status, body = 200, b'{"ids": [1]}'

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *words: object) -> None:
        pass


def test_a_coordinators_own_certificate_is_pinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "coordinator.pem"
    pin = tls.own(path, "127.0.0.1")
    assert (tls.own(path, "127.0.0.1"), stat.S_IMODE(path.stat().st_mode)) == (pin, 0o600)
    with HTTPServer(("127.0.0.1", 0), _Answer) as server:
        server.socket = tls.context(path).wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"https://127.0.0.1:{server.server_address[1]}"
        try:
            right = Client(url, pin, "00")
            assert right.ask("hold", None, wire.Held).ids == (1,)
            monkeypatch.setattr(_Answer, "body", b"[" * 100_000)
            with pytest.raises(Unreachable):
                right.ask("hold", None, wire.Held)
            monkeypatch.setattr(_Answer, "body", b'{"error": "No\\u001b[31m, never."}')
            for status, error in ((401, Dismissed), (403, Refused), (503, Unreachable)):
                monkeypatch.setattr(_Answer, "status", status)
                with pytest.raises(error) as told:
                    right.ask("hold", None, wire.Held)
                assert "\x1b" not in str(told.value)
            right.close()
            for other in (Client(url, "0" * 64), Client(url, "")):
                with pytest.raises(Unreachable):
                    other.ask("hold", None, wire.Held)
                other.close()
        finally:
            server.shutdown()
            thread.join()
