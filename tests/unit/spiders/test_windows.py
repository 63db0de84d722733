"""``--since`` and ``--until``: of posts those within are requested, and hardly another."""

from __future__ import annotations

import pytest

from spiders.registry import get
from spiders.rehearsal import rehearse
from spiders.window import instant
from tests.acceptance.platforms import ROWS
from tests.unit.spiders.test_rehearsal import seed_of, site_of

#: Where ids, lists or the API know of time → how many posts without the window may be asked for, to understand one
#: within, and how many within may stay unknown: nothing of the window names an account that is in no directory and
#: whose posts its own list alone shows, nor a feed a page that is none of its entries.
CAN = {
    "atproto": (0, 0), "ghost": (0, 0), "hackernews": (12, 0), "hackernews-sparse": (12, 0), "invision": (0, 0), "mastodon": (2, 1), "mastodon-closed": (2, 4),
    "mastodon-gab": (2, 1), "mastodon-old": (0, 1), "mastodon-pleroma": (2, 1), "mediawiki": (0, 0),
    "mediawiki-root": (0, 0), "phpbb": (0, 0), "pixelfed": (0, 0), "proboards": (0, 0), "reddit": (0, 0),
    "reddit-blocked": (0, 0), "wordpress": (0, 0), "wordpress-bare": (0, 0), "wordpress-closed": (0, 2),
    "wordpress-feed": (0, 1), "wordpress-query": (0, 0), "xenforo": (0, 0),
}  # fmt: skip
#: What stands below something else, and is had with it alone.
BELOW = {"reply", "comment"}


@pytest.mark.parametrize("name", CAN)
def test_only_the_windows_posts_are_requested(name: str) -> None:
    facts, site = ROWS[name], site_of(name, 120)
    spider = get(facts.get("platform", facts.get("replica", name)))
    posts = [one for one in site.things() if one["public"] and one.get("at") and one["item"] == "Post"]
    times = sorted(when for one in posts if (when := instant(one["at"])))
    since, until = times[len(times) * 4 // 10], times[len(times) * 6 // 10]
    whole = rehearse(spider, site_of(name, 120), seed_of(name, site))
    part = rehearse(spider, site_of(name, 120), seed_of(name, site, since=since.isoformat(), until=until.isoformat()))
    said = {item.id for item in part.crawled.items}
    inside = [one for one in posts if since <= (instant(one["at"]) or since) < until]
    outside = [one for one in posts if one not in inside]
    beyond, unknown = CAN[name]
    assert len([one for one in inside if one["kind"] not in BELOW and one["id"] not in said]) <= unknown
    asked = [one["id"] for one in outside if one["url"] and one["url"] in part.served.held]
    assert len(asked) <= beyond, asked
    listings = [sum(one.fetch.lane == "listings" for one in done.served.answers) for done in (part, whole)]
    assert listings[0] <= listings[1] + 2
    assert part.requests < 0.85 * whole.requests
    assert part.leaked == []
