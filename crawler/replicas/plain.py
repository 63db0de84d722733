"""An ordinary small website over plain HTTP, with a trap in it: python -P -m crawler.replicas.plain."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import tempfile
from pathlib import Path

from crawler.replicas import media
from crawler.replicas.faults import Faults
from crawler.replicas.server import Answer, Ledger, Replica, Request, serve

PAGES = 30
_DATE = "Sun, 10 Jan 2021 20:00:00 GMT"
#: Every path that belongs to the site and can be reached; the calendar goes on for ever and is none of it.
ASSETS = ("/style.css", "/back.png", "/small.png", "/large.png", "/hidden.png", "/icon.png")


def paths() -> list[str]:
    """Return the paths that a crawl of the site must hold."""
    return [
        "/",
        "/about",
        *(f"/page/{n}" for n in range(PAGES)),
        "/feed.xml",
        "/sitemap.xml",
        "/moved",
        "/only-in-sitemap",
        "/only-in-feed",
        *ASSETS,
    ]


def site(request: Request) -> Answer:
    """Answer a request."""
    path = request.target.split("?")[0]
    base = f"http://{request.headers.get('host', '')}"
    if path == "/robots.txt":
        return Answer(200, f"User-agent: *\nDisallow: /private/\nSitemap: {base}/sitemap.xml\n".encode(), "text/plain")
    if path == "/sitemap.xml":
        entries = "".join(f"<url><loc>{base}{p}</loc></url>" for p in ("/", "/about", "/only-in-sitemap"))
        return Answer(
            200,
            f'<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{entries}</urlset>'.encode(),
            "application/xml",
        )
    if path == "/feed.xml":
        return Answer(
            200,
            f'<?xml version="1.0"?><rss version="2.0"><channel><item><link>{base}/only-in-feed</link></item></channel></rss>'.encode(),
            "application/rss+xml",
        )
    if path == "/moved":
        return Answer(301, b"", headers=(("Location", "/about"),))
    if path == "/style.css":
        return Answer(200, b"@import url('/missing.css'); body { background: url(back.png) }" + b" " * 1200, "text/css")
    if path in ASSETS:
        return Answer(200, media.png(path if path != "/large.png" else "/small.png"), "image/png")
    if re.fullmatch(r"/|/about|/only-in-(?:sitemap|feed)|/private/.*|/page/\d{1,2}|/calendar/.*", path):
        return Answer(200, _page(path).encode(), vary=True)
    return Answer(404, b"<h1>Not here</h1>")


def _page(path: str) -> str:
    links = ["/about", "/moved", "/gone", "/private/diary", "/calendar/2021/01?next=1"]
    if path == "/":
        links += [f"/page/{n}" for n in range(0, PAGES, 3)]
    if found := re.fullmatch(r"/page/(\d+)", path):
        links.append(f"/page/{(int(found[1]) + 1) % PAGES}#top")
    if path.startswith("/calendar/"):
        year, month = (int(x) for x in ([*re.findall(r"\d+", path), "2021", "1"])[:2])
        links.append(f"/calendar/{year + month // 12}/{month % 12 + 1:02d}")
    return (
        f'<!DOCTYPE html><html><head><title>{path}</title><link rel="stylesheet" href="/style.css"><link rel="icon" href="/icon.png">'
        '<link rel="alternate" type="application/rss+xml" href="/feed.xml"></head><body style="background:url(/hidden.png)">'
        '<img src="/small.png" srcset="/small.png 1x, /large.png 2x">'
        + "".join(f'<a href="{link}">{link}</a> ' for link in links)
        + f"<p>{'words ' * 200}</p></body></html>"
    )


def main() -> None:
    """Parse the options and serve until standard input closes."""
    parser = argparse.ArgumentParser(prog="crawler.replicas.plain", description="An ordinary website.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--state", type=Path, default=None)
    parser.add_argument("--faults", default="")
    parser.add_argument("--latency", type=float, default=0.0)
    options = parser.parse_args()
    state = options.state or Path(tempfile.mkdtemp(prefix="outlast-replica-"))
    state.mkdir(parents=True, exist_ok=True)
    replica = Replica(
        site,
        date=lambda: _DATE,
        ledger=Ledger(state / "ledger.jsonl"),
        faults=Faults(options.faults),
        latency=options.latency / 1000,
    )

    def control(_method: str, target: str, _body: bytes) -> bytes | None:
        return json.dumps({"public": {"path": len(paths())}, "paths": paths()}).encode() if target == "/truth" else None

    asyncio.run(
        serve(
            replica,
            port=options.port,
            context=None,
            state=state,
            control=control,
            facts={"hosts": [], "pid": os.getpid()},
        )
    )


if __name__ == "__main__":
    main()
