"""Streams in pieces: HLS playlists (RFC 8216) and the files they are made of. Pure.

A master playlist names media playlists, and those name segments: files of their own, or byte ranges within one file,
which is one fetch then. What is encrypted names its key as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from spiders.html import absolute

#: Bytes of a playlist, and files of it, that are read.
MAX_TEXT, MAX_FILES = 16 << 20, 200_000
#: Tags whose ``URI`` is a playlist, and those whose ``URI`` is a file.
_LISTS = ("#EXT-X-MEDIA:", "#EXT-X-I-FRAME-STREAM-INF:", "#EXT-X-RENDITION-REPORT:")
_FILES = ("#EXT-X-MAP:", "#EXT-X-KEY:", "#EXT-X-SESSION-KEY:", "#EXT-X-SESSION-DATA:", "#EXT-X-PART:")
_URI = re.compile(r'[:,]URI="([^"\r\n]{1,4096})"')


@dataclass(frozen=True, slots=True)
class Playlist:
    """What a playlist names, each URL once."""

    playlists: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    #: More comes: it has no end mark, and is no master playlist.
    is_live: bool = False


def playlist(text: str, url: str) -> Playlist | None:
    """Read a playlist; None where it is none. Never raises."""
    lines = text.removeprefix("\ufeff").splitlines()
    if not lines or not lines[0].startswith("#EXTM3U"):
        return None
    lists: dict[str, None] = {}
    files: dict[str, None] = {}
    is_variant = False
    for line in (line.strip() for line in lines[1:]):
        if len(lists) + len(files) >= MAX_FILES:
            break
        if line.startswith("#EXT-X-STREAM-INF:"):
            is_variant = True
        elif line.startswith((*_LISTS, *_FILES)):
            named = _URI.search(line)
            _add(lists if line.startswith(_LISTS) else files, named[1] if named else "", url)
        elif line and not line.startswith("#"):
            _add(lists if is_variant else files, line, url)
            is_variant = False
    is_media = not lists
    return Playlist(tuple(lists), tuple(files), is_media and not any(one.startswith("#EXT-X-ENDLIST") for one in lines))


def _add(to: dict[str, None], named: str, url: str) -> None:
    found = absolute(url, named) if named else None
    if found and found.startswith(("http://", "https://")):
        to[found] = None
