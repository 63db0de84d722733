"""What faults strike, how often, and that trying again succeeds."""

from __future__ import annotations

import json

import pytest

from crawler.replicas.faults import Faults


def struck(faults: Faults, count: int, host: str = "a") -> list[int]:
    return [n for n in range(1, count + 1) if faults.draw(host, f"/{n}") is not None]


def test_every_nth_and_so_many_times() -> None:
    assert struck(Faults("502%10*3"), 100) == [10, 20, 30]
    assert struck(Faults("502%10"), 35) == [10, 20, 30]
    assert struck(Faults("502*2"), 10) == [1, 2]


def test_a_burst_is_the_end_of_its_period() -> None:
    assert struck(Faults("429=2%10+4"), 20) == [7, 8, 9, 10, 17, 18, 19, 20]


def test_a_transient_fault_strikes_a_url_once() -> None:
    faults = Faults("429,502,reset")
    kinds = [fault.kind if (fault := faults.draw("a", "/x")) else None for _ in range(3)]
    assert kinds == ["429", None, None]


def test_it_dies_at_a_request_for_good_and_slowly_by_halves() -> None:
    assert struck(Faults("die=tombstone%5"), 8) == [5, 6, 7, 8]
    assert struck(Faults("die=slow%2"), 24) == [2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 23, 24]
    assert struck(Faults("die=403@b"), 3) == []
    faults = Faults("die=tls%2")
    assert [bool(struck(faults, 1)) and faults.certificate == "expired" for _ in range(2)] == [False, True]
    for wrong in ("die", "die=gently", "die=200", "die=403*2"):
        with pytest.raises(ValueError, match="die"):
            Faults(wrong)


def test_a_fault_has_its_host_and_its_paths() -> None:
    faults = Faults("502@b")
    assert struck(faults, 3) == []
    assert struck(faults, 3, "b") == [1, 2, 3]
    faults.set(json.dumps([{"kind": "429", "argument": "date5", "path": "^/1"}]))
    assert struck(faults, 12) == [1, 10, 11, 12]


def test_lost_objects_stay_lost_and_others_stay_there() -> None:
    faults = Faults("s3xml%10@v", frozenset("v"))
    gone = [n for n in range(1000) if faults.is_gone("v", f"/{n}")]
    assert 50 < len(gone) < 200
    assert gone == [n for n in range(1000) if Faults("s3xml%10@v", frozenset("v")).is_gone("v", f"/{n}")]
    assert not any(faults.is_gone("w", f"/{n}") for n in range(100))
    assert struck(faults, 100, "v") == []


def test_a_login_wall_stands_until_it_is_taken_away() -> None:
    faults = Faults("login@a")
    assert struck(faults, 3) == struck(faults, 3) == [1, 2, 3]
    faults.set("")
    assert struck(faults, 3) == []


def test_darkness_falls_after_so_many_requests_or_so_long() -> None:
    assert struck(Faults("dark=5"), 8) == [5, 6, 7, 8]
    assert struck(Faults("dark=0s"), 2) == [1, 2]
    assert struck(Faults("dark=1000s"), 2) == []


@pytest.mark.parametrize(
    "text",
    [
        "nonsense", "502%0", "502%5+6", "stall=long", "429=tomorrow", "login*3", "s3xml%5+2", "%5", '[{"kind": "no"}]',
        '[{"kind": "502", "path": "("}]', '[{"kind": "502", "every": "5"}]', '[{"colour": "red"}]', "[1]", "[{}]", "[",
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_and_changes_nothing(text: str) -> None:
    faults = Faults("502")
    with pytest.raises(ValueError, match=r"."):
        faults.set(text)
    assert struck(faults, 2) == [1, 2]
