"""What Reddit says of posts, comments, people and files, in its JSON and in its old pages. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from crawler.model import Account, Media, Post
from spiders.api import at, counters, objects, source, text
from spiders.html import absolute
from spiders.tree import attribute, tree
from spiders.window import instant, span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.response import CaptureResponse

OLD = "https://old.reddit.com"
#: Kinds of community that strangers may read; of others nothing is taken, even where it is served.
PUBLIC = frozenset({"", "public", "restricted", "user", "archived", "gold_only"})
#: Who wrote what has no author any more.
NOBODY = frozenset({"", "[deleted]", "[removed]"})
_GONE = frozenset({"[deleted]", "[removed]"})
_ID = re.compile(r"[0-9a-z]{1,13}", re.ASCII)
_NAME = re.compile(r"[\w-]{1,64}", re.ASCII)
_MORE = re.compile(r"morechildren\(this,\s*'[^']{0,32}',\s*'[^']{0,32}',\s*'([0-9a-z,]{1,60000})'", re.ASCII)
_BANDWIDTH, _BASE_URL = re.compile(r"\bbandwidth=\"(\d{1,12})\""), re.compile(r"<BaseURL>([^<>]{1,1000})</BaseURL>")
#: Characters of a manifest that are read.
_MAX_MANIFEST = 1 << 20


def identity(thing: Any, key: str = "id") -> str:
    """Return an id in base 36; empty where there is none."""
    found = text(thing, key)
    return found if _ID.fullmatch(found) else ""


def author(thing: Any) -> str:
    """Return who wrote something; empty where nobody is named."""
    found = text(thing, "author")
    return found if found not in NOBODY and _NAME.fullmatch(found) else ""


def link(thing: Any) -> str:
    """Return the old page of a post or comment; empty where it has none."""
    found = text(thing, "permalink")
    return absolute(OLD, found) or "" if found.startswith("/") and not found.startswith("//") else ""


def is_public(thing: Any) -> bool:
    """Say whether the data of a post or comment lets strangers read it."""
    return text(thing, "subreddit_type") in PUBLIC


def things(listing: Any) -> list[tuple[str, dict[str, Any]]]:
    """Return (kind, data) of what a listing holds."""
    found = objects(listing, "data", "children")
    return [(text(one, "kind"), one["data"]) for one in found if isinstance(one.get("data"), dict)]


def comments(listing: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (kind, data) of all comments and of what stands for more of them, however deep."""
    waiting = [listing]
    while waiting:
        for kind, data in things(waiting.pop()):
            yield kind, data
            waiting.append(data.get("replies"))


def below(more: dict[str, Any]) -> list[str]:
    """Return the ids of comments that stand for all that a thread keeps back here.

    Where it names none ("continue this thread"), what is kept back stands on the page of the comment above.
    """
    named = more.get("children")
    found = [identity({"id": one}) for one in named] if isinstance(named, list) else []
    return [one for one in found if one] or [
        one for one in (identity({"id": text(more, "parent_id").removeprefix("t1_")}),) if one
    ]


def post(data: dict[str, Any], response: CaptureResponse) -> Post:
    """Return what a post or comment (which has a body) says."""
    is_comment = "body" in data
    said = text(data, "body") if is_comment else text(data, "selftext")
    files = tuple(url for url, _ in files_of(data))
    removed = text(data, "removed_by_category")
    return Post(
        platform="reddit", id=text(data, "name"), url=link(data),
        kind="comment" if is_comment else "post", author=author(data) or None, author_name=author(data) or None,
        text=said, created_at=span(instant(data.get("created_utc"))), media=files,
        in_reply_to=text(data, "parent_id") or None, repost_of=text(data, "crosspost_parent") or None,
        links=(url,) if not is_comment and (url := text(data, "url")) and url not in files else (),
        counters=counters(data, {"points": "score", "comments": "num_comments", "upvotes": "ups"}),
        sensitive=data.get("over_18") is True, deleted=said in _GONE or bool(removed),
        extra={"title": text(data, "title"), "subreddit": text(data, "subreddit"), "removed_by": removed,
               "edited_at": text(data, "edited"), "flair": text(data, "link_flair_text"),
               "quarantined": data.get("quarantine") is True, "stickied": data.get("stickied") is True},
        **source(response),
    )  # fmt: skip


def account(data: dict[str, Any], response: CaptureResponse) -> Account:
    """Return what Reddit says of somebody; names are for good, and are ids here."""
    name = text(data, "name")
    return Account(
        platform="reddit", id=name, username=name, url=f"{OLD}/user/{name}/",
        name=text(data, "subreddit", "title"), bio=text(data, "subreddit", "public_description"),
        created_at=span(instant(data.get("created_utc"))), avatar=text(data, "icon_img").partition("?")[0] or None,
        counters=counters(data, {"post_karma": "link_karma", "comment_karma": "comment_karma"}),
        extra={"id": text(data, "id"), "suspended": data.get("is_suspended") is True}, **source(response),
    )  # fmt: skip


