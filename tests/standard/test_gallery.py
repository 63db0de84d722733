"""The rogue gallery: every fault is named by its rule and by no other, and what is good passes."""

from __future__ import annotations

from pathlib import Path

import pytest

from crawler.evidence import check
from crawler.warc.verify import RULES, verify_file, verify_files
from crawler.warc.verify.rules import Rule, table
from tests.standard.rogues import ANSWERED, ASKED, GOOD, INFO, NAMED, REVISIT, ROWS, Row, packed, plain, request


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.name}{row.suffix}")
def test_row(row: Row, tmp_path: Path) -> None:
    path = tmp_path / f"data{row.suffix}"
    path.write_bytes(row.make())
    findings = list(verify_file(path))
    rules = {finding.rule for finding in findings}
    assert rules <= {row.rule} | row.also, findings
    assert not row.rule or row.rule in rules
    if row.rule and RULES[row.rule].severity != "error":
        assert not any(finding.severity == "error" for finding in findings), findings


def test_every_rule_of_files_has_a_row() -> None:
    """W043 needs a file that cannot be read, C rules a collection: both have tests of their own."""
    assert {row.rule for row in ROWS} - {""} == {rule for rule in RULES if rule[0] != "C"} - {"W043-unreadable"}


def test_the_table_in_the_docs_is_that_in_the_code() -> None:
    rules = {**RULES, **{name: Rule(*told) for name, told in check.RULES.items()}}
    assert table(rules) in Path("docs/verify.md").read_text("utf-8")


def laid(folder: Path, **files: bytes) -> list[Path]:
    paths = []
    for name, data in files.items():
        paths.append(folder / f"{name}.warc.gz")
        paths[-1].write_bytes(data)
    return paths


def test_files_that_belong_together_are_read_together(tmp_path: Path) -> None:
    """A revisit may refer to another file; an id may not be used in two. However many are read at once."""
    paths = laid(
        tmp_path,
        one=packed(INFO, ASKED, ANSWERED),
        two=packed(INFO.of(WARC_Record_ID="<urn:x:2>"), request(7), REVISIT),
        three=packed(INFO, NAMED),
        four=hole_in_the_middle(),
    )
    alone = [list(verify_files(paths[:2])), list(verify_files(paths[1:2]))]
    assert [[f.rule for f in found] for found in alone] == [[], ["W022-revisit-dangling"]]
    together = list(verify_files(paths))
    assert [(f.file, f.rule) for f in together if f.rule == "W006-duplicate-id"] == [
        ("three.warc.gz", "W006-duplicate-id")
    ]
    assert list(verify_files(paths, jobs=3)) == together


def hole_in_the_middle() -> bytes:
    data = packed(*(one.of(WARC_Record_ID=f"<urn:y:{number}>") for number, one in enumerate(GOOD)))
    return data[:900] + bytes(40) + data[940:]


def test_what_follows_damage_is_checked_as_well(tmp_path: Path) -> None:
    first, last = packed(*GOOD[:3]), packed(request(20), NAMED.of(WARC_Date="teatime"))
    (path,) = laid(tmp_path, one=first[:-9] + bytes(9) + last)
    found = [(f.rule, f.offset) for f in verify_file(path) if f.rule in {"W001-torn", "W005-date"}]
    assert found == [("W001-torn", len(packed(*GOOD[:2]))), ("W005-date", len(first) + len(packed(request(20))))]


def test_a_file_made_to_be_read_over_and_over_is_not(tmp_path: Path) -> None:
    """Every few bytes a record that claims all of the rest: each is looked for, and the rest read a few times."""
    path = tmp_path / "data.warc"
    count = 20_000
    heads = [b"\nWARC/1.1\r\nContent-Length: %010d\r\n\r\n" % ((count - n) * 41 - 60) for n in range(count)]
    path.write_bytes(plain(INFO) + b"".join(heads) * 4)
    assert {"W032-garbage", "W027-length"} <= {finding.rule for finding in verify_file(path)}


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (path,) = laid(tmp_path, one=b"")
    path.unlink()
    path.mkdir()
    assert [finding.rule for finding in verify_file(path)] == ["W043-unreadable"]


def test_what_a_file_says_moves_no_cursor(tmp_path: Path) -> None:
    (path,) = laid(tmp_path, one=packed(INFO, NAMED.of(WARC_Type="\x1b[2Jwish", WARC_Target_URI="\x1b]0;tea\x07")))
    found = list(verify_file(path))
    assert {"W009-unknown-type", "W015-target"} <= {finding.rule for finding in found}
    assert all(finding.message.isprintable() for finding in found)
