"""A Ghost site (6.x's Content API as documented, and its pages): python -P -m crawler.replicas.ghost.

What clients trip over: no list holds more than a hundred, whatever is asked; posts for members stand in every list with
the part that is for all; the counts of comments are closed to robots; pages show pictures made smaller, and what was
uploaded is kept beside them as ``name_o.jpg``; tags for the house and posts sent by mail alone stand in no list.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from crawler.replicas.exchange import Answer
from crawler.replicas.images import jpeg
from crawler.replicas.kit import PRIVATE, PlatformSite, as_json, base, html, main, query, route, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crawler.replicas.exchange import Request

_PAGE, _REPLIES, _SITEMAP = 100, 3, 40
_KEY = "22444f78447824223cefc48062"
_VISIBILITY = ("public",) * 6 + ("members", "paid", "tiers", "public")
_BOUND = re.compile(r"published_at:(>=|<)'([^']+)'")


@dataclass
class Writing:
    """A post or a page."""

    id: str
    at: datetime
    slug: str
    kind: str
    visibility: str
    author: int
    text: str
    #: What is for those who pay.
    rest: str = ""
    is_draft: bool = False
    image: str = ""
    file: str = ""
    comments: list[Comment] = field(default_factory=list)


@dataclass
class Comment:
    """What a member says about a post."""

    id: str
    at: datetime
    text: str
    status: str = "published"
    replies: list[Comment] = field(default_factory=list)


class GhostSite(PlatformSite):
    """One site."""

    name = "ghost"
    title = "A Ghost site."
    traps: ClassVar[dict[str, str]] = {
        "nokey": "no page prints a key",
        "closed": "the API answers 401 to the key",
        "leak": "lists give the whole text of posts for members, as old versions did",
    }

    def build(self) -> None:
        """Make what there is, oldest first."""
        self._is_closed = bool(self.trap & {"nokey", "closed"})
        self._at = self.clock.moment - timedelta(days=300)
        self._authors = {n: f"heron{n}" for n in range(1, 4)}
        self._tags = dict(enumerate(("tea", "bread", "rain"), 1))
        self._writings: list[Writing] = []
        self.asset("/assets/built/screen.css")
        for number in range(self.size):
            kind = "page" if number % 12 == 5 else "post"
            self._write(number, kind)
        for n in self._authors:
            self.image(f"/content/images/2020/faces/{n}.gif", kind="image")
        self._enter()

    def _identity(self, number: object) -> str:
        return hashlib.sha256(f"{self.name}/{number}".encode()).hexdigest()[:24]

    def _write(self, number: int, kind: str) -> None:
        self._at += timedelta(minutes=40 + self.rng.randrange(600))
        visibility = _VISIBILITY[number % len(_VISIBILITY)] if kind == "post" else "public"
        is_draft = number % 17 == 11
        one = Writing(
            self._identity(number), self._at, f"{PRIVATE if is_draft else 'tea'}-{number}", kind, visibility,
            1 + number % 3, self.says(20, public=not is_draft), "" if visibility == "public" else self.says(public=False),
            is_draft,
        )  # fmt: skip
        mark = PRIVATE if is_draft else "heron"
        if number % 3 != 1:
            one.image = f"/content/images/{self._at:%Y/%m}/{mark}-{number}.jpg"
            original = one.image.replace(".jpg", "_o.jpg")
            small = one.image.replace("/images/", "/images/size/w600/")
            for path, name in ((one.image, "image"), (original, "original"), (small, "asset")):
                data = jpeg(path)
                self.books.file(name, self.file(path, data, "image/jpeg"), data, public=not is_draft)
        if number % 6 == 0:
            one.file = f"/content/files/{self._at:%Y/%m}/{mark}-{number}.pdf"
            data = f"%PDF-1.4 {one.file}".encode()
            self.books.file("file", self.file(one.file, data, "application/pdf"), data, public=not is_draft)
        if kind == "post" and not is_draft:
            for n in range(number % 4):
                status = "hidden" if number % 10 == 3 and n == 1 else "published"
                said = Comment(
                    self._identity(f"c{number}/{n}"), self._at, self.says(public=status == "published"), status
                )
                said.replies = [
                    Comment(self._identity(f"c{number}/{n}/{m}"), self._at, self.says()) for m in range(number % 6 * (n == 0))
                ]  # fmt: skip
                one.comments.append(said)
        self._writings.append(one)

    def _enter(self) -> None:
        for one in self._writings:
            identity = one.slug if self._is_closed else one.id
            kind = "post" if one.kind == "post" else "static"
            is_shown = not one.is_draft
            self.books.add(kind, identity, f"/{one.slug}/", item="Post", public=is_shown, at=one.at.isoformat())
            if is_shown and kind == "post" and not self._is_closed:
                self._enter_comments(one)
        for n, name in self._authors.items():
            self.books.add("account", n, f"/author/{name}/", item="" if self._is_closed else "Account")
        for name in self._tags.values():
            self.books.add("page", f"/tag/{name}/", f"/tag/{name}/")
        self.books.listing("home", 1, 1)
        if self._is_closed:
            self.books.listing("sitemap", 1 + len(self._sitemaps()), 1)
        else:
            self.books.listing("posts", len(self._of("post")), _PAGE)
            self.books.listing("pages", len(self._of("page")), _PAGE)
            self.books.listing("authors and tags", 2, 1)

    def _enter_comments(self, one: Writing) -> None:
        self.books.listing("comments", len(one.comments), _PAGE)
        for said in one.comments:
            is_shown = said.status == "published"
            for other in (said, *said.replies):
                self.books.add("comment", other.id, item="Post", public=is_shown, at=other.at.isoformat())
            if len(said.replies) > _REPLIES and is_shown:
                self.books.listing("replies", len(said.replies) - _REPLIES, _PAGE)

    def _of(self, kind: str) -> list[Writing]:
        return [one for one in self._writings if one.kind == kind and not one.is_draft]

    def _sitemaps(self) -> dict[str, list[str]]:
        named = {
            "posts": [f"/{one.slug}/" for one in self._of("post")],
            "pages": [f"/{one.slug}/" for one in self._of("page")],
            "authors": [f"/author/{name}/" for name in self._authors.values()],
            "tags": [f"/tag/{name}/" for name in self._tags.values()],
        }
        cut = {}
        for name, found in named.items():
            for turned in range(-(-len(found) // _SITEMAP)):
                part = f"{name}-{turned + 1}" if turned else name
                cut[part] = found[turned * _SITEMAP : (turned + 1) * _SITEMAP]
        return cut

    # What it answers

    @route(r"/robots\.txt")
    def robots(self, request: Request) -> Answer:
        return Answer(200, b"User-agent: *\nDisallow: /members/api/comments/counts/\n", "text/plain")

    @route(r"/ghost/api/content/(posts|pages|authors|tags)/")
    def content(self, request: Request, name: str) -> Answer:
        asked, here = query(request), base(request)
        if asked.get("key") != _KEY or self._is_closed:
            return as_json({"errors": [{"message": "Unknown Content API Key", "type": "UnauthorizedError"}]}, 401)
        if name == "authors":
            made: list[Any] = [
                {"id": str(n), "slug": slug, "name": "A heron", "bio": "tea", "url": f"{here}/author/{slug}/",
                 "profile_image": f"{here}/content/images/size/w100/2020/faces/{n}.gif"}
                for n, slug in self._authors.items()
            ]  # fmt: skip
        elif name == "tags":
            made = [
                {"id": str(n), "slug": slug, "name": slug, "url": f"{here}/tag/{slug}/", "count": {"posts": 4}}
                for n, slug in self._tags.items()
            ]
        else:
            found = [one for one in self._of(name[:-1]) if _is_within(one.at, asked.get("filter", ""))]
            made = [self._writing(one, here) for one in (found if "asc" in asked.get("order", "") else found[::-1])]
        return self._listed(name, made, asked)

    def _listed(self, name: str, made: Sequence[Any], asked: dict[str, str]) -> Answer:
        limit = asked.get("limit", "15")
        cap = _PAGE if limit == "all" else min(max(whole(limit, 15), 1), _PAGE)
        turned = max(whole(asked.get("page"), 1), 1)
        pages = max(-(-len(made) // cap), 1)
        paging = {"page": turned, "limit": cap, "pages": pages, "total": len(made),
                  "next": turned + 1 if turned < pages else None, "prev": turned - 1 or None}  # fmt: skip
        return as_json({name: made[(turned - 1) * cap : turned * cap], "meta": {"pagination": paging}})

    def _writing(self, one: Writing, here: str) -> dict[str, Any]:
        has_access = one.visibility == "public"
        said: dict[str, Any] = {
            "id": one.id, "uuid": one.id, "title": one.slug, "slug": one.slug, "html": self._markup(one, here),
            "comment_id": one.id, "feature_image": here + one.image if one.image else None, "visibility": one.visibility,
            "published_at": f"{one.at:%Y-%m-%dT%H:%M:%S}.000+00:00", "url": f"{here}/{one.slug}/", "access": has_access,
            "primary_author": {"id": str(one.author), "slug": self._authors[one.author]},
            "tags": [{"name": self._tags[1 + one.author % 3]}],
        }  # fmt: skip
        if "leak" in self.trap and not has_access:
            said["html"] += f"<p>{one.rest}</p>"
            del said["access"]
        return said

    def _markup(self, one: Writing, here: str) -> str:
        """Return the part of a text that is for all; pictures in it are made smaller."""
        small = one.image.replace("/images/", "/images/size/w600/")
        image = f'<img src="{here}{one.image}" srcset="{here}{small} 600w" alt="">' if one.image else ""
        return f"<p>{one.text}</p>{image}" + (f'<a href="{here}{one.file}">tea.pdf</a>' if one.file else "")

    @route(r"/members/api/comments/post/([0-9a-f]+)/")
    def comments(self, request: Request, identity: str) -> Answer:
        one = next((one for one in self._writings if one.id == identity and not one.is_draft), None)
        if one is None:
            return as_json({"errors": [{"type": "NotFoundError"}]}, 404)
        return self._listed("comments", [_comment(said) for said in one.comments], query(request))

    @route(r"/members/api/comments/([0-9a-f]+)/replies/")
    def replies(self, request: Request, identity: str) -> Answer:
        said = next((said for one in self._writings for said in one.comments if said.id == identity), None)
        if said is None or said.status != "published":
            return as_json({"errors": [{"type": "NotFoundError"}]}, 404)
        asked = query(request)
        last = re.search(r"id:>'([0-9a-f]+)'", asked.get("filter", ""))
        ids = [other.id for other in said.replies]
        start = ids.index(last[1]) + 1 if last and last[1] in ids else 0
        return self._listed("comments", [_comment(other) for other in said.replies[start:]], asked)

    @route(r"/sitemap(?:-([a-z0-9-]+))?\.xml")
    def sitemap(self, request: Request, name: str | None) -> Answer:
        here, parts, kind = base(request), self._sitemaps(), 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
        if name is None:
            inner = "".join(f"<sitemap><loc>{here}/sitemap-{part}.xml</loc></sitemap>" for part in parts)
            body = f"<sitemapindex {kind}>{inner}</sitemapindex>"
        else:
            changed = {f"/{one.slug}/": one.at.isoformat() for one in self._writings}
            inner = "".join(
                f"<url><loc>{here}{path}</loc>{f'<lastmod>{changed[path]}</lastmod>' if path in changed else ''}</url>"
                for path in parts.get(name, ())
            )
            body = f"<urlset {kind}>{inner}</urlset>"
        return Answer(
            200, f'<?xml version="1.0" encoding="utf-8"?>{body}'.encode(), "text/xml; charset=utf-8", varies=True
        )

    @route(r"/")
    def home(self, request: Request) -> Answer:
        return self._shown(request, "Herons", "")

    @route(r"/(author|tag)/([a-z0-9]+)/")
    def archive(self, request: Request, kind: str, name: str) -> Answer:
        names = self._authors if kind == "author" else self._tags
        numbers = [n for n, one in names.items() if one == name]
        if not numbers:
            return self.missing(request)
        face = f'<img src="/content/images/size/w100/2020/faces/{numbers[0]}.gif">' if kind == "author" else ""
        return self._shown(request, name, face)

    @route(r"/content/images/size/w100/(.+\.gif)")
    def face(self, request: Request, path: str) -> Answer:
        data, content_type = self._files[f"/content/images/{path}"]
        return Answer(200, data, content_type)

    @route(r"/([A-Za-z]+-[0-9]+)/")
    def page(self, request: Request, slug: str) -> Answer:
        one = next((one for one in self._writings if one.slug == slug and not one.is_draft), None)
        if one is None:
            return self.missing(request)
        more = (
            "" if one.visibility == "public" else '<aside class="gh-post-upgrade-cta">This post is for members</aside>'
        )
        head = f'<meta property="article:published_time" content="{one.at:%Y-%m-%dT%H:%M:%S}.000Z">'
        head += f'<link rel="canonical" href="{base(request)}/{slug}/">'
        return self._shown(request, slug, f"<article>{self._markup(one, '')}{more}</article>", head)

    def _shown(self, request: Request, title: str, body: str, head: str = "") -> Answer:
        script = f'<script defer src="/assets/built/search.js" data-key="{_KEY}" data-sodo-search="{base(request)}/"></script>'
        head += '<meta name="generator" content="Ghost 6.2"><link rel="stylesheet" href="/assets/built/screen.css">'
        return html(title, body, head=head + ("" if "nokey" in self.trap else script))


def _comment(one: Comment) -> dict[str, Any]:
    is_shown = one.status == "published"
    return {
        "id": one.id, "status": one.status, "html": f"<p>{one.text}</p>" if is_shown else None,
        "created_at": f"{one.at:%Y-%m-%dT%H:%M:%S}.000Z", "edited_at": None,
        "member": {"uuid": "u1", "name": "Otter", "avatar_image": ""} if is_shown else None,
        "replies": [_comment(other) for other in one.replies[:_REPLIES]] if is_shown else [],
        "count": {"replies": len(one.replies) if is_shown else 0, "likes": 0},
    }  # fmt: skip


def _is_within(at: datetime, asked: str) -> bool:
    stamp = f"{at:%Y-%m-%d %H:%M:%S}"
    return all(stamp >= bound if mark == ">=" else stamp < bound for mark, bound in _BOUND.findall(asked))


if __name__ == "__main__":
    main(GhostSite)
