"""CPU time and memory of a push over https, beside rclone and s5cmd (if there is one): the same file, the same server.

python benchmarks/push_speed.py [--gb 2] [--rounds 3] [--s5cmd PROGRAM]

One long segment goes to a SeaweedFS of its own over https, in parts of 64 MiB, four at once, candidates one after the
other. CPU is user and system time of all that a candidate started; its start, probe and proof are in Outlast's.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.acceptance.big_file import one_big_file
from tests.acceptance.s3_servers import BUCKET, KEY, SECRET, seaweedfs
from tests.acceptance.support import archive, command, environment, segments

if TYPE_CHECKING:
    from tests.acceptance.s3_servers import Server

PART, AT_ONCE = 64, 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gb", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--s5cmd", default=shutil.which("s5cmd"))
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="outlast-push-speed-"))
    try:
        with one_big_file(int(options.gb * 1e9)) as port:
            ran = archive("crawl", f"127.0.0.1:{port}", "--into", work / "c", "--workers", "1", timeout=3600)
            assert ran.code == 0, ran.err
        path = max(segments(work / "c"), key=lambda one: one.stat().st_size)
        with seaweedfs(work / "weed", tls=True) as server:
            tell(measured(work, path, server, options), path.stat().st_size)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def measured(work: Path, path: Path, server: Server, options: argparse.Namespace) -> dict[str, list[tuple]]:
    """Return candidate → (CPU s, wall s, peak RSS MB) of each round."""
    found: dict[str, list[tuple]] = {}
    for number in range(options.rounds):
        for name, candidate in candidates(work, path, server, f"r{number}", options.s5cmd).items():
            for one in (work / "c").glob("copies.sqlite*"):
                one.unlink()
            found.setdefault(name, []).append(run(candidate, server))
            print(
                f"round {number}: {name}: CPU {found[name][-1][0]:.2f} s, wall {found[name][-1][1]:.1f} s", flush=True
            )
            client = server.client()
            for one in client.list_objects_v2(Bucket=BUCKET, Prefix=f"r{number}/").get("Contents", ()):
                client.delete_object(Bucket=BUCKET, Key=one["Key"])
    return found


def candidates(work: Path, path: Path, server: Server, prefix: str, s5cmd: str | None) -> dict[str, list[str]]:
    beside = Path(sys.executable).with_name("rclone")
    rclone = [
        str(beside if beside.exists() else "rclone"), "copyto", "--config", "/dev/null", "--s3-provider", "SeaweedFS",
        "--s3-endpoint", server.url, "--s3-access-key-id", KEY, "--s3-secret-access-key", SECRET, "--ca-cert",
        str(server.ca),
        "--s3-chunk-size", f"{PART}Mi", "--s3-upload-concurrency", str(AT_ONCE), "--s3-no-check-bucket", str(path),
        f":s3:{BUCKET}/{prefix}/rclone.warc.gz",
    ]  # fmt: skip
    found = {
        "outlast": command(
            "push", work / "c", "--to", f"s3://{BUCKET}/{prefix}", "--endpoint-url", server.url, "--connections",
            AT_ONCE,
        ),
        "rclone": rclone,
    }  # fmt: skip
    if s5cmd:
        found["s5cmd"] = [
            s5cmd, "--endpoint-url", server.url, "--no-verify-ssl", "cp", "--part-size", str(PART), "--concurrency",
            str(AT_ONCE), str(path), f"s3://{BUCKET}/{prefix}/s5cmd.warc.gz",
        ]  # fmt: skip
    return found


def run(candidate: list[str], server: Server) -> tuple[float, float, float]:
    begun = time.monotonic()
    child = subprocess.Popen(
        candidate, env=environment(**server.environment), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert child.stderr is not None
    said = child.stderr.read()
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0, (candidate[0], said[-2000:])
    return used.ru_utime + used.ru_stime, time.monotonic() - begun, used.ru_maxrss / 1024


def tell(found: dict[str, list[tuple]], size: int) -> None:
    gb = size / 1e9
    base = statistics.median(one[0] for one in found["rclone"])
    print(f"\n{gb:.2f} GB over https, parts of {PART} MiB, {AT_ONCE} at once, medians of {len(found['rclone'])}\n")
    print(
        "| candidate | CPU s a GB | of rclone's | wall s | MB/s | peak RSS MB |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: |"
    )
    for name, rounds in found.items():
        cpu, wall, rss = (statistics.median(one[at] for one in rounds) for at in range(3))
        print(f"| {name} | {cpu / gb:.2f} | {cpu / base:.2f} | {wall:.1f} | {size / wall / 1e6:.0f} | {rss:.0f} |")


if __name__ == "__main__":
    main()
