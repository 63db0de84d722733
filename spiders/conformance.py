"""What every spider must keep, ours or other people's, as checks that need nothing but the spider.

``archive doctor --spider NAME`` prints them; in a test of your own ``assert_conforms(MySpider)`` holds them. Answers
that a site really gave are worth more than made ones: pass those of your test, or name a collection to doctor.
"""

from __future__ import annotations

import json
import re
import socket
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec
from scrapy import Request

from crawler.model import Account, Claim, Covered, Fetch, Media, Note, Outcome, Post, Seed, Standing, Verdict
from crawler.scope import Scope
from crawler.url import host_of
from spiders.base import ROBOTS, Evidence, Territory
from spiders.registry import FALLBACK
from spiders.testing import answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from crawler.response import CaptureResponse
    from spiders.base import PlatformSpider

SEEDS = (
    "https://site.example/",
    "http://127.0.0.1:8080/",
    "https://site.example/a/b.html?c=d",
    "https://xn--4ca.example/",
)
#: Things that one hostile answer may make a callback yield.
MOST = 20_000
#: Bytes of one fetch with its cursor, as much as a record's header takes.
MAX_WORK = 128 * 1024
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")
_KEYS = (
    "id", "url", "name", "text", "title", "content", "author", "account", "user", "created_at", "date", "items", "data",
    "posts", "threads", "results", "media", "files", "children", "next", "cursor", "count", "total", "page", "error",
)  # fmt: skip
_WRONG: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    10**30,
    "",
    "x",
    "\ud800",
    "//[",
    [],
    {},
    [None],
    [[]],
    {"id": {}},
    [{"id": []}],
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at; ``faults`` say what is wrong, and are empty where all is well."""

    what: str
    faults: tuple[str, ...] = ()
    #: What was looked at, where it is well.
    remark: str = ""


def assert_conforms(spider: type[PlatformSpider], answers: Iterable[CaptureResponse] = ()) -> None:
    """Raise AssertionError with all that is wrong with a spider."""
    faults = [f"{check.what}: {fault}" for check in checks(spider, answers) for fault in check.faults]
    assert not faults, "\n".join(faults)


def checks(spider: type[PlatformSpider], answers: Iterable[CaptureResponse] = ()) -> Iterator[Check]:
    """Yield what is right and wrong with a spider. ``answers`` are what a site really said, with their fetches."""
    with no_network():
        for what, look in (
            ("head", _head), ("territory", _territory), ("first work", _seeds), ("foreign sites", _foreign),
            ("judge", _judge), ("hostile answers", _hostile),
        ):  # fmt: skip
            yield _looked(what, partial(look, spider))
        yield _looked("real answers", partial(_real, spider, answers))


def _looked(what: str, look: Callable[[], Iterator[str]]) -> Check:
    """Collect what a look finds: faults, and after a # what there is to say."""
    said = []
    try:
        said = list(islice(dict.fromkeys(look()), 20))
    except Exception as e:  # noqa: BLE001 - whatever a spider raises where it must not
        said = [f"raises {type(e).__name__}: {e}"]
    return Check(
        what=what, faults=tuple(one for one in said if not one.startswith("#")),
        remark="; ".join(one[1:].strip() for one in said if one.startswith("#")),
    )  # fmt: skip


