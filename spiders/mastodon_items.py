"""What servers of the Mastodon family say of posts, accounts and uploads, in JSON and in pages. Pure.

Relatives leave things out and add their own, so everything is read as if any of it could be missing. The pages of
GoToSocial, and those of Mastodon before 4, hold the posts themselves; the later ones are a shell for scripts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from crawler.model import Account, Media, Post
from spiders.api import at, counters, objects, source, text
from spiders.html import absolute
from spiders.tree import attribute, tree
from spiders.tree import text as said_in
from spiders.window import instant, span

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

    from crawler.response import CaptureResponse

_PUBLIC = frozenset({"public", "unlisted"})
_POST_COUNTERS = {"replies": "replies_count", "reposts": "reblogs_count", "likes": "favourites_count"}
_ACCOUNT_COUNTERS = {"posts": "statuses_count", "followers": "followers_count", "following": "following_count"}
#: Posts of one page that are read.
_MAX_SHOWN = 1000
#: What the pages are made of: GoToSocial's first, then that of Mastodon before 4.
_SHOWN = "article.status, article.toot, .toot.expanded, .activity-stream .entry"
_LINK = "a.status-link, a.toot-link, a.status__relative-time, a.detailed-status__datetime, a.u-url.u-uid"
_AUTHOR = "address a[href], a.username, a.status__display-name, a.detailed-status__display-name"
_NAME = "address .username, a.username, .display-name__account"
_FILES = ".media-wrapper a[href], .media-wrapper source[src], .media-gallery a[href], .video-player video[src]"
_REPLIES = ".account__section-headline a[href$='/with_replies']:not(.active)"
_OLDER = ".backnextlinks a.next, a.load-more[href*='max_id=']"
_MENTION = ".content a.mention[href], .e-content a.mention[href], .status__content a.mention[href]"
_USER = re.compile(r"/(?:@|users/)([A-Za-z0-9_][A-Za-z0-9_.-]{0,99})(?:/with_replies)?/?")


def is_public(status: Any) -> bool:
    """Say whether a post's own data lets strangers have it, and where it echoes another, that one's, too."""
    echoed = at(status, "reblog")
    is_open = text(status, "visibility") in _PUBLIC and at(status, "local_only") is not True
    return is_open and (not isinstance(echoed, dict) or is_public(echoed))


def is_closed(status: Any) -> bool:
    """Say whether a post's own data withholds it; what says nothing is no post."""
    return bool(text(status, "visibility")) and not is_public(status)


def is_ours(account: Any) -> bool:
    """Say whether an account lives on the server that was asked: others are named with their host."""
    acct = text(account, "acct")
    return bool(acct) and "@" not in acct


def user_of(url: str) -> str:
    """Return whose page a URL is: ``/@name``, ``/users/name``, with replies or without; empty where it is nobody's."""
    found = _USER.fullmatch(path_of(url))
    return found[1] if found else ""


def path_of(url: str) -> str:
    """Return the path of a URL; empty where it is none."""
    try:
        return urlsplit(url).path
    except ValueError:
        return ""


def post_of(status: dict[str, Any], response: CaptureResponse, platform: str) -> Post:
    """Return the item of a post. One of another server is held only as this one shows it, and counted apart."""
    ours = "reply" if text(status, "in_reply_to_id") else "post"
    author, echoed = status.get("account"), status.get("reblog")
    extra = {name: text(status, name) for name in ("uri", "visibility", "edited_at", "revised_at", "spoiler_text")}
    poll = at(status, "poll")
    options = [{"title": text(one, "title"), "votes": text(one, "votes_count")} for one in objects(poll, "options")]
    return Post(
        platform=platform, id=text(status, "id"), url=text(status, "url"),
        kind=ours if is_ours(author) else "elsewhere", author=text(author, "id"),
        author_name=text(author, "acct"), text=text(status, "content"),
        created_at=span(instant(text(status, "created_at"))), in_reply_to=text(status, "in_reply_to_id") or None,
        repost_of=text(echoed, "id") or None, sensitive=status.get("sensitive") is True,
        media=tuple(file_of(media) for media in objects(status, "media_attachments")),
        links=tuple(url for url in (text(status, "card", "url"),) if url),
        mentions=tuple(text(one, "acct") for one in objects(status, "mentions")),
        hashtags=tuple(text(one, "name") for one in objects(status, "tags")),
        counters=counters(status, _POST_COUNTERS),
        extra={
            **{name: value for name, value in extra.items() if value},
            **({"poll": {"options": options, "ends": text(poll, "expires_at")}} if options else {}),
            **({"pinned": True} if status.get("pinned") is True else {}),
        },
        **source(response),
    )  # fmt: skip


