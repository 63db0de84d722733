"""What PeerTube says of videos, comments, people, channels and playlists (docs.joinpeertube.org, API reference). Pure.

Names changed with the years: a path became a URL (7.1), one avatar became several sizes of it (4.2), thumbnails became
a list (8.1). Whatever a server has of these is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crawler.model import Account, Media, Post
from spiders.api import at, counters, number, objects, source, text
from spiders.html import absolute
from spiders.window import instant, span

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from crawler.response import CaptureResponse

#: ``privacy.id`` of what everybody may find; the others are unlisted, private, internal and behind a password.
PUBLIC = 1
#: Nodes of a thread's tree, and sizes of a picture, that are read.
MAX_TREE, MAX_SIZES = 100_000, 12
_COUNTERS = {"views": "views", "likes": "likes", "dislikes": "dislikes", "comments": "comments"}


def is_public(thing: Any) -> bool:
    """Say whether a video's or playlist's own data lets everybody find it; a comment's, whether it was let through."""
    said = at(thing, "privacy")
    return (said is None or number(said, "id") == PUBLIC) and at(thing, "heldForReview") is not True


def is_ours(video: Any) -> bool:
    """Say whether a video or playlist is of the server that was asked."""
    return at(video, "isLocal") is not False


def when_of(thing: Any) -> datetime | None:
    """Return when something came out: what was scheduled or private before says when it was made as well."""
    return instant(text(thing, "publishedAt") or text(thing, "createdAt"))


def handle(actor: Any, here: str) -> str:
    """Return the name of an account or channel, with its host where that is another."""
    name, host = text(actor, "name"), text(actor, "host")
    return f"{name}@{host}" if name and host and host != here else name


def video_of(video: dict[str, Any], page: str, here: str, response: CaptureResponse, platform: str) -> Post:
    """Return the item of a video."""
    extra = {name: text(video, name) for name in ("name", "support", "updatedAt", "originallyPublishedAt", "duration")}
    labels = {name: text(video, name, "label") for name in ("category", "licence", "language", "state")}
    tags = at(video, "tags")
    return Post(
        platform=platform, id=text(video, "uuid"), url=page, kind="video", author=handle(video.get("account"), here),
        author_name=text(video, "account", "displayName"),
        text=text(video, "description") or text(video, "truncatedDescription"), created_at=span(when_of(video)),
        media=tuple(url for file in files_of(video) if (url := file_url(file))),
        hashtags=tuple(text(tag)[:200] for tag in tags[:100]) if isinstance(tags, list) else (),
        counters=counters(video, _COUNTERS), sensitive=video.get("nsfw") is True,
        extra={
            **{name: value for name, value in {**extra, **labels}.items() if value},
            "channel": handle(video.get("channel"), here), "short": text(video, "shortUUID"),
            "live": video.get("isLive") is True,
        },
        **source(response),
    )  # fmt: skip


def files_of(video: Any) -> list[dict[str, Any]]:
    """Return the files of a video that are whole: those for the web, else those that a stream is made of."""
    return objects(video, "files") or [file for one in streams_of(video) for file in objects(one, "files")]


def streams_of(video: Any) -> list[dict[str, Any]]:
    """Return the streams of a video."""
    return objects(video, "streamingPlaylists")


