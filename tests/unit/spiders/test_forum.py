"""Classic forums against their replica, in memory: eight engines, one walk."""

from __future__ import annotations

from datetime import datetime, timedelta
from time import process_time
from typing import Any
from urllib.parse import urlsplit

import pytest

from crawler.model import Account, Fetch, Media, Post, Seed, Standing, Verdict
from crawler.replicas.forum_skins import SKINS
from crawler.replicas.forums import START, ForumSite
from crawler.replicas.kit import PRIVATE
from spiders import forum_times
from spiders.detect import recognise
from spiders.forum import ForumSpider
from spiders.forum_engines import PHPBB, VBULLETIN, XENFORO, clean
from spiders.forum_items import Shown
from spiders.forums import PhpbbSpider, XenforoSpider
from spiders.registry import get
from spiders.testing import answer
from tests.unit.spiders.world import HOST, walk

HOME = f"http://{HOST}"


def _spider(engine: str) -> Any:
    return get("vbulletin" if engine == "vbulletin5" else engine)


def _walk(engine: str, *traps: str, **more: Any) -> Any:
    return walk(_spider(engine), ForumSite, trap=(engine, *traps), **more)


def _asked(done: Any) -> list[str]:
    found = [urlsplit(fetch.url) for fetch in done.fetches]
    return [f"{url.path}?{url.query}" if url.query else url.path for url in found]


def _check(done: Any, site: Any) -> None:
    asked = _asked(done)
    items = {(type(item).__name__, item.id) for item in done.items}
    for thing in site.things():
        if thing["public"]:
            assert not thing["url"] or thing["url"] in asked, thing
            assert not thing["item"] or (thing["item"], thing["id"]) in items, thing
        elif thing["item"]:
            assert (thing["item"], thing["id"]) not in items, thing
    least = sum(site.overhead().values()) + sum(1 for one in site.things() if one["public"] and one["url"])
    assert len(asked) == len(set(asked))
    assert len(asked) <= 1.2 * least
    assert PRIVATE not in repr(done.items)


@pytest.mark.parametrize("engine", SKINS)
def test_all_that_is_public_is_taken_by_every_engine(engine: str) -> None:
    done, site = _walk(engine, size=300)
    _check(done, site)
    said = {claim.kind: claim.count for claim in done.claims}
    everything = list(site.things())
    assert said["post"] == sum(one["kind"] in {"post", "reply"} for one in everything)
    assert said["thread"] == sum(len(board.threads) for board in site._all())
    files = {one["url"] for one in everything if one["kind"] == "file" and one["public"]}
    assert {item.url.removeprefix(HOME) for item in done.items if isinstance(item, Media)} == files


@pytest.mark.parametrize("engine", SKINS)
def test_nothing_dangerous_is_asked_and_no_session_travels(engine: str) -> None:
    done, _ = _walk(engine)
    for url in _asked(done):
        words = (
            "login",
            "posting",
            "newreply",
            "mark",
            "report",
            "search",
            "print",
            "calendar",
            "logout",
            "goto",
            "sid=",
        )
        assert not any(word in url.lower() for word in (*words, "phpsessid", "?s=", "&s=", "prev_next"))


@pytest.mark.parametrize("engine", SKINS)
def test_an_engine_is_recognised_by_its_own_spider_alone(engine: str) -> None:
    done, site = _walk(engine, size=20)
    shown = site._index()
    found = recognise([answer(f"{HOME}/", shown.body)])
    assert found.platform == _spider(engine).name
    assert found.confidence >= 95
    about = "<html><body><p>This blog is about phpBB, XenForo, vBulletin 4, SMF and FlaskBB.</p></body></html>"
    assert recognise([answer(f"{HOME}/", about)]).platform == "generic"
    assert done.fetches


@pytest.mark.parametrize("trap", ["leak", "repeat", "nomembers"])
def test_traps_of_phpbb(trap: str) -> None:
    done, site = _walk("phpbb", trap, size=300)
    _check(done, site)
    if trap == "repeat":
        assert any("repeats the one before it" in note.text for note in done.notes)
    if trap == "nomembers":
        assert not any("viewprofile" in url for url in _asked(done))
        assert any("list of members is closed" in note.text for note in done.notes)
        assert {item.id for item in done.items if isinstance(item, Account)}


