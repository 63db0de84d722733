"""What pages and stylesheets name, and that no page can hurt."""

from __future__ import annotations

import time
import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spiders.html import MAX_TITLE, MAX_URLS, MAX_WRITTEN, Named, absolute, css, page, refresh, srcset

HERE = "https://site.example/dir/page?q=1"


def named(html: str) -> Named:
    return page(html, HERE)


@pytest.mark.parametrize(
    ("html", "urls"),
    [
        ('<img src="a.png">', ["/dir/a.png"]),
        ("<img srcset='a.png, b.png 2x,c.png 300w'>", ["/dir/a.png", "/dir/b.png", "/dir/c.png"]),
        ("<picture><source srcset='/a.webp 1x'><img src=/a.jpg></picture>", ["/a.webp", "/a.jpg"]),
        ("<img data-src=/lazy.png data-srcset='/lazy2.png 2x'>", ["/lazy.png", "/lazy2.png"]),
        ("<div data-bg=/bg.png></div><table background=/old.gif>", ["/bg.png", "/old.gif"]),
        ("<script src=/a.js></script>", ["/a.js"]),
        (
            "<video src=/v.mp4 poster=/p.jpg><source src=/w.webm><track src=/t.vtt></video><audio src=/s.mp3>",
            ["/v.mp4", "/p.jpg", "/w.webm", "/t.vtt", "/s.mp3"],
        ),
        (
            "<embed src=/e.swf><object data=/o.swf></object><input type=image src=/i.png>",
            ["/e.swf", "/o.swf", "/i.png"],
        ),
        ("<svg><image xlink:href=/x.png /><use href=/sprite.svg#icon /></svg>", ["/x.png", "/sprite.svg"]),
        (
            "<link rel='shortcut icon' href=/f.ico><link rel=STYLESHEET href=/s.css><link rel=manifest href=/m.json>",
            ["/f.ico", "/s.css", "/m.json"],
        ),
        ("<link rel=preload as=image href=/p.png imagesrcset='/p2.png 2x'>", ["/p2.png", "/p.png"]),
        ("<style>@import '/i.css'; body{background:url(/b.png)}</style>", ["/i.css", "/b.png"]),
        ('<p style="background: url(&quot;/st.png&quot;)">', ["/st.png"]),
        ("<meta property=og:image content=/og.png><meta name=twitter:image content=/tw.png>", ["/og.png", "/tw.png"]),
        (
            "<noscript><img src=/noscript.png></noscript><template><img src=/t.png></template>",
            ["/noscript.png", "/t.png"],
        ),
        ("<img src='\\images\\old.gif'>", ["/images/old.gif"]),
        ("<img src=' \n/blank.png\t'>", ["/blank.png"]),
        ("<IMG SRC=/upper.png SRC=/second.png>", ["/upper.png"]),
        ("<img src='data:image/png;base64,AA'><img src='#x'><img src=''><img src='about:blank'>", []),
        ("<script>'<img src=/no.png>'</script><!-- <img src=/no.png> --><textarea><img src=/no.png></textarea>", []),
    ],
)
def test_requisites(html: str, urls: list[str]) -> None:
    assert list(named(html).requisites) == [f"https://site.example{url}" for url in urls]


def test_links_are_absolute_canonical_and_without_fragment() -> None:
    found = named(
        "<a href='../x#f'>1</a><a href=//OTHER.example:443/y>2</a><area href='?p=2&amp;q=3'><a href='/a b'>3</a><a href='../x#g'>"
    )
    assert list(found.links) == [
        "https://site.example/x", "https://other.example/y", "https://site.example/dir/page?p=2&q=3", "https://site.example/a%20b",
    ]  # fmt: skip


def test_nofollow_is_no_ban() -> None:
    assert list(named("<meta name=robots content=nofollow><a rel=nofollow href=/x>").links) == [
        "https://site.example/x"
    ]


