"""What is a death and what is none, by answers alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from crawler.deathwatch.case import APART, GOOD, HOLD, HOLD_SILENT, UNSURE, Case, End, Stage, bogus
from crawler.deathwatch.signs import RUN, Key, Part, Sign, Streaks, key_of, seen, sign_of
from crawler.deathwatch.watch import ANEW, RECENT, Suspicion, Watch
from crawler.model import Digests, Fetch, Outcome, Seen, Settlement, State, Verdict

HOST = "https://a.example"


def answer(
    n: int, sign: Sign = Sign.OK, *, payload: str = "", lane: str = "posts", status: int = 200, target: str = "",
    sweep: bool = False,
) -> Settlement:  # fmt: skip
    name = payload or f"page {n}"
    made = Digests(
        block_sha256="0" * 64, payload_sha256=name.encode().hex(), payload_sha1="A" * 32, payload_length=2000
    )
    shown = Seen(url=f"{HOST}/{lane}/{n}", lane=lane, sign=sign.value, target=target, sweep=sweep)
    return Settlement(id=n + 1, token=1, state=State.DONE, status=status, digests=made, seen=shown)


def watch() -> Watch:
    return Watch(lambda told: Fetch(url=told.seen.url, lane=told.seen.lane) if told.seen else None)


def first(watching: Watch, answers: Iterable[Settlement]) -> tuple[int, Suspicion] | None:
    """Return after how many answers there is a suspicion, and which."""
    for count, told in enumerate(answers, 1):
        if found := watching.heard(told):
            return count, found
    return None


def lived(lane: str = "posts") -> Watch:
    watching = watch()
    assert first(watching, [answer(n, lane=lane) for n in range(50)]) is None
    return watching


def test_every_death_is_suspected_within_twenty_answers() -> None:
    deaths = {
        "tombstone": [answer(n, payload="goodbye") for n in range(100, 130)],
        "wall": [answer(n, Sign.MOVED, target=f"{HOST}/login", status=302) for n in range(100, 130)],
        "login": [answer(n, Sign.LOGIN) for n in range(100, 130)],
        "refused": [answer(n, Sign.FORBIDDEN, status=403) for n in range(100, 130)],
        "gone": [answer(n, Sign.MISSING, status=404) for n in range(100, 130)],
        "dns": [answer(n, Sign.DNS, status=0) for n in range(100, 130)],
        "tls": [answer(n, Sign.TLS, status=0) for n in range(100, 130)],
        "slow": [
            told for n in range(100, 120)
            for told in (answer(n), *(answer(1000 + 5 * n + k, Sign.SILENT, status=500) for k in range(4)))
        ],
    }  # fmt: skip
    for name, answers in deaths.items():
        found = first(lived(), answers)
        assert found is not None, name
        assert found[0] <= RECENT, name
        assert found[1].controls, name
        assert found[1].part == Part(HOST, "" if name in {"dns", "tls", "slow"} else "posts"), name


def test_what_the_dead_said_before_the_last_good_answer_is_told_too() -> None:
    watching = lived()
    goodbyes = [answer(n, payload="goodbye") for n in range(100, 130)]
    found = first(watching, [goodbyes[0], answer(99), *goodbyes[1:]])
    assert found is not None
    assert {one.id for one in watching.alike(found[1].part, found[1].key)} == {one.id for one in goodbyes[:9]}


def test_a_worker_that_saw_eight_in_a_row_is_believed_in_whatever_order_they_come() -> None:
    watching = lived()
    refused = [answer(n, Sign.FORBIDDEN, status=403) for n in range(100, 103)]
    assert first(watching, [*refused, answer(99)]) is None
    last = answer(107, Sign.FORBIDDEN, status=403)
    assert last.seen is not None
    found = first(watching, [replace(last, seen=replace(last.seen, row=RUN))])
    assert found is not None
    assert len(found[1].run) == 4


def test_a_worker_pauses_where_a_row_of_a_host_or_a_lane_is_long() -> None:
    streaks = Streaks()
    told = [answer(n, Sign.FORBIDDEN, status=403, lane=f"lane {n % 3}") for n in range(2 * RUN)]
    rows = [streaks.heard(one.seen, key_of(one)) for one in told if one.seen]
    assert [n for n, row in enumerate(rows, 1) if row] == [RUN, 2 * RUN]


def test_a_death_that_spans_lanes_is_of_the_host() -> None:
    watching = lived()
    mixed = [answer(n, Sign.FORBIDDEN, status=403, lane=("posts", "replies")[n % 2]) for n in range(100, 130)]
    found = first(watching, mixed)
    assert found is not None
    assert found[0] <= RECENT
    assert found[1].part == Part(HOST)


def test_a_sweep_of_holes_is_no_death() -> None:
    answers = (
        answer(n, sweep=True) if n % 33 == 0 else answer(n, Sign.MISSING, status=404, sweep=True) for n in range(2000)
    )
    assert first(watch(), answers) is None


def test_a_shell_that_was_always_the_same_is_no_tombstone() -> None:
    assert first(watch(), (answer(n, payload="<div id=app>") for n in range(500))) is None


def test_what_has_not_changed_is_no_tombstone() -> None:
    """A later round's "not modified" has no body, and the same digest everywhere."""
    assert first(lived(), [answer(n, status=304, payload="nothing") for n in range(100, 160)]) is None


