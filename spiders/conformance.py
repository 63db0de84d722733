"""What every spider must keep, ours or other people's, as checks anybody can run.

``archive doctor --spider`` prints them; ``assert_conforms(MySpider, MyReplica)`` holds them in a test. With nothing
but the spider they look at what it says of itself and at its first work; with answers that a site gave (of a replica,
or of a collection) also at how it reads them (spiders/conformance_reading.py).
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from crawler.model import Seed, Verdict
from crawler.scope import Scope
from crawler.url import host_of
from spiders.base import Evidence, Territory
from spiders.conformance_reading import MOST, Answered, Readings, alone, fetch_faults
from spiders.registry import FALLBACK
from spiders.rehearsal import Rehearsal, built, rehearse
from spiders.testing import answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from crawler.replicas.kit import PlatformSite
    from crawler.response import CaptureResponse
    from spiders.base import PlatformSpider

SEEDS = ("https://site.example/", "http://127.0.0.1:8080/", "https://site.example/a/b.html?c=d")
#: Requests against the least that a replica names, and what a small one may cost beside.
LEAN, SPARE = 1.2, 8
#: Faults of one check that are told.
TOLD = 10
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")
#: What tells a clock or a die from an answer: the last names of a call.
_IMPURE = re.compile(
    r"(?:^|\.)(?:datetime\.(?:now|utcnow|today)|date\.today|time\.(?:time|time_ns|monotonic|localtime|gmtime)"
    r"|random\.\w+|secrets\.\w+|uuid[14])$"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at; ``faults`` say what is wrong, and are empty where all is well."""

    what: str
    faults: tuple[str, ...] = ()
    #: What was looked at.
    remark: str = ""


def assert_conforms(spider: type[PlatformSpider], replica: type[PlatformSite] | None = None) -> None:
    """Raise AssertionError with all that is wrong with a spider, and with how it reads a replica."""
    done = rehearse(spider, built(replica)) if replica else None
    faults = [f"{check.what}: {fault}" for check in checks(spider, rehearsal=done) for fault in check.faults]
    assert not faults, "\n".join(faults)


def checks(
    spider: type[PlatformSpider], answers: Iterable[Answered] = (), *, rehearsal: Rehearsal | None = None
) -> Iterator[Check]:
    """Yield what is right and wrong with a spider.

    ``answers`` are what a site said, with their fetches; those of a ``rehearsal`` are read as well.
    """
    for what, look in (
        ("head", _head), ("territory", _territory), ("first work", _seeds), ("other sites", _others), ("judge", _judge),
        ("source", _source),
    ):  # fmt: skip
        yield _looked(what, partial(_alone, look, spider))
    if rehearsal is not None:
        yield _looked("replica", partial(_replica, spider, rehearsal))
        answers = [*answers, *(Answered(one) for one in rehearsal.served.answers)]
        seed = rehearsal.seed
    else:
        seed = Seed(url=SEEDS[0])
    readings = Readings(spider, seed)
    for what, found in readings.look(answers):
        yield _looked(what, partial(iter, found))


def _looked(what: str, look: Callable[[], Iterator[str]]) -> Check:
    """Collect what a look finds: faults, and after a # what there is to say."""
    said: list[str] = []
    try:
        said += dict.fromkeys(look())
    except Exception as e:  # noqa: BLE001 - whatever a spider raises where it must not
        said.append(f"raises {type(e).__name__}: {e}")
    faults = [one for one in said if not one.startswith("#")]
    rest = [f"and {len(faults) - TOLD:,} more like these"] if len(faults) > TOLD else []
    return Check(
        what=what, faults=(*faults[:TOLD], *rest), remark="; ".join(one[1:].strip() for one in said if one[:1] == "#")
    )


def _alone(look: Callable[[type[PlatformSpider]], Iterator[str]], spider: type[PlatformSpider]) -> Iterator[str]:
    with alone():
        yield from look(spider)


# The checks. Each yields faults; what begins with # is no fault


