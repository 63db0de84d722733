"""Bluesky, and other app views of the AT Protocol for it: one account or one thread, as strangers see them.

How it is walked: the handle is resolved to its DID, the app view says whether strangers may see the account at all, and
the DID's document (did:plc at plc.directory, did:web at its own host) says on which data server it lives. There it is
taken as ``spiders.atproto`` takes any account: the whole repository, and files as they were uploaded. The app view adds
what no repository has: how often a post was liked, what it answers, and what others said below it; and its pages.

Whoever says `!no-unauthenticated` is neither taken nor kept where a thread shows them; ``--option logged-out=all``
takes them all the same. An app view lists nobody: a seed names an account (bsky.app/profile/HANDLE) or a post of one.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote, unquote, urljoin, urlsplit

from crawler.model import Account, Claim, Covered, Note, Post, Standing, Verdict
from spiders import atproto_items as items
from spiders import bluesky_items as views
from spiders.api import at, number, objects, text, turn, with_query
from spiders.atproto import AtprotoSpider
from spiders.base import (
    ACCOUNTS,
    EXTRAS,
    IMAGES,
    LISTINGS,
    ORIGINALS,
    PAGES,
    POSTS,
    REQUISITES,
    Evidence,
    Probe,
    Territory,
    Yield,
)  # fmt: skip
from spiders.html import absolute
from spiders.window import Window, day

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crawler.model import Fetch, Lane, Seed
    from crawler.response import CaptureResponse

APP, API, DIRECTORY = "https://bsky.app", "https://public.api.bsky.app", "https://plc.directory"
HOSTS = ("bsky.app", "www.bsky.app", "public.api.bsky.app", "api.bsky.app")
#: Posts of a page of a feed, and how deep a thread is asked for, at the most.
PAGE, DEPTH = 100, 1000
_MARK = re.compile(rb"AT Protocol Application View|bsky\.app|did:plc:")
_VIEW = re.compile(rb"AT Protocol Application View \(AppView\) for the .{0,3}bsky\.app")
_PLACE = re.compile(r"/profile/([\w.:%-]{3,253})(?:/post/([\w.~-]{1,64}))?(?:/.*)?")
_READS = frozenset({"parse_handle", "parse_view", "parse_document", "parse_feed"})


class BlueskySpider(AtprotoSpider):
    """Walks one account from the app view to its data server."""

    name = "bluesky"
    title: ClassVar[str] = "Bluesky"
    known_hosts: ClassVar[tuple[str, ...]] = HOSTS
    probes: ClassVar[tuple[Probe, ...]] = ()
    #: Data servers are anywhere.
    lanes: ClassVar[tuple[Lane, ...]] = (
        LISTINGS, replace(ACCOUNTS, anywhere=True), replace(POSTS, anywhere=True), PAGES, REQUISITES, IMAGES, ORIGINALS,
        EXTRAS,
    )  # fmt: skip
    reads_refusals: ClassVar[frozenset[str]] = AtprotoSpider.reads_refusals | _READS
    reads_holes: ClassVar[frozenset[str]] = reads_refusals

    @classmethod
    def recognise(cls, replies: Sequence[CaptureResponse]) -> Evidence | None:
        """Know the site, and any server that says it is an app view for it."""
        for reply in replies:
            is_ours = urlsplit(reply.url).hostname in HOSTS and _MARK.search(reply.head_bytes)
            if reply.status == 200 and (is_ours or _VIEW.search(reply.head_bytes)):
                return Evidence(confidence=97, reasons=("it shows what is on the AT Protocol",))
        return None

    @classmethod
    def territory(cls, seed: Seed) -> Territory:
        """Return the site, its API and the directory; data servers are where accounts say."""
        return Territory(hosts=(*HOSTS, urlsplit(DIRECTORY).netloc))

    def judge(self, response: CaptureResponse) -> Verdict:
        """Know whom strangers shall not be shown."""
        asked = response.fetch.callback
        if response.status == 200 and asked in {"parse_view", "parse_feed", "parse_thread"} and not self._takes_all():
            said = response.data()
            if asked == "parse_view" and views.is_closed(said):
                return Verdict.PRIVATE
            if asked != "parse_view" and any(map(views.is_closed, views.people(said))):
                return Verdict.MIXED
        return super().judge(response)

    def app(self) -> str:
        """Return the app view whose pages are taken."""
        return self.seed.options.get("app", APP)

    def _asked(self, method: str, **parameters: object) -> str:
        """Return where the app view answers: the seed's own host, unless that is the site for people."""
        is_site = (urlsplit(self.seed.url).hostname or "").removeprefix("www.") == "bsky.app"
        return with_query(urljoin(API if is_site else self.seed.url, f"/xrpc/{method}"), **parameters)

    # Who it is

    def seeds(self, seed: Seed) -> Iterator[Fetch]:
        """Yield the account that the seed names."""
        name, post = _place(seed.url)
        if not name:
            yield self.fetch(seed.url, lane=PAGES, callback=self.parse_home, covers=("page", seed.url))
        elif whose := items.did({"did": name}, "did"):
            yield self._view(whose, post, None)
        else:
            asked = self._asked("com.atproto.identity.resolveHandle", handle=name)
            cursor = {"handle": name, "post": post}
            yield self.fetch(asked, lane=LISTINGS, callback=self.parse_handle, cursor=cursor, sweep=True)

    def parse_home(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read the front page, which leads nowhere."""
        yield from self.parse_page(response)
        why = "An app view lists nobody: name an account, as in bsky.app/profile/HANDLE, or crawl its data server."
        yield Note(text=why, url=response.url)

    def parse_handle(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read whose a handle is."""
        cursor = response.fetch.cursor or {}
        if whose := items.did(response.data(), "did"):
            yield self._view(whose, cursor.get("post", ""), response)
        else:
            handle, why = str(cursor.get("handle", "")), "nobody is called so now"
            yield Covered(kind="account", id=handle, standing=Standing.MISSING, reason=why, url=response.url)
            yield Note(text=f"{handle}: {why}.", url=response.url)

    def _view(self, whose: str, post: str, parent: CaptureResponse | None) -> Fetch:
        return self.fetch(
            self._asked("app.bsky.actor.getProfile", actor=whose), lane=LISTINGS, parent=parent, sweep=True,
            callback=self.parse_view, cursor={"did": whose, "post": post}, covers=("account", whose),
        )  # fmt: skip

    def parse_view(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read how the app view shows an account; then ask where it lives, and what it said."""
        cursor, said = response.fetch.cursor or {}, response.data()
        whose, post = str(cursor.get("did", "")), str(cursor.get("post", ""))
        if response.status != 200:
            yield self.left_out(whose, text(said, "error")[:40] or f"HTTP {response.status}", response)
        elif post:
            uri = f"at://{whose}/{items.POST}/{post}"
            yield self._thread(uri, response, height=DEPTH)
            yield self.shown(f"{self.app()}/profile/{whose}/post/{post}", response)
        else:
            yield self._person(said, response)
            yield self.shown(f"{self.app()}/profile/{whose}", response)
            if (count := number(said, "postsCount")) is not None and not Window.of(self.seed):
                why = "counts replies, and what was deleted since"
                yield Claim(kind="post", count=count, counter="postsCount", caveat=why, url=response.url)
            where = _document(whose)
            yield self.fetch(
                where, lane=ACCOUNTS, parent=response, callback=self.parse_document, cursor={"did": whose}, sweep=True
            )  # fmt: skip
            yield self._feed(whose, self.seed.until, response)

    def parse_document(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read on which data server an account lives."""
        whose = str((response.fetch.cursor or {}).get("did", ""))
        named = (one for one in objects(response.data(), "service") if text(one, "id").endswith("#atproto_pds"))
        server = absolute(response.url, next((text(one, "serviceEndpoint") for one in named), ""))
        if response.status == 200 and server:
            yield self.profile(whose, server, response)
        else:
            why = f"Where {whose} keeps its data is not known (HTTP {response.status}): no files of it are taken."
            yield Note(text=why, url=response.url)

    def parse_description(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read who an account is, of whom the app view says more."""
        yield from _lesser(super().parse_description(response))

    def record(self, uri: str, cid: str, record: dict[str, Any], response: CaptureResponse) -> Iterator[Yield]:
        """Yield what a record is; of a post the app view says more."""
        yield from _lesser(super().record(uri, cid, record, response))

    # What the app view shows

    def _feed(self, whose: str, until: str | None, response: CaptureResponse) -> Fetch:
        """Return the fetch of what an account said, newest first; cursors are times, which servers may stop taking."""
        asked = self._asked(
            "app.bsky.feed.getAuthorFeed", actor=whose, filter="posts_with_replies", limit=PAGE, cursor=until
        )
        cursor = {"did": whose, "until": bool(until)}
        return self.fetch(
            asked, lane=LISTINGS, parent=response, callback=self.parse_feed, cursor=cursor, sweep=True
        )  # fmt: skip

    def parse_feed(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page of what an account said, what that answers, and whether somebody answered."""
        asked, said, window = response.fetch.cursor or {}, response.data(), Window.of(self.seed)
        whose = str(asked.get("did", ""))
        if response.status != 200 and asked.get("until"):
            yield self._feed(whose, None, response)
        elif response.status != 200:
            yield Note(text=f"The feed of {whose} is closed to us (HTTP {response.status}).", url=response.url)
        found = objects(said, "feed") if response.status == 200 else []
        own = [one for one in found if text(one, "post", "author", "did") == whose and not one.get("reason")]
        for one in own:
            if window.holds(views.when_of(one.get("post"))):
                yield from self._said(one, whose, response)
        is_older = bool(own) and window.is_before(views.when_of(own[-1].get("post")))
        if found and (cursor := text(said, "cursor")) and not is_older:
            following = self.fetch(
                with_query(response.url, cursor=cursor), lane=LISTINGS, parent=response, callback=self.parse_feed,
                cursor={"did": whose}, sweep=True,
            )  # fmt: skip
            yield from turn(response, [text(one, "post", "uri") for one in found], following, newest_first=True)

    def _said(self, one: dict[str, Any], whose: str, response: CaptureResponse) -> Iterator[Yield]:
        """Yield a post as the app view shows it, with what it answers; and ask for what answers it."""
        post, above = one.get("post"), at(one, "post", "record", "reply")
        yield from self.seen(post, whose, response)
        key = items.split(text(post, "uri"))[2]
        yield self.shown(f"{self.app()}/profile/{whose}/post/{key}", response, day(views.when_of(post)))
        for name in ("root", "parent"):
            yield from self.seen(at(one, "reply", name), whose, response)
        is_within = items.split(text(above, "root", "uri"))[0] == whose
        if number(post, "replyCount") and not is_within:
            yield self._thread(text(post, "uri"), response)

    def _thread(self, uri: str, response: CaptureResponse, *, height: int = 0) -> Fetch:
        asked = self._asked("app.bsky.feed.getPostThread", uri=uri, depth=DEPTH, parentHeight=height)
        on = day(items.time_of(items.split(uri)[2]))
        return self.fetch(
            asked, lane=POSTS, parent=response, callback=self.parse_thread, cursor={"uri": uri}, day=on, sweep=True
        )  # fmt: skip

    def parse_thread(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a thread; below a branch that is cut short it is asked for again."""
        uri = str((response.fetch.cursor or {}).get("uri", ""))
        for view in views.branches(at(response.data(), "thread")):
            post = view.get("post")
            yield from self.seen(post, items.split(uri)[0], response)
            # What stands above is shown without what is beside it.
            if views.is_cut(view) and "parent" not in view and text(post, "uri") != uri and self.may_show(post):
                yield self._thread(text(post, "uri"), response)

    def may_show(self, post: Any) -> bool:
        """Say whether the author of a post lets strangers see it."""
        return self._takes_all() or not views.is_closed(at(post, "author"))

    def seen(self, post: Any, whose: str, response: CaptureResponse) -> Iterator[Yield]:
        """Yield a post as it is shown, and who said it; with pictures where no data server is asked for the uploads."""
        made = views.post_of(post, response, self.name) if self.may_show(post) else None
        if made is None:
            return
        yield made
        if made.author != whose:
            yield replace(self._person(at(post, "author"), response), extra={"mentioned_only": True})
            yield from self._beside("avatar", text(post, "author", "avatar"), EXTRAS, response)
        if made.author != whose or _place(self.seed.url)[1]:
            for url in views.pictures(post, response):
                yield from self._beside("image", url, IMAGES, response)

    def _beside(self, kind: str, said: str, lane: Lane, response: CaptureResponse) -> Iterator[Fetch]:
        if said and (url := absolute(response.url, said)):
            yield self.fetch(url, lane=lane, parent=response, covers=(kind, url), day=response.fetch.day)

    def _person(self, said: Any, response: CaptureResponse) -> Account:
        page = f"{self.app()}/profile/{quote(items.did(said, 'did'), safe=':')}"
        return views.person_of(said, page, response, self.name)


def _lesser(said: Iterator[Yield]) -> Iterator[Yield]:
    """Mark accounts and posts as what counts only where nobody says more of them; echoes nobody does."""
    for thing in said:
        if isinstance(thing, Account) or (isinstance(thing, Post) and thing.kind != "repost"):
            yield replace(thing, extra={**thing.extra, "mentioned_only": True})
        else:
            yield thing


def _place(url: str) -> tuple[str, str]:
    """Return whom a URL names, by handle or DID, and the key of the post if it names one."""
    found = _PLACE.fullmatch(unquote(urlsplit(url).path))
    return (found[1], found[2] or "") if found else ("", "")


def _document(whose: str) -> str:
    """Return where the document of a DID stands (w3c-ccg.github.io/did-method-web, web.plc.directory)."""
    if whose.startswith("did:web:"):
        return f"https://{unquote(whose.removeprefix('did:web:'))}/.well-known/did.json"
    return f"{DIRECTORY}/{whose}"
