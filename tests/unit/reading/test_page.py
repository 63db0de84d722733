"""The live page: its forecast, its figures for programs, what of strangers it shows, and what its own page may do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from crawler.cold.copies import Copies, Copy, CopyState
from crawler.commands.dashboard import _Copies, listen
from crawler.errors import UsageError
from crawler.frontier.interface import Stats
from crawler.frontier.reader import FrontierReader
from crawler.frontier.sqlite import SqliteFrontier
from crawler.model import Location, Seed, SegmentClass, State
from crawler.reading.page.app import policy
from crawler.reading.page.board import Board, Sources
from crawler.reading.page.forecast import History, forecast, planned
from crawler.reading.page.metrics import METRICS, text
from crawler.reading.page.newest import Newest, image_type
from crawler.reading.page.snapshot import Evidence, deadline
from crawler.warc.reader import Records, read_at
from crawler.withheld import Names, Withheld
from spiders.registry import adopt
from tests.conformance.frontier.support import at, fetch, lease, settle, told
from tests.unit.reading.shelves import Page, Shop

ROOT = Path(__file__).parent.parent.parent.parent
JPEG = b"\xff\xd8\xff\xe0" + bytes(60)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'


def test_the_pace_of_the_last_minute_and_each_minute_of_the_last_hour() -> None:
    history = History()
    assert history.rates() == (0.0, 0.0)
    for second in range(0, 7200, 5):
        history.note(60_000.0 + second, 2 * second, 100 * second)
    assert history.rates() == (2.0, 100.0)
    assert history.minutes()[-2] == [1000 + 118, 120, 6000]
    assert len(history.minutes()) == 60
    history.note(60_000.0 + 7200 + 3 * 86400, 20_000, 0)  # the machine slept for days
    assert len(history.minutes()) <= 60


def test_a_crawl_with_a_plan_shows_what_that_says() -> None:
    time = forecast(Stats(done=600, queued=400), rate=2.0, now=1000.0, deadline=1050.0)
    parts = {name: {"share": share} for name, share in (("low", 0.5), ("likely", 0.6), ("high", 0.8))}
    plan = {"deadline": 1050.0, "by_deadline": parts, "rate_needed": 9.0}
    found = planned(time, 0.48, 250, plan)
    assert (found["share"], found["expected"], found["share_by_deadline"]) == (0.48, 250, 0.6)
    assert (found["low"], found["high"], found["rate_needed"], found["fits"]) == (0.5, 0.8, 9.0, False)
    for other in (None, {**plan, "deadline": 9.0}, {**plan, "by_deadline": None}):
        assert planned(time, 0.48, 250, other) == {**time, "share": 0.48, "expected": 250}


def test_what_is_done_by_the_deadline_and_what_would_do_all() -> None:
    stats = Stats(done=600, queued=250, leased=50, parked=60, failed=40, blocked=100)
    found = forecast(stats, rate=2.0, now=1000.0, deadline=1050.0)
    assert (found["known"], found["remaining"], found["share"]) == (1000, 200, 0.6)
    assert (found["eta"], found["left"], found["fits"]) == (100.0, 50.0, False)
    assert (found["share_by_deadline"], found["rate_needed"]) == (0.7, 4.0)
    assert forecast(stats, rate=4.0, now=1000.0, deadline=1050.0)["fits"]
    past = forecast(stats, rate=2.0, now=1100.0, deadline=1050.0)
    assert (past["left"], past["rate_needed"], past["share_by_deadline"]) == (0.0, None, 0.6)
    assert forecast(Stats(), rate=0.0, now=0.0, deadline=None)["share"] is None
    assert forecast(stats, rate=0.0, now=0.0, deadline=None)["eta"] is None


@pytest.mark.parametrize(
    ("said", "when"),
    [("2026-12-01", 1796083200.0), ("2026-12-01T01:00+01:00", 1796083200.0), (1796083200, 1796083200.0), ("x", None),
     ("", None), (None, None), ([1], None)],
)  # fmt: skip
def test_a_deadline_is_read_from_the_settings_of_the_crawl(tmp_path: Path, said: Any, when: float | None) -> None:
    made = SqliteFrontier(tmp_path / "f.sqlite")
    assert deadline(made) is None
    made.meta_set("config", json.dumps({"deadline": said}))
    assert deadline(made) == when
    made.close()


def test_hosts_and_troubles_are_counted_and_named(tmp_path: Path) -> None:
    made = SqliteFrontier(tmp_path / "f.sqlite")
    made.add_segment("s1", SegmentClass.TEXT, "w1")
    made.offer([fetch(str(n)) for n in range(6)])
    taken = lease(made, 5)
    settle(
        made, told(taken[0], location=at(0)), told(taken[1], State.FAILED, reason="status 500", status=500, location=at(90)),
        told(taken[2], State.PARKED, reason="no answer"),
    )  # fmt: skip
    made.freeze("https://a.example", 2000.0)
    (host,) = made.hosts(5)
    assert (host.origin, host.frozen_until) == ("https://a.example", 2000.0)
    assert (host.queued, host.leased, host.done, host.failed, host.parked) == (1, 2, 1, 1, 1)
    assert made.in_hand() == {"w1": 2}
    found = {one.reason: (one.state, one.url, one.status) for one in made.troubles(3)}
    assert found == {
        "status 500": ("failed", "https://a.example/1", 500), "no answer": ("parked", "https://a.example/2", 0),
    }  # fmt: skip
    made.close()


def test_the_evidence_of_a_failure_is_its_last_attempt(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "c")
    evidence = Evidence(shop.collection)
    assert evidence.of("https://a.example/1") == ""
    page = shop.segment("attempts")
    for minutes in range(2):
        page.says(status="503 Busy", url="https://a.example/1", minutes=minutes)
    page.seal()
    segment, _, offset = evidence.of("https://a.example/1").rpartition(":")
    record = read_at(shop.collection.warcs / segment, int(offset))
    assert (record.get("WARC-Target-URI"), record.get("WARC-Date")[:16]) == ("https://a.example/1", "2021-01-10T12:01")
    assert evidence.of("https://a.example/2") == ""


# What strangers wrote


def _locations(page: Page) -> list[Location]:
    records = list(Records(page.segment.path))
    asked = {record.id: record.offset for record in records if record.type == "request"}
    return [
        Location(
            segment=page.name, offset=asked[record.get("WARC-Concurrent-To")], response_offset=record.offset,
            response_length=record.length,
        )
        for record in records if record.type == "response"
    ]  # fmt: skip


@pytest.fixture
def look(tmp_path: Path) -> Iterator[Callable[[Shop, list[Location]], tuple[Newest, dict[str, Any]]]]:
    stack = ExitStack()

    def looking(shop: Shop, live: list[Location]) -> tuple[Newest, dict[str, Any]]:
        SqliteFrontier(shop.collection.frontier).close()
        file = shop.collection.spider_file
        assert file is not None
        spider = adopt(file)(seed=Seed(url="https://a.example/"))
        reader = stack.enter_context(closing(FrontierReader(shop.collection.frontier)))
        newest = Newest(shop.collection, reader, spider, Withheld(shop.collection))
        return newest, newest.look(live)

    with stack:
        yield looking


def test_the_newest_posts_are_shown_as_they_are_and_nothing_restricted(tmp_path: Path, look: Any) -> None:
    shop = Shop(tmp_path / "c")
    page = shop.segment()
    evil = "<script>alert(1)</script>" + "x" * 10_000
    page.says({"id": "1", "text": "old"}, {"id": "2", "text": evil, "author": "<b>me</b>"})
    page.says({"id": "3", "text": "PRIVATE"})
    page.says({"id": "4", "text": "gone", "deleted": True})
    page.says("bang")
    page.says({"id": "1", "text": "new"})
    restricted = shop.segment("restricted")
    restricted.says({"id": "9", "text": "not for strangers"})
    _, found = look(shop, [*_locations(page), *_locations(restricted)])
    assert [post["id"] for post in found["posts"]] == ["2", "1"] or [post["id"] for post in found["posts"]] == [
        "1",
        "2",
    ]
    by_id = {post["id"]: post for post in found["posts"]}
    assert by_id["1"]["text"] == "new"
    assert by_id["2"]["text"] == evil[:300]
    assert by_id["2"]["author"] == "<b>me</b>"


def test_what_is_markup_is_shown_as_its_text(tmp_path: Path, look: Any) -> None:
    shop = Shop(tmp_path / "c", markup=True)
    page = shop.segment()
    page.says({"id": "1", "text": "<p>tea &lt;b&gt;<br>and <script>alert(1)</script>toast</p>"})
    _, found = look(shop, _locations(page))
    assert [post["text"] for post in found["posts"]] == ["tea <b> and toast"]


def test_what_is_taken_down_while_it_is_shown_goes_at_once(tmp_path: Path, look: Any) -> None:
    shop = Shop(tmp_path / "c")
    page, images = shop.segment(), shop.segment("images")
    page.says({"id": "1", "text": "kept"})
    page.says(
        {"id": "2", "text": "beside it"},
        *({"id": f"x{n}", "text": "x"} for n in range(50)),
        {"id": "3", "text": "secret"},
    )
    images.holds("https://a.example/3/photo.jpg", JPEG)
    live = [*_locations(page), *_locations(images)]
    newest, found = look(shop, live)
    assert "2" in {post["id"] for post in found["posts"]}
    (image,) = found["images"]
    Withheld(shop.collection).add(
        "takedown", by="she", reason="hers", names=Names(posts=("post/3",), urls=("https://a.example/3",))
    )
    found = newest.look(live)
    assert [post["id"] for post in found["posts"]] == ["1"]
    assert found["images"] == []
    assert newest.image(image["name"]) is None


def test_an_image_has_the_type_of_its_bytes_and_a_name_nobody_guesses(tmp_path: Path, look: Any) -> None:
    shop = Shop(tmp_path / "c")
    page = shop.segment("images")
    page.holds("https://a.example/1.jpg", JPEG, kind="text/html")
    page.holds("https://a.example/2.svg", SVG, kind="image/svg+xml")
    page.holds("https://a.example/3.jpg", b"<script>", kind="image/jpeg")
    page.moved("https://a.example/4.jpg", "https://a.example/1.jpg")
    newest, found = look(shop, _locations(page))
    (image,) = found["images"]
    assert newest.image(image["name"]) == ("image/jpeg", JPEG)
    assert newest.image("0" * 16) is None
    assert re.fullmatch("[0-9a-f]{16}", image["name"])


def test_without_a_crawl_the_newest_indexes_say_what_is_newest(tmp_path: Path, look: Any) -> None:
    shop = Shop(tmp_path / "c")
    page = shop.segment("images")
    for n in range(12):
        page.holds(f"https://a.example/{n}.jpg", JPEG + bytes([n]), minutes=n)
    page.seal()
    _, found = look(shop, None)
    assert [image["url"] for image in found["images"]] == [f"https://a.example/{n}.jpg" for n in range(11, 3, -1)]


def test_only_what_a_browser_draws_and_never_runs_is_an_image() -> None:
    for data, kind in (
        (JPEG, "image/jpeg"), (b"\x89PNG\r\n\x1a\n", "image/png"), (b"GIF89a", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"), (SVG, None), (b"<html>", None), (b"%PDF-", None), (b"", None),
    ):  # fmt: skip
        assert image_type(data) == kind


# The page itself


def test_the_page_runs_its_own_script_and_knows_no_markup() -> None:
    page = (ROOT / "crawler" / "reading" / "page" / "page.html").read_text()
    assert page.count("<script") == page.count("<style") == 1
    script = page.partition("<script>")[2]
    for sink in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "new Function", "srcdoc"):
        assert sink not in script
    assert not re.search(r"\son\w+=|\sstyle=|javascript:", page)
    assert set(re.findall(r"https?://[^\s\"'`]+", page)) == {"http://www.w3.org/2000/svg"}
    allowed = policy(page)
    assert "unsafe" not in allowed
    assert re.search(r"default-src 'none'; script-src 'sha256-[\w+/]{43}='; style-src 'sha256-[\w+/]{43}=';", allowed)
    assert page.count("aria-live") == 1


@pytest.fixture
async def board(tmp_path: Path) -> Any:
    shop = Shop(tmp_path / "c")
    made = SqliteFrontier(shop.collection.frontier)
    made.offer([fetch('a"b\\c\n', lane='la"ne\n')])
    made.close()
    copies = [{"destination": "vault", "state": "proven", "objects": 2, "bytes": 9, "trouble": ""}]
    board = Board(shop.collection, Sources(copies=lambda: copies, ends=4e9))
    yield board
    board.close()


async def test_metrics_are_those_that_are_named_and_well_formed(board: Board) -> None:
    shot = await board.shot()
    shot["reasons"] = {'a "reason"\nof \\ mine': 1}
    shot["claims"] = [{"kind": "post", "counter": "c", "count": 5}]
    shot["coverage"] = {"post": {"captured": 1}}
    shot["time"] |= {"rate_needed": 1.0, "share_by_deadline": 0.5, "eta": 3.0, "share": 0.1}
    said = text(shot)
    line = re.compile(
        r'(outlast_\w+)(?:\{\w+="(?:[^"\\\n]|\\["\\n])*"(?:,\w+="(?:[^"\\\n]|\\["\\n])*")*\})? -?[\d.e+-]+'
    )
    matches = [line.fullmatch(row) for row in said.splitlines() if not row.startswith("#")]
    assert None not in matches
    assert {match[1] for match in matches if match} == METRICS.keys()


def test_the_board_of_grafana_shows_what_is_exported_and_all_of_it() -> None:
    board = json.loads((ROOT / "deploy" / "grafana" / "outlast.json").read_text())
    asked = {
        name
        for panel in board["panels"]
        for one in panel["targets"]
        for name in re.findall(r"outlast_\w+", one["expr"])
    }
    assert asked <= METRICS.keys()
    assert METRICS.keys() - asked <= {"outlast_segments", "outlast_copies", "outlast_snapshot_timestamp_seconds"}
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


async def test_a_hosts_pace_is_what_it_did_since_the_last_looks(board: Board) -> None:
    for now, done in ((100.0, None), (110.0, 5), (120.0, 25), (200.0, 25)):
        hosts = [{"origin": "https://a.example", "done": done}] if done is not None else []
        board._add_rates(hosts, now)
        assert [host["rate"] for host in hosts] == {100.0: [], 110.0: [0.5], 120.0: [1.25], 200.0: [0.0]}[now]


async def test_all_who_look_share_one_snapshot(board: Board) -> None:
    first = await board.shot()
    assert await board.shot() is first
    await board.last()
    assert await board.shot() is not first
    assert board.closed.is_set()


def test_copies_are_told_by_destination_once_there_is_a_ledger(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "c")
    source = _Copies(shop.collection)
    assert source.tally() == []
    ledger = Copies(shop.collection.root / "copies.sqlite")
    ledger.add("vault", {"name": "vault"})
    ledger.set_trouble("vault", "refuses")
    made = [
        Copy(object=f"warcs/{n}", sha256=n, destination="vault", key=n, state=CopyState.PENDING, bytes=5) for n in "abc"
    ]
    ledger.want(made, now=1.0)
    ledger.set(made[0], CopyState.PROVEN, now=2.0)
    told = {one["state"]: (one["destination"], one["objects"], one["bytes"], one["trouble"]) for one in source.tally()}
    assert told == {"pending": ("vault", 2, 10, "refuses"), "proven": ("vault", 1, 5, "refuses")}
    ledger.close()
    source._copies.close()


def test_a_damaged_ledger_of_copies_leaves_the_rest_of_the_page(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "c")
    (shop.collection.root / "copies.sqlite").write_bytes(b"no database" * 1000)
    assert _Copies(shop.collection).tally() == []


@pytest.mark.parametrize("text", ["example.org", "1.2.3.4:x", ":", "", "70000", "-1", "nowhere.invalid:1"])
def test_what_is_no_address_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UsageError) as told:
        listen(text)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("text", ["0", "127.0.0.1:0", "[::1]:0"])
def test_the_page_is_on_loopback_unless_told_otherwise(text: str) -> None:
    with listen(text) as listener:
        assert listener.getsockname()[0] in {"127.0.0.1", "::1"}
