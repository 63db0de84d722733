"""The join: a fetch is settled when its records are durable *and* its callback has yielded all it will.

Scrapy's side is a spider middleware, because that is the one place that sees a callback end, well or badly. Every
settled fetch, its outlinks and its coverage then reach the frontier in one transaction, after one group fsync.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
from collections import deque
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast
from urllib.parse import urljoin

import msgspec
from scrapy import Request

from crawler import clock
from crawler.capture import spool
from crawler.deathwatch.signs import Streaks, key_from, seen
from crawler.failpoint import failpoint
from crawler.model import (
    Account,
    Claim,
    Commit,
    Covered,
    Fetch,
    Gate,
    Item,
    Leased,
    Location,
    Media,
    Note,
    Post,
    Seen,
    SegmentClass,
    Settlement,
    Standing,
    State,
    source_of,
)
from crawler.politeness.robots import MAX_BYTES, gate_from
from crawler.url import canonical, origin
from crawler.warc.records import metadata

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

    from scrapy.crawler import Crawler

    from crawler.capture.handler import Run
    from crawler.capture.recorder import Recorded
    from crawler.frontier.remote import RemoteFrontier
    from crawler.model import Verdict
    from crawler.response import CaptureResponse
    from crawler.settle import Ruling
    from crawler.warc.rotation import Group, Segments

log = logging.getLogger("outlast.commit")

#: A group commit waits at most this long for company, and for at most so many fetches.
EVERY = 0.1
MOST = 500
#: Bytes of one fetch with its cursor; it must fit a header of a request record.
MAX_WORK = 128 * 1024
#: Bytes of all that one page names: three quarters of a frame.
MAX_FOUND = 48 << 20
#: Fetches that a worker remembers to have offered.
MOST_OFFERED = 100_000


class Reads(Protocol):
    """What the join needs of a spider."""

    def to_fetch(self, request: Request, parent: CaptureResponse) -> Fetch: ...


@dataclass(slots=True)
class Found:
    """What a callback yielded, sorted."""

    outlinks: list[Fetch] = field(default_factory=list)
    coverage: list[Covered] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    #: Why the callback did not end well.
    error: str = ""
    #: About how many bytes all of this takes in a frame.
    size: int = 0

    def add(self, spider: Reads, response: CaptureResponse, thing: object) -> None:
        """Sort in one thing that a callback yielded.

        Raises ValueError where it is the one too many: what a page says is settled at once, in one frame.
        """
        if isinstance(thing, Request):
            thing = spider.to_fetch(thing, response)
        if isinstance(thing, Fetch):
            self.size += _checked(thing)
            self.outlinks.append(thing)
        elif isinstance(thing, Covered):
            self.coverage.append(thing)
            self.size += len(thing.id) + len(thing.url) + len(thing.reason) + 64
        elif isinstance(thing, Claim):
            self.claims.append(thing)
        elif isinstance(thing, Note):
            self.notes.append(thing)
        elif isinstance(thing, Account | Post | Media):
            self.items.append(thing)
            if isinstance(thing, Post):
                # Accounts and media are captured by the fetch that covers them; a post is what the page says.
                self.coverage.append(_told(thing, source_of(response.fetch)))
        else:
            raise TypeError(f"a callback yielded {type(thing).__name__}; see spiders/base.py for what it may yield")
        if self.size > MAX_FOUND:
            raise ValueError(f"the page names more than {MAX_FOUND} bytes of work")


def _told(post: Post, source: bytes) -> Covered:
    said = "\0".join((post.text, *post.media, str(post.deleted)))
    mark = source + blake2b(said.encode("utf-8", "replace"), digest_size=8).digest()
    return Covered(kind=post.kind, id=post.id, standing=Standing.CAPTURED, day=_day(post), url=post.url, mark=mark)


def _day(post: Post) -> str | None:
    """Return the day of a post whose time is known that well."""
    if post.created_at is None or post.created_at[0][:10] != post.created_at[1][:10]:
        return None
    return post.created_at[0][:10]


def _checked(fetch: Fetch) -> int:
    """Return the bytes of a fetch. Refuse what cannot be kept: a cursor with half a surrogate, a number without end.

    Raises ValueError (UnicodeEncodeError among them) or OverflowError.
    """
    size = len(msgspec.msgpack.encode(fetch))
    if size > MAX_WORK:
        raise ValueError(f"the work for {fetch.url[:100]} is over {MAX_WORK} bytes")
    return size


def settlement(
    leased: Leased, ruling: Ruling, response: CaptureResponse, found: Found, *, verdict: Verdict, now: float
) -> Settlement:  # fmt: skip
    """Return what the frontier is told, except where the records are. Pure."""
    fetch = leased.fetch
    outlinks, coverage = list(found.outlinks), list(found.coverage)
    state, reason = ruling.state, ruling.reason
    standing = _standing(fetch, ruling)
    if ruling.redirect and (target := _target(response)):
        outlinks.append(replace(fetch, url=target, via=fetch.url, hops=fetch.hops + 1, covers=_moved(fetch, target)))
    elif ruling.redirect:
        reason, standing = "redirect to what is no URL", Standing.MISSING
    if found.error:
        state, reason = State.FAILED, f"parse: {found.error}"
        standing = Standing.PARTIAL if standing is Standing.CAPTURED else standing
    if fetch.covers is not None and standing is not None:
        kind, thing = fetch.covers
        coverage.append(Covered(kind=kind, id=thing, standing=standing, day=fetch.day, reason=reason, url=fetch.url))
    return Settlement(
        id=leased.id,
        token=leased.token,
        state=state,
        reason=reason,
        not_before=now + ruling.wait if ruling.wait else 0.0,
        status=response.status,
        outlinks=tuple(outlinks),
        coverage=tuple(coverage),
        claims=tuple(found.claims),
        notes=tuple(found.notes),
        gate=_gate(fetch, ruling, state, response),
        seen=_look(fetch, response, verdict),
    )


def _look(fetch: Fetch, response: CaptureResponse, verdict: Verdict) -> Seen:
    return seen(
        fetch, outcome=response.outcome, status=response.status, verdict=verdict,
        asks_to_wait="Retry-After" in response.headers, location=_said(response.headers.get("Location") or b""),
    )  # fmt: skip


def _target(response: CaptureResponse) -> str:
    """Return where a redirect leads; the empty string where that is nowhere."""
    try:
        target = urljoin(response.url, _said(response.headers.get("Location") or b""))
        canonical(target)
    except ValueError:
        return ""
    return target


def _said(value: bytes) -> str:
    """Return a header's text. Bytes that are UTF-8 mean that, as in browsers; Latin-1 would name another page."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _moved(fetch: Fetch, target: str) -> tuple[str, str] | None:
    """What a redirect's target covers: itself, where the thing is a URL; else the same thing."""
    if fetch.covers is not None and fetch.covers[1] == fetch.url:
        return (fetch.covers[0], canonical(target))
    return fetch.covers


