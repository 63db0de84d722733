"""Takedown: from what somebody asks for to every capture that holds it.

The dataset knows in which records each post, account and file was seen; segments that it does not read (*restricted*)
are read here, and the indexes name the rest by URL and digest. A capture that holds a thing is withheld whole: the
thread, the listing, the profile around it, too.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from crawler.collection import class_of
from crawler.errors import UsageError
from crawler.model import Account, Post, SegmentClass
from crawler.reading.dataset import Dataset
from crawler.reading.gather import spider_of
from crawler.reading.rows import rows
from crawler.reading.shelf import Shelf
from crawler.reading.silent import naming
from crawler.url import canonical
from crawler.warc.lookup import every
from crawler.withheld import Entry, Names, Withheld, rules_of, thing_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from crawler.collection import Collection
    from crawler.reading.rows import Row
    from crawler.warc.lookup import Line

_Thing = TypeVar("_Thing", Post, Account)
_SHA256 = re.compile(r"(?:sha256:)?([0-9a-fA-F]{64})")
#: Payloads that say nothing: that two captures have one in common says as little.
_NOTHING = f"sha256:{hashlib.sha256(b'').hexdigest()}"
_FILES_OF = """
SELECT DISTINCT fetched FROM media WHERE post IN ({posts}) OR account IN ({accounts})
EXCEPT SELECT fetched FROM media WHERE post NOT IN ({posts}) OR (post IS NULL AND account NOT IN ({accounts}))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What a takedown would withhold."""

    names: Names
    #: Segment, offset and id of each record that holds a thing.
    records: tuple[tuple[str, int, str], ...] = ()
    #: Captures that are withheld, these and those of withheld places: URL, segment, offset.
    captures: tuple[tuple[str, str, int], ...] = ()
    #: Posts and accounts by name, for people.
    things: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()


def resolve(collection: Collection, dataset: Dataset, kind: str, value: str) -> Resolved:
    """Return what a takedown of something withholds.

    Raises UsageError where a post or account is not held, or a value is none of its kind. URLs and digests may come
    before what they name.
    """
    names = _named(collection, dataset, kind, value)
    return _resolved(collection, dataset, names)


def take_down(
    collection: Collection, dataset: Dataset, kind: str, value: str, *, by: str, reason: str
) -> tuple[Entry, Resolved]:
    """Withhold something from now on; durable, and gone from the dataset, on return."""
    with dataset.alone():  # nothing is taken in between asking and obeying
        dataset.update()
        known = dataset.withheld.same((kind, value), by=by, reason=reason)
        try:
            found = resolve(collection, dataset, kind, value)
        except UsageError:  # a rewrite has left nothing of it
            if known is None:
                raise
            return known, Resolved(names=known.names)
        return _withheld(dataset, (kind, value), found, by=by, reason=reason), found


def quarantine(
    collection: Collection, dataset: Dataset, name: str, digests: Iterable[str], *, by: str, reason: str
) -> tuple[Entry, Resolved]:
    """Withhold every payload of a list, those that are captured later, too."""
    with dataset.alone():
        dataset.update()
        found = _resolved(collection, dataset, Names(sha256=tuple(digests)))
        return _withheld(dataset, ("hashes", name), found, by=by, reason=reason), found


def lift(dataset: Dataset, number: int, *, by: str, reason: str) -> Entry:
    """Show again what a takedown withheld, as far as it is still there. Raises UsageError."""
    withheld = dataset.withheld
    if number not in {entry.sequence for entry in withheld.active() if entry.kind == "takedown"}:
        raise UsageError(f"There is no takedown {number} in force; archive takedown DIR --list shows them.")
    with dataset.alone():
        segments = {name for one in withheld.active() if number in {one.sequence, one.of} for name in one.segments}
        entry = withheld.add("lift", by=by, reason=reason, of=number, segments=tuple(sorted(segments)))
        dataset.obey()
        dataset.update()
    return entry


def _withheld(dataset: Dataset, what: tuple[str, str], found: Resolved, *, by: str, reason: str) -> Entry:
    """Return the takedown in force that says all this already, else add one and obey it."""
    withheld = dataset.withheld
    known = withheld.same(what, by=by, reason=reason)
    if known and known.names.has(found.names) and withheld.has(found.records):
        return known
    entry = withheld.add(
        "takedown", by=by, reason=reason, what=what, names=found.names, records=found.records, segments=found.segments
    )
    dataset.obey()
    dataset.update()
    return entry


def current(collection: Collection, say: Callable[[str], object] = lambda _: None) -> Withheld:
    """Return what is withheld, with every sealed segment looked through for it."""
    withheld = Withheld.load(collection)
    if withheld.is_any:
        with Dataset(collection) as dataset:
            dataset.update(say=say)
    return withheld


def _named(collection: Collection, dataset: Dataset, kind: str, value: str) -> Names:
    if kind == "post":
        return _of_post(collection, dataset, value)
    if kind == "account":
        return _of_account(collection, dataset, value)
    if kind == "sha256":
        if found := _SHA256.fullmatch(value.strip()):
            return Names(sha256=(found[1].lower(),))
        raise UsageError(f"{value[:80]!r} is no SHA-256: 64 hex digits.")
    try:
        return Names(files=(canonical(value),))
    except ValueError as e:
        raise UsageError(f"{value[:200]!r} is no URL: {e}.") from e


def _of_post(collection: Collection, dataset: Dataset, value: str) -> Names:
    posts = _posts(dataset, "id = ?", value) or _posts(dataset, "url = ?", value)
    if not posts:
        for item in _hidden_items(collection, Post):
            if value in {item.id, item.url}:
                posts.setdefault(thing_of(item.kind, item.id), set()).add(item.url)
    if not posts:
        raise UsageError(f"No post held here has the id or permalink {value[:200]!r}; --url takes any URL.")
    return _with_files(dataset, Names(posts=tuple(posts), urls=_permalinks(posts.values())))


def _of_account(collection: Collection, dataset: Dataset, value: str) -> Names:
    name = value.removeprefix("@")
    known: list[tuple[str, str, str]] = [
        tuple(row) for row in dataset.db.execute(
            "SELECT id, username, url FROM account"
            " WHERE id IN (:value, :name) OR username IN (:value, :name) OR url = :value",
            {"value": value, "name": name},
        )
    ] or [
        (one.id, one.username, one.url) for one in _hidden_items(collection, Account)
        if {one.id, one.username, one.url} & {value, name}
    ]  # fmt: skip
    accounts = {text for identity, username, _ in known for text in (identity, username) if text}
    if not accounts:
        raise UsageError(f"No account held here has the id, name or URL {value[:200]!r}.")
    posts: dict[str, set[str]] = {}
    for account in accounts:
        posts |= _posts(dataset, "author = ?", account)
    urls = _permalinks([{url for _, _, url in known}, *posts.values()])
    return _with_files(dataset, Names(posts=tuple(posts), accounts=tuple(sorted(accounts)), urls=urls))


def _posts(dataset: Dataset, where: str, value: str) -> dict[str, set[str]]:
    """Return what posts are called → their URLs."""
    found: dict[str, set[str]] = {}
    for row in dataset.db.execute(f"SELECT kind, id, url FROM post WHERE {where}", (value,)):  # noqa: S608 - ours
        found.setdefault(thing_of(row["kind"], row["id"]), set()).add(row["url"])
    return found


def _permalinks(urls: Iterable[set[str]]) -> tuple[str, ...]:
    """Return the URLs that are of a thing alone: not of a part of a page, not of the whole site."""
    found = set()
    for url in (url for some in urls for url in some if "#" not in url):
        try:
            spelled = canonical(url)
        except ValueError:
            continue
        if not re.fullmatch(r"[a-z]+://[^/]+/", spelled):
            found.add(spelled)
    return tuple(sorted(found))


def _with_files(dataset: Dataset, names: Names) -> Names:
    """Add the files that belong to what is named, and to nothing else."""
    posts = tuple(thing.partition("/")[2] for thing in names.posts)
    dataset.db.execute("CREATE TEMP TABLE IF NOT EXISTS named (kind TEXT, id TEXT, PRIMARY KEY (kind, id))")
    dataset.db.execute("DELETE FROM named")
    told = [("post", one) for one in posts] + [("account", one) for one in names.accounts]
    dataset.db.executemany("INSERT OR IGNORE INTO named VALUES (?, ?)", told)
    here = {f"{kind}s": f"SELECT id FROM named WHERE kind = '{kind}'" for kind in ("post", "account")}  # noqa: S608 - ours
    files = sorted(url for (url,) in dataset.db.execute(_FILES_OF.format(**here)) if url)
    return replace(names, files=tuple(files))


def _resolved(collection: Collection, dataset: Dataset, names: Names) -> Resolved:
    things = {*_seen(dataset, names), *_hidden(collection, names), *_silent(collection, names)}
    told = {(segment, offset) for segment, offset, _ in things}
    known = {(segment, offset): identity for segment, offset, identity in things}
    digests = {one.digest for one in _lines(collection) if (one.segment, one.offset) in told} - {"", _NOTHING}
    rules, hidden = rules_of(names), []
    for line in _lines(collection):
        if line.digest in digests:
            told.add((line.segment, line.offset))
        if (line.segment, line.offset) in told or rules.hides(url=line.url, sha256=line.digest):
            hidden.append(line)
    records = tuple((segment, offset, known.get((segment, offset), "")) for segment, offset in sorted(told))
    return Resolved(
        names=names, records=records, captures=tuple((line.url, line.segment, line.offset) for line in hidden),
        things=(*names.posts, *(f"account/{name}" for name in names.accounts)),
        segments=tuple(sorted({line.segment for line in hidden} | {segment for segment, _ in told})),
    )  # fmt: skip


def _seen(dataset: Dataset, names: Names) -> Iterator[tuple[str, int, str]]:
    """Yield the records in which the dataset saw a thing."""
    ids = [thing.partition("/")[2] for thing in names.posts]
    wanted = [
        *(("post", "thing = ?", thing) for thing in names.posts), *(("post", "repost_of = ?", one) for one in ids),
        *(("media", "post = ?", one) for one in ids), *(("media", "account = ?", one) for one in names.accounts),
        *(("post", "author = ?", one) for one in names.accounts),
        *(("account", "id = ?", one) for one in names.accounts),
        *(("account", "username = ?", one) for one in names.accounts),
    ]  # fmt: skip
    for table, where, value in wanted:
        sql = (
            f"SELECT DISTINCT warc_file, warc_offset, warc_record_id FROM {table} JOIN seen USING (hash) "  # noqa: S608
            f"JOIN warc ON warc.number = seen.record WHERE {where}"
        )
        yield from (tuple(row) for row in dataset.db.execute(sql, (value,)))


def _hidden(collection: Collection, names: Names) -> Iterator[tuple[str, int, str]]:
    """Yield the records that hold a thing and that the dataset does not know."""
    rules = rules_of(names)
    for row in _hidden_rows(collection) if names.posts or names.accounts else ():
        if rules.hides(item=row.item):
            yield row.segment, row.offset, row.record_id


def _hidden_items(collection: Collection, kind: type[_Thing]) -> Iterator[_Thing]:
    return (row.item for row in _hidden_rows(collection) if isinstance(row.item, kind))


def _hidden_rows(collection: Collection) -> Iterator[Row]:
    """Yield the rows of segments that are restricted, or hold what is withheld already."""
    held = {name for entry in Withheld.load(collection).active() for name in entry.segments}
    spider, shelf = spider_of(collection), Shelf(collection)
    spider.follows = False
    for path in collection.sealed_segments():
        if path.name in held or class_of(path.name) == SegmentClass.RESTRICTED:
            yield from rows(path, spider, locate=shelf.locate, restricted=True)


def _silent(collection: Collection, names: Names) -> Iterator[tuple[str, int, str]]:
    """Yield the records that no spider reads and that name a thing."""
    rules = rules_of(names)
    for path in collection.sealed_segments() if rules.names_things else ():
        yield from ((path.name, *one) for one in naming(path, rules.is_named_in))


def _lines(collection: Collection) -> Iterator[Line]:
    for index in sorted(collection.indexes.glob("*.cdxj")):
        yield from every(index)
