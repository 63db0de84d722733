"""Every replica, crawled in memory, without a kill: recognised from its bare address, all that is public found, nothing private."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from crawler.model import Seed
from crawler.replicas.kit import PlatformSite
from crawler.replicas.plain import PlainSite
from crawler.scope import seed_from
from spiders.detect import MAX_PROBES
from spiders.registry import FALLBACK, get
from spiders.rehearsal import Rehearsal, built, home, recognised, rehearse
from tests.acceptance.platforms import ROWS


def site_of(name: str, size: int = 60) -> PlatformSite:
    """Return the replica of a row."""
    facts = ROWS[name]
    module = import_module(f"crawler.replicas.{facts.get('replica', name)}")
    found = [one for one in vars(module).values() if getattr(one, "__module__", "") == module.__name__]
    site = next(one for one in found if isinstance(one, type) and issubclass(one, PlatformSite))
    trap = facts.get("options", {}).get("trap", "")
    return built(site, size=size, trap=[one for one in trap.split(",") if one])


def seed_of(name: str, site: PlatformSite, **more: Any) -> Seed:
    facts = ROWS[name]
    return Seed(url=seed_from(facts["seed"]).url if "seed" in facts else home(site), **more)


def rehearsed(name: str, **more: Any) -> Rehearsal:
    site, facts = site_of(name), ROWS[name]
    return rehearse(get(facts.get("platform", facts.get("replica", name))), site, seed_of(name, site, **more))


@pytest.mark.parametrize("name", ROWS)
def test_a_replica_in_memory(name: str) -> None:
    done = rehearsed(name)
    assert done.found.platform == ROWS[name].get("platform", ROWS[name].get("replica", name))
    assert done.probes <= MAX_PROBES
    assert not done.lacking[:5]
    assert not done.leaked[:5]
    assert done.requests <= 1.2 * done.least


def test_a_plain_site_is_nobodys() -> None:
    site = PlainSite()
    found, asked = recognised(site)
    assert found.platform == FALLBACK
    assert len(asked) <= MAX_PROBES


#: Families that list their newest first, with replicas large enough to page.
NEWEST_FIRST = {
    "ghost": 250, "hackernews": 900, "mastodon-gab": 200, "mastodon-old": 200, "mediawiki": 400, "odysee": 150,
    "peertube": 150, "phpbb": 600, "pixelfed": 200, "rumble": 100, "wordpress": 250, "wordpress-feed": 150,
}  # fmt: skip


@pytest.mark.parametrize("name", NEWEST_FIRST)
def test_a_later_round_stops_at_what_it_knows(name: str) -> None:
    facts = ROWS[name]
    site = site_of(name, NEWEST_FIRST[name])
    spider = get(facts.get("platform", facts.get("replica", name)))
    first = rehearse(spider, site, seed_of(name, site))
    again = rehearse(spider, site, seed_of(name, site), before=first)
    assert not first.lacking[:5]
    assert again.requests < 0.95 * first.requests
    assert {one for one in again.crawled.held - first.crawled.held if one[0] != "asset"} == set()