def account_of(account: dict[str, Any], response: CaptureResponse, platform: str) -> Account:
    """Return the item of an account."""
    return Account(
        platform=platform, id=text(account, "id"), username=text(account, "acct"), url=text(account, "url"),
        name=text(account, "display_name"), bio=text(account, "note"),
        created_at=span(instant(text(account, "created_at"))),
        avatar=text(account, "avatar") or None, banner=text(account, "header") or None,
        counters=counters(account, _ACCOUNT_COUNTERS), **source(response),
    )  # fmt: skip


def file_of(media: Any) -> str:
    """Return the best file of an upload: where a server streams videos, the whole one it was made of."""
    return text(media, "source_mp4") or text(media, "url")


def media_of(media: dict[str, Any], status: dict[str, Any], response: CaptureResponse, platform: str) -> Media:
    """Return the item of an upload of a post."""
    kind, of = text(media, "type"), "reply" if text(status, "in_reply_to_id") else "post"
    return Media(
        platform=platform, id=text(media, "id"), url=file_of(media), post=f"{of}/{text(status, 'id')}",
        kind="image" if kind in {"image", ""} else "audio" if kind == "audio" else "video",
        title=text(media, "description"), extra={"remote_url": text(media, "remote_url")}, **source(response),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A post as a page shows it."""

    id: str
    url: str
    #: As the page writes it, without the leading @.
    acct: str
    author_url: str
    text: str
    when: str
    files: tuple[str, ...] = ()
    #: Pages of those it mentions.
    mentions: tuple[str, ...] = ()
    #: It stands beneath another on the page of a thread.
    is_reply: bool = False
    is_pinned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a page of the older kind holds; nothing where it is a shell for scripts."""

    posts: tuple[Shown, ...] = ()
    #: Where older posts are, and where all of them are, replies included.
    older: str = ""
    replies: str = ""
    #: Whose page it is, as it says, what they are called, and what they say of themselves.
    name: str = ""
    bio: str = ""
    avatar: str = ""
    banner: str = ""


def page_of(html: str, url: str) -> Page:
    """Read a page. Never raises; what is no such page holds nothing."""
    found = tree(html)
    posts: list[Shown] = []
    is_thread = not user_of(url)
    for node in found.css(f":is({_SHOWN}):not(:is({_SHOWN}) *)")[:_MAX_SHOWN]:
        one = _shown(node, url, is_reply=is_thread and bool(posts))
        if one is not None:
            posts.append(one)
    return Page(
        posts=tuple(posts), older=absolute(url, attribute(found.css_first(_OLDER), "href")) or "",
        replies=absolute(url, attribute(found.css_first(_REPLIES), "href")) or "",
        name=said_in(found.css_first(".displayname, .p-name, .public-account-header .display-name bdi")),
        bio=_inside(found, ".bio, .account__header__content, .p-note"),
        avatar=_source(found, ".avatar-image-wrapper img, .avatar img, img.u-photo", url),
        banner=_source(found, ".header-image-wrapper img, .public-account-header__image img", url),
    )  # fmt: skip


def _shown(node: LexborNode, url: str, *, is_reply: bool) -> Shown | None:
    link = absolute(url, attribute(node.css_first(_LINK), "href"))
    if not link:
        return None
    own = attribute(node, "id")
    files = (attribute(file, "href") or attribute(file, "src") for file in node.css(_FILES)[:_MAX_SHOWN])
    mentioned = (attribute(one, "href") for one in node.css(_MENTION)[:_MAX_SHOWN])
    time = node.css_first("time[datetime]")
    content = node.css_first(".content, .e-content, .status__content")
    return Shown(
        id=own.removesuffix("-pinned") or urlsplit(link).path.rstrip("/").rpartition("/")[2], url=link,
        acct=said_in(node.css_first(_NAME)).strip().lstrip("@"),
        author_url=absolute(url, attribute(node.css_first(_AUTHOR), "href")) or "",
        text=(content.inner_html or "").strip() if content is not None else "", when=attribute(time, "datetime"),
        files=tuple(full for file in files if (full := absolute(url, file))), is_reply=is_reply,
        mentions=tuple(full for one in mentioned if (full := absolute(url, one))),
        is_pinned=own.endswith("-pinned"),
    )  # fmt: skip


def _inside(found: LexborHTMLParser, selector: str) -> str:
    node = found.css_first(selector)
    return (node.inner_html or "").strip() if node is not None else ""


def _source(found: LexborHTMLParser, selector: str, url: str) -> str:
    return absolute(url, attribute(found.css_first(selector), "src")) or ""
