"""The shelf: any record of a collection by segment and offset, from disk, else through ranged reads from afar.

``Shelf.answer`` gives what a spider, a browser or ``archive cat`` sees of a capture: decoded, a revisit with the
payload of its original.
"""

from __future__ import annotations

import re
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

from crawler.collection import OPEN_SUFFIX
from crawler.errors import NotHere, TakenDown
from crawler.framing import head_of
from crawler.model import Body, Capture, Digests, Fetch, Outcome
from crawler.warc.lookup import captures
from crawler.warc.reader import DistantBlock, RawRecord, Torn, read_at
from crawler.withheld import Withheld

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from crawler.collection import Collection
    from crawler.framing import Head
    from crawler.response import CaptureResponse
    from crawler.warc.lookup import Line

    Remote = Callable[[str, int, int], bytes]

#: Bytes that are asked for at once from afar.
_PIECE = 8 << 20
#: Bytes of a block that hold its HTTP head, interim heads before it included.
_HEADS = 512 << 10
#: What WARC-Truncated says of how an exchange ended.
_OUTCOMES = {"": Outcome.OK, "time": Outcome.TIMEOUT, "unspecified": Outcome.PROTOCOL}


class Place(NamedTuple):
    """Where a record stands: the file name of its segment, offset and length of its gzip member."""

    segment: str
    offset: int
    length: int = 0


class Shelf:
    """The records of one collection. ``remote(segment, start, length)`` reads what is no longer on this machine."""

    def __init__(self, collection: Collection, remote: Remote | None = None) -> None:
        self._collection = collection
        self._remote = remote
        self._withheld = Withheld(collection)

    def path(self, segment: str) -> Path | None:
        """Return the file of a segment, None where it is not on this machine."""
        if "/" in segment:
            return None
        places = (self._collection.warcs / name for name in (segment, segment + OPEN_SUFFIX))
        return next((path for path in places if path.is_file()), None)

    @contextmanager
    def record(self, place: Place) -> Iterator[RawRecord]:
        """Open the record at a place; a big block is read while this is open, and never held in memory.

        Raises NotHere where nobody has its segment, TakenDown where it may not be shown, Torn where there is none.
        """
        with self._record(place) as record:
            if self._withheld.hides_record(record, place.segment, place.offset):
                raise TakenDown
            yield record

    @contextmanager
    def _record(self, place: Place) -> Iterator[RawRecord]:
        path = self.path(place.segment)
        if path is not None:
            yield read_at(path, place.offset)
            return
        with tempfile.NamedTemporaryFile(prefix="outlast-", suffix=".warc.gz") as out:
            out.writelines(self._raw(place))
            out.flush()
            yield read_at(Path(out.name), 0)

    def raw(self, place: Place) -> Iterator[bytes]:
        """Yield the bytes of a record as they stand in its segment: a gzip member. Raises NotHere, TakenDown."""
        if self._withheld.is_any:
            with self.record(place):
                pass
        yield from self._raw(place)

    def _raw(self, place: Place) -> Iterator[bytes]:
        path = self.path(place.segment)
        if path is None and (self._remote is None or "/" in place.segment):
            raise NotHere(f"{place.segment} is not on this machine; archive pull brings it back.")
        for start in range(place.offset, place.offset + place.length, _PIECE):
            size = min(_PIECE, place.offset + place.length - start)
            yield self._remote(place.segment, start, size) if path is None else _range(path, start, size)  # type: ignore[misc]

    @contextmanager
    def answer(self, place: Place) -> Iterator[CaptureResponse]:
        """Open the answer at a place, decoded, for as long as this is open.

        Raises NotHere where its segment or that of its original is not to be had, Torn where it is no answer.
        """
        with self.record(place) as record:
            if record.type != "revisit" or _status(record) == 304:
                yield answer(Fetch(url=record.target, lane=""), record)
                return
            found = self.original(record)
            if found is None:
                raise NotHere(f"The original of the revisit at {place.segment}:{place.offset} is not known here.")
            with self._record(found) as original:
                yield answer(Fetch(url=record.target, lane=""), record, original=original)

    def original(self, revisit: RawRecord) -> Place | None:
        """Return where the answer stands that a revisit refers to, by the indexes of the collection."""
        stamp = re.sub(r"\D", "", revisit.get("WARC-Refers-To-Date"))[:14]
        for index in sorted(self._collection.indexes.glob("*.cdxj")):
            for line in captures(index, revisit.get("WARC-Refers-To-Target-URI")):
                if self._withheld.hides(sha256=line.digest, segment=line.segment, offset=line.offset):
                    continue  # the thing itself, while of a place that is withheld others may have the bytes
                if line.stamp == stamp and self._is(line, revisit.get("WARC-Refers-To")):
                    return Place(line.segment, line.offset, line.length)
        return None

    def _is(self, line: Line, identity: str) -> bool:
        """Say whether a capture is the record with an id, as far as its segment is on this machine."""
        path = self.path(line.segment)
        if path is None:
            return line.mime != "warc/revisit"
        try:
            return read_at(path, line.offset).id == identity
        except Torn:
            return False

    def locate(self, revisit: RawRecord) -> tuple[Path, int] | None:
        """Return file and offset of the answer that a revisit refers to, None where it is not to be had.

        What comes from afar is kept in the collection's spool.
        """
        if (found := self.original(revisit)) is None:
            return None
        if (path := self.path(found.segment)) is not None:
            return path, found.offset
        if self._remote is None:
            return None
        kept = self._collection.spool / f"{found.offset}-{found.segment}"
        if not kept.is_file():
            with kept.open("wb") as out:
                out.writelines(self._raw(found))
        return kept, 0