def best_of(files: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the file with the most lines, of those as many the largest; empty where there is none."""
    found = [file for file in files if file_url(file)]
    return max(found, key=lambda one: (number(one, "resolution", "id") or 0, number(one, "size") or 0), default={})


def file_url(file: Any) -> str:
    """Return where a file is."""
    return text(file, "fileUrl") or text(file, "fileDownloadUrl")


def file_of(file: dict[str, Any], video: dict[str, Any], response: CaptureResponse, platform: str) -> Media:
    """Return the item of the best file of a video."""
    extra = {name: text(file, name) for name in ("size", "fps", "width", "height", "fileDownloadUrl", "torrentUrl")}
    return Media(
        platform=platform, id=text(file, "id") or file_url(file), kind="video", variant="large",
        url=absolute(response.url, file_url(file)) or "", post=f"video/{text(video, 'uuid')}",
        title=text(video, "name"),
        extra={**{key: value for key, value in extra.items() if value}, "lines": text(file, "resolution", "label")},
        **source(response),
    )  # fmt: skip


def comment_of(comment: dict[str, Any], uuid: str, here: str, response: CaptureResponse, platform: str) -> Post:
    """Return the item of a comment; of one that was deleted its place is left."""
    above = text(comment, "inReplyToCommentId")
    return Post(
        platform=platform, id=text(comment, "id"), url=text(comment, "url"), kind="comment",
        author=handle(comment.get("account"), here) or None,
        author_name=text(comment, "account", "displayName") or None, text=text(comment, "text"),
        created_at=span(instant(text(comment, "createdAt"))), in_reply_to=above or uuid,
        deleted=at(comment, "isDeleted") is True,
        counters=counters(comment, {"replies": "totalReplies"}),
        extra={"video": uuid, "thread": text(comment, "threadId"), "updatedAt": text(comment, "updatedAt")},
        **source(response),
    )  # fmt: skip


def account_of(
    actor: dict[str, Any], kind: str, page: str, here: str, response: CaptureResponse, platform: str
) -> Account:
    """Return the item of an account, or of a channel: they share one space of names."""
    return Account(
        platform=platform, id=handle(actor, here), username=handle(actor, here), url=page,
        name=text(actor, "displayName"), bio=text(actor, "description"),
        created_at=span(instant(text(actor, "createdAt"))),
        avatar=next(pictures(actor, "avatar", response), None), banner=next(pictures(actor, "banner", response), None),
        counters=counters(actor, {"followers": "followersCount", "following": "followingCount"}),
        extra={
            "kind": kind, "support": text(actor, "support"), "owner": handle(actor.get("ownerAccount"), here),
            **({} if "description" in actor else {"mentioned_only": True}),
        },
        **source(response),
    )  # fmt: skip


def playlist_of(found: dict[str, Any], page: str, here: str, response: CaptureResponse, platform: str) -> Post:
    """Return the item of a playlist."""
    return Post(
        platform=platform, id=text(found, "uuid"), url=page, kind="playlist",
        author=handle(found.get("ownerAccount"), here), text=text(found, "description"),
        created_at=span(instant(text(found, "createdAt"))), counters=counters(found, {"videos": "videosLength"}),
        extra={"name": text(found, "displayName"), "channel": handle(found.get("videoChannel"), here),
               "updatedAt": text(found, "updatedAt")},
        **source(response),
    )  # fmt: skip


def element_of(
    element: dict[str, Any], video: dict[str, Any], whose: str, response: CaptureResponse, platform: str
) -> Post:
    """Return the item of a place in a playlist, and which video stands there."""
    extra = {name: text(element, name) for name in ("position", "startTimestamp", "stopTimestamp")}
    return Post(
        platform=platform, id=f"{whose}/{text(element, 'id')}", url="", kind="element", in_reply_to=whose,
        repost_of=text(video, "uuid"), extra={name: value for name, value in extra.items() if value},
        **source(response),
    )  # fmt: skip


def pictures(thing: Any, name: str, response: CaptureResponse) -> Iterator[str]:
    """Yield the URLs of an avatar or banner in all its sizes, the widest first."""
    sizes = sorted(objects(thing, f"{name}s")[:MAX_SIZES], key=lambda one: -(number(one, "width") or 0))
    single = at(thing, name)
    for one in (*sizes, single if isinstance(single, dict) else {}):
        yield from located(response, text(one, "fileUrl") or text(one, "path"))


def previews(thing: Any, response: CaptureResponse) -> Iterator[str]:
    """Yield the URLs of what stands for a video or playlist before it plays."""
    for one in objects(thing, "thumbnails")[:MAX_SIZES]:
        yield from located(response, text(one, "fileUrl"))
    for name in ("thumbnail", "preview"):
        yield from located(response, text(thing, f"{name}Url") or text(thing, f"{name}Path"))


def located(response: CaptureResponse, said: str) -> Iterator[str]:
    """Yield the absolute URL of a path, where it is one."""
    if said and (url := absolute(response.url, said)):
        yield url


def branches(tree: Any) -> Iterator[tuple[dict[str, Any], bool]]:
    """Yield each comment of a thread's tree, and whether more hang below it than the tree shows."""
    waiting = [tree]
    for _ in range(MAX_TREE):
        if not waiting:
            return
        node = waiting.pop()
        below = objects(node, "children")
        comment = at(node, "comment")
        if isinstance(comment, dict):
            yield comment, (number(node, "totalChildren") or 0) > len(below)
        waiting += reversed(below)
