"""How sites of videos answer: what is asked, and where in an answer things stand. Data, and its reading.

From public descriptions of what their own pages ask: Odysee speaks JSON-RPC (the proxy of LBRY's SDK, and a service of
comments), BitChute takes JSON by POST.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from spiders.api import at, objects, text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

Path = tuple[str, ...]
JSON = (("Content-Type", "application/json"),)
#: A moment that nothing is younger than.
_NO_END = 1 << 33


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A question, and where in the answer the list or the thing stands that it is about.

    In ``url`` stand ``{id}`` and ``{page}`` (the first is 1). ``body`` is what is posted, as JSON; nothing is posted
    where it is None. In it ``$id``, ``$page``, ``$offset`` and ``$until`` (Unix time) stand for values; in ``things``,
    ``$id``.
    """

    url: str
    body: Mapping[str, Any] | None = None
    things: Path = ()
    #: Things of a page: a shorter one is the last. 0: only one with nothing in it is.
    size: int = 0

    def asked(self, identity: str, page: int = 0, until: datetime | None = None) -> tuple[str, bytes]:
        """Return (URL, body) of page ``page``, the first one being 0; of what is older than ``until``."""
        url = self.url.replace("{id}", quote(identity, safe="/%")).replace("{page}", str(page + 1))
        end = int(until.timestamp()) if until else _NO_END
        values = {"$id": identity, "$page": page + 1, "$offset": page * self.size, "$until": f"<{end}"}
        return url, b"" if self.body is None else json.dumps(_filled(self.body, values)).encode()


