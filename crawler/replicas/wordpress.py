"""A WordPress site (6.x's REST API as documented, and its pages): python -P -m crawler.replicas.wordpress.

What clients trip over: a page past the end is an error; totals count uploads that are left out of the pages, so that
pages are short before the end; one row of ids for posts, pages and uploads, another for comments; what has a password
stands in lists and in the sitemap, and its page is a form; a type that the API does not show; a large picture is
shown as ``-scaled``, and ``original_image`` names what was uploaded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from crawler.replicas.exchange import Answer
from crawler.replicas.images import jpeg
from crawler.replicas.kit import PRIVATE, PlatformSite, as_json, base, html, main, query, route, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crawler.replicas.exchange import Request

_PAGE, _FEED, _COMMENTS = 100, 10, 4
#: Of twenty posts in turn, what becomes of them.
_STATUS = ("publish",) * 16 + ("private", "draft", "password", "future")
#: Type → the place of its list; the last one is not in the API.
_TYPES = {"post": "posts", "page": "pages", "attachment": "media", "book": "books", "zine": ""}
_TERMS = {"category": "categories", "post_tag": "tags"}


@dataclass
class Thing:
    """A post, a page, an entry of the site's own types, or an upload."""

    id: int
    at: datetime
    type: str
    status: str
    author: int
    path: str
    title: str
    text: str
    terms: dict[str, int] = field(default_factory=dict)
    parent: Thing | None = None
    #: Of an upload: the file as uploaded, as it is shown, and a small one.
    files: tuple[str, str, str] = ("", "", "")
    uploads: list[Thing] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)

    @property
    def is_public(self) -> bool:
        return self.status == "publish" or (self.status == "inherit" and (not self.parent or self.parent.is_public))


@dataclass
class Comment:
    """What somebody says about a post."""

    id: int
    at: datetime
    post: Thing
    text: str
    above: Comment | None = None
    page: int = 1


