"""``--since`` and ``--until``: only the window's posts are asked for, and at most two pages of a list beyond them."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from crawler.model import Post
from spiders.base import ACCOUNTS, LISTINGS
from spiders.registry import get
from spiders.rehearsal import Rehearsal, rehearse
from spiders.window import Window, instant
from tests.acceptance.platforms import ROWS
from tests.unit.spiders.test_rehearsal import seed_of, site_of

if TYPE_CHECKING:
    from datetime import datetime

    from crawler.response import CaptureResponse

#: Pages of one list, and posts or threads in all, that may be asked for though they show nothing of the window.
SPARE = 2
#: What of a query only says which page of a list it is.
_PAGING = frozenset({"after", "before", "cursor", "limit", "max_id", "offset", "page", "start", "until"})


@dataclass(frozen=True)
class Can:
    """How far a platform can. Without numbers: all of the window is found, and SPARE is kept to."""

    #: Posts of the window that nothing of the window leads to; see docs/platforms.md.
    unknown: int = 0
    #: Posts or threads outside of it that are asked for to know the others.
    idle: int = SPARE
    #: A list of numbers is searched by halves: a page for each, at either end.
    is_searched: bool = False
    #: Nothing lists when a thread or post began: a window has a beginning alone.
    has_end: bool = True


EXACT, BEGINNING = Can(), Can(has_end=False)
WHOLE = Can(idle=8)  # a repository of an account is taken whole: it is one request
SEARCHED = Can(is_searched=True)
CAN = {
    "atproto": WHOLE, "atproto-norepo": WHOLE, "atproto-old": WHOLE,
    "bitchute": EXACT, "odysee": EXACT,
    # Others who answered what is older.
    "bluesky": Can(unknown=2), "bluesky-nodata": Can(unknown=2), "bluesky-norepo": Can(unknown=2),
    "bluesky-web": Can(unknown=2),
    "discourse": SEARCHED, "discourse-noposts": EXACT, "discourse-old": SEARCHED,
    "discourse-leak": Can(unknown=1, is_searched=True),  # what a moderator did, far down a long topic
    "flaskbb": BEGINNING, "smf": BEGINNING,
    "ghost": EXACT, "ghost-closed": BEGINNING, "ghost-nokey": BEGINNING,
    "hackernews": SEARCHED, "hackernews-quick": SEARCHED, "hackernews-sparse": SEARCHED,
    "imageboard": EXACT, "imageboard-2ch": EXACT, "imageboard-foolfuuka": EXACT, "imageboard-jschan": EXACT,
    "imageboard-wall": EXACT, "imageboard-lynxchan": BEGINNING,
    "imageboard-4chan": Can(idle=4),  # closed threads are listed by their numbers alone
    "invision": EXACT, "phpbb": EXACT, "phpbb-repeat": EXACT, "proboards": EXACT, "vbulletin-5": EXACT,
    "xenforo": EXACT,
    "vbulletin": Can(idle=6),  # times without a zone: a day more at either end
    "lemmy": EXACT, "lemmy-new": EXACT, "lemmy-old": EXACT,
    # Accounts that are in no directory, and said nothing in the window that any list but their own shows.
    "mastodon": Can(unknown=2), "mastodon-closed": Can(unknown=5), "mastodon-disabled": Can(unknown=5),
    "mastodon-gab": Can(unknown=2), "mastodon-gotosocial": Can(unknown=4), "mastodon-old": Can(unknown=3),
    "mastodon-pleroma": Can(unknown=2), "pixelfed": Can(unknown=2),
    "misskey": Can(unknown=3), "misskey-closed": Can(unknown=5), "misskey-firefish": Can(unknown=3),
    "misskey-nodirectory": Can(unknown=6), "misskey-sharkey": Can(unknown=3),
    "mediawiki": EXACT, "mediawiki-root": EXACT,
    "peertube": EXACT, "peertube-old": EXACT,
    "reddit": Can(idle=3), "reddit-blocked": Can(idle=3),  # what was answered later, below a post of the window
    "rumble": Can(unknown=6), "rumble-json": Can(unknown=6),  # channels of which nothing of the window is listed
    "telegram": SEARCHED, "telegram-albums": SEARCHED, "telegram-holes": SEARCHED,
    # Pages that stand in no feed.
    "wordpress": EXACT, "wordpress-bare": EXACT, "wordpress-closed": Can(unknown=2), "wordpress-feed": Can(unknown=1),
}  # fmt: skip


def _times(site: Any) -> dict[str, datetime]:
    """Return the posts of a replica that strangers can have → when they were written."""
    posts = (one for one in site.things() if one["public"] and one["item"] == "Post")
    return {one["id"]: when for one in posts if (when := instant(one.get("at")))}


def _is_listing(answer: CaptureResponse) -> bool:
    is_account = answer.fetch.covers is not None and answer.fetch.covers[0] == "account"
    return is_account or answer.fetch.lane in {LISTINGS.name, ACCOUNTS.name}


def _list_of(answer: CaptureResponse) -> str:
    """Return what names a list, whichever page of it was asked."""
    parts, whose = urlsplit(answer.fetch.url), re.findall(rb'"userId":"\w+"', answer.fetch.body or b"")
    return f"{parts.path} {[one for one in parse_qsl(parts.query) if one[0] not in _PAGING]} {whose}"


def _idle(part: Rehearsal, reader: Any, times: dict[str, datetime], window: Window) -> list[CaptureResponse]:
    """Return the answers that tell of posts, as a spider without a window reads them, and of none within it."""
    found = []
    for one in part.served.answers:
        told = [thing.id for thing in reader.read(one) if isinstance(thing, Post)] if one.status == 200 else []
        told = [times[identity] for identity in told if identity in times]
        if told and not any(map(window.holds, told)):
            found.append(one)
    return found


@pytest.mark.parametrize("name", CAN)
def test_only_the_windows_posts_are_requested(name: str) -> None:
    facts, site, can = ROWS[name], site_of(name, 120), CAN[name]
    spider, times = get(facts.get("platform", facts.get("replica", name))), _times(site)
    order = sorted(times.values())
    window = Window(order[len(order) * 4 // 10], order[len(order) * 6 // 10] if can.has_end else None)
    since, until = (end.isoformat() if end else None for end in (window.since, window.until))
    part = rehearse(spider, site, seed_of(name, site, since=since, until=until))
    said = {item.id for item in part.crawled.items if isinstance(item, Post)}
    lacking = [identity for identity, when in times.items() if window.holds(when) and identity not in said]
    assert len(lacking) <= can.unknown, lacking
    idle = _idle(part, spider(seed=seed_of(name, site)), times, window)
    pages = Counter(_list_of(one) for one in idle if _is_listing(one))
    halves = 2 * math.ceil(math.log2(len(times))) if can.is_searched else 0
    assert max(pages.values(), default=0) <= SPARE + halves, pages
    posts = [one.fetch.url for one in idle if not _is_listing(one)]
    assert len(posts) <= can.idle + halves, posts
    assert part.leaked == []
