"""What imageboards say, in the JSON of each engine: boards, threads, posts and files. Pure.

All engines tell the same things under other names: see ``imageboard_dialects.py``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from crawler.model import Media, Post
from spiders.api import at, counters, number, objects, source, text
from spiders.html import absolute
from spiders.imageboard_dialects import EIGHTKUN, FOOLFUUKA, FOURCHAN, JSCHAN, LYNXCHAN, MAKABA, VICHAN
from spiders.tree import attribute, tree
from spiders.window import instant, span

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from crawler.response import CaptureResponse
    from spiders.imageboard_dialects import Dialect

_BOARD = re.compile(r"[\w.+-]{1,64}")
_KINDS = {
    "image": frozenset({"jpg", "jpeg", "png", "gif", "webp", "avif", "bmp", "jxl", "svg"}),
    "video": frozenset({"webm", "mp4", "m4v", "mov", "mkv", "ogv"}),
    "audio": frozenset({"mp3", "ogg", "oga", "opus", "flac", "m4a", "wav"}),
}
#: Threads of a board's page at the most.
MAX_THREADS = 1000
#: Names under which lists of boards have the short name of one.
_BOARD_KEYS = ("board", "uri", "boardUri", "_id", "id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file of a post, exactly as it was uploaded."""

    url: str
    thumb: str = ""
    name: str = ""
    size: str = ""
    #: As the board writes it: base64 or hex.
    md5: str = ""
    sha256: str = ""
    #: A page that leads to the file, where an archive does not keep it itself.
    remote: str = ""

    @property
    def kind(self) -> str:
        """What it is, by its ending: image, video, audio, or another file."""
        ending = (self.url or self.name).partition("?")[0].rpartition(".")[2].lower()
        return next((kind for kind, endings in _KINDS.items() if ending in endings), "file")


def dialect_of_catalog(data: Any) -> Dialect | None:
    """Return the engine whose shape a list of threads has, None where it is no such list."""
    first = next(iter(objects(data)), {})
    if number(next(iter(objects(first, "threads")), None), "no"):
        return VICHAN
    if number(first, "threadId"):
        return LYNXCHAN
    if number(first, "postId") and text(first, "board"):
        return JSCHAN
    return MAKABA if text(next(iter(objects(data, "threads")), None), "num") and at(data, "board") else None


def boards(data: Any) -> list[str]:
    """Return the short names in a list of boards."""
    found = objects(data) or objects(data, "boards") or objects(data, "data", "boards")
    ours = [one for one in found if one.get("webring") is not True]  # jschan lists its neighbours' boards, too
    names = [next((name for key in _BOARD_KEYS if (name := text(one, key))), "") for one in ours]
    return [name for name in dict.fromkeys(names) if _BOARD.fullmatch(name)]


def board_pages(data: Any) -> int:
    """Return how many pages a list of boards has."""
    found = (number(data, *path) for path in (("pageCount",), ("data", "pageCount"), ("maxPage",)))
    return next((count for count in found if count), 1)


def threads(data: Any) -> list[dict[str, Any]]:
    """Return the threads of a board in its order, those that die next last."""
    pages = objects(data)
    if any("threads" in one for one in pages):
        return [thread for one in pages for thread in objects(one, "threads")]
    if not pages and isinstance(data, dict) and "threads" not in data:  # an archive: number → its first and last posts
        return [{**one["op"], **one} for one in data.values() if isinstance(at(one, "op"), dict)]
    return pages or objects(data, "threads")


def is_whole(thread: dict[str, Any], dialect: Dialect) -> bool:
    """Say whether a list of threads shows all of one: an archive's does where it leaves nothing out."""
    omitted = number(thread, "omitted")  # replies less those shown: below nothing for a short thread
    return dialect is FOOLFUUKA and omitted is not None and omitted <= 0


def posts(data: Any) -> list[dict[str, Any]]:
    """Return the posts of a thread, the first one first."""
    for held in data.values() if isinstance(data, dict) else ():
        if isinstance(at(held, "op"), dict):
            return [held["op"], *_replies(held)]
    if found := objects(data, "posts"):
        return [data, *found] if "threadId" in data else found
    if within := objects(data, "threads"):
        return objects(within[0], "posts")
    if isinstance(data, dict) and ("threadId" in data or "postId" in data):
        return [data, *objects(data, "replies")]
    return []


