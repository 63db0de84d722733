"""A replica that misbehaves does so as told, says so in its books, and recovers."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from urllib.error import HTTPError

import pytest

from crawler.replicas.run import Running, running
from tests.integration.replicas.client import Client, get

ROBOTS = "https://parler.com/robots.txt"


@pytest.fixture(scope="module")
def replica() -> Iterator[Running]:
    with running("parler", posts=100) as started:
        yield started


@pytest.fixture(autouse=True)
def behaved(replica: Running) -> Iterator[None]:
    yield
    replica.faults()


@pytest.mark.parametrize(
    ("text", "status", "wait"),
    [("429=7", 429, "7"), ("502", 502, None), ("503", 503, None)],
)
def test_refusals_pass(replica: Running, text: str, status: int, wait: str | None) -> None:
    replica.faults(text)
    reply = get(replica, ROBOTS)
    assert (reply.status, reply.headers.get("retry-after")) == (status, wait)
    assert (replica.ledger()[-1]["fault"], replica.ledger()[-1]["complete"]) == (str(status), True)
    assert get(replica, ROBOTS).status == 200


def test_a_date_to_wait_for_is_the_real_one(replica: Running) -> None:
    replica.faults("429=date90")
    told = get(replica, ROBOTS).headers["retry-after"]
    assert 85 <= parsedate_to_datetime(told).timestamp() - time.time() <= 90


def test_a_stall_ends(replica: Running) -> None:
    replica.faults("stall=0.3")
    began = time.monotonic()
    assert get(replica, ROBOTS).status == 200
    assert time.monotonic() - began >= 0.3


def test_a_slow_answer_arrives(replica: Running) -> None:
    whole = get(replica, ROBOTS).received
    replica.faults("slow=1000")
    began = time.monotonic()
    assert get(replica, ROBOTS).received == whole
    assert time.monotonic() - began >= len(whole) / 1000 * 0.8


@pytest.mark.parametrize(("text", "share"), [("cut", 0.6), ("cut=0.3", 0.3), ("reset", 0.0), ("reset=0.5", 0.5)])
def test_answers_break_off_and_come_whole_the_next_time(replica: Running, text: str, share: float) -> None:
    post = next(thing["url"] for thing in replica.things() if thing["kind"] == "post")
    whole = get(replica, post).received
    replica.faults(text)
    reply = get(replica, post)
    assert reply.cut
    line = replica.ledger()[-1]
    assert line["response_bytes"] == int(len(whole) * share)
    assert (line["complete"], line["fault"], line["status"]) == (False, text.partition("=")[0], 200 if share else 0)
    assert whole.startswith(reply.received)
    if text.startswith("cut"):
        assert len(reply.received) == line["response_bytes"]
        assert reply.digests[1] == line["response_sha256"]
    assert get(replica, post).received == whole


def test_some_media_is_gone_and_the_truth_knows(replica: Running) -> None:
    before = replica.truth()["public"]
    replica.faults("s3xml%3")
    truth = replica.truth()
    for thing in replica.things():
        if thing["kind"] in {"image", "video", "avatar", "banner", "preview", "variant"}:
            reply = get(replica, thing["url"])
            assert reply.status == 200
            assert reply.body.startswith(b'<?xml version="1.0" encoding="UTF-8"?>') == ("gone" in thing)
    assert truth["gone"]["image"] > 0
    assert {k: truth["public"][k] + truth["gone"].get(k, 0) for k in before} == before
    assert truth["public"]["post"] == before["post"]


def test_a_wall_around_one_host(replica: Running) -> None:
    replica.faults("login@api.parler.com")
    for _ in range(2):
        reply = get(replica, "https://api.parler.com/v3/uuidConversion/post/1")
        assert (reply.status, reply.headers["location"]) == (302, "https://parler.com/auth/access")
    assert get(replica, ROBOTS).status == 200


def test_faults_by_path_as_json(replica: Running) -> None:
    replica.faults(json.dumps([{"kind": "502", "path": r"^/robots", "times": 1}]))
    assert get(replica, "https://parler.com/").status == 200
    assert get(replica, ROBOTS).status == 502
    assert replica.stats()["faults"][0]["times"] == 0


def test_one_host_goes_dark(replica: Running) -> None:
    replica.faults("dark=3@share.par.pw")
    url = "https://share.par.pw/robots.txt"
    assert [get(replica, url).cut for _ in range(4)] == [False, False, True, True]
    assert get(replica, ROBOTS).status == 200
    replica.faults()
    assert get(replica, url).status == 200


def test_everything_goes_dark_and_comes_back_on_the_same_port(replica: Running) -> None:
    replica.faults("dark=2")
    with Client(replica, "parler.com") as client:
        assert client.ask("/robots.txt").status == 200
        assert client.ask("/robots.txt").cut
    with pytest.raises(ConnectionRefusedError):
        Client(replica, "parler.com")
    assert not replica.stats()["is_up"]
    replica.faults()
    replica.up()
    assert get(replica, ROBOTS).status == 200


def test_down_resets_and_refuses_up_accepts(replica: Running) -> None:
    with Client(replica, "parler.com") as client:
        assert client.ask("/robots.txt").status == 200
        replica.down()
        assert client.ask("/robots.txt").cut
    for _ in range(2):
        with pytest.raises(ConnectionRefusedError):
            Client(replica, "parler.com")
        replica.down()
    replica.up()
    replica.up()
    assert get(replica, ROBOTS).status == 200


def test_the_control_port_refuses_what_it_does_not_know(replica: Running) -> None:
    for target, body, status in (
        ("/nothing", None, 404), ("/faults", b"nonsense", 400), ("/clock", b"teatime", 400), ("/truth", b"", 404),
    ):  # fmt: skip
        with pytest.raises(HTTPError) as refused:
            replica.control(target, body)
        assert refused.value.code == status
        refused.value.close()


def test_the_least_number_of_requests(replica: Running) -> None:
    least = replica.nmin()
    truth = replica.truth()
    assert least["total"] == sum(least["by_kind"].values())
    assert least["by_kind"]["id"] == truth["last"]
    assert least["by_kind"]["asset"] == truth["furniture"]
    for kind in ("post", "share", "profile", "link", "image", "video", "variant", "avatar", "banner", "preview"):
        assert least["by_kind"][kind] == truth["public"][kind]
    assert "comment" not in least["by_kind"]
