"""Which platform a site is, from what it answers; and what a user's own word is worth against that."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from crawler.response import CaptureResponse
from spiders import detect
from spiders.base import Evidence, PlatformSpider, Probe
from spiders.detect import contradiction, is_settled, next_probe, recognise
from spiders.generic import GenericSpider
from spiders.parler import COUNTER, ParlerSpider
from spiders.testing import answer
from tests.unit.spiders import parler_html as html

HOME = "https://parler.com/"
PARKED = "<html><head><title>This domain is for sale</title></head><body>Buy it</body></html>"
PLAIN = "<html><head><title>Tea</title></head><body>hello</body></html>"
POST_PAGE = html.post(html.wrapper(own=html.card("u", "U", "soup")))
ID = b"\n " + html.POST.encode() + b"\x18\x01"

TABLE = [
    # (what was answered, platform, least confidence)
    ([answer(HOME, html.SHELL)], "parler", 95),
    ([answer("https://www.parler.com/", html.SHELL)], "parler", 95),
    ([answer(f"{HOME}post/{html.POST}", POST_PAGE)], "parler", 95),
    ([answer(HOME, status=503), answer(f"{COUNTER}1", ID)], "parler", 95),
    ([answer(HOME, status=503), answer(f"{COUNTER}1", '{"message":"No","fieldvalidationsMap":[]}', status=404)], "parler", 95),
    ([answer(HOME, PARKED), answer(f"{COUNTER}1", ID)], "parler", 95),
    ([answer(HOME, status=503), answer(f"{COUNTER}1", status=503)], "parler", 60),
    ([answer(HOME, status=403)], "parler", 60),
    ([answer(HOME, status=301, headers={"Location": "https://elsewhere.example/"})], "parler", 60),
    ([answer(HOME, PARKED)], "generic", 50),
    ([answer(HOME, PARKED), answer(f"{COUNTER}1", PARKED)], "generic", 50),
    ([answer("https://example.org/", PLAIN)], "generic", 50),
    ([answer("https://example.org/", POST_PAGE)], "generic", 50),
    ([answer("https://example.org/", status=404)], "generic", 50),
    ([], "generic", 50),
]  # fmt: skip


@pytest.mark.parametrize(("replies", "platform", "confidence"), TABLE)
def test_the_table(replies: list[CaptureResponse], platform: str, confidence: int) -> None:
    found = recognise(replies)
    assert found.platform == platform
    assert confidence <= found.confidence <= max(confidence, 97)
    assert found.reasons
    assert all(found.reasons)
    assert is_settled(replies) == (found.confidence >= 95)


def test_a_known_host_is_named_in_the_reasons() -> None:
    assert recognise([answer(HOME, status=503)]).reasons == (
        "parler.com is known as Parler, and shows nothing now (HTTP 503)",
    )
    assert recognise([answer(HOME, PARKED)]).reasons == (
        "parler.com is known as Parler, but nothing it shows looks like that",
    )


def plan(seed: str) -> list[str]:
    """What is asked of a site that answers nothing of use."""
    asked: list[str] = []
    while url := next_probe(seed, [], asked):
        asked.append(url)
    return asked


def test_the_seed_is_asked_first_and_strangers_are_left_alone() -> None:
    assert plan(HOME) == [HOME, f"{COUNTER}1"]
    assert plan("https://api.parler.com/")[0] == "https://api.parler.com/"
    assert plan("https://example.org/a")[:2] == ["https://example.org/a", "https://example.org/.well-known/nodeinfo"]


class Nosy(PlatformSpider):
    name = "nosy"
    title = "Nosy"
    probes = tuple(Probe(path=f"/probe/{n}") for n in range(20))

    @classmethod
    def recognise(cls, replies: object) -> Evidence | None:
        raise RuntimeError("a plug-in fell over")


class Sure(PlatformSpider):
    name = "sure"
    title = "Sure"

    @classmethod
    def recognise(cls, replies: object) -> Evidence | None:
        return Evidence(confidence=99, reasons=("I just know",))


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[type[PlatformSpider]]]:
    spiders: list[type[PlatformSpider]] = [ParlerSpider, GenericSpider]
    classes = {"parler": ParlerSpider, "generic": GenericSpider, "nosy": Nosy, "sure": Sure}
    monkeypatch.setattr(detect, "all_classes", lambda: iter(spiders))
    monkeypatch.setattr(detect, "get", classes.__getitem__)
    return spiders


def test_eight_requests_are_enough_and_a_failing_plug_in_says_nothing(others: list[type[PlatformSpider]]) -> None:
    others.insert(0, Nosy)
    urls = plan("https://example.org/")
    assert urls[:3] == [f"https://example.org/{path}" for path in ("", ".well-known/nodeinfo", "probe/0")]
    assert len(urls) == 8
    assert plan(HOME)[:2] == [HOME, f"{COUNTER}1"]
    assert recognise([answer("https://example.org/", PLAIN)]).platform == "generic"


@pytest.mark.parametrize(
    ("platform", "replies", "contradicted"),
    [
        ("parler", [answer(HOME, html.SHELL)], False),
        ("parler", [answer("https://example.org/", PLAIN)], True),
        ("parler", [answer("https://example.org/", POST_PAGE)], True),
        ("parler", [answer("https://example.org/", status=503)], False),
        ("parler", [answer(HOME, PARKED)], False),
        ("parler", [], False),
        ("generic", [answer(HOME, html.SHELL)], False),
        ("generic", [answer("https://example.org/", PLAIN)], False),
    ],
)
def test_what_a_users_word_is_worth(platform: str, replies: list[CaptureResponse], contradicted: bool) -> None:
    why = contradiction(platform, recognise(replies))
    assert bool(why) == contradicted
    if contradicted:
        assert "Parler" in why


def test_another_platform_beyond_doubt_contradicts_even_the_name_of_the_host(
    others: list[type[PlatformSpider]],
) -> None:
    others.insert(0, Sure)
    found = recognise([answer(HOME, PARKED)])
    assert found.platform == "sure"
    assert "I just know" in contradiction("parler", found)
    assert not contradiction("sure", found)
