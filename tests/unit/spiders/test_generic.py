"""The spider of any website: over sites in memory, page by page, and over pages that wish it ill."""

from __future__ import annotations

import gzip
import io
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.model import Covered, Fetch, Seed, SegmentClass, Standing
from crawler.response import CaptureResponse
from spiders.generic import MAX_DEPTH, MAX_NESTING, MAX_PARAMETERS, GenericSpider
from spiders.testing import NOON, answer, crawl

SITE = "https://site.example"
HTML, CSS, XML = "text/html; charset=utf-8", "text/css", "application/xml"


def spider(**seed: Any) -> GenericSpider:
    return GenericSpider(seed=Seed(url=f"{SITE}/", **seed))


def site(pages: dict[str, tuple[str, str | bytes]]) -> Callable[[Fetch], CaptureResponse]:
    def ask(fetch: Fetch) -> CaptureResponse:
        kind, body = pages.get(fetch.url.removeprefix(SITE), ("", ""))
        return answer(fetch.url, body, status=200 if kind else 404, headers={"Content-Type": kind or HTML}, fetch=fetch)

    return ask


def parsed(
    body: str | bytes,
    kind: str = HTML,
    *,
    callback: str = "parse",
    url: str = f"{SITE}/",
    fetch: dict[str, Any] | None = None,
    **seed: Any,
) -> tuple[list[Fetch], list[Covered]]:
    """Return what a callback yields for one body, fetches and statements apart."""
    work = Fetch(**{"url": url, "lane": "pages", "callback": callback, **(fetch or {})})
    found = list(spider(**seed).read(answer(url, body, headers={"Content-Type": kind}, fetch=work)))
    assert all(isinstance(one, Fetch | Covered) for one in found)
    return [one for one in found if isinstance(one, Fetch)], [one for one in found if isinstance(one, Covered)]


def one(body: str, **more: Any) -> Fetch:
    (fetch,), said = parsed(body, **more)
    assert said == []
    return fetch


def refused(body: str, **more: Any) -> str:
    fetches, (covered,) = parsed(body, **more)
    assert fetches == []
    assert covered.standing is Standing.EXCLUDED
    return covered.reason


def test_a_small_site_is_walked_to_its_end() -> None:
    pages = {
        "/": (HTML, "<link rel=stylesheet href=/s.css><a href=/a>a</a><a href=//other.example/x>x</a><img src=//cdn.example/i.png><a href=/f.pdf>f</a><link rel=alternate type=application/rss+xml href=/feed>"),
        "/a": (HTML, "<a href=/>back</a><a href='/b#top'>b</a><a href=mailto:x@y.example>m</a>"),
        "/b": (HTML, "<meta http-equiv=refresh content='0;url=/c'><iframe src=/frame></iframe><iframe src=//ads.example/></iframe>"),
        "/c": (HTML, ""),
        "/frame": (HTML, ""),
        "/s.css": (CSS, "@import 'deep/t.css'; a{background:url(bg.png)}"),
        "/deep/t.css": (CSS, "a{background:url(../bg2.png)}"),
        "/sitemap.xml": (XML, f"<sitemapindex><sitemap><loc>{SITE}/s2.xml.gz</loc></sitemap></sitemapindex>"),
        "/s2.xml.gz": ("application/gzip", gzip.compress(f"<urlset><url><loc>{SITE}/hidden</loc></url></urlset>".encode())),
        "/hidden": (HTML, ""),
        "/feed": ("application/rss+xml", "<rss><channel><item><link>/fed</link><enclosure url='/cast.mp3'/></item></channel></rss>"),
        "/fed": (HTML, ""),
    }  # fmt: skip
    done = crawl(GenericSpider, Seed(url=f"{SITE}/"), site(pages))
    assert {url.removeprefix(SITE) for url in done.urls("pages")} == {
        "/",
        "/a",
        "/b",
        "/c",
        "/frame",
        "/hidden",
        "/fed",
    }
    assert {url.removeprefix(SITE) for url in done.urls("listings")} == {"/sitemap.xml", "/s2.xml.gz", "/feed"}
    paths = ("/s.css", "/deep/t.css", "/bg.png", "/bg2.png", "/cast.mp3")
    assert set(done.urls("requisites")) == {"https://cdn.example/i.png", *(f"{SITE}{path}" for path in paths)}
    assert done.urls("files") == [f"{SITE}/f.pdf"]
    assert {fetch.url for fetch in done.refused} == {"https://other.example/x", "https://ads.example/"}
    captured = {(said.kind, said.id.removeprefix(SITE)) for said in done.coverage if said.standing is Standing.CAPTURED}
    assert ("page", "/hidden") in captured
    assert ("asset", "/s.css") in captured


