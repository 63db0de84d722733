"""Closed doors, told from answers: guards' pages from a site's own, and platforms that show strangers nothing."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from crawler.model import Seed
from spiders.base import PlatformSpider
from spiders.closed import ClosedSpider, challenge
from spiders.registry import all_classes
from spiders.testing import answer, crawl

CLOSED: list[type[PlatformSpider]] = [spider for spider in all_classes() if spider.closed]


@pytest.mark.parametrize(
    ("status", "headers", "body", "is_guard"),
    [
        (403, {"cf-mitigated": "challenge"}, "", True),
        (200, {"cf-mitigated": "challenge"}, "", True),
        (403, {}, "<title>Just a moment...</title><script>window._cf_chl_opt={}", True),
        (503, {}, '<script src="/cdn-cgi/challenge-platform/h/b/orchestrate"></script>', True),
        (202, {"x-amzn-waf-action": "challenge"}, "", True),
        (200, {}, '<script src="/.within.website/x/cmd/anubis/static/js/main.mjs">', True),
        (403, {}, "<title>DDoS-Guard</title>", True),
        (403, {}, "Forbidden", False),
        (503, {}, "Down for maintenance", False),
        # A page of the site itself holds a guard's script, too.
        (200, {}, '<p>Tea</p><script src="/cdn-cgi/challenge-platform/scripts/jsd/main.js"></script>', False),
        (200, {"cf-mitigated": ""}, "<title>Just a moment...</title>", False),
        (0, {}, "", False),
    ],
)
def test_a_guard_is_told_from_the_site(status: int, headers: dict[str, str], body: str, is_guard: bool) -> None:
    assert bool(challenge(answer("http://s/", body, status=status, headers=headers))) is is_guard


def test_each_says_who_can_get_what_a_stranger_cannot() -> None:
    assert {spider.name for spider in CLOSED} >= {"x", "facebook", "instagram", "tiktok"}
    for spider in CLOSED:
        assert issubclass(spider, ClosedSpider)
        assert {f"www.{host}" for host in spider.known_hosts if host.count(".") == 1} <= set(spider.known_hosts)
        assert "owner" in spider.closed
        assert not spider.closed.endswith(".")


def test_nothing_is_asked_but_what_is_listed() -> None:
    for spider in CLOSED:
        seed = Seed(url=f"https://{spider.known_hosts[0]}/")
        done = crawl(spider, seed, lambda fetch: answer(fetch.url))
        assert not done.fetches
        listed = spider(seed=seed).listed(f"{seed.url}a/page")
        assert urlsplit(listed.url).path == "/a/page"
        assert listed.callback == "parse_page"
