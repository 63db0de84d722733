"""What all of the Mastodon family shares beside its API: whose page is whose, and pages that hold posts themselves.

GoToSocial shows strangers nothing else, and so does Mastodon before 2.7; the pages of later ones are a shell for
scripts, and then the few posts that a feed names are taken.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urljoin, urlsplit

from crawler.model import Account, Covered, Media, Post, Standing
from spiders import mastodon_items as items
from spiders.api import source, text, turn, with_query
from spiders.base import (
    ACCOUNTS,
    EXTRAS,
    IMAGES,
    LISTINGS,
    ORIGINALS,
    PAGES,
    POSTS,
    REQUISITES,
    Territory,
    Yield,
)  # fmt: skip
from spiders.feeds import entries
from spiders.html import absolute, page
from spiders.mastodon_dialects import MASTODON, Dialect
from spiders.pages import PageSpider, text_of
from spiders.window import Window, day, instant, span

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from crawler.model import Fetch, Lane, Seed
    from crawler.response import CaptureResponse

_VIDEO = re.compile(r"\.(?:mp4|webm|mov|m4v|ogv)$", re.IGNORECASE)


class MastodonPages(PageSpider):
    """Reads the pages of a server of the family."""

    dialect: ClassVar[Dialect] = MASTODON
    markup: ClassVar[bool] = True
    lanes: ClassVar[tuple[Lane, ...]] = (LISTINGS, POSTS, ACCOUNTS, PAGES, REQUISITES, IMAGES, ORIGINALS, EXTRAS)
    kinds: ClassVar[tuple[str, ...]] = (
        "post",
        "reply",
        "elsewhere",
        "account",
        "image",
        "video",
        "avatar",
        "page",
        "asset",
    )

    @classmethod
    def territory(cls, seed: Seed) -> Territory:
        """Return the server; its uploads may be anywhere."""
        return Territory()

    # Whom and what to take

    def only(self) -> str:
        """Return the one account that the seed names, in lower case; empty where it is the whole server."""
        return _user_at(self.seed.url, self.dialect.address).lower()

    def user_at(self, url: str) -> str:
        """Return whose page a URL is, by the addresses of this dialect; empty where it is nobody's."""
        return _user_at(url, self.dialect.address)

    def is_wanted(self, account: Any) -> bool:
        """Say whether an account lives here, and is the one that the seed names, if it names one."""
        return items.is_ours(account) and self.only() in {"", text(account, "acct").lower()}

    def until(self) -> str | None:
        """Return the id at which the window ends, where ids carry time."""
        until = Window.of(self.seed).until
        return self.dialect.bound(until) if until and self.dialect.bound else None

    def account_page(
        self, identity: str, url: str, response: CaptureResponse, *, read: bool = False
    ) -> Iterator[Fetch]:
        """Yield the fetch of an account's page, which is read where no list is to be had."""
        if url:
            whose = identity if self.dialect.has_lists else items.user_of(url) or url
            reading = self.parse_shown if read else self.parse_page
            yield self.fetch(
                url, lane=PAGES, parent=response, callback=reading, covers=("account", whose), cursor={"whose": whose}
            )

    def permalink(self, url: str, when: datetime | None, response: CaptureResponse) -> Iterator[Fetch]:
        """Yield the fetch of a post's page."""
        if url:
            reading = self.parse_page if self.dialect.has_lists else self.parse_shown
            yield self.fetch(url, lane=PAGES, parent=response, callback=reading, covers=("page", url), day=day(when))

    def upload(self, made: Media, when: datetime | None, response: CaptureResponse) -> Iterator[Yield]:
        """Yield an upload and the fetch of its file."""
        lane = IMAGES if made.kind == "image" else ORIGINALS
        yield made
        if self.follows:
            yield self.fetch(made.url, lane=lane, parent=response, covers=(made.kind, made.url), day=day(when))

    def also(self, url: str, kind: str, response: CaptureResponse) -> Iterator[Fetch]:
        """Yield the fetch of what is nice to have."""
        if url and self.follows:
            yield self.fetch(url, lane=EXTRAS, parent=response, covers=(kind, url))

    # Pages that hold posts themselves

    def parse_shown(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read the page of an account or a thread, and what it needs; nothing more where it is a shell."""
        yield from self.parse_page(response)
        shown, name = items.page_of(text_of(response), response.url), self.user_at(response.url)
        cursor = response.fetch.cursor or {}
        whose, is_first = str(cursor.get("whose", "")), "page" not in cursor
        if name and is_first and not self.dialect.has_lists:
            yield from self._owner(name, shown, response)
        elif name and is_first and whose and not shown.posts:
            feed = urljoin(response.url, self.dialect.feed.format(name))
            yield self.fetch(feed, lane=LISTINGS, parent=response, callback=self.parse_feed, sweep=True)
        elif not self.dialect.has_lists and not name and not shown.posts:  # the front page, or that of who runs it
            for url in page(text_of(response), response.url).links:
                if (whom := self._here(url, response)) and self.only() in {"", whom.lower()}:
                    yield from self.account_page("", url, response, read=True)
        window = Window.of(self.seed)
        for one in shown.posts:
            if window.holds(instant(one.when)):
                yield from self._shown(one, whose or name, response)
            elif not self.dialect.has_lists:
                yield from self._met(one, response)
        yield from self._onward(shown, whose, response)

    def _onward(self, shown: items.Page, whose: str, response: CaptureResponse) -> Iterator[Yield]:
        """Yield the next page of what an account said; at the first one, the one that has its replies, too."""
        listed = [one for one in shown.posts if not one.is_pinned]
        window, is_first = Window.of(self.seed), "page" not in (response.fetch.cursor or {})
        if not listed or window.is_before(instant(listed[-1].when)):
            return
        url = (shown.replies if is_first else "") or shown.older
        if is_first and url and window.is_after(instant(listed[-1].when)):
            url = with_query(url, max_id=self.until())
        if url:
            following = self.fetch(url, lane=PAGES, parent=response, callback=self.parse_shown, cursor={"whose": whose})
            ids = [one.id for one in listed] if url == shown.older or not is_first else []
            yield from turn(response, ids, following, newest_first=True)

    def _owner(self, name: str, shown: items.Page, response: CaptureResponse) -> Iterator[Yield]:
        """Yield the account whose page this is, where pages are all there is."""
        if not (shown.posts or shown.name):
            return
        yield Account(
            platform=self.name, id=name, username=name, url=response.url, name=shown.name, bio=shown.bio,
            avatar=shown.avatar or None, banner=shown.banner or None, **source(response),
        )  # fmt: skip
        yield Covered(kind="account", id=name, standing=Standing.CAPTURED, url=response.url)
        for url, kind in ((shown.avatar, "avatar"), (shown.banner, "banner")):
            yield from self.also(url, kind, response)

    def _shown(self, one: items.Shown, whose: str, response: CaptureResponse) -> Iterator[Yield]:
        """Yield a post that a page shows; one by somebody of this server with its page, files and author."""
        when, author = instant(one.when), self._here(one.author_url, response)
        yield Post(
            platform=self.name, id=one.id, url=one.url, kind="reply" if one.is_reply else "post",
            author=(whose if author == items.user_of(response.url) else author) or None, author_name=one.acct,
            text=one.text, created_at=span(when), media=one.files, extra={"pinned": True} if one.is_pinned else {},
            **source(response),
        )  # fmt: skip
        if not author or self.only() not in {"", author.lower()}:
            return
        if not self.dialect.has_lists:
            yield from self._met(one, response)
        yield from self.permalink(one.url, when, response)
        for url in one.files:
            kind = "video" if _VIDEO.search(urlsplit(url).path) else "image"
            made = Media(platform=self.name, id=url, url=url, kind=kind, post=f"post/{one.id}", **source(response))
            yield from self.upload(made, when, response)

    def _met(self, one: items.Shown, response: CaptureResponse) -> Iterator[Fetch]:
        """Yield the pages of whoever wrote a post or is named in it, where pages are all there is."""
        for url in (one.author_url, *one.mentions):
            if (name := self._here(url, response)) and self.only() in {"", name.lower()}:
                yield from self.account_page("", url, response, read=True)

    def _here(self, url: str, response: CaptureResponse) -> str:
        """Return whose page of this server a URL is; empty where it is none."""
        return items.user_of(url) if urlsplit(url).netloc == urlsplit(response.url).netloc else ""

    def parse_feed(self, response: CaptureResponse) -> Iterator[Yield]:
        """Take the pages of the few posts that a feed names, where nothing else is open."""
        with response.open() as stream:
            for entry in entries(stream):
                when, url = instant(entry.published), absolute(response.url, entry.url)
                if entry.kind == "page" and url and Window.of(self.seed).holds(when):
                    for fetch in self.permalink(url, when, response):
                        yield replace(fetch, callback="parse_shown")


@lru_cache(maxsize=1024)
def _user_at(url: str, address: str) -> str:
    found = re.fullmatch(address, items.path_of(url))
    return found[1] if found else items.user_of(url)
