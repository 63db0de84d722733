"""The pace against hosts in memory: a clock that jumps from event to event, servers that limit, slow down and fall over."""

from __future__ import annotations

import heapq
import itertools
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.model import Outcome
from crawler.politeness.pace import MAX_FREEZE, MAX_ORIGINS, START, Change, Pace, _Rate, merged, part_of
from crawler.politeness.ratelimit import MAX_WAIT, NOTHING, Advice

HOST = "https://host.example"
BEGIN = 1_800_000_000.0


@dataclass
class Reply:
    latency: float = 0.02
    status: int = 200
    outcome: Outcome = Outcome.OK
    advice: Advice = NOTHING


@dataclass
class Crawl:
    """Asks one host as often as its pace allows."""

    pace: Pace
    server: Callable[[float, int], Reply]
    now: float = BEGIN
    starts: list[float] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    widest: int = 0
    changes: list[Change] = field(default_factory=list)
    _flying: list[tuple[float, int, float, Reply]] = field(default_factory=list)

    def run(self, seconds: float, *, most: int = 200_000) -> Crawl:
        until = self.now + seconds
        while self.now < until and len(self.starts) < most:
            while self.pace.room(HOST, self.now) > 0:
                reply = self.server(self.now, len(self._flying))
                self.pace.started(HOST, self.now)
                self.starts.append(self.now)
                heapq.heappush(self._flying, (self.now + reply.latency, len(self.starts), self.now, reply))
            self.widest = max(self.widest, len(self._flying))
            ends = [self._flying[0][0]] if self._flying else []
            wakes = [wake] if (wake := self.pace.next_wake(self.now)) is not None else []
            assert ends or wakes, "nothing under way, and nothing will wake us: the crawl would stand still for ever"
            self.now = max(min(ends + wakes), self.now)
            if self._flying and self._flying[0][0] <= self.now:
                self._end(heapq.heappop(self._flying))
        return self

    def _end(self, flight: tuple[float, int, float, Reply]) -> None:
        _, _, began, reply = flight
        self.statuses.append(reply.status)
        change = self.pace.finished(
            HOST, self.now, latency=self.now - began, status=reply.status, outcome=reply.outcome, advice=reply.advice
        )
        if change is not None:
            self.changes.append(change)

    def rate(self, last: float) -> float:
        return sum(1 for start in self.starts if start > self.now - last) / last


def pace(**ceilings: float) -> Pace:
    return Pace(chance=random.Random(7), **ceilings)  # type: ignore[arg-type]


def flat(latency: float) -> Callable[[float, int], Reply]:
    return lambda now, flying: Reply(latency=latency)


@pytest.mark.parametrize("latency", [0.002, 0.02, 0.15, 0.25])
def test_a_host_that_answers_evenly_is_at_the_ceiling_within_about_a_second(latency: float) -> None:
    crawl = Crawl(pace(), flat(latency)).run(1.5)
    assert crawl.widest == 16
    assert crawl.changes == []


def test_every_host_begins_gently() -> None:
    assert pace().room(HOST, BEGIN) == START
    assert pace(concurrency=1).room(HOST, BEGIN) == 1


def test_the_ceiling_can_be_moved_while_crawling() -> None:
    crawl = Crawl(pace(concurrency=4), flat(0.02)).run(1)
    assert crawl.widest == 4
    crawl.pace.ceilings.concurrency = 40
    assert crawl.run(2).widest == 40
    crawl.pace.ceilings.concurrency = 3
    crawl.run(1)
    crawl.widest = 0
    assert crawl.run(1).widest == 3


def test_a_host_that_slows_down_under_load_is_not_loaded_to_the_ceiling() -> None:
    workers = 4

    def server(now: float, flying: int) -> Reply:
        return Reply(latency=0.2 * max(1.0, (flying + 1) / workers))

    crawl = Crawl(pace(concurrency=64), server).run(30)
    crawl.widest = 0
    assert crawl.run(30).widest <= 5 * workers
    assert crawl.rate(30) > 0.9 * workers / 0.2


def test_a_change_of_what_is_asked_for_is_got_used_to() -> None:
    latency = 0.02
    crawl = Crawl(pace(), lambda now, flying: Reply(latency=latency)).run(5)
    latency = 0.5
    crawl.run(10)
    crawl.widest = 0
    assert crawl.run(600).widest == 16


