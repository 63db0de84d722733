"""A replica's process: one line when ready, an end when told, a state directory that lasts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from crawler.replicas.run import running
from tests.acceptance.support import ROOT
from tests.integration.replicas.client import get


def start(*arguments: str, stdin: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "crawler.replicas.parler", "--posts", "100", *arguments],
        stdin=stdin, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def test_one_line_says_it_is_ready(tmp_path: Path) -> None:
    with start("--state", str(tmp_path / "s")) as process:
        assert process.stdout is not None
        facts = json.loads(process.stdout.readline())
        assert facts.keys() == {"port", "http_port", "control_port", "ca", "hosts", "pid", "state"}
        assert facts["pid"] == process.pid
        assert facts["state"] == str(tmp_path / "s")
        assert Path(facts["ca"]).read_text().startswith("-----BEGIN CERTIFICATE")
        assert {"parler.com", "api.parler.com", "par.pw", "video.parler.com"} <= set(facts["hosts"])
        rest, _ = process.communicate(timeout=15)
        assert rest == b""
    assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it(tmp_path: Path, number: int) -> None:
    with start("--state", str(tmp_path / "s"), "--ledger", "digests") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(number)
        assert process.wait(timeout=15) == 0


def test_its_books_are_written_at_the_end_and_gone_on_with(tmp_path: Path) -> None:
    state = tmp_path / "s"
    for _ in range(2):
        with running("parler", posts=100, state=state) as replica:
            assert replica.ca is not None
            ca = replica.ca.read_bytes()
            assert get(replica, "https://parler.com/robots.txt").status == 200
    lines = [json.loads(line) for line in (state / "ledger.jsonl").read_text().splitlines()]
    assert [line["sequence"] for line in lines] == [1, 2]
    assert (state / "ca.pem").read_bytes() == ca
    assert (state / "server.key").stat().st_mode & 0o077 == 0


def test_without_a_ledger_there_is_none(tmp_path: Path) -> None:
    with running("parler", posts=100, ledger="off", state=tmp_path / "s") as replica:
        assert get(replica, "https://parler.com/robots.txt").status == 200
        assert replica.stats()["exchanges"] == 1
        assert replica.ledger() == []
    assert not (tmp_path / "s" / "ledger.jsonl").exists()


def test_fixed_ports_can_be_asked_for(tmp_path: Path) -> None:
    with running("parler", posts=100) as first:
        port, http_port = first.port, first.http_port
    with running("parler", posts=100, port=port, http_port=http_port) as second:
        assert (second.port, second.http_port) == (port, http_port)


def test_a_replica_that_cannot_start_says_so(capfd: pytest.CaptureFixture[str]) -> None:
    for options in ({"faults": "nonsense"}, {"posts": 0}, {"clock": "teatime"}):
        with pytest.raises(RuntimeError, match="did not start"), running("parler", **options):
            pass
    assert "no fault 'nonsense'" in capfd.readouterr().err


def test_nothing_is_left_behind() -> None:
    with running("parler", posts=100) as replica:
        state, pid = replica.state, replica.pid
        assert state.exists()
    assert not state.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
