"""Push through a network and against servers that misbehave: each fault ends right, with a clear line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from crawler.replicas.run import running
from tests.acceptance.big_file import one_big_file
from tests.acceptance.s3_proxy import Asked, Proxy
from tests.acceptance.s3_servers import BUCKET, Server, moto, rclone, seaweedfs
from tests.acceptance.support import archive, start

pytestmark = pytest.mark.outside  # nothing from apt, but minutes and some hundred megabytes of disk

PART = 64 << 20
SIZE = 3 * PART + 1_000_000


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("big") / "c"
    with one_big_file(SIZE) as port:
        ran = archive("crawl", f"127.0.0.1:{port}", "--into", root, "--workers", "1")
    assert ran.code == 0, ran.err
    return root


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("small") / "c"
    with running("mastodon", size=40) as replica:
        assert archive("crawl", f"127.0.0.1:{replica.port}", "--into", root).code == 0
    return root


@pytest.fixture(scope="module")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with seaweedfs(tmp_path_factory.mktemp("weed")) as server:
        yield server


@pytest.fixture(autouse=True)
def _unknown(big: Path, small: Path) -> None:
    """Each test begins with a collection that nobody has pushed."""
    for root in (big, small):
        for path in root.glob("copies.sqlite*"):
            path.unlink()


def push(root: Path, server: Server, proxy: Proxy, prefix: str, *more: str):
    to = ["--to", f"s3://{BUCKET}/{prefix}", "--endpoint-url", proxy.url, "--retry-for", "20s", "--json", *more]
    return archive("push", root, *to, **server.environment)


def told(ran) -> dict:
    return next(json.loads(line) for line in ran.out.splitlines() if '"message_type": "destination"' in line)


MOMENTS = [
    "push.begun:1",
    "push.part:1",
    "push.part:3",
    "push.parts:1",
    "push.completed:1",
    "push.uploaded:1",
    "push.proven:1",
]


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_any_moment_only_what_is_missing_is_sent_again(moment: str, big: Path, weed: Server) -> None:
    prefix = f"kill-{moment.replace(':', '-').replace('.', '-')}"
    with Proxy(weed.url) as proxy:
        to = ["--to", f"s3://{BUCKET}/{prefix}", "--endpoint-url", proxy.url, "--connections", "1"]
        # The canary and small objects are not of interest here: they come and go.
        killed = start("push", big, *to, OUTLAST_FAILPOINT=moment, **weed.environment)
        killed.wait(timeout=90)
        assert killed.returncode == -9
        first = proxy.taken
        ran = push(big, weed, proxy, prefix, "--connections", "1")
    assert ran.code == 0, ran.out + ran.err
    again = proxy.taken - first
    # The first copy that is uploaded and proved is a small one.
    parts = {"push.part:1": 1, "push.part:3": 3, "push.parts:1": 4, "push.completed:1": 4}.get(moment, 0)
    left = SIZE - min(parts * PART, SIZE)
    assert again <= left + (6 << 20) + 3_000_000, f"{again:,} bytes were sent again, {left:,} were missing"
    client = weed.client()
    assert not client.list_multipart_uploads(Bucket=BUCKET, Prefix=prefix).get("Uploads")
    keys = [one["Key"] for one in client.list_objects_v2(Bucket=BUCKET, Prefix=f"{prefix}/").get("Contents", ())]
    assert len(keys) == len(set(keys)) == told(ran)["proven"]


def once(kind: str, when) -> object:
    """A fault that strikes the first request that fits."""
    struck = []

    def fault(asked: Asked) -> str | None:
        if not struck and when(asked):
            struck.append(asked)
            return kind
        return None

    return fault


@pytest.mark.parametrize("kind", ["reset", "swallow", "fail", "slow", "full"])
@pytest.mark.parametrize("where", ["part", "complete", "put"])
def test_a_fault_on_the_way_costs_nothing_but_another_try(kind: str, where: str, big: Path, weed: Server) -> None:
    when = {
        "part": lambda asked: asked.is_part and "canary" not in asked.target,
        "complete": lambda asked: asked.is_complete and "canary" not in asked.target,
        "put": lambda asked: asked.method == "PUT" and not asked.is_part and "canary" not in asked.target,
    }[where]
    with Proxy(weed.url, once(kind, when)) as proxy:
        ran = push(big, weed, proxy, f"way-{kind}-{where}")
    assert ran.code == 0, ran.out + ran.err


def test_a_server_that_lies_about_what_it_has_is_not_believed(small: Path, weed: Server) -> None:
    def lies(asked: Asked) -> str | None:
        return "lie" if asked.method == "HEAD" and asked.target.endswith(".gz") else None

    with Proxy(weed.url, lies) as proxy:
        ran = push(small, weed, proxy, "lie")
    assert ran.code == 3
    assert told(ran)["missing"]
    assert "ETag" in ran.err


def test_what_comes_back_otherwise_is_not_proved(small: Path, tmp_path: Path) -> None:
    with rclone(tmp_path / "rclone") as server:
        for kind in ("flip", "cut"):

            def spoils(asked: Asked, kind: str = kind) -> str | None:
                return kind if asked.method == "GET" and asked.target.endswith(".gz") else None

            with Proxy(server.url, spoils) as proxy:
                ran = push(small, server, proxy, kind, "--retry-for", "3s", "--read-back", "full")
            assert ran.code == 3, ran.out
            assert told(ran)["proven"] < 12


@pytest.mark.parametrize(("kind", "says"), [("expired", "expired"), ("skewed", "clock")])
def test_credentials_and_clocks_end_it_with_a_line(kind: str, says: str, small: Path, weed: Server) -> None:
    with Proxy(weed.url, lambda asked: kind) as proxy:
        ran = push(small, weed, proxy, kind)
    assert ran.code == 4
    assert says in ran.err


def test_a_full_bucket_is_asked_again_and_then_said(small: Path, weed: Server) -> None:
    with Proxy(weed.url, lambda asked: "full" if asked.method == "PUT" and ".gz" in asked.target else None) as proxy:
        ran = push(small, weed, proxy, "full", "--retry-for", "4s")
        assert ran.code == 3
        assert "no space left" in ran.out + ran.err
        proxy.fault = lambda asked: None
        assert push(small, weed, proxy, "full").code == 0


def test_a_bucket_that_vanishes(small: Path, weed: Server) -> None:
    seen: list[Asked] = []

    def vanishes(asked: Asked) -> str | None:
        seen.append(asked)
        return "nobucket" if sum(".gz" in one.target and one.method == "PUT" for one in seen) > 2 else None

    with Proxy(weed.url, vanishes) as proxy:
        ran = push(small, weed, proxy, "vanishes")
    assert ran.code == 3
    assert "there is no such bucket" in told(ran)["error"]


def test_a_bucket_that_is_not_there(small: Path, tmp_path: Path) -> None:
    with moto(tmp_path / "moto") as server:
        ran = archive("push", small, "--to", "s3://nowhere/x", "--endpoint-url", server.url, **server.environment)
    assert ran.code == 3
    assert "there is no such bucket" in ran.out


def test_one_destination_down_leaves_the_others_alone_and_catches_up(small: Path, weed: Server) -> None:
    with Proxy(weed.url, lambda asked: "reset") as dead:
        to = [
            "--to",
            f"s3://{BUCKET}/alive",
            "--endpoint-url",
            weed.url,
            "--to",
            f"s3://{BUCKET}/dead",
            "--endpoint-url",
            dead.url,
        ]
        ran = archive("push", small, *to, "--retry-for", "3s", "--json", **weed.environment)
        assert ran.code == 3
        alive, down = (json.loads(line) for line in ran.out.splitlines() if '"message_type": "destination"' in line)
        assert not alive["missing"]
        assert alive["proven"]
        audited = archive("audit", small, **weed.environment)
        assert audited.code == 3, "what never went there is no copy"
        assert "dead: it could not be read to its end; 0 of " in audited.out
        assert "cannot be reached" in down["error"]
        dead.fault = lambda asked: None
        assert archive("push", small, *to, **weed.environment).code == 0
