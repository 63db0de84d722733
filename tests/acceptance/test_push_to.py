"""Pushing beside a crawl: what leaves, what counts, what may go from here, and what never goes to strangers."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crawler.cold.copies import elsewhere
from crawler.cold.fetch import reader
from crawler.collection import Collection
from crawler.replicas.run import running
from tests.acceptance.s3_proxy import Asked, Proxy
from tests.acceptance.s3_servers import BUCKET, Server, seaweedfs
from tests.acceptance.support import archive, command, doubles, environment, segments, settled, start


@pytest.fixture(scope="module")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with seaweedfs(tmp_path_factory.mktemp("weed")) as server:
        yield server


@pytest.fixture(scope="module")
def crawled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("small") / "c"
    with running("mastodon", size=20) as replica:
        assert archive("crawl", f"127.0.0.1:{replica.port}", "--into", root, "--workers", "1").code == 0
    return root


@pytest.fixture
def collection(crawled: Path, tmp_path: Path) -> Path:
    """A collection that nobody has pushed."""
    return Path(shutil.copytree(crawled, tmp_path / "c"))


def config(path: Path, *tables: dict[str, Any]) -> list[object]:
    """Write a config with these destinations; return the option that names it."""
    lines = ["[push]", 'retry-for = "3s"']
    for table in tables:
        lines += ["[[destination]]", *(f"{name} = {json.dumps(value)}" for name, value in table.items())]
    (path / "config.toml").write_text("\n".join(lines) + "\n")
    return ["--config", path / "config.toml"]


def disk(path: Path, name: str, **more: Any) -> dict[str, Any]:
    """Make a directory that is as good as another machine's: it has an owner."""
    (path / name).mkdir()
    return {"name": name, "url": f"file://{path / name}", "owner": name, **more}


def bucket(server: Server, name: str, url: str = "", **more: Any) -> dict[str, Any]:
    return {"name": name, "url": f"s3://{BUCKET}/{name}", "endpoint": url or server.url, **more}


def to(*places: dict[str, Any]) -> list[str]:
    return [argument for one in places for argument in ("--to", one["name"])]


def test_one_destination_down_for_the_whole_crawl_holds_up_nothing(tmp_path: Path, weed: Server) -> None:
    with Proxy(weed.url, lambda asked: "reset") as down, running("mastodon", size=60) as replica:
        places = [bucket(weed, "up"), disk(tmp_path, "disk"), bucket(weed, "down", down.url, owner="another")]
        options = config(tmp_path, *places)
        beside = [argument.replace("--to", "--push-to") for argument in to(*places)]
        ran = archive(
            "crawl", f"127.0.0.1:{replica.port}", "--into", tmp_path / "c", "--seal-every", "2s", "--rate", "25",
            "--workers", "1", *beside, "--delete-local", *options, "--json", **weed.environment,
        )  # fmt: skip
        assert ran.code == 3, ran.err
        outcome = {one["name"]: one for one in ran.summary["pushed"]}
        assert not outcome["up"]["missing"]
        assert outcome["up"]["proven"] == outcome["disk"]["proven"] > 8
        assert not outcome["down"]["proven"]
        assert "cannot be reached" in outcome["down"]["error"]
        assert ran.summary["coverage"]["post"]["missing"] == 0
        # Two owners have all, and all went from here; the third gets it from them.
        assert not segments(tmp_path / "c")
        down.fault = lambda asked: None
        again = archive("push", tmp_path / "c", *to(*places), *options, "--json", **weed.environment)
        assert again.code == 0, again.out + again.err
        assert again.summary["deletable"] == again.summary["segments"] > 4
        assert archive("audit", tmp_path / "c", "--read-back", "full", **weed.environment).code == 0
        seen = archive("verify", tmp_path / "c", "-v")
        assert seen.code == 0, seen.out
        assert "C010-elsewhere" in seen.out
    whole = archive("pull", f"file://{tmp_path / 'disk'}", "--into", tmp_path / "new")
    assert whole.code == 0, whole.err
    assert archive("verify", tmp_path / "new").code == 0
    reads_what_went(tmp_path / "c", tmp_path / "new", weed)


def reads_what_went(root: Path, whole: Path, weed: Server) -> None:
    gone = elsewhere(root / "copies.sqlite")
    assert set(gone) == {path.name for path in segments(whole)}
    read = reader(Collection.open(root))
    assert read is not None
    for path in segments(whole):
        data = path.read_bytes()
        assert read(path.name, 3, 200) == data[3:203]
        assert read(path.name, len(data) - 10, 500) == data[-10:]


def test_a_killed_crawl_leaves_and_goes_on(tmp_path: Path) -> None:
    with running("mastodon", size=60) as replica:
        options = config(tmp_path, disk(tmp_path, "disk"))
        crawl = ["crawl", f"127.0.0.1:{replica.port}", "--into", tmp_path / "c", "--push-to", "disk", *options]
        killed = start(*crawl, "--seal-every", "1s", "--rate", "20")
        until = time.monotonic() + 60
        while not list((tmp_path / "disk").rglob("*.warc.gz")):
            assert time.monotonic() < until
            time.sleep(0.1)
        killed.kill()
        killed.wait()
        ran = archive(*crawl, "--json")
        assert ran.code == 0, ran.err
        (outcome,) = ran.summary["pushed"]
        assert not outcome["missing"]
    pulled = archive("pull", f"file://{tmp_path / 'disk'}", "--into", tmp_path / "new", "--json")
    assert pulled.code == 0, pulled.err
    assert {path.name for path in segments(tmp_path / "new")} == {path.name for path in segments(tmp_path / "c")}