def test_what_waits_for_a_moderator_goes_to_nobody() -> None:
    _, site = _walk("phpbb", "leak", size=300)
    shown = site._board(site.boards[0], 1).body + site._board(site.boards[1], 1).body
    assert PRIVATE.encode() in shown
    spider = PhpbbSpider()
    fetch = Fetch(url=f"{HOME}/viewforum.php?f=1", lane="listings", callback="parse_board")
    assert spider.judge(answer(fetch.url, shown, fetch=fetch)) is Verdict.MIXED


def test_closed_files_cost_one_request_a_page() -> None:
    done, site = _walk("xenforo", "nofiles", size=300)
    _check(done, site)
    refused = [one for one in done.coverage if one.standing is Standing.REFUSED and one.kind == "image"]
    assert len([url for url in _asked(done) if "/attachments/" in url]) < len(refused) / 2
    assert any("Files are closed" in note.text for note in done.notes)


def test_a_login_is_known_in_every_guise() -> None:
    for engine in SKINS:
        _, site = _walk(engine, size=20)
        said = site._login()
        spider = _spider(engine)()
        fetch = Fetch(url=f"{HOME}/x", lane="listings", callback="parse_board")
        headers = {**dict(said.headers), "Content-Type": said.content_type}
        shown = answer(fetch.url, said.body, status=said.status, headers=headers, fetch=fetch)
        assert said.status == 403 or spider.judge(shown) is Verdict.LOGIN


