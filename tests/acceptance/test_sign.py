"""A signed collection is proved somewhere else with the public key alone, and one changed byte anywhere is named."""

from __future__ import annotations

import gzip
import json
import random
import re
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from crawler.collection import Collection
from crawler.evidence import check, proof
from crawler.evidence.canonical import canonical
from crawler.replicas.run import running
from tests.acceptance.signing import Signed, flip_and_look, made, rules
from tests.acceptance.support import ROOT, archive, environment, namespace


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Signed:
    return made(tmp_path_factory.mktemp("signed"))


def test_it_is_proved_elsewhere_with_the_public_key_alone(signed: Signed, tmp_path: Path) -> None:
    shutil.copytree(signed.root, tmp_path / "elsewhere")
    nowhere = {"XDG_DATA_HOME": str(tmp_path / "nothing")}
    ran = archive("verify", tmp_path / "elsewhere", "--public-key", signed.key, "--json", **nowhere)
    assert ran.code == 0, ran.err
    assert ran.summary["errors"] == ran.summary["warnings"] == 0
    found = [json.loads(line) for line in ran.out.splitlines()]
    holding = [one for one in found if one.get("rule") == "S012-holds"]
    assert any("statement 1" in one["message"] for one in holding)
    other = archive("verify", tmp_path / "elsewhere", "--public-key", "00" * 32, **nowhere)
    assert other.code == 6
    assert "S002-key" in other.out


def test_one_changed_byte_in_any_file_is_named(signed: Signed, tmp_path: Path) -> None:
    flip_and_look(signed, tmp_path / "c")


def test_every_byte_of_a_statement_counts(signed: Signed, tmp_path: Path) -> None:
    path = signed.root / "evidence" / "statement-00001.json"
    collection, whole = Collection.open(signed.root), path.read_bytes()
    moved = Collection(tmp_path, collection.marker)
    moved.evidence.mkdir()
    for at in range(len(whole)):
        # Of every second byte the bit that makes letters big.
        changed = whole[:at] + bytes([whole[at] ^ (1 if at % 2 else 32)]) + whole[at + 1 :]
        (moved.evidence / path.name).write_bytes(changed)
        assert "S001-statement" in {one.rule for one in check.findings(moved, [], [])}, at


def test_what_is_taken_away_slipped_in_or_rewritten_is_named(signed: Signed, tmp_path: Path) -> None:
    root = tmp_path / "c"
    shutil.copytree(signed.root, root)
    index = next((root / "indexes").iterdir())
    index.rename(tmp_path / "kept")
    (root / "indexes" / "another.cdxj").write_bytes(b"")
    assert rules(root, signed)[index.name] == {"S006-gone"}
    (tmp_path / "kept").rename(index)
    told = archive("verify", root, "--public-key", signed.key)
    assert "S011-surplus" in told.out
    # A manifest that is written anew from the start is a chain all right, and not the one that was signed.
    lines = (root / "manifest.jsonl").read_bytes().splitlines()
    (root / "manifest.jsonl").write_bytes(b"\n".join(lines[:-1]) + b"\n")
    assert "S004-manifest" in rules(root, signed)["manifest.jsonl"]
    shutil.rmtree(root / "evidence")
    assert rules(root, signed)["evidence"] == {"S007-unsigned"}


def test_what_is_crawled_further_is_signed_again_and_chained(signed: Signed, tmp_path: Path) -> None:
    root = tmp_path / "c"
    with running("mastodon", size=30) as replica:
        crawl = ["crawl", f"127.0.0.1:{replica.port}", "--into", root]
        assert archive(*crawl, "--limit", "60").code == 7
        assert archive("sign", root, XDG_DATA_HOME=signed.data).code == 0
        again = archive("sign", root, "--json", XDG_DATA_HOME=signed.data)
        assert not again.summary["is_new"]
        assert archive(*crawl).code == 0
    further = archive("verify", root, "--public-key", signed.key, "-v")
    assert further.code == 0, further.out
    assert "S010-later" in further.out
    ran = archive("seal", root, "--json", XDG_DATA_HOME=signed.data)
    assert ran.summary["number"] == 2
    assert archive("verify", root, "--public-key", signed.key).code == 0
    (root / "evidence" / "statement-00001.json").unlink()
    found = archive("verify", root, "--public-key", signed.key)
    assert found.code == 6
    assert "S003-chain" in found.out


