"""A crawl of a replica in memory: what a spider does with a whole site, without a socket or a file.

A replica is a ``PlatformSite`` (crawler/replicas/kit.py): it answers requests, and its books say what it has. So a
test can ask whether all that is public was found, whether anything private was, and what it cost.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from crawler.errors import UsageError
from crawler.model import Fetch, Seed
from crawler.replicas.exchange import Clock, Request
from crawler.replicas.kit import PRIVATE, PlatformSite
from crawler.replicas.launch import NOW
from spiders.detect import Recognised, next_probe, recognise
from spiders.registry import enlisted, load
from spiders.testing import Crawled, answer, crawl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crawler.replicas.server import Site
    from crawler.response import CaptureResponse
    from spiders.base import PlatformSpider

#: Where a replica without names of its own stands.
HOME = "http://replica.example/"
#: Seconds that a replica which limits us may ask for.
MAX_WAIT = 2


class Served:
    """A replica as a site that is a function: what was asked of it, and what it gave."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.answers: list[CaptureResponse] = []
        #: Path with query → SHA-256 of what was given with 200.
        self.held: dict[str, set[str]] = {}

    def __call__(self, fetch: Fetch) -> CaptureResponse:
        """Return the answer to a fetch, as a callback gets it."""
        reply = self._ask(fetch)
        if reply.status == 429 and (wait := reply.header("Retry-After")).isdecimal():
            time.sleep(min(int(wait), MAX_WAIT))
        self.answers.append(reply)
        return reply

    def _ask(self, fetch: Fetch) -> CaptureResponse:
        parts = urlsplit(fetch.url)
        target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        headers = {name.lower(): value for name, value in fetch.headers} | {
            "host": parts.netloc,
            "user-agent": "Outlast",
        }
        told = Request(fetch.method, parts.hostname or "", target, headers, fetch.body)
        if self.site.hosts and told.host not in self.site.hosts:
            return answer(fetch.url, status=421, fetch=fetch)
        said = self.site.answer(told)
        body = b"".join(said.flow.pieces()) if said.flow else said.body
        if said.status == 200:
            self.held.setdefault(target, set()).add(hashlib.sha256(body).hexdigest())
        # A header that comes twice is joined, as HTTP allows (RFC 9110, 5.3).
        given = {"Content-Type": said.content_type}
        for name, value in said.headers:
            given[name] = f"{given[name]}, {value}" if name in given else value
        return answer(fetch.url, body, status=said.status, headers=given, fetch=fetch, captured_at=NOW)


@dataclass(slots=True)
class Rehearsal:
    """What came of a crawl of a replica."""

    seed: Seed
    served: Served
    crawled: Crawled
    found: Recognised
    #: Requests that detection made, robots.txt aside.
    probes: int
    #: What is public and not held, and what is private and is; a line each.
    lacking: list[str] = field(default_factory=list)
    leaked: list[str] = field(default_factory=list)

    @property
    def requests(self) -> int:
        """Return how many requests the crawl made, robots.txt aside."""
        return sum(1 for one in self.served.answers if one.fetch.lane != "robots")

    @property
    def least(self) -> int:
        """Return the requests that get everything public once."""
        site = self.served.site
        asked = sum(1 for thing in site.things() if thing["public"] and thing["url"] and thing["kind"] != "comment")
        return asked + sum(site.overhead().values())


def site_in(place: str) -> type[PlatformSite]:
    """Return the replica of a file or module. Raises UsageError where there is none, or more than one."""
    try:
        module = load(Path(place)) if place.endswith(".py") else import_module(place)
    except ImportError as e:
        raise UsageError(f"{place} does not load: {e}.") from e
    sites = [one for one in vars(module).values() if isinstance(one, type) and issubclass(one, PlatformSite)]
    sites = [one for one in sites if one.__module__ == module.__name__ and one.name]
    if len(sites) != 1:
        raise UsageError(f"{place} must hold one PlatformSite with a name = …; it holds {len(sites) or 'none'}.")
    return sites[0]


def built(site: type[PlatformSite], *, size: int = 60, trap: Sequence[str] = ()) -> PlatformSite:
    """Return a replica of about ``size`` posts, with the traps that are named."""
    return site(size=size, trap=trap, clock=Clock(NOW))


def home(site: Site) -> str:
    """Return where a replica is found."""
    return f"https://{site.hosts[0]}/" if site.hosts else HOME


def recognised(site: Site, seed_url: str = "") -> tuple[Recognised, list[str]]:
    """Recognise a replica from its bare address; return what it is believed to be, and what was asked."""
    seed, served = seed_url or home(site), Served(site)
    replies: list[CaptureResponse] = []
    asked: list[str] = []
    while url := next_probe(seed, replies, asked):
        asked.append(url)
        replies.append(served(Fetch(url=url, lane="probe", callback="recognise")))
    return recognise(replies), asked


def rehearse(
    spider: type[PlatformSpider], site: Site, seed: Seed | None = None, *, before: Rehearsal | None = None
) -> Rehearsal:
    """Crawl a replica to its end, and hold what was found against its books; ``before`` is an earlier round."""
    seed = seed or Seed(url=home(site))
    with enlisted(spider):
        found, asked = recognised(site, seed.url)
    served = Served(site)
    origin = urljoin(seed.url, "/robots.txt")
    crawled = crawl(
        spider,
        seed,
        served,
        first=[Fetch(url=origin, lane="robots", callback="parse_robots_txt")],
        before=before.crawled if before else None,
    )
    done = Rehearsal(seed=seed, served=served, crawled=crawled, found=found, probes=len(asked))
    _compare(done)
    return done


def _compare(done: Rehearsal) -> None:
    said = {(type(item).__name__, item.id) for item in done.crawled.items}
    for thing in done.served.site.things():
        named = f"{thing['kind']} {thing['id']}"
        if not thing["public"]:
            if thing["item"] and (thing["item"], thing["id"]) in said:
                done.leaked.append(f"{named} is private, and yielded as {thing['item']}")
            continue
        digests = done.served.held.get(thing["url"])
        if thing["url"] and (digests is None or thing.get("sha256", next(iter(digests))) not in digests):
            done.lacking.append(f"{named} ({thing['url']}) was not fetched")
        elif thing["item"] and (thing["item"], thing["id"]) not in said:
            done.lacking.append(f"{named} was not yielded as {thing['item']}")
    done.leaked += [f"{item.id} says {PRIVATE}" for item in done.crawled.items if PRIVATE in repr(item)]