def _standing(fetch: Fetch, ruling: Ruling) -> Standing | None:
    if ruling.redirect and fetch.covers is not None and fetch.covers[1] == fetch.url:
        return Standing.CAPTURED
    return ruling.standing


def _gate(fetch: Fetch, ruling: Ruling, state: State, response: CaptureResponse) -> Gate | None:
    """Open the origin of a robots.txt that was settled; a redirect leaves it to its target, where there is one."""
    moved = ruling.redirect and _target(response)
    if fetch.lane != "robots" or state is State.QUEUED or moved:
        return None
    place = fetch.cursor["origin"] if fetch.cursor else ""
    if state is State.EXCLUDED:
        # Nothing may be asked there; each fetch is to find that out, and say why, by itself.
        return Gate(origin=place)
    with response.open() as stream:
        return gate_from(place, response.status, stream.read(MAX_BYTES + 1))


class _Done(NamedTuple):
    """A fetch that can be committed once its records are durable."""

    told: Settlement
    group: Group | None
    size: int
    #: What waits for its commit.
    doubt: asyncio.Future[None] | None = None


class Offered:
    """The fetches that the frontier was offered last: pages of a site name the same ones over and over."""

    def __init__(self) -> None:
        self._known: dict[bytes, None] = {}

    def without(self, told: Iterable[Settlement]) -> tuple[Settlement, ...]:
        """Return settlements without the outlinks that the frontier has already; it would only pass over them."""
        return tuple(
            replace(one, outlinks=tuple(link for link in one.outlinks if link.fingerprint not in self._known))
            if one.outlinks
            else one
            for one in told
        )

    def add(self, told: Iterable[Settlement]) -> None:
        """Take note of what was committed. A robots.txt is left out: who redirects to it matters."""
        for one in told:
            self._known.update((link.fingerprint, None) for link in one.outlinks if link.lane != "robots")
        for old in list(islice(self._known, max(len(self._known) - MOST_OFFERED, 0))):
            del self._known[old]


