"""Captures read back: revisits above all, whose answer has to be put together from two records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from crawler.framing import Data, End, ResponseParser
from crawler.model import Body, Capture, Outcome
from crawler.warc.groups import Group, GroupReader
from crawler.warc.reader import Torn
from tests.unit.warc.making import PAGE, Segment, capture, plain


def chunked(body: bytes, size: int, status: str = "200 OK") -> bytes:
    pieces = (body[at : at + size] for at in range(0, len(body), size))
    framed = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return f"HTTP/1.1 {status}\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + framed + b"0\r\n\r\n"


def read_back(groups: Iterator[Group], folder: Path) -> list[Capture]:
    known: dict[str, tuple[Path, int]] = {}
    captures = []
    for group in groups:
        known.setdefault(group.response_id, (group.path, group.response_offset))
        captures.append(group.capture(known.get, folder))
    return captures


@pytest.mark.parametrize("page", [PAGE, bytes(range(256)) * 10_000], ids=["in memory", "spooled"])
@pytest.mark.parametrize("first", [plain, lambda page: chunked(page, 700)], ids=["sized", "chunked"])
def test_a_revisit_keeps_its_own_status_and_framing(tmp_path: Path, page: bytes, first: object) -> None:
    """A platform's 404 page and its 200 page may be the same bytes, and nothing says that they come in the same chunks."""
    segment = Segment(tmp_path)
    original = capture("https://a.example/1", first(page))
    known = segment.original(segment.add(original), original)
    again = [plain(page, "404 Not Found"), chunked(page, 1000, "500 Oops"), b"HTTP/1.0 200 OK\r\n\r\n" + page]
    for number, wire in enumerate(again):
        segment.add(capture(f"https://a.example/again/{number}", wire), known)
    back = read_back(iter(GroupReader(segment.close())), tmp_path)[1:]
    assert [c.status for c in back] == [404, 500, 200]
    for found, wire in zip(back, again, strict=True):
        sent = capture(found.url, wire)
        assert found.head == sent.head
        assert entity(found) == page
        assert found.digests is not None
        assert sent.digests is not None
        assert found.digests.payload_sha256 == sent.digests.payload_sha256
        assert found.truncated is None
        assert found.outcome is Outcome.OK


def entity(taken: Capture) -> bytes:
    with taken.body.open() as stream:
        wire = taken.head + stream.read()
    parser = ResponseParser("GET")
    events = [*parser.feed(wire), *parser.eof()]
    assert [e.truncated for e in events if isinstance(e, End)] == [None]
    return b"".join(e.entity for e in events if isinstance(e, Data))


def test_a_revisit_of_nothing_is_refused_and_leaves_no_spool_file(tmp_path: Path) -> None:
    segment = Segment(tmp_path / "warcs")
    first = capture("https://a.example/1")
    segment.add(capture("https://a.example/2"), segment.original(segment.add(first), first))
    _, revisit = GroupReader(segment.close())
    with pytest.raises(Torn, match="refers to nothing"):
        revisit.capture(lambda _: None, tmp_path)
    assert [p for p in tmp_path.iterdir() if p.is_file()] == []


@pytest.mark.parametrize(
    ("truncated", "outcome"),
    [
        ("disconnect", Outcome.CUT),
        ("time", Outcome.TIMEOUT),
        ("length", Outcome.CUT),
        ("unspecified", Outcome.PROTOCOL),
    ],
)
def test_a_cut_off_answer_comes_back_as_one(tmp_path: Path, truncated: str, outcome: Outcome) -> None:
    segment = Segment(tmp_path)
    segment.add(capture(wire=plain()[:-9], truncated=truncated))
    (found,) = read_back(iter(GroupReader(segment.close())), tmp_path)
    assert (found.truncated, found.outcome) == (truncated, outcome)


def test_an_exchange_without_answer_comes_back_with_its_story(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    nothing = {"head": b"", "digests": None, "status": 0}
    segment.add(capture(body=Body(size=0), outcome=Outcome.REFUSED, error="nobody listens", **nothing))
    # An answer that is no HTTP must not be taken for the story, whatever it says.
    odd = b"SSH-2.0\r\noutcome: bogus\r\n"
    segment.add(capture(body=Body(size=len(odd), data=odd), outcome=Outcome.PROTOCOL, error="not HTTP", **nothing))
    # Without a story nobody knows yet how it ended.
    segment.add(capture(body=Body(size=0), outcome=Outcome.REFUSED, **nothing), story=False)
    found = read_back(iter(GroupReader(segment.close())), tmp_path)
    assert [(c.outcome, c.error, c.status) for c in found] == [
        (Outcome.REFUSED, "nobody listens", 0),
        (Outcome.PROTOCOL, "not HTTP", 0),
    ]
