"""Whom the death watch watches, and what is left of a suspicion."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from crawler.admission import Admission
from crawler.config import Config
from crawler.deathwatch.signs import RUN, Sign
from crawler.frontier.sqlite import SqliteFrontier
from crawler.model import Seed, Settlement
from crawler.vigil import Vigil
from spiders.mastodon import MastodonSpider
from tests.unit.test_deathwatch import HOST, answer

ELSEWHERE = "https://cdn.example"


@pytest.fixture
def frontier(tmp_path: Path) -> Iterator[SqliteFrontier]:
    with closing(SqliteFrontier(tmp_path / "frontier.sqlite")) as made:
        yield made


def vigil(root: Path, frontier: SqliteFrontier) -> Vigil:
    made = Vigil(
        root, frontier, watches=lambda seen: seen.url.startswith(HOST), is_text=lambda lane: True, probe_every=30.0,
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
