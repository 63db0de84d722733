"""Parler's JSON API v1, as far as it answers without cookies (it was never sure that it did). Pure.

Pages run newest first and carry ``next``, a key that is a time and a number; a request with ``startkey`` gives that
moment and what came before it, so a window begins anywhere without walking there.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import orjson

from crawler.model import Account, Media, Post
from spiders.parler_items import post_url, profile_url
from spiders.parler_pages import HEX, USERNAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.model import Item
    from crawler.response import CaptureResponse

BASE = "https://api.parler.com/v1"
#: Bytes of an answer that are read; as objects they are thirty times as many.
MAX_ANSWER = 4 << 20
#: Pages of one listing at the most; a listing that is longer runs in a circle.
MAX_PAGES = 100_000
_POST_COUNTERS = ("comments", "reposts", "upvotes", "downvotes", "impressions")
_USER_COUNTERS = ("posts", "comments", "likes", "media", "followers", "following", "score", "interactions")
_FLAGS = ("verified", "human", "integration", "rss", "private", "verifiedComments", "banned")


def load(response: CaptureResponse) -> dict[str, Any]:
    """Return the object an answer holds; empty where it holds none."""
    try:
        data = orjson.loads(response.body if len(response.body) <= MAX_ANSWER else b"")
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def items(data: dict[str, Any], response: CaptureResponse) -> Iterator[Item]:
    """Yield the accounts, posts, comments and media of an answer."""
    users = {identity: user for user in _list(data, "users") if (identity := identity_of(user))}
    for identity, user in users.items():
        if account := _account(identity, user, response):
            yield account
    links = {str(url.get("_id")): url for url in _list(data, "urls")}
    for post in posts(data):
        yield _post(post, users.get(str(post.get("creator")), {}), links, response)
    for link in links.values():
        if url := _text(link.get("long")):
            yield Media(
                platform="parler", id=_text(link.get("_id")), url=url, kind="link",
                title=_text(_dict(link, "metadata").get("title")),
                extra={"short": _text(link.get("short")), "state": _text(link.get("state"))}, **_source(response),
            )  # fmt: skip


def posts(data: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the posts and comments of an answer that have an id."""
    found = [
        *_list(data, "posts"),
        *_list(data, "comments"),
        *([data["post"]] if isinstance(data.get("post"), dict) else []),
    ]
    return [post for post in found if identity_of(post)]


def post_of(post: dict[str, Any]) -> str:
    """Return the id of the post whose page shows a post or comment."""
    return _text(post.get("post")) if "conversation" in post or "replyingTo" in post else identity_of(post)


def uploads(data: dict[str, Any]) -> Iterator[str]:
    """Yield what an answer links to, by both its short and its long address."""
    for link in _list(data, "urls"):
        yield from (url for name in ("short", "long") if (url := _text(link.get(name))))


def named(data: dict[str, Any], until: str | None) -> Iterator[str]:
    """Yield the listings that an answer leads to: what its people wrote, and the comments on its posts."""
    for user in _list(data, "users"):
        if identity := identity_of(user):
            for path in ("/post/creator", "/comment/creator"):
                yield _listing(path, {"id": identity}, until)
    for post in posts(data):
        if _text(post.get("comments")) not in {"", "0"} and "conversation" not in post:
            yield _listing("/comment", {"id": identity_of(post), "reverse": "true"}, None)


def after(data: dict[str, Any], url: str, since: str | None) -> str:
    """Return the URL of the page after this one; empty at the end, past the window, or where a key repeats."""
    key = _text(data.get("next"))
    parts = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    if data.get("last") is not False or not key or key == query.get("startkey") or not posts(data):
        return ""
    if since and all(when < datetime.fromisoformat(since) for post in posts(data) if (when := created(post))):
        return ""
    return f"{parts.scheme}://{parts.netloc}{parts.path}?{urlencode(query | {'startkey': key})}"