def test_a_path_in_the_seed_limits_pages_and_not_what_they_need() -> None:
    pages = {
        "/blog/": (HTML, "<a href=/blog/1>1</a><a href=/shop>s</a><img src=/img/x.png>"),
        "/blog/1": (HTML, ""),
        "/sitemap.xml": (XML, f"<sitemapindex><sitemap><loc>{SITE}/s2.xml</loc></sitemap></sitemapindex>"),
        "/s2.xml": (XML, f"<urlset><url><loc>{SITE}/blog/2</loc></url><url><loc>{SITE}/shop/2</loc></url></urlset>"),
    }
    done = crawl(GenericSpider, Seed(url=f"{SITE}/blog/"), site(pages))
    assert set(done.urls("pages")) == {f"{SITE}/blog/", f"{SITE}/blog/1", f"{SITE}/blog/2"}
    assert done.urls("requisites") == [f"{SITE}/img/x.png"]


@pytest.mark.parametrize(
    ("url", "hosts", "paths"),
    [
        ("https://site.example/", ("site.example", "www.site.example"), ()),
        ("https://www.site.example/", ("www.site.example", "site.example"), ()),
        ("https://site.example/index.php", ("site.example", "www.site.example"), ()),
        ("https://site.example/forum/index.php?x=1", ("site.example", "www.site.example"), ("/forum/",)),
        ("https://site.example/user/ann", ("site.example", "www.site.example"), ("/user/ann",)),
        ("https://site.example/blog/", ("site.example", "www.site.example"), ("/blog/",)),
        ("http://127.0.0.1:8000/", ("127.0.0.1",), ()),
        ("http://[::1]/", ("::1",), ()),
        ("http://localhost/", ("localhost",), ()),
    ],
)
def test_territory(url: str, hosts: tuple[str, ...], paths: tuple[str, ...]) -> None:
    territory = GenericSpider.territory(Seed(url=url))
    assert (territory.hosts, territory.paths) == (hosts, paths)


def test_what_each_fetch_stands_for() -> None:
    page = one("<a href=/x>")
    assert (page.url, page.lane, page.callback, page.covers) == (f"{SITE}/x", "pages", "parse", ("page", f"{SITE}/x"))
    assert (page.via, page.depth, page.sweep) == (f"{SITE}/", 1, False)
    style = one("<link rel=stylesheet href=/x.css>")
    assert (style.lane, style.callback, style.covers) == ("requisites", "parse_style", ("asset", f"{SITE}/x.css"))
    image = one("<img src=//cdn.example/x.png>")
    assert (image.lane, image.callback, image.covers) == ("requisites", None, ("asset", "https://cdn.example/x.png"))
    film = one("<a href=/x.MP4>")
    assert (film.lane, film.callback, film.covers) == ("files", None, ("asset", f"{SITE}/x.MP4"))
    assert GenericSpider.segment_class("files") is SegmentClass.ORIGINALS
    assert GenericSpider.segment_class("requisites") is SegmentClass.IMAGES
    assert GenericSpider.segment_class("pages") is SegmentClass.TEXT


