"""A Pixelfed server (as of 2024): python -P -m crawler.replicas.pixelfed.

What its source says it does: timelines and everything under /api/v1 but the instance send strangers to the login; the
directory of the front page goes by opaque cursors, 20 at a time, where the administrator shows it; an account's list
takes at most 24, more is an error, and a list without any bound is empty; a post without a picture is dropped after
paging, so pages are short; a locked account answers 200 with an empty list; comments stand beneath their post alone.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from crawler.replicas.kit import PRIVATE, PlatformSite, as_json, base, html, main, moved, query, route, whole

if TYPE_CHECKING:
    from crawler.replicas.exchange import Answer, Request

_DIRECTORY, _PAGE, _COMMENTS, _EPOCH = 20, 24, 50, 1_549_756_800_000
_VISIBILITY = ("public",) * 7 + ("unlisted", "private", "public")


@dataclass
class Person:
    """Somebody with an account here."""

    id: int
    username: str
    is_locked: bool = False
    posts: list[Picture] = field(default_factory=list)


@dataclass
class Picture:
    """A post, or a comment (``beneath`` another)."""

    id: int
    at: datetime
    person: Person
    visibility: str
    text: str
    files: list[str] = field(default_factory=list)
    beneath: Picture | None = None
    comments: list[Picture] = field(default_factory=list)

    @property
    def is_public(self) -> bool:
        return self.visibility in {"public", "unlisted"} and not self.person.is_locked


class PixelfedSite(PlatformSite):
    """One server and its people."""

    name = "pixelfed"
    title = "A Pixelfed server."
    traps: ClassVar[dict[str, str]] = {
        "unlisted": "the front page shows no directory",
        "closed": "lists of accounts want a login, too; feeds name the latest ten",
        "leak": "posts and comments for followers stand in lists",
    }

    def build(self) -> None:
        """Make the people and their pictures, oldest first."""
        self._at = self.clock.moment - timedelta(days=60)
        self._people = [Person(5000 + n, f"osprey{n}", is_locked=n % 9 == 4) for n in range(max(self.size // 10, 6))]
        self._pictures: dict[int, Picture] = {}
        for number in range(self.size):
            self._post(number)
        for path in ("/css/app.css", "/js/app.js"):
            self.asset(path)
        for person in self._people:
            self._enter(person)
        self.books.listing("directory", len(self._people), _DIRECTORY)
        self.books.listing("instance", 3, 1)  # NodeInfo's claim, the instance, the front page

    def _post(self, number: int) -> None:
        self._at += timedelta(minutes=9 + self.rng.randrange(120))
        person = self._people[0 if number % 3 == 0 else self.rng.randrange(len(self._people))]
        identity = int(self._at.timestamp() * 1000) - _EPOCH << 22 | self.rng.randrange(1 << 22)
        open_posts = [one for one in self._pictures.values() if one.is_public and (one.files or one.beneath)]
        beneath = self.rng.choice(open_posts) if number % 6 == 5 and open_posts and not person.is_locked else None
        visibility = _VISIBILITY[number % len(_VISIBILITY)]
        if beneath is not None:
            visibility = "private" if number % 24 == 11 else "public"
        one = Picture(identity, self._at, person, visibility, "", beneath=beneath)
        one.text = self.says(public=one.is_public)
        if beneath is not None:
            beneath.comments.append(one)
        elif number % 17 != 9:  # else one that lost its picture, and is dropped from lists
            folder = "m/_v2" if one.is_public else PRIVATE
            one.files = [
                self.image(f"/storage/{folder}/{identity:x}{part}.jpg", public=one.is_public)
                for part in range(1 + number % 3)
            ]
        self._pictures[identity] = one
        person.posts.append(one)

    def _enter(self, person: Person) -> None:
        self.books.add("account", person.id, f"/{person.username}", item="Account")
        self.image(f"/storage/avatars/{person.id}.jpg", kind="avatar")
        top = [one for one in person.posts if one.beneath is None and one.is_public]
        for one in person.posts:
            if one.files or one.beneath:
                self.books.add(
                    "reply" if one.beneath else "post", one.id, f"/p/{person.username}/{one.id}",
                    public=one.is_public, item="Post", at=one.at.isoformat(),
                )  # fmt: skip
                if one.is_public and (comments := [comment for comment in one.comments if comment.is_public]):
                    self.books.listing("comments", len(comments), _COMMENTS)
        self.books.listing("statuses", len(top), _PAGE)

    # What it answers

    @route(r"/robots\.txt")
    def robots(self, request: Request) -> Answer:
        return as_json(None, 404)

    @route(r"/\.well-known/nodeinfo")
    def door(self, request: Request) -> Answer:
        rel = "http://nodeinfo.diaspora.software/ns/schema/2.0"
        return as_json({"links": [{"rel": rel, "href": f"{base(request)}/api/nodeinfo/2.0.json"}]})

    @route(r"/api/nodeinfo/2\.0\.json")
    def nodeinfo(self, request: Request) -> Answer:
        usage = {"users": {"total": len(self._people)}, "localPosts": len(self._pictures)}
        return as_json({"version": "2.0", "software": {"name": "pixelfed", "version": "0.12.4"}, "usage": usage})

    @route(r"/api/v1/instance")
    def instance(self, request: Request) -> Answer:
        stats = {"user_count": len(self._people), "status_count": len(self._pictures), "domain_count": 1}
        return as_json({"uri": "osprey.example", "version": "3.5.3 (compatible; Pixelfed 0.12.4)", "stats": stats})

    @route(r"/api/v1/.*")
    def api(self, request: Request) -> Answer:
        return moved(f"{base(request)}/login")

    @route(r"/login")
    def sign_in(self, request: Request) -> Answer:
        return html("Login", "<form></form>")

    @route(r"/api/landing/v1/directory")
    def directory(self, request: Request) -> Answer:
        if "unlisted" in self.trap:
            return self.missing(request)
        start = whole(_opened(query(request).get("cursor", "")), 0)
        shown = self._people[start : start + _DIRECTORY]
        ends = start + _DIRECTORY >= len(self._people)
        cursor = base64.urlsafe_b64encode(f"{start + _DIRECTORY}".encode()).decode()
        following = None if ends else f"{base(request)}/api/landing/v1/directory?cursor={cursor}"
        people = [
            {
                "id": one.id, "name": "An osprey", "username": one.username, "url": f"{base(request)}/{one.username}",
                "avatar": f"{base(request)}/storage/avatars/{one.id}.jpg", "statuses_count": len(one.posts), "bio": "tea",
            }
            for one in shown
        ]  # fmt: skip
        return as_json({
            "data": people, "links": {"first": None, "last": None, "prev": None, "next": following},
            "meta": {"per_page": _DIRECTORY, "next_cursor": None if ends else cursor},
        })  # fmt: skip

    @route(r"/api/pixelfed/v1/accounts/(\d+)")
    def account(self, request: Request, identity: str) -> Answer:
        person = next((one for one in self._people if one.id == int(identity)), None)
        return self.missing(request) if person is None else as_json(self._person(person, request))

    @route(r"/api/pixelfed/v1/accounts/(\d+)/statuses")
    def statuses(self, request: Request, identity: str) -> Answer:
        person = next((one for one in self._people if one.id == int(identity)), None)
        asked = query(request)
        if person is None or "closed" in self.trap:
            return self.missing(request) if person is None else as_json({"error": "Unauthenticated."}, 401)
        if (limit := whole(asked.get("limit"), 9)) > _PAGE:
            return as_json({"message": "The limit may not be greater than 24."}, 422)
        below, leaks = whole(asked.get("max_id"), 0), "leak" in self.trap
        if person.is_locked:
            return as_json([])
        found = [
            one for one in person.posts[::-1] if one.beneath is None and (one.is_public or leaks) and one.id < below
        ]
        return as_json([self._picture(one, request) for one in found[:limit] if one.files])

    @route(r"/api/v2/comments/(\d+)/status/(\d+)")
    def comments(self, request: Request, whose: str, identity: str) -> Answer:
        one = self._pictures.get(int(identity))
        if one is None or not one.is_public or one.person.id != int(whose):
            return self.missing(request)
        leaks = "leak" in self.trap
        found = [self._picture(comment, request) for comment in one.comments[::-1] if comment.is_public or leaks]
        return as_json({"data": found[:_COMMENTS], "meta": {"pagination": {"total": len(found), "links": {}}}})

    @route(r"/p/([a-z0-9]+)/(\d+)")
    def post(self, request: Request, username: str, identity: str) -> Answer:
        one = self._pictures.get(int(identity))
        if one is None or not one.is_public or one.person.username != username:
            return self.missing(request)
        return html(username, f'<post-component status-id="{one.id}"></post-component>', head=self._head())

    @route(r"/([a-z]+\d+)")
    def profile(self, request: Request, username: str) -> Answer:
        person = next((one for one in self._people if one.username == username), None)
        if person is None:
            return self.missing(request)
        body = f'<profile profile-id="{person.id}" profile-username="{username}" profile-layout="metro"></profile>'
        return html(username, "This account is private" if person.is_locked else body, head=self._head())

    @route(r"/users/([a-z0-9]+)\.atom")
    def feed(self, request: Request, username: str) -> Answer:
        person = next((one for one in self._people if one.username == username and not one.is_locked), None)
        if person is None:
            return self.missing(request)
        latest = [one for one in person.posts[::-1] if one.visibility == "public" and one.files][:10]
        entries = "".join(
            f"<entry><id>{one.id}</id><updated>{one.at.isoformat()}</updated>"
            f'<link rel="alternate" href="{base(request)}/p/{username}/{one.id}"/></entry>'
            for one in latest
        )
        page = html("", "")
        body = f'<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom">{entries}</feed>'
        return type(page)(200, body.encode(), "application/atom+xml")

    @route(r"/")
    def home(self, request: Request) -> Answer:
        return html("Ospreys", "<landing></landing>", head=self._head())

    def _head(self) -> str:
        return '<link rel="stylesheet" href="/css/app.css"><script src="/js/app.js"></script>'

    def _person(self, person: Person, request: Request) -> dict[str, Any]:
        here = base(request)
        return {
            "id": str(person.id), "username": person.username, "acct": person.username, "display_name": "An osprey",
            "url": f"{here}/{person.username}", "avatar": f"{here}/storage/avatars/{person.id}.jpg",
            "locked": person.is_locked, "note": "tea", "local": True, "statuses_count": len(person.posts),
            "created_at": "2020-01-01T00:00:00.000000Z",
        }  # fmt: skip

    def _picture(self, one: Picture, request: Request) -> dict[str, Any]:
        here = base(request)
        return {
            "id": str(one.id), "uri": f"{here}/p/{one.person.username}/{one.id}",
            "url": f"{here}/p/{one.person.username}/{one.id}", "visibility": one.visibility, "content": one.text,
            "created_at": one.at.isoformat().replace("+00:00", ".000Z"), "reply_count": sum(comment.is_public for comment in one.comments),
            "in_reply_to_id": str(one.beneath.id) if one.beneath else None, "reblog": None, "sensitive": False,
            "account": self._person(one.person, request), "pf_type": "photo", "local": True, "mentions": [], "tags": [],
            "media_attachments": [
                {"id": str(n), "type": "image", "url": here + path, "preview_url": here + path, "description": None}
                for n, path in enumerate(one.files)
            ],
        }  # fmt: skip


def _opened(cursor: str) -> str:
    try:
        return base64.urlsafe_b64decode(cursor).decode()
    except ValueError:
        return ""


if __name__ == "__main__":
    main(PixelfedSite)
