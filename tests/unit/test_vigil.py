"""Whom the death watch watches, and what is left of a suspicion."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from crawler import clock
from crawler.admission import Admission
from crawler.config import Config
from crawler.deaths import events
from crawler.deathwatch.case import HOLD
from crawler.deathwatch.signs import RUN, Sign
from crawler.frontier.sqlite import SqliteFrontier
from crawler.model import PROBE_LANE, Seed, Settlement
from crawler.obituary import META
from crawler.vigil import Vigil
from spiders.mastodon import MastodonSpider
from tests.unit.test_deathwatch import HOST, answer

ELSEWHERE = "https://cdn.example"


@pytest.fixture
def frontier(tmp_path: Path) -> Iterator[SqliteFrontier]:
    with closing(SqliteFrontier(tmp_path / "frontier.sqlite")) as made:
        yield made


HOSTS = (HOST, "https://b.example")


def vigil(root: Path, frontier: SqliteFrontier, *hosts: str, probe_every: float = 30.0) -> Vigil:
    made = Vigil(
        root, frontier, watches=lambda seen: seen.url.startswith(hosts or HOST), is_text=lambda lane: True,
        probe_every=probe_every,
        give_up_after=3600.0, say=lambda event: None, drop=lambda part: None,
    )  # fmt: skip
    made.load()
    return made


def told(n: int, host: str, sign: Sign = Sign.OK) -> Settlement:
    """An answer by the id of a sweep, which needs no work in the frontier."""
    found = answer(n, sign, status=200 if sign is Sign.OK else 503)
    assert found.seen is not None
    return replace(found, id=-found.id, seen=replace(found.seen, url=f"{host}/posts/{n}"))


def silenced(watching: Vigil, host: str) -> list[bool]:
    """Let a host live, then fall silent; return of each failure whether it was let through as it is."""
    for n in range(10):
        watching.sift(told(n, host))
    failures = [told(n, host, Sign.SILENT) for n in range(10, 10 + RUN)]
    return [watching.sift(one) is one for one in failures]


def test_a_host_of_the_platform_is_held_back(tmp_path: Path, frontier: SqliteFrontier) -> None:
    watching = vigil(tmp_path, frontier)
    assert all(silenced(watching, HOST))
    assert watching.is_roused
    assert watching.is_closed(HOST, "posts")


def test_nobody_waits_for_other_peoples_hosts(tmp_path: Path, frontier: SqliteFrontier) -> None:
    watching = vigil(tmp_path, frontier)
    assert all(silenced(watching, ELSEWHERE))
    assert not watching.is_roused
    assert not watching.doubt(), "nor at the end, when nothing else is left"
    silenced(watching, HOST)
    assert all(silenced(watching, ELSEWHERE)), "nor are they taken for one of those that died"
    assert not watching.is_closed(ELSEWHERE, "posts")


def test_what_pages_only_fetch_from_is_not_the_platform(frontier: SqliteFrontier) -> None:
    admission = Admission(MastodonSpider, Seed(url="https://a.example/"), Config(), frontier)
    assert admission.is_home("https://a.example/style.css")
    assert not admission.is_home(f"{ELSEWHERE}/style.css")


def confirm(watching: Vigil, now: float, sign: Sign, *, status: int = 0, payload: str = "") -> int:
    """Answer all controls alike until none is due for a while; return how many there were."""
    count = 0
    for second in range(40):
        for control in list(watching.due(now + second, lambda place: 1)):
            count += 1
            shown = answer(0, sign, status=status, payload=payload)
            assert shown.seen is not None
            assert watching.answered(replace(shown, id=control.id, seen=replace(shown.seen, lane=PROBE_LANE)))
    return count


def test_a_machine_without_a_network_is_not_sure_who_died(tmp_path: Path, frontier: SqliteFrontier) -> None:
    for meanwhile, is_sure in ((HOST, False), (ELSEWHERE, True)):
        watching = vigil(tmp_path, frontier)
        for n in range(10):
            watching.sift(told(n, HOST))
        for n in range(10, 20):
            watching.sift(replace(told(n, HOST, Sign.DNS), status=0))
        watching.sift(replace(told(99, meanwhile), status=200 if is_sure else 0))
        confirm(watching, clock.now(), Sign.DNS)
        assert watching.dead
        said = [note.text for note, _ in frontier.notes()]
        assert (f"{HOST} died: its name is gone" in said) is is_sure
        frontier.meta_set(META, "[]")


def test_another_host_in_the_same_words_is_left_alone_at_the_second(tmp_path: Path, frontier: SqliteFrontier) -> None:
    other = "https://b.example"
    watching = vigil(tmp_path, frontier, *HOSTS)
    for n in range(5):
        watching.sift(told(n, HOST))
    for n in range(5, 20):
        watching.sift(goodbye(n, HOST))
    confirm(watching, clock.now(), Sign.OK, status=200, payload="goodbye")
    assert [part.origin for part in watching.dead] == [HOST]
    for n, is_closed in ((1, False), (2, True)):
        assert watching.sift(goodbye(n, other)).untried, "a tombstone that is known counts nowhere"
        assert watching.is_closed(other, "posts") is is_closed


def test_a_wall_before_a_robots_txt_is_no_rule_and_no_evidence_while_it_is_not_known_who_died(
    tmp_path: Path, frontier: SqliteFrontier
) -> None:
    watching = vigil(tmp_path, frontier, *HOSTS)
    wall = answer(1, Sign.FORBIDDEN, status=403, lane="robots")
    assert wall.seen is not None
    wall = replace(wall, seen=replace(wall.seen, url="https://b.example/robots.txt"))
    assert watching.sift(wall) is wall, "some hosts have such a robots.txt"
    for n in range(20):
        watching.sift(replace(told(n, HOST, Sign.FORBIDDEN if n > 9 else Sign.OK), status=403 if n > 9 else 200))
    held = watching.sift(wall)
    assert held.untried
    assert held.not_before <= clock.now() + HOLD
    assert not events(tmp_path)
    confirm(watching, clock.now(), Sign.FORBIDDEN, status=403)
    assert watching.sift(wall).not_before > clock.now() + HOLD
    assert [one["event"] for one in events(tmp_path)] == ["dead", "withheld"]


def goodbye(n: int, host: str) -> Settlement:
    found = answer(n, payload="goodbye")
    assert found.seen is not None
    return replace(found, id=-found.id, seen=replace(found.seen, url=f"{host}/posts/{n}"))


def test_without_a_watch_nothing_is_held_back_any_more(tmp_path: Path, frontier: SqliteFrontier) -> None:
    silenced(vigil(tmp_path, frontier), HOST)
    watching = vigil(tmp_path, frontier, probe_every=0.0)
    assert not watching.is_roused
    assert not watching.is_closed(HOST, "posts")


def test_a_signed_url_stops_working_by_itself_and_is_no_control(tmp_path: Path, frontier: SqliteFrontier) -> None:
    watching = vigil(tmp_path, frontier)
    for n in range(10):
        good = told(n, HOST)
        assert good.seen is not None
        watching.sift(replace(good, seen=replace(good.seen, url=f"{HOST}/posts/{n}?X-Amz-Signature=1")))
    for n in range(10, 30):
        watching.sift(told(n, HOST, Sign.SILENT))
    assert not watching.is_roused
