"""What a frontier promises, whatever keeps it. The conformance suite holds every engine to this page."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from crawler.model import Standing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

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
    #: Of what is leased: durable with a volunteer, and not yet proven at a destination.
    held: int = 0
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What is to be asked of one origin, and whether it is asked now."""

    #: ``scheme://host[:port]``.
    origin: str
    queued: int
    leased: int
    done: int
    failed: int
    parked: int
    #: Until when it is left alone; 0 where it is not.
    frozen_until: float
    #: Its robots.txt is not settled, or (``readable`` False) never could be read.
    closed: bool
    readable: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A fetch that failed or is parked."""

    state: str
    reason: str
    url: str
    status: int
    attempts: int
    #: When that was, seconds since the epoch.
    tried: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """The unit of a plan: what has lane, origin, day and value in common. ``bytes`` are those of its answers."""

    id: int
    lane: str
    origin: str
    #: ISO day, empty where none is known.
    day: str
    value: int
    queued: int
    leased: int
    done: int
    #: Failed, parked or excluded.
    given_up: int
    bytes: int
    #: As the plan has it now: lower goes first; ``waits`` where nothing of it is begun.
    place: int = 0
    waits: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A fetch that is settled, and where its capture stands."""

    fetch: Fetch
    segment: str
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """How many ids of a stretch of a sweep were asked, or have a fetch of their own, and what became of them."""

    number: int
    asked: int
    hits: int
    holes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """How far the sweep of a template is.

    Stretches are of ``STRETCH`` ids, in order; one of which nothing was asked is not there.
    """

    template: str
    walk: str
    stretches: tuple[Stretch, ...]

    @property
    def asked(self) -> int:
        return sum(one.asked for one in self.stretches)

    @property
    def hits(self) -> int:
        return sum(one.hits for one in self.stretches)

    @property
    def holes(self) -> int:
        return sum(one.holes for one in self.stretches)


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

    def open_round(self, number: int, recheck: Callable[[Fetch], bool] | None = None) -> None:
        """Begin a round: what earlier rounds did stays, nothing of it is queued any more.

        With ``recheck`` what was answered before and that holds for is queued, and no listing stops at what is known.
        """
        ...

    def set_lanes(self, order: Mapping[str, int]) -> None:
        """Give lanes their order; lower goes first. Applies to what is already known too."""
        ...

    def buckets(self) -> list[Bucket]:
        """Return the buckets of this round, from the small tables alone."""
        ...

    def led(self) -> dict[tuple[str, str], int]:
        """Return (lane, lane) → how many new fetches of the second those of the first led to, over all rounds."""
        ...

    def arrange(self, places: Mapping[int, tuple[int, bool]]) -> None:
        """Give buckets their (place, whether they wait): lower goes first, before the order of lanes."""
        ...

    def offer(self, fetches: Sequence[Fetch]) -> int:
        """Make fetches known; return how many were new. A known fingerprint stays as it is."""
        ...

    def sweep(self, template: str, fetch: Fetch, *, walk: str) -> int:
        """Let all ids of a template be fetched as ``fetch`` is, the work of its first; return how many are new.

        They are handed out after what else is queued in their bucket: the ``newest`` (highest) first, the ``oldest``,
        or by ``dense`` stretches, which are found by samples. An id that something named is no longer the sweep's,
        and the other way round, so that none is asked twice. One that answers becomes a row like any other; a hole
        leaves no more than a bit, and a count in the coverage.
        """
        ...

    def sweeps(self) -> list[Swept]:
        """Return how far the sweeps of this round are."""
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
        closed: Callable[[str, str], bool] = ...,
    ) -> Lease:
        """Hand out up to ``n`` due fetches, best buckets first, oldest first within one.

        ``room`` says how many an origin may get, ``closed`` whether an origin's lane gives nothing at all. What
        ``admit`` refuses becomes excluded in the same transaction. Paused buckets, closed and frozen origins give
        nothing.
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

    def held(self, fingerprint: bytes) -> Held | None:
        """Return a fetch of this round that is settled with a record; None where there is none."""
        ...

    def commit_reread(
        self,
        items: Sequence[tuple[Fetch, Settlement]],
        links: Iterable[Fetch],
        is_stale: Callable[[Fetch], bool],
        *,
        now: float,
    ) -> tuple[int, list[Held]]:
        """Take in what captures that are held say when they are read again, and offer the ``links`` they name.

        A fetch that failed for what it said is done. A link that is known and whose own work is stale (nobody read
        it, or nobody can any more) is from now on what it is named as. Returns how many links are new, and which
        of those that were renewed are held: they are to be read.
        """
        ...

    def release(self, worker: str) -> int:
        """Put back what a worker holds; attempts stay as they were."""
        ...

    def give_back(self, worker: str, ids: Iterable[int]) -> int:
        """Put back some of what a worker holds and never started; return how many."""
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

    def take_back(self, told: Iterable[Settlement]) -> int:
        """Undo settlements that were wrong, as if the fetches had never been tried; return how many.

        What somebody leased since is left alone. What a capture covered is known again, unless another told of it.
        The records stay where they are, and count as attempts.
        """
        ...

    def fetch_of(self, told: Settlement) -> Fetch | None:
        """Return the work that a settlement settles."""
        ...

    def tell(self, note: Note) -> None:
        """Keep what a person must hear."""
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
