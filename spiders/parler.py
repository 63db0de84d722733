"""Parler as strangers could reach it from August 2018 to its end in January 2021 (not the later sites of that name).

How it is walked: a counter of all posts answers with their ids (``/v3/uuidConversion/post/<n>``); its span is searched
(``counter.py``), then swept block by block, newest first. A post's page names its author, its share page, and its
media: videos by URL, images by short links that redirect to the image host. A profile page shows at most twenty
posts and no way to more, so accounts cannot be listed; the counter is the only way to everything.

Pages say no more than "4 days ago", so every time is an interval. They are reckoned from the server's own clock
(its Date header, which is in the capture too): a page from a cache was "4 days ago" when it was made.

Options (``--option first=N --option last=N``): the lowest and highest id of the counter, where they are known.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from crawler.errors import UsageError
from crawler.model import Covered, Lane, Seed, SegmentClass, Standing, Verdict
from spiders import parler_api, parler_items
from spiders.base import ROBOTS, Evidence, PlatformSpider, Probe, Territory, Yield
from spiders.counter import Answer, Goal, Search
from spiders.html import absolute, css, page
from spiders.parler_pages import HEX, USERNAME, Block, Shown, post_page, profile_page, when

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crawler.model import Fetch
    from crawler.response import CaptureResponse

COUNTER = "https://api.parler.com/v3/uuidConversion/post/"
#: The one request that asks whether the JSON API answers without cookies.
API_DOOR = "https://api.parler.com/v1/discover/posts"
#: Ids of one block; the next block is named from its middle, so that the frontier never holds much more than two.
BLOCK = 500
#: Holes in a row after which nothing newer is expected.
EDGE = 64

IDS = Lane(name="ids", order=10)
API = Lane(name="api", order=15)
POSTS = Lane(name="posts", order=20)
PROFILES = Lane(name="profiles", order=30)
SHARES = Lane(name="shares", order=40)
LINKS = Lane(name="links", order=50)
IMAGES = Lane(name="images", order=60, segment_class=SegmentClass.IMAGES)
ORIGINALS = Lane(name="video-originals", order=70, segment_class=SegmentClass.ORIGINALS)
VARIANTS = Lane(name="video-variants", order=80, segment_class=SegmentClass.ORIGINALS)
AVATARS = Lane(name="avatars", order=90, segment_class=SegmentClass.IMAGES)
REQUISITES = Lane(name="requisites", order=100)
DOCUMENTS = Lane(name="documents", order=110)

_MEDIA_HOSTS = frozenset({"images.parler.com", "image-cdn.parler.com", "video.parler.com", "company-media.parler.com"})
_PAPERS = frozenset({"legal.parler.com", "faq.parler.com"})
_HOSTS = ("parler.com", "www.parler.com", "api.parler.com", "par.pw", "share.par.pw", *sorted(_MEDIA_HOSTS), *sorted(_PAPERS))

_ID = re.compile(rb"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
_VIDEO = re.compile(r"^(video\.parler\.com/\w{2}/\w{2}/)(\w{4,32}?)(_small\.mp4|\.mp4|)$")
_SHELL = re.compile(rb"<app-root|<title>\s*Parler Free Speech Social Network", re.IGNORECASE)
_S3_ERROR = re.compile(rb"^\s*<\?xml[^>]*>\s*(?:<!--.*?-->\s*)?<Error\b|^\s*<Error>\s*<Code>", re.DOTALL)
_ASSET = re.compile(r"\.(?:css|js|svg|png|jpe?g|gif|ico|woff2?|ttf|otf|eot)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A kind of URL: where it is, and what its work is. Group 1 of the pattern is the id of the thing."""

    pattern: re.Pattern[str]
    lane: Lane
    kind: str
    callback: str | None = None
    #: The URL that stands for it, where there are several.
    url: str = ""
    work: tuple[tuple[str, Any], ...] = ()


