"""What Discourse says: topics, posts, people and files of its JSON, and the next page of its HTML. Pure."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from crawler.model import Account, Media, Post
from spiders.api import at, counters, number, objects, source, text
from spiders.html import absolute, page
from spiders.pages import is_page
from spiders.window import instant, span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.response import CaptureResponse

PLATFORM = "discourse"
#: Pixels of the largest face that is made.
FACE = 288
#: Posts of one page for people.
SHOWN = 20
#: Regular, by a moderator, a small action; a whisper (4) is for the staff.
_TYPES = frozenset({None, 1, 2, 3})
_COUNTERS = {"replies": "reply_count", "reads": "reads", "quotes": "quote_count"}
_OF_TOPIC = {"views": "views", "likes": "like_count", "posts": "posts_count"}
_IMAGE = re.compile(r"\.(?:jpe?g|png|gif|webp|avif|heic|bmp|tiff?|svg|ico)$", re.IGNORECASE)
_UPLOAD = re.compile(r"/uploads/|/original/[0-9]X/")
_MADE_SMALLER = re.compile(r"/optimized/([0-9]X/(?:[0-9a-f]/){0,3}[0-9a-f]{40})_[0-9]{1,3}_[0-9]{1,5}x[0-9]{1,5}(?=\.)")
TOPIC = re.compile(r"(.*/)t/(?:[^/]+/)?([0-9]{1,12})(?:/[0-9]{1,9})?/?")
CATEGORY = re.compile(r"(.*/)(c/(?:[^/]+/){1,4}?[0-9]{1,9})(?:/.*)?")
#: Addresses within a forum, wherever it stands.
_INNER = re.compile(
    r"(.*?/)(?:t|c|u|users|g|groups|tags?|posts|latest|top|new|hot|categories|about|login|faq|search)(?:[/.].*)?"
)
_FILM = re.compile(r"\bdata-video-src=[\"']([^\"']{1,2048})")
_NEXT = re.compile(r"<(?:a|link)\b(?=[^>]{0,500}?\brel=[\"']next[\"'])[^>]{0,500}?\bhref=[\"']([^\"']{1,2048})[\"']")


def is_public(one: dict[str, Any]) -> bool:
    """Say whether a post's own data lets strangers have it. What is in no category is a private message."""
    in_none = "category_id" in one and one["category_id"] is None
    is_gone = bool(one.get("deleted_at")) or one.get("hidden") is True
    return one.get("post_type") in _TYPES and not in_none and not is_gone


def is_leaked(one: dict[str, Any]) -> bool:
    """Say whether what is not public stands here; in the place of a hidden post a note may stand that it is hidden."""
    return not is_public(one) and one.get("cooked_hidden") is not True


def is_listed(topic: Any) -> bool:
    """Say whether a topic's own data lets strangers find it."""
    is_open = text(topic, "archetype") in {"", "regular", "banner"} and not text(topic, "deleted_at")
    return is_open and at(topic, "visible") is not False


def posts_of(said: Any) -> list[dict[str, Any]]:
    """Return the posts of a list of posts, or of a topic."""
    return objects(said, "latest_posts") or objects(said, "post_stream", "posts")


def root(seed_url: str) -> str:
    """Return where the forum stands: what comes before the path of a topic, a person and so on, or the seed's own."""
    parts = urlsplit(seed_url)
    found = _INNER.fullmatch(parts.path)
    return parts._replace(path=found[1] if found else f"{parts.path.rstrip('/')}/", query="", fragment="").geturl()


def counted(said: Any) -> Iterator[tuple[str, str, int]]:
    """Yield (kind, counter, count) of what the forum says it has; newer versions count in the plural."""
    for kind, stem in (("topic", "topic"), ("post", "post"), ("account", "user")):
        counts = ((name, number(said, "about", "stats", name)) for name in (f"{stem}s_count", f"{stem}_count"))
        if found := next(((name, count) for name, count in counts if count is not None), None):
            yield kind, *found


def categories(said: Any) -> Iterator[str]:
    """Yield the paths of the categories that strangers may read."""
    found = {number(one, "id"): one for one in objects(said, "categories") if one.get("read_restricted") is not True}
    for identity, one in found.items():
        above = found.get(number(one, "parent_category_id"))
        slugs = [text(each, "slug") for each in (above, one) if each]
        if identity and all(slugs):
            yield f"c/{'/'.join(quote(slug, safe='') for slug in slugs)}/{identity}"


