"""NodeInfo: how servers of the fediverse say what they are (nodeinfo.diaspora.software/protocol.html). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from spiders.api import number, objects, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crawler.response import CaptureResponse

DOOR = "/.well-known/nodeinfo"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeInfo:
    """What a server says of itself."""

    #: ``software.name`` in lower case, and its version.
    software: str
    version: str
    #: ``usage.localPosts`` and the like; None where it does not say.
    posts: int | None
    comments: int | None
    users: int | None
    url: str


def document(replies: Sequence[CaptureResponse]) -> str:
    """Return where the document stands that the door names; empty where no door answered."""
    for reply in replies:
        if urlsplit(reply.url).path == DOOR and reply.status == 200:
            links = [
                (text(link, "rel").rpartition("/")[2], text(link, "href"))
                for link in objects(reply.data(), "links")
                if "nodeinfo" in text(link, "rel")
            ]
            if links:
                return urljoin(reply.url, max(links)[1])
    return ""


def nodeinfo(replies: Sequence[CaptureResponse]) -> NodeInfo | None:
    """Return what a server says of itself, in the first answer that is such a document."""
    return next((found for reply in replies if reply.status == 200 and (found := read(reply))), None)


def read(reply: CaptureResponse) -> NodeInfo | None:
    """Return what one answer says; None where it is no such document."""
    said = reply.data()
    name = text(said, "software", "name").lower()
    if not name or not text(said, "version").startswith(("1.", "2.")):
        return None
    return NodeInfo(
        software=name, version=text(said, "software", "version"), posts=number(said, "usage", "localPosts"),
        comments=number(said, "usage", "localComments"), users=number(said, "usage", "users", "total"), url=reply.url,
    )  # fmt: skip
