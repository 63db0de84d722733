"""Orders to a crawl: what they amount to, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from crawler.control import FILE, Order, Orders, checked, give, is_paused, steering
from crawler.errors import UsageError
from crawler.politeness.pace import Pace

HOST = "https://host.example"


def test_the_newest_order_holds(tmp_path: Path) -> None:
    for verb, subject, value in [
        ("pause", "", 0), ("rate", "a.example", 5), ("rate", "a.example", 2), ("rate", "b.example", 3),
        ("rate", "b.example", 0), ("concurrency", "a.example:8443", 0), ("lane", "video", -1), ("exclude", "/ads/", 0),
        ("exclude", "/tags/", 0), ("include", "/ads/", 0), ("resume", "", 0), ("retry", "parked", 0),
    ]:  # fmt: skip
        give(tmp_path, checked(verb, subject, value, by="command"))
    orders = Orders(tmp_path)
    assert len(orders.news()) == 12
    assert orders.news() == []
    found = orders.standing()
    assert not found.paused
    assert found.rates == {"a.example": 2}
    assert found.concurrency == {"a.example:8443": 0}
    assert found.lanes == {"video": -1}
    assert found.exclude == ("/tags/",)


def test_a_torn_line_was_never_an_order(tmp_path: Path) -> None:
    give(tmp_path, checked("pause", by="command"))
    with (tmp_path / FILE).open("ab") as out:
        out.write(b'{"verb": "resu')
    assert is_paused(tmp_path)
    give(tmp_path, checked("exclude", "/x/", by="page"))
    orders = Orders(tmp_path)
    assert [order.verb for order in orders.news()] == ["pause", "exclude"]


@pytest.mark.parametrize(
    "line", [b"rubbish", b"[]", b'{"verb":"rate","subject":"h","value":1e9}', b'{"verb":"fly"}', b"\xff"]
)
def test_a_line_that_is_no_order_says_nothing(tmp_path: Path, line: bytes) -> None:
    (tmp_path / FILE).write_bytes(line + b"\n")
    orders = Orders(tmp_path)
    assert orders.news() == [Order(verb="")]
    assert orders.standing() == steering(())


@pytest.mark.parametrize(
    ("verb", "subject", "value"),
    [
        ("fly", "", 0), ("retry", "all", 0), ("rate", "", 1), ("rate", "a b", 1), ("rate", "a.example", -1),
        ("rate", "a.example", float("nan")), ("rate", "a.example", 1e6), ("exclude", "(", 0), ("exclude", "", 0),
        ("exclude", "x" * 2000, 0), ("lane", "video\n", 1),
    ],
)  # fmt: skip
def test_nonsense_is_refused(verb: str, subject: str, value: float) -> None:
    with pytest.raises(UsageError):
        checked(verb, subject, value, by="command")


def test_a_host_gets_ceilings_of_its_own_at_once() -> None:
    pace = Pace(concurrency=16)
    assert pace.room(HOST, 0) > 0
    pace.steer({}, {"host.example": 0})
    assert pace.room(HOST, 0) == 0
    assert pace.is_closed(HOST)
    assert not pace.is_closed("https://other.example")
    pace.steer({"host.example": 2.0}, {})
    starts, now = 0, 100.0
    while now < 110:
        if pace.room(HOST, now):
            pace.started(HOST, now)
            starts += 1
            pace._hosts[HOST].active = 0
        now += 0.01
    assert 18 <= starts <= 22
    pace.steer({}, {})
    assert pace._hosts[HOST].ceilings is pace.ceilings
