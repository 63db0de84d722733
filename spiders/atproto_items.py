"""What records of the AT Protocol say: posts, people, blobs, and the time that keys carry. Pure.

Records come out of a repository or out of JSON; both are read as JSON has them (atproto.com/specs/data-model).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from crawler.model import Account, Media, Post
from spiders.api import at, objects, source, text
from spiders.window import instant, span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.response import CaptureResponse

POST, REPOST, PROFILE = "app.bsky.feed.post", "app.bsky.feed.repost", "app.bsky.actor.profile"
#: Where people look at what repositories hold.
PEOPLE = "https://bsky.app"
#: What somebody says of an own account who wants it shown to those alone who logged in.
CLOSED = "!no-unauthenticated"
#: Bytes of text of a profile that travel with a fetch, depth and number of what is looked at in a record.
MAX_BIO, MAX_DEPTH, MAX_VALUES = 4096, 16, 20_000
_DID = re.compile(r"did:[a-z]{1,16}:[A-Za-z0-9._:%-]{1,2000}", re.ASCII)
_CID = re.compile(r"[A-Za-z0-9]{8,128}", re.ASCII)
_TID = re.compile(r"[234567abcdefghij][234567a-z]{12}", re.ASCII)
_DIGITS = "234567abcdefghijklmnopqrstuvwxyz"
_ADULT = frozenset({"porn", "sexual", "nudity", "graphic-media", "gore", "nsfl"})


def did(value: Any, *keys: str) -> str:
    """Return the DID at a path of keys; empty where there is none."""
    found = text(value, *keys)
    return found if _DID.fullmatch(found) else ""


def is_closed(profile: Any) -> bool:
    """Say whether a profile asks not to be shown to strangers."""
    return CLOSED in labels(profile)


def labels(record: Any) -> set[str]:
    """Return what the author of a record says of it."""
    return {text(one, "val") for one in objects(record, "labels", "values")}


def time_of(key: str) -> datetime | None:
    """Return the moment in a TID: microseconds, of which ten bits more tell clocks apart; None in no TID."""
    if not _TID.fullmatch(key):
        return None
    number = 0
    for digit in key:
        number = number << 5 | _DIGITS.index(digit)
    return instant((number >> 10) / 1e6)


def tid(when: datetime) -> str:
    """Return the first key of a moment."""
    number = int(when.astimezone(UTC).timestamp() * 1_000_000) << 10
    return "".join(_DIGITS[number >> 5 * place & 31] for place in range(12, -1, -1))


def blobs(record: Any) -> Iterator[tuple[dict[str, Any], str, str]]:
    """Yield (blob, the name that it stands under, what it shows) of all that a record holds, wherever."""
    waiting: list[tuple[Any, str, str, int]] = [(record, "", "", 0)]
    for _ in range(MAX_VALUES):
        if not waiting:
            return
        value, name, shows, depth = waiting.pop()
        if isinstance(value, dict) and value.get("$type") == "blob":
            if _CID.fullmatch(text(value, "ref", "$link")):
                yield value, name, shows
        elif depth < MAX_DEPTH and isinstance(value, dict):
            waiting.extend((one, str(key), text(value, "alt"), depth + 1) for key, one in value.items())
        elif depth < MAX_DEPTH and isinstance(value, list):
            waiting.extend((one, name, shows, depth + 1) for one in value)


def kind_of(blob: dict[str, Any], name: str) -> str:
    """Return what a blob is."""
    if name in {"avatar", "banner"}:
        return name
    if name == "thumb":
        return "preview"
    kind = text(blob, "mimeType").partition("/")[0]
    return kind if kind in {"image", "video", "audio"} else "file"


def account_of(whose: str, handle: str, said: dict[str, Any], response: CaptureResponse, platform: str) -> Account:
    """Return an account; ``said`` is the short form of its profile."""
    return Account(
        platform=platform, id=whose, username=handle, url=f"{PEOPLE}/profile/{whose}", name=text(said, "name"),
        bio=text(said, "bio"), created_at=span(instant(text(said, "at"))), avatar=text(said, "avatar") or None,
        banner=text(said, "banner") or None, extra={"also_known_as": at(response.data(), "didDoc", "alsoKnownAs")},
        **source(response),
    )  # fmt: skip


def post_of(uri: str, cid: str, record: dict[str, Any], response: CaptureResponse, platform: str, handle: str) -> Post:
    """Return a post, or the echo of one."""
    whose, collection, key = split(uri)
    embed = record.get("embed")
    quoted = text(embed, "record", "uri") or text(embed, "record", "record", "uri")
    facets = [
        (text(one, "$type").rpartition("#")[2], one)
        for facet in objects(record, "facets")[:1000]
        for one in objects(facet, "features")[:100]
    ]
    shown = text(embed, "external", "uri") or text(embed, "media", "external", "uri")
    links = [text(one, "uri") for kind, one in facets if kind == "link"] + [shown]
    is_echo, above = collection == REPOST, text(record, "reply", "parent", "uri")
    tags = at(record, "tags")
    hashtags = [text(one, "tag") for kind, one in facets if kind == "tag"]
    hashtags += [one for one in tags[:100] if isinstance(one, str)] if isinstance(tags, list) else []
    return Post(
        platform=platform, id=uri, url=f"{PEOPLE}/profile/{whose}/post/{key}" if not is_echo else "",
        kind="repost" if is_echo else "reply" if above else "post", author=whose, author_name=handle or None,
        text=text(record, "text"), created_at=span(instant(text(record, "createdAt"))), in_reply_to=above or None,
        repost_of=(text(record, "subject", "uri") if is_echo else quoted) or None,
        media=tuple(dict.fromkeys(text(blob, "ref", "$link") for blob, _, _ in blobs(record))),
        links=tuple(dict.fromkeys(filter(None, links))),
        mentions=tuple(dict.fromkeys(filter(None, (did(one, "did") for kind, one in facets if kind == "mention")))),
        hashtags=tuple(dict.fromkeys(filter(None, hashtags))), sensitive=bool(labels(record) & _ADULT),
        extra={"cid": cid, "root": text(record, "reply", "root", "uri"), "labels": sorted(labels(record))},
        **source(response),
    )  # fmt: skip


def media_of(
    blob: dict[str, Any], kind: str, shows: str, url: str, uri: str, response: CaptureResponse, platform: str
) -> Media:
    """Return a file that a record holds."""
    whose, collection, _ = split(uri)
    is_own = collection == PROFILE
    extra = {"mime": text(blob, "mimeType"), "size": text(blob, "size")}
    return Media(
        platform=platform, id=text(blob, "ref", "$link"), url=url, kind=kind, post=None if is_own else uri,
        account=whose if is_own else None, title=shows, extra=extra, **source(response),
    )  # fmt: skip


def split(uri: str) -> tuple[str, str, str]:
    """Return (DID, collection, key) of an AT URI; empty where it is none."""
    whose, _, rest = uri.removeprefix("at://").partition("/")
    collection, _, key = rest.partition("/")
    return whose, collection, key
