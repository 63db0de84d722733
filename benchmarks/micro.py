"""How fast the parts are by themselves, in CPU time of one process: the median of three, as a table.

python benchmarks/micro.py [--only WORD] [--rows 1000000] [--json]

Units are per CPU-second (``time.process_time``), so that waiting for the disk does not count; MB are millions of bytes.
The hashes and warcio's own writer are there for scale.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent.parent))

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from crawler.capture.spool import Sink
from crawler.framing import Data, ResponseParser
from crawler.frontier.sqlite import SqliteFrontier
from crawler.model import (
    SPOOL_THRESHOLD,
    Capture,
    Commit,
    Covered,
    Digests,
    Fetch,
    Leased,
    Location,
    Outcome,
    Settlement,
    Standing,
    State,
)
from crawler.warc import cdxj
from crawler.warc.reader import Records
from crawler.warc.records import exchange, metadata
from crawler.warc.seal import seal
from crawler.warc.segment import SegmentWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from crawler.warc.records import Exchange, Record

MB = 1_000_000
TIMES = 3
_HTML, _IMAGE, _PAGE = 8_000, 300_000, 12_000
_REQUEST = (
    b"GET /a/page HTTP/1.1\r\nHost: example.org\r\nUser-Agent: Outlast\r\nAccept: */*\r\nConnection: keep-alive\r\n\r\n"
)
_WARCINFO = "<urn:uuid:00000000-0000-4000-8000-000000000000>"
#: Fetches of one lease and of one commit, as a worker of a quick crawl has them.
_LEASE = 100
_PIECE = 256 << 10


@dataclass(frozen=True)
class Part:
    """One thing to measure; ``run`` does it once, in an empty directory, and returns how much it did."""

    name: str
    unit: str
    run: Callable[[Path], float]

    def measure(self) -> list[float]:
        """Return what was done in a CPU-second, each time."""
        rates = []
        for _ in range(TIMES):
            with tempfile.TemporaryDirectory() as place:
                amount = self.run(Path(place))
                rates.append(amount / _stopwatch.seconds)
        return rates


class Stopwatch:
    """CPU seconds of this process within its ``with`` block; what is made ready before does not count."""

    seconds = 0.0

    def __enter__(self) -> None:
        self._begun = time.process_time()

    def __exit__(self, *_: object) -> None:
        self.seconds = time.process_time() - self._begun


_stopwatch = Stopwatch()


# Frontier


def frontier(rows: int, _: Path) -> float:
    """Lease and commit fetches, each with two discoveries, in a frontier of so many rows."""
    known, numbers = _filled(rows)
    done = 20 * _LEASE
    with _stopwatch:
        for _again in range(done // _LEASE):
            lease = known.lease(
                _LEASE, worker="w1", now=time.time(), seconds=600, admit=None, room=lambda origin: _LEASE
            )  # fmt: skip
            told = tuple(_settled(leased, numbers) for leased in lease.fetches)
            known.commit(Commit(settlements=told, low_water={"a.warc.gz": next(numbers)}), now=time.time())
    return done


@cache
def _filled(rows: int) -> tuple[SqliteFrontier, count[int]]:
    """Return a frontier with so many rows, the same each time: a few thousand more change little."""
    place = Path(_kept.name) / f"{rows}.sqlite"
    made, numbers = SqliteFrontier(place), count()
    made.set_lanes({"pages": 50})
    fetches = (_fetch(number) for number in islice(numbers, rows))
    while batch := list(islice(fetches, 10_000)):
        made.offer(batch)
    return made, numbers


_kept = tempfile.TemporaryDirectory()


def _fetch(number: int) -> Fetch:
    url = f"https://example.org/archive/{number:08}/a-post-of-that-day"
    return Fetch(url=url, lane="pages", callback="parse", via="https://example.org/", depth=3, covers=("page", url))


def _settled(leased: Leased, numbers: count[int]) -> Settlement:
    url = leased.fetch.url
    digest = hashlib.sha256(url.encode()).hexdigest()
    return Settlement(
        id=leased.id, token=leased.token, state=State.DONE, status=200, size=_HTML, record_id=_WARCINFO,
        location=Location(segment="a.warc.gz", offset=leased.id * 4000, response_offset=1, response_length=4000),
        digests=Digests(block_sha256=digest, payload_sha256=digest, payload_sha1="A" * 32, payload_length=_HTML),
        date="2026-01-01T00:00:00Z", outlinks=(_fetch(next(numbers)), _fetch(next(numbers))),
        coverage=(Covered(kind="page", id=url, standing=Standing.CAPTURED, url=url),),
    )  # fmt: skip


# Segments


def write(kind: str, amount: int, *, in_bytes: bool, place: Path) -> float:
    """Append pairs whose records are made already."""
    pairs = [_pair(body, place) for body in _bodies(kind, amount)]
    writer = SegmentWriter(place / "a.warc.gz.open", warcinfo_fields={})
    with _stopwatch:
        for pair in pairs:
            writer.append(*pair)
    writer.close()
    return _amount(kind, amount, in_bytes=in_bytes)


def make_and_write(kind: str, amount: int, *, in_bytes: bool, place: Path) -> float:
    """Hash, make records and append: all that a worker does for a pair once it has the bytes."""
    bodies = _bodies(kind, amount)
    writer = SegmentWriter(place / "a.warc.gz.open", warcinfo_fields={})
    with _stopwatch:
        for body in bodies:
            writer.append(*_pair(body, place))
    writer.close()
    return _amount(kind, amount, in_bytes=in_bytes)


def write_by_warcio(kind: str, amount: int, *, in_bytes: bool, place: Path) -> float:
    """Do the same with warcio as it comes."""
    bodies = _bodies(kind, amount)
    with (place / "a.warc.gz").open("wb") as out, _stopwatch:
        writer = WARCWriter(out, gzip=True)
        for body in bodies:
            answer = writer.create_warc_record(
                "https://example.org/a/page", "response", payload=io.BytesIO(body), http_headers=_warcio_head(body)
            )  # fmt: skip
            asked = writer.create_warc_record(
                "https://example.org/a/page", "request", http_headers=StatusAndHeaders("GET /a/page HTTP/1.1", [])
            )
            writer.write_request_response_pair(asked, answer)
    return _amount(kind, amount, in_bytes=in_bytes)


def _warcio_head(body: bytes) -> StatusAndHeaders:
    headers = [("Content-Type", "text/html"), ("Content-Length", str(len(body)))]
    return StatusAndHeaders("200 OK", headers, protocol="HTTP/1.1")


def _amount(kind: str, amount: int, *, in_bytes: bool) -> float:
    return amount * (_IMAGE if kind == "image" else _HTML) / MB if in_bytes else amount


def _pair(body: bytes, place: Path) -> tuple[Record, ...]:
    """Return request and response of a capture."""
    return _exchange(_capture(body, place)).records


def _exchange(capture: Capture) -> Exchange:
    leased = Leased(id=1, token=1, fetch=_fetch(1))
    return exchange(capture, warcinfo_id=_WARCINFO, work=leased, original=None)


def _capture(body: bytes, place: Path) -> Capture:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(body)
    sink = Sink(place, SPOOL_THRESHOLD)
    sink.write_head(head)
    sink.write([Data(body, body)])
    kept, digests = sink.finish()
    now = datetime.now(UTC)
    return Capture(
        url="https://example.org/a/page", method="GET", request=_REQUEST, head=head, body=kept, status=200,
        outcome=Outcome.OK, started=now, ended=now, digests=digests,
    )  # fmt: skip


@cache
def _bodies(kind: str, amount: int) -> list[bytes]:
    rng = random.Random(1)
    return [rng.randbytes(_IMAGE) if kind == "image" else _html(rng, _HTML) for _ in range(amount)]


def _html(rng: random.Random, size: int) -> bytes:
    """Return a page that compresses as pages do, to about a third."""
    words = "".join(
        f"<div class='post'><a href='/post/{rng.getrandbits(48):x}'>{rng.choice(_words())}</a>"
        f"<p>{' '.join(rng.choices(_words(), k=12))}</p></div>\n"
        for _ in range(size // 100)
    )
    return words.encode()[:size].ljust(size)


@cache
def _words() -> list[str]:
    rng = random.Random(2)
    return ["".join(rng.choices("etaoinshrdlucmfw", k=rng.randint(2, 9))) for _ in range(3000)]


# Framing


def parse(kind: str, _: Path) -> float:
    """Read many answers of 12 KB, each as one piece."""
    wire, amount = _answer(kind, _html(random.Random(1), _PAGE)), 5000
    with _stopwatch:
        for _again in range(amount):
            _parsed([wire])
    return amount


def parse_big(kind: str, _: Path) -> float:
    """Read one big answer, in pieces as a socket gives them."""
    size = 64 * MB
    wire = memoryview(_answer(kind, bytes(size)))
    pieces = [bytes(wire[at : at + _PIECE]) for at in range(0, len(wire), _PIECE)]
    with _stopwatch:
        _parsed(pieces)
    return size / MB


def _answer(kind: str, body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Mon, 11 Jan 2021 03:00:00 GMT\r\nContent-Type: text/html\r\n"
    if kind == "chunked":
        chunks = (body[at : at + 4096] for at in range(0, len(body), 4096))
        framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
        return head + b"Transfer-Encoding: chunked\r\n\r\n" + framed + b"0\r\n\r\n"
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def _parsed(pieces: list[bytes]) -> None:
    parser = ResponseParser("GET")
    events = [event for piece in pieces for event in parser.feed(piece)]
    assert events[-1].truncated is None


# Sealing


def index(_: Path) -> float:
    """Make the CDXJ lines of records at hand."""
    with tempfile.TemporaryDirectory() as place:
        records = list(Records(_segment("html", 1000, Path(place))))
    indexer = cdxj.Indexer("a.warc.gz")
    with _stopwatch:
        lines = [line for record in records if (line := indexer.line(record)) is not None]
    assert lines
    return len(lines)


def seal_it(kind: str, amount: int, *, in_bytes: bool, place: Path) -> float:
    """Seal a segment: captures, or MB of its file."""
    path = _segment(kind, amount, place)
    size = path.stat().st_size
    (place / "indexes").mkdir()
    with _stopwatch:
        seal(path, index_dir=place / "indexes", manifest_path=place / "manifest.jsonl", segment_class="text")
    return size / MB if in_bytes else amount


def _segment(kind: str, amount: int, place: Path) -> Path:
    """Write a segment of whole captures."""
    path = place / "a.warc.gz.open"
    writer = SegmentWriter(path, warcinfo_fields={})
    for body in _bodies(kind, amount):
        capture = _capture(body, place)
        made = _exchange(capture)
        leased = Leased(id=1, token=1, fetch=_fetch(1))
        told = Settlement(id=1, token=1, state=State.DONE, outlinks=(_fetch(2), _fetch(3)))
        writer.append(*made.records, metadata(made, capture, leased, told, warcinfo_id=_WARCINFO))
    writer.close()
    return path


# Scale


def hashing(name: str, _: Path) -> float:
    """Hash 256 MB."""
    data, digest = bytes(MB), hashlib.new(name, usedforsecurity=False)
    with _stopwatch:
        for _again in range(256):
            digest.update(data)
    return 256.0


def parts(rows: int) -> Iterator[Part]:
    """Yield all there is to measure."""
    for size in (20_000, rows):
        yield Part(f"frontier of {size:,} rows: lease, commit, 2 discoveries", "fetches", partial(frontier, size))
    for kind, amount, what, in_bytes in (("html", 2000, "8 KB HTML", False), ("image", 200, "300 KB image", True)):
        unit = "MB" if in_bytes else "pairs"
        for name, run in (
            ("segment, append", write),
            ("segment, hash + make + append", make_and_write),
            ("warcio's writer", write_by_warcio),
        ):
            task = partial(_placed, partial(run, kind, amount, in_bytes=in_bytes))
            yield Part(f"{name}: {what}", unit, task)
    for kind in ("sized", "chunked"):
        yield Part(f"framing, 12 KB {kind}", "responses", partial(parse, kind))
        yield Part(f"framing, big {kind}", "MB", partial(parse_big, kind))
    yield Part("CDXJ", "lines", index)
    for kind, amount, what in (("html", 2000, "8 KB HTML"), ("image", 200, "300 KB image")):
        for in_bytes, unit in ((False, "captures"), (True, "MB of file")):
            task = partial(_placed, partial(seal_it, kind, amount, in_bytes=in_bytes))
            yield Part(f"sealing: {what}", unit, task)
    for name in ("sha256", "sha1", "md5"):
        yield Part(f"hashlib {name}", "MB", partial(hashing, name))


def _placed(run: Callable[..., float], place: Path) -> float:
    return run(place=place)


def main() -> int:
    """Measure all and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="WORD", help="what has this in its name")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the bigger frontier")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    facts = {}
    for part in parts(options.rows):
        if options.only in part.name:
            rates = part.measure()
            facts[f"{part.name}, {part.unit}"] = {"median": round(statistics.median(rates), 1), "all": rates}
            shown = f"{statistics.median(rates):>12,.0f} {part.unit:<12} {min(rates):>10,.0f} to {max(rates):,.0f}"
            print(f"{part.name:<62}{shown}", file=sys.stderr if options.json else sys.stdout, flush=True)
    if options.json:
        print(json.dumps(facts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
