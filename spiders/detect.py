"""Which platform a site is: pure functions over captured answers.

First the seed's own page is asked, then the cheapest probes of the spiders; every answer goes to every spider. The
surest one wins, and nobody sure enough means the fallback. What a page shows counts for more than the name of its
host: a known host that shows nothing is believed to be what it was, one that shows something else is not.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from spiders.registry import FALLBACK, all_classes, get

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crawler.response import CaptureResponse
    from spiders.base import Evidence, PlatformSpider

log = logging.getLogger("outlast.detect")

#: Requests that detection may make, robots.txt aside.
MAX_PROBES = 8
#: Confidence up to which a spider is not believed; the fallback has this much.
SURE = 50
#: Confidence in a known host that shows nothing, and the one at which no more need be asked.
BY_NAME, SETTLED = 60, 95


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognised:
    """What a site is believed to be."""

    platform: str
    title: str
    #: 0 to 100.
    confidence: int
    reasons: tuple[str, ...]
    #: Platforms that something speaks for, if only the name of the host.
    possible: frozenset[str] = frozenset()
    #: Whether the site showed anything at all.
    showed: bool = False


def plan(seed_url: str) -> list[str]:
    """Return the URLs to ask, in order: the seed, then each spider's probes.

    A probe that is a whole URL asks a platform's own hosts, and is made only where the seed is one of them.
    """
    host = _host(seed_url)
    urls = [seed_url]
    for spider in sorted(all_classes(), key=lambda spider: host not in spider.known_hosts):
        paths = [probe.path for probe in spider.probes if host in spider.known_hosts or "://" not in probe.path]
        urls += [urljoin(seed_url, path) for path in paths]
    return list(dict.fromkeys(urls))[:MAX_PROBES]


def recognise(replies: Sequence[CaptureResponse]) -> Recognised:
    """Return what the answers say, the fallback where nobody is sure."""
    hosts = {_host(reply.url) for reply in replies}
    showed = any(reply.status == 200 for reply in replies)
    best = _fallback("no platform we know answers like this")
    possible = set()
    for spider in all_classes():
        evidence = _evidence(spider, replies)
        is_named = not hosts.isdisjoint(spider.known_hosts)
        if evidence is not None or is_named:
            possible.add(spider.name)
        if evidence is not None and evidence.confidence > best.confidence:
            best = _believed(spider, evidence.confidence, *evidence.reasons)
        elif is_named and best.confidence <= SURE:
            best = _by_name(spider, replies)
    return Recognised(
        platform=best.platform, title=best.title, confidence=best.confidence, reasons=best.reasons,
        possible=frozenset(possible), showed=showed,
    )  # fmt: skip


def is_settled(replies: Sequence[CaptureResponse]) -> bool:
    """Say whether the answers so far leave no doubt, so that no more need be asked."""
    return recognise(replies).confidence >= SETTLED


def contradiction(platform: str, found: Recognised) -> str:
    """Return why a site cannot be taken for a platform the user named, or the empty string.

    The fallback reads any site, so naming it contradicts nothing; and a site that shows nothing contradicts nobody.
    Where something speaks for the platform the user's word decides, unless another is recognised beyond doubt.
    """
    is_other = found.platform not in {FALLBACK, platform} and found.confidence >= SETTLED
    if platform in {FALLBACK, found.platform} or not found.showed or (platform in found.possible and not is_other):
        return ""
    return f"This does not look like {get(platform).title}: it answers as {found.title} ({'; '.join(found.reasons)})."


def _evidence(spider: type[PlatformSpider], replies: Sequence[CaptureResponse]) -> Evidence | None:
    """Ask one spider. Answers are hostile and plug-ins are other people's: one that fails has nothing to say."""
    try:
        return spider.recognise(replies)
    except Exception:
        log.exception("%s could not look at the answers", spider.name)
        return None


def _by_name(spider: type[PlatformSpider], replies: Sequence[CaptureResponse]) -> Recognised:
    host = next(_host(reply.url) for reply in replies if _host(reply.url) in spider.known_hosts)
    if any(reply.status == 200 for reply in replies):
        return _fallback(f"{host} is known as {spider.title}, but nothing it shows looks like that")
    statuses = ", ".join(sorted({str(reply.status) for reply in replies}))
    return _believed(spider, BY_NAME, f"{host} is known as {spider.title}, and shows nothing now (HTTP {statuses})")


def _believed(spider: type[PlatformSpider], confidence: int, *reasons: str) -> Recognised:
    return Recognised(platform=spider.name, title=spider.title, confidence=confidence, reasons=reasons)


def _fallback(reason: str) -> Recognised:
    return _believed(get(FALLBACK), SURE, reason)


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""