def test_one_record_is_proved_with_nothing_else_at_hand(signed: Signed, tmp_path: Path) -> None:
    lines = [
        json.loads(line.split(" ", 2)[2])
        for index in sorted((signed.root / "indexes").glob("*.cdxj"))
        for line in index.read_text().splitlines()
    ]
    urls = Counter(one["url"] for one in lines)
    facts = next(one for one in lines if urls[one["url"]] == 1 and "-w" in one["filename"])
    out = tmp_path / "proof.zip"
    ran = archive("prove", signed.root, facts["url"], "-o", out, "--json")
    assert ran.code == 0, ran.err
    shown = archive("verify", out, "--public-key", signed.key)
    assert shown.code == 0, shown.out
    assert facts["url"] in shown.out
    assert archive("verify", out, "--public-key", "11" * 32).code == 6
    assert archive("prove", signed.root, facts["url"], "-o", out).code == 2
    assert archive("prove", signed.root, "http://nowhere.example/", "-o", tmp_path / "no").code == 2
    with zipfile.ZipFile(out) as bundle:
        told, record = bundle.read("proof.json"), bundle.read("record.warc.gz")
    segment = (signed.root / "warcs" / facts["filename"]).read_bytes()
    assert segment[int(facts["offset"]) :].startswith(record)
    # By its place and by its id it is the same proof.
    identity = re.search(rb"WARC-Record-ID: (\S+)", gzip.decompress(record))
    assert identity
    for number, what in enumerate([f"{facts['filename']}:{facts['offset']}", identity[1].decode()]):
        assert archive("prove", signed.root, what, "-o", tmp_path / f"{number}").code == 0
        assert (tmp_path / f"{number}").read_bytes() == out.read_bytes()
    forged = tmp_path / "forged.zip"
    shape = json.loads(told)
    for place in ("record", "segment"):
        true = shape[place]["size"]
        for size in {*range(1, true + 4)} - {true}:
            with zipfile.ZipFile(forged, "w") as bundle:
                bundle.writestr("proof.json", canonical({**shape, place: {**shape[place], "size": size}}))
                bundle.writestr("record.warc.gz", record)
            assert "error" in {one.severity for one in proof.findings(forged, [], [])}, (place, size)
    chance = random.Random(7)
    for changed in range(150):
        parts = [told, record]
        which = changed % 2
        at = chance.randrange(len(parts[which]))
        parts[which] = (
            parts[which][:at] + bytes([parts[which][at] ^ (1 << chance.randrange(8))]) + parts[which][at + 1 :]
        )
        with zipfile.ZipFile(forged, "w") as bundle:
            bundle.writestr("proof.json", parts[0])
            bundle.writestr("record.warc.gz", parts[1])
        assert "error" in {one.severity for one in proof.findings(forged, [bytes.fromhex(signed.key)], [])}, (which, at)


