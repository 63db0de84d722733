"""Which fetches the frontier takes and hands out: scope when they are offered, exclusions and robots when leased."""

from __future__ import annotations

import logging
import operator
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from crawler import clock
from crawler.frontier.interface import Refusal
from crawler.model import Covered, Fetch, Gate, Settlement, Standing
from crawler.plan.value import dated, marked
from crawler.politeness.robots import Rules, robots_url
from crawler.scope import Scope
from crawler.url import host_of, origin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from crawler.config import Config
    from crawler.frontier.interface import Frontier
    from crawler.model import Seed
    from spiders.base import PlatformSpider

log = logging.getLogger("outlast.admission")

#: Refusals that are simply the rest of the web, not something this platform has and we lack.
_ELSEWHERE = frozenset({"other site", "not http", "not a URL"})


#: Origins whose robots.txt is kept in memory.
MAX_RULES = 1000


class Admission:
    """Scope, exclusions and robots of one crawl."""

    def __init__(self, spider: type[PlatformSpider], seed: Seed, config: Config, frontier: Frontier) -> None:
        territory = spider.territory(seed)
        offsite = {"requisites"} if config.offsite == "requisites" else set()
        offsite |= {lane.name for lane in spider.lanes if lane.anywhere}
        self._scope = Scope(
            hosts=frozenset(territory.hosts) | {host_of(seed.url)} | set(config.listed_hosts),
            suffixes=territory.suffixes, paths=territory.paths,
            home=host_of(seed.url), open_lanes=frozenset({"robots"} | offsite), include=config.include,
            exclude=config.exclude,
        )  # fmt: skip
        self._excluded = config.exclude
        self._policy = config.robots
        #: A plan for a window asks how old the pages of listings are.
        self._dates_pages = bool(config.window)
        self._frontier = frontier
        self._rules: dict[str, Rules] = {}
        #: Has the last word on every settlement: the death watch.
        self.watched: Callable[[Settlement], Settlement] = lambda settlement: settlement

    def exclude(self, patterns: tuple[str, ...]) -> None:
        """Refuse from now on what matches these regular expressions, or those of the settings."""
        self._scope = replace(self._scope, exclude=(*self._excluded, *patterns))

    def is_home(self, url: str) -> bool:
        """Say whether a URL is on a host of the platform's own, not where its pages only fetch from."""
        return self._scope.is_home(urlsplit(url).hostname or "")

    def admitted(self, fetches: Iterable[Fetch]) -> Iterator[Fetch]:
        """Yield the fetches that belong."""
        now = clock.now()
        return (marked(f, now) for f in fetches if not self._scope.refuses(f))

    def sift(self, settlement: Settlement) -> Settlement:
        """Return a settlement without the outlinks that do not belong; what the platform has of them is counted."""
        settlement = self.watched(settlement)
        if self._dates_pages:
            settlement = dated(settlement)
        kept: list[Fetch] = []
        now = clock.now()
        refused: list[Covered] = []
        gate = settlement.gate
        for fetch in settlement.outlinks:
            reason = self._scope.refuses(fetch)
            if not reason:
                kept.append(marked(fetch, now))
            elif fetch.lane == "robots" and fetch.hops and fetch.cursor:
                # A redirect that leads nowhere: there are no rules (RFC 9309 section 2.3.1.2).
                gate = Gate(origin=fetch.cursor["origin"])
            elif reason not in _ELSEWHERE and fetch.covers is not None:
                refused.append(_refused(fetch, Standing.EXCLUDED, reason))
        if not refused and gate is settlement.gate and all(map(operator.is_, kept, settlement.outlinks)):
            return settlement
        return replace(settlement, outlinks=tuple(kept), coverage=(*settlement.coverage, *refused), gate=gate)

    def admit(self, fetch: Fetch) -> Refusal | None:
        """Say, when a fetch is about to be leased, why it may not be; None where it may."""
        reason = self._scope.refuses(fetch)
        if reason:
            return Refusal(reason=reason, standing=Standing.EXCLUDED)
        if self._policy != "ignore" and fetch.lane != "robots" and not self._allowed(fetch.url):
            if self._policy == "obey":
                return Refusal(reason="robots", standing=Standing.REFUSED)
            log.info("robots.txt would have refused %s", fetch.url)
        return None

    def gate_for(self, place: str) -> Fetch | None:
        """Return the fetch that must be settled before an origin is asked for anything else."""
        if self._policy == "ignore":
            return None
        return Fetch(
            url=robots_url(place), lane="robots", callback="parse_robots_txt", cursor={"origin": place}, sweep=True
        )

    def learn(self, gates: Iterable[Gate]) -> None:
        """Take in the rules of robots.txt files just settled; the first for an origin holds."""
        for gate in gates:
            if gate.origin not in self._rules:
                self._keep(gate.origin, Rules(gate.rules))
            if not gate.readable:
                log.warning("%s/robots.txt was never readable; its pages wait (--robots ignore goes on)", gate.origin)

    def _allowed(self, url: str) -> bool:
        place = origin(url)
        rules = self._rules.get(place)
        if rules is None:
            gate = self._frontier.gate(place)
            if gate is None:
                return True
            rules = self._keep(place, Rules(gate.rules))
        return rules.allowed(url)

    def _keep(self, place: str, rules: Rules) -> Rules:
        """Remember the rules of an origin; requisites name any number of origins, and the frontier has them all."""
        if len(self._rules) >= MAX_RULES:
            del self._rules[next(iter(self._rules))]
        self._rules[place] = rules
        return rules


class Errands(Admission):
    """A volunteer's: what its coordinator lends was admitted there, and what pages name is read there."""

    def sift(self, settlement: Settlement) -> Settlement:
        """Return a settlement without what is the coordinator's business."""
        return replace(self.watched(settlement), outlinks=(), gate=None)

    def admit(self, fetch: Fetch) -> Refusal | None:
        """Refuse nothing."""
        return None

    def gate_for(self, place: str) -> Fetch | None:
        """Return None: its robots.txt was settled before an origin's fetches were lent."""
        return None


def _refused(fetch: Fetch, standing: Standing, reason: str) -> Covered:
    assert fetch.covers is not None
    kind, thing = fetch.covers
    return Covered(kind=kind, id=thing, standing=standing, day=fetch.day, reason=reason, url=fetch.url)
