import os
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import pytest

from crawler.cold import audit
from crawler.cold.audit import Verdict
from crawler.cold.copies import Copies, Copy, CopyState
from crawler.cold.destination import Destination
from crawler.cold.look import Seen, learn
from crawler.cold.store import Denied, NoBucket, Unavailable

COPY = Copy(object="warcs/a", sha256="0" * 64, destination="d", key="k/a.warc.gz", state=CopyState.PENDING, bytes=3)


@pytest.fixture
def copies(tmp_path: Path):
    ledger = Copies(tmp_path / "copies.sqlite")
    ledger.add("d", asdict(Destination(name="d", path=str(tmp_path))))
    ledger.want([COPY], now=time.time())
    ledger.set(COPY, CopyState.PROVEN, now=time.time())
    yield ledger
    ledger.close()


def test_what_is_lost_is_remembered_though_its_sending_began(copies: Copies) -> None:
    learn(copies, COPY, Seen("changed", "other bytes than were sent"))
    (row,) = copies.all("d")
    assert (row.state, row.key) == (CopyState.PENDING, "k/a~2.warc.gz")
    copies.set(row, CopyState.UPLOADED, now=time.time())
    (lost,) = copies.lost("d")
    assert (lost.key, lost.what) == ("k/a.warc.gz", "changed")
    copies.forget(row)
    assert not copies.lost("d")


def test_what_is_as_it_was_is_not_lost(copies: Copies) -> None:
    learn(copies, COPY, Seen())
    learn(copies, COPY, Seen("archived", "asleep"))
    assert [row.state for row in copies.all("d")] == [CopyState.PROVEN]


def test_a_collection_that_cannot_be_written_is_audited_and_stays_as_it_is(
    copies: Copies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with audit._ledger(tmp_path) as ledger:
        assert ledger.all() == copies.all(), "also what is in its log only"
        learn(ledger, COPY, Seen("missing"))
        assert ledger.lost("d")
    assert not copies.lost("d")


@pytest.mark.parametrize(
    ("verdict", "code"),
    [
        ({"there": 3}, 0),
        ({"there": 1, "unmade": 2}, 3),
        ({"there": 1, "unproven": 2}, 3),
        ({"damaged": 1, "unmade": 2}, 6),
        ({"error": Unavailable()}, 3),
        ({"error": NoBucket()}, 3),
        ({"error": Denied()}, 4),
        ({"error": Denied(), "damaged": 1}, 6),
    ],
)
def test_the_worst_is_what_it_ends_with(verdict: dict, code: int) -> None:
    assert Verdict(destination="d", looked=Counter(), **verdict).exit_code == code


def test_a_sample_is_never_none() -> None:
    rows = [COPY]
    assert audit._to_be_read(rows, "sample") == {("warcs/a", "0" * 64)}
    assert audit._to_be_read(rows, "none") == audit._to_be_read([], "full") == set()
