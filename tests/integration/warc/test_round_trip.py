"""Whatever a server sends: it is recorded byte for byte, passes our own checks, and is read back as it was."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crawler.capture.spool import Sink
from crawler.framing import Data, End, Head, Interim, ResponseParser
from crawler.model import Capture, Fetch, Leased, Outcome, Settlement, State
from crawler.warc.groups import GroupReader, outlinks
from crawler.warc.reader import Records
from crawler.warc.records import exchange, metadata
from crawler.warc.segment import SegmentWriter
from crawler.warc.verify import verify_file

WHEN = datetime(2021, 1, 10, 20, 0, 0, 123456, tzinfo=UTC)


def taken(wire: bytes, folder: Path, *, method: str = "GET", clean: bool = True, threshold: int = 1 << 20) -> Capture:
    """Return what the capture room makes of these bytes from a server that then closes (or resets) the connection."""
    parser, sink = ResponseParser(method), Sink(folder, threshold)
    head, interim, end = None, b"", None
    for event in [*parser.feed(wire), *parser.eof(clean=clean)]:
        if isinstance(event, Head):
            head = event
            sink.write_head(event.wire)
        elif isinstance(event, Interim):
            interim += event.wire
        elif isinstance(event, Data):
            sink.write([event])
        elif isinstance(event, End):
            end = event
    assert end is not None
    body, digests = sink.finish()
    outcome = (
        Outcome.CUT if end.truncated == "disconnect" else Outcome.PROTOCOL if end.truncated or not head else Outcome.OK
    )
    return Capture(
        url="https://a.example/x", method=method, request=f"{method} /x HTTP/1.1\r\nHost: a.example\r\n\r\n".encode(),
        head=head.wire if head else b"", body=body, status=head.status if head else 0, outcome=outcome, error=end.error,
        started=WHEN, ended=WHEN, truncated=end.truncated, interim=interim, digests=digests if head else None,
    )  # fmt: skip


def recorded(capture: Capture, folder: Path, **work: object) -> Path:
    """Write the group of a capture as a worker does and return the segment."""
    leased = Leased(id=1, token=1, fetch=Fetch(url=capture.url, lane="posts", method=capture.method, **work))
    writer = SegmentWriter(folder / "S.warc.gz.open", warcinfo_fields={"software": "test"})
    made = exchange(capture, warcinfo_id=writer.warcinfo_id, work=leased, original=None)
    writer.append(*made.records)
    told = Settlement(id=1, token=1, state=State.DONE, outlinks=(leased.fetch,))
    writer.append(metadata(made, capture, leased, told, warcinfo_id=writer.warcinfo_id))
    writer.close()
    return folder / "S.warc.gz.open"


pieces = st.sampled_from(
    [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 404 \r\n", b"HTTP/2 200\r\n", b"HTTP/1.1 103 Hints\r\n\r\n", b"HTTP/1.1 204 No\n\n",
     b"Content-Length: 5\r\n", b"Content-Length: 3\r\n", b"Content-Length: x\r\n", b"Transfer-Encoding: chunked\r\n",
     b"transfer-encoding: gzip, chunked\r\n", b"Connection: close\r\n", b" folded\r\n", b"no colon\r\n", b"X:\xe9\xff\r\n", b"\r\n", b"\n",
     b"5\r\nhello\r\n", b"0\r\n", b"0\r\n\r\n", b"3;x=y\nabc\n", b"hello", b"\0\0\x12\4\0\0\0\0\0", b"SSH-2.0-x\r\noutcome: bogus\r\n",
     b"WARC/1.1\r\n", b"\x1f\x8b\x08"]
)  # fmt: skip
wires = st.lists(pieces | st.binary(max_size=20), max_size=14).map(b"".join)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(wire=wires, method=st.sampled_from(["GET", "GET", "POST", "HEAD"]), clean=st.booleans(), spooled=st.booleans())
def test_any_answer_survives_the_trip(wire: bytes, method: str, clean: bool, spooled: bool) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        capture = taken(wire, folder, method=method, clean=clean, threshold=0 if spooled else 1 << 20)
        assert wire.startswith(capture.interim + capture.head)
        path = recorded(capture, folder)
        assert [f for f in verify_file(path) if f.severity == "error"] == []
        (group,) = GroupReader(path)
        again = group.capture(lambda _: None, folder)
        assert again.request == capture.request
        assert (again.head, again.status, again.digests) == (capture.head, capture.status, capture.digests)
        assert (again.outcome == Outcome.OK) == (capture.outcome == Outcome.OK)
        if capture.head:
            assert again.truncated == capture.truncated
            assert content(again) == content(capture)


def content(capture: Capture) -> bytes:
    with capture.body.open() as stream:
        return stream.read()


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(
    cursor=st.dictionaries(st.text(st.characters(), max_size=8), json, max_size=4),
    via=st.none() | st.text(st.characters(), max_size=30),
    body=st.binary(max_size=40),
    covers=st.none() | st.tuples(st.text(st.characters(), max_size=9), st.text(st.characters(), max_size=9)),
)
def test_any_work_survives_the_trip(
    cursor: dict[str, object], via: str | None, body: bytes, covers: tuple[str, str] | None
) -> None:
    """A cursor or id comes from a page, so it may hold anything: line ends, half surrogates, huge numbers."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        capture = taken(b"HTTP/1.1 204 None\r\n\r\n", folder)
        path = recorded(capture, folder, cursor=cursor, via=via, body=body, covers=covers)
        assert not list(verify_file(path))
        (group,) = GroupReader(path)
        fetch = group.leased.fetch
        assert (fetch.cursor, fetch.via, fetch.body, fetch.covers) == (cursor, via, body, covers)
        assert [list(outlinks(r)) for r in Records(path) if r.type == "metadata"] == [[fetch]]