def test_a_list_goes_on_on_a_machine_that_never_saw_it(tmp_path: Path) -> None:
    with running("mastodon", size=10) as replica:
        site = f"http://127.0.0.1:{replica.port}"
        listed = [f"{site}/listed/{number}" for number in range(60)]
        (tmp_path / "list").write_text("\n".join(listed))
        options = config(tmp_path, disk(tmp_path, "disk"))
        crawl = ["crawl", site, "--workers", "1", *options]
        first = archive(
            *crawl, "--into", tmp_path / "lost", "-i", tmp_path / "list", "--limit", "30", "--concurrency", "2",
            "--push-to", "disk",
        )  # fmt: skip
        assert first.code == 7, first.err
        shutil.rmtree(tmp_path / "lost")
        assert archive("pull", f"file://{tmp_path / 'disk'}", "--into", tmp_path / "new").code == 0
        assert archive(*crawl, "--into", tmp_path / "new").code == 0
        asked = [one["target"] for one in replica.ledger()]
    known = settled(tmp_path / "new")
    assert {known["GET", url][0] for url in listed} == {"done"}
    assert not doubles(tmp_path / "new")
    assert all(sum(f"/listed/{number}" == one for one in asked) <= 2 for number in range(60))


def test_strangers_get_no_originals_unless_somebody_says_so(collection: Path, tmp_path: Path) -> None:
    places = [disk(tmp_path, "open", public=True), disk(tmp_path, "closed")]
    options = config(tmp_path, *places)
    ran = archive("push", collection, *to(*places), *options)
    assert ran.code == 0, ran.err
    assert "withheld" in ran.out

    def kinds(name: str) -> set[str]:
        return {path.name.split("-")[-2] for path in (tmp_path / name).rglob("*.warc.gz")}

    assert kinds("open") == kinds("closed") - {"originals", "restricted"}
    assert kinds("closed") >= {"originals", "text"}
    assert archive("push", collection, *to(*places), *options, "--public-originals").code == 0
    assert "originals" in kinds("open")


def test_who_refuses_all_is_quarantined_and_one_object_is_not_all(
    collection: Path, tmp_path: Path, weed: Server
) -> None:
    with Proxy(weed.url) as proxy:
        places = [bucket(weed, "suspended", proxy.url), disk(tmp_path, "disk")]
        options = config(tmp_path, *places)

        def one(asked: Asked) -> str | None:
            return "denied" if asked.method == "PUT" and "-text-" in asked.target and ".cdxj" in asked.target else None

        proxy.fault = one
        push = ["push", collection, *to(*places), *options, "--json"]
        ran = archive(*push, **weed.environment)
        assert ran.code == 3
        assert ran.summary["deletable"] == ran.summary["segments"]
        assert "AccessDenied" in ran.err
        proxy.fault = lambda asked: "denied"
        refused = archive(*push, "--delete-local", **weed.environment)
        assert refused.code == 4
        assert refused.summary["deletable"] == 0
        assert len(segments(collection)) == refused.summary["segments"]
        proxy.fault = lambda asked: None
        back = archive(*push, "--delete-local", **weed.environment)
    assert back.code == 0, back.out
    assert back.summary["deleted"] == back.summary["segments"]
    assert not segments(collection)
    assert archive("status", collection, "--json").summary["lacking"] == [], "they are proven elsewhere"
    read = archive("export", collection, "-f", "jsonl", "-o", tmp_path / "out")
    assert read.code == 0, "what they say was read before they went"
    assert (tmp_path / "out" / "posts.jsonl").read_text().count("\n") >= 20


def test_what_cannot_be_is_said_first(collection: Path, tmp_path: Path) -> None:
    options = config(tmp_path, disk(tmp_path, "disk"), disk(tmp_path, "vault", lock="compliance", lock_days=9))
    alone = archive("push", collection, "--to", "disk", "--delete-local", *options)
    assert alone.code == 2
    assert "--copies 1" in alone.err
    crawl = ["crawl", "example.invalid", "--into", tmp_path / "x", *options]
    assert archive(*crawl, "--push-to", "disk", "--delete-local").code == 2
    assert archive(*crawl, "--push-to", "nowhere").code == 2
    once = archive("push", collection, "--to", "vault", *options)
    assert once.code == 2
    assert "--lock-compliance" in once.err
    assert archive("push", collection, "--to", "disk", "--delete-local", "--copies", "1", *options).code == 0
    assert not segments(collection)
    (tmp_path / "disk").rename(tmp_path / "unmounted")
    gone = archive("push", collection, "--to", "disk", *options)
    assert gone.code == 3
    assert "is not there" in gone.out
    assert not (tmp_path / "disk").exists()


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_ends_a_push_at_once_with_a_line_and_loses_nothing(collection: Path, tmp_path: Path, times: int) -> None:
    (tmp_path / "disk").mkdir()
    push = ["push", collection, "--to", f"file://{tmp_path / 'disk'}"]
    slow = subprocess.Popen(
        command(*push, "--bwlimit", "1KB"), stderr=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(), text=True
    )
    until = time.monotonic() + 60
    while not list((tmp_path / "disk").rglob(".part-*")):
        assert time.monotonic() < until
        time.sleep(0.05)
    asked = time.monotonic()
    for _ in range(times):
        slow.send_signal(signal.SIGINT)
        time.sleep(0.01)
    out, err = slow.communicate(timeout=20)
    assert time.monotonic() - asked < 2
    assert (slow.returncode, out) == (130, "")
    assert err.startswith("archive: Interrupted; nothing that was saved is lost")
    assert err.count("\n") == 1
    ran = archive(*push)
    assert ran.code == 0, ran.err
    assert archive("audit", collection, "--read-back", "full").code == 0
    assert not list((tmp_path / "disk").rglob(".part-*"))
