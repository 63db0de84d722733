"""Which platform a site is: pure functions over captured answers.

First the seed's own page is asked, then what servers of the fediverse say of themselves, then the probes of the
spiders, most telling first; every answer goes to every spider. The surest one wins, and nobody sure enough means the
fallback. What a page shows counts for more than the name of its host: a known host that shows nothing is believed to
be what it was, one that shows something else is not.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from spiders.nodeinfo import DOOR, document, nodeinfo
from spiders.registry import FALLBACK, all_classes, get

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

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


def next_probe(seed_url: str, replies: Sequence[CaptureResponse], asked: Collection[str]) -> str:
    """Return the next URL to ask, given the answers so far; empty where nothing is left to ask.

    ``asked`` are the URLs asked before, answered or not.
    """
    if len(asked) >= MAX_PROBES or is_settled(replies):
        return ""
    return next((url for url in _ladder(seed_url, replies) if url not in asked), "")


def _ladder(seed_url: str, replies: Sequence[CaptureResponse]) -> Iterator[str]:
    """Yield what may be asked, best first.

    A probe that is a whole URL asks a platform's own hosts, and is made only where the seed is one of them.
    """
    host = _host(seed_url)
    yield seed_url
    yield from (url for reply in replies if (url := _led_to(reply, host)))
    ours = [spider for spider in all_classes() if host in spider.known_hosts]
    yield from (urljoin(seed_url, probe.path) for spider in ours for probe in spider.probes)
    if not ours or any(spider.software for spider in ours):
        yield urljoin(seed_url, DOOR)
        if found := document(replies):
            yield found
    if not ours and nodeinfo(replies) is None:
        others = [probe for spider in all_classes() for probe in spider.probes if "://" not in probe.path]
        yield from (urljoin(seed_url, probe.path) for probe in sorted(others, key=lambda probe: probe.order))


def _led_to(reply: CaptureResponse, host: str) -> str:
    """Return where the page of a site redirects to within it."""
    target = urljoin(reply.url, reply.header("Location")) if 300 <= reply.status < 400 else ""
    return target if target and _bare(_host(target)) == _bare(host) else ""


def _bare(host: str) -> str:
    return host.removeprefix("www.")


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
