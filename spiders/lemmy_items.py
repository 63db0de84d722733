"""What Lemmy says of posts, comments and people, in the words of its API before 1.0 and since. Pure.

Before 1.0 counts stand beside a thing and times are called ``published``; since then counts stand in it, and times end
in ``_at``. Posts and comments are numbered apart: the id of a comment here is ``comment-N``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit, urlunsplit

from crawler.model import Account, Media, Post
from spiders.api import at, counters, source, text
from spiders.html import absolute
from spiders.window import instant, span

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from crawler.response import CaptureResponse

#: ``LocalOnly`` was for those who have logged in; 1.0 split it in two.
_SHOWN = frozenset({"", "public", "unlisted", "localonlypublic"})
_COUNTERS = {"replies": "comments", "score": "score", "likes": "upvotes", "dislikes": "downvotes"}
_COUNTERS_OF_COMMENTS = {"replies": "child_count", "score": "score", "likes": "upvotes", "dislikes": "downvotes"}
_COUNTERS_OF_PEOPLE = {"posts": "post_count", "comments": "comment_count"}
_FILE = re.compile(r"\.(?:jpe?g|png|gif|webp|avif|jxl|mp4|webm|mov|m4v|ogv|mp3|ogg|opus|flac|wav|m4a)$", re.IGNORECASE)
_VIDEO = re.compile(r"\.(?:mp4|webm|mov|m4v|ogv)$", re.IGNORECASE)
_AUDIO = re.compile(r"\.(?:mp3|ogg|opus|flac|wav|m4a)$", re.IGNORECASE)
_PICTURE = re.compile(r"!\[[^\]\n]{0,1000}\]\(\s{0,9}<?([^\s<>()\"]{1,2000})")
#: Pictures of one text that are taken.
_MOST = 200


def said_in(view: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return what a view is of, ``comment`` or ``post``, and the thing itself."""
    kind = "comment" if isinstance(view.get("comment"), dict) else "post"
    found = view.get(kind)
    return kind, found if isinstance(found, dict) else {}


def is_public(view: dict[str, Any]) -> bool:
    """Say whether its own data lets strangers have what a view is of: neither taken away nor in a closed community."""
    place, over = view.get("community"), at(view, "post")
    seen = text(place, "visibility").replace("_", "").lower()
    things = (said_in(view)[1], place, over if view.get("comment") else None)
    gone = any(at(one, name) is True for one in things for name in ("deleted", "removed"))
    return not gone and seen in _SHOWN


def leaks(view: dict[str, Any]) -> bool:
    """Say whether a view still holds what its own data withholds: what is taken away is mostly blank."""
    thing = said_in(view)[1] or at(view, "community")
    return not is_public(view) and any(text(thing, part) for part in ("content", "body", "name"))


def name_of(view: dict[str, Any]) -> str:
    """Return what tells a view from the others of its listing."""
    kinds = (kind for kind in ("comment", "post", "person", "community") if isinstance(view.get(kind), dict))
    return next((f"{kind}-{text(view, kind, 'id')}" for kind in kinds), "")


def when_of(thing: Any) -> datetime | None:
    """Return when something was said."""
    return instant(text(thing, "published_at") or text(thing, "published"))


def is_here(view: dict[str, Any]) -> bool:
    """Say whether what a view is of belongs to this server: somebody of it said it, or it was said in its community."""
    return said_in(view)[1].get("local") is True or at(view, "community", "local") is True


def depth_of(comment: dict[str, Any]) -> int:
    """Return how deep in a thread a comment stands, 1 for one right beneath the post."""
    return text(comment, "path").count(".")


