"""Reddit, as far as strangers get: one community, one person, or one thread.

How it is walked: a listing names posts, a thread's JSON holds its comments, and what it keeps back ("more") is asked
for by each comment's own address. A listing ends at about a thousand things, whatever there is: other orders of it
show some of the rest, and that it is not all is said. Where the JSON is closed (403 for whole networks is common) the
old pages are read, and where they are, too, the feed is; each is said aloud. What a private or quarantined community
keeps from strangers is not looked for.

Pictures are taken as they were uploaded (``i.redd.it``), not as previews; a video's sound is a file of its own.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from crawler.model import Account, Note, Post, Verdict
from spiders import reddit_items as items
from spiders.api import at, source, text, turn, with_query
from spiders.base import ACCOUNTS, EXTRAS, IMAGES, LISTINGS, ORIGINALS, PAGES, POSTS, REQUISITES, Evidence, Territory
from spiders.feeds import entries
from spiders.html import absolute, page
from spiders.pages import PageSpider, kind_of, text_of
from spiders.reddit_items import OLD
from spiders.window import Window, day, instant, span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crawler.model import Fetch, Lane, Seed
    from crawler.response import CaptureResponse
    from spiders.base import Yield

WWW = "https://www.reddit.com"
HOSTS = ("www.reddit.com", "reddit.com", "old.reddit.com", "new.reddit.com", "np.reddit.com")
#: Things of one page of a listing, and how many of them make it one that was cut short.
PAGE, CUT_SHORT = 100, 900
#: Other orders of a community's list, each with a thousand of its own, and of a person's.
ORDERS = ("top.json?t=all", "top.json?t=year", "top.json?t=month", "controversial.json?t=all", "hot.json")
PERSONAL = ("top", "controversial")
_PLACE = re.compile(r"(/(?:r|user|u)/[\w+-]{1,64})?(?:/comments/([0-9a-z]{1,13}))?(?:/.*)?", re.ASCII)
_MARK = re.compile(rb"<shreddit-|//(?:www\.)?redditstatic\.com/")
_JSON = frozenset({"parse_about", "parse_listing", "parse_thread", "parse_account"})


class RedditSpider(PageSpider):
    """Walks one place of Reddit."""

    name = "reddit"
    title: ClassVar[str] = "Reddit"
    known_hosts: ClassVar[tuple[str, ...]] = HOSTS
    lanes: ClassVar[tuple[Lane, ...]] = (LISTINGS, POSTS, ACCOUNTS, PAGES, REQUISITES, IMAGES, ORIGINALS, EXTRAS)
    kinds: ClassVar[tuple[str, ...]] = (
        "post", "comment", "thread", "account", "image", "video", "audio", "page", "avatar", "preview", "asset",
    )  # fmt: skip
    reads_refusals: ClassVar[frozenset[str]] = frozenset({"parse_listing", "parse_old", "parse_feed", "parse_video"})
    reads_holes: ClassVar[frozenset[str]] = frozenset({"parse_listing", "parse_old", "parse_feed", "parse_video"})

    @classmethod
    def recognise(cls, replies: Sequence[CaptureResponse]) -> Evidence | None:
        """Believe its own pages, and only on its own hosts: nowhere else can it be walked."""
        for reply in replies:
            is_ours = urlsplit(reply.url).hostname in HOSTS and reply.status == 200
            if is_ours and _MARK.search(reply.head_bytes):
                return Evidence(confidence=97, reasons=("its page is one of Reddit",))
        return None

    @classmethod
    def territory(cls, seed: Seed) -> Territory:
        """Return Reddit's hosts; uploads have their own."""
        return Territory(hosts=HOSTS)

    def judge(self, response: CaptureResponse) -> Verdict:
        """Know a wall (a page where JSON was asked for, a login, a question of age), and what is not for strangers."""
        path, callback = urlsplit(response.url).path, response.fetch.callback
        target = absolute(response.url, response.header("Location")) if 300 <= response.status < 400 else ""
        if urlsplit(target or path).path.startswith(("/login", "/over18", "/account/login")):
            return Verdict.LOGIN
        if response.status != 200 or callback not in _JSON:
            return super().judge(response)
        if kind_of(response) == "html":
            return Verdict.LOGIN
        said = response.data()
        found = [data for one in (said if isinstance(said, list) else [said]) for _, data in items.things(one)]
        if all(map(items.is_public, found)):
            return super().judge(response)
        return Verdict.PRIVATE if callback == "parse_thread" else Verdict.MIXED

    def seeds(self, seed: Seed) -> Iterator[Fetch]:
        """Yield the place that the seed names."""
        place, thread = _place(seed.url)
        if thread:
            yield self._thread(thread, None)
            return
        yield self.fetch(f"{OLD}{place}/", lane=PAGES, callback=self.parse_page, covers=("page", f"{OLD}{place}/"))
        if place.startswith("/r/"):
            about = f"{WWW}{place}/about.json?raw_json=1"
            yield self.fetch(about, lane=LISTINGS, callback=self.parse_about, sweep=True)
        if place.startswith("/user/"):
            yield self._account(place.rpartition("/")[2], None)
            yield self._listing(f"{place}/submitted", "submitted.json?sort=new", None)
            yield self._listing(f"{place}/comments", "comments.json?sort=new", None)
        else:
            yield self._listing(f"{place}/new", "new.json", None)
        if place.startswith("/r/") and Window.of(seed):  # what was said in it below what is older
            yield self._listing(f"{place}/comments", "comments.json", None)

    # Listings

    def _listing(self, old: str, order: str, parent: CaptureResponse | None, **cursor: Any) -> Fetch:
        """Return the first page of a listing; ``old`` is its old page."""
        url = with_query(f"{WWW}{_place(self.seed.url)[0]}/{order}", limit=PAGE, raw_json=1)
        return self.fetch(
            url, lane=LISTINGS, parent=parent, callback=self.parse_listing, sweep=True,
            cursor={"old": old, "count": 0, **cursor},
        )  # fmt: skip

    def parse_about(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read what a community says of itself."""
        for part in ("community_icon", "icon_img", "banner_background_image", "header_img"):
            yield from self._extra(text(response.data(), "data", part).partition("?")[0], "avatar", response)

    def parse_listing(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page of a listing, or hear why there is none."""
        cursor, place = response.fetch.cursor or {}, _place(self.seed.url)[0]
        if response.status != 200 or kind_of(response) == "html":
            yield from self._closed(response)
            return
        found, window = items.things(response.data()), Window.of(self.seed)
        for _, data in found:
            yield from self._thing(data, response)
        count, after = cursor["count"] + len(found), text(response.data(), "data", "after")
        is_early = all(window.is_before(instant(data.get("created_utc"))) for _, data in found)
        is_newest = "other" not in cursor
        if after and found and not (is_newest and is_early):
            following = self.fetch(
                with_query(response.url, after=after), lane=LISTINGS, parent=response, callback=self.parse_listing,
                cursor={**cursor, "count": count}, sweep=True,
            )  # fmt: skip
            yield from turn(response, [text(data, "name") for _, data in found], following, newest_first=is_newest)
        elif is_newest and count >= CUT_SHORT and not is_early:
            why = f"{cursor['old']} ends after {count:,} things, as all lists of Reddit do: what is older is not in it."
            yield Note(text=f"{why} Other orders are read for some of it.", url=response.url)
            name = cursor["old"].rpartition("/")[2]
            orders = ORDERS if place.startswith("/r/") else tuple(f"{name}.json?sort={by}" for by in PERSONAL)
            yield from (self._listing(cursor["old"], order, response, other=True) for order in orders)
        if not place:
            yield Note(text="There is no list of all of Reddit: name a community or a person.", url=response.url)

    def _closed(self, response: CaptureResponse) -> Iterator[Yield]:
        """Say why a listing is closed, and take the next way, where there is one."""
        cursor = response.fetch.cursor or {}
        if reason := text(response.data(), "reason"):
            yield Note(text=f"{cursor['old']} is {reason}: Reddit shows it to no stranger.", url=response.url)
        elif response.status == 404:
            yield Note(text=f"{cursor['old']}: there is no such place.", url=response.url)
        elif "other" not in cursor and "after=" not in response.url:
            why = f"Reddit's JSON is closed to us (HTTP {response.status}); its old pages are read instead."
            yield Note(text=why, url=response.url)
            url = f"{OLD}{cursor['old']}/?limit={PAGE}"
            yield self.fetch(
                url, lane=LISTINGS, parent=response, callback=self.parse_old, cursor={"old": cursor["old"]}, sweep=True
            )

    def parse_old(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read an old page of a listing."""
        cursor, html = response.fetch.cursor or {}, text_of(response)
        if response.status != 200:
            why = f"Reddit's old pages are closed to us (HTTP {response.status}); its feed is read instead."
            yield Note(text=why, url=response.url)
            url = f"{WWW}{cursor['old']}/.rss?limit={PAGE}"
            yield self.fetch(url, lane=LISTINGS, parent=response, callback=self.parse_feed, sweep=True)
            return
        yield from self.parse_page(response)
        found = list(items.shown(html))
        for data in found:
            yield from self._thing(data, response)
        window = Window.of(self.seed)
        is_early = bool(found) and all(window.is_before(instant(data["created_utc"])) for data in found)
        if (target := absolute(response.url, items.next_page(html))) and not is_early:
            following = self.fetch(
                target, lane=LISTINGS, parent=response, callback=self.parse_old, cursor=cursor,
                sweep=True,
            )  # fmt: skip
            yield from turn(response, [data["name"] for data in found], following, newest_first=True)

    def parse_feed(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read the feed of a listing: the newest posts, by name alone."""
        if response.status != 200:
            why = f"Reddit's feeds are closed to us, too (HTTP {response.status}); nothing is left to ask."
            yield Note(text=why, url=response.url)
            return
        with response.open() as stream:
            found = list(entries(stream))
        for entry in found:
            place, thread = _place(absolute(response.url, entry.url) or WWW)
            if thread and Window.of(self.seed).holds(when := instant(entry.published or entry.modified)):
                yield Post(
                    platform=self.name, id=f"t3_{thread}", url=entry.url, created_at=span(when),
                    extra={"subreddit": place.rpartition("/")[2]}, **source(response),
                )  # fmt: skip

    # Threads

    def _thread(self, post: str, parent: CaptureResponse | None, comment: str = "", of: str | None = None) -> Fetch:
        below = f"/_/{comment}" if comment else ""
        return self.fetch(
            f"{WWW}/comments/{post}{below}.json?limit=500&raw_json=1", lane=POSTS, parent=parent, day=of,
            callback=self.parse_thread, cursor={"post": post, "comment": comment},
            covers=("thread", f"{post}/{comment}" if comment else post),
        )  # fmt: skip

    def parse_thread(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a thread, or the part of it below one comment."""
        cursor, said = response.fetch.cursor or {}, response.data()
        if not isinstance(said, list):
            return
        if not cursor["comment"]:
            for _, data in items.things(said[0] if said else None):
                yield from self._thing(data, response)
        for kind, data in items.comments(said[1] if len(said) > 1 else None):
            if kind == "t1":
                yield from self._thing(data, response)
            elif kind == "more":
                yield from (self._thread(cursor["post"], response, one) for one in items.below(data))

    def parse_old_thread(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a thread's old page, where its JSON is closed."""
        yield from self.parse_page(response)
        html, thread = text_of(response), _place(response.url)[1]
        for data in items.shown(html):
            if data["name"].startswith("t1_"):
                yield from self._thing(data, response)
        for url in page(html, response.url).links:
            if picture := items.uploaded(url):
                yield from self._file(picture, "image", f"t3_{thread}", None, response)
        for comment in items.hidden(html) if thread else ():
            yield self._old(f"{OLD}/comments/{thread}/_/{comment}/?limit=500", response, self.parse_old_thread)

    def _old(self, url: str, response: CaptureResponse, callback: Any, of: str | None = None) -> Fetch:
        return self.fetch(url, lane=PAGES, parent=response, callback=callback, covers=("page", url), day=of)

    # Things

    def _thing(self, data: dict[str, Any], response: CaptureResponse) -> Iterator[Yield]:
        """Yield a post or comment, and what belongs to it."""
        when, name = instant(data.get("created_utc")), text(data, "name")
        identity, is_comment = items.identity(data), "body" in data
        if not identity or not items.is_public(data) or not Window.of(self.seed).holds(when):
            return
        yield items.post(data, response)
        for url, kind in items.files_of(data):
            fallback = text(items.video(data), "fallback_url")
            yield from self._file(url, kind, name, day(when), response, fallback)
        if writer := items.author(data):
            yield from self._writer(writer, response)
        is_old = (response.fetch.callback or "").startswith("parse_old")
        if is_comment:
            is_theirs = _place(self.seed.url)[0].startswith("/user/")
            if is_theirs and response.fetch.callback == "parse_listing" and (shown := items.link(data)):
                yield self._old(shown, response, self.parse_page, day(when))
            return
        if shown := items.link(data):
            yield self._old(shown, response, self.parse_old_thread if is_old else self.parse_page, day(when))
        if not is_old and text(data, "num_comments") != "0":
            yield self._thread(identity, response, of=day(when))
        if (preview := text(data, "thumbnail")).startswith("http"):
            yield from self._extra(preview, "preview", response)

    def _writer(self, name: str, response: CaptureResponse) -> Iterator[Yield]:
        if not (response.fetch.callback or "").startswith("parse_old"):
            yield self._account(name, response)
            return
        url = f"{OLD}/user/{name}/"
        yield Account(platform=self.name, id=name, username=name, url=url, **source(response))
        yield self._old(url, response, self.parse_page)

    def _account(self, name: str, parent: CaptureResponse | None) -> Fetch:
        return self.fetch(
            f"{WWW}/user/{name}/about.json?raw_json=1", lane=ACCOUNTS, parent=parent, callback=self.parse_account,
            covers=("account", name),
        )  # fmt: skip

    def parse_account(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read what is said of somebody."""
        data = at(response.data(), "data")
        if items.author({"author": text(data, "name")}):
            found = items.account(data, response)
            yield found
            yield self._old(found.url, response, self.parse_page)
            yield from self._extra(found.avatar or "", "avatar", response)

    def _file(
        self, url: str, kind: str, post: str, of: str | None, response: CaptureResponse, fallback: str = ""
    ) -> Iterator[Yield]:
        if kind == "video":
            yield self.fetch(
                url, lane=ORIGINALS, parent=response, callback=self.parse_video, day=of, sweep=True,
                cursor={"post": post, "fallback": fallback},
            )  # fmt: skip
            return
        yield items.media(url, kind, post, response)
        yield self.fetch(url, lane=IMAGES, parent=response, covers=(kind, url), day=of)

    def parse_video(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read the manifest of a video: the best picture and the best sound; without one, what plays everywhere."""
        cursor, found = response.fetch.cursor or {}, []
        if response.status == 200:
            found = items.streams(text_of(response), response.url)
        if not found and cursor.get("fallback"):
            found = [(cursor["fallback"], "video")]
        for url, kind in found:
            yield items.media(url, kind, cursor["post"], response)
            yield self.fetch(url, lane=ORIGINALS, parent=response, covers=(kind, url), day=response.fetch.day)

    def _extra(self, url: str, kind: str, response: CaptureResponse) -> Iterator[Yield]:
        if url.startswith("http"):
            yield self.fetch(url, lane=EXTRAS, parent=response, covers=(kind, url))


def _place(url: str) -> tuple[str, str]:
    """Return the path of the community or person that a URL names, and the thread."""
    found = _PLACE.fullmatch(urlsplit(url).path)
    place = (found[1] or "").replace("/u/", "/user/") if found else ""
    return place, (found[2] or "") if found else ""