def _replies(held: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the posts beside the first of an archive's thread: a list, or an object of them."""
    rest = held.get("posts")
    return objects({"posts": list(rest.values()) if isinstance(rest, dict) else rest}, "posts")


def number_of(post: dict[str, Any], dialect: Dialect) -> str:
    """Return the number of a post or thread; empty where it has none."""
    found = text(post, dialect.no) or text(post, "threadId")
    return found if found.isascii() and found.isdigit() else ""


def changed(thread: dict[str, Any], dialect: Dialect) -> datetime | None:
    """Return when a thread last changed, None where the list does not say."""
    last = [text(one, dialect.time) for one in _replies(thread)[-1:]]
    return instant(last[0] if last else text(thread, dialect.changed))


def uploads(post: dict[str, Any], dialect: Dialect, board: str, base: str) -> Iterator[Upload]:
    """Yield the files of a post that are still there."""
    if dialect in {FOURCHAN, VICHAN, EIGHTKUN}:
        for one in (post, *objects(post, "extra_files")):
            tim, ending = text(one, "tim"), text(one, "ext")
            if not tim or not ending.startswith(".") or text(one, "filedeleted") == "1":
                continue
            yield Upload(
                url=_join(dialect.media or base, _chan_path(one, dialect, board)),
                # vichan does not say how it calls its previews; pages do.
                thumb=f"{dialect.media}{board}/{tim}s.jpg" if dialect is FOURCHAN else "",
                name=text(one, "filename") + ending, size=text(one, "fsize"), md5=text(one, "md5"),
            )  # fmt: skip
    elif dialect is FOOLFUUKA:
        media = at(post, "media")
        link, remote = text(media, "media_link"), text(media, "remote_media_link")
        if _join(base, link) or _join(base, remote):
            yield Upload(
                url=_join(base, link), remote=_join(base, remote) if not link else "",
                thumb=_join(base, text(media, "thumb_link")), name=text(media, "media_filename"),
                size=text(media, "media_size"), md5=text(media, "media_hash"),
            )  # fmt: skip
    else:
        for one in objects(post, "files"):
            path = text(one, "path") or (f"/file/{text(one, 'filename')}" if text(one, "filename") else "")
            if not path:
                continue
            thumb = text(one, "thumb") or text(one, "thumbnail")
            if one.get("hasThumb") is True:
                thumb = f"/file/thumb/{text(one, 'hash')}{text(one, 'thumbextension')}"
            yield Upload(
                url=_join(base, path), thumb=_join(base, thumb), size=text(one, "size"), md5=text(one, "md5"),
                name=text(one, "originalName") or text(one, "originalFilename") or text(one, "fullname"),
                sha256=text(one, "hash"),
            )  # fmt: skip


def said(
    post: dict[str, Any],
    dialect: Dialect,
    board: str,
    thread: str,
    home: str,
    files: list[Upload],
    response: CaptureResponse,
) -> Post:
    """Return what a post of a thread says; ``home`` is the thread's page."""
    identity, is_first = number_of(post, dialect), number_of(post, dialect) == thread
    return Post(
        platform="imageboard", id=f"{board}/{identity}", url=f"{home}{dialect.anchor}{identity}",
        kind="thread" if is_first else "reply", author_name=text(post, dialect.poster) or None,
        text=text(post, dialect.text), created_at=span(instant(text(post, dialect.time))),
        in_reply_to=None if is_first else f"{board}/{thread}", media=tuple(one.url or one.remote for one in files),
        counters=counters(post, {"replies": "replies", "images": "images"}), deleted=text(post, "deleted") == "1",
        extra={"board": board, "subject": text(post, dialect.subject), "trip": text(post, "trip"),
               "poster": text(post, "id"), "capcode": text(post, "capcode") or text(post, "signedRole"),
               "country": text(post, "country"), "edited_at": text(post, "lastEditTime"),
               "file_deleted": is_file_deleted(post)},
        **source(response),
    )  # fmt: skip


def named(upload: Upload, post: str, response: CaptureResponse) -> Media:
    """Return what a board says of a file."""
    url = upload.url or upload.remote
    return Media(
        platform="imageboard", id=url, url=url, kind=upload.kind, post=post, title=upload.name,
        extra={"md5": upload.md5, "sha256": upload.sha256, "size": upload.size, "remote": bool(upload.remote)},
        **source(response),
    )  # fmt: skip


def is_file_deleted(post: dict[str, Any]) -> bool:
    """Say whether a file of a post was taken away."""
    deleted = any(text(one, "filedeleted") == "1" or text(one, "ext") == "deleted" for one in _files(post))
    return deleted or text(post, "media", "media_status") == "banned"


def _files(post: dict[str, Any]) -> list[dict[str, Any]]:
    return [post, *objects(post, "extra_files")]


def _chan_path(one: dict[str, Any], dialect: Dialect, board: str) -> str:
    file = text(one, "tim") + text(one, "ext")
    if dialect is EIGHTKUN and text(one, "fpath") == "1":
        return f"/file_store/{file}"
    return f"/{board}/{file}" if dialect is FOURCHAN else f"/{board}/src/{file}"


def _join(base: str, path: str) -> str:
    return absolute(base, path) or "" if path else ""


def shown_times(html: str) -> dict[str, tuple[datetime, datetime]]:
    """Return threads of a board's page, by number → the first and the last time that is shown of each."""
    found = {}
    for one in islice(tree(html).css("div.thread[id]"), MAX_THREADS):
        times = [when for each in one.css("time[datetime]") if (when := instant(attribute(each, "datetime")))]
        if times:
            found[attribute(one, "id").rpartition("_")[2]] = (min(times), max(times))
    return found
