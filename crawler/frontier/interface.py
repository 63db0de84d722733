"""What a frontier promises, whatever keeps it. The conformance suite holds every engine to this page."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from crawler.model import Standing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from crawler.model import Claim, Commit, Covered, Fetch, Gate, Lease, Note, Original, SegmentClass, Settlement


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a fetch may not be handed out, and what that makes of the thing it covers."""

    reason: str
    standing: Standing = Standing.EXCLUDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Counts of a frontier, read from its small tables alone."""

    queued: int = 0
    leased: int = 0
    done: int = 0
    failed: int = 0
    parked: int = 0
    excluded: int = 0
    #: Queued behind an origin whose robots.txt never could be read: they wait for the user.
    blocked: int = 0
    #: Settled captures, and captures that settled nothing.
    captures: int = 0
    attempts: int = 0
    #: Response bytes on the wire.
    bytes: int = 0
    #: lane → state → count, lanes in their order.
    lanes: dict[str, dict[str, int]] = field(default_factory=dict)
    #: Why things are parked, failed or refused → count.
    reasons: dict[str, int] = field(default_factory=dict)
    #: origin → until when it is left alone.
    frozen: dict[str, float] = field(default_factory=dict)
    unreadable: tuple[str, ...] = ()


class Frontier(Protocol):
    """Every known fetch and where it stands. Synchronous; one writer at a time.

    A verb that returns has taken effect durably, except a lease: losing one only means that a fetch is still queued.
    All times are seconds since the epoch.
    """

    #: Asked for new origins by every verb that learns of fetches.
    gate_for: Callable[[str], Fetch | None] | None

    @property
    def round(self) -> int:
        """The current round; fingerprints are unique within one."""
        ...

    def open_round(self, number: int) -> None:
        """Begin a round: what earlier rounds did stays, nothing of it is queued any more."""
        ...

    def set_lanes(self, order: Mapping[str, int]) -> None:
        """Give lanes their order; lower goes first. Applies to what is already known too."""
        ...

    def offer(self, fetches: Sequence[Fetch]) -> int:
        """Make fetches known; return how many were new. A known fingerprint stays as it is."""
        ...

    def lease(
        self,
        n: int,
        *,
        worker: str,
        now: float,
        seconds: float,
        admit: Callable[[Fetch], Refusal | None] | None,
        room: Callable[[str], int],
    ) -> Lease:
        """Hand out up to ``n`` due fetches, best buckets first, oldest first within one.

        ``room`` says how many an origin may get. What ``admit`` refuses becomes excluded in the same transaction.
        Paused buckets, closed and frozen origins give nothing.
        """
        ...

    def commit(self, commit: Commit, *, now: float) -> int:
        """Settle leased fetches with outlinks, coverage and low-water marks in one transaction; return how many.

        A settlement whose token is not the newest is ignored whole, so committing twice changes nothing.
        """
        ...

    def commit_recovered(
        self, items: Sequence[tuple[Fetch, Settlement]], low_water: Mapping[str, int], *, now: float
    ) -> int:
        """As ``commit``, but by fingerprint: for captures found in a segment after a crash."""
        ...

    def release(self, worker: str) -> int:
        """Put back what a worker holds; attempts stay as they were."""
        ...

    def reset_leases(self) -> int:
        """Put back everything that is leased: nobody else runs."""
        ...

    def heartbeat(self, worker: str, until: float) -> None:
        """Prolong a worker's leases."""
        ...

    def reap(self, now: float) -> int:
        """Put back what was leased for longer than agreed."""
        ...

    def known_payload(self, sha256: str) -> Original | None:
        """Return the committed record that first had this payload (hex)."""
        ...

    def add_segment(self, name: str, kind: SegmentClass, worker: str) -> None: ...

    def set_segment_state(self, name: str, state: str) -> None: ...

    def low_water(self, name: str) -> int:
        """Return the offset before which a segment is settled; 0 for an unknown one."""
        ...

    def settled_end(self, name: str) -> int:
        """Return an offset that a segment must reach: just past where its last settled group begins, 0 for none."""
        ...

    def is_settled_group(self, segment: str, offset: int) -> bool: ...

    def next_due(self) -> float | None:
        """Return when the earliest waiting fetch is due, or None where nothing waits."""
        ...

    def bring_forward(self, reason: str, *, older_than: float, now: float) -> int:
        """Make due what waits for this reason and was last tried before ``older_than``."""
        ...

    def forget_waits(self, beyond: float) -> None:
        """Make due what would wait beyond this time (seconds since the epoch): fetches and frozen origins."""
        ...

    def requeue(self, state: str, reason: str | None = None) -> int:
        """Queue parked or failed fetches again."""
        ...

    def pause(self, *, lane: str | None = None, origin: str | None = None, paused: bool = True) -> None: ...

    def freeze(self, origin: str, until: float) -> None: ...

    def gate(self, origin: str) -> Gate | None:
        """Return what an origin's robots.txt settled, or None where nothing is settled."""
        ...

    def stats(self) -> Stats: ...

    def coverage(self) -> dict[str, dict[str, int]]:
        """Return kind → standing → count."""
        ...

    def gaps(self, kind: str | None = None) -> Iterator[Covered]:
        """Yield what is known and not captured."""
        ...

    def claims(self) -> list[Claim]:
        """Return what the platform itself says it has; the newest word of each counter."""
        ...

    def notes(self) -> list[tuple[Note, int]]:
        """Return what a person must hear, and how often it was said."""
        ...

    def meta_get(self, key: str) -> str | None: ...

    def meta_set(self, key: str, value: str) -> None: ...

    def host_get(self, name: str) -> dict[str, Any] | None: ...

    def host_set(self, name: str, facts: dict[str, Any]) -> None: ...

    def close(self) -> None: ...
