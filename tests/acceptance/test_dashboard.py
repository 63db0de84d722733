"""The live page from outside: its numbers, its doors, and its controls, which hold over ``kill -9``."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from crawler.replicas.run import running
from tests.acceptance.killing import baseline, crawl_command
from tests.acceptance.support import archive, command, environment, settled, start


class Site:
    """The live page as a program sees it."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host, self.token = parts.netloc, parts.fragment.removeprefix("token=")

    def ask(self, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> tuple[int, bytes, Any]:
        connection = http.client.HTTPConnection(self.host, timeout=20)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body or None, names)
        answer = connection.getresponse()
        found = answer.status, answer.read(), answer.headers
        connection.close()
        return found

    def status(self) -> dict[str, Any]:
        code, body, _ = self.ask("/status.json")
        assert code == 200, body
        found: dict[str, Any] = json.loads(body)
        return found

    def order(self, verb: str, subject: str = "", value: float = 0, **headers: str) -> tuple[int, dict[str, str]]:
        body = json.dumps({"verb": verb, "subject": subject, "value": value}).encode()
        headers = {"Content_Type": "application/json", "X_Outlast_Token": self.token, **headers}
        code, answer, _ = self.ask("/orders", "POST", body, **headers)
        return code, json.loads(answer)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with running("parler", posts=60, latency=25) as replica:
        place = tmp_path_factory.mktemp("whole") / "c"
        yield replica, place, baseline(replica, place)


@contextmanager
def shown(place: Path) -> Iterator[tuple[Site, subprocess.Popen[str]]]:
    """Show a collection that nobody crawls."""
    with subprocess.Popen(
        command("status", place, "--dashboard", "0", "--json"), text=True, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
        env=environment(),
    ) as shell:  # fmt: skip
        assert shell.stderr is not None
        line = next(line for line in shell.stderr if line.startswith("Live page: "))
        try:
            yield Site(line.split()[-1]), shell
        finally:
            shell.send_signal(signal.SIGINT)
            assert shell.wait(20) == 0


def test_numbers_are_those_of_status(site: Any) -> None:
    _, place, _ = site
    told = archive("status", place, "--json").summary
    with shown(place) as (page, _):
        found = page.status()
        assert found.pop("segments") == len(told.pop("segments"))
        told.pop("message_type")
        assert told.pop("lacking") == []
        assert {name: found[name] for name in told} == told
        assert found["time"]["share"] == told["share_saved"] == told["done"] / found["time"]["known"]
        metrics = page.ask("/metrics")[1].decode()
        assert f'outlast_fetches{{state="done"}} {told["done"]}' in metrics
        assert f'outlast_things{{kind="post",standing="captured"}} {told["coverage"]["post"]["captured"]}' in metrics
        assert json.loads(page.ask("/healthz")[1])["ok"] is True
        assert len(found["newest"]["images"]) == 8
        _wait(lambda: len(page.status()["newest"]["posts"]) == 8)
        code, data, headers = page.ask(f"/image/{found['newest']['images'][0]['name']}")
        assert (code, headers["Content-Type"].startswith("image/"), data[:1] in b"\xff\x89") == (200, True, True)
        assert "sandbox" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
    assert not (place / "dashboard.url").exists()


def test_strangers_and_other_sites_are_kept_out(site: Any) -> None:
    _, place, _ = site
    with shown(place) as (page, shell):
        before = (place / "controls.jsonl").read_bytes() if (place / "controls.jsonl").exists() else b""
        for headers in ({"Host": "evil.example"}, {"Host": "127.0.0.1.evil.example:80"}, {"Host": "[::1"}, {"Host": ""},
                        {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"},
                        {"Sec_Fetch_Site": "same-site"}):  # fmt: skip
            assert page.ask("/status.json", **headers)[0] in {400, 403}, headers
        for token in ("", "x", page.token[:-1], page.token + "x", "\xe9"):
            assert page.order("pause", X_Outlast_Token=token)[0] == 403
        for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}, {"Sec_Fetch_Site": "cross-site"}):
            body = json.dumps({"verb": "pause"}).encode()
            code, _, _ = page.ask(
                "/orders", "POST", body, X_Outlast_Token=page.token, Content_Type="application/json", **headers
            )
            assert code == 403
        assert page.order("pause", Content_Type="text/plain")[0] == 415
        for body in (b"", b"[]", b"{", b'{"verb": 5}', b'{"verb": "rate", "subject": "a", "value": "x"}', b"[" * 4000,
                     b'{"verb": "rate", "subject": "a", "value": NaN}', b'{"verb": "nonsense"}', b'{"verb": "exclude", "subject": "("}',
                     b'{"verb": "lane", "subject": "nonsense"}', b'{"verb": "retry", "subject": "all"}', b'{"verb": "stop"}'):  # fmt: skip
            code, answer, _ = page.ask(
                "/orders", "POST", body, X_Outlast_Token=page.token, Content_Type="application/json"
            )
            assert code == 400, (body, answer)
        assert (
            page.ask("/orders", "POST", b" " * 9000, X_Outlast_Token=page.token, Content_Type="application/json")[0]
            == 413
        )
        for path in ("/image/0123456789abcdef", "/image/../../etc/passwd", "/nothing", "/page.html"):
            assert page.ask(path)[0] == 404
        assert page.ask("/status.json", "DELETE")[0] == 405
        after = (place / "controls.jsonl").read_bytes() if (place / "controls.jsonl").exists() else b""
        assert after == before
        assert shell.stderr is not None
        shell.send_signal(signal.SIGINT)
        assert "an order from 127.0.0.1 with a wrong token was refused" in shell.stderr.read()