def created(post: dict[str, Any]) -> datetime | None:
    """Return when a post was made: ``createdAt`` is YYYYMMDDHHMMSS in UTC."""
    try:
        return datetime.strptime(_text(post.get("createdAt")), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def identity_of(thing: dict[str, Any]) -> str:
    """Return an id, which comes as ``_id``, as ``id`` or as both."""
    identity = _text(thing.get("_id") or thing.get("id"))
    return identity if re.fullmatch(HEX, identity) else ""


def usernames(data: dict[str, Any]) -> Iterator[str]:
    """Yield the accounts an answer names, by the name their page has."""
    for user in _list(data, "users"):
        if re.fullmatch(USERNAME, name := _text(user.get("username"))):
            yield name


def _listing(path: str, query: dict[str, str], until: str | None) -> str:
    if until:
        moment = datetime.fromisoformat(until).astimezone(UTC)
        query = query | {"startkey": f"{moment:%Y-%m-%dT%H:%M:%S}.000Z_0"}
    return f"{BASE}{path}?{urlencode(query)}"


def _post(post: dict[str, Any], user: dict[str, Any], links: dict[str, Any], response: CaptureResponse) -> Post:
    identity = identity_of(post)
    moment = created(post)
    used = [links[key] for key in _texts(post.get("links")) if key in links]
    targets = tuple(url for link in used if (url := _text(link.get("long"))))
    is_comment = post_of(post) != identity
    return Post(
        platform="parler", id=identity, kind="comment" if is_comment else "post",
        url=post_url(post_of(post)), author=_text(user.get("username")) or None,
        author_name=_text(user.get("name")) or None, text=_text(post.get("body")),
        created_at=(moment.isoformat(), moment.isoformat()) if moment else None,
        in_reply_to=(_text(post.get("replyingTo")) or _text(post.get("post")) or None) if is_comment else None,
        repost_of=None if is_comment else _text(post.get("parent")) or None,
        media=tuple(url for url in targets if _is_upload(url)),
        links=tuple(url for url in targets if not _is_upload(url)),
        mentions=tuple(_dict(post, "@")), hashtags=tuple(_texts(post.get("hashtags"))),
        counters={name: _text(post[name]) for name in _POST_COUNTERS if post.get(name) is not None},
        sensitive=post.get("sensitive") is True,
        extra={"creator": _text(post.get("creator")), "root": _text(post.get("root")), "state": post.get("state")},
        **_source(response),
    )  # fmt: skip


def _account(identity: str, user: dict[str, Any], response: CaptureResponse) -> Account | None:
    username = _text(user.get("username"))
    joined = created({"createdAt": user.get("joined")})
    if not username:
        return None
    return Account(
        platform="parler", id=identity, username=username, url=profile_url(username), name=_text(user.get("name")),
        bio=_text(user.get("bio")), created_at=(joined.isoformat(), joined.isoformat()) if joined else None,
        avatar=_image(user.get("profilePhoto"), 256), banner=_image(user.get("coverPhoto"), 1200),
        badges=tuple(_texts(user.get("badges"))),
        counters={name: _text(user[name]) for name in _USER_COUNTERS if user.get(name) is not None},
        extra={name: user[name] for name in _FLAGS if isinstance(user.get(name), bool)}, **_source(response),
    )  # fmt: skip


def _image(identity: object, size: int) -> str | None:
    return f"https://images.parler.com/{identity}_{size}" if re.fullmatch(HEX, _text(identity)) else None


def _is_upload(url: str) -> bool:
    return url.startswith(("https://image-cdn.parler.com/", "https://video.parler.com/"))


def _list(data: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = data.get(name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _dict(data: dict[str, Any], name: str) -> dict[str, Any]:
    found = data.get(name)
    return found if isinstance(found, dict) else {}


def _texts(value: object) -> list[str]:
    return [_text(one) for one in value if _text(one)] if isinstance(value, list) else []


def _text(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return ""
    return str(value) if isinstance(value, str | int | float) else ""


def _source(response: CaptureResponse) -> dict[str, Any]:
    return {"captured_at": response.captured_at.isoformat(), "source_url": response.url}
