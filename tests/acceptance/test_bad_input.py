"""Bad input gets one clear line and the documented exit code, and loses nothing."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import pytest

from crawler.cold.copies import Copies
from crawler.cold.destination import Destination
from crawler.collection import Collection
from crawler.model import Seed
from crawler.replicas.run import running
from tests.acceptance.support import archive, environment, segments, start, to_replica
from tests.acceptance.support import command as spelled


def one_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.startswith("archive: ")]
    assert len(lines) == 1, text
    assert "Traceback" not in text
    return lines[0]


def test_an_unknown_host(tmp_path: Path) -> None:
    ran = archive("crawl", "no-such-host.invalid", "--into", tmp_path / "c")
    assert ran.code == 9
    assert "no-such-host.invalid" in one_line(ran.err)
    assert not (tmp_path / "c").exists()


def test_a_refused_port(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    ran = archive("crawl", f"http://127.0.0.1:{port}/", "--into", tmp_path / "c")
    assert ran.code == 9
    assert "refused" in one_line(ran.err)


def test_a_bad_certificate(tmp_path: Path) -> None:
    with running("parler", posts=100) as replica:
        ran = archive("crawl", "parler.com", "--connect-to", f"::127.0.0.1:{replica.port}", "--into", tmp_path / "c")
    assert ran.code == 9
    assert "certificate" in one_line(ran.err).lower()


def test_a_platform_that_detection_contradicts(tmp_path: Path) -> None:
    with running("plain") as replica:
        ran = archive("crawl", replica.url, "--platform", "parler", "--into", tmp_path / "c")
    assert ran.code == 2
    assert "Parler" in one_line(ran.err)


def test_an_unknown_platform(tmp_path: Path) -> None:
    ran = archive("crawl", "http://127.0.0.1:9/", "--platform", "friendster", "--into", tmp_path / "c")
    assert ran.code == 2
    assert "friendster" in one_line(ran.err)


def test_a_directory_that_is_no_collection(tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text("dear diary")
    ran = archive("crawl", "http://127.0.0.1:9/", "--into", tmp_path)
    assert ran.code == 2
    one_line(ran.err)
    assert [p.name for p in tmp_path.iterdir()] == ["diary.txt"]
    for command in ("status", "verify", "resume"):
        assert archive(command, tmp_path).code == 2
        assert archive(command, tmp_path / "nowhere").code == 10


@pytest.mark.parametrize(
    "arguments",
    [
        ["crawl"],
        ["crawl", ""],
        ["crawl", "ftp://example.org/"],
        ["crawl", "example.org", "--exclude", "("],
        ["crawl", "example.org", "--since", "yesterday"],
        ["crawl", "example.org", "--since", "2021-01-08", "--until", "2021-01-06"],
        ["crawl", "example.org", "--max-time", "soon"],
        ["crawl", "example.org", "--max-bytes", "many"],
        ["crawl", "example.org", "--max-bytes", "-1"],
        ["crawl", "example.org", "--max-bytes", "1" + "0" * 400],
        ["destinations", "add", "../disk", "file:///mnt", "--no-probe"],
        ["crawl", "example.org", "--allow-private", "10.0.0.0/99"],
        ["crawl", "example.org", "--resolve", "nonsense"],
        ["crawl", "example.org", "--connect-to", "nonsense"],
        ["crawl", "example.org", "--proxy", "gopher://x"],
        ["crawl", "example.org", "--option", "first"],
        ["crawl", "example.org", "--no-such-flag"],
        ["no-such-command"],
    ],
)
def test_what_cannot_be_meant(arguments: list[str], tmp_path: Path) -> None:
    ran = archive(*arguments, cwd=tmp_path)
    assert ran.code == 2, ran.err
    assert "Traceback" not in ran.err
    assert not list(tmp_path.iterdir())


def test_a_config_file_with_an_unknown_setting(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[crawl]\nrobuts = "ignore"\n')
    ran = archive("crawl", "example.org", "--config", config, "--into", tmp_path / "c")
    assert ran.code == 2
    assert "robuts" in one_line(ran.err)
    config.write_text("[crawl\n")
    assert str(config) in one_line(archive("crawl", "example.org", "--config", config).err)


@pytest.mark.parametrize(
    "address", ["mysql://a@b/c", "postgresql://a:SECRET@b/c", "postgresql://[a/c", "postgresql://a"]
)
def test_an_address_that_is_no_database(tmp_path: Path, address: str) -> None:
    for words in (["fleet", address], ["crawl", "example.org", "--into", tmp_path / "c", "--frontier", address]):
        ran = archive(*words)
        assert (ran.code, "SECRET" in ran.err) == (2, False)
        assert "address" in one_line(ran.err)
        assert words[0] == "crawl" or "--frontier" not in ran.err
    assert not (tmp_path / "c").exists()


def test_copies_without_credentials(tmp_path: Path) -> None:
    collection = Collection.create(tmp_path / "c", Seed(url="http://a.example/"), "generic")
    with closing(Copies(collection.root / "copies.sqlite")) as copies:
        copies.add("vault", asdict(Destination(name="vault", bucket="cold", prefix="p", endpoint="http://127.0.0.1:9")))
    where = ["s3://cold/p", "--endpoint-url", "http://127.0.0.1:9"]
    for words in (
        ["audit", collection.root, "vault"], ["push", collection.root, "--to", *where],
        ["pull", *where, "--into", tmp_path / "new"],
    ):  # fmt: skip
        ran = archive(*words, HOME=str(tmp_path), AWS_EC2_METADATA_DISABLED="true")
        assert (ran.code, "no credentials" in ran.out + ran.err) == (4, True), words


def test_another_seed_for_the_same_directory(tmp_path: Path) -> None:
    with running("plain") as replica:
        assert archive("crawl", replica.url, "--into", tmp_path / "c").code == 0
        ran = archive("crawl", "http://127.0.0.1:9/", "--into", tmp_path / "c")
    assert ran.code == 2
    assert "--add-seed" in one_line(ran.err)


def wait_for_captures(directory: Path, more_than: int = 5, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        ran = archive("status", directory, "--json")
        if ran.code == 0 and ran.summary["running"] and ran.summary["captures"] > more_than:
            return
        time.sleep(0.1)
    raise AssertionError("the crawl did not begin")


def test_a_second_run_and_ctrl_c_once_and_twice(tmp_path: Path) -> None:
    with running("parler", posts=400, latency=20) as replica:
        command = ["crawl", "parler.com", "--into", tmp_path / "c", *to_replica(replica)]
        slowly = [*command, "--rate", "5"]  # not done before all else is, however busy the machine
        first = start(*slowly)
        wait_for_captures(tmp_path / "c")
        ran = archive(*command)
        assert ran.code == 5
        assert "another run" in one_line(ran.err)
        first.send_signal(signal.SIGINT)
        assert first.wait(timeout=60) == 130
        assert segments(tmp_path / "c")
        assert not list((tmp_path / "c" / "warcs").glob("*.open"))

        captures = archive("status", tmp_path / "c", "--json").summary["captures"]
        second = start(*slowly)
        wait_for_captures(tmp_path / "c", captures + 5)
        second.send_signal(signal.SIGINT)
        time.sleep(0.2)
        second.send_signal(signal.SIGINT)
        assert second.wait(timeout=60) == 130
        assert archive(*command, "--rate", "1000").code == 0
    assert archive("verify", tmp_path / "c").code == 0


def test_what_only_reads_is_interrupted(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "endless.warc")
    reading = subprocess.Popen(
        spelled("verify", tmp_path / "endless.warc"), env=environment(), stderr=subprocess.PIPE, text=True
    )
    with (tmp_path / "endless.warc").open("wb"):  # returns once it is read
        reading.send_signal(signal.SIGINT)
        _, said = reading.communicate(timeout=60)
    assert reading.returncode == 130
    assert "may be run again" in one_line(said)
    assert "captured" not in said


def test_what_a_kill_left_of_making_a_collection_is_no_obstacle(tmp_path: Path) -> None:
    for name in ("warcs", "logs"):
        (tmp_path / "c" / name).mkdir(parents=True)
    ran = archive("crawl", "127.0.0.1:1", "--into", tmp_path / "c")
    assert ran.code == 9, ran.err