def _filled(value: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        return values.get(value, value)
    if isinstance(value, dict):
        return {key: _filled(one, values) for key, one in value.items()}
    return [_filled(one, values) for one in value] if isinstance(value, list) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One site."""

    hosts: tuple[str, ...]
    #: Hosts of its API, which belong to a crawl as well.
    others: tuple[str, ...] = ()
    #: What stands in its pages.
    mark: re.Pattern[bytes]
    #: What the path of a URL names: groups ``channel`` and ``video``; and what the API calls that.
    place: re.Pattern[str]
    named: Callable[[str], str] = str
    #: Who a channel is, its videos, one video, where its file is, what is said below it.
    channel: Call
    of_channel: Call
    details: Call
    media: Call
    comments: Call | None = None
    #: Lists say of a video all that there is.
    lists_all: bool = False
    #: Our name → where it stands. ``asked`` is what ``media`` is asked for, where that is not the id.
    channel_fields: Mapping[str, Path] = field(default_factory=dict)
    video_fields: Mapping[str, Path] = field(default_factory=dict)
    comment_fields: Mapping[str, Path] = field(default_factory=dict)
    #: Where ``media`` names the file, and what of it is as it was uploaded.
    file: Path = ()
    original: Callable[[str], str] = str
    #: What is to be said of the number of videos that a channel prints.
    caveat: str = ""
    is_public: Callable[[Any], bool] = lambda _: True
    #: What is said of a channel or video → path of its page.
    page: Callable[[dict[str, str]], str] = lambda _: "/"
    #: Sent with requests for files.
    headers: tuple[tuple[str, str], ...] = ()


def said(thing: Any, fields: Mapping[str, Path]) -> dict[str, str]:
    """Return our name → text, of what a thing has."""
    return {name: found for name, path in fields.items() if (found := text(thing, *path))}


def things(answer: Any, call: Call | None, identity: str = "") -> list[dict[str, Any]]:
    """Return the things that the answer to a question holds; one that stands alone is a list of one."""
    path = [identity if part == "$id" else part for part in call.things] if call else []
    found = at(answer, *path)
    return [found] if isinstance(found, dict) else objects(answer, *path)


#: Tags by which Odysee marks what is not for everybody, or not yet.
_ODYSEE_HIDDEN = frozenset({
    "c:unlisted", "c:private", "c:members-only", "c:scheduled:hide", "c:scheduled:show", "c:purchase", "c:rental",
})  # fmt: skip


def _is_open(claim: Any) -> bool:
    tags = at(claim, "value", "tags")
    return not isinstance(tags, list) or _ODYSEE_HIDDEN.isdisjoint(tag for tag in tags if isinstance(tag, str))


_PROXY, _RPC = "https://api.na-backend.odysee.com/api/v1/proxy?m=", {"jsonrpc": "2.0", "id": 0}
_RESOLVE = Call(
    url=f"{_PROXY}resolve", body={**_RPC, "method": "resolve", "params": {"urls": ["$id"]}}, things=("result", "$id")
)
ODYSEE = Dialect(
    hosts=("odysee.com", "www.odysee.com"),
    others=("api.na-backend.odysee.com", "comments.odysee.tv"),
    mark=re.compile(rb"odysee\.com/|odycdn\.com/", re.IGNORECASE),
    # A channel is @name:id, a video stands below one or alone: name:id. The last letters of an id may be left out.
    place=re.compile(r"/(?:(?P<video>(?:@[^/@:]+(?::[0-9a-f]+)?/)?[^/@$:]+(?::[0-9a-f]+)?)|(?P<channel>@[^/@:]+(?::[0-9a-f]+)?))/?"),
    named=lambda name: f"lbry://{name.replace(':', '#')}" if name else "",
    channel=_RESOLVE,
    of_channel=Call(
        url=f"{_PROXY}claim_search", things=("result", "items"), size=50,
        body={**_RPC, "method": "claim_search", "params": {
            "channel_ids": ["$id"], "claim_type": ["stream"], "order_by": ["release_time"], "no_totals": True,
            "release_time": "$until",
            "page": "$page", "page_size": 50,
        }},
    ),
    details=_RESOLVE,
    media=Call(url=f"{_PROXY}get", body={**_RPC, "method": "get", "params": {"uri": "$id"}}),
    comments=Call(
        url="https://comments.odysee.tv/api/v2?m=comment.List", things=("result", "items"), size=50,
        body={**_RPC, "method": "comment.List", "params": {
            "claim_id": "$id", "page": "$page", "page_size": 50, "top_level": False, "sort_by": 0,
        }},
    ),
    lists_all=True,
    channel_fields={
        "id": ("claim_id",), "username": ("name",), "name": ("value", "title"), "text": ("value", "description"),
        "when": ("timestamp",), "avatar": ("value", "thumbnail", "url"), "banner": ("value", "cover", "url"),
        "videos": ("meta", "claims_in_channel"), "place": ("canonical_url",),
    },
    video_fields={
        "id": ("claim_id",), "asked": ("canonical_url",), "place": ("canonical_url",), "title": ("value", "title"),
        "text": ("value", "description"), "when": ("value", "release_time"), "channel": ("signing_channel", "claim_id"),
        "channel_name": ("signing_channel", "name"), "preview": ("value", "thumbnail", "url"),
        "duration": ("value", "video", "duration"), "licence": ("value", "license"),
    },
    comment_fields={
        "id": ("comment_id",), "text": ("comment",), "author": ("channel_id",), "author_name": ("channel_name",),
        "when": ("timestamp",), "above": ("parent_id",), "replies": ("replies",),
    },
    file=("result", "streaming_url"),
    # What the third version of the player's API gives is the upload, where it is there.
    original=lambda url: re.sub(r"/api/v\d+/", "/api/v3/", url, count=1),
    caveat="counts posts of every kind",
    is_public=_is_open,
    page=lambda has: "/" + has.get("place", "").removeprefix("lbry://").replace("#", ":"),
    headers=(("Referer", "https://odysee.com/"),),
)  # fmt: skip

_BITCHUTE = "https://api.bitchute.com/api/beta/"
BITCHUTE = Dialect(
    hosts=("www.bitchute.com", "bitchute.com", "old.bitchute.com"),
    others=("api.bitchute.com",),
    mark=re.compile(rb"bitchute", re.IGNORECASE),
    place=re.compile(r"/(?:channel/(?P<channel>[\w-]{1,64})|(?:video|embed)/(?P<video>[\w-]{1,64}))(?:/.*)?"),
    channel=Call(url=f"{_BITCHUTE}channel", body={"channel_id": "$id"}),
    of_channel=Call(
        url=f"{_BITCHUTE}channel/videos", things=("videos",), size=50,
        body={"channel_id": "$id", "offset": "$offset", "limit": 50},
    ),
    details=Call(url=f"{_BITCHUTE}video", body={"video_id": "$id"}),
    media=Call(url=f"{_BITCHUTE}video/media", body={"video_id": "$id"}),
    channel_fields={
        "id": ("channel_id",), "name": ("channel_name",), "text": ("description",), "when": ("date_created",),
        "avatar": ("thumbnail_url",), "videos": ("video_count",), "followers": ("subscriber_count",),
        "views": ("view_count",), "place": ("channel_url",),
    },
    video_fields={
        "id": ("video_id",), "title": ("video_name",), "text": ("description",), "when": ("date_published",),
        "channel": ("channel", "channel_id"), "channel_name": ("channel", "channel_name"),
        "preview": ("thumbnail_url",), "duration": ("duration",), "views": ("view_count",),
    },
    file=("media_url",),
    is_public=lambda video: text(video, "state_id") in {"", "published", "live"},
    page=lambda has: has.get("place") or f"/video/{quote(has['id'])}/",
)  # fmt: skip
