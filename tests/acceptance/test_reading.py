"""Reading what was saved, as a user does: export, search and cat over crawls of two replicas, killed and hostile."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from crawler.replicas.run import running
from tests.acceptance.support import ROOT, archive, command, environment, to_replica
from tests.acceptance.written import write
from tests.unit.reading.shelves import Shop


@pytest.fixture(scope="module")
def crawls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Path, list[dict[str, Any]]]]]:
    """Platform → its collection, and what its replica knows."""
    root, found = tmp_path_factory.mktemp("crawls"), {}
    for platform in ("parler", "mastodon"):
        with running(platform, size=60) as replica:
            seed = ["parler.com", *to_replica(replica)] if replica.ca else [f"127.0.0.1:{replica.port}"]
            ran = archive("crawl", *seed, "--into", root / platform)
            assert ran.code == 0, ran.err
            found[platform] = (root / platform, list(replica.things()))
    return found


def exported(directory: Path, output: Path, *options: str) -> dict[str, list[dict[str, Any]]]:
    ran = archive("export", directory, "--format", "jsonl", "--output", output, "--json", *options)
    assert ran.code == 0, ran.err
    assert ran.summary["lacks"] == []
    return {path.stem: [json.loads(line) for line in path.read_text().splitlines()] for path in output.glob("*.jsonl")}


def test_the_tables_of_parler(crawls: dict[str, Any], tmp_path: Path) -> None:
    directory, things = crawls["parler"]
    tables = exported(directory, tmp_path / "out")
    truth = {
        kind: {one["id"]: one for one in things if one["kind"] == kind and one["public"]}
        for kind in ("post", "comment", "profile", "image", "video")
    }
    posts = {row["id"]: row for row in tables["posts"] if row["kind"] == "post"}
    assert posts.keys() == truth["post"].keys()
    for identity, thing in truth["post"].items():
        row = posts[identity]
        assert (row["author"], row["author_name"], row["text"]) == (
            thing["author"],
            thing["author_name"],
            thing["text"],
        )
        assert (
            datetime.fromisoformat(row["created_at"])
            <= datetime.fromisoformat(thing["created_at"])
            <= datetime.fromisoformat(row["created_until"])
        )
    assert sum(row["kind"] == "comment" for row in tables["posts"]) == len(truth["comment"])
    accounts = {row["id"]: row for row in tables["accounts"]}
    for identity, thing in truth["profile"].items():
        assert (accounts[identity]["name"], accounts[identity]["bio"]) == (thing["name"], thing["bio"])
    files = {row["url"]: row for row in tables["media"]}
    for thing in (*truth["image"].values(), *truth["video"].values()):
        row = files[thing["url"]]
        assert row["sha256"]
        assert row["width"]
        assert row["seconds"] or thing["kind"] == "image"
    assert "latitude" not in tables["media"][0]
    places = {row["url"]: row for row in exported(directory, tmp_path / "gps", "--with-gps")["media"]}
    placed = [one for one in truth["video"].values() if one["place"]]
    for thing in placed:
        row = places[thing["url"]]
        assert thing["place"].startswith(f"{row['latitude']:+08.4f}"[:6])


def test_the_tables_of_mastodon(crawls: dict[str, Any], tmp_path: Path) -> None:
    directory, things = crawls["mastodon"]
    tables = exported(directory, tmp_path / "out")
    for kind, table in (("post", "posts"), ("reply", "posts"), ("account", "accounts")):
        wanted = {one["id"] for one in things if one["kind"] == kind and one["public"]}
        assert {row["id"] for row in tables[table] if row.get("kind", kind) == kind} >= wanted
    secret = {one["id"] for one in things if not one["public"]}
    assert not secret & {row["id"] for row in tables["posts"]}
    files = {Path(row["url"]).name: row for row in tables["media"]}
    for thing in things:
        if thing["kind"] in {"image", "video"} and thing["public"] and "media_attachments" in thing["url"]:
            assert files[Path(thing["url"]).name]["sha256"] == thing["sha256"]


def test_search_and_cat(crawls: dict[str, Any]) -> None:
    directory, things = crawls["mastodon"]
    row = exported(directory, directory.parent / "out")["posts"][0]
    words = row["text"].split()[:3]
    ran = archive("search", directory, " ".join(words), "--json")
    found = [json.loads(line) for line in ran.out.splitlines()]
    assert row["id"] in {one.get("id") for one in found}
    assert ran.summary["found"] == len(found) - 1
    assert words[0] in archive("search", directory, " ".join(words), "-q").out
    shown = archive("cat", directory, row["id"], "-q")
    assert row["text"] in shown.out
    assert row["warc_record_id"] in shown.out
    (same,) = [json.loads(line) for line in archive("cat", directory, row["url"], "--json").out.splitlines()][:-1]
    assert {name: same[name] for name in row} == row
    image = next(one for one in things if one["kind"] == "image" and one["public"])
    output = directory.parent / "image"
    for name in (image["sha256"], row["source_url"].split("/api")[0] + image["url"]):
        ran = archive("cat", directory, name, "--output", output, "--json")
        assert ran.code == 0, ran.err
        assert hashlib.sha256(output.read_bytes()).hexdigest() == image["sha256"]
        assert ran.summary["bytes"] == output.stat().st_size
    assert archive("cat", directory, image["sha256"], "--record", "-o", output).code == 0
    with sqlite3.connect(directory / "dataset.sqlite") as db:
        (length,) = db.execute(
            "SELECT length FROM record JOIN file ON record = record.number WHERE sha256 = ?", (image["sha256"],)
        ).fetchone()
    db.close()
    assert output.stat().st_size == length


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("export", "C", "--format", "jsonl", "--output", "C/collection.json"), 2),
        (("export", "C", "--format", "sqlite", "--output", "/proc/nowhere/x"), 2),
        (("export", "/nowhere", "--format", "csv", "--output", "out"), 10),
        (("search", "C", '"'), 2),
        (("search", "C", "tea", "--since", "yesterday"), 2),
        (("search", "/nowhere", "tea"), 10),
        (("cat", "C", "\x1b[2J nothing"), 2),
        (("cat", "C", "0" * 64, "--json"), 2),
        (("cat", "/nowhere", "1"), 10),
    ],
)
def test_bad_input_is_one_line(crawls: dict[str, Any], tmp_path: Path, arguments: tuple[str, ...], code: int) -> None:
    directory = str(crawls["mastodon"][0])
    ran = archive(*(one.replace("C", directory, 1) if one.startswith("C") else one for one in arguments), cwd=tmp_path)
    assert ran.code == code, ran.err
    said = [line for line in ran.err.splitlines() if line.startswith("archive: ")]
    assert len(said) == 1
    assert "Traceback" not in ran.err
    assert "\x1b" not in ran.err


def test_bytes_are_not_sent_to_a_terminal(crawls: dict[str, Any]) -> None:
    directory, things = crawls["mastodon"]
    image = next(one for one in things if one["kind"] == "image" and one["public"])
    ours, theirs = pty.openpty()
    ran = subprocess.run(
        command("cat", directory, image["sha256"], "-q"),
        stdout=theirs,
        stderr=subprocess.PIPE,
        env=environment(),
        check=False,
    )
    os.close(theirs), os.close(ours)
    assert ran.returncode == 2
    assert b"--output" in ran.stderr


def test_what_a_stranger_wrote_moves_no_terminal(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "c")
    page = shop.segment()
    evil = "tea \x1b]0;owned\x07 \x1b[2J \u202egpj.exe \r overwritten \x9b31m"
    page.says(
        {
            "id": f"1{evil}",
            "text": evil,
            "author_name": evil,
            "url": f"https://a.example/{evil}",
            "counters": {evil: evil},
            "kind": evil,
        }
    )
    page.seal()
    for arguments in (("search", "tea"), ("search", ""), ("cat", f"1{evil}")):
        ran = archive(arguments[0], tmp_path / "c", arguments[1], "-q")
        assert ran.code == 0, ran.err
        assert "tea" in ran.out
        assert all(c.isprintable() or c == "\n" for c in ran.out + ran.err)


@pytest.mark.parametrize(
    ("name", "moment"),
    [("jsonl", "dataset.segment:3"), ("jsonl", "export.lines:2"), ("sqlite", "dataset.segment:1"), ("sqlite", "export.rows:1")],
)  # fmt: skip
def test_a_killed_export_goes_on(killed: tuple[Path, Any], tmp_path: Path, name: str, moment: str) -> None:
    directory, wanted = killed
    for path in directory.glob("dataset.sqlite*"):
        path.unlink()
    output = tmp_path / "out"
    arguments = ("export", directory, "--format", name, "--output", output)
    ran = archive(*arguments, OUTLAST_FAILPOINT=moment)
    assert ran.code == -signal.SIGKILL, ran.err
    before = taken(directory)
    assert archive(*arguments).code == 0
    assert before == taken(directory)[: len(before)], "segments that were taken in were taken in again"
    assert content(output) == wanted[name]


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    root = tmp_path_factory.mktemp("killed")
    write("mastodon", 300, root / "c", segment_bytes=20_000)
    wanted = {}
    for name in ("jsonl", "sqlite"):
        assert archive("export", root / "c", "--format", name, "--output", root / name).code == 0
        wanted[name] = content(root / name)
        shutil.copy(root / "c" / "dataset.sqlite", root / f"{name}.dataset")
    return root / "c", wanted


def content(path: Path) -> Any:
    if path.is_dir():
        return {one.name: sorted(one.read_bytes().splitlines()) for one in path.iterdir()}
    db = sqlite3.connect(path)
    found = [
        sorted(db.execute(f"SELECT * FROM {table}").fetchall()) for table in ("accounts", "posts", "versions", "media")
    ]
    db.close()
    return found


def taken(directory: Path) -> list[tuple[Any, ...]]:
    db = sqlite3.connect(directory / "dataset.sqlite")
    found = db.execute("SELECT number, name, items FROM segment ORDER BY number").fetchall()
    db.close()
    return found


@pytest.mark.parametrize("arguments", [("search", "C", "tea"), ("cat", "C", "1"), ("export", "--help")])
def test_reading_what_is_in_the_dataset_needs_nothing_heavy(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    page = Shop(tmp_path / "c").segment()
    page.says({"id": "1", "text": "tea"})
    page.seal()
    assert archive("search", tmp_path / "c", "tea").code == 0
    given = [str(tmp_path / "c") if one == "C" else one for one in arguments]
    code = (
        f"import sys\nfrom cli import main\ntry:\n    main({given!r})\nexcept SystemExit as e:\n    assert not e.code\n"
        "print('LOADED', *{m.split('.')[0] for m in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment(), cwd=ROOT
    )
    assert not {"scrapy", "boto3", "twisted", "duckdb", "PIL", "lxml"} & set(done.stdout.split("LOADED")[1].split())
