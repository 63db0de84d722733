"""kill -9 at random moments of a big push, again and again: what is sent twice, what is left lying about.

python benchmarks/push_kill.py [--gb 2] [--pushes 6] [--kills 5] [--seed 1]

Pushes a collection with one long segment to a SeaweedFS of its own through a proxy that counts, kills the push when so
many bytes have passed, and starts it again; then looks at the bucket. Exits 1 where a part that had arrived was sent
again, an upload is left open, there is an object too many, or the bytes are not the same. Needs several times the size
on disk.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.acceptance.big_file import one_big_file
from tests.acceptance.s3_proxy import Proxy
from tests.acceptance.s3_servers import BUCKET, seaweedfs
from tests.acceptance.support import archive, segments, start

if TYPE_CHECKING:
    from tests.acceptance.s3_proxy import Asked
    from tests.acceptance.s3_servers import Server


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gb", type=float, default=2.0)
    parser.add_argument("--pushes", type=int, default=6)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    work = Path(tempfile.mkdtemp(prefix="outlast-push-kill-"))
    try:
        size = int(options.gb * 1e9)
        with one_big_file(size) as port:
            ran = archive("crawl", f"127.0.0.1:{port}", "--into", work / "c", "--workers", "1", timeout=3600)
            assert ran.code == 0, ran.err
        faults = []
        with seaweedfs(work / "weed") as server:
            for number in range(options.pushes):
                moments = sorted(chance.randrange(size) for _ in range(options.kills))
                faults += one(work / "c", server, f"p{number}", moments, chance)
        print(f"{options.pushes * options.kills} kills, {len(faults)} faults")
        for fault in faults:
            print(f"  {fault}")
        sys.exit(bool(faults))
    finally:
        shutil.rmtree(work, ignore_errors=True)


def one(root: Path, server: Server, prefix: str, moments: list[int], chance: random.Random) -> list[str]:
    """Push once, killed at these counts of bytes; return what went wrong."""
    for path in root.glob("copies.sqlite*"):
        path.unlink()
    begun, deaths = time.monotonic(), []
    with Proxy(server.url) as proxy:
        push = ["push", root, "--to", f"s3://{BUCKET}/{prefix}", "--endpoint-url", proxy.url, "--json"]
        for moment in moments:
            child = start(*push, **server.environment)
            while proxy.taken < moment and child.poll() is None:
                time.sleep(0.01)
            time.sleep(chance.random() * 0.3)
            child.kill()
            child.wait()
            deaths.append(time.monotonic())
        ran = archive(*push, timeout=3600, **server.environment)
        asked, taken = proxy.asked, proxy.taken
    faults = [] if ran.code == 0 else [f"{prefix}: exit {ran.code}: {ran.out}{ran.err}"]
    parts: dict[tuple[str, str], list[Asked]] = {}
    for each in asked:
        found = re.match(r"([^?]*)\?.*partNumber=(\d+)", each.target)
        if found and each.is_part and each.status == 200 and "canary" not in each.target:
            parts.setdefault((found[1], found[2]), []).append(each)
    twice = [(key, sent) for key, sent in parts.items() if len(sent) > 1]
    # What arrived before a kill and is sent after it; what was on its way at the kill may arrive twice.
    needless = [key for key, sent in twice if any(sent[0].answered < death < sent[1].began for death in deaths)]
    faults += [f"{prefix}: part {number} had arrived and was sent again" for _, number in needless]
    client = server.client()
    left = client.list_multipart_uploads(Bucket=BUCKET, Prefix=f"{prefix}/").get("Uploads", [])
    keys = [each["Key"] for each in client.list_objects_v2(Bucket=BUCKET, Prefix=f"{prefix}/").get("Contents", ())]
    expected = ran.summary["proven"]
    faults += [f"{prefix}: an upload is left open: {each['Key']}" for each in left]
    faults += [f"{prefix}: {len(keys)} objects, {expected} expected"] if len(keys) != expected else []
    whole = sum(path.stat().st_size for path in segments(root))
    for path in segments(root):
        (key,) = (key for key in keys if path.name.removesuffix(".warc.gz") in key and key.endswith(".gz"))
        faults += (
            [] if digest(client, key) == hashlib.sha256(path.read_bytes()).hexdigest() else [f"{key}: other bytes"]
        )
        client.delete_object(Bucket=BUCKET, Key=key)
    print(
        f"{prefix}: {len(moments)} kills, {len(parts)} parts, {len(twice)} on their way at a kill and sent again, "
        f"{len(needless)} needlessly; "
        f"{taken / 1e6:,.0f} MB passed for {whole / 1e6:,.0f} MB; {time.monotonic() - begun:.0f} s",
        flush=True,
    )
    return faults


def digest(client: Any, key: str) -> str:
    found = hashlib.sha256()
    for piece in client.get_object(Bucket=BUCKET, Key=key)["Body"].iter_chunks(1 << 20):
        found.update(piece)
    return found.hexdigest()


if __name__ == "__main__":
    main()
