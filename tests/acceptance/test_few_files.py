"""Hardly any file descriptors: the crawl stops with one line and loses nothing, and goes on when there are more."""

from __future__ import annotations

import resource
import subprocess
from pathlib import Path

import pytest

from crawler.replicas.run import running
from tests.acceptance.support import apart_from_people, archive, command, environment


@pytest.mark.parametrize("files", [28, 44, 60])
def test_nothing_is_lost_where_no_more_files_can_be_opened(files: int, tmp_path: Path) -> None:
    with running("mastodon", size=100, latency=30) as replica:
        crawl = ["crawl", f"127.0.0.1:{replica.port}", "--concurrency", "64", "--workers", "2", "--into"]
        assert archive(*crawl, tmp_path / "whole").code == 0
        starved = subprocess.run(
            command(*crawl, tmp_path / "c"), env=environment(), capture_output=True, text=True, check=False, timeout=90,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files)),
        )  # fmt: skip
        assert starved.returncode in {0, 8}, starved.stderr
        assert "Traceback" not in starved.stderr
        assert archive(*crawl, tmp_path / "c").code == 0
    assert apart_from_people(tmp_path / "c") == apart_from_people(tmp_path / "whole")
    assert archive("verify", tmp_path / "c").code == 0
