"""How long ``archive verify`` takes beside ``warcio check`` and ``fastwarc check``, one process each, on the same file.

python benchmarks/verify_speed.py [--megabytes 200] [--times 3] [--only text,media] [--json]

Three files: *text* (pages of 2 to 60 KB, half of them sent gzipped), *small* (answers of an API, 300 bytes to 4 KB) and
*media* (images and films of 50 KB to 20 MB). Every response has its request and a metadata record. The tools take
turns; told is each one's quickest run on the clock, its least CPU time, and its greatest memory.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import uuid
import zlib
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from isal import isal_zlib

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TOOLS = {
    "archive verify": ["-m", "cli", "verify", "--jobs", "1", "-q"],
    "warcio check": ["-m", "warcio.cli", "check"],
    "fastwarc check -p": ["-m", "fastwarc.cli", "check", "-p", "-q"],
}
DATE = "2021-01-10T20:00:00Z"
REQUEST = b"GET /a/page HTTP/1.1\r\nHost: example.org\r\nUser-Agent: Outlast\r\nAccept: */*\r\n\r\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--only", default=",".join(BODIES))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        for kind in options.only.split(","):
            path = Path(place) / f"{kind}.warc.gz"
            # In a process of its own: what this one holds would count as the memory of those it starts.
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                count = pool.submit(write, path, kind, options.megabytes * 1_000_000).result()
            report(kind, path, count, options)
            path.unlink()


def report(kind: str, path: Path, count: int, options: argparse.Namespace) -> None:
    runs: dict[str, list[tuple[float, float, int]]] = {tool: [] for tool in TOOLS}
    for _ in range(options.times):
        for tool, arguments in TOOLS.items():
            runs[tool].append(run([sys.executable, *arguments, str(path)]))
    best = {
        tool: {"seconds": min(wall), "cpu_seconds": min(cpu), "mib": max(memory) // 1024}
        for tool, (wall, cpu, memory) in ((tool, zip(*taken, strict=True)) for tool, taken in runs.items())
    }
    if options.json:
        print(json.dumps({"kind": kind, "bytes": path.stat().st_size, "records": count, "tools": best}))
        return
    print(f"{kind}: {path.stat().st_size / 1e6:.0f} MB, {count} records")
    for tool, told in best.items():
        ratio, ratio_cpu = (told[of] / best["warcio check"][of] for of in ("seconds", "cpu_seconds"))
        print(
            f"  {tool:18} {told['seconds']:6.2f} s {ratio:5.2f}x   CPU {told['cpu_seconds']:6.2f} s {ratio_cpu:5.2f}x"
            f"   {told['mib']:4} MiB"
        )


def run(command: list[str]) -> tuple[float, float, int]:
    """Return the seconds a command took, those of CPU, and the most memory it had (KiB)."""
    begun = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=Path(__file__).parent.parent)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0, f"{command} ended with {child.returncode}"
    return time.monotonic() - begun, usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def write(path: Path, kind: str, size: int) -> int:
    """Write a file of at least so many bytes; return how many records are in it."""
    rng, count = random.Random(kind), 1
    with path.open("wb") as out:
        out.write(member(rng, "warcinfo", b"software: benchmark\r\n", "application/warc-fields", level=2))
        for response, payload, dense in BODIES[kind](rng):
            asked = identity(rng)
            level = 0 if dense else 2
            http = "application/http;msgtype="
            out.write(member(rng, "request", REQUEST, f"{http}request", level=2, identity=asked))
            out.write(member(rng, "response", response, f"{http}response", payload, level=level, partner=asked))
            told = b"via: https://example.org/\r\nhopsFromSeed: LL\r\nfetchTimeMs: 31\r\n"
            out.write(member(rng, "metadata", told, "application/warc-fields", level=2, partner=asked))
            count += 3
            if out.tell() > size:
                return count
    raise AssertionError


def member(
    rng: random.Random, kind: str, block: bytes, content_type: str, payload: bytes | None = None,
    *, level: int, identity: str = "", partner: str = "",
) -> bytes:  # fmt: skip
    """Return a record as a gzip member."""
    headers = {
        "WARC-Type": kind, "WARC-Record-ID": identity or globals()["identity"](rng), "WARC-Date": DATE,
        "WARC-Target-URI": "https://example.org/a/page" if kind != "warcinfo" else "",
        "WARC-Concurrent-To": partner, "Content-Type": content_type, "Content-Length": str(len(block)),
        "WARC-Block-Digest": f"sha256:{hashlib.sha256(block).hexdigest()}",
        "WARC-Payload-Digest": f"sha256:{hashlib.sha256(payload).hexdigest()}" if payload is not None else "",
    }  # fmt: skip
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value)
    record = b"WARC/1.1\r\n" + lines.encode() + b"\r\n" + block + b"\r\n\r\n"
    if level:
        return bytes(isal_zlib.compress(record, level, 31))
    stored = zlib.compressobj(0, zlib.DEFLATED, 31)
    return stored.compress(record) + stored.flush()


def identity(rng: random.Random) -> str:
    return f"<urn:uuid:{uuid.UUID(int=rng.getrandbits(128), version=4)}>"


def answer(body: bytes, kind: str, coding: str = "") -> bytes:
    return (
        f"HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Sun, 10 Jan 2021 20:00:00 GMT\r\nContent-Type: {kind}\r\n{coding}"
        f"Content-Length: {len(body)}\r\nConnection: keep-alive\r\nCache-Control: no-cache\r\n\r\n"
    ).encode() + body


def texts(rng: random.Random, least: int, most: int) -> Iterator[bytes]:
    """Yield texts without end that deflate to about a quarter."""
    words = [rng.randbytes(rng.randint(1, 4)).hex().encode() for _ in range(4000)]
    while True:
        size = rng.randint(least, most)
        text = b" ".join(rng.choices(words, k=size // 6))
        yield b"<html>" + text + b"</html>"


def text(rng: random.Random) -> Iterator[tuple[bytes, bytes, bool]]:
    for number, page in enumerate(texts(rng, 2_000, 60_000)):
        zipped = bool(number % 2)
        body = isal_zlib.compress(page, 2, 31) if zipped else page
        yield answer(body, "text/html", "Content-Encoding: gzip\r\n" if zipped else ""), body, zipped


def small(rng: random.Random) -> Iterator[tuple[bytes, bytes, bool]]:
    for page in texts(rng, 300, 4_000):
        yield answer(page, "application/json"), page, False


def media(rng: random.Random) -> Iterator[tuple[bytes, bytes, bool]]:
    while True:
        body = b"\xff\xd8\xff" + rng.randbytes(int(50_000 * 400 ** (rng.random() ** 2)))
        yield answer(body, "image/jpeg"), body, True


BODIES: dict[str, Callable[[random.Random], Iterator[tuple[bytes, bytes, bool]]]] = {
    "text": text, "small": small, "media": media,
}  # fmt: skip

if __name__ == "__main__":
    main()
