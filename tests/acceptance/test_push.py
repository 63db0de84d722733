"""Push against real servers: everything arrives, is proved, and comes back byte for byte; nothing is proved wrongly."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from crawler.replicas.run import running
from tests.acceptance.s3_servers import BUCKET, SERVERS, Server
from tests.acceptance.support import archive


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small crawl, with a segment of two parts and a bit made of noise."""
    root = tmp_path_factory.mktemp("cold") / "c"
    with running("mastodon", size=40) as replica:
        assert archive("crawl", f"127.0.0.1:{replica.port}", "--into", root).code == 0
    return root


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    with SERVERS[request.param](tmp_path_factory.mktemp(request.param)) as found:
        yield found


def _stored(server: Server, prefix: str) -> dict[str, bytes]:
    client = server.client()
    keys = [one["Key"] for one in client.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", ())]
    return {key: client.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys}


def test_everything_arrives_and_is_proved(collection: Path, server: Server) -> None:
    ran = archive("push", collection, *server.to("whole"), "--json", **server.environment)
    assert ran.code == 0, ran.out + ran.err
    stored = _stored(server, "whole/")
    digests = {hashlib.sha256(data).hexdigest() for data in stored.values()}
    files = [*collection.glob("warcs/*.gz"), *collection.glob("indexes/*"), collection / "manifest.jsonl", collection / "collection.json"]
    for path in files:
        assert hashlib.sha256(path.read_bytes()).hexdigest() in digests, path.name
    assert len(stored) == len(files)
    assert not any("canary" in key for key in stored)
    again = archive("push", collection, *server.to("whole"), "--json", **server.environment)
    assert again.code == 0
    told = next(json.loads(line) for line in ran.out.splitlines() if '"destination"' in line)
    profile = told["profile"]
    assert profile["is_intact"]
    assert profile["takes_parts"]
    if server.name == "rclone":
        assert not profile["is_conditional"]
    if server.name == "seaweedfs":
        assert all(profile.values()), profile
