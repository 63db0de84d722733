"""What -i takes."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest

from crawler.commands.listing import read_listing
from crawler.errors import UsageError

A, B = "https://a.example/one", "http://b.example/two?x=1"

PLAIN = f"# a remark\n\n{A}\r\n  {B}  \n{A}\n"
SITEMAP = (
    '<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">'
    f"<url><loc>{A}</loc></url><url><loc>{B}</loc></url></urlset>"
)
CDX = (
    " CDX N b a m s k r M S V g\n"
    f"example,a)/one 20210110120000 {A} text/html 200 SHA1 - - 1043 333 some.warc.gz\n"
    "dns:a.example 20210110120000 dns:a.example text/dns - SHA1 - - 50 20 some.warc.gz\n"
    f"example,b)/two?x=1 20210110120001 {B} text/html 404 SHA1 - - 1043 999 some.warc.gz\n"
    f"example,b)/two?x=1 20220110120001 {B} text/html 200 SHA1 - - 1043 999 some.warc.gz\n"
)
CDX9 = f" CDX b a N\n20210110120000 {A} example,a)/one\n"
HEADLESS = f"example,a)/one 20210110120000 {A} text/html 200 SHA1 1043\nexample,b)/two 20210110120000 {B} - - - -\n"
CDXJ = (
    f'!meta 0 {{"format": "x"}}\nexample,a)/one 20210110120000 {{"url": "{A}", "status": "200"}}\n'
    f'example,b)/two?x=1 20210110120000 {{"url": "{B}", "mime": "warc/revisit"}}\n'
)
TABLE = f'[["urlkey","timestamp","original"],\n["example,a)/one","20210110120000","{A}"],["k","20210110120000","{B}"]]'
LINES = f'{{"url": "{A}"}}\n{{"url": "{B}", "n": 1}}\n'


@pytest.mark.parametrize("text", [PLAIN, SITEMAP, CDX, HEADLESS, CDXJ, TABLE, LINES, "\ufeff" + PLAIN])
@pytest.mark.parametrize("zipped", [False, True])
def test_every_form_is_known_by_itself(text: str, zipped: bool) -> None:
    data = text.encode()
    found = read_listing(io.BytesIO(gzip.compress(data, mtime=0) if zipped else data))
    assert list(found.urls) == [A, B]


def test_the_first_line_of_a_cdx_says_where_the_url_is() -> None:
    assert list(read_listing(io.BytesIO(CDX9.encode())).urls) == [A]


def test_what_names_no_url_is_counted() -> None:
    found = read_listing(io.BytesIO(CDX.encode()))
    assert (found.left_out, found.example) == (1, "dns:a.example")


def test_a_bare_host_is_a_url() -> None:
    assert list(read_listing(io.BytesIO(b"site.example/x\n127.0.0.1:8080\n")).urls) == [
        "https://site.example/x", "http://127.0.0.1:8080/",
    ]  # fmt: skip


def test_our_own_index_can_be_listed(tmp_path: Path) -> None:
    text = "".join(f'example,a)/{n} 2021011012000{n} {{"url": "https://a.example/{n}"}}\n' for n in range(9)) * 400
    assert len(read_listing(io.BytesIO(text.encode())).urls) == 9


@pytest.mark.parametrize("data", [b"[1, 2]", b'["x"', b"\x1f\x8bjunk", gzip.compress(b"x" * 5000, mtime=0)[:20]])
def test_what_cannot_be_read_is_said(data: bytes) -> None:
    with pytest.raises(UsageError):
        read_listing(io.BytesIO(data))
