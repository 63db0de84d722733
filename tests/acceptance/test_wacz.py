"""``archive export --format wacz`` and ``archive replay`` as a user runs them: killed, ended, and fed rubbish."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest

from tests.acceptance.support import archive, command, environment
from tests.unit.reading.shelves import Shop


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection of more bytes than are written between two marks."""
    folder = tmp_path_factory.mktemp("held")
    shop = Shop(folder / "c")
    big, pages = shop.segment("originals"), shop.segment()
    noise = b"".join(hashlib.sha256(str(n).encode()).digest() for n in range(1 << 15))
    for number in range(70):
        big.holds(f"https://a.example/{number}.mp4", number.to_bytes(4, "big") + noise, "video/mp4")
    pages.holds("https://a.example/", b"<title>Tea</title>", "text/html")
    for one in (big, pages):
        one.seal()
    return folder / "c"


@pytest.fixture
def collection(held: Path) -> Path:
    """The same as if nothing had been made of it yet."""
    shutil.rmtree(held / "replay", ignore_errors=True)
    for path in held.glob("dataset.sqlite*"):
        path.unlink()
    return held


@pytest.mark.parametrize("place", ["dataset.segment", "replay.indexed", "export.wacz"])
def test_a_killed_export_goes_on_and_is_the_same(place: str, collection: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.wacz"
    ran = archive("export", collection, "-f", "wacz", "-o", output, OUTLAST_FAILPOINT=place)
    assert ran.code == -signal.SIGKILL
    assert not output.exists()
    ran = archive("export", collection, "-f", "wacz", "-o", output, "--json")
    assert ran.code == 0, ran.err
    assert not list(tmp_path.glob(".*.part"))
    if place != "export.wacz":
        return
    assert archive("verify", output).code == 0
    streamed = subprocess.run(
        command("export", collection, "-f", "wacz", "-o", "-"), capture_output=True, env=environment(), check=True
    )
    assert hashlib.sha256(streamed.stdout).digest() == hashlib.sha256(output.read_bytes()).digest()


def test_a_replay_ends_on_ctrl_c_and_leaves_nothing_running(collection: Path, tmp_path: Path) -> None:
    for name in ("ui.js", "sw.js"):
        (tmp_path / name).write_text("")
    process = subprocess.Popen(
        command("replay", collection, "-e", "replayweb", "--viewer", tmp_path, "--no-open", "--json", "-q"),
        stdout=subprocess.PIPE, text=True, env=environment(),
    )  # fmt: skip
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    with urllib.request.urlopen(f"{ready['url']}archive.wacz", timeout=10) as answer:
        assert answer.read(4) == b"PK\3\4"
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert json.loads(out.splitlines()[-1])["message_type"] == "summary"
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(ready["url"], timeout=10)


def test_what_cannot_be_shown_is_said_in_a_line(collection: Path, tmp_path: Path) -> None:
    rubbish = tmp_path / "a.wacz"
    rubbish.write_bytes(b"no zip")
    for arguments, code, said in (
        (("replay", tmp_path / "none"), 10, "no collection"),
        (("replay", rubbish), 2, "no WACZ"),
        (("replay", collection, "-e", "replayweb", "--viewer", tmp_path), 2, "npm pack"),
        (("replay", collection, "--at", "yesterday"), 2, "not a date"),
        (("export", collection, "-f", "csv", "-o", "-"), 2, "--format wacz"),
        (("export", collection, "-f", "wacz", "-o", tmp_path), 2, "is a directory"),
        (("export", collection, "-f", "wacz", "-o", "x", "--split", "tea"), 2, "not a size"),
        (("export", collection, "-f", "wacz", "-o", "x", "--key", "nobody"), 2, "no key"),
    ):
        ran = archive(*arguments)
        assert ran.code == code, ran.err
        assert said in ran.err
        assert "Traceback" not in ran.err
