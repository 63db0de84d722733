"""Doors that do not open to strangers: platforms that show them nothing, and pages that ask them to be a browser.

No answer of such a platform is worth a request: without an account they show a form to log in, and what some of them
still hand to browsers takes tricks that we do not play. What can be done all the same is said instead.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from spiders.base import PAGES, REQUISITES, Territory
from spiders.pages import PageSpider

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.model import Fetch, Lane, Seed
    from crawler.response import CaptureResponse

#: Headers by which guards say that an answer is theirs, and what stands at the beginning of their pages.
_HEADERS = {"cf-mitigated": re.compile("challenge"), "x-amzn-waf-action": re.compile("challenge|captcha")}
_PAGES = re.compile(
    rb"_cf_chl_opt|/cdn-cgi/challenge-platform/|<title>Just a moment\.\.\.</title>|<title>DDoS-Guard</title>"
    rb"|sucuri_cloudproxy_js|/\.within\.website/x/cmd/anubis|id=\"anubis_challenge\"|awsWafCookieDomainList"
)
#: Statuses of such pages; a page of the site itself may well name a guard's scripts.
_STATUSES = frozenset({202, 401, 403, 405, 429, 503})


def challenge(response: CaptureResponse) -> str:
    """Say why an answer is a guard's and not the site's; empty where it is the site's own."""
    for name, value in _HEADERS.items():
        if value.search(response.header(name)):
            return f"{name}: {response.header(name)[:40]}"
    is_anubis = response.status == 200 and b"/.within.website/x/cmd/anubis" in response.head_bytes
    if is_anubis or (response.status in _STATUSES and _PAGES.search(response.head_bytes)):
        return f"HTTP {response.status}, with a page that tests browsers"
    return ""


class ClosedSpider(PageSpider):
    """Base of platforms that show strangers nothing, or next to nothing. Takes what the user lists, and no more."""

    lanes: ClassVar[tuple[Lane, ...]] = (PAGES, REQUISITES)
    kinds: ClassVar[tuple[str, ...]] = ("page", "asset")

    @classmethod
    def territory(cls, seed: Seed) -> Territory:
        """Return nothing but the seed's own host."""
        return Territory()

    def seeds(self, seed: Seed) -> Iterator[Fetch]:
        """Yield nothing: there is no way from here."""
        return iter(())

    def listed(self, url: str) -> Fetch:
        """Return the work of a page that the user listed."""
        return self.fetch(url, lane=PAGES, callback=self.parse_page, covers=("page", url))


def _hosts(*names: str) -> tuple[str, ...]:
    return tuple(f"{prefix}{name}" for name in names for prefix in ("", "www.", "m.", "mobile."))


class XSpider(ClosedSpider):
    """Since June 2023."""

    name = "x"
    title: ClassVar[str] = "X (Twitter)"
    known_hosts: ClassVar[tuple[str, ...]] = _hosts("x.com", "twitter.com")
    closed: ClassVar[str] = (
        "shows strangers no timelines, and single posts only to scripts; their owner can download them under Settings, "
        "Your account, Download an archive of your data"
    )


class FacebookSpider(ClosedSpider):
    """A form to log in before nearly everything."""

    name = "facebook"
    title: ClassVar[str] = "Facebook"
    known_hosts: ClassVar[tuple[str, ...]] = (
        *_hosts("facebook.com"), "mbasic.facebook.com", "touch.facebook.com", "web.facebook.com",
    )  # fmt: skip
    closed: ClassVar[str] = (
        "shows strangers a form to log in; the owner of a page or account can export it in the Accounts Center, "
        "Your information and permissions"
    )


class InstagramSpider(ClosedSpider):
    """A form to log in after a few looks."""

    name = "instagram"
    title: ClassVar[str] = "Instagram"
    known_hosts: ClassVar[tuple[str, ...]] = _hosts("instagram.com")
    closed: ClassVar[str] = (
        "shows strangers a form to log in; the owner of an account can export it in the Accounts Center, "
        "Your information and permissions"
    )


class ThreadsSpider(ClosedSpider):
    """A few posts of a profile, made by scripts; who shares to the fediverse is found there."""

    name = "threads"
    title: ClassVar[str] = "Threads"
    known_hosts: ClassVar[tuple[str, ...]] = _hosts("threads.net", "threads.com")
    closed: ClassVar[str] = (
        "shows strangers a few posts, to scripts alone; the owner of an account can export it in the Accounts Center, "
        "Your information and permissions"
    )


class TikTokSpider(ClosedSpider):
    """Every request is to be signed by its own scripts."""

    name = "tiktok"
    title: ClassVar[str] = "TikTok"
    known_hosts: ClassVar[tuple[str, ...]] = _hosts("tiktok.com")
    closed: ClassVar[str] = (
        "answers only what its own scripts have signed; the owner of an account can download it under Settings and "
        "privacy, Account, Download your data"
    )


class LinkedInSpider(ClosedSpider):
    """Status 999 for who is no browser."""

    name = "linkedin"
    title: ClassVar[str] = "LinkedIn"
    known_hosts: ClassVar[tuple[str, ...]] = _hosts("linkedin.com")
    closed: ClassVar[str] = (
        "turns strangers away; the owner of an account can download it under Settings, Data privacy, Get a copy of "
        "your data"
    )
