"""The process that seals."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

KILLED = """
import os, signal
from crawler.sealing import _sealer
print(_sealer().submit(os.getpid).result(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_process_that_seals_ends_with_a_crawl_that_is_killed() -> None:
    ran = subprocess.run([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, timeout=30, check=False)
    until = time.monotonic() + 10
    while Path(f"/proc/{int(ran.stdout)}").exists():
        assert time.monotonic() < until, "it is still there"
        time.sleep(0.05)
    assert ran.returncode == -9
