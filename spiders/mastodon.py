"""The Mastodon family, through its client API (docs.joinmastodon.org) as far as strangers get.

How it is walked: the local timeline and the directory name accounts, and so do posts that mention them; each account's
own list is the complete source of what it said, unlisted posts and replies included; a post with replies has its thread
read for those from elsewhere, which stand nowhere else on this server. Where an account's list is closed its page is
read, and where that is a shell for scripts its feed. Every post, account and upload of this server is taken with the
page people see. What came from other servers is kept as it stands in the answers, and not followed.

What sets the relatives apart is data: see ``mastodon_dialects.py`` and the classes at the end.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs, urljoin, urlsplit

from crawler.model import Claim, Note, Verdict
from spiders import mastodon_items as items
from spiders.api import at, next_link, number, objects, text, turn, with_query
from spiders.base import ACCOUNTS, LISTINGS, PAGES, POSTS, Evidence, Probe, Yield
from spiders.mastodon_dialects import GAB, GOTOSOCIAL, MASTODON, PLEROMA, TRUTH_SOCIAL, Dialect
from spiders.mastodon_pages import MastodonPages
from spiders.nodeinfo import DOOR, document, nodeinfo, read
from spiders.pages import text_of
from spiders.window import Window, day, instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from crawler.model import Fetch, Seed
    from crawler.response import CaptureResponse

INSTANCE = "/api/v1/instance"
_LOGIN = re.compile(r"/(?:auth/sign_in|login)(?:[/?]|$)")


class MastodonSpider(MastodonPages):
    """Walks what one server has of its own people."""

    name = "mastodon"
    title: ClassVar[str] = "Mastodon"
    dialect: ClassVar[Dialect] = MASTODON
    software: ClassVar[frozenset[str]] = frozenset({"mastodon", "hometown", "glitch", "glitchcafe", "chuckya"})
    probes: ClassVar[tuple[Probe, ...]] = (Probe(path=INSTANCE, order=20),)
    reads_refusals: ClassVar[frozenset[str]] = frozenset({"parse_timeline", "parse_account"})
    reads_holes: ClassVar[frozenset[str]] = frozenset({"parse_timeline"})
    names_all: ClassVar[frozenset[str]] = frozenset({"parse_account"})

    @classmethod
    def recognise(cls, replies: Sequence[CaptureResponse]) -> Evidence | None:
        """Believe NodeInfo; where there is none, what the API or the front page says."""
        if nodeinfo(replies) is not None:
            return super().recognise(replies)
        for reply in replies:
            if reply.status != 200:
                continue
            if urlsplit(reply.url).path == INSTANCE and text(reply.data(), "uri"):
                version = text(reply.data(), "version")[:80]
                is_named = urlsplit(reply.url).hostname in cls.known_hosts
                if is_named or re.match(cls.dialect.version, version):
                    return Evidence(confidence=97 if is_named else 95, reasons=(f"its API says {version}",))
            elif cls.dialect.mark and cls.dialect.mark in text_of(reply):
                return Evidence(confidence=96, reasons=(f"its page holds {cls.dialect.mark}",))
        return None

    def judge(self, response: CaptureResponse) -> Verdict:
        """Know a closed door, and lists in which something is not for strangers."""
        is_api = "/api/" in response.url
        leads_to_login = 300 <= response.status < 400 and _LOGIN.search(response.header("Location"))
        if leads_to_login or response.status == 422 or (response.status == 401 and is_api):
            return Verdict.LOGIN
        if response.status == 200 and is_api and response.fetch.callback is not None:
            said = response.data()
            if text(said, "error"):
                return Verdict.LOGIN
            lists = (objects(said), *(objects(said, name) for name in ("ancestors", "descendants", "data")))
            if any(items.is_closed(one) for statuses in lists for one in statuses):
                return Verdict.MIXED
        return super().judge(response)

    def seeds(self, seed: Seed) -> Iterator[Fetch]:
        """Yield the listings that lead to everything, or to the one account that the seed names."""
        yield self.fetch(seed.url, lane=PAGES, callback=self.parse_shown, covers=("page", seed.url))
        if not self.dialect.has_lists:
            about = urljoin(seed.url, "/about")
            yield self.fetch(about, lane=PAGES, callback=self.parse_shown, covers=("page", about))
        yield self.door(DOOR, self.parse_nodeinfo)
        yield self.door(INSTANCE, self.parse_instance)
        yield self.door("/api/v2/instance", None)
        yield self.door("/api/v1/custom_emojis", self.parse_emojis)
        if name := self.only():
            yield self.door(f"/api/v1/accounts/lookup?acct={name}", self.parse_person)
            return
        if timeline := self.dialect.timeline:
            first: dict[str, Any] = {"page": 1} if self.dialect.is_numbered else {"max_id": self.until()}
            yield self.door(with_query(timeline, **first), self.parse_timeline)
        if directory := self.dialect.directory:
            yield self.door(with_query(directory, offset=0), self.parse_directory)

    def door(self, path: str, callback: Any) -> Fetch:
        """Return the fetch of a listing that may be closed."""
        return self.fetch(urljoin(self.seed.url, path), lane=LISTINGS, callback=callback, sweep=True)

    # Listings

    def parse_nodeinfo(self, response: CaptureResponse) -> Iterator[Yield]:
        """Take the server's own count of its posts and accounts."""
        if said := read(response):
            yield from self._claims("nodeinfo localPosts", said.posts, "nodeinfo users.total", said.users, response)
        elif found := document([response]):
            yield self.fetch(found, lane=LISTINGS, parent=response, callback=self.parse_nodeinfo, sweep=True)

    def parse_instance(self, response: CaptureResponse) -> Iterator[Yield]:
        """Take what the server counts, and who runs it: on a small one that is whoever is there."""
        posts, users = number(response.data(), "stats", "status_count"), number(response.data(), "stats", "user_count")
        yield from self._claims("instance status_count", posts, "instance user_count", users, response)
        if items.is_ours(contact := at(response.data(), "contact_account")):
            yield from self.account(contact, response)

    def _claims(
        self, counter: str, posts: int | None, of_users: str, users: int | None, response: CaptureResponse
    ) -> Iterator[Claim]:
        if posts is not None:
            why = "counts posts that strangers cannot have, too"
            yield Claim(kind="post", count=posts, counter=counter, caveat=why, url=response.url)
        if users is not None:
            yield Claim(kind="account", count=users, counter=of_users, url=response.url)

    def parse_emojis(self, response: CaptureResponse) -> Iterator[Yield]:
        """Yield the pictures of a server's own emoji."""
        for emoji in objects(response.data()):
            yield from self.also(text(emoji, "url"), "emoji", response)

    def parse_timeline(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page of the local timeline, or hear that it is closed."""
        statuses = objects(response.data())
        if response.status != 200 or (not statuses and not response.fetch.cursor and not Window.of(self.seed)):
            why = f"HTTP {response.status}" if response.status != 200 else "an empty list"
            closed = f"The timeline is closed to strangers ({why}); accounts are walked instead."
            yield Note(text=closed, url=response.url)
            return
        yield from self.statuses(statuses, response)
        yield from self._older(statuses, response, self.parse_timeline)

    def parse_directory(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page of the accounts that let themselves be listed."""
        accounts = objects(response.data())
        for account in accounts:
            yield from self.account(account, response)
        if len(accounts) >= self.dialect.directory_page:
            offset = _whole(parse_qs(urlsplit(response.url).query).get("offset")) + self.dialect.directory_page
            following = self.door(with_query(self.dialect.directory, offset=offset), self.parse_directory)
            yield from turn(response, [text(account, "id") for account in accounts], following)

    def parse_person(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read what the server says of one account."""
        yield from self.account(response.data(), response)

    def parse_account(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page of what one account said; where that is closed, look at the page that people see."""
        statuses, whose = objects(response.data()), response.fetch.cursor or {}
        if "page" not in whose:
            is_closed = not isinstance(response.data(), list) or response.status != 200
            identity, url = str(whose.get("id", "")), str(whose.get("url", ""))
            yield from self.account_page(identity, url, response, read=is_closed)
            if is_closed:
                why = "The lists of accounts are closed to strangers; their pages are read instead, or their feeds."
                yield Note(text=why, url=response.url)
            if not statuses and not whose.get("met"):  # mentioned somewhere, and nothing here says who that is
                person = urljoin(response.url, self.dialect.person.format(identity))
                yield self.fetch(person, lane=ACCOUNTS, parent=response, callback=self.parse_person, sweep=True)
        yield from self.statuses(statuses, response)
        if len(statuses) >= self.dialect.page // 2:  # a page may lack what was left out of it, and not be the last
            yield from self._older(statuses, response, self.parse_account)

    def parse_thread(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read what stands around a post."""
        yield from self.statuses(objects(response.data(), "ancestors"), response)
        yield from self.statuses(objects(response.data(), "descendants"), response)

    def _older(self, statuses: list[dict[str, Any]], response: CaptureResponse, callback: Any) -> Iterator[Yield]:
        if not statuses or Window.of(self.seed).is_before(instant(text(statuses[-1], "created_at"))):
            return
        url = next_link(response)
        if not url and self.dialect.is_numbered and callback == self.parse_timeline:
            url = with_query(response.url, page=_whole(parse_qs(urlsplit(response.url).query).get("page")) + 1)
        elif not url:
            url = with_query(response.url, max_id=text(statuses[-1], "id"))
        if url:
            following = self.fetch(url, lane=LISTINGS, parent=response, callback=callback)
            yield from turn(response, [text(one, "id") for one in statuses], following, newest_first=True)

    # Things

    def statuses(self, statuses: list[dict[str, Any]], response: CaptureResponse) -> Iterator[Yield]:
        """Yield those of a list that are for strangers and in the window, with what belongs to them.

        Whoever wrote one outside of the window may have written inside of it, too, where no list of all shows it.
        """
        met: set[str] = set()
        for status in statuses:
            if not text(status, "id") or not items.is_public(status):
                continue
            if Window.of(self.seed).holds(instant(text(status, "created_at"))):
                yield from self._status(status, met, response)
            else:
                yield from self._author(status.get("account"), met, response)

    def _author(self, author: Any, met: set[str], response: CaptureResponse) -> Iterator[Yield]:
        """Yield whoever wrote a post, once for a list of them."""
        if (identity := text(author, "id")) not in met:
            met.add(identity)
            yield from self.account(author, response)

    def _status(self, status: dict[str, Any], met: set[str], response: CaptureResponse) -> Iterator[Yield]:
        author, echoed = status.get("account"), status.get("reblog")
        yield from self._author(author, met, response)
        yield items.post_of(status, response, self.name)
        if isinstance(echoed, dict):
            if text(echoed, "id"):
                yield from self._status({**echoed, "reblog": None}, met, response)
            return
        if not self.is_wanted(author):
            return
        when = instant(text(status, "created_at"))
        for media in objects(status, "media_attachments"):
            yield from self._media(media, status, when, response)
        if not self.follows:
            return
        for one in objects(status, "mentions"):
            if self.is_wanted(one) and text(one, "id"):
                yield from self._said_by(one, response)
        yield from self.permalink(text(status, "url"), when, response)
        yield from self.around(status, when, response)
        yield from self.also(text(status, "card", "image"), "preview", response)

    def around(self, status: dict[str, Any], when: datetime | None, response: CaptureResponse) -> Iterator[Fetch]:
        """Yield the fetch of a post's thread, and of what it was before it was edited."""
        here = urljoin(response.url, f"/api/v1/statuses/{text(status, 'id')}")
        if text(status, "replies_count") not in {"", "0"}:
            yield self.fetch(
                f"{here}/context", lane=POSTS, parent=response, callback=self.parse_thread, day=day(when)
            )  # fmt: skip
        if text(status, "edited_at"):
            yield self.fetch(f"{here}/history", lane=POSTS, parent=response, day=day(when), sweep=True)

    def _media(
        self, media: dict[str, Any], status: dict[str, Any], when: datetime | None, response: CaptureResponse
    ) -> Iterator[Yield]:
        made = items.media_of(media, status, response, self.name)
        if not made.url:
            return
        yield from self.upload(made, when, response)
        if made.kind != "image":
            yield from self.also(text(media, "preview_url"), "preview", response)

    def account(self, account: Any, response: CaptureResponse) -> Iterator[Yield]:
        """Yield an account, and where it lives here its page and all it said."""
        if not isinstance(account, dict) or not text(account, "id"):
            return
        if self.dialect.has_lists:
            yield items.account_of(account, response, self.name)
        if not self.follows or not self.is_wanted(account):
            return
        for part, kind in (("avatar", "avatar"), ("avatar_static", "avatar"), ("header", "banner")):
            yield from self.also(text(account, part), kind, response)
        since, last = Window.of(self.seed).since, instant(text(account, "last_status_at"))
        if last and since and last.date() < since.date():
            yield from self.account_page(text(account, "id"), text(account, "url"), response)
        else:
            yield from self._said_by(account, response, met=True)

    def _said_by(self, account: dict[str, Any], response: CaptureResponse, *, met: bool = False) -> Iterator[Yield]:
        identity, url = text(account, "id"), text(account, "url")
        if not self.dialect.has_lists:
            yield from self.account_page(identity, url, response, read=True)
            return
        yield self.fetch(
            urljoin(self.seed.url, with_query(self.dialect.list.format(identity), max_id=self.until())), lane=ACCOUNTS,
            parent=response, callback=self.parse_account, cursor={"id": identity, "url": url, "met": met}, sweep=True,
        )  # fmt: skip


def _whole(values: list[str] | None) -> int:
    """Return a parameter of a query as a number; 0 where it is none."""
    return int(values[0]) if values and values[0].isdecimal() and len(values[0]) < 10 else 0


class PleromaSpider(MastodonSpider):
    """Ids are flakes, and nothing is reckoned with them; a server closes things kind by kind."""

    name = "pleroma"
    title: ClassVar[str] = "Pleroma or Akkoma"
    dialect: ClassVar[Dialect] = PLEROMA
    software: ClassVar[frozenset[str]] = frozenset({"pleroma", "akkoma", "rebased", "soapbox"})


class GoToSocialSpider(MastodonSpider):
    """Strangers get no lists, but pages that hold the posts themselves; what was said in reply stands in threads."""

    name = "gotosocial"
    title: ClassVar[str] = "GoToSocial"
    dialect: ClassVar[Dialect] = GOTOSOCIAL
    software: ClassVar[frozenset[str]] = frozenset({"gotosocial"})


class GabSpider(MastodonSpider):
    """A fork of 2019: one server, its timeline in numbered pages, videos with the file they were made of."""

    name = "gab"
    title: ClassVar[str] = "Gab"
    dialect: ClassVar[Dialect] = GAB
    software: ClassVar[frozenset[str]] = frozenset({"gab", "gabsocial"})
    known_hosts: ClassVar[tuple[str, ...]] = ("gab.com", "www.gab.com")


class TruthSocialSpider(MastodonSpider):
    """A fork of 2021 behind a guard: no listing is open to strangers, but the lists of some accounts are."""

    name = "truthsocial"
    title: ClassVar[str] = "Truth Social"
    dialect: ClassVar[Dialect] = TRUTH_SOCIAL
    software: ClassVar[frozenset[str]] = frozenset({"truthsocial"})
    known_hosts: ClassVar[tuple[str, ...]] = ("truthsocial.com", "www.truthsocial.com")
