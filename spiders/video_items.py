"""What sites of videos say, as items. Pure: ``has`` is our name → what is printed (``spiders.video_dialects.said``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crawler.model import Account, Media, Post
from spiders.api import at, source, text
from spiders.window import instant, span

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crawler.response import CaptureResponse

_COUNTERS = ("views", "likes", "dislikes", "comments", "replies", "followers", "videos")
#: Tags of a video that are read.
MAX_TAGS = 100


def video_of(has: dict[str, str], thing: Any, page: str, response: CaptureResponse, platform: str) -> Post:
    """Return the item of a video."""
    tags = at(thing, "value", "tags") or at(thing, "hashtags")
    return Post(
        platform=platform, id=has["id"], url=page, kind="video", author=has.get("channel"),
        author_name=has.get("channel_name"), text=has.get("text", ""), created_at=span(instant(has.get("when"))),
        hashtags=tuple(text(tag)[:200] for tag in tags[:MAX_TAGS]) if isinstance(tags, list) else (),
        counters=_counters(has),
        extra={name: has[name] for name in ("title", "duration", "language", "licence") if name in has},
        **source(response),
    )  # fmt: skip


def comment_of(has: dict[str, str], video: str, response: CaptureResponse, platform: str) -> Post:
    """Return the item of a comment."""
    return Post(
        platform=platform, id=has["id"], url="", kind="comment", author=has.get("author"),
        author_name=has.get("author_name"), text=has.get("text", ""), created_at=span(instant(has.get("when"))),
        in_reply_to=has.get("above") or video, counters=_counters(has), extra={"video": video}, **source(response),
    )  # fmt: skip


def account_of(has: dict[str, str], page: str, response: CaptureResponse, platform: str) -> Account:
    """Return the item of a channel."""
    return Account(
        platform=platform, id=has["id"], username=has.get("username", has["id"]), name=has.get("name", ""),
        url=page, bio=has.get("text", ""),
        created_at=span(instant(has.get("when"))), avatar=has.get("avatar"), banner=has.get("banner"),
        counters=_counters(has), **source(response),
    )  # fmt: skip


def file_of(
    url: str, video: str, title: str, extra: Mapping[str, str], response: CaptureResponse, platform: str
) -> Media:
    """Return the item of a video's file."""
    return Media(
        platform=platform, id=url, url=url, kind="video", variant="large", post=f"video/{video}", title=title,
        extra=dict(extra), **source(response),
    )  # fmt: skip


def _counters(has: dict[str, str]) -> dict[str, str]:
    return {name: has[name] for name in _COUNTERS if name in has}
