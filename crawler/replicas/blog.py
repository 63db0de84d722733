"""A small blog whose pages hardly link to one another: python -P -m crawler.replicas.blog.

Most of its posts stand in its paged feed (RFC 5005) or in its site map alone. What clients trip over: the last page
of the feed names itself as the next; drafts are linked and forbidden to robots; a session id follows every link.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from crawler.replicas.exchange import Answer
from crawler.replicas.kit import PRIVATE, PlatformSite, base, html, main, query, route, whole

if TYPE_CHECKING:
    from crawler.replicas.exchange import Request

#: Posts of the front page, of a page of the feed, and of one site map.
_FRONT, _FEED, _MAP = 5, 20, 40
_XML = '<?xml version="1.0" encoding="UTF-8"?>\n'


class BlogSite(PlatformSite):
    """Posts with a picture each."""

    name = "blog"
    title = "A small blog."
    traps: ClassVar[dict[str, str]] = {
        "nofeed": "it has no feed: all stands in its site map", "nomap": "it has no site map: all stands in its feed",
    }  # fmt: skip

    def build(self) -> None:
        """Make the posts, oldest first."""
        at = self.clock.moment - timedelta(days=2 * self.size + 1)
        self._posts: list[tuple[str, datetime, str, str]] = []
        self.asset("/style.css")
        for number in range(self.size):
            at += timedelta(days=1 + number % 3 / 2)
            picture = self.image(f"/pictures/{number}.jpg")
            path = f"/{at:%Y}/{number}-a-post"
            self._posts.append((path, at, self.says(30), picture))
            self.books.add("post", path, path, at=at.isoformat())
        self.books.add("page", "/", "/")
        self.books.add("draft", "/drafts/one", "/drafts/one", public=False)
        self.books.listing("feed", len(self._posts) if "nofeed" not in self.trap else 0, _FEED)
        self.books.listing("map", len(self._posts) if "nomap" not in self.trap else 0, _MAP)
        self.books.listing("maps", 1, 1)

    @route(r"/robots\.txt")
    def robots(self, request: Request) -> Answer:
        rules = "User-agent: *\nDisallow: /drafts/\n"
        rules += f"Sitemap: {base(request)}/sitemap.xml\n" if "nomap" not in self.trap else ""
        return Answer(200, rules.encode(), "text/plain")

    @route(r"/")
    def home(self, request: Request) -> Answer:
        links = "".join(
            f'<a href="{one[0]}?sid=0123456789abcdef0123">{one[2][:20]}</a>\n' for one in self._posts[-_FRONT:]
        )
        return self._page("A blog", f'{links}<a href="/drafts/one">a draft</a>')

    @route(r"/\d{4}/(\d+)-a-post")
    def post(self, request: Request, number: str) -> Answer:
        if int(number) >= len(self._posts):
            return self.missing(request)
        _, at, said, picture = self._posts[int(number)]
        return self._page(
            said[:20], f'<article><time>{at.isoformat()}</time><p>{said}</p><img src="{picture}"></article>'
        )

    @route(r"/drafts/one")
    def draft(self, request: Request) -> Answer:
        return self._page("A draft", f"<p>{PRIVATE}</p>")

    @route(r"/feed\.atom")
    def feed(self, request: Request) -> Answer:
        if "nofeed" in self.trap:
            return self.missing(request)
        part, newest = whole(query(request).get("page"), 1), self._posts[::-1]
        last = max(-(-len(newest) // _FEED), 1)
        here = base(request)
        entries = "".join(
            f'<entry><id>{here}{path}</id><title>{said[:20]}</title><link href="{here}{path}"/>'
            f'<link rel="enclosure" href="{here}{picture}"/><published>{at.isoformat()}</published></entry>\n'
            for path, at, said, picture in newest[(part - 1) * _FEED : part * _FEED]
        )
        following = f'<link rel="next" href="{here}/feed.atom?page={min(part + 1, last)}"/>' if last > 1 else ""
        text = f'{_XML}<feed xmlns="http://www.w3.org/2005/Atom"><title>A blog</title>{following}{entries}</feed>\n'
        return Answer(200, text.encode(), "application/atom+xml")

    @route(r"/sitemap(?:-(\d+))?\.xml")
    def sitemap(self, request: Request, number: str | None) -> Answer:
        if "nomap" in self.trap:
            return self.missing(request)
        here, space = base(request), 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
        if number is None:
            maps = range(-(-len(self._posts) // _MAP))
            named = "".join(f"<sitemap><loc>{here}/sitemap-{n}.xml</loc></sitemap>" for n in maps)
            text = f"{_XML}<sitemapindex {space}>{named}</sitemapindex>\n"
        else:
            start = int(number) * _MAP
            listed = "".join(
                f"<url><loc>{here}{path}</loc><lastmod>{at:%Y-%m-%d}</lastmod></url>"
                for path, at, _, _ in self._posts[start : start + _MAP]
            )
            text = f"{_XML}<urlset {space}>{listed}</urlset>\n"
        return Answer(200, text.encode(), "application/xml")

    def _page(self, title: str, body: str) -> Answer:
        head = '<link rel="stylesheet" href="/style.css">'
        if "nofeed" not in self.trap:
            head += '<link rel="alternate" type="application/atom+xml" href="/feed.atom">'
        return html(title, body, head=head)


if __name__ == "__main__":
    main(BlogSite)
