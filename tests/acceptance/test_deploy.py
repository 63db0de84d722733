"""A coordinator as deploy/ has it started: by a shell, on a volume that is empty at first, and asked as a probe does."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.acceptance.limited import LimitedSite
from tests.acceptance.s3_servers import free_ports
from tests.acceptance.support import ROOT, archive, environment
from tests.acceptance.test_volunteers import Rescue, until
from tests.conformance.frontier import database
from tests.unit.test_deploy import VALUES, scripts

PAGES = 60


def answers(port: int) -> bool:
    anyone = ssl._create_unverified_context()  # as a probe
    try:
        with urllib.request.urlopen(f"https://127.0.0.1:{port}/health", context=anyone, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


@pytest.mark.timeout(300)
@pytest.mark.parametrize("where", ["kubernetes", pytest.param("compose", marks=pytest.mark.outside)])
def test_what_a_container_runs(tmp_path: Path, where: str) -> None:
    programs, volume = tmp_path / "bin", tmp_path / "data"
    for folder in (programs, volume, tmp_path / "cold"):
        folder.mkdir()
    (programs / "archive").write_text(f'#!/bin/sh\nexec {sys.executable} -P -m cli "$@"\n')
    (programs / "archive").chmod(0o755)
    (port,) = free_ports(1)
    with LimitedSite(PAGES, rate=10_000, wait=1) as site, database.server() as server:
        rescue = Rescue(volume, database.schema(server), f"http://127.0.0.1:{site.port}/", [], {}, port)
        script = scripts()[where]
        for old, new in {
            "crawl example.org": f"crawl {rescue.site}", "/data/": f"{volume}/", ":8443": f":{port}",
            "postgresql://outlast@outlast-postgres/outlast": f"'{rescue.address}'",
            "postgresql://outlast@postgres/outlast": f"'{rescue.address}'",
            VALUES["DESTINATION"]: f"file://{tmp_path}/cold", "rescue.example.org": "127.0.0.1",
        }.items():  # fmt: skip
            script = script.replace(old, new)
        around = environment(PATH=f"{programs}:{os.environ['PATH']}")

        def begun() -> subprocess.Popen[bytes]:
            return subprocess.Popen(["/bin/sh", "-ec", script], env=around, cwd=ROOT)

        coordinator = begun()
        try:
            until(lambda: answers(port) or coordinator.poll() is not None, 90)
            token = archive("coordinate", volume / "rescue", "--invite", "anna", "-q").out.strip()
            assert rescue.join("anna", token).wait(120) == 0, rescue.said("anna")
            assert {state for state, _ in rescue.fetches().values()} <= {"done", "excluded"}
            assert ended(coordinator) == 130
            coordinator = begun()
            until(lambda: answers(port) or coordinator.poll() is not None, 90)
            assert ended(coordinator) == 130, "what is there is gone on with"
        finally:
            coordinator.kill()
            coordinator.wait()


def ended(process: subprocess.Popen[bytes]) -> int:
    process.terminate()
    return process.wait(60)
