"""Push against real servers: everything arrives, is proved, and comes back byte for byte; nothing is proved wrongly."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from pathlib import Path

import pytest

from crawler.replicas.run import running
from tests.acceptance.s3_servers import BUCKET, SERVERS, Server
from tests.acceptance.support import apart_from_people, archive, doubles, settled, start


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
    files = [
        *collection.glob("warcs/*.gz"),
        *collection.glob("indexes/*"),
        collection / "manifest.jsonl",
        collection / "collection.json",
        collection / "checkpoint.jsonl.gz",
        collection / "coverage.json",
    ]
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
        assert all(profile[name] for name in profile if name != "locks"), profile


def test_it_comes_back_whole_to_a_machine_that_never_saw_it(collection: Path, server: Server, tmp_path: Path) -> None:
    assert archive("push", collection, *server.to("back"), **server.environment).code == 0
    where = [f"s3://{BUCKET}/back", "--endpoint-url", server.url]
    ran = archive("pull", *where, "--into", tmp_path / "new", **server.environment)
    assert ran.code == 0, ran.err
    for path in collection.glob("warcs/*.gz"):
        assert (tmp_path / "new" / "warcs" / path.name).read_bytes() == path.read_bytes()
    assert archive("verify", tmp_path / "new").code == 0
    (tmp_path / "new" / "collection.json").unlink()
    (tmp_path / "new" / "pulling").touch()
    again = archive("pull", *where, "--into", tmp_path / "new", "--json", **server.environment)
    assert again.summary["here_already"] == len(list(collection.glob("warcs/*.gz")))


def test_a_flipped_bit_and_a_lost_object_are_found(collection: Path, server: Server) -> None:
    assert archive("push", collection, *server.to("audit"), **server.environment).code == 0
    name = f"{server.url.removeprefix('http://')}/{BUCKET}/audit"
    assert archive("audit", collection, name, "--read-back", "full", **server.environment).code == 0
    client = server.client()
    keys = [one["Key"] for one in client.list_objects_v2(Bucket=BUCKET, Prefix="audit/")["Contents"]]
    spoilt, lost, *_ = (key for key in keys if "-text-" in key and key.endswith(".warc.gz"))
    data = client.get_object(Bucket=BUCKET, Key=spoilt)["Body"].read()
    client.put_object(Bucket=BUCKET, Key=spoilt, Body=data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    client.delete_object(Bucket=BUCKET, Key=lost)
    ran = archive("audit", collection, name, "--read-back", "full", **server.environment)
    assert ran.code == 6
    assert spoilt in ran.out
    assert lost in ran.out
    into = collection.parent / f"pulled-{server.name}"
    pulled = archive("pull", f"s3://{BUCKET}/audit", "--endpoint-url", server.url, "--into", into, **server.environment)
    assert pulled.code == 3
    assert "not what was pushed" in pulled.err
    client.put_object(Bucket=BUCKET, Key=spoilt, Body=data)


def test_what_is_archived_is_asked_for_and_waited_for(collection: Path, tmp_path: Path) -> None:
    with SERVERS["moto"](tmp_path / "moto") as server:
        to = [*server.to("deep"), "--storage-class", "DEEP_ARCHIVE"]
        pushed = archive("push", collection, *to, **server.environment)
        # This server takes wrong sums, so that only reading back would prove it, and that it refuses.
        assert pushed.code == 3
        assert "there but not proven" in pushed.out
        where = [f"s3://{BUCKET}/deep", "--endpoint-url", server.url, "--into", tmp_path / "c"]
        refused = archive("pull", *where, **server.environment)
        assert refused.code != 0
        assert "--tier" in refused.err
        ran = archive("pull", *where, "--restore", "Bulk", **server.environment)
        assert ran.code == 0, ran.err
        assert archive("verify", tmp_path / "c").code == 0


def test_a_crawl_goes_on_from_a_bare_machine(tmp_path: Path) -> None:
    with SERVERS["seaweedfs"](tmp_path / "weed") as server, running("mastodon", size=80) as replica:
        crawl = ["crawl", f"127.0.0.1:{replica.port}", "--into"]
        assert archive(*crawl, tmp_path / "whole").code == 0
        assert archive(*crawl, tmp_path / "lost", "--limit", "80", "--concurrency", "4").code == 7
        assert archive("push", tmp_path / "lost", *server.to("bare"), **server.environment).code == 0
        shutil.rmtree(tmp_path / "lost")
        where = [f"s3://{BUCKET}/bare", "--endpoint-url", server.url, "--into", tmp_path / "new"]
        assert archive("pull", *where, **server.environment).code == 0
        asked = len(replica.ledger())
        ran = archive(*crawl, tmp_path / "new")
        assert ran.code == 0, ran.err
        more = [one["target"] for one in replica.ledger()[asked:]]
    assert apart_from_people(tmp_path / "new") == apart_from_people(tmp_path / "whole")
    assert not doubles(tmp_path / "new")
    assert len(more) < len(settled(tmp_path / "whole")) - 60


def test_what_a_crawl_seals_leaves_while_it_runs(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    with SERVERS["seaweedfs"](tmp_path / "weed") as server, running("mastodon", size=120) as replica:
        config.write_text(
            f'[[destination]]\nname = "here"\nbucket = "{BUCKET}"\nprefix = "f"\nendpoint = "{server.url}"\n'
        )
        crawl = start(
            "crawl", f"127.0.0.1:{replica.port}", "--into", tmp_path / "c", "--rate", "25", "--seal-every", "2s"
        )
        while not list((tmp_path / "c" / "warcs").glob("*.open")):
            time.sleep(0.1)
        push = ["push", tmp_path / "c", "--to", "here", "--follow", "--config", config, "--json"]
        ran = archive(*push, **server.environment)
        assert crawl.wait(60) == 0
        assert ran.code == 0, ran.err
        assert ran.summary["proven"] > 8
        assert archive("audit", tmp_path / "c", "--read-back", "full", **server.environment).code == 0
    unknown = archive("push", tmp_path / "c", "--to", "there", "--config", config)
    assert unknown.code == 2
    assert "here" in unknown.err
