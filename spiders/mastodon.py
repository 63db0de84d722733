"""The Mastodon family, through its client API (docs.joinmastodon.org) as far as strangers get.

How it is walked: the local timeline and the directory name accounts; each account's own list is the complete source
of what it said, unlisted posts and replies included; a post with replies has its thread read for those from
elsewhere, which stand nowhere else on this server. Every post, account and upload of this server is taken with the
page people see. What came from other servers is kept as it stands in the answers, and not followed.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urljoin

from crawler.model import Account, Claim, Media, Note, Post, Verdict
from spiders.api import at, counters, next_link, objects, source, text, turn, with_query
from spiders.base import ACCOUNTS, EXTRAS, IMAGES, LISTINGS, ORIGINALS, PAGES, POSTS, REQUISITES, Territory, Yield
from spiders.nodeinfo import DOOR, document, read
from spiders.pages import PageSpider
from spiders.window import Window, day, instant, span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.model import Fetch, Lane, Seed
    from crawler.response import CaptureResponse

#: The most that a page of statuses, and of accounts, may hold.
PAGE, DIRECTORY = 40, 80
_PUBLIC = frozenset({"public", "unlisted"})
_POST_COUNTERS = {"replies": "replies_count", "reposts": "reblogs_count", "likes": "favourites_count"}
_ACCOUNT_COUNTERS = {"posts": "statuses_count", "followers": "followers_count", "following": "following_count"}


class MastodonSpider(PageSpider):
    """Walks what one server has of its own people."""

    name = "mastodon"
    title: ClassVar[str] = "Mastodon"
    software: ClassVar[frozenset[str]] = frozenset({"mastodon", "hometown"})
    lanes: ClassVar[tuple[Lane, ...]] = (LISTINGS, POSTS, ACCOUNTS, PAGES, REQUISITES, IMAGES, ORIGINALS, EXTRAS)
    kinds: ClassVar[tuple[str, ...]] = ("post", "reply", "account", "image", "video", "avatar", "page", "asset")
    reads_refusals: ClassVar[frozenset[str]] = frozenset({"parse_timeline"})

    @classmethod
    def territory(cls, seed: Seed) -> Territory:
        """Return the server; its uploads may be anywhere."""
        return Territory()

    def judge(self, response: CaptureResponse) -> Verdict:
        """Know a closed door, and lists in which something is not for strangers."""
        if response.status == 422 or (response.status == 401 and "/api/" in response.url):
            return Verdict.LOGIN
        if response.status == 200 and "/api/v1/" in response.url and response.fetch.callback is not None:
            said = response.data()
            statuses = [*objects(said), *objects(said, "ancestors"), *objects(said, "descendants")]
            if any(text(one, "visibility") not in {"", *_PUBLIC} for one in statuses):
                return Verdict.MIXED
        return super().judge(response)

    def seeds(self, seed: Seed) -> Iterator[Fetch]:
        """Yield the listings that lead to everything."""
        yield self.fetch(seed.url, lane=PAGES, callback=self.parse_page, covers=("page", seed.url))
        yield self._door(DOOR, self.parse_nodeinfo)
        yield self._door("/api/v2/instance", None)
        yield self._door("/api/v1/custom_emojis", self.parse_emojis)
        until = _bound(Window.of(seed).until)
        timeline = with_query(urljoin(seed.url, "/api/v1/timelines/public"), local="true", limit=PAGE, max_id=until)
        yield self.fetch(timeline, lane=LISTINGS, callback=self.parse_timeline, sweep=True)
        yield self._directory(0)

    def _door(self, path: str, callback: Any) -> Fetch:
        return self.fetch(urljoin(self.seed.url, path), lane=LISTINGS, callback=callback, sweep=True)

    def _directory(self, offset: int, parent: CaptureResponse | None = None) -> Fetch:
        place = urljoin(self.seed.url, "/api/v1/directory")
        url = with_query(place, local="true", order="new", limit=DIRECTORY, offset=offset)
        return self.fetch(
            url, lane=LISTINGS, parent=parent, callback=self.parse_directory, cursor={"offset": offset}, sweep=True
        )

    # Listings

    def parse_nodeinfo(self, response: CaptureResponse) -> Iterator[Yield]:
        """Take the server's own count of its posts and accounts."""
        if said := read(response):
            if said.posts is not None:
                why = "counts posts that strangers cannot have, too"
                yield Claim(kind="post", count=said.posts, counter="nodeinfo localPosts", caveat=why, url=response.url)
            if said.users is not None:
                yield Claim(kind="account", count=said.users, counter="nodeinfo users.total", url=response.url)
        elif found := document([response]):
            yield self.fetch(found, lane=LISTINGS, parent=response, callback=self.parse_nodeinfo, sweep=True)

    def parse_emojis(self, response: CaptureResponse) -> Iterator[Yield]:
        """Yield the pictures of a server's own emoji."""
        for emoji in objects(response.data()):
            yield from self._extra(text(emoji, "url"), "emoji", response)

    def parse_timeline(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page of the local timeline, or hear that it is closed."""
        statuses = objects(response.data())
        if response.status != 200 or (not statuses and not response.fetch.cursor and not Window.of(self.seed)):
            why = f"HTTP {response.status}" if response.status != 200 else "an empty list"
            closed = f"The timeline is closed to strangers ({why}); accounts are walked instead."
            yield Note(text=closed, url=response.url)
            return
        yield from self._statuses(statuses, response)
        yield from self._older(statuses, response, self.parse_timeline)

    def parse_directory(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page of the accounts that let themselves be listed."""
        accounts = objects(response.data())
        for account in accounts:
            yield from self._account(account, response)
        if len(accounts) >= DIRECTORY:
            following = self._directory((response.fetch.cursor or {})["offset"] + DIRECTORY, response)
            yield from turn(response, [text(account, "id") for account in accounts], following)

    def parse_account(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page of what one account said."""
        statuses = objects(response.data())
        yield from self._statuses(statuses, response)
        if len(statuses) >= PAGE // 2:  # a page may be short of what was left out of it, and not be the last
            yield from self._older(statuses, response, self.parse_account)

    def parse_thread(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read what stands around a post."""
        yield from self._statuses(objects(response.data(), "ancestors"), response)
        yield from self._statuses(objects(response.data(), "descendants"), response)

    def _older(self, statuses: list[dict[str, Any]], response: CaptureResponse, callback: Any) -> Iterator[Yield]:
        url = next_link(response)
        if not url or not statuses or Window.of(self.seed).is_before(instant(text(statuses[-1], "created_at"))):
            return
        following = self.fetch(url, lane=LISTINGS, parent=response, callback=callback)
        yield from turn(response, [text(one, "id") for one in statuses], following, newest_first=True)

    # Things

    def _statuses(self, statuses: list[dict[str, Any]], response: CaptureResponse) -> Iterator[Yield]:
        for status in statuses:
            is_inside = Window.of(self.seed).holds(instant(text(status, "created_at")))
            if is_inside and text(status, "visibility") in _PUBLIC:
                yield from self._status(status, response)

    def _status(self, status: dict[str, Any], response: CaptureResponse) -> Iterator[Yield]:
        yield from self._account(at(status, "account"), response)
        yield _post(status, response)
        if isinstance(echoed := status.get("reblog"), dict):
            if text(echoed, "visibility") in _PUBLIC:
                yield from self._status(echoed, response)
            return
        if not _is_ours(status.get("account")):
            return
        identity, when = text(status, "id"), instant(text(status, "created_at"))
        kind = "reply" if text(status, "in_reply_to_id") else "post"
        if url := text(status, "url"):
            yield self.fetch(
                url, lane=PAGES, parent=response, callback=self.parse_page, covers=("page", url), day=day(when)
            )
        for media in objects(status, "media_attachments"):
            yield from self._media(media, f"{kind}/{identity}", when, response)
        if text(status, "replies_count") not in {"", "0"}:
            context = urljoin(response.url, f"/api/v1/statuses/{identity}/context")
            yield self.fetch(context, lane=POSTS, parent=response, callback=self.parse_thread, day=day(when))
        yield from self._extra(text(status, "card", "image"), "preview", response)

    def _media(
        self, media: dict[str, Any], post: str, when: datetime | None, response: CaptureResponse
    ) -> Iterator[Yield]:
        url, kind = text(media, "url"), text(media, "type")
        if not url:
            return
        is_image = kind in {"image", ""}
        ours = "image" if is_image else "audio" if kind == "audio" else "video"
        yield Media(
            platform=self.name, id=text(media, "id"), url=url, kind=ours, post=post, title=text(media, "description"),
            extra={"remote_url": text(media, "remote_url")}, **source(response),
        )  # fmt: skip
        yield self.fetch(
            url, lane=IMAGES if is_image else ORIGINALS, parent=response, covers=(ours, url), day=day(when)
        )
        if not is_image:
            yield from self._extra(text(media, "preview_url"), "preview", response)

    def _account(self, account: Any, response: CaptureResponse) -> Iterator[Yield]:
        """Yield an account, and where it lives here its page and all it said."""
        identity, url = text(account, "id"), text(account, "url")
        if not identity:
            return
        made = span(instant(text(account, "created_at")))
        yield Account(
            platform=self.name, id=identity, username=text(account, "acct"), url=url,
            name=text(account, "display_name"), bio=text(account, "note"), created_at=made,
            avatar=text(account, "avatar") or None, banner=text(account, "header") or None,
            counters=counters(account, _ACCOUNT_COUNTERS), **source(response),
        )  # fmt: skip
        if not _is_ours(account):
            return
        yield self.fetch(url, lane=PAGES, parent=response, callback=self.parse_page, covers=("account", identity))
        for part, kind in (("avatar", "avatar"), ("header", "banner")):
            yield from self._extra(text(account, part), kind, response)
        window = Window.of(self.seed)
        last = instant(text(account, "last_status_at"))
        if text(account, "last_status_at") and last and window.since and last.date() < window.since.date():
            return
        place = urljoin(response.url, f"/api/v1/accounts/{identity}/statuses")
        listing = with_query(place, limit=PAGE, max_id=_bound(window.until))
        yield self.fetch(listing, lane=ACCOUNTS, parent=response, callback=self.parse_account)

    def _extra(self, url: str, kind: str, response: CaptureResponse) -> Iterator[Yield]:
        if url:
            yield self.fetch(url, lane=EXTRAS, parent=response, covers=(kind, url))


def _post(status: dict[str, Any], response: CaptureResponse) -> Post:
    author, echoed = status.get("account"), status.get("reblog")
    return Post(
        platform=MastodonSpider.name, id=text(status, "id"), url=text(status, "url"),
        kind="reply" if text(status, "in_reply_to_id") else "post", author=text(author, "id"),
        author_name=text(author, "acct"), text=text(status, "content"),
        created_at=span(instant(text(status, "created_at"))), in_reply_to=text(status, "in_reply_to_id") or None,
        repost_of=text(echoed, "id") or None, sensitive=status.get("sensitive") is True,
        media=tuple(text(media, "url") for media in objects(status, "media_attachments")),
        mentions=tuple(text(one, "acct") for one in objects(status, "mentions")),
        hashtags=tuple(text(one, "name") for one in objects(status, "tags")),
        counters=counters(status, _POST_COUNTERS),
        extra={"uri": text(status, "uri"), "visibility": text(status, "visibility"),
               "edited_at": text(status, "edited_at"), "spoiler": text(status, "spoiler_text")},
        **source(response),
    )  # fmt: skip


def _is_ours(account: Any) -> bool:
    """Say whether an account lives on the server that was asked: others are named with their host."""
    return bool(text(account, "acct")) and "@" not in text(account, "acct")


def _bound(when: datetime | None) -> int | None:
    """Return the id that no status before a moment reaches: 48 bits of milliseconds, 16 of anything."""
    return int(when.astimezone(UTC).timestamp() * 1000) << 16 if when else None