class WordPressSite(PlatformSite):
    """One site."""

    name = "wordpress"
    title = "A WordPress site."
    traps: ClassVar[dict[str, str]] = {
        "query": "the API answers only under ?rest_route=, as without pretty permalinks",
        "closed": "the API answers 401 rest_not_logged_in",
        "nositemap": "the API answers 403 and there is no sitemap",
        "bare": "there is no sitemap",
        "nousers": "the list of users is closed",
        "leak": "lists show what is private, draft or planned, too",
    }

    def build(self) -> None:
        """Make what there is, oldest first, and enter it in the books."""
        self._is_closed = bool(self.trap & {"closed", "nositemap"})
        self._at, self._next = self.clock.moment - timedelta(days=300), 10
        self._users = {number: f"heron{number}" for number in range(1, 4)}
        self._terms = {"category": {2: "tea", 3: "bread"}, "post_tag": {5: "rain", 6: "lamps"}}
        self._things: dict[int, Thing] = {}
        self._comments: list[Comment] = []
        for path in ("/wp-includes/blocks/style.min.css", "/wp-content/themes/heron/style.css"):
            self.asset(path)
        self._make("page", "publish")
        for number in range(self.size):
            self._make("post", _STATUS[number % len(_STATUS)])
            if number % 15 == 4:
                self._make(("page", "book", "zine")[number // 15 % 3], "publish")
        self._by_path = {thing.path: thing for thing in self._things.values()}
        self._enter()

    def _make(self, kind: str, status: str) -> Thing:
        self._at += timedelta(minutes=25 + self.rng.randrange(300))
        identity = self._next
        self._next += 1 + self.rng.randrange(3)
        thing = Thing(
            identity, self._at, kind, status, 1 + identity % 3, "", self.says(4, public=status == "publish"),
            self.says(30, public=status == "publish"), {"category": 2 + identity % 2, "post_tag": 5 + identity % 2},
        )  # fmt: skip
        mark = PRIVATE if status in {"private", "draft", "future"} else "tea"
        thing.path = f"/{self._at:%Y/%m}/{mark}-{identity}/" if kind == "post" else f"/{kind}-{mark}-{identity}/"
        self._things[identity] = thing
        if kind == "post" and identity % 3:
            for _ in range(1 + identity % 2):
                thing.uploads.append(self._upload(thing))
        if kind == "post":
            for number in range(identity % 7):
                earlier = thing.comments[-1] if number % 3 == 2 else None
                said = Comment(500 + len(self._comments), self._at, thing, self.says(public=thing.is_public), earlier)
                said.page = earlier.page if earlier else 1 + len(thing.comments) // _COMMENTS
                thing.comments.append(said)
                self._comments.append(said)
        return thing

    def written(self) -> list[str]:
        return [str(one.id) for one in self._things.values() if one.type == "post" and one.is_public]

    def edit(self, identity: str) -> None:
        self._things[int(identity)].text = self.says(30)

    def delete(self, identity: str) -> None:
        thing = self._things.pop(int(identity))
        del self._by_path[thing.path]
        self._comments = [one for one in self._comments if one.post is not thing]

    def write(self) -> str:
        thing = self._make("post", "publish")
        self._by_path[thing.path] = thing
        return str(thing.id)

    def _upload(self, parent: Thing) -> Thing:
        identity = self._next
        self._next += 1
        mark = "heron" if parent.is_public else PRIVATE
        stem = f"/wp-content/uploads/{self._at:%Y/%m}/{mark}-{identity}"
        big = identity % 3 == 0
        files = (f"{stem}.jpg", f"{stem}-scaled.jpg" if big else f"{stem}.jpg", f"{stem}-150x120.jpg")
        for number, file in enumerate(dict.fromkeys(files)):
            kind = "preview" if number else "upload"
            is_shown = parent.is_public
            self.file(file, data := jpeg(file), "image/jpeg")
            if file != files[0] or not self._is_closed or is_shown:
                self.books.file(kind, file, data, public=is_shown)
        path = f"{parent.path}{mark}-{identity}/"
        thing = Thing(
            identity,
            self._at,
            "attachment",
            "inherit",
            parent.author,
            path,
            f"{mark} {identity}",
            "",
            {},
            parent,
            files,
        )
        self._things[identity] = thing
        return thing

    def _enter(self) -> None:
        """Enter what can be found: less where the API, or the sitemap, is not there."""
        for thing in self._things.values():
            kind = {"post": "post", "page": "static", "attachment": "attachment"}.get(thing.type, "entry")
            hidden = {"book", "zine"} if "nositemap" in self.trap else {"zine"} if "bare" in self.trap else set()
            is_findable = not self._is_closed if kind == "attachment" else thing.type not in hidden
            if is_findable:
                item = "Media" if kind == "attachment" else "Post"
                at = thing.at.isoformat()
                self.books.add(kind, thing.id, thing.path, public=thing.is_public, item=item, at=at)
        for comment in self._comments:
            is_shown = comment.post.is_public
            self.books.add("comment", f"comment-{comment.id}", public=is_shown, item="Post", at=comment.at.isoformat())
            if comment.page > 1 and is_shown:
                self.books.add("page", self._link(comment), self._link(comment))
        for number, name in self._users.items():
            item = "" if "nousers" in self.trap else "Account"
            self.books.add("account", number, f"/author/{name}/", item=item)
        for taxonomy, terms in self._terms.items():
            for name in terms.values():
                self.books.add("page", f"/{taxonomy}/{name}/", f"/{taxonomy}/{name}/")
        self.books.add("page", "/", "/")
        self._count()

    def _count(self) -> None:
        """Enter what finding everything costs."""
        self.books.listing("door", 2 if "query" in self.trap or self._is_closed else 1, 1)
        self.books.listing("sitemap", 1 if self.trap & {"nositemap", "bare"} else 1 + len(self._sitemaps()), 1)
        if "nositemap" in self.trap:
            self.books.listing("feed", len(self._latest()), _FEED)
        elif not self._is_closed:
            for kind in ("post", "page", "attachment", "book"):
                self.books.listing(kind, len(self._of(kind, hidden=True)), _PAGE)
            self.books.listing("comments", len(self._comments), _PAGE)
            self.books.listing("users and terms", 4, 1)

    def _link(self, comment: Comment) -> str:
        return comment.post.path + (f"comment-page-{comment.page}/" if comment.page > 1 else "")

    def _of(self, kind: str, *, hidden: bool = False) -> list[Thing]:
        """Return the things of a type as its list counts them."""
        everything = [one for one in self._things.values() if one.type == kind]
        if "leak" in self.trap:
            return everything
        return [
            one for one in everything
            if one.is_public or (hidden and (one.status == "password" or kind == "attachment"))
        ]  # fmt: skip

    def _latest(self) -> list[Thing]:
        return [one for one in self._things.values() if one.type == "post" and one.is_public][::-1]

    def _sitemaps(self) -> dict[str, list[str]]:
        named = {
            f"posts-{kind}": [
                one.path for one in self._things.values()
                if one.type == kind and (one.is_public or one.status == "password")
            ]
            for kind in ("post", "page", "book", "zine")
        }  # fmt: skip
        for taxonomy, terms in self._terms.items():
            named[f"taxonomies-{taxonomy}"] = [f"/{taxonomy}/{name}/" for name in terms.values()]
        named["users"] = [f"/author/{name}/" for name in self._users.values()]
        return {name: found for name, found in named.items() if found}

    # The API

    @route(r"/wp-json/(.*)")
    def pretty(self, request: Request, place: str) -> Answer:
        return self.missing(request) if "query" in self.trap else self._api(request, place)

    @route(r"/(?:index\.php)?")
    def home(self, request: Request) -> Answer:
        if (place := query(request).get("rest_route")) is not None:
            return self._api(request, place.strip("/"))
        door = f"{base(request)}/?rest_route=/" if "query" in self.trap else f"{base(request)}/wp-json/"
        headers = () if self._is_closed else (("Link", f'<{door}>; rel="https://api.w.org/"'),)
        latest = "".join(f'<article><a href="{one.path}">{one.title}</a></article>' for one in self._latest()[:10])
        return self._shown("Herons", "home blog", latest, headers)

    def _api(self, request: Request, place: str) -> Answer:
        if self._is_closed:
            is_polite = "closed" in self.trap
            return _error("rest_not_logged_in", 401) if is_polite else _error("rest_forbidden", 403)
        if place == "wp/v2/types":
            types = {"wp_block": "blocks", "nav_menu_item": "menu-items", **_TYPES}
            return as_json({
                slug: {"slug": slug, "rest_base": rest, "rest_namespace": "wp/v2", "taxonomies": list(_TERMS)}
                for slug, rest in types.items() if rest
            })  # fmt: skip
        if place == "wp/v2/taxonomies":
            return as_json({slug: {"slug": slug, "rest_base": rest} for slug, rest in _TERMS.items()})
        if place == "wp/v2/users" and "nousers" in self.trap:
            return _error("rest_user_cannot_view", 401)
        found = self._found(place, base(request))
        if found is None:
            return _error("rest_no_route", 404)
        things, make = found
        return self._listed(request, [one for one in things if _is_within(one, request)], make)

    def _found(self, place: str, here: str) -> tuple[Sequence[Any], Any] | None:
        """Return what a list counts, and what makes an object of one of it; None where there is no such list."""
        for kind, rest in _TYPES.items():
            if rest and place == f"wp/v2/{rest}":
                return self._of(kind, hidden=True), lambda one: self._thing(one, here)
        for taxonomy, rest in _TERMS.items():
            if place == f"wp/v2/{rest}":
                terms = [
                    {"id": number, "name": name, "slug": name, "taxonomy": taxonomy, "link": f"{here}/{taxonomy}/{name}/",
                     "count": 9} for number, name in self._terms[taxonomy].items()
                ]  # fmt: skip
                return terms, dict
        if place == "wp/v2/users":
            return list(self._users), lambda one: self._user(one, here)
        return (self._comments, lambda one: self._comment(one, here)) if place == "wp/v2/comments" else None

    def _listed(self, request: Request, found: Sequence[Any], make: Any) -> Answer:
        """Answer with a page of a list; what strangers may not have is counted, and left out."""
        asked = query(request)
        cap, turned = whole(asked.get("per_page"), 10), whole(asked.get("page"), 1)
        if not 1 <= cap <= _PAGE:
            return _error("rest_invalid_param", 400)
        pages = -(-len(found) // cap)
        if asked.get("order", "desc") == "desc":
            found = found[::-1]
        if turned > max(pages, 1):
            return _error("rest_post_invalid_page_number", 400)
        shown = [
            make(one) for one in found[(turned - 1) * cap : turned * cap]
            if not isinstance(one, Thing | Comment) or _is_shown(one) or ("leak" in self.trap and isinstance(one, Thing))
        ]  # fmt: skip
        return as_json(shown, headers=(("X-WP-Total", str(len(found))), ("X-WP-TotalPages", str(pages))))

    def _thing(self, one: Thing, here: str) -> dict[str, Any]:
        has_password = one.status == "password"
        status = one.status if one.type != "attachment" or one.is_public else "private"
        said: dict[str, Any] = {
            "id": one.id, "date": one.at.isoformat()[:19], "date_gmt": one.at.isoformat()[:19],
            "modified_gmt": one.at.isoformat()[:19], "slug": one.path.strip("/").rpartition("/")[2],
            "status": "publish" if has_password else status, "type": one.type, "link": here + one.path,
            "guid": {"rendered": f"{here}/?p={one.id}"}, "title": {"rendered": one.title}, "author": one.author,
        }  # fmt: skip
        if one.type == "attachment":
            original, shown, small = one.files
            details: dict[str, Any] = {"sizes": {"thumbnail": {"source_url": here + small}}}
            if shown != original:
                details["original_image"] = original.rpartition("/")[2]
            return {**said, "post": one.parent.id if one.parent else None, "mime_type": "image/jpeg",
                    "media_type": "image", "alt_text": "a heron", "media_details": details, "source_url": here + shown}  # fmt: skip
        content = "" if has_password else f"<p>{one.text}</p>{_pictures(one)}"
        return {**said, "content": {"rendered": content, "protected": has_password}, "featured_media": 0, "parent": 0,
                "excerpt": {"rendered": "", "protected": has_password}, "categories": [one.terms.get("category", 2)]}  # fmt: skip

    def _comment(self, one: Comment, here: str) -> dict[str, Any]:
        return {
            "id": one.id, "post": one.post.id, "parent": one.above.id if one.above else 0, "author": 0,
            "author_name": "Otter", "author_url": "", "date_gmt": one.at.isoformat()[:19], "status": "approved",
            "type": "comment", "content": {"rendered": f"<p>{one.text}</p>"},
            "link": f"{here}{self._link(one)}#comment-{one.id}",
        }  # fmt: skip

    def _user(self, number: int, here: str) -> dict[str, Any]:
        name = self._users[number]
        return {"id": number, "name": f"Heron {number}", "slug": name, "url": "", "description": "tea",
                "link": f"{here}/author/{name}/"}  # fmt: skip

    # Pages

    @route(r"/wp-sitemap(-[a-z_-]+)?(?:-1)?\.xml")
    def sitemap(self, request: Request, name: str | None) -> Answer:
        if self.trap & {"nositemap", "bare"}:
            return self.missing(request)
        here, parts = base(request), self._sitemaps()
        if not name:
            inner = "".join(f"<sitemap><loc>{here}/wp-sitemap-{part}-1.xml</loc></sitemap>" for part in parts)
            return _xml(f'<sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{inner}</sitemapindex>')
        inner = "".join(f"<url><loc>{here}{path}</loc></url>" for path in parts.get(name.strip("-"), ()))
        return _xml(f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{inner}</urlset>')

    @route(r"/feed/")
    def feed(self, request: Request) -> Answer:
        turned = max(whole(query(request).get("paged"), 1), 1)
        found = self._latest()[(turned - 1) * _FEED : turned * _FEED]
        if not found:
            return self.missing(request)
        items = "".join(
            f"<item><title>{one.title}</title><link>{base(request)}{one.path}</link>"
            f"<pubDate>{one.at:%a, %d %b %Y %H:%M:%S} +0000</pubDate></item>" for one in found
        )  # fmt: skip
        return _xml(f'<rss version="2.0"><channel><title>Herons</title>{items}</channel></rss>')

    @route(r"/author/([a-z0-9]+)/")
    def author(self, request: Request, name: str) -> Answer:
        number = next((number for number, one in self._users.items() if one == name), 0)
        return (
            self._shown(name, f"archive author author-{name} author-{number}", "") if number else self.missing(request)
        )

    @route(r"/(category|post_tag)/([a-z]+)/")
    def archive(self, request: Request, taxonomy: str, name: str) -> Answer:
        there = name in self._terms[taxonomy].values()
        return self._shown(name, f"archive {taxonomy}", "") if there else self.missing(request)

    @route(r"(/.+?/)(?:comment-page-([0-9]+)/)?")
    def page(self, request: Request, path: str, turned: str | None) -> Answer:
        thing = self._by_path.get(path)
        if thing is None or not (thing.is_public or thing.status == "password"):
            return self.missing(request)
        marks = {"page": f"page page-id-{thing.id}", "attachment": f"attachment attachmentid-{thing.id}"}
        classes = marks.get(thing.type, f"single single-{thing.type} postid-{thing.id}")
        if thing.status == "password":
            form = f'<h1>{thing.title}</h1><form class="post-password-form"><input name="post_password"></form>'
            return self._shown("Protected", classes, form)
        author = self._users[thing.author]
        body = (
            f'<h1>{thing.title}</h1><a class="fn" href="/author/{author}/">{author}</a>'
            f'<time datetime="{thing.at.isoformat()}">then</time><div class="entry-content"><p>{thing.text}</p>'
            f'{_pictures(thing)}</div><ol class="comment-list">{_said(thing, int(turned or 1))}</ol>'
        )
        if not turned and (last := max((one.page for one in thing.comments), default=1)) > 1:
            body += "".join(f'<a href="{path}comment-page-{n}/">more</a>' for n in range(2, last + 1))
        return self._shown(thing.title, classes, body)

    def _shown(self, title: str, classes: str, body: str, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
        head = (
            '<meta name="generator" content="WordPress 6.7.1">'
            '<link rel="stylesheet" href="/wp-includes/blocks/style.min.css?ver=6">'
            '<link rel="stylesheet" href="/wp-content/themes/heron/style.css">'
        )
        places = [one.path for one in self._things.values() if one.type == "page"]
        places += [f"/{taxonomy}/{name}/" for taxonomy, terms in self._terms.items() for name in terms.values()]
        links = "".join(f'<a href="{place}">{place}</a>' for place in places)
        made = html(title, f"<nav>{links}</nav>{body}", head=head.replace("?ver=6", ""))
        marked = made.body.replace(b"<body>", f'<body class="{classes} wp-heron">'.encode())
        return Answer(200, marked, headers=headers, varies=True)


def _is_shown(one: Thing | Comment) -> bool:
    """Say whether what a list counts stands in it, too."""
    return one.post.is_public if isinstance(one, Comment) else one.type != "attachment" or one.is_public


def _pictures(thing: Thing) -> str:
    return "".join(
        f'<img src="{one.files[1]}" srcset="{one.files[2]} 150w, {one.files[1]} 320w" alt="">' for one in thing.uploads
    )


def _said(thing: Thing, turned: int) -> str:
    """Return the comments of a page of comments, answers in a list below what they answer."""
    parts = []
    for one in thing.comments:
        if one.page == turned and one.above is None:
            answers = "".join(_item(other, "") for other in thing.comments if other.above is one)
            parts.append(_item(one, f'<ul class="children">{answers}</ul>' if answers else ""))
    return "".join(parts)


def _item(one: Comment, below: str) -> str:
    return (
        f'<li id="comment-{one.id}" class="comment"><b class="fn">Otter</b><time datetime="{one.at.isoformat()}">then'
        f'</time><div class="comment-content"><p>{one.text}</p></div>{below}</li>'
    )


def _is_within(one: Any, request: Request) -> bool:
    """Say whether a thing lies between the times that are asked for, both of them left out."""
    asked = query(request)
    return not isinstance(one, Thing | Comment) or (
        asked.get("after", "") < one.at.isoformat()[:19] < asked.get("before", "9999")
    )


def _error(code: str, status: int) -> Answer:
    return as_json({"code": code, "message": "No.", "data": {"status": status}}, status)


def _xml(body: str) -> Answer:
    return Answer(200, f'<?xml version="1.0" encoding="UTF-8"?>{body}'.encode(), "text/xml; charset=UTF-8", varies=True)


if __name__ == "__main__":
    main(WordPressSite)
