"""The JSON API v1, which wants the cookies of somebody logged in: newest first, paged by time and counter."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from crawler.replicas.exchange import Answer, Request
from crawler.replicas.parler.cards import short
from crawler.replicas.permute import keyed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from crawler.replicas.parler.cards import Cards
    from crawler.replicas.parler.files import Files
    from crawler.replicas.parler.people import User
    from crawler.replicas.parler.world import Comment, Post, World

LIMIT = 20
#: The counter in a paging key runs ahead of that of posts.
_AHEAD = 470_000_000
_COOKIE = re.compile(r"(\w+)=([^;\s]+)")


def cookies(seed: int, turn: int = 0) -> dict[str, str]:
    """Return what a browser holds that is logged in: ``mst`` for months, ``jst`` until the next answer renews it."""
    return {"mst": f"s:{_mac(seed, 'mst')}", "jst": f"{turn}:{_mac(seed, 'jst', turn)}"}


def refusal(status: int, message: str) -> Answer:
    """Return an error as the API puts it."""
    body = json.dumps({"message": message, "fieldvalidationsMap": []}, separators=(",", ":"))
    return Answer(status, body.encode(), "application/json")


NO_RESOURCE = refusal(404, "No resource for URL")


class Api:
    """Answers below ``/v1``."""

    def __init__(self, world: World, files: Files, cards: Cards) -> None:
        self._world = world
        self._files = files
        self._cards = cards

    def answer(self, request: Request) -> Answer:
        """Answer a request; 401 for strangers."""
        given = dict(_COOKIE.findall(request.headers.get("cookie", "")))
        turn, _, mac = given.get("jst", "").partition(":")
        seed = self._world.seed
        if not turn.isdecimal() or given.get("mst") != cookies(seed)["mst"] or mac != _mac(seed, "jst", int(turn)):
            return refusal(401, "Unauthorized")
        parts = urlsplit(request.target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        try:
            data = self._data(parts.path.removeprefix("/v1"), query)
        except ValueError as e:
            return refusal(400, str(e))
        if data is None:
            return NO_RESOURCE
        renewed = f"jst={cookies(seed, int(turn) + 1)['jst']}; Path=/; Secure; HttpOnly"
        body = json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()
        return Answer(200, body, "application/json; charset=utf-8", (("Set-Cookie", renewed),))

    def _data(self, path: str, query: dict[str, str]) -> dict[str, Any] | None:
        match path:
            case "/post" if (post := self._world.with_id(query.get("id", ""))) is not None:
                return {"post": self._post(post), "postRefs": [], **self._beside([post])}
            case "/post/creator" if (user := self._user(query)) is not None:
                return self._paged(self._world.of(user), query)
            case "/discover/posts" | "/feed":
                return self._paged(self._latest(query), query)
            case "/comment" if (post := self._world.with_id(query.get("id", ""))) is not None:
                said = [one for comment in post.comments for one in (comment, *comment.replies)]
                people = {one.author.number: self._person(one.author) for one in said}
                comments = [self._comment(comment, post) for comment in said]
                return {"comments": comments, "users": [*people.values()], "urls": [], **_last()}
            case "/profile" if (user := self._user(query)) is not None:
                return self._person(user)
        return None

    def _user(self, query: dict[str, str]) -> User | None:
        people = self._world.people
        user = people.named(query["username"]) if "username" in query else people.with_id(query.get("id", ""))
        return None if user is None or user.is_private else user

    def _latest(self, query: dict[str, str]) -> Iterator[Post]:
        numbers = range(self._before(query.get("startkey", "")), 0, -1)
        return (post for number in numbers if (post := self._world.post_at(number)) is not None)

    def _before(self, key: str) -> int:
        """Return the highest number of the counter that a paging key lets through. Raises ValueError for no key."""
        if not key:
            return self._world.last
        moment, _, counter = key.partition("_")
        if int(counter) > _AHEAD:
            return min(int(counter) - _AHEAD, self._world.last)
        return self._world.newest_before(datetime.fromisoformat(moment))

    def _paged(self, posts: Iterable[Post], query: dict[str, str]) -> dict[str, Any]:
        """Return a page of posts, newest first, from the key on."""
        before = self._before(query.get("startkey", ""))
        found = list(islice((post for post in posts if post.number <= before), LIMIT + 1))
        page, following = found[:LIMIT], found[LIMIT:]
        keys = {"next": _key(following[0])} if following else {}
        return {
            "badge": 0, "badgeString": "0", "pendingFollowers": "0",
            **_last(), "last": not following, "prev": _key(page[0]) if page else "", **keys,
            "posts": [self._post(post) for post in page], "postRefs": [], **self._beside(page),
        }  # fmt: skip

    def _beside(self, posts: list[Post]) -> dict[str, Any]:
        people = {post.author.number: post.author for post in posts}
        return {
            "users": [self._person(user) for user in people.values()],
            "urls": [self._link(post, slide) for post in posts for slide in range(_links(post))],
        }

    def _post(self, post: Post) -> dict[str, Any]:
        echoes = [self._world.post(number).hex for number in post.echoes]
        comments, echoed, upvotes = (short(count) for count in post.counts)
        return {
            "_id": post.hex, "id": post.hex, "creator": post.author.hex, "body": post.shown,
            "preview": post.shown[:120], "createdAt": f"{post.created:%Y%m%d%H%M%S}", "@": {},
            "hashtags": re.findall(r"#(\w+)", post.text),
            "links": [self._short(post, slide) for slide in range(_links(post))],
            "parent": echoes[0] if echoes else None, "root": echoes[1] if len(echoes) > 1 else None,
            "depth": str(len(echoes)), "depthRaw": len(echoes), "comments": comments, "reposts": echoed,
            "upvotes": upvotes, "impressions": short(post.impressions), "article": False,
            "sensitive": post.is_sensitive, "state": 0 if post.is_deleted else 4, "shareLink": post.url,
            "isPrimary": True, "reposted": False, "voted": "", "color": "", "trolling": False,
        }  # fmt: skip

    def _comment(self, comment: Comment, post: Post) -> dict[str, Any]:
        replies, downvotes, upvotes = (short(count) for count in comment.counts)
        return {
            "_id": comment.hex, "id": comment.hex, "creator": comment.author.hex, "body": comment.text,
            "createdAt": f"{comment.created:%Y%m%d%H%M%S}", "post": post.hex, "conversation": post.hex,
            "comments": replies, "downvotes": downvotes, "upvotes": upvotes, "links": [], "controversy": "0",
        }  # fmt: skip

    def _person(self, user: User) -> dict[str, Any]:
        followers = keyed(self._world.seed, "followers", user.number)
        return {
            "_id": user.hex, "id": user.hex, "username": user.username, "name": user.name, "bio": user.bio,
            "joined": f"{user.joined:%Y%m%d%H%M%S}", "profilePhoto": user.hex if user.has_avatar else "",
            "coverPhoto": user.hex if user.has_banner else "", "accountColor": "#a50202",
            "badges": [] if user.badge is None else [user.badge], "interactions": 256, "verified": user.badge == 0,
            "human": False, "integration": False, "rss": False, "private": user.is_private, "verifiedComments": False,
            "banned": False, "state": 2, "score": short(followers % 90_000), "followers": short(followers % 7000),
            "following": short(followers // 7000 % 900),
        }  # fmt: skip

    def _link(self, post: Post, slide: int) -> dict[str, Any]:
        long = self._files.target(post, slide)
        return {
            "_id": self._short(post, slide), "createdAt": f"{post.created:%Y%m%d%H%M%S}",
            "domain": urlsplit(long).hostname, "long": long, "modified": long.removeprefix("https://"),
            "short": self._cards.link(post, slide), "state": "VALID", "metadata": {"title": "", "mimeType": ""},
        }  # fmt: skip

    def _short(self, post: Post, slide: int) -> str:
        return self._cards.link(post, slide).rpartition("/")[2]


def _links(post: Post) -> int:
    """Return how many short links a post has; a video has one too, which only the API tells."""
    return post.slides if post.media in {"image", "video", "article", "website", "basic"} else 0


def _key(post: Post) -> str:
    return f"{post.created:%Y-%m-%dT%H:%M:%S}.{post.created.microsecond // 1000:03d}Z_{_AHEAD + post.number}"


def _last() -> dict[str, Any]:
    return {"last": True, "prev": "", "next": ""}


def _mac(seed: int, *parts: object) -> str:
    return hashlib.blake2b(repr((seed, parts)).encode(), digest_size=12).hexdigest()