class Committer:
    """Joins records and callbacks, and commits them in groups."""

    def __init__(
        self,
        *,
        frontier: RemoteFrontier,
        segments: Segments,
        settled: Callable[[], int],
        committed: Callable[[], None],
        hold: Callable[[str, asyncio.Future[None]], None],
        fatal: Callable[[Exception], None],
    ) -> None:
        self._frontier = frontier
        self._segments = segments
        self._settled = settled
        self._committed = committed
        self._hold = hold
        self._streaks = Streaks()
        #: What waits for the commit of a fetch, by its id.
        self._doubts: dict[int, asyncio.Future[None]] = {}
        #: How many were alike in a row with that fetch.
        self._rows: dict[int, int] = {}
        self._fatal = fatal
        self._done: deque[_Done] = deque()
        self._offered = Offered()
        self._closing = False
        self._wake = asyncio.Event()
        self._task = asyncio.create_task(self._run())
        self._flushing = asyncio.Lock()

    async def finished(self, recorded: Recorded, found: Found) -> None:
        """The callback of a capture has ended: write its metadata record and queue its settlement."""
        leased = recorded.leased
        told = settlement(leased, recorded.ruling, recorded.response, found, verdict=recorded.verdict, now=clock.now())
        if told.seen is not None and (row := self._rows.pop(leased.id, 0)):
            told = replace(told, seen=replace(told.seen, row=row))
        if recorded.group is None:
            await self._segments.loose(
                SegmentClass.ATTEMPTS, lambda wid: [metadata(None, recorded.capture, leased, told, warcinfo_id=wid)]
            )
        else:
            record = metadata(recorded.exchange, recorded.capture, leased, told, warcinfo_id=_warcinfo(recorded.group))
            await self._segments.add(recorded.group, record)
            told = _placed(told, recorded)
        spool.discard(recorded.capture.body)
        failpoint("commit.appended")
        self._done.append(_Done(told, recorded.group, found.size, self._doubts.pop(leased.id, None)))
        if self._settled() == 0 or self._done[-1].doubt or len(self._done) >= MOST:
            # Nothing else is under way, so there is no company to wait for.
            self._wake.set()

    def glimpsed(self, recorded: Recorded) -> None:
        """Let an origin wait that may be dead, until the supervisor knows and has said what it thinks."""
        look = _look(recorded.leased.fetch, recorded.response, recorded.verdict)
        key = key_from(look, recorded.response.status, recorded.capture.digests)
        if row := self._streaks.heard(look, key):
            number = recorded.leased.id
            self._rows[number] = row
            self._doubts[number] = asyncio.get_running_loop().create_future()
            self._hold(origin(look.url), self._doubts[number])

    def failed(self, leased: Leased, error: Exception) -> None:
        """The recorder itself failed. A disk fault ends the worker; anything else is settled as failed."""
        if isinstance(error, OSError):
            self._fatal(error)
            return
        log.error("capture of %s failed", leased.fetch.url, exc_info=error)
        told = Settlement(id=leased.id, token=leased.token, state=State.FAILED, reason=f"internal: {error!r}"[:500])
        self._done.append(_Done(told, None, 0, self._doubts.pop(leased.id, None)))
        self._settled()

    def broken(self, error: OSError) -> None:
        """The machine has nothing left to read a capture with: it stays as it is, and recovery reads it again."""
        self._fatal(error)

    async def flush(self) -> None:
        """Make durable and commit all that is finished."""
        async with self._flushing:
            while batch := self._batch():
                marks = await self._segments.make_durable(one.group for one in batch if one.group is not None)
                told = self._offered.without(one.told for one in batch)
                await self._frontier.commit(Commit(settlements=told, low_water=marks))
                self._offered.add(told)
                for one in batch:
                    if one.doubt is not None:
                        one.doubt.set_result(None)
                self._committed()
            await self._segments.retire()

    async def seal(self) -> None:
        """Commit what is finished, and close all segments as far as their groups are settled; others are begun."""
        await self.flush()
        async with self._flushing:
            await self._segments.retire(everything=True)

    def _batch(self) -> list[_Done]:
        """Take what is finished, as much of it as fits one frame."""
        batch: list[_Done] = []
        size = 0
        while self._done and (not batch or size + self._done[0].size <= MAX_FOUND):
            batch.append(self._done.popleft())
            size += batch[-1].size
        return batch

    async def close(self) -> None:
        """Commit what is left and close all segments."""
        # Not by cancelling: a flush that is under way must end, and wait_for may swallow a cancellation.
        self._closing = True
        self._wake.set()
        await self._task
        await self.seal()

    async def _run(self) -> None:
        while not self._closing:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), EVERY)
            self._wake.clear()
            try:
                await self.flush()
            except Exception as e:  # noqa: BLE001 - whatever it is, this worker can commit no more
                self._fatal(e)
                return


