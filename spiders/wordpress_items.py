"""What WordPress says of its things: objects of its API, and pages where there is no API. Pure."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from crawler.model import Account, Media, Post
from spiders.api import at, source, text
from spiders.html import absolute, page
from spiders.pages import kind_of, text_of
from spiders.window import instant, span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.response import CaptureResponse

PLATFORM = "wordpress"
#: States in which a thing is for everybody; what has none (a user, a term) is.
_PUBLIC = frozenset({"", "publish", "inherit", "approved"})
#: Kinds of what the API lists as types of post; others are the site's own, and entries.
_KINDS = {"post": "post", "page": "static"}
#: Comments of one page at the most, and characters of each.
_MAX_COMMENTS, _MAX_COMMENT = 5000, 100_000

#: Characters of a page in which it says what it is made with.
MAX_HEAD = 200_000
#: Types of what is no content: menus, templates, blocks, styles, fonts.
_FURNITURE = re.compile(r"wp_|nav_menu|oembed_|customize_|custom_css$|user_request$|revision$")
_API = re.compile(r"<([^<>]{1,2048})>\s*;\s*rel=\"?https://api\.w\.org/")
_API_IN_PAGE = re.compile(r"<link[^>]{0,200}?rel=[\"']https://api\.w\.org/[\"'][^>]{0,100}?href=[\"']([^\"']{1,2048})")
_SIZED = re.compile(r"-(?:[0-9]{1,5}x[0-9]{1,5}|scaled|rotated|e[0-9]{13})(?=\.[A-Za-z0-9]{2,5}$)")
_BODY = re.compile(r"<body[^>]{0,200}?class=[\"']([^\"']{1,8000})")
_SHOWN = re.compile(r"\b(postid|page-id|attachmentid)-([0-9]{1,18})\b")
_AUTHOR = re.compile(r"\bauthor-([0-9]{1,18})\b")
_TIME = re.compile(r"<time[^>]{0,200}?datetime=[\"']([^\"']{1,40})")
_BYLINE = re.compile(
    r"class=[\"'][^\"']{0,100}?\b(?:fn|author-name|wp-block-post-author-name)\b[^>]{0,200}>(?:<[^>]{0,500}>)?([^<]{1,200})"
)
_CONTENT = re.compile(
    r"class=[\"'](?:[^\"']{0,200}\s)?(?:entry-content|wp-block-post-content|post-content|comment-content)\b[^>]{0,300}>"
)
_COMMENT = re.compile(r"<li\b[^>]{0,500}?id=[\"']comment-([0-9]{1,18})[\"']|<(/?)(ul|ol)\b([^>]{0,300})>")
_BLOCK_END = re.compile(r"</div>|<footer|<div\s+class=[\"']reply|<!-- \.(?:entry|comment)-content")


def is_public(one: dict[str, Any]) -> bool:
    """Say whether an object's own data lets everybody have it: neither its state nor a password says otherwise."""
    return text(one, "status") in _PUBLIC and at(one, "content", "protected") is not True


def item_of(one: dict[str, Any], kind: str, response: CaptureResponse) -> Account | Post | Media | None:
    """Return what an object of a list is, None where it is nothing but a page (a category, a tag)."""
    if kind == "account":
        return account_of(one, response)
    if kind == "attachment":
        return media_of(one, response)
    if kind == "comment":
        return comment_of(one, response)
    return post_of(one, kind, response) if kind != "term" else None


def post_of(one: dict[str, Any], kind: str, response: CaptureResponse) -> Post:
    """Return what a post, a page or an entry of another type says."""
    embedded = page(text(one, "content", "rendered"), text(one, "link") or response.url)
    return Post(
        platform=PLATFORM, id=text(one, "id"), url=text(one, "link"), kind=_KINDS.get(kind, "entry"),
        author=text(one, "author") or None, text=text(one, "content", "rendered"),
        created_at=span(instant(text(one, "date_gmt"))), in_reply_to=_parent(one),
        media=tuple(embedded.requisites)[:1000], links=tuple(embedded.links)[:1000],
        extra={
            "title": text(one, "title", "rendered"), "type": kind, "slug": text(one, "slug"),
            "edited_at": text(one, "modified_gmt"), "guid": text(one, "guid", "rendered"),
            "featured_media": text(one, "featured_media"), "excerpt": text(one, "excerpt", "rendered"),
            "terms": {name: ids for name in ("categories", "tags") if isinstance(ids := one.get(name), list)},
        },
        **source(response),
    )  # fmt: skip