#: What a URL (without scheme) is. The first that fits.
PLACES = (
    Place(pattern=re.compile(rf"^(?:www\.)?parler\.com/post/({HEX})/?$"), lane=POSTS, kind="post", callback="parse_post",
          url="https://parler.com/post/{}"),
    Place(pattern=re.compile(rf"^(?:www\.)?parler\.com/profile/({USERNAME})(?:/posts)?/?$"), lane=PROFILES, kind="profile",
          callback="parse_profile", url="https://parler.com/profile/{}/posts"),
    Place(pattern=re.compile(rf"^share\.par\.pw/post/({HEX})/?$"), lane=SHARES, kind="share", callback="parse_share"),
    Place(pattern=re.compile(r"^(?:api\.parler\.com|par\.pw)/l/(\w{1,32})$"), lane=LINKS, kind="link", callback="parse_link",
          work=(("follow", False),)),
    Place(pattern=re.compile(r"^image-cdn\.parler\.com/(?:\w+/)*(\w{1,64})(?:\.\w{1,5})?$"), lane=IMAGES, kind="image"),
    Place(pattern=re.compile(r"^video\.parler\.com/\w{2}/\w{2}/(\w{4,32}?)$(?<!_small)"), lane=ORIGINALS, kind="video"),
    # What pages show of a video; the bigger one, which they do not even link to, goes first.
    Place(pattern=re.compile(r"^video\.parler\.com/\w{2}/\w{2}/(\w{4,32}?_small\.mp4)$"), lane=VARIANTS, kind="variant"),
    Place(pattern=re.compile(r"^video\.parler\.com/\w{2}/\w{2}/(\w{4,32}?\.mp4)$"), lane=VARIANTS, kind="variant",
          work=(("value", 1),)),
    Place(pattern=re.compile(r"^images\.parler\.com/(\w{1,64}_1200)$"), lane=AVATARS, kind="banner"),
    Place(pattern=re.compile(r"^images\.parler\.com/(\w{1,64}_\d+)$"), lane=AVATARS, kind="avatar"),
    Place(pattern=re.compile(r"^images\.parler\.com/(\w{1,64})$"), lane=AVATARS, kind="preview"),
)  # fmt: skip