@pytest.mark.parametrize("engine", ["phpbb", "xenforo", "vbulletin5", "smf", "invision", "proboards"])
def test_a_window_is_all_that_is_asked_for(engine: str) -> None:
    since, until = START + timedelta(days=16), START + timedelta(days=22)
    done, site = _walk(engine, size=500, since=since, until=until)
    slack = timedelta(hours=15) if engine == "smf" else timedelta()
    said = {
        one["id"]: datetime.fromisoformat(one["at"]) for one in site.things() if one["item"] == "Post" and one["public"]
    }
    wanted = {number for number, at in said.items() if since <= at < until}
    got = {item.id for item in done.items if isinstance(item, Post)}
    assert len(wanted) > 30
    assert wanted <= got
    assert all(since - slack <= said[number] < until + slack for number in got)
    threads = {str(item.extra["thread"]) for item in done.items if isinstance(item, Post)}
    pages = [fetch for fetch in done.fetches if fetch.callback == "parse_thread"]
    boards = [one for one in site._all() if one.is_public]
    if engine != "smf":  # its lists do not say when threads began
        assert (
            len(pages) <= len(threads) + sum(max(len(one.posts) // 10, 0) for b in boards for one in b.threads) / 4 + 4
        )
    listed = [fetch for fetch in done.fetches if fetch.callback == "parse_board"]
    assert len(listed) <= sum(site.overhead().values()) + 2


def test_a_long_thread_is_read_from_its_end() -> None:
    since = START + timedelta(hours=9 * 25 + 152)  # in thread 25, which has dozens of posts five hours apart
    done, site = _walk("xenforo", size=900, since=since)
    thread = next(one for board in site._all() for one in board.threads if one.id == 25)
    assert thread.is_public
    pages = [url for url in _asked(done) if "/threads/thread.25/" in url]
    assert "/threads/thread.25/" not in pages
    assert pages == ["/threads/thread.25/page-4"]
    assert {str(post.id) for post in thread.posts if post.at >= since} <= {item.id for item in done.items}


def test_a_seed_may_be_a_board_or_a_thread() -> None:
    done, site = _walk("phpbb", path="/viewforum.php?f=2&sid=" + "0" * 32)
    threads = [url for url in _asked(done) if url.startswith("/viewtopic")]
    assert threads
    assert "/memberlist.php" not in _asked(done)
    assert len(threads) < sum(len(board.threads) for board in site._all())
    done, _ = _walk("phpbb", path="/viewtopic.php?t=2")
    assert {url for url in _asked(done) if "viewtopic" in url} == {"/viewtopic.php?t=2"}


def test_a_page_of_nothing_but_moved_threads_is_not_the_last() -> None:
    row = '<li class="row"><dl class="topic_moved"><a class="topictitle" href="viewtopic.php?t=5">x</a></dl></li>'
    shown = f'<ul class="topics">{row}</ul><div class="pagination"><a href="viewforum.php?f=1&start=8">2</a></div>'
    fetch = Fetch(url=f"{HOME}/viewforum.php?f=1", lane="listings", callback="parse_board")
    found = list(PhpbbSpider(seed=Seed(url=HOME)).read(answer(fetch.url, shown, fetch=fetch)))
    assert [one.url for one in found if isinstance(one, Fetch)] == [f"{HOME}/viewforum.php?f=1&start=8"]


def test_sessions_go_and_the_rest_stays() -> None:
    sid = "0123456789abcdef" * 2
    for written, kept in {
        f"{HOME}/viewtopic.php?sid={sid}&t=5": f"{HOME}/viewtopic.php?t=5",
        f"{HOME}/viewtopic.php?f=1&t=5&start=20&sid={sid}": f"{HOME}/viewtopic.php?f=1&t=5&start=20",
        f"{HOME}/showthread.php?s={sid}&t=5&highlight=tea": f"{HOME}/showthread.php?t=5",
        f"{HOME}/index.php?PHPSESSID=abcdef0123456789&topic=5.0": f"{HOME}/index.php?topic=5.0",
        f"{HOME}/index.php?PHPSESSID=abcdef0123456789;topic=5.0": f"{HOME}/index.php?topic=5.0",
        f"{HOME}/show.php?s=small&t=5": f"{HOME}/show.php?s=small&t=5",
    }.items():
        assert clean(written) == kept


def test_edits_and_deletions_are_told() -> None:
    done, site = _walk("xenforo", size=300)
    posts = {item.id: item for item in done.items if isinstance(item, Post)}
    truth = {
        str(post.id): post for board in site._all() for one in board.threads for post in one.posts if one.is_public
    }
    assert {number for number, item in posts.items() if item.deleted} == {
        n for n, one in truth.items() if one.is_deleted
    }
    assert {n for n, item in posts.items() if item.extra.get("edited_at")} == {
        n for n, one in truth.items() if one.is_edited
    }
    assert all(item.author_name == truth[number].by.name for number, item in posts.items())
    assert all(item.created_at == (truth[number].at.isoformat(),) * 2 for number, item in posts.items())
    assert all(item.text == truth[number].text or item.deleted for number, item in posts.items())
    assert posts["1"].in_reply_to is None
    assert posts["2"].in_reply_to == "1"


@pytest.mark.parametrize("engine", SKINS)
def test_hostile_pages_raise_nothing_and_lead_nowhere(engine: str) -> None:
    cls: type[ForumSpider] = _spider(engine)
    spider = cls(seed=Seed(url=f"{HOME}/"))
    mark = SKINS[engine].head + f"<body {SKINS[engine].body}>"
    shapes = [
        b"", b"\xff\xfe\x00<", b"<" * 5000, b"<a href='" * 2000, b"<div class=post id=p1>" * 3000,
        b"<article class=message id=js-post-9999999999999999999999>" * 50,
        b"<a class='topictitle forumtitle' href='javascript:alert(1)'>x</a><a href='//[bad'>y</a>" * 100,
        b"<li class=row><a class=topictitle href='/ucp.php?mode=logout&t=5'>x</a></li>",
        b"<time datetime='99999-99-99T99'>x</time><div class=post id=p5><p class=author><time datetime=x></time></p></div>",
        b"<base href='http://['><ul class=topics><li class=row><a class=topictitle href='viewtopic.php?t=1'>x</a></li></ul>",
        b"<p class=date>February 31, 99999, 44:99 PM</p>",
    ]  # fmt: skip
    for shape in shapes:
        for callback in ("parse_index", "parse_board", "parse_thread", "parse_member", "parse_members", "parse_file"):
            fetch = Fetch(
                url=f"{HOME}/x?t=1", lane="pages", callback=callback, cursor={"rest": "x", "first": 5, "back": "y"}
            )
            response = answer(fetch.url, mark.encode() + shape, fetch=fetch)
            spider.judge(response)
            for thing in spider.read(response):
                assert not isinstance(thing, Post) or len(thing.id) < 20
                assert not isinstance(thing, Fetch) or "logout" not in thing.url


OLD_XENFORO = """<html id="XenForo" class="Public"><head><base href="http://site.example/" /></head><body>
<ol class="discussionListItems"><li id="thread-7" class="discussionListItem visible"><h3 class="title">
<a href="threads/herons.7/" class="PreviewTooltip">Herons</a></h3><span class="itemPageNav"><a href="threads/herons.7/page-3">3
</a></span><abbr class="DateTime" data-time="1400000000">x</abbr></li></ol>
<ol><li id="post-70" class="message" data-author="Otter"><div class="userText"><a href="members/otter.3/" class="username">Otter
</a></div><div class="messageContent"><blockquote class="messageText">Tea &amp; soup<br>at five</blockquote></div>
<a class="datePermalink" href="posts/70/"><span class="DateTime" title="May 13, 2014 at 4:53 PM">x</span></a></li></ol></body></html>"""
NOW = datetime(2021, 1, 10, 12, tzinfo=START.tzinfo)
OLD_VBULLETIN = """<html><head><meta name="generator" content="vBulletin 3.8.7" /></head><body><table>
<tr><td class="alt1" id="td_threadtitle_7"><a href="showthread.php?s=00112233445566778899aabbccddeeff&amp;t=7"
id="thread_title_7">Herons</a></td></tr></table>
<table id="post70" class="tborder"><tr><td class="thead">01-02-2010, 03:04 PM</td></tr><tr><td><a class="bigusername"
href="member.php?s=00112233445566778899aabbccddeeff&amp;u=3">Otter</a></td><td><div id="post_message_70">Tea</div></td></tr>
</table><div class="pagenav"><a rel="next" href="showthread.php?t=7&amp;page=2">2</a></div></body></html>"""


def test_older_engines_of_a_family_are_read() -> None:
    shown = Shown(OLD_XENFORO, f"{HOME}/threads/herons.7/", XENFORO, NOW)
    row, said = next(shown.rows()), next(shown.posts())
    assert (row.id, row.url, row.last) == ("7", f"{HOME}/threads/herons.7/", f"{HOME}/threads/herons.7/page-3")
    assert (said.id, said.author, said.author_id, said.text) == ("70", "Otter", "3", "Tea & soup\nat five")
    assert said.when is not None
    assert said.when.earliest < datetime(2014, 5, 13, 16, 53, tzinfo=START.tzinfo) < said.when.latest
    shown = Shown(OLD_VBULLETIN, f"{HOME}/showthread.php?t=7", VBULLETIN, NOW)
    row, said = next(shown.rows()), next(shown.posts())
    assert (row.id, row.url) == ("7", f"{HOME}/showthread.php?t=7")
    assert (said.id, said.author, said.author_id, said.text) == ("70", "Otter", "3", "Tea")
    assert shown.part(VBULLETIN.thread) == f"{HOME}/showthread.php?t=7&page=2"


@pytest.mark.parametrize(
    ("said", "earliest", "latest"),
    [
        ("13-02-2010, 03:04 PM", "2010-02-13 01:04", "2010-02-14 05:04"),
        ("2010.02.03", "2010-02-02 10:00", "2010-02-04 14:00"),
        ("01-02-2010 at 15:04", "2010-01-02 01:04", "2010-02-02 05:04"),  # of January, or of February
        ("05/01/2021 12:00", "2021-01-04 22:00", "2021-01-06 02:00"),  # May is yet to come
        ("Yesterday, 01:00 AM", "2021-01-07 11:00", "2021-01-10 15:00"),
        ("3 hours ago", "2021-01-10 08:00", "2021-01-10 09:00"),
    ],
)
def test_times_that_may_mean_several_are_as_wide_as_all_of_them(said: str, earliest: str, latest: str) -> None:
    found = forum_times.written(said, NOW)
    assert found is not None
    assert (f"{found.earliest:%Y-%m-%d %H:%M}", f"{found.latest:%Y-%m-%d %H:%M}") == (earliest, latest)


@pytest.mark.parametrize("said", ["31-31-2010", "1.2.3", "99-99-9999", "Re: 12", "0000-00-00", "Today is fine 2010"])
def test_what_is_no_time_is_none(said: str) -> None:
    assert (forum_times.written(said, NOW) is None) == ("Today" not in said)


def test_pages_within_pages_are_read_quickly() -> None:
    before = process_time()
    for part in ("<div class='post' id='p{0}'><p class=author><a class=username href='x'>", "<ul class=topics><li class=row>",
                 "<li class=row><dl class=topic_read><a class=topictitle href='/viewtopic.php?t={0}'>x</a>"):  # fmt: skip
        nested = "".join(part.format(number) for number in range(5000))
        shown = Shown(nested, f"{HOME}/viewtopic.php?t=1", PHPBB, NOW)
        assert len(list(shown.posts())) <= 1000
        assert len(list(shown.rows())) <= 1000
    assert process_time() - before < 10


def test_two_engines_of_one_family() -> None:
    assert XenforoSpider.name == "xenforo"
    old, new = _walk("vbulletin")[0], _walk("vbulletin5")[0]
    assert {item.platform for item in (*old.items, *new.items)} == {"vbulletin"}
