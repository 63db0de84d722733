"""What Parler's URLs are: which host holds what, and the lane, kind and id of the thing a URL stands for. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from crawler.model import Lane, SegmentClass
from spiders.base import ROBOTS
from spiders.parler_pages import HEX, USERNAME

IDS = Lane(name="ids", order=10)
API = Lane(name="api", order=15)
POSTS = Lane(name="posts", order=20)
PROFILES = Lane(name="profiles", order=30)
SHARES = Lane(name="shares", order=40)
LINKS = Lane(name="links", order=50)
IMAGES = Lane(name="images", order=60, segment_class=SegmentClass.IMAGES)
ORIGINALS = Lane(name="video-originals", order=70, segment_class=SegmentClass.ORIGINALS)
VARIANTS = Lane(name="video-variants", order=80, segment_class=SegmentClass.ORIGINALS)
AVATARS = Lane(name="avatars", order=90, segment_class=SegmentClass.IMAGES)
REQUISITES = Lane(name="requisites", order=100)
DOCUMENTS = Lane(name="documents", order=110)
LANES = (
    ROBOTS, IDS, API, POSTS, PROFILES, SHARES, LINKS, IMAGES, ORIGINALS, VARIANTS, AVATARS, REQUISITES, DOCUMENTS,
)  # fmt: skip

MEDIA_HOSTS = frozenset({"images.parler.com", "image-cdn.parler.com", "video.parler.com", "company-media.parler.com"})
LINK_DOORS = ("api.parler.com", "par.pw")
PAPERS = frozenset({"legal.parler.com", "faq.parler.com"})
HOSTS = (
    "parler.com",
    "www.parler.com",
    "api.parler.com",
    "par.pw",
    "share.par.pw",
    *sorted(MEDIA_HOSTS),
    *sorted(PAPERS),
)
_VIDEO = re.compile(r"(video\.parler\.com/\w\w/\w\w/)(\w{4,32}?)(?:_small\.mp4|\.mp4|)", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A kind of URL: where it is, and what its work is. Group 1 of the pattern is the id of the thing."""

    pattern: re.Pattern[str]
    lane: Lane
    kind: str
    callback: str | None = None
    #: The URL that stands for it, where there are several.
    url: str = ""
    work: tuple[tuple[str, Any], ...] = ()


def _place(pattern: str, lane: Lane, kind: str, callback: str | None = None, **more: Any) -> Place:
    return Place(pattern=re.compile(pattern, re.ASCII), lane=lane, kind=kind, callback=callback, **more)


_FILM = r"video\.parler\.com/\w\w/\w\w/"
#: What a URL (without scheme) is. The first that fits.
PLACES = (
    _place(rf"(?:www\.)?parler\.com/post/({HEX})/?", POSTS, "post", "parse_post", url="https://parler.com/post/{}"),
    _place(rf"(?:www\.)?parler\.com/profile/({USERNAME})(?:/posts)?/?", PROFILES, "profile", "parse_profile",
           url="https://parler.com/profile/{}/posts"),
    _place(rf"share\.par\.pw/post/({HEX})/?", SHARES, "share", "parse_share"),
    _place(r"(?:api\.parler\.com|par\.pw)/l/(\w{1,32})", LINKS, "link", "parse_link", work=(("follow", False),)),
    _place(r"image-cdn\.parler\.com/(?:\w+/)*(\w{1,64})(?:\.\w{1,5})?", IMAGES, "image"),
    _place(rf"{_FILM}(\w{{4,32}})(?<!_small)", ORIGINALS, "video"),
    # Pages show the small variant; the bigger one, which they do not even link to, goes first.
    _place(rf"{_FILM}(\w{{4,32}}_small\.mp4)", VARIANTS, "variant"),
    _place(rf"{_FILM}(\w{{4,32}}\.mp4)", VARIANTS, "variant", work=(("value", 1),)),
    _place(r"images\.parler\.com/(\w{1,64}_1200)", AVATARS, "banner"),
    _place(r"images\.parler\.com/(\w{1,64}_\d+)", AVATARS, "avatar"),
    _place(r"images\.parler\.com/(\w{1,64})", AVATARS, "preview"),
)  # fmt: skip


def place_of(url: str) -> tuple[Place, str] | None:
    """Return what a URL is and the id of the thing it stands for, or None for anything else."""
    parts = urlsplit(url)
    where = f"{parts.hostname}{parts.path}"
    for place in PLACES:
        if found := place.pattern.fullmatch(where):
            return place, found[1]
    return None


def is_upload(url: str) -> bool:
    """Say whether a URL is an uploaded image or video, or a short link that may lead to one."""
    found = place_of(url)
    return found is not None and found[0].lane in {LINKS, IMAGES, ORIGINALS, VARIANTS}


def variants(url: str) -> list[str]:
    """Return the URLs that belong together with one: all variants of a video, both doors of a short link."""
    parts = urlsplit(url)
    if film := _VIDEO.fullmatch(f"{parts.hostname}{parts.path}"):
        return [f"https://{film[1]}{film[2]}{variant}" for variant in ("", ".mp4", "_small.mp4")]
    if parts.hostname in LINK_DOORS and parts.path.startswith("/l/"):
        return [f"https://{host}{parts.path}" for host in LINK_DOORS]
    if parts.path == "/post-view":
        return [f"https://parler.com/post/{parse_qs(parts.query).get('q', [''])[0]}"]
    return [url]