def test_what_never_answered_well_cannot_die() -> None:
    assert first(watch(), (answer(n, Sign.FORBIDDEN, status=403) for n in range(500))) is None


def test_every_third_page_to_log_in_for_is_no_wall() -> None:
    forum = (answer(n, Sign.LOGIN) if n % 3 == 0 else answer(n) for n in range(1000))
    assert first(watch(), forum) is None


def test_maintenance_and_limits_are_only_waits() -> None:
    fetch = Fetch(url=f"{HOST}/1", lane="posts")
    told = [
        seen(fetch, outcome=Outcome.OK, status=status, verdict=Verdict.OK, asks_to_wait=asks, location="")
        for status, asks in ((503, True), (429, False), (429, True))
    ]
    assert [one.sign for one in told] == [Sign.NOTHING] * 3
    assert first(lived(), (answer(n, Sign.NOTHING, status=503) for n in range(500))) is None


def case_of(sign: Sign = Sign.FORBIDDEN, *, others: bool = False) -> Case:
    watching = watch()
    for n in range(40):
        watching.heard(answer(n, lane=("posts", "images")[n % 2] if others else "posts"))
    payload = "goodbye" if sign is Sign.OK else ""
    found = first(watching, [answer(n, sign, payload=payload, status=200 if payload else 403) for n in range(100, 130)])
    assert found is not None
    suspicion = found[1]
    return Case(
        part=suspicion.part, key=suspicion.key, run=list(suspicion.run), controls=list(suspicion.controls),
        others=watching.others(suspicion.part, suspicion.key), since=0.0, first=30.0,
    )  # fmt: skip


def test_a_burst_of_tombstones_is_known_again_wherever_it_came_in() -> None:
    watching = lived()
    burst = [answer(n, payload="gone", lane=f"lane {n % 2}") for n in range(100, 200)]
    for told in burst:
        watching.heard(told)
    key = key_of(burst[0])
    assert key is not None
    assert [one.id for one in watching.alike(Part(HOST), key)] == [one.id for one in burst]


def test_nobody_waits_for_ever_for_controls_that_say_nothing() -> None:
    case = case_of()
    told = [case.heard(answer(0, Sign.NOTHING, status=429), 1.0) for _ in range(UNSURE)]
    assert told == [End.OPEN] * (UNSURE - 1) + [End.UNKNOWN]


def test_one_walled_section_is_let_go_after_one_control() -> None:
    case = case_of()
    control = case.ask(0.0)
    assert control is not None
    assert control.url in {f"{HOST}/posts/{n}" for n in range(50)}
    assert case.ask(1.0) is None, "it is not asked twice at once"
    assert case.heard(answer(0), 1.0) is End.INNOCENT


