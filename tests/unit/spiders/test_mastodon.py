"""The Mastodon family against its replica, in memory."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import urlsplit

from crawler.model import Post
from crawler.replicas.kit import PlatformSite
from crawler.replicas.launch import NOW
from crawler.replicas.mastodon import MastodonSite
from spiders.mastodon import MastodonSpider
from tests.unit.spiders.world import walk


def _unlisted(site: PlatformSite) -> set[str]:
    assert isinstance(site, MastodonSite)
    return {f"@{account.username}" for account in site._accounts if not account.listed}


def test_a_window_asks_for_its_posts_and_two_pages_more() -> None:
    since, until = NOW - timedelta(days=30), NOW - timedelta(days=28)
    done, site = walk(MastodonSpider, MastodonSite, size=600, since=since, until=until)
    truth = {
        thing["id"]: thing["url"] for thing in site.things()
        if thing["item"] == "Post" and thing["public"] and since <= datetime.fromisoformat(thing["at"]) < until
    }  # fmt: skip
    assert len(truth) > 20
    said = {item.id for item in done.items if isinstance(item, Post)}
    # Who is in no directory and said nothing in the window's timeline can only be met outside of it.
    assert {truth[missed].split("/")[1] for missed in truth.keys() - said if truth[missed]} <= _unlisted(site)
    assert len(truth.keys() & said) > len(truth) * 0.9
    pages = {urlsplit(url).path for url in done.urls("pages")}
    posts = {path for path in pages if path.count("/") == 2}
    assert posts <= {url for url in truth.values() if url}
    timeline = [url for url in done.urls("listings") if "/timelines/" in url]
    assert len(timeline) <= len(truth) // 40 + 3


def test_a_closed_timeline_is_said_once_and_accounts_are_walked() -> None:
    for trap in ("closed", "disabled"):
        done, site = walk(MastodonSpider, MastodonSite, trap=[trap])
        assert [note.text for note in done.notes if "closed to strangers" in note.text]
        public = {thing["id"] for thing in site.things() if thing["item"] == "Post" and thing["public"]}
        assert public <= {item.id for item in done.items if isinstance(item, Post)}


def test_what_the_server_claims_is_kept_with_its_caveat() -> None:
    done, _ = walk(MastodonSpider, MastodonSite)
    claims = {claim.kind: claim for claim in done.claims}
    assert claims["post"].count == 100
    assert "strangers" in claims["post"].caveat
