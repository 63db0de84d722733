"""From rows to entries of the dataset's tables: plain tuples, each under a hash of what makes it a version. Pure."""

from __future__ import annotations

import html
import json
import re
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import msgspec

from crawler.model import Account, Post
from crawler.reading.rows import File
from crawler.url import canonical

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from crawler.model import Item, Media
    from crawler.reading.rows import Row

    Entry = tuple[Any, ...]
    Batch = dict[str, list[Entry]]

#: Table → its columns in the order of its entries; the last three and ``record`` say where and when it was seen.
COLUMNS = {
    "account": (
        "hash", "thing", "rank", "id", "username", "url", "name", "bio", "bio_html", "created_from", "created_until",
        "avatar", "banner", "badges", "counters", "extra", "source_url", "first_seen", "last_seen", "record",
    ),
    "post": (
        "hash", "thing", "rank", "id", "kind", "url", "author", "author_name", "text", "html", "created_from",
        "created_until", "in_reply_to", "repost_of", "media", "links", "mentions", "hashtags", "counters", "sensitive",
        "deleted", "extra", "source_url", "first_seen", "last_seen", "record",
    ),
    "media": (
        "hash", "thing", "rank", "id", "url", "fetched", "kind", "variant", "post", "account", "title", "extra",
        "source_url", "first_seen", "last_seen", "record",
    ),
    "file": (
        "hash", "url", "mime", "sha256", "size", "width", "height", "seconds", "taken_at", "moved_to", "truncated",
        "first_seen", "last_seen", "record",
    ),
    "place": ("sha256", "latitude", "longitude", "device"),
    "record": ("number", "offset", "length", "id"),
    "seen": ("hash", "record"),
}  # fmt: skip
_SEEN = {table: names.index("first_seen") for table, names in COLUMNS.items() if "first_seen" in names}
_CREATED = {table: names.index("created_from") for table, names in COLUMNS.items() if "created_from" in names}
#: Entries and sightings of one batch, and characters in it: what is held in memory.
MOST, MOST_SEEN, MOST_TEXT = 10_000, 50_000, 16 << 20
#: What of a post's ``extra`` belongs to what it says.
_SAID = ("title", "spoiler_text", "edited_at", "revised_at")
#: Kinds as which pages show a post that has a page of its own.
_SHOWN = {"card": "post"}
#: How a media item names the post it belongs to, on platforms that count replies apart.
_OF_POST = re.compile(r"(?:post|reply)/(?=\d+$|[A-Za-z0-9]+$)")

_BREAK = re.compile(r"<(?:br|/p|/div|/li|/h[1-6]|/blockquote|/tr)\b[^<>]*+>", re.IGNORECASE)
_UNSEEN = re.compile(r"<(script|style)\b[^<>]*+>[^<]*+</\1>", re.IGNORECASE)
_TAG = re.compile(r"</?[A-Za-z!][^<>]*+>")


def plain(markup: str) -> str:
    """Return the text of markup, with the lines that its blocks make; linear in its length, whatever it is."""
    if "<" in markup:
        markup = _TAG.sub("", _BREAK.sub("\n", _UNSEEN.sub("", markup)))
    return (html.unescape(markup) if "&" in markup else markup).strip()


def batches(rows: Iterable[Row], *, markup: bool) -> Iterator[bytes]:
    """Yield the entries of a segment's rows in packed batches, each a ``Batch`` for ``unpack``.

    Records are numbered from 0 in the order of the segment. ``markup``: what posts say is HTML.
    """
    making = _Making(markup)
    for row in rows:
        making.add(row)
        if making.is_full:
            yield making.take()
    if not making.is_empty:
        yield making.take()


def unpack(packed: bytes) -> Batch:
    """Return the batch that was packed."""
    return msgspec.msgpack.decode(packed, type=dict[str, list[tuple[Any, ...]]])


