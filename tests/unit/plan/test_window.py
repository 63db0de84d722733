"""Which part of what is yet to be found is of the window: listings that tell how old they are, and such that do not."""

from __future__ import annotations

from typing import Any

import pytest

from crawler.frontier.interface import Bucket
from crawler.model import Covered, Fetch, Settlement, Standing, State
from crawler.plan.value import Window, dated
from crawler.plan.window import Parts

WINDOW = Window.of("2021-01-06/2021-01-07")
CHAIN = {("listings", "listings"): 6}


def bucket(lane: str, day: str, **counts: int) -> Bucket:
    plain = {"queued": 0, "leased": 0, "done": 0, "given_up": 0, "bytes": 0}
    return Bucket(id=0, lane=lane, origin="https://a.example", day=day, value=0, **{**plain, **counts})


def parts(*looks: list[Bucket], led: dict[tuple[str, str], int] | None = None) -> Parts:
    found = Parts([WINDOW], lambda one: one.queued + one.done, frozenset({"listings"}))
    for look in looks:
        found.note(look, led or {})
    return found


def test_a_listing_may_lead_to_the_window_until_it_is_older() -> None:
    found = parts([])
    asked = {day: found.is_wanted("listings", day) for day in ("", "2021-01-09", "2021-01-06", "2021-01-05")}
    assert asked == {"": True, "2021-01-09": True, "2021-01-06": True, "2021-01-05": False}
    assert [found.is_wanted("posts", day) for day in ("", "2021-01-09", "2021-01-06")] == [False, False, True]
    assert not Parts([], lambda one: 0, frozenset({"listings"})).is_wanted("listings", "")


def test_each_listing_brings_as_much_of_the_window_as_those_that_are_past_it() -> None:
    known = [
        bucket("listings", "", done=10), bucket("listings", "2021-01-09", queued=4), bucket("listings", "2021-01-02", queued=2),
        bucket("posts", "2021-01-06", done=59), bucket("posts", "2021-01-09", done=100),
    ]  # fmt: skip
    # Ten listings began; four are yet to pass, six have passed and brought 59.
    assert parts(known, led=CHAIN).likely("posts", 100.0) == pytest.approx(4 * (59 + 1) / 6 / 100)


def test_a_day_of_the_window_is_as_full_as_a_newer_one_where_listings_tell_no_days() -> None:
    newer = [bucket("posts", day, done=50) for day in ("2021-01-08", "2021-01-09", "2021-01-10")]
    assert parts(newer, newer).likely("posts", 200.0) == pytest.approx(2 * 50 / 200)
    reached = [*newer, bucket("posts", "2021-01-06", done=80)]
    assert parts(newer, reached).likely("posts", 200.0) == pytest.approx((2 * 50 - 80) / 200)
    assert parts(reached, [*reached, bucket("posts", "2021-01-04", done=90)]).likely("posts", 200.0) == 0


def told(*outlinks: Fetch, **facts: Any) -> Settlement:
    return Settlement(id=1, token=1, state=State.DONE, outlinks=outlinks, **facts)


def test_the_next_page_of_a_listing_has_the_day_of_this_one() -> None:
    posts = [Fetch(url=f"https://a.example/{n}", lane="posts", day=f"2021-01-0{n}") for n in (9, 8, 8)]
    old = Fetch(url="https://a.example/pinned", lane="posts", day="2014-05-01")
    following = Fetch(url="https://a.example/?page=2", lane="listings", deeper=True)
    *others, page = dated(told(*posts, old, following)).outlinks
    assert page.day == "2021-01-08"
    assert others == [*posts, old]
    held = Covered(kind="post", id="7", standing=Standing.CAPTURED, day="2021-01-07")
    assert dated(told(following, coverage=(held,))).outlinks[0].day == "2021-01-07"
    for plain in (told(following), told(*posts)):
        assert dated(plain) is plain
