"""A volunteer without credentials adds what was crawled, and can do nothing else."""

from __future__ import annotations

import json
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3

from crawler.cold.grant import read
from crawler.replicas.run import running
from tests.acceptance.s3_proxy import Proxy
from tests.acceptance.s3_servers import BUCKET, Server, seaweedfs
from tests.acceptance.support import archive, segments

#: Nothing that could sign anything.
BARE = {
    "AWS_ACCESS_KEY_ID": "",
    "AWS_SECRET_ACCESS_KEY": "",
    "AWS_PROFILE": "",
    "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
}


@pytest.fixture(scope="module")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with seaweedfs(tmp_path_factory.mktemp("weed")) as server:
        yield server


@pytest.fixture(scope="module")
def crawled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("volunteer") / "c"
    with running("mastodon", size=20) as replica:
        assert archive("crawl", f"127.0.0.1:{replica.port}", "--into", root, "--workers", "1").code == 0
    return root


@pytest.fixture
def collection(crawled: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(crawled, tmp_path / "c"))


def issued(server: Server, path: Path, *more: str) -> list[str]:
    where = ["--to", f"s3://{BUCKET}/g", "--endpoint-url", server.url]
    ran = archive("grant", "issue", "vol-1", *where, "--out", path, *more, **server.environment)
    assert ran.code == 0, ran.err
    return where


def test_what_a_volunteer_sends_becomes_a_collection(collection: Path, tmp_path: Path, weed: Server) -> None:
    file = tmp_path / "grant.json"
    where = issued(weed, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    ran = archive("push", collection, "--grant", file, "--json", **BARE)
    assert ran.code == 0, ran.out + ran.err
    assert "X-Amz-Signature" not in ran.out + ran.err
    again = archive("push", collection, "--grant", file, "--json", **BARE)
    assert (again.code, again.summary["sent"]) == (0, 0)
    assert again.summary["there"] == ran.summary["there"] == ran.summary["sent"]
    astray = ["--to", f"s3://{BUCKET}/other", *where[2:], "--into", tmp_path / "new"]
    assert archive("grant", "collect", file, *astray, **weed.environment).code == 2
    came = archive("grant", "collect", file, *where, "--into", tmp_path / "new", **weed.environment)
    assert came.code == 0, came.out + came.err
    for path in segments(collection):
        assert (tmp_path / "new" / "warcs" / path.name).read_bytes() == path.read_bytes()
    assert archive("verify", tmp_path / "new").code == 0
    can_do_nothing_else(file, weed)
    ended = archive("grant", "revoke", file, *where, "--json", **weed.environment)
    assert ended.code == 0
    assert ended.summary["files"] == ran.summary["sent"] + 1
    assert not weed.client().list_multipart_uploads(Bucket=BUCKET, Prefix="g/volunteers").get("Uploads")


def can_do_nothing_else(file: Path, weed: Server) -> None:
    """Try with what is in the grant to read, to list, to overwrite, to write elsewhere, to delete."""
    client = weed.client()
    used = next(one for one in read(file).slots if one.kind == "segment")
    free = [one for one in read(file).slots if one.kind == "segment"][-1]
    before = client.get_object(Bucket=BUCKET, Key=used.key)["Body"].read()
    pool = urllib3.PoolManager(retries=False)
    plain = used.parts[0].partition("?")[0]
    bucket = plain.partition(f"/{BUCKET}/")[0] + f"/{BUCKET}?list-type=2"
    for method, url in [
        ("GET", plain), ("HEAD", plain), ("GET", bucket), ("DELETE", plain), ("PUT", plain), ("GET", used.parts[0]),
        ("DELETE", used.parts[0]), ("GET", used.end), ("PUT", free.parts[0].replace(free.key, used.key)),
        ("PUT", free.parts[0].replace("partNumber=1", "partNumber=2")),
    ]:  # fmt: skip
        answer = pool.request(method, url, body=b"mine" if method == "PUT" else None)
        assert answer.status in {403, 404, 405}, (method, url, answer.status)
        assert before[:100] not in answer.data
    # What is used up is good for nothing.
    assert pool.request("PUT", used.parts[0], body=b"mine").status in {403, 404}
    pool.request("POST", used.end, body=b"<CompleteMultipartUpload></CompleteMultipartUpload>")
    assert client.get_object(Bucket=BUCKET, Key=used.key)["Body"].read() == before


def test_what_is_revoked_or_too_small_is_said(collection: Path, tmp_path: Path, weed: Server) -> None:
    where = issued(weed, tmp_path / "one.json", "--segments", "1")
    small = archive("push", collection, "--grant", tmp_path / "one.json", "--json", **BARE)
    assert small.code == 3
    assert "no place for more" in small.err
    issued(weed, tmp_path / "two.json")
    assert archive("grant", "revoke", tmp_path / "two.json", *where, **weed.environment).code == 0
    late = archive("push", collection, "--grant", tmp_path / "two.json", **BARE)
    assert late.code == 3
    assert "over" in late.out
    nothing = archive("grant", "collect", tmp_path / "two.json", *where, "--into", tmp_path / "x", **weed.environment)
    assert nothing.code == 3
    assert "nothing yet" in nothing.err
    facts = json.loads((tmp_path / "two.json").read_text())
    (tmp_path / "old.json").write_text(json.dumps({**facts, "expires": "2020-01-01T00:00:00+00:00"}))
    assert archive("push", collection, "--grant", tmp_path / "old.json", **BARE).code == 4
    (tmp_path / "bad.json").write_text("{}")
    assert archive("push", collection, "--grant", tmp_path / "bad.json", **BARE).code == 2
    assert archive("push", collection).code == 2


@pytest.mark.outside  # nothing from apt, but a minute
def test_faults_on_the_way(collection: Path, tmp_path: Path, weed: Server) -> None:
    with Proxy(weed.url) as proxy:
        near = Server("seaweedfs", proxy.url)
        where = issued(near, tmp_path / "g.json")
        proxy.fault = lambda asked: "swallow" if asked.number % 7 == 0 else None
        for _ in range(12):
            ran = archive("push", collection, "--grant", tmp_path / "g.json", **BARE)
            if ran.code == 0:
                break
            assert ran.code in {1, 3}, ran.err
        assert ran.code == 0, ran.out + ran.err
        proxy.fault = lambda asked: None
        assert (
            archive("grant", "collect", tmp_path / "g.json", *where, "--into", tmp_path / "x", **weed.environment).code
            == 0
        )
    assert archive("verify", tmp_path / "x").code == 0
