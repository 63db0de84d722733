"""Audit: what is lost stays lost until a push mends it, and no more is claimed than was looked at."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from crawler.replicas.run import running
from tests.acceptance.s3_servers import BUCKET, moto
from tests.acceptance.support import archive, segments


@pytest.fixture(scope="module")
def crawled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("small") / "c"
    with running("mastodon", size=10) as replica:
        assert archive("crawl", f"127.0.0.1:{replica.port}", "--into", root, "--workers", "1").code == 0
    return root


@pytest.fixture
def collection(crawled: Path, tmp_path: Path) -> Path:
    """A collection that nobody has pushed."""
    return Path(shutil.copytree(crawled, tmp_path / "c"))


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    (tmp_path / "disk").mkdir()
    return tmp_path / "disk"


def push(collection: Path, *disks: Path, more: tuple[object, ...] = ()) -> Any:
    return archive("push", collection, *(part for one in disks for part in ("--to", f"file://{one}")), *more)


def owned(path: Path, *disks: Path) -> list[object]:
    """Write a config in which each directory has an owner of its own; return the options that push to them."""
    tables = [f'[[destination]]\nname = "{one.name}"\nurl = "file://{one}"\nowner = "{one.name}"\n' for one in disks]
    (path / "config.toml").write_text("\n".join(tables))
    return ["--config", path / "config.toml", *(part for one in disks for part in ("--to", one.name))]


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)


def test_what_is_missing_is_missing_until_a_push_has_mended_it(collection: Path, disk: Path) -> None:
    assert push(collection, disk).code == 0
    count = sum(path.is_file() for path in disk.rglob("*"))
    assert f"{count} of {count} there; lengths match; nothing was read" in archive("audit", collection).out
    shutil.rmtree(next(disk.iterdir()))
    for options in ([], [], ["--read-back", "full"]):
        ran = archive("audit", collection, *options)
        assert ran.code == 6
        assert f"0 of {count} there, {count} missing or changed" in ran.out
        assert ran.out.count("missing ") == count + 1
    assert push(collection, disk).code == 0
    ran = archive("audit", collection, f"file://{disk}", "--read-back", "full")
    assert ran.code == 0, ran.out
    assert "every copy was read and is as it was" in ran.out


def test_what_is_changed_is_found_by_reading_and_stays_changed(collection: Path, disk: Path) -> None:
    assert push(collection, disk).code == 0
    flip(spoilt := next(disk.rglob("*-text-*.warc.gz")))
    blind = archive("audit", collection)
    assert blind.code == 0
    assert "nothing was read: --read-back sample|full reads" in blind.out
    assert archive("audit", collection, "--read-back", "full").code == 6
    again = archive("audit", collection)
    assert again.code == 6
    assert f"changed    {spoilt.relative_to(disk)}" in again.out
    assert "extra" not in again.out
    assert push(collection, disk).code == 0
    assert archive("audit", collection, "--read-back", "full").code == 0
    assert spoilt.is_file(), "what is wrong stays, as evidence"


def test_copies_that_were_never_made_are_no_copies(collection: Path, disk: Path) -> None:
    with moto(disk.parent / "moto") as server:
        pushed = archive(
            "push", collection, "--to", "s3://nowhere/x", "--endpoint-url", server.url, **server.environment
        )
        assert pushed.code == 3, pushed.out
        assert "there is no such bucket" in pushed.out
        assert push(collection, disk).code == 0
        ran = archive("audit", collection, f"file://{disk}")
        assert ran.code == 0
        ran = archive("audit", collection, **server.environment)
    assert ran.code == 3
    assert "nowhere/x: it could not be read to its end; 0 of " in ran.out


def test_one_of_many_that_arrived_is_not_all(collection: Path, disk: Path) -> None:
    cut = archive("push", collection, "--to", f"file://{disk}", "--connections", "1", OUTLAST_FAILPOINT="push.proven:1")
    assert cut.code == -9
    ran = archive("audit", collection, disk)
    assert ran.code == 3
    assert "1 of " in ran.out
    assert "never made" in ran.out
    assert push(collection, disk).code == 0
    assert archive("audit", collection).code == 0


def test_a_copy_that_is_lost_when_segments_are_to_go_is_sent_again_by_the_same_push(
    collection: Path, disk: Path, tmp_path: Path
) -> None:
    (other := tmp_path / "other").mkdir()
    to = owned(tmp_path, disk, other)
    assert archive("push", collection, *to).code == 0
    wanted = {path.name: path.read_bytes() for path in segments(collection)}
    lost, spoilt, *_ = sorted(disk.rglob("*.warc.gz"))
    lost.unlink()
    flip(spoilt)
    ran = archive("push", collection, *to, "--delete-local")
    assert ran.code == 0, ran.out + ran.err
    assert "is missing" in ran.err
    assert "is changed" in ran.err
    assert not segments(collection)
    assert archive("audit", collection, "--read-back", "full").code == 0
    back = archive("pull", f"file://{disk}", "--into", tmp_path / "new")
    assert back.code == 0, back.err
    assert {path.name: path.read_bytes() for path in segments(tmp_path / "new")} == wanted


def test_two_directories_on_the_collections_own_disk_are_no_two_owners(
    collection: Path, disk: Path, tmp_path: Path
) -> None:
    (other := tmp_path / "other").mkdir()
    ran = push(collection, disk, other, more=("--delete-local",))
    assert ran.code == 2
    assert "no other disk than the collection's" in ran.err
    assert segments(collection)


def test_sums_that_a_server_tells_are_named(collection: Path, tmp_path: Path) -> None:
    with moto(tmp_path / "moto") as server:
        to = ["--to", f"s3://{BUCKET}/p", "--endpoint-url", server.url]
        assert archive("push", collection, *to, **server.environment).code == 0
        ran = archive("audit", collection, f"s3://{BUCKET}/p", **server.environment)
        assert ran.code == 0, ran.out + ran.err
        assert "lengths match" in ran.out
        assert "nothing was read" in ran.out


def test_a_server_whose_sums_prove_nothing_is_read_before_anything_goes(
    collection: Path, disk: Path, tmp_path: Path
) -> None:
    with moto(tmp_path / "moto") as server:
        push = ["push", collection, *owned(tmp_path, disk), "--to", f"s3://{BUCKET}/p", "--endpoint-url", server.url]
        assert archive(*push, **server.environment).code == 0
        client = server.client()
        keys = [one["Key"] for one in client.list_objects_v2(Bucket=BUCKET, Prefix="p/")["Contents"]]
        spoilt = next(key for key in keys if key.endswith(".warc.gz"))
        data = client.get_object(Bucket=BUCKET, Key=spoilt)["Body"].read()
        client.put_object(Bucket=BUCKET, Key=spoilt, Body=data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
        ran = archive(*push, "--delete-local", **server.environment)
        assert ran.code == 0, ran.out + ran.err
        assert f"{spoilt} is changed" in ran.err
        assert not segments(collection)
        assert archive("audit", collection, "--read-back", "full", **server.environment).code == 0
