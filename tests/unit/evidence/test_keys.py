"""Keys: private ones are their owner's alone and never overwritten; rubbish is said to be so."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from crawler.errors import UsageError
from crawler.evidence import keys


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return tmp_path / "outlast" / "keys"


def test_a_key_is_for_its_owner_alone_and_is_never_overwritten(folder: Path) -> None:
    public = keys.new(keys.place("mine"))
    assert (folder / "mine.pem").stat().st_mode & 0o777 == 0o600
    before = (folder / "mine.pem").read_bytes()
    with pytest.raises(UsageError, match="never overwritten"):
        keys.new(keys.place("mine"))
    assert (folder / "mine.pem").read_bytes() == before
    assert keys.raw(keys.private(None).public_key()) == public
    (folder / "mine.pem").chmod(0o644)
    with pytest.raises(UsageError, match="chmod 600"):
        keys.private("mine")


@pytest.mark.outside
def test_openssl_reads_the_key_and_believes_the_signature(folder: Path, tmp_path: Path) -> None:
    public = keys.new(keys.place("mine"))
    (tmp_path / "public.pem").write_text(keys.pem(public))
    (tmp_path / "data").write_bytes(b"what is signed")
    (tmp_path / "signature").write_bytes(keys.private("mine").sign(b"what is signed"))
    command = [
        "openssl",
        "pkeyutl",
        "-verify",
        "-pubin",
        "-inkey",
        "public.pem",
        "-rawin",
        "-in",
        "data",
        "-sigfile",
        "signature",
    ]
    assert b"Successfully" in subprocess.run(command, cwd=tmp_path, check=True, capture_output=True).stdout
    assert keys.public(str(tmp_path / "public.pem")) == keys.public(public.hex()) == public


def test_which_of_several_keys_must_be_said(folder: Path) -> None:
    with pytest.raises(UsageError, match="archive keys new"):
        keys.private(None)
    keys.new(keys.place("one"))
    keys.new(keys.place("two"))
    assert list(keys.listed()) == ["one", "two"]
    with pytest.raises(UsageError, match="one, two"):
        keys.private(None)


@pytest.mark.parametrize("name", ["../mine", "", "a/b", ".hidden", "x" * 65, "a\nb"])
def test_a_name_is_no_path(name: str) -> None:
    with pytest.raises(UsageError):
        keys.place(name)


def test_rubbish_is_no_key(tmp_path: Path) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_bytes(b"-----BEGIN PRIVATE KEY-----\nrubbish\n-----END PRIVATE KEY-----\n")
    bad.chmod(0o600)
    for wrong in (
        lambda: keys.private(str(bad)),
        lambda: keys.public(str(bad)),
        lambda: keys.public("nothing"),
        lambda: keys.public("ab" * 31),
    ):
        with pytest.raises(UsageError):
            wrong()
    public = keys.new(tmp_path / "k.pem")
    signature = keys.private(str(tmp_path / "k.pem")).sign(b"x")
    assert keys.holds(public, signature, b"x")
    assert not keys.holds(public, signature, b"y")
    assert not keys.holds(public, b"", b"x")
    assert not keys.holds(b"short", b"", b"x")