def post_of(view: dict[str, Any], response: CaptureResponse, platform: str) -> Post:
    """Return the item of a post or a comment. One of another server's people is counted apart."""
    kind, thing = said_in(view)
    is_comment, is_local = kind == "comment", thing.get("local") is True
    path = text(thing, "path").split(".")
    above = f"comment-{path[-2]}" if len(path) > 2 else text(thing, "post_id")
    counts = view.get("counts") if isinstance(view.get("counts"), dict) else thing
    extra = {name: text(thing, name) for name in ("ap_id", "updated", "updated_at", "alt_text", "embed_title")}
    place = {"community": text(view, "community", "name"), "title": "" if is_comment else text(thing, "name")}
    return Post(
        platform=platform, id=identity_of(kind, thing), url=page_of(kind, thing, response),
        kind=("reply" if is_comment else "post") if is_local else "elsewhere",
        author=text(view, "creator", "id") or None, author_name=text(view, "creator", "name"),
        text=text(thing, "content" if is_comment else "body"), created_at=span(when_of(thing)),
        in_reply_to=above if is_comment else None, sensitive=thing.get("nsfw") is True,
        media=tuple(files_of(thing, response)), links=() if is_comment else tuple(_links(thing, response)),
        counters=counters(counts, _COUNTERS_OF_COMMENTS if is_comment else _COUNTERS),
        extra={name: said for name, said in (extra | place).items() if said}, **source(response),
    )  # fmt: skip


def identity_of(kind: str, thing: dict[str, Any]) -> str:
    """Return the id of an item."""
    return f"comment-{text(thing, 'id')}" if kind == "comment" else text(thing, "id")


def page_of(kind: str, thing: dict[str, Any], response: CaptureResponse) -> str:
    """Return where this server shows a post or a comment, wherever that came from."""
    return urljoin(response.url, f"/{kind}/{text(thing, 'id')}")


def _links(post: dict[str, Any], response: CaptureResponse) -> Iterator[str]:
    if url := absolute(response.url, text(post, "url")):
        yield url


def files_of(thing: dict[str, Any], response: CaptureResponse) -> Iterator[str]:
    """Yield the files that a post is of and those in its text, each as it was uploaded: a query asks for less."""
    named = [text(thing, "url")] if _is_file(thing) else []
    shown = _PICTURE.findall(text(thing, "body") + "\n" + text(thing, "content"))[:_MOST]
    for one in dict.fromkeys(named + shown):
        if url := absolute(response.url, one):
            parts = urlsplit(url)
            yield urlunsplit(parts._replace(query="")) if "/pictrs/image/" in parts.path else url


def _is_file(post: dict[str, Any]) -> bool:
    """Say whether the link of a post is a file, as its type or its ending says."""
    declared = text(post, "url_content_type").partition("/")[0]
    try:
        path = urlsplit(text(post, "url")).path
    except ValueError:
        return False
    return declared in {"image", "video", "audio"} or "/pictrs/image/" in path or bool(_FILE.search(path))


def media_of(url: str, view: dict[str, Any], response: CaptureResponse, platform: str) -> Media:
    """Return the item of a file."""
    kind, thing = said_in(view)
    path = urlsplit(url).path
    of = "reply" if kind == "comment" else "post"
    return Media(
        platform=platform, id=url, url=url, post=f"{of}/{identity_of(kind, thing)}", title=text(thing, "alt_text"),
        kind="video" if _VIDEO.search(path) else "audio" if _AUDIO.search(path) else "image", **source(response),
    )  # fmt: skip


def account_of(view: dict[str, Any], response: CaptureResponse, platform: str) -> Account:
    """Return the item of a person, as a view of its own or beside a post."""
    person = view.get("person") if isinstance(view.get("person"), dict) else view.get("creator")
    assert isinstance(person, dict)
    counts = view.get("counts") if isinstance(view.get("person"), dict) and view.get("counts") else person
    return Account(
        platform=platform, id=text(person, "id"), username=text(person, "name"),
        url=urljoin(response.url, f"/u/{text(person, 'name')}"), name=text(person, "display_name"),
        bio=text(person, "bio"), created_at=span(when_of(person)),
        avatar=absolute(response.url, text(person, "avatar")) or None,
        banner=absolute(response.url, text(person, "banner")) or None,
        counters=counters(counts, _COUNTERS_OF_PEOPLE),
        badges=("bot",) if person.get("bot_account") is True else (), **source(response),
    )  # fmt: skip
