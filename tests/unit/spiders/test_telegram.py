"""Telegram's previews against their replica, in memory, and pages that nobody should make."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import urlsplit

import pytest

from crawler.model import Account, Covered, Fetch, Media, Note, Post, Seed, Standing, Verdict
from crawler.replicas.launch import NOW
from crawler.replicas.telegram import TelegramSite
from crawler.response import CaptureResponse
from spiders.telegram import TelegramSpider
from spiders.telegram_items import Shown
from spiders.testing import answer
from tests.unit.spiders.world import walk

SEED = "https://t.me/herontea"
LIST = "https://t.me/s/herontea"
BUBBLE = '<div class="tgme_widget_message" data-post="herontea/{}">{}<time datetime="2021-01-02T03:04:05+00:00"></time></div>'


def _listed(html: str, *, status: int = 200, callback: str = "parse_list", **cursor: object) -> CaptureResponse:
    fetch = Fetch(
        url=LIST, lane="listings", callback=callback, cursor={"channel": "herontea", "before": None, **cursor}
    )
    return answer(LIST, html, status=status, fetch=fetch)


def test_a_window_asks_for_its_messages_and_few_pages_more() -> None:
    since, until = NOW - timedelta(days=280), NOW - timedelta(days=270)
    done, site = walk(TelegramSpider, TelegramSite, size=500, seed_url=SEED, since=since, until=until)
    posts = [thing for thing in site.things() if thing["item"] == "Post"]
    inside = {thing["id"] for thing in posts if since <= datetime.fromisoformat(thing["at"]) < until}
    assert len(inside) > 20
    assert {item.id for item in done.items if isinstance(item, Post)} == inside
    pages = {urlsplit(url).path.strip("/") for url in done.urls("pages")} - {"herontea"}
    assert pages == inside
    assert len(done.urls("listings")) <= 2 + len(inside) // 20 + 5


def test_what_a_channel_says_and_counts() -> None:
    done, _ = walk(TelegramSpider, TelegramSite, seed_url=SEED)
    account = next(item for item in done.items if isinstance(item, Account))
    assert (account.id, account.name, account.counters) == ("herontea", "Heron & Tea", {"extra": "1 234 subscribers"})
    claims = {claim.kind: claim for claim in done.claims}
    assert claims.keys() == {"image", "number"}
    assert all(claim.caveat for claim in claims.values())
    posts = {item.id: item for item in done.items if isinstance(item, Post)}
    assert any(item.in_reply_to in posts for item in posts.values())
    assert not [item for item in posts.values() if "what was said" in item.text]
    assert all(item.created_at and item.counters["views"] == "1.1K" for item in posts.values())
    withheld = {(one.kind, one.standing) for one in done.coverage if one.standing is Standing.EXCLUDED}
    assert withheld == {("video", Standing.EXCLUDED), ("file", Standing.EXCLUDED)}


@pytest.mark.parametrize("trap", ["", "albums", "holes"])
def test_numbers_of_albums_are_no_holes(trap: str) -> None:
    done, site = walk(TelegramSpider, TelegramSite, seed_url=SEED, trap=[trap] if trap else [])
    numbers = {int(one.id) for one in done.coverage if one.kind == "number"}
    things = [thing for thing in site.things() if thing["item"] in {"Post", "Media"}]
    assert numbers == {int(thing["id"].partition("/")[2]) for thing in things}
    assert len([item for item in done.items if isinstance(item, Media)]) >= 30


def test_files_go_before_the_next_page_and_have_a_second_address() -> None:
    done, site = walk(TelegramSpider, TelegramSite, seed_url=SEED, trap=["expiring"])
    lanes = [fetch.lane for fetch in done.fetches]
    assert lanes[lanes.index("listings") + 1] != "listings"
    held = {
        one.id for one in done.coverage if one.kind in {"image", "video", "audio"} and one.standing is Standing.CAPTURED
    }
    assert held == {thing["id"] for thing in site.things() if thing["item"] == "Media"}
    assert any("/file/ended_" in url for url in done.urls())


def test_a_file_that_is_gone_is_looked_for_once() -> None:
    spider = TelegramSpider(seed=Seed(url=SEED))
    for cursor, count in (({"part": "herontea/7"}, 1), (None, 0)):
        fetch = Fetch(url="https://cdn4.telesco.pe/file/x.jpg", lane="images", callback="parse_file", cursor=cursor)
        found = list(spider.read(answer(fetch.url, status=404, fetch=fetch)))
        assert [one.url for one in found if isinstance(one, Fetch)] == [f"{SEED}/7?embed=1&single=1"] * count


def test_a_channel_without_a_preview_is_said_to_have_none() -> None:
    done, _ = walk(TelegramSpider, TelegramSite, seed_url=SEED, trap=["nopreview"])
    assert ["has no preview" in note.text for note in done.notes] == [True]
    assert not [item for item in done.items if isinstance(item, Post)]
    assert len(done.fetches) < 6


def test_one_message_may_be_the_seed_and_no_channel_is_none() -> None:
    done, _ = walk(TelegramSpider, TelegramSite, seed_url=f"{SEED}/5")
    assert [item.id for item in done.items if isinstance(item, Post)] == ["herontea/5"]
    assert not done.urls("listings")
    done, _ = walk(TelegramSpider, TelegramSite, seed_url="https://t.me/+AbCdEf")
    assert ["name one" in note.text for note in done.notes] == [True]


def test_who_and_what_is_not_there_comes_with_200() -> None:
    spider = TelegramSpider(seed=Seed(url=SEED))
    gone = '<div class="tgme_widget_message_error">Post not found</div>'
    assert spider.judge(answer(f"{SEED}/5?embed=1", gone)) is Verdict.MISSING
    assert spider.judge(answer(f"{SEED}/5?embed=1", BUBBLE.format(5, gone))) is Verdict.OK
    card = Fetch(url=SEED, lane="pages", callback="parse_card")
    assert spider.judge(answer(SEED, "<p>Contact</p>", fetch=card)) is Verdict.MISSING
    assert spider.judge(answer(SEED, '<div class="tgme_page_title">x</div>', fetch=card)) is Verdict.OK


@pytest.mark.parametrize(
    "more",
    ['<a class="tme_messages_more" data-after="9"></a>', '<a class="tme_messages_more" data-before="60"></a>', ""],
)
def test_a_link_that_leads_no_further_back_ends_the_list(more: str) -> None:
    spider = TelegramSpider(seed=Seed(url=SEED))
    found = list(spider.read(_listed(BUBBLE.format(50, "") + more, before=60)))
    assert any(isinstance(one, Post) for one in found)
    assert not [one for one in found if isinstance(one, Fetch) and one.lane == "listings"]
    older = list(
        spider.read(_listed(BUBBLE.format(50, "") + '<link rel="prev" href="/s/herontea?before=50">', before=60))
    )
    assert [one.url for one in older if isinstance(one, Fetch) and one.deeper] == [f"{LIST}?before=50"]


NASTY = [
    "", "<", BUBBLE.format("9" * 40, ""), BUBBLE.format("x", ""), BUBBLE.format(5, "<time datetime='yesterday'>"),
    BUBBLE.format(5, '<a class="tgme_widget_message_photo_wrap" style="background-image:url(javascript:x)"></a>'),
    BUBBLE.format(5, '<a class="tgme_widget_message_photo_wrap" style="background-image:url(" href="//["></a>'),
    BUBBLE.format(5, '<a class="tgme_widget_message_reply" href="//["></a>'),
    '<a class="tme_messages_more" data-before="٣"></a><link rel="prev" href="//[">' + BUBBLE.format(5, ""),
    '<div class="tgme_channel_info_counter"><b class="counter_value">1.9.9K</b><b class="counter_type">photos</b></div>',
    BUBBLE.format(5, "<b><div class=tgme_widget_message_text>" * 3000),
]  # fmt: skip


@pytest.mark.parametrize("html", NASTY)
def test_pages_nobody_should_make(html: str) -> None:
    spider = TelegramSpider(seed=Seed(url=SEED))
    for callback in ("parse_list", "parse_look", "parse_card"):
        response = _listed(html, callback=callback)
        spider.judge(response)
        found = list(spider.read(response))
        assert not [one for one in found if isinstance(one, Fetch) and not one.url.startswith("https://t.me/")]
        assert all(isinstance(one, Fetch | Post | Note | Covered | Account) or one.kind == "number" for one in found)  # type: ignore[union-attr]
    assert Shown(html, LIST).older() in {0, 5}


def test_it_is_known_on_its_own_hosts_alone() -> None:
    page = '<link href="//telegram.org/css/telegram.css"><div class="tgme_page"></div>'
    found = TelegramSpider.recognise([answer(SEED, page)])
    assert found is not None
    assert found.confidence >= 95
    assert TelegramSpider.recognise([answer("https://mirror.example/herontea", page)]) is None
