"""A large collection as a WACZ: how long, how much memory and disk, and whether it opens, exported and in place.

    python benchmarks/wacz.py --gigabytes 5 --pages 100000 --into /tmp/wacz

writes a collection of that size as a worker does (films of noise, pages of HTML), exports it in a process of its own,
kills one export in its middle and lets it go on, and asks the replay servers for its last bytes and for a page.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.unit.reading.shelves import Shop  # noqa: E402 - what the tests write by hand

_FILM = 64 << 20
_SEGMENT = 1 << 30


def build(root: Path, size: int, pages: int) -> None:
    """Write the collection."""
    shop = Shop(root)
    chance, left, number = random.Random(1), size, 0
    while left > 0:
        segment = shop.segment("originals")
        for _ in range(_SEGMENT // _FILM):
            number += 1
            data = chance.randbytes(1 << 20) * (_FILM >> 20)
            segment.holds(f"https://a.example/film/{number}.mp4", number.to_bytes(8, "big") + data, "video/mp4")
            left -= _FILM
            if left <= 0:
                break
        segment.seal()
    words = [hashlib.sha256(str(n).encode()).hexdigest()[:8] for n in range(500)]
    for start in range(0, pages, 20_000):
        segment = shop.segment()
        for at in range(start, min(start + 20_000, pages)):
            text = " ".join(chance.choices(words, k=120))
            segment.holds(
                f"https://a.example/page/{at}",
                f"<title>Page {at}</title><p>{text}".encode(),
                "text/html; charset=utf-8",
            )
        segment.seal()


def ran(*arguments: object, kill_at: Path | None = None, bytes_: int = 0) -> tuple[float, float]:
    """Run ``archive``; return seconds and the most memory of it in MB. Killed once a file has so many bytes."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-P", "-m", "cli", *map(str, arguments), "-q"], cwd=ROOT)
    while kill_at is not None and process.poll() is None:
        parts = list(kill_at.parent.glob(f".{kill_at.name}.*.part"))
        if parts and parts[0].stat().st_size >= bytes_:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.05)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in {0, -signal.SIGKILL}:
        raise SystemExit(f"archive ended with {process.returncode}")
    return time.perf_counter() - start, used.ru_maxrss / 1024


def asked(module: str, *arguments: object) -> tuple[float, float]:
    """Run somebody else's program; return seconds and the most memory of it in MB."""
    start = time.perf_counter()
    program = f"import sys; from {module} import main; sys.exit(main(sys.argv[1:]))"
    process = subprocess.Popen([sys.executable, "-P", "-c", program, *map(str, arguments)], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{module} ended with {process.returncode}")
    return time.perf_counter() - start, used.ru_maxrss / 1024


def opened(archive: Path) -> tuple[float, float]:
    """Return the seconds until the viewer's server answers, and until the last megabyte came from it."""
    viewer = archive.parent / "viewer"
    viewer.mkdir(exist_ok=True)
    for name in ("ui.js", "sw.js"):
        (viewer / name).write_text("")
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "cli", "replay", str(archive), "-e", "replayweb", "--viewer", str(viewer),
         "--no-open", "--json", "-q"],
        stdout=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    up = time.perf_counter() - start
    connection = http.client.HTTPConnection("127.0.0.1", ready["port"])
    connection.request("GET", "/archive.wacz", headers={"Range": "bytes=-1048576"})
    assert len(connection.getresponse().read()) == 1 << 20
    told = time.perf_counter() - start
    process.send_signal(signal.SIGINT)
    process.wait()
    return up, told


def main() -> None:
    """Print the figures, a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=5)
    parser.add_argument("--pages", type=int, default=100_000)
    parser.add_argument("--into", type=Path, required=True, help="removed afterwards")
    options = parser.parse_args()
    options.into.mkdir(parents=True)
    collection, out = options.into / "c", options.into / "out.wacz"
    try:
        start = time.perf_counter()
        # In a process of its own: what runs later would count this one's memory as its own.
        builder = multiprocessing.get_context("spawn").Process(
            target=build, args=(collection, int(options.gigabytes * (1 << 30)), options.pages)
        )
        builder.start()
        builder.join()
        held = sum(path.stat().st_size for path in (collection / "warcs").iterdir())
        print(
            f"built       {held / 1e9:.2f} GB, {options.pages:,} pages, {time.perf_counter() - start:.0f} s", flush=True
        )
        up, told = opened(collection)
        made = sum(path.stat().st_size for path in (collection / "replay").rglob("*") if path.is_file())
        print(f"in place    {up:.1f} s until it answers first, {told - up:.2f} s for its end; {made / 1e6:.0f} MB made")
        print(f"again       {opened(collection)[0]:.1f} s until it answers", flush=True)
        seconds, _ = ran("export", collection, "-f", "wacz", "-o", out, kill_at=out, bytes_=held // 2)
        print(f"killed      after {seconds:.1f} s, in its middle", flush=True)
        seconds, memory = ran("export", collection, "-f", "wacz", "-o", out)
        print(f"went on     {seconds:.1f} s, {memory:.0f} MB at most", flush=True)
        with zipfile.ZipFile(out) as file:
            assert len(file.namelist()) > 4
        out.unlink()
        seconds, memory = ran("export", collection, "-f", "wacz", "-o", out)
        size = out.stat().st_size
        print(f"exported    {size / 1e9:.2f} GB in {seconds:.1f} s, {memory:.0f} MB of memory")
        print(f"opened      {opened(out)[0]:.1f} s until it answers", flush=True)
        seconds, memory = ran("verify", out)
        print(f"verified    {seconds:.1f} s, {memory:.0f} MB at most", flush=True)
        seconds, memory = asked("wacz.main", "validate", "-f", out)
        print(f"validated   {seconds:.1f} s, {memory:.0f} MB at most, by wacz validate", flush=True)
        for path in sorted((collection / "warcs").iterdir()):
            asked("cdxj_indexer.main", "-p", path)
        print("indexed     by cdxj-indexer", flush=True)
    finally:
        shutil.rmtree(options.into)


if __name__ == "__main__":
    main()