def _head(spider: type[PlatformSpider]) -> Iterator[str]:
    if not _NAME.fullmatch(spider.name or ""):
        yield f"name is {spider.name!r}; use small letters, digits and hyphens"
    if not spider.title:
        yield "title is empty; people read it"
    names = [lane.name for lane in spider.lanes]
    if len(names) != len(set(names)):
        yield f"lanes has a name twice: {names}"
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
        for fetch in (*first, spider(seed=seed).listed(url), spider(seed=seed).swept(url)):
            yield from fetch_faults(spider, fetch)
        refused = ((fetch, scope_of(spider, seed).refuses(fetch)) for fetch in first)
        yield from (f"seeds yields {fetch.url}, which its territory refuses: {why}" for fetch, why in refused if why)


def scope_of(spider: type[PlatformSpider], seed: Seed) -> Scope:
    """Return what a crawl of a seed takes in."""
    territory = spider.territory(seed)
    return Scope(
        hosts=frozenset(territory.hosts) | {host_of(seed.url)}, suffixes=territory.suffixes, paths=territory.paths,
        home=host_of(seed.url), open_lanes=frozenset(lane.name for lane in spider.lanes if lane.anywhere),
    )  # fmt: skip


def strangers() -> list[CaptureResponse]:
    """Return answers of sites that are no platform at all."""
    url = "https://nowhere.example/"
    page = "<!DOCTYPE html><html><head><title>A bakery</title></head><body><p>Bread since 1921.</p></body></html>"
    api = {"Content-Type": "application/json"}
    return [
        answer(url, page),
        answer(url, "", status=500),
        answer(url, "", status=302, headers={"Location": "https://nowhere.example/en/"}),
        answer(f"{url}api", "{}", headers=api),
        answer(f"{url}api", '{"error": "not found"}', status=404, headers=api),
        answer(f"{url}api", "[null, [], {}]", headers=api),
        answer(f"{url}feed", '<?xml version="1.0"?><rss version="2.0"><channel><title>x</title></channel></rss>'),
        answer(url, b"\x00\xff" * 999, headers={"Content-Type": "application/octet-stream"}),
    ]


def _others(spider: type[PlatformSpider]) -> Iterator[str]:
    if spider.name == FALLBACK:
        yield "# the fallback takes whatever nobody else does"
        return
    paths = [f"https://nowhere.example{probe.path}" for probe in spider.probes if probe.path.startswith("/")]
    bodies = ("", "{}", "<p>x")
    replies = [*strangers(), *(answer(path, body, status=n) for path in paths for body in bodies for n in (200, 404))]
    for some in ([], replies, *([one] for one in replies)):
        evidence = spider.recognise(some)
        if evidence is not None and not isinstance(evidence, Evidence):
            yield f"recognise returns {type(evidence).__name__}"
        elif evidence is not None and evidence.confidence > 50:
            yield f"recognise takes a foreign site for its own: {', '.join(evidence.reasons)}"
    yield f"# {len(replies)} answers of sites that are something else"


def _judge(spider: type[PlatformSpider]) -> Iterator[str]:
    made = spider(seed=Seed(url=SEEDS[0]))
    for one in strangers():
        for status in (200, 404, 403, 429, 503):
            found = made.judge(one.replace(status=status, fetch=one.fetch, captured_at=one.captured_at))
            if not isinstance(found, Verdict):
                yield f"judge returns {found!r}"
            elif status == 404 and found is Verdict.OK:
                yield "judge takes HTTP 404 for an answer that is there"


def _source(spider: type[PlatformSpider]) -> Iterator[str]:
    """Look for clocks and dice in the file: read again, an answer must say what it said."""
    tree = ast.parse(inspect.getsource(sys.modules[spider.__module__]))
    parts = [part for part in tree.body if not isinstance(part, ast.ClassDef) or part.name == spider.__name__]
    for node in (node for part in parts for node in ast.walk(part)):
        if isinstance(node, ast.Call) and (found := _IMPURE.search(ast.unparse(node.func))):
            yield f"line {node.lineno} asks {found[0].lstrip('.')}; a callback takes the time from response.captured_at"


def _replica(spider: type[PlatformSpider], done: Rehearsal) -> Iterator[str]:
    if done.found.platform != spider.name:
        yield f"is recognised as {done.found.platform}: {'; '.join(done.found.reasons)}"
    yield from done.lacking
    yield from done.leaked
    if done.requests > LEAN * done.least + SPARE:
        yield f"took {done.requests:,} requests where {done.least:,} do"
    held = sum(thing["public"] for thing in done.served.site.things())
    yield f"# {held:,} public things, {done.requests:,} requests where {done.least:,} would do"
