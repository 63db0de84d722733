"""Time-stamps of a real authority (openssl's): kept, proved offline, believed by openssl, and never in the way."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.signing import Signed, flip_and_look, made
from tests.acceptance.support import archive
from tests.acceptance.tsa import authority

pytestmark = pytest.mark.outside


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Signed:
    work = tmp_path_factory.mktemp("stamped")
    with authority(work / "tsa") as tsa:
        return made(work, tsa)


def test_when_it_was_signed_and_sealed_is_proved_elsewhere(signed: Signed, tmp_path: Path) -> None:
    shutil.copytree(signed.root, tmp_path / "elsewhere")
    ran = archive("verify", tmp_path / "elsewhere", "--public-key", signed.key, "--tsa-ca", signed.ca, "--json")
    assert ran.code == 0, ran.err
    found = [json.loads(line) for line in ran.out.splitlines()]
    stamps = [one["file"] for one in found if one.get("rule") == "S012-holds" and "time-stamp of" in one["message"]]
    assert "evidence/statement-00001.json" in stamps
    assert "evidence/heads.jsonl" in stamps
    # Without the authority's root it is said that nobody vouches for it; with another's it does not hold.
    assert "S013-authority" in archive("verify", tmp_path / "elsewhere", "--public-key", signed.key).out
    with authority(tmp_path / "tsa") as another:
        wrong = archive("verify", tmp_path / "elsewhere", "--public-key", signed.key, "--tsa-ca", another.root)
    assert wrong.code == 6
    assert "S008-timestamp" in wrong.out


def test_one_changed_byte_in_any_file_is_named(signed: Signed, tmp_path: Path) -> None:
    flip_and_look(signed, tmp_path / "c")


def test_a_proof_tells_the_time(signed: Signed, tmp_path: Path) -> None:
    index = max((signed.root / "indexes").glob("*.cdxj"), key=lambda path: path.stat().st_size)
    facts = json.loads(index.read_text().splitlines()[7].split(" ", 2)[2])
    assert archive("prove", signed.root, facts["url"], "-o", tmp_path / "p.zip").code == 0
    shown = archive("verify", tmp_path / "p.zip", "--public-key", signed.key, "--tsa-ca", signed.ca)
    assert shown.code == 0
    assert "time-stamp of" in shown.out


def test_openssl_believes_signature_and_time_stamp(signed: Signed, tmp_path: Path) -> None:
    """Whoever has no Outlast any more can still check: JSON, Ed25519 and RFC 3161 are everybody's."""
    told = json.loads((signed.root / "evidence" / "statement-00001.json").read_bytes())

    def spelled(value: object) -> bytes:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    token = base64.b64decode(told.pop("timestamp")["token"])
    (tmp_path / "token").write_bytes(token)
    (tmp_path / "stamped").write_bytes(spelled(told))
    (tmp_path / "statement").write_bytes(spelled(told["statement"]))
    (tmp_path / "signature").write_bytes(bytes.fromhex(told["signature"]))
    (tmp_path / "key").write_text(archive("keys", "show", XDG_DATA_HOME=signed.data).out)
    for command in (
        f"openssl ts -verify -in token -data stamped -CAfile {signed.ca}",
        "openssl pkeyutl -verify -pubin -inkey key -rawin -in statement -sigfile signature",
    ):
        subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)


@pytest.mark.parametrize("answer", [b"", b"nonsense", bytes(64), b"\x30\x80" * 40])
def test_an_authority_that_gives_nothing_holds_nothing_up(signed: Signed, tmp_path: Path, answer: bytes) -> None:
    root = tmp_path / "c"
    shutil.copytree(signed.root, root)
    shutil.rmtree(root / "evidence")
    with authority(tmp_path / "tsa") as tsa:
        tsa.answer = answer
        ran = archive("sign", root, "--tsa", tsa.url, XDG_DATA_HOME=signed.data)
    assert ran.code == 1
    assert "no usable time-stamp" in ran.err
    assert "Traceback" not in ran.err
    assert not list((root / "evidence").glob("*-0*.json"))