def test_a_thing_has_one_name_however_it_is_written() -> None:
    fetches, _ = parsed("<a href='/a b'><a href='https://SITE.example:443/a%20b#x'><img src=/c><a href=/c>")
    assert [fetch.covers for fetch in fetches] == [("asset", f"{SITE}/c"), ("page", f"{SITE}/a%20b")]


def test_robots_txt_names_sitemaps() -> None:
    fetches, said = parsed(
        f"User-agent: *\nDisallow: /x\nSitemap: {SITE}/a.xml\nsitemap:/b.xml\nSitemap: javascript:x\n",
        "text/plain",
        callback="parse_robots_txt",
        url=f"{SITE}/robots.txt",
    )
    assert [fetch.url for fetch in fetches] == [f"{SITE}/a.xml", f"{SITE}/b.xml"]
    assert {(fetch.lane, fetch.callback, fetch.depth) for fetch in fetches} == {("listings", "parse_listing", 0)}
    assert said == []


def test_sitemaps_within_sitemaps_end() -> None:
    def endless(fetch: Fetch) -> CaptureResponse:
        if fetch.lane == "pages":
            return answer(fetch.url, fetch=fetch)
        body = f"<sitemapindex><sitemap><loc>{fetch.url}x</loc></sitemap></sitemapindex>"
        return answer(fetch.url, body, headers={"Content-Type": XML}, fetch=fetch)

    done = crawl(GenericSpider, Seed(url=f"{SITE}/"), endless, limit=100)
    assert len(done.urls("listings")) == MAX_NESTING + 1


def test_stylesheets_within_stylesheets_end() -> None:
    def endless(fetch: Fetch) -> CaptureResponse:
        body, kind = (
            (f"@import '{fetch.url}x'", CSS)
            if fetch.lane == "requisites"
            else ("<link rel=stylesheet href=//cdn.example/s>", HTML)
        )
        return answer(fetch.url, body, headers={"Content-Type": kind}, fetch=fetch)

    done = crawl(GenericSpider, Seed(url=f"{SITE}/"), endless, limit=100)
    assert len(done.urls("requisites")) == MAX_NESTING
    assert done.coverage[-1].reason == "trap: stylesheets within stylesheets"


def test_a_feed_goes_on_while_it_lists_something() -> None:
    def feed(fetch: Fetch) -> CaptureResponse:
        number = int(fetch.url.partition("?")[2] or 0)
        entry = f"<entry><link href='/p{number}'/></entry>" if number < 30 else ""
        return answer(
            fetch.url,
            f"<feed><link rel='next' href='/feed?{number + 1}'/>{entry}</feed>",
            headers={"Content-Type": "application/atom+xml"},
            fetch=fetch,
        )

    done = crawl(GenericSpider, Seed(url=f"{SITE}/feed"), feed, limit=200)
    assert f"{SITE}/feed?30" in done.urls("listings")
    assert f"{SITE}/feed?31" not in done.urls("listings")


def test_the_window_is_kept_where_listings_tell_times() -> None:
    sitemap = "".join(
        f"<url><loc>/{day}</loc><lastmod>{day}</lastmod></url>"
        for day in ("2020-12-30", "2020-12-31", "2021-01-05", "2021-02-01")
    )
    window = {"since": "2020-12-31T12:00:00+00:00", "until": "2021-01-31T00:00:00+00:00"}
    fetches, said = parsed(
        f"<urlset>{sitemap}<url><loc>/undated</loc></url></urlset>", XML, callback="parse_listing", **window
    )
    assert [fetch.url.rsplit("/", 1)[1] for fetch in fetches] == ["2020-12-31", "2021-01-05", "2021-02-01", "undated"]
    assert [(covered.kind, covered.reason) for covered in said] == [("page", "before --since")]
    rss = "".join(
        f"<item><link>/{day}</link><pubDate>{day} Jan 2021 00:00:00 GMT</pubDate></item>" for day in ("05", "30", "31")
    )
    fetches, said = parsed(f"<rss>{rss}</rss>", XML, callback="parse_listing", **window)
    assert [(fetch.url, fetch.day) for fetch in fetches] == [(f"{SITE}/05", "2021-01-05"), (f"{SITE}/30", "2021-01-30")]
    assert [covered.reason for covered in said] == ["after --until"]


