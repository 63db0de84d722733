"""The checks that outsiders run against their spiders: ours pass, and each kind of fault is found and told."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crawler.model import Fetch, Post, Seed
from crawler.response import CaptureResponse
from spiders.base import LISTINGS, PAGES, Evidence, PlatformSpider, Territory
from spiders.conformance import assert_conforms, checks
from spiders.conformance_reading import Answered
from spiders.registry import all_classes, get
from spiders.rehearsal import rehearse
from spiders.testing import answer
from tests.acceptance.platforms import ROWS
from tests.unit.spiders.test_rehearsal import seed_of, site_of

URL = "https://site.example/list?page=1"
POSTS = [{"id": n, "visibility": "public", "text": "tea"} for n in range(3)]


class Good(PlatformSpider):
    name = "good"
    title = "Good"

    @classmethod
    def territory(cls, seed: Seed) -> Territory:
        return Territory()

    def seeds(self, seed: Seed) -> Iterator[Fetch]:
        yield self.fetch(f"{seed.url}list?page=1", lane=LISTINGS, callback=self.parse_list)

    def parse_list(self, response: CaptureResponse) -> Iterator[Any]:
        for one in response.data() or ():
            if isinstance(one, dict) and one.get("visibility") == "public":
                yield Post(platform=self.name, id=str(one["id"]), url="", text="tea")


def faults(spider: type[PlatformSpider], *answers: Answered) -> dict[str, str]:
    return {check.what: "\n".join(check.faults) for check in checks(spider, answers) if check.faults}


def given(body: object = POSTS, *, outlinks: tuple[Fetch, ...] | None = None) -> Answered:
    fetch = Fetch(url=URL, lane="listings", callback="parse_list")
    return Answered(answer(URL, json.dumps(body), headers={"Content-Type": "application/json"}, fetch=fetch), outlinks)


def test_one_that_keeps_all_rules_has_no_fault() -> None:
    assert_conforms(Good)
    assert not faults(Good, given())


class Nameless(Good):
    name = "Not A Name"
    title = ""
    reads_holes = frozenset({"parse_nowhere"})


class Placeless(Good):
    name = "placeless"

    @classmethod
    def territory(cls, seed: Seed) -> Territory:
        return Territory(hosts=("https://site.example/",), suffixes=("example",))


class Lost(Good):
    name = "lost"

    def seeds(self, seed: Seed) -> Iterator[Fetch]:
        yield self.fetch("https://elsewhere.example/", lane=PAGES, callback="parse_gone")


class Greedy(Good):
    name = "greedy"

    @classmethod
    def recognise(cls, replies: Any) -> Evidence | None:
        return Evidence(confidence=99, reasons=("why not",))


class Fickle(Good):
    name = "fickle"

    def parse_list(self, response: CaptureResponse) -> Iterator[Any]:
        yield Post(platform=self.name, id=str(random.random()), url="", text=str(time.time()))


class Talkative(Good):
    name = "talkative"

    def parse_list(self, response: CaptureResponse) -> Iterator[Any]:
        __import__("socket").create_connection(("127.0.0.1", 9))
        yield from ()


class Writing(Good):
    name = "writing"

    def parse_list(self, response: CaptureResponse) -> Iterator[Any]:
        assert not Path("/nonexistent/cursor").exists()
        with Path("/dev/null").open("w") as out:
            out.write("x")
        yield from ()


class Remembering(Good):
    name = "remembering"

    def parse_list(self, response: CaptureResponse) -> Iterator[Any]:
        self.seen = {1}
        yield from ()


class Endless(Good):
    name = "endless"

    def parse_list(self, response: CaptureResponse) -> Iterator[Any]:
        page = int(response.url.rpartition("=")[2]) + 1
        yield self.fetch(f"https://site.example/list?page={page}", lane=LISTINGS, callback=self.parse_list)


class Patient(Endless):
    name = "patient"

    def parse_list(self, response: CaptureResponse) -> Iterator[Any]:
        if not response.data():
            yield from super().parse_list(response)


class Indiscreet(Good):
    name = "indiscreet"

    def parse_list(self, response: CaptureResponse) -> Iterator[Any]:
        for one in response.data() or ():
            if isinstance(one, dict):
                yield Post(platform=self.name, id=str(one.get("id")), url="", text="tea")


class Fragile(Good):
    name = "fragile"

    def parse_list(self, response: CaptureResponse) -> Iterator[Any]:
        yield from (Post(platform=self.name, id=str(one["id"]), url="") for one in response.data())


class Careless(Good):
    name = "careless"

    def parse_list(self, response: CaptureResponse) -> Iterator[Any]:
        yield "https://site.example/post/1"
        yield self.fetch(URL, lane=PAGES, callback="parse_post")


TABLE = [
    (Nameless, "head", "small letters"),
    (Nameless, "head", "parse_nowhere, which is no method"),
    (Placeless, "territory", "no host name"),
    (Placeless, "territory", "without a dot"),
    (Lost, "first work", "refuses: other site"),
    (Lost, "first work", "parse_gone, which is no method"),
    (Greedy, "other sites", "foreign site"),
    (Fickle, "source", "asks random.random"),
    (Fickle, "source", "asks time.time"),
    (Fickle, "answers read twice", "other things the second time"),
    (Talkative, "answers read twice", "reached for the network"),
    (Writing, "answers read twice", "the file /dev/null"),
    (Remembering, "answers read twice", "keeps state on the spider: seen"),
    (Endless, "pages that repeat", "page after page of the same"),
    (Patient, "pages that are empty", "page after page that lists nothing"),
    (Indiscreet, "private things", "not public"),
    (Fragile, "nonsense", "raises"),
    (Careless, "answers read twice", "yields str"),
    (Careless, "answers read twice", "parse_post, which is no method"),
]


@pytest.mark.parametrize(("spider", "what", "told"), TABLE)
def test_a_fault_is_found_and_told(spider: type[PlatformSpider], what: str, told: str) -> None:
    assert told in faults(spider, given()).get(what, "")


def test_what_an_answer_led_to_and_does_no_more_is_told() -> None:
    then = Fetch(url="https://site.example/post/1", lane="pages", callback="parse")
    assert "no longer names https://site.example/post/1" in faults(Good, given(outlinks=(then,)))["answers read twice"]


@pytest.mark.parametrize("spider", [*all_classes()])
def test_ours_say_what_they_are(spider: type[PlatformSpider]) -> None:
    assert_conforms(spider)


#: A row a replica.
FAMILIES = {facts.get("replica", name): name for name, facts in reversed(ROWS.items())}


@pytest.mark.parametrize("name", [*FAMILIES.values()])
def test_ours_read_their_replicas_by_the_rules(name: str) -> None:
    site, facts = site_of(name), ROWS[name]
    spider = get(facts.get("platform", facts.get("replica", name)))
    found = checks(spider, rehearsal=rehearse(spider, site, seed_of(name, site)))
    assert not [(check.what, check.faults) for check in found if check.faults]
