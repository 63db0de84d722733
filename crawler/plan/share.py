"""What share of a crawl is saved: one figure for ``archive status``, ``archive plan`` and the live page."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crawler.plan.estimate import expected

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from crawler.frontier.interface import Bucket, Stats
    from crawler.frontier.reader import FrontierReader
    from crawler.model import Claim
    from crawler.plan.estimate import Class

#: A platform's own counter is believed while it calls more than this part of its things known.
_LEAST_SHARE = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Fetches of a round: what is done, what waits, what failed or is parked, and how many more are likely found."""

    done: int
    waiting: int
    lost: int
    expected: int

    @classmethod
    def of(cls, frontier: FrontierReader, stats: Stats) -> Share:
        """Return how a frontier stands."""
        more = unfound(frontier.buckets(), frontier.led(), share_known(frontier.claims(), frontier.coverage()))
        return cls(
            done=stats.done, waiting=stats.queued + stats.leased, lost=stats.parked + stats.failed, expected=round(more)
        )

    @property
    def known(self) -> int:
        """Return how many fetches are known."""
        return self.done + self.waiting + self.lost

    @property
    def whole(self) -> int:
        """Return how many are known and expected."""
        return self.known + self.expected

    @property
    def saved(self) -> float | None:
        """Return the share that is done; None where nothing is known yet."""
        return self.done / self.whole if self.whole else None

    def with_more(self, things: float) -> float | None:
        """Return the share that is done once so many more are."""
        return min((self.done + max(things, 0.0)) / self.whole, 1.0) if self.whole else None


def unfound(buckets: Iterable[Bucket], led: Mapping[tuple[str, str], int], share: float | None) -> float:
    """Return how many fetches are likely to be found beside those known, of whatever day."""
    known: defaultdict[Class, list[int]] = defaultdict(lambda: [0, 0])
    for one in buckets:
        if one.lane != "robots":
            known[one.lane, False][0] += one.queued + one.leased
            known[one.lane, False][1] += one.done + one.given_up
    counts = {key: (waiting, settled) for key, (waiting, settled) in known.items()}
    found = expected(counts, led, lambda *_: 0.0, lambda _: 0.0, leading=frozenset(), share=share)
    return sum(more.likely for more in found.more.values())


def share_known(claims: Iterable[Claim], coverage: Mapping[str, Mapping[str, int]]) -> float | None:
    """Return the part of its things that a platform's own counters call known; None where it has no such counter."""
    best = max(claims, key=lambda claim: claim.count, default=None)
    if best is None or not best.count:
        return None
    known = sum(n for standing, n in coverage.get(best.kind, {}).items() if standing != "vacant")
    return min(known / best.count, 1.0) if known >= _LEAST_SHARE * best.count else None
