"""What sitemaps and feeds list, in every form, whole and damaged."""

from __future__ import annotations

import gzip
import io
import time
import tracemalloc
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spiders.feeds import MAX_ENTRIES, Entry, entries, moment

SITEMAP = """<?xml version="1.0" encoding="UTF-8"?>
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:image="http://www.google.com/schemas/sitemap-image/1.1" xmlns:xhtml="http://www.w3.org/1999/xhtml">
<url><loc> https://site.example/1 </loc><lastmod>2021-01-06</lastmod><image:image><image:loc>/1.png</image:loc></image:image><xhtml:link rel="alternate" href="/de/1"/></url>
<url><loc>https://site.example/2?a=1&amp;b=2</loc></url></urlset>"""
RSS = """<rss><channel><link>https://site.example/</link><image><url>https://site.example/logo.png</url></image>
<atom:link rel="next" href="?paged=2"/><atom:link rel="self" href="/feed"/>
<item><title>&nbsp;1</title><link>/1</link><guid>https://site.example/?p=1</guid><pubDate>Wed, 06 Jan 2021 12:00:00 +0100</pubDate><enclosure url="/1.mp3"/><media:content url="/1.jpg"/></item>
<item><guid>https://site.example/2</guid></item><item><guid isPermaLink="false">https://site.example/no</guid></item></channel></rss>"""
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom"><link rel="alternate" href="/"/><link rel="next" href="/atom?2"/>
<entry><link href="/1"/><link rel="enclosure" href="/1.mp4"/><link rel="replies" href="/no"/><published>2021-01-05T00:00:00Z</published><updated>2021-01-06T00:00:00Z</updated></entry></feed>"""
RDF = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/">
<item rdf:about="/1"><link>/1</link><dc:date>2021-01-06</dc:date></item></rdf:RDF>"""
JSON = """{"version": "https://jsonfeed.org/version/1.1", "next_url": "/feed.json?2", "items": [
{"url": "/1", "date_published": "2021-01-06T12:00:00Z", "image": "/1.png", "attachments": [{"url": "/1.mp3"}, 7]}, null, {"url": 5}]}"""


def read(data: str | bytes) -> list[tuple[str, str]]:
    return [(entry.kind, entry.url) for entry in listed(data)]


def listed(data: str | bytes) -> list[Entry]:
    return list(entries(io.BytesIO(data.encode() if isinstance(data, str) else data)))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            SITEMAP,
            [
                ("page", "https://site.example/1"),
                ("media", "/1.png"),
                ("page", "/de/1"),
                ("page", "https://site.example/2?a=1&b=2"),
            ],
        ),
        (
            "<sitemapindex><sitemap><loc>/s1.xml.gz</loc><lastmod>2021</lastmod></sitemap></sitemapindex>",
            [("sitemap", "/s1.xml.gz")],
        ),
        (
            RSS,
            [
                ("next", "?paged=2"),
                ("page", "/1"),
                ("media", "/1.mp3"),
                ("media", "/1.jpg"),
                ("page", "https://site.example/2"),
            ],
        ),
        (ATOM, [("next", "/atom?2"), ("page", "/1"), ("media", "/1.mp4")]),
        (RDF, [("page", "/1")]),
        (JSON, [("page", "/1"), ("media", "/1.png"), ("media", "/1.mp3"), ("next", "/feed.json?2")]),
        (
            "https://site.example/1\r\nHTTP://site.example/2\n# no\n\nhttps://site.example/3",
            [("page", "https://site.example/1"), ("page", "HTTP://site.example/2"), ("page", "https://site.example/3")],
        ),
        ("\ufeff  <urlset><url><loc>/1</loc></url></urlset>", [("page", "/1")]),
        ("<html><body><a href=/x>Not found</a></body></html>", []),
        ("", []),
        ("{", []),
    ],
    ids=["sitemap", "index", "rss", "atom", "rdf", "json", "text", "bom", "html", "empty", "bad json"],
)
def test_forms(text: str, found: list[tuple[str, str]]) -> None:
    assert read(text) == found
    assert read(gzip.compress(text.encode())) == found


def test_dates_are_kept_as_written() -> None:
    page = next(entry for entry in listed(ATOM) if entry.kind == "page")
    assert (page.published, page.modified) == ("2021-01-05T00:00:00Z", "2021-01-06T00:00:00Z")
    assert [entry.published for entry in listed(RSS) if entry.url == "/1"] == ["Wed, 06 Jan 2021 12:00:00 +0100"]
    assert [entry.modified for entry in listed(SITEMAP) if entry.url.endswith("/1")] == ["2021-01-06", "2021-01-06"]