def _warcinfo(group: Group) -> str:
    return group.segment.writer.warcinfo_id


def _placed(told: Settlement, recorded: Recorded) -> Settlement:
    group, exchange, capture = recorded.group, recorded.exchange, recorded.capture
    assert group is not None
    assert exchange is not None
    return replace(
        told,
        location=Location(
            segment=group.segment.name,
            offset=group.offset,
            response_offset=group.response_offset,
            response_length=group.response_length,
        ),
        digests=capture.digests,
        record_id=exchange.response.id if exchange.response else "",
        date=exchange.date,
        is_original=recorded.is_original and not recorded.ruling.attempt and capture.truncated is None,
        size=len(capture.head) + capture.body.size,
    )


class CommitMiddleware:
    """Scrapy's view of the join: sees what the callbacks of a run yield, and tells the committer; passes nothing on."""

    def __init__(self, committer: Committer) -> None:
        self._committer = committer

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> CommitMiddleware:
        """Build from the parts that ``worker.py`` hung on the crawler."""
        return cls(cast("Any", crawler).parts.committer)

    async def process_spider_output(
        self, response: Run, result: AsyncIterator[tuple[Recorded, Found]]
    ) -> AsyncIterator[Any]:
        """Settle each fetch of a run once all that its callback yields is known."""
        try:
            async for recorded, found in result:
                try:
                    await self._committer.finished(recorded, found)
                except Exception as e:  # noqa: BLE001 - Scrapy would only log it, and the fetch never be settled
                    self._committer.failed(recorded.leased, e)
        except OSError as e:
            self._committer.broken(e)
        return
        yield


def read_run(spider: Any, run: Run) -> Iterator[tuple[Recorded, Found]]:
    """Scrapy's callback: read each capture of a run with the method of the spider that its fetch names."""
    return ((recorded, read_all(spider, recorded.response)) for recorded in run.captures)


def read_all(spider: Any, response: CaptureResponse) -> Found:
    """Run a capture's callback and return what it yields; recovery and export do so without Scrapy."""
    found = Found()
    try:
        things: Iterable[object] = spider.read(response)
        for thing in things:
            found.add(spider, response, thing)
    except Exception as e:
        if isinstance(e, OSError) and e.errno in {errno.EMFILE, errno.ENFILE, errno.ENOMEM}:
            raise  # our own want, and no fault of what was captured
        log.exception("the callback for %s failed", response.url)
        found.error = f"{type(e).__name__}: {e}"[:500]
    return found
