"""A Lemmy server (0.19's API, from its source; others as traps): python -P -m crawler.replicas.lemmy.

What clients trip over: more than 50 a page is an error and no clamp, errors have status 400 and a name; posts go by
cursor and comments by number; since 1.0 all goes by cursors that are shuffled, words are in another case, and times
have another name; nobody lists people before that; what was taken away stays in the list of comments, blank; people say
things in communities of other servers, and people of other servers in ours; a community can be for those who have
logged in; posts and comments are numbered apart.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from crawler.replicas.kit import PRIVATE, PlatformSite, as_json, base, html, main, query, route, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crawler.replicas.exchange import Answer, Request

_PAGE, _DEEP = 50, 8
#: The server's own order of the characters of a cursor.
_SHUFFLED = str.maketrans(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnmMNBVCXZLKJHGFDSAPOIUYTREWQ"
)
_BACK = {value: key for key, value in _SHUFFLED.items()}
#: Of so many questions one is refused, where there are limits.
_TURN = 40


@dataclass
class Person:
    """Somebody with an account here, or elsewhere."""

    id: int
    name: str
    host: str = ""


@dataclass
class Place:
    """A community."""

    id: int
    name: str
    host: str = ""
    visibility: str = "Public"


@dataclass
class Said:
    """A post, or (``beneath`` one) a comment."""

    id: int
    at: datetime
    person: Person
    place: Place
    text: str
    gone: str = ""
    files: list[str] = field(default_factory=list)
    thumbnail: str = ""
    beneath: Said | None = None
    path: str = "0"
    is_public: bool = True

    @property
    def is_ours(self) -> bool:
        return not (self.person.host and self.place.host)


class LemmySite(PlatformSite):
    """One server, its communities and people, and a few from elsewhere."""

    name = "lemmy"
    title = "A Lemmy server."
    traps: ClassVar[dict[str, str]] = {
        "old": "0.18: posts go by number, too",
        "new": "1.0: another API, cursors for everything, and the one before is gone",
        "private": "the server is for those who have logged in",
        "leak": "what was taken away, and what was said in a closed community, is handed out",
        "limited": "one question in forty is refused with status 400 and a name",
    }

    def build(self) -> None:
        """Make the communities, the people and what they said, oldest first."""
        self._at, self._asked = self.clock.moment - timedelta(days=40), 0
        self._places = [Place(1 + n, f"pond{n}") for n in range(max(self.size // 25, 3))]
        self._places[1].visibility = "LocalOnlyPrivate" if "new" in self.trap else "LocalOnly"
        far = Place(900, "lake", host="elsewhere.example")
        self._people = [Person(1 + n, f"heron{n}") for n in range(max(self.size // 12, 5))]
        strangers = [Person(800 + n, f"otter{n}", host="elsewhere.example") for n in range(3)]
        self._posts: list[Said] = []
        self._comments: list[Said] = []
        for path in ("/css/themes/litely.css", "/static/js/client.js"):
            self.asset(path)
        for number in range(self.size):
            self._at += timedelta(minutes=7 + self.rng.randrange(40))
            everybody = strangers if number % 8 == 5 else self._people[:-1]
            person = self.rng.choice(everybody) if number % 4 else self._people[0]
            if number % 3 == 0 or not self._posts:
                place = far if number % 5 == 1 else self.rng.choice(self._places)
                self._post(number, person, place)
            else:
                self._comment(number, person)
        self._enter()

    def _may(self, place: Place, gone: str) -> bool:
        return "private" not in self.trap and place.visibility == "Public" and not gone

    def _post(self, number: int, person: Person, place: Place) -> None:
        gone = {7: "deleted", 9: "removed"}.get(number % 21, "")
        one = Said(len(self._posts) + 1, self._at, person, place, "", gone=gone, is_public=self._may(place, gone))
        one.text = self.says(public=one.is_public)
        folder = "" if one.is_public else PRIVATE
        if number % 2 == 0:
            one.files = [
                self.image(f"/pictrs/image/{folder}{one.id}-{part}.jpg", public=one.is_public)
                for part in range(1 + number % 3)
            ]
            thumbnail = f"/pictrs/image/{folder}thumbnail-{one.id}.jpg"
            one.thumbnail = self.image(thumbnail, kind="preview", public=one.is_public)
        self._posts.append(one)

    def _comment(self, number: int, person: Person) -> None:
        beneath = self._posts[-1] if number % 2 else self.rng.choice(self._posts)
        talk = next((one for one in self._posts if one.is_public and one.is_ours), beneath)
        beneath = talk if number % 5 == 2 else beneath
        thread = [one for one in self._comments if one.beneath is beneath and not one.gone]
        gone = {4: "deleted", 11: "removed"}.get(number % 22, "")
        if person.host and beneath.place.host:
            person = self._people[0]
        is_public = beneath.is_public and self._may(beneath.place, gone)
        goes_on = bool(thread) and (number % 4 > 0 or beneath is talk) and thread[-1].path.count(".") < 20
        above = thread[-1].path if goes_on else "0"
        identity = len(self._comments) + 1
        one = Said(
            identity, self._at, person, beneath.place, self.says(public=is_public), gone=gone, beneath=beneath,
            path=f"{above}.{identity}", is_public=is_public,
        )  # fmt: skip
        if number % 10 == 8:
            folder = "" if is_public else PRIVATE
            one.files = [self.image(f"/pictrs/image/{folder}c{one.id}.jpg", public=is_public)]
        self._comments.append(one)

    def _enter(self) -> None:
        is_open = "private" not in self.trap
        for person in self._people:
            # Nobody meets who said nothing, or nothing that strangers may read, unless people can be listed.
            theirs = [one for one in (*self._posts, *self._comments) if one.person is person and one.is_public]
            is_met = is_open and bool(theirs or "new" in self.trap or person is self._people[0])
            self.books.add("account", person.id, f"/u/{person.name}", item="Account", public=is_met)
            self.image(f"/pictrs/image/{'' if is_met else PRIVATE}avatar{person.id}.jpg", kind="avatar", public=is_met)
            if is_met:
                by_kind = [sum(one.beneath is None for one in theirs), sum(one.beneath is not None for one in theirs)]
                self.books.listing("person", sum(by_kind) if "new" in self.trap else max(by_kind), _PAGE)
        for one in filter(lambda one: one.is_ours, (*self._posts, *self._comments)):
            kind = "comment" if one.beneath else "post"
            is_shown = one.beneath is None or one.path.count(".") > _DEEP or not one.beneath.is_ours
            self.books.add(
                "reply" if one.beneath else "post", f"comment-{one.id}" if one.beneath else one.id,
                f"/{kind}/{one.id}" if is_shown else "", public=one.is_public, item="Post", at=one.at.isoformat(),
            )  # fmt: skip
        for place in self._places:
            is_seen = is_open and place.visibility == "Public"
            self.books.add("community", place.name, f"/c/{place.name}", public=is_seen)
        self.books.listing("instance", 4, 1)  # the site, NodeInfo and its door, the front page
        if is_open:
            self.books.listing("posts", len(self._shown(self._posts)), _PAGE)
            self.books.listing("comments", len(self._shown(self._comments)), _PAGE)
            self.books.listing("communities", len(self._places), _PAGE)

    # What it answers

    def answer(self, request: Request) -> Answer:
        """Answer a request: errors have names, and mostly one status."""
        if not request.path.startswith("/api/"):
            return super().answer(request)
        self._asked += 1
        if "limited" in self.trap and self._asked % _TURN == 0:
            return self._error("rate_limit_error")
        if request.path.startswith("/api/v3" if "new" in self.trap else "/api/v4"):
            return self.missing(request)
        if "private" in self.trap and not request.path.endswith("/site"):
            return self._error("instance_is_private")
        return super().answer(request)

    @route(r"/\.well-known/nodeinfo")
    def door(self, request: Request) -> Answer:
        rel = "http://nodeinfo.diaspora.software/ns/schema/2.1"
        return as_json({"links": [{"rel": rel, "href": f"{base(request)}/nodeinfo/2.1"}]})

    @route(r"/nodeinfo/2\.1")
    def nodeinfo(self, request: Request) -> Answer:
        posts, comments = (
            sum(not one.person.host and not one.gone for one in said) for said in (self._posts, self._comments)
        )
        usage = {"users": {"total": len(self._people)}, "localPosts": posts, "localComments": comments}
        return as_json({"version": "2.1", "software": {"name": "lemmy", "version": self._version()}, "usage": usage})

    def _version(self) -> str:
        return "1.0.0" if "new" in self.trap else "0.18.5" if "old" in self.trap else "0.19.11"

    @route(r"/api/v[34]/site")
    def site(self, request: Request) -> Answer:
        local = {"private_instance": "private" in self.trap}
        admins = (
            [] if "private" in self.trap else [{"person": self._person(self._people[0], request), "is_admin": True}]
        )
        view = {"site": {"name": "Herons", "icon": None}, "local_site": local}
        return as_json({"site_view": view, "admins": admins, "version": self._version()})

    @route(r"/api/v[34]/(post|comment)/list")
    def listing(self, request: Request, kind: str) -> Answer:
        said, asked = self._posts if kind == "post" else self._comments, query(request)
        found = self._shown(said)
        if name := asked.get("community_name"):
            found = [one for one in found if one.place.name == name]
        return self._paged(request, found, f"{kind}s")

    @route(r"/api/v[34]/community/list")
    def communities(self, request: Request) -> Answer:
        views = [{"community": self._place(one, request)} for one in self._places if self._lists(one)]
        return self._pages(request, views, "communities")

    @route(r"/api/v4/person/list")
    def people(self, request: Request) -> Answer:
        views = [{"person": self._person(one, request), "is_admin": False} for one in self._people]
        return self._pages(request, views, "persons")

    @route(r"/api/v4/person/content")
    def content(self, request: Request) -> Answer:
        identity = whole(query(request).get("person_id"), 0)
        theirs = [one for one in self._all_of(identity) if self._hands_out(one)]
        return self._paged(request, theirs, "content")

    @route(r"/api/v3/user|/api/v4/person")
    def person(self, request: Request) -> Answer:
        asked = query(request)
        identity, name = whole(asked.get("person_id"), 0), asked.get("username")
        found = next((one for one in self._people if one.id == identity or one.name == name), None)
        if found is None:
            return self._error("couldnt_find_person")
        view = {"person": self._person(found, request), "counts": {"post_count": 3, "comment_count": 5}}
        theirs = [one for one in self._all_of(found.id) if self._hands_out(one)]
        limit = whole(asked.get("limit"), 10)
        start = (whole(asked.get("page"), 1) - 1) * limit
        both = [[one for one in theirs if bool(one.beneath) is is_comment] for is_comment in (False, True)]
        if "new" in self.trap:
            return as_json({"person_view": view})
        posts, comments = ([self._view(one, request) for one in some[start : start + limit]] for some in both)
        return as_json({"person_view": view, "posts": posts, "comments": comments, "moderates": []})

    @route(r"/(post|comment)/(\d+)")
    def said_page(self, request: Request, kind: str, identity: str) -> Answer:
        said = self._posts if kind == "post" else self._comments
        one = said[int(identity) - 1] if 0 < int(identity) <= len(said) else None
        return self._page(one.text) if one and one.is_public else self._no_page()

    @route(r"/u/([a-z0-9]+)")
    def person_page(self, request: Request, name: str) -> Answer:
        return self._page(name) if any(one.name == name for one in self._people) else self._no_page()

    @route(r"/c/([a-z0-9]+)")
    def place_page(self, request: Request, name: str) -> Answer:
        is_seen = any(one.name == name and one.visibility == "Public" for one in self._places)
        return self._page(name) if is_seen else self._no_page()

    @route(r"/")
    def home(self, request: Request) -> Answer:
        return self._page("Herons")

    def _page(self, title: str, status: int = 200) -> Answer:
        needs = '<link rel="stylesheet" href="/css/themes/litely.css"><script src="/static/js/client.js"></script>'
        return html("Herons", f'<div id="app" class="lemmy-site">{title}</div>', status=status, head=needs)

    def _no_page(self) -> Answer:
        return self._page("There was an error", 404)

    def _error(self, name: str, status: int = 400) -> Answer:
        return as_json({"error": name}, status)

    def _hands_out(self, one: Said) -> bool:
        """Say whether a listing has something: comments that were taken away stay in it, blank."""
        is_blank = one.beneath is not None and one.beneath.is_public and one.place.visibility == "Public"
        return one.is_public or "leak" in self.trap or is_blank

    def _lists(self, place: Place) -> bool:
        return place.visibility == "Public" or "leak" in self.trap

    def _shown(self, said: Sequence[Said]) -> list[Said]:
        """Return what was said in the communities of this server, newest first."""
        return [one for one in said[::-1] if not one.place.host and self._hands_out(one)]

    def _all_of(self, identity: int) -> list[Said]:
        said = [one for one in (*self._posts, *self._comments) if one.person.id == identity]
        return sorted(said, key=lambda one: one.at, reverse=True)

    def _paged(self, request: Request, said: Sequence[Said], name: str) -> Answer:
        limit, start = self._asked_for(request)
        if limit > _PAGE:
            return self._error("invalid_fetch_limit" if "new" in self.trap else f"couldnt_get_{name}")
        views = [self._view(one, request) for one in said[start : start + limit]]
        return self._listed(views, start + limit, len(said), name)

    def _pages(self, request: Request, views: list[dict[str, Any]], name: str) -> Answer:
        limit, start = self._asked_for(request)
        if limit > _PAGE:
            return self._error("invalid_fetch_limit")
        return self._listed(views[start : start + limit], start + limit, len(views), name)

    def _asked_for(self, request: Request) -> tuple[int, int]:
        asked = query(request)
        limit = whole(asked.get("limit"), 10)
        if cursor := asked.get("page_cursor"):
            return limit, _opened(cursor)
        return limit, (max(whole(asked.get("page"), 1), 1) - 1) * limit

    def _listed(self, views: list[dict[str, Any]], end: int, count: int, name: str) -> Answer:
        cursor = base64.b64encode(f"heron {end}".encode()).decode().translate(_SHUFFLED)
        if "new" in self.trap:
            return as_json({"items": views, **({"next_page": cursor} if end < count else {})})
        has_cursor = name == "posts" and "old" not in self.trap and views
        return as_json({name: views, **({"next_page": cursor} if has_cursor else {})})

    def _time(self, when: datetime) -> dict[str, str]:
        name = "published_at" if "new" in self.trap else "published"
        return {name: when.isoformat().replace("+00:00", "Z")}

    def _view(self, one: Said, request: Request) -> dict[str, Any]:
        counts = {"score": 3, "upvotes": 4, "downvotes": 1, "comments" if one.beneath is None else "child_count": 0}
        is_blank = bool(one.gone) and "leak" not in self.trap
        beside = {"creator": self._person(one.person, request), "community": self._place(one.place, request)}
        thing: dict[str, Any] = {
            "id": one.id, **self._time(one.at), "local": not one.person.host, "deleted": one.gone == "deleted",
            "removed": one.gone == "removed", "ap_id": f"{base(request)}/x/{one.id}",
        }  # fmt: skip
        pictures = [f"![a heron]({base(request)}{path}?format=webp)" for path in one.files[one.beneath is None :]]
        said = " ".join([one.text, *pictures])
        if one.beneath is None:
            url = base(request) + one.files[0] if one.files else "https://elsewhere.example/tea"
            thumbnail = {"thumbnail_url": base(request) + one.thumbnail} if one.thumbnail else {}
            thing |= {"name": one.text, "body": said, "url": url, "nsfw": False, **thumbnail}
            view = {"post": thing}
        else:
            thing |= {"content": "" if is_blank else said, "path": one.path, "post_id": one.beneath.id}
            view = {"comment": thing, "post": self._view(one.beneath, request)["post"]}
        if "new" in self.trap:
            thing |= counts
            return {"type_": "comment" if one.beneath else "post", **view, **beside}
        return {**view, **beside, "counts": counts}

    def _person(self, person: Person, request: Request) -> dict[str, Any]:
        here = f"https://{person.host}" if person.host else base(request)
        return {
            "id": person.id, "name": person.name, "display_name": "A heron", "local": not person.host, "bio": "tea",
            "avatar": f"{base(request)}/pictrs/image/avatar{person.id}.jpg", "deleted": False, "bot_account": False,
            "ap_id" if "new" in self.trap else "actor_id": f"{here}/u/{person.name}",
            **self._time(self.clock.moment - timedelta(days=300)),
        }  # fmt: skip

    def _place(self, place: Place, request: Request) -> dict[str, Any]:
        title = f"{PRIVATE} pond" if place.visibility != "Public" else "A pond"
        return {
            "id": place.id, "name": place.name, "title": title, "local": not place.host, "removed": False,
            "deleted": False, "visibility": place.visibility, "icon": None,
        }  # fmt: skip


def _opened(cursor: str) -> int:
    try:
        return whole(base64.b64decode(cursor.translate(_BACK)).decode().rpartition(" ")[2], 0)
    except ValueError:
        return 0


if __name__ == "__main__":
    main(LemmySite)
