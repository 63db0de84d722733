"""What an app view of the AT Protocol shows: people, and posts as others saw them (docs.bsky.app, app.bsky.*). Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from crawler.model import Account, Post
from spiders import atproto_items as items
from spiders.api import at, counters, number, objects, source, text
from spiders.html import absolute
from spiders.window import instant, span

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from crawler.response import CaptureResponse

#: Views of a thread, and values of an answer, that are read.
MAX_VIEWS, MAX_VALUES = 100_000, 2_000_000
_COUNTERS = {"likes": "likeCount", "reposts": "repostCount", "replies": "replyCount", "quotes": "quoteCount"}
_FOLLOWING = {"posts": "postsCount", "followers": "followersCount", "following": "followsCount"}


def post_of(post: Any, response: CaptureResponse, platform: str) -> Post | None:
    """Return the item of a post as it is shown; None where nothing is, or where it is not its author's."""
    record, uri, whose = at(post, "record"), text(post, "uri"), author_of(post)
    if not isinstance(record, dict) or not whose or items.split(uri)[0] != whose:
        return None
    handle = text(post, "author", "handle")[:256]
    made = items.post_of(uri, text(post, "cid"), record, response, platform, handle)
    return replace(made, counters=counters(post, _COUNTERS))


def author_of(post: Any) -> str:
    """Return the DID of who said something."""
    return items.did(post, "author", "did")


def person_of(person: Any, page: str, response: CaptureResponse, platform: str) -> Account:
    """Return the item of an account."""
    return Account(
        platform=platform, id=items.did(person, "did"), username=text(person, "handle")[:256], url=page,
        name=text(person, "displayName")[:640], bio=text(person, "description")[: items.MAX_BIO],
        created_at=span(instant(text(person, "createdAt"))), avatar=text(person, "avatar") or None,
        banner=text(person, "banner") or None, counters=counters(person, _FOLLOWING), **source(response),
    )  # fmt: skip


def pictures(post: Any, response: CaptureResponse) -> Iterator[str]:
    """Yield the URLs of the pictures that a post shows, as large as it shows them."""
    for shown in (at(post, "embed"), at(post, "embed", "media")):
        for one in objects(shown, "images"):
            if url := absolute(response.url, text(one, "fullsize")):
                yield url


def is_cut(view: dict[str, Any]) -> bool:
    """Say whether replies are below a post of a thread that the thread does not show."""
    return bool(number(view, "post", "replyCount")) and not isinstance(view.get("replies"), list)


def is_closed(person: Any) -> bool:
    """Say whether somebody, as an app view shows them, asks not to be shown to strangers."""
    return any(text(one, "val") == items.CLOSED for one in objects(person, "labels"))


def people(said: Any) -> Iterator[dict[str, Any]]:
    """Yield everybody whom an answer shows, wherever."""
    waiting = [said]
    for _ in range(MAX_VALUES):
        if not waiting:
            return
        value = waiting.pop()
        if isinstance(value, dict):
            if "handle" in value:
                yield value
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def branches(thread: Any) -> Iterator[dict[str, Any]]:
    """Yield each view of a thread: what stands above the post, the post itself, and what stands below."""
    waiting = [thread]
    for _ in range(MAX_VIEWS):
        if not waiting:
            return
        view = waiting.pop()
        if isinstance(view, dict):
            yield view
            waiting += [*reversed(objects(view, "replies")), view.get("parent")]


def when_of(post: Any) -> datetime | None:
    """Return the moment of a post that its key says."""
    return items.time_of(items.split(text(post, "uri"))[2])
