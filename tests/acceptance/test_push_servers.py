"""Every server, over https as well: what is called proven is there, byte for byte; what a server cannot do is seen."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.acceptance.big_file import one_big_file
from tests.acceptance.s3_servers import BUCKET, Server, moto, rclone, s3rver, seaweedfs
from tests.acceptance.support import archive, segments

pytestmark = [pytest.mark.outside, pytest.mark.timeout(300)]  # one of the servers comes from npm

PLACES = {
    "seaweedfs": (seaweedfs, False),
    "seaweedfs-https": (seaweedfs, True),
    "moto-https": (moto, True),
    "rclone-https": (rclone, True),
    "s3rver-https": (s3rver, True),
}


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A crawl with a segment of two parts."""
    root = tmp_path_factory.mktemp("cold") / "c"
    with one_big_file((64 << 20) + 1_000_000) as port:
        assert archive("crawl", f"127.0.0.1:{port}", "--into", root, "--workers", "1").code == 0
    return root


@pytest.fixture(scope="module", params=PLACES)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    make, tls = PLACES[request.param]
    with make(tmp_path_factory.mktemp(request.param), tls=tls) as found:
        yield found


@pytest.fixture(autouse=True)
def _unknown(collection: Path) -> None:
    for path in collection.glob("copies.sqlite*"):
        path.unlink()


def proven(root: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(root / "copies.sqlite")) as db:
        return db.execute("SELECT key, sha256 FROM copy WHERE state = 'proven'").fetchall()


def config(path: Path, table: dict[str, object]) -> list[object]:
    lines = [f"{name} = {json.dumps(value)}" for name, value in table.items() if not isinstance(value, dict)]
    lines += [f"{name} = {{ {', '.join(f'{k} = {json.dumps(v)}' for k, v in value.items())} }}"
              for name, value in table.items() if isinstance(value, dict)]  # fmt: skip
    path.write_text("\n".join(["[[destination]]", *lines]) + "\n")
    return ["--config", path]


def test_pushed_proved_pulled_audited(collection: Path, server: Server, tmp_path: Path) -> None:
    ran = archive("push", collection, *server.to("all"), "--json", **server.environment)
    assert ran.code == 0, ran.out + ran.err
    client = server.client()
    found = proven(collection)
    assert len(found) == ran.summary["proven"] >= 6
    for key, sha256 in found:
        body = client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        assert hashlib.sha256(body).hexdigest() == sha256, key
    where = [f"s3://{BUCKET}/all", "--endpoint-url", server.url]
    pulled = archive("pull", *where, "--into", tmp_path / "new", **server.environment)
    assert pulled.code == 0, pulled.err
    for path in segments(collection):
        assert (tmp_path / "new" / "warcs" / path.name).read_bytes() == path.read_bytes()
    assert archive("verify", tmp_path / "new").code == 0
    audit = ["audit", collection, "--read-back", "full"]
    assert archive(*audit, **server.environment).code == 0
    key = next(key for key, _ in found if "-text-" in key and key.endswith(".gz"))
    data = client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    client.put_object(Bucket=BUCKET, Key=key, Body=data[:50] + bytes([data[50] ^ 4]) + data[51:])
    spoilt = archive(*audit, **server.environment)
    assert spoilt.code == 6
    assert key in spoilt.out
    # It counts no longer; the next push puts a good one beside it.
    again = archive("push", collection, *server.to("all"), "--json", **server.environment)
    assert again.code == 0, again.out + again.err
    assert archive(*audit, **server.environment).code == 0


def test_what_it_says_it_does_is_tried(server: Server, tmp_path: Path) -> None:
    """The probe finds what each of them is known for."""
    ran = archive(
        "destinations", "probe", f"s3://{BUCKET}/x", "--endpoint-url", server.url, "--json", **server.environment
    )
    assert ran.code == 0, ran.err
    seen = ran.summary["probe"]
    is_tls = server.url.startswith("https")
    assert seen["reads_ranges"]
    assert seen["takes_parts"]
    assert seen["takes_trailers"] == (server.name in {"seaweedfs", "moto"} or not is_tls)
    assert seen["is_conditional"] == (server.name in {"seaweedfs", "moto"})
    assert bool(seen["checksums"]) == seen["whole_crc32"] == (server.name == "seaweedfs")
    assert seen["keeps_class"] == (server.name in {"seaweedfs", "moto"})


def test_a_lock_that_does_not_hold_is_refused(collection: Path, server: Server, tmp_path: Path) -> None:
    locked = "locked"
    try:
        server.client().create_bucket(Bucket=locked, ObjectLockEnabledForBucket=True)
    except Exception:  # noqa: BLE001 - some have one already, some make none
        assert server.name in {"rclone", "s3rver"}
        locked = BUCKET
    table = {
        "name": "vault", "url": f"s3://{locked}/v", "endpoint": server.url, "lock": "governance", "lock_days": 1,
        "storage_class": "GLACIER_IR", "tags": {"project": "rescue"}, "metadata": {"who": "us"},
    }  # fmt: skip
    options = config(tmp_path / "config.toml", table)
    ran = archive("push", collection, "--to", "vault", *options, **server.environment)
    if server.name in {"rclone", "s3rver"}:
        assert ran.code == 3
        assert "does not lock" in ran.out
        return
    assert ran.code == 0, ran.out + ran.err
    assert "locked (governance) until" in ran.err
    client = server.client()
    key = next(key for key, _ in proven(collection) if key.endswith(".warc.gz"))
    head = client.head_object(Bucket=locked, Key=key)
    assert head["StorageClass"] == "GLACIER_IR"
    assert head["Metadata"] == {"who": "us"}
    assert head["ObjectLockMode"] == "GOVERNANCE"
    tags = client.get_object_tagging(Bucket=locked, Key=key)["TagSet"]
    assert {"Key": "project", "Value": "rescue"} in tags
    with pytest.raises(client.exceptions.ClientError):
        client.delete_object(Bucket=locked, Key=key, VersionId=head["VersionId"])
    marker = next(key for key, _ in proven(collection) if "/collection-" in key)
    assert "ObjectLockMode" not in client.head_object(Bucket=locked, Key=marker)


def test_encryption_by_the_server(collection: Path, tmp_path: Path) -> None:
    with moto(tmp_path / "moto", tls=True) as server:
        table = {"name": "sse", "url": f"s3://{BUCKET}/e", "endpoint": server.url, "sse": "AES256"}
        options = config(tmp_path / "config.toml", table)
        assert archive("push", collection, "--to", "sse", *options, **server.environment).code == 0
        client = server.client()
        for key, _ in proven(collection):
            assert client.head_object(Bucket=BUCKET, Key=key)["ServerSideEncryption"] == "AES256"