def comment_of(one: dict[str, Any], response: CaptureResponse) -> Post:
    """Return what a comment says. Its id is that of its anchor, as posts have numbers of their own."""
    above = _parent(one)
    return Post(
        platform=PLATFORM, id=f"comment-{text(one, 'id')}", url=text(one, "link"), kind="comment",
        author=text(one, "author") if text(one, "author") != "0" else None, author_name=text(one, "author_name"),
        text=text(one, "content", "rendered"), created_at=span(instant(text(one, "date_gmt"))),
        in_reply_to=f"comment-{above}" if above else text(one, "post") or None,
        extra={"post": text(one, "post"), "type": text(one, "type"), "author_url": text(one, "author_url")},
        **source(response),
    )  # fmt: skip


def account_of(one: dict[str, Any], response: CaptureResponse) -> Account:
    """Return what an author says."""
    return Account(
        platform=PLATFORM, id=text(one, "id"), username=text(one, "slug"), url=text(one, "link"),
        name=text(one, "name"), bio=text(one, "description"), extra={"website": text(one, "url")},
        avatar=face_of(one) or None, **source(response),
    )  # fmt: skip


def face_of(one: dict[str, Any]) -> str:
    """Return the largest picture of whoever an object is or is by; empty where there is none."""
    faces = at(one, "avatar_urls") or at(one, "author_avatar_urls")
    sizes = [size for size in faces if size.isdecimal() and len(size) < 5] if isinstance(faces, dict) else []
    return text(faces, max(sizes, key=int)) if sizes else ""


def media_of(one: dict[str, Any], response: CaptureResponse) -> Media | None:
    """Return what an upload is; None where it has no file."""
    files = list(uploads(one))
    if not files:
        return None
    mime = text(one, "mime_type")
    kind = mime.partition("/")[0] if mime.startswith(("image/", "video/", "audio/")) else "file"
    return Media(
        platform=PLATFORM, id=text(one, "id"), url=urljoin(response.url, files[0][0]), kind=kind,
        post=text(one, "post") or None, account=text(one, "author") or None, title=text(one, "title", "rendered"),
        extra={
            "mime": mime, "alt": text(one, "alt_text"), "caption": text(one, "caption", "rendered"),
            "page": text(one, "link"), "shown_as": text(one, "source_url"),
        },
        **source(response),
    )  # fmt: skip