@pytest.mark.parametrize(
    "trouble",
    [
        Reply(status=503),
        Reply(status=502),
        Reply(outcome=Outcome.TIMEOUT, status=0),
        Reply(outcome=Outcome.CUT, status=200),
    ],
)
def test_trouble_halves_once_for_all_that_was_under_way(trouble: Reply) -> None:
    bad = False
    crawl = Crawl(pace(), lambda now, flying: trouble if bad else Reply()).run(2)
    bad = True
    crawl.run(0.0199)
    bad = False
    crawl.run(0.1)
    (change,) = crawl.changes
    assert "at most 8 at once" in change.why
    assert change.frozen_until == 0
    crawl.widest = 0
    assert crawl.run(5).widest == 16


def test_a_plain_500_and_a_404_are_a_pages_own_fault() -> None:
    statuses = iter([500, 404, 410, 200] * 10_000)
    crawl = Crawl(pace(), lambda now, flying: Reply(status=next(statuses))).run(3)
    assert crawl.changes == []
    assert crawl.widest == 16


def test_scattered_trouble_slows_down_but_never_stops() -> None:
    chance = random.Random(3)
    crawl = Crawl(pace(), lambda now, flying: Reply(status=503 if chance.random() < 0.05 else 200)).run(20)
    assert crawl.rate(10) > 100


def test_a_host_that_is_down_is_left_alone_for_longer_and_longer() -> None:
    crawl = Crawl(pace(), lambda now, flying: Reply(outcome=Outcome.REFUSED, status=0, latency=0.001)).run(3600)
    assert len(crawl.starts) < 40
    waits = [
        later - earlier for earlier, later in zip(crawl.starts, crawl.starts[1:], strict=False) if later - earlier > 1
    ]
    assert waits[0] < 3
    assert 500 < max(waits) <= MAX_FREEZE * 1.1


def test_it_comes_back_gently_and_is_at_the_ceiling_again() -> None:
    down = True
    crawl = Crawl(pace(), lambda now, flying: Reply(outcome=Outcome.REFUSED, status=0) if down else Reply()).run(60)
    down = False
    assert crawl.run(120).rate(10) > 500


def told(now: float, seconds: float) -> Advice:
    return Advice(wait_until=now + seconds, why="Retry-After")


def test_a_429_freezes_until_its_time_and_says_so_in_one_line() -> None:
    limited = False
    crawl = Crawl(
        pace(), lambda now, flying: Reply(status=429, advice=told(now + 0.02, 30)) if limited else Reply()
    ).run(2)
    limited = True
    refused_at = crawl.now + 0.04
    crawl.run(0.05)
    (change,) = crawl.changes
    assert change.origin == HOST
    assert change.frozen_until == pytest.approx(refused_at + 30, abs=0.1)
    assert change.why == f"{HOST}: HTTP 429; waiting 30 s (Retry-After)"
    assert crawl.pace.room(HOST, change.frozen_until - 0.1) == 0
    assert crawl.pace.next_wake(refused_at) == pytest.approx(change.frozen_until, abs=0.1)
    assert crawl.pace.room(HOST, change.frozen_until + 0.1) == START


@pytest.mark.parametrize("status", [403, 503])
def test_a_wait_that_another_status_asks_for_is_kept_too(status: int) -> None:
    host = pace()
    host.started(HOST, BEGIN)
    change = host.finished(HOST, BEGIN + 1, latency=1, status=status, outcome=Outcome.OK, advice=told(BEGIN, 60))
    assert change is not None
    assert change.frozen_until == BEGIN + 60


def test_without_advice_a_429_waits_twice_as_long_each_time() -> None:
    crawl = Crawl(pace(), lambda now, flying: Reply(status=429)).run(200)
    waits = [change.frozen_until - now for change, now in zip(crawl.changes, _ends(crawl.changes), strict=True)]
    assert all(1.7 < later / earlier < 2.5 for earlier, later in itertools.pairwise(waits))
    assert waits[0] == pytest.approx(2, rel=0.11)


def _ends(changes: list[Change]) -> list[float]:
    return [BEGIN + 0.02, *(change.frozen_until + 0.02 for change in changes[:-1])]


