"""What volunteers say of a host holds the others up for moments, unless two of them say it."""

from __future__ import annotations

from crawler.volunteers.hearsay import ALONE, LONGEST, MOST, Hearsay

HOST = "https://a.example"


def test_a_single_word_is_short_and_is_not_heard_again_for_long() -> None:
    heard = Hearsay()
    assert heard.until(1, HOST, 9e9, 1000.0) == 1000 + ALONE
    assert heard.until(1, HOST, 9e9, 1010.0) == 1000 + ALONE
    assert {heard.until(1, HOST, 9e9, 1000.0 + after) for after in (ALONE, 100, LONGEST - 1)} == {0}
    assert heard.until(1, HOST, 9e9, 1000.0 + LONGEST) == 1000 + LONGEST + ALONE
    assert heard.until(2, HOST, 2005.0, 2000.0) == 2005


def test_two_bind_all_for_as_long_as_both_say() -> None:
    heard = Hearsay()
    heard.until(1, HOST, 1300.0, 1000.0)
    assert heard.until(2, HOST, 9e9, 1100.0) == 1300
    assert heard.until(1, HOST, 9e9, 1200.0) == 1100 + LONGEST
    assert heard.until(3, HOST, 1205.0, 1201.0) == 1205
    assert heard.until(2, "https://b.example", 9e9, 1200.0) == 1200 + ALONE


def test_a_word_that_has_run_out_confirms_nothing() -> None:
    heard = Hearsay()
    heard.until(1, HOST, 1010.0, 1000.0)
    assert heard.until(2, HOST, 9e9, 1015.0) == 1015 + ALONE
    assert heard.until(2, HOST, 9e9, 1100.0) == 0


def test_of_one_volunteer_so_many_hosts_are_remembered() -> None:
    heard = Hearsay()
    assert all(heard.until(1, f"https://{n}.example", 9e9, 1000.0) for n in range(MOST))
    assert heard.until(1, HOST, 9e9, 1000.0) == 0
    assert heard.until(2, HOST, 9e9, 1000.0) == 1000 + ALONE
    assert heard.until(1, HOST, 9e9, 1000.0 + LONGEST) > 0