def test_what_came_to_nothing_once_takes_twice_as_many() -> None:
    watching = lived()
    refused = [answer(n, Sign.FORBIDDEN, status=403) for n in range(100, 160)]
    counts = []
    for _ in range(3):
        found = first(watching, refused)
        assert found is not None
        counts.append(found[0])
        watching.acquit(found[1].part, found[1].key)
    assert counts == [RUN, 2 * RUN, 4 * RUN]


def test_another_sign_is_noticed_as_soon_as_ever_all_the_same() -> None:
    watching = lived()
    watching.acquit(Part(HOST, "posts"), Key(Sign.FORBIDDEN))
    found = first(watching, [answer(n, payload="goodbye") for n in range(100, 130)])
    assert found is not None
    assert found[0] == RUN


def test_controls_are_taken_anew_as_a_crawl_goes_on() -> None:
    watching = watch()
    assert first(watching, [answer(n) for n in range(4 * ANEW)]) is None
    found = first(watching, [answer(n, Sign.FORBIDDEN, status=403) for n in range(1000, 1030)])
    assert found is not None
    assert [one.fetch.url for one in found[1].controls] == [f"{HOST}/posts/{ANEW * n + 2}" for n in (1, 2, 3)]


def test_a_tombstone_taken_for_a_good_answer_is_no_alibi() -> None:
    found = first(watch(), [answer(0), *(answer(n, payload="goodbye") for n in range(1, 30))])
    assert found is not None
    assert [one.fetch.url for one in found[1].controls] == [f"{HOST}/posts/0"]


def test_silence_is_to_last_and_holds_up_no_longer_than_that() -> None:
    case = case_of()
    case.key = Key(Sign.SILENT)
    silence = answer(0, Sign.SILENT, status=503)
    for now in (0.0, 15.0):
        assert case.ask(now) is not None
        assert case.heard(silence, now) is End.OPEN
        assert case.ask(now + 14.9) is None
    assert case.holds(HOST, "images", HOLD_SILENT * 30.0 - 1)
    assert not case.holds(HOST, "images", HOLD_SILENT * 30.0)
    assert case.ask(30.0) is not None
    assert case.heard(silence, 30.0) is End.DEAD


def test_a_suspicion_holds_up_for_moments_whatever_becomes_of_it() -> None:
    case = case_of()
    assert case.holds(HOST, "images", HOLD - 0.1)
    assert not case.holds(HOST, "images", HOLD)


def test_an_only_control_is_asked_twice_and_not_at_once() -> None:
    case = case_of()
    del case.controls[1:]
    refusal = answer(0, Sign.FORBIDDEN, status=403)
    assert case.ask(0.0) is not None
    assert case.heard(refusal, 0.0) is End.OPEN
    assert case.ask(APART - 0.1) is None
    assert case.ask(APART) is not None
    assert case.heard(refusal, APART) is End.DEAD


def test_one_page_of_another_lane_that_is_gone_is_not_the_host() -> None:
    case = case_of(others=True)
    case.others = [*case.others, *case.others]
    for _ in range(2):
        assert case.ask(0.0) is not None
        assert case.heard(answer(0, Sign.FORBIDDEN, status=403), 0.0) is End.OPEN
    assert case.heard(answer(0, Sign.MISSING, status=404, lane="images"), 0.0) is End.OPEN
    assert case.heard(answer(0, lane="images"), 0.0) is End.DEAD
    assert case.part == Part(HOST, "posts")


def test_a_control_that_is_gone_for_good_does_not_keep_the_rest_dead() -> None:
    case = dead()
    now = case.due
    gone = case.controls[-1].fetch.url
    for _ in range(6):
        asked = case.ask(now)
        assert asked is not None
        end = case.heard(answer(0, Sign.FORBIDDEN, status=403) if asked.url == gone else answer(0), now)
        if end is End.ALIVE:
            return
        now = max(now, case.due)
    raise AssertionError


