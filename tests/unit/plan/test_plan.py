"""What a plan is made of: worth, windows, estimates, order, forecast; and small worlds in which it is put to use."""

from __future__ import annotations

import json
from math import inf
from typing import Any

import pytest

from benchmarks.plan_bounds import far_seeing
from benchmarks.plan_world import LANES, Run, scenario
from crawler.frontier.interface import Bucket
from crawler.model import Claim, Fetch
from crawler.plan import Goal, Plan, Planner, Share, headline, share_known
from crawler.plan.estimate import Learned, expected
from crawler.plan.policy import Heap, Leads, Prices, arranged, densities, drained, price_of_a_byte
from crawler.plan.share import unfound
from crawler.plan.value import LEADING, Window, is_expiring, marked, worth
from crawler.plan.words import decisions, lines

SITE = "https://a.example"
NOW = 1_610_236_800.0


def heap(count: float, worth: float, *, seconds: float = 1.0, size: float = 1.0, **facts: Any) -> Heap:
    facts = {"lane": "posts", "origin": SITE, "density": worth / seconds, **facts}
    return Heap(count=count, worth=worth, seconds=seconds, size=size, **facts)


def bucket(number: int, lane: str, **facts: Any) -> Bucket:
    plain = {"day": "", "value": 0, "queued": 0, "leased": 0, "done": 0, "given_up": 0, "bytes": 0}
    return Bucket(id=number, lane=lane, origin=SITE, **{**plain, **facts})


def test_days_of_a_window_are_whole_and_those_of_a_zone_are_two() -> None:
    window = Window.of("2021-01-06/2021-01-07")
    assert str(window) == "2021-01-06T00:00Z/2021-01-08T00:00Z"
    assert [window.has(day) for day in ("2021-01-05", "2021-01-06", "2021-01-07", "2021-01-08", "")] == [
        False, True, True, False, False,
    ]  # fmt: skip
    assert Window.of(str(window)) == window
    day = Window.of_day("2021-01-06", "America/New_York")
    assert str(day) == "2021-01-06T05:00Z/2021-01-07T05:00Z"
    assert day.has("2021-01-07")


@pytest.mark.parametrize(
    "text", ["", "x", "2021-01-07/2021-01-05", "2021-13-01", "2021-01-06T10:00Z/2021-01-06T09:00Z"]
)
def test_what_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Window.of(text)


def test_what_is_of_the_window_is_worth_more_than_anything_that_is_not() -> None:
    inside = [worth(lane, 0, in_window=True) for lane in LANES.values() if lane.order > LEADING]
    outside = [worth(lane, 0, in_window=False) for lane in LANES.values()]
    assert min(inside) > max(outside)
    assert worth(LANES["posts"], 0, in_window=False) > worth(LANES["images"], 0, in_window=False)


def test_signed_urls_expire_and_others_do_not() -> None:
    signed = marked(Fetch(url=f"{SITE}/a.jpg?X-Amz-Signature=ab&X-Amz-Expires=300", lane="images", value=2), NOW)
    assert is_expiring(signed.value)
    assert marked(signed, NOW) is signed
    dated = marked(Fetch(url=f"{SITE}/a.jpg?Signature=ab&Expires={NOW + 300:.0f}", lane="images", value=2), NOW)
    assert dated.value > signed.value, "what is known to end goes first"
    for plain in ("a.jpg?width=300", "a.jpg?e=1234567890", f"a.jpg?Signature=ab&Expires={NOW - 1:.0f}"):
        fetch = Fetch(url=f"{SITE}/{plain}", lane="images")
        assert marked(fetch, NOW) is fetch


def test_bytes_have_the_price_at_which_what_is_worth_them_fits() -> None:
    small, large = heap(100, 3.0, size=1.0), heap(100, 6.0, size=100.0, lane="originals")
    assert price_of_a_byte([small, large], 1e6, None) == 0
    assert price_of_a_byte([small, large], 1e6, 20_000) == 0
    price = price_of_a_byte([small, large], 1e6, 100.0)
    placed = arranged([large, small], left=1e6, capacity=100.0, bandwidth=None, price=price)
    assert {one.lane: bool(one.waits) for one in placed} == {"posts": False, "originals": True}
    assert sorted(drained(placed, left=1e6, capacity=100.0)) == [0, 100]


