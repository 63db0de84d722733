"""Pixelfed: pictures, through what its own pages ask for on behalf of strangers.

Its timelines, and the API it shares with Mastodon, want a login. Open are the directory of the front page, where the
administrator shows it; the list of each account that its profile page is filled from; the comments beneath a post; and
a feed of the latest ten. A profile page names the number of its account, by which the rest is asked.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urljoin, urlsplit

from crawler.model import Note
from spiders.api import at, objects, text, turn
from spiders.base import ACCOUNTS, LISTINGS, POSTS, Yield
from spiders.html import absolute
from spiders.mastodon import MastodonSpider
from spiders.mastodon_dialects import PIXELFED, Dialect
from spiders.pages import text_of
from spiders.window import day

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from crawler.model import Fetch, Seed
    from crawler.response import CaptureResponse

_PROFILE = re.compile(r"<profile\b[^>]{0,500}\bprofile-id=\"(\d{1,20})\"")
#: Above every id there is. Without a bound older servers list nothing at all.
_TOP = str((1 << 63) - 1)


class PixelfedSpider(MastodonSpider):
    """Walks the accounts that a server shows, newest post first."""

    name = "pixelfed"
    title: ClassVar[str] = "Pixelfed"
    dialect: ClassVar[Dialect] = PIXELFED
    software: ClassVar[frozenset[str]] = frozenset({"pixelfed"})
    reads_refusals: ClassVar[frozenset[str]] = frozenset({"parse_directory", "parse_account"})
    reads_holes: ClassVar[frozenset[str]] = frozenset({"parse_directory"})

    def seeds(self, seed: Seed) -> Iterator[Fetch]:
        """Yield the directory, or the page of the account that the seed names, and nothing that wants a login."""
        closed = ("/api/v1/accounts/lookup", "/api/v1/custom_emojis", "/api/v2/instance")
        return (fetch for fetch in super().seeds(seed) if not urlsplit(fetch.url).path.startswith(closed))

    def until(self) -> str:
        """Return where lists begin: at the end of the window, or above everything."""
        return super().until() or _TOP

    def parse_directory(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page of the accounts that the front page shows, or hear that it shows none."""
        people = objects(response.data(), "data")
        if response.status != 200:
            why = "This server lists nobody; name an account: archive crawl HOST/NAME."
            yield Note(text=f"{why} (HTTP {response.status})", url=response.url)
        for one in people:
            bio, name = text(one, "bio"), text(one, "name")
            yield from self.account({**one, "acct": text(one, "username"), "display_name": name, "note": bio}, response)
        if people and (url := absolute(response.url, text(response.data(), "links", "next"))):
            following = self.fetch(url, lane=LISTINGS, parent=response, callback=self.parse_directory, sweep=True)
            yield from turn(response, [text(one, "id") for one in people], following)

    def parse_shown(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page; that of an account says by which number the account is asked."""
        yield from super().parse_shown(response)
        found = _PROFILE.search(text_of(response))
        if found and self.only() and self.user_at(response.url).lower() == self.only():
            person = urljoin(response.url, self.dialect.person.format(found[1]))
            yield self.fetch(person, lane=ACCOUNTS, parent=response, callback=self.parse_person, sweep=True)

    def around(self, status: dict[str, Any], when: datetime | None, response: CaptureResponse) -> Iterator[Fetch]:
        """Yield the fetch of the comments beneath a post."""
        count = text(status, "reply_count") or text(status, "replies_count")
        whose = text(status, "account", "id")
        if count not in {"", "0"} and whose:
            url = urljoin(response.url, f"/api/v2/comments/{whose}/status/{text(status, 'id')}?limit=50")
            yield self.fetch(
                url, lane=POSTS, parent=response, callback=self.parse_comments, day=day(when), sweep=True
            )  # fmt: skip

    def parse_comments(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page of comments."""
        comments = objects(response.data(), "data")
        yield from self.statuses(comments, response)
        links = at(response.data(), "meta", "pagination", "links")
        if comments and (url := absolute(response.url, text(links, "next"))):
            following = self.fetch(url, lane=POSTS, parent=response, callback=self.parse_comments, sweep=True)
            yield from turn(response, [text(one, "id") for one in comments], following)