@pytest.mark.parametrize(
    "path",
    [
        "/a" * 8,
        "/" + "/".join(str(n) for n in range(60)),
        "/x?" + "q" * 5000,
        "/list?" + "&".join(f"f{n}=1" for n in range(MAX_PARAMETERS + 1)),
        "/list?" + "&".join("f=1" for _ in range(7)),
        "/login?next=%2525252Flogin",
        "/calendar/2087/05/",
        "/events/month/1921-03",
        "/cal.php?year=2199",
    ],
)
def test_traps_are_counted_as_excluded(path: str) -> None:
    assert refused(f"<a href='{path}'>").startswith("trap: ")


@pytest.mark.parametrize(
    "path",
    [
        "/2021/01/06/post",
        "/events/2022-05/",
        "/events/48213",
        "/event/2750",
        "/archive/1923/05/",
        "/list?" + "&".join(f"f{n}=1" for n in range(MAX_PARAMETERS)),
        "/calendar/2000/01",
        "/a/a/a",
        "/search?s=hello",
    ],
)
def test_what_only_looks_like_a_trap(path: str) -> None:
    assert one(f"<a href='{path}'>").url == f"{SITE}{path}"


def test_traps_on_other_sites_are_none_of_ours() -> None:
    assert parsed(f"<a href='//other.example{'/a' * 8}'>") == ([], [])


def test_too_many_links_from_the_seed() -> None:
    assert refused("<a href=/x>", fetch={"depth": MAX_DEPTH}) == "trap: too many links from the seed"


@pytest.mark.parametrize(
    ("url", "without"),
    [
        ("/viewtopic.php?t=1&sid=0123456789abcdef0123456789abcdef", "/viewtopic.php?t=1"),
        ("/x?PHPSESSID=abc123def456ghi789jkl0&a=&b", "/x?a=&b"),
        ("/x;jsessionid=0A1B2C3D4E5F60718293.node1?q=1", "/x?q=1"),
        ("/showthread.php?s=0123456789abcdef0123456789abcdef", "/showthread.php"),
        ("/(S(abcdefghij0123456789abcd))/page.aspx", "/page.aspx"),
        ("/x?sid=42&s=archive", "/x?sid=42&s=archive"),
        ("/x?a=&&b=%20", "/x?a=&&b=%20"),
    ],
)
def test_session_ids_are_left_out_of_a_pages_name(url: str, without: str) -> None:
    assert one(f"<a href='{url}'>").url == f"{SITE}{without}"


@pytest.mark.parametrize(
    ("body", "kind", "reads"),
    [
        ("<a href=/x>", "text/html", True),
        ("<a href=/x>", "TEXT/HTML;charset=x", True),
        (
            "<?xml version='1.0'?><!-- c --><html xmlns='http://www.w3.org/1999/xhtml'><a href='/x'/></html>",
            "application/xml",
            True,
        ),
        ("\n<!DOCTYPE html><a href=/x>", "", True),
        ("<rss><channel><item><link>/x</link></item></channel></rss>", "", True),
        ("<rss><channel><item><link>/x</link></item></channel></rss>", "text/xml", True),
        ("a{background:url(/x.png)}", "text/css", True),
        ('{"items":[{"url":"/x"}]}', "application/feed+json", True),
        ("<a href=/x>", "text/plain", False),
        ("<a href=/x>", "application/pdf", False),
        ("<a href=/x>", "image/png", False),
        ("%PDF-1.4 <html><a href=/x>", "", False),
        ('{"items":[{"url":"/x"}]}', "application/json", False),
    ],
)
def test_only_what_is_a_page_a_style_or_a_listing_is_read(body: str, kind: str, reads: bool) -> None:
    fetches, _ = parsed(body, kind)
    assert bool(fetches) is reads


