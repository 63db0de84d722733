"""An ordinary small website over plain HTTP, with a trap in it: python -P -m crawler.replicas.plain."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from crawler.replicas.exchange import Answer, Clock, Request
from crawler.replicas.images import png
from crawler.replicas.launch import launch, parser

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGES = 30
#: Everything that pages need; the calendar goes on for ever and is no part of the site.
ASSETS = ("/style.css", "/back.png", "/small.png", "/large.png", "/hidden.png", "/icon.png")
_PAGE = re.compile(r"/|/about|/only-in-(?:sitemap|feed)|/private/.*|/page/\d{1,2}|/calendar/.*", re.ASCII)
_XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
_CSS = b"@import url('/missing.css');\nbody { background: url(back.png) }\n" + b"p { margin: 0 }\n" * 80


def paths() -> list[str]:
    """Return the paths that a crawl of the site must hold."""
    pages = ["/", "/about", *(f"/page/{n}" for n in range(PAGES)), "/only-in-sitemap", "/only-in-feed"]
    return [*pages, "/moved", "/feed.xml", "/sitemap.xml", *ASSETS]


class PlainSite:
    """Home page, pages, robots.txt, site map, feed, style, pictures, a redirect, dead links and a calendar."""

    hosts: tuple[str, ...] = ()
    stores: frozenset[str] = frozenset()
    methods: frozenset[str] = frozenset({"GET", "HEAD"})
    login = "/private/door"

    def answer(self, request: Request) -> Answer:
        """Answer a request."""
        path, base = request.path, f"http://{request.headers.get('host', '')}"
        match path:
            case "/robots.txt":
                rules = f"User-agent: *\nDisallow: /private/\nSitemap: {base}/sitemap.xml\n"
                return Answer(200, rules.encode(), "text/plain")
            case "/sitemap.xml":
                return Answer(200, _sitemap(base).encode(), "application/xml")
            case "/feed.xml":
                return Answer(200, _feed(base).encode(), "application/rss+xml")
            case "/moved":
                return Answer(301, b"", headers=(("Location", "/about"),))
            case "/style.css":
                return Answer(200, _CSS, "text/css")
        if path in ASSETS:
            return Answer(200, png(path if path != "/large.png" else "/small.png"), "image/png")
        if _PAGE.fullmatch(path):
            return Answer(200, _page(path).encode(), varies=True)
        return Answer(404, b"<h1>Not here</h1>\n")

    def things(self) -> Iterator[dict[str, Any]]:
        """Yield the pages and what they need; URLs without scheme and host."""
        for path in paths():
            yield {"kind": "asset" if path in ASSETS else "page", "id": path, "url": path, "public": True}
        yield {"kind": "page", "id": "/private/diary", "url": "/private/diary", "public": False}

    def facts(self) -> dict[str, Any]:
        """Return the paths that a crawl must hold."""
        return {"paths": paths()}

    def overhead(self) -> dict[str, int]:
        """Return that finding everything costs nothing more."""
        return {}


def _sitemap(base: str) -> str:
    entries = "".join(f"<url><loc>{base}{path}</loc></url>" for path in ("/", "/about", "/only-in-sitemap"))
    return f'{_XML}<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{entries}</urlset>\n'


def _feed(base: str) -> str:
    item = f"<item><title>Tea</title><link>{base}/only-in-feed</link></item>"
    return f'{_XML}<rss version="2.0"><channel><title>Plain</title><link>{base}/</link>{item}</channel></rss>\n'


def _page(path: str) -> str:
    links = "".join(f'<a href="{link}">{link}</a>\n' for link in _links(path))
    return (
        f'<!DOCTYPE html>\n<html><head><title>{path}</title><link rel="stylesheet" href="/style.css">'
        '<link rel="icon" href="/icon.png"><link rel="alternate" type="application/rss+xml" href="/feed.xml"></head>\n'
        '<body style="background:url(/hidden.png)"><img src="/small.png" srcset="/small.png 1x, /large.png 2x">\n'
        f"{links}<p>{'words ' * 200}</p></body></html>\n"
    )


def _links(path: str) -> Iterator[str]:
    yield from ("/about", "/moved", "/gone", "/private/diary", "/calendar/2021/01?next=1")
    if path == "/":
        yield from (f"/page/{n}" for n in range(0, PAGES, 3))
    elif path.startswith("/page/"):
        yield f"/page/{(int(path[6:]) + 1) % PAGES}#top"
    elif path.startswith("/calendar/"):
        found = [int(number[:6]) for number in re.findall(r"[0-9]+", path)]
        year, month = (*found, 2021, 1)[:2] if len(found) != 1 else (found[0], 1)
        yield f"/calendar/{year + month // 12}/{month % 12 + 1:02d}"


def main() -> None:
    """Parse the options and serve until standard input closes."""
    given = parser("plain", "An ordinary website.").parse_args()
    launch(PlainSite(), Clock(given.clock), given)


if __name__ == "__main__":
    main()
