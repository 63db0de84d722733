"""Lemmy, through its API (join-lemmy.org/api), in the words of 0.18, of 0.19 and of 1.0.

How it is walked: what was said in the communities of this server, posts and comments each in one listing, newest first;
and what each of its people said, which holds what they said elsewhere. Nothing lists people before 1.0: they are known
by what they say. A post is taken with the page people see, which shows its comments; a comment has a page of its own
where it stands deeper than that shows, or beneath a post that is not ours. What was taken away by its author or by a
moderator, and what was said in a community for those who have logged in, is not followed even where it is handed out.

Ids are small numbers and carry no time: a window is found by going down from the newest.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urljoin, urlsplit

from crawler.model import Claim, Note, Verdict
from spiders import lemmy_items as items
from spiders.api import at, objects, text, turn, with_query
from spiders.base import (
    ACCOUNTS,
    EXTRAS,
    IMAGES,
    LISTINGS,
    ORIGINALS,
    PAGES,
    REQUISITES,
    Evidence,
    Territory,
    Yield,
)  # fmt: skip
from spiders.html import absolute
from spiders.lemmy_dialects import DIALECTS, Dialect
from spiders.nodeinfo import DOOR, document, nodeinfo, read
from spiders.pages import PageSpider, text_of
from spiders.window import Window, day

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from crawler.model import Fetch, Lane, Seed
    from crawler.response import CaptureResponse

#: The most that a page of a listing holds.
PAGE = 50
#: How deep the page of a post shows its comments.
_SHOWN_DEEP = 8
_MARK = re.compile(r"class=\"[^\"]{0,200}\blemmy-site\b")
_CLOSED = frozenset({"instance_is_private", "not_logged_in", "incorrect_login"})
_GONE = frozenset({"not_found", "couldnt_find_person", "couldnt_find_post", "couldnt_find_community", "deleted"})


class LemmySpider(PageSpider):
    """Walks the communities and the people of one server."""

    name = "lemmy"
    title: ClassVar[str] = "Lemmy"
    software: ClassVar[frozenset[str]] = frozenset({"lemmy"})
    lanes: ClassVar[tuple[Lane, ...]] = (LISTINGS, ACCOUNTS, PAGES, REQUISITES, IMAGES, ORIGINALS, EXTRAS)
    kinds: ClassVar[tuple[str, ...]] = (
        "post", "reply", "elsewhere", "account", "community", "image", "video", "audio", "preview", "avatar", "page",
        "asset",
    )  # fmt: skip
    reads_refusals: ClassVar[frozenset[str]] = frozenset({"parse_site", "parse_listing"})
    reads_holes: ClassVar[frozenset[str]] = frozenset({"parse_site", "parse_listing"})

    @classmethod
    def recognise(cls, replies: Sequence[CaptureResponse]) -> Evidence | None:
        """Believe NodeInfo; where there is none, what its own front page is made of."""
        if nodeinfo(replies) is None and any(reply.status == 200 and _MARK.search(text_of(reply)) for reply in replies):
            return Evidence(confidence=96, reasons=("its page is made of parts of Lemmy",))
        return super().recognise(replies)

    @classmethod
    def territory(cls, seed: Seed) -> Territory:
        """Return the server; its uploads may be anywhere."""
        return Territory()

    def judge(self, response: CaptureResponse) -> Verdict:
        """Know errors by their names, for their status is mostly 400, and lists that hold what is withheld."""
        if "/api/v" not in response.url:
            return super().judge(response)
        said = response.data()
        error = text(said, "error")
        if error in _CLOSED:
            return Verdict.LOGIN
        if error in _GONE:
            return Verdict.MISSING
        if error.startswith("rate_limit"):
            return Verdict.LIMITED
        lists = DIALECTS["v4"].lists
        if response.status == 200 and any(items.leaks(one) for name in lists for one in objects(said, name)):
            return Verdict.MIXED
        return super().judge(response)

    def seeds(self, seed: Seed) -> Iterator[Fetch]:
        """Yield the front page, and what the server says of itself: its version says how to ask."""
        yield self.fetch(seed.url, lane=PAGES, callback=self.parse_page, covers=("page", seed.url))
        yield self.fetch(urljoin(seed.url, DOOR), lane=LISTINGS, callback=self.parse_nodeinfo, sweep=True)
        yield self._ask("v3", "site", self.parse_site)

    def _ask(self, api: str, what: str, callback: Any, **work: Any) -> Fetch:
        url = urljoin(self.seed.url, f"{DIALECTS[api].root}/{what}")
        work = {"lane": LISTINGS, "sweep": True, **work}
        return self.fetch(url, callback=callback, cursor={"api": api, **work.pop("cursor", {})}, **work)

    def _dialect(self, response: CaptureResponse) -> Dialect:
        return DIALECTS[str((response.fetch.cursor or {}).get("api", "v3"))]

    # What the server says of itself

    def parse_nodeinfo(self, response: CaptureResponse) -> Iterator[Yield]:
        """Take the server's own count of what its people said."""
        if said := read(response):
            hidden = "counts what was said in communities that strangers cannot read, too"
            yield from _claim("post", said.posts, "localPosts", hidden, response)
            yield from _claim("reply", said.comments, "localComments", hidden, response)
            yield from _claim("account", said.users, "users.total", "counts people who said nothing, too", response)
        elif found := document([response]):
            yield self.fetch(found, lane=LISTINGS, parent=response, callback=self.parse_nodeinfo, sweep=True)

    def parse_site(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read the version, by which the listings are asked, and say where they are for those who have logged in."""
        said, api = response.data(), str((response.fetch.cursor or {}).get("api", "v3"))
        is_old = text(said, "version")[:2] in {"", "0."}
        if api == "v3" and (response.status != 200 or not is_old):
            yield self._ask("v4", "site", self.parse_site, parent=response)
            return
        if response.status != 200 or not isinstance(at(said, "site_view"), dict):
            yield Note(text=f"The API is closed to strangers ({_why(response)}).", url=response.url)
            return
        for part in ("icon", "banner"):
            yield from self.also(text(said, "site_view", "site", part), "avatar", response)
        if at(said, "site_view", "local_site", "private_instance") is True:
            yield Note(text="The server says that only those who have logged in may read it.", url=response.url)
            return
        for view in objects(said, "admins"):
            yield from self.person(view, response)
        yield from self._listings(api)

    def _listings(self, api: str) -> Iterator[Fetch]:
        path = urlsplit(self.seed.url).path
        found = re.fullmatch(r"/(c|u)/([A-Za-z0-9_]{1,100})/?", path)
        asked = DIALECTS[api].local
        if found and found[1] == "u":
            what = "person" if api == "v4" else "user"
            yield self._ask(api, f"{what}?username={found[2]}", self.parse_person)
            return
        narrowed = f"{asked}&community_name={found[2]}" if found else asked
        for kind in ("post", "comment"):
            yield self._ask(api, f"{kind}/list?{narrowed}", self.parse_listing, cursor={"kind": kind})
        if not found and not Window.of(self.seed):
            yield self._ask(api, f"community/list?{asked}", self.parse_listing, cursor={"kind": "community"})
            if DIALECTS[api].has_people:
                people = f"person/list?{asked.replace('&show_nsfw=true', '')}"
                yield self._ask(api, people, self.parse_listing, cursor={"kind": "person"})

    # Listings

    def parse_listing(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page of posts, of comments, of communities or of people; or hear that it is closed."""
        kind = str((response.fetch.cursor or {}).get("kind", ""))
        if response.status != 200:
            if kind != "person":
                yield Note(text=f"The list of {kind}s is closed to strangers ({_why(response)}).", url=response.url)
            return
        views = self._views(response)
        for view in views:
            if kind == "community":
                yield from self.community(view, response)
            elif kind == "person":
                yield from self.person(view, response)
        yield from self.said(views, response)
        yield from self._next(views, response, self.parse_listing)

    def parse_person(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page of what one person said, and, before 1.0, who that is."""
        person = at(response.data(), "person_view")
        if isinstance(person, dict):
            yield from self.person(person, response)
        views = self._views(response)
        yield from self.said(views, response)
        yield from self._next(views, response, self.parse_person)

    def _views(self, response: CaptureResponse) -> list[dict[str, Any]]:
        names = self._dialect(response).lists
        return [view for name in names for view in objects(response.data(), name)]

    def _next(self, views: list[dict[str, Any]], response: CaptureResponse, callback: Any) -> Iterator[Yield]:
        """Yield the page below this one, which its cursor names or which has the next number."""
        times = [items.when_of(items.said_in(view)[1]) for view in views]
        if not views or (any(times) and all(Window.of(self.seed).is_before(when) for when in times if when)):
            return
        cursor = dict(response.fetch.cursor or {})
        counts = [len(objects(response.data(), name)) for name in self._dialect(response).lists]
        url = ""
        if following := text(response.data(), "next_page"):
            url = with_query(response.url, page_cursor=following)
        elif max(counts) >= PAGE and cursor.get("api") == "v3":
            cursor["turned"] = cursor.get("turned", 1) + 1
            url = with_query(response.url, page=cursor["turned"])
        if url:
            below = self.fetch(
                url, lane=self.lane(response.fetch.lane), parent=response, callback=callback, cursor=cursor
            )  # fmt: skip
            is_said = cursor.get("kind") not in {"community", "person"}
            yield from turn(response, map(items.name_of, views), below, newest_first=is_said)

    # Things

    def said(self, views: list[dict[str, Any]], response: CaptureResponse) -> Iterator[Yield]:
        """Yield those of a list that are for strangers and in the window, with what belongs to them."""
        window = Window.of(self.seed)
        for view in views:
            kind, thing = items.said_in(view)
            if not text(thing, "id") or not items.is_public(view):
                continue
            when = items.when_of(thing)
            if window.holds(when):
                yield items.post_of(view, response, self.name)
                if items.is_here(view):
                    yield from self._with_it(view, kind, thing, when, response)
            yield from self.person(view, response)

    def _with_it(
        self, view: dict[str, Any], kind: str, thing: dict[str, Any], when: datetime | None, response: CaptureResponse
    ) -> Iterator[Yield]:
        url = items.page_of(kind, thing, response)
        is_beneath_ours = items.is_here({"post": view.get("post"), "community": view.get("community")})
        if kind == "post" or not is_beneath_ours or items.depth_of(thing) > _SHOWN_DEEP:
            yield self.fetch(
                url, lane=PAGES, parent=response, callback=self.parse_page, covers=("page", url), day=day(when)
            )  # fmt: skip
        for file in items.files_of(thing, response):
            made = items.media_of(file, view, response, self.name)
            lane = IMAGES if made.kind == "image" else ORIGINALS
            yield made
            yield self.fetch(file, lane=lane, parent=response, covers=(made.kind, file), day=day(when))
        yield from self.also(text(thing, "thumbnail_url"), "preview", response)

    def person(self, view: dict[str, Any], response: CaptureResponse) -> Iterator[Yield]:
        """Yield one of this server's people, their page, and the list of what they said."""
        person = view.get("person") if isinstance(view.get("person"), dict) else view.get("creator")
        if not isinstance(person, dict) or person.get("local") is not True or not text(person, "name"):
            return
        if person.get("deleted") is True:
            return
        made = items.account_of(view, response, self.name)
        yield made
        yield self.fetch(made.url, lane=PAGES, parent=response, callback=self.parse_page, covers=("account", made.id))
        for url in (made.avatar, made.banner):
            yield from self.also(url or "", "avatar", response)
        is_wanted = urlsplit(self.seed.url).path in {"", "/", f"/u/{made.username}"}
        came = items.when_of(person)
        if is_wanted and not Window.of(self.seed).is_after(came):
            api = str((response.fetch.cursor or {}).get("api", "v3"))
            what = DIALECTS[api].person.format(made.id)
            yield self._ask(api, what, self.parse_person, lane=ACCOUNTS, parent=response)

    def community(self, view: dict[str, Any], response: CaptureResponse) -> Iterator[Yield]:
        """Yield the page of a community of this server, and its pictures."""
        place = view.get("community")
        if isinstance(place, dict) and place.get("local") is True and text(place, "name") and items.is_public(view):
            url = urljoin(response.url, f"/c/{text(place, 'name')}")
            yield self.fetch(
                url, lane=PAGES, parent=response, callback=self.parse_page, covers=("community", text(place, "name"))
            )  # fmt: skip
            for part in ("icon", "banner"):
                yield from self.also(text(place, part), "avatar", response)

    def also(self, url: str, kind: str, response: CaptureResponse) -> Iterator[Fetch]:
        """Yield the fetch of what is nice to have."""
        if found := absolute(response.url, url):
            yield self.fetch(found, lane=EXTRAS, parent=response, covers=(kind, found))


def _claim(kind: str, count: int | None, counter: str, caveat: str, response: CaptureResponse) -> Iterator[Claim]:
    if count is not None:
        yield Claim(kind=kind, count=count, counter=f"nodeinfo {counter}", caveat=caveat, url=response.url)


def _why(response: CaptureResponse) -> str:
    return f"HTTP {response.status}, {text(response.data(), 'error')[:60] or 'no list'}"
