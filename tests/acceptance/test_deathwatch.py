"""A platform that dies while it is crawled: noticed in time, nothing wrongly done, gone on with where it lives on."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from crawler.deaths import events, struck
from crawler.replicas.run import Running, running
from crawler.warc.lookup import every
from tests.acceptance.support import archive, settled, start, to_replica

POSTS = 120
#: Requests after which it dies: most is known then, and little held.
LIFE = 80
#: Answers within which a death is noticed, and what all hosts that are dead are asked in a second at most.
NOTICED, PROBES = 20, 12


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[Any, Any], dict[str, Any]]:
    """What a crawl of the living site settles, and its coverage."""
    directory = tmp_path_factory.mktemp("alive") / "c"
    with running("parler", posts=POSTS) as replica:
        ran = archive("crawl", "parler.com", "--into", directory, *to_replica(replica), *listed(replica), "--json")
    assert ran.code == 0, ran.err
    return settled(directory), ran.summary["coverage"]


def listed(replica: Running) -> tuple[object, ...]:
    """Return options that name all posts: a platform that is walked number by number dies too slowly for a test."""
    path = replica.state / "posts.txt"
    path.write_text("".join(f"{thing['url']}\n" for thing in replica.things() if thing["kind"] == "post"))
    return ("-i", path)


@contextmanager
def dying(directory: Path, faults: str, *options: object) -> Iterator[tuple[Running, Any]]:
    with running("parler", posts=POSTS, faults=faults, latency=5) as replica:
        crawl = start(
            "crawl", "parler.com", "--into", directory, *to_replica(replica), "--probe-every", "1s", "--workers", 1,
            "--concurrency", 4, *listed(replica), *options,
        )  # fmt: skip
        try:
            yield replica, crawl
        finally:
            if crawl.poll() is None:
                crawl.kill()
                crawl.wait()


def until(directory: Path, event: str, seconds: float = 60) -> dict[str, Any]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for one in events(directory):
            if one["event"] == event:
                return one
        time.sleep(0.05)
    log = (directory / "logs" / "crawl.log").read_text()
    raise AssertionError(f"nothing was {event}:\n{log[-3000:]}")


def last_words(replica: Running) -> list[dict[str, Any]]:
    return [one for one in replica.ledger() if one["fault"] == "die"]


def without_rules(fetches: dict[Any, Any]) -> dict[Any, Any]:
    """Leave out robots.txt: that of a host which nobody had asked before is read as it came in its last moments."""
    return {key: what for key, what in fetches.items() if not key[1].endswith("/robots.txt")}


def same(directory: Path, undisturbed: tuple[dict[Any, Any], dict[str, Any]]) -> None:
    """The end is as if nothing had happened, and nothing that the dead said counts."""
    told = archive("status", directory, "--json")
    assert told.summary["coverage"] == undisturbed[1]
    assert told.summary["dead"] == []
    assert without_rules(settled(directory)) == without_rules(undisturbed[0])
    passed_over(directory)


def passed_over(directory: Path) -> None:
    """What the dead said is held, and named by no index that is made for others."""
    told, made = struck(directory).places, directory.parent / "all.cdxj"
    assert told <= {(line.url, line.stamp) for index in (directory / "indexes").iterdir() for line in every(index)}
    assert archive("index", directory, "--all", "-o", made).code == 0
    shown = {(line.url, line.stamp) for line in every(made)}
    assert shown
    assert not told & shown


def suspicions(directory: Path) -> list[int]:
    """Return after how many answers each death was suspected, as the log says."""
    return [int(n) for n in re.findall(r", (\d+) times; asking", (directory / "logs" / "crawl.log").read_text())]


@pytest.mark.parametrize(
    "how", ["tombstone", "403", *(pytest.param(one, marks=pytest.mark.outside) for one in ("login", "slow", "tls"))]
)
def test_a_site_that_dies_and_comes_back(how: str, tmp_path: Path, undisturbed: Any) -> None:
    directory = tmp_path / "c"
    with dying(directory, f"die={how}%{LIFE}") as (replica, crawl):
        until(directory, "dead")
        time.sleep(3)
        before, began = len(last_words(replica)), time.monotonic()
        assert archive("status", directory, "--json").summary["dead"]
        time.sleep(1)
        asked, seconds = len(last_words(replica)) - before, time.monotonic() - began
        replica.faults()
        ended = crawl.wait(110)
        assert ended in {0, 3}
        if ended:  # a lone picture of a host was refused twice, and asked about when all lived again: it is parked
            again = ("crawl", "parler.com", "--into", directory, *to_replica(replica), "--retry", "parked")
            assert archive(*again, timeout=110).code == 0
    assert max(suspicions(directory)) <= NOTICED
    assert asked <= PROBES * seconds, "the dead are left alone, but for a control of each host now and then"
    assert until(directory, "alive")
    same(directory, undisturbed)


@pytest.mark.outside
def test_the_media_host_dies_first_and_the_rest_goes_on(tmp_path: Path, undisturbed: Any) -> None:
    directory = tmp_path / "c"
    with dying(directory, "die=403%5@images.parler.com") as (replica, crawl):
        until(directory, "dead")
        end = time.monotonic() + 60
        while (
            time.monotonic() < end
            and archive("status", directory, "--json").summary["coverage"]["post"]["known"] < POSTS
        ):
            time.sleep(1)
        dead = archive("status", directory, "--json").summary["dead"]
        assert {one["origin"] for one in dead} == {"https://images.parler.com"}
        replica.faults()
        assert crawl.wait(110) == 0
    same(directory, undisturbed)


@pytest.mark.outside
def test_killed_while_it_is_dead_it_goes_on_where_it_lives(tmp_path: Path, undisturbed: Any) -> None:
    directory = tmp_path / "c"
    with dying(directory, f"die=tombstone%{LIFE}") as (replica, crawl):
        until(directory, "dead")
        end = time.monotonic() + 30
        while not archive("status", directory, "--json").summary["dead"]:
            assert time.monotonic() < end
        crawl.kill()
        crawl.wait()
        there = ("crawl", "parler.com", "--into", directory, *to_replica(replica))
        ran = archive(*there, "--give-up-after", "3s", "--json", timeout=60)
        assert ran.code == 9, ran.err
        replica.faults()
        ran = archive(*there, "--give-up-after", "1h", timeout=110)
        assert ran.code == 0, ran.err
    same(directory, undisturbed)
    assert struck(directory).records
