"""Segments read by a Dask cluster whose workers die: what comes of it is the same, byte for byte, as on one machine."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from crawler.engine import dask as engine
from crawler.errors import EngineLost
from tests.acceptance.cluster import cluster
from tests.acceptance.support import archive, command, environment
from tests.unit.reading.shelves import Shop

SEGMENTS, PAGES = 6, 80
WORDS = "tea, toast and a long walk by the sea " * 20


def collection(root: Path) -> Path:
    """Make a collection of pages with posts, some the same as one in another segment: revisits of it."""
    shop = Shop(root)
    first = None
    for number in range(SEGMENTS):
        page = shop.segment()
        for n in range(PAGES):
            posts = ({"id": f"{number}-{n}-{k}", "text": f"{WORDS} {number} {n} {k}"} for k in range(5))
            page.says(*posts, minutes=number)
        common = [{"id": "same", "text": WORDS}]
        same = page.says(*common, minutes=number, url=f"https://a.example/same/{number}", original=first)
        first = first or same
        page.seal()
    return root


def one_page(root: Path) -> None:
    page = Shop(root).segment()
    page.says({"id": "1", "text": "tea"})
    page.seal()


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def forget(root: Path) -> None:
    for path in root.glob("dataset.*"):
        path.unlink()


def told(*words: object) -> list[str]:
    """Return what a command says on standard output, without how far it was in between."""
    ran = archive(*words)
    assert ran.code in {0, 6}, ran.err
    return [line for line in ran.out.splitlines() if '"message_type": "status"' not in line]


def exported(root: Path, out: Path, *words: object) -> dict[str, bytes]:
    ran = archive("export", root, "-f", "jsonl", "-o", out, *words)
    assert ran.code == 0, ran.err
    forget(root)
    return files(out)


@pytest.mark.timeout(300)
def test_what_a_cluster_reads_is_the_same_though_a_worker_is_killed(tmp_path: Path) -> None:
    root = collection(tmp_path / "tea")
    here = exported(root, tmp_path / "here", "--jobs", 2)
    assert here["posts.jsonl"].count(b"\n") == SEGMENTS * PAGES * 5 + 1
    with cluster(tmp_path / "dask") as dask:
        export = ["export", root, "-f", "jsonl", "-o", tmp_path / "there", "--engine", dask.address, "--json", "-q"]
        with subprocess.Popen(
            command(*export), env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as run:
            dask.kill_at_work("one")
            out, err = run.communicate(timeout=200)
        assert run.returncode == 0, err.decode()
        assert b"Traceback" not in err
        assert sum(b'"status"' in line for line in out.splitlines()) == SEGMENTS
        assert files(tmp_path / "there") == here
        damaged = next(root.glob("warcs/*-00003-*"))
        whole = damaged.read_bytes()
        damaged.write_bytes(whole[:5000] + b"rubbish" + whole[5007:])
        assert told("verify", root, "--json", "--engine", dask.address) == told("verify", root, "--json", "--jobs", 1)


@pytest.mark.timeout(300)
def test_what_is_only_at_a_destination_is_read_there(tmp_path: Path) -> None:
    """Revisits of what is in other segments, too."""
    root = collection(tmp_path / "tea")
    here = exported(root, tmp_path / "here", "--jobs", 1)
    (tmp_path / "disk").mkdir()
    config = tmp_path / "config.toml"
    config.write_text(f'[[destination]]\nname = "disk"\nurl = "file://{tmp_path / "disk"}"\nowner = "us"\n')
    lines = told("index", root, "--digest", "sha1")
    pushed = archive("push", root, "--to", "disk", "--delete-local", "--copies", 1, "--config", config)
    assert (pushed.code, list(root.glob("warcs/*"))) == (0, []), pushed.err
    forget(root)  # it was read before it went
    with cluster(tmp_path / "dask") as dask:
        assert exported(root, tmp_path / "afar", "--engine", dask.address) == here
        assert told("index", root, "--digest", "sha1", "--engine", dask.address) == lines
        said = archive("verify", root, "--engine", dask.address, "-v")
        assert (said.code, said.out.count("C010-elsewhere")) == (0, SEGMENTS), said.out
        shutil.rmtree(tmp_path / "disk")
        gone = archive("export", root, "-f", "jsonl", "-o", tmp_path / "gone", "-q", "--engine", dask.address)
    assert (gone.code, gone.err.count("\n")) == (3, 1), gone.err


@pytest.mark.timeout(120)
def test_workers_that_are_all_gone_are_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with cluster(tmp_path / "dask") as dask:

        def end() -> None:
            dask.kill_at_work("one")
            monkeypatch.setattr(engine, "_WORKER", 2)  # they are there: no longer than the test needs
            dask.kill_at_work("two")

        killer = threading.Thread(target=end)
        killer.start()
        with pytest.raises(EngineLost, match="has no workers"):
            list(engine.run_there(lambda *_: time.sleep(100), range(8), tmp_path, dask.address))
        killer.join()


@pytest.mark.parametrize("address", ["file:///etc/passwd", "tcp://h:\x1b[2J"])
def test_what_is_no_address_is_said(tmp_path: Path, address: str) -> None:
    one_page(tmp_path / "tea")
    said = archive("export", tmp_path / "tea", "-f", "jsonl", "-o", tmp_path / "out", "--engine", address)
    assert (said.code, said.err.count("\n"), "\x1b" in said.err) == (2, 1, False), said.err


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\n\r\n", b"\xff" * 64])
def test_who_is_no_scheduler_is_said(tmp_path: Path, answer: bytes) -> None:
    one_page(tmp_path / "tea")
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_serve, args=(server, answer), daemon=True).start()
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        said = archive("verify", tmp_path / "tea", "--json", "--engine", address)
    assert (said.code, said.err.count("\n")) == (12, 1), said.err
    assert all(json.loads(line) for line in said.out.splitlines())


def _serve(server: socket.socket, answer: bytes) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            connection.sendall(answer)
