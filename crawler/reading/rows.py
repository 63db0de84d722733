"""What a spider says of one segment: its items, each with the record that it stands in, and the files that are held.

A pure function of the segment's bytes and the spider: no network, no clock, no frontier. What settled nothing
(attempts, probes, what was cut and fetched again) says nothing here; what is restricted only where it is asked for.
"""

from __future__ import annotations

import errno
import logging
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from crawler.collection import class_of
from crawler.errors import UsageError
from crawler.model import PROBE_LANE, Account, Leased, Media, Post, SegmentClass, Standing, State, Verdict
from crawler.reading.facts import NOTHING, Facts, facts
from crawler.reading.shelf import answer
from crawler.settle import Answer, Ruling, rule
from crawler.warc.reader import RawRecord, Records, Torn, read_at
from crawler.warc.records import WORK, leased_from

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from crawler.model import Fetch, Item
    from crawler.response import CaptureResponse
    from crawler.withheld import Withheld
    from spiders.base import PlatformSpider

    Locate = Callable[[RawRecord], tuple[Path, int] | None]

log = logging.getLogger("outlast.reading")

#: Requests whose answers may come later than those of others.
_MOST_ASKED = 4096
_FILES = frozenset({SegmentClass.IMAGES, SegmentClass.ORIGINALS})
_MEDIA = ("image/", "video/", "audio/")


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """What a URL of a media file served."""

    url: str
    #: As the server says; empty where it does not.
    mime: str = ""
    #: Hex digest of the payload, empty in a redirect.
    sha256: str = ""
    #: Bytes of the payload.
    size: int = 0
    #: Where the URL leads instead, in a redirect.
    moved_to: str = ""
    #: Why it is not whole, the WARC-Truncated value; empty for a whole one.
    truncated: str = ""
    captured_at: str = ""
    #: What it says of itself; of where it was made, and with what, only where that is asked for.
    facts: Facts = NOTHING


class Row(NamedTuple):
    """An item or a file, and the record that says so: segment, offset and length of its member, record id."""

    item: Item | File
    segment: str
    offset: int
    length: int
    record_id: str


class Captured(NamedTuple):
    """A settled answer of a segment: what it was asked for, its record, and what a spider sees."""

    fetch: Fetch
    record: RawRecord
    response: CaptureResponse
    ruling: Ruling
    #: It holds things that are not for strangers, too.
    is_mixed: bool


def rows(
    path: Path, spider: PlatformSpider, *, locate: Locate | None = None, restricted: bool = False,
    places: bool = False, unread: Callable[[str, Exception], object] | None = None, withheld: Withheld | None = None,
    found: Callable[[int, str, int], object] = lambda offset, identity, takedown: None,
) -> Iterator[Row]:  # fmt: skip
    """Yield what ``spider`` says of the segment at ``path``, in the order of its records.

    ``locate`` says where the answer stands that a revisit refers to; a page whose original nobody finds says nothing.
    ``places``: say of files where they were made and with what. ``unread`` hears of each page that could not be read,
    and why. A segment that ends torn gives what comes before. A record that says anything of what is ``withheld`` says
    nothing; ``found`` hears offset and id of those that nobody knew yet, and the number of the takedown.
    """
    said, segment = unread or _log, path.name
    rules = withheld if withheld is not None and withheld.is_any else None
    for one in captures(path, spider, locate=locate, restricted=restricted, unread=said, withheld=withheld):
        record, items = one.record, _items(one, spider, said, places)
        if rules is not None:
            items = iter(held := list(items))
            if (item := next((item for item in held if rules.hides(item=item)), None)) is not None:
                found(record.offset, record.id, rules.whose(item=item).sequence)
                continue
        for item in items:
            yield Row(item, segment, record.offset, record.length, record.id)


def captures(
    path: Path, spider: PlatformSpider, *, locate: Locate | None = None, restricted: bool = False,
    unread: Callable[[str, Exception], object] | None = None, withheld: Withheld | None = None,
) -> Iterator[Captured]:  # fmt: skip
    """Yield the settled answers of a segment, as ``rows`` takes them; none that is withheld or captured nothing."""
    kind = class_of(path.name)
    if kind == SegmentClass.ATTEMPTS or (kind == SegmentClass.RESTRICTED and not restricted):
        return
    passes_over = withheld.passing(path.name) if withheld is not None else None
    for leased, record in others(path, spider) if kind == SegmentClass.IMPORTED else answers(path):
        if passes_over is not None and passes_over(record):
            continue
        try:
            found = _captured(leased, record, spider, locate)
        except (Torn, OSError) as e:
            _lack(e)
            (unread or _log)(record.target, e)
            continue
        if found is not None and (restricted or not found.is_mixed) and found.ruling.state is State.DONE:
            yield found


def of_capture(request: RawRecord, record: RawRecord, spider: PlatformSpider, most: int) -> list[Item]:
    """Return what ``spider`` says of one answer and its request, at most so many items: nothing of what settled nothing
    or is not for strangers. Raises whatever a callback raises over a hostile page.
    """
    leased = leased_from(request.get(WORK))
    found = _captured(leased, record, spider, None) if leased.fetch.lane != PROBE_LANE else None
    if found is None or found.is_mixed or found.ruling.state is not State.DONE:
        return []
    return list(
        islice((item for item in spider.read(found.response) if isinstance(item, (Post, Account, Media))), most)
    )


