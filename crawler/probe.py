"""Recognise a site: ask the few URLs that detection names, and keep every exchange as a capture."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING

from crawler.capture.decode import response_from
from crawler.capture.pool import Pool, PoolOptions
from crawler.collection import OPEN_SUFFIX
from crawler.errors import SiteUnavailable, UsageError
from crawler.model import PROBE_LANE, Capture, Fetch, Leased, Lookup, Outcome, SegmentClass, Settlement, State
from crawler.provenance import warcinfo_fields
from crawler.url import host_of
from crawler.warc.records import dns, exchange, metadata
from crawler.warc.segment import SegmentWriter
from spiders.closed import challenge
from spiders.detect import contradiction, next_probe, recognise
from spiders.registry import all_classes, get

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from crawler.collection import Collection
    from crawler.config import Config
    from crawler.frontier.engine import Engine
    from crawler.model import Seed
    from crawler.response import CaptureResponse
    from spiders.base import PlatformSpider


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A site recognised, with the exchanges that say so."""

    platform: str
    title: str
    confidence: int
    reasons: tuple[str, ...]
    captures: tuple[tuple[Fetch, Capture], ...]
    lookups: tuple[Lookup, ...] = ()
    is_local: bool = False
    #: Why the site cannot be crawled though it answered; empty where it can.
    refusal: str = ""

    def record(self, collection: Collection, frontier: Engine, config: Config) -> None:
        """Write the exchanges as a segment of the collection; the next run of the sealer takes it."""
        name = collection.segment_name(0, f"{frontier.prefix}probe", SegmentClass.TEXT)
        writer = SegmentWriter(
            collection.warcs / f"{name}{OPEN_SUFFIX}", warcinfo_fields=warcinfo_fields(collection.marker, config)
        )
        info = writer.warcinfo_id
        writer.append(*(dns(lookup, warcinfo_id=info) for lookup in self.lookups)) if self.lookups else None
        for fetch, capture in self.captures:
            leased = Leased(id=0, token=0, fetch=replace(fetch, callback=None))
            made = exchange(capture, warcinfo_id=info, work=leased, original=None)
            told = Settlement(id=0, token=0, state=State.DONE, reason="probe")
            writer.append(*made.records, metadata(made, capture, leased, told, warcinfo_id=info))
        writer.close()
        frontier.add_segment(name, SegmentClass.TEXT, "probe")
        frontier.commit_recovered([], {name: writer.size}, now=0.0)


async def probe(
    seed: Seed, config: Config, platform: str = "", *, only_reach: bool = False, listed: bool = False,
    kept: Callable[[str], Sequence[str]] | None = None,
) -> Site:  # fmt: skip
    """Ask a site what it is; at most 8 requests. ``only_reach`` asks for the seed alone.

    A site that is known to show strangers nothing is asked nothing, unless the user ``listed`` pages of it. ``kept``
    are last known addresses, see ``Pool``. Raises
    SiteUnavailable for it, and where a site cannot be reached; UsageError where it contradicts ``platform``.
    """
    closed = _closed(seed, platform)
    if closed is not None and not listed:
        raise SiteUnavailable(
            f"{host_of(seed.url)} is {closed.title}, which {closed.closed}. Pages that you list with -i FILE are tried "
            "as any stranger gets them."
        )
    lookups: list[Lookup] = []
    asked: list[tuple[Fetch, Capture]] = []
    replies: list[CaptureResponse] = []
    tried: list[str] = []
    refusal = ""
    with tempfile.TemporaryDirectory(prefix="outlast-probe-") as spool:
        pool = Pool(pool_options(config, seed.url, Path(spool)), on_lookup=lookups.append, kept=kept)
        try:
            while url := next_probe(seed.url, replies, tried):
                tried.append(url)
                fetch = Fetch(url=url, lane=PROBE_LANE, callback="recognise")
                capture = await pool.fetch(method="GET", url=url)
                if len(tried) == 1:
                    _check_reached(seed, capture)
                if capture.outcome is Outcome.OK and capture.body.path is None:
                    asked.append((fetch, capture))
                    replies.append(response_from(fetch, capture))
                    refusal = refusal or (_refusal(seed, replies[0]) if len(tried) == 1 else "")
                if only_reach or refusal or closed:
                    break
        finally:
            await pool.close()
    found = recognise(replies)
    if platform and not (only_reach or refusal or closed) and (why := contradiction(platform, found)):
        raise UsageError(f"{why} Leave --platform out, or name {found.platform}.")
    chosen = closed or get(platform or found.platform)
    return Site(
        platform=chosen.name,
        title=chosen.title,
        confidence=found.confidence,
        reasons=found.reasons,
        captures=tuple(asked),
        lookups=tuple(lookups),
        is_local=_is_local(asked),
        refusal=refusal,
    )


def _closed(seed: Seed, platform: str) -> type[PlatformSpider] | None:
    """Return the platform that a site is named or known as, where that is closed to strangers."""
    host = host_of(seed.url)
    named = [get(platform)] if platform else [spider for spider in all_classes() if host in spider.known_hosts]
    return next((spider for spider in named if spider.closed), None)


def _refusal(seed: Seed, reply: CaptureResponse) -> str:
    if why := challenge(reply):
        return (
            f"{host_of(seed.url)} lets only browsers in ({why}), and we are none; its answer is kept. It may be open "
            "at another time, or from another network: then run the same command again."
        )
    return ""


def _check_reached(seed: Seed, capture: Capture) -> None:
    if capture.outcome is Outcome.OK or capture.head:
        return
    what = {
        Outcome.DNS: "its name does not resolve", Outcome.REFUSED: "it refused the connection",
        Outcome.TLS: "its certificate or TLS is not good", Outcome.TIMEOUT: "it did not answer in time",
        Outcome.FORBIDDEN_ADDRESS: "it is at a private address (--allow-private CIDR permits it)",
    }.get(capture.outcome, "no usable answer came")  # fmt: skip
    raise SiteUnavailable(f"{host_of(seed.url)} cannot be archived now: {what} ({capture.error}).")


def _is_local(asked: list[tuple[Fetch, Capture]]) -> bool:
    return any(capture.ip and ip_address(capture.ip.split("%")[0]).is_loopback for _, capture in asked)


def pool_options(config: Config, seed_url: str, spool: Path) -> PoolOptions:
    """Return how connections are made for a crawl of this seed."""
    return PoolOptions(
        user_agent=config.user_agent, ca_cert=Path(config.ca_cert) if config.ca_cert else None, verify=config.verify,
        proxy=config.proxy or None, resolve=config.resolve, connect_to=config.connect_to,
        bind_address=config.bind_address or None, private_allowed=tuple(ip_network(c) for c in config.allow_private),
        trusted_hosts=frozenset() if config.volunteer else frozenset({host_of(seed_url), *config.listed_hosts}),
        connect_timeout=config.connect_timeout,
        first_byte_timeout=config.first_byte_timeout, idle_timeout=config.idle_timeout,
        total_timeout=config.total_timeout, max_body=config.max_body or None, spool_dir=spool,
    )  # fmt: skip