def uploads(one: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (URL, variant) of an upload's files: first what was uploaded, then what was made of it."""
    shown_as, details = text(one, "source_url"), at(one, "media_details")
    if not shown_as:
        return
    original = text(details, "original_image")
    if original and "/" not in original:
        yield urljoin(shown_as, original), "original"
        yield shown_as, "large"
    else:
        yield shown_as, "original"
    sizes = at(details, "sizes")
    for size in list(sizes.values())[:50] if isinstance(sizes, dict) else ():
        if (url := text(size, "source_url")) and url != shown_as:
            yield url, "thumbnail"


def original_of(url: str) -> str:
    """Return the URL of the upload that a size was made of, by its name; the URL itself where it is the upload."""
    parts = urlsplit(url)
    return parts._replace(path=_SIZED.sub("", parts.path), query="").geturl()


def shown(markup: str, response: CaptureResponse) -> Iterator[Post | Account]:
    """Yield what a page says where nothing else does: its post and the comments on it, or whose page it is."""
    body = _BODY.search(markup)
    classes = body[1] if body else ""
    head = markup[body.end() :] if body else ""
    named = page(markup, response.url)
    if "archive" in classes.split() and (who := _AUTHOR.search(classes)):
        slug = urlsplit(response.url).path.strip("/").rpartition("/")[2]
        yield Account(
            platform=PLATFORM, id=who[1], username=slug, url=response.url, name=named.title, **source(response)
        )
    found = _SHOWN.search(classes)
    if found is None or found[1] == "attachmentid":
        return
    when, by = _TIME.search(head), _BYLINE.search(head)
    kind = "static" if found[1] == "page-id" else "post" if "single-post" in classes.split() else "entry"
    url = named.canonical or response.url
    yield Post(
        platform=PLATFORM, id=found[2], url=url, kind=kind, author_name=unescape(by[1]).strip() if by else None,
        text=_content(head), created_at=span(instant(when[1]) if when else None), extra={"title": named.title},
        **source(response),
    )  # fmt: skip
    yield from _comments(head, found[2], url, response)


def _comments(markup: str, post: str, url: str, response: CaptureResponse) -> Iterator[Post]:
    """Yield the comments of a page; those in the list of a comment's children answer it."""
    #: Comment → where it begins and ends, and what it answers.
    found: dict[str, tuple[int, int, str]] = {}
    lists: list[str] = []
    last = ""
    for mark in _COMMENT.finditer(markup):
        if last and mark.start() > found[last][0]:
            found[last] = (found[last][0], min(found[last][1], mark.start()), found[last][2])
        if mark[1]:
            if len(found) >= _MAX_COMMENTS:
                break
            last = mark[1]
            above = next((one for one in reversed(lists) if one), "")
            found[last] = (mark.end(), mark.end() + _MAX_COMMENT, above)
        elif mark[2]:
            lists = lists[:-1]
        elif len(lists) < 1000:
            lists.append(last if "children" in mark[4] else "")
    for number, (start, end, above) in found.items():
        piece = markup[start:end]
        when, by = _TIME.search(piece), _BYLINE.search(piece)
        yield Post(
            platform=PLATFORM, id=f"comment-{number}", url=f"{url}#comment-{number}", kind="comment",
            author_name=unescape(by[1]).strip() if by else None, text=_content(piece),
            created_at=span(instant(when[1]) if when else None), extra={"post": post},
            in_reply_to=f"comment-{above}" if above else post, **source(response),
        )  # fmt: skip


def _content(markup: str) -> str:
    """Return the markup of what is said: from where its element begins to where it surely ends."""
    begin = _CONTENT.search(markup)
    if begin is None:
        return ""
    end = _BLOCK_END.search(markup, begin.end())
    return markup[begin.end() : end.start() if end else begin.end() + _MAX_COMMENT].strip()


def _parent(one: dict[str, Any]) -> str | None:
    above = text(one, "parent")
    return above if above != "0" else None


def door(response: CaptureResponse) -> str:
    """Return the door of the API, as an answer's head or page names it; empty where neither does."""
    said = ", ".join(value.decode("latin-1")[:8192] for value in response.headers.getlist("Link"))
    found = _API.search(said)
    if found is None and kind_of(response) == "html":
        found = _API_IN_PAGE.search(text_of(response)[:MAX_HEAD])
    return (absolute(response.url, unescape(found[1])) or "") if found else ""


def places(said: Any) -> Iterator[tuple[str, str]]:
    """Yield (name, where the API lists what is of it) of each type or taxonomy of content."""
    for slug, one in said.items() if isinstance(said, dict) else ():
        if isinstance(one, dict) and text(one, "slug") == slug and not _FURNITURE.match(slug):
            yield slug, f"{text(one, 'rest_namespace') or 'wp/v2'}/{text(one, 'rest_base') or slug}"


def header(response: CaptureResponse, name: str) -> int | None:
    """Return the whole number that a header says, None where it says none."""
    said = response.header(name)
    return int(said) if said.isascii() and said.isdecimal() and len(said) < 12 else None