def _range(path: Path, start: int, size: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read(size)


@dataclass(frozen=True, slots=True)
class _Rest:
    """What follows the head in a block, as the body of a capture."""

    block: Body | DistantBlock
    skip: int

    @property
    def size(self) -> int:
        return self.block.size - self.skip

    @property
    def path(self) -> Path | None:
        return self.block.path

    def open(self) -> BinaryIO:
        stream = self.block.open()
        stream.read(self.skip)
        return stream


def answer(
    fetch: Fetch, record: RawRecord, *, method: str = "GET", original: RawRecord | None = None
) -> CaptureResponse:
    """Return what a spider sees of a response, or of a revisit and its original. Raises Torn where it is no answer."""
    from crawler.capture.decode import headers_of, response_from  # noqa: PLC0415 - Scrapy's, and search needs none

    if original is None:
        return response_from(fetch, _capture(record, method))
    head = _head(record)
    response = response_from(fetch, _capture(original, method, told=record))
    response.headers, response.status = headers_of(head.wire), head.status
    return response


def _capture(record: RawRecord, method: str, *, told: RawRecord | None = None) -> Capture:
    """Return the capture behind a record; ``told`` says where and when it was asked for."""
    head, told = _head(record), told or record
    try:
        when = datetime.fromisoformat(told.get("WARC-Date"))
    except ValueError as e:
        raise Torn(f"a record has no usable date: {e}") from e
    rest = _Rest(record.block, len(head.wire))
    is_chunked = any(name.lower() == b"transfer-encoding" for name, _ in head.headers)
    truncated = "" if record.type == "revisit" else record.get("WARC-Truncated")
    return Capture(
        url=told.target, method=method, request=b"", head=head.wire,
        body=Body(size=rest.size, data=record.block.data[rest.skip :])
        if isinstance(record.block, Body) else cast("Body", rest),
        status=head.status, outcome=_OUTCOMES.get(truncated, Outcome.CUT), started=when, ended=when,
        truncated=truncated or None,  # type: ignore[arg-type]
        digests=None if is_chunked else _digests(record, rest.size),
    )  # fmt: skip


def _digests(record: RawRecord, length: int) -> Digests:
    said = record.get("WARC-Payload-Digest").removeprefix("sha256:")
    return Digests(block_sha256="", payload_sha256=said, payload_sha1="", payload_length=length)


def _head(record: RawRecord) -> Head:
    with record.block.open() as stream:
        start = stream.read(_HEADS)
    head = head_of(start)
    if head is None:
        raise Torn("a record holds no HTTP answer")
    return head


def _status(record: RawRecord) -> int:
    return _head(record).status