def test_something_always_goes_on() -> None:
    (one,) = arranged([heap(5, 6.0, size=1000.0)], left=1e6, capacity=10.0, bandwidth=None)
    assert one.waits == ""


def test_what_cannot_finish_is_not_begun() -> None:
    placed = arranged(
        [heap(5, 6.0, size=5000.0, lane="originals"), heap(9, 1.0)], left=10, capacity=None, bandwidth=100.0
    )  # fmt: skip
    assert {one.lane: one.waits for one in placed} == {"originals": "one takes 50 s and 10 s are left", "posts": ""}


def test_what_expires_goes_at_once_but_only_if_it_would_go_at_all() -> None:
    def first(left: float, lasts: float, worth: float = 3.0) -> str:
        heaps = [heap(50, 10.0), heap(20, worth, lane="images", lasts=lasts)]
        return arranged(heaps, left=left, capacity=None, bandwidth=None)[0].lane

    assert [first(100, 0), first(50, 0)] == ["images", "posts"], "nobody knows when"
    assert [first(100, lasts) for lasts in (30, 69)] == ["images", "images"]
    assert [first(100, lasts, 2.0) for lasts in (0, 30)] == ["posts", "posts"], "less than a death would take of posts"
    assert [first(100, lasts) for lasts in (70, inf)] == ["posts", "posts"], "its turn comes before"
    assert first(50, 30) == "posts", "it would not go at all"


def test_what_expires_first_goes_first_and_what_has_expired_last() -> None:
    heaps = [heap(5, 3.0, lane="images", lasts=lasts) for lasts in (12, 20, -1, 9)]
    placed = arranged([*heaps, heap(50, 10.0)], left=100, capacity=None, bandwidth=None)
    assert [one.lasts for one in placed] == [9, 12, 20, inf, -1], "in the order in which they end"
    assert placed[-1].waits == "its links have expired"
    (only,) = arranged([heaps[2]], left=100, capacity=None, bandwidth=None)
    assert not only.waits, "there is nothing else to do"


def test_of_what_is_worth_as_much_the_one_with_work_for_an_idle_host_goes_first() -> None:
    kinds = {
        (one.lane, False): one for one in (heap(9, 10.0, lane="listings"), heap(9, 10.0), heap(0, 3.0, lane="images"))
    }
    images = kinds["images", False] = heap(0, 3.0, lane="images", origin="https://media.example")
    leads = Leads({("posts", "images"): 1.0, ("listings", "posts"): 10.0}, {}, kinds)
    idle = densities(kinds.values(), leads, Prices())
    assert [one.lane for one in idle] == ["posts", "listings", "images"]
    busy = densities(kinds.values(), leads, Prices({images.origin: 3.0}))
    assert {one.lane: one.density for one in busy} == {"posts": 10.0, "listings": 10.0, "images": 3.0}


def test_what_waits_leads_to_as_much_as_what_was_settled_did() -> None:
    known = {("listings", True): (10, 10), ("posts", False): (50, 50)}
    led = {("listings", "posts"): 100, ("posts", "images"): 100}
    facts: dict[str, Any] = {"leading": frozenset({"listings"})}
    found = expected(known, led, lambda lane, more: 0.25, lambda lane: 0.25, **facts)
    assert found.more["posts", True].likely == pytest.approx(25)
    assert found.more["posts", False].likely == pytest.approx(75)
    assert found.more["images", True].likely == pytest.approx(50)
    assert found.more["images", False].likely == pytest.approx(250)
    told = expected(known, led, lambda lane, more: 0.0, lambda lane: 0.0, share=0.5, **facts)
    assert sum(one.likely for one in told.more.values()) == pytest.approx(120)
    known["listings", False] = known.pop(("listings", True))
    past = expected(known, led, lambda *_: 1.0, lambda _: 1.0, **facts)
    assert ("posts", True) not in past.more


