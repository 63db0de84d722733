"""Which platform a site is: pure functions over captured answers.

First the seed's own page is asked, then the cheapest probes of spiders that are still possible; every answer goes to
every spider. The surest spider wins; nobody sure enough means the fallback.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from spiders.registry import FALLBACK, all_classes, get

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crawler.response import CaptureResponse

#: Requests that detection may make, robots.txt aside.
MAX_PROBES = 8
#: Confidence below which a spider is not believed.
SURE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognised:
    """What a site is believed to be."""

    platform: str
    title: str
    #: 0 to 100.
    confidence: int
    reasons: tuple[str, ...]


def plan(seed_url: str) -> list[str]:
    """Return the URLs to ask, in order: the seed, then each spider's probes."""
    host = urlsplit(seed_url).hostname or ""
    urls = [seed_url]
    spiders = sorted(all_classes(), key=lambda spider: host not in spider.known_hosts)
    for spider in spiders:
        urls += [urljoin(seed_url, probe.path) for probe in spider.probes]
    return list(dict.fromkeys(urls))[:MAX_PROBES]


def recognise(replies: Sequence[CaptureResponse]) -> Recognised:
    """Return what the answers say, the fallback where nobody is sure."""
    best = Recognised(
        platform=FALLBACK, title=get(FALLBACK).title, confidence=SURE, reasons=("no platform we know answers like this",)
    )
    for spider in all_classes():
        evidence = spider.recognise(replies)
        if evidence is not None and evidence.confidence > best.confidence:
            best = Recognised(
                platform=spider.name, title=spider.title, confidence=evidence.confidence, reasons=evidence.reasons
            )
    return best


def is_settled(replies: Sequence[CaptureResponse]) -> bool:
    """Say whether the answers so far leave no doubt, so that no more need be asked."""
    return recognise(replies).confidence >= 95


def contradiction(platform: str, found: Recognised) -> str:
    """Return why a site cannot be taken for a platform the user named, or the empty string.

    The fallback reads any site, so naming it contradicts nothing.
    """
    if platform in {FALLBACK, found.platform}:
        return ""
    return f"This does not look like {get(platform).title}: it answers as {found.title} ({'; '.join(found.reasons)})."