@pytest.mark.parametrize(
    "href",
    [
        "mailto:a@b.example",
        "javascript:void(0)",
        "JavaScript:x",
        "tel:1",
        "ftp://site.example/",
        "data:,x",
        "#top",
        "",
        " ",
        "http://",
        "https://[bad",
        "http://a b/",
        "http://x:99999/",
        "http://x:0/",
        "http://ex<ample/",
        "h" * (MAX_WRITTEN + 1),
    ],
)
def test_what_is_no_link(href: str) -> None:
    assert absolute(HERE, href) is None
    assert not page(f'<a href="{href}">', HERE).links


def test_base_moves_relative_urls_and_only_the_first_counts() -> None:
    found = named("<base href=/other/><base href=/third/><a href=x><img src=y>")
    assert (list(found.links), list(found.requisites)) == (
        ["https://site.example/other/x"],
        ["https://site.example/other/y"],
    )
    assert list(named("<base href='https://[bad'><a href=x>").links) == ["https://site.example/dir/x"]


def test_link_elements_lead_to_feeds_pages_and_the_canonical_address() -> None:
    found = named(
        "<link rel=canonical href=/c><link rel=next href='?page=2'><link rel=alternate hreflang=de href=/de>"
        "<link rel=alternate type='Application/RSS+xml' href=/feed><link rel=dns-prefetch href=//cdn.example><link rel=edit href=/edit>"
    )
    assert list(found.links) == [
        "https://site.example/c",
        "https://site.example/dir/page?page=2",
        "https://site.example/de",
    ]
    assert list(found.feeds) == ["https://site.example/feed"]
    assert found.canonical == "https://site.example/c"
    assert not found.requisites


def test_frames_are_kept_apart() -> None:
    found = named("<iframe src=/in></iframe><iframe data-src=/late></iframe><frame src=/old>")
    assert list(found.frames) == ["https://site.example/in", "https://site.example/late", "https://site.example/old"]


@pytest.mark.parametrize(
    ("content", "url"),
    [
        ("0; url=/next", "/next"),
        ("5;URL='/quoted x'", "/quoted x"),
        ('0, url = "/double"junk', "/double"),
        ("3", ""),
        ("", ""),
        ("0;/bare", "/bare"),
        (" 1.5 ; url=/x ", "/x"),
    ],
)
def test_refresh(content: str, url: str) -> None:
    assert refresh(content) == url
    assert list(page(f"<meta http-equiv=Refresh content='{content}'>", HERE).links) == (
        [f"https://site.example{url}"] if url and "'" not in content else []
    )


def test_title() -> None:
    assert named("<title>\n A &amp;\n B </title><svg><title>no</title></svg>").title == "A & B"
    assert len(named(f"<title>{'x' * 9000}").title) == MAX_TITLE


@pytest.mark.parametrize(
    ("value", "urls"),
    [
        ("a.png", ["a.png"]),
        ("a.png 1x, b.png 2x", ["a.png", "b.png"]),
        ("a.png, b.png 2x", ["a.png", "b.png"]),
        ("a.png,b.png 2x", ["a.png,b.png"]),
        ("a.png 100w 50h,b.png 200w", ["a.png", "b.png"]),
        ("/resize,w=100/a.png 1x, /resize,w=200/a.png 2x", ["/resize,w=100/a.png", "/resize,w=200/a.png"]),
        ("a.png calc(1px, 2px), b.png", ["a.png", "b.png"]),
        (" , ,a.png,, , b.png ", ["a.png", "b.png"]),
        ("", []),
        (",,,", []),
    ],
)
def test_srcset_as_the_standard_parses_it(value: str, urls: list[str]) -> None:
    assert list(srcset(value)) == urls


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("a{background:url(a.png)}", ["a.png"]),
        ("a{background:URL( 'a b.png' )}", ["a b.png"]),
        ('a{src:url("a.woff2") format("woff2"),url(b.woff)}', ["a.woff2", "b.woff"]),
        ("@import 'a.css';@import\"b.css\" screen;@import url(c.css);", ["a.css", "b.css", "c.css"]),
        ("/* url(no.png) @import 'no.css' */a{background:url(yes.png)}", ["yes.png"]),
        ("a{content:'url(no.png)'}b{background:url(yes.png)}", ["yes.png"]),
        ("a{content:'/*'}b{background:url(yes.png)}", ["yes.png"]),
        (r"a{background:url(a\)b\20 c\.png)}", ["a)b c.png"]),
        (r"a{background:url('a\27 b.png')}", ["a'b.png"]),
        ("a{background:url(data:image/png;base64,AA==)}", ["data:image/png;base64,AA=="]),
        ("a{background:url()}b{background:url('')}", []),
        ("a{background:url(cut.png", ["cut.png"]),
        ("/* never closed url(no.png)", []),
        (r"a{background:url(\d800\0\110000x)}", ["\ufffd\ufffd\ufffdx"]),
    ],
)
def test_css(text: str, urls: list[str]) -> None:
    assert list(css(text)) == urls