def test_an_asset_that_may_be_a_stylesheet_is_read_only_if_it_is_one() -> None:
    asset = one("<link rel=stylesheet href='//fonts.example/css?family=X'>")
    assert (asset.callback, asset.cursor) == ("parse_style", {"level": 1})
    body = "a{src:url(/f.woff2)}"
    assert len(parsed(body, CSS, callback="parse_style", fetch={"lane": "requisites"})[0]) == 1
    assert (
        len(parsed(body, "text/plain", callback="parse_style", url=f"{SITE}/x.css", fetch={"lane": "requisites"})[0])
        == 1
    )
    assert parsed(body, "image/png", callback="parse_style", fetch={"lane": "requisites"}) == ([], [])


@pytest.mark.parametrize(("callback", "kind", "body"), [
    ("parse", "text/html; charset=latin-1", "<a href='/é'>".encode("latin-1") + b" " * 100),
    ("parse_style", "text/css", b"a{background:url(/x.png)}"),
    ("parse_listing", "text/xml", b"<urlset><url><loc>/x</loc></url></urlset>"),
    ("parse_robots_txt", "text/plain", b"Sitemap: /x.xml"),
])  # fmt: skip
def test_a_body_too_big_for_memory_is_read_from_its_spool(callback: str, kind: str, body: bytes) -> None:
    work = Fetch(url=f"{SITE}/", lane="pages", callback=callback)
    spooled = CaptureResponse(
        work.url, fetch=work, captured_at=NOON, status=200, headers={"Content-Type": kind}, body=b"", head_bytes=body[:4096], opener=lambda: io.BytesIO(body)
    )  # fmt: skip
    (found,) = spider().read(spooled)
    assert isinstance(found, Fetch)
    assert found.url in {f"{SITE}/%C3%A9", f"{SITE}/x.png", f"{SITE}/x", f"{SITE}/x.xml"}


def test_a_big_page_is_read_quickly() -> None:
    body = "".join(
        f"<div><a href='/p/{n}?x=1&amp;y=2'>t</a><img src='/i/{n}.png' srcset='/i/{n}.png 1x, /j/{n}.png 2x'></div>"
        for n in range(5000)
    )
    begun = time.process_time()
    fetches, _ = parsed(body)
    assert len(fetches) == 15_000
    assert time.process_time() - begun < 6


SCRAPS = st.lists(
    st.sampled_from(["<a href=", "<img src='/", "<link rel=stylesheet href=", "<urlset><url><loc>", "</loc></url>", "<item><link>", "</link></item>", "url(", "@import '", "Sitemap: ", "\n", "'", ">", "http://", "//[", "?sid=", "&", "=", ";jsessionid=", "%25", "year=2999", "/calendar", "\x00", "\ud800", '{"items":['])
    | st.text(max_size=10),
    max_size=20,
).map("".join)  # fmt: skip


@given(
    SCRAPS,
    st.sampled_from([HTML, CSS, XML, "", "text/html; charset=no-such", "application/feed+json"]),
    st.sampled_from(["parse", "parse_style", "parse_listing", "parse_robots_txt"]),
)
def test_any_answer_gives_fetches_and_statements(text: str, kind: str, callback: str) -> None:
    fetches, said = parsed(
        text.encode("utf-8", "surrogatepass"),
        kind,
        callback=callback,
        url=f"{SITE}/x.css",
        since="2021-01-01T00:00:00+00:00",
    )
    for fetch in fetches:
        assert fetch.url.startswith(("http://", "https://"))
        assert len(fetch.fingerprint) == 16
        assert fetch.covers is None or fetch.covers[1] == fetch.url
    assert all(covered.standing is Standing.EXCLUDED and covered.reason for covered in said)


@given(st.binary(max_size=300), st.sampled_from([HTML, CSS, XML, ""]))
def test_any_bytes_give_fetches_and_statements(data: bytes, kind: str) -> None:
    parsed(data, kind)