def test_many_who_watch_are_bounded_and_a_port_that_is_taken_is_said(site: Any) -> None:
    _, place, _ = site
    with shown(place) as (page, _):
        ran = archive("status", place, "--dashboard", page.host)
        assert ran.code == 2
        assert [line for line in ran.err.splitlines() if line.startswith("archive: ")] == ran.err.splitlines()
        ran = archive("crawl", "parler.example", "--into", place.parent / "new", "--dashboard", page.host)
        assert (ran.code, len(ran.err.splitlines())) == (2, 1)
        assert not (place.parent / "new").exists()
        host, _, port = page.host.rpartition(":")
        watching = [socket.create_connection((host, int(port)), timeout=20) for _ in range(34)]
        answers = []
        for one in watching:
            one.sendall(f"GET /events HTTP/1.1\r\nHost: {page.host}\r\n\r\n".encode())
            answers.append(one.recv(12))
        assert answers.count(b"HTTP/1.1 200") == 32
        assert answers.count(b"HTTP/1.1 503") == 2
        assert page.ask("/healthz")[0] == 200
        for one in watching:
            one.close()
        idle = [socket.create_connection((host, int(port)), timeout=20) for _ in range(140)]
        idle[-1].settimeout(5)
        with suppress(ConnectionResetError):
            assert idle[-1].recv(1) == b""
        for one in idle:
            one.close()
        _wait(lambda: _is_well(page))


def test_every_control_works_from_the_page_and_holds_over_a_kill(site: Any, tmp_path: Path) -> None:
    replica, _, whole = site
    place = tmp_path / "c"
    crawl = start(*crawl_command(replica, place), "--rate", "2", "--dashboard", "0")
    page = _page(place)
    assert (place / "dashboard.url").stat().st_mode & 0o777 == 0o600
    _wait(lambda: page.status()["captures"] > 10)
    assert page.order("pause")[0] == 200
    _wait(lambda: _is_still(replica))
    assert page.order("pause", X_Outlast_Token="wrong")[0] == 403
    hosts = {url.split("/")[2] for _, url in whole}
    given = [("rate", "parler.com", 1.5), ("concurrency", "api.parler.com", 3), ("lane", "images", -5),
             ("exclude", r"//api\.parler\.com/v3/", 0), ("exclude", "/mistake/", 0), ("include", "/mistake/", 0),
             ("retry", "parked", 0)]  # fmt: skip
    for verb, subject, value in given:
        code, answer = page.order(verb, subject, value)
        assert (code, answer.get("when")) == (200, "obeyed by the crawl that is running"), answer
    os.killpg(crawl.pid, signal.SIGKILL)
    crawl.wait()

    old = page.token
    crawl = start(*crawl_command(replica, place), "--rate", "500", "--dashboard", "0")
    page = _page(place, old)
    time.sleep(1)
    assert _is_still(replica)
    orders = page.status()["orders"]
    assert orders == {
        "paused": True, "rates": {"parler.com": 1.5}, "concurrency": {"api.parler.com": 3}, "lanes": {"images": -5},
        "exclude": [r"//api\.parler\.com/v3/"],
    }  # fmt: skip
    shown = {host["origin"]: host for host in page.status()["hosts"]}
    assert (shown["https://parler.com"]["rate_set"], shown["https://api.parler.com"]["concurrency_set"]) == (1.5, 3)
    assert page.order("pause", X_Outlast_Token=old)[0] == 403
    for host in hosts:
        page.order("rate", host, 0)
    assert page.order("resume")[0] == 200
    _wait(lambda: not _is_still(replica))
    found = page.status()
    assert {worker["name"] for worker in found["workers"]}
    assert found["open_segments"]
    assert page.order("stop")[0] == 200
    assert crawl.wait(timeout=40) in {0, 130}
    assert not (place / "dashboard.url").exists()
    log = (place / "logs" / "crawl.log").read_text()
    assert "order by page: pause" in log
    assert "order by page: rate parler.com 1.5" in log
    assert "an order from 127.0.0.1 with a wrong token was refused" in log
    assert old not in log
    assert archive(*crawl_command(replica, place), "--rate", "500").code == 0
    states = settled(place)
    assert any(state == "excluded" for state, _ in states.values())
    assert {key: value for key, value in states.items() if value[0] != "excluded"}.items() <= whole.items()


def _page(place: Path, old: str = "") -> Site:
    path = place / "dashboard.url"
    _wait(lambda: path.exists() and path.read_text().endswith("\n") and not (old and old in path.read_text()))
    return Site(path.read_text().strip())


def _is_well(page: Site) -> bool:
    with suppress(OSError, http.client.HTTPException):
        return page.ask("/healthz")[0] == 200
    return False


def _is_still(replica: Any) -> bool:
    before = replica.stats()["exchanges"]
    time.sleep(0.7)
    return bool(replica.stats()["exchanges"] == before)


def _wait(found: Callable[[], bool]) -> None:
    for _ in range(200):
        if found():
            return
        time.sleep(0.1)
    raise AssertionError("it did not come to that")