class Window:
    """A limiter as most are: so many requests in each window of so many seconds."""

    def __init__(self, most: int, seconds: float, *, tells: bool = True, counts: bool = False) -> None:
        self.most, self.seconds, self.tells, self.counts = most, seconds, tells, counts
        self._window, self._seen = -1, 0
        self.refused = 0

    def __call__(self, now: float, flying: int) -> Reply:
        window = int(now // self.seconds)
        if window != self._window:
            self._window, self._seen = window, 0
        self._seen += 1
        reset = (window + 1) * self.seconds
        left = max(self.most - self._seen, 0)
        if self._seen > self.most:
            self.refused += 1
            return Reply(status=429, advice=Advice(wait_until=reset, why="Retry-After") if self.tells else NOTHING)
        if not self.counts:
            return Reply()
        return Reply(
            advice=Advice(
                remaining=left, limit=self.most, reset=reset, wait_until=None if left else reset, why="window"
            )
        )


@pytest.mark.parametrize(("most", "seconds"), [(300, 300.0), (60, 60.0), (100, 10.0), (10, 1.0)])
@pytest.mark.parametrize("tells", [True, False])
def test_after_a_429_we_settle_just_below_what_the_server_bears(most: int, seconds: float, tells: bool) -> None:
    server = Window(most, seconds, tells=tells)
    crawl = Crawl(pace(), server).run(1800)
    server.refused, crawl.statuses = 0, []
    crawl.run(1800)
    answered = crawl.statuses.count(200) / 1800
    assert answered > 0.75 * most / seconds
    assert server.refused < 0.1 * len(crawl.statuses)


def test_a_server_that_counts_down_never_has_to_refuse() -> None:
    server = Window(300, 300.0, counts=True)
    crawl = Crawl(pace(), server).run(3000)
    assert server.refused == 0
    assert len(crawl.starts) >= 300 * 9
    assert all("waiting" in change.why for change in crawl.changes)


def test_one_limit_by_chance_is_soon_forgotten() -> None:
    seen = 0

    def server(now: float, flying: int) -> Reply:
        nonlocal seen
        seen += 1
        return Reply(status=429, advice=told(now, 60)) if seen == 30 else Reply()

    assert Crawl(pace(), server).run(300).rate(10) > 100


def test_a_first_answer_of_429_teaches_no_rate() -> None:
    seen = 0

    def server(now: float, flying: int) -> Reply:
        nonlocal seen
        seen += 1
        return Reply(status=429, advice=told(now, 2)) if seen == 1 else Reply()

    assert Crawl(pace(), server).run(5).rate(1) > 300


@pytest.mark.parametrize("rate", [0.5, 3.0, 50.0])
def test_the_users_rate_is_a_ceiling(rate: float) -> None:
    crawl = Crawl(pace(rate=rate), flat(0.02)).run(60)
    assert 0.9 * rate < crawl.rate(30) <= rate * 1.05
    for at in crawl.starts[:: max(len(crawl.starts) // 50, 1)]:
        assert sum(1 for start in crawl.starts if at <= start < at + 1) <= rate * 1.1 + 1


def test_the_platforms_rate_is_a_ceiling_where_the_user_names_none() -> None:
    asked = Crawl(Pace(advised={"host.example": 1.0}), lambda now, flying: Reply()).run(30)
    assert len(asked.starts) <= 31
    assert len(Crawl(Pace(rate=5.0, advised={"host.example": 1.0}), lambda now, flying: Reply()).run(30).starts) > 100
    assert len(Crawl(Pace(advised={"elsewhere.example": 1.0}), lambda now, flying: Reply()).run(5).starts) > 100


def test_the_users_delay_lies_between_any_two_starts() -> None:
    crawl = Crawl(pace(delay=0.5), flat(0.9)).run(30)
    assert min(later - earlier for earlier, later in zip(crawl.starts, crawl.starts[1:], strict=False)) >= 0.5
    assert len(crawl.starts) > 50


def test_what_was_learned_is_remembered() -> None:
    server = Window(60, 60.0)
    earlier = Crawl(pace(), server).run(300)
    later = pace()
    later.from_json(json.loads(json.dumps(earlier.pace.to_json())))
    server.refused = 0
    Crawl(later, server, now=earlier.now).run(60)
    assert server.refused < 10
    assert later.to_json()[HOST]["patience"] > 5


def test_a_freeze_is_remembered_and_wakes_the_next_run() -> None:
    earlier = pace()
    change = earlier.told(HOST, BEGIN, BEGIN + 100, "another worker was told to wait")
    assert change == Change(origin=HOST, why=f"{HOST}: another worker was told to wait", frozen_until=BEGIN + 100)
    assert earlier.told(HOST, BEGIN, BEGIN + 50, "an older word") is None
    later = pace()
    later.from_json(earlier.to_json())
    assert later.room(HOST, BEGIN) == 0
    assert later.next_wake(BEGIN) == BEGIN + 100
    assert later.room(HOST, BEGIN + 100) == START
    assert later.next_wake(BEGIN + 100) is None


@pytest.mark.parametrize(
    "facts",
    [
        {HOST: None},
        {HOST: []},
        {HOST: {"rate": "x"}},
        {HOST: {"rate": float("nan")}},
        {HOST: {"frozen_until": -1}},
        {HOST: {"rate": 1e400}},
    ],
)
def test_memories_that_make_no_sense_are_left_out(facts: dict[str, object]) -> None:
    host = pace()
    host.from_json(facts)
    assert host.room(HOST, BEGIN) == START


def test_a_freeze_by_a_clock_that_was_wrong_is_not_believed() -> None:
    host = pace()
    host.told(HOST, BEGIN, BEGIN + 10 * MAX_WAIT, "a clock a week ahead")
    assert host.room(HOST, BEGIN) == START
    assert host.next_wake(BEGIN) is None


def test_hosts_without_end_are_forgotten_but_never_one_in_use() -> None:
    host = pace()
    host.started("https://first.example", BEGIN)
    for n in range(MAX_ORIGINS + 500):
        host.told(f"https://h{n}.example", BEGIN, BEGIN + 60, "told to")
    assert len(host.to_json()) <= MAX_ORIGINS
    host.next_wake(BEGIN)
    assert len(host._waiting) <= MAX_ORIGINS
    assert host.room("https://first.example", BEGIN) == START - 1


EVENTS = st.lists(
    st.tuples(
        st.floats(0, 1000),
        st.sampled_from(["start", "end", "freeze", "save"]),
        st.integers(0, 599),
        st.sampled_from(Outcome),
        st.floats(-10, 2 * MAX_WAIT) | st.none(),
        st.integers(0, 50) | st.none(),
    ),
    max_size=60,
)  # fmt: skip


@given(EVENTS, st.sampled_from([None, 0.1, 100.0]), st.integers(0, 20), st.sampled_from([0.0, 2.0]))
def test_whatever_happens_the_pace_stays_within_its_bounds(
    events: list[tuple[float, str, int, Outcome, float | None, int | None]],
    rate: float | None,
    concurrency: int,
    delay: float,
) -> None:
    host = Pace(rate=rate, concurrency=concurrency, delay=delay, chance=random.Random(1))
    now, active = BEGIN, 0
    for step, what, status, outcome, wait, remaining in events:
        now += step
        room = host.room(HOST, now)
        assert 0 <= room <= max(concurrency, 1)
        if what == "start" and room:
            host.started(HOST, now)
            active += 1
        elif what == "end" and active:
            until = None if wait is None else now + wait
            told_so = Advice(wait_until=until, remaining=remaining, reset=until, why="test")
            change = host.finished(HOST, now, latency=step, status=status, outcome=outcome, advice=told_so)
            assert change is None or (change.origin == HOST and change.why)
            active -= 1
        elif what == "freeze" and wait is not None:
            host.told(HOST, now, now + wait, "told to")
        elif what == "save":
            json.dumps(host.to_json())
    wake = host.next_wake(now)
    assert wake is None or now < wake <= now + 2 * MAX_WAIT
    if not active and wake is None:
        assert host.room(HOST, now) >= 1, "nothing under way, nothing to wait for, and yet no room"


def test_what_two_workers_learned_is_what_one_would_have() -> None:
    one = {HOST: {"frozen_until": BEGIN + 5, "rate": 10.0, "patience": 5.0}}
    two = {HOST: {"frozen_until": BEGIN + 9, "rate": 14.0, "patience": 40.0}, "https://b.example": {"rate": 3.0}}
    whole = merged([one, {}, two])
    assert whole[HOST] == {"frozen_until": BEGIN + 9, "rate": 24.0, "patience": 40.0}
    assert part_of(whole, 3)[HOST] == {"frozen_until": BEGIN + 9, "rate": 8.0, "patience": 40.0}
    assert part_of({HOST: None, "https://b.example": {"rate": "x"}}, 2) == {"https://b.example": {"rate": 0.0}}


def test_a_head_that_says_wait_holds_back_what_is_ready_to_leave() -> None:
    host = pace()
    assert host.waits_until(HOST, BEGIN) == 0.0
    host.told(HOST, BEGIN, BEGIN + 3, "HTTP 429")
    assert host.waits_until(HOST, BEGIN + 1) == BEGIN + 3
    assert host.waits_until(HOST, BEGIN + 3) == 0.0


def test_what_was_too_much_is_come_near_by_halves_before_more_is_tried() -> None:
    rate = _Rate(known=16.0, too_much=24.0)
    tried = []
    for _ in range(6):
        rate.known = rate._more()
        tried.append(round(rate.known, 1))
    assert tried == [20.0, 22.0, 23.0, 28.8, 35.9, 44.9]