def test_a_lane_alone_dies_where_another_lives() -> None:
    case = case_of(others=True)
    for _ in range(2):
        assert case.ask(0.0) is not None
        assert case.heard(answer(0, Sign.FORBIDDEN, status=403), 0.0) is End.OPEN
    assert case.stage is Stage.WIDE
    other = case.ask(0.0)
    assert other is not None
    assert other.lane == "images"
    assert case.heard(answer(0, lane="images"), 0.0) is End.DEAD
    assert case.part == Part(HOST, "posts")


def dead() -> Case:
    case = case_of()
    ends = [case.heard(answer(0, Sign.FORBIDDEN, status=403), 0.0) for _ in range(2) if case.ask(0.0)]
    assert ends == [End.OPEN, End.DEAD]
    assert case.part == Part(HOST), "nothing else of the host is known to live"
    return case


def waits(case: Case, rounds: int) -> Iterator[float]:
    now = case.due
    for _ in range(rounds):
        assert case.ask(now - 0.1) is None
        assert case.ask(now) is not None
        assert case.heard(answer(0, Sign.FORBIDDEN, status=403), now) is End.OPEN
        yield case.due - now
        now = case.due


def test_the_dead_are_asked_ever_more_rarely_and_live_after_two_good_answers() -> None:
    case = dead()
    assert case.due == 30.0
    assert list(waits(case, 7)) == [60.0, 120.0, 240.0, 480.0, 600.0, 600.0, 600.0]
    now = case.due
    ends = [case.heard(answer(0), now) for _ in range(GOOD) if case.ask(now)]
    assert ends == [End.OPEN, End.ALIVE]


def test_one_good_answer_of_a_flickering_host_is_not_enough() -> None:
    case = dead()
    now = case.due
    for told in (answer(0), answer(0, Sign.FORBIDDEN, status=403)):
        assert case.ask(now) is not None
        assert case.heard(told, now) is End.OPEN
    assert case.stage is Stage.DEAD


def test_a_soft_404_is_known_by_a_url_that_cannot_exist() -> None:
    for payload, end in (("goodbye", End.SOFT_404), ("404", End.INNOCENT)):
        case = case_of(Sign.OK)
        assert case.ask(0.0) is not None
        assert case.heard(answer(0), 0.0) is End.OPEN, "what was there is there"
        asked = case.ask(0.0)
        assert asked is not None
        assert asked.url.startswith(f"{HOST}/posts/9")
        assert case.heard(answer(5, payload=payload), 0.0) is end


def test_a_bogus_url_keeps_its_shape() -> None:
    assert bogus("https://a.example/post/123").startswith("https://a.example/post/9")
    assert bogus("https://a.example/post/123/").startswith("https://a.example/post/9")
    assert bogus("https://a.example/t.php?id=4").startswith("https://a.example/t.php?id=9")
    assert bogus("https://a.example/").startswith("https://a.example/9")


def test_an_answer_without_a_look_says_nothing() -> None:
    assert key_of(Settlement(id=1, token=1, state=State.DONE)) is None
    assert key_of(answer(1, Sign.LOGIN)) == Key(Sign.LOGIN)


def test_why_something_was_given_up_says_what_it_looked_like() -> None:
    whys = {
        "HTTP 403": Sign.FORBIDDEN, "HTTP 503": Sign.SILENT, "HTTP 429": Sign.NOTHING, "HTTP 404": Sign.MISSING,
        "login": Sign.LOGIN, "tombstone": Sign.TOMBSTONE, "dns": Sign.DNS, "tls": Sign.TLS, "timeout": Sign.SILENT,
        "cut": Sign.SILENT, "ok": Sign.NOTHING, "": Sign.NOTHING, "second look": Sign.NOTHING, "HTTP 4031": Sign.NOTHING,
    }  # fmt: skip
    assert {why: sign_of(why) for why in whys} == whys