def test_other_encodings() -> None:
    text = SITEMAP.replace("UTF-8", "UTF-16").replace("/2?", "/ü?")
    assert ("page", "https://site.example/ü?a=1&b=2") in read(text.encode("utf-16"))


def test_damage_keeps_what_came_before_it() -> None:
    many = "<urlset>" + "".join(f"<url><loc>https://site.example/{n}</loc></url>" for n in range(20_000)) + "</urlset>"
    assert len(read(many[: len(many) // 2])) in range(9_000, 11_000)
    packed = gzip.compress(many.encode())
    assert 5_000 < len(read(packed[: len(packed) // 2])) < 15_000
    assert 1_000 < len(read(packed[: len(packed) // 2] + b"\0" * 500 + packed[len(packed) // 2 :])) < 20_000
    assert read("<urlset><url><loc>/1</loc></url><url><loc>&nope; </wrong></urlset>")[0] == ("page", "/1")


def test_nothing_is_expanded_and_nothing_is_fetched() -> None:
    inner = "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    bomb = f'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">{inner}]><urlset><url><loc>/&j;</loc></url></urlset>'
    assert sum(len(url) for _, url in read(bomb)) < 100_000
    stolen = read('<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><urlset><url><loc>/x&e;</loc></url></urlset>')
    assert all("root:" not in url for _, url in stolen)


HOSTILE = {
    "deep": "<a>" * 300_000, "flat": "<urlset>" + "<a/>" * 300_000, "one thing": "<url>" + "<loc>x</loc>" * 150_000, "one text": "<url><loc>" + "x" * 20_000_000,
    "lines": "http://h/x\n" * 500_000, "one line": "http://" + "x" * 20_000_000, "json": "[" * 10**6, "json items": '{"items":' + "[" * 10**6,
}  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_no_listing_costs_more_than_its_size(text: str) -> None:
    stream = io.BytesIO(text.encode())
    tracemalloc.start()
    begun = time.process_time()
    try:
        assert sum(1 for _ in entries(stream)) <= MAX_ENTRIES
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.process_time() - begun < 8
    assert peak < 64 << 20


def test_a_packed_bomb_is_read_to_the_bound_only() -> None:
    bomb = gzip.compress(gzip.compress(b"\0" * 10**8))
    assert read(bomb) == []
    assert read(gzip.compress(b"<urlset>" + b" " * 100_000_000 + b"<url><loc>/far</loc></url></urlset>")) == []


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2021-01-06", (2021, 1, 6), (2021, 1, 7)),
        ("2021-01-06T12:30:00Z", (2021, 1, 6, 12, 30), (2021, 1, 6, 12, 30)),
        ("2021-01-06T12:30+02:00", (2021, 1, 6, 10, 30), (2021, 1, 6, 10, 30)),
        ("Wed, 06 Jan 2021 12:00:00 GMT", (2021, 1, 6, 12), (2021, 1, 6, 12)),
    ],
)
def test_moments(text: str, first: tuple[int, ...], last: tuple[int, ...]) -> None:
    assert moment(text) == (datetime(*first, tzinfo=UTC), datetime(*last, tzinfo=UTC))  # type: ignore[misc,arg-type]


@pytest.mark.parametrize("text", ["", "yesterday", "2021-13-45", "9999-12-31", "0001-01-01T00:00:00+14:00"])
def test_what_is_no_moment(text: str) -> None:
    assert moment(text) is None


@given(st.text(max_size=70))
def test_moment_is_total(text: str) -> None:
    found = moment(text)
    assert found is None or found[0] <= found[1]


SCRAPS = st.lists(
    st.sampled_from([b"<urlset>", b"<url>", b"<loc>", b"</loc>", b"</url>", b"<item>", b"<link", b" href='", b"'/>", b"<entry>", b"</entry>", b"&x;", b"<![CDATA[", b"]]>", b"<!DOCTYPE x [", b"<?xml encoding='", b"\xff\xfe", b"\x1f\x8b\x08\0\0\0\0\0\0\xff", b'{"items":[', b'{"url":"', b"http://", b"\n"])
    | st.binary(max_size=10),
    max_size=20,
).map(b"".join)  # fmt: skip


@given(SCRAPS)
def test_any_bytes_give_entries(data: bytes) -> None:
    for entry in listed(data):
        assert entry.kind in {"page", "media", "sitemap", "next"}
        assert entry.url


@given(st.sampled_from([SITEMAP, RSS, ATOM, RDF, JSON]), st.integers(0, 600), st.binary(max_size=4))
def test_mutations_give_entries(text: str, at: int, put: bytes) -> None:
    data = text.encode()
    assert all(entry.url for entry in listed(data[:at] + put + data[at + len(put) :]))
