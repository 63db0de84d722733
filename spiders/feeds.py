"""What sitemaps and feeds list: sitemaps (XML, gzip, text) and their indexes, RSS, Atom, RDF and JSON feeds.

Pure, and read as a stream: a sitemap may have 50 MB and 50,000 entries, and a hostile one claims to. Nothing is
expanded, fetched or kept beyond the entry being read.
"""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, cast

import orjson
from lxml import etree

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Bounds of the sitemap protocol (sitemaps.org), and of elements, so that no file holds up a worker for long.
MAX_ENTRIES, MAX_BYTES, MAX_ELEMENTS = 50_000, 50 << 20, 2_000_000
#: Bytes of a JSON feed, which is the one form that is read as a whole: as objects they are thirty times as many.
MAX_JSON = 4 << 20
#: Characters of one value that are kept.
_MAX_VALUE = 16_384
_READ = 1 << 16

Kind = Literal["page", "media", "sitemap", "next"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One URL that a listing names, as written. Times are as written too; empty where nothing is said."""

    #: A page; a picture, video or enclosure; a sitemap of an index; or the next page of a feed.
    kind: Kind
    url: str
    published: str = ""
    modified: str = ""


def entries(stream: BinaryIO) -> Iterator[Entry]:
    """Yield what a listing names, whichever form it has. Never raises over its content; damage ends it."""
    read = _Reader(stream)
    start = read()
    head = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):  # UTF-16
        found = _xml(start, read)
    elif head.startswith(b"<"):
        found = _xml(head, read)
    elif head.startswith(b"{"):
        found = _json(_whole(head, read))
    else:
        found = _text(head, read)
    for count, entry in enumerate(found):
        if count >= MAX_ENTRIES:
            return
        if entry.url:
            yield entry


def moment(text: str) -> tuple[datetime, datetime] | None:
    """Return the earliest and latest instant (UTC) that a listing's date means, or None; a bare day is a day long."""
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            when = read(text.strip()[:64])
            when = when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
            return when, when + timedelta(days=1 if ":" not in text else 0)
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
    return None


class _Reader:
    """Reads a stream piece by piece up to the bound, gunzipped where it is gzip; damage reads as its end."""

    def __init__(self, stream: BinaryIO) -> None:
        magic = stream.read(2)
        joined = _Joined(magic, stream)
        # read1 gives what can be read before damage; read would lose it.
        is_gzip = magic == b"\x1f\x8b"
        self._read = gzip.GzipFile(fileobj=cast("BinaryIO", joined)).read1 if is_gzip else joined.read
        self._left = MAX_BYTES

    def __call__(self) -> bytes:
        try:
            piece = self._read(min(_READ, self._left))
        except (OSError, EOFError, zlib.error):
            return b""
        self._left -= len(piece)
        return piece


class _Joined:
    """A stream with a few bytes put back before it."""

    def __init__(self, start: bytes, stream: BinaryIO) -> None:
        self._start = start
        self._stream = stream

    def read(self, size: int) -> bytes:
        start, self._start = self._start[:size], self._start[size:]
        return start + self._stream.read(size - len(start))


def _text(start: bytes, read: _Reader) -> Iterator[Entry]:
    rest = start
    while rest:
        lines = rest.splitlines(keepends=True)
        last = lines.pop() if not lines[-1].endswith((b"\n", b"\r")) else b""
        for line in lines:
            yield from _line(line)
        piece = read()
        rest = last[:_MAX_VALUE] + piece
        if not piece:
            yield from _line(last)
            return


def _line(line: bytes) -> Iterator[Entry]:
    if line.lower().startswith((b"http://", b"https://")) and len(line) <= _MAX_VALUE:
        yield Entry(kind="page", url=line.decode("utf-8", "replace").strip())


def _whole(start: bytes, read: _Reader) -> bytes:
    """Return all of a stream; nothing where it is longer than a feed may be."""
    data = bytearray(start)
    while len(data) <= MAX_JSON and (piece := read()):
        data += piece
    return bytes(data) if len(data) <= MAX_JSON else b""


def _json(data: bytes) -> Iterator[Entry]:
    """Read a JSON Feed (jsonfeed.org/version/1.1)."""
    try:
        feed = orjson.loads(data)
    except orjson.JSONDecodeError:
        return
    for item in _list(feed, "items"):
        published, modified = _word(item, "date_published"), _word(item, "date_modified")
        yield Entry(kind="page", url=_word(item, "url"), published=published, modified=modified)
        for named in (_word(item, "image"), *(_word(media, "url") for media in _list(item, "attachments"))):
            yield Entry(kind="media", url=named)
    yield Entry(kind="next", url=_word(feed, "next_url"))


def _list(thing: Any, name: str) -> list[Any]:
    found = thing.get(name) if isinstance(thing, dict) else None
    return found if isinstance(found, list) else []


def _word(thing: Any, name: str) -> str:
    found = thing.get(name) if isinstance(thing, dict) else None
    return found[:_MAX_VALUE] if isinstance(found, str) else ""


def _xml(start: bytes, read: _Reader) -> Iterator[Entry]:
    elements: Any = _Elements()
    parser = etree.XMLParser(
        target=elements, resolve_entities=False, no_network=True, load_dtd=False, recover=True, huge_tree=False
    )
    piece = start
    try:
        while piece and elements.count < MAX_ELEMENTS:
            parser.feed(piece)
            yield from elements.taken()
            piece = read()
        parser.close()
    except (etree.LxmlError, ValueError):
        pass  # damage ends a listing
    yield from elements.taken()


#: Elements that stand for one thing, by their name without namespace.
_THINGS = frozenset({"url", "sitemap", "item", "entry"})
_MEDIA_TEXT = frozenset({"loc", "content_loc", "thumbnail_loc"})
_MEDIA_URL = frozenset({"enclosure", "content", "thumbnail"})
_PUBLISHED = frozenset({"pubdate", "published", "issued", "date", "publication_date"})
_MODIFIED = frozenset({"lastmod", "updated", "modified"})


class _Elements:
    """Collects entries from the stream of elements; the parser calls ``start``, ``end``, ``data`` and ``close``."""

    def __init__(self) -> None:
        self.count = 0
        self._found: list[Entry] = []
        self._depth = 0
        #: The thing being read, its depth, and what it says so far: (role, value).
        self._thing = ""
        self._thing_depth = 0
        self._said: list[tuple[str, str]] = []
        self._text: list[str] = []
        self._length = 0
        #: What the present element's attributes say of its text.
        self._is_permalink = True

    def taken(self) -> list[Entry]:
        """Return what was found since the last call."""
        found, self._found = self._found, []
        return found

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self.count += 1
        self._depth += 1
        self._forget_text()
        name = _local(tag)
        if not self._thing and name in _THINGS:
            self._thing, self._thing_depth, self._said = name, self._depth, []
        elif name == "link" and not self._thing:
            if attributes.get("rel") == "next":
                self._found.append(Entry(kind="next", url=attributes.get("href", "")[:_MAX_VALUE]))
        elif self._thing:
            self._attributes(name, attributes)

    def data(self, text: str) -> None:
        if self._thing and self._length < _MAX_VALUE:
            self._text.append(text)
            self._length += len(text)

    def end(self, tag: str) -> None:
        name, text = _local(tag), "".join(self._text).strip()[:_MAX_VALUE]
        if self._thing and self._depth == self._thing_depth:
            self._finish()
        elif self._thing and text:
            self._value(name, text)
        self._depth -= 1
        self._forget_text()

    def close(self) -> None:
        pass

    def _forget_text(self) -> None:
        self._text.clear()
        self._length = 0

    def _say(self, role: str, value: str) -> None:
        if len(self._said) < 1000:
            self._said.append((role, value[:_MAX_VALUE]))

    def _attributes(self, name: str, attributes: Mapping[str, str]) -> None:
        self._is_permalink = attributes.get("isPermaLink", "true") != "false"
        if name == "link":
            rel = attributes.get("rel", "alternate")
            if rel in {"alternate", "enclosure"}:
                self._say("page" if rel == "alternate" else "media", attributes.get("href", ""))
        elif name in _MEDIA_URL:
            self._say("media", attributes.get("url") or attributes.get("src") or "")

    def _value(self, name: str, text: str) -> None:
        """Take what an element of a thing says with its text."""
        is_own = self._depth == self._thing_depth + 1
        if is_own and name == "loc":
            self._say("page" if self._thing == "url" else "sitemap", text)
        elif name in _MEDIA_TEXT and self._thing == "url":
            self._say("media", text)
        elif is_own and name == "link":
            self._say("page", text)
        elif is_own and name == "guid" and self._is_permalink:
            self._say("guid", text)
        elif name in _PUBLISHED:
            self._say("published", text)
        elif name in _MODIFIED:
            self._say("modified", text)

    def _finish(self) -> None:
        said = [(role, value) for role, value in self._said if value]
        first = dict(reversed(said))
        published, modified = first.get("published", ""), first.get("modified", "")
        if "page" not in first and first.get("guid", "").startswith(("http://", "https://")):
            said.append(("page", first["guid"]))
        for role, value in said:
            if role in {"page", "media", "sitemap"}:
                self._found.append(Entry(kind=cast("Kind", role), url=value, published=published, modified=modified))
        self._thing = ""


def _local(tag: str) -> str:
    return tag.rpartition("}")[2].lower()