class ParlerSpider(PlatformSpider):
    """Walks Parler's public posts, profiles and media."""

    name = "parler"
    title: ClassVar[str] = "Parler"
    known_hosts: ClassVar[tuple[str, ...]] = _HOSTS
    probes: ClassVar[tuple[Probe, ...]] = (Probe(path="https://parler.com/"), Probe(path=f"{COUNTER}1"))
    lanes: ClassVar[tuple[Lane, ...]] = (
        ROBOTS, IDS, API, POSTS, PROFILES, SHARES, LINKS, IMAGES, ORIGINALS, VARIANTS, AVATARS, REQUISITES, DOCUMENTS,
    )  # fmt: skip
    kinds: ClassVar[tuple[str, ...]] = (
        "post", "profile", "comment", "image", "video", "link", "share", "avatar", "banner", "preview", "variant", "document",
        "card", "id", "outlink",
    )  # fmt: skip
    reads_holes: ClassVar[frozenset[str]] = frozenset({"parse_id", "parse_post"})

    # Recognising

    @classmethod
    def recognise(cls, replies: Sequence[CaptureResponse]) -> Evidence | None:
        """Believe what only Parler's pages and API say, and only on Parler's own hosts: it can be walked nowhere else."""
        reasons = [
            reason for reply in replies if urlsplit(reply.url).hostname in _HOSTS and (reason := _mark(reply)) is not None
        ]
        return Evidence(confidence=97, reasons=tuple(dict.fromkeys(reasons))) if reasons else None

    @classmethod
    def territory(cls, seed: Seed) -> Territory:
        """All of Parler's own hosts, whatever the seed names."""
        return Territory(hosts=_HOSTS)

    def judge(self, response: CaptureResponse) -> Verdict:
        """Know soft 404s, S3 errors and login walls from status, headers and the first 4 KiB."""
        parts = urlsplit(response.url)
        head = response.head_bytes
        if parts.hostname in _MEDIA_HOSTS and response.status not in {408, 425, 429} and response.status < 500:
            return Verdict.MISSING if response.status in {404, 410} or _S3_ERROR.match(head) else Verdict.OK
        if parts.path.startswith("/auth/") or "/auth/access" in response.header("Location"):
            return Verdict.LOGIN
        if parts.path.startswith("/v1/") and response.status in {401, 403}:
            return Verdict.LOGIN
        if response.status == 200 and parts.path.startswith(("/post/", "/profile/")) and _SHELL.search(head):
            return Verdict.MISSING
        return super().judge(response)

    # Where it begins

    def seeds(self, seed: Seed) -> Iterator[Fetch]:
        """Begin the search for the counter's end; a seed that names a post or a profile is that and no more."""
        if self._is_narrow:
            yield self.listed(seed.url)
            return
        first, last = self._bounds(seed)
        if last is None:
            yield self._ask(Search.newest(first))
        elif self._is_windowed:
            yield from self._look(Search.newest(first), last)
        else:
            yield from self._sweep(first, last)
        yield self.fetch("https://parler.com/", lane=DOCUMENTS, callback=self.parse_document, covers=("document", "https://parler.com/"))
        yield self.fetch(API_DOOR, lane=API, callback=self.parse_api, sweep=True)
        for host in sorted(_PAPERS):
            yield self._paper(f"https://{host}/", None, sweep=True)

    def listed(self, url: str) -> Fetch:
        """Return the work of a URL that the user listed."""
        return self._work(url, None) or self.fetch(url, lane=DOCUMENTS, callback=self.parse_document, covers=("document", url))

    def _bounds(self, seed: Seed) -> tuple[int, int | None]:
        texts = [seed.options.get("first") or "1", seed.options.get("last") or "1"]
        if not all(text.isascii() and text.isdigit() and len(text) < 16 for text in texts):
            raise UsageError("--option first=N and last=N want whole numbers.")
        first, last = int(texts[0]), int(texts[1]) if "last" in seed.options else None
        if last is not None and last < first:
            raise UsageError(f"--option last={last} is before first={first}.")
        return first, last

    @property
    def _is_narrow(self) -> bool:
        return self._work(self.seed.url, None) is not None

    @property
    def _is_windowed(self) -> bool:
        return bool(self.seed.since or self.seed.until)

    # The counter

    def parse_id(self, response: CaptureResponse) -> Iterator[Yield]:
        """One number of the counter: its post, and what its cursor asks for (a step of the search, more of the sweep)."""
        cursor = response.fetch.cursor or {}
        number = int(response.url.rsplit("/", 1)[-1])
        found = _ID.search(response.body[:4096]) if response.status == 200 else None
        post = self._work(f"https://parler.com/post/{found[0].decode()}", response) if found else None
        if "search" in cursor:
            search = Search.of(cursor["search"])
            if search.goal is not Goal.NEWEST and post is not None:
                yield self._witness(post, search)
                return
            yield from self._step(search, Answer.ABOVE if post else Answer.HOLE, response)
        if "below" in cursor:
            yield from self._sweep(cursor["first"], cursor["below"], tuple(cursor["asked"]), response)
        if post is not None:
            if cursor.get("edge"):
                yield from (self._number(n, response, edge=True) for n in range(number + 1, number + 1 + EDGE))
            if "search" not in cursor or not self._is_windowed:
                yield post

    def _step(self, search: Search, said: Answer, response: CaptureResponse) -> Iterator[Yield]:
        """Go on with a search, or with what its end allows."""
        search = search.told(said)
        if search.at is not None:
            yield self._ask(search, response)
        elif search.goal is not Goal.NEWEST:
            yield from self._narrowed(search, response)
        elif search.proof is None:
            yield Covered(
                kind="id", id="span", standing=Standing.MISSING, url=COUNTER,
                reason="no number of the counter answered; if you know where it runs: --option first=N --option last=N",
            )  # fmt: skip
        elif not self._is_windowed:
            yield from (self._number(n, response, edge=True) for n in range(search.proof + 1, search.proof + 1 + EDGE))
            yield from self._sweep(search.first, search.proof, search.asked, response)
        else:
            yield from self._look(search, search.proof + EDGE, response)

    def _look(self, search: Search, top: int, response: CaptureResponse | None = None) -> Iterator[Yield]:
        """Begin to look for the window's end, or its beginning, among the ids up to ``top``."""
        goal = Goal.UNTIL if self.seed.until and search.goal is Goal.NEWEST else Goal.SINCE
        if goal is Goal.SINCE and not self.seed.since:
            yield from self._sweep(search.first, top, search.asked, response)
            return
        moment = Search.moment(goal, search.first, top, search.asked)
        if moment.at is None:
            yield from self._narrowed(moment, response)
        else:
            yield self._ask(moment, response)

    def _narrowed(self, search: Search, response: CaptureResponse | None) -> Iterator[Yield]:
        """One end of the window is known: look for the other, or sweep what lies between."""
        if search.goal is Goal.UNTIL:
            yield from self._look(search, (search.proof or search.top + 1) - 1, response)
        else:
            first = search.first if search.proof is None else search.proof + 1
            yield from self._sweep(first, search.top, search.asked, response)
