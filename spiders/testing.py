"""For tests of spiders, ours and other people's: answers made of bytes, and a crawl over a site that is a function.

Nothing here opens a socket. ``answer`` makes what a callback gets; ``crawl`` runs a spider over a site in memory
under the rules of a real crawl (scope, settling, redirects, each fetch once).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from scrapy import Request

from crawler.model import Claim, Covered, Fetch, Item, Note, Outcome, Post, Seed, Standing, State
from crawler.response import HEAD_BYTES, CaptureResponse
from crawler.scope import Scope
from crawler.settle import MAX_TRIES, Answer, rule
from crawler.url import host_of
from spiders.base import ROBOTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from spiders.base import PlatformSpider, Yield

NOON = datetime(2021, 1, 10, 12, tzinfo=UTC)
#: Fetches a crawl in memory makes at the most; a spider that wants more runs in a circle.
MAX_FETCHES = 100_000


def answer(
    url: str,
    body: bytes | str = b"",
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    captured_at: datetime = NOON,
    fetch: Fetch | None = None,
    outcome: Outcome = Outcome.OK,
) -> CaptureResponse:
    """Return a captured answer, as the wire or a WARC would give it; HTML in UTF-8 unless headers say else."""
    data = body.encode() if isinstance(body, str) else body
    return CaptureResponse(
        url, fetch=fetch or Fetch(url=url, lane="pages"), captured_at=captured_at, outcome=outcome, status=status,
        headers={"Content-Type": "text/html; charset=utf-8", **(headers or {})}, body=data, payload_length=len(data),
        head_bytes=data[:HEAD_BYTES],
    )  # fmt: skip


@dataclass(slots=True)
class Crawled:
    """What a crawl in memory did."""

    #: Answered, in the order they were asked.
    fetches: list[Fetch] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    coverage: list[Covered] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    #: Fetches out of scope, in the order they were named.
    refused: list[Fetch] = field(default_factory=list)

    @property
    def held(self) -> frozenset[tuple[str, str]]:
        """Return (kind, id) of all that was captured."""
        captured = {(one.kind, one.id) for one in self.coverage if one.standing is Standing.CAPTURED}
        return frozenset(captured | {(one.kind, one.id) for one in self.items if isinstance(one, Post)})

    def shown(self, items: int, coverage: int) -> set[tuple[str, str]]:
        """Return (kind, id) of what was shown or named since there were so many items, and so much was covered."""
        named = {Standing.CAPTURED, Standing.KNOWN}
        said = {(one.kind, one.id) for one in self.coverage[coverage:] if one.standing in named}
        return said | {(one.kind, one.id) for one in self.items[items:] if isinstance(one, Post)}

    def urls(self, lane: str = "") -> list[str]:
        """Return the URLs asked, of one lane or of all."""
        return [fetch.url for fetch in self.fetches if not lane or fetch.lane == lane]


def crawl(
    spider: type[PlatformSpider], seed: Seed, site: Callable[[Fetch], CaptureResponse], *,
    limit: int = MAX_FETCHES, first: Iterable[Fetch] = (), before: Crawled | None = None,
) -> Crawled:  # fmt: skip
    """Walk a site that is a function, lane by lane as a frontier does, to its end or to ``limit`` fetches.

    ``first`` is asked before the spider's own seeds, and ``before`` is an earlier round: listings that go on with what
    is older end where all that a page shows is held since then. What would wait for another attempt is asked again at
    once.
    """
    crawler = spider(seed=seed)
    territory = spider.territory(seed)
    scope = Scope(
        hosts=frozenset(territory.hosts) | {host_of(seed.url)}, suffixes=territory.suffixes, paths=territory.paths,
        home=host_of(seed.url),
        open_lanes=frozenset({"requisites", *(lane.name for lane in spider.lanes if lane.anywhere)}),
    )  # fmt: skip
    done = Crawled()
    held = before.held if before is not None else frozenset()
    known: set[bytes] = set()
    lanes = (ROBOTS, *sorted(spider.lanes, key=lambda lane: lane.order))
    queues: dict[str, deque[Fetch]] = {lane.name: deque() for lane in lanes}

    def offer(fetches: Iterable[Fetch]) -> None:
        for fetch in fetches:
            if scope.refuses(fetch):
                done.refused.append(fetch)
            elif fetch.fingerprint not in known:
                known.add(fetch.fingerprint)
                queues.setdefault(fetch.lane, deque()).append(fetch)

    offer(first)
    offer(crawler.seeds(seed))
    while (queue := next((queue for queue in queues.values() if queue), None)) and len(done.fetches) < limit:
        fetch = queue.popleft()
        done.fetches.append(fetch)
        shows = len(done.items), len(done.coverage)
        found = _sort(crawler, _read(crawler, fetch, site), done)
        shown = done.shown(*shows) or {link.covers for link in found if link.covers and not link.deeper}
        is_old = bool(shown) and shown <= held
        offer(link for link in found if not (link.deeper and (is_old or link.covers in held)))
    return done


def _read(spider: PlatformSpider, fetch: Fetch, site: Callable[[Fetch], CaptureResponse]) -> Iterable[Yield]:
    for attempt in range(MAX_TRIES):
        response = site(fetch)
        response.fetch = fetch
        facts = Answer(
            outcome=response.outcome, status=response.status, verdict=spider.judge(response), attempt=attempt,
            location=bool(response.header("Location")), follow=fetch.follow, sweep=fetch.sweep,
        )  # fmt: skip
        ruling = rule(facts)
        if ruling.state is not State.QUEUED:
            break
    if ruling.redirect:
        yield replace(fetch, url=response.urljoin(response.header("Location")), via=fetch.url, hops=fetch.hops + 1)
    if ruling.standing is not None and fetch.covers is not None:
        kind, thing = fetch.covers
        yield Covered(kind=kind, id=thing, standing=ruling.standing, day=fetch.day, reason=ruling.reason, url=fetch.url)
    if ruling.read or (ruling.state is State.DONE and spider.reads(fetch, ruling.standing)):
        for thing_said in spider.read(response):
            yield spider.to_fetch(thing_said, response) if isinstance(thing_said, Request) else thing_said


def _sort(spider: PlatformSpider, found: Iterable[Yield], done: Crawled) -> list[Fetch]:
    fetches = []
    for thing in found:
        if isinstance(thing, Fetch):
            fetches.append(thing)
        elif isinstance(thing, Covered):
            done.coverage.append(thing)
        elif isinstance(thing, Claim):
            done.claims.append(thing)
        elif isinstance(thing, Note):
            done.notes.append(thing)
        else:
            assert not isinstance(thing, Request), f"{spider.name} yielded a bare request"
            done.items.append(thing)
    return fetches