class _Making:
    """The entries of one batch. A thing that is said twice in it, in the same words, is one entry."""

    def __init__(self, markup: bool) -> None:
        self._plain: Callable[[str], tuple[str, str | None]] = _both if markup else _as_it_is
        self._entries: dict[str, dict[bytes, Entry]] = {}
        self._records: list[Entry] = []
        self._seen: dict[tuple[bytes, int], None] = {}
        self._place: tuple[int, str] = (-1, "")
        self._number = -1
        self._count = self._size = 0

    @property
    def is_full(self) -> bool:
        return self._count >= MOST or len(self._seen) >= MOST_SEEN or self._size >= MOST_TEXT

    @property
    def is_empty(self) -> bool:
        return not self._seen

    def add(self, row: Row) -> None:
        if (row.offset, row.record_id) != self._place:
            self._place = (row.offset, row.record_id)
            self._number += 1
            self._records.append((self._number, row.offset, row.length, row.record_id))
        table, entry = self._entry(row.item)
        known = self._entries.setdefault(table, {})
        mark = entry[0]
        before = known.get(mark)
        if before is None:
            known[mark] = (*entry, self._number)
            self._count += 1
            self._size += sum([len(value) for value in entry if isinstance(value, str)])
        else:
            known[mark] = _joined(table, before, (*entry, self._number))
        self._seen[mark, self._number] = None
        if isinstance(row.item, File) and row.item.facts.has_place:
            file = row.item
            place = (file.sha256, file.facts.latitude, file.facts.longitude, file.facts.device)
            self._entries.setdefault("place", {})[mark] = place

    def take(self) -> bytes:
        """Pack what there is, and begin anew."""
        batch = {table: list(entries.values()) for table, entries in self._entries.items()}
        batch |= {"record": self._records, "seen": list(self._seen)}
        self._entries, self._records, self._seen = {}, [], {}
        self._count = self._size = 0
        try:
            return msgspec.msgpack.encode(batch)
        except UnicodeEncodeError:  # half a surrogate pair: hostile JSON, or a URL that is no UTF-8
            whole = {table: [tuple(map(_whole, entry)) for entry in entries] for table, entries in batch.items()}
            return msgspec.msgpack.encode(whole)

    def _entry(self, item: Item | File) -> tuple[str, Entry]:
        """Return table and entry, but for the number of its record."""
        if isinstance(item, Post):
            return "post", self._post(item)
        if isinstance(item, Account):
            return "account", self._account(item)
        return ("file", _file(item)) if isinstance(item, File) else ("media", _media(item))

    def _post(self, item: Post) -> Entry:
        text, markup = self._plain(item.text)
        thing = f"{_SHOWN.get(item.kind, item.kind)}/{item.id}"
        rank = int(item.kind not in _SHOWN and not item.extra.get("mentioned_only"))
        said = [item.extra[name] for name in _SAID if name in item.extra]
        mark = _hash(
            "post", thing, rank, item.text, item.in_reply_to, item.repost_of, item.sensitive, item.deleted,
            len(item.media), said,
        )  # fmt: skip
        created = item.created_at or (None, None)
        return (
            mark, thing, rank, item.id, item.kind, item.url, item.author, item.author_name, text, markup, *created,
            item.in_reply_to, item.repost_of, _json(item.media), _json(item.links), _json(item.mentions),
            _json(item.hashtags), _json(item.counters), int(item.sensitive), int(item.deleted), _json(item.extra),
            item.source_url, item.captured_at, item.captured_at,
        )  # fmt: skip

    def _account(self, item: Account) -> Entry:
        bio, markup = self._plain(item.bio)
        rank = int(not item.extra.get("mentioned_only"))
        mark = _hash("account", item.id, rank, item.username, item.name, item.bio)
        created = item.created_at or (None, None)
        return (
            mark, item.id, rank, item.id, item.username, item.url, item.name, bio, markup, *created, item.avatar,
            item.banner, _json(item.badges), _json(item.counters), _json(item.extra), item.source_url,
            item.captured_at, item.captured_at,
        )  # fmt: skip


def _media(item: Media) -> Entry:
    post = _OF_POST.sub("", item.post, count=1) if item.post else None
    mark = _hash("media", item.id, item.url, item.variant, post)
    try:
        fetched = canonical(item.url)
    except ValueError:
        fetched = item.url
    return (
        mark, item.id, 1, item.id, item.url, fetched, item.kind, item.variant, post, item.account, item.title,
        _json(item.extra), item.source_url, item.captured_at, item.captured_at,
    )  # fmt: skip


def _file(item: File) -> Entry:
    said = item.facts
    mark = _hash("file", item.url, item.sha256, item.moved_to, item.truncated, bool(item.size))
    return (
        mark, item.url, item.mime, item.sha256, item.size, said.width, said.height, said.seconds, said.taken_at,
        item.moved_to, item.truncated, item.captured_at, item.captured_at,
    )  # fmt: skip


def _joined(table: str, one: Entry, other: Entry) -> Entry:
    """Return one entry for two captures of a version: what the later says, and all that both know of its times."""
    at = _SEEN[table]
    early, late = (one, other) if one[at + 1] <= other[at + 1] else (other, one)
    joined = [*late]
    joined[at] = min(one[at], other[at])
    if table in {"post", "account"}:
        first = _CREATED[table]
        joined[first : first + 2] = _meet(early[first : first + 2], late[first : first + 2])
    return tuple(joined)


def _meet(one: Entry, other: Entry) -> Entry:
    """Return what two intervals have in common; the later one where that is nothing."""
    if one[0] is None or other[0] is None:
        return other if one[0] is None else one
    met = max(one[0], other[0]), min(one[1], other[1])
    return met if met[0] <= met[1] else other


def _hash(*parts: Any) -> bytes:
    try:
        told = msgspec.msgpack.encode(parts)
    except (UnicodeEncodeError, OverflowError, TypeError):
        told = repr(parts).encode("utf-8", "backslashreplace")
    return blake2b(told, digest_size=16).digest()


def _json(value: Any) -> str | None:
    """Return JSON; None for what is empty."""
    if not value:
        return None
    try:
        return msgspec.json.encode(value).decode()
    except (ValueError, OverflowError, TypeError):
        return json.dumps(value, default=str)


def _whole(value: Any) -> Any:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _both(markup: str) -> tuple[str, str | None]:
    text = plain(markup)
    return text, (markup if markup != text else None)


def _as_it_is(text: str) -> tuple[str, str | None]:
    return text, None