@pytest.mark.parametrize("data", [b"", b"PK\x05\x06" + bytes(18), b"nonsense"])
def test_rubbish_is_no_proof(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "p.zip").write_bytes(data)
    ran = archive("verify", tmp_path / "p.zip")
    assert "Traceback" not in ran.err
    with zipfile.ZipFile(tmp_path / "q.zip", "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr("proof.json", b"{" + data.hex().encode() * 100)
        bundle.writestr("record.warc.gz", bytes(10000))
    ran = archive("verify", tmp_path / "q.zip")
    assert ran.code == 6
    assert "P001-proof" in ran.out


def test_a_bag_is_valid_and_holds_the_collection(signed: Signed, tmp_path: Path) -> None:
    ran = archive("sign", signed.root, "--bagit", tmp_path / "bag", XDG_DATA_HOME=signed.data)
    assert ran.code == 0, ran.err
    validate = [sys.executable, "-m", "bagit", "--validate", str(tmp_path / "bag")]
    assert subprocess.run(validate, check=False, capture_output=True).returncode == 0
    held = tmp_path / "bag" / "data"
    assert archive("verify", held, "--public-key", signed.key).code == 0
    segment = next((signed.root / "warcs").iterdir())
    assert (held / "warcs" / segment.name).samefile(segment)
    ran = archive("export", signed.root, "--format", "bagit", "--output", tmp_path / "exported")
    assert ran.code == 0, ran.err
    sums = [(tmp_path / name / "manifest-sha256.txt").read_bytes() for name in ("bag", "exported")]
    assert sums[0] == sums[1]
    # What a crawl goes on writing to is the bag's own.
    for name in ("manifest.jsonl", "frontier.sqlite", "collection.json", "logs/crawl.log"):
        assert not (held / name).samefile(signed.root / name), name
    assert archive("sign", signed.root, "--bagit", tmp_path / "bag", XDG_DATA_HOME=signed.data).code == 2
    log = held / "logs" / "crawl.log"
    log.write_bytes(log.read_bytes()[:-1])
    assert subprocess.run(validate, check=False, capture_output=True).returncode != 0


def test_no_bag_is_made_of_what_is_damaged(signed: Signed, tmp_path: Path) -> None:
    root = tmp_path / "c"
    shutil.copytree(signed.root, root)
    segment = next((root / "warcs").iterdir())
    whole = segment.read_bytes()
    segment.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    told = archive("sign", root, XDG_DATA_HOME=signed.data)
    assert told.code == 0
    assert "archive verify reads their bytes" in told.out
    for command in (["export", root, "-f", "bagit", "-o"], ["sign", root, "--bagit"]):
        ran = archive(*command, tmp_path / "bag", XDG_DATA_HOME=signed.data)
        assert (ran.code, len(ran.err.splitlines())) == (6, 1), ran.err
        assert segment.name in ran.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c"]


def test_a_state_that_no_run_changed_is_named(signed: Signed, tmp_path: Path) -> None:
    root = tmp_path / "c"
    shutil.copytree(signed.root, root)
    marker = root / "collection.json"
    whole = marker.read_bytes()
    with (root / "logs" / "crawl.log").open("a") as log:
        log.write("a line more\n")
    for old, new, rule, code in (
        (b'"since": null', b'"since": 2020', "S014-state", 0),
        (b'"mastodon"', b'"mastodom"', "S005-file", 6),
        (b'"format": 1', b'"format": x', "C013-marker", 6),
    ):
        marker.write_bytes(whole.replace(old, new))
        ran = archive("verify", root, "--public-key", signed.key)
        assert (ran.code, rule in ran.out) == (code, True), ran.out + ran.err
    marker.write_bytes(whole)
    ran = archive("verify", root, "--public-key", signed.key)
    assert "(0 errors, 0 warnings)" in ran.out


def test_a_full_disk_is_one_line(signed: Signed, tmp_path: Path) -> None:
    """Under what is signed, and under a new collection: exit code 8."""
    disk, key = tmp_path / "disk", next(Path(signed.data).rglob("*.pem"))
    disk.mkdir()
    full = f"mount -t tmpfs -o size=256k none {disk} && cp {signed.root}/logs/* {disk}/ && head -c 1M /dev/zero > {disk}/fill"
    unsigned = (
        f"cp -r {signed.root} {tmp_path}/c; rm {tmp_path}/c/evidence/*; mount --bind {disk} {tmp_path}/c/evidence"
    )
    for command in (
        f"{unsigned}; exec {sys.executable} -m cli sign {tmp_path}/c --key {key}",
        f"exec {sys.executable} -m cli merge {disk}/new {signed.root}",
        f"exec {sys.executable} -m cli export {signed.root} -f bagit -o {disk}/bag",
    ):
        shell = [*namespace(), "sh", "-c", f"{full}; {command}"]
        ran = subprocess.run(shell, check=False, capture_output=True, text=True, cwd=ROOT, env=environment())
        told = [line for line in ran.stderr.splitlines() if not line.startswith("head:")]
        assert (ran.returncode, len(told)) == (8, 1), ran.stderr


def test_a_crawl_goes_on_without_its_authority(tmp_path: Path) -> None:
    with running("mastodon", size=20) as replica:
        ran = archive("crawl", f"127.0.0.1:{replica.port}", "--into", tmp_path / "c", "--tsa", "http://127.0.0.1:9/")
    assert ran.code == 0, ran.err
    assert "no time-stamp" in ran.err


def test_what_cannot_be_signed_is_said(tmp_path: Path, signed: Signed) -> None:
    assert archive("sign", tmp_path / "nothing", XDG_DATA_HOME=signed.data).code == 10
    assert archive("sign", signed.root, XDG_DATA_HOME=str(tmp_path)).code == 2
    assert archive("sign", signed.root, "--tsa", "ftp://x/", XDG_DATA_HOME=signed.data).code in {0, 2}
    assert archive("verify", signed.root, "--public-key", "rubbish").code == 2
    root = tmp_path / "spoilt"
    shutil.copytree(signed.root, root)
    (root / "evidence" / "statement-00001.json").write_bytes(b"{}")
    spoilt = archive("sign", root, XDG_DATA_HOME=signed.data)
    assert spoilt.code == 6
    assert "statement-00001.json" in spoilt.err
    root = tmp_path / "c"
    shutil.copytree(signed.root, root)
    next((root / "warcs").iterdir()).rename(root / "warcs" / "x.warc.gz.open")
    assert archive("sign", root, XDG_DATA_HOME=signed.data).code == 2


def test_a_lost_manifest_is_no_empty_collection(tmp_path: Path, signed: Signed) -> None:
    shutil.copytree(signed.root, tmp_path / "c")
    (tmp_path / "c" / "manifest.jsonl").unlink()
    (tmp_path / "disk").mkdir()
    for command in (
        ["sign", tmp_path / "c"],
        ["push", tmp_path / "c", "--to", f"file://{tmp_path / 'disk'}"],
        ["export", tmp_path / "c", "-f", "wacz", "-o", tmp_path / "c.wacz"],
    ):
        ran = archive(*command, XDG_DATA_HOME=signed.data)
        assert ran.code == 6, command
        assert "manifest.jsonl is gone" in ran.err
    assert not (tmp_path / "c.wacz").exists()