def test_a_platforms_counter_says_what_share_is_known() -> None:
    claims = [Claim(kind="post", count=200, counter="posts"), Claim(kind="account", count=9, counter="users")]
    assert share_known(claims, {"post": {"captured": 40, "known": 10, "vacant": 7}}) == 0.25
    assert share_known(claims, {"post": {"captured": 1}}) is None
    assert share_known([], {}) is None


def test_lanes_that_lead_to_each_other_end_some_time() -> None:
    known = {("posts", False): (300, 100), ("accounts", False): (200, 10), ("images", False): (0, 0)}
    led = {("posts", "accounts"): 210, ("accounts", "posts"): 400, ("posts", "images"): 250}
    found = expected(known, led, lambda *_: 0.0, lambda _: 0.0, leading=frozenset())
    assert found.is_growing, "more is found than fetched"
    assert all(100 < one.likely <= one.high < 50_000 for one in found.more.values()), found.more
    late = {("posts", False): (3, 3000), ("accounts", False): (2, 1000), ("images", False): (0, 0)}
    found = expected(late, led, lambda *_: 0.0, lambda _: 0.0, leading=frozenset())
    assert not found.is_growing
    assert all(one.likely < 20 for one in found.more.values()), found.more


def test_a_share_counts_what_failed_and_what_is_expected() -> None:
    buckets = [
        bucket(1, "listings", queued=10, done=10),
        bucket(2, "posts", queued=50, done=50),
        bucket(3, "robots", done=1),
    ]
    assert unfound(buckets, {("listings", "posts"): 100}, None) == pytest.approx(100)
    assert unfound([bucket(1, "listings", done=20)], {("listings", "posts"): 100}, 0.5) == 0
    share = Share(done=60, waiting=60, lost=20, expected=60)
    assert (share.known, share.saved, share.with_more(90), share.with_more(1e9)) == (140, 0.3, 0.75, 1.0)
    assert Share(done=0, waiting=0, lost=0, expected=0).saved is None


def test_what_was_learned_outlives_the_run() -> None:
    learned = Learned()
    for now in range(0, 65, 5):
        learned.note(float(now), [bucket(1, "posts", queued=900, done=4 * now), bucket(2, "images", queued=1)])
    again = Learned.of(json.loads(json.dumps(learned.facts())))
    assert again.pace(SITE) == learned.pace(SITE) == pytest.approx(4)
    idle = Learned()
    for now in (0.0, 5.0):
        idle.note(now, [bucket(1, "posts", queued=9)])
    assert Learned.of(idle.facts()).pace(SITE) is None


def test_a_look_beside_a_crawl_thinks_of_big_things_as_the_crawl_does() -> None:
    learned = Learned()
    for now in range(0, 65, 5):
        learned.note(float(now), [bucket(1, "posts", queued=900, done=4 * now, bytes=4000 * now)])
    again = Learned.of(json.loads(json.dumps(learned.facts())))
    assert again.seconds(4.0, 20e6) == pytest.approx(learned.seconds(4.0, 20e6))
    assert again.seconds(4.0, 20e6) > 10


def test_a_host_that_stops_is_seen_by_its_pace_and_one_behind_a_full_line_is_not_thought_dead() -> None:
    learned = Learned()
    for now in range(0, 65, 5):
        learned.note(float(now), [bucket(1, "posts", queued=900, done=4 * now)])
    for now in range(65, 80, 5):
        learned.note(float(now), [bucket(1, "posts", queued=900, done=240)])
    assert learned.pace(SITE) == pytest.approx(0, abs=0.1)
    learned, done, size = Learned(), 0, 0
    for now in range(0, 120, 5):
        done, size = (done + 50, size + 5_000_000) if now < 60 else (done + 10, size + 5_000_000)
        learned.note(float(now), [bucket(1, "images", queued=9000, done=done, bytes=size)])
    assert learned.pace(SITE) == pytest.approx(10)
    assert learned.bandwidth == pytest.approx(1e6)