@contextmanager
def no_network() -> Iterator[None]:
    """Let no socket connect and no name be looked up."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("a spider reached for the network")

    connect, lookup = socket.socket.connect, socket.getaddrinfo
    socket.socket.connect = refuse  # type: ignore[method-assign]
    socket.getaddrinfo = refuse
    try:
        yield
    finally:
        socket.socket.connect = connect  # type: ignore[method-assign]
        socket.getaddrinfo = lookup


# The checks. Each yields faults; what begins with # is no fault


def _head(spider: type[PlatformSpider]) -> Iterator[str]:
    if not _NAME.fullmatch(spider.name or ""):
        yield f"name is {spider.name!r}; use small letters, digits and hyphens"
    if not spider.title:
        yield "title is empty; people read it"
    names = [lane.name for lane in spider.lanes]
    if len(names) != len(set(names)) or ROBOTS.name in names:
        yield f"lanes must be different, and none be {ROBOTS.name!r}: {names}"
    if not spider.kinds:
        yield "kinds is empty; name what coverage counts"
    for which in ("reads_holes", "reads_refusals"):
        for callback in getattr(spider, which):
            if not callable(getattr(spider, callback, None)):
                yield f"{which} names {callback}, which is no method"
    yield f"# {spider.name}, {spider.title}; lanes {', '.join(names)}"


def _territory(spider: type[PlatformSpider]) -> Iterator[str]:
    for url in SEEDS:
        found = spider.territory(Seed(url=url))
        if not isinstance(found, Territory):
            yield f"is no Territory for {url}"
            continue
        if not (found.hosts or found.suffixes):
            yield f"is empty for {url}"
        if any(not suffix.startswith(".") for suffix in found.suffixes):
            yield f"has a suffix without a dot before it: {found.suffixes}"
        if any(host != host.lower() or "/" in host or ":" in host.strip("[]") for host in found.hosts):
            yield f"has what is no host name: {found.hosts}"


def _seeds(spider: type[PlatformSpider]) -> Iterator[str]:
    if spider.closed:
        yield "# closed to strangers"
        return
    for url in SEEDS:
        seed = Seed(url=url)
        first, again = (list(islice(spider(seed=seed).seeds(seed), MOST)) for _ in range(2))
        if not first:
            yield f"seeds yields nothing for {url}"
        if first != again:
            yield f"seeds yields other things the second time for {url}"
        named = [*first, spider(seed=seed).listed(url), spider(seed=seed).swept(url)]
        for fetch in named:
            yield from _fetch_faults(spider, fetch)
        scope = _scope(spider, seed)
        for fetch in first:
            if why := scope.refuses(fetch):
                yield f"seeds yields {fetch.url}, which its own territory refuses: {why}"


def _scope(spider: type[PlatformSpider], seed: Seed) -> Scope:
    territory = spider.territory(seed)
    anywhere = {lane.name for lane in spider.lanes if lane.anywhere}
    return Scope(
        hosts=frozenset(territory.hosts) | {host_of(seed.url)}, suffixes=territory.suffixes, paths=territory.paths,
        home=host_of(seed.url), open_lanes=frozenset({ROBOTS.name} | anywhere),
    )  # fmt: skip


def foreign() -> list[CaptureResponse]:
    """Return answers of sites that are no platform at all."""
    url = "https://nowhere.example/"
    page = (
        "<!DOCTYPE html><html><head><title>A bakery</title></head><body><h1>Bread</h1><p>Since 1921.</p></body></html>"
    )
    api = {"Content-Type": "application/json"}
    return [
        answer(url, page),
        answer(url, "", status=500),
        answer(url, page, status=404),
        answer(url, "", status=302, headers={"Location": "https://nowhere.example/en/"}),
        answer(url, "", status=200, headers={"Location": "http://["}),
        answer(f"{url}api", "{}", headers=api),
        answer(f"{url}api", '{"error": "not found"}', status=404, headers=api),
        answer(f"{url}api", "[null, [], {}]", headers=api),
        answer(f"{url}feed", '<?xml version="1.0"?><rss version="2.0"><channel><title>x</title></channel></rss>'),
        answer(url, b"\x00\xff" * 999, headers={"Content-Type": "application/octet-stream"}),
        answer(url, "", status=0, outcome=Outcome.TIMEOUT),
    ]


def _foreign(spider: type[PlatformSpider]) -> Iterator[str]:
    if spider.name == FALLBACK:
        yield "# the fallback takes whatever nobody else does"
        return
    replies = foreign()
    paths = [f"https://nowhere.example{probe.path}" for probe in spider.probes if probe.path.startswith("/")]
    replies += [
        answer(path, body, status=status) for path in paths for body in ("", "{}", "<p>x") for status in (200, 404)
    ]
    for some in ([], replies, *([one] for one in replies)):
        evidence = spider.recognise(some)
        if evidence is not None and not isinstance(evidence, Evidence):
            yield f"recognise returns {type(evidence).__name__}"
        elif evidence is not None and evidence.confidence > 50:
            yield f"recognise takes a foreign site for its own: {', '.join(evidence.reasons)}"
    yield f"# {len(replies)} answers of sites that are something else"


def _judge(spider: type[PlatformSpider]) -> Iterator[str]:
    made = spider(seed=Seed(url=SEEDS[0]))
    for one in [*foreign(), *(_said(body) for body in hostile())]:
        for status in (one.status, 200, 404, 403, 429, 503):
            reply = _again(one, one.fetch, status)
            found = made.judge(reply)
            if not isinstance(found, Verdict):
                yield f"judge returns {found!r}"
            elif status in {404, 410} and found is Verdict.OK:
                yield f"judge takes HTTP {status} for an answer that is there"


def hostile() -> Iterator[bytes]:
    """Yield bodies that no honest site gives."""
    yield from (b"", b"\x00" * 99, b"\xff\xfe" * 50, b"<", b"<html", b"<!--", b"<?xml version='1.0'?><a>", b"{", b"[")
    yield b"[" * 5000 + b"]" * 5000
    yield b"<div>" * 5000
    yield from (json.dumps(value).encode() for value in _WRONG)
    for value in _WRONG:
        thing = dict.fromkeys(_KEYS, value)
        for shape in (thing, [thing, value], {key: [thing] for key in _KEYS}, dict.fromkeys(_KEYS, thing)):
            yield json.dumps(shape).encode()
    yield (
        b"<html><head><base href='http://['><meta property='og:url' content=''><link rel=canonical href='//['></head>"
        b"<body><a>x</a><a href='http://['>y</a><a href='javascript:x'>z</a><a href=''></a><img src='data:,'><img src>"
        b"<article><h1></h1><time datetime='99999-99-99'></time></article><table><tr><td></table><form></form></body>"
    )


def _hostile(spider: type[PlatformSpider]) -> Iterator[str]:
    callbacks = _callbacks(spider)
    bodies = list(hostile())
    cursors: tuple[dict[str, Any] | None, ...] = (
        None,
        {},
        {"page": {}, "n": "x", "id": None, "level": "deep", "url": 5},
    )
    for callback in callbacks:
        for number, body in enumerate(bodies):
            fetch = Fetch(
                url="https://site.example/a/1?page=x&offset=", lane=spider.lanes[0].name, callback=callback,
                cursor=cursors[number % len(cursors)],
            )  # fmt: skip
            yield from _read_faults(spider, Seed(url=SEEDS[0]), _again(_said(body), fetch, 200))
    yield f"# {len(callbacks)} callbacks, {len(bodies)} answers each"


def _callbacks(spider: type[PlatformSpider]) -> list[str]:
    """Return the callbacks that can be seen from outside: what the first work names, and methods named parse_…."""
    seed = Seed(url=SEEDS[0])
    named = {} if spider.closed else dict.fromkeys(f.callback for f in spider(seed=seed).seeds(seed) if f.callback)
    methods = [name for name in dir(spider) if name == "parse" or name.startswith("parse_")]
    return list(named | dict.fromkeys(methods))


def _real(spider: type[PlatformSpider], answers: Iterable[CaptureResponse]) -> Iterator[str]:
    count = 0
    for response in answers:
        count += 1
        yield from _read_faults(spider, Seed(url=SEEDS[0]), response)
    yield f"# {count:,} read twice" if count else "# none given"


def _read_faults(spider: type[PlatformSpider], seed: Seed, response: CaptureResponse) -> Iterator[str]:
    """Read an answer twice, with two spiders, and look at what comes."""
    where = f"{response.fetch.callback}({response.url})"
    both: list[list[Any]] = []
    for _ in range(2):
        made = spider(seed=seed)
        before = dict(vars(made))
        fresh = _again(response, response.fetch, response.status)
        try:
            both.append(list(islice(made.read(fresh), MOST + 1)))
        except Exception as e:  # noqa: BLE001 - that it raises is what is looked for
            yield f"{where} raises {type(e).__name__}: {e} on {bytes(response.head_bytes[:60])!r}"
            return
        if vars(made) != before:
            added = sorted(vars(made).keys() - before.keys())
            yield f"{where} keeps state on the spider: {', '.join(added) or 'an attribute changed'}"
    if len(both[0]) > MOST:
        yield f"{where} yields without end"
    if _comparable(both[0]) != _comparable(both[1]):
        yield f"{where} yields other things the second time"
    for thing in both[0]:
        yield from _thing_faults(spider, thing, response)


def _comparable(things: Sequence[Any]) -> list[Any]:
    return [(one.url, one.method, one.body, repr(one.meta)) if isinstance(one, Request) else one for one in things]


def _thing_faults(spider: type[PlatformSpider], thing: Any, response: CaptureResponse) -> Iterator[str]:
    if isinstance(thing, Request):
        thing = spider(seed=Seed(url=SEEDS[0])).to_fetch(thing, response)
    if isinstance(thing, Fetch):
        yield from _fetch_faults(spider, thing)
    elif isinstance(thing, Covered):
        if not isinstance(thing.standing, Standing):
            yield f"yields Covered with the standing {thing.standing!r}"
    elif not isinstance(thing, Account | Post | Media | Claim | Note):
        yield f"{response.fetch.callback} yields {type(thing).__name__}; see spiders/base.py for what it may yield"
    else:
        try:
            msgspec.msgpack.encode(thing)
        except (TypeError, ValueError, OverflowError) as e:
            yield f"{response.fetch.callback} yields {type(thing).__name__} that cannot be kept: {e}"


def _fetch_faults(spider: type[PlatformSpider], fetch: Fetch) -> Iterator[str]:
    if fetch.lane not in {ROBOTS.name, *(lane.name for lane in spider.lanes)}:
        yield f"a fetch is in the lane {fetch.lane!r}, which lanes does not have"
    if fetch.callback is not None and not callable(getattr(spider, fetch.callback, None)):
        yield f"a fetch names the callback {fetch.callback}, which is no method"
    try:
        if len(msgspec.msgpack.encode(fetch)) > MAX_WORK:
            yield f"the work for {fetch.url[:80]} is over {MAX_WORK} bytes"
        if msgspec.json.decode(msgspec.json.encode(fetch.cursor)) != fetch.cursor:
            yield f"the cursor for {fetch.url[:80]} does not come back from JSON as it was: {str(fetch.cursor)[:200]}"
    except (TypeError, ValueError, OverflowError) as e:
        yield f"the work for {fetch.url[:80]} cannot be kept: {e}"


def _said(body: bytes) -> CaptureResponse:
    is_json = body[:1] in b'[{"' or body in {b"null", b"true"}
    return answer(
        "https://site.example/a/1?page=x&offset=", body,
        headers={"Content-Type": "application/json" if is_json else "text/html; charset=utf-8"},
    )  # fmt: skip


def _again(response: CaptureResponse, fetch: Fetch, status: int) -> CaptureResponse:
    """Return an answer anew: nobody has read it yet."""
    headers = {name.decode("latin-1"): response.header(name.decode("latin-1")) for name in response.headers}
    body = response.body
    if not body:
        with response.open() as stream:
            body = stream.read()
    return answer(
        response.url, body, status=status, headers=headers, captured_at=response.captured_at, fetch=fetch,
        outcome=response.outcome,
    )  # fmt: skip
