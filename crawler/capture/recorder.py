"""One leased fetch from wire to WARC: ask, judge, rule, write. What Scrapy's handler calls for every request.

A network outcome never raises here: every fetch comes back as a response, so that it is settled through the one
door in ``commit.py``. Only a failing disk raises.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from crawler.capture import spool
from crawler.capture.decode import response_from
from crawler.model import (
    PROBE_LANE,
    REVISIT_MIN_BYTES,
    Capture,
    Fetch,
    Leased,
    Original,
    SegmentClass,
    State,
    Verdict,
)
from crawler.settle import Answer, Ruling, rule
from crawler.warc.records import Exchange, exchange

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from crawler.capture.earlier import Earlier
    from crawler.capture.pool import Pool
    from crawler.response import CaptureResponse
    from crawler.warc.records import Record
    from crawler.warc.rotation import Group, Segments

log = logging.getLogger("outlast.capture")


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """A capture whose records are appended, waiting for its callback to end and its bytes to be durable."""

    leased: Leased
    capture: Capture
    ruling: Ruling
    response: CaptureResponse
    verdict: Verdict
    exchange: Exchange | None
    group: Group | None
    #: True where the payload was not known before, so that later captures may refer to this one.
    is_original: bool = True


class Judge(Protocol):
    """What the recorder needs of a platform's spider."""

    def judge(self, response: CaptureResponse) -> Verdict: ...

    def reads(self, fetch: Fetch, ruling: Ruling) -> bool: ...

    def segment_class(self, lane: str) -> SegmentClass: ...


class Recorder:
    """Captures leased fetches; ``finished`` tells the pace how it went."""

    def __init__(
        self,
        *,
        pool: Pool,
        segments: Segments,
        judge: Judge,
        known_payload: Callable[[str], Original | None],
        held: Callable[[Fetch], Earlier | None],
        finished: Callable[[Leased, Capture, float], float | None],
    ) -> None:
        self._pool = pool
        self._segments = segments
        self._judge = judge
        self._known_payload = known_payload
        self._held = held
        self._finished = finished

    async def capture(self, leased: Leased) -> Recorded:
        """Fetch, judge and record; what the spider sees is the ``response`` of what is returned."""
        fetch = leased.fetch
        begun = time.monotonic()
        held = self._held(fetch)
        headers = (*fetch.headers, *held.conditions) if held else fetch.headers
        capture = await self._pool.fetch(method=fetch.method, url=fetch.url, headers=headers, body=fetch.body)
        advised = self._finished(leased, capture, time.monotonic() - begun)
        response = response_from(fetch, capture)
        verdict = self._verdict(response)
        ruling = _patient(rule(_answer(leased, response, verdict)), advised)
        if not ruling.read and not self._judge.reads(fetch, ruling):
            response.fetch = dataclasses.replace(fetch, callback=None)
        original = held.original if held and capture.status == 304 else self._original(leased, capture, ruling)
        return await self._write(leased, capture, ruling, response, verdict, original)

    def _verdict(self, response: CaptureResponse) -> Verdict:
        if response.status == 0:
            return Verdict.OK
        try:
            return self._judge.judge(response)
        except Exception:
            log.exception("the spider's judge failed on %s; the status decides", response.url)
            return Verdict.OK

    async def _write(
        self, leased: Leased, capture: Capture, ruling: Ruling, response: CaptureResponse, verdict: Verdict,
        original: Original | None,
    ) -> Recorded:  # fmt: skip
        if not capture.request or (ruling.state is State.EXCLUDED and verdict is Verdict.PRIVATE):
            # Nothing was sent, or the answer's own data calls it non-public: the metadata record is all that is kept.
            spool.discard(capture.body)
            return Recorded(leased, capture, ruling, response, verdict, None, None)
        made: list[Exchange] = []

        def records(warcinfo_id: str) -> Sequence[Record]:
            made.append(exchange(capture, warcinfo_id=warcinfo_id, work=leased, original=original))
            return made[0].records

        group = await self._segments.begin(self._class(leased, ruling, verdict), records)
        if response.fetch.callback is None:
            spool.discard(capture.body)
        return Recorded(leased, capture, ruling, response, verdict, made[0], group, is_original=original is None)

    def _class(self, leased: Leased, ruling: Ruling, verdict: Verdict) -> SegmentClass:
        if ruling.attempt or leased.fetch.lane == PROBE_LANE:
            return SegmentClass.ATTEMPTS
        if verdict is Verdict.MIXED:
            return SegmentClass.RESTRICTED
        return self._judge.segment_class(leased.fetch.lane)

    def _original(self, leased: Leased, capture: Capture, ruling: Ruling) -> Original | None:
        digests = capture.digests
        if digests is None or digests.payload_length <= REVISIT_MIN_BYTES or capture.truncated:
            return None
        if ruling.attempt or leased.fetch.lane == PROBE_LANE:
            return None
        return self._known_payload(digests.payload_sha256)


def _answer(leased: Leased, response: CaptureResponse, verdict: Verdict) -> Answer:
    return Answer(
        outcome=response.outcome, status=response.status, verdict=verdict, attempt=leased.attempt,
        location=bool(response.header("Location")), follow=leased.fetch.follow, sweep=leased.fetch.sweep,
        truncated=response.truncated,
    )  # fmt: skip


def _patient(ruling: Ruling, advised: float | None) -> Ruling:
    """Wait at least as long as the server asked."""
    if ruling.state is State.QUEUED and advised is not None and advised > ruling.wait:
        return dataclasses.replace(ruling, wait=advised)
    return ruling