def test_a_plan_says_what_fits_and_what_would_change_the_rest() -> None:
    planner = Planner(LANES.values(), Goal(deadline=100.0, windows=(Window.of("2021-01-06"),)))
    for now in range(0, 65, 5):
        plan = planner.look(
            float(now),
            [
                bucket(1, "posts", day="2021-01-06", queued=300 - now, done=10 * now, bytes=now * 300_000),
                bucket(2, "images", queued=2000, done=20, bytes=600_000),
            ],
            {},
        )
    assert plan.places == {1: (1, False), 2: (2, False)}
    assert [(one.name, one.verdict) for one in decisions(plan)] == [
        ("posts of the window", "fits"), ("images", "in part"),
    ]  # fmt: skip
    assert plan.forecast.likely.things == pytest.approx(620 + 400, rel=0.02)
    share = Share(done=640, waiting=2220, lost=40, expected=300)
    told = "\n".join(lines(plan, share, "America/New_York"))
    assert "1970-01-01 00:01:40 UTC (1969-12-31 19:01:40 America/New_York)" in told
    assert "must answer 5.6 times as fast: 6 machines" in told
    figures = headline(plan, share)
    assert figures["rate"] == pytest.approx(10)
    assert figures["share_saved"] == 640 / 3200
    assert figures["by_deadline"]["likely"]["share"] == pytest.approx((640 + 400) / 3200, rel=0.02)
    assert figures["rate_needed"] == pytest.approx(2520 / 40)
    low, likely, high = (figures["by_deadline"][name]["things"] for name in ("low", "likely", "high"))
    assert low <= likely <= high


def test_what_is_a_guess_is_called_one() -> None:
    planner = Planner(LANES.values(), Goal(deadline=1000.0))
    share = Share(done=100, waiting=30, lost=0, expected=0)

    def told(done: int) -> str:
        films = bucket(2, "originals", queued=10, done=done, bytes=done * 5_000_000)
        for now in range(0, 40, 5):
            plan = planner.look(float(now), [bucket(1, "posts", queued=90 - now, done=10 + now), films], {})
        return "\n".join(lines(plan, share))

    assert "originals: 10 waiting (20.0 MB to 2.0 GB, which is a guess: hardly any was seen)" in told(0)
    assert "guess" not in told(30)
    assert "originals: 10 waiting (50.0 MB)" in told(30)


def test_a_plan_whose_crawl_finds_more_than_it_fetches_says_at_most() -> None:
    planner = Planner(LANES.values(), Goal(deadline=1000.0))
    led = {("listings", "posts"): 900, ("posts", "listings"): 300}
    for now in range(0, 40, 5):
        found = [bucket(1, "listings", queued=280, done=20), bucket(2, "posts", queued=850 - now, done=50 + now)]
        plan = planner.look(float(now), found, led)
    share = Share(done=120, waiting=1130, lost=0, expected=900)
    told = "\n".join(lines(plan, share))
    assert plan.is_growing
    assert "By then at most" in told
    assert "may be many times as much" in told
    assert headline(plan, share)["is_growing"]


def test_what_is_used_up_is_no_factor() -> None:
    planner = Planner(LANES.values(), Goal(deadline=100.0, budget=1000))
    for now in range(0, 65, 5):
        plan = planner.look(float(now), [bucket(1, "images", queued=300 - now, done=10 * now, bytes=now * 300_000)], {})
    share = Share(done=600, waiting=240, lost=0, expected=0)
    assert "Nothing more fits, whatever helps" in "\n".join(lines(plan, share))
    assert headline(plan, share)["machines"] is None


@pytest.mark.parametrize("seed", [3, 8, 14])
def test_in_a_small_world_the_plan_saves_nearly_all_that_can_be_saved(seed: int) -> None:
    plans: list[Plan] = []
    saved = Run(scenario(seed, things=1500), plans=True).run(halfway=plans.append)
    fifo = Run(scenario(seed, things=1500), plans=False).run()
    assert saved >= 0.99 * fifo
    assert saved >= 0.95 * far_seeing(scenario(seed, things=1500))