def test_of_a_trap_only_so_much_is_taken() -> None:
    assert len(named("".join(f"<a href={n}>" for n in range(MAX_URLS + 500))).links) == MAX_URLS


N = 100_000
HOSTILE = {
    "deep": "<div>" * N, "formatting": "<p>" + "".join(f"<b id={n}>" for n in range(3000)) + "</p><p>x" * 3000, "tables": "<table>" * 50_000,
    "attributes": "<a " + " ".join(f"a{n}=1" for n in range(50_000)) + ">", "unclosed attribute": "<a href='" + "x" * 10**6,
    "tags": "<" * 10**6, "comments": "<!--" * N, "styles": "<style>" * N, "titles": "<title>" * N, "ends": "</x>" * N, "entities": "&" * 10**6,
    "css urls": "<style>" + "url(" * N, "css quotes": "<style>" + "url(\"'" * N, "css comments": "<style>" + "/*" * N,
    "css backslashes": "<style>" + "url(" + "\\" * 10**6, "srcset": "<img srcset='" + "a," * N + "'>", "srcset parentheses": "<img srcset='" + "a (" * N + "'>",
    "refresh": "<meta http-equiv=refresh content='" + " " * 10**6 + "'>", "long url": f"<a href='/{'x' * 10**6}'>", "nulls": "\0" * N,
}  # fmt: skip


@pytest.mark.parametrize("html", HOSTILE.values(), ids=HOSTILE.keys())
def test_no_page_costs_more_than_its_size(html: str) -> None:
    tracemalloc.start()
    begun = time.process_time()
    try:
        assert isinstance(named(html), Named)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.process_time() - begun < 8
    assert peak < 64 << 20


SCRAPS = st.lists(
    st.sampled_from([
        "<a href=", "<img src='", '<img srcset="', "<base href=", "<style>", "</style>", "<title>", "<meta http-equiv=refresh content='0;url=", "<link rel=stylesheet href=",
        "url(", "@import '", "/*", "*/", "\\", "'", '"', ">", "<", "&#x110000;", "&#xd800;", "http://[", "//h:", "\x00", "\ud800", "\u2028", "%", "..//", "?", "#", "<![CDATA[", "<!doctype", "<?x",
    ]) | st.text(max_size=12),
    max_size=25,
).map("".join)  # fmt: skip


@given(SCRAPS)
@example("<base href='http://h:x/'><a href=y>")
def test_any_text_gives_absolute_urls_and_nothing_else(text: str) -> None:
    found = named(text)
    for url in (*found.links, *found.requisites, *found.feeds, *found.frames):
        assert url.startswith(("http://", "https://"))
        assert url.isascii()
        assert not set(url) & set(' \t\r\n#<>"')
        assert absolute(HERE, url) == url
    assert all(isinstance(url, str) for url in (*css(text), *srcset(text), refresh(text)))


@given(SCRAPS, SCRAPS)
def test_absolute_is_total(base: str, url: str) -> None:
    found = absolute(base, url)
    assert found is None or found.startswith(("http://", "https://"))
