"""MediaWiki, through its action API (www.mediawiki.org/wiki/API): every revision of every page, talk, files, people.

How it is walked: ``list=allrevisions`` gives all revisions of all namespaces with their text, fifty at a time and
oldest first, so that nothing is read twice and nothing shifts; each page it names is taken as people see it. Files come
with all their versions. Errors of this API are answers with status 200. What was hidden of a revision stays hidden.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote, urljoin

from crawler.model import Account, Claim, Media, Note, Post, Verdict
from crawler.url import host_of
from spiders.api import at, number, objects, source, text, turn, with_query
from spiders.base import IMAGES, LISTINGS, ORIGINALS, PAGES, REQUISITES, Evidence, Territory, Yield
from spiders.html import absolute
from spiders.pages import PageSpider, kind_of, text_of
from spiders.window import Window, day, instant, span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from crawler.model import Fetch, Lane, Seed
    from crawler.response import CaptureResponse

#: Where the API may be when no page says so.
DOORS = ("/w/api.php", "/api.php", "/wiki/api.php")
#: Characters of a page in which it says what it is made with.
MAX_HEAD = 100_000
#: What every question carries: few clients send ``maxlag``, and a server that is behind asks them to wait.
_ASK = {"action": "query", "format": "json", "formatversion": "2", "maxlag": "5"}
_REVISION = "ids|flags|timestamp|user|userid|size|sha1|contentmodel|comment|content|tags"
_FILE = "timestamp|user|comment|url|size|sha1|mime|mediatype|archivename"
#: Errors that pass, and errors that mean that strangers may not read.
_PASSING = re.compile(r"maxlag|ratelimited|readonly|internal_api_error|toomany")
_CLOSED = re.compile(r"readapidenied|permissiondenied|notloggedin|mustbeloggedin|blocked")
_GENERATOR = re.compile(r"<meta[^>]{0,100}?name=[\"']generator[\"'][^>]{0,100}?content=[\"']MediaWiki\b([^\"']{0,40})")
_API = re.compile(r"<link[^>]{0,100}?rel=[\"']EditURI[\"'][^>]{0,200}?href=[\"']([^\"'?]{1,2048})")
#: Counter of the wiki → kind, and why it may differ from what strangers can have.
_STATISTICS = {
    "pages": ("page", "counts no page twice, and is not always kept right"),
    "edits": ("revision", "counts edits of pages that are deleted since, too"),
    "images": ("file", "counts files, not their older versions"),
    "users": ("account", "counts hidden accounts, too"),
}


class MediaWikiSpider(PageSpider):
    """Walks one wiki."""

    name = "mediawiki"
    title: ClassVar[str] = "MediaWiki"
    lanes: ClassVar[tuple[Lane, ...]] = (LISTINGS, PAGES, REQUISITES, IMAGES, ORIGINALS)
    kinds: ClassVar[tuple[str, ...]] = ("revision", "account", "file", "page", "asset")
    reads_refusals: ClassVar[frozenset[str]] = frozenset({"parse_home", "parse_site", "parse_listing"})
    reads_holes: ClassVar[frozenset[str]] = frozenset({"parse_home", "parse_site"})

    @classmethod
    def recognise(cls, replies: Sequence[CaptureResponse]) -> Evidence | None:
        """Know what every page of a wiki says of itself."""
        for reply in replies:
            start = text_of(reply)[:MAX_HEAD] if kind_of(reply) == "html" else ""
            if found := _GENERATOR.search(start):
                return Evidence(confidence=97, reasons=(f"its page says MediaWiki{found[1]}",))
            if (door := _API.search(start)) and door[1].endswith("api.php"):
                return Evidence(confidence=95, reasons=("its page names the door of MediaWiki's API",))
        return None

    @classmethod
    def territory(cls, seed: Seed) -> Territory:
        """Return the wiki's host; its files may be anywhere."""
        return Territory(hosts=(host_of(seed.url),))

    def judge(self, response: CaptureResponse) -> Verdict:
        """Know the errors that come with status 200, and lists with what has been hidden."""
        if response.status == 200 and response.fetch.callback in {"parse_site", "parse_listing"}:
            code = text(response.data(), "error", "code")
            if _PASSING.match(code):
                return Verdict.LIMITED
            if _CLOSED.search(code):
                return Verdict.LOGIN
            if any(_is_leaked(one) for group in _pages(response.data()) for one in _revisions(group)):
                return Verdict.MIXED
        return super().judge(response)

    def seeds(self, seed: Seed) -> Iterator[Fetch]:
        """Yield the page that says where the API is."""
        yield self.fetch(seed.url, lane=PAGES, callback=self.parse_home, covers=("page", seed.url), sweep=True)

    def parse_home(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read where the API is, or try the usual places."""
        yield from self.parse_page(response)
        found = _API.search(text_of(response)[:MAX_HEAD]) if kind_of(response) == "html" else None
        named = absolute(response.url, found[1]) if found else None
        for door in [named] if named else [urljoin(self.seed.url, door) for door in DOORS[:1]]:
            yield self._site(door, response)

    def _site(self, door: str, response: CaptureResponse) -> Fetch:
        url = with_query(door, **_ASK, meta="siteinfo", siprop="general|namespaces|statistics")
        return self.fetch(
            url, lane=LISTINGS, parent=response, callback=self.parse_site, cursor={"door": door}, sweep=True
        )

    def parse_site(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read what the wiki says of itself, and where its listings are."""
        door = (response.fetch.cursor or {}).get("door", "")
        general = at(response.data(), "query", "general")
        if text(response.data(), "error", "code"):
            yield _refusal(response)
        elif response.status != 200 or not isinstance(general, dict):
            tried = [urljoin(self.seed.url, one) for one in DOORS]
            following = tried[tried.index(door) + 1 :] if door in tried else []
            if following:
                yield self._site(following[0], response)
            else:
                yield Note(text="No API answers here; the wiki cannot be listed.", url=response.url)
        else:
            for counter, (kind, caveat) in _STATISTICS.items():
                count = number(response.data(), "query", "statistics", counter)
                if count is not None and not Window.of(self.seed):
                    told = f"siteinfo statistics.{counter}"
                    yield Claim(kind=kind, count=count, counter=told, caveat=caveat, url=response.url)
            article = absolute(response.url, text(general, "articlepath").replace("$1", "TITLE")) or response.url
            cursor = {"door": door, "article": article}
            for asked in self._listings():
                yield self._listing({**_ASK, **asked}, cursor, response)

    def _listings(self) -> Iterator[dict[str, str]]:
        """Yield what to ask, newest first: revisions with their text, files with their versions; people."""
        window = Window.of(self.seed)
        since, until = (_stamp(when) for when in (window.since, window.until))
        span_of = {"arvstart": until, "arvend": since}
        yield {"list": "allrevisions", "arvprop": _REVISION, "arvslots": "main", "arvlimit": "max", "arvdir": "older",
               **{name: value for name, value in span_of.items() if value}}  # fmt: skip
        span_of = {"gaistart": until, "gaiend": since}
        yield {"generator": "allimages", "gailimit": "max", "gaisort": "timestamp", "gaidir": "older",
               "prop": "imageinfo", "iiprop": _FILE, "iilimit": "max",
               **{name: value for name, value in span_of.items() if value}}  # fmt: skip
        if not window:
            yield {"list": "allusers", "aulimit": "max", "auprop": "registration|editcount|groups"}

    def _listing(
        self, asked: dict[str, Any], cursor: dict[str, Any], parent: CaptureResponse, *, sweep: bool = True
    ) -> Fetch:
        return self.fetch(
            with_query(cursor["door"], **asked), lane=LISTINGS, parent=parent, callback=self.parse_listing,
            cursor={**cursor, "asked": asked}, sweep=sweep,
        )  # fmt: skip

    def parse_listing(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read an answer, and ask on with what it says to go on with."""
        cursor, said = dict(response.fetch.cursor or {}), response.data()
        if text(said, "error", "code") or response.status != 200:
            yield _refusal(response)
            return
        for group in _pages(said):
            yield from self._page(group, cursor["article"], response)
        for user in objects(said, "query", "allusers"):
            yield from self._account(user, cursor["article"], response)
        following = at(said, "continue")
        if isinstance(following, dict) and following:
            asked = {**cursor["asked"], **{name: text(following, name) for name in following}}
            place = "&".join(f"{name}={text(following, name)}" for name in sorted(following))
            cursor = {name: value for name, value in cursor.items() if name != "page"}
            older = self._listing(asked, cursor, response, sweep=False)
            yield from turn(response, [place], older, newest_first="list" not in asked or asked["list"] != "allusers")

    # Things

    def _page(self, group: dict[str, Any], article: str, response: CaptureResponse) -> Iterator[Yield]:
        """Yield the revisions and the file of a page, and the page itself."""
        title, window = text(group, "title"), Window.of(self.seed)
        inside = [one for one in _revisions(group) if window.holds(instant(text(one, "timestamp")))]
        shown = [one for one in inside if not _is_hidden(one)]
        for one in shown:
            yield _revision(one, group, _url(article, title), response)
        if title and shown:
            url = _url(article, title)
            when = day(instant(text(shown[0], "timestamp")))
            yield self.fetch(url, lane=PAGES, parent=response, callback=self.parse_page, covers=("page", url), day=when)
        for one in objects(group, "imageinfo"):
            saved = instant(text(one, "timestamp"))
            if one.get("filehidden") is None and window.holds(saved):
                yield from self._file(one, title, saved, response)

    def _file(
        self, one: dict[str, Any], title: str, when: datetime | None, response: CaptureResponse
    ) -> Iterator[Yield]:
        url = absolute(response.url, text(one, "url"))
        if not url:
            return
        mime = text(one, "mime")
        yield Media(
            platform=self.name, id=text(one, "archivename") or title, url=url, title=title, post=title,
            kind=mime.partition("/")[0] if mime.startswith(("image/", "audio/", "video/")) else "file",
            account=text(one, "user") or None,
            extra={"sha1": text(one, "sha1"), "size": text(one, "size"), "mime": mime, "at": text(one, "timestamp"),
                   "comment": text(one, "comment")},
            **source(response),
        )  # fmt: skip
        lane = IMAGES if mime.startswith("image/") else ORIGINALS
        yield self.fetch(url, lane=lane, parent=response, covers=("file", url), day=day(when))

    def _account(self, user: dict[str, Any], article: str, response: CaptureResponse) -> Iterator[Yield]:
        name = text(user, "name")
        if name and user.get("hidden") is None:
            yield Account(
                platform=self.name, id=text(user, "userid"), username=name, url=_url(article, f"User:{name}"),
                created_at=span(instant(text(user, "registration"))), counters={"edits": text(user, "editcount")},
                **source(response),
            )  # fmt: skip


def _pages(said: Any) -> list[dict[str, Any]]:
    """Return the pages of an answer, each with its revisions or its file."""
    return [*objects(said, "query", "allrevisions"), *objects(said, "query", "pages")]


def _revisions(group: dict[str, Any]) -> list[dict[str, Any]]:
    return objects(group, "revisions")


def _content(one: dict[str, Any]) -> str:
    return text(one, "slots", "main", "content") or text(one, "content")


def _is_hidden(one: dict[str, Any]) -> bool:
    """Say whether a revision was taken from the public: its text, or all of it."""
    return any(one.get(mark) not in {None, False} for mark in ("texthidden", "suppressed")) or (
        at(one, "slots", "main", "texthidden") not in {None, False}
    )


def _is_leaked(one: dict[str, Any]) -> bool:
    return _is_hidden(one) and bool(_content(one))


def _revision(one: dict[str, Any], group: dict[str, Any], url: str, response: CaptureResponse) -> Post:
    above = text(one, "parentid")
    is_known = one.get("userhidden") is None
    return Post(
        platform=MediaWikiSpider.name, id=text(one, "revid"), url=with_query(url, oldid=text(one, "revid")),
        kind="revision", author=text(one, "userid") if is_known else None,
        author_name=text(one, "user") if is_known else None, text=_content(one),
        created_at=span(instant(text(one, "timestamp"))), in_reply_to=above if above not in {"", "0"} else None,
        extra={
            "title": text(group, "title"), "page": text(group, "pageid"), "namespace": text(group, "ns"),
            "comment": text(one, "comment") if one.get("commenthidden") is None else "", "sha1": text(one, "sha1"),
            "model": text(one, "slots", "main", "contentmodel"), "minor": one.get("minor") is True,
        },
        **source(response),
    )  # fmt: skip


def _url(article: str, title: str) -> str:
    """Return the URL of a page: a title with underscores, and as little escaped as the wiki itself does."""
    return article.replace("TITLE", quote(title.replace(" ", "_"), safe="/:;@$!*(),~"))


def _stamp(when: datetime | None) -> str:
    return f"{when:%Y-%m-%dT%H:%M:%SZ}" if when else ""


def _refusal(response: CaptureResponse) -> Note:
    code = text(response.data(), "error", "code") or f"HTTP {response.status}"
    if _CLOSED.search(code):
        return Note(text=f"The wiki is closed to strangers ({code}).", url=response.url)
    return Note(text=f"The API refuses a question ({code}); what it lists is not known.", url=response.url)