def media(url: str, kind: str, post: str, response: CaptureResponse) -> Media:
    """Return a file of a post."""
    return Media(platform="reddit", id=url, url=url, kind=kind, post=post or None, **source(response))


def files_of(data: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (URL, kind) of the uploads of a post, in their best quality; of a video, its manifest."""
    original = next(iter(objects(data, "crosspost_parent_list")), data)
    if not is_public(original):
        return
    for one in _uploads(original):
        if one.get("status") == "valid" and (url := uploaded(text(one, "s", "u") or text(one, "s", "gif"))):
            yield url, "image"
    own = text(original, "url_overridden_by_dest") or text(original, "url")
    if own.startswith("https://i.redd.it/"):
        yield own, "image"
    manifest = text(video(data), "dash_url")
    if manifest.startswith("https://v.redd.it/"):
        yield manifest.partition("?")[0], "video"


def video(data: dict[str, Any]) -> Any:
    """Return what is said of a post's video."""
    original = next(iter(objects(data, "crosspost_parent_list")), data)
    return at(original, "secure_media", "reddit_video") or at(original, "media", "reddit_video")


def _uploads(data: dict[str, Any]) -> list[dict[str, Any]]:
    found = data.get("media_metadata")
    return [one for one in found.values() if isinstance(one, dict)] if isinstance(found, dict) else []


def uploaded(url: str) -> str:
    """Return the upload that a preview, signed and re-encoded, was made from; empty where it is none of Reddit's."""
    parts = urlsplit(absolute(OLD, url) or OLD)
    is_ours = parts.hostname in {"preview.redd.it", "i.redd.it"} and parts.path.count("/") == 1
    return f"https://i.redd.it{parts.path}" if is_ours else ""


def streams(manifest: str, url: str) -> list[tuple[str, str]]:
    """Return (URL, kind) of the best picture and the best sound that a DASH manifest names; they are two files."""
    best: dict[str, tuple[int, str]] = {}
    for part in manifest[:_MAX_MANIFEST].split("<AdaptationSet")[1:]:
        kind = "audio" if 'contentType="audio"' in part or 'mimeType="audio' in part else "video"
        for one in part.split("<Representation")[1:]:
            bandwidth, name = _BANDWIDTH.search(one), _BASE_URL.search(one)
            if bandwidth and name and int(bandwidth[1]) > best.get(kind, (-1, ""))[0]:
                best[kind] = int(bandwidth[1]), absolute(url, name[1]) or ""
    return [(found, kind) for kind, (_, found) in best.items() if urlsplit(found).hostname == urlsplit(url).hostname]


# Old pages


def shown(html: str) -> Iterator[dict[str, Any]]:
    """Yield what an old page shows of posts and comments, named as in JSON; advertisements are left out."""
    for node in tree(html).css("div.thing[data-fullname]"):
        name, permalink = attribute(node, "data-fullname"), attribute(node, "data-permalink")
        if attribute(node, "data-promoted") == "true" or not permalink.startswith("/"):
            continue
        data: dict[str, Any] = {
            "name": name, "id": name[3:], "author": attribute(node, "data-author"), "permalink": permalink,
            "subreddit": attribute(node, "data-subreddit"), "subreddit_type": attribute(node, "data-subreddit-type"),
        }  # fmt: skip
        entry = node.css_first("div.entry")
        when = entry.css_first("time[datetime]") if entry else None
        body = entry.css_first("div.md") if entry else None
        data["created_utc"] = attribute(node, "data-timestamp") or attribute(when, "datetime")
        if name.startswith("t1_"):
            above = entry.css_first('a[data-event-action="parent"]') if entry else None
            data |= {"body": (body.text() if body else "").strip(), "parent_id": _above(attribute(above, "href"))}
        else:
            title = entry.css_first("a.title") if entry else None
            data |= {"title": title.text() if title else "", "url": absolute(OLD, attribute(node, "data-url")) or ""}
            data |= {"num_comments": attribute(node, "data-comments-count")}
            if data["url"].startswith("https://v.redd.it/"):
                data["media"] = {"reddit_video": {"dash_url": f"{data['url']}/DASHPlaylist.mpd"}}
        yield data


def _above(href: str) -> str:
    found = href.rpartition("#")[2]
    return f"t1_{found}" if _ID.fullmatch(found) else ""


def hidden(html: str) -> list[str]:
    """Return the ids of comments that an old page keeps behind "load more comments" and "continue this thread"."""
    found = [one for part in _MORE.findall(html) for one in part.split(",")]
    deep = [attribute(node, "href") for node in tree(html).css("span.deepthread a[href]")]
    found += [href.rstrip("/").rpartition("/")[2] for href in deep]
    return [one for one in dict.fromkeys(found) if _ID.fullmatch(one)]


def next_page(html: str) -> str:
    """Return where an old listing goes on; empty where it does not."""
    return attribute(tree(html).css_first("span.next-button a[href]"), "href")
