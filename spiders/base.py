"""PlatformSpider: the declarative head every platform fills in, and the few helpers to yield work with.

A callback is a pure function of one captured answer. It does no I/O, keeps no state on the spider, and takes the
time from ``response.captured_at``. It yields

- ``Fetch`` (made with ``self.fetch``) or a plain ``scrapy.Request`` for more work,
- ``Account``, ``Post`` or ``Media`` for what the page says,
- ``Covered`` for a plain statement about coverage (known, missing, refused),
- ``Claim`` for how much of something the platform says it has, ``Note`` for what a person must hear.

So the same callback runs on the wire, in recovery and in export.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import scrapy
from scrapy import Request

from crawler.model import Claim, Covered, Fetch, Item, Lane, Note, Outcome, Seed, SegmentClass, Standing, Verdict
from spiders.nodeinfo import nodeinfo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence

    from crawler.response import CaptureResponse

Yield = Fetch | Request | Item | Covered | Claim | Note

#: Lanes that platforms share; a spider adds its own between and after them.
ROBOTS = Lane(name="robots", order=0)
#: What leads to everything else: timelines, directories, boards, sitemaps.
LISTINGS = Lane(name="listings", order=20)
#: What a listing names and an API tells more of: one post, its thread, one account.
POSTS = Lane(name="posts", order=30)
ACCOUNTS = Lane(name="accounts", order=40)
#: Pages for people.
PAGES = Lane(name="pages", order=50)
REQUISITES = Lane(name="requisites", order=60, segment_class=SegmentClass.IMAGES)
#: Uploads, in the best quality there is: images, and what is bigger. A platform keeps them wherever it likes.
IMAGES = Lane(name="images", order=70, segment_class=SegmentClass.IMAGES, anywhere=True)
ORIGINALS = Lane(name="originals", order=80, segment_class=SegmentClass.ORIGINALS, anywhere=True)
#: Faces, emoji, previews.
EXTRAS = Lane(name="extras", order=90, segment_class=SegmentClass.IMAGES, anywhere=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A request that helps to recognise a platform: a path on the seed's host, or an absolute URL.

    Only so many are made for a site: lower ``order`` goes first, so what tells several platforms apart should.
    """

    path: str
    order: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Why a spider believes that a site is its platform. ``confidence`` runs from 0 to 100."""

    confidence: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Territory:
    """Which hosts belong to a crawl: exact names, and suffixes beginning with a dot for whole domains."""

    hosts: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()
    #: Where not empty, only these path prefixes of the seed's own host belong.
    paths: tuple[str, ...] = ()


class PlatformSpider(scrapy.Spider):
    """Base of all platforms. Subclasses set the class attributes and write ``seeds`` and callbacks."""

    #: Registry name, as in ``--platform NAME``.
    name = ""
    #: Human name of the platform.
    title: ClassVar[str] = ""
    #: Hosts that are this platform and nothing else; recognised without a request.
    known_hosts: ClassVar[tuple[str, ...]] = ()
    #: What servers of this platform call their software (NodeInfo ``software.name``, lower case).
    software: ClassVar[frozenset[str]] = frozenset()
    #: Why a stranger gets nothing here, and who can; empty for a platform that can be crawled. None of it is asked.
    closed: ClassVar[str] = ""
    #: Requests that detection may make for this platform, beyond the seed's page and NodeInfo.
    probes: ClassVar[tuple[Probe, ...]] = ()
    #: The kinds of work, in order. ROBOTS is always there.
    lanes: ClassVar[tuple[Lane, ...]] = (LISTINGS, PAGES, REQUISITES)
    #: Kinds of coverage this spider reports, in the order people read them.
    kinds: ClassVar[tuple[str, ...]] = ("page",)
    #: Callbacks that also read a final 404, because a hole is news to them (the edge of an id space).
    reads_holes: ClassVar[frozenset[str]] = frozenset()
    #: Callbacks that also read a final refusal, because another way must be taken then. Their fetch is a ``sweep``:
    #: asked on the chance that it answers.
    reads_refusals: ClassVar[frozenset[str]] = frozenset()
    #: Callbacks of lists that name all there is, or of pages that show all of a thread: a post that they told of once,
    #: and in a later round no longer, is gone.
    names_all: ClassVar[frozenset[str]] = frozenset()
    #: Requests a second that a host asks for at the most: host → rate. Where the user names a rate, that goes.
    rates: ClassVar[Mapping[str, float]] = {}
    #: What posts and accounts say is HTML.
    markup: ClassVar[bool] = False
    #: "session": an anonymous in-memory cookie jar per host. Never a login.
    cookies: ClassVar[str] = ""

    #: What pages lead to is wanted, too. Where only what they say is, as for the dataset, fetches are dropped, and a
    #: callback may save itself the trouble of finding them.
    follows: bool = True

    def __init__(self, seed: Seed | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed or Seed(url="http://localhost/")

    async def start(self) -> AsyncIterator[Any]:
        """Yield nothing: work comes from the frontier, where ``seeds`` was offered once."""
        return
        yield

    @classmethod
    def recognise(cls, replies: Sequence[CaptureResponse]) -> Evidence | None:
        """Say whether these probe answers (and the seed's own page) are this platform. Pure.

        The default believes a server that says so itself.
        """
        said = nodeinfo(replies)
        if said is None or said.software not in cls.software:
            return None
        return Evidence(confidence=98, reasons=(f"it says it is {said.software} {said.version}".rstrip(),))

    @classmethod
    def territory(cls, seed: Seed) -> Territory:
        """Return which hosts belong to a crawl of this seed."""
        raise NotImplementedError

    def seeds(self, seed: Seed) -> Iterator[Fetch]:
        """Yield the first work of a crawl."""
        raise NotImplementedError

    def listed(self, url: str) -> Fetch:
        """Return the work of a URL that the user listed: its lane and callback, as if a page had named it."""
        return self.fetch(url, lane=PAGES, callback="parse", covers=("page", url))

    def swept(self, url: str) -> Fetch:
        """Return the work of an id that may answer or not: what the user listed, were it there."""
        return replace(self.listed(url), sweep=True)

    def parse(self, response: CaptureResponse) -> Iterator[Yield]:  # type: ignore[override]  # ours is always a capture
        """Read a page that the user listed: by itself it leads nowhere."""
        return iter(())

    def judge(self, response: CaptureResponse) -> Verdict:
        """Say what an answer really is, from its status, headers and first 4 KiB alone. Pure.

        The default believes the status: 404 and 410 are missing, everything else is what it says.
        """
        return Verdict.MISSING if response.status in {404, 410} else Verdict.OK

    def parse_robots_txt(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read the robots.txt of an origin for more than its rules, which the crawler itself obeys: its sitemaps."""
        return iter(())

    def reads(self, fetch: Fetch, standing: Standing | None) -> bool:
        """Say whether the callback of a fetch reads an answer that captured nothing but settled it like this."""
        if standing is Standing.REFUSED:
            return fetch.callback in self.reads_refusals
        return standing in {Standing.MISSING, Standing.VACANT} and fetch.callback in self.reads_holes

    def read(self, response: CaptureResponse) -> Iterator[Yield]:
        """Run the callback that the fetch names on its answer."""
        name = response.fetch.callback
        if name is None or response.outcome not in {Outcome.OK, Outcome.CUT}:
            return
        found: Iterable[Yield] | None = getattr(self, name)(response)
        yield from found or ()

    def fetch(self, url: str, *, lane: Lane, parent: CaptureResponse | None = None, **work: Any) -> Fetch:
        """Make a Fetch; ``parent`` fills in via and depth. ``callback`` may be a bound method or its name."""
        callback = work.pop("callback", None)
        if callback is not None and not isinstance(callback, str):
            callback = callback.__name__
        if parent is not None:
            work.setdefault("via", parent.url)
            work.setdefault("depth", parent.fetch.depth + 1)
        return Fetch(url=url, lane=lane.name, callback=callback, **work)

    def to_fetch(self, request: Request, parent: CaptureResponse) -> Fetch:
        """Turn a plain Scrapy request of a callback into a Fetch."""
        lane = request.meta.get("lane", PAGES)
        return self.fetch(
            request.url, lane=lane, parent=parent, method=request.method, body=request.body,
            callback=request.callback, cursor=request.meta.get("cursor"), covers=request.meta.get("covers"),
        )  # fmt: skip

    @classmethod
    def lane(cls, name: str) -> Lane:
        """Return a lane by its name; an unknown name is an ordinary page lane."""
        return next((lane for lane in (ROBOTS, *cls.lanes) if lane.name == name), Lane(name=name, order=50))

    @classmethod
    def segment_class(cls, lane: str) -> SegmentClass:
        """Return the class of segment that captures of a lane go to."""
        return cls.lane(lane).segment_class
