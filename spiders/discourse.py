"""Discourse, through the JSON beside its pages (docs.discourse.org), and its pages as robots get them: plain HTML.

How it is walked: ``posts.json`` lists every post of every open category, newest first, fifty below any id; each names
its topic, which holds the ids of all it has (its stream), those that are no ordinary posts among them, twenty to a
request. Where that list is closed the topics are listed, newest activity first. Old versions list the posts whose ids
are the fifty up to and with the one asked for, of which any number may be left out; they are known by that.

Private messages, topics of closed categories and whispers of the staff are not looked for, and neither are unlisted
topics, which a server shows to whoever has their address.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote, urljoin, urlsplit

from crawler.model import Claim, Note, Verdict
from crawler.url import host_of
from spiders import discourse_items as items
from spiders.api import at, number, objects, text, turn, with_query
from spiders.base import ACCOUNTS, EXTRAS, IMAGES, LISTINGS, ORIGINALS, PAGES, POSTS, REQUISITES, Evidence, Territory
from spiders.discourse_items import CATEGORY, TOPIC, root
from spiders.pages import PageSpider, kind_of, text_of
from spiders.seek import sought
from spiders.window import Window, day, instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crawler.model import Fetch, Lane, Seed
    from crawler.response import CaptureResponse
    from spiders.base import Yield

#: Posts of a page of the list of all, of one request to a stream, people of a page, and pages of people there are.
PAGE, STREAM, PEOPLE, MAX_PEOPLE = 50, 20, 50, 10
#: Posts of a topic's stream that are asked for.
MAX_STREAM = 200_000
_MARK = re.compile(
    r"<meta[^>]{0,100}?name=[\"']generator[\"'][^>]{0,100}?content=[\"']Discourse\b\s?([\w.+-]{0,40})"
    r"|<[a-z]+[^>]{0,200}?id=[\"']data-discourse-setup[\"']"
)
_JSON = frozenset({"parse_about", "parse_site", "parse_people", "parse_posts", "parse_topics", "parse_topic",
                   "parse_stream", "parse_account"})  # fmt: skip
_DOORS = frozenset({"parse_posts", "parse_topics", "parse_people"})
#: What its JSON says under ``error_type``.
_ERRORS = {
    "not_logged_in": Verdict.LOGIN, "invalid_access": Verdict.LOGIN, "not_found": Verdict.MISSING,
    "rate_limit": Verdict.LIMITED,
}  # fmt: skip


class DiscourseSpider(PageSpider):
    """Walks one forum, or one category or topic of it."""

    name = "discourse"
    title: ClassVar[str] = "Discourse"
    markup: ClassVar[bool] = True
    lanes: ClassVar[tuple[Lane, ...]] = (
        LISTINGS, POSTS, ACCOUNTS, PAGES, REQUISITES, IMAGES, ORIGINALS, EXTRAS,
    )  # fmt: skip
    kinds: ClassVar[tuple[str, ...]] = ("topic", "post", "account", "image", "file", "page", "avatar", "asset")
    reads_refusals: ClassVar[frozenset[str]] = _DOORS
    reads_holes: ClassVar[frozenset[str]] = _DOORS
    names_all: ClassVar[frozenset[str]] = frozenset({"parse_posts", "parse_topic", "parse_stream"})

    @classmethod
    def recognise(cls, replies: Sequence[CaptureResponse]) -> Evidence | None:
        """Know what every page of it says of itself, the one that asks for a login, too."""
        for reply in replies:
            if found := _MARK.search(text_of(reply)[:200_000]) if kind_of(reply) == "html" else None:
                return Evidence(confidence=97, reasons=(f"its page says Discourse {found[1] or ''}".rstrip(),))
        return super().recognise(replies)

    @classmethod
    def territory(cls, seed: Seed) -> Territory:
        """Return the host, and of a forum below a path that path."""
        path = urlsplit(root(seed.url)).path
        return Territory(hosts=(host_of(seed.url),), paths=(path,) if len(path) > 1 else ())

    def judge(self, response: CaptureResponse) -> Verdict:
        """Know a wall, errors by the name they carry, and what is not for strangers."""
        if 300 <= response.status < 400 and urlsplit(response.header("Location")).path.endswith("/login"):
            return Verdict.LOGIN
        if response.fetch.callback not in _JSON:
            return super().judge(response)
        said = response.data()
        if kind := _ERRORS.get(text(said, "error_type")):
            return kind
        if response.status != 200:
            return super().judge(response)
        if kind_of(response) == "html":
            return Verdict.LOGIN
        if response.fetch.callback == "parse_topic" and not items.is_listed(said):
            return Verdict.PRIVATE
        leaks = any(map(items.is_leaked, items.posts_of(said)))
        topics = objects(said, "topic_list", "topics")
        return Verdict.MIXED if leaks or not all(map(items.is_listed, topics)) else super().judge(response)

    def seeds(self, seed: Seed) -> Iterator[Fetch]:
        """Yield the lists that lead to everything, or to the category or topic that the seed names."""
        path = urlsplit(seed.url).path
        if topic := TOPIC.fullmatch(path):
            yield self._topic(topic[2], None, whole=True)
            return
        category = CATEGORY.fullmatch(path)
        reading = self.parse_shown if category and not Window.of(seed) else self.parse_page
        yield self.fetch(seed.url, lane=PAGES, callback=reading, covers=("page", seed.url))
        if category:
            yield self._topics(f"{category[2]}/l/latest.json", 0, None)
            return
        yield self._listing("about.json", self.parse_about)
        yield self._listing("site.json", self.parse_site)
        yield self._posts(None, None)
        if not Window.of(seed):
            yield self._people(0, None)

    def _at(self, place: str) -> str:
        return urljoin(root(self.seed.url), place)

    def _listing(self, place: str, callback: Any, parent: CaptureResponse | None = None, **cursor: Any) -> Fetch:
        url = self._at(place)
        return self.fetch(url, lane=LISTINGS, parent=parent, callback=callback, cursor=cursor or None, sweep=True)

    # What there is

    def parse_about(self, response: CaptureResponse) -> Iterator[Yield]:
        """Take what the forum counts."""
        for kind, name, count in items.counted(response.data()):
            why = "counts what strangers cannot have, too"
            yield Claim(kind=kind, count=count, counter=f"about {name}", caveat=why, url=response.url)

    def parse_site(self, response: CaptureResponse) -> Iterator[Yield]:
        """Yield the pages of the categories."""
        for path in items.categories(response.data()) if not Window.of(self.seed) else ():
            url = self._at(path)
            yield self.fetch(url, lane=PAGES, parent=response, callback=self.parse_shown, covers=("page", url))

    def _people(self, turned: int, parent: CaptureResponse | None) -> Fetch:
        place = f"directory_items.json?period=all&order=post_count&page={turned}"
        return self._listing(place, self.parse_people, parent, turned=turned)

    def parse_people(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page of the people there are; only so many are shown, those who wrote most first."""
        found, turned = objects(response.data(), "directory_items"), (response.fetch.cursor or {}).get("turned", 0)
        if response.status != 200:
            why = f"The list of people is closed to strangers (HTTP {response.status}); who wrote something is read."
            yield Note(text=why, url=response.url)
        for one in found:
            yield from self._person(at(one, "user"), response)
        total = number(response.data(), "meta", "total_rows_directory_items")
        if total is not None and not turned:
            yield Claim(kind="account", count=total, counter="total_rows_directory_items", url=response.url)
        if len(found) >= PEOPLE and turned < MAX_PEOPLE:
            yield from turn(response, [text(one, "id") for one in found], self._people(turned + 1, response))
        elif total and turned and total > PEOPLE * (turned + 1):
            why = (
                f"The list of people ends after {PEOPLE * (turned + 1)} of {total:,}; others are known by their posts."
            )
            yield Note(text=why, url=response.url)

    # All posts, newest first

    def _posts(self, before: int | None, parent: CaptureResponse | None, **cursor: Any) -> Fetch:
        place = with_query("posts.json", before=before)
        return self._listing(place, self.parse_posts, parent, **({"before": before} | cursor))

    def parse_posts(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page of the list of all posts; without it go by the topics."""
        cursor, window, said = response.fetch.cursor or {}, Window.of(self.seed), response.data()
        listed, before = objects(said, "latest_posts"), cursor.get("before")
        found = [(n, instant(text(one, "created_at"))) for one in listed if (n := number(one, "id")) is not None]
        if not before and not found:
            why = f"The list of all posts is closed to strangers (HTTP {response.status}); topics are listed instead."
            yield Note(text=why, url=response.url)
            yield self._topics("latest.json", 0, response)
            return
        for one in listed:
            yield from self._post(one, response)
        ids = [n for n, _ in found]
        is_old = bool(cursor.get("old")) or (before is not None and before in ids)
        if (seek := sought(found, cursor, window)) and not seek.is_met:
            if (place := seek.at(PAGE, window)) is not None:
                yield self._posts(place, response, old=is_old, **seek.cursor())
            else:
                yield self._posts(seek.high, response, old=is_old, named=not is_old)
            return
        # Only after a post that is listed says the next page whether it is an old one's: is that post in it?
        is_last = cursor.get("named") and not is_old and len(ids) < PAGE
        following = before - PAGE if is_old and before else min(ids, default=0)
        if following > 0 and not is_last and not (found and all(window.is_before(when) for _, when in found)):
            older = self._posts(following, response, old=is_old, named=not is_old)
            yield from turn(response, ids, older, newest_first=True)

    # Topics

    def _topics(self, place: str, turned: int, parent: CaptureResponse | None) -> Fetch:
        listed = with_query(place, no_definitions="true", page=turned)
        return self._listing(listed, self.parse_topics, parent, list=place, turned=turned)

    def parse_topics(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page of the topics, those of the latest activity first; pinned ones stand above all."""
        cursor, window = response.fetch.cursor or {}, Window.of(self.seed)
        found = objects(response.data(), "topic_list", "topics")
        if response.status != 200:
            why = f"The list of topics is closed to strangers (HTTP {response.status}); nothing is left to ask."
            yield Note(text=why, url=response.url)
        late = [one for one in found if not window.is_before(instant(text(one, "bumped_at")))]
        for one in late:
            is_early = not window.is_after(instant(text(one, "created_at")))
            if (identity := number(one, "id")) and items.is_listed(one) and is_early:
                yield self._topic(str(identity), response, whole=True)
        if text(response.data(), "topic_list", "more_topics_url") and any(not one.get("pinned") for one in late):
            following = self._topics(cursor["list"], cursor["turned"] + 1, response)
            yield from turn(response, [text(one, "id") for one in found], following)

    def _topic(self, identity: str, parent: CaptureResponse | None, *, whole: bool, of: str | None = None) -> Fetch:
        return self.fetch(
            self._at(f"t/{identity}.json"), lane=POSTS, parent=parent, callback=self.parse_topic,
            cursor={"whole": whole}, covers=("topic", identity), day=of,
        )  # fmt: skip

    def parse_topic(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a topic: its first posts, the ids of all others, and where its page is."""
        said, is_whole = response.data(), (response.fetch.cursor or {}).get("whole")
        yield from self._said(said, response)
        identity = text(said, "id")
        if not identity:
            return
        if is_whole or not Window.of(self.seed):
            stream = at(said, "post_stream", "stream")
            ids = [n for n in stream if number(n)][:MAX_STREAM] if isinstance(stream, list) else []
            for start in range(STREAM, len(ids), STREAM):
                asked = "&".join(f"post_ids[]={n}" for n in ids[start : start + STREAM])
                url = urljoin(response.url, f"{identity}/posts.json?{asked}")
                yield self.fetch(url, lane=POSTS, parent=response, callback=self.parse_stream)
        if not Window.of(self.seed):
            yield self._page(items.page_of(said, 1), response)

    def parse_stream(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read posts of a topic."""
        yield from self._said(response.data(), response)

    def _said(self, said: Any, response: CaptureResponse) -> Iterator[Yield]:
        posts = items.posts_of(said)
        numbers = {number(one, "post_number"): text(one, "id") for one in posts}
        for one in posts:
            yield from self._post(one, response, numbers, said)

    def _post(
        self, one: dict[str, Any], response: CaptureResponse, numbers: Any = None, topic: Any = None
    ) -> Iterator[Yield]:
        """Yield a post, who wrote it, its files and its topic; in a window, where no topic is read whole, its page."""
        when, identity = instant(text(one, "created_at")), text(one, "topic_id")
        if not number(one, "id") or not items.is_public(one) or not Window.of(self.seed).holds(when):
            return
        yield items.post(one, self._at(items.page_of(one, None)), numbers or {}, topic, response)
        yield from self._person(one, response)
        for url, kind in items.files(text(one, "cooked"), response.url):
            yield items.media(url, kind, one, response)
            lane = IMAGES if kind == "image" else ORIGINALS
            yield self.fetch(url, lane=lane, parent=response, covers=(kind, url), day=day(when))
        for url in items.guessed(text(one, "cooked"), response.url):
            yield self.fetch(url, lane=IMAGES, parent=response, covers=("image", url), day=day(when), sweep=True)
        if topic is None and number(one, "topic_id"):
            yield self._topic(identity, response, whole=False, of=day(when))
        if Window.of(self.seed):
            yield self._page(items.page_of(one, number(one, "post_number")), response, day(when))

    # People and pages

    def _person(self, one: Any, response: CaptureResponse) -> Iterator[Yield]:
        name = text(one, "username")
        if face := items.face(one, response.url):
            yield self.fetch(face, lane=EXTRAS, parent=response, covers=("avatar", face))
        if name:
            url = self._at(f"u/{quote(name, safe='')}.json")
            yield self.fetch(
                url, lane=ACCOUNTS, parent=response, callback=self.parse_account, covers=("account", name)
            )  # fmt: skip

    def parse_account(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read what is said of somebody."""
        one = at(response.data(), "user")
        if name := text(one, "username"):
            place = f"u/{quote(name, safe='')}"
            yield items.account(one, self._at(place), response)
            yield self._page(place, response)

    def _page(self, place: str, response: CaptureResponse, of: str | None = None) -> Fetch:
        url = self._at(place)
        reading = self.parse_page if Window.of(self.seed) else self.parse_shown
        return self.fetch(url, lane=PAGES, parent=response, callback=reading, covers=("page", url), day=of)

    def parse_shown(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page and name the next one, where it has one."""
        yield from self.parse_page(response)
        if kind_of(response) == "html" and (url := items.next_page(text_of(response), response.url)):
            following = self.fetch(
                url, lane=PAGES, parent=response, callback=self.parse_shown, covers=("page", url)
            )  # fmt: skip
            yield from turn(response, [url], following)