def _log(url: str, error: Exception) -> None:
    log.warning("%r is not read: %s: %s", url[:500], type(error).__name__, error)


def _lack(error: Exception) -> None:
    """Raise our own want: it is no fault of what was captured."""
    if isinstance(error, OSError) and error.errno in {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO}:
        raise error


def answers(path: Path, *, with_probes: bool = False) -> Iterator[tuple[Leased, RawRecord]]:
    """Yield the answers of a segment with the work they were asked for."""
    asked: dict[str, Leased] = {}
    for record in Records(path):
        kind = record.type
        if kind == "request" and (work := record.get(WORK)):
            try:
                asked[record.id] = leased_from(work)
            except (ValueError, RecursionError) as e:
                _log(record.target, e)
            if len(asked) > _MOST_ASKED:
                asked.pop(next(iter(asked)))
        elif kind in {"response", "revisit"}:
            leased = asked.pop(record.get("WARC-Concurrent-To"), None)
            if leased is not None and (with_probes or leased.fetch.lane != PROBE_LANE):
                yield leased, record


def others(path: Path, spider: PlatformSpider) -> Iterator[tuple[Leased, RawRecord]]:
    """Yield the answers of a segment that another program wrote, each as if a user had listed its URL.

    A request may stand before its answer or behind it; what was asked for with anything but GET is passed over.
    """
    held: RawRecord | None = None
    refused = ""
    for record in Records(path):
        if record.type == "request" and not _is_get(record):
            refused = record.id
            held = None if held is not None and held.id == record.get("WARC-Concurrent-To") else held
        elif record.type in {"response", "revisit"}:
            if held is not None:
                yield from _listed(held, spider)
            held = None if refused and record.get("WARC-Concurrent-To") == refused else record
    if held is not None:
        yield from _listed(held, spider)


def _is_get(request: RawRecord) -> bool:
    with request.block.open() as stream:
        return stream.read(4) == b"GET "


def _listed(record: RawRecord, spider: PlatformSpider) -> Iterator[tuple[Leased, RawRecord]]:
    url = record.target
    if url.startswith(("http://", "https://")):
        try:
            yield Leased(id=0, token=0, fetch=spider.listed(url)), record
        except (ValueError, UsageError) as e:
            _log(url, e)


def _captured(leased: Leased, record: RawRecord, spider: PlatformSpider, locate: Locate | None) -> Captured | None:
    fetch = leased.fetch
    if fetch.callback is None and not _is_file(fetch, spider):
        return None
    response = answer(fetch, record, method=fetch.method)
    if record.type == "revisit" and fetch.callback is not None and response.status != 304:
        place = locate(record) if locate else None
        if place is None:
            raise Torn("it is a revisit, and its original is not here")
        response = answer(fetch, record, method=fetch.method, original=read_at(*place))
    verdict = spider.judge(response)
    ruling = _ruled(leased, response, Verdict.OK if verdict is Verdict.MIXED else verdict)
    if not ruling.read and not (ruling.state is State.DONE and spider.reads(fetch, ruling.standing)):
        response.fetch = replace(fetch, callback=None)
    return Captured(fetch, record, response, ruling, verdict is Verdict.MIXED)


def _is_file(fetch: Fetch, spider: PlatformSpider) -> bool:
    return spider.segment_class(fetch.lane) in _FILES


def _ruled(leased: Leased, response: CaptureResponse, verdict: Verdict) -> Ruling:
    """Rule as the worker did."""
    fetch = leased.fetch
    return rule(
        Answer(
            outcome=response.outcome, status=response.status, verdict=verdict, attempt=leased.attempt,
            location=bool(response.header("Location")), follow=fetch.follow, sweep=fetch.sweep,
            truncated=response.truncated,
        )
    )  # fmt: skip


def _items(
    one: Captured, spider: PlatformSpider, unread: Callable[[str, Exception], object], places: bool
) -> Iterator[Item | File]:
    if (file := _file(one, spider)) is not None:
        yield _known(file, one, places)
    try:
        for thing in spider.read(one.response):
            if isinstance(thing, (Post, Account, Media)):
                yield thing
    except Exception as e:  # noqa: BLE001 - a callback may fail in any way over a hostile page
        _lack(e)
        unread(one.response.url, e)


def _file(one: Captured, spider: PlatformSpider) -> File | None:
    """Return what is held of a file, None where the answer is none."""
    response, ruling, record = one.response, one.ruling, one.record
    mime = response.header("Content-Type").partition(";")[0].strip().lower()
    if not _is_file(one.fetch, spider) and not mime.startswith(_MEDIA):
        return None
    when = response.said_at
    if ruling.redirect:
        return File(url=response.url, moved_to=response.urljoin(response.header("Location")), captured_at=when)
    if ruling.standing not in {Standing.CAPTURED, Standing.PARTIAL} or response.status == 304:
        return None
    return File(
        url=response.url, mime=mime[:100], sha256=record.get("WARC-Payload-Digest").removeprefix("sha256:"),
        size=response.payload_length, truncated=response.truncated or "", captured_at=when,
    )  # fmt: skip


def _known(file: File, one: Captured, places: bool) -> File:
    """Return a file with what its bytes say of themselves."""
    if not file.sha256 or one.record.type == "revisit":
        return file
    with one.response.open() as stream:
        said = facts(stream, one.response.head_bytes)
    return replace(file, facts=said if places else said.without_place())