def page_of(one: Any, at_number: int | None) -> str:
    """Return the path of a topic's page: the one that shows a post of this number, or (None) the post's own address.

    Discourse reckons like this, too; where posts are missing it shows the last page for one beyond the end.
    """
    slug, topic = text(one, "topic_slug") or text(one, "slug"), text(one, "topic_id") or text(one, "id")
    path = f"t/{quote(slug, safe='') or '-'}/{topic}"
    if at_number is None:
        return f"{path}/{text(one, 'post_number')}"
    turned = max(at_number - 1, 0) // SHOWN + 1
    return f"{path}?page={turned}" if turned > 1 else path


def post(one: dict[str, Any], url: str, numbers: dict[Any, str], topic: Any, response: CaptureResponse) -> Post:
    """Return what a post says; ``numbers`` are the ids of those beside it, ``topic`` is what its topic says."""
    cooked, above = text(one, "cooked"), number(one, "reply_to_post_number")
    named, is_first = page(cooked, response.url), number(one, "post_number") == 1
    title = text(one, "topic_title") or text(topic, "title")
    return Post(
        platform=PLATFORM, id=text(one, "id"), url=url, author=text(one, "username") or None,
        author_name=text(one, "name") or text(one, "username") or None, text=cooked,
        created_at=span(instant(text(one, "created_at"))),
        in_reply_to=numbers.get(above) if above else None, deleted=one.get("user_deleted") is True,
        media=tuple(file for file, _ in files(cooked, response.url))[:1000], links=tuple(named.links)[:1000],
        hashtags=tuple(_tags(topic)) if is_first else (),
        counters=counters(one, _COUNTERS) | (counters(topic, _OF_TOPIC) if is_first else {}),
        extra={
            "topic_id": text(one, "topic_id"), "post_number": text(one, "post_number"), "title": title,
            "reply_to_post_number": text(one, "reply_to_post_number"), "post_type": text(one, "post_type"),
            "category_id": text(one, "category_id") or text(topic, "category_id"), "raw": text(one, "raw"),
            "edited_at": text(one, "updated_at"), "version": text(one, "version"),
            "action_code": text(one, "action_code"),
        },
        **source(response),
    )  # fmt: skip


def _tags(topic: Any) -> Iterator[str]:
    """Yield the tags of a topic: names, or since 2026 objects with names."""
    tags = at(topic, "tags")
    for tag in tags[:100] if isinstance(tags, list) else ():
        if name := text(tag, "name") or text({"name": tag}, "name"):
            yield name


def account(one: Any, url: str, response: CaptureResponse) -> Account:
    """Return what is said of somebody; of a hidden profile that is the name alone."""
    return Account(
        platform=PLATFORM, id=text(one, "username"), username=text(one, "username"), url=url, name=text(one, "name"),
        bio=text(one, "bio_raw") or text(one, "bio_cooked"), created_at=span(instant(text(one, "created_at"))),
        avatar=face(one, response.url) or None,
        counters=counters(one, {"posts": "post_count", "badges": "badge_count"}),
        extra={"user_id": text(one, "id"), "title": text(one, "title"), "website": text(one, "website"),
               "location": text(one, "location"), "trust_level": text(one, "trust_level"),
               "is_hidden": at(one, "profile_hidden") is True},
        **source(response),
    )  # fmt: skip


def face(one: Any, url: str) -> str:
    """Return the largest picture of whoever an object is or is by; empty where there is none."""
    template = text(one, "avatar_template")
    return (absolute(url, template.replace("{size}", str(FACE))) or "") if template else ""


def files(cooked: str, url: str) -> Iterator[tuple[str, str]]:
    """Yield (URL, image or file) of the uploads that a post shows, each as it was uploaded, once."""
    named = page(cooked, url)
    films = [absolute(url, unescape(film)) for film in _FILM.findall(cooked)]
    linked = [link for link in named.links if not is_page(link)]
    shown = [one for one in named.requisites if not _MADE_SMALLER.search(one)]
    for file in dict.fromkeys(one for one in (*linked, *shown, *films) if one and _UPLOAD.search(one)):
        yield file, "image" if _IMAGE.search(urlsplit(file).path) else "file"


def guessed(cooked: str, url: str) -> Iterator[str]:
    """Yield where the originals may be of pictures that are shown smaller and lead to no original."""
    for file in page(cooked, url).requisites:
        found = _MADE_SMALLER.search(file)
        if found and f"/original/{found[1]}" not in cooked:
            yield _MADE_SMALLER.sub(r"/original/\1", file)


def media(url: str, kind: str, one: dict[str, Any], response: CaptureResponse) -> Media:
    """Return what a file of a post is."""
    return Media(
        platform=PLATFORM, id=url, url=url, kind=kind, post=text(one, "id"), account=text(one, "username") or None,
        **source(response),
    )  # fmt: skip


def next_page(markup: str, url: str) -> str:
    """Return where a page says that the next one is; empty where it is the last."""
    found = _NEXT.search(markup)
    return (absolute(url, unescape(found[1])) or "") if found else ""
