"""Sites that live and look as if they died: the death watch lets them be. And one that was dead for an hour."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from crawler import clock
from crawler.deaths import events
from crawler.deathwatch.signs import Sign
from crawler.deathwatch.watch import Watch
from crawler.frontier.sqlite import SqliteFrontier
from crawler.model import PROBE_LANE, Fetch, Settlement
from crawler.vigil import Vigil
from tests.unit.test_deathwatch import HOST, answer

#: What a site says: of a lane's URL with a number, at a time (seconds from the beginning).
Says = Callable[[str, int, float], Settlement]
WAIT = 30.0


@dataclass
class World:
    """A crawl of a site, ten answers a second, by a clock of its own."""

    vigil: Vigil
    says: Says
    now: float = 0.0
    #: Seconds in which nothing but controls was asked, and how many of these were.
    held: float = 0.0
    controls: int = 0
    told: list[Settlement] = field(default_factory=list)

    def crawl(self, asked: Iterable[tuple[str, int]], *, until: float = float("inf")) -> None:
        for lane, n in asked:
            while self.vigil.is_closed(HOST, lane) and self.now < until:
                self._tick()
                self.held += 0.1
            if self.now >= until:
                return
            self._tick()
            self.told.append(
                self.vigil.sift(self._answer(Fetch(url=f"{HOST}/{lane}/{n}", lane=lane), len(self.told) + 1))
            )

    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self._tick()

    def _tick(self) -> None:
        self.now += 0.1
        for control in list(self.vigil.due(self.now, lambda place: 1)):
            self.controls += 1
            assert self.vigil.answered(self._answer(control.fetch, control.id))

    def _answer(self, fetch: Fetch, number: int) -> Settlement:
        lane, n = fetch.url.removeprefix(f"{HOST}/").split("/")
        told = self.says(lane, int(n), self.now)
        assert told.seen is not None
        shown = fetch.lane if fetch.lane == PROBE_LANE else lane
        return replace(told, id=number, seen=replace(told.seen, url=fetch.url, lane=shown))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Says], World]]:
    with closing(SqliteFrontier(tmp_path / "frontier.sqlite")) as frontier:

        def made(says: Says) -> World:
            vigil = Vigil(
                tmp_path, frontier, watches=lambda seen: True, is_text=lambda lane: True, probe_every=WAIT,
                give_up_after=86400.0, say=lambda event: None, drop=lambda part: None,
            )  # fmt: skip
            vigil._watch = Watch(lambda told: Fetch(url=told.seen.url, lane=told.seen.lane) if told.seen else None)
            world = World(vigil, says)
            monkeypatch.setattr(clock, "now", lambda: world.now)
            vigil.load()
            return world

        yield made


def good(lane: str, n: int) -> Settlement:
    return answer(n, payload=f"{lane} {n}", lane=lane)


def refused(lane: str, n: int, status: int = 403) -> Settlement:
    return answer(n, Sign.FORBIDDEN, lane=lane, status=status)


def empty_searches(lane: str, n: int, now: float) -> Settlement:
    """Nine in ten searches find nothing, and all say so with the same page."""
    return good(lane, n) if n % 10 == 0 or n > 5000 else answer(n, payload="nothing found", lane=lane)


def an_application(lane: str, n: int, now: float) -> Settlement:
    """Every address shows the same shell, but for the first."""
    return good(lane, n) if n == 0 else answer(n, payload="<div id=app>", lane=lane)


def a_template(lane: str, n: int, now: float) -> Settlement:
    """Of a hundred ids three are posts; holes are 404, gone, refused or lead home, for long stretches."""
    if n % 33 == 0:
        return replace_sweep(good(lane, n))
    hole = [(Sign.MISSING, 404), (Sign.MISSING, 410), (Sign.FORBIDDEN, 403), (Sign.MOVED, 302)][n // 500 % 4]
    return replace_sweep(answer(n, hole[0], lane=lane, status=hole[1], target=f"{HOST}/"))


def replace_sweep(told: Settlement) -> Settlement:
    assert told.seen is not None
    return replace(told, seen=replace(told.seen, sweep=True))


def a_storm(lane: str, n: int, now: float) -> Settlement:
    """429 for a minute every two, to everybody and everything."""
    return answer(n, Sign.NOTHING, lane=lane, status=429) if now % 120 > 60 else good(lane, n)


def short_failures(lane: str, n: int, now: float) -> Settlement:
    """All answers are 503 for twenty seconds every two minutes."""
    return answer(n, Sign.SILENT, lane=lane, status=503) if now % 120 > 100 else good(lane, n)


def a_private_section(lane: str, n: int, now: float) -> Settlement:
    """Whole stretches lead to the login page."""
    is_private = 100 < n % 300 < 200
    return answer(n, Sign.MOVED, lane=lane, target=f"{HOST}/login", status=302) if is_private else good(lane, n)


def some_media(lane: str, n: int, now: float) -> Settlement:
    """Half of the pictures are refused, in stretches of forty, while pages live."""
    return refused(lane, n) if lane == "images" and n // 40 % 2 else good(lane, n)


def deleted_accounts(lane: str, n: int, now: float) -> Settlement:
    """Much of what lists named is gone, among it what was captured first."""
    is_gone = n % 50 > 25 or (n < 3 and now > 60)
    return answer(n, Sign.MISSING, lane=lane, status=404) if is_gone else good(lane, n)


def pages(count: int = 3000) -> Iterator[tuple[str, int]]:
    return ((("posts", "images")[n % 2], n // 2) for n in range(count))


@pytest.mark.parametrize(
    "site",
    [empty_searches, an_application, a_template, a_storm, short_failures, a_private_section, some_media,
     deleted_accounts],
)  # fmt: skip
def test_what_lives_is_let_be(site: Says, world: Callable[[Says], World]) -> None:
    it = world(site)
    it.crawl(pages())
    assert not it.vigil.dead
    assert {one["event"] for one in events(it.vigil._root)} <= {"soft 404"}
    assert len(it.told) == 3000
    assert not any(one.untried for one in it.told), "every answer counts"
    outages = 20.0 * (it.now / 120 + 1) if site is short_failures else 0.0
    assert it.held <= 5.0 + 2 * outages, "and next to no time is lost"
    assert it.controls <= 0.02 * len(it.told) + outages


def test_what_was_dead_for_an_hour_is_gone_on_with(
    world: Callable[[Says], World], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def says(lane: str, n: int, now: float) -> Settlement:
        return answer(n, payload="goodbye", lane=lane) if 60 < now < 3660 else good(lane, n)

    it = world(says)
    it.crawl(pages(10**6), until=120.0)
    assert it.vigil.dead
    before = len(it.told)
    died, late = events(tmp_path)[0], [one for one in events(tmp_path) if one["event"] == "withheld"]
    assert 8 <= len(died["records"]) + len(late) <= 20, "what the dead said is written down, and was little"
    it.vigil.load()  # as after a kill
    assert it.vigil.dead
    it.controls = 0
    it.wait(3400)
    assert len(it.told) == before, "nothing of it is asked"
    assert 5 <= it.controls <= 15, "but for a control now and then"
    assert not it.vigil.is_hopeless()
    it.wait(800)
    assert not it.vigil.dead
    it.crawl(pages(100))
    assert len(it.told) == before + 100
    assert [one["event"] for one in events(tmp_path)][-1] == "alive"
